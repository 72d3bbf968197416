/* SPDX-License-Identifier: BSD-3-Clause */
/* Family gabor: FlexConv's multiplicative network of Gabor functions under a bell curve, which learns how
 * long the filters are. Taps where the bell is below a threshold are cut away: they are 0, and cost nothing.
 * Positions are those of family siren: 1 is lag 0, -1 the lag max_len - 1. */
#include "../size.h"
#include "gabor_net.h"

#include <math.h>

LCVI_EXACT_ARITHMETIC

enum { WIDTH, DEPTH, INPUT_SCALE, MASK, MASK_SIGMA, CROP, CROP_AT };

static const lcvi_option options[] = {
    LCVI_OPTION_INTEGER_ROW("mlp_width", "32", 1, 16384, "Gabor functions of each layer"),
    LCVI_OPTION_INTEGER_ROW("mlp_depth", "3", 0, 64, "layers after the first"),
    LCVI_OPTION_REAL_ROW("input_scale", "25.6", -1e6, 1e6, "scale of the initial frequencies"),
    LCVI_OPTION_BOOLEAN_ROW("mask", "1", "multiply by the bell curve"),
    LCVI_OPTION_REAL_ROW("mask_sigma", "0.075", 1e-6, 1e6, "initial width of the bell curve"),
    LCVI_OPTION_BOOLEAN_ROW("crop", "1", "are taps where the bell curve is low 0?"),
    LCVI_OPTION_REAL_ROW("crop_at", "0.1", 1e-300, 1, "the height of the curve below which they are"),
};

static int64_t integer(const lcv_filter *filter, int option)
{
    return filter->option[option].integer;
}

/* ---- Configuration ---- */

static bool is_present(const lcv_filter *filter, int slot)
{
    if (slot == LCVI_GABOR_HIDDEN || slot == LCVI_GABOR_BIAS)
        return integer(filter, DEPTH) > 0;
    return slot != LCVI_GABOR_MASK || integer(filter, MASK) != 0;
}

static lcv_status declare(lcv_filter *filter, int slot)
{
    static const struct {
        const char *name, *axes, *help;
    } texts[LCVI_GABOR_SLOTS] = {
        [LCVI_GABOR_GAMMA] = {"gamma", "mlp_depth + 1, mlp_width", "how narrow the Gabor functions are"},
        [LCVI_GABOR_MU] = {"mu", "mlp_depth + 1, mlp_width", "their middles"},
        [LCVI_GABOR_FREQUENCY] = {"frequency", "mlp_depth + 1, mlp_width", "A, frequencies of their sines"},
        [LCVI_GABOR_PHASE] = {"phase", "mlp_depth + 1, mlp_width", "c, phases of their sines"},
        [LCVI_GABOR_HIDDEN] = {"weight_hidden", "mlp_depth, mlp_width, mlp_width", "W_1 and on"},
        [LCVI_GABOR_BIAS] = {"bias", "mlp_depth, mlp_width", "b_1 and on"},
        [LCVI_GABOR_OUT] = {"weight_out", "filters, mlp_width", "W_out, last matrix"},
        [LCVI_GABOR_BIAS_OUT] = {"bias_out", "filters", "constant of each filter, under the bell curve"},
        [LCVI_GABOR_MASK] = {"mask", "2",
                             "middle and width of the bell curve; the sign of the width is no matter"},
    };
    const int64_t width = integer(filter, WIDTH), depth = integer(filter, DEPTH);
    const int64_t shapes[LCVI_GABOR_SLOTS][LCV_MAX_RANK] = {[LCVI_GABOR_GAMMA] = {depth + 1, width},
                                                            [LCVI_GABOR_MU] = {depth + 1, width},
                                                            [LCVI_GABOR_FREQUENCY] = {depth + 1, width},
                                                            [LCVI_GABOR_PHASE] = {depth + 1, width},
                                                            [LCVI_GABOR_HIDDEN] = {depth, width, width},
                                                            [LCVI_GABOR_BIAS] = {depth, width},
                                                            [LCVI_GABOR_OUT] = {filter->filters, width},
                                                            [LCVI_GABOR_BIAS_OUT] = {filter->filters},
                                                            [LCVI_GABOR_MASK] = {2}};
    lcv_port_info port = {
        .name = texts[slot].name, .axes = texts[slot].axes, .help = texts[slot].help, .trainable = 1};
    for (int32_t axis = 0; axis < LCV_MAX_RANK && shapes[slot][axis] > 0; axis++)
        port.shape[port.rank++] = shapes[slot][axis];
    return lcvi_filter_declare(filter, &port);
}

