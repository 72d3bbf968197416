/* SPDX-License-Identifier: BSD-3-Clause */
/* From strided rows of any dtype to the contiguous rows of reals that engines convolve, and back. A row that
 * is contiguous and in reals already goes to the engine as it lies; any other is gathered, gate included,
 * block by block. What engines do not do rides on the same blocks: state, circular tails, activations.
 * Compiled for each type. */
#include "cpu_conv_plan.h"
#include "kernels.h"

#include <string.h>

#if REAL_IS_DOUBLE
enum { REAL_DTYPE = LCV_F64 };
#else
enum { REAL_DTYPE = LCV_F32 };
#endif

enum { BLOCK = 512 };

/* One row of an array. */
typedef struct {
    char *data; /* NULL: absent */
    int64_t stride;
    lcv_dtype dtype;
    int64_t step; /* bytes */
} line;

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static line line_of(const lcv_array *array, lcv_dtype dtype, int64_t i, int64_t j)
{
    line l = {.stride = array->stride[2], .dtype = dtype};
    l.step = l.stride * (int64_t)lcv_dtype_size(dtype);
    if (array->data != NULL)
        l.data = (char *)array->data +
                 (i * array->stride[0] + j * array->stride[1]) * (int64_t)lcv_dtype_size(dtype);
    return l;
}

static line data_line(const lcv_cpu_plan *p, const lcv_array *array, lcv_cpu_place at)
{
    return line_of(array, p->params.dtype, at.b, at.c);
}

static line compute_line(const lcv_cpu_plan *p, const lcv_array *array, lcv_cpu_place at)
{
    return line_of(array, p->compute, at.b, at.c);
}

/* Can an engine use the row as it lies? */
static bool is_plain(const line *l)
{
    return l->data == NULL ||
           (l->dtype == (lcv_dtype)REAL_DTYPE && l->stride == 1 && (uintptr_t)l->data % sizeof(real) == 0);
}

static const TYPED(lcv_cpu_kernels) * kernels_of(const lcv_cpu_plan *p)
{
    return p->kernels;
}

static const void *choose_kernels(const char *mask)
{
    return TYPED(lcv_cpu_kernels_of)(mask);
}

/* ---- Blocks ---- */

static void load(const TYPED(lcv_cpu_kernels) * k, const line *l, int64_t from, int64_t count, real *to)
{
    k->load(l->data + from * l->step, l->dtype, l->stride, count, to);
}

static void store(const TYPED(lcv_cpu_kernels) * k, const line *l, int64_t from, int64_t count, real *values,
                  bool accumulate)
{
    real old[BLOCK];
    if (accumulate) {
        load(k, l, from, count, old);
        k->add(old, count, values);
    }
    k->store(l->data + from * l->step, l->dtype, l->stride, count, values);
}

/* values *= the row's block, if there is a row */
static void multiply_by(const TYPED(lcv_cpu_kernels) * k, const line *l, int64_t from, int64_t count,
                        real *values)
{
    real factor[BLOCK];
    if (l->data == NULL)
        return;
    load(k, l, from, count, factor);
    k->multiply(values, factor, count, values);
}

/* Fills `count` values from a row of `length` elements, with zeros where it is absent or ends. */
static void load_all(const TYPED(lcv_cpu_kernels) * k, const line *l, int64_t length, int64_t count, real *to)
{
    const int64_t there = l->data != NULL ? min64(length, count) : 0;
    if (there > 0)
        k->load(l->data, l->dtype, l->stride, there, to);
    memset(to + there, 0, (size_t)(count - there) * sizeof(real));
}

/* ---- Filters ---- */

static line filter_line(const lcv_cpu_plan *p, const lcv_array *array, int64_t f)
{
    const bool per_sample = p->params.filter_form == LCV_FILTER_PER_SAMPLE;
    const int64_t channels = p->params.channels;
    return line_of(array, p->compute, per_sample ? f / channels : 0, per_sample ? f % channels : f);
}

/* Circular filters longer than the sequence fold onto its lags. */
static void fold(const TYPED(lcv_cpu_kernels) * k, const line *l, int64_t filter_len, int64_t taps, real *to)
{
    for (int64_t start = taps; l->data != NULL && start < filter_len; start += taps)
        for (int64_t j = 0; j < min64(taps, filter_len - start); j++) {
            real tap;
            load(k, l, start + j, 1, &tap);
            to[j] += tap;
        }
}

