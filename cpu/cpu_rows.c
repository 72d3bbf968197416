/* SPDX-License-Identifier: BSD-3-Clause */
/* From strided arrays of any dtype to the contiguous rows of reals that engines convolve, and back. A row
 * that is contiguous and in reals already goes to the engine as it lies; any other is gathered, gate
 * included. What engines do not do rides on the same passes: state, circular tails, activations. Compiled for
 * each type.
 *
 * Work comes in panels: some consecutive channels of one batch entry. Where channels lie side by side in
 * memory (BLD), a panel is as wide as a cache line and passes over it are transposes; else it is one row. A
 * pass goes over a panel tile by tile: `count` samples of all its rows, in a buffer where row k starts at k *
 * count. */
#include "cpu_contain.h"
#include "cpu_conv_plan.h"
#include "cpu_sheet.h"

#include <string.h>

static const TYPED(lcv_cpu_kernels) * kernels_of(const lcv_cpu_plan *p)
{
    return p->kernels;
}

static const void *choose_kernels(const char *mask)
{
    return TYPED(lcv_cpu_kernels_of)(mask);
}

static sheet data_sheet(const lcv_cpu_plan *p, const lcv_array *array, const lcv_cpu_panel *at)
{
    return sheet_of(array, p->params.dtype, at->b, at->c, at->width);
}

static sheet compute_sheet(const lcv_cpu_plan *p, const lcv_array *array, const lcv_cpu_panel *at)
{
    return sheet_of(array, p->compute, at->b, at->c, at->width);
}

/* ---- Filters ---- */

static sheet filter_sheet(const lcv_cpu_plan *p, const lcv_array *array, int64_t f)
{
    const bool per_sample = p->params.filter_form == LCV_FILTER_PER_SAMPLE;
    const int64_t channels = p->params.channels;
    return sheet_of(array, p->compute, per_sample ? f / channels : 0, per_sample ? f % channels : f, 1);
}

/* Fills `count` values from a row of `length` elements, with zeros where it is absent or ends. */
static void load_row(const TYPED(lcv_cpu_kernels) * k, const sheet *s, int64_t length, int64_t count,
                     real *to)
{
    const int64_t there = s->data != NULL ? min64(length, count) : 0;
    if (there > 0)
        k->load(s->data, s->dtype, 0, 1, s->stride, there, to);
    memset(to + there, 0, (size_t)(count - there) * sizeof(real));
}

/* Circular filters longer than the sequence fold onto its lags. */
static void fold(const TYPED(lcv_cpu_kernels) * k, const sheet *s, int64_t filter_len, int64_t taps, real *to)
{
    for (int64_t start = taps; s->data != NULL && start < filter_len; start += taps)
        for (int64_t j = 0; j < min64(taps, filter_len - start); j++) {
            real tap;
            load(k, s, (stretch){start + j, 1}, &tap);
            to[j] += tap;
        }
}

static void load_taps(const lcv_cpu_plan *p, const lcv_conv_call *call, int64_t f, void *taps)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    const lcv_cpu_geometry *g = &p->geometry;
    const bool anticausal = p->params.mode == LCV_CONV_ANTICAUSAL;
    const sheet past = filter_sheet(p, &call->filter, f);
    const sheet future = anticausal ? past : filter_sheet(p, &call->filter_future, f);
    real *to = taps;
    load_row(k, &past, p->params.filter_len, g->taps, to);
    load_row(k, &future, anticausal ? p->params.filter_len : p->params.filter_future_len, g->taps_future,
             to + g->taps);
    if (p->circular)
        fold(k, &past, p->params.filter_len, g->taps, to);
}

static void prepare(const lcv_cpu_plan *p, const lcv_conv_call *call, int64_t f, void *taps,
                    const lcv_cpu_filter *filter, const lcv_cpu_worker *worker)
{
    load_taps(p, call, f, taps);
    TYPED(lcv_cpu_note_taps)(p, taps, filter);
    p->engine->prepare(p->engine_self, taps, (real *)taps + p->geometry.taps, filter->spectrum,
                       &worker->work);
}

