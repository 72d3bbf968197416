/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_sheet.h: the rows of an array that are in work together, and tiles of them. A tile holds `count`
 * samples of every row in reals; row k starts at k * row_len, which is at least count. For sources that are
 * compiled for each type. */
#ifndef LCV_CPU_SHEET_H
#define LCV_CPU_SHEET_H

#include "integers.h"
#include "kernels.h"

#include <string.h>

#if REAL_IS_DOUBLE
enum { REAL_DTYPE = LCV_F64 };
#else
enum { REAL_DTYPE = LCV_F32 };
#endif

enum { TILE = REAL_IS_DOUBLE ? 2048 : 4096 }; /* reals of a tile */

/* lcv_dtype_size of what arrays hold, without a call into the library. */
static inline int64_t dtype_bytes(lcv_dtype dtype)
{
    return dtype == LCV_F64 ? 8 : dtype == LCV_F32 ? 4 : 2;
}

/* The rows of an array that a panel stands for. */
typedef struct {
    char *data; /* NULL: absent */
    lcv_dtype dtype;
    int64_t row_stride, stride; /* in elements: from row to row, from sample to sample */
    int64_t width;              /* rows */
    bool halves;                /* whoever uses rows as they lie takes 16 bits, too */
    int64_t far;                /* samples, if they come from far: they are fetched ahead. Else 0 */
    bool streams;               /* what is written goes around the caches */
} sheet;

/* Part of a panel's time axis. */
typedef struct {
    int64_t from, count;
} stretch;

static inline sheet sheet_of(const lcv_array *array, lcv_dtype dtype, int64_t i, int64_t j, int64_t width)
{
    sheet s = {.dtype = dtype, .row_stride = array->stride[1], .stride = array->stride[2], .width = width};
    if (array->data != NULL)
        s.data = (char *)array->data + (i * array->stride[0] + j * array->stride[1]) * dtype_bytes(dtype);
    return s;
}

static inline char *place(const sheet *s, int64_t row, int64_t t)
{
    return s->data + (row * s->row_stride + t * s->stride) * dtype_bytes(s->dtype);
}

static inline bool is_real(const sheet *s)
{
    return s->dtype == (lcv_dtype)REAL_DTYPE && (uintptr_t)s->data % sizeof(real) == 0;
}

/* How rows that are plain lie. */
static inline lcv_cpu_form form_of(const sheet *s)
{
    return s->dtype == LCV_F16 ? LCV_CPU_F16 : s->dtype == LCV_BF16 ? LCV_CPU_BF16 : LCV_CPU_REALS;
}

/* Can an engine use the rows as they lie? */
static inline bool is_plain(const sheet *s)
{
    const bool in_form = is_real(s) || (s->halves && form_of(s) != LCV_CPU_REALS);
    return s->data == NULL || (in_form && s->stride == 1);
}

/* Row k of a sheet that is plain. */
static inline void *plain_row(const sheet *s, int64_t k)
{
    return s->data != NULL ? place(s, k, 0) : NULL;
}

/* ---- Tiles ---- */

/* Rows side by side: a tile is a transpose away. */
static inline bool is_interleaved(const sheet *s)
{
    return s->width > 1 && s->row_stride == 1;
}

/* Makes a sheet one that comes from far. Only whole lines can go around the caches. */
static inline void put_far(const TYPED(lcv_cpu_kernels) * k, int64_t samples, sheet *s)
{
    const int64_t size = dtype_bytes(s->dtype);
    s->far = samples;
    s->streams =
        k->streams && is_interleaved(s) && lcv_cpu_are_lines(s->data, s->stride * size, s->width * size);
}

/* Samples of a row in a tile that fits its buffer: whole blocks of the kernel `dot`, so that sums do not
 * depend on the width. */
static inline int64_t tile_len(int64_t width)
{
    const int64_t block = LCV_CPU_DOT_BYTES / (int64_t)sizeof(real);
    return TILE / width / block * block;
}

static inline stretch stretch_at(int64_t t, int64_t end, int64_t width)
{
    return (stretch){t, min64(tile_len(width), end - t)};
}

/* Asks for samples [from, to) of rows side by side. */
static inline void fetch_beside(const sheet *s, int64_t from, int64_t to)
{
    const int64_t line = LCV_CPU_LINE / dtype_bytes(s->dtype);
    for (int64_t t = from; t < to; t++)
        for (int64_t k = 0; k < s->width; k += line)
            lcv_cpu_fetch(place(s, k, t));
}

