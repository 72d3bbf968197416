/* SPDX-License-Identifier: BSD-3-Clause */
/* row.h: rows as the first and last pass see them, pieces of columns. A piece that lies plainly in the
 * caller's array is used where it is; any other goes through a small buffer, which takes care of gates, skip,
 * ends, tails and filters. Nothing outside the caller's arrays is touched. */
#ifndef LCV_CPU_SIMD_ROW_H
#define LCV_CPU_SIMD_ROW_H

#include "vec.h"
#include "simd.h"

#include <string.h>

/* The reals a transform reads: x * gate, then tail up to `end`, then zeros; and future taps, which lie
 * mirrored and negative before `period` because z^period = -1. */
typedef struct source {
    const real *x, *gate, *tail;
    int64_t seqlen, end;
    const real *future;
    int64_t future_count, first_lag, period;
} source;

/* Where the reals of an inverse transform go: a row, or a filter's gradients. A row that is `past` the caches
 * is written around them. */
typedef struct target {
    lcv_cpu_sink row;
    bool past;
    int64_t seqlen, end;
    real *taps, *future;
    int64_t taps_count, future_count, first_lag, period;
} target;

static int64_t clipped(int64_t value, int64_t most)
{
    return value < 0 ? 0 : value > most ? most : value;
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

/* Writes reals at to at + count of the source into the buffer. */
static void fill(const source *s, int64_t at, int64_t count, real *restrict buffer)
{
    const int64_t in_row = clipped(s->seqlen - at, count), in_end = clipped(s->end - at, count);
    if (s->gate != NULL) {
        for (int64_t i = 0; i < in_row; i++)
            buffer[i] = s->x[at + i] * s->gate[at + i];
    } else if (in_row > 0) {
        memcpy(buffer, s->x + at, (size_t)in_row * sizeof(real));
    }
    if (in_end > in_row)
        memcpy(buffer + in_row, s->tail + (at + in_row - s->seqlen),
               (size_t)(in_end - in_row) * sizeof(real));
    memset(buffer + in_end, 0, (size_t)(count - in_end) * sizeof(real));
    if (s->future_count > 0)
        subtract_future(s, at, count, buffer);
}

/* A piece of the source, in place or in the buffer. */
static const real *piece(const source *s, int64_t at, int64_t count, real *buffer)
{
    if (s->gate == NULL && s->future_count == 0 && at + count <= s->seqlen)
        return s->x + at;
    fill(s, at, count, buffer);
    return buffer;
}

/* Where a piece of the result may be written at once, without a further look; else NULL. */
static real *plain_place(const target *t, int64_t at, int64_t count)
{
    const lcv_cpu_sink *row = &t->row;
    if (t->future == NULL && t->taps != NULL && at + count <= t->taps_count)
        return t->taps + at;
    if (t->taps == NULL && t->future == NULL && row->out != NULL && row->out2 == NULL && row->gate == NULL &&
        row->x == NULL && row->bias == 0.0 && !t->past && at + count <= t->seqlen)
        return (real *)row->out + at;
    return NULL;
}

/* out = value + skip x x_gate + bias. Whole vectors first; out may be x. */
static void add_skip(const lcv_cpu_sink *row, int64_t at, int64_t count, const real *value, real *out)
{
    const real skip = (real)row->skip, bias = (real)row->bias;
    const real *x = row->x != NULL ? (const real *)row->x + at : NULL;
    const real *gate = row->x_gate != NULL ? (const real *)row->x_gate + at : NULL;
    int64_t i = 0;
    if (x == NULL)
        for (; i + LANES <= count; i += LANES)
            store(out + i, load(value + i) + splat(bias));
    else if (gate == NULL)
        for (; i + LANES <= count; i += LANES)
            store(out + i, load(value + i) + (splat(skip) * load(x + i) + splat(bias)));
    else
        for (; i + LANES <= count; i += LANES)
            store(out + i, load(value + i) + (splat(skip) * (load(x + i) * load(gate + i)) + splat(bias)));
    for (; i < count; i++) {
        const real term = x == NULL ? 0 : skip * (gate == NULL ? x[i] : x[i] * gate[i]);
        out[i] = value[i] + (term + bias);
    }
}

/* out = value gate; out may be value. */
static void emit(real *out, const real *gate, int64_t at, int64_t count, const real *value)
{
    int64_t i = 0;
    if (out == NULL)
        return;
    if (gate == NULL) {
        memcpy(out + at, value, (size_t)count * sizeof(real));
        return;
    }
    for (; i + LANES <= count; i += LANES)
        store(out + at + i, load(value + i) * load(gate + at + i));
    for (; i < count; i++)
        out[at + i] = value[i] * gate[at + i];
}

/* The same around the caches, as far as whole vectors and their places allow it. */
static void emit_around(real *out, const real *gate, int64_t at, int64_t count, const real *value)
{
    int64_t i = 0;
    if (out != NULL && (uintptr_t)(out + at) % sizeof(vec) == 0) {
        for (; gate == NULL && i + LANES <= count; i += LANES)
            store_around(out + at + i, load(value + i));
        for (; i + LANES <= count; i += LANES)
            store_around(out + at + i, load(value + i) * load(gate + at + i));
    }
    emit(out, gate, at + i, count - i, value + i);
}

static void deliver_row(const target *t, int64_t at, int64_t count, real *value)
{
    const lcv_cpu_sink *row = &t->row;
    const int64_t in_row = clipped(t->seqlen - at, count), in_end = clipped(t->end - at, count);
    const bool has_skip = row->x != NULL || row->bias != 0.0;
    if (has_skip && row->out != NULL && row->gate == NULL && row->out2 == NULL && !t->past) {
        add_skip(row, at, in_row, value, (real *)row->out + at);
    } else {
        if (has_skip)
            add_skip(row, at, in_row, value, value);
        void (*const write)(real *, const real *, int64_t, int64_t, const real *) =
            t->past ? emit_around : emit;
        write(row->out, row->gate, at, in_row, value);
        write(row->out2, row->gate2, at, in_row, value);
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
