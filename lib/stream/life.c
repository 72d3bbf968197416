/* SPDX-License-Identifier: BSD-3-Clause */
/* Creation, description and end of streams. */
#include "stream.h"

#include "../check.h"
#include "../ops/conv.h"
#include "crc.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

/* ---- What streams share ---- */

static size_t phases_bytes(const lcvi_stream_core *core)
{
    return (size_t)core->tracks * sizeof(int64_t);
}

static void release_core(lcvi_stream_core *core)
{
    if (atomic_fetch_sub(&core->references, 1) != 1)
        return;
    lcv_context *context = core->context;
    lcvi_prompt_release(core, atomic_load(&core->prompt));
    if (core->prepared != NULL)
        lcvi_stream_table(core)->stream_destroy(core->prepared);
    lcvi_free(context, core->phase, phases_bytes(core));
    lcvi_free(context, core->taps, core->taps_bytes);
    lcvi_free(context, core, sizeof *core);
    lcvi_context_release(context);
}

/* ---- Tensors of the filter ---- */

static lcvi_expect expect_taps(const lcvi_stream_core *core, lcvi_presence presence)
{
    const lcv_stream_params *p = &core->params;
    lcvi_expect e = {.name = "filter", .presence = presence, .dtype = lcv_dtype_compute(p->dtype)};
    if (p->filter_form == LCV_FILTER_PER_SAMPLE) {
        e.rank = 3;
        e.axes = "batch, channels, filter_len";
        memcpy(e.shape, (int64_t[]){p->batch, p->channels, p->filter_len}, sizeof e.shape);
        memcpy(e.axis, (int32_t[]){0, 1, 2}, sizeof e.axis);
    } else {
        e.rank = 2;
        e.axes = "filters, filter_len";
        memcpy(e.shape, (int64_t[]){core->filters, p->filter_len, 0}, sizeof e.shape);
        memcpy(e.axis, (int32_t[]){1, 2, 0}, sizeof e.axis);
    }
    return e;
}

static lcvi_expect expect_vector(const lcvi_stream_core *core, const char *name, uint32_t term)
{
    return (lcvi_expect){.name = name,
                         .presence = (core->params.terms & term) != 0 ? LCVI_REQUIRED : LCVI_ABSENT,
                         .dtype = lcv_dtype_compute(core->params.dtype),
                         .rank = 1,
                         .shape = {core->params.channels},
                         .axis = {2},
                         .axes = "channels"};
}

static lcvi_expect expect_pairs(const lcvi_stream_core *core, const char *name, lcvi_presence presence)
{
    return (lcvi_expect){.name = name,
                         .presence = presence,
                         .dtype = LCV_F64,
                         .rank = 2,
                         .shape = {core->filters, 2 * core->params.order},
                         .axis = {1, 2},
                         .axes = "filters, 2 order"};
}

static lcv_status bind(const lcvi_stream_core *core, const lcv_stream_filter *f, lcv_stream_setup *setup)
{
    const bool has_poles = f->poles.rank != 0 || f->residues.rank != 0;
    const lcvi_presence pairs = !lcvi_stream_is_modal(core) ? LCVI_ABSENT
                                : has_poles                 ? LCVI_REQUIRED
                                                            : LCVI_OPTIONAL;
    lcvi_checker checker = {.context = core->context, .device = core->params.device};
    const struct {
        lcvi_expect expect;
        const lcv_tensor *tensor;
        lcv_array *array;
    } rows[] = {
        {expect_taps(core, has_poles ? LCVI_ABSENT : LCVI_REQUIRED), &f->filter, &setup->filter},
        {expect_vector(core, "skip", LCV_TERM_SKIP), &f->skip, &setup->skip},
        {expect_vector(core, "bias", LCV_TERM_BIAS), &f->bias, &setup->bias},
        {expect_pairs(core, "poles", pairs), &f->poles, &setup->poles},
        {expect_pairs(core, "residues", pairs), &f->residues, &setup->residues},
    };
    lcv_status status = LCV_OK;
    for (size_t i = 0; status == LCV_OK && i < sizeof rows / sizeof rows[0]; i++)
        status = lcvi_check(&checker, &rows[i].expect, rows[i].tensor, rows[i].array);
    return status;
}

