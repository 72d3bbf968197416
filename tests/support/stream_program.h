/* SPDX-License-Identifier: BSD-3-Clause */
/* stream_program.h: random programs of steps, pushes, work, marks, forks and snapshots, for streams of both
 * kinds. Streams part: from one token on there are two worlds, and each stream takes one of them, sometimes
 * the other after going back. Every token has the results that the world's own plain stream gave it, to the
 * bit. */
#ifndef TEST_STREAM_PROGRAM_H
#define TEST_STREAM_PROGRAM_H

#include "test.h"

enum { TEST_PROGRAM_WORLDS = 2, TEST_PROGRAM_STREAMS = 6 };

/* The functions of a kind of streams, and of the worlds around them. */
typedef struct test_stream_kind {
    lcv_status (*mark)(void *stream, int64_t reserve);
    lcv_status (*rollback)(void *stream);
    lcv_status (*release)(void *stream);
    lcv_status (*fork)(void *stream, int64_t reserve, void **child);
    lcv_status (*detach)(void *stream);
    lcv_status (*reset)(void *stream);
    lcv_status (*work)(void *const *streams, int64_t count); /* at most TEST_PROGRAM_STREAMS */
    lcv_status (*save)(void *stream, void *bytes, size_t size, size_t *needed);
    lcv_status (*load)(void *stream, const void *bytes, size_t size);
    lcv_status (*create_like)(void *stream, void **out);
    void (*destroy)(void **stream);
    int64_t (*position)(void *stream);
    int64_t (*limit)(void *stream);

    void *(*open)(void *world);
    /* A stream at its start takes the world's first tokens at once. */
    void (*take_prompt)(void *world, void *stream, int64_t count);
    /* The world's next tokens; fails the test where results are not what they were in a plain stream. */
    void (*push_and_check)(void *world, void *stream, int64_t count);
} test_stream_kind;

typedef struct test_program {
    const test_stream_kind *kind;
    void *world[TEST_PROGRAM_WORLDS];
    int64_t tokens;
    int64_t parting; /* first token that differs; not before the prompt's end */
    int64_t prompt;  /* tokens that come first, at once */
    int steps;
    uint64_t seed;
} test_program;

void test_program_run(const test_program *program);

/* Defines the functions of streams of type TYPE, whose own begin with PREFIX, and the kind NAME. */
#define TEST_STREAM_KIND(NAME, PREFIX, TYPE, OPEN, TAKE_PROMPT, PUSH_AND_CHECK)                              \
    static lcv_status NAME##_mark(void *stream, int64_t reserve)                                             \
    {                                                                                                        \
        return PREFIX##_mark(stream, reserve);                                                               \
    }                                                                                                        \
    static lcv_status NAME##_rollback(void *stream)                                                          \
    {                                                                                                        \
        return PREFIX##_rollback(stream);                                                                    \
    }                                                                                                        \
    static lcv_status NAME##_release(void *stream)                                                           \
    {                                                                                                        \
        return PREFIX##_release(stream);                                                                     \
    }                                                                                                        \
    static lcv_status NAME##_fork(void *stream, int64_t reserve, void **child)                               \
    {                                                                                                        \
        TYPE *made = NULL;                                                                                   \
        const lcv_status status = PREFIX##_fork(stream, reserve, &made);                                     \
        *child = made;                                                                                       \
        return status;                                                                                       \
    }                                                                                                        \
    static lcv_status NAME##_detach(void *stream)                                                            \
    {                                                                                                        \
        return PREFIX##_detach(stream);                                                                      \
    }                                                                                                        \
    static lcv_status NAME##_reset(void *stream)                                                             \
    {                                                                                                        \
        return PREFIX##_reset(stream);                                                                       \
    }                                                                                                        \
    static lcv_status NAME##_work(void *const *streams, int64_t count)                                       \
    {                                                                                                        \
        TYPE *typed[TEST_PROGRAM_STREAMS] = {NULL};                                                          \
        for (int64_t i = 0; i < count; i++)                                                                  \
            typed[i] = streams[i];                                                                           \
        return PREFIX##_work(typed, count, NULL);                                                            \
    }                                                                                                        \
    static lcv_status NAME##_save(void *stream, void *bytes, size_t size, size_t *needed)                    \
    {                                                                                                        \
        return PREFIX##_save(stream, bytes, size, needed);                                                   \
    }                                                                                                        \
    static lcv_status NAME##_load(void *stream, const void *bytes, size_t size)                              \
    {                                                                                                        \
        return PREFIX##_load(stream, bytes, size);                                                           \
    }                                                                                                        \
    static lcv_status NAME##_create_like(void *stream, void **out)                                           \
    {                                                                                                        \
        TYPE *made = NULL;                                                                                   \
        const lcv_status status = PREFIX##_create_like(stream, &made);                                       \
        *out = made;                                                                                         \
        return status;                                                                                       \
    }                                                                                                        \
    static void NAME##_destroy(void **stream)                                                                \
    {                                                                                                        \
        TYPE *handle = *stream;                                                                              \
        PREFIX##_destroy(&handle);                                                                           \
        *stream = handle;                                                                                    \
    }                                                                                                        \
    static int64_t NAME##_position(void *stream)                                                             \
    {                                                                                                        \
        return PREFIX##_position(stream);                                                                    \
    }                                                                                                        \
    static int64_t NAME##_limit(void *stream)                                                                \
    {                                                                                                        \
        PREFIX##_info info = {.struct_size = sizeof info};                                                   \
        assert_int_equal(PREFIX##_describe(stream, &info), LCV_OK);                                          \
        assert_int_equal(info.position, PREFIX##_position(stream));                                          \
        return info.limit;                                                                                   \
    }                                                                                                        \
    static const test_stream_kind NAME = {                                                                   \
        NAME##_mark,    NAME##_rollback, NAME##_release, NAME##_fork, NAME##_detach,                         \
        NAME##_reset,   NAME##_work,     NAME##_save,    NAME##_load, NAME##_create_like,                    \
        NAME##_destroy, NAME##_position, NAME##_limit,   OPEN,        TAKE_PROMPT,                           \
        PUSH_AND_CHECK}

#endif
