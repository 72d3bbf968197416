/* SPDX-License-Identifier: BSD-3-Clause */
/* Wrong arguments of filters: the status, a message that names what is wrong, and nothing changed. */
#include "memory.h"
#include "instance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 3, MAX_LEN = 8 };

static void expect(lcv_context *context, const char *label, lcv_status given, lcv_status status,
                   const char *message)
{
    const char *text = lcv_context_message(context);
    if (given != status || strncmp(text, message, strlen(message)) != 0)
        fail_msg("%s: %s \"%s\", expected %s \"%s\"", label, lcv_status_name(given), text,
                 lcv_status_name(status), message);
}

static lcv_filter_params good_params(void)
{
    lcv_filter_params params = LCV_FILTER_PARAMS_INIT;
    params.family = "modal";
    params.options = "modes=2";
    params.channels = CHANNELS;
    params.max_len = MAX_LEN;
    return params;
}

static lcv_filter *open_filter(lcv_context *context)
{
    const lcv_filter_params params = good_params();
    lcv_filter *filter;
    assert_int_equal(lcv_filter_create(context, &params, &filter), LCV_OK);
    return filter;
}

/* ---- Creation ---- */

static void bad_options(void **state)
{
    static const struct {
        const char *family, *options, *message;
    } rows[] = {
        {"nothing", NULL, "family: there is none named \"nothing\""},
        {NULL, NULL, "family: is NULL"},
        {"modal", "mode=2", "options: there is no option \"mode\"; expected one of: modes form"},
        {"modal", "modes=0", "options: modes: expected an integer from 1 to 65536, given \"0\""},
        {"modal", "form=poles", "options: form: expected one of: log_poles p_gamma, given \"poles\""},
        {"explicit", "filter_len=9", "options: filter_len: expected at most 8 (max_len), given 9"},
        {"explicit", "std=-1", "options: std: expected a number >= 0, given \"-1\""},
        {"explicit", "smooth=4", "options: smooth: expected an odd number from 1 to 63, given 4"},
        {"explicit", "smooth_freq=8", "options: smooth_freq: expected an odd number from 1 to 63, given 8"},
        {"explicit", "smooth=3 smooth_freq=7", "options: smooth_freq: expected 1 with smooth=3"},
        {"siren", "mlp_width=0", "options: mlp_width"},
        {"siren", "init=other", "options: init"},
        {"gabor", "mask_sigma=0", "options: mask_sigma"},
        {"gabor", "crop_at=2", "options: crop_at"},
        {"shift_ssm", "state=1025", "options: state: expected an integer from 1 to 1024, given \"1025\""},
        {"diag_ssm", "n_ssm=2", "options: n_ssm: expected a divisor of channels (3), given 2"},
        {"diag_ssm", "discretisation=euler", "options: discretisation: expected one of: zoh bilinear"},
        {"diag_ssm", "discretisation=bilinear dt_form=split", "options: dt_form: expected tied, per_mode"},
        {"diag_ssm", "dt_min=1 dt_max=0.1", "options: dt_min: expected at most dt_max (0.1), given 1"},
        {"diag_ssm", "init=legs modes=4000", "options: modes: expected at most 1024 with init=legs"},
        {"s4_dplr", "n_ssm=2", "options: n_ssm: expected a divisor of channels (3), given 2"},
        {"s4_dplr", "init=lmu", "options: rank: expected 2 with init=lmu, given 1"},
        {"s4_dplr", "rank=3", "options: rank: expected an integer from 1 to 2, given \"3\""},
        {"s4_dplr", "kernel_len=8", "options: kernel_len: expected 0, or with c_form=truncated at least"},
        {"s4_dplr", "c_form=truncated kernel_len=7", "options: kernel_len: expected 0, or with c_form"},
        {"s4_dplr", "dt_min=1", "options: dt_min: expected at most dt_max (0.1), given 1"},
        {"implicit_mlp", "posenc_dim=4", "options: posenc_dim: expected an odd number"},
        {"implicit_mlp", "mlp_width=0",
         "options: mlp_width: expected an integer from 1 to 16384, given \"0\""},
        {"implicit_mlp", "norm=l2", "options: norm: expected one of: none l1 layer, given \"l2\""},
        {"implicit_mlp", "target=0", "options: target: expected a number from 1e-30 to 1, given \"0\""},
        {"decay", "sides=3", "options: sides: expected an integer from 1 to 2, given \"3\""},
        {"ema", "truncation=-1", "options: truncation: expected an integer from 0"},
        {"gss", "dt_form=some", "options: dt_form: expected one of: tied per_mode split none"},
        {"bigs", "n_ssm=2", "options: n_ssm: expected a divisor of channels (3), given 2"},
        {"evo2_modal", "form=r", "options: form: expected one of: log_poles p_gamma"},
        {"evo2_decay", "filter_len=9", "options: filter_len: expected at most 8 (max_len), given 9"},
        {"decay", "damped=2", "options: damped: expected 0 or 1, given \"2\""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        lcv_filter_params params = good_params();
        lcv_filter *filter = (lcv_filter *)(void *)&params;
        params.family = rows[i].family;
        params.options = rows[i].options;
        expect(*state, rows[i].message, lcv_filter_create(*state, &params, &filter), LCV_INVALID_ARG,
               rows[i].message);
        assert_null(filter);
    }
}

#define WRONG(field, value, status, message)                                                                 \
    do {                                                                                                     \
        lcv_filter_params params = good_params();                                                            \
        params.field = value;                                                                                \
        expect(context, #field " = " #value, lcv_filter_create(context, &params, &filter), status, message); \
        assert_null(filter);                                                                                 \
    } while (0)

static void bad_params(void **state)
{
    lcv_context *context = *state;
    lcv_filter *filter;
    const lcv_filter_params good = good_params();
    WRONG(dtype, LCV_F16, LCV_INVALID_ARG, "dtype: expected f32 or f64, given 2");
    WRONG(channels, 0, LCV_INVALID_ARG, "channels: expected >= 1, given 0");
    WRONG(max_len, 0, LCV_INVALID_ARG, "max_len: expected >= 1, given 0");
    WRONG(max_len, INT64_MAX, LCV_TOO_LARGE, "channels, max_len: 3 x 9223372036854775807 taps overflow");
    WRONG(num_threads, -1, LCV_INVALID_ARG, "num_threads: expected >= 0, given -1");
    WRONG(struct_size, 8, LCV_VERSION_MISMATCH, "params: struct_size is 8");
    WRONG(backend, "nowhere", LCV_NO_DEVICE, "backend: there is none named \"nowhere\"");
    WRONG(backend, "ref", LCV_UNSUPPORTED, "backend: ref does not evaluate the filter family modal");
    expect(NULL, "context", lcv_filter_create(NULL, &good, &filter), LCV_INVALID_ARG, "context: is NULL");
    expect(context, "params", lcv_filter_create(context, NULL, &filter), LCV_INVALID_ARG, "params: is NULL");
    expect(context, "out", lcv_filter_create(context, &good, NULL), LCV_INVALID_ARG, "out: is NULL");
}

/* ---- Parameters ---- */

static void bad_parameters(void **state)
{
    float values[CHANNELS * 2] = {1, 2, 3, 4, 5, 6}, before[CHANNELS * 2], after[CHANNELS * 2];
    const int64_t shape[] = {CHANNELS, 2}, wrong[] = {2, CHANNELS};
    lcv_filter *filter = open_filter(*state);
    lcv_tensor good = lcv_tensor_compact(values, LCV_F32, 2, shape), bad = good;
    const lcv_tensor get_before = lcv_tensor_compact(before, LCV_F32, 2, shape),
                     get_after = lcv_tensor_compact(after, LCV_F32, 2, shape);
    assert_int_equal(lcv_filter_get(filter, "residues", &get_before), LCV_OK);
    expect(*state, "name", lcv_filter_set(filter, "nothing", &good), LCV_INVALID_ARG,
           "name: family modal has no parameter \"nothing\"");
    expect(*state, "name", lcv_filter_set(filter, NULL, &good), LCV_INVALID_ARG, "name: family modal has no");
    expect(*state, "value", lcv_filter_set(filter, "residues", NULL), LCV_INVALID_ARG,
           "residues: is required and was not given");
    bad = lcv_tensor_compact(values, LCV_F32, 2, wrong);
    expect(*state, "shape", lcv_filter_set(filter, "residues", &bad), LCV_INVALID_ARG,
           "residues: expected shape [3, 2] (filters, modes), given rank 2 [2, 3]");
    bad = good;
    bad.dtype = LCV_F16;
    expect(*state, "dtype", lcv_filter_set(filter, "residues", &bad), LCV_INVALID_ARG,
           "residues: expected dtype f32, given f16");
    bad = good;
    bad.strides[0] = 0;
    expect(*state, "strides", lcv_filter_get(filter, "residues", &bad), LCV_INVALID_ARG,
           "residues: its strides reach an element twice");
    const double not_finite[] = {(double)NAN, (double)INFINITY, -(double)INFINITY, 1e39};
    for (size_t i = 0; i < COUNT_OF(not_finite); i++) {
        double wide[CHANNELS * 2] = {1, 2, 3, 4, 5, 6};
        wide[4] = not_finite[i];
        bad = lcv_tensor_compact(wide, LCV_F64, 2, shape);
        expect(*state, "not finite", lcv_filter_set(filter, "residues", &bad), LCV_INVALID_ARG,
               "residues: element 4: expected a finite f32 number, given");
    }
    assert_int_equal(lcv_filter_get(filter, "residues", &get_after), LCV_OK);
    assert_memory_equal(before, after, sizeof before);
    assert_int_equal(lcv_filter_set(filter, "residues", &good), LCV_OK);
    assert_int_equal(lcv_filter_get(filter, "residues", &get_after), LCV_OK);
    assert_memory_equal(values, after, sizeof values);
    lcv_filter_destroy(&filter);
}

/* Families that are others by another name: each default of their own is listed, and a filter has it. */
static void defaults_of_their_own(void **state)
{
    static const struct {
        const char *family, *option, *value;
    } rows[] = {
        {"gss", "modes", "512"},
        {"gss", "n_ssm", "1"},
        {"gss", "conjugate", "0"},
        {"gss", "with_b", "0"},
        {"gss", "imag", "exp"},
        {"gss", "imag_sign", "plus"},
        {"gss", "dt_form", "none"},
        {"gss", "init", "normal"},
        {"gss", "std", "1"},
        {"bigs", "modes", "64"},
        {"bigs", "conjugate", "0"},
        {"bigs", "with_b", "0"},
        {"bigs", "real", "negative"},
        {"bigs", "imag_sign", "plus"},
        {"bigs", "dt_min", "0.01"},
        {"bigs", "dt_max", "1"},
        {"ema", "damped", "1"},
        {"evo2_modal", "form", "p_gamma"},
        {"evo2_decay", "std", "1e-7"},
        {"evo2_decay", "window_from", "0.1"},
        {"evo2_decay", "window_len", "8192"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        lcv_option_info option = {.struct_size = sizeof option};
        lcv_filter_params params = good_params();
        lcv_filter_info info = {.struct_size = sizeof info};
        lcv_filter *filter = NULL;
        char text[64];
        const int32_t family = lcv_filter_family_find(rows[i].family);
        int32_t index = 0;
        while (lcv_filter_family_option(family, index, &option) == LCV_OK &&
               strcmp(option.name, rows[i].option) != 0)
            index++;
        assert_string_equal(option.default_text, rows[i].value);
        params.family = rows[i].family;
        params.options = NULL;
        assert_int_equal(lcv_filter_create(*state, &params, &filter), LCV_OK);
        assert_int_equal(lcv_filter_describe(filter, &info), LCV_OK);
        snprintf(text, sizeof text, "%s=%s", rows[i].option, rows[i].value);
        assert_string_equal(info.family, rows[i].family);
        assert_non_null(strstr(info.options, text));
        lcv_filter_destroy(&filter);
    }
}

static void descriptions(void **state)
{
    lcv_filter *filter = open_filter(*state);
    lcv_filter_info info = {.struct_size = sizeof info};
    lcv_port_info port = {.struct_size = sizeof port};
    lcv_filter_family_info family = {.struct_size = sizeof family};
    lcv_option_info option = {.struct_size = sizeof option};
    assert_int_equal(lcv_filter_describe(filter, &info), LCV_OK);
    assert_string_equal(info.backend, "core");
    assert_int_equal(info.filters, CHANNELS);
    assert_int_equal(lcv_filter_parameter_find(filter, "log_poles"), 1);
    assert_int_equal(lcv_filter_parameter_find(filter, "nothing"), -1);
    assert_int_equal(lcv_filter_parameter_find(filter, NULL), -1);
    assert_int_equal(lcv_filter_parameter_find(NULL, "residues"), -1);
    assert_int_equal(lcv_filter_parameter(filter, 1, &port), LCV_OK);
    assert_int_equal(port.role, LCV_PORT_PARAMETER);
    assert_int_equal(port.shape[1], 2);
    expect(*state, "index", lcv_filter_parameter(filter, 2, &port), LCV_INVALID_ARG,
           "index: expected 0 to 1, given 2");
    expect(*state, "info", lcv_filter_describe(filter, NULL), LCV_INVALID_ARG, "info: is NULL");
    expect(NULL, "filter", lcv_filter_describe(NULL, &info), LCV_INVALID_ARG, "filter: is NULL");
    expect(NULL, "family", lcv_filter_family_describe(-1, &family), LCV_INVALID_ARG, "family: expected 0 to");
    expect(NULL, "family", lcv_filter_family_describe(0, NULL), LCV_INVALID_ARG, "info: is NULL");
    expect(NULL, "option", lcv_filter_family_option(0, 99, &option), LCV_INVALID_ARG,
           "option: expected 0 to");
    assert_int_equal(lcv_filter_family_find(NULL), -1);
    assert_int_equal(lcv_filter_family_find("nothing"), -1);
    info.struct_size = 1;
    expect(*state, "size", lcv_filter_describe(filter, &info), LCV_VERSION_MISMATCH,
           "info: struct_size is 1");
    lcv_filter_destroy(&filter);
    lcv_filter_destroy(&filter);
    lcv_filter_destroy(NULL);
}

/* ---- Calls ---- */

typedef struct call {
    float taps[CHANNELS * MAX_LEN], residues[CHANNELS * 2], poles[CHANNELS * 2];
    lcv_tensor gradients[2];
    lcv_filter_args args;
    lcv_filter_grad_args grads;
} call;

static void good_call(call *c)
{
    const int64_t taps[] = {CHANNELS, MAX_LEN}, parameter[] = {CHANNELS, 2};
    memset(c, 0, sizeof *c);
    lcv_filter_args_init(&c->args, sizeof c->args);
    lcv_filter_grad_args_init(&c->grads, sizeof c->grads);
    c->args.seqlen = c->grads.seqlen = MAX_LEN;
    c->args.taps = c->grads.dtaps = lcv_tensor_compact(c->taps, LCV_F32, 2, taps);
    c->gradients[0] = lcv_tensor_compact(c->residues, LCV_F32, 2, parameter);
    c->gradients[1] = lcv_tensor_compact(c->poles, LCV_F32, 2, parameter);
    c->grads.gradient_count = 2;
    c->grads.gradients = c->gradients;
}

#define WRONG_CALL(function, part, field, value, status, message)                                            \
    do {                                                                                                     \
        call c;                                                                                              \
        good_call(&c);                                                                                       \
        assert_int_equal(function(filter, &c.part), LCV_OK);                                                 \
        const call before = c;                                                                               \
        c.part.field = value;                                                                                \
        expect(context, #field " = " #value, function(filter, &c.part), status, message);                    \
        assert_memory_equal(c.taps, before.taps, sizeof c.taps);                                             \
        assert_memory_equal(c.residues, before.residues, sizeof c.residues);                                 \
        assert_memory_equal(c.poles, before.poles, sizeof c.poles);                                          \
    } while (0)

static void bad_calls(void **state)
{
    lcv_context *context = *state;
    lcv_filter *filter = open_filter(context);
    char little[8];
    WRONG_CALL(lcv_filter_evaluate, args, seqlen, MAX_LEN + 1, LCV_INVALID_ARG,
               "seqlen: expected 0 to 8 (max_len), given 9");
    WRONG_CALL(lcv_filter_evaluate, args, seqlen, -1, LCV_INVALID_ARG, "seqlen: expected 0 to 8");
    WRONG_CALL(lcv_filter_evaluate, args, seqlen, 7, LCV_INVALID_ARG,
               "count: expected 0 to 7 taps (seqlen - first), given 8");
    WRONG_CALL(lcv_filter_evaluate, args, first, 1, LCV_INVALID_ARG, "count: expected 0 to 7 taps");
    WRONG_CALL(lcv_filter_evaluate, args, first, 9, LCV_INVALID_ARG,
               "first: expected 0 to 8 (seqlen), given 9");
    WRONG_CALL(lcv_filter_evaluate, args, taps.rank, 0, LCV_INVALID_ARG,
               "taps: is required and was not given");
    WRONG_CALL(lcv_filter_evaluate, args, taps.shape[0], 2, LCV_INVALID_ARG,
               "taps: expected shape [3, 8] (filters, count), given rank 2 [2, 8]");
    WRONG_CALL(lcv_filter_evaluate, args, taps.dtype, LCV_F64, LCV_INVALID_ARG,
               "taps: expected dtype f32, given f64");
    WRONG_CALL(lcv_filter_evaluate, args, taps.strides[0], 0, LCV_INVALID_ARG, "taps: its strides reach");
    WRONG_CALL(lcv_filter_evaluate, args, taps.strides[1], -1, LCV_INVALID_ARG, "taps: stride of axis 1");
    WRONG_CALL(lcv_filter_evaluate, args, taps.device, LCV_DEVICE_CUDA, LCV_INVALID_ARG,
               "taps: expected device kind 0, given 1");
    WRONG_CALL(lcv_filter_evaluate, args, exec.workspace, little, LCV_WORKSPACE_TOO_SMALL,
               "exec.workspace_bytes: expected at least");
    WRONG_CALL(lcv_filter_evaluate, args, struct_size, 8, LCV_VERSION_MISMATCH, "args: struct_size is 8");
    WRONG_CALL(lcv_filter_backward, grads, gradient_count, 1, LCV_INVALID_ARG,
               "gradient_count: expected 2, given 1");
    WRONG_CALL(lcv_filter_backward, grads, gradients, NULL, LCV_INVALID_ARG, "gradients: is NULL");
    WRONG_CALL(lcv_filter_backward, grads, dtaps.rank, 0, LCV_INVALID_ARG,
               "dtaps: is required and was not given");
    WRONG_CALL(lcv_filter_backward, grads, struct_size, 8, LCV_VERSION_MISMATCH, "args: struct_size is 8");
    expect(context, "args", lcv_filter_evaluate(filter, NULL), LCV_INVALID_ARG, "args: is NULL");
    expect(context, "args", lcv_filter_backward(filter, NULL), LCV_INVALID_ARG, "args: is NULL");
    expect(NULL, "filter", lcv_filter_evaluate(NULL, NULL), LCV_INVALID_ARG, "filter: is NULL");
    expect(NULL, "filter", lcv_filter_backward(NULL, NULL), LCV_INVALID_ARG, "filter: is NULL");
    lcv_filter_destroy(&filter);
}

static void bad_gradients(void **state)
{
    lcv_filter *filter = open_filter(*state);
    call c;
    good_call(&c);
    c.gradients[1].shape[0] = 1;
    expect(*state, "shape", lcv_filter_backward(filter, &c.grads), LCV_INVALID_ARG,
           "log_poles: expected shape [3, 2] (filters, modes), given rank 2 [1, 2]");
    good_call(&c);
    c.gradients[1].data = c.residues;
    expect(*state, "overlap", lcv_filter_backward(filter, &c.grads), LCV_INVALID_ARG,
           "residues: overlaps log_poles");
    good_call(&c);
    c.gradients[0].data = c.taps + 3;
    expect(*state, "overlap", lcv_filter_backward(filter, &c.grads), LCV_INVALID_ARG,
           "residues: overlaps dtaps");
    good_call(&c);
    c.gradients[0] = (lcv_tensor){0};
    assert_int_equal(lcv_filter_backward(filter, &c.grads), LCV_OK); /* one may be left out */
    lcv_filter_destroy(&filter);
}

static void workspaces(void **state)
{
    lcv_filter *filter = open_filter(*state);
    size_t bytes = 0, back = 0;
    call c, d;
    assert_int_equal(lcv_filter_workspace(filter, MAX_LEN, MAX_LEN, 0, &bytes), LCV_OK);
    assert_int_equal(lcv_filter_workspace(filter, MAX_LEN, MAX_LEN, 1, &back), LCV_OK);
    assert_true(bytes > 0 && back >= bytes);
    expect(*state, "count", lcv_filter_workspace(filter, 4, 5, 0, &bytes), LCV_INVALID_ARG,
           "count: expected 0 to 4");
    expect(*state, "bytes", lcv_filter_workspace(filter, 4, 4, 0, NULL), LCV_INVALID_ARG, "bytes: is NULL");
    expect(NULL, "filter", lcv_filter_workspace(NULL, 4, 4, 0, &bytes), LCV_INVALID_ARG, "filter: is NULL");
    good_call(&c);
    good_call(&d);
    unsigned char *memory = malloc(bytes + 1);
    assert_non_null(memory);
    c.args.exec.workspace = memory + 1; /* any alignment */
    c.args.exec.workspace_bytes = bytes;
    assert_int_equal(lcv_filter_evaluate(filter, &c.args), LCV_OK);
    assert_int_equal(lcv_filter_evaluate(filter, &d.args), LCV_OK);
    assert_memory_equal(c.taps, d.taps, sizeof c.taps);
    free(memory);
    lcv_filter_destroy(&filter);
}

/* ---- Poles and spectra ---- */

static void bad_modes(void **state)
{
    double poles[CHANNELS * 4], residues[CHANNELS * 4];
    const int64_t shape[] = {CHANNELS, 2, 2};
    lcv_filter *filter = open_filter(*state), *taps;
    lcv_filter_params params = good_params();
    const lcv_tensor p = lcv_tensor_compact(poles, LCV_F64, 3, shape),
                     r = lcv_tensor_compact(residues, LCV_F64, 3, shape);
    lcv_tensor bad = lcv_tensor_compact(residues, LCV_F32, 3, shape);
    params.family = "explicit";
    params.options = NULL;
    assert_int_equal(lcv_filter_create(*state, &params, &taps), LCV_OK);
    expect(*state, "explicit", lcv_filter_modes(taps, MAX_LEN, &p, &r), LCV_UNSUPPORTED,
           "filter: family explicit with these options is no sum of exponentials");
    expect(*state, "dtype", lcv_filter_modes(filter, MAX_LEN, &p, &bad), LCV_INVALID_ARG,
           "residues: expected dtype f64, given f32");
    expect(*state, "overlap", lcv_filter_modes(filter, MAX_LEN, &p, &p), LCV_INVALID_ARG,
           "poles: overlaps residues");
    expect(*state, "seqlen", lcv_filter_modes(filter, 9, &p, &r), LCV_INVALID_ARG, "seqlen: expected 0 to 8");
    expect(NULL, "filter", lcv_filter_modes(NULL, 1, &p, &r), LCV_INVALID_ARG, "filter: is NULL");
    assert_int_equal(lcv_filter_modes(filter, MAX_LEN, &p, &r), LCV_OK);
    lcv_filter_destroy(&filter);
    lcv_filter_destroy(&taps);
}

static lcv_plan *open_plan(lcv_context *context, lcv_dtype dtype, int64_t channels, int64_t filter_len,
                           lcv_conv_mode mode)
{
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    lcv_plan *plan;
    params.dtype = dtype;
    params.mode = mode;
    params.batch = 1;
    params.channels = channels;
    params.seqlen = 16;
    params.filter_len = filter_len;
    params.filter_future_len = mode == LCV_CONV_TWOSIDED ? filter_len : 0;
    assert_int_equal(lcv_conv_plan_create(context, &params, &plan), LCV_OK);
    return plan;
}

static void bad_prepare(void **state)
{
    static const struct {
        lcv_dtype dtype;
        int64_t channels, filter_len;
        lcv_conv_mode mode;
        bool with_future;
        const char *message;
    } rows[] = {
        {LCV_F64, CHANNELS, 8, LCV_CONV_CAUSAL, false, "filter: expected dtype f64 (of the plan), given f32"},
        {LCV_F32, 4, 8, LCV_CONV_CAUSAL, false, "filter: expected 4 rows of taps (of the plan), given 3"},
        {LCV_F32, CHANNELS, 9, LCV_CONV_CAUSAL, false,
         "filter: the plan needs 9 taps, expected at most 8 (its max_len)"},
        {LCV_F32, CHANNELS, 8, LCV_CONV_CAUSAL, true, "future: given, but the plan is not two-sided"},
        {LCV_F32, CHANNELS, 8, LCV_CONV_TWOSIDED, false, "future: is NULL, and the plan is two-sided"},
    };
    lcv_filter *filter = open_filter(*state);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        lcv_plan *plan = open_plan(*state, rows[i].dtype, rows[i].channels, rows[i].filter_len, rows[i].mode);
        lcv_spectrum *spectrum;
        assert_int_equal(lcv_spectrum_create(plan, NULL, 0, &spectrum), LCV_OK);
        expect(*state, rows[i].message,
               lcv_filter_prepare(filter, rows[i].with_future ? filter : NULL, plan, spectrum, NULL),
               LCV_INVALID_ARG, rows[i].message);
        expect(*state, "filter", lcv_filter_prepare(NULL, NULL, plan, spectrum, NULL), LCV_INVALID_ARG,
               "filter: is NULL");
        lcv_spectrum_destroy(&spectrum);
        lcv_plan_destroy(&plan);
    }
    expect(NULL, "plan", lcv_filter_prepare(filter, NULL, NULL, NULL, NULL), LCV_INVALID_ARG,
           "plan: is NULL");
    lcv_filter_destroy(&filter);
}

/* ---- Memory ---- */

/* The n-th allocation fails, for every n: OUT_OF_MEMORY, no handle, nothing lost. */
static void failing_allocations(void **state)
{
    static const char *const families[][2] = {{"explicit", NULL}, {"diag_ssm", "modes=4 init=legs"}};
    (void)state;
    for (size_t f = 0; f < COUNT_OF(families); f++) {
        lcv_status status = LCV_OUT_OF_MEMORY;
        for (int64_t n = 1; status != LCV_OK; n++) {
            test_memory memory = {0};
            const lcv_context_params context_params = test_memory_params(&memory);
            lcv_filter_params params = good_params();
            lcv_context *context;
            lcv_filter *filter;
            call c;
            assert_true(n < 50);
            assert_int_equal(lcv_context_create(&context_params, &context), LCV_OK);
            params.family = families[f][0];
            params.options = families[f][1];
            memory.fail_at = atomic_load(&memory.calls) + n;
            status = lcv_filter_create(context, &params, &filter);
            assert_true(status == LCV_OK ? filter != NULL : filter == NULL);
            good_call(&c);
            if (status == LCV_OK) { /* past the creation: the workspace of a call */
                memory.fail_at = atomic_load(&memory.calls) + 1;
                const lcv_status said = lcv_filter_evaluate(filter, &c.args);
                assert_true(said == (f == 0 ? LCV_OK : LCV_OUT_OF_MEMORY));
            } else {
                assert_int_equal(status, LCV_OUT_OF_MEMORY);
            }
            lcv_filter_destroy(&filter);
            lcv_context_destroy(&context);
            assert_int_equal(atomic_load(&memory.live_blocks), 0);
            assert_int_equal(atomic_load(&memory.faults), 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_options),        cmocka_unit_test(bad_params),
        cmocka_unit_test(bad_parameters),     cmocka_unit_test(defaults_of_their_own),
        cmocka_unit_test(descriptions),       cmocka_unit_test(bad_calls),
        cmocka_unit_test(bad_gradients),      cmocka_unit_test(workspaces),
        cmocka_unit_test(bad_modes),          cmocka_unit_test(bad_prepare),
        cmocka_unit_test(failing_allocations)};
    return cmocka_run_group_tests(tests, instance_context_open, instance_context_close);
}
