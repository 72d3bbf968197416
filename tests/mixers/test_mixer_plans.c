/* SPDX-License-Identifier: BSD-3-Clause */
/* Mixers as plans: what they say about themselves, errors, memory, strides, empty sizes. */
#include "mixer_case.h"

#include "memory.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 9, GUARD = 64, GUARD_BYTE = 0x5a };

static lcv_mixer_params params_of(const char *mixer, const char *options)
{
    lcv_mixer_params params = LCV_MIXER_PARAMS_INIT;
    params.mixer = mixer;
    params.options = options;
    params.batch = 2;
    params.channels = 4;
    params.seqlen = 20;
    params.backward = 1;
    return params;
}

static lcv_plan *plan_of(lcv_context *context, const lcv_mixer_params *params)
{
    lcv_plan *plan = NULL;
    if (lcv_mixer_plan_create(context, params, &plan) != LCV_OK)
        fail_msg("%s", lcv_context_message(context));
    return plan;
}

/* ---- Description ---- */

static void every_mixer_describes_itself(void **state)
{
    (void)state;
    assert_true(lcv_mixer_count() > 0);
    for (int32_t mixer = 0; mixer < lcv_mixer_count(); mixer++) {
        lcv_mixer_info info = {.struct_size = sizeof info};
        assert_int_equal(lcv_mixer_describe(mixer, &info), LCV_OK);
        assert_int_equal(lcv_mixer_find(info.name), mixer);
        assert_true(strlen(info.summary) > 0 && strlen(info.formula) > 0 && strlen(info.source) > 0);
        for (int32_t i = 0; i < info.option_count; i++) {
            lcv_option_info option = {.struct_size = sizeof option};
            assert_int_equal(lcv_mixer_option(mixer, i, &option), LCV_OK);
            assert_true(strlen(option.name) > 0 && strlen(option.help) > 0 &&
                        strlen(option.default_text) > 0);
        }
        lcv_option_info none = {.struct_size = sizeof none};
        assert_int_equal(lcv_mixer_option(mixer, info.option_count, &none), LCV_INVALID_ARG);
    }
    lcv_mixer_info info = {.struct_size = sizeof info};
    assert_int_equal(lcv_mixer_describe(lcv_mixer_count(), &info), LCV_INVALID_ARG);
    assert_int_equal(lcv_mixer_describe(-1, &info), LCV_INVALID_ARG);
    assert_int_equal(lcv_mixer_find("none of this name"), -1);
    assert_int_equal(lcv_mixer_find(NULL), -1);
}

static void ports_follow_from_options(void **state)
{
    static const struct {
        const char *options;
        const char *ports;
    } rows[] = {
        {"", "x in_weight in_bias short_weight short_bias filter skip out_weight out_bias y "},
        {"projections=in skip=0", "x in_weight in_bias short_weight short_bias filter y "},
        {"projections=none short_taps=0", "x filter skip y "},
        {"projection_bias=0 short_bias=0", "x in_weight short_weight filter skip out_weight y "},
    };
    (void)state;
    lcv_context *context = test_context(NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char names[256] = "";
        const lcv_mixer_params params = params_of("hyena", rows[i].options);
        lcv_plan *plan = plan_of(context, &params);
        for (int32_t port = 0; port < lcv_mixer_port_count(plan); port++) {
            lcv_port_info info = {.struct_size = sizeof info};
            assert_int_equal(lcv_mixer_port(plan, port, &info), LCV_OK);
            assert_int_equal(lcv_mixer_port_find(plan, info.name), port);
            strcat(strcat(names, info.name), " ");
        }
        assert_string_equal(names, rows[i].ports);
        lcv_plan_destroy(&plan);
    }
    lcv_context_destroy(&context);
}

static void plan_is_described(void **state)
{
    (void)state;
    lcv_context *context = test_context(NULL);
    const lcv_mixer_params params = params_of("hyena", "order=3");
    lcv_plan *plan = plan_of(context, &params);
    lcv_plan_info info = {.struct_size = sizeof info};
    assert_int_equal(lcv_plan_describe(plan, &info), LCV_OK);
    assert_string_equal(info.kind, "mixer");
    assert_true(info.workspace_bytes > 0 && info.spectrum_bytes > 0 && info.threads > 0);
    assert_int_equal(lcv_mixer_port_count(NULL), 0);
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    assert_int_equal(lcv_conv_forward(plan, &args), LCV_INVALID_ARG);
    lcv_plan_destroy(&plan);
    lcv_context_destroy(&context);
}

