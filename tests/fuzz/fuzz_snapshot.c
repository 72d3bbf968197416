/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: the reader of stream snapshots. The first byte chooses the stream and whether checksums are
 * made right; the others, three by three, change bytes of a true snapshot: place (two bytes) and value. What
 * is refused gets a message and leaves the stream where it was; what is taken over streams on. */
#include "fuzz_input.h"

#include <longconv/longconv.h>
#include <string.h>

enum {
    CHANNELS = 3,
    TAPS = 300,
    TOKENS = 350,
    PROMPT = 200,
    SEEN = 333,
    KINDS = 4, /* three modes, and one after a prompt of which sums are left */
    HEADER = 168,
    PAYLOAD_CRC_AT = 156,
    HEADER_CRC_AT = 164
};

typedef struct {
    lcv_stream *stream;
    uint8_t *bytes, *copy;
    size_t size;
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
    FUZZ_REQUIRE(lcv_stream_save(s->stream, NULL, 0, &s->size) == LCV_OK);
    s->bytes = malloc(s->size);
    s->copy = malloc(s->size);
    FUZZ_REQUIRE(s->bytes != NULL && s->copy != NULL);
    FUZZ_REQUIRE(lcv_stream_save(s->stream, s->bytes, s->size, &s->size) == LCV_OK);
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

static uint32_t checksum(const uint8_t *bytes, size_t count)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1u) != 0 ? 0xEDB88320u : 0u);
    }
    return ~crc;
}

static void repair(const sample *s)
{
    const uint32_t payload = checksum(s->copy + HEADER, s->size - HEADER);
    memcpy(s->copy + PAYLOAD_CRC_AT, &payload, sizeof payload);
    const uint32_t header = checksum(s->copy, HEADER_CRC_AT);
    memcpy(s->copy + HEADER_CRC_AT, &header, sizeof header);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fuzz_input input = {bytes, size};
    if (context == NULL)
        open_all();
    const uint8_t choice = fuzz_byte(&input);
    const sample *s = &samples[choice % KINDS];
    memcpy(s->copy, s->bytes, s->size);
    while (input.left >= 3) {
        const size_t at = (size_t)fuzz_byte(&input) + 256 * (size_t)fuzz_byte(&input);
        s->copy[at % s->size] = fuzz_byte(&input);
    }
    if (choice < 128)
        repair(s);
    const int64_t position = lcv_stream_position(s->stream);
    const size_t length = choice % 8 == 7 ? size % (s->size + 1) : s->size;
    if (lcv_stream_load(s->stream, s->copy, length) == LCV_OK) {
        const lcv_stream_args next = tokens(300);
        (void)lcv_stream_push(s->stream, &next);
        return 0;
    }
    FUZZ_REQUIRE(lcv_context_message(context)[0] != '\0');
    FUZZ_REQUIRE(lcv_stream_position(s->stream) == position);
    return 0;
}
