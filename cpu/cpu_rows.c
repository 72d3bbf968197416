/* SPDX-License-Identifier: BSD-3-Clause */
/* From strided arrays of any dtype to the contiguous rows of reals that engines convolve, and back. A row
 * that is contiguous, and in reals or in 16 bits where the engine takes them, goes to the engine as it lies;
 * any other is gathered, gate included. What engines do not do rides on the same passes: state, circular
 * tails, activations. Compiled for each type.
 *
 * Work comes in panels: some consecutive channels of one batch entry. Where channels lie side by side in
 * memory (BLD), a panel is one or two cache lines wide and passes over it are transposes; else it is one row.
 * A pass goes over a panel tile by tile: `count` samples of all its rows, in a buffer where row k starts at
 * k * count. */
#include "cpu_ahead.h"
#include "cpu_beside.h"
#include "cpu_contain.h"
#include "cpu_conv_plan.h"
#include "cpu_lean.h"
#include "cpu_reals.h"
#include "cpu_sheet.h"
#include "cpu_taps.h"

#include <string.h>

static const TYPED(lcv_cpu_kernels) * kernels_of(const lcv_cpu_plan *p)
{
    return p->kernels;
}

static const void *choose_kernels(const char *mask)
{
    return TYPED(lcv_cpu_kernels_of)(mask);
}

static sheet compute_sheet(const lcv_cpu_plan *p, const lcv_array *array, const lcv_cpu_panel *at)
{
    return sheet_of(array, p->compute, at->b, at->c, at->width);
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
    for (int64_t t = 0; t < seqlen; t += tile_len(panel->width)) {
        const stretch at = stretch_at(t, seqlen, panel->width);
        load(k, &u, at, x + t, p->x_len);
        multiply_by(k, &pre_gate, at, x + t, p->x_len);
    }
}

/* Row k of x: where it lies, or where it was gathered. */
static lcv_cpu_row row_x(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                         int64_t k, const lcv_cpu_worker *worker)
{
    if (!is_x_plain(p, call, panel))
        return (lcv_cpu_row){.x = gathered_x(p, worker) + k * p->x_len};
    const sheet u = data_sheet(p, &call->u, panel), pre_gate = data_sheet(p, &call->pre_gate, panel);
    return (lcv_cpu_row){.x = plain_row(&u, k), .gate = plain_row(&pre_gate, k), .form = form_of(&u)};
}

static double scalar_of(const lcv_cpu_plan *p, const lcv_array *array, int64_t channel)
{
    real value = REAL(0.0);
    const sheet s = sheet_of(array, p->compute, 0, 0, 1);
    if (s.data != NULL)
        load(kernels_of(p), &s, (stretch){channel, 1}, &value, 1);
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
        sink.x_form = x->form;
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
    for (int64_t t = 0; state.data != NULL && t < p->state_len; t += tile_len(panel->width)) {
        const stretch at = stretch_at(t, p->state_len, panel->width);
        load(k, &state, at, tile, at.count);
        for (int64_t row = 0; row < panel->width;
             row++) /* z continues as the tail, to which the rest belongs */
            k->add(tile + row * at.count, at.count, z + row * p->g_len + t);
    }
}

/* Where rows' transforms are kept: row k's at memory + k * stride. memory NULL: nowhere. */
typedef struct {
    char *memory;
    size_t stride;
} keeper;

static char *place_to_keep(const keeper *keep, int64_t k)
{
    return keep->memory != NULL ? keep->memory + (size_t)k * keep->stride : NULL;
}

/* z of a panel's rows, g_len apart, each with its tail. Returns which rows were kept: bit k for row k. */
static uint32_t compute_z(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                          real *z, keeper keep, const lcv_cpu_worker *worker)
{
    const int64_t seqlen = p->params.seqlen;
    uint32_t kept = 0;
    lcv_cpu_worker informed = *worker;
    lcv_cpu_lines lines[LCV_CPU_MOST_AHEAD];
    informed.work.ahead = lines;
    for (int64_t k = 0; k < panel->width; k++) {
        real *row = z + k * p->g_len;
        lcv_cpu_row x = row_x(p, call, panel, k, worker);
        look_ahead(p, call, panel, k, lines);
        lcv_cpu_sink sink = sink_z(p, call, panel->c + k, &x);
        sink.out = row;
        sink.tail = p->geometry.out_len > seqlen ? row + seqlen : NULL;
        char *own_keep = place_to_keep(&keep, k);
        if (p->engine == NULL)
            memset(row, 0, (size_t)p->geometry.out_len * sizeof(real)); /* no samples: the state is all */
        else if (TYPED(lcv_cpu_convolve)(p, &panel->filters[k], &x, &sink, own_keep, &informed) &&
                 own_keep != NULL)
            kept |= UINT32_C(1) << k;
        if (p->circular)
            kernels_of(p)->add(row + seqlen, p->geometry.out_len - seqlen, row);
    }
    add_state(p, call, panel, z);
    return kept;
}

