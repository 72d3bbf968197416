/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_reals.h: pieces of rows of any form as reals, by way of a tile where they are not. For sources that are
 * compiled for each type. */
#ifndef LCV_CPU_REALS_H
#define LCV_CPU_REALS_H

#include "kernels.h"

static inline lcv_dtype dtype_of_form(lcv_cpu_form form)
{
    return form == LCV_CPU_F16 ? LCV_F16 : LCV_BF16;
}

/* Elements `from` to from + count of a row; NULL where it is. */
static inline const real *as_reals(const TYPED(lcv_cpu_kernels) * k, const void *row, lcv_cpu_form form,
                                   int64_t from, int64_t count, real *tile)
{
    if (row == NULL || form == LCV_CPU_REALS)
        return row != NULL ? (const real *)row + from : NULL;
    k->load((const char *)row + 2 * from, dtype_of_form(form), 0, 1, 1, count, tile);
    return tile;
}

/* Where to write such elements, before put_reals; NULL where the row is. */
static inline real *place_for_reals(void *row, lcv_cpu_form form, int64_t from, real *tile)
{
    if (row == NULL || form == LCV_CPU_REALS)
        return row != NULL ? (real *)row + from : NULL;
    return tile;
}

static inline void put_reals(const TYPED(lcv_cpu_kernels) * k, void *row, lcv_cpu_form form, int64_t from,
                             int64_t count, const real *tile)
{
    if (row != NULL && form != LCV_CPU_REALS)
        k->store((char *)row + 2 * from, dtype_of_form(form), 0, 1, 1, count, tile);
}

#endif
