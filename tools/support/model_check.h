/* SPDX-License-Identifier: BSD-3-Clause */
/* model_check.h: compares some outputs of a model, drawn at random, with the whole operator computed again in
 * double: projections, short convolution and gates of all samples, and the long convolution as a direct sum.
 * Of order 2, which has one; with more, the float64 run of the library is what the outputs are compared with.
 */
#ifndef SUPPORT_MODEL_CHECK_H
#define SUPPORT_MODEL_CHECK_H

#include "model.h"
#include "spot_check.h"

/* `bound` of the result is the relative 2-norm error that is allowed; l2_err / bound is `ratio`. False: out
 * of memory, or the float64 run failed. */
bool model_check_run(lcv_context *context, const model *m, int64_t count, uint64_t seed, spot_check *out);

#endif
