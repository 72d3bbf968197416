/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_form.h: how elements of a row lie that an engine reads or writes: as reals, or in 16 bits, of which
 * float32 is made on the way in, and which are rounded to nearest even on the way out. */
#ifndef LCV_CPU_FORM_H
#define LCV_CPU_FORM_H

#include <longconv/half.h>

typedef enum lcv_cpu_form { LCV_CPU_REALS = 0, LCV_CPU_F16, LCV_CPU_BF16 } lcv_cpu_form;

/* Element `at` of a row in 16 bits, which may lie at any address. */
static inline float lcv_cpu_half_at(lcv_cpu_form form, const void *row, int64_t at)
{
    uint16_t half;
    memcpy(&half, (const char *)row + 2 * at, sizeof half);
    return form == LCV_CPU_BF16 ? lcv_bf16_to_f32(half) : lcv_f16_to_f32(half);
}

static inline void lcv_cpu_put_half(lcv_cpu_form form, void *row, int64_t at, float value)
{
    const uint16_t half = form == LCV_CPU_BF16 ? lcv_f32_to_bf16(value) : lcv_f32_to_f16(value);
    memcpy((char *)row + 2 * at, &half, sizeof half);
}

#endif