static void load_taps(const lcv_cpu_plan *p, const lcv_conv_call *call, int64_t f, void *taps)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    const lcv_cpu_geometry *g = &p->geometry;
    const bool anticausal = p->params.mode == LCV_CONV_ANTICAUSAL;
    const line past = filter_line(p, &call->filter, f);
    const line future = anticausal ? past : filter_line(p, &call->filter_future, f);
    real *to = taps;
    load_all(k, &past, p->params.filter_len, g->taps, to);
    load_all(k, &future, anticausal ? p->params.filter_len : p->params.filter_future_len, g->taps_future,
             to + g->taps);
    if (p->circular)
        fold(k, &past, p->params.filter_len, g->taps, to);
}

/* Gradients of `filter_len` taps of which `known` were computed: the others had no effect, or fold. */
static void store_gradient(const lcv_cpu_plan *p, const line *l, int64_t filter_len, int64_t known,
                           const real *values, bool accumulate)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    for (int64_t j = 0; l->data != NULL && j < filter_len; j++) {
        real value = j < known ? values[j] : p->circular && known > 0 ? values[j % known] : REAL(0.0);
        store(k, l, j, 1, &value, accumulate);
    }
}

static void store_taps(const lcv_cpu_plan *p, const lcv_conv_call *call, int64_t f, const void *taps)
{
    const lcv_cpu_geometry *g = &p->geometry;
    const real *past = taps, *future = past + g->taps;
    const bool anticausal = p->params.mode == LCV_CONV_ANTICAUSAL;
    const line dfilter = filter_line(p, &call->dfilter, f),
               dfuture = filter_line(p, &call->dfilter_future, f);
    store_gradient(p, &dfilter, p->params.filter_len, anticausal ? g->taps_future : g->taps,
                   anticausal ? future : past, lcv_cpu_adds(p, LCV_GRAD_FILTER));
    store_gradient(p, &dfuture, p->params.filter_future_len, g->taps_future, future,
                   lcv_cpu_adds(p, LCV_GRAD_FILTER_FUTURE));
}

static void add_grad(const lcv_cpu_plan *p, const void *from, void *to)
{
    kernels_of(p)->add(from, (int64_t)(p->info.grad_bytes / sizeof(real)), to);
}

/* ---- The row x = pre_gate * u ---- */

static lcv_cpu_row row_x(const lcv_cpu_plan *p, const lcv_conv_call *call, lcv_cpu_place at,
                         const lcv_cpu_worker *worker)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    const line u = data_line(p, &call->u, at), pre_gate = data_line(p, &call->pre_gate, at);
    if (is_plain(&u) && is_plain(&pre_gate))
        return (lcv_cpu_row){.x = u.data, .gate = pre_gate.data};
    real *x = (real *)(void *)(worker->memory + p->worker.x);
    for (int64_t t = 0; t < p->params.seqlen; t += BLOCK) {
        const int64_t count = min64(BLOCK, p->params.seqlen - t);
        load(k, &u, t, count, x + t);
        multiply_by(k, &pre_gate, t, count, x + t);
    }
    return (lcv_cpu_row){.x = x};
}

static double scalar_of(const lcv_cpu_plan *p, const lcv_array *array, int64_t channel)
{
    real value = REAL(0.0);
    line l = line_of(array, p->compute, 0, 0);
    if (l.data != NULL)
        load(kernels_of(p), &l, channel, 1, &value);
    return (double)value;
}

/* A sink for z: the skip term and the bias come with the convolution. */
static lcv_cpu_sink sink_z(const lcv_cpu_plan *p, const lcv_conv_call *call, lcv_cpu_place at,
                           const lcv_cpu_row *x)
{
    lcv_cpu_sink sink = {.bias = scalar_of(p, &call->bias, at.c)};
    if (call->skip.data != NULL) {
        sink.skip = scalar_of(p, &call->skip, at.c);
        sink.x = x->x;
        sink.x_gate = x->gate;
    }
    return sink;
}