/* Gradients of `filter_len` taps of which `known` were computed: the others had no effect, or fold. */
static void store_gradient(const lcv_cpu_plan *p, const sheet *s, int64_t filter_len, int64_t known,
                           const real *values, bool accumulate)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    const bool folds = p->circular && known > 0;
    real tile[TILE];
    for (int64_t j = 0; s->data != NULL && j < filter_len; j += TILE) {
        const stretch at = stretch_at(j, filter_len, 1);
        if (!accumulate && j + at.count <= known) {
            store_tile(k, s, at, values + j);
            continue;
        }
        for (int64_t i = 0; i < at.count; i++)
            tile[i] = j + i < known ? values[j + i] : folds ? values[(j + i) % known] : REAL(0.0);
        store(k, s, at, tile, accumulate);
    }
}

/* Where an engine may write the gradients of `known` taps at once; else NULL. */
static real *place_of_taps(const lcv_cpu_plan *p, const sheet *s, int64_t filter_len, int64_t known,
                           uint32_t grad)
{
    const bool as_they_are = s->data != NULL && is_plain(s) && known == filter_len && !p->circular;
    return as_they_are && !lcv_cpu_adds(p, grad) ? (real *)plain_row(s, 0) : NULL;
}

static void finish(const lcv_cpu_plan *p, const lcv_conv_call *call, int64_t f, void *grad, void *taps,
                   const lcv_cpu_worker *worker)
{
    const lcv_cpu_geometry *g = &p->geometry;
    const bool anticausal = p->params.mode == LCV_CONV_ANTICAUSAL;
    const sheet none = {.data = NULL}, dfilter = filter_sheet(p, &call->dfilter, f);
    const sheet dpast = anticausal ? none : dfilter;
    const sheet dfuture = anticausal ? dfilter : filter_sheet(p, &call->dfilter_future, f);
    const int64_t future_len = anticausal ? p->params.filter_len : p->params.filter_future_len;
    const uint32_t future_grad = anticausal ? LCV_GRAD_FILTER : LCV_GRAD_FILTER_FUTURE;
    real *past_place = place_of_taps(p, &dpast, p->params.filter_len, g->taps, LCV_GRAD_FILTER);
    real *future_place = place_of_taps(p, &dfuture, future_len, g->taps_future, future_grad);
    real *past = past_place != NULL ? past_place : taps;
    real *future = future_place != NULL ? future_place : (real *)taps + g->taps;
    if (p->engine != NULL) {
        p->engine->filter_grad(p->engine_self, grad, past, future, &worker->work);
        TYPED(lcv_cpu_add_late)(p, grad, past, future);
    } else {
        memset(past, 0, (size_t)g->taps * sizeof(real));
        memset(future, 0, (size_t)g->taps_future * sizeof(real));
    }
    if (past_place == NULL)
        store_gradient(p, &dpast, p->params.filter_len, g->taps, past, lcv_cpu_adds(p, LCV_GRAD_FILTER));
    if (future_place == NULL)
        store_gradient(p, &dfuture, future_len, g->taps_future, future, lcv_cpu_adds(p, future_grad));
}

static void add_grad(const lcv_cpu_plan *p, const void *from, void *to)
{
    kernels_of(p)->add(from, (int64_t)(p->info.grad_bytes / sizeof(real)), to);
    TYPED(lcv_cpu_merge_late)(p, from, to);
}

/* ---- x = pre_gate * u ---- */

static real *gathered_x(const lcv_cpu_plan *p, const lcv_cpu_worker *worker)
{
    return (real *)(void *)(worker->memory + p->worker.x);
}

static bool is_x_plain(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel)
{
    const sheet u = data_sheet(p, &call->u, panel), pre_gate = data_sheet(p, &call->pre_gate, panel);
    return is_plain(&u) && is_plain(&pre_gate);
}

