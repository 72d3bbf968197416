/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams of filter families: the taps that a family makes, or its exponentials as they are. */
#include "stream.h"

#include "../size.h"

enum { ALIGNMENT = 64 };

/* Are the exponentials streamed? In auto mode only where a filter's end cannot be seen, because a sum of
 * exponentials has none. */
static bool streams_modes(const lcv_filter_info *info, const lcv_stream_params *p)
{
    if (info->modal == 0 || p->order != 0)
        return false;
    if (p->mode == LCV_STREAM_AUTO)
        return p->max_len > 0 && p->max_len <= p->filter_len && info->modes <= LCV_STREAM_MAX_ORDER;
    return p->mode == LCV_STREAM_MODAL;
}

static lcv_status take(lcv_context *context, int64_t count, size_t each, lcvi_family_memory *memory)
{
    if (!lcvi_bytes(count, each, &memory->bytes))
        return lcvi_fail(context, LCV_TOO_LARGE, "family: the size of its filters overflows");
    memory->data = lcvi_alloc(context, memory->bytes, ALIGNMENT);
    return memory->data != NULL
               ? LCV_OK
               : lcvi_fail(context, LCV_OUT_OF_MEMORY, "family: no memory for %zu bytes", memory->bytes);
}

static lcv_status take_modes(lcv_context *context, const lcv_filter *family, const lcv_filter_info *info,
                             lcv_stream_params *p, lcv_stream_filter *filter, lcvi_family_memory *memory)
{
    const int64_t shape[] = {info->filters, info->modes, 2}, flat[] = {info->filters, 2 * info->modes};
    const int64_t numbers = info->filters * 2 * info->modes;
    lcv_status status = take(context, 2 * numbers, sizeof(double), memory);
    if (status != LCV_OK)
        return status;
    double *poles = memory->data, *residues = poles + numbers;
    const lcv_tensor to_poles = lcv_tensor_compact(poles, LCV_F64, 3, shape),
                     to_residues = lcv_tensor_compact(residues, LCV_F64, 3, shape);
    status = lcv_filter_modes(family, p->filter_len, &to_poles, &to_residues);
    filter->poles = lcv_tensor_compact(poles, LCV_F64, 2, flat);
    filter->residues = lcv_tensor_compact(residues, LCV_F64, 2, flat);
    p->mode = LCV_STREAM_MODAL;
    p->order = info->modes;
    return status;
}

static lcv_status take_taps(lcv_context *context, const lcv_filter *family, const lcv_filter_info *info,
                            const lcv_stream_params *p, lcv_stream_filter *filter, lcvi_family_memory *memory)
{
    const bool per_sample = p->filter_form == LCV_FILTER_PER_SAMPLE;
    const int64_t rows[] = {info->filters, p->filter_len}, samples[] = {p->batch, p->channels, p->filter_len};
    int64_t count;
    if (info->dtype != lcv_dtype_compute(p->dtype))
        return lcvi_fail(context, LCV_INVALID_ARG, "family: expected dtype %s, given %s",
                         lcv_dtype_name(lcv_dtype_compute(p->dtype)), lcv_dtype_name(info->dtype));
    if (p->filter_len < 0 || p->filter_len > info->max_len)
        return lcvi_fail(context, LCV_INVALID_ARG,
                         "filter_len: expected 0 to %lld (the family's max_len), given %lld",
                         (long long)info->max_len, (long long)p->filter_len);
    if (per_sample && (!lcvi_mul(p->batch, p->channels, &count) || count != info->filters))
        return lcvi_fail(context, LCV_INVALID_ARG, "family: expected batch * channels filters, given %lld",
                         (long long)info->filters);
    if (!lcvi_mul(info->filters, p->filter_len, &count))
        return lcvi_fail(context, LCV_TOO_LARGE, "family: the size of its filters overflows");
    lcv_status status = take(context, count, lcv_dtype_size(info->dtype), memory);
    if (status != LCV_OK)
        return status;
    lcv_filter_args args = LCV_FILTER_ARGS_INIT;
    args.seqlen = p->filter_len;
    args.taps = lcv_tensor_compact(memory->data, info->dtype, 2, rows);
    status = lcv_filter_evaluate(family, &args);
    filter->filter = per_sample ? lcv_tensor_compact(memory->data, info->dtype, 3, samples) : args.taps;
    return status;
}

lcv_status lcvi_stream_generate(lcv_context *context, lcv_stream_params *params, lcv_stream_filter *filter,
                                lcvi_family_memory *memory)
{
    lcv_filter_info info = {.struct_size = sizeof info};
    *memory = (lcvi_family_memory){0};
    if (filter->family == NULL)
        return LCV_OK;
    if (filter->filter.rank != 0 || filter->poles.rank != 0 || filter->residues.rank != 0)
        return lcvi_fail(context, LCV_INVALID_ARG,
                         "family: expected NULL where filter, poles or residues are given");
    lcv_status status = lcv_filter_describe(filter->family, &info);
    if (status == LCV_OK && streams_modes(&info, params))
        status = take_modes(context, filter->family, &info, params, filter, memory);
    else if (status == LCV_OK)
        status = take_taps(context, filter->family, &info, params, filter, memory);
    if (status != LCV_OK)
        lcvi_stream_forget(context, memory);
    return status;
}

void lcvi_stream_forget(lcv_context *context, lcvi_family_memory *memory)
{
    lcvi_free(context, memory->data, memory->bytes);
    *memory = (lcvi_family_memory){0};
}
