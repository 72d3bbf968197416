/* SPDX-License-Identifier: BSD-3-Clause */
/* Family siren: an MLP with sines over the position, CKConv's kernel network. Its sine layers and its last
 * matrix are family implicit_mlp's network with the position as the one feature, so backends evaluate it;
 * around them come matrices of weights whose rows have learned lengths (weight_norm), and the last bias.
 * Position 1 is lag 0 and -1 the lag max_len - 1: a shorter filter is a longer one cut off. */
#include "../size.h"
#include "dispatch.h"
#include "slots.h"

#include <math.h>
#include <string.h>

LCVI_EXACT_ARITHMETIC

enum { WIDTH, DEPTH, OMEGA, WEIGHT_NORM, INIT };
enum { INIT_SIREN, INIT_UNIFORM };
enum { CHUNK = 256 };

static const lcvi_option options[] = {
    LCVI_OPTION_INTEGER_ROW("mlp_width", "32", 1, 16384, "neurons of each layer"),
    LCVI_OPTION_INTEGER_ROW("mlp_depth", "1", 0, 64, "layers of sines after the first"),
    LCVI_OPTION_REAL_ROW("omega", "30", -1e6, 1e6, "frequency of all sines, of their bias too"),
    LCVI_OPTION_BOOLEAN_ROW("weight_norm", "1", "rows of weights are a direction and a length"),
    LCVI_OPTION_CHOICE_ROW(
        "init", "siren", "siren uniform",
        "initial weights: the paper's, or within 1/sqrt(inputs) as the published code ends with"),
};

/* The matrices, one below the other where there are several of one kind. */
enum { IN, HIDDEN, OUT, MATRICES };

enum { WEIGHT, NORM = WEIGHT + MATRICES, BIAS = NORM + MATRICES, BIAS_OUT, SLOTS };

static const char *const names[SLOTS] = {[WEIGHT + IN] = "weight_in",
                                         [WEIGHT + HIDDEN] = "weight_hidden",
                                         [WEIGHT + OUT] = "weight_out",
                                         [NORM + IN] = "norm_in",
                                         [NORM + HIDDEN] = "norm_hidden",
                                         [NORM + OUT] = "norm_out",
                                         [BIAS] = "bias",
                                         [BIAS_OUT] = "bias_out"};

/* filter->own: the slots, and where the tables in the instance's dtype lie, in bytes. */
typedef struct tables {
    lcvi_slots slots;
    size_t positions, ones, weight[MATRICES];
} tables;

static int64_t integer(const lcv_filter *filter, int option)
{
    return filter->option[option].integer;
}

static int64_t inputs_of(const lcv_filter *filter, int matrix)
{
    return matrix == IN ? 1 : integer(filter, WIDTH);
}

static int64_t rows_of(const lcv_filter *filter, int matrix)
{
    const int64_t rows[MATRICES] = {[IN] = integer(filter, WIDTH),
                                    [HIDDEN] = integer(filter, DEPTH) * integer(filter, WIDTH),
                                    [OUT] = filter->filters};
    return rows[matrix];
}

static bool is_normed(const lcv_filter *filter)
{
    return integer(filter, WEIGHT_NORM) != 0;
}

/* ---- Configuration ---- */

static bool is_present(const lcv_filter *filter, int slot)
{
    if (slot == WEIGHT + HIDDEN || slot == NORM + HIDDEN)
        return integer(filter, DEPTH) > 0 && (slot != NORM + HIDDEN || is_normed(filter));
    return (slot != NORM + IN && slot != NORM + OUT) || is_normed(filter);
}

static lcv_status declare(lcv_filter *filter, int slot)
{
    const int64_t width = integer(filter, WIDTH), depth = integer(filter, DEPTH), filters = filter->filters;
    static const char *const axes[SLOTS] = {
        [WEIGHT + IN] = "mlp_width, 1",           [WEIGHT + HIDDEN] = "mlp_depth, mlp_width, mlp_width",
        [WEIGHT + OUT] = "filters, mlp_width",    [NORM + IN] = "mlp_width",
        [NORM + HIDDEN] = "mlp_depth, mlp_width", [NORM + OUT] = "filters",
        [BIAS] = "mlp_depth + 1, mlp_width",      [BIAS_OUT] = "filters"};
    static const char *const help[SLOTS] = {[WEIGHT + IN] = "W_0, or its rows' directions",
                                            [WEIGHT + HIDDEN] = "W_1 and on, or their directions",
                                            [WEIGHT + OUT] = "W_out, or its rows' directions",
                                            [NORM + IN] = "lengths of the rows of W_0",
                                            [NORM + HIDDEN] = "lengths of the rows of W_1 and on",
                                            [NORM + OUT] = "lengths of the rows of W_out",
                                            [BIAS] = "b, of the layers of sines",
                                            [BIAS_OUT] = "constant of each filter"};
    const int64_t shapes[SLOTS][LCV_MAX_RANK] = {
        [WEIGHT + IN] = {width, 1},        [WEIGHT + HIDDEN] = {depth, width, width},
        [WEIGHT + OUT] = {filters, width}, [NORM + IN] = {width},
        [NORM + HIDDEN] = {depth, width},  [NORM + OUT] = {filters},
        [BIAS] = {depth + 1, width},       [BIAS_OUT] = {filters}};
    lcv_port_info port = {.name = names[slot], .axes = axes[slot], .help = help[slot], .trainable = 1};
    for (int32_t axis = 0; axis < LCV_MAX_RANK && shapes[slot][axis] > 0; axis++)
        port.shape[port.rank++] = shapes[slot][axis];
    return lcvi_filter_declare(filter, &port);
}