static void gather_x(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel, real *x)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    const sheet u = data_sheet(p, &call->u, panel), pre_gate = data_sheet(p, &call->pre_gate, panel);
    const int64_t seqlen = p->params.seqlen;
    real buffer[TILE];
    for (int64_t t = 0; t < seqlen; t += TILE / panel->width) {
        const stretch at = stretch_at(t, seqlen, panel->width);
        real *tile = tile_in(x, panel->width, at, buffer);
        load(k, &u, at, tile);
        multiply_by(k, &pre_gate, at, tile);
        if (tile == buffer)
            put_tile(tile, panel->width, at, x, p->x_len);
    }
}

/* Row k of x: where it lies, or where it was gathered. */
static lcv_cpu_row row_x(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                         int64_t k, const lcv_cpu_worker *worker)
{
    if (!is_x_plain(p, call, panel))
        return (lcv_cpu_row){.x = gathered_x(p, worker) + k * p->x_len};
    const sheet u = data_sheet(p, &call->u, panel), pre_gate = data_sheet(p, &call->pre_gate, panel);
    return (lcv_cpu_row){.x = plain_row(&u, k), .gate = plain_row(&pre_gate, k)};
}

static double scalar_of(const lcv_cpu_plan *p, const lcv_array *array, int64_t channel)
{
    real value = REAL(0.0);
    const sheet s = sheet_of(array, p->compute, 0, 0, 1);
    if (s.data != NULL)
        load(kernels_of(p), &s, (stretch){channel, 1}, &value);
    return (double)value;
}

/* A sink for z: the skip term and the bias come with the convolution. */
static lcv_cpu_sink sink_z(const lcv_cpu_plan *p, const lcv_conv_call *call, int64_t channel,
                           const lcv_cpu_row *x)
{
    lcv_cpu_sink sink = {.bias = scalar_of(p, &call->bias, channel)};
    if (call->skip.data != NULL) {
        sink.skip = scalar_of(p, &call->skip, channel);
        sink.x = x->x;
        sink.x_gate = x->gate;
    }
    return sink;
}

/* ---- z, and what follows it: the tail ---- */

static real *gathered_g(const lcv_cpu_plan *p, const lcv_cpu_worker *worker)
{
    return (real *)(void *)(worker->memory + p->worker.g);
}

static void add_state(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel, real *z)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    const sheet state = compute_sheet(p, &call->state_in, panel);
    real tile[TILE];
    for (int64_t t = 0; state.data != NULL && t < p->state_len; t += TILE / panel->width) {
        const stretch at = stretch_at(t, p->state_len, panel->width);
        load(k, &state, at, tile);
        for (int64_t row = 0; row < panel->width;
             row++) /* z continues as the tail, to which the rest belongs */
            k->add(tile + row * at.count, at.count, z + row * p->g_len + t);
    }
}

/* z of a panel's rows, g_len apart, each with its tail. keep: NULL, or row_bytes for each row. Returns which
 * rows are in it: bit k for row k. */
static uint32_t compute_z(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                          real *z, char *keep, const lcv_cpu_worker *worker)
{
    const int64_t seqlen = p->params.seqlen;
    uint32_t kept = 0;
    for (int64_t k = 0; k < panel->width; k++) {
        real *row = z + k * p->g_len;
        const lcv_cpu_row x = row_x(p, call, panel, k, worker);
        lcv_cpu_sink sink = sink_z(p, call, panel->c + k, &x);
        sink.out = row;
        sink.tail = p->geometry.out_len > seqlen ? row + seqlen : NULL;
        char *own_keep = keep != NULL ? keep + (size_t)k * p->keep_stride : NULL;
        if (p->engine == NULL)
            memset(row, 0, (size_t)p->geometry.out_len * sizeof(real)); /* no samples: the state is all */
        else if (TYPED(lcv_cpu_convolve)(p, &panel->filters[k], &x, &sink, own_keep, worker) && keep != NULL)
            kept |= UINT32_C(1) << k;
        if (p->circular)
            kernels_of(p)->add(row + seqlen, p->geometry.out_len - seqlen, row);
    }
    add_state(p, call, panel, z);
    return kept;
}

