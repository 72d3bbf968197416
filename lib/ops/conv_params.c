/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of the convolution plan's params. */
#include "conv.h"
#include "../fft_size.h"
#include "../size.h"

int64_t lcv_conv_filter_count(const lcv_conv_params *params)
{
    int64_t rows;
    switch (params->filter_form) {
    case LCV_FILTER_PER_CHANNEL:
        return params->channels;
    case LCV_FILTER_SHARED:
        return 1;
    case LCV_FILTER_GROUPED:
        return params->filter_groups;
    case LCV_FILTER_PER_SAMPLE:
        return lcvi_mul(params->batch, params->channels, &rows) ? rows : -1;
    }
    return 0;
}

int64_t lcv_conv_state_len(const lcv_conv_params *params)
{
    if ((params->terms & LCV_TERM_STATE) == 0 || params->filter_len < 1)
        return 0;
    return params->state_len > 0 ? params->state_len : params->filter_len - 1;
}

enum {
    ALL_TERMS = LCV_TERM_SKIP | LCV_TERM_BIAS | LCV_TERM_PRE_GATE | LCV_TERM_POST_GATE | LCV_TERM_STATE,
    ALL_GRADS = LCV_GRAD_U | LCV_GRAD_FILTER | LCV_GRAD_FILTER_FUTURE | LCV_GRAD_SKIP | LCV_GRAD_BIAS |
                LCV_GRAD_PRE_GATE | LCV_GRAD_POST_GATE | LCV_GRAD_STATE
};

static const int64_t max_length = LCVI_FFT_SIZE_MAX / 8;

static lcv_status check_enum(lcv_context *context, const char *name, int64_t value, int64_t last)
{
    if (value >= 0 && value <= last)
        return LCV_OK;
    return lcvi_fail(context, LCV_INVALID_ARG, "%s: expected 0 to %lld, given %lld", name, (long long)last,
                     (long long)value);
}

static lcv_status check_length(lcv_context *context, const char *name, int64_t value)
{
    if (value < 0)
        return lcvi_fail(context, LCV_INVALID_ARG, "%s: expected >= 0, given %lld", name, (long long)value);
    if (value > max_length)
        return lcvi_fail(context, LCV_TOO_LARGE, "%s: expected at most %lld, given %lld", name,
                         (long long)max_length, (long long)value);
    return LCV_OK;
}

static lcv_status check_enums(lcv_context *context, const lcv_conv_params *p)
{
    const struct {
        const char *name;
        int64_t value, last;
    } rows[] = {
        {"dtype", p->dtype, LCV_BF16},
        {"mode", p->mode, LCV_CONV_CIRCULAR},
        {"layout", p->layout, LCV_LAYOUT_BLD},
        {"filter_form", p->filter_form, LCV_FILTER_PER_SAMPLE},
        {"activation", p->activation, LCV_ACTIVATION_SILU},
        {"device", p->device, LCV_DEVICE_CUDA},
        {"workspace_owner", p->workspace_owner, LCV_WORKSPACE_CALLER},
        {"planning", p->planning, LCV_PLANNING_MEASURED},
        {"future_first_lag", p->future_first_lag, 1},
        {"num_threads", p->num_threads, INT32_MAX},
        {"reproducible", p->reproducible, 1},
    };
    lcv_status status = LCV_OK;
    for (size_t i = 0; status == LCV_OK && i < sizeof rows / sizeof rows[0]; i++)
        status = check_enum(context, rows[i].name, rows[i].value, rows[i].last);
    return status;
}

static lcv_status check_lengths(lcv_context *context, const lcv_conv_params *p)
{
    const struct {
        const char *name;
        int64_t value;
    } rows[] = {
        {"batch", p->batch},
        {"channels", p->channels},
        {"seqlen", p->seqlen},
        {"filter_len", p->filter_len},
        {"filter_future_len", p->filter_future_len},
        {"filter_groups", p->filter_groups},
        {"state_len", p->state_len},
    };
    lcv_status status = LCV_OK;
    for (size_t i = 0; status == LCV_OK && i < sizeof rows / sizeof rows[0]; i++)
        status = check_length(context, rows[i].name, rows[i].value);
    return status;
}

/* Every product of sizes that this library or a backend forms must fit. */
static lcv_status check_products(lcv_context *context, const lcv_conv_params *p)
{
    const int64_t longest[] = {p->seqlen, p->filter_len, p->filter_future_len, 1};
    int64_t rows, elements;
    size_t bytes;
    bool fits = lcvi_mul(p->batch, p->channels, &rows);
    for (size_t i = 0; fits && i < sizeof longest / sizeof longest[0]; i++)
        fits = lcvi_mul(rows, longest[i], &elements) && lcvi_bytes(elements, 4 * sizeof(double), &bytes);
    if (fits)
        return LCV_OK;
    return lcvi_fail(context, LCV_TOO_LARGE,
                     "batch, channels, seqlen, filter_len: %lld x %lld rows of %lld samples and %lld taps "
                     "overflow",
                     (long long)p->batch, (long long)p->channels, (long long)p->seqlen,
                     (long long)p->filter_len);
}

static lcv_status check_filter_form(lcv_context *context, const lcv_conv_params *p)
{
    if (p->filter_form != LCV_FILTER_GROUPED) {
        if (p->filter_groups != 0)
            return lcvi_fail(context, LCV_INVALID_ARG,
                             "filter_groups: expected 0 unless the filters are grouped, given %lld",
                             (long long)p->filter_groups);
        return LCV_OK;
    }
    if (p->filter_groups < 1 || p->channels % p->filter_groups != 0)
        return lcvi_fail(context, LCV_INVALID_ARG,
                         "filter_groups: expected a divisor of channels (%lld), given %lld",
                         (long long)p->channels, (long long)p->filter_groups);
    return LCV_OK;
}