/* ---- Errors ---- */

static void bad_options_are_named(void **state)
{
    static const struct {
        const char *mixer, *options, *word;
        lcv_status status;
    } rows[] = {
        {"hyaena", "", "mixer", LCV_INVALID_ARG},
        {NULL, "", "mixer", LCV_INVALID_ARG},
        {"hyena", "order=1", "order", LCV_INVALID_ARG},
        {"hyena", "order=x", "order", LCV_INVALID_ARG},
        {"hyena", "colour=red", "colour", LCV_INVALID_ARG},
        {"hyena", "order=2 order=3", "order", LCV_INVALID_ARG},
        {"hyena", "short_taps=1", "short_taps", LCV_INVALID_ARG},
        {"hyena", "short_taps=65", "short_taps", LCV_INVALID_ARG},
        {"hyena", "projections=some", "projections", LCV_INVALID_ARG},
        {"hyena", "num_blocks=3", "num_blocks", LCV_INVALID_ARG},
        {"hyena", "num_heads=2", "num_heads", LCV_UNSUPPORTED},
        {"h3", "head_dim=3", "head_dim", LCV_INVALID_ARG},
        {"h3", "shift_len=0", "shift_len", LCV_INVALID_ARG},
        {"mega_ema", "sides=3", "sides", LCV_INVALID_ARG},
        {"mega_ema", "truncation=-1", "truncation", LCV_INVALID_ARG},
        {"evo2_cascade", "form=xl", "form", LCV_INVALID_ARG},
        {"evo2_cascade", "groups=3", "groups", LCV_INVALID_ARG},
        {"evo2_cascade", "short_taps=1", "short_taps", LCV_INVALID_ARG},
        {"rwkv4_wkv", "gate=2", "gate", LCV_INVALID_ARG},
        {"gss", "hidden=-1", "hidden", LCV_INVALID_ARG},
        {"gss", "epsilon=-1", "epsilon", LCV_INVALID_ARG},
        {"bigs", "activation=tanh", "activation", LCV_INVALID_ARG},
        {"liquid_s4", "degree=1", "degree", LCV_INVALID_ARG},
        {"liquid_s4", "kernel=pb", "kernel", LCV_INVALID_ARG},
        {"projection", "width=-1", "width", LCV_INVALID_ARG},
        {"monarch", "blocks=3", "blocks", LCV_INVALID_ARG},
        {"monarch", "blocks=2 middle=5", "blocks", LCV_INVALID_ARG},
        {"monarch", "out_blocks=2 width=7", "out_blocks", LCV_INVALID_ARG},
        {"monarch", "middle=1000 width=1000 out_blocks=1000", "out_blocks", LCV_INVALID_ARG},
        {"long_conv", "outputs=0", "outputs", LCV_INVALID_ARG},
        {"ckconv", "width=-1", "width", LCV_INVALID_ARG},
        {"butterfly", "noise=-1", "noise", LCV_INVALID_ARG},
        {"butterfly", "filter_len=-1", "filter_len", LCV_INVALID_ARG},
        {"block_transform", "", "seqlen", LCV_INVALID_ARG},
        {"flexconv", "activation=relu", "activation", LCV_INVALID_ARG},
        {"long_conv", "twosided=2", "twosided", LCV_INVALID_ARG},
        {"s4_layer", "channel_order=rows", "channel_order", LCV_INVALID_ARG},
        {"s5", "states=6 blocks=4", "blocks", LCV_INVALID_ARG},
        {"s5", "states=4000", "blocks", LCV_INVALID_ARG},
        {"s5", "discretisation=euler", "discretisation", LCV_INVALID_ARG},
        {"s5", "dt_min=1", "dt_min", LCV_INVALID_ARG},
        {"projection", "width=99999999999", "", LCV_TOO_LARGE},
    };
    (void)state;
    lcv_context *context = test_context(NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        lcv_mixer_params params = params_of(rows[i].mixer, rows[i].options);
        char junk;
        lcv_plan *plan = (lcv_plan *)(void *)&junk;
        params.seqlen = strcmp(rows[i].options, "width=99999999999") == 0 ? INT64_MAX / 4 : params.seqlen;
        assert_int_equal(lcv_mixer_plan_create(context, &params, &plan), rows[i].status);
        assert_null(plan);
        if (strstr(lcv_context_message(context), rows[i].word) == NULL)
            fail_msg("'%s': the message does not say %s: %s", rows[i].options, rows[i].word,
                     lcv_context_message(context));
    }
    lcv_context_destroy(&context);
}