/* ---- Forward ---- */

static bool is_fused(const lcv_cpu_plan *p, const sheet *y, const sheet *post_gate)
{
    return p->engine != NULL && p->params.activation == LCV_ACTIVATION_NONE &&
           p->geometry.out_len == p->params.seqlen && p->state_len == 0 && is_plain(y) && is_plain(post_gate);
}

static void store_y(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel, real *z)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    const sheet y = data_sheet(p, &call->y, panel), post_gate = data_sheet(p, &call->post_gate, panel);
    const int64_t seqlen = p->params.seqlen;
    real buffer[TILE];
    for (int64_t t = 0; t < seqlen; t += TILE / panel->width) {
        const stretch at = stretch_at(t, seqlen, panel->width);
        real *tile = tile_in(z, panel->width, at, buffer);
        if (tile == buffer)
            take_tile(z, p->g_len, panel->width, at, tile);
        k->activate(p->params.activation, panel->width * at.count, tile);
        multiply_by(k, &post_gate, at, tile);
        store_tile(k, &y, at, tile);
    }
}

static void store_state_out(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                            const real *z)
{
    const sheet state = compute_sheet(p, &call->state_out, panel);
    real tile[TILE];
    for (int64_t t = 0; state.data != NULL && t < p->state_len; t += TILE / panel->width) {
        const stretch at = stretch_at(t, p->state_len, panel->width);
        take_tile(z + p->params.seqlen, p->g_len, panel->width, at, tile);
        store_tile(kernels_of(p), &state, at, tile);
    }
}

static void forward(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                    const lcv_cpu_worker *worker)
{
    const sheet y = data_sheet(p, &call->y, panel), post_gate = data_sheet(p, &call->post_gate, panel);
    real *z = gathered_g(p, worker);
    if (!is_x_plain(p, call, panel))
        gather_x(p, call, panel, gathered_x(p, worker));
    if (!is_fused(p, &y, &post_gate)) {
        compute_z(p, call, panel, z, NULL, worker);
        store_state_out(p, call, panel, z);
        store_y(p, call, panel, z);
        return;
    }
    for (int64_t k = 0; k < panel->width; k++) {
        const lcv_cpu_row x = row_x(p, call, panel, k, worker);
        lcv_cpu_sink sink = sink_z(p, call, panel->c + k, &x);
        sink.out = plain_row(&y, k);
        sink.gate = plain_row(&post_gate, k);
        TYPED(lcv_cpu_convolve)(p, &panel->filters[k], &x, &sink, NULL, worker);
    }
}

/* ---- Backward ---- */

/* dz of one tile, from dy and (where anyone needs it, else NULL) z, with which it writes dpost_gate. */
static void tile_dz(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel, stretch at,
                    const real *z, real *dz)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    const sheet dy = data_sheet(p, &call->dy, panel), post_gate = data_sheet(p, &call->post_gate, panel);
    const int64_t count = panel->width * at.count;
    load(k, &dy, at, dz);
    if (z != NULL && lcv_cpu_wants(p, LCV_GRAD_POST_GATE)) {
        const sheet dpost_gate = data_sheet(p, &call->dpost_gate, panel);
        real tile[TILE];
        memcpy(tile, z, (size_t)count * sizeof(real));
        k->activate(p->params.activation, count, tile);
        k->multiply(tile, dz, count, tile);
        store(k, &dpost_gate, at, tile, lcv_cpu_adds(p, LCV_GRAD_POST_GATE));
    }
    multiply_by(k, &post_gate, at, dz);
    k->slope(p->params.activation, count, z, dz);
}

