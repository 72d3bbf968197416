/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls that cannot be: nothing given, other devices, beyond marks and reserves, too deep. Each gets a
 * message that names the argument, and the stream goes on as if it had not been. */
#include "stream_case.h"

#include <stdlib.h>
#include <string.h>

enum { TOKENS = 700, DEPTH = 8 };

static void expect_message(lcv_status status, lcv_status expected, const char *begins)
{
    if (status != expected || strncmp(lcv_context_message(NULL), begins, strlen(begins)) != 0)
        fail_msg("expected %s and a message about %s, got %s: %s", lcv_status_name(expected), begins,
                 lcv_status_name(status), lcv_context_message(NULL));
}

static lcv_stream_params usual_params(void)
{
    lcv_stream_params p = LCV_STREAM_PARAMS_INIT;
    p.mode = LCV_STREAM_RELAXED;
    p.batch = 2;
    p.channels = 3;
    p.filter_len = 400;
    return p;
}

/* A case, and the y of a stream to which nothing happens. */
typedef struct {
    stream_case c;
    void *expected;
} scene;

static void open_scene(scene *s, const lcv_stream_params *p)
{
    stream_case_make(&s->c, stream_context, p, TOKENS, 3);
    lcv_stream *stream = stream_case_open(&s->c);
    stream_case_push(&s->c, stream, TOKENS);
    lcv_stream_destroy(&stream);
    s->expected = malloc(stream_case_bytes(&s->c));
    assert_non_null(s->expected);
    memcpy(s->expected, s->c.y, stream_case_bytes(&s->c));
}

static void close_scene(scene *s)
{
    free(s->expected);
    stream_case_free(&s->c);
}

/* The next tokens have the bits of a plain stream. */
static void push_right(const scene *s, lcv_stream *stream, int64_t count)
{
    const int64_t from = lcv_stream_position(stream);
    memset(s->c.y, 0, stream_case_bytes(&s->c));
    stream_case_push(&s->c, stream, count);
    for (int64_t row = 0; row < 6; row++)
        for (int64_t t = from; t < from + count; t++)
            assert_true(((float *)s->c.y)[row * TOKENS + t] == ((float *)s->expected)[row * TOKENS + t]);
}

/* ---- Nothing ---- */

static void no_stream(void **state)
{
    const lcv_stream_args args = LCV_STREAM_ARGS_INIT;
    lcv_stream *none = NULL, *child = NULL;
    lcv_stream_info info = {.struct_size = sizeof info};
    size_t size;
    char byte = 0;
    (void)state;
    expect_message(lcv_stream_step(NULL, &args), LCV_INVALID_ARG, "stream: is NULL");
    expect_message(lcv_stream_push(NULL, &args), LCV_INVALID_ARG, "stream: is NULL");
    expect_message(lcv_stream_prefill(NULL, &args), LCV_INVALID_ARG, "stream: is NULL");
    expect_message(lcv_stream_reset(NULL), LCV_INVALID_ARG, "stream: is NULL");
    expect_message(lcv_stream_mark(NULL, 1), LCV_INVALID_ARG, "stream: is NULL");
    expect_message(lcv_stream_rollback(NULL), LCV_INVALID_ARG, "stream: is NULL");
    expect_message(lcv_stream_release(NULL), LCV_INVALID_ARG, "stream: is NULL");
    expect_message(lcv_stream_fork(NULL, 1, &child), LCV_INVALID_ARG, "stream: is NULL");
    expect_message(lcv_stream_detach(NULL), LCV_INVALID_ARG, "stream: is NULL");
    expect_message(lcv_stream_save(NULL, &byte, 1, &size), LCV_INVALID_ARG, "stream: is NULL");
    expect_message(lcv_stream_load(NULL, &byte, 1), LCV_INVALID_ARG, "stream: is NULL");
    expect_message(lcv_stream_describe(NULL, &info), LCV_INVALID_ARG, "stream: is NULL");
    expect_message(lcv_stream_create_like(NULL, &child), LCV_INVALID_ARG, "stream: is NULL");
    assert_null(child);
    assert_int_equal(lcv_stream_position(NULL), 0);
    lcv_stream_destroy(NULL);
    lcv_stream_destroy(&none);
}

