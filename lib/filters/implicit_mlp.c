/* SPDX-License-Identifier: BSD-3-Clause */
/* Family implicit_mlp: an MLP with sine activations over positions, under an exponential decay window. The
 * names of the options in the reference implementations: posenc_dim is emb_dim, mlp_width order, mlp_depth
 * num_inner_mlps, sine_freq w, freq_scale w_mod, linear linear_mixer, norm=l1 normalized. Time and phases are
 * measured in max_len, not in seqlen: a shorter filter is a longer one cut off. */
#include "../turns.h"
#include "dispatch.h"
#include "slots.h"

#include <math.h>

enum {
    POSENC_DIM,
    POSENC_LEARN,
    LINEAR,
    MLP_WIDTH,
    MLP_DEPTH,
    SINE_FREQ,
    FREQ_FORM,
    FREQ_LEARN,
    FREQ_SCALE,
    WINDOW,
    FAST_DECAY,
    SLOW_DECAY,
    TARGET,
    SHIFT,
    DECAY_LEARN,
    NORM,
    NORM_EPSILON
};

enum { FREQ_SHARED, FREQ_LAYER };

static const lcvi_option options[] = {
    LCVI_OPTION_INTEGER_ROW("posenc_dim", "3", 1, 4095, "positional features, odd: time and pairs of waves"),
    LCVI_OPTION_BOOLEAN_ROW("posenc_learn", "1", "the positional features have a gradient"),
    LCVI_OPTION_BOOLEAN_ROW("linear", "0", "no layers of sines: the taps are linear in the features"),
    LCVI_OPTION_INTEGER_ROW("mlp_width", "16", 1, 16384, "neurons of each layer"),
    LCVI_OPTION_INTEGER_ROW("mlp_depth", "2", 0, 64, "layers of sines after the first"),
    LCVI_OPTION_REAL_ROW("sine_freq", "1", -1e6, 1e6, "initial frequency of the sines"),
    LCVI_OPTION_CHOICE_ROW("freq_form", "shared", "shared layer",
                           "one vector of frequencies, or one a layer"),
    LCVI_OPTION_BOOLEAN_ROW("freq_learn", "1", "the frequencies have a gradient"),
    LCVI_OPTION_REAL_ROW("freq_scale", "1", -1e6, 1e6, "constant factor of all frequencies"),
    LCVI_OPTION_BOOLEAN_ROW("window", "1", "multiply by the decay window"),
    LCVI_OPTION_REAL_ROW("fast_decay", "0.3", 1e-6, 1e6, "time in which the fastest window falls to target"),
    LCVI_OPTION_REAL_ROW("slow_decay", "1.5", 1e-6, 1e6, "time in which the slowest window falls to target"),
    LCVI_OPTION_REAL_ROW("target", "0.01", 1e-30, 1, "what windows fall to"),
    LCVI_OPTION_REAL_ROW("shift", "0", -1e6, 1e6, "constant added to the decaying window"),
    LCVI_OPTION_BOOLEAN_ROW("decay_learn", "0", "the decay rates have a gradient"),
    LCVI_OPTION_CHOICE_ROW("norm", "none", "none l1 layer",
                           "over the filters at each position: sum of magnitudes, layer norm"),
    LCVI_OPTION_REAL_ROW("norm_eps", "1e-5", 0, 1, "added to the variance of the layer norm"),
};

/* The parameters; an instance has those that its options call for. */
enum {
    POSENC,
    WEIGHT_IN,
    WEIGHT_HIDDEN,
    BIAS,
    WEIGHT_OUT,
    FREQUENCY,
    DECAY_RATE,
    NORM_WEIGHT,
    NORM_BIAS,
    SLOTS
};

static int64_t integer(const lcv_filter *filter, int option)
{
    return filter->option[option].integer;
}

static double real(const lcv_filter *filter, int option)
{
    return filter->option[option].real;
}

static int64_t layers_of(const lcv_filter *filter)
{
    return integer(filter, LINEAR) ? 0 : integer(filter, MLP_DEPTH) + 1;
}

/* ---- Configuration ---- */

static bool is_present(const lcv_filter *filter, int slot)
{
    switch (slot) {
    case WEIGHT_IN:
    case BIAS:
    case FREQUENCY:
        return layers_of(filter) > 0;
    case WEIGHT_HIDDEN:
        return layers_of(filter) > 1;
    case DECAY_RATE:
        return integer(filter, WINDOW) != 0;
    case NORM_WEIGHT:
    case NORM_BIAS:
        return integer(filter, NORM) == LCV_MLP_NORM_LAYER;
    default:
        return true;
    }
}

