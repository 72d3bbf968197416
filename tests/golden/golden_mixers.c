/* SPDX-License-Identifier: BSD-3-Clause */
/* Systems that are a mixer with filters of families. */
#include "golden_mixer.h"

#include <stdio.h>

static int64_t whole(const golden_case *c, const char *name, double absent)
{
    return (int64_t)golden_number(c, name, absent);
}

/* Sizes of an input, [batch, seqlen, channels]. */
static bool take_sizes(golden_case *c, golden_mixer *g)
{
    const npy_array *x = golden_find(c, g->inputs[0] != NULL ? "in_k" : "in_x");
    if (x == NULL || x->rank != 3) {
        golden_say(c, GOLDEN_FAILED, "the input is missing, or not of three axes");
        return false;
    }
    g->batch = x->shape[0];
    g->seqlen = x->shape[1];
    g->channels = x->shape[2];
    return true;
}

/* The standalone implementation orders filters by order first, and its cases do not say how many heads. */
static bool is_standalone(const golden_case *c)
{
    return cJSON_GetObjectItemCaseSensitive(c->hyper, "num_heads") == NULL;
}

golden_outcome golden_run_hyena(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    const int64_t order = whole(c, "order", 2);
    golden_mixer g = {.mixer = "hyena",
                      .ports = {{"in_weight", {"W_in"}},
                                {"in_bias", {"b_in"}},
                                {"short_weight", {"W_short"}},
                                {"short_bias", {"b_short"}},
                                {"skip", {"D"}},
                                {"out_weight", {"W_out_proj"}},
                                {"out_bias", {"b_out_proj"}}},
                      .taps = {{.port = "filter",
                                .family = "implicit_mlp",
                                .parameters = {{"weight_in", {"f_W0"}},
                                               {"weight_hidden", {"f_W1", "f_W2"}},
                                               {"bias", {"f_b0", "f_b1", "f_b2"}},
                                               {"weight_out", {"f_W_out"}},
                                               {"sine_freq", {"f_freq"}}}}}};
    if (!take_sizes(c, &g))
        return GOLDEN_FAILED;
    snprintf(g.options, sizeof g.options, "order=%lld short_taps=%lld filter_index=%s", (long long)order,
             (long long)whole(c, "short_filter_order", 3),
             is_standalone(c) ? "order_major" : "channel_major");
    g.taps[0].channels = (order - 1) * g.channels;
    g.taps[0].max_len = whole(c, "seq_len", 0);
    snprintf(
        g.taps[0].options, sizeof g.taps[0].options,
        "posenc_dim=%.0f mlp_width=%.0f mlp_depth=%.0f sine_freq=%.17g fast_decay=%.17g slow_decay=%.17g "
        "target=%.17g shift=%.17g window=%d norm=%s",
        golden_number(c, "emb_dim", 3), golden_number(c, "filter_order", 16),
        golden_number(c, "num_inner_mlps", 2), golden_number(c, "w", 1),
        golden_number(c, "fast_decay_pct", 0.3), golden_number(c, "slow_decay_pct", 1.5),
        golden_number(c, "target", 0.01), golden_number(c, "shift", 0), golden_flag(c, "modulate", true),
        golden_flag(c, "normalized", false) ? "l1" : "none");
    return golden_mixer_run(c, setup, &g, dtype);
}

