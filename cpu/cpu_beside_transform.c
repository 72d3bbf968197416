/* SPDX-License-Identifier: BSD-3-Clause */
/* Transforms. The design is in cpu_beside.h. Compiled for each type.
 *
 * A slab's rows go through the engine together, a vector of them at a time, block by block where filters are
 * short; a block's results and the slab's spectra stay in the second cache. A row that needs care is set
 * aside, and what is left of it convolved after the others. */
#include "cpu_beside.h"
#include "cpu_contain.h"
#include "cpu_slab.h"

#include <string.h>

enum { SAMPLES = LCV_CPU_BESIDE_SAMPLES, MOST = LCV_CPU_TRANSFORM_MOST / sizeof(float) };

typedef struct {
    slab s; /* v has the linear result of a block; the window its samples, unless they are in place */
    char *filters;
    const lcv_cpu_worker *worker;
    int64_t block, overhang;
    int64_t entries; /* the slab's last batch entry, and one */
    real *carry;     /* what the blocks before add to the next one */
    real *begun;     /* the same of rows when they were set aside */
    real *energy;    /* of each row of a block */
    real *arranged;  /* spectra */
    real *scratch;   /* the engine's */
    double limit[MOST];
    int64_t aside[MOST]; /* from which sample on a row is set aside; seqlen: it is not */
} job;

static lcv_cpu_filter filter_of(const job *j, int64_t k)
{
    const lcv_cpu_plan *p = j->s.p;
    return lcv_cpu_filter_at(p, j->filters, p->filters, lcv_cpu_filter_of(p, j->s.b, j->s.c + k));
}

/* ---- A slab ---- */

/* Those of a vector's rows, from row k on. */
static real *arranged_at(const job *j, int64_t k)
{
    return j->arranged + k * lcv_cpu_spectrum_reals(j->s.p);
}

/* Skip and bias begin as zeros, and all does where a buffer has channels that are not there. */
static job job_of(const lcv_cpu_plan *p, const lcv_conv_call *call, char *filters, const lcv_cpu_part *part,
                  const lcv_cpu_worker *worker)
{
    real *free = (real *)(void *)(worker->memory + p->worker.beside), *const start = free;
    job j = {.filters = filters, .worker = worker};
    j.block = lcv_cpu_transform_block(p);
    j.overhang = lcv_cpu_transform_overhang(p);
    j.entries = part->last;
    j.s = slab_at(p, call, part->c, part->width, SAMPLES);
    j.s.skip = take_samples(&j.s, &free, 1);
    j.s.bias = take_samples(&j.s, &free, 1);
    j.energy = take_samples(&j.s, &free, 1);
    j.carry = take_samples(&j.s, &free, j.overhang);
    j.begun = take_samples(&j.s, &free, j.overhang);
    j.s.spare = take_samples(&j.s, &free, SAMPLES);
    j.s.window = take_samples(&j.s, &free, j.block);
    j.s.v = take_samples(&j.s, &free, j.block + j.overhang);
    j.arranged = free;
    j.scratch = arranged_at(&j, j.s.pitch);
    memset(start, 0, (size_t)((j.s.width < j.s.pitch ? free : j.energy) - start) * sizeof(real));
    take_scalars(&j.s, &call->skip, j.s.skip);
    take_bias(&j.s);
    return j;
}

static void take_filters(job *j)
{
    const lcv_cpu_plan *p = j->s.p;
    for (int64_t k = 0; k < j->s.width; k += p->lanes) {
        const void *spectra[LCV_CPU_BESIDE_VECTOR / sizeof(float)];
        for (int64_t l = 0; l < p->lanes; l++)
            spectra[l] = filter_of(j, min64(k + l, j->s.width - 1)).spectrum;
        p->engine->arrange_beside(p->engine_self, spectra, arranged_at(j, k));
    }
    for (int64_t k = 0; k < j->s.width; k++) {
        const lcv_cpu_filter_note *note = filter_of(j, k).note;
        j->limit[k] = note->plain != 0 ? TYPED(lcv_cpu_limit_of)(p, note, NULL) : 0.0;
    }
}

/* ---- Rows that need care ---- */

static void set_aside(job *j, int64_t k, int64_t t)
{
    j->aside[k] = t;
    for (int64_t i = 0; i < j->overhang; i++)
        j->begun[i * j->s.pitch + k] = j->carry[i * j->s.pitch + k];
}

/* What is left of row k of an array, in its place in a row of all samples. False where there is no array. */
static bool load_rest(const job *j, const lcv_array *array, int64_t k, real *row)
{
    const sheet in = sheet_for(&j->s, array);
    const int64_t from = j->aside[k], rest = j->s.p->params.seqlen - from;
    if (in.data != NULL)
        j->s.kernels->load(place(&in, k, from), in.dtype, 0, 1, in.stride, rest, row + from);
    return in.data != NULL;
}

static void finish_aside(const job *j, int64_t k)
{
    const lcv_cpu_plan *p = j->s.p;
    const TYPED(lcv_cpu_kernels) *kernels = j->s.kernels;
    const int64_t from = j->aside[k], rest = p->params.seqlen - from;
    real *x = (real *)(void *)(j->worker->memory + p->worker.x);
    real *z = (real *)(void *)(j->worker->memory + p->worker.g);
    const lcv_cpu_filter filter = filter_of(j, k);
    const lcv_cpu_row row = {.x = x};
    const lcv_cpu_begun begun = {.samples = from, .carry = z};
    const sheet y = sheet_for(&j->s, &j->s.call->y);
    lcv_cpu_sink sink = {.out = z, .bias = (double)j->s.bias[k]};
    load_rest(j, &j->s.call->u, k, x);
    if (load_rest(j, &j->s.call->pre_gate, k, z))
        kernels->multiply(x + from, z + from, rest, x + from);
    if (j->s.call->skip.data != NULL) {
        sink.skip = (double)j->s.skip[k];
        sink.x = x;
    }
    for (int64_t i = 0; i < min64(j->overhang, rest); i++)
        z[i] = j->begun[i * j->s.pitch + k];
    TYPED(lcv_cpu_convolve_rest)(p, &filter, &row, &sink, &begun, j->worker);
    kernels->activate(p->params.activation, rest, z + from);
    if (load_rest(j, &j->s.call->post_gate, k, x))
        kernels->multiply(z + from, x + from, rest, z + from);
    kernels->store(place(&y, k, from), y.dtype, 0, 1, y.stride, rest, z + from);
}

