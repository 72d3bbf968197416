/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams on the CPU: prepared filters, their memory, and threads for large tiles. */
#include "cpu_stream.h"
#include "cpu_conv.h"
#include "integers.h"

#include <stdio.h>
#include <string.h>

/* ---- Sizes ---- */

static int64_t count_filters(const lcv_stream_params *p)
{
    switch (p->filter_form) {
    case LCV_FILTER_SHARED:
        return 1;
    case LCV_FILTER_GROUPED:
        return p->filter_groups;
    case LCV_FILTER_PER_SAMPLE:
        return p->batch * p->channels;
    case LCV_FILTER_PER_CHANNEL:
        break;
    }
    return p->channels;
}

int64_t lcv_cpu_stream_filter(const lcv_cpu_stream *s, int64_t row)
{
    switch (s->params.filter_form) {
    case LCV_FILTER_SHARED:
        return 0;
    case LCV_FILTER_GROUPED:
        return row % s->params.channels / (s->params.channels / s->params.filter_groups);
    case LCV_FILTER_PER_SAMPLE:
        return row;
    case LCV_FILTER_PER_CHANNEL:
        break;
    }
    return row % s->params.channels;
}

static bool is_modal(const lcv_cpu_stream *s)
{
    return s->params.mode == LCV_STREAM_MODAL;
}

/* Adds count * each bytes, rounded up; returns where they begin. */
static size_t take(size_t *used, bool *fits, int64_t count, size_t each)
{
    const size_t start = *used;
    size_t bytes;
    if (__builtin_mul_overflow((size_t)count, each, &bytes) || bytes > PTRDIFF_MAX / 4 ||
        __builtin_add_overflow(*used, lcv_cpu_round_up(bytes), used) || *used > PTRDIFF_MAX / 2)
        *fits = false;
    return start;
}

/* Where everything lies; pointers are offsets from NULL until memory is there. */
static bool lay_out(lcv_cpu_stream *s, char *memory)
{
    const bool modal = is_modal(s);
    const int64_t modal_numbers = modal ? 2 * s->params.order * s->rows : 0;
    size_t used = 0;
    bool fits = true;
    const size_t near = take(&used, &fits, modal ? 0 : s->rows * LCV_STREAM_BLOCK, s->real_size);
    const size_t spectra = take(&used, &fits, s->filters, s->spectrum_bytes);
    const size_t reversed =
        take(&used, &fits, s->params.mode == LCV_STREAM_DIRECT ? s->filters * s->params.filter_len : 0,
             s->real_size);
    const bool has_skip = (s->params.terms & LCV_TERM_SKIP) != 0,
               has_bias = (s->params.terms & LCV_TERM_BIAS) != 0;
    const size_t skip = take(&used, &fits, has_skip ? s->rows : 0, s->real_size);
    const size_t bias = take(&used, &fits, has_bias ? s->rows : 0, s->real_size);
    const size_t poles = take(&used, &fits, modal_numbers, sizeof(double));
    const size_t residues = take(&used, &fits, modal_numbers, sizeof(double));
    s->bytes = used;
    if (memory == NULL || !fits)
        return fits;
    s->memory = memory;
    s->near_taps = memory + near;
    s->spectra = memory + spectra;
    s->reversed = memory + reversed;
    s->skip = has_skip ? memory + skip : NULL;
    s->bias = has_bias ? memory + bias : NULL;
    s->poles = (double *)(void *)(memory + poles);
    s->residues = (double *)(void *)(memory + residues);
    return true;
}

