/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams of the reference backend: sums in double, one sample after the other. A window holds x, and what
 * earlier blocks give; what the block itself gives is summed at each step. */
#include "ref.h"
#include "ref_rows.h"

#include <stdio.h>

enum { BLOCK = LCV_STREAM_BLOCK, GROUP = LCV_STREAM_GROUP };

typedef struct {
    const lcv_backend_host *host;
    lcv_stream_params params;
    lcv_dtype compute;
    size_t real_size;
    int64_t rows, groups, filters;
    double *taps;        /* filter by filter; modal: poles, then residues */
    double *skip, *bias; /* of each channel; zeros where they are no terms */
    size_t bytes;
} ref_stream;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool is_modal(const ref_stream *s)
{
    return s->params.mode == LCV_STREAM_MODAL;
}

/* Numbers of one filter. */
static int64_t filter_numbers(const ref_stream *s)
{
    return is_modal(s) ? 4 * s->params.order : s->params.filter_len;
}

static ref_stream stream_of(const lcv_backend_host *host, const lcv_stream_params *p)
{
    ref_stream s = {.host = host, .params = *p, .compute = lcv_dtype_compute(p->dtype)};
    s.real_size = lcv_dtype_size(s.compute);
    s.rows = p->batch * p->channels;
    s.groups = (s.rows + GROUP - 1) / GROUP;
    s.filters = p->filter_form == LCV_FILTER_SHARED       ? 1
                : p->filter_form == LCV_FILTER_GROUPED    ? p->filter_groups
                : p->filter_form == LCV_FILTER_PER_SAMPLE ? s.rows
                                                          : p->channels;
    s.bytes = (size_t)(s.filters * filter_numbers(&s) + 2 * p->channels) * sizeof(double);
    return s;
}

lcv_status lcvi_ref_stream_query(void *device, const lcv_stream_params *params, const lcv_stream_tiles *tiles,
                                 lcv_backend_stream_info *info)
{
    const ref_stream s = stream_of(lcvi_ref_host(device), params);
    info->window_bytes = is_modal(&s) ? (size_t)(2 * params->order * s.rows) * sizeof(double)
                                      : (size_t)(s.rows * BLOCK) * s.real_size;
    info->shared_bytes = s.bytes;
    info->scratch_bytes = (size_t)tiles->largest * sizeof(double);
    snprintf(info->explanation, sizeof info->explanation, "direct sums in double precision");
    return LCV_OK;
}

/* ---- Filters ---- */

static double number_at(const lcv_array *array, lcv_dtype dtype, int64_t i, int64_t j, int64_t k)
{
    double value = 0.0;
    lcvi_ref_row row = lcvi_ref_row_of(array, dtype, i, j);
    if (row.data == NULL)
        return 0.0;
    row.data = (char *)row.data + k * row.stride * (int64_t)lcv_dtype_size(dtype);
    lcvi_ref_load(row, 1, 0.0, &value);
    return value;
}

static void fill(ref_stream *s, const lcv_stream_setup *setup)
{
    const bool per_sample = s->params.filter_form == LCV_FILTER_PER_SAMPLE;
    const int64_t channels = s->params.channels, numbers = filter_numbers(s);
    for (int64_t f = 0; f < s->filters; f++)
        for (int64_t j = 0; j < numbers; j++) {
            double *to = &s->taps[f * numbers + j];
            if (!is_modal(s))
                *to = number_at(&setup->filter, s->compute, per_sample ? f / channels : 0,
                                per_sample ? f % channels : f, j);
            else
                *to = j < numbers / 2 ? number_at(&setup->poles, LCV_F64, 0, f, j)
                                      : number_at(&setup->residues, LCV_F64, 0, f, j - numbers / 2);
        }
    for (int64_t c = 0; c < channels; c++) {
        s->skip[c] = number_at(&setup->skip, s->compute, 0, 0, c);
        s->bias[c] = number_at(&setup->bias, s->compute, 0, 0, c);
    }
}

