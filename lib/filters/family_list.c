/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of filter families as an array. */
#include "family.h"

static const lcvi_family *const families[] = {
#define LCVI_FAMILY(name) &lcvi_family_##name,
#include "family_list.inc"
#undef LCVI_FAMILY
};

int32_t lcvi_family_count(void)
{
    return (int32_t)(sizeof families / sizeof families[0]);
}

const lcvi_family *lcvi_family_at(int32_t index)
{
    return index >= 0 && index < lcvi_family_count() ? families[index] : NULL;
}
