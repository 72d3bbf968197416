/* SPDX-License-Identifier: BSD-3-Clause */
#include "model.h"

#include "clock.h"
#include "problem.h"
#include "weights.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_EMBEDDING = 2500, OPTIONS_BYTES = 128, NAME_BYTES = 64, SAVED_MAX = 64 };

static const char filter_prefix[] = "filter.";

typedef struct {
    lcv_context *context;
    const sequence *s;
    const model_options *options;
    weights weights;
    bool has_weights;
    model *m;
    char *message;
    size_t message_bytes;
} builder;

LCV_PRINTF(2, 3) static bool fail(const builder *b, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(b->message, b->message_bytes, format, list);
    va_end(list);
    return false;
}

static bool allocate(const builder *b, lcv_dtype dtype, int32_t rank, const int64_t *shape, lcv_tensor *out)
{
    size_t bytes = lcv_dtype_size(dtype);
    for (int32_t axis = 0; axis < rank; axis++)
        if (__builtin_mul_overflow(bytes, (size_t)shape[axis], &bytes))
            return fail(b, "an array is too large");
    void *memory = bytes < PTRDIFF_MAX - 64 ? aligned_alloc(64, (bytes / 64 + 1) * 64) : NULL;
    if (memory == NULL)
        return fail(b, "out of memory for %zu bytes", bytes);
    *out = lcv_tensor_compact(memory, dtype, rank, shape);
    return true;
}

static bool has(const builder *b, const char *name, int *rank, int64_t *shape)
{
    return b->has_weights && weights_has(&b->weights, name, rank, shape);
}

static bool load(const builder *b, const char *name, const lcv_tensor *tensor)
{
    return weights_load(&b->weights, name, tensor, b->message, b->message_bytes);
}

/* ---- The plan and its parameters ---- */

/* Taps among the weights say how long the filters are. */
static bool create_plan(const builder *b)
{
    int rank = 0;
    int64_t shape[SAFETENSORS_MAX_RANK] = {0};
    char text[OPTIONS_BYTES];
    lcv_mixer_params params = LCV_MIXER_PARAMS_INIT;
    const model_options *o = b->options;
    const int64_t taps = has(b, "filter", &rank, shape) && rank == 2 ? shape[1] : 0;
    snprintf(text, sizeof text, "layout=bdl order=%" PRId64 " filter_len=%" PRId64, o->order, taps);
    params.mixer = "hyena";
    params.options = text;
    params.batch = 1;
    params.channels = b->m->channels;
    params.seqlen = b->m->seqlen;
    params.num_threads = o->threads;
    params.backend = problem_name_or_auto(o->backend);
    params.engine = problem_name_or_auto(o->engine);
    params.planning = o->measured ? LCV_PLANNING_MEASURED : LCV_PLANNING_QUICK;
    if (lcv_mixer_plan_create(b->context, &params, &b->m->plan) == LCV_OK)
        return true;
    return fail(b, "%s", lcv_context_message(b->context));
}

static bool create_port(const builder *b, int32_t i)
{
    model *m = b->m;
    int rank;
    int64_t shape[SAFETENSORS_MAX_RANK];
    lcv_port_info *port = &m->port[i];
    port->struct_size = sizeof *port;
    if (lcv_mixer_port(m->plan, i, port) != LCV_OK ||
        !allocate(b, port->dtype, port->rank, port->shape, &m->tensor[i]))
        return false;
    if (port->role != LCV_PORT_PARAMETER)
        return true;
    if (has(b, port->name, &rank, shape))
        return load(b, port->name, &m->tensor[i]);
    const lcv_status status = lcv_mixer_initialise(m->plan, i, b->options->seed, &m->tensor[i]);
    return status == LCV_OK || status == LCV_UNSUPPORTED || fail(b, "%s", lcv_context_message(b->context));
}

static bool create_ports(const builder *b)
{
    bool fine = lcv_mixer_port_count(b->m->plan) <= MIXER_PORTS_MAX;
    b->m->port_count = fine ? lcv_mixer_port_count(b->m->plan) : 0;
    for (int32_t i = 0; fine && i < b->m->port_count; i++)
        fine = create_port(b, i);
    return fine;
}

const lcv_tensor *model_tensor(const model *m, const char *name)
{
    const int32_t port = lcv_mixer_port_find(m->plan, name);
    return port >= 0 ? &m->tensor[port] : NULL;
}

/* ---- The filters ---- */

