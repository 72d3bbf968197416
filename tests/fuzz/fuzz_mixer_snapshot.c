/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: the reader of snapshots of mixers' streams (snapshot_input.h), each made of the snapshots of
 * several streams. What is refused gets a message and leaves all of them where they were; what is taken over
 * is at one position and streams on. */
#include "snapshot_input.h"

#include <longconv/longconv.h>

#include "mixer_arrays.h"

enum { CHANNELS = 2, TOKENS = 350, PROMPT = 200, SEEN = 333, MORE = 17 };

typedef struct {
    const char *mixer, *options;
    lcv_stream_mode mode;
    int64_t prompt; /* of which sums are left; 0: none */
} kind;

static const kind kinds[] = {
    {"hyena", "order=2", LCV_STREAM_RELAXED, 0},
    {"hyena", "order=3", LCV_STREAM_SMOOTH, 0},
    {"h3", "head_dim=1 shift_len=8", LCV_STREAM_DIRECT, 0},
    {"hyena", "order=2", LCV_STREAM_RELAXED, PROMPT},
    {"s5", "states=3", LCV_STREAM_AUTO, 0},
    {"rwkv4_wkv", "gate=1", LCV_STREAM_AUTO, 0},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

typedef struct {
    lcv_mixer_stream *stream;
    mixer_arrays arrays;
    snapshot_sample snapshot;
} sample;

static lcv_context *context;
static sample samples[KINDS];

/* Tokens [0, count) of the sample; inputs and outputs are [batch, seqlen, channels]. */
static lcv_mixer_stream_args tokens(const sample *s, int64_t count, lcv_tensor *tensors)
{
    lcv_mixer_stream_args args = LCV_MIXER_STREAM_ARGS_INIT;
    for (int32_t i = 0; i < s->arrays.count; i++)
        tensors[i] = s->arrays.port[i].role == LCV_PORT_PARAMETER
                         ? (lcv_tensor)LCV_TENSOR_NONE
                         : lcv_tensor_slice(s->arrays.tensor[i], 1, 0, count);
    args.port_count = s->arrays.count;
    args.tensors = tensors;
    return args;
}

static void create_stream(sample *s, const kind *k, const lcv_plan *plan)
{
    lcv_mixer_stream_params params = LCV_MIXER_STREAM_PARAMS_INIT;
    lcv_mixer_stream_setup setup = LCV_MIXER_STREAM_SETUP_INIT;
    params.mode = k->mode;
    params.num_threads = 1;
    params.generate_len = k->prompt > 0 ? TOKENS : 0;
    setup.port_count = s->arrays.count;
    setup.tensors = s->arrays.tensor;
    FUZZ_REQUIRE(lcv_mixer_stream_create(plan, &params, &setup, &s->stream) == LCV_OK);
}

static lcv_plan *open_plan(const kind *k)
{
    lcv_mixer_params params = LCV_MIXER_PARAMS_INIT;
    lcv_plan *plan = NULL;
    params.mixer = k->mixer;
    params.options = k->options;
    params.batch = 1;
    params.channels = CHANNELS;
    params.seqlen = TOKENS;
    params.num_threads = 1;
    FUZZ_REQUIRE(lcv_mixer_plan_create(context, &params, &plan) == LCV_OK);
    return plan;
}

static void open_sample(sample *s, const kind *k)
{
    lcv_tensor tensors[MIXER_PORTS_MAX];
    lcv_plan *plan = open_plan(k);
    FUZZ_REQUIRE(mixer_arrays_create(plan, 1, &s->arrays));
    create_stream(s, k, plan);
    lcv_mixer_stream_args args = tokens(s, k->prompt, tensors);
    FUZZ_REQUIRE(k->prompt == 0 || lcv_mixer_stream_prefill(s->stream, &args) == LCV_OK);
    args = tokens(s, SEEN - k->prompt, tensors);
    FUZZ_REQUIRE(lcv_mixer_stream_push(s->stream, &args) == LCV_OK);
    FUZZ_REQUIRE(lcv_mixer_stream_save(s->stream, NULL, 0, &s->snapshot.size) == LCV_OK);
    snapshot_sample_allocate(&s->snapshot);
    FUZZ_REQUIRE(lcv_mixer_stream_save(s->stream, s->snapshot.bytes, s->snapshot.size, &s->snapshot.size) ==
                 LCV_OK);
    lcv_plan_destroy(&plan);
}

static void open_all(void)
{
    FUZZ_REQUIRE(lcv_context_create(NULL, &context) == LCV_OK);
    for (int i = 0; i < (int)KINDS; i++)
        open_sample(&samples[i], &kinds[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fuzz_input input = {bytes, size};
    lcv_tensor tensors[MIXER_PORTS_MAX];
    if (context == NULL)
        open_all();
    const uint8_t choice = fuzz_byte(&input);
    const sample *s = &samples[choice % KINDS];
    const int64_t position = lcv_mixer_stream_position(s->stream);
    const size_t length = snapshot_sample_change(&s->snapshot, choice, input);
    if (lcv_mixer_stream_load(s->stream, s->snapshot.copy, length) != LCV_OK) {
        FUZZ_REQUIRE(lcv_context_message(context)[0] != '\0');
        FUZZ_REQUIRE(lcv_mixer_stream_position(s->stream) == position);
        return 0;
    }
    const int64_t loaded = lcv_mixer_stream_position(s->stream);
    const lcv_mixer_stream_args next = tokens(s, MORE, tensors);
    const lcv_status status = lcv_mixer_stream_push(s->stream, &next);
    FUZZ_REQUIRE(lcv_mixer_stream_position(s->stream) == loaded + (status == LCV_OK ? MORE : 0));
    return 0;
}
