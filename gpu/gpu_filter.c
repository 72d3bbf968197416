/* SPDX-License-Identifier: BSD-3-Clause */
/* Filter family implicit_mlp on the device. Positions are taken in strips, so that the workspace does not
 * grow with the filter's length; within a strip every layer is a matrix product and a kernel for its sines.
 * Arrays in the workspace have a row for each neuron or filter, positions along it. Gradients are added strip
 * by strip, in ascending order. */
#include "gpu_filter.h"
#include "gpu_exponential.h"
#include "gpu_matmul.h"
#include "gpu_mlp.h"

#include <string.h>

enum {
    STRIP_BYTES = 32 << 20, /* of a strip's arrays, about */
    LEAST_STRIP = 64,       /* positions */
    MOST_STRIP = 1 << 16
};

/* Byte offsets in the workspace. */
typedef struct {
    size_t before, after; /* arguments and values of the sines of all layers */
    size_t o, q, g;       /* of the filters: results, windowed, gradients */
    size_t grad, below;   /* of one layer: gradients */
    size_t statistics, product;
    size_t bytes;
} layout;

/* One call. Steps after a failed one do nothing, so that they can be written one after the other. */
typedef struct {
    lcv_gpu_device *device;
    const lcv_filter_problem *problem;
    const lcv_mlp_problem *mlp;
    const lcv_filter_call *call;
    const lcv_mlp_gradients *wanted;
    layout at;
    char *workspace;
    int64_t strip;        /* positions of the largest */
    int64_t first, count; /* of the one in work */
    int64_t last;         /* columns of weight_out */
    bool is_double;
    lcv_status status;
} execution;

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- Memory ---- */

static size_t real_size(const execution *e)
{
    return lcv_dtype_size(e->problem->dtype);
}

static int64_t widest(const execution *e)
{
    return max64(max64(e->mlp->width, e->mlp->features), 1);
}

/* Positions of a strip: a number that does not depend on where a call begins. */
static int64_t strip_of(const execution *e, int64_t count, bool backward)
{
    const double layers = (double)e->mlp->layers * (double)e->mlp->width,
                 filters = (double)e->problem->filters;
    const double reals = 2.0 * layers + (backward ? 3.0 * filters + 2.0 * (double)widest(e) : 2.0 * filters);
    const double room = STRIP_BYTES / (reals * (double)real_size(e) + 1.0);
    int64_t strip = LEAST_STRIP;
    while (strip < MOST_STRIP && 2.0 * (double)strip <= room)
        strip *= 2;
    return max64(min64(strip, count), 1);
}

/* Hands out a place for a x b things; false: too large. */
static bool take(layout *at, size_t *place, int64_t a, int64_t b, size_t size)
{
    size_t bytes;
    *place = at->bytes;
    return !__builtin_mul_overflow((size_t)a, (size_t)b, &bytes) &&
           !__builtin_mul_overflow(bytes, size, &bytes) && bytes <= PTRDIFF_MAX / 16 &&
           (at->bytes += (bytes + LCV_GPU_ALIGNMENT - 1) / LCV_GPU_ALIGNMENT * LCV_GPU_ALIGNMENT) <=
               PTRDIFF_MAX / 16;
}

/* A product of a layer: taps must not depend on the range that they are asked in. */
static lcv_matmul_params layer_params(const execution *e, int64_t rows, int64_t columns, int64_t inner)
{
    const lcv_dtype dtype = e->problem->dtype;
    return (lcv_matmul_params){.left = dtype,
                               .right = dtype,
                               .c = dtype,
                               .batch = 1,
                               .rows = rows,
                               .columns = columns,
                               .inner = inner,
                               .fixed_order = 1};
}

/* Of the gradient of a matrix: a sum over the positions of a strip. */
static lcv_matmul_params sum_params(const execution *e, int64_t rows, int64_t columns, int64_t count)
{
    lcv_matmul_params params = layer_params(e, rows, columns, count);
    params.fixed_order = 0;
    return params;
}

/* The workspace of the largest product. */
static size_t product_bytes(const execution *e)
{
    const lcv_mlp_problem *m = e->mlp;
    const lcv_matmul_params params[] = {
        sum_params(e, e->problem->filters, e->last, e->strip),
        sum_params(e, m->width, m->features, e->strip),
        sum_params(e, m->width, m->width, e->strip),
    };
    size_t most = 0;
    for (size_t i = 0; i < sizeof params / sizeof params[0]; i++) {
        size_t bytes;
        (void)lcv_gpu_matmul_query(e->device, &params[i], &bytes);
        most = bytes > most ? bytes : most;
    }
    return most;
}