static bool load_parameter(const builder *b, int32_t i)
{
    char name[NAME_BYTES];
    int rank;
    int64_t shape[SAFETENSORS_MAX_RANK];
    lcv_port_info port = {.struct_size = sizeof port};
    lcv_tensor value = {0};
    if (lcv_filter_parameter(b->m->filter, i, &port) != LCV_OK)
        return fail(b, "%s", lcv_context_message(b->context));
    snprintf(name, sizeof name, "%s%s", filter_prefix, port.name);
    if (!has(b, name, &rank, shape))
        return true;
    bool fine = allocate(b, port.dtype, port.rank, port.shape, &value) && load(b, name, &value);
    if (fine && lcv_filter_set(b->m->filter, port.name, &value) != LCV_OK)
        fine = fail(b, "%s", lcv_context_message(b->context));
    free(value.data);
    return fine;
}

static bool create_filter(const builder *b)
{
    model *m = b->m;
    lcv_filter_params params = LCV_FILTER_PARAMS_INIT;
    lcv_filter_info info = {.struct_size = sizeof info};
    params.family = b->options->family;
    params.options = b->options->family_options;
    params.channels = (m->order - 1) * m->channels;
    params.max_len = m->seqlen > 0 ? m->seqlen : 1;
    params.seed = b->options->seed;
    params.num_threads = b->options->threads;
    if (lcv_filter_create(b->context, &params, &m->filter) != LCV_OK ||
        lcv_filter_describe(m->filter, &info) != LCV_OK)
        return fail(b, "%s", lcv_context_message(b->context));
    if (info.filters != params.channels)
        return fail(b, "%s with these options makes %" PRId64 " filters, the operator has %" PRId64,
                    info.family, info.filters, params.channels);
    bool fine = true;
    for (int32_t i = 0; fine && i < info.parameter_count; i++)
        fine = load_parameter(b, i);
    return fine;
}

static bool make_taps(const builder *b)
{
    lcv_filter_args args = LCV_FILTER_ARGS_INIT;
    args.seqlen = b->m->seqlen;
    args.taps = *model_tensor(b->m, "filter");
    const double start = clock_seconds();
    const lcv_status status = lcv_filter_evaluate(b->m->filter, &args);
    b->m->filter_seconds = clock_seconds() - start;
    return status == LCV_OK || fail(b, "filter: %s", lcv_context_message(b->context));
}

static bool create_filters(const builder *b)
{
    int rank;
    int64_t shape[SAFETENSORS_MAX_RANK];
    if (has(b, "filter", &rank, shape))
        return true; /* the port has its taps already */
    return create_filter(b) && make_taps(b);
}

/* ---- The embedding ---- */

static int64_t symbols_of(const sequence *s)
{
    int64_t most = 0;
    for (int64_t t = 0; t < s->length; t++)
        most = s->symbols[t] > most ? s->symbols[t] : most;
    return most + 1;
}

static bool create_embedding(const builder *b)
{
    model *m = b->m;
    int rank = 0;
    int64_t shape[SAFETENSORS_MAX_RANK] = {0};
    const int64_t needed = symbols_of(b->s);
    const bool given = has(b, "embedding", &rank, shape);
    const int64_t rows = given && rank == 2 ? shape[0] : needed;
    if (rows < needed)
        return fail(b, "embedding: has %" PRId64 " symbols, the input has the symbol %" PRId64, rows,
                    needed - 1);
    if (!allocate(b, LCV_F32, 2, (const int64_t[]){rows, m->channels}, &m->embedding))
        return false;
    if (given)
        return load(b, "embedding", &m->embedding);
    float *table = m->embedding.data;
    for (int64_t i = 0; i < rows * m->channels; i++)
        table[i] = (float)random_normal(b->options->seed, STREAM_EMBEDDING, (uint64_t)i);
    return true;
}

static void embed(const builder *b)
{
    const model *m = b->m;
    float *x = model_tensor(m, "x")->data;
    const float *table = m->embedding.data;
    for (int64_t c = 0; c < m->channels; c++)
        for (int64_t t = 0; t < m->seqlen; t++)
            x[c * m->seqlen + t] = table[b->s->symbols[t] * m->channels + c];
}

static void take_vectors(const builder *b)
{
    const sequence *s = b->s;
    const model *m = b->m;
    float *x = model_tensor(m, "x")->data;
    for (int64_t c = 0; c < m->channels; c++)
        for (int64_t t = 0; t < m->seqlen; t++)
            x[c * m->seqlen + t] =
                (float)npy_get(&s->vectors, s->channels_first ? c * s->length + t : t * s->channels + c);
}