static void no_arguments(void **state)
{
    const lcv_stream_params p = usual_params();
    lcv_stream *out = NULL;
    scene s;
    (void)state;
    open_scene(&s, &p);
    expect_message(lcv_stream_create(NULL, &p, &s.c.tensors, &out), LCV_INVALID_ARG, "context: is NULL");
    expect_message(lcv_stream_create(stream_context, NULL, &s.c.tensors, &out), LCV_INVALID_ARG, "params: ");
    expect_message(lcv_stream_create(stream_context, &p, &s.c.tensors, NULL), LCV_INVALID_ARG, "out: ");
    expect_message(lcv_stream_query(NULL, &p, NULL), LCV_INVALID_ARG, "context: is NULL");
    expect_message(lcv_stream_query(stream_context, NULL, NULL), LCV_INVALID_ARG, "params: ");
    lcv_stream *stream = stream_case_open(&s.c);
    push_right(&s, stream, 40);
    expect_message(lcv_stream_step(stream, NULL), LCV_INVALID_ARG, "args: is NULL");
    expect_message(lcv_stream_push(stream, NULL), LCV_INVALID_ARG, "args: is NULL");
    expect_message(lcv_stream_prefill(stream, NULL), LCV_INVALID_ARG, "args: is NULL");
    expect_message(lcv_stream_describe(stream, NULL), LCV_INVALID_ARG, "info: is NULL");
    expect_message(lcv_stream_create_like(stream, NULL), LCV_INVALID_ARG, "out: is NULL");
    expect_message(lcv_stream_fork(stream, 1, NULL), LCV_INVALID_ARG, "child: is NULL");
    expect_message(lcv_stream_work(NULL, 1, NULL), LCV_INVALID_ARG, "streams: is NULL");
    expect_message(lcv_stream_work(&stream, -1, NULL), LCV_INVALID_ARG, "count: expected >= 0, given -1");
    assert_int_equal(lcv_stream_work(NULL, 0, NULL), LCV_OK);
    lcv_stream_args args = stream_case_args(&s.c, 40, 1);
    args.u.data = NULL;
    expect_message(lcv_stream_step(stream, &args), LCV_INVALID_ARG, "u: data is NULL");
    args = stream_case_args(&s.c, 40, 1);
    args.struct_size = 3;
    expect_message(lcv_stream_step(stream, &args), LCV_VERSION_MISMATCH, "args: ");
    push_right(&s, stream, TOKENS - 40);
    lcv_stream_destroy(&stream);
    close_scene(&s);
}

/* ---- Wrong tensors ---- */

static void other_devices(void **state)
{
    lcv_stream_params p = usual_params();
    lcv_stream *out = NULL;
    scene s;
    (void)state;
    p.terms = LCV_TERM_SKIP | LCV_TERM_PRE_GATE | LCV_TERM_POST_GATE;
    open_scene(&s, &p);
    lcv_stream_filter filter = s.c.tensors;
    filter.filter.device = LCV_DEVICE_CUDA;
    expect_message(lcv_stream_create(stream_context, &p, &filter, &out), LCV_INVALID_ARG,
                   "filter: expected device kind 0, given 1");
    filter = s.c.tensors;
    filter.skip.device = LCV_DEVICE_CUDA;
    expect_message(lcv_stream_create(stream_context, &p, &filter, &out), LCV_INVALID_ARG,
                   "skip: expected device kind 0, given 1");
    assert_null(out);
    lcv_stream *stream = stream_case_open(&s.c);
    const lcv_stream_args good = stream_case_args(&s.c, 0, 1);
    static const struct {
        const char *begins;
        size_t at;
    } rows[] = {{"u: expected device", offsetof(lcv_stream_args, u)},
                {"pre_gate: expected device", offsetof(lcv_stream_args, pre_gate)},
                {"post_gate: expected device", offsetof(lcv_stream_args, post_gate)},
                {"y: expected device", offsetof(lcv_stream_args, y)}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        lcv_stream_args args = good;
        ((lcv_tensor *)(void *)((char *)&args + rows[i].at))->device = LCV_DEVICE_CUDA;
        expect_message(lcv_stream_step(stream, &args), LCV_INVALID_ARG, rows[i].begins);
        expect_message(lcv_stream_prefill(stream, &args), LCV_INVALID_ARG, rows[i].begins);
    }
    p.backend = "cpu";
    p.device = LCV_DEVICE_CUDA;
    expect_message(lcv_stream_query(stream_context, &p, NULL), LCV_UNSUPPORTED, "device: backend cpu");
    push_right(&s, stream, TOKENS);
    lcv_stream_destroy(&stream);
    close_scene(&s);
}