/* ---- What forward leaves for backward ---- */

static char *saved_row(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                       int64_t k)
{
    char *rows =
        (char *)(((uintptr_t)call->saved + LCV_CPU_ALIGNMENT - 1) & ~(uintptr_t)(LCV_CPU_ALIGNMENT - 1));
    return rows + (size_t)(panel->b * p->params.channels + panel->c + k) * p->saved_stride;
}

static keeper saved_keeper(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel)
{
    if (call->saved == NULL || p->saved_keep_bytes == 0)
        return (keeper){NULL, 0};
    return (keeper){saved_row(p, call, panel, 0) + LCV_CPU_ALIGNMENT, p->saved_stride};
}

/* NULL where there is none. */
static real *saved_z(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel, int64_t k)
{
    if (call->saved == NULL || p->saved_z_bytes == 0)
        return NULL;
    return (real *)(void *)(saved_row(p, call, panel, k) + LCV_CPU_ALIGNMENT + p->saved_keep_bytes);
}

static void save_flags(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                       uint32_t kept)
{
    for (int64_t k = 0; call->saved != NULL && k < panel->width; k++)
        *saved_row(p, call, panel, k) = (char)(kept >> k & 1);
}

static uint32_t saved_flags(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel)
{
    uint32_t kept = 0;
    for (int64_t k = 0; p->saved_keep_bytes > 0 && k < panel->width; k++)
        if (*saved_row(p, call, panel, k) == 1)
            kept |= UINT32_C(1) << k;
    return kept;
}

/* Copies z between a panel's rows and what is saved. */
static void save_z(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                   const real *z)
{
    for (int64_t k = 0; saved_z(p, call, panel, k) != NULL && k < panel->width; k++)
        memcpy(saved_z(p, call, panel, k), z + k * p->g_len, (size_t)p->params.seqlen * sizeof(real));
}

static void restore_z(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel, real *z)
{
    for (int64_t k = 0; k < panel->width; k++)
        memcpy(z + k * p->g_len, saved_z(p, call, panel, k), (size_t)p->params.seqlen * sizeof(real));
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
    for (int64_t t = 0; t < seqlen; t += tile_len(panel->width)) {
        const stretch at = stretch_at(t, seqlen, panel->width);
        for (int64_t row = 0; row < panel->width; row++)
            k->activate(p->params.activation, at.count, z + row * p->g_len + t);
        multiply_by(k, &post_gate, at, z + t, p->g_len);
        store_tile(k, &y, at, z + t, p->g_len);
    }
}

static void store_state_out(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                            const real *z)
{
    const sheet state = compute_sheet(p, &call->state_out, panel);
    for (int64_t t = 0; state.data != NULL && t < p->state_len; t += tile_len(panel->width))
        store_tile(kernels_of(p), &state, stretch_at(t, p->state_len, panel->width), z + p->params.seqlen + t,
                   p->g_len);
}