static bool lay_out(execution *e, bool backward)
{
    const lcv_mlp_problem *m = e->mlp;
    const int64_t filters = e->problem->filters, neurons = m->layers * m->width;
    const size_t size = real_size(e);
    layout *at = &e->at;
    return take(at, &at->before, neurons, e->strip, size) && take(at, &at->after, neurons, e->strip, size) &&
           take(at, &at->o, filters, e->strip, size) && take(at, &at->q, filters, e->strip, size) &&
           take(at, &at->g, backward ? filters : 0, e->strip, size) &&
           take(at, &at->grad, backward ? widest(e) : 0, e->strip, size) &&
           take(at, &at->below, backward ? widest(e) : 0, e->strip, size) &&
           take(at, &at->statistics, LCV_GPU_STATISTICS, e->strip, sizeof(double)) &&
           take(at, &at->product, 1, backward ? (int64_t)product_bytes(e) : 0, 1);
}

/* false: too large. */
static bool plan(execution *e, lcv_gpu_device *device, const lcv_filter_problem *problem, int64_t count,
                 bool backward)
{
    *e = (execution){.device = device, .problem = problem, .mlp = problem->details};
    e->last = e->mlp->layers > 0 ? e->mlp->width : e->mlp->features;
    e->is_double = problem->dtype == LCV_F64;
    e->strip = strip_of(e, count, backward);
    return lay_out(e, backward);
}

/* ---- Steps ---- */

static void *at(const execution *e, size_t place)
{
    return e->workspace + place;
}

/* The row of a layer's first neuron. */
static void *layer_at(const execution *e, size_t place, int64_t layer)
{
    return e->workspace + place + (size_t)(layer * e->mlp->width * e->strip) * real_size(e);
}

static lcv_gpu_strip strip_with(const execution *e, int64_t rows)
{
    return (lcv_gpu_strip){.rows = rows, .count = e->count, .pitch = e->strip};
}

/* A matrix with these strides. What is only read comes as const, too. */
static lcv_array view(const void *data, int64_t row, int64_t column)
{
    return (lcv_array){(void *)(uintptr_t)data, {0, row, column}};
}

/* An array of the workspace as a matrix of rows x positions, and the other way round. */
static lcv_array matrix(const void *data, const execution *e)
{
    return view(data, e->strip, 1);
}

static lcv_array turned(lcv_array array)
{
    return (lcv_array){array.data, {0, array.stride[2], array.stride[1]}};
}

static void launched(execution *e, int error, const char *what)
{
    if (e->status == LCV_OK)
        e->status = lcv_gpu_check(e->device, (cudaError_t)error, what);
}