/* {sum dz x, sum dz} of each row of one tile */
static void tile_sums(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                      stretch at, const real *dz, double (*sums)[2], const lcv_cpu_worker *worker)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    real gated[TILE];
    for (int64_t row = 0; row < panel->width; row++, dz += at.count) {
        if (lcv_cpu_wants(p, LCV_GRAD_BIAS))
            k->dot(dz, NULL, at.count, &sums[row][1]);
        if (!lcv_cpu_wants(p, LCV_GRAD_SKIP))
            continue;
        const lcv_cpu_row in = row_x(p, call, panel, row, worker);
        const real *x = (const real *)in.x + at.from;
        if (in.gate != NULL) {
            k->multiply(x, (const real *)in.gate + at.from, at.count, gated);
            x = gated;
        }
        k->dot(dz, x, at.count, &sums[row][0]);
    }
}

/* What follows dz in the gradient by the linear result. */
static void complete_g(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel, real *g)
{
    const int64_t seqlen = p->params.seqlen, beyond = p->geometry.out_len - seqlen;
    const sheet dstate_out = compute_sheet(p, &call->dstate_out, panel);
    for (int64_t k = 0; k < panel->width; k++) {
        real *row = g + k * p->g_len;
        sheet line = dstate_out;
        if (p->circular) {
            memcpy(row + seqlen, row, (size_t)beyond * sizeof(real));
            continue;
        }
        line.data = line.data != NULL ? place(&dstate_out, k, 0) : NULL;
        load_row(kernels_of(p), &line, p->state_len, beyond, row + seqlen);
    }
}

static void store_dstate_in(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                            const real *g)
{
    const sheet dstate_in = compute_sheet(p, &call->dstate_in, panel);
    real tile[TILE];
    for (int64_t t = 0; dstate_in.data != NULL && t < p->state_len; t += TILE / panel->width) {
        const stretch at = stretch_at(t, p->state_len, panel->width);
        take_tile(g, p->g_len, panel->width, at, tile);
        store(kernels_of(p), &dstate_in, at, tile, lcv_cpu_adds(p, LCV_GRAD_STATE));
    }
}

/* Goes over dz tile by tile: sums, and into the rows g unless g is NULL. z, if it is needed, is g itself,
 * before.
 */
static void pass_dz(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                    bool needs_z, real *g, double (*sums)[2], const lcv_cpu_worker *worker)
{
    const int64_t seqlen = p->params.seqlen;
    real z[TILE], dz[TILE];
    for (int64_t t = 0; t < seqlen; t += TILE / panel->width) {
        const stretch at = stretch_at(t, seqlen, panel->width);
        if (needs_z)
            take_tile(g, p->g_len, panel->width, at, z);
        tile_dz(p, call, panel, at, needs_z ? z : NULL, dz);
        tile_sums(p, call, panel, at, dz, sums, worker);
        if (g != NULL)
            put_tile(dz, panel->width, at, g, p->g_len);
    }
}

/* Can the engine read dz as dy * post_gate, where they lie? */
static bool is_g_plain(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel)
{
    const sheet dy = data_sheet(p, &call->dy, panel), post_gate = data_sheet(p, &call->post_gate, panel);
    return p->params.activation == LCV_ACTIVATION_NONE && p->geometry.out_len == p->params.seqlen &&
           p->state_len == 0 && is_plain(&dy) && is_plain(&post_gate);
}

/* And write dpost_gate = dy * z in the same way, so that nobody else needs z? */
static bool is_dpost_gate_plain(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel)
{
    const sheet dpost_gate = data_sheet(p, &call->dpost_gate, panel);
    return p->engine != NULL && is_g_plain(p, call, panel) && !lcv_cpu_adds(p, LCV_GRAD_POST_GATE) &&
           is_plain(&dpost_gate);
}