/* ---- Compact copies ---- */

/* Copies an array of up to three axes row by row; returns the end of the copy. */
static char *copy_array(const lcv_array *array, const int64_t extent[3], size_t size, char *to)
{
    if (array->data == NULL)
        return to;
    for (int64_t i = 0; i < extent[0]; i++)
        for (int64_t j = 0; j < extent[1]; j++)
            for (int64_t k = 0; k < extent[2]; k++, to += size)
                memcpy(to,
                       (const char *)array->data +
                           (i * array->stride[0] + j * array->stride[1] + k * array->stride[2]) *
                               (int64_t)size,
                       size);
    return to;
}

/* The layout is: taps (none in modal mode), skip, bias. Absent ones take no room. */
static size_t copies_bytes(const lcvi_stream_core *core)
{
    const lcv_stream_params *p = &core->params;
    const int64_t taps = lcvi_stream_is_modal(core) ? 0 : core->filters * p->filter_len;
    return ((size_t)taps + 2 * (size_t)p->channels) * core->real_size;
}

static lcv_status keep_copies(lcvi_stream_core *core, const lcv_stream_setup *setup)
{
    const lcv_stream_params *p = &core->params;
    const bool per_sample = p->filter_form == LCV_FILTER_PER_SAMPLE;
    const int64_t taps[3] = {per_sample ? p->batch : 1, per_sample ? p->channels : core->filters,
                             p->filter_len};
    const int64_t vector[3] = {1, 1, p->channels};
    const size_t size = core->real_size;
    core->taps_bytes = copies_bytes(core);
    core->taps = lcvi_alloc(core->context, core->taps_bytes, ALIGNMENT);
    if (core->taps == NULL)
        return lcvi_fail(core->context, LCV_OUT_OF_MEMORY, "stream: no memory for %zu bytes of taps",
                         core->taps_bytes);
    memset(core->taps, 0, core->taps_bytes);
    char *end = lcvi_stream_is_modal(core) ? core->taps : copy_array(&setup->filter, taps, size, core->taps);
    end = copy_array(&setup->skip, vector, size, end);
    copy_array(&setup->bias, vector, size, end);
    core->filter_crc = lcvi_crc32(0, core->taps, core->taps_bytes);
    return LCV_OK;
}

/* ---- Exponentials ---- */

static double number_at(const lcv_array *array, int64_t f, int64_t i)
{
    double value;
    memcpy(&value, (const double *)array->data + f * array->stride[1] + i * array->stride[2], sizeof value);
    return value;
}

static lcv_status check_poles(lcvi_stream_core *core, const lcv_array *poles, const lcv_array *residues)
{
    for (int64_t f = 0; f < core->filters; f++)
        for (int64_t i = 0; i < core->params.order; i++) {
            const double re = number_at(poles, f, 2 * i), im = number_at(poles, f, 2 * i + 1);
            double pair[4] = {re, im, number_at(residues, f, 2 * i), number_at(residues, f, 2 * i + 1)};
            if (!(re * re + im * im < 1.0))
                return lcvi_fail(
                    core->context, LCV_INVALID_ARG,
                    "poles: expected less than 1 in size, given %g + %gi (filter %lld, pole %lld)", re, im,
                    (long long)f, (long long)i);
            core->filter_crc = lcvi_crc32(core->filter_crc, pair, sizeof pair);
        }
    return LCV_OK;
}