/* z of one row into `z` (out_len reals), with what the state and a circular tail add. */
static void compute_z(const lcv_cpu_plan *p, const lcv_conv_call *call, lcv_cpu_place at,
                      const void *spectrum, const lcv_cpu_row *x, real *z, void *keep,
                      const lcv_cpu_worker *worker)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    const int64_t seqlen = p->params.seqlen, beyond = p->geometry.out_len - seqlen;
    const line state = compute_line(p, &call->state_in, at);
    real block[BLOCK];
    lcv_cpu_sink sink = sink_z(p, call, at, x);
    sink.out = z;
    sink.tail = z + seqlen;
    if (p->engine != NULL)
        p->engine->forward(p->engine_self, spectrum, x, &sink, keep, &worker->work);
    else
        memset(z, 0, (size_t)p->geometry.out_len * sizeof(real)); /* no samples: the state is all there is */
    if (p->circular)
        k->add(z + seqlen, beyond, z);
    for (int64_t t = 0; state.data != NULL && t < p->state_len; t += BLOCK) {
        const int64_t count = min64(BLOCK, p->state_len - t);
        load(k, &state, t, count, block);
        k->add(block, count, z + t); /* z continues as the tail, where the rest of the state belongs */
    }
}

/* ---- Forward ---- */

static bool is_fused(const lcv_cpu_plan *p, const line *y, const line *post_gate)
{
    return p->engine != NULL && p->params.activation == LCV_ACTIVATION_NONE &&
           p->geometry.out_len == p->params.seqlen && is_plain(y) && is_plain(post_gate) && p->state_len == 0;
}

static void store_y(const lcv_cpu_plan *p, const line *post_gate, const line *y, real *z)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    for (int64_t t = 0; t < p->params.seqlen; t += BLOCK) {
        const int64_t count = min64(BLOCK, p->params.seqlen - t);
        k->activate(p->params.activation, count, z + t);
        multiply_by(k, post_gate, t, count, z + t);
        store(k, y, t, count, z + t, false);
    }
}

static void forward(const lcv_cpu_plan *p, const lcv_conv_call *call, lcv_cpu_place at, const void *spectrum,
                    const lcv_cpu_worker *worker)
{
    const line y = data_line(p, &call->y, at), post_gate = data_line(p, &call->post_gate, at);
    const line state_out = compute_line(p, &call->state_out, at);
    const lcv_cpu_row x = row_x(p, call, at, worker);
    if (is_fused(p, &y, &post_gate)) {
        lcv_cpu_sink sink = sink_z(p, call, at, &x);
        sink.out = y.data;
        sink.gate = post_gate.data;
        p->engine->forward(p->engine_self, spectrum, &x, &sink, NULL, &worker->work);
        return;
    }
    real *z = (real *)(void *)(worker->memory + p->worker.g);
    compute_z(p, call, at, spectrum, &x, z, NULL, worker);
    if (state_out.data != NULL)
        kernels_of(p)->store(state_out.data, state_out.dtype, state_out.stride, p->state_len,
                             z + p->params.seqlen);
    store_y(p, &post_gate, &y, z);
}

/* ---- Backward ---- */

/* dz of one block, from z (unless no one needs it) and dy; writes dpost_gate. */
static void block_dz(const lcv_cpu_plan *p, const lcv_conv_call *call, lcv_cpu_place at, int64_t from,
                     int64_t count, const real *z, real *dz)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    const line dy = data_line(p, &call->dy, at), post_gate = data_line(p, &call->post_gate, at);
    real block[BLOCK], before[BLOCK];
    if (lcv_cpu_wants(p, LCV_GRAD_POST_GATE)) {
        const line dpost_gate = data_line(p, &call->dpost_gate, at);
        memcpy(block, z, (size_t)count * sizeof(real));
        k->activate(p->params.activation, count, block);
        multiply_by(k, &dy, from, count, block);
        store(k, &dpost_gate, from, count, block, lcv_cpu_adds(p, LCV_GRAD_POST_GATE));
    }
    if (p->params.activation != LCV_ACTIVATION_NONE)
        memcpy(before, z, (size_t)count * sizeof(real)); /* dz may be z's place */
    load(k, &dy, from, count, dz);
    multiply_by(k, &post_gate, from, count, dz);
    if (p->params.activation != LCV_ACTIVATION_NONE)
        k->slope(p->params.activation, count, before, dz);
}