static lcv_status choose(const lcv_backend_host *host, const lcv_stream_params *params,
                         const lcv_stream_tiles *wanted, lcv_cpu_stream *s)
{
    *s = (lcv_cpu_stream){.host = host, .params = *params, .compute = lcv_dtype_compute(params->dtype)};
    const bool is_double = s->compute == LCV_F64;
    s->real_size = lcv_dtype_size(s->compute);
    s->code = is_double ? &lcv_cpu_stream_rows_f64 : &lcv_cpu_stream_rows_f32;
    s->kernels = s->code->choose_kernels(host->cpu_mask);
    s->near = s->code->choose_near(host->cpu_mask);
    s->rows = params->batch * params->channels;
    s->groups = (s->rows + LCV_STREAM_GROUP - 1) / LCV_STREAM_GROUP;
    s->filters = count_filters(params);
    s->threads = params->num_threads > 0 ? params->num_threads : host->num_threads;
    const lcv_status status = lcv_cpu_tiles_choose(host, LCV_CPU_TILE_MIDDLE, is_double, params->filter_len,
                                                   is_modal(s) ? 0 : wanted->largest, &s->tiles);
    if (status != LCV_OK)
        return status;
    s->distances = wanted->distances;
    if (s->tiles.count > 0)
        s->distant_bytes = lcv_cpu_round_up(s->tiles.level[s->tiles.count - 1].info.spectrum_bytes);
    s->spectrum_bytes = s->tiles.spectrum_bytes + (size_t)(s->distances - 1) * s->distant_bytes;
    s->row_bytes = lcv_cpu_round_up((size_t)s->rows * s->real_size);
    s->tile_bytes = s->tiles.scratch_bytes + 2 * lcv_cpu_round_up((size_t)wanted->largest * s->real_size);
    if (!lay_out(s, NULL) || s->tile_bytes > (size_t)PTRDIFF_MAX / 2 / (size_t)s->threads)
        return host->fail(host, LCV_TOO_LARGE, "stream: its size overflows");
    return LCV_OK;
}

/* The scratch of preparing: a filter's taps beside an engine's. Also enough for a token and for tiles. */
static size_t scratch_bytes(const lcv_cpu_stream *s)
{
    const size_t tiles = (size_t)s->threads * s->tile_bytes, token = 3 * s->row_bytes;
    return (tiles > token ? tiles : token) + LCV_CPU_ALIGNMENT;
}

static size_t window_bytes(const lcv_cpu_stream *s)
{
    if (is_modal(s))
        return (size_t)(2 * s->params.order * s->rows) * sizeof(double);
    return (size_t)(s->rows * LCV_STREAM_BLOCK) * s->real_size + (size_t)(s->rows + 1) * sizeof(int64_t);
}

lcv_status lcv_cpu_stream_query(void *device, const lcv_stream_params *params, const lcv_stream_tiles *wanted,
                                lcv_backend_stream_info *info)
{
    lcv_cpu_stream s;
    const lcv_status status = choose(((const lcv_cpu_device *)device)->host, params, wanted, &s);
    if (status != LCV_OK)
        return status;
    info->window_bytes = window_bytes(&s);
    info->shared_bytes = s.bytes;
    info->scratch_bytes = scratch_bytes(&s);
    if (is_modal(&s))
        snprintf(info->explanation, sizeof info->explanation, "%lld exponentials for each of %lld filters",
                 (long long)params->order, (long long)s.filters);
    else if (s.tiles.count == 0)
        snprintf(info->explanation, sizeof info->explanation, "sums over the taps");
    else
        snprintf(info->explanation, sizeof info->explanation,
                 "sums within blocks of %d samples, tiles of %d to %lld samples, the largest by engine %s",
                 (int)LCV_STREAM_BLOCK, (int)LCV_STREAM_BLOCK, (long long)wanted->largest,
                 s.tiles.level[s.tiles.count - 1].engine->name);
    return LCV_OK;
}

/* ---- Life ---- */

/* Transforms the filters with scratch of its own, which only creation needs. */
static lcv_status prepare(lcv_cpu_stream *s, const lcv_stream_setup *setup)
{
    const lcv_backend_host *host = s->host;
    const int64_t distant = s->tiles.count > 0 ? s->tiles.level[s->tiles.count - 1].geometry.taps : 0;
    const size_t bytes = s->tiles.scratch_bytes + lcv_cpu_round_up((size_t)distant * s->real_size) +
                         lcv_cpu_round_up((size_t)s->params.filter_len * s->real_size);
    char *scratch = host->allocate(host, bytes, LCV_CPU_ALIGNMENT);
    if (scratch == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "stream: no memory for %zu bytes", bytes);
    s->code->prepare(s, setup, scratch);
    host->release(host, scratch, bytes);
    return LCV_OK;
}

