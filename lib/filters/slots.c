/* SPDX-License-Identifier: BSD-3-Clause */
#include "slots.h"

#include "device.h"

static const lcvi_slots *slots_of(const lcv_filter *filter)
{
    return filter->own;
}

lcv_status lcvi_slots_declare(lcv_filter *filter, lcvi_slots *slots, int count,
                              bool (*is_present)(const lcv_filter *filter, int slot),
                              lcv_status (*declare)(lcv_filter *filter, int slot))
{
    lcv_status status = LCV_OK;
    for (int slot = 0; status == LCV_OK && slot < count; slot++) {
        const bool present = is_present(filter, slot);
        slots->parameter[slot] = present ? filter->parameters.count : -1;
        if (present) {
            slots->slot[filter->parameters.count] = slot;
            status = declare(filter, slot);
        }
    }
    return status;
}

int lcvi_slot_of(const lcv_filter *filter, int32_t parameter)
{
    return slots_of(filter)->slot[parameter];
}

const void *lcvi_slot_data(const lcv_filter *filter, int slot)
{
    const int32_t parameter = slots_of(filter)->parameter[slot];
    return parameter >= 0 ? lcvi_filter_data(filter, parameter) : NULL;
}

const lcvi_sink *lcvi_slot_gradient(const lcvi_filter_call *call, int slot)
{
    static const lcvi_sink none;
    const int32_t parameter = slots_of(call->filter)->parameter[slot];
    return parameter >= 0 ? &call->gradient[parameter] : &none;
}