static void bad_params_are_named(void **state)
{
    (void)state;
    lcv_context *context = test_context(NULL);
    lcv_plan *plan = NULL;
    lcv_mixer_params good = params_of("hyena", NULL), params[6];
    for (size_t i = 0; i < COUNT_OF(params); i++)
        params[i] = good;
    params[0].batch = -1;
    params[1].seqlen = -1;
    params[2].dtype = (lcv_dtype)7;
    params[3].backward = 2;
    params[4].channels = -1;
    params[5].num_threads = -1;
    static const char *const words[] = {"batch", "seqlen", "dtype", "backward", "channels", "num_threads"};
    for (size_t i = 0; i < COUNT_OF(params); i++) {
        assert_int_equal(lcv_mixer_plan_create(context, &params[i], &plan), LCV_INVALID_ARG);
        assert_non_null(strstr(lcv_context_message(context), words[i]));
    }
    params[0] = good;
    params[0].backend = "nowhere";
    assert_int_equal(lcv_mixer_plan_create(context, &params[0], &plan), LCV_NO_DEVICE);
    params[0] = good;
    params[0].engine = "nothing";
    assert_int_not_equal(lcv_mixer_plan_create(context, &params[0], &plan), LCV_OK);
    assert_int_equal(lcv_mixer_plan_create(NULL, &good, &plan), LCV_INVALID_ARG);
    assert_int_equal(lcv_mixer_plan_create(context, NULL, &plan), LCV_INVALID_ARG);
    assert_int_equal(lcv_mixer_plan_create(context, &good, NULL), LCV_INVALID_ARG);
    lcv_context_destroy(&context);
}

static void expect_refused(lcv_status status, const char *word)
{
    assert_int_equal(status, LCV_INVALID_ARG);
    if (strstr(lcv_context_message(NULL), word) == NULL)
        fail_msg("the message does not say %s: %s", word, lcv_context_message(NULL));
}

static void bad_tensors_are_named(void **state)
{
    (void)state;
    lcv_context *context = test_context(NULL);
    const lcv_mixer_params params = params_of("hyena", NULL);
    lcv_plan *plan = plan_of(context, &params);
    mixer_arrays a;
    assert_true(mixer_arrays_create(plan, SEED, &a));
    lcv_tensor tensors[MIXER_PORTS_MAX], gradients[MIXER_PORTS_MAX];
    lcv_mixer_args args = mixer_arrays_backward_args(&a, tensors);
    memcpy(gradients, a.gradient, sizeof gradients);
    args.gradients = gradients;
    for (int32_t port = 0; port < a.count; port++) {
        char word[64];
        const lcv_tensor kept = tensors[port], kept_gradient = gradients[port];
        tensors[port] = (lcv_tensor){0};
        expect_refused(lcv_mixer_backward(plan, &args), a.name[port]);
        tensors[port] = kept;
        tensors[port].shape[0]++;
        expect_refused(lcv_mixer_backward(plan, &args), a.name[port]);
        tensors[port] = kept;
        tensors[port].dtype = LCV_F64;
        expect_refused(lcv_mixer_forward(plan, &args), a.name[port]);
        tensors[port] = kept;
        snprintf(word, sizeof word, "gradient of %s", a.name[port]);
        gradients[port] = a.port[port].trainable ? lcv_tensor_transpose(kept_gradient, 0, 1) : kept;
        if (a.port[port].rank > 1 && gradients[port].shape[0] != gradients[port].shape[1])
            expect_refused(lcv_mixer_backward(plan, &args), word);
        gradients[port] = kept; /* overlaps what it is the gradient of */
        expect_refused(lcv_mixer_backward(plan, &args), word);
        gradients[port] = kept_gradient;
    }
    args.port_count--;
    expect_refused(lcv_mixer_backward(plan, &args), "port_count");
    args.port_count++;
    args.gradients = NULL;
    expect_refused(lcv_mixer_backward(plan, &args), "gradients");
    args.tensors = NULL;
    expect_refused(lcv_mixer_forward(plan, &args), "tensors");
    expect_refused(lcv_mixer_prepare(plan, &args, NULL), "memory");
    expect_refused(lcv_mixer_forward(plan, NULL), "args");
    mixer_arrays_free(&a);
    lcv_plan_destroy(&plan);
    lcv_context_destroy(&context);
}

