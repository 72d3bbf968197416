/* SPDX-License-Identifier: BSD-3-Clause */
/* slots.h: families of which an instance has only those parameters that its options call for. Slots are all
 * that the family knows, parameters those of the instance. */
#ifndef LCVI_SLOTS_H
#define LCVI_SLOTS_H

#include "family.h"

/* What filter->own begins with. */
typedef struct lcvi_slots {
    int32_t parameter[LCVI_MAX_PARAMETERS]; /* of each slot; -1: none */
    int32_t slot[LCVI_MAX_PARAMETERS];      /* of each parameter */
} lcvi_slots;

/* Declares the parameters of those slots that are present, in order, and notes which they are. */
lcv_status lcvi_slots_declare(lcv_filter *filter, lcvi_slots *slots, int count,
                              bool (*is_present)(const lcv_filter *filter, int slot),
                              lcv_status (*declare)(lcv_filter *filter, int slot));

/* The others look into filter->own. */
int lcvi_slot_of(const lcv_filter *filter, int32_t parameter);

/* Values, where the backend looks for them; NULL when the instance has none. */
const void *lcvi_slot_data(const lcv_filter *filter, int slot);

/* One that nobody wants when the instance has no such parameter. */
const lcvi_sink *lcvi_slot_gradient(const lcvi_filter_call *call, int slot);

#endif