static lcv_status declare(lcv_filter *filter, int slot)
{
    const int64_t features = integer(filter, POSENC_DIM), width = integer(filter, MLP_WIDTH);
    const int64_t layers = layers_of(filter), filters = filter->filters;
    const bool each = integer(filter, FREQ_FORM) == FREQ_LAYER;
    const lcv_port_info ports[SLOTS] = {
        [POSENC] = {.name = "posenc",
                    .axes = "max_len, posenc_dim",
                    .help = "z, positional features",
                    .rank = 2,
                    .shape = {filter->max_len, features},
                    .trainable = (int32_t)integer(filter, POSENC_LEARN)},
        [WEIGHT_IN] = {.name = "weight_in",
                       .axes = "mlp_width, posenc_dim",
                       .help = "W_0, first layer",
                       .rank = 2,
                       .shape = {width, features},
                       .trainable = 1},
        [WEIGHT_HIDDEN] = {.name = "weight_hidden",
                           .axes = "mlp_depth, mlp_width, mlp_width",
                           .help = "W_1 and on, the other layers of sines",
                           .rank = 3,
                           .shape = {layers - 1, width, width},
                           .trainable = 1},
        [BIAS] = {.name = "bias",
                  .axes = "mlp_depth + 1, mlp_width",
                  .help = "b, of the layers of sines",
                  .rank = 2,
                  .shape = {layers, width},
                  .trainable = 1},
        [WEIGHT_OUT] = {.name = "weight_out",
                        .axes = layers > 0 ? "filters, mlp_width" : "filters, posenc_dim",
                        .help = "W_out, last layer",
                        .rank = 2,
                        .shape = {filters, layers > 0 ? width : features},
                        .trainable = 1},
        [FREQUENCY] = {.name = "sine_freq",
                       .axes = each ? "mlp_depth + 1, mlp_width" : "mlp_width",
                       .help = "freq, frequencies of the sines",
                       .rank = each ? 2 : 1,
                       .shape = {each ? layers : width, each ? width : 0},
                       .trainable = (int32_t)integer(filter, FREQ_LEARN)},
        [DECAY_RATE] = {.name = "decay_rate",
                        .axes = "filters",
                        .help = "delta, of the window; its magnitude counts",
                        .rank = 1,
                        .shape = {filters},
                        .trainable = (int32_t)integer(filter, DECAY_LEARN)},
        [NORM_WEIGHT] = {.name = "norm_weight",
                         .axes = "filters",
                         .help = "factor of the layer norm",
                         .rank = 1,
                         .shape = {filters},
                         .trainable = 1},
        [NORM_BIAS] = {.name = "norm_bias",
                       .axes = "filters",
                       .help = "constant of the layer norm",
                       .rank = 1,
                       .shape = {filters},
                       .trainable = 1},
    };
    return lcvi_filter_declare(filter, &ports[slot]);
}

static lcv_status configure(lcv_filter *filter)
{
    if (integer(filter, POSENC_DIM) % 2 == 0)
        return lcvi_fail(filter->context, LCV_INVALID_ARG,
                         "options: posenc_dim: expected an odd number (time and pairs of waves), given %lld",
                         (long long)integer(filter, POSENC_DIM));
    const lcv_status status = lcvi_filter_own(filter, sizeof(lcvi_slots));
    return status == LCV_OK ? lcvi_slots_declare(filter, filter->own, SLOTS, is_present, declare) : status;
}

/* ---- Initial values ---- */

/* Element (t, f) of z: time, cosines, sines with a minus: real and imaginary parts of exp(-i phase). The grid
 * of times includes its end, that of the phases does not. */
static double feature(const lcv_filter *filter, int64_t index)
{
    const int64_t features = integer(filter, POSENC_DIM), bands = (features - 1) / 2;
    const int64_t t = index / features, f = index % features, band = (f - 1) % (bands > 0 ? bands : 1);
    const double first = 1e-4, last = (double)(bands - 1);
    if (f == 0)
        return filter->max_len > 1 ? (double)t / (double)(filter->max_len - 1) : 0.0;
    const double frequency =
        bands > 1 ? first + (last - first) * ((double)band / (double)(bands - 1)) : first;
    const double turns = frequency * (double)t / (double)filter->max_len;
    return f <= bands ? lcvi_cosine_of_turns(turns) : -lcvi_sine_of_turns(turns);
}

