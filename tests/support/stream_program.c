/* SPDX-License-Identifier: BSD-3-Clause */
#include "stream_program.h"

#include "numbers.h"

#include <stdlib.h>

enum { STREAMS = TEST_PROGRAM_STREAMS, MARKS = 6 };

typedef struct {
    void *stream;
    int world;
    int64_t marks[MARKS];
    int mark_count;
} actor;

typedef struct {
    test_program p;
    actor actors[STREAMS];
    int count;
    uint64_t random;
} stage;

static int64_t pick(stage *s, int64_t below)
{
    return (int64_t)(test_bits(&s->random) >> 1) % below;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* A new or reset stream of the first world takes its prompt. */
static void take_prompt(stage *s, void *stream)
{
    if (s->p.prompt > 0)
        s->p.kind->take_prompt(s->p.world[0], stream, s->p.prompt);
}

static void push(stage *s, actor *a)
{
    const test_stream_kind *k = s->p.kind;
    const int64_t position = k->position(a->stream), limit = k->limit(a->stream);
    const int64_t most = pick(s, 3) == 0 ? s->p.tokens / 4 : 6;
    assert_true(limit >= position);
    if (position <= s->p.parting)
        a->world = (int)pick(s, TEST_PROGRAM_WORLDS);
    k->push_and_check(s->p.world[a->world], a->stream,
                      least(pick(s, most) + 1, least(limit, s->p.tokens) - position));
}

static void mark(stage *s, actor *a)
{
    if (a->mark_count == MARKS)
        return;
    const lcv_status status = s->p.kind->mark(a->stream, 1 + pick(s, s->p.tokens / 2));
    if (status == LCV_UNSUPPORTED) /* too deep */
        return;
    assert_int_equal(status, LCV_OK);
    a->marks[a->mark_count++] = s->p.kind->position(a->stream);
}

static void rollback(const stage *s, const actor *a)
{
    assert_int_equal(s->p.kind->rollback(a->stream), a->mark_count > 0 ? LCV_OK : LCV_INVALID_ARG);
    if (a->mark_count > 0)
        assert_int_equal(s->p.kind->position(a->stream), a->marks[a->mark_count - 1]);
}

static void release(const stage *s, actor *a)
{
    assert_int_equal(s->p.kind->release(a->stream), a->mark_count > 0 ? LCV_OK : LCV_INVALID_ARG);
    a->mark_count -= a->mark_count > 0;
}

static void fork_one(stage *s, const actor *a)
{
    if (s->count == STREAMS)
        return;
    actor *child = &s->actors[s->count];
    *child = (actor){.world = a->world};
    const lcv_status status = s->p.kind->fork(a->stream, 1 + pick(s, s->p.tokens / 2), &child->stream);
    if (status == LCV_UNSUPPORTED)
        return;
    assert_int_equal(status, LCV_OK);
    assert_int_equal(s->p.kind->position(child->stream), s->p.kind->position(a->stream));
    s->count++;
}

static void destroy_one(stage *s, int index)
{
    if (s->count == 1)
        return;
    s->p.kind->destroy(&s->actors[index].stream);
    s->actors[index] = s->actors[--s->count];
}

/* Into itself, or into a new stream. */
static void move_by_snapshot(stage *s, actor *a)
{
    const test_stream_kind *k = s->p.kind;
    size_t bytes = 0;
    assert_int_equal(k->save(a->stream, NULL, 0, &bytes), LCV_OK);
    void *snapshot = malloc(bytes);
    assert_non_null(snapshot);
    assert_int_equal(k->save(a->stream, snapshot, bytes, &bytes), LCV_OK);
    if (pick(s, 2) == 0) {
        void *fresh = NULL;
        assert_int_equal(k->create_like(a->stream, &fresh), LCV_OK);
        k->destroy(&a->stream);
        a->stream = fresh;
    }
    assert_int_equal(k->load(a->stream, snapshot, bytes), LCV_OK);
    a->mark_count = 0;
    free(snapshot);
}

static void detach(stage *s, actor *a)
{
    if (pick(s, 4) != 0)
        return;
    assert_int_equal(s->p.kind->detach(a->stream), LCV_OK);
    a->mark_count = 0;
}

/* At the end, or sometimes before. */
static void reset(stage *s, actor *a)
{
    if (s->p.kind->position(a->stream) < s->p.tokens && pick(s, 8) != 0)
        return;
    assert_int_equal(s->p.kind->reset(a->stream), LCV_OK);
    take_prompt(s, a->stream);
    a->mark_count = 0;
}

/* Of some of the streams, wherever they are. */
static void work(stage *s)
{
    void *streams[STREAMS];
    for (int i = 0; i < s->count; i++)
        streams[i] = pick(s, 3) == 0 ? NULL : s->actors[i].stream;
    assert_int_equal(s->p.kind->work(streams, s->count), LCV_OK);
}

static void act(stage *s)
{
    const int index = (int)pick(s, s->count);
    actor *a = &s->actors[index];
    switch (pick(s, 14)) {
    case 0:
        mark(s, a);
        break;
    case 1:
        rollback(s, a);
        break;
    case 2:
        release(s, a);
        break;
    case 3:
        fork_one(s, a);
        break;
    case 4:
        destroy_one(s, index);
        break;
    case 5:
        move_by_snapshot(s, a);
        break;
    case 6:
        work(s);
        break;
    case 7:
        detach(s, a);
        break;
    case 8:
        reset(s, a);
        break;
    default:
        push(s, a);
        break;
    }
}

void test_program_run(const test_program *program)
{
    stage s = {.p = *program, .count = 1, .random = program->seed};
    s.actors[0].stream = program->kind->open(program->world[0]);
    take_prompt(&s, s.actors[0].stream);
    for (int i = 0; i < program->steps; i++)
        act(&s);
    for (int i = 0; i < s.count; i++)
        program->kind->destroy(&s.actors[i].stream);
}