static void forward(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                    const lcv_cpu_worker *worker)
{
    const sheet y = data_sheet(p, &call->y, panel), post_gate = data_sheet(p, &call->post_gate, panel);
    const keeper keep = saved_keeper(p, call, panel);
    const bool x_gathered = !is_x_plain(p, call, panel);
    real *z = x_gathered && p->g_len == p->x_len ? gathered_x(p, worker) : gathered_g(p, worker);
    uint32_t kept = 0;
    lcv_cpu_lines lines[LCV_CPU_MOST_AHEAD];
    lcv_cpu_worker informed = *worker;
    informed.work.ahead = lines;
    if (x_gathered)
        gather_x(p, call, panel, gathered_x(p, worker));
    if (!is_fused(p, &y, &post_gate)) {
        kept = compute_z(p, call, panel, z, keep, worker);
        save_z(p, call, panel, z);
        store_state_out(p, call, panel, z);
        store_y(p, call, panel, z);
    }
    for (int64_t k = 0; is_fused(p, &y, &post_gate) && k < panel->width; k++) {
        lcv_cpu_row x = row_x(p, call, panel, k, worker);
        lcv_cpu_sink sink = sink_z(p, call, panel->c + k, &x);
        char *own_keep = place_to_keep(&keep, k);
        sink.out = plain_row(&y, k);
        sink.gate = plain_row(&post_gate, k);
        sink.form = form_of(&y);
        sink.out2 = saved_z(p, call, panel, k);
        look_ahead(p, call, panel, k, lines);
        if (TYPED(lcv_cpu_convolve)(p, &panel->filters[k], &x, &sink, own_keep, &informed) &&
            own_keep != NULL)
            kept |= UINT32_C(1) << k;
    }
    save_flags(p, call, panel, kept);
}

/* ---- Backward ---- */

/* dz of one tile, from dy and (where anyone needs it, else NULL) z, with which it writes dpost_gate. */
static void tile_dz(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel, stretch at,
                    const real *z, real *dz)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    const sheet dy = data_sheet(p, &call->dy, panel), post_gate = data_sheet(p, &call->post_gate, panel);
    const int64_t count = panel->width * at.count;
    load(k, &dy, at, dz, at.count);
    if (z != NULL && lcv_cpu_wants(p, LCV_GRAD_POST_GATE)) {
        const sheet dpost_gate = data_sheet(p, &call->dpost_gate, panel);
        real tile[TILE];
        memcpy(tile, z, (size_t)count * sizeof(real));
        k->activate(p->params.activation, count, tile);
        k->multiply(tile, dz, count, tile);
        store(k, &dpost_gate, at, tile, at.count, lcv_cpu_adds(p, LCV_GRAD_POST_GATE));
    }
    multiply_by(k, &post_gate, at, dz, at.count);
    k->slope(p->params.activation, count, z, dz);
}

