/* SPDX-License-Identifier: BSD-3-Clause */
/* row.h: rows as the first and last pass see them, pieces of columns. A piece that lies plainly in the
 * caller's array is used where it is; any other goes through a small buffer, which takes care of gates, skip,
 * 16-bit data, ends, tails and filters. Nothing outside the caller's arrays is touched. */
#ifndef LCV_CPU_SIMD_ROW_H
#define LCV_CPU_SIMD_ROW_H

#include "form.h"
#include "simd.h"

#include <string.h>

/* The reals a transform reads: those of a row with its tail up to `end`, then zeros; and future taps, which
 * lie mirrored and negative before `period` because z^period = -1. */
typedef struct source {
    const lcv_cpu_row *row;
    bool past; /* the row's product is written around the caches */
    int64_t seqlen, end;
    const real *future;
    int64_t future_count, first_lag, period;
} source;

/* Where the reals of an inverse transform go: a row, or a filter's gradients. Outputs that are `past` the
 * caches are written around them. */
typedef struct target {
    const lcv_cpu_sink *row; /* NULL: a filter's gradients */
    bool past, past2;
    int64_t seqlen, end;
    real *taps, *future;
    int64_t taps_count, future_count, first_lag, period;
} target;

static int64_t clipped(int64_t value, int64_t most)
{
    return value < 0 ? 0 : value > most ? most : value;
}

LOOP emit_rest(lcv_cpu_form form, void *out, const void *gate, int64_t at, int64_t i, int64_t count,
               const real *value)
{
    for (; i < count; i++)
        put_as(form, out, at + i, gate == NULL ? value[i] : value[i] * real_as(form, gate, at + i));
}

/* out = value gate. */
INLINE void emit(lcv_cpu_form form, bool around, void *out, const void *gate, int64_t at, int64_t count,
                 const real *value)
{
    int64_t i = 0;
    if (gate == NULL) {
        for (; i + 2 * LANES <= count; i += 2 * LANES)
            put_two(form, around, out, at + i, load(value + i), load(value + i + LANES));
        for (; i + LANES <= count; i += LANES)
            put_vec(form, around, out, at + i, load(value + i));
    } else {
        for (; i + 2 * LANES <= count; i += 2 * LANES)
            put_two(form, around, out, at + i, load(value + i) * load_as(form, gate, at + i),
                    load(value + i + LANES) * load_as(form, gate, at + i + LANES));
        for (; i + LANES <= count; i += LANES)
            put_vec(form, around, out, at + i, load(value + i) * load_as(form, gate, at + i));
    }
    if (i < count)
        emit_rest(form, out, gate, at, i, count, value);
}

/* `past` goes around the caches, if the place allows it. */
static void write_output(lcv_cpu_form form, bool past, void *out, const void *gate, int64_t at, int64_t count,
                         const real *value)
{
    if (out == NULL)
        return;
    if (past && ((uintptr_t)out + (uintptr_t)(at * form_bytes(form))) % sizeof(vec) == 0)
        AS(form, emit, true, out, gate, at, count, value);
    else
        AS(form, emit, false, out, gate, at, count, value);
}

static void subtract_future(const source *s, int64_t at, int64_t count, real *buffer)
{
    /* Tap j is at period - lag with lag = j + first_lag; lag 0 is at 0. */
    for (int64_t i = 0; i < count; i++) {
        const int64_t tap = s->period - (at + i) - s->first_lag;
        if (tap >= 0 && tap < s->future_count && at + i > 0)
            buffer[i] -= s->future[tap];
    }
    if (at == 0 && s->first_lag == 0)
        buffer[0] += s->future[0];
}

/* What whole vectors leave of a piece is done one by one, out of line. */
LOOP fill_rest(const source *s, int64_t at, int64_t i, int64_t count, real *buffer)
{
    for (; i < count; i++) {
        const real x = real_as(s->row->form, s->row->x, at + i);
        buffer[i] = s->row->gate == NULL ? x : x * real_as(s->row->form, s->row->gate, at + i);
    }
}

/* x * gate */
INLINE void fill_row(lcv_cpu_form form, const source *s, int64_t at, int64_t count, real *restrict buffer)
{
    int64_t i = 0;
    if (s->row->gate == NULL)
        for (; i + LANES <= count; i += LANES)
            store(buffer + i, load_as(form, s->row->x, at + i));
    else
        for (; i + LANES <= count; i += LANES)
            store(buffer + i, load_as(form, s->row->x, at + i) * load_as(form, s->row->gate, at + i));
    if (i < count)
        fill_rest(s, at, i, count, buffer);
}

/* Writes reals at to at + count of the source into the buffer. */
static void fill(const source *s, int64_t at, int64_t count, real *restrict buffer)
{
    const int64_t in_row = clipped(s->seqlen - at, count), in_end = clipped(s->end - at, count);
    AS(s->row->form, fill_row, s, at, in_row, buffer);
    if (in_end > in_row)
        memcpy(buffer + in_row, (const real *)s->row->tail + (at + in_row - s->seqlen),
               (size_t)(in_end - in_row) * sizeof(real));
    memset(buffer + in_end, 0, (size_t)(count - in_end) * sizeof(real));
    if (s->future_count > 0)
        subtract_future(s, at, count, buffer);
}

/* Do samples up to `end` need nothing but to be read, */
static bool is_plain(const source *s, int64_t end)
{
    return s->row->gate == NULL && s->future_count == 0 && end <= s->seqlen;
}

/* and lie in reals, */
static bool is_plainly_real(const source *s, int64_t end)
{
    return s->row->form == LCV_CPU_REALS && is_plain(s, end);
}

