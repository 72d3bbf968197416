/* SPDX-License-Identifier: BSD-3-Clause */
/* Systems that are one filter family. */
#include "golden_filter.h"

#include <stdio.h>
#include <string.h>

/* Explicit taps under an exponential window. The rates rise to 10^2 from 1, 0.1 or 0.01. */
golden_outcome golden_run_evo2_decay(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    const npy_array *taps = golden_find(c, "p_h");
    const char *preset = golden_text(c, "decay_preset", "normal");
    golden_filter g = {.family = "evo2_decay",
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
    golden_filter g = {.family = "evo2_modal",
                       .channels = (int64_t)golden_number(c, "D", 0),
                       .seqlen = (int64_t)golden_number(c, "L", 0),
                       .taps = "out_h",
                       .dtaps = "in_dk",
                       .names = {{"R", "residues"}, {"p", "p"}, {"gamma", "gamma"}}};
    snprintf(g.options, sizeof g.options, "modes=%.0f", golden_number(c, "order", 16));
    return golden_filter_run(c, setup, &g, dtype);
}

/* Diagonal state spaces of S4. */
golden_outcome golden_run_s4d(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    const npy_array *a_real = golden_find(c, "p_A_real");
    const bool is_real = golden_flag(c, "is_real", false);
    golden_filter g = {.family = "diag_ssm",
                       .channels = (int64_t)golden_number(c, "d_model", 0),
                       .seqlen = (int64_t)golden_number(c, "L", 0),
                       .taps = "out_k",
                       .dtaps = "in_dk",
                       .names = {{"inv_dt", "inv_dt"}, {"A_real", "a_real"}, {"B", "b"}, {"C", "c"}}};
    if (a_real == NULL || a_real->rank != 2)
        return golden_say(c, GOLDEN_FAILED, "p_A_real is missing");
    if (!is_real) {
        g.names[4].array = "A_imag";
        g.names[4].parameter = "a_imag";
    }
    snprintf(g.options, sizeof g.options,
             "modes=%lld n_ssm=%lld outputs=%.0f is_real=%d discretisation=%s real=%s imag=%s dt=%s",
             (long long)a_real->shape[1], (long long)a_real->shape[0], golden_number(c, "channels", 1),
             is_real, golden_text(c, "disc", "zoh"), golden_text(c, "real_transform", "exp"),
             golden_text(c, "imag_transform", "none"), golden_text(c, "dt_transform", "exp"));
    return golden_filter_run(c, setup, &g, dtype);
}

/* Diagonal state spaces of DSS: one option text for each version. Where Lambda is one complex array in the
 * case, it is cut into its parts before. */
golden_outcome golden_run_dss(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    static const struct {
        const char *version, *options, *imag;
    } versions[] = {
        {"softmax", "discretisation=softmax real=identity hold_shift=1", "Lambda_im"},
        {"exp", "discretisation=exp", "Lambda_im"},
        {"exp-re-im", "discretisation=exp imag=exp", "Lambda_log_im"},
        {"exp-no-scale", "discretisation=unscaled", "Lambda_im"},
        {"clip", "discretisation=exp real=clip", "Lambda_im"},
        {"clip-no-scale", "discretisation=unscaled real=clip", "Lambda_im"},
    };
    const char *version = golden_text(c, "version", "softmax");
    golden_filter g = {.family = "diag_ssm",
                       .channels = (int64_t)golden_number(c, "H", 0),
                       .seqlen = (int64_t)golden_number(c, "L", 0),
                       .taps = "out_k",
                       .dtaps = "in_dk",
                       .names = {{"log_dt", "inv_dt"}, {"W", "c"}}};
    size_t which = 0;
    while (which < sizeof versions / sizeof versions[0] && strcmp(versions[which].version, version) != 0)
        which++;
    if (which == sizeof versions / sizeof versions[0])
        return golden_say(c, GOLDEN_UNSUPPORTED, "%s: version %s", c->system, version);
    const bool whole = golden_find(c, "p_Lambda") != NULL;
    if (whole && (!golden_split(c, "p_Lambda", "p_Lambda_re", "p_Lambda_im") ||
                  !golden_split(c, "g_Lambda", "g_Lambda_re", "g_Lambda_im")))
        return golden_say(c, GOLDEN_FAILED, "Lambda cannot be split");
    g.names[2].array = whole ? "Lambda_re" : "Lambda_log_neg_re";
    g.names[2].parameter = "a_real";
    g.names[3].array = versions[which].imag;
    g.names[3].parameter = "a_imag";
    snprintf(g.options, sizeof g.options,
             "%s modes=%.0f n_ssm=1 conjugate=0 with_b=0 imag_sign=plus dt_form=%s", versions[which].options,
             golden_number(c, "N", 0), golden_flag(c, "sep_dt_re_im", true) ? "split" : "tied");
    return golden_filter_run(c, setup, &g, dtype);
}

/* S4's kernel. The case was made with C truncated for its length, and says what comes from C itself. With
 * fout a pole lies 1e-4 from the node w = 1, and the case's own gradients by a_imag are off by 6.5e-9 (from
 * differences in 45 digits; ours are by 7e-14). */
golden_outcome golden_run_s4_dplr(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    const npy_array *a_real = golden_find(c, "p_A_real");
    golden_filter g = {.family = "s4_dplr",
                       .channels = (int64_t)golden_number(c, "d_model", 0),
                       .seqlen = (int64_t)golden_number(c, "L", 0),
                       .taps = "out_k",
                       .dtaps = "in_dk",
                       .names = {{"inv_dt", "inv_dt"},
                                 {"A_real", "a_real"},
                                 {"A_imag", "a_imag"},
                                 {"P", "p"},
                                 {"B", "b"},
                                 {"C_tilde", "c"}}};
    if (a_real == NULL || a_real->rank != 2)
        return golden_say(c, GOLDEN_FAILED, "p_A_real is missing");
    const int length =
        snprintf(g.options, sizeof g.options, "modes=%lld n_ssm=%lld outputs=%.0f rank=%.0f init=%s",
                 (long long)a_real->shape[1], (long long)a_real->shape[0], golden_number(c, "channels", 1),
                 golden_number(c, "rank", 1), golden_text(c, "init", "legs"));
    if (strcmp(golden_text(c, "init", ""), "fout") == 0)
        g.accuracy = 1e-8;
    golden_filter direct = g;
    direct.taps = "out_k_from_C";
    direct.dtaps = NULL;
    direct.names[5].array = "C";
    snprintf(g.options + length, sizeof g.options - (size_t)length, " c_form=truncated kernel_len=%lld",
             (long long)g.seqlen);
    const golden_outcome outcome = golden_filter_run(c, setup, &direct, dtype);
    return outcome == GOLDEN_PASSED ? golden_filter_run(c, setup, &g, dtype) : outcome;
}