/* Filter f as doubles. */
static void load_filter(const lcvi_stream_core *core, const lcv_array *array, int64_t f, double *to)
{
    const bool per_sample = core->params.filter_form == LCV_FILTER_PER_SAMPLE;
    const int64_t b = per_sample ? f / core->params.channels : 0,
                  c = per_sample ? f % core->params.channels : f;
    for (int64_t j = 0; j < core->params.filter_len; j++) {
        const char *tap =
            (const char *)array->data +
            (b * array->stride[0] + c * array->stride[1] + j * array->stride[2]) * (int64_t)core->real_size;
        float narrow;
        if (core->real_size == sizeof(double)) {
            memcpy(&to[j], tap, sizeof(double));
        } else {
            memcpy(&narrow, tap, sizeof narrow);
            to[j] = (double)narrow;
        }
    }
}

/* Fits every filter; the arrays of pairs lie in memory that the caller frees. */
static lcv_status fit_all(lcvi_stream_core *core, const lcv_array *taps, double *poles, double *residues,
                          double *work)
{
    const int64_t count = core->params.filter_len, order = core->params.order;
    const int64_t lags = core->params.max_len > 0 ? core->params.max_len : INT64_MAX;
    double *filter = work + lcvi_fit_numbers(count, order);
    for (int64_t f = 0; f < core->filters; f++) {
        load_filter(core, taps, f, filter);
        core->filter_crc = lcvi_crc32(core->filter_crc, filter, (size_t)count * sizeof *filter);
        const double error =
            lcvi_fit(filter, count, lags, order, poles + f * 2 * order, residues + f * 2 * order, work);
        if (!(error <= core->fit_error))
            core->fit_error = error;
        if (!(error <= core->params.tolerance))
            return lcvi_fail(
                core->context, LCV_UNSUPPORTED,
                "tolerance: %lld exponentials fit filter %lld to %.3g of its sum, %g was asked for",
                (long long)order, (long long)f, error, core->params.tolerance);
    }
    return LCV_OK;
}

static lcv_array pairs_array(double *pairs, int64_t order)
{
    return (lcv_array){.data = pairs, .stride = {0, 2 * order, 1}};
}

static lcv_status prepare_backend(lcvi_stream_core *core, const lcv_stream_setup *setup)
{
    return lcvi_pass(core->context,
                     lcvi_stream_table(core)->stream_create(core->backend->device, &core->params,
                                                            &core->tiles, setup, &core->prepared));
}

static lcv_status prepare_fitted(lcvi_stream_core *core, lcv_stream_setup *setup)
{
    const int64_t taps = core->params.filter_len, order = core->params.order;
    const int64_t pairs = core->filters * 2 * order;
    const size_t bytes = (size_t)(2 * pairs + lcvi_fit_numbers(taps, order) + taps) * sizeof(double);
    double *memory = lcvi_alloc(core->context, bytes, ALIGNMENT);
    if (memory == NULL)
        return lcvi_fail(core->context, LCV_OUT_OF_MEMORY, "stream: no memory for %zu bytes", bytes);
    setup->poles = pairs_array(memory, order);
    setup->residues = pairs_array(memory + pairs, order);
    lcv_status status = fit_all(core, &setup->filter, memory, memory + pairs, memory + 2 * pairs);
    if (status == LCV_OK)
        status = prepare_backend(core, setup);
    lcvi_free(core->context, memory, bytes);
    return status;
}

static lcv_status prepare(lcvi_stream_core *core, lcv_stream_setup *setup)
{
    if (!lcvi_stream_is_modal(core))
        return prepare_backend(core, setup);
    if (setup->filter.data != NULL)
        return prepare_fitted(core, setup);
    const lcv_status status = check_poles(core, &setup->poles, &setup->residues);
    return status == LCV_OK ? prepare_backend(core, setup) : status;
}

/* ---- Life ---- */

lcv_status lcvi_stream_new(lcvi_stream_core *core, lcvi_segment *top, lcv_stream **out)
{
    const size_t scratch = lcvi_stream_scratch_bytes(core);
    lcv_stream *stream = lcvi_alloc(core->context, sizeof *stream, _Alignof(lcv_stream));
    char *memory = stream != NULL ? lcvi_alloc(core->context, scratch, ALIGNMENT) : NULL;
    if (memory == NULL) {
        lcvi_free(core->context, stream, sizeof *stream);
        return lcvi_fail(core->context, LCV_OUT_OF_MEMORY, "stream: no memory for %zu bytes", scratch);
    }
    *stream = (lcv_stream){.core = core, .top = top, .scratch = memory, .scratch_bytes = scratch};
    atomic_fetch_add(&core->references, 1);
    *out = stream;
    return LCV_OK;
}

