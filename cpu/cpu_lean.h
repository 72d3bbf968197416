/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_lean.h: convolutions of long rows in little memory, one part of the ring after the other.
 *
 * The ring C[z]/(z^N - i) of N = P n points is the product of P rings C[z]/(z^n - w), w^P = i. With z = o s
 * and o^n = w / i each is the ring C[s]/(s^n - i), for which the simd engine has one table. So of the filter
 * there is one part at a time. Of the row there are all, because output and input may be the same array: P
 * columns of reals become P of complex numbers, of which the real parts take the place of the outputs and the
 * imaginary ones are in the workspace. Beside the arrays it takes little more than 4 bytes for each float32
 * sample, the ordinary way up to 40.
 */
#ifndef LCV_CPU_LEAN_H
#define LCV_CPU_LEAN_H

#include "cpu_conv_plan.h"
#include "typed.h"

/* Forward of all rows, one after the other. taps: the prepared filters, or NULL. The team is for the inside
 * of a row. */
void TYPED(lcv_cpu_lean_forward)(const lcv_cpu_plan *p, const lcv_conv_call *call, char *workspace,
                                 const void *taps, const lcv_cpu_team *team);

/* Prepared filters: their taps, info.spectrum_bytes apart. */
void TYPED(lcv_cpu_lean_prepare)(const lcv_cpu_plan *p, const lcv_conv_call *call, void *taps);

#endif