/* Places `count` numbers of the instance's dtype behind those that are there. */
static bool reserve(const lcv_filter *filter, int64_t count, size_t *end, size_t *place)
{
    size_t bytes;
    *place = *end;
    return lcvi_bytes(count, lcv_dtype_size(filter->dtype), &bytes) && bytes < PTRDIFF_MAX / 16 &&
           !__builtin_add_overflow(*end, (bytes + 63) / 64 * 64, end);
}

static lcv_status make_tables(lcv_filter *filter)
{
    tables places = {.positions = 0};
    size_t end = (sizeof places + 63) / 64 * 64;
    bool fits = reserve(filter, filter->max_len, &end, &places.positions) &&
                reserve(filter, integer(filter, WIDTH), &end, &places.ones);
    for (int matrix = 0; fits && matrix < MATRICES; matrix++) {
        int64_t count;
        fits = lcvi_mul(rows_of(filter, matrix), inputs_of(filter, matrix), &count) &&
               reserve(filter, count, &end, &places.weight[matrix]);
    }
    if (!fits)
        return lcvi_fail(filter->context, LCV_TOO_LARGE, "channels, mlp_width: the weights overflow");
    const lcv_status status = lcvi_filter_own(filter, end);
    if (status == LCV_OK)
        *(tables *)filter->own = places;
    return status;
}

static void *table_at(const lcv_filter *filter, size_t place)
{
    return (char *)filter->own + place;
}

static void fill_tables(lcv_filter *filter)
{
    const tables *own = filter->own;
    const int64_t last = filter->max_len - 1;
    for (int64_t t = 0; t <= last; t++)
        lcvi_store(table_at(filter, own->positions), filter->dtype, t,
                   last > 0 ? 1.0 - 2.0 * ((double)t / (double)last) : 1.0);
    for (int64_t i = 0; i < integer(filter, WIDTH); i++)
        lcvi_store(table_at(filter, own->ones), filter->dtype, i, 1.0);
}

static lcv_status configure(lcv_filter *filter)
{
    lcv_status status = make_tables(filter);
    if (status == LCV_OK)
        fill_tables(filter);
    return status == LCV_OK ? lcvi_slots_declare(filter, filter->own, SLOTS, is_present, declare) : status;
}

/* ---- Initial values ---- */

static double initial_weight(const lcv_filter *filter, int matrix, const lcvi_random *random, int64_t index)
{
    const double inputs = (double)inputs_of(filter, matrix), omega = fabs(filter->option[OMEGA].real);
    double bound = 1.0 / sqrt(inputs);
    if (integer(filter, INIT) == INIT_SIREN && matrix != IN && omega > 0.0)
        bound = sqrt(6.0 / inputs) / omega;
    return lcvi_random_between(random, index, -bound, bound);
}

/* The length that the initial weights of a row have. */
static double initial_norm(const lcv_filter *filter, int matrix, const lcvi_random *random, int64_t row)
{
    const lcvi_random weights = lcvi_random_stream(random->seed, names[WEIGHT + matrix]);
    const int64_t inputs = inputs_of(filter, matrix);
    double sum = 0.0;
    for (int64_t i = 0; i < inputs; i++) {
        const double weight = initial_weight(filter, matrix, &weights, row * inputs + i);
        sum += weight * weight;
    }
    return sqrt(sum);
}

static double initial(const lcv_filter *filter, int slot, const lcvi_random *random, int64_t index)
{
    if (slot < NORM)
        return initial_weight(filter, slot - WEIGHT, random, index);
    if (slot < BIAS)
        return initial_norm(filter, slot - NORM, random, index);
    if (slot == BIAS_OUT && integer(filter, INIT) == INIT_SIREN)
        return 0.0;
    return lcvi_random_between(random, index, -1.0, 1.0);
}

