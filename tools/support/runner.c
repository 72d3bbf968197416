/* SPDX-License-Identifier: BSD-3-Clause */
#include "runner.h"

#include "device_arrays.h"
#include "filter_run.h"

#include <longconv/memory.h>

#include <stdlib.h>
#include <string.h>

/* The pieces of a sequence have at most two lengths: all but the last, and the last. */
enum { SIZES = 2 };

struct runner {
    lcv_context *context;
    problem p;
    bool prepared;
    int64_t pieces, piece_len, last_len;
    filter_run *filter; /* PROBLEM_FILTER, which has no plan */
    lcv_plan *plan[SIZES];
    lcv_spectrum *spectrum[SIZES];
    void *states;       /* chunked: [pieces + 1] states, or 2 where backward does not need them */
    void *state_grads;  /* chunked backward: 2 of them */
    size_t state_bytes; /* of one */
    size_t kept;        /* states */
    void *saved;        /* from forward for backward, NULL: nothing */
    size_t saved_bytes;
    bool has_saved; /* is anything in it? */
};

static bool is_chunked(const runner *r)
{
    return r->pieces > 1;
}

static bool goes_backward(const problem *p)
{
    return (p->passes & PROBLEM_BACKWARD) != 0;
}

static int size_of_piece(const runner *r, int64_t piece)
{
    return is_chunked(r) && piece == r->pieces - 1 ? 1 : 0;
}

static int64_t len_of_piece(const runner *r, int64_t piece)
{
    return size_of_piece(r, piece) == 1 ? r->last_len : r->piece_len;
}

/* ---- Creation ---- */

static void cut(runner *r)
{
    const problem *p = &r->p;
    r->pieces = 1;
    r->piece_len = p->seqlen;
    if (p->chunk <= 0 || p->chunk >= p->seqlen)
        return;
    r->pieces = (p->seqlen + p->chunk - 1) / p->chunk;
    r->piece_len = p->chunk;
    r->last_len = p->seqlen - (r->pieces - 1) * p->chunk;
}

static lcv_status create_conv_plan(runner *r, int size)
{
    lcv_conv_params params = arrays_conv_params(&r->p, size == 0 ? r->piece_len : r->last_len);
    if (is_chunked(r)) {
        params.terms |= LCV_TERM_STATE;
        if (params.grad_mask != 0)
            params.grad_mask |= LCV_GRAD_STATE;
        params.accumulate_mask = params.grad_mask & (LCV_GRAD_FILTER | LCV_GRAD_SKIP | LCV_GRAD_BIAS);
    }
    return lcv_conv_plan_create(r->context, &params, &r->plan[size]);
}

static lcv_status create_plan(runner *r, int size)
{
    switch (r->p.kind) {
    case PROBLEM_SHORT_CONV: {
        const lcv_short_conv_params params = arrays_short_conv_params(&r->p);
        return lcv_short_conv_plan_create(r->context, &params, &r->plan[size]);
    }
    case PROBLEM_GATE: {
        const lcv_gate_params params = arrays_gate_params(&r->p);
        return lcv_gate_plan_create(r->context, &params, &r->plan[size]);
    }
    case PROBLEM_MIXER:
        return LCV_UNSUPPORTED; /* they have mixer_runner */
    case PROBLEM_FILTER:
        return filter_run_create(r->context, &r->p, &r->filter);
    case PROBLEM_CONV:
        break;
    }
    return create_conv_plan(r, size);
}

static lcv_plan_info describe(const lcv_plan *plan)
{
    lcv_plan_info info = {.struct_size = sizeof info};
    lcv_plan_describe(plan, &info);
    return info;
}

static lcv_status create_spectra(runner *r)
{
    lcv_status status = LCV_OK;
    for (int size = 0; status == LCV_OK && size < SIZES; size++)
        if (r->plan[size] != NULL)
            status = lcv_spectrum_create(r->plan[size], NULL, 0, &r->spectrum[size]);
    return status;
}

static lcv_status create_states(runner *r)
{
    const problem *p = &r->p;
    const bool all = goes_backward(p);
    const double count = (double)problem_rows(p) * (double)problem_state_len(p);
    const size_t element = lcv_dtype_size(lcv_dtype_compute(p->dtype));
    const size_t kept = all ? (size_t)r->pieces + 1 : 2;
    if (count * (double)element * (double)kept > (double)PTRDIFF_MAX)
        return LCV_TOO_LARGE;
    r->kept = kept;
    r->state_bytes = ((size_t)count * element / 64 + 1) * 64;
    const char *backend = describe(r->plan[0]).backend;
    lcv_status status = lcv_memory_allocate(r->context, backend, kept * r->state_bytes, &r->states);
    if (status == LCV_OK && all)
        status = lcv_memory_allocate(r->context, backend, 2 * r->state_bytes, &r->state_grads);
    return status;
}