static void forward_plans_have_no_backward(void **state)
{
    (void)state;
    lcv_context *context = test_context(NULL);
    lcv_mixer_params params = params_of("h3", NULL);
    params.backward = 0;
    lcv_plan *plan = plan_of(context, &params);
    mixer_arrays a;
    lcv_tensor tensors[MIXER_PORTS_MAX];
    assert_true(mixer_arrays_create(plan, SEED, &a));
    const lcv_mixer_args args = mixer_arrays_backward_args(&a, tensors);
    expect_refused(lcv_mixer_backward(plan, &args), "backward");
    mixer_arrays_free(&a);
    lcv_plan_destroy(&plan);
    lcv_context_destroy(&context);
}

/* ---- Initial values ---- */

static void initial_values_follow_from_the_seed(void **state)
{
    (void)state;
    lcv_context *context = test_context(NULL);
    const lcv_mixer_params params = params_of("hyena", NULL);
    lcv_plan *plan = plan_of(context, &params);
    float first[48], again[48], other[48];
    const int64_t shape[] = {12, 4}, filter_shape[] = {4, 20};
    float taps[80];
    const lcv_tensor into[] = {lcv_tensor_compact(first, LCV_F32, 2, shape),
                               lcv_tensor_compact(again, LCV_F32, 2, shape),
                               lcv_tensor_compact(other, LCV_F32, 2, shape)};
    const int32_t weight = lcv_mixer_port_find(plan, "in_weight");
    for (size_t i = 0; i < COUNT_OF(into); i++)
        assert_int_equal(lcv_mixer_initialise(plan, weight, i == 2 ? 6 : 5, &into[i]), LCV_OK);
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, other, sizeof first);
    for (size_t i = 0; i < COUNT_OF(first); i++)
        assert_true(first[i] >= -0.5F && first[i] < 0.5F); /* 1 / sqrt(4 channels) */
    const lcv_tensor filter = lcv_tensor_compact(taps, LCV_F32, 2, filter_shape);
    assert_int_equal(lcv_mixer_initialise(plan, lcv_mixer_port_find(plan, "filter"), 5, &filter),
                     LCV_UNSUPPORTED);
    expect_refused(lcv_mixer_initialise(plan, lcv_mixer_port_find(plan, "x"), 5, &filter), "port");
    expect_refused(lcv_mixer_initialise(plan, 99, 5, &filter), "port");
    expect_refused(lcv_mixer_initialise(plan, weight, 5, &filter), "in_weight");
    lcv_plan_destroy(&plan);
    lcv_context_destroy(&context);
}

/* Mean square of the numbers that a parameter starts with. */
static double initial_power(lcv_context *context, const char *mixer, const char *options, const char *port)
{
    const lcv_mixer_params params = params_of(mixer, options);
    lcv_plan *plan = plan_of(context, &params);
    const int32_t index = lcv_mixer_port_find(plan, port);
    lcv_port_info info = {.struct_size = sizeof info};
    assert_int_equal(lcv_mixer_port(plan, index, &info), LCV_OK);
    const int64_t count = mixer_port_elements(&info);
    float *values = malloc((size_t)count * sizeof *values);
    assert_non_null(values);
    const lcv_tensor into = lcv_tensor_compact(values, LCV_F32, info.rank, info.shape);
    double sum = 0.0;
    assert_int_equal(lcv_mixer_initialise(plan, index, 3, &into), LCV_OK);
    for (int64_t i = 0; i < count; i++)
        sum += (double)values[i] * (double)values[i];
    free(values);
    lcv_plan_destroy(&plan);
    return sum / (double)count;
}

/* As the authors': B and C of the model with all states, pairs counted, whatever the channels and sides. */
static void s5_starts_as_published(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        double states;
    } rows[] = {{"states=512", 1024.0}, {"states=512 conjugate=0", 512.0}, {"states=512 twosided=1", 1024.0}};
    lcv_context *context = test_context(NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_true(fabs(initial_power(context, "s5", rows[i].options, "b") * rows[i].states - 0.5) < 0.05);
        assert_true(fabs(initial_power(context, "s5", rows[i].options, "c") * rows[i].states - 1.0) < 0.1);
    }
    lcv_context_destroy(&context);
}

/* ---- Memory ---- */