/* {sum dz x, sum dz} of one block */
static void block_sums(const lcv_cpu_plan *p, const lcv_cpu_row *x, int64_t from, int64_t count,
                       const real *dz, double *sums)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    if (lcv_cpu_wants(p, LCV_GRAD_SKIP)) {
        const real *row = (const real *)x->x + from;
        real gated[BLOCK];
        if (x->gate != NULL) {
            k->multiply(row, (const real *)x->gate + from, count, gated);
            row = gated;
        }
        k->dot(dz, row, count, &sums[0]);
    }
    if (lcv_cpu_wants(p, LCV_GRAD_BIAS))
        k->dot(dz, NULL, count, &sums[1]);
}

/* The gradient by the linear result: dz, then what follows seqlen. */
static void complete_g(const lcv_cpu_plan *p, const lcv_conv_call *call, lcv_cpu_place at, real *g)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    const int64_t seqlen = p->params.seqlen, beyond = p->geometry.out_len - seqlen;
    const line dstate_out = compute_line(p, &call->dstate_out, at);
    if (p->circular)
        memcpy(g + seqlen, g, (size_t)beyond * sizeof(real));
    else
        load_all(k, &dstate_out, p->state_len, beyond, g + seqlen);
}

static void store_dstate_in(const lcv_cpu_plan *p, const lcv_conv_call *call, lcv_cpu_place at, real *g)
{
    const line dstate_in = compute_line(p, &call->dstate_in, at);
    real block[BLOCK];
    for (int64_t t = 0; dstate_in.data != NULL && t < p->state_len; t += BLOCK) {
        const int64_t count = min64(BLOCK, p->state_len - t);
        memcpy(block, g + t, (size_t)count * sizeof(real));
        store(kernels_of(p), &dstate_in, t, count, block, lcv_cpu_adds(p, LCV_GRAD_STATE));
    }
}

/* Where dx goes when an engine can write it itself; false when it must be stored block by block. */
static bool sink_dx(const lcv_cpu_plan *p, const lcv_conv_call *call, lcv_cpu_place at, lcv_cpu_sink *sink)
{
    const line u = data_line(p, &call->u, at), pre_gate = data_line(p, &call->pre_gate, at);
    const line du = data_line(p, &call->du, at), dpre_gate = data_line(p, &call->dpre_gate, at);
    if ((p->params.accumulate_mask & (LCV_GRAD_U | LCV_GRAD_PRE_GATE)) != 0 || !is_plain(&du) ||
        !is_plain(&dpre_gate) || !is_plain(&pre_gate) || (dpre_gate.data != NULL && !is_plain(&u)))
        return false;
    *sink = (lcv_cpu_sink){.out = du.data, .gate = pre_gate.data, .out2 = dpre_gate.data, .gate2 = u.data};
    return true;
}

/* du = pre_gate * dx and dpre_gate = u * dx */
static void store_dx(const lcv_cpu_plan *p, const lcv_conv_call *call, lcv_cpu_place at, const real *dx)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    const line u = data_line(p, &call->u, at), pre_gate = data_line(p, &call->pre_gate, at);
    const line du = data_line(p, &call->du, at), dpre_gate = data_line(p, &call->dpre_gate, at);
    real block[BLOCK];
    for (int64_t t = 0; t < p->params.seqlen; t += BLOCK) {
        const int64_t count = min64(BLOCK, p->params.seqlen - t);
        if (dpre_gate.data != NULL) {
            memcpy(block, dx + t, (size_t)count * sizeof(real));
            multiply_by(k, &u, t, count, block);
            store(k, &dpre_gate, t, count, block, lcv_cpu_adds(p, LCV_GRAD_PRE_GATE));
        }
        if (du.data != NULL) {
            memcpy(block, dx + t, (size_t)count * sizeof(real));
            multiply_by(k, &pre_gate, t, count, block);
            store(k, &du, t, count, block, lcv_cpu_adds(p, LCV_GRAD_U));
        }
    }
}

/* Can the engine read dz as dy * post_gate, where they lie? */
static bool is_g_plain(const lcv_cpu_plan *p, const lcv_conv_call *call, lcv_cpu_place at)
{
    const line dy = data_line(p, &call->dy, at), post_gate = data_line(p, &call->post_gate, at);
    return !lcv_cpu_needs_z(&p->params) && p->geometry.out_len == p->params.seqlen && p->state_len == 0 &&
           is_plain(&dy) && is_plain(&post_gate);
}