/* Shapes, dtypes and strides of each tensor of a step. */
static void other_shapes(void **state)
{
    lcv_stream_params p = usual_params();
    scene s;
    (void)state;
    p.terms = LCV_TERM_PRE_GATE;
    open_scene(&s, &p);
    lcv_stream *stream = stream_case_open(&s.c);
    const lcv_stream_args good = stream_case_args(&s.c, 0, 1);
#define BAD(field, value, begins)                                                                            \
    do {                                                                                                     \
        lcv_stream_args args = good;                                                                         \
        args.field = value;                                                                                  \
        expect_message(lcv_stream_step(stream, &args), LCV_INVALID_ARG, begins);                             \
    } while (0)
    BAD(u.shape[0], 3, "u: expected shape [2, 3, 1] (batch, channels, tokens), given rank 3 [3, 3, 1]");
    BAD(u.shape[1], 2, "u: expected shape");
    BAD(u.shape[2], 0, "u: expected shape");
    BAD(u.rank, 1, "u: expected shape");
    BAD(u.dtype, LCV_F64, "u: expected dtype f32, given f64");
    BAD(u.dtype, (lcv_dtype)77, "u: expected dtype f32, given an unknown one");
    BAD(u.strides[1], -1, "u: stride of axis 1: expected >= 0, given -1");
    BAD(pre_gate.shape[1], 4, "pre_gate: expected shape");
    BAD(y.strides[1], 0, "y: its strides reach an element twice");
    BAD(y.shape[2], 2, "y: expected shape");
#undef BAD
    lcv_stream_args args = good;
    args.y = args.u;
    args.y.data = (float *)args.u.data + 1;
    args.u.shape[2] = args.y.shape[2] = args.pre_gate.shape[2] = 5;
    expect_message(lcv_stream_push(stream, &args), LCV_INVALID_ARG, "y: overlaps u");
    push_right(&s, stream, TOKENS);
    lcv_stream_destroy(&stream);
    close_scene(&s);
}

/* ---- Marks ---- */

static void beyond_marks(void **state)
{
    const lcv_stream_params p = usual_params();
    scene s;
    (void)state;
    open_scene(&s, &p);
    lcv_stream *stream = stream_case_open(&s.c);
    expect_message(lcv_stream_rollback(stream), LCV_INVALID_ARG, "stream: has no mark to go back to");
    expect_message(lcv_stream_release(stream), LCV_INVALID_ARG, "stream: has no mark to release");
    expect_message(lcv_stream_mark(stream, 0), LCV_INVALID_ARG, "reserve: expected >= 1, given 0");
    expect_message(lcv_stream_mark(stream, INT64_MIN), LCV_INVALID_ARG, "reserve: ");
    push_right(&s, stream, 200);
    assert_int_equal(lcv_stream_mark(stream, 30), LCV_OK);
    lcv_stream_args args = stream_case_args(&s.c, 200, 31);
    expect_message(lcv_stream_push(stream, &args), LCV_INVALID_ARG,
                   "u: 31 tokens at position 200, but the stream ends at 230");
    push_right(&s, stream, 30);
    args = stream_case_args(&s.c, 230, 1);
    expect_message(lcv_stream_step(stream, &args), LCV_INVALID_ARG, "u: 1 tokens at position 230");
    assert_int_equal(lcv_stream_work(&stream, 1, NULL), LCV_OK); /* there is nothing to do */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(lcv_stream_rollback(stream), LCV_OK); /* the mark stays */
        assert_int_equal(lcv_stream_position(stream), 200);
    }
    push_right(&s, stream, 10);
    assert_int_equal(lcv_stream_release(stream), LCV_OK);
    expect_message(lcv_stream_rollback(stream), LCV_INVALID_ARG, "stream: has no mark to go back to");
    assert_int_equal(lcv_stream_position(stream), 210);
    push_right(&s, stream, TOKENS - 210);
    lcv_stream_destroy(&stream);
    close_scene(&s);
}

static void marks_nest_so_deep(void **state)
{
    const lcv_stream_params p = usual_params();
    scene s;
    (void)state;
    open_scene(&s, &p);
    lcv_stream *stream = stream_case_open(&s.c);
    for (int i = 0; i < DEPTH; i++) {
        push_right(&s, stream, 20);
        assert_int_equal(lcv_stream_mark(stream, TOKENS), LCV_OK);
    }
    push_right(&s, stream, 20);
    expect_message(lcv_stream_mark(stream, 1), LCV_UNSUPPORTED,
                   "stream: marks and forks nest 8 deep already");
    for (int i = DEPTH; i > 0; i--) {
        assert_int_equal(lcv_stream_rollback(stream), LCV_OK);
        assert_int_equal(lcv_stream_position(stream), 20 * i);
        push_right(&s, stream, 5);
        assert_int_equal(lcv_stream_rollback(stream), LCV_OK);
        assert_int_equal(lcv_stream_release(stream), LCV_OK);
    }
    push_right(&s, stream, TOKENS - 20);
    lcv_stream_destroy(&stream);
    close_scene(&s);
}

