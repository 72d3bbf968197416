/* SPDX-License-Identifier: BSD-3-Clause */
/* Filter families and the life of their instances. */
#include "../size.h"
#include "device.h"
#include "dispatch.h"

#include <string.h>

LCVI_DEFINE_INIT(lcv_filter_params, LCV_FILTER_PARAMS_INIT)

/* ---- The list ---- */

int32_t lcv_filter_family_count(void)
{
    return lcvi_family_count();
}

int32_t lcv_filter_family_find(const char *name)
{
    for (int32_t i = 0; name != NULL && i < lcvi_family_count(); i++)
        if (strcmp(lcvi_family_at(i)->name, name) == 0)
            return i;
    return -1;
}

/* The options of a family; those that are based on another one are put together in `rows`. */
static lcvi_option_table options_of(const lcvi_family *family, lcvi_option rows[LCVI_MAX_OPTIONS])
{
    if (family->base == NULL)
        return family->options;
    const lcvi_option_table table = {rows, family->base->options.count};
    memcpy(rows, family->base->options.rows, (size_t)table.count * sizeof *rows);
    for (int i = 0; i < LCVI_MAX_PRESETS && family->preset[i].option != NULL; i++)
        for (int32_t row = 0; row < table.count; row++)
            if (strcmp(rows[row].name, family->preset[i].option) == 0)
                rows[row].default_text = family->preset[i].value;
    return table;
}

static const lcvi_family *computing(const lcvi_family *family)
{
    return family->base != NULL ? family->base : family;
}

static lcv_status find_family(int32_t index, const void *info, const lcvi_family **family)
{
    *family = lcvi_family_at(index);
    if (*family == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "family: expected 0 to %d, given %d", lcvi_family_count() - 1,
                         index);
    if (info == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "info: is NULL");
    return LCV_OK;
}

lcv_status lcv_filter_family_describe(int32_t index, lcv_filter_family_info *info)
{
    const lcvi_family *family;
    const lcv_status status = find_family(index, info, &family);
    if (status != LCV_OK)
        return status;
    const lcv_filter_family_info full = {
        .struct_size = sizeof full,
        .name = family->name,
        .summary = family->summary,
        .formula = family->formula,
        .source = family->source,
        .option_count = computing(family)->options.count,
        .modal = computing(family)->modal,
    };
    return lcvi_hand_out(NULL, "info", info, &full, sizeof full, sizeof full);
}

lcv_status lcv_filter_family_option(int32_t index, int32_t option, lcv_option_info *info)
{
    const lcvi_family *family;
    lcvi_option rows[LCVI_MAX_OPTIONS];
    const lcv_status status = find_family(index, info, &family);
    if (status != LCV_OK)
        return status;
    const lcvi_option_table table = options_of(family, rows);
    return lcvi_options_describe(NULL, &table, option, info);
}

/* ---- Creation ---- */

static lcv_status check_params(lcv_context *context, const lcv_filter_params *p)
{
    int64_t elements;
    size_t bytes;
    if (p->family == NULL)
        return lcvi_fail(context, LCV_INVALID_ARG, "family: is NULL");
    if (lcv_filter_family_find(p->family) < 0)
        return lcvi_fail(context, LCV_INVALID_ARG, "family: there is none named \"%.64s\"", p->family);
    if (p->dtype != LCV_F32 && p->dtype != LCV_F64)
        return lcvi_fail(context, LCV_INVALID_ARG, "dtype: expected f32 or f64, given %d", (int)p->dtype);
    if (p->channels < 1)
        return lcvi_fail(context, LCV_INVALID_ARG, "channels: expected >= 1, given %lld",
                         (long long)p->channels);
    if (p->max_len < 1)
        return lcvi_fail(context, LCV_INVALID_ARG, "max_len: expected >= 1, given %lld",
                         (long long)p->max_len);
    if (p->device != LCV_DEVICE_CPU && p->device != LCV_DEVICE_CUDA)
        return lcvi_fail(context, LCV_INVALID_ARG, "device: expected 0 (CPU) or 1 (CUDA), given %d",
                         (int)p->device);
    if (p->num_threads < 0)
        return lcvi_fail(context, LCV_INVALID_ARG, "num_threads: expected >= 0, given %d", p->num_threads);
    if (!lcvi_mul(p->channels, p->max_len, &elements) || !lcvi_bytes(elements, 4 * sizeof(double), &bytes))
        return lcvi_fail(context, LCV_TOO_LARGE, "channels, max_len: %lld x %lld taps overflow",
                         (long long)p->channels, (long long)p->max_len);
    return LCV_OK;
}