/* ---- A block ---- */

static samples look_at(const slab *s, int64_t t, int64_t count)
{
    const sheet u = sheet_for(s, &s->call->u);
    if (is_x_plain(s))
        return (samples){(const real *)(void *)place(&u, 0, t), u.stride};
    read_x(s, t, count, s->window);
    return (samples){s->window, s->pitch};
}

static void transform(job *j, samples x, int64_t count, int64_t out_count)
{
    const lcv_cpu_plan *p = j->s.p;
    for (int64_t k = 0; k < j->s.width; k += p->lanes) {
        const lcv_cpu_lanes rows = {.x = x.first + k,
                                    .x_step = x.step,
                                    .count = count,
                                    .v = j->s.v + k,
                                    .v_step = j->s.pitch,
                                    .out_count = out_count,
                                    .energy = j->energy + k};
        p->engine->forward_beside(p->engine_self, arranged_at(j, k), &rows, j->scratch);
    }
}

/* The inputs that take the place of samples [from, from + count) of the block at t: of the next block, or of
 * the next entry's first one. */
static void fetch_successors(const job *j, int64_t t, int64_t from, int64_t count)
{
    const slab *s = &j->s;
    const int64_t seqlen = s->p->params.seqlen, next = t + j->block;
    const bool is_last = next >= seqlen;
    from = is_last ? from - t : from + j->block;
    if (!is_last || s->b + 1 < j->entries)
        fetch_samples_of(s, &s->call->u, is_last ? s->b + 1 : s->b, from, min64(from + count, seqlen));
}

/* What is needed after samples [from, from + SAMPLES) of the block at t, which ends at `end`. Inputs that are
 * gathered are fetched there. */
static void fetch_ahead(const job *j, int64_t t, int64_t from, int64_t end)
{
    const slab *s = &j->s;
    const int64_t next = min64(from + SAMPLES, end), next_end = min64(next + SAMPLES, end);
    fetch_samples(s, &s->call->post_gate, next, next_end);
    fetch_outputs(s, &s->call->y, next, next_end);
    if (is_x_plain(s))
        fetch_successors(j, t, from, SAMPLES);
}

static void complete(const job *j, samples x, int64_t t, int64_t count)
{
    const slab *s = &j->s;
    for (int64_t i = 0; i < count; i += SAMPLES) {
        const int64_t some = min64(SAMPLES, count - i);
        real *v = s->v + i * s->pitch;
        fetch_ahead(j, t, t + i, t + count);
        add_terms(s, x.first + i * x.step, x.step, some, v);
        s->kernels->activate(s->p->params.activation, some * s->pitch, v);
        store_product(s, v, &s->call->post_gate, &s->call->y, t + i, some);
    }
}

static void forward_block(job *j, int64_t t)
{
    const slab *s = &j->s;
    const int64_t count = min64(j->block, s->p->params.seqlen - t);
    const bool is_last = t + count == s->p->params.seqlen;
    const samples x = look_at(s, t, count);
    transform(j, x, count, is_last ? count : count + j->overhang);
    for (int64_t k = 0; k < s->width; k++)
        if (j->aside[k] > t && !((double)j->energy[k] < j->limit[k]))
            set_aside(j, k, t);
    s->kernels->add(j->carry, min64(j->overhang, count) * s->pitch, s->v);
    if (!is_last)
        memcpy(j->carry, s->v + count * s->pitch, (size_t)(j->overhang * s->pitch) * sizeof(real));
    complete(j, x, t, count);
}

static void forward_entry(job *j)
{
    const int64_t seqlen = j->s.p->params.seqlen;
    memset(j->carry, 0, (size_t)(j->overhang * j->s.pitch) * sizeof(real));
    for (int64_t k = 0; k < j->s.width; k++)
        j->aside[k] = seqlen;
    for (int64_t t = 0; t < seqlen; t += j->block)
        forward_block(j, t);
    for (int64_t k = 0; k < j->s.width; k++)
        if (j->aside[k] < seqlen)
            finish_aside(j, k);
}

static void forward(const lcv_cpu_plan *p, const lcv_conv_call *call, char *filters, const lcv_cpu_part *part,
                    const lcv_cpu_worker *worker)
{
    job j = job_of(p, call, filters, part, worker);
    for (j.s.b = part->first; j.s.b < part->last; j.s.b++) {
        if (j.s.b == part->first || p->params.filter_form == LCV_FILTER_PER_SAMPLE)
            take_filters(&j);
        forward_entry(&j);
    }
}

/* Rows that need care are read again after outputs were written. */
static bool goes(const lcv_cpu_plan *p, const lcv_conv_call *call, char *filters)
{
    (void)filters;
    return p->lanes > 0 && call->y.data != call->u.data && call_lies_beside(call);
}

const lcv_cpu_beside TYPED(lcv_cpu_transforms) = {.goes = goes, .forward = forward};