static lcv_status new_at_start(lcvi_stream_core *core, lcv_stream **out)
{
    lcvi_segment *base = lcvi_segment_new_base(core);
    if (base == NULL)
        return LCV_OUT_OF_MEMORY;
    const lcv_status status = lcvi_stream_new(core, base, out);
    if (status != LCV_OK)
        lcvi_segment_release(core, base);
    return status;
}

/* NULL: out of memory. */
static lcvi_stream_core *make_core(lcv_context *context, const lcvi_stream_core *resolved)
{
    lcvi_stream_core *core = lcvi_alloc(context, sizeof *core, _Alignof(lcvi_stream_core));
    int64_t *phase = core != NULL ? lcvi_alloc(context, phases_bytes(resolved), _Alignof(int64_t)) : NULL;
    if (phase == NULL) {
        lcvi_free(context, core, sizeof *core);
        lcvi_fail(context, LCV_OUT_OF_MEMORY, "stream: no memory for %zu bytes",
                  sizeof *core + phases_bytes(resolved));
        return NULL;
    }
    *core = *resolved;
    atomic_store(&core->references, 1);
    atomic_store(&core->prompt, NULL);
    lcvi_context_retain(context);
    core->phase = phase;
    lcvi_stream_fill_phases(core, phase);
    return core;
}

static lcv_status check_create(lcv_context *context, const lcv_stream_params *params,
                               const lcv_stream_filter *filter, lcv_stream **out)
{
    if (context == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "context: is NULL");
    if (out == NULL)
        return lcvi_fail(context, LCV_INVALID_ARG, "out: is NULL");
    *out = NULL;
    if (params == NULL)
        return lcvi_fail(context, LCV_INVALID_ARG, "params: is NULL");
    if (filter == NULL)
        return lcvi_fail(context, LCV_INVALID_ARG, "filter: is NULL");
    return LCV_OK;
}

static lcv_status create(lcv_context *context, const lcv_stream_params *params,
                         const lcv_stream_filter *filter, lcv_stream **out)
{
    lcv_stream_setup setup = {0};
    lcvi_stream_core resolved;
    lcv_status status = lcvi_stream_resolve(context, params, filter->poles.rank != 0, &resolved);
    if (status == LCV_OK)
        status = bind(&resolved, filter, &setup);
    if (status != LCV_OK)
        return status;
    lcvi_stream_core *core = make_core(context, &resolved);
    if (core == NULL)
        return LCV_OUT_OF_MEMORY;
    status = keep_copies(core, &setup);
    if (status == LCV_OK)
        status = prepare(core, &setup);
    if (status == LCV_OK)
        status = new_at_start(core, out);
    release_core(core);
    return status;
}

lcv_status lcv_stream_create(lcv_context *context, const lcv_stream_params *given_params,
                             const lcv_stream_filter *given, lcv_stream **out)
{
    lcv_stream_filter filter = LCV_STREAM_FILTER_INIT;
    lcv_stream_params params = LCV_STREAM_PARAMS_INIT;
    lcvi_family_memory memory = {0};
    lcv_status status = check_create(context, given_params, given, out);
    if (status == LCV_OK)
        status =
            lcvi_adopt(context, "filter", &filter, sizeof filter, offsetof(lcv_stream_filter, family), given);
    if (status == LCV_OK)
        status = lcvi_adopt(context, "params", &params, sizeof params,
                            offsetof(lcv_stream_params, generate_len), given_params);
    if (status == LCV_OK)
        status = lcvi_stream_generate(context, &params, &filter, &memory);
    if (status == LCV_OK)
        status = create(context, &params, &filter, out);
    lcvi_stream_forget(context, &memory);
    return status;
}