/* Gives every slot a place among the values. */
static bool place_values(const lcv_filter *filter, lcvi_gabor *head)
{
    bool fits = true;
    for (int slot = 0; fits && slot < LCVI_GABOR_SLOTS; slot++) {
        const int32_t parameter = head->slots.parameter[slot];
        fits = lcvi_add(head->first[slot], parameter >= 0 ? filter->parameters.elements[parameter] : 0,
                        &head->first[slot + 1]);
    }
    return fits;
}

/* The network with a place for all parameters. */
static lcv_status make_net(lcv_filter *filter, lcvi_gabor *head)
{
    size_t bytes, all;
    if (!place_values(filter, head) || !lcvi_bytes(head->first[LCVI_GABOR_SLOTS], sizeof(double), &bytes) ||
        __builtin_add_overflow(bytes, sizeof *head, &all) || all > PTRDIFF_MAX / 4)
        return lcvi_fail(filter->context, LCV_TOO_LARGE, "channels, mlp_width: the parameters overflow");
    const lcv_status status = lcvi_filter_own(filter, all);
    if (status == LCV_OK)
        *(lcvi_gabor *)filter->own = *head;
    return status;
}

static lcv_status configure(lcv_filter *filter)
{
    lcvi_gabor head = {.width = integer(filter, WIDTH),
                       .depth = integer(filter, DEPTH),
                       .filters = filter->filters,
                       .max_len = filter->max_len,
                       .taps = filter->max_len};
    const lcv_status status = lcvi_slots_declare(filter, &head.slots, LCVI_GABOR_SLOTS, is_present, declare);
    return status == LCV_OK ? make_net(filter, &head) : status;
}

/* ---- New values ---- */

/* Where the bell falls to the threshold; positions up to there are cut away when it is within them. */
static int64_t kept_taps(const lcv_filter *filter, const lcvi_gabor *net)
{
    const double *mask = net->values + net->first[LCVI_GABOR_MASK];
    if (integer(filter, MASK) == 0 || integer(filter, CROP) == 0)
        return net->max_len;
    const double root = mask[0] - fabs(mask[1]) * sqrt(-2.0 * log(filter->option[CROP_AT].real));
    if (!(fabs(root) < 1.0))
        return net->max_len;
    int64_t low = 0, high = net->max_len; /* tap `low` is kept, `high` is not */
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        const double position = lcvi_gabor_position(net, middle);
        if (position > root ||
            (mask[1] == 0.0 && position == root)) /* the middle of a bell of width 0 stays */
            low = middle;
        else
            high = middle;
    }
    return high;
}

static void changed(lcv_filter *filter)
{
    lcvi_gabor *net = filter->own;
    for (int slot = 0; slot < LCVI_GABOR_SLOTS; slot++)
        if (net->slots.parameter[slot] >= 0)
            lcvi_filter_load(filter, net->slots.parameter[slot], 0, net->first[slot + 1] - net->first[slot],
                             net->values + net->first[slot]);
    net->taps = kept_taps(filter, net);
}

/* ---- Initial values ---- */

/* A number of the gamma distribution with this shape (and scale 1), by Marsaglia and Tsang's method, and
 * for shapes below 1 by its own corollary. The same for the same index. */