static lcv_status print_options(lcv_filter *filter)
{
    const lcvi_option_table *table = &filter->family->options;
    filter->options_bytes = lcvi_options_print(table, filter->option, NULL, 0);
    filter->options_text = lcvi_alloc(filter->context, filter->options_bytes, 1);
    if (filter->options_text == NULL)
        return lcvi_fail(filter->context, LCV_OUT_OF_MEMORY, "filter: no memory for its options");
    lcvi_options_print(table, filter->option, filter->options_text, filter->options_bytes);
    return LCV_OK;
}

static lcv_status allocate_parameters(lcv_filter *filter)
{
    for (int32_t i = 0; i < filter->parameters.count; i++) {
        filter->data[i] = lcvi_alloc(filter->context, lcvi_filter_parameter_bytes(filter, i), 64);
        if (filter->data[i] == NULL)
            return lcvi_fail(filter->context, LCV_OUT_OF_MEMORY, "%s: no memory for %zu bytes",
                             filter->parameters.port[i].name, lcvi_filter_parameter_bytes(filter, i));
    }
    return LCV_OK;
}

static lcv_status fill_filter(lcv_filter *filter, const lcv_filter_params *p)
{
    int64_t elements;
    size_t bytes;
    filter->dtype = p->dtype;
    filter->device = p->device;
    filter->channels = filter->filters = p->channels;
    filter->max_len = p->max_len;
    filter->threads = p->num_threads > 0 ? p->num_threads : filter->context->host.num_threads;
    lcv_status status = print_options(filter);
    if (status == LCV_OK)
        status = filter->family->configure(filter);
    if (status == LCV_OK && (!lcvi_mul(filter->filters, p->max_len, &elements) ||
                             !lcvi_bytes(elements, 4 * sizeof(double), &bytes)))
        status = lcvi_fail(filter->context, LCV_TOO_LARGE, "channels, max_len: %lld x %lld taps overflow",
                           (long long)filter->filters, (long long)p->max_len);
    if (status == LCV_OK)
        status = allocate_parameters(filter);
    if (status == LCV_OK)
        status = lcvi_filter_choose_backend(filter, p->backend);
    if (status == LCV_OK)
        status = lcvi_filter_device_create(filter);
    return status == LCV_OK ? lcv_filter_initialise(filter, p->seed) : status;
}

static lcv_status take_family(lcv_context *context, const lcv_filter_params *p, lcv_filter *filter)
{
    const lcvi_family *family = lcvi_family_at(lcv_filter_family_find(p->family));
    lcvi_option rows[LCVI_MAX_OPTIONS];
    const lcvi_option_table table = options_of(family, rows);
    filter->name = family->name;
    filter->family = computing(family);
    return lcvi_options_parse(context, &table, p->options, filter->option);
}

lcv_status lcv_filter_create(lcv_context *context, const lcv_filter_params *given, lcv_filter **out)
{
    lcv_filter_params params = LCV_FILTER_PARAMS_INIT;
    lcv_filter blank = {.context = context};
    if (context == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "context: is NULL");
    if (out == NULL)
        return lcvi_fail(context, LCV_INVALID_ARG, "out: is NULL");
    *out = NULL;
    if (given == NULL)
        return lcvi_fail(context, LCV_INVALID_ARG, "params: is NULL");
    lcv_status status =
        lcvi_adopt(context, "params", &params, sizeof params, offsetof(lcv_filter_params, device), given);
    if (status == LCV_OK)
        status = check_params(context, &params);
    if (status != LCV_OK)
        return status;
    status = take_family(context, &params, &blank);
    if (status != LCV_OK)
        return status;
    lcv_filter *filter = lcvi_alloc(context, sizeof *filter, _Alignof(lcv_filter));
    if (filter == NULL)
        return lcvi_fail(context, LCV_OUT_OF_MEMORY, "filter: no memory for %zu bytes", sizeof *filter);
    *filter = blank;
    lcvi_context_retain(context);
    status = fill_filter(filter, &params);
    if (status != LCV_OK)
        lcv_filter_destroy(&filter);
    *out = filter;
    return status;
}