/* Those that a tile which begins at `from` reads first. Its others are asked for when it is read. */
static inline void fetch_tile(const sheet *s, int64_t from)
{
    fetch_beside(s, from, min64(from + LCV_CPU_AHEAD, s->far));
}

static inline void load_converted_beside(const TYPED(lcv_cpu_kernels) * k, const sheet *s, stretch at,
                                         real *tile, int64_t row_len)
{
    real samples[TILE];
    for (int64_t i = 0; i < at.count; i += LCV_CPU_AHEAD) {
        const int64_t t = at.from + i, some = min64(LCV_CPU_AHEAD, at.count - i);
        fetch_tile(s, t + some);
        k->load(place(s, 0, t), s->dtype, s->stride, some, 1, s->width, samples);
        k->transpose(samples, s->width, some, s->width, tile + i, row_len);
    }
}

static inline void load(const TYPED(lcv_cpu_kernels) * k, const sheet *s, stretch at, real *tile,
                        int64_t row_len)
{
    if (is_interleaved(s) && is_real(s)) {
        k->transpose((const real *)(void *)place(s, 0, at.from), s->stride, at.count, s->width, tile,
                     row_len);
        fetch_tile(s, at.from + at.count);
    } else if (is_interleaved(s)) {
        load_converted_beside(k, s, at, tile, row_len);
    } else {
        for (int64_t row = 0; row < s->width; row++)
            k->load(place(s, row, at.from), s->dtype, 0, 1, s->stride, at.count, tile + row * row_len);
    }
}

static inline void store_tile(const TYPED(lcv_cpu_kernels) * k, const sheet *s, stretch at, const real *tile,
                              int64_t row_len)
{
    real samples[TILE];
    if (s->streams) {
        k->transpose(tile, row_len, s->width, at.count, samples, s->width);
        k->store_past(place(s, 0, at.from), s->dtype, s->stride, at.count, s->width, samples);
    } else if (is_interleaved(s) && is_real(s)) {
        k->transpose(tile, row_len, s->width, at.count, (real *)(void *)place(s, 0, at.from), s->stride);
    } else if (is_interleaved(s)) {
        k->transpose(tile, row_len, s->width, at.count, samples, s->width);
        k->store(place(s, 0, at.from), s->dtype, s->stride, at.count, 1, s->width, samples);
    } else {
        for (int64_t row = 0; row < s->width; row++)
            k->store(place(s, row, at.from), s->dtype, 0, 1, s->stride, at.count, tile + row * row_len);
    }
}

/* With `accumulate` the tile gains what was there. */
static inline void store(const TYPED(lcv_cpu_kernels) * k, const sheet *s, stretch at, real *tile,
                         int64_t row_len, bool accumulate)
{
    real old[TILE];
    if (accumulate) {
        load(k, s, at, old, at.count);
        for (int64_t row = 0; row < s->width; row++)
            k->add(old + row * at.count, at.count, tile + row * row_len);
    }
    store_tile(k, s, at, tile, row_len);
}

/* tile *= the sheet's, if there is one */
static inline void multiply_by(const TYPED(lcv_cpu_kernels) * k, const sheet *s, stretch at, real *tile,
                               int64_t row_len)
{
    real factor[TILE];
    if (s->data == NULL)
        return;
    load(k, s, at, factor, at.count);
    for (int64_t row = 0; row < s->width; row++, tile += row_len)
        k->multiply(tile, factor + row * at.count, at.count, tile);
}

/* Fills `count` values from a row of `length` elements, with zeros where it is absent or ends. */
static inline void load_row(const TYPED(lcv_cpu_kernels) * k, const sheet *s, int64_t length, int64_t count,
                            real *to)
{
    const int64_t there = s->data != NULL ? min64(length, count) : 0;
    if (there > 0)
        k->load(s->data, s->dtype, 0, 1, s->stride, there, to);
    memset(to + there, 0, (size_t)(count - there) * sizeof(real));
}

/* Between a tile and the panel's gathered rows, which are `row_len` reals apart. */
static inline void take_tile(const real *rows, int64_t row_len, int64_t width, stretch at, real *tile)
{
    for (int64_t k = 0; k < width; k++)
        memcpy(tile + k * at.count, rows + k * row_len + at.from, (size_t)at.count * sizeof(real));
}

static inline void put_tile(const real *tile, int64_t width, stretch at, real *rows, int64_t row_len)
{
    for (int64_t k = 0; k < width; k++)
        memcpy(rows + k * row_len + at.from, tile + k * at.count, (size_t)at.count * sizeof(real));
}

#endif