lcv_status lcv_cpu_stream_create(void *device, const lcv_stream_params *params,
                                 const lcv_stream_tiles *wanted, const lcv_stream_setup *setup, void **shared)
{
    const lcv_backend_host *host = ((const lcv_cpu_device *)device)->host;
    lcv_cpu_stream *s = host->allocate(host, sizeof *s, _Alignof(lcv_cpu_stream));
    if (s == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "stream: no memory for %zu bytes", sizeof *s);
    lcv_status status = choose(host, params, wanted, s);
    if (status == LCV_OK)
        status = lcv_cpu_tiles_create(&s->tiles);
    if (status == LCV_OK) {
        char *memory = host->allocate(host, s->bytes, LCV_CPU_ALIGNMENT);
        if (memory == NULL)
            status =
                host->fail(host, LCV_OUT_OF_MEMORY, "stream: no memory for %zu bytes of filters", s->bytes);
        else
            lay_out(s, memory);
    }
    if (status == LCV_OK)
        status = prepare(s, setup);
    if (status == LCV_OK)
        *shared = s;
    else
        lcv_cpu_stream_destroy(s);
    return status;
}

void lcv_cpu_stream_destroy(void *shared)
{
    lcv_cpu_stream *s = shared;
    const lcv_backend_host *host = s->host;
    lcv_cpu_tiles_destroy(&s->tiles);
    host->release(host, s->memory, s->bytes);
    host->release(host, s, sizeof *s);
}

/* ---- Entries ---- */

static char *align(void *memory)
{
    return (char *)(((uintptr_t)memory + LCV_CPU_ALIGNMENT - 1) & ~(uintptr_t)(LCV_CPU_ALIGNMENT - 1));
}

lcv_status lcv_cpu_stream_step(void *shared, const lcv_stream_step_call *call)
{
    const lcv_cpu_stream *s = shared;
    s->code->step(s, call, align(call->scratch));
    return LCV_OK;
}

lcv_status lcv_cpu_stream_flush(void *shared, const lcv_stream_block_call *call)
{
    const lcv_cpu_stream *s = shared;
    s->code->flush(s, call);
    return LCV_OK;
}

lcv_status lcv_cpu_stream_fill(void *shared, const lcv_stream_block_call *call)
{
    const lcv_cpu_stream *s = shared;
    s->code->fill(s, call);
    return LCV_OK;
}

lcv_status lcv_cpu_stream_load(void *shared, const lcv_stream_load_call *call)
{
    const lcv_cpu_stream *s = shared;
    s->code->load(s, call);
    return LCV_OK;
}

lcv_status lcv_cpu_stream_dot(void *shared, const lcv_stream_dot_call *call)
{
    const lcv_cpu_stream *s = shared;
    s->code->dot(s, call);
    return LCV_OK;
}

typedef struct {
    const lcv_cpu_stream *s;
    const lcv_stream_tile_call *call;
    int32_t parts;
} tile_job;

static void tile_part(void *arg, int64_t index)
{
    const tile_job *job = arg;
    const lcv_stream_tile_call *call = job->call;
    const int64_t first = call->rows * index / job->parts, last = call->rows * (index + 1) / job->parts;
    const lcv_cpu_stream_part part = {.call = call,
                                      .row = call->row + first,
                                      .rows = last - first,
                                      .scratch = align(call->scratch) + (size_t)index * job->s->tile_bytes};
    job->s->code->tile(job->s, &part);
}

/* Waking a thread costs more than a small tile. */
static int32_t parts_of(const lcv_cpu_stream *s, const lcv_stream_tile_call *call, int32_t threads)
{
    const double least = 50e3; /* nanoseconds for each thread */
    const double all = s->tiles.level[lcv_cpu_tile_level_of(call->size)].info.cost * (double)call->rows;
    const int64_t worth = 1 + (int64_t)(all / least);
    return (int32_t)max64(1, min64(min64(threads, worth), call->rows));
}

lcv_status lcv_cpu_stream_tile(void *shared, const lcv_stream_tile_call *call)
{
    const lcv_cpu_stream *s = shared;
    tile_job job = {.s = s, .call = call};
    const lcv_cpu_team team = lcv_cpu_team_of(&call->exec, s->threads);
    job.parts = parts_of(s, call, s->threads);
    lcv_cpu_team_run(&team, job.parts, tile_part, &job);
    return LCV_OK;
}
