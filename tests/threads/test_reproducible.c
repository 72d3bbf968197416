/* SPDX-License-Identifier: BSD-3-Clause */
/* Reproducible plans, streams and operators in many processes (a hundred in the slow test), with 1, 2 and 4
 * threads, on arrays that lie differently, and after other plans of the process were measured: every bit of
 * every output and gradient is the same in all of them. */
#define _POSIX_C_SOURCE 200809L
#include "conv.h"
#include "mixer_arrays.h"
#include "numbers.h"
#include "targets.h"
#include "test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SHAPES = 8 };

static uint64_t hash_outputs(const test_conv *c, uint64_t hash)
{
    for (int row = 0; row < TEST_TENSORS; row++) {
        const test_array *array = &c->arrays[row];
        if (!test_tensor_rows[row].output || array->tensor.rank == 0)
            continue;
        const size_t size = lcv_dtype_size(array->tensor.dtype);
        for (int64_t i = 0; i < test_array_count(array); i++)
            for (size_t byte = 0; byte < size; byte++)
                hash = (hash ^ (unsigned char)test_array_element(array, i)[byte]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* Every engine has something to do here: rows for direct sums, for blocks, and for the threads of a team. */
static lcv_conv_params shape_of(int index)
{
    static const struct {
        int64_t batch, channels, seqlen, filter_len;
        uint32_t dropped_terms;
        lcv_filter_form form;
        lcv_activation activation;
        lcv_dtype dtype;
        lcv_layout layout;
    } rows[SHAPES] = {
        {3, 4, 500, 500, 0, LCV_FILTER_PER_CHANNEL, LCV_ACTIVATION_NONE, LCV_F32, LCV_LAYOUT_BDL},
        {5, 4, 700, 90, 0, LCV_FILTER_SHARED, LCV_ACTIVATION_SILU, LCV_F32, LCV_LAYOUT_BLD},
        {2, 2, 1031, 1031, 0, LCV_FILTER_PER_SAMPLE, LCV_ACTIVATION_NONE, LCV_F64, LCV_LAYOUT_BDL},
        {2, 3, 4000, 130, LCV_TERM_STATE, LCV_FILTER_PER_CHANNEL, LCV_ACTIVATION_NONE, LCV_F32,
         LCV_LAYOUT_BDL},
        {2, 4, 300, 4, 0, LCV_FILTER_PER_CHANNEL, LCV_ACTIVATION_GELU, LCV_BF16, LCV_LAYOUT_BLD},
        {1, 1, 131072, 131072, LCV_TERM_STATE, LCV_FILTER_PER_CHANNEL, LCV_ACTIVATION_NONE, LCV_F32,
         LCV_LAYOUT_BDL},
        /* Panels whose width follows the threads, or would. */
        {15, 32, 64, 16, 0, LCV_FILTER_PER_CHANNEL, LCV_ACTIVATION_NONE, LCV_F32, LCV_LAYOUT_BLD},
        {1, 20, 1024, 16, 0, LCV_FILTER_PER_CHANNEL, LCV_ACTIVATION_NONE, LCV_F32, LCV_LAYOUT_BLD},
    };
    lcv_conv_params p =
        test_conv_params(rows[index].batch, rows[index].channels, rows[index].seqlen, rows[index].filter_len);
    p.terms &= ~rows[index].dropped_terms;
    if ((rows[index].dropped_terms & LCV_TERM_STATE) != 0)
        p.grad_mask &= ~(uint32_t)LCV_GRAD_STATE;
    p.filter_form = rows[index].form;
    p.activation = rows[index].activation;
    p.dtype = rows[index].dtype;
    p.layout = rows[index].layout;
    return p;
}

/* Gives FFTW wisdom about this size, and with it other quick plans. */
static void measure(lcv_context *context, lcv_conv_params params)
{
    lcv_plan *plan = NULL;
    params.planning = LCV_PLANNING_MEASURED;
    params.backend = "cpu";
    params.engine = "fftw";
    if (params.seqlen <= 600 && lcv_conv_plan_create(context, &params, &plan) == LCV_OK)
        lcv_plan_destroy(&plan);
}

static bool is_quadratic(const test_target *target, const lcv_conv_params *params)
{
    return params->seqlen > 4096 &&
           (strcmp(target->engine, "direct") == 0 || strcmp(target->backend, "ref") == 0);
}

static bool add_case(lcv_context *context, const lcv_conv_params *params, const test_place *place,
                     uint64_t *hash)
{
    lcv_plan *plan = NULL;
    test_conv c;
    if (lcv_conv_plan_create(context, params, &plan) != LCV_OK)
        return false;
    test_conv_make(&c, params, place, 7);
    const bool done =
        lcv_conv_forward(plan, &c.args) == LCV_OK && lcv_conv_backward(plan, &c.grads) == LCV_OK;
    *hash = hash_outputs(&c, *hash);
    test_conv_free(&c);
    lcv_plan_destroy(&plan);
    return done;
}

/* ---- Streams ---- */

enum { CHANNELS = 48, TAPS = 2300, TOKENS = 2400, PROMPT = 700 };

static uint64_t hash_bytes(const void *memory, size_t count, uint64_t hash)
{
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ ((const unsigned char *)memory)[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void fill(float *data, int64_t count, double scale)
{
    uint64_t random = 3;
    for (int64_t i = 0; i < count; i++)
        data[i] = (float)(scale * ((double)(test_bits(&random) >> 11) * 0x1p-52 - 1.0));
}

/* A prompt and tokens, the way in which a prompt leaves sums included. */
static bool add_stream(lcv_context *context, lcv_stream_mode mode, int64_t generate_len, int32_t threads,
                       uint64_t *hash)
{
    static float filter[CHANNELS * TAPS], u[CHANNELS * TOKENS], y[CHANNELS * TOKENS];
    const int64_t shape[] = {1, CHANNELS, TOKENS}, filter_shape[] = {CHANNELS, TAPS};
    lcv_stream_params params = LCV_STREAM_PARAMS_INIT;
    lcv_stream_filter taps = LCV_STREAM_FILTER_INIT;
    lcv_stream_args args = LCV_STREAM_ARGS_INIT;
    lcv_stream *stream = NULL;
    const lcv_tensor to = lcv_tensor_compact(y, LCV_F32, 3, shape),
                     from = lcv_tensor_compact(u, LCV_F32, 3, shape);
    fill(filter, CHANNELS * TAPS, 0.1);
    fill(u, CHANNELS * TOKENS, 1.0);
    params.mode = mode;
    params.batch = 1;
    params.channels = CHANNELS;
    params.filter_len = TAPS;
    params.generate_len = generate_len;
    params.num_threads = threads;
    taps.filter = lcv_tensor_compact(filter, LCV_F32, 2, filter_shape);
    if (lcv_stream_create(context, &params, &taps, &stream) != LCV_OK)
        return false;
    args.u = lcv_tensor_slice(from, 2, 0, PROMPT);
    args.y = lcv_tensor_slice(to, 2, 0, PROMPT);
    bool done = lcv_stream_prefill(stream, &args) == LCV_OK;
    for (int64_t t = PROMPT; t < TOKENS && done; t += 100) {
        args.u = lcv_tensor_slice(from, 2, t, 100);
        args.y = lcv_tensor_slice(to, 2, t, 100);
        done = lcv_stream_push(stream, &args) == LCV_OK;
    }
    lcv_stream_destroy(&stream);
    *hash = hash_bytes(y, sizeof y, *hash);
    return done;
}

static bool add_streams(lcv_context *context, int32_t threads, uint64_t *hash)
{
    return add_stream(context, LCV_STREAM_RELAXED, 0, threads, hash) &&
           add_stream(context, LCV_STREAM_SMOOTH, 0, threads, hash) &&
           add_stream(context, LCV_STREAM_RELAXED, TOKENS - PROMPT, threads, hash);
}

/* ---- Operators ---- */

static bool add_mixer(lcv_context *context, const lcv_mixer_params *params, uint64_t *hash)
{
    lcv_plan *plan = NULL;
    mixer_arrays a;
    lcv_tensor tensors[MIXER_PORTS_MAX];
    if (lcv_mixer_plan_create(context, params, &plan) != LCV_OK || !mixer_arrays_create(plan, 7, &a))
        return false;
    const lcv_mixer_args forward = mixer_arrays_forward_args(&a);
    bool done = lcv_mixer_forward(plan, &forward) == LCV_OK;
    for (int32_t i = 0; i < a.count; i++)
        if (a.port[i].role == LCV_PORT_OUTPUT)
            *hash = hash_bytes(a.tensor[i].data, (size_t)mixer_flat(&a.tensor[i]).shape[0] * sizeof(float),
                               *hash);
    const lcv_mixer_args backward = mixer_arrays_backward_args(&a, tensors);
    done = done && lcv_mixer_backward(plan, &backward) == LCV_OK;
    for (int32_t i = 0; i < a.count; i++)
        if (a.gradient[i].rank > 0)
            *hash = hash_bytes(a.gradient[i].data,
                               (size_t)mixer_flat(&a.gradient[i]).shape[0] * sizeof(float), *hash);
    mixer_arrays_free(&a);
    lcv_plan_destroy(&plan);
    return done;
}

/* Forward and backward of each, on the CPU backend. */
static bool add_mixers(lcv_context *context, int32_t threads, uint64_t *hash)
{
    bool done = true;
    for (int32_t m = 0; m < lcv_mixer_count() && done; m++) {
        lcv_mixer_info info = {.struct_size = sizeof info};
        lcv_mixer_params params = LCV_MIXER_PARAMS_INIT;
        done = lcv_mixer_describe(m, &info) == LCV_OK;
        params.mixer = info.name;
        params.batch = 3;
        params.channels = 8;
        params.seqlen = strcmp(info.name, "block_transform") == 0 ? 512 : 500; /* which was measured */
        params.backward = 1;
        params.num_threads = threads;
        params.backend = "cpu";
        params.reproducible = 1;
        done = done && add_mixer(context, &params, hash);
    }
    return done;
}

/* One process: its number decides what differs. Prints its hash. */
static int compute(int process)
{
    static const int32_t threads[] = {1, 2, 4};
    const test_place place = {TEST_PLAIN, process % 2 == 0 ? 0 : 1, 1};
    lcv_context_params context_params = LCV_CONTEXT_PARAMS_INIT;
    lcv_context *context = NULL;
    test_target targets[TEST_MAX_TARGETS];
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    context_params.num_threads = TEST_WITH_TSAN ? 1 : threads[process % 3];
    if (lcv_context_create(&context_params, &context) != LCV_OK)
        return 1;
    const int count = test_targets(context, targets);
    for (int s = 0; s < SHAPES; s++)
        for (int t = 0; t < count; t++) {
            lcv_conv_params params = shape_of(s);
            if (process / 3 % 4 == 1 && t == 0)
                measure(context, params);
            params.reproducible = 1;
            params.num_threads = context_params.num_threads;
            params.backend = targets[t].backend;
            params.engine = targets[t].engine;
            if (is_quadratic(&targets[t], &params) || lcv_conv_query(context, &params, NULL) != LCV_OK)
                continue;
            if (!add_case(context, &params, &place, &hash))
                return 1;
        }
    if (!add_streams(context, context_params.num_threads, &hash) ||
        !add_mixers(context, context_params.num_threads, &hash)) {
        fprintf(stderr, "%s\n", lcv_context_message(context));
        return 1;
    }
    lcv_context_destroy(&context);
    printf("%016" PRIx64 "\n", hash);
    return 0;
}

static uint64_t hash_of_process(const char *program, int process)
{
    char command[1024];
    uint64_t hash = 0;
    snprintf(command, sizeof command, "'%s' %d", program, process);
    FILE *output = popen(command, "r");
    assert_non_null(output);
    assert_int_equal(fscanf(output, "%" SCNx64, &hash), 1);
    assert_int_equal(pclose(output), 0);
    return hash;
}

static const char *own_path;
static int processes = 12;

static void one_hash(void **state)
{
    (void)state;
    const uint64_t first = hash_of_process(own_path, 0);
    for (int process = 1; process < processes; process++) {
        const uint64_t hash = hash_of_process(own_path, process);
        if (hash != first)
            fail_msg("process %d: hash %016" PRIx64 ", process 0 has %016" PRIx64 "; see: %s %d", process,
                     hash, first, own_path, process);
    }
}

static void measured_plans_are_refused(void **state)
{
    lcv_context *context = NULL;
    lcv_conv_params params = shape_of(0);
    (void)state;
    params.reproducible = 1;
    params.planning = LCV_PLANNING_MEASURED;
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    assert_int_equal(lcv_conv_query(context, &params, NULL), LCV_INVALID_ARG);
    assert_non_null(strstr(lcv_context_message(context), "planning: "));
    lcv_mixer_params mixer = LCV_MIXER_PARAMS_INIT;
    lcv_plan *plan = NULL;
    mixer.mixer = "hyena";
    mixer.batch = mixer.channels = mixer.seqlen = 1;
    mixer.reproducible = 1;
    mixer.planning = LCV_PLANNING_MEASURED;
    assert_int_equal(lcv_mixer_plan_create(context, &mixer, &plan), LCV_INVALID_ARG);
    assert_non_null(strstr(lcv_context_message(context), "planning: "));
    mixer.planning = LCV_PLANNING_QUICK;
    mixer.device = LCV_DEVICE_CUDA;
    assert_int_equal(lcv_mixer_plan_create(context, &mixer, &plan), LCV_UNSUPPORTED);
    assert_non_null(strstr(lcv_context_message(context), "reproducible: "));
    lcv_context_destroy(&context);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(measured_plans_are_refused),
                                       cmocka_unit_test(one_hash)};
    if (argc > 2 && strcmp(argv[1], "processes") == 0)
        processes = atoi(argv[2]);
    else if (argc > 1)
        return compute(atoi(argv[1]));
    own_path = argv[0];
    return cmocka_run_group_tests_name("reproducible", tests, NULL, NULL);
}
