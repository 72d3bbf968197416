/* SPDX-License-Identifier: BSD-3-Clause */
/* dispatch.h: families that a backend evaluates by itself. */
#ifndef LCVI_FILTER_DISPATCH_H
#define LCVI_FILTER_DISPATCH_H

#include "../backend.h"
#include "family.h"

/* An instance, and a call if there is one, as backends see them. The family's hand_over fills the unions. */
typedef struct lcvi_handover {
    lcv_filter_problem problem;
    lcv_filter_call call;
    union {
        lcv_mlp_problem mlp;
        lcv_exponential_problem exponential;
    } details;
    union {
        lcv_mlp_gradients mlp;
        lcv_exponential_gradients exponential;
    } gradients;
} lcvi_handover;

/* Fills `to`, which must stay where it is. `call` NULL: sizes only. */
void lcvi_filter_hand_over(const lcv_filter *filter, const lcvi_filter_call *call, lcvi_handover *to);

/* Sets filter->backend for a caller's `name`: a backend that evaluates this instance, or NULL for the core.
 */
lcv_status lcvi_filter_choose_backend(lcv_filter *filter, const char *name);

/* One call on filter->backend, and the workspace that it needs; exec.workspace has any alignment. */
lcv_status lcvi_filter_backend_workspace(const lcv_filter *filter, int64_t count, bool backward,
                                         size_t *bytes);
lcv_status lcvi_filter_run_on_backend(const lcv_filter *filter, const lcvi_filter_call *call, bool backward);

/* The family's own bytes of a call, before those of its network. False: the number overflows. */
bool lcvi_filter_around(const lcv_filter *filter, bool backward, size_t *bytes);

/* The entries of lcvi_family for those whose network is family implicit_mlp's, computed by the core. */
bool lcvi_mlp_workspace(const lcv_filter *filter, int64_t seqlen, int64_t count, bool backward,
                        size_t *bytes);
void lcvi_mlp_evaluate(const lcv_filter *filter, const lcvi_filter_call *call);
void lcvi_mlp_backward(const lcv_filter *filter, const lcvi_filter_call *call);

#endif