/* As compute_z, but z meets dy on its way to dpost_gate and is nowhere else. */
static uint32_t write_dpost_gate(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                                 char *keep, const lcv_cpu_worker *worker)
{
    const sheet dy = data_sheet(p, &call->dy, panel), dpost_gate = data_sheet(p, &call->dpost_gate, panel);
    uint32_t kept = 0;
    for (int64_t k = 0; k < panel->width; k++) {
        const lcv_cpu_row x = row_x(p, call, panel, k, worker);
        lcv_cpu_sink sink = sink_z(p, call, panel->c + k, &x);
        char *own_keep = keep != NULL ? keep + (size_t)k * p->keep_stride : NULL;
        sink.out = plain_row(&dpost_gate, k);
        sink.gate = plain_row(&dy, k);
        if (TYPED(lcv_cpu_convolve)(p, &panel->filters[k], &x, &sink, own_keep, worker) && keep != NULL)
            kept |= UINT32_C(1) << k;
    }
    return kept;
}

/* Can the engine write du and dpre_gate itself? */
static bool is_dx_plain(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel)
{
    const sheet u = data_sheet(p, &call->u, panel), pre_gate = data_sheet(p, &call->pre_gate, panel);
    const sheet du = data_sheet(p, &call->du, panel), dpre_gate = data_sheet(p, &call->dpre_gate, panel);
    return !lcv_cpu_adds(p, LCV_GRAD_U | LCV_GRAD_PRE_GATE) && is_plain(&du) && is_plain(&dpre_gate) &&
           is_plain(&pre_gate) && (dpre_gate.data == NULL || is_plain(&u));
}

static lcv_cpu_sink sink_dx(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                            int64_t k)
{
    const sheet u = data_sheet(p, &call->u, panel), pre_gate = data_sheet(p, &call->pre_gate, panel);
    const sheet du = data_sheet(p, &call->du, panel), dpre_gate = data_sheet(p, &call->dpre_gate, panel);
    return (lcv_cpu_sink){.out = plain_row(&du, k),
                          .gate = plain_row(&pre_gate, k),
                          .out2 = plain_row(&dpre_gate, k),
                          .gate2 = plain_row(&u, k)};
}

/* du = pre_gate * dx and dpre_gate = u * dx */
static void store_dx(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                     const real *dx)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    const struct {
        sheet to, factor;
        uint32_t grad;
    } outputs[2] = {
        {data_sheet(p, &call->dpre_gate, panel), data_sheet(p, &call->u, panel), LCV_GRAD_PRE_GATE},
        {data_sheet(p, &call->du, panel), data_sheet(p, &call->pre_gate, panel), LCV_GRAD_U},
    };
    real tile[TILE];
    for (int64_t t = 0; t < p->params.seqlen; t += TILE / panel->width) {
        const stretch at = stretch_at(t, p->params.seqlen, panel->width);
        for (int i = 0; i < 2; i++) {
            if (outputs[i].to.data == NULL)
                continue;
            take_tile(dx, p->g_len, panel->width, at, tile);
            multiply_by(k, &outputs[i].factor, at, tile);
            store(k, &outputs[i].to, at, tile, lcv_cpu_adds(p, outputs[i].grad));
        }
    }
}

/* The linear part of backward: rows of g (where they lie, or gathered) to dx and the filters' gradients. Bit
 * k of `kept`: row k's transform is in the worker's keep. */
