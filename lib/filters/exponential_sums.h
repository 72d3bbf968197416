/* SPDX-License-Identifier: BSD-3-Clause */
/* exponential_sums.h: taps that are sums of exponentials, h[t] = Re sum_n residue[n] pole[n]^(t - origin[n]),
 * and the sums over their gradients that the gradients of poles and residues are made of.
 *
 * The family's `mode` turns its parameters into modes (one array for all rows), of which taps or moments are
 * made: d loss / d residue  = conj(zeroth),   d loss / d log pole = conj(residue first) with the derivative
 * of a real loss by x + iy written as d/dx + i d/dy.
 *
 * Everything is in double. Positions are cut into chunks at fixed places; each chunk starts from an
 * exponential of its own and is stepped through in blocks, so errors do not grow with t, nothing of the size
 * of modes times positions is stored, and a tap has the same bits whatever range it is asked in. */
#ifndef LCVI_EXPONENTIAL_SUMS_H
#define LCVI_EXPONENTIAL_SUMS_H

#include "family.h"

#include <longconv/backend.h>

/* pole = exp(log_size + i angle); origin: where the power is 1, 0 or late for poles outside the unit circle.
 */
typedef lcv_exponential_mode lcvi_mode;
typedef lcv_exponential_moment lcvi_moment;

/* The family's workspace entry: room for all modes, and in backward for all moments. */
bool lcvi_exponential_workspace(const lcv_filter *filter, int64_t seqlen, int64_t count, bool backward,
                                size_t *bytes);

/* The family's evaluate entry: writes the taps of a call. Parallel over rows and chunks. */
void lcvi_exponential_evaluate(const lcv_filter *filter, const lcvi_filter_call *call);

/* Modes and moments of a backward call, both [filters][modes], in its workspace. Parallel over rows; sums in
 * a fixed order. */
void lcvi_exponential_moments(const lcv_filter *filter, const lcvi_filter_call *call, const lcvi_mode **modes,
                              const lcvi_moment **moments);

/* Poles and residues of a row as lcv_filter_modes gives them, with the origin at 0. */
void lcvi_exponential_row(const lcv_filter *filter, int64_t seqlen, int64_t row, double *poles,
                          double *residues);

#endif