/* One piece that goes both ways may leave something for the way back. */
static lcv_status create_saved(runner *r)
{
    const unsigned both = PROBLEM_FORWARD | PROBLEM_BACKWARD;
    if (r->p.kind != PROBLEM_CONV || is_chunked(r) || (r->p.passes & both) != both)
        return LCV_OK;
    r->saved_bytes = describe(r->plan[0]).saved_bytes;
    r->saved = r->saved_bytes > 0 ? malloc(r->saved_bytes) : NULL;
    return r->saved_bytes > 0 && r->saved == NULL ? LCV_OUT_OF_MEMORY : LCV_OK;
}

static lcv_status set_up(runner *r, bool prepared)
{
    lcv_status status = create_plan(r, 0);
    if (status == LCV_OK && is_chunked(r))
        status = create_plan(r, 1);
    if (status == LCV_OK && is_chunked(r))
        status = create_states(r);
    if (status == LCV_OK)
        status = create_saved(r);
    if (status != LCV_OK)
        return status;
    r->prepared = prepared && r->p.kind == PROBLEM_CONV && describe(r->plan[0]).spectrum_bytes > 0;
    return r->prepared ? create_spectra(r) : LCV_OK;
}

lcv_status runner_create(lcv_context *context, const problem *p, bool prepared, runner **out)
{
    *out = NULL;
    runner *r = calloc(1, sizeof *r);
    if (r == NULL)
        return LCV_OUT_OF_MEMORY;
    r->context = context;
    r->p = *p;
    cut(r);
    lcv_status status = set_up(r, prepared);
    if (status != LCV_OK) {
        runner_destroy(&r);
        return status;
    }
    *out = r;
    return LCV_OK;
}

void runner_destroy(runner **pointer)
{
    runner *r = *pointer;
    *pointer = NULL;
    if (r == NULL)
        return;
    if (r->plan[0] != NULL) {
        const char *backend = describe(r->plan[0]).backend;
        lcv_memory_release(r->context, backend, r->states, r->kept * r->state_bytes);
        lcv_memory_release(r->context, backend, r->state_grads, 2 * r->state_bytes);
    }
    for (int size = 0; size < SIZES; size++) {
        lcv_spectrum_destroy(&r->spectrum[size]);
        lcv_plan_destroy(&r->plan[size]);
    }
    filter_run_destroy(&r->filter);
    free(r->saved);
    free(r);
}

bool runner_is_prepared(const runner *r)
{
    return r->prepared;
}

lcv_plan_info runner_describe(const runner *r)
{
    return r->filter != NULL ? filter_run_describe(r->filter) : describe(r->plan[0]);
}

/* Runs a step on the arrays where the backend has them. */
typedef lcv_status (*step_fn)(runner *r, const arrays *a);

static lcv_status run_there(runner *r, const arrays *a, step_fn step)
{
    device_arrays there;
    if (r->filter != NULL)
        return step(r, a);
    lcv_status status = device_arrays_create(r->context, a, &there);
    if (status != LCV_OK)
        return status;
    status = device_arrays_upload(&there, a);
    if (status == LCV_OK)
        status = step(r, &there.a);
    if (status == LCV_OK)
        status = device_arrays_download(&there, a);
    device_arrays_free(&there);
    return status;
}

static lcv_status prepare_there(runner *r, const arrays *a)
{
    lcv_status status = LCV_OK;
    for (int size = 0; status == LCV_OK && size < SIZES; size++)
        if (r->spectrum[size] != NULL)
            status = lcv_spectrum_prepare(r->spectrum[size], r->plan[size], &a->tensor[ARRAY_FILTER],
                                          &a->tensor[ARRAY_FILTER_FUTURE], NULL);
    return status;
}

lcv_status runner_prepare(runner *r, const arrays *a)
{
    return r->prepared ? run_there(r, a, prepare_there) : LCV_OK;
}

/* ---- Execution ---- */

static lcv_tensor state_view(const runner *r, void *memory)
{
    const int64_t shape[3] = {r->p.batch, r->p.channels, problem_state_len(&r->p)};
    lcv_tensor view = lcv_tensor_compact(memory, lcv_dtype_compute(r->p.dtype), 3, shape);
    view.device = arrays_device(&r->p);
    return view;
}

/* The state before a piece. */
static lcv_tensor state_before(const runner *r, int64_t piece)
{
    const int64_t slot = goes_backward(&r->p) ? piece : piece % 2;
    return state_view(r, (char *)r->states + (size_t)slot * r->state_bytes);
}

static lcv_tensor state_grad_before(const runner *r, int64_t piece)
{
    return state_view(r, (char *)r->state_grads + (size_t)(piece % 2) * r->state_bytes);
}