/* or in 16 bits? */
static bool is_plainly_half(const source *s, int64_t end)
{
    return !REAL_IS_DOUBLE && s->row->form != LCV_CPU_REALS && is_plain(s, end);
}

static void fetch_part(lcv_cpu_form form, const void *array, int64_t at, int64_t count)
{
    if (array == NULL)
        return;
    const char *from = (const char *)array + at * form_bytes(form);
    for (int64_t i = 0; i < count * form_bytes(form); i += LCV_CPU_LINE)
        lcv_cpu_fetch(from + i);
}

/* Asks for a piece that is read soon. */
static void fetch_piece(const source *s, int64_t at, int64_t count)
{
    const int64_t in_row = clipped(s->seqlen - at, count);
    if (in_row == 0)
        return;
    fetch_part(s->row->form, s->row->x, at, in_row);
    fetch_part(s->row->form, s->row->gate, at, in_row);
}

/* A piece of the source, in place or in the buffer. */
static const void *piece(const source *s, int64_t at, int64_t count, real *buffer)
{
    if (s->row->product != NULL && at < s->seqlen)
        write_output(LCV_CPU_REALS, s->past, s->row->product, s->row->factor, at,
                     clipped(s->seqlen - at, count), (const real *)s->row->x + at);
    if (is_plainly_real(s, at + count))
        return (const real *)s->row->x + at;
    fill(s, at, count, buffer);
    return buffer;
}

/* Where a piece of the result may be written at once, without a further look; else NULL. */
static real *plain_place(const target *t, int64_t at, int64_t count)
{
    const lcv_cpu_sink *row = t->row;
    if (t->future == NULL && t->taps != NULL && at + count <= t->taps_count)
        return t->taps + at;
    if (t->taps == NULL && t->future == NULL && row->out != NULL && row->out2 == NULL && row->gate == NULL &&
        row->x == NULL && row->bias == 0.0 && row->form == LCV_CPU_REALS && !t->past &&
        at + count <= t->seqlen)
        return (real *)row->out + at;
    return NULL;
}

LOOP skip_rest(const lcv_cpu_sink *row, int64_t at, int64_t i, int64_t count, const real *value, real *out)
{
    const real skip = (real)row->skip, bias = (real)row->bias;
    for (; i < count; i++) {
        real term = 0;
        if (row->x != NULL)
            term = real_as(row->x_form, row->x, at + i);
        if (row->x != NULL && row->x_gate != NULL)
            term *= real_as(row->x_form, row->x_gate, at + i);
        out[i] = value[i] + (skip * term + bias);
    }
}

/* out = value + skip x x_gate + bias; out may be x. */
INLINE void add_skip(lcv_cpu_form form, const lcv_cpu_sink *row, int64_t at, int64_t count, const real *value,
                     real *out)
{
    const vec skip = splat((real)row->skip), bias = splat((real)row->bias);
    const void *x = row->x, *gate = row->x_gate;
    int64_t i = 0;
    if (x == NULL)
        for (; i + LANES <= count; i += LANES)
            store(out + i, load(value + i) + bias);
    else if (gate == NULL)
        for (; i + LANES <= count; i += LANES)
            store(out + i, load(value + i) + (skip * load_as(form, x, at + i) + bias));
    else
        for (; i + LANES <= count; i += LANES)
            store(out + i,
                  load(value + i) + (skip * (load_as(form, x, at + i) * load_as(form, gate, at + i)) + bias));
    if (i < count)
        skip_rest(row, at, i, count, value, out);
}

static void deliver_row(const target *t, int64_t at, int64_t count, real *value)
{
    const lcv_cpu_sink *row = t->row;
    const int64_t in_row = clipped(t->seqlen - at, count), in_end = clipped(t->end - at, count);
    const bool has_skip = row->x != NULL || row->bias != 0.0;
    if (has_skip && row->out != NULL && row->form == LCV_CPU_REALS && row->gate == NULL &&
        row->out2 == NULL && !t->past) {
        AS(row->x_form, add_skip, row, at, in_row, value, (real *)row->out + at);
    } else {
        if (has_skip)
            AS(row->x_form, add_skip, row, at, in_row, value, value);
        write_output(row->form, t->past, row->out, row->gate, at, in_row, value);
        write_output(row->form2, t->past2, row->out2, row->gate2, at, in_row, value);
    }
    if (in_end > in_row && row->tail != NULL)
        memcpy((real *)row->tail + (at + in_row - t->seqlen), value + in_row,
               (size_t)(in_end - in_row) * sizeof(real));
}

static void deliver_filter(const target *t, int64_t at, int64_t count, const real *restrict value)
{
    const int64_t in_taps = t->taps == NULL ? 0 : clipped(t->taps_count - at, count);
    for (int64_t i = 0; i < in_taps; i++)
        t->taps[at + i] = value[i];
    if (t->future == NULL)
        return;
    for (int64_t i = 0; i < count; i++) {
        const int64_t tap = t->period - (at + i) - t->first_lag;
        if (tap >= 0 && tap < t->future_count && at + i > 0)
            t->future[tap] = -value[i];
    }
    if (at == 0 && t->first_lag == 0)
        t->future[0] = value[0];
}

/* Hands a piece of the result, which it may change, to whoever wants it. */
static void deliver(const target *t, int64_t at, int64_t count, real *value)
{
    if (t->taps != NULL || t->future != NULL)
        deliver_filter(t, at, count, value);
    else
        deliver_row(t, at, count, value);
}

#endif