/* From slow to fast, both negative. */
static double decay_rate(const lcv_filter *filter, int64_t index)
{
    const double target = lcvi_exact_log(real(filter, TARGET));
    const double slow = target / real(filter, SLOW_DECAY), fast = target / real(filter, FAST_DECAY);
    const int64_t filters = filter->filters;
    return filters > 1 ? slow + (fast - slow) * ((double)index / (double)(filters - 1)) : slow;
}

static double fan_in_bound(const lcv_filter *filter, int slot, int64_t index)
{
    const double features = (double)integer(filter, POSENC_DIM), width = (double)integer(filter, MLP_WIDTH);
    const bool first = slot == WEIGHT_IN || (slot == BIAS && index < integer(filter, MLP_WIDTH)) ||
                       (slot == WEIGHT_OUT && layers_of(filter) == 0);
    return 1.0 / sqrt(first ? features : width);
}

static double initial(const lcv_filter *filter, int slot, const lcvi_random *random, int64_t index)
{
    switch (slot) {
    case POSENC:
        return feature(filter, index);
    case FREQUENCY:
        return real(filter, SINE_FREQ);
    case DECAY_RATE:
        return decay_rate(filter, index);
    case NORM_WEIGHT:
        return 1.0;
    case NORM_BIAS:
        return 0.0;
    default: {
        const double bound = fan_in_bound(filter, slot, index);
        return lcvi_random_between(random, index, -bound, bound);
    }
    }
}

static void initialise(const lcv_filter *filter, int32_t parameter, const lcvi_random *random, int64_t first,
                       int64_t count, double *values)
{
    const int slot = lcvi_slot_of(filter, parameter);
    for (int64_t i = 0; i < count; i++)
        values[i] = initial(filter, slot, random, first + i);
}

/* ---- The network as backends see it ---- */

static lcv_array gradient_of(const lcvi_filter_call *call, int slot)
{
    return lcvi_slot_gradient(call, slot)->array;
}

static void hand_over(const lcv_filter *filter, const lcvi_filter_call *call, lcvi_handover *to)
{
    to->details.mlp = (lcv_mlp_problem){
        .features = integer(filter, POSENC_DIM),
        .width = integer(filter, MLP_WIDTH),
        .layers = layers_of(filter),
        .posenc = lcvi_slot_data(filter, POSENC),
        .weight_in = lcvi_slot_data(filter, WEIGHT_IN),
        .weight_hidden = lcvi_slot_data(filter, WEIGHT_HIDDEN),
        .bias = lcvi_slot_data(filter, BIAS),
        .weight_out = lcvi_slot_data(filter, WEIGHT_OUT),
        .sine_freq = lcvi_slot_data(filter, FREQUENCY),
        .freq_per_layer = integer(filter, FREQ_FORM) == FREQ_LAYER,
        .freq_scale = real(filter, FREQ_SCALE),
        .decay_rate = lcvi_slot_data(filter, DECAY_RATE),
        .shift = real(filter, SHIFT),
        .norm = (lcv_mlp_norm)integer(filter, NORM),
        .norm_weight = lcvi_slot_data(filter, NORM_WEIGHT),
        .norm_bias = lcvi_slot_data(filter, NORM_BIAS),
        .norm_epsilon = real(filter, NORM_EPSILON),
    };
    if (call == NULL)
        return;
    to->gradients.mlp = (lcv_mlp_gradients){
        .posenc = gradient_of(call, POSENC),
        .weight_in = gradient_of(call, WEIGHT_IN),
        .weight_hidden = gradient_of(call, WEIGHT_HIDDEN),
        .bias = gradient_of(call, BIAS),
        .weight_out = gradient_of(call, WEIGHT_OUT),
        .sine_freq = gradient_of(call, FREQUENCY),
        .decay_rate = gradient_of(call, DECAY_RATE),
        .norm_weight = gradient_of(call, NORM_WEIGHT),
        .norm_bias = gradient_of(call, NORM_BIAS),
    };
}

const lcvi_family lcvi_family_implicit_mlp = {
    .name = "implicit_mlp",
    .summary = "an MLP with sine activations over positions, under a decay window (Hyena)",
    .formula =
        "h[t] = W_out s(W_m .. s(W_0 z_t + b_0) .. + b_m) (exp(-|delta| t) + shift), s(a) = sin(freq a)",
    .source =
        "Poli et al., Hyena Hierarchy: Towards Larger Convolutional Language Models (2023), section 3.3",
    .options = {options, sizeof options / sizeof options[0]},
    .configure = configure,
    .initialise = initialise,
    .hand_over = hand_over,
    .workspace = lcvi_mlp_workspace,
    .evaluate = lcvi_mlp_evaluate,
    .backward = lcvi_mlp_backward,
};