static void sum_plain(const lcv_cpu_plan *p, const lcv_conv_call *call, lcv_cpu_place at,
                      const lcv_cpu_row *x, double *sums)
{
    real dz[BLOCK];
    if (!lcv_cpu_wants(p, LCV_GRAD_SKIP | LCV_GRAD_BIAS))
        return;
    for (int64_t t = 0; t < p->params.seqlen; t += BLOCK) {
        const int64_t count = min64(BLOCK, p->params.seqlen - t);
        block_dz(p, call, at, t, count, NULL, dz);
        block_sums(p, x, t, count, dz, sums);
    }
}

static void gather_g(const lcv_cpu_plan *p, const lcv_conv_call *call, lcv_cpu_place at, const lcv_cpu_row *x,
                     real *g, double *sums)
{
    for (int64_t t = 0; t < p->params.seqlen; t += BLOCK) {
        const int64_t count = min64(BLOCK, p->params.seqlen - t);
        block_dz(p, call, at, t, count, g + t, g + t);
        block_sums(p, x, t, count, g + t, sums);
    }
    complete_g(p, call, at, g);
    store_dstate_in(p, call, at, g);
}

static void backward(const lcv_cpu_plan *p, const lcv_conv_call *call, lcv_cpu_place at, const void *spectrum,
                     void *grad, double *sums, const lcv_cpu_worker *worker)
{
    const bool needs_z = lcv_cpu_needs_z(&p->params);
    const bool needs_x = needs_z || grad != NULL || lcv_cpu_wants(p, LCV_GRAD_SKIP);
    real *g = (real *)(void *)(worker->memory + p->worker.g);
    void *keep = needs_z && grad != NULL ? worker->memory + p->worker.keep : NULL;
    lcv_cpu_sink dx = {.out = NULL};
    lcv_cpu_row x = {.x = NULL}, row;
    if (needs_x)
        x = row_x(p, call, at, worker);
    if (needs_z)
        compute_z(p, call, at, spectrum, &x, g, keep, worker);
    const bool fused = lcv_cpu_wants_dx(p) && sink_dx(p, call, at, &dx);
    if (is_g_plain(p, call, at) && (fused || !lcv_cpu_wants_dx(p))) {
        const line dy = data_line(p, &call->dy, at), post_gate = data_line(p, &call->post_gate, at);
        row = (lcv_cpu_row){.x = dy.data, .gate = post_gate.data};
        sum_plain(p, call, at, &x, sums);
    } else {
        gather_g(p, call, at, &x, g, sums);
        row = (lcv_cpu_row){.x = g,
                            .tail = p->geometry.out_len > p->params.seqlen ? g + p->params.seqlen : NULL};
    }
    if (!fused)
        dx.out = g;
    if (call->skip.data != NULL) {
        dx.skip = scalar_of(p, &call->skip, at.c);
        dx.x = row.x;
        dx.x_gate = row.gate;
    }
    if (p->engine != NULL && (grad != NULL || lcv_cpu_wants_dx(p)))
        p->engine->backward(p->engine_self, spectrum, &row, lcv_cpu_wants_dx(p) ? &dx : NULL, &x, keep, grad,
                            &worker->work);
    if (lcv_cpu_wants_dx(p) && !fused)
        store_dx(p, call, at, g);
}

/* ---- Sums over the batch ---- */

static void reduce(const lcv_cpu_plan *p, const lcv_conv_call *call, const double *sums)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    const line lines[2] = {line_of(&call->dskip, p->compute, 0, 0), line_of(&call->dbias, p->compute, 0, 0)};
    const bool accumulate[2] = {lcv_cpu_adds(p, LCV_GRAD_SKIP), lcv_cpu_adds(p, LCV_GRAD_BIAS)};
    for (int64_t c = 0; c < p->params.channels; c++) {
        for (int which = 0; which < 2; which++) {
            double total = 0.0;
            for (int64_t b = 0; b < p->params.batch; b++)
                total += sums[2 * (b * p->params.channels + c) + which];
            real value = (real)total;
            if (lines[which].data != NULL)
                store(k, &lines[which], c, 1, &value, accumulate[which]);
        }
    }
}

const lcv_cpu_rows TYPED(lcv_cpu_rows) = {
    .choose_kernels = choose_kernels,
    .load_taps = load_taps,
    .store_taps = store_taps,
    .forward = forward,
    .backward = backward,
    .add_grad = add_grad,
    .reduce = reduce,
};