lcv_status lcvi_ref_stream_create(void *device, const lcv_stream_params *params,
                                  const lcv_stream_tiles *tiles, const lcv_stream_setup *setup, void **shared)
{
    const lcv_backend_host *host = lcvi_ref_host(device);
    const ref_stream made = stream_of(host, params);
    const size_t bytes = sizeof made + made.bytes;
    (void)tiles;
    ref_stream *s = host->allocate(host, bytes, _Alignof(ref_stream));
    if (s == NULL)
        return host->fail(host, LCV_OUT_OF_MEMORY, "stream: no memory for %zu bytes", bytes);
    *s = made;
    s->taps = (double *)(void *)(s + 1);
    s->skip = s->taps + s->filters * filter_numbers(s);
    s->bias = s->skip + params->channels;
    fill(s, setup);
    *shared = s;
    return LCV_OK;
}

void lcvi_ref_stream_destroy(void *shared)
{
    const ref_stream *s = shared;
    s->host->release(s->host, shared, sizeof *s + s->bytes);
}

static const double *taps_of(const ref_stream *s, int64_t row)
{
    const int64_t channel = row % s->params.channels;
    const int64_t f = s->params.filter_form == LCV_FILTER_SHARED ? 0
                      : s->params.filter_form == LCV_FILTER_GROUPED
                          ? channel / (s->params.channels / s->params.filter_groups)
                      : s->params.filter_form == LCV_FILTER_PER_SAMPLE ? row
                                                                       : channel;
    return s->taps + f * filter_numbers(s);
}

static double tap(const ref_stream *s, int64_t row, int64_t lag)
{
    return lag < s->params.filter_len ? taps_of(s, row)[lag] : 0.0;
}

/* A term that is left out where the tap is 0, so that no sample matters that has none. */
static double term(double h, double x)
{
    return h != 0.0 ? h * x : 0.0;
}

/* ---- Numbers of the compute dtype ---- */

static double get(const ref_stream *s, const void *data, int64_t index)
{
    return s->compute == LCV_F64 ? ((const double *)data)[index] : (double)((const float *)data)[index];
}

static void put(const ref_stream *s, void *data, int64_t index, double value)
{
    if (s->compute == LCV_F64)
        ((double *)data)[index] = value;
    else
        ((float *)data)[index] = (float)value;
}

/* Index of sample `at` of a row in a window. */
static int64_t in_window(const ref_stream *s, int64_t row, int64_t at)
{
    const int64_t first = row / GROUP * GROUP, width = least(GROUP, s->rows - first);
    return first * BLOCK + at * width + (row - first);
}

/* ---- Tokens ---- */

static double read_x(const ref_stream *s, const lcv_array *u, const lcv_array *gate, int64_t row, int64_t t)
{
    const int64_t b = row / s->params.channels, c = row % s->params.channels;
    double x = number_at(u, s->params.dtype, b, c, t);
    if (gate->data != NULL)
        x *= number_at(gate, s->params.dtype, b, c, t);
    if (s->compute == LCV_F32)
        x = (double)(float)x;
    return x;
}

static double modal_sum(const ref_stream *s, double *state, int64_t row, double x)
{
    const int64_t order = s->params.order;
    const double *poles = taps_of(s, row), *residues = poles + 2 * order;
    double *own = state + 2 * order * row, sum = 0.0;
    for (int64_t i = 0; i < order; i++) {
        const double re = own[2 * i], im = own[2 * i + 1];
        own[2 * i] = poles[2 * i] * re - poles[2 * i + 1] * im + x;
        own[2 * i + 1] = poles[2 * i] * im + poles[2 * i + 1] * re;
        sum += residues[2 * i] * own[2 * i] - residues[2 * i + 1] * own[2 * i + 1];
    }
    return sum;
}

static double window_sum(const ref_stream *s, void *window, int64_t row, int64_t at, double x)
{
    double sum = get(s, window, in_window(s, row, at));
    put(s, window, in_window(s, row, at), x);
    for (int64_t i = 0; i <= at; i++)
        sum += term(tap(s, row, at - i), get(s, window, in_window(s, row, i)));
    return sum;
}