/* {sum dz x, sum dz} of each row of one tile */
static void tile_sums(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                      stretch at, const real *dz, double (*sums)[2], const lcv_cpu_worker *worker)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    real loaded[TILE], gated[TILE];
    for (int64_t row = 0; row < panel->width; row++, dz += at.count) {
        if (lcv_cpu_wants(p, LCV_GRAD_BIAS))
            k->dot(dz, NULL, at.count, &sums[row][1]);
        if (!lcv_cpu_sums_skip(p))
            continue;
        const lcv_cpu_row in = row_x(p, call, panel, row, worker);
        const real *x = as_reals(k, in.x, in.form, at.from, at.count, loaded);
        if (in.gate != NULL) {
            k->multiply(x, as_reals(k, in.gate, in.form, at.from, at.count, gated), at.count, gated);
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
    for (int64_t t = 0; dstate_in.data != NULL && t < p->state_len; t += tile_len(panel->width)) {
        const stretch at = stretch_at(t, p->state_len, panel->width);
        take_tile(g, p->g_len, panel->width, at, tile);
        store(kernels_of(p), &dstate_in, at, tile, at.count, lcv_cpu_adds(p, LCV_GRAD_STATE));
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
    for (int64_t t = 0; t < seqlen; t += tile_len(panel->width)) {
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
                                 keeper keep, const lcv_cpu_worker *worker)
{
    const sheet dy = data_sheet(p, &call->dy, panel), dpost_gate = data_sheet(p, &call->dpost_gate, panel);
    uint32_t kept = 0;
    lcv_cpu_lines lines[LCV_CPU_MOST_AHEAD];
    lcv_cpu_worker informed = *worker;
    informed.work.ahead = lines;
    for (int64_t k = 0; k < panel->width; k++) {
        lcv_cpu_row x = row_x(p, call, panel, k, worker);
        lcv_cpu_sink sink = sink_z(p, call, panel->c + k, &x);
        char *own_keep = place_to_keep(&keep, k);
        sink.out = plain_row(&dpost_gate, k);
        sink.gate = plain_row(&dy, k);
        sink.form = form_of(&dy);
        look_ahead_of_z(p, call, panel, k, lines);
        if (TYPED(lcv_cpu_convolve)(p, &panel->filters[k], &x, &sink, own_keep, &informed) &&
            own_keep != NULL)
            kept |= UINT32_C(1) << k;
    }
    return kept;
}

/* May dpost_gate = dy * z be written when dy is read for the transform? */
static bool is_product_asked(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                             bool passes_z, bool g_gathered)
{
    const sheet dy = data_sheet(p, &call->dy, panel);
    return passes_z && !g_gathered && form_of(&dy) == LCV_CPU_REALS && call->saved != NULL &&
           p->info.multiplies && (lcv_cpu_wants_dx(p) || lcv_cpu_wants_taps(p));
}

static void multiply_saved_z(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel)
{
    const TYPED(lcv_cpu_kernels) *kernels = kernels_of(p);
    const sheet dy = data_sheet(p, &call->dy, panel), dpost_gate = data_sheet(p, &call->dpost_gate, panel);
    const lcv_cpu_form form = form_of(&dy);
    real tile[TILE];
    for (int64_t k = 0; k < panel->width; k++)
        for (int64_t t = 0; t < p->params.seqlen; t += tile_len(1)) {
            const int64_t count = stretch_at(t, p->params.seqlen, 1).count;
            void *to = plain_row(&dpost_gate, k);
            kernels->multiply(saved_z(p, call, panel, k) + t,
                              as_reals(kernels, plain_row(&dy, k), form, t, count, tile), count,
                              place_for_reals(to, form, t, tile));
            put_reals(kernels, to, form, t, count, tile);
        }
}

/* z, where it is needed, into the rows g or straight to dpost_gate. Returns which rows were kept. */
static uint32_t provide_z(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                          bool passes_z, bool asked, real *g, keeper keep, const lcv_cpu_worker *worker)
{
    if (!lcv_cpu_needs_z(&p->params))
        return call->saved != NULL ? saved_flags(p, call, panel) : 0;
    if (call->saved == NULL)
        return passes_z ? write_dpost_gate(p, call, panel, keep, worker)
                        : compute_z(p, call, panel, g, keep, worker);
    if (passes_z && !asked)
        multiply_saved_z(p, call, panel);
    else if (!passes_z)
        restore_z(p, call, panel, g);
    return saved_flags(p, call, panel);
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
                          .gate2 = plain_row(&u, k),
                          .form = form_of(&du),
                          .form2 = form_of(&dpre_gate)};
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
    for (int64_t t = 0; t < p->params.seqlen; t += tile_len(panel->width)) {
        const stretch at = stretch_at(t, p->params.seqlen, panel->width);
        for (int i = 0; i < 2; i++) {
            if (outputs[i].to.data == NULL)
                continue;
            take_tile(dx, p->g_len, panel->width, at, tile);
            multiply_by(k, &outputs[i].factor, at, tile, at.count);
            store(k, &outputs[i].to, at, tile, at.count, lcv_cpu_adds(p, outputs[i].grad));
        }
    }
}

/* The linear part of backward: rows of g (where they lie, or gathered) to dx and the filters' gradients. Bit
 * k of `kept`: row k's transform was kept. */
static void convolve_back(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                          bool asked, bool g_gathered, bool dx_gathered, keeper keep, uint32_t kept,
                          const lcv_cpu_worker *worker)
{
    const sheet dy = data_sheet(p, &call->dy, panel), post_gate = data_sheet(p, &call->post_gate, panel);
    const int64_t seqlen = p->params.seqlen;
    lcv_cpu_lines lines[LCV_CPU_MOST_AHEAD];
    lcv_cpu_worker informed = *worker;
    informed.work.ahead = lines;
    for (int64_t k = 0; k < panel->width; k++) {
        real *gathered = gathered_g(p, worker) + k * p->g_len;
        lcv_cpu_row g = {.x = plain_row(&dy, k), .gate = plain_row(&post_gate, k), .form = form_of(&dy)};
        lcv_cpu_row x = {.x = NULL};
        lcv_cpu_sink dx = {.out = gathered};
        if (g_gathered)
            g = (lcv_cpu_row){.x = gathered, .tail = p->geometry.out_len > seqlen ? gathered + seqlen : NULL};
        if (asked) {
            const sheet dpost_gate = data_sheet(p, &call->dpost_gate, panel);
            g.factor = saved_z(p, call, panel, k);
            g.product = plain_row(&dpost_gate, k);
        }
        if (!dx_gathered)
            dx = sink_dx(p, call, panel, k);
        if (call->skip.data != NULL) {
            dx.skip = scalar_of(p, &call->skip, panel->c + k);
            dx.x = g.x;
            dx.x_gate = g.gate;
            dx.x_form = g.form;
        }
        if (panel->grads[k] != NULL)
            x = row_x(p, call, panel, k, worker);
        informed.ends = panel->ends && (k == panel->width - 1 || panel->grads[k + 1] != panel->grads[k]);
        look_ahead_back(p, call, panel, k, lines);
        TYPED(lcv_cpu_convolve_back)
        (p, &panel->filters[k], &g, lcv_cpu_wants_dx(p) ? &dx : NULL, &x,
         (kept >> k & 1) != 0 ? place_to_keep(&keep, k) : NULL, panel->grads[k], &informed);
    }
}

static void backward(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                     double (*sums)[2], const lcv_cpu_worker *worker)
{
    const bool wants_z = lcv_cpu_needs_z(&p->params), wants_dx = lcv_cpu_wants_dx(p);
    const bool passes_z = wants_z && is_dpost_gate_plain(p, call, panel), needs_z = wants_z && !passes_z;
    const bool needs_x = wants_z || lcv_cpu_wants_taps(p) || lcv_cpu_sums_skip(p);
    const bool dx_gathered = wants_dx && !is_dx_plain(p, call, panel);
    const bool g_gathered = dx_gathered || needs_z || !is_g_plain(p, call, panel);
    real *g = gathered_g(p, worker);
    keeper keep = saved_keeper(p, call, panel);
    if (call->saved == NULL && wants_z && lcv_cpu_wants_taps(p))
        keep = (keeper){worker->memory + p->worker.keep, p->keep_stride};
    if (needs_x && !is_x_plain(p, call, panel))
        gather_x(p, call, panel, gathered_x(p, worker));
    const bool asked = is_product_asked(p, call, panel, passes_z, g_gathered);
    const uint32_t kept = provide_z(p, call, panel, passes_z, asked, g, keep, worker);
    if (g_gathered || lcv_cpu_sums_rows(p))
        pass_dz(p, call, panel, needs_z, g_gathered ? g : NULL, sums, worker);
    if (g_gathered) {
        complete_g(p, call, panel, g);
        store_dstate_in(p, call, panel, g);
    }
    if (p->engine != NULL && (wants_dx || lcv_cpu_wants_taps(p)))
        convolve_back(p, call, panel, asked, g_gathered, dx_gathered, keep, kept, worker);
    if (dx_gathered)
        store_dx(p, call, panel, g);
}

/* ---- Sums over the batch ---- */

static void reduce(const lcv_cpu_plan *p, const lcv_conv_call *call, const double *sums)
{
    const TYPED(lcv_cpu_kernels) *k = kernels_of(p);
    const sheet none = {.data = NULL};
    const sheet to[2] = {lcv_cpu_sums_skip(p) ? sheet_of(&call->dskip, p->compute, 0, 0, 1) : none,
                         sheet_of(&call->dbias, p->compute, 0, 0, 1)};
    const bool accumulate[2] = {lcv_cpu_adds(p, LCV_GRAD_SKIP), lcv_cpu_adds(p, LCV_GRAD_BIAS)};
    for (int64_t c = 0; c < p->params.channels; c++) {
        for (int which = 0; which < 2; which++) {
            double total = 0.0;
            for (int64_t b = 0; b < p->params.batch; b++)
                total += sums[2 * (b * p->params.channels + c) + which];
            real value = (real)total;
            if (to[which].data != NULL)
                store(k, &to[which], (stretch){c, 1}, &value, 1, accumulate[which]);
        }
    }
}

const lcv_cpu_rows TYPED(lcv_cpu_rows) = {
    .choose_kernels = choose_kernels,
    .prepare = TYPED(lcv_cpu_prepare_taps),
    .finish = TYPED(lcv_cpu_finish_taps),
    .forward = forward,
    .backward = backward,
    .beside = &TYPED(lcv_cpu_beside),
    .transforms = &TYPED(lcv_cpu_transforms),
    .add_grad = TYPED(lcv_cpu_add_tap_grads),
    .lean_prepare = TYPED(lcv_cpu_lean_prepare),
    .lean_forward = TYPED(lcv_cpu_lean_forward),
    .reduce = reduce,
};