/* Executions allocate nothing; every failing allocation of a creation is reported and leaks nothing. */
static void allocations_fail_cleanly(void **state)
{
    (void)state;
    test_memory memory = {0};
    const lcv_context_params context_params = test_memory_params(&memory);
    lcv_context *context = NULL;
    assert_int_equal(lcv_context_create(&context_params, &context), LCV_OK);
    const lcv_mixer_params params = params_of("hyena", "order=3 activation=gelu num_blocks=2");
    const int64_t blocks = atomic_load(&memory.live_blocks);
    lcv_plan *plan = NULL;
    int64_t failures = 0;
    for (;; failures++) {
        memory.fail_at = atomic_load(&memory.calls) + failures + 1;
        const lcv_status status = lcv_mixer_plan_create(context, &params, &plan);
        memory.fail_at = 0;
        if (status == LCV_OK)
            break;
        assert_int_equal(status, LCV_OUT_OF_MEMORY);
        assert_null(plan);
        assert_int_equal(atomic_load(&memory.live_blocks), blocks);
    }
    assert_true(failures > 4);
    mixer_arrays a;
    assert_true(mixer_arrays_create(plan, SEED, &a));
    const int64_t calls = atomic_load(&memory.calls);
    mixer_case_forward(plan, &a);
    mixer_case_backward(plan, &a, 0);
    assert_int_equal(atomic_load(&memory.calls), calls);
    mixer_arrays_free(&a);
    lcv_plan_destroy(&plan);
    assert_int_equal(atomic_load(&memory.live_blocks), blocks);
    lcv_context_destroy(&context);
    assert_int_equal(atomic_load(&memory.live_blocks), 0);
    assert_int_equal(atomic_load(&memory.faults), 0);
}

static void expect_guards(const unsigned char *memory, size_t bytes)
{
    for (size_t i = 0; i < GUARD; i++)
        if (memory[i] != GUARD_BYTE || memory[GUARD + bytes + i] != GUARD_BYTE)
            fail_msg("written outside a workspace of %zu bytes", bytes);
}

/* Any alignment, exactly the bytes that were said; one byte less is refused. */
static void callers_workspace_is_enough(void **state)
{
    static const char *const mixers[] = {"hyena", "h3"};
    static const char *const options[] = {"order=3 num_blocks=2", "head_dim=2"};
    (void)state;
    lcv_context *context = test_context(NULL);
    for (size_t i = 0; i < COUNT_OF(mixers); i++) {
        lcv_mixer_params params = params_of(mixers[i], options[i]);
        params.workspace_owner = LCV_WORKSPACE_CALLER;
        lcv_plan *plan = plan_of(context, &params);
        lcv_plan_info info = {.struct_size = sizeof info};
        mixer_arrays a;
        lcv_tensor tensors[MIXER_PORTS_MAX];
        assert_true(mixer_arrays_create(plan, SEED, &a));
        assert_int_equal(lcv_plan_describe(plan, &info), LCV_OK);
        for (size_t shift = 0; shift < 64; shift += 21) {
            const size_t bytes = info.workspace_bytes;
            unsigned char *memory = malloc(bytes + 2 * GUARD + 64);
            assert_non_null(memory);
            memset(memory, GUARD_BYTE, bytes + 2 * GUARD + 64);
            lcv_mixer_args forward = mixer_arrays_forward_args(&a);
            lcv_mixer_args backward = mixer_arrays_backward_args(&a, tensors);
            forward.exec.workspace = backward.exec.workspace = memory + shift + GUARD;
            forward.exec.workspace_bytes = backward.exec.workspace_bytes = bytes;
            assert_int_equal(lcv_mixer_forward(plan, &forward), LCV_OK);
            assert_int_equal(lcv_mixer_backward(plan, &backward), LCV_OK);
            expect_guards(memory + shift, bytes);
            forward.exec.workspace_bytes = bytes - 1;
            assert_int_equal(lcv_mixer_forward(plan, &forward), LCV_WORKSPACE_TOO_SMALL);
            free(memory);
        }
        lcv_mixer_args without = mixer_arrays_forward_args(&a);
        expect_refused(lcv_mixer_forward(plan, &without), "workspace");
        mixer_arrays_free(&a);
        lcv_plan_destroy(&plan);
    }
    lcv_context_destroy(&context);
}

/* ---- Strides and sizes ---- */