static bool create_input(const builder *b)
{
    if (b->s->symbols == NULL) {
        take_vectors(b);
        return true;
    }
    if (!create_embedding(b))
        return false;
    embed(b);
    return true;
}

/* ---- The whole ---- */

bool model_create(lcv_context *context, const sequence *s, const model_options *options, model *out,
                  char *message, size_t message_bytes)
{
    builder b = {.context = context,
                 .s = s,
                 .options = options,
                 .m = out,
                 .message = message,
                 .message_bytes = message_bytes};
    *out = (model){.channels = options->channels, .order = options->order, .seqlen = s->length};
    if (options->weights != NULL && !weights_open(options->weights, &b.weights, message, message_bytes))
        return false;
    b.has_weights = options->weights != NULL;
    const bool fine = create_plan(&b) && create_ports(&b) && create_filters(&b) && create_input(&b);
    weights_close(&b.weights);
    if (!fine)
        model_free(out);
    return fine;
}

void model_free(model *m)
{
    for (int32_t i = 0; i < m->port_count; i++)
        free(m->tensor[i].data);
    free(m->embedding.data);
    lcv_filter_destroy(&m->filter);
    lcv_plan_destroy(&m->plan);
    *m = (model){0};
}

lcv_status model_run(model *m)
{
    lcv_mixer_args args = LCV_MIXER_ARGS_INIT;
    args.port_count = m->port_count;
    args.tensors = m->tensor;
    return lcv_mixer_forward(m->plan, &args);
}

/* ---- Saving ---- */

typedef struct {
    int count;
    char name[SAVED_MAX][NAME_BYTES];
    const char *names[SAVED_MAX];
    lcv_tensor tensor[SAVED_MAX];
    void *own[SAVED_MAX]; /* to be freed */
} saved;

static void add(saved *s, const char *prefix, const char *name, const lcv_tensor *tensor, void *own)
{
    snprintf(s->name[s->count], NAME_BYTES, "%s%s", prefix, name);
    s->names[s->count] = s->name[s->count];
    s->tensor[s->count] = *tensor;
    s->own[s->count] = own;
    s->count++;
}

static bool add_filter(const model *m, saved *s)
{
    lcv_filter_info info = {.struct_size = sizeof info};
    if (lcv_filter_describe(m->filter, &info) != LCV_OK)
        return false;
    for (int32_t i = 0; i < info.parameter_count && s->count < SAVED_MAX; i++) {
        lcv_port_info port = {.struct_size = sizeof port};
        if (lcv_filter_parameter(m->filter, i, &port) != LCV_OK)
            return false;
        void *memory = malloc((size_t)mixer_port_elements(&port) * lcv_dtype_size(port.dtype) + 1);
        const lcv_tensor value = lcv_tensor_compact(memory, port.dtype, port.rank, port.shape);
        if (memory == NULL || lcv_filter_get(m->filter, port.name, &value) != LCV_OK) {
            free(memory);
            return false;
        }
        add(s, filter_prefix, port.name, &value, memory);
    }
    return true;
}

static bool collect(const model *m, saved *s)
{
    for (int32_t i = 0; i < m->port_count; i++) {
        const bool from_family = m->filter != NULL && strcmp(m->port[i].name, "filter") == 0;
        if (m->port[i].role == LCV_PORT_PARAMETER && !from_family)
            add(s, "", m->port[i].name, &m->tensor[i], NULL);
    }
    if (m->embedding.rank > 0)
        add(s, "", "embedding", &m->embedding, NULL);
    return m->filter == NULL || add_filter(m, s);
}

bool model_save(const model *m, const char *path, char *message, size_t message_bytes)
{
    saved *s = calloc(1, sizeof *s);
    lcv_filter_info info = {.struct_size = sizeof info};
    if (m->filter != NULL)
        lcv_filter_describe(m->filter, &info);
    char order[NAME_BYTES];
    snprintf(order, sizeof order, "%" PRId64, m->order);
    const char *const metadata[] = {
        "mixer",     "hyena",          "order",      order, m->filter != NULL ? "filter" : NULL,
        info.family, "filter_options", info.options, NULL};
    bool fine = s != NULL && collect(m, s);
    if (!fine)
        snprintf(message, message_bytes, "%s: out of memory", path);
    fine = fine && weights_save(path, s->names, s->tensor, s->count, metadata, message, message_bytes);
    for (int i = 0; s != NULL && i < s->count; i++)
        free(s->own[i]);
    free(s);
    return fine;
}