static void convolve_back(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                          bool g_gathered, bool dx_gathered, uint32_t kept, const lcv_cpu_worker *worker)
{
    const sheet dy = data_sheet(p, &call->dy, panel), post_gate = data_sheet(p, &call->post_gate, panel);
    const int64_t seqlen = p->params.seqlen;
    const char *keep = worker->memory + p->worker.keep;
    for (int64_t k = 0; k < panel->width; k++) {
        real *gathered = gathered_g(p, worker) + k * p->g_len;
        lcv_cpu_row g = {.x = plain_row(&dy, k), .gate = plain_row(&post_gate, k)};
        lcv_cpu_row x = {.x = NULL};
        lcv_cpu_sink dx = {.out = gathered};
        if (g_gathered)
            g = (lcv_cpu_row){.x = gathered, .tail = p->geometry.out_len > seqlen ? gathered + seqlen : NULL};
        if (!dx_gathered)
            dx = sink_dx(p, call, panel, k);
        if (call->skip.data != NULL) {
            dx.skip = scalar_of(p, &call->skip, panel->c + k);
            dx.x = g.x;
            dx.x_gate = g.gate;
        }
        if (panel->grads[k] != NULL)
            x = row_x(p, call, panel, k, worker);
        TYPED(lcv_cpu_convolve_back)
        (p, &panel->filters[k], &g, lcv_cpu_wants_dx(p) ? &dx : NULL, &x,
         (kept >> k & 1) != 0 ? keep + (size_t)k * p->keep_stride : NULL, panel->grads[k], worker);
    }
}

static void backward(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                     double (*sums)[2], const lcv_cpu_worker *worker)
{
    const bool wants_z = lcv_cpu_needs_z(&p->params), wants_dx = lcv_cpu_wants_dx(p);
    const bool passes_z = wants_z && is_dpost_gate_plain(p, call, panel), needs_z = wants_z && !passes_z;
    const bool needs_x = wants_z || lcv_cpu_wants_taps(p) || lcv_cpu_wants(p, LCV_GRAD_SKIP);
    const bool dx_gathered = wants_dx && !is_dx_plain(p, call, panel);
    const bool g_gathered = dx_gathered || needs_z || !is_g_plain(p, call, panel);
    real *g = gathered_g(p, worker);
    uint32_t kept = 0;
    char *keep = wants_z && lcv_cpu_wants_taps(p) ? worker->memory + p->worker.keep : NULL;
    if (needs_x && !is_x_plain(p, call, panel))
        gather_x(p, call, panel, gathered_x(p, worker));
    if (needs_z)
        kept = compute_z(p, call, panel, g, keep, worker);
    else if (passes_z)
        kept = write_dpost_gate(p, call, panel, keep, worker);
    if (g_gathered || lcv_cpu_wants(p, LCV_GRAD_SKIP | LCV_GRAD_BIAS))
        pass_dz(p, call, panel, needs_z, g_gathered ? g : NULL, sums, worker);
    if (g_gathered) {
        complete_g(p, call, panel, g);
        store_dstate_in(p, call, panel, g);
    }
    if (p->engine != NULL && (wants_dx || lcv_cpu_wants_taps(p)))
        convolve_back(p, call, panel, g_gathered, dx_gathered, kept, worker);
    if (dx_gathered)
        store_dx(p, call, panel, g);
}

/* ---- Sums over the batch ---- */

static void reduce(const lcv_cpu_plan *p, const lcv_conv_call *call, const double *sums)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    const sheet to[2] = {sheet_of(&call->dskip, p->compute, 0, 0, 1),
                         sheet_of(&call->dbias, p->compute, 0, 0, 1)};
    const bool accumulate[2] = {lcv_cpu_adds(p, LCV_GRAD_SKIP), lcv_cpu_adds(p, LCV_GRAD_BIAS)};
    for (int64_t c = 0; c < p->params.channels; c++) {
        for (int which = 0; which < 2; which++) {
            double total = 0.0;
            for (int64_t b = 0; b < p->params.batch; b++)
                total += sums[2 * (b * p->params.channels + c) + which];
            real value = (real)total;
            if (to[which].data != NULL)
                store(k, &to[which], (stretch){c, 1}, &value, accumulate[which]);
        }
    }
}

const lcv_cpu_rows TYPED(lcv_cpu_rows) = {
    .choose_kernels = choose_kernels,
    .prepare = prepare,
    .finish = finish,
    .forward = forward,
    .backward = backward,
    .add_grad = add_grad,
    .reduce = reduce,
};
