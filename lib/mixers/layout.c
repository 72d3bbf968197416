/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a program's arrays lie in its workspace. An array takes its place from the first step that writes it
 * to the last that reads it, and shares the place with arrays that live at other times.
 *
 * Times: step i of n runs at time i, and its backward at 2 n - 1 - i. */
#include "mixer.h"
#include "../size.h"

enum { MOST_BLOCKS = 2 * LCVI_MIXER_ARRAYS };

/* The value or the gradient of one array. */
typedef struct {
    size_t bytes, place;
    int32_t first, last; /* times; first > last: never used */
    int32_t twin;        /* the block whose place it takes, -1: none */
} block;

typedef struct {
    const lcvi_program *program;
    bool backward;
    block blocks[MOST_BLOCKS]; /* values, then gradients */
} table;

bool lcvi_program_runs_again(const lcvi_program *program, const lcvi_step *step)
{
    return program->array[step->out.array].port < 0;
}

static block *value_block(table *t, lcvi_rows rows)
{
    return &t->blocks[rows.array];
}

static block *gradient_block(table *t, lcvi_rows rows)
{
    return &t->blocks[LCVI_MIXER_ARRAYS + rows.array];
}

static void use(block *b, int32_t time)
{
    b->first = time < b->first ? time : b->first;
    b->last = time > b->last ? time : b->last;
}

static void note_times(table *t)
{
    const lcvi_program *p = t->program;
    const int32_t end = 2 * p->step_count - 1;
    for (int32_t i = 0; i < p->step_count; i++) {
        const lcvi_step *step = &p->step[i];
        use(value_block(t, step->out), i);
        if (t->backward)
            use(gradient_block(t, step->out), end - i);
        for (int slot = 0; slot < LCVI_SLOTS; slot++) {
            if (!lcvi_rows_exist(step->slot[slot]))
                continue;
            use(value_block(t, step->slot[slot]), i);
            if (t->backward) {
                use(value_block(t, step->slot[slot]), end - i);
                use(gradient_block(t, step->slot[slot]), end - i);
            }
        }
    }
}

/* What the caller provides takes no place: values of ports, gradients of outputs. Gradients that the caller
 * may not want do. */
static void note_sizes(table *t)
{
    const lcvi_program *p = t->program;
    for (int32_t i = 0; i < p->array_count; i++) {
        const lcvi_mixer_array *array = &p->array[i];
        const bool is_output = array->port >= 0 && p->ports.port[array->port].role == LCV_PORT_OUTPUT;
        t->blocks[i].bytes = array->port >= 0 || array->one ? 0 : lcvi_mixer_align(array->bytes);
        t->blocks[LCVI_MIXER_ARRAYS + i].bytes = is_output || array->one ? 0 : lcvi_mixer_align(array->bytes);
    }
}

static bool is_whole(const lcvi_program *p, lcvi_rows rows)
{
    return rows.first == 0 && rows.step == 1 && rows.count == p->array[rows.array].rows;
}

/* Gives `late` the place of `early` when one ends as the other begins. */
static void join(table *t, block *early, block *late, int32_t time)
{
    if (early->bytes == 0 || early->bytes != late->bytes || early->last != time || late->first != time ||
        late->twin >= 0)
        return;
    late->twin = (int32_t)(early - t->blocks);
}

static void join_in_place(table *t)
{
    const lcvi_program *p = t->program;
    for (int32_t i = 0; i < p->step_count; i++) {
        const lcvi_step *step = &p->step[i];
        const lcvi_rows in = step->slot[LCVI_IN];
        bool alone = step->kind->in_place && !step->adds && is_whole(p, in) && is_whole(p, step->out);
        for (int slot = LCVI_IN + 1; slot < LCVI_SLOTS; slot++)
            alone = alone && step->slot[slot].array != in.array;
        if (!alone)
            continue;
        join(t, value_block(t, in), value_block(t, step->out), i);
        if (t->backward && !step->slot_adds[LCVI_IN])
            join(t, gradient_block(t, step->out), gradient_block(t, in), 2 * p->step_count - 1 - i);
    }
}

/* The first block of a chain of twins. */
static int32_t head_of(const table *t, int32_t index)
{
    while (t->blocks[index].twin >= 0)
        index = t->blocks[index].twin;
    return index;
}

/* A chain of twins lives from its first block's beginning to its last one's end. */
static void merge_times(table *t)
{
    for (int32_t i = 0; i < MOST_BLOCKS; i++) {
        const int32_t head = head_of(t, i);
        if (head != i)
            use(&t->blocks[head], t->blocks[i].last);
    }
}

static bool live_together(const block *a, const block *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest place for block `index` beside those before it. */
static size_t find_place(const table *t, int32_t index)
{
    const block *b = &t->blocks[index];
    size_t place = 0;
    bool moved = true;
    while (moved) {
        moved = false;
        for (int32_t i = 0; i < index; i++) {
            const block *other = &t->blocks[i];
            if (other->bytes == 0 || other->twin >= 0 || other->first > other->last ||
                !live_together(b, other) || place >= other->place + other->bytes ||
                other->place >= place + b->bytes)
                continue;
            place = other->place + other->bytes;
            moved = true;
        }
    }
    return place;
}

/* Returns the end of all. */
static size_t place_all(table *t)
{
    size_t end = 0;
    for (int32_t i = 0; i < MOST_BLOCKS; i++) {
        block *b = &t->blocks[i];
        if (b->bytes == 0 || b->twin >= 0 || b->first > b->last)
            continue;
        b->place = find_place(t, i);
        end = b->place + b->bytes > end ? b->place + b->bytes : end;
    }
    for (int32_t i = 0; i < MOST_BLOCKS; i++)
        t->blocks[i].place = t->blocks[head_of(t, i)].place;
    return end;
}

/* Filters that several calls read are prepared in the workspace. */
static bool place_spectra(lcvi_program *program, bool backward, size_t *total)
{
    for (int32_t i = 0; i < program->spectrum_count; i++) {
        lcvi_mixer_spectrum *spectrum = &program->spectrum[i];
        if (spectrum->uses[backward] <= 1)
            continue;
        spectrum->workspace[backward] = *total;
        const size_t bytes = lcvi_mixer_align(program->part[spectrum->part].plan->info.spectrum_bytes);
        if (__builtin_add_overflow(*total, bytes, total) || *total > PTRDIFF_MAX / 2)
            return false;
    }
    return true;
}

bool lcvi_program_lay_out(lcvi_program *program, bool backward)
{
    table t = {.program = program, .backward = backward};
    lcvi_layout *layout = &program->where[backward];
    for (int32_t i = 0; i < MOST_BLOCKS; i++)
        t.blocks[i] = (block){.first = INT32_MAX, .last = -1, .twin = -1};
    note_times(&t);
    note_sizes(&t);
    join_in_place(&t);
    merge_times(&t);
    layout->total = place_all(&t);
    for (int32_t i = 0; i < program->array_count; i++) {
        layout->value[i] = t.blocks[i].place;
        layout->gradient[i] = t.blocks[LCVI_MIXER_ARRAYS + i].place;
    }
    if (layout->total > PTRDIFF_MAX / 2 || !place_spectra(program, backward, &layout->total))
        return false;
    layout->inner = layout->total;
    return !__builtin_add_overflow(layout->total, program->inner_bytes, &layout->total) &&
           layout->total <= PTRDIFF_MAX / 2;
}