golden_outcome golden_run_h3(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    const int64_t head_dim = whole(c, "head_dim", 1), state = whole(c, "d_state", 64);
    golden_mixer g = {.mixer = "h3",
                      .ports = {{"in_weight", {"Wq", "Wk", "Wv"}},
                                {"in_bias", {"bq", "bk", "bv"}},
                                {"shift_skip", {"shift_D"}},
                                {"skip", {"D"}},
                                {"out_weight", {"Wo"}},
                                {"out_bias", {"bo"}}},
                      .taps = {{.port = "shift_filter",
                                .family = "shift_ssm",
                                .parameters = {{"b", {"shift_B"}}, {"c", {"shift_C"}}}},
                               {.port = "filter",
                                .family = "diag_ssm",
                                .parameters = {{"b", {"diag_B"}},
                                               {"c", {"diag_C"}},
                                               {"inv_dt", {"diag_log_dt"}},
                                               {"a_real", {"diag_inv_A_real"}},
                                               {"a_imag", {"diag_A_imag"}}}}}};
    if (!take_sizes(c, &g))
        return GOLDEN_FAILED;
    snprintf(g.options, sizeof g.options, "head_dim=%lld shift_len=%lld", (long long)head_dim,
             (long long)state);
    g.taps[0].channels = g.channels;
    g.taps[1].channels = g.channels / head_dim;
    g.taps[0].max_len = g.taps[1].max_len = g.seqlen;
    snprintf(g.taps[0].options, sizeof g.taps[0].options, "state=%lld", (long long)state);
    snprintf(g.taps[1].options, sizeof g.taps[1].options, "modes=%lld discretisation=%s imag_sign=plus",
             (long long)state / 2, golden_text(c, "disc", "bilinear"));
    return golden_mixer_run(c, setup, &g, dtype);
}

/* Evo 2's layers between their projections. The filter is modal (li), or given and shared by groups of
 * channels: 128 taps (mr), or 7 in correlation order (se). */
golden_outcome golden_run_evo2_layer(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    const npy_array *h = golden_find(c, "p_h"), *poles = golden_find(c, "p_log_poles");
    golden_mixer g = {.mixer = "evo2_cascade", .ports = {{"short_weight", {"short"}}}};
    if (!take_sizes(c, &g))
        return GOLDEN_FAILED;
    g.channels /= 3;
    if (golden_find(c, "p_D") != NULL)
        g.ports[1] = (golden_binding){"skip", {"D"}};
    if (h != NULL) {
        g.ports[2 - (golden_find(c, "p_D") == NULL)] = (golden_binding){"filter", {"h"}};
        snprintf(g.options, sizeof g.options,
                 "projections=none form=%s groups=%.0f filter_len=%lld interleave=%d",
                 golden_find(c, "p_D") == NULL ? "se" : "mr", golden_number(c, "groups", 0),
                 (long long)h->shape[h->rank - 1], golden_flag(c, "interleave", true));
        return golden_mixer_run(c, setup, &g, dtype);
    }
    if (poles == NULL || poles->rank != 3)
        return golden_say(c, GOLDEN_FAILED, "both taps and poles are missing");
    g.taps[0] = (golden_taps){.port = "filter",
                              .family = "modal",
                              .channels = g.channels,
                              .max_len = g.seqlen,
                              .parameters = {{"log_poles", {"log_poles"}}, {"residues", {"residues"}}}};
    snprintf(g.taps[0].options, sizeof g.taps[0].options, "modes=%lld", (long long)poles->shape[1]);
    snprintf(g.options, sizeof g.options, "projections=none form=li interleave=%d",
             golden_flag(c, "interleave", true));
    return golden_mixer_run(c, setup, &g, dtype);
}

/* Columns of in_x are one sample each. */
golden_outcome golden_run_monarch(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    const npy_array *x = golden_find(c, "in_x");
    const int64_t blocks = whole(c, "k", 0), out_blocks = whole(c, "l", 0);
    golden_mixer g = {.mixer = "monarch", .ports = {{"first", {"w1"}}, {"second", {"w2"}}}, .seqlen = 1};
    if (x == NULL || x->rank != 2)
        return golden_say(c, GOLDEN_FAILED, "in_x is missing, or not of two axes");
    g.batch = x->shape[0];
    g.channels = x->shape[1];
    snprintf(g.options, sizeof g.options, "blocks=%lld middle=%lld out_blocks=%lld width=%lld",
             (long long)blocks, (long long)(blocks * whole(c, "q", 0)), (long long)out_blocks,
             (long long)(out_blocks * whole(c, "s", 0)));
    return golden_mixer_run(c, setup, &g, dtype);
}

golden_outcome golden_run_rwkv4(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    golden_mixer g = {.mixer = "rwkv4_wkv",
                      .inputs = {"k", "v"},
                      .upstream = "gy",
                      .ports = {{"time_decay", {"time_decay"}}, {"time_first", {"time_first"}}}};
    if (!take_sizes(c, &g))
        return GOLDEN_FAILED;
    return golden_mixer_run(c, setup, &g, dtype);
}

