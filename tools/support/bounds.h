/* SPDX-License-Identifier: BSD-3-Clause */
/* bounds.h: the largest error that an element of an output may have.
 *
 * eps = 2^-53 for float64 data, else 2^-24; |.| of a row is its 2-norm; H = |filter| + |filter_future|;
 * x = pre_gate u; g = dy post_gate act'(z), followed by dstate_out. Forward, as conv.h states it:
 *     e_z[t]    = 4 eps |x| H + 4 eps (|skip x| + |bias| + |z|)[t]
 *     y[t]        |post_gate| Lip e_z[t] + 4 eps |y[t]|
 *     state_out   4 eps |x| H + 4 eps |state_out[t]|
 * With carried state |x| is the norm of the sequence so far: of all samples to the end of the piece, and for
 * a state that was handed in, of a past that would leave it, |x| H becomes sqrt(|x|^2 H^2 + |state_in|^2).
 * Gradients, the roles exchanged. Behind an activation the error of z reaches g:
 *     e_g[t]    = 4 eps |g[t]| + 0.8 |post_gate dy| e_z[t]          (0 without an activation)
 *     e_dx[t]   = 4 eps |g| H + 4 eps |skip g[t]| + H |e_g| + |skip| e_g[t]
 *     du[t]       |pre_gate| e_dx[t] + 4 eps |du[t]|
 *     dpre_gate   |u| e_dx[t] + 4 eps |dpre_gate[t]|
 *     dpost_gate  |dy| Lip e_z[t] + 4 eps |dpost_gate[t]|
 *     dfilter[j]  4 eps sqrt(sum |x|^2 |g|^2) + sum |x| |e_g| + 4 eps |dfilter[j]|
 *     dskip       the same; both sums over the rows that share the filter or the channel
 *     dbias       4 eps sqrt(L sum |g|^2) + sum sqrt(L) |e_g| + 4 eps |dbias|
 *     dstate_in   4 eps |dstate_in[t]| + e_g[t]
 * A gate multiply may miss by 4 eps of its result. All gain half a unit in the last place of a 16-bit result,
 * and 16 sqrt(L + K) smallest subnormal numbers of the compute dtype for gradual underflow, which no result
 * in the normal range notices.
 */
#ifndef SUPPORT_BOUNDS_H
#define SUPPORT_BOUNDS_H

#include "arrays.h"

typedef struct bounds bounds;

/* `inputs` holds the inputs, `linear` z as float64 in its y (see oracle_linear) or is NULL when z is not
 * known everywhere; then gradients behind an activation have no bound. NULL: out of memory. */
bounds *bounds_create(const problem *p, const arrays *inputs, const arrays *linear);
void bounds_destroy(bounds **b);

/* Can it bound this output? */
bool bounds_serve(const bounds *b, array_role role);

/* The bound of an element whose right value is `expected`. `z` is the linear result there, looked at for y
 * and dpost_gate only. */
double bounds_of(const bounds *b, array_role role, int64_t row, int64_t index, double expected, double z);

/* Half a unit in the last place of a result near `value` in a 16-bit dtype, 0 for the others. */
double bounds_half_ulp(lcv_dtype dtype, double value);

/* The largest finite number of a dtype. */
double bounds_largest(lcv_dtype dtype);

#endif