lcv_status lcv_stream_create_like(const lcv_stream *stream, lcv_stream **out)
{
    if (stream == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "stream: is NULL");
    if (out == NULL)
        return lcvi_fail(stream->core->context, LCV_INVALID_ARG, "out: is NULL");
    *out = NULL;
    return new_at_start(stream->core, out);
}

void lcv_stream_destroy(lcv_stream **handle)
{
    if (handle == NULL || *handle == NULL)
        return;
    lcv_stream *stream = *handle;
    lcvi_stream_core *core = stream->core;
    lcvi_segment_release(core, stream->top);
    lcvi_free(core->context, stream->scratch, stream->scratch_bytes);
    lcvi_free(core->context, stream, sizeof *stream);
    release_core(core);
    *handle = NULL;
}

/* ---- Changes ---- */

lcv_status lcvi_stream_make(const lcvi_stream_change *change, lcv_stream *stream, const void *bytes,
                            size_t size)
{
    lcvi_segment *fresh = NULL;
    if (stream == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "stream: is NULL");
    const lcv_status status = change->begin(stream, bytes, size, &fresh);
    if (status == LCV_OK)
        change->end(stream, bytes, fresh);
    return status;
}

static lcv_status begin_reset(lcv_stream *stream, const void *bytes, size_t size, lcvi_segment **fresh)
{
    (void)bytes;
    (void)size;
    *fresh = NULL;
    if (stream->top->below == NULL)
        return LCV_OK;
    *fresh = lcvi_segment_new_base(stream->core);
    return *fresh != NULL ? LCV_OK : LCV_OUT_OF_MEMORY;
}

static void end_reset(lcv_stream *stream, const void *bytes, lcvi_segment *fresh)
{
    (void)bytes;
    if (fresh != NULL)
        lcvi_stream_replace(stream, fresh);
    else
        lcvi_segment_clear_base(stream->core, stream->top);
}

const lcvi_stream_change lcvi_stream_to_start = {begin_reset, end_reset};

lcv_status lcv_stream_reset(lcv_stream *stream)
{
    return lcvi_stream_make(&lcvi_stream_to_start, stream, NULL, 0);
}

/* ---- Description ---- */

static lcv_status hand_out(const lcvi_stream_core *core, int64_t position, int64_t limit,
                           lcv_stream_info *info)
{
    const lcv_stream_info full = {
        .struct_size = sizeof full,
        .mode = core->params.mode,
        .backend = core->backend->name,
        .explanation = core->info.explanation,
        .position = position,
        .limit = limit,
        .state_bytes = lcvi_segment_numbers(core, core->ring),
        .shared_bytes = core->info.shared_bytes + copies_bytes(core),
        .scratch_bytes = lcvi_stream_scratch_bytes(core),
        .fit_error = core->fit_error,
    };
    return lcvi_hand_out(core->context, "info", info, &full, sizeof full, sizeof full);
}

lcv_status lcv_stream_query(lcv_context *context, const lcv_stream_params *params, lcv_stream_info *info)
{
    static _Thread_local lcvi_stream_core answer;
    if (context == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "context: is NULL");
    if (params == NULL)
        return lcvi_fail(context, LCV_INVALID_ARG, "params: is NULL");
    const lcv_status status = lcvi_stream_resolve(context, params, false, &answer);
    if (status != LCV_OK || info == NULL)
        return status;
    return hand_out(&answer, 0, lcvi_segment_base_limit(&answer, 0), info);
}

lcv_status lcv_stream_describe(const lcv_stream *stream, lcv_stream_info *info)
{
    if (stream == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "stream: is NULL");
    if (info == NULL)
        return lcvi_fail(stream->core->context, LCV_INVALID_ARG, "info: is NULL");
    return hand_out(stream->core, stream->top->position, stream->top->limit, info);
}

int64_t lcv_stream_position(const lcv_stream *stream)
{
    return stream != NULL ? stream->top->position : 0;
}