static void step_row(const ref_stream *s, const lcv_stream_step_call *call, int64_t row, int64_t i)
{
    const int64_t b = row / s->params.channels, c = row % s->params.channels, t = call->from + i;
    const double x = read_x(s, &call->u, &call->pre_gate, row, t);
    double z = is_modal(s) ? modal_sum(s, call->window, row, x)
                           : window_sum(s, call->window, row, call->offset[row / GROUP] + i, x);
    if (call->sum != NULL)
        z += get(s, call->sum, row);
    if (call->y.data == NULL)
        return;
    z += term(s->skip[c], x) + s->bias[c];
    double y = lcvi_ref_activation(s->params.activation, z);
    if (call->post_gate.data != NULL)
        y *= number_at(&call->post_gate, s->params.dtype, b, c, t);
    lcvi_ref_row to = lcvi_ref_row_of(&call->y, s->params.dtype, b, c);
    to.data = (char *)to.data + t * to.stride * (int64_t)lcv_dtype_size(s->params.dtype);
    lcvi_ref_store(to, 1, &y, false);
}

lcv_status lcvi_ref_stream_step(void *shared, const lcv_stream_step_call *call)
{
    const ref_stream *s = shared;
    const int64_t first = call->group * GROUP, last = least(first + call->groups * GROUP, s->rows);
    for (int64_t i = 0; i < call->count; i++)
        for (int64_t row = first; row < last; row++)
            step_row(s, call, row, i);
    return LCV_OK;
}

/* ---- Blocks and tiles ---- */

lcv_status lcvi_ref_stream_flush(void *shared, const lcv_stream_block_call *call)
{
    const ref_stream *s = shared;
    const int64_t first = call->group * GROUP, last = least(first + call->groups * GROUP, s->rows);
    for (int64_t row = first; row < last; row++)
        for (int64_t i = 0; i < BLOCK; i++)
            put(s, call->far, (row - first) * call->stride + i, get(s, call->window, in_window(s, row, i)));
    return LCV_OK;
}

lcv_status lcvi_ref_stream_fill(void *shared, const lcv_stream_block_call *call)
{
    const ref_stream *s = shared;
    const int64_t first = call->group * GROUP, last = least(first + call->groups * GROUP, s->rows);
    for (int64_t row = first; row < last; row++)
        for (int64_t i = 0; i < BLOCK; i++)
            put(s, call->window, in_window(s, row, i),
                i < call->known ? get(s, call->far, (row - first) * call->stride + i) : 0.0);
    return LCV_OK;
}

lcv_status lcvi_ref_stream_load(void *shared, const lcv_stream_load_call *call)
{
    const ref_stream *s = shared;
    for (int64_t row = call->row; row < call->row + call->rows; row++)
        for (int64_t i = 0; i < call->count; i++)
            put(s, call->far, row * call->stride + i,
                read_x(s, &call->u, &call->pre_gate, row, call->from + i));
    return LCV_OK;
}

/* What a row's pieces give to the sample that lies `ahead` samples after their end. */
static double past_sum(const ref_stream *s, const lcv_stream_piece *pieces, int32_t count, int64_t row,
                       int64_t ahead)
{
    double sum = 0.0;
    for (int32_t i = count - 1; i >= 0; i--) {
        const lcv_stream_piece *piece = &pieces[i];
        for (int64_t k = 0; k < piece->count && piece->data != NULL; k++)
            sum += term(tap(s, row, ahead + piece->count - k), get(s, piece->data, row * piece->stride + k));
        ahead += piece->count;
    }
    return sum;
}

/* All outputs are summed before one is written: it may take the place of an input. */
lcv_status lcvi_ref_stream_tile(void *shared, const lcv_stream_tile_call *call)
{
    const ref_stream *s = shared;
    double *sums = call->scratch;
    for (int64_t row = call->row; row < call->row + call->rows; row++) {
        for (int64_t i = 0; i < call->count; i++) {
            const int64_t ahead = (call->distance - 1) * call->size + i;
            sums[i] = past_sum(s, call->piece, call->pieces, row, ahead);
            if (i < call->added)
                sums[i] += get(s, call->out, row * call->out_stride + i);
        }
        for (int64_t i = 0; i < call->count; i++)
            put(s, call->out, row * call->out_stride + i, sums[i]);
    }
    return LCV_OK;
}

lcv_status lcvi_ref_stream_dot(void *shared, const lcv_stream_dot_call *call)
{
    const ref_stream *s = shared;
    for (int64_t row = 0; row < s->rows; row++)
        put(s, call->sum, row, past_sum(s, call->piece, call->pieces, row, call->offset));
    return LCV_OK;
}
