/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: the reader of stream snapshots (snapshot_input.h). What is refused gets a message and leaves
 * the stream where it was; what is taken over streams on. */
#include "snapshot_input.h"

#include <longconv/longconv.h>

enum {
    CHANNELS = 3,
    TAPS = 300,
    TOKENS = 350,
    PROMPT = 200,
    SEEN = 333,
    KINDS = 4 /* three modes, and one after a prompt of which sums are left */
};

typedef struct {
    lcv_stream *stream;
    snapshot_sample snapshot;
} sample;

static lcv_context *context;
static sample samples[KINDS];
static float filter[CHANNELS * TAPS], u[CHANNELS * TOKENS], y[CHANNELS * TOKENS];

static lcv_stream_args tokens(int64_t count)
{
    const int64_t shape[] = {1, CHANNELS, TOKENS};
    lcv_stream_args args = LCV_STREAM_ARGS_INIT;
    args.u = lcv_tensor_slice(lcv_tensor_compact(u, LCV_F32, 3, shape), 2, 0, count);
    args.y = lcv_tensor_slice(lcv_tensor_compact(y, LCV_F32, 3, shape), 2, 0, count);
    return args;
}

static void open_sample(sample *s, lcv_stream_mode mode, int64_t prompt)
{
    const lcv_stream_args first = tokens(prompt), then = tokens(SEEN - prompt);
    lcv_stream_params params = LCV_STREAM_PARAMS_INIT;
    lcv_stream_filter taps = LCV_STREAM_FILTER_INIT;
    params.mode = mode;
    params.batch = 1;
    params.channels = CHANNELS;
    params.filter_len = TAPS;
    params.num_threads = 1;
    params.generate_len = prompt > 0 ? TOKENS : 0;
    taps.filter = lcv_tensor_compact(filter, LCV_F32, 2, (const int64_t[]){CHANNELS, TAPS});
    FUZZ_REQUIRE(lcv_stream_create(context, &params, &taps, &s->stream) == LCV_OK);
    FUZZ_REQUIRE(prompt == 0 || lcv_stream_prefill(s->stream, &first) == LCV_OK);
    FUZZ_REQUIRE(lcv_stream_push(s->stream, &then) == LCV_OK);
    FUZZ_REQUIRE(lcv_stream_save(s->stream, NULL, 0, &s->snapshot.size) == LCV_OK);
    snapshot_sample_allocate(&s->snapshot);
    FUZZ_REQUIRE(lcv_stream_save(s->stream, s->snapshot.bytes, s->snapshot.size, &s->snapshot.size) ==
                 LCV_OK);
}

static void open_all(void)
{
    static const lcv_stream_mode modes[KINDS] = {LCV_STREAM_RELAXED, LCV_STREAM_SMOOTH, LCV_STREAM_DIRECT,
                                                 LCV_STREAM_RELAXED};
    FUZZ_REQUIRE(lcv_context_create(NULL, &context) == LCV_OK);
    for (int i = 0; i < CHANNELS * TAPS; i++)
        filter[i] = (float)(i % 7) - 3.0F;
    for (int i = 0; i < CHANNELS * TOKENS; i++)
        u[i] = (float)(i % 5) - 2.0F;
    for (int i = 0; i < KINDS; i++)
        open_sample(&samples[i], modes[i], i < 3 ? 0 : PROMPT);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fuzz_input input = {bytes, size};
    if (context == NULL)
        open_all();
    const uint8_t choice = fuzz_byte(&input);
    const sample *s = &samples[choice % KINDS];
    const int64_t position = lcv_stream_position(s->stream);
    const size_t length = snapshot_sample_change(&s->snapshot, choice, input);
    if (lcv_stream_load(s->stream, s->snapshot.copy, length) == LCV_OK) {
        const lcv_stream_args next = tokens(300);
        (void)lcv_stream_push(s->stream, &next);
        return 0;
    }
    FUZZ_REQUIRE(lcv_context_message(context)[0] != '\0');
    FUZZ_REQUIRE(lcv_stream_position(s->stream) == position);
    return 0;
}