/* A view of the same numbers with gaps and axes in another order of memory; *memory is to be freed. */
static lcv_tensor scattered(const lcv_tensor *tensor, void **memory)
{
    const size_t element = lcv_dtype_size(tensor->dtype);
    lcv_tensor view = *tensor;
    int64_t step = 2, index[LCV_MAX_RANK] = {0};
    for (int32_t axis = 0; axis < tensor->rank; axis++) {
        view.strides[axis] = step;
        step *= tensor->shape[axis] + 1;
    }
    view.data = *memory = calloc((size_t)step, element);
    assert_non_null(view.data);
    for (bool more = tensor->data != NULL; more;) {
        int64_t from = 0, to = 0;
        for (int32_t axis = 0; axis < tensor->rank; axis++) {
            from += index[axis] * tensor->strides[axis];
            to += index[axis] * view.strides[axis];
        }
        memcpy((char *)view.data + (size_t)to * element, (const char *)tensor->data + (size_t)from * element,
               element);
        int32_t axis = tensor->rank - 1;
        while (axis >= 0 && ++index[axis] == tensor->shape[axis])
            index[axis--] = 0;
        more = axis >= 0;
    }
    return view;
}

static double at(const lcv_tensor *tensor, int64_t b, int64_t t, int64_t c)
{
    return ((const double *)
                tensor->data)[b * tensor->strides[0] + t * tensor->strides[1] + c * tensor->strides[2]];
}

static void any_strides_are_served(void **state)
{
    (void)state;
    lcv_context *context = test_context(NULL);
    lcv_mixer_params params = params_of("hyena", "order=3");
    params.dtype = LCV_F64;
    lcv_plan *plan = plan_of(context, &params);
    mixer_arrays a;
    lcv_tensor tensors[MIXER_PORTS_MAX];
    void *memory[MIXER_PORTS_MAX];
    assert_true(mixer_arrays_create(plan, SEED, &a));
    mixer_case_forward(plan, &a);
    const int32_t y = mixer_arrays_find(&a, "y");
    for (int32_t port = 0; port < a.count; port++)
        tensors[port] = scattered(&a.tensor[port], &memory[port]);
    memset(tensors[y].data, 0, 64);
    lcv_mixer_args args = mixer_arrays_forward_args(&a);
    args.tensors = tensors;
    assert_int_equal(lcv_mixer_forward(plan, &args), LCV_OK);
    for (int64_t b = 0; b < 2; b++)
        for (int64_t t = 0; t < 20; t++)
            for (int64_t c = 0; c < 4; c++)
                assert_true(fabs(at(&tensors[y], b, t, c) - at(&a.tensor[y], b, t, c)) < 1e-13);
    for (int32_t port = 0; port < a.count; port++)
        free(memory[port]);
    mixer_arrays_free(&a);
    lcv_plan_destroy(&plan);
    lcv_context_destroy(&context);
}

static void empty_sizes_are_fine(void **state)
{
    static const char *const mixers[] = {"hyena", "h3", "projection"};
    (void)state;
    lcv_context *context = test_context(NULL);
    for (size_t i = 0; i < 3 * COUNT_OF(mixers); i++) {
        lcv_mixer_params params = params_of(mixers[i / 3], NULL);
        params.batch = i % 3 == 0 ? 0 : 2;
        params.channels = i % 3 == 1 ? 0 : 4;
        params.seqlen = i % 3 == 2 ? 0 : 20;
        lcv_plan *plan = plan_of(context, &params);
        mixer_arrays a;
        assert_true(mixer_arrays_create(plan, SEED, &a));
        mixer_case_forward(plan, &a);
        mixer_case_backward(plan, &a, 0);
        /* Nothing was summed: gradients of parameters are zero. */
        for (int32_t port = 0; port < a.count; port++) {
            const lcv_tensor flat = mixer_flat(&a.gradient[port]);
            for (int64_t n = 0; a.port[port].role == LCV_PORT_PARAMETER && n < flat.shape[0]; n++)
                assert_true(tensor_get(&flat, n) == 0.0);
        }
        mixer_arrays_free(&a);
        lcv_plan_destroy(&plan);
    }
    lcv_context_destroy(&context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mixer_describes_itself),
        cmocka_unit_test(ports_follow_from_options),
        cmocka_unit_test(plan_is_described),
        cmocka_unit_test(bad_options_are_named),
        cmocka_unit_test(bad_params_are_named),
        cmocka_unit_test(bad_tensors_are_named),
        cmocka_unit_test(forward_plans_have_no_backward),
        cmocka_unit_test(initial_values_follow_from_the_seed),
        cmocka_unit_test(s5_starts_as_published),
        cmocka_unit_test(allocations_fail_cleanly),
        cmocka_unit_test(callers_workspace_is_enough),
        cmocka_unit_test(any_strides_are_served),
        cmocka_unit_test(empty_sizes_are_fine),
    };
    return cmocka_run_group_tests_name("mixer plans", tests, NULL, NULL);
}