static void initialise(const lcv_filter *filter, int32_t parameter, const lcvi_random *random, int64_t first,
                       int64_t count, double *values)
{
    const int slot = lcvi_slot_of(filter, parameter);
    for (int64_t i = 0; i < count; i++)
        values[i] = initial(filter, slot, random, first + i);
}

/* ---- Weights from directions and lengths ---- */

static double length_of(const lcv_filter *filter, int matrix, int64_t row)
{
    const int64_t inputs = inputs_of(filter, matrix);
    double sum = 0.0;
    for (int64_t i = 0; i < inputs; i++) {
        const double v = lcvi_load(lcvi_slot_data(filter, WEIGHT + matrix), filter->dtype, row * inputs + i);
        sum += v * v;
    }
    return sqrt(sum);
}

/* A direction of zeros has no weights. */
static void fill_row(const lcv_filter *filter, int matrix, int64_t row)
{
    const int64_t inputs = inputs_of(filter, matrix);
    const double length = length_of(filter, matrix, row);
    const double wanted = lcvi_load(lcvi_slot_data(filter, NORM + matrix), filter->dtype, row);
    void *weights = table_at(filter, ((const tables *)filter->own)->weight[matrix]);
    for (int64_t i = row * inputs; i < (row + 1) * inputs; i++) {
        const double v = lcvi_load(lcvi_slot_data(filter, WEIGHT + matrix), filter->dtype, i);
        lcvi_store(weights, filter->dtype, i, length > 0.0 ? wanted * (v / length) : 0.0);
    }
}

static void changed(lcv_filter *filter)
{
    for (int matrix = 0; is_normed(filter) && matrix < MATRICES; matrix++)
        for (int64_t row = 0; row < rows_of(filter, matrix); row++)
            fill_row(filter, matrix, row);
}

static const void *weights_of(const lcv_filter *filter, int matrix)
{
    return is_normed(filter) ? table_at(filter, ((const tables *)filter->own)->weight[matrix])
                             : lcvi_slot_data(filter, WEIGHT + matrix);
}

/* ---- The network as backends see it ---- */

/* Memory of a backward call: gradients of the weights, where they are not those of parameters. */
static bool places_of(const lcv_filter *filter, size_t place[MATRICES], size_t *end)
{
    bool fits = true;
    *end = 0;
    for (int matrix = 0; fits && matrix < MATRICES; matrix++)
        fits = reserve(filter, rows_of(filter, matrix) * inputs_of(filter, matrix), end, &place[matrix]);
    return fits;
}

static bool around(const lcv_filter *filter, bool backward, size_t *bytes)
{
    size_t place[MATRICES];
    *bytes = 0;
    return !backward || !is_normed(filter) || places_of(filter, place, bytes);
}

static lcv_array weight_gradient(const lcv_filter *filter, const lcvi_filter_call *call, int matrix)
{
    const bool wanted = lcvi_sink_wanted(lcvi_slot_gradient(call, WEIGHT + matrix)) ||
                        lcvi_sink_wanted(lcvi_slot_gradient(call, NORM + matrix));
    const int64_t inputs = inputs_of(filter, matrix);
    size_t place[MATRICES], end;
    if (!is_normed(filter))
        return lcvi_slot_gradient(call, WEIGHT + matrix)->array;
    if (!wanted || !places_of(filter, place, &end))
        return (lcv_array){0};
    void *memory = (char *)call->workspace + place[matrix];
    return matrix == HIDDEN ? (lcv_array){memory, {inputs * inputs, inputs, 1}}
                            : (lcv_array){memory, {inputs, 1, 0}};
}

/* Gradients may be added to what is there, so that nothing must be there. */
static void clear_weight_gradients(const lcv_filter *filter, const lcvi_filter_call *call)
{
    for (int matrix = 0; is_normed(filter) && matrix < MATRICES; matrix++) {
        const int64_t count = rows_of(filter, matrix) * inputs_of(filter, matrix);
        void *memory = weight_gradient(filter, call, matrix).data;
        if (memory != NULL)
            memset(memory, 0, (size_t)count * lcv_dtype_size(filter->dtype));
    }
}

