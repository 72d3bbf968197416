/* SPDX-License-Identifier: BSD-3-Clause */
/* The long convolution layer and its taps: smoothed in time or in frequency, and squashed. */
#include "golden_filter.h"
#include "golden_mixer.h"

#include <stdio.h>

/* The taps' options, as a text. */
static void write_options(const golden_case *c, bool in_frequency, char *text, size_t size)
{
    const double width = golden_number(c, "ma_window_len", 7);
    const bool in_time = golden_flag(c, "use_ma_smoothing", false);
    snprintf(text, size, "squash=%.17g smooth=%.0f smooth_freq=%.0f", golden_number(c, "lam", 0.0),
             in_time ? width : 1.0, in_frequency ? width : 1.0);
}

/* Cases without a layer have taps that are smoothed in frequency. */
golden_outcome golden_run_longconv_taps(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    const npy_array *kernel = golden_find(c, "p_kernel");
    golden_filter g = {.family = "explicit", .taps = "out_k", .names = {{"kernel", "taps"}}};
    if (kernel == NULL || kernel->rank != 3)
        return golden_say(c, GOLDEN_FAILED, "the taps are missing");
    g.channels = kernel->shape[0] * kernel->shape[1];
    g.seqlen = kernel->shape[2];
    write_options(c, true, g.options, sizeof g.options);
    return golden_filter_run(c, setup, &g, dtype);
}

static golden_taps taps_of(const golden_case *c, const char *port, const char *kernel, const char *expected,
                           int64_t channels, int64_t seqlen)
{
    golden_taps taps = {.port = port,
                        .family = "explicit",
                        .expected = expected,
                        .channels = channels,
                        .max_len = seqlen,
                        .parameters = {{"taps", {kernel}}}};
    write_options(c, false, taps.options, sizeof taps.options);
    return taps;
}

/* Two-sided, the second half of the filters is of later samples. */
static bool halve_all(golden_case *c)
{
    return golden_halve(c, "p_kernel", "p_past", "p_future") &&
           golden_halve(c, "g_kernel", "g_past", "g_future") &&
           golden_halve(c, "out_k", "out_past", "out_future");
}

/* The convolutions with their skip, then the whole layer and its gradients. */
golden_outcome golden_run_longconv(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    const npy_array *x = golden_find(c, "in_x");
    const bool twosided = golden_flag(c, "bidirectional", false);
    const int outputs = (int)golden_number(c, "channels", 1);
    golden_mixer convolutions = {
        .mixer = "long_conv", .ports = {{"skip", {"D"}}}, .output = "pre", .forward_only = true};
    if (x == NULL || x->rank != 3 || (twosided && !halve_all(c)))
        return golden_say(c, GOLDEN_FAILED, "x or the taps are missing");
    convolutions.batch = x->shape[0];
    convolutions.channels = x->shape[1];
    convolutions.seqlen = x->shape[2];
    convolutions.taps[0] = taps_of(c, "filter", twosided ? "past" : "kernel", twosided ? "out_past" : "out_k",
                                   outputs * x->shape[1], x->shape[2]);
    if (twosided)
        convolutions.taps[1] =
            taps_of(c, "filter_future", "future", "out_future", outputs * x->shape[1], x->shape[2]);
    golden_mixer whole = convolutions;
    snprintf(convolutions.options, sizeof convolutions.options,
             "outputs=%d twosided=%d layout=bdl projection=0 activation=none", outputs, twosided);
    snprintf(whole.options, sizeof whole.options, "outputs=%d twosided=%d layout=bdl", outputs, twosided);
    whole.output = NULL;
    whole.forward_only = false;
    whole.ports[1] = (golden_binding){"out_weight", {"W"}};
    whole.ports[2] = (golden_binding){"out_bias", {"b"}};
    const golden_outcome outcome = golden_mixer_run(c, setup, &convolutions, dtype);
    return outcome == GOLDEN_PASSED ? golden_mixer_run(c, setup, &whole, dtype) : outcome;
}
