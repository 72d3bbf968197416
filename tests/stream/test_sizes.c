/* SPDX-License-Identifier: BSD-3-Clause */
/* Boundary values in every size of a stream: the answer to a query is OK, INVALID_ARG or TOO_LARGE, what it
 * says fits into memory, and nothing is allocated for it. The same of marks and forks. */
#include "memory.h"
#include "stream_case.h"

#include <stddef.h>
#include <string.h>

static const int64_t boundaries[] = {
    -1,
    0,
    1,
    127,
    128,
    129,
    ((int64_t)1 << 16) + 1,
    INT32_MAX - 1LL,
    INT32_MAX,
    INT32_MAX + 1LL,
    ((int64_t)1 << 43) - 1,
    ((int64_t)1 << 43) + 1,
    ((int64_t)1 << 58) + 1,
    ((int64_t)1 << 62) - 1,
    ((int64_t)1 << 62) + 1,
    INT64_MAX - 1,
    INT64_MAX,
};

static const size_t fields[] = {
    offsetof(lcv_stream_params, batch),        offsetof(lcv_stream_params, channels),
    offsetof(lcv_stream_params, filter_len),   offsetof(lcv_stream_params, max_len),
    offsetof(lcv_stream_params, generate_len), offsetof(lcv_stream_params, order),
};

static void try_query(lcv_context *context, const lcv_stream_params *p)
{
    lcv_stream_info info = {.struct_size = sizeof info};
    const lcv_status status = lcv_stream_query(context, p, &info);
    const bool defined = status == LCV_OK || status == LCV_INVALID_ARG || status == LCV_TOO_LARGE;
    const size_t most = PTRDIFF_MAX;
    if (!defined || (status != LCV_OK && lcv_context_message(context)[0] == '\0') ||
        (status == LCV_OK &&
         (info.state_bytes > most || info.shared_bytes > most || info.scratch_bytes > most)))
        fail_msg("%s mode %d b%lld d%lld k%lld max_len %lld generate_len %lld order %lld: %s, %s", p->backend,
                 (int)p->mode, (long long)p->batch, (long long)p->channels, (long long)p->filter_len,
                 (long long)p->max_len, (long long)p->generate_len, (long long)p->order,
                 lcv_status_name(status), lcv_context_message(context));
}

static void set(lcv_stream_params *p, size_t field, int64_t value)
{
    memcpy((char *)p + field, &value, sizeof value);
}

/* All pairs of sizes, the others small. */
static void every_pair_of_sizes(void **state)
{
    static const char *const backends[] = {"cpu", "ref"};
    test_memory memory = {0};
    const lcv_context_params params = test_memory_params(&memory);
    lcv_context *context = NULL;
    (void)state;
    assert_int_equal(lcv_context_create(&params, &context), LCV_OK);
    const int64_t calls = atomic_load(&memory.calls);
    for (size_t backend = 0; backend < COUNT_OF(backends); backend++)
        for (int mode = LCV_STREAM_DIRECT; mode <= LCV_STREAM_MODAL; mode++)
            for (size_t a = 0; a < COUNT_OF(fields); a++)
                for (size_t b = 0; b < a; b++)
                    for (size_t i = 0; i < COUNT_OF(boundaries); i++)
                        for (size_t k = 0; k < COUNT_OF(boundaries); k++) {
                            lcv_stream_params p = LCV_STREAM_PARAMS_INIT;
                            p.backend = backends[backend];
                            p.mode = (lcv_stream_mode)mode;
                            p.batch = 2;
                            p.channels = 3;
                            p.filter_len = 5;
                            p.order = mode == LCV_STREAM_MODAL ? 2 : 0;
                            set(&p, fields[a], boundaries[i]);
                            set(&p, fields[b], boundaries[k]);
                            try_query(context, &p);
                        }
    assert_int_equal(atomic_load(&memory.calls), calls);
    lcv_context_destroy(&context);
}

/* Reserves that no memory holds: refused, or as much as the stream may see at all. */
static void reserves(void **state)
{
    test_memory memory = {.largest = 1 << 20};
    const lcv_context_params params = test_memory_params(&memory);
    lcv_context *context = NULL;
    (void)state;
    assert_int_equal(lcv_context_create(&params, &context), LCV_OK);
    for (int bounded = 0; bounded < 2; bounded++)
        for (size_t i = 0; i < COUNT_OF(boundaries); i++) {
            stream_case c;
            lcv_stream_params p = LCV_STREAM_PARAMS_INIT;
            lcv_stream *child = NULL;
            p.mode = LCV_STREAM_RELAXED;
            p.batch = 1;
            p.channels = 2;
            p.filter_len = 300;
            p.max_len = bounded ? 500 : 0;
            stream_case_make(&c, context, &p, 400, 3);
            lcv_stream *stream = stream_case_open(&c);
            stream_case_push(&c, stream, 200);
            const lcv_status mark = lcv_stream_mark(stream, boundaries[i]);
            assert_true(mark == LCV_OK || mark == LCV_INVALID_ARG || mark == LCV_OUT_OF_MEMORY ||
                        mark == LCV_TOO_LARGE);
            assert_true(mark != LCV_OUT_OF_MEMORY || !bounded);
            const lcv_status fork = lcv_stream_fork(stream, boundaries[i], &child);
            assert_int_equal(fork, mark);
            assert_true((fork == LCV_OK) == (child != NULL));
            if (mark == LCV_OK)
                assert_int_equal(lcv_stream_release(stream), LCV_OK);
            lcv_stream_destroy(&child);
            stream_case_push(&c, stream, 200);
            stream_case_expect(&c, 0, 400, "after reserves");
            lcv_stream_destroy(&stream);
            stream_case_free(&c);
        }
    lcv_context_destroy(&context);
    assert_int_equal(atomic_load(&memory.live_blocks), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_pair_of_sizes), cmocka_unit_test(reserves)};
    return cmocka_run_group_tests_name("stream_sizes", tests, NULL, NULL);
}