static double random_gamma(const lcvi_random *random, int64_t index, double shape)
{
    enum { TRIES = 62 };
    const double d = (shape < 1.0 ? shape + 1.0 : shape) - 1.0 / 3.0, c = 1.0 / sqrt(9.0 * d);
    const int64_t first = index * (2 * TRIES + 1);
    double value = d;
    for (int64_t i = 0; i < TRIES; i++) {
        const double x = lcvi_random_normal(random, first + 2 * i), root = 1.0 + c * x;
        const double u = 1.0 - lcvi_random_uniform(random, first + 2 * i + 1), v = root * root * root;
        if (root <= 0.0 || lcvi_exact_log(u) >= 0.5 * x * x + d - d * v + d * lcvi_exact_log(v))
            continue;
        value = d * v;
        break;
    }
    if (shape >= 1.0)
        return value;
    const double u = 1.0 - lcvi_random_uniform(random, first + 2 * (int64_t)TRIES);
    return value * lcvi_exact_exp(lcvi_exact_log(u) / shape);
}

static double initial_gamma(const lcv_filter *filter, const lcvi_random *random, int64_t index)
{
    const int64_t layer = index / integer(filter, WIDTH);
    return random_gamma(random, index, 6.0 / (double)(layer + 1));
}

static double initial(const lcv_filter *filter, int slot, const lcvi_random *random, int64_t index)
{
    const double pi = 3.14159265358979323846, width = (double)integer(filter, WIDTH);
    const double sigma = filter->option[MASK_SIGMA].real, spread = 1.667 * sigma;
    const lcvi_random gammas = lcvi_random_stream(random->seed, "gamma");
    switch (slot) {
    case LCVI_GABOR_GAMMA:
        return initial_gamma(filter, random, index);
    case LCVI_GABOR_MU:
        return lcvi_random_between(random, index, -1.0, 1.0) * (spread < 1.0 ? spread : 1.0);
    case LCVI_GABOR_FREQUENCY:
        return lcvi_random_between(random, index, -1.0, 1.0) * filter->option[INPUT_SCALE].real /
               sqrt((double)(integer(filter, DEPTH) + 1)) * initial_gamma(filter, &gammas, index);
    case LCVI_GABOR_PHASE:
        return lcvi_random_between(random, index, -pi, pi);
    case LCVI_GABOR_HIDDEN:
    case LCVI_GABOR_OUT:
        return lcvi_random_between(random, index, -1.0 / sqrt(width), 1.0 / sqrt(width));
    case LCVI_GABOR_MASK:
        return index == 0 ? 1.0 : sigma;
    default:
        return 0.0;
    }
}

static void initialise(const lcv_filter *filter, int32_t parameter, const lcvi_random *random, int64_t first,
                       int64_t count, double *values)
{
    const int slot = lcvi_slot_of(filter, parameter);
    for (int64_t i = 0; i < count; i++)
        values[i] = initial(filter, slot, random, first + i);
}

/* ---- Taps and gradients ---- */

static bool workspace(const lcv_filter *filter, int64_t seqlen, int64_t count, bool backward, size_t *bytes)
{
    (void)seqlen, (void)count;
    return lcvi_gabor_workspace(filter->own, backward, bytes);
}

static void evaluate(const lcv_filter *filter, const lcvi_filter_call *call)
{
    lcvi_gabor_evaluate(filter->own, call);
}

static void backward(const lcv_filter *filter, const lcvi_filter_call *call)
{
    lcvi_gabor_backward(filter->own, call);
}

const lcvi_family lcvi_family_gabor = {
    .name = "gabor",
    .summary = "a multiplicative network of Gabor functions under a bell curve of learned width (FlexConv)",
    .formula = "h[t] = m(p) (W_out z_n + b_out), z_j = f_j(p) (W_j z_(j-1) + b_j), f(p) = exp(-(gamma (p - "
               "mu))^2 / 2) "
               "sin(A p + c), p from 1 to -1",
    .source =
        "Romero et al., FlexConv: Continuous Kernel Convolutions with Differentiable Kernel Sizes (2022)",
    .options = {options, sizeof options / sizeof options[0]},
    .configure = configure,
    .initialise = initialise,
    .changed = changed,
    .workspace = workspace,
    .evaluate = evaluate,
    .backward = backward,
};