/* What is saved is the present; marks stay behind. */
static void snapshots_within_marks(void **state)
{
    const lcv_stream_params p = usual_params();
    lcv_stream *other = NULL;
    scene s;
    size_t size = 0;
    (void)state;
    open_scene(&s, &p);
    lcv_stream *stream = stream_case_open(&s.c);
    push_right(&s, stream, 300);
    assert_int_equal(lcv_stream_mark(stream, 200), LCV_OK);
    push_right(&s, stream, 150);
    assert_int_equal(lcv_stream_save(stream, NULL, 0, &size), LCV_OK);
    char *bytes = malloc(size);
    assert_non_null(bytes);
    expect_message(lcv_stream_save(stream, bytes, size - 1, &size), LCV_INVALID_ARG,
                   "size: expected at least");
    expect_message(lcv_stream_save(stream, NULL, 5, &size), LCV_INVALID_ARG, "size: expected at least");
    assert_int_equal(lcv_stream_save(stream, bytes, size, &size), LCV_OK);
    assert_int_equal(lcv_stream_rollback(stream), LCV_OK); /* saving changed nothing */
    push_right(&s, stream, 200);
    assert_int_equal(lcv_stream_create_like(stream, &other), LCV_OK);
    assert_int_equal(lcv_stream_load(other, bytes, size), LCV_OK);
    assert_int_equal(lcv_stream_position(other), 450);
    expect_message(lcv_stream_rollback(other), LCV_INVALID_ARG, "stream: has no mark to go back to");
    push_right(&s, other, TOKENS - 450);
    expect_message(lcv_stream_load(stream, bytes, size - 1), LCV_INVALID_ARG,
                   "bytes: this is no sound snapshot");
    assert_int_equal(lcv_stream_rollback(stream), LCV_OK); /* its mark is still there */
    assert_int_equal(lcv_stream_load(stream, bytes, size), LCV_OK);
    expect_message(lcv_stream_rollback(stream), LCV_INVALID_ARG, "stream: has no mark to go back to");
    push_right(&s, stream, TOKENS - 450);
    free(bytes);
    lcv_stream_destroy(&other);
    lcv_stream_destroy(&stream);
    close_scene(&s);
}

/* ---- Forks ---- */

static void forks_of_forks(void **state)
{
    const lcv_stream_params p = usual_params();
    lcv_stream *chain[DEPTH + 1], *more = NULL;
    scene s;
    (void)state;
    open_scene(&s, &p);
    chain[0] = stream_case_open(&s.c);
    push_right(&s, chain[0], 100);
    expect_message(lcv_stream_fork(chain[0], 0, &more), LCV_INVALID_ARG, "reserve: expected >= 1, given 0");
    for (int i = 0; i < DEPTH; i++) {
        assert_int_equal(lcv_stream_fork(chain[i], 300, &chain[i + 1]), LCV_OK);
        expect_message(lcv_stream_rollback(chain[i + 1]), LCV_INVALID_ARG, "stream: has no mark");
        push_right(&s, chain[i + 1], 10 + i);
    }
    expect_message(lcv_stream_fork(chain[DEPTH], 1, &more), LCV_UNSUPPORTED,
                   "stream: marks and forks nest 8 deep already; detach it first");
    assert_null(more);
    assert_int_equal(lcv_stream_detach(chain[DEPTH]), LCV_OK);
    assert_int_equal(lcv_stream_fork(chain[DEPTH], 300, &more), LCV_OK);
    push_right(&s, more, 100);
    /* Those in the middle go first. */
    for (int i = 1; i < DEPTH; i += 2)
        lcv_stream_destroy(&chain[i]);
    for (int i = 0; i <= DEPTH; i += 2)
        push_right(&s, chain[i], 200);
    for (int i = 0; i <= DEPTH; i += 2)
        lcv_stream_destroy(&chain[i]);
    push_right(&s, more, TOKENS - lcv_stream_position(more));
    lcv_stream_destroy(&more);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_stream),
        cmocka_unit_test(no_arguments),
        cmocka_unit_test(other_devices),
        cmocka_unit_test(other_shapes),
        cmocka_unit_test(beyond_marks),
        cmocka_unit_test(marks_nest_so_deep),
        cmocka_unit_test(snapshots_within_marks),
        cmocka_unit_test(forks_of_forks),
    };
    return cmocka_run_group_tests_name("stream_calls", tests, stream_context_open, stream_context_close);
}