static void hand_over(const lcv_filter *filter, const lcvi_filter_call *call, lcvi_handover *to)
{
    const tables *own = filter->own;
    to->problem.family = "implicit_mlp";
    to->details.mlp = (lcv_mlp_problem){
        .features = 1,
        .width = integer(filter, WIDTH),
        .layers = integer(filter, DEPTH) + 1,
        .posenc = table_at(filter, own->positions),
        .weight_in = weights_of(filter, IN),
        .weight_hidden = weights_of(filter, HIDDEN),
        .bias = lcvi_slot_data(filter, BIAS),
        .weight_out = weights_of(filter, OUT),
        .sine_freq = table_at(filter, own->ones),
        .freq_scale = filter->option[OMEGA].real,
    };
    if (call == NULL)
        return;
    clear_weight_gradients(filter, call);
    to->gradients.mlp = (lcv_mlp_gradients){
        .weight_in = weight_gradient(filter, call, IN),
        .weight_hidden = weight_gradient(filter, call, HIDDEN),
        .bias = lcvi_slot_gradient(call, BIAS)->array,
        .weight_out = weight_gradient(filter, call, OUT),
    };
}

/* ---- What comes after the network ---- */

static void add_bias(void *arg, int64_t row)
{
    const lcvi_filter_call *call = arg;
    const lcv_filter *filter = call->filter;
    const double bias = lcvi_load(lcvi_slot_data(filter, BIAS_OUT), filter->dtype, row);
    double values[CHUNK];
    for (int64_t t = 0; t < call->count; t += CHUNK) {
        const int64_t count = call->count - t < CHUNK ? call->count - t : CHUNK;
        lcvi_taps_read(filter, call, row, t, count, values);
        for (int64_t i = 0; i < count; i++)
            values[i] += bias;
        lcvi_taps_write(filter, call, row, t, count, values);
    }
}

static void write_bias_gradient(void *arg, int64_t row)
{
    const lcvi_filter_call *call = arg;
    double values[CHUNK], sum = 0.0;
    for (int64_t t = 0; t < call->count; t += CHUNK) {
        const int64_t count = call->count - t < CHUNK ? call->count - t : CHUNK;
        lcvi_taps_read(call->filter, call, row, t, count, values);
        for (int64_t i = 0; i < count; i++)
            sum += values[i];
    }
    lcvi_sink_write(lcvi_slot_gradient(call, BIAS_OUT), row, 1, &sum);
}

/* With u = v / |v|, w = g u: dg = dw . u, dv = g / |v| (dw - (dw . u) u). */
static void write_row_gradient(const lcv_filter *filter, const lcvi_filter_call *call, int matrix,
                               int64_t row)
{
    const int64_t inputs = inputs_of(filter, matrix);
    const void *v = lcvi_slot_data(filter, WEIGHT + matrix);
    const void *dw = weight_gradient(filter, call, matrix).data;
    const double length = length_of(filter, matrix, row);
    const double wanted = lcvi_load(lcvi_slot_data(filter, NORM + matrix), filter->dtype, row);
    double along = 0.0;
    for (int64_t i = row * inputs; length > 0.0 && i < (row + 1) * inputs; i++)
        along += lcvi_load(dw, filter->dtype, i) * (lcvi_load(v, filter->dtype, i) / length);
    lcvi_sink_write(lcvi_slot_gradient(call, NORM + matrix), row, 1, &along);
    for (int64_t i = row * inputs; i < (row + 1) * inputs; i++) {
        const double across =
            lcvi_load(dw, filter->dtype, i) - along * (lcvi_load(v, filter->dtype, i) / length);
        const double gradient = length > 0.0 ? wanted / length * across : 0.0;
        lcvi_sink_write(lcvi_slot_gradient(call, WEIGHT + matrix), i, 1, &gradient);
    }
}

static void finish(const lcv_filter *filter, const lcvi_filter_call *call, bool backward)
{
    lcvi_filter_call own = *call;
    own.filter = filter;
    lcvi_filter_parallel(filter, call, filter->filters, backward ? write_bias_gradient : add_bias, &own);
    for (int matrix = 0; backward && is_normed(filter) && matrix < MATRICES; matrix++)
        if (weight_gradient(filter, call, matrix).data != NULL)
            for (int64_t row = 0; row < rows_of(filter, matrix); row++)
                write_row_gradient(filter, call, matrix, row);
}

const lcvi_family lcvi_family_siren = {
    .name = "siren",
    .summary = "an MLP with sine activations over the position, with normed weights (CKConv)",
    .formula =
        "h[t] = W_out s(W_m .. s(W_0 p_t + b_0) .. + b_m) + b_out, s(a) = sin(omega a), p from 1 to -1",
    .source =
        "Romero et al., CKConv: Continuous Kernel Convolution for Sequential Data (2022); Sitzmann et al., "
        "Implicit Neural Representations with Periodic Activation Functions (2020)",
    .options = {options, sizeof options / sizeof options[0]},
    .configure = configure,
    .initialise = initialise,
    .changed = changed,
    .hand_over = hand_over,
    .around = around,
    .finish = finish,
    .workspace = lcvi_mlp_workspace,
    .evaluate = lcvi_mlp_evaluate,
    .backward = lcvi_mlp_backward,
};