golden_outcome golden_run_gss(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    golden_mixer g = {
        .mixer = "gss",
        .ports = {{"norm_weight", {"norm_weight"}},
                  {"norm_bias", {"norm_bias"}},
                  {"u_weight", {"to_u_0_weight"}},
                  {"v_weight", {"to_v_0_weight"}},
                  {"inner_norm_weight", {"dss_norm_weight"}},
                  {"inner_norm_bias", {"dss_norm_bias"}},
                  {"skip", {"dss_param_D"}},
                  {"gate_weight", {"to_gate_weight"}},
                  {"out_weight", {"to_out_weight"}},
                  {"out_bias", {"to_out_bias"}}},
        .taps = {{.port = "filter",
                  .family = "gss",
                  .expected = "out_k",
                  .channels = whole(c, "H", 0),
                  .parameters = {
                      {"a_real", {"dss_Lambda_real"}}, {"a_imag", {"dss_Lambda_imag"}}, {"c", {"dss_C"}}}}}};
    if (!take_sizes(c, &g))
        return GOLDEN_FAILED;
    if (!golden_join(c, "p_dss_C", "p_dss_C_real", "p_dss_C_imag") ||
        !golden_join(c, "g_dss_C", "g_dss_C_real", "g_dss_C_imag"))
        return golden_say(c, GOLDEN_FAILED, "the parts of C do not belong together");
    g.taps[0].max_len = g.seqlen;
    snprintf(g.options, sizeof g.options, "hidden=%lld inner=%lld epsilon=%.17g", (long long)whole(c, "F", 0),
             (long long)whole(c, "H", 0), golden_number(c, "ln_eps", 1e-5));
    snprintf(g.taps[0].options, sizeof g.taps[0].options, "modes=%lld", (long long)whole(c, "N", 0));
    return golden_mixer_run(c, setup, &g, dtype);
}

golden_outcome golden_run_bigs(golden_case *c, const golden_setup *setup, lcv_dtype dtype)
{
    golden_mixer g = {.mixer = "bigs",
                      .ports = {{"norm_weight", {"LayerNorm_weight"}},
                                {"norm_bias", {"LayerNorm_bias"}},
                                {"v_weight", {"dv_weight"}},
                                {"v_bias", {"dv_bias"}},
                                {"forward_weight", {"du_forward_weight"}},
                                {"forward_bias", {"du_forward_bias"}},
                                {"backward_weight", {"du_backward_weight"}},
                                {"backward_bias", {"du_backward_bias"}},
                                {"skip", {"fs4_D", "bs4_D"}},
                                {"forward_out_weight", {"duc_forward_weight"}},
                                {"forward_out_bias", {"duc_forward_bias"}},
                                {"backward_out_weight", {"duc_backward_weight"}},
                                {"backward_out_bias", {"duc_backward_bias"}},
                                {"hidden_weight", {"dol_weight"}},
                                {"hidden_bias", {"dol_bias"}},
                                {"out_weight", {"do_weight"}},
                                {"out_bias", {"do_bias"}}},
                      .taps = {{.port = "filter",
                                .family = "bigs",
                                .channels = 2,
                                .parameters = {{"inv_dt", {"fs4_kernel_log_step", "bs4_kernel_log_step"}},
                                               {"a_real", {"fs4_kernel_A_re", "bs4_kernel_A_re"}},
                                               {"a_imag", {"fs4_kernel_A_im", "bs4_kernel_A_im"}},
                                               {"c", {"fs4_kernel_C", "bs4_kernel_C"}}}}}};
    if (!take_sizes(c, &g))
        return GOLDEN_FAILED;
    g.taps[0].max_len = g.seqlen;
    snprintf(g.options, sizeof g.options, "hidden=%lld epsilon=%.17g", (long long)whole(c, "F", 0),
             golden_number(c, "layer_norm_eps", 1e-12));
    snprintf(g.taps[0].options, sizeof g.taps[0].options, "modes=%lld", (long long)whole(c, "N", 0));
    return golden_mixer_run(c, setup, &g, dtype);
}
