/* SPDX-License-Identifier: BSD-3-Clause */
/* Systems that are one filter family. */
#include "golden_filter.h"

#include <stdio.h>

/* Explicit taps under an exponential window. The rates rise to 10^2 from 1, 0.1 or 0.01. */
golden_outcome golden_run_evo2_decay(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    const npy_array *taps = golden_find(c, "p_h");
    const char *preset = golden_text(c, "decay_preset", "normal");
    golden_filter g = {.family = "explicit",
                       .channels = (int64_t)golden_number(c, "D", 0),
                       .seqlen = (int64_t)golden_number(c, "Lm", 0),
                       .taps = "out_h",
                       .dtaps = "in_dk",
                       .names = {{"h", "taps"}}};
    if (taps == NULL)
        return golden_say(c, GOLDEN_UNSUPPORTED, "%s", c->system);
    snprintf(g.options, sizeof g.options, "window_from=%s window_len=%.0f",
             preset[0] == 's' ? "1" : (preset[0] == 'w' ? "0.01" : "0.1"), golden_number(c, "L_cache", 0));
    return golden_filter_run(c, setup, &g, dtype);
}

/* Real exponentials from p and gamma. */
golden_outcome golden_run_evo2_modal(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    golden_filter g = {.family = "modal",
                       .channels = (int64_t)golden_number(c, "D", 0),
                       .seqlen = (int64_t)golden_number(c, "L", 0),
                       .taps = "out_h",
                       .dtaps = "in_dk",
                       .names = {{"R", "residues"}, {"p", "p"}, {"gamma", "gamma"}}};
    snprintf(g.options, sizeof g.options, "modes=%.0f form=p_gamma", golden_number(c, "order", 16));
    return golden_filter_run(c, setup, &g, dtype);
}
