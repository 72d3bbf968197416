/* SPDX-License-Identifier: BSD-3-Clause */
#include "dplr.h"

int64_t lcvi_dplr_doubles(const lcvi_dplr_shape *shape)
{
    return 1 + 2 * shape->modes * (2 + shape->rank + shape->outputs);
}

lcvi_dplr lcvi_dplr_at(const lcvi_dplr_shape *shape, double *memory)
{
    lcvi_number *numbers = (lcvi_number *)(void *)(memory + 1);
    return (lcvi_dplr){.shape = *shape,
                       .dt = memory,
                       .pole = numbers,
                       .p = numbers + shape->modes,
                       .b = numbers + (1 + shape->rank) * shape->modes,
                       .c = numbers + (2 + shape->rank) * shape->modes};
}