static lcv_status check_mode(lcv_context *context, const lcv_conv_params *p)
{
    bool twosided = p->mode == LCV_CONV_TWOSIDED;
    if (!twosided && p->filter_future_len != 0)
        return lcvi_fail(context, LCV_INVALID_ARG,
                         "filter_future_len: expected 0 unless the mode is two-sided, given %lld",
                         (long long)p->filter_future_len);
    if (!twosided && (p->grad_mask & LCV_GRAD_FILTER_FUTURE) != 0)
        return lcvi_fail(context, LCV_INVALID_ARG,
                         "grad_mask: a gradient of filter_future needs the two-sided mode");
    if (p->mode != LCV_CONV_CAUSAL && (p->terms & LCV_TERM_STATE) != 0)
        return lcvi_fail(context, LCV_UNSUPPORTED, "terms: carried state needs the causal mode");
    if (p->state_len != 0 && (p->terms & LCV_TERM_STATE) == 0)
        return lcvi_fail(context, LCV_INVALID_ARG, "state_len: expected 0 without state, given %lld",
                         (long long)p->state_len);
    if (p->state_len > 0 && p->state_len > p->filter_len - 1)
        return lcvi_fail(context, LCV_INVALID_ARG, "state_len: expected at most filter_len - 1, given %lld",
                         (long long)p->state_len);
    return LCV_OK;
}

/* A row that looks both ways, or in a circle, has no future that could be left out. */
static lcv_status check_exact(lcv_context *context, const lcv_conv_params *p)
{
    if (p->exact_causality == 0)
        return LCV_OK;
    if (p->exact_causality != 1)
        return lcvi_fail(context, LCV_INVALID_ARG, "exact_causality: expected 0 or 1, given %d",
                         (int)p->exact_causality);
    if (p->mode == LCV_CONV_CAUSAL || p->mode == LCV_CONV_ANTICAUSAL)
        return LCV_OK;
    return lcvi_fail(context, LCV_UNSUPPORTED,
                     "exact_causality: needs the causal or the anti-causal mode, given mode %d",
                     (int)p->mode);
}

static lcv_status check_masks(lcv_context *context, const lcv_conv_params *p)
{
    static const struct {
        uint32_t grad, term;
        const char *name;
    } pairs[] = {
        {LCV_GRAD_SKIP, LCV_TERM_SKIP, "skip"},
        {LCV_GRAD_BIAS, LCV_TERM_BIAS, "bias"},
        {LCV_GRAD_PRE_GATE, LCV_TERM_PRE_GATE, "pre_gate"},
        {LCV_GRAD_POST_GATE, LCV_TERM_POST_GATE, "post_gate"},
        {LCV_GRAD_STATE, LCV_TERM_STATE, "state"},
    };
    if ((p->terms & ~(uint32_t)ALL_TERMS) != 0)
        return lcvi_fail(context, LCV_INVALID_ARG, "terms: unknown bits 0x%x",
                         p->terms & ~(uint32_t)ALL_TERMS);
    if ((p->grad_mask & ~(uint32_t)ALL_GRADS) != 0)
        return lcvi_fail(context, LCV_INVALID_ARG, "grad_mask: unknown bits 0x%x",
                         p->grad_mask & ~(uint32_t)ALL_GRADS);
    if ((p->accumulate_mask & ~p->grad_mask) != 0)
        return lcvi_fail(context, LCV_INVALID_ARG, "accumulate_mask: bits 0x%x are not in grad_mask",
                         p->accumulate_mask & ~p->grad_mask);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if ((p->grad_mask & pairs[i].grad) != 0 && (p->terms & pairs[i].term) == 0)
            return lcvi_fail(context, LCV_INVALID_ARG, "grad_mask: a gradient of %s needs it among the terms",
                             pairs[i].name);
    return LCV_OK;
}

static lcv_status check_reproducible(lcv_context *context, const lcv_conv_params *p)
{
    if (p->reproducible != 0 && p->planning != LCV_PLANNING_QUICK)
        return lcvi_fail(
            context, LCV_INVALID_ARG,
            "planning: expected LCV_PLANNING_QUICK with reproducible, given %d: what is measured "
            "differs from run to run",
            (int)p->planning);
    return LCV_OK;
}

static lcv_status check_reserved(lcv_context *context, const lcv_conv_params *p)
{
    const char *name = p->precision != 0 ? "precision" : NULL;
    if (name == NULL)
        return LCV_OK;
    return lcvi_fail(context, LCV_UNSUPPORTED, "%s: is reserved and must be 0 in this version", name);
}

lcv_status lcvi_conv_check_params(lcv_context *context, const lcv_conv_params *params)
{
    typedef lcv_status (*check_fn)(lcv_context *, const lcv_conv_params *);
    static const check_fn checks[] = {check_enums,       check_lengths,      check_products,
                                      check_filter_form, check_mode,         check_exact,
                                      check_masks,       check_reproducible, check_reserved};
    lcv_status status = LCV_OK;
    for (size_t i = 0; status == LCV_OK && i < sizeof checks / sizeof checks[0]; i++)
        status = checks[i](context, params);
    return status;
}