void lcv_filter_destroy(lcv_filter **handle)
{
    if (handle == NULL || *handle == NULL)
        return;
    lcv_filter *filter = *handle;
    lcv_context *context = filter->context;
    lcvi_filter_device_destroy(filter);
    for (int32_t i = 0; i < filter->parameters.count; i++)
        lcvi_free(context, filter->data[i], lcvi_filter_parameter_bytes(filter, i));
    lcvi_free(context, filter->own, filter->own_bytes);
    lcvi_free(context, filter->options_text, filter->options_bytes);
    lcvi_free(context, filter, sizeof *filter);
    lcvi_context_release(context);
    *handle = NULL;
}

/* ---- For families ---- */

lcv_status lcvi_filter_declare(lcv_filter *filter, const lcv_port_info *port)
{
    lcv_port_info full = *port;
    full.role = LCV_PORT_PARAMETER;
    full.dtype = filter->dtype;
    if (filter->parameters.count == LCVI_MAX_PARAMETERS)
        return lcvi_fail(filter->context, LCV_INTERNAL, "%s: the family has too many parameters", port->name);
    return lcvi_ports_add(filter->context, &filter->parameters, &full);
}

lcv_status lcvi_filter_own(lcv_filter *filter, size_t bytes)
{
    filter->own = lcvi_alloc(filter->context, bytes, 64);
    if (filter->own == NULL)
        return lcvi_fail(filter->context, LCV_OUT_OF_MEMORY, "filter: no memory for %zu bytes", bytes);
    filter->own_bytes = bytes;
    memset(filter->own, 0, bytes);
    return LCV_OK;
}

/* Taps times modes below which starting threads takes longer than it saves. */
static const double least_parallel_work = 1 << 13;

void lcvi_filter_parallel(const lcv_filter *filter, const lcvi_filter_call *call, int64_t count,
                          lcv_task_fn task, void *arg)
{
    const double work = (double)filter->filters * (double)call->count * (double)(filter->modes + 1);
    const int32_t threads = work < least_parallel_work ? 1 : filter->threads;
    lcvi_parallel_for(filter->context, threads, &call->exec, count, task, arg);
}

/* ---- Description ---- */

lcv_status lcv_filter_describe(const lcv_filter *filter, lcv_filter_info *info)
{
    if (filter == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "filter: is NULL");
    if (info == NULL)
        return lcvi_fail(filter->context, LCV_INVALID_ARG, "info: is NULL");
    const lcv_filter_info full = {
        .struct_size = sizeof full,
        .family = filter->name,
        .options = filter->options_text,
        .backend = filter->backend != NULL ? filter->backend->name : "core",
        .dtype = filter->dtype,
        .channels = filter->channels,
        .filters = filter->filters,
        .max_len = filter->max_len,
        .parameter_count = filter->parameters.count,
        .modal = filter->modes > 0 && !filter->cut,
        .modes = filter->cut ? 0 : filter->modes,
        .threads = filter->threads,
    };
    return lcvi_hand_out(filter->context, "info", info, &full, sizeof full, sizeof full);
}

lcv_status lcv_filter_parameter(const lcv_filter *filter, int32_t index, lcv_port_info *info)
{
    if (filter == NULL)
        return lcvi_fail(NULL, LCV_INVALID_ARG, "filter: is NULL");
    return lcvi_ports_describe(filter->context, &filter->parameters, index, info);
}

int32_t lcv_filter_parameter_find(const lcv_filter *filter, const char *name)
{
    return filter != NULL ? lcvi_ports_find(&filter->parameters, name) : -1;
}