static lcv_status forward_piece(runner *r, const arrays *a, int64_t piece)
{
    lcv_conv_args args = arrays_conv_args(a, piece * r->piece_len, len_of_piece(r, piece));
    const int size = size_of_piece(r, piece);
    if (is_chunked(r)) {
        if (piece > 0)
            args.state_in = state_before(r, piece);
        if (piece < r->pieces - 1)
            args.state_out = state_before(r, piece + 1);
    }
    if (r->prepared) {
        args.spectrum = r->spectrum[size];
        args.filter.rank = args.filter_future.rank = 0;
    }
    args.saved = r->saved;
    args.saved_bytes = r->saved_bytes;
    r->has_saved = r->saved != NULL;
    return r->p.kind == PROBLEM_SHORT_CONV ? lcv_short_conv_forward(r->plan[size], &args)
                                           : lcv_conv_forward(r->plan[size], &args);
}

static lcv_status backward_piece(runner *r, const arrays *a, int64_t piece)
{
    lcv_conv_grad_args args = arrays_conv_grad_args(a, piece * r->piece_len, len_of_piece(r, piece));
    const int size = size_of_piece(r, piece);
    if (is_chunked(r)) {
        if (piece > 0)
            args.state_in = state_before(r, piece);
        if (piece < r->pieces - 1)
            args.dstate_out = state_grad_before(r, piece + 1);
        if (piece > 0 || args.dstate_in.rank == 0)
            args.dstate_in = state_grad_before(r, piece);
    }
    if (r->prepared) {
        args.spectrum = r->spectrum[size];
        args.filter.rank = args.filter_future.rank = 0;
    }
    if (r->has_saved) {
        args.saved = r->saved;
        args.saved_bytes = r->saved_bytes;
    }
    return r->p.kind == PROBLEM_SHORT_CONV ? lcv_short_conv_backward(r->plan[size], &args)
                                           : lcv_conv_backward(r->plan[size], &args);
}

/* The pieces add to these. */
static void zero_sums(const arrays *a)
{
    static const array_role sums[] = {ARRAY_DFILTER, ARRAY_DSKIP, ARRAY_DBIAS};
    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++) {
        const int64_t rows = array_row_count(&a->p, sums[i]), length = array_row_len(&a->p, sums[i]);
        for (int64_t row = 0; a->tensor[sums[i]].rank > 0 && row < rows; row++) {
            const lcv_tensor view = arrays_row(a, sums[i], row);
            for (int64_t t = 0; t < length; t++)
                tensor_set(&view, t, 0.0);
        }
    }
}

static lcv_status forward_there(runner *r, const arrays *a)
{
    const lcv_tensor *t = a->tensor;
    if (r->filter != NULL)
        return filter_run_forward(r->filter);
    if (r->p.kind == PROBLEM_GATE)
        return lcv_gate_forward(r->plan[0], &t[ARRAY_U], &t[ARRAY_PRE_GATE], &t[ARRAY_Y], NULL);
    lcv_status status = LCV_OK;
    for (int64_t piece = 0; status == LCV_OK && piece < r->pieces; piece++)
        status = forward_piece(r, a, piece);
    return status;
}

lcv_status runner_forward(runner *r, const arrays *a)
{
    return run_there(r, a, forward_there);
}

static lcv_status backward_there(runner *r, const arrays *a)
{
    const lcv_tensor *t = a->tensor;
    if (r->filter != NULL)
        return filter_run_backward(r->filter);
    if (r->p.kind == PROBLEM_GATE)
        return lcv_gate_backward(r->plan[0], &t[ARRAY_U], &t[ARRAY_PRE_GATE], &t[ARRAY_DY], &t[ARRAY_DU],
                                 &t[ARRAY_DPRE_GATE], NULL);
    lcv_status status = LCV_OK;
    for (int64_t piece = r->pieces - 1; status == LCV_OK && piece >= 0; piece--)
        status = backward_piece(r, a, piece);
    return status;
}

lcv_status runner_backward(runner *r, const arrays *a)
{
    if (is_chunked(r))
        zero_sums(a);
    return run_there(r, a, backward_there);
}

lcv_status runner_execute(runner *r, const arrays *a)
{
    lcv_status status = LCV_OK;
    /* Pieces before the last need the states that forward leaves. */
    if ((r->p.passes & PROBLEM_FORWARD) != 0 || r->p.chunk > 0)
        status = runner_forward(r, a);
    if (status == LCV_OK && goes_backward(&r->p))
        status = runner_backward(r, a);
    return status;
}

lcv_status runner_run(runner *r, const arrays *a)
{
    const lcv_status status = runner_prepare(r, a);
    return status == LCV_OK ? runner_execute(r, a) : status;
}