/* A launch; left out after a failure. */
#define LAUNCH(e, function, ...)                                                                             \
    launched(e, (e)->status == LCV_OK ? function((e)->is_double, __VA_ARGS__, (e)->call->exec.stream) : 0,   \
             #function)

/* c = left right (+ bias for each row, or + c). */
static void multiply(execution *e, const lcv_matmul_params *params, lcv_array left, lcv_array right,
                     lcv_array c, const void *bias, bool accumulate)
{
    lcv_matmul_call call = {
        .left = left, .right = right, .c = c, .accumulate = accumulate, .exec = e->call->exec};
    call.bias = view(bias, 1, 0);
    call.exec.workspace = at(e, e->at.product);
    if (e->status == LCV_OK)
        e->status = lcv_gpu_multiply_matrices(e->device, params, &call);
}

/* ---- The network ---- */

/* The matrix before layer `layer`, of rows x columns. */
static lcv_array weight_of(const execution *e, int64_t layer, int64_t *columns)
{
    const lcv_mlp_problem *m = e->mlp;
    const size_t size = real_size(e);
    const char *data = layer == 0 ? m->weight_in : m->weight_hidden;
    *columns = layer == 0 ? m->features : m->width;
    if (layer > 1)
        data += (size_t)((layer - 1) * m->width * m->width) * size;
    return view(data, *columns, 1);
}

static lcv_array weight_out(const execution *e)
{
    return view(e->mlp->weight_out, e->last, 1);
}

/* What goes into layer `layer`, as features or neurons x positions. */
static lcv_array input_of(const execution *e, int64_t layer)
{
    const char *posenc = e->mlp->posenc;
    if (layer > 0)
        return matrix(layer_at(e, e->at.after, layer - 1), e);
    posenc += (size_t)(e->first * e->mlp->features) * real_size(e);
    return view(posenc, 1, e->mlp->features);
}

static lcv_gpu_frequency frequency_of(const execution *e, int64_t layer)
{
    const char *values = e->mlp->sine_freq;
    if (e->mlp->freq_per_layer)
        values += (size_t)(layer * e->mlp->width) * real_size(e);
    return (lcv_gpu_frequency){values, e->mlp->freq_scale};
}

static void run_layer(execution *e, int64_t layer)
{
    const int64_t width = e->mlp->width;
    int64_t inner;
    const lcv_array weight = weight_of(e, layer, &inner);
    void *before = layer_at(e, e->at.before, layer);
    const lcv_matmul_params params = layer_params(e, width, e->count, inner);
    const char *bias = (const char *)e->mlp->bias + (size_t)(layer * width) * real_size(e);
    multiply(e, &params, weight, input_of(e, layer), matrix(before, e), bias, false);
    LAUNCH(e, lcv_gpu_mlp_sines, strip_with(e, width), frequency_of(e, layer), before,
           layer_at(e, e->at.after, layer));
}

static lcv_gpu_window window_of(const execution *e)
{
    return (lcv_gpu_window){.rate = e->mlp->decay_rate,
                            .shift = e->mlp->shift,
                            .first = e->first,
                            .max_len = e->problem->max_len};
}

static lcv_gpu_norm norm_of(const execution *e)
{
    return (lcv_gpu_norm){.kind = (int32_t)e->mlp->norm,
                          .epsilon = e->mlp->norm_epsilon,
                          .weight = e->mlp->norm_weight,
                          .bias = e->mlp->norm_bias,
                          .statistics = at(e, e->at.statistics)};
}

/* From the features of a strip to q and its statistics. */
static void run_strip(execution *e)
{
    const int64_t filters = e->problem->filters;
    const lcv_matmul_params params = layer_params(e, filters, e->count, e->last);
    void *o = at(e, e->mlp->decay_rate != NULL ? e->at.o : e->at.q), *q = at(e, e->at.q);
    for (int64_t layer = 0; layer < e->mlp->layers; layer++)
        run_layer(e, layer);
    multiply(e, &params, weight_out(e), input_of(e, e->mlp->layers), matrix(o, e), NULL, false);
    if (e->mlp->decay_rate != NULL)
        LAUNCH(e, lcv_gpu_mlp_window, strip_with(e, filters), window_of(e), o, q);
    LAUNCH(e, lcv_gpu_mlp_measure, strip_with(e, filters), norm_of(e), q);
}

/* The taps of the strip in the caller's array. */
static lcv_array taps_of(const execution *e)
{
    lcv_array taps = e->call->taps;
    taps.data = (char *)taps.data + (e->first - e->call->first) * taps.stride[2] * (int64_t)real_size(e);
    return taps;
}

/* ---- Gradients ---- */

/* Is a gradient added to what the caller's array holds? The first strip overwrites it. */
static bool adds(const execution *e)
{
    return e->call->accumulate != 0 || e->first > e->call->first;
}

static lcv_array matrix_gradient(const lcv_array *to)
{
    return (lcv_array){to->data, {0, to->stride[0], to->stride[1]}};
}

static void sum_rows(execution *e, int64_t rows, const void *a, const void *b, const void *factors,
                     double factor, lcv_array to, bool add)
{
    const lcv_gpu_row_sum sum = {a, b, factors, factor, to, add};
    if (to.data != NULL)
        LAUNCH(e, lcv_gpu_mlp_sum, strip_with(e, rows), sum);
}

/* g: from the gradient of the taps to that of q. */
static void unnormalise(execution *e)
{
    const lcv_gpu_strip strip = strip_with(e, e->problem->filters);
    void *g = at(e, e->at.g), *q = at(e, e->at.q);
    LAUNCH(e, lcv_gpu_mlp_load, strip, taps_of(e), g);
    if (e->mlp->norm == LCV_MLP_NORM_LAYER) {
        LAUNCH(e, lcv_gpu_mlp_unit, strip, norm_of(e), q);
        sum_rows(e, strip.rows, g, q, NULL, 1.0, e->wanted->norm_weight, adds(e));
        sum_rows(e, strip.rows, g, NULL, NULL, 1.0, e->wanted->norm_bias, adds(e));
    }
    LAUNCH(e, lcv_gpu_mlp_unnormalise, strip, norm_of(e), q, g);
}

static void through_window(execution *e)
{
    const lcv_gpu_strip strip = strip_with(e, e->problem->filters);
    void *g = at(e, e->at.g), *terms = at(e, e->at.q);
    if (e->mlp->decay_rate == NULL)
        return;
    if (e->wanted->decay_rate.data != NULL)
        LAUNCH(e, lcv_gpu_mlp_window_slope, strip, window_of(e), at(e, e->at.o), terms);
    sum_rows(e, strip.rows, g, terms, NULL, 1.0, e->wanted->decay_rate, adds(e));
    LAUNCH(e, lcv_gpu_mlp_window, strip, window_of(e), g, g);
}

/* to = (or +=) g times the transposed of `in`, over the positions of the strip. */
static void sum_outer(execution *e, const void *g, int64_t rows, lcv_array in, int64_t columns, lcv_array to)
{
    const lcv_matmul_params params = sum_params(e, rows, columns, e->count);
    if (to.data != NULL)
        multiply(e, &params, matrix(g, e), turned(in), to, NULL, adds(e));
}

/* Gradients of positions from `first` on, as features x positions. */
static lcv_array posenc_gradient(const execution *e, int64_t first)
{
    lcv_array to = view(e->wanted->posenc.data, e->wanted->posenc.stride[1], e->wanted->posenc.stride[0]);
    if (to.data != NULL)
        to.data = (char *)to.data + first * to.stride[2] * (int64_t)real_size(e);
    return to;
}

/* The transposed weight of layer `layer` times g: gradients of what went in, at `to`; those of the features
 * go to the caller's array. */
static void pass_down(execution *e, int64_t layer, lcv_array weight, int64_t rows, int64_t columns,
                      const void *g, void *to)
{
    const lcv_matmul_params params = layer_params(e, columns, e->count, rows);
    const bool is_last = layer == 0;
    const lcv_array c = is_last ? posenc_gradient(e, e->first) : matrix(to, e);
    if (c.data != NULL)
        multiply(e, &params, turned(weight), matrix(g, e), c, NULL, is_last && e->call->accumulate != 0);
}

/* Positions that a call does not ask for have no gradient: an empty sum. */
static void clear_posenc(execution *e, int64_t first, int64_t count)
{
    const lcv_matmul_params params = layer_params(e, e->mlp->features, count, 0);
    const lcv_array to = posenc_gradient(e, first), nothing = {0};
    if (to.data != NULL && e->call->accumulate == 0)
        multiply(e, &params, nothing, nothing, to, NULL, false);
}

static lcv_array weight_gradient(const execution *e, int64_t layer)
{
    const lcv_array *hidden = &e->wanted->weight_hidden;
    if (layer == 0)
        return matrix_gradient(&e->wanted->weight_in);
    lcv_array to = {hidden->data, {0, hidden->stride[1], hidden->stride[2]}};
    if (to.data != NULL)
        to.data = (char *)to.data + (layer - 1) * hidden->stride[0] * (int64_t)real_size(e);
    return to;
}

/* Entries of a layer: row `layer` of a table. */
static lcv_array row_gradient(const execution *e, const lcv_array *to, int64_t layer)
{
    lcv_array row = {to->data, {to->stride[1], 0, 0}};
    if (row.data != NULL)
        row.data = (char *)row.data + layer * to->stride[0] * (int64_t)real_size(e);
    return row;
}

/* grad, of the layer's values, becomes that of its matrix product; below: that of what went in. */
static void through_layer(execution *e, int64_t layer, void *grad, void *below)
{
    const lcv_mlp_problem *m = e->mlp;
    const lcv_gpu_strip strip = strip_with(e, m->width);
    const lcv_gpu_frequency frequency = frequency_of(e, layer);
    const void *before = layer_at(e, e->at.before, layer);
    int64_t inner;
    const lcv_array weight = weight_of(e, layer, &inner);
    LAUNCH(e, lcv_gpu_mlp_cosines, strip, frequency, before, grad);
    if (m->freq_per_layer)
        sum_rows(e, m->width, grad, before, NULL, m->freq_scale,
                 row_gradient(e, &e->wanted->sine_freq, layer), adds(e));
    else /* the layers' gradients add up, from the last to the first */
        sum_rows(e, m->width, grad, before, NULL, m->freq_scale, e->wanted->sine_freq,
                 adds(e) || layer < m->layers - 1);
    sum_rows(e, m->width, grad, NULL, frequency.sine_freq, m->freq_scale,
             row_gradient(e, &e->wanted->bias, layer), adds(e));
    LAUNCH(e, lcv_gpu_mlp_scale, strip, frequency, grad);
    sum_outer(e, grad, m->width, input_of(e, layer), inner, weight_gradient(e, layer));
    pass_down(e, layer, weight, m->width, inner, grad, below);
}

static void backward_strip(execution *e)
{
    void *grad = at(e, e->at.grad), *below = at(e, e->at.below);
    const void *g = at(e, e->at.g);
    const int64_t filters = e->problem->filters, layers = e->mlp->layers;
    run_strip(e);
    unnormalise(e);
    through_window(e);
    sum_outer(e, g, filters, input_of(e, layers), e->last, matrix_gradient(&e->wanted->weight_out));
    pass_down(e, layers, weight_out(e), filters, e->last, g, grad);
    for (int64_t layer = layers - 1; layer >= 0; layer--) {
        void *const other = grad;
        through_layer(e, layer, grad, below);
        grad = below;
        below = other;
    }
}

/* Of no taps at all: what a strip of no positions leaves. */
static void backward_of_nothing(execution *e)
{
    e->first = e->call->first;
    e->count = 0;
    if (e->call->accumulate == 0)
        backward_strip(e);
}

/* ---- Entries ---- */

lcv_status lcv_gpu_filter_query(void *self, const lcv_filter_problem *problem, int64_t count,
                                int32_t backward, size_t *workspace_bytes)
{
    lcv_gpu_device *device = self;
    const lcv_backend_host *host = device->host;
    execution e;
    if (lcv_gpu_is_exponential(problem))
        return lcv_gpu_exponential_query(device, problem, count, backward, workspace_bytes);
    if (strcmp(problem->family, "implicit_mlp") != 0)
        return host->fail(host, LCV_UNSUPPORTED, "backend: cuda does not evaluate the filter family %s",
                          problem->family);
    if (!plan(&e, device, problem, count, backward != 0))
        return host->fail(host, LCV_TOO_LARGE, "workspace: its size overflows");
    *workspace_bytes = e.at.bytes + LCV_GPU_ALIGNMENT;
    return LCV_OK;
}

static lcv_status begin(execution *e, lcv_gpu_device *device, const lcv_filter_problem *problem,
                        const lcv_filter_call *call, bool backward, lcv_gpu_visit *visit)
{
    (void)plan(e, device, problem, call->count, backward); /* the query has found that it fits */
    e->call = call;
    e->wanted = call->gradients;
    e->workspace = lcv_gpu_align(call->exec.workspace);
    return lcv_gpu_enter(device, visit);
}

/* Goes over the strips of a call. */
static void each_strip(execution *e, void (*body)(execution *e))
{
    const int64_t end = e->call->first + e->call->count;
    for (e->first = e->call->first; e->first < end && e->status == LCV_OK; e->first += e->strip) {
        e->count = min64(e->strip, end - e->first);
        body(e);
    }
}

static void evaluate_strip(execution *e)
{
    run_strip(e);
    LAUNCH(e, lcv_gpu_mlp_store, strip_with(e, e->problem->filters), norm_of(e), at(e, e->at.q), taps_of(e));
}

lcv_status lcv_gpu_filter_evaluate(void *device, const lcv_filter_problem *problem,
                                   const lcv_filter_call *call)
{
    execution e;
    lcv_gpu_visit visit;
    if (lcv_gpu_is_exponential(problem))
        return lcv_gpu_exponential_evaluate(device, problem, call);
    const lcv_status status = begin(&e, device, problem, call, false, &visit);
    if (status != LCV_OK)
        return status;
    each_strip(&e, evaluate_strip);
    lcv_gpu_leave(&visit);
    return e.status;
}

lcv_status lcv_gpu_filter_backward(void *device, const lcv_filter_problem *problem,
                                   const lcv_filter_call *call)
{
    execution e;
    lcv_gpu_visit visit;
    if (lcv_gpu_is_exponential(problem))
        return lcv_gpu_exponential_backward(device, problem, call);
    const lcv_status status = begin(&e, device, problem, call, true, &visit);
    if (status != LCV_OK)
        return status;
    const int64_t end = call->first + call->count;
    if (call->count == 0)
        backward_of_nothing(&e);
    clear_posenc(&e, 0, call->first);
    clear_posenc(&e, end, problem->max_len - end);
    each_strip(&e, backward_strip);
    lcv_gpu_leave(&visit);
    return e.status;
}
