/* SPDX-License-Identifier: BSD-3-Clause */
/* The product of two rows in which no result depends on what either has beyond it: the gradient of a filter
 * in the exact engine. Compiled for each type.
 *
 * The pairs (i, s) of positions, which add to output i + s, are cut into squares that begin at their own last
 * sample or later: strips of U positions of one row, U <= i < 2U, against blocks of U of the other from U on,
 * and the other way round from 2U on. What is left along both edges is summed as it stands.
 *
 * Source: van der Hoeven, Relax, but don't be too lazy (2002), section 4. */
#include "cpu_exact.h"
#include "integers.h"

#include <string.h>

enum { BLOCK = LCV_STREAM_BLOCK };

/* w[m] += sum_{i < BLOCK} a[i] b[m - i] over m - i >= first, for all m < count. */
static void add_edge(const exact_plan *e, const real *a, const real *b, int64_t first, int64_t count, real *w)
{
    real reversed[BLOCK], sums[BLOCK];
    const int64_t begun = min64(first + BLOCK - 1, count); /* from here on all of a meets b */
    for (int64_t m = first; m < begun; m++) {
        double sum = 0.0;
        for (int64_t i = 0; i <= m - first; i++)
            sum += (double)a[i] * (double)b[m - i];
        w[m] += (real)sum;
    }
    for (int64_t i = 0; i < BLOCK && begun < count; i++)
        reversed[i] = a[BLOCK - 1 - i];
    for (int64_t m = begun; m < count; m += BLOCK) {
        const int64_t outputs = min64(BLOCK, count - m);
        e->kernels->correlate(reversed, BLOCK, b + m - (BLOCK - 1), outputs, sums);
        e->kernels->add(sums, outputs, w + m);
    }
}

/* `size` samples from `from` on, zeros beyond `count`. */
static const real *samples(const real *row, int64_t from, int64_t size, int64_t count, real *padded)
{
    if (from + size <= count)
        return row + from;
    memcpy(padded, row + from, (size_t)(count - from) * sizeof(real));
    memset(padded + (count - from), 0, (size_t)(size - (count - from)) * sizeof(real));
    return padded;
}

/* w += a[U..2U) times b[first...), block by block. */
static void add_strip(const exact_plan *e, int32_t level, const real *a, const real *b, int64_t first,
                      int64_t count, real *w, const exact_scratch *s)
{
    const int64_t size = e->squares.level[level].size;
    const real *taps = samples(a, size, size, count, s->padded);
    for (int64_t from = first; size + from < count; from += size) {
        const int64_t outputs = min64(2 * size - 1, count - (size + from));
        lcv_cpu_square_run(&e->squares, level, from == first ? taps : NULL,
                           samples(b, from, size, count, s->padded + size), s->tail, s->spectrum, s->engine);
        e->kernels->add(s->tail, outputs, w + size + from);
    }
}

void TYPED(lcv_cpu_exact_product)(const exact_plan *e, const real *a, const real *b, int64_t count, real *w,
                                  const exact_scratch *s)
{
    memset(w, 0, (size_t)count * sizeof(real));
    add_edge(e, a, b, 0, count, w);
    add_edge(e, b, a, BLOCK, count, w);
    for (int32_t level = 0; level < e->squares.count; level++) {
        const int64_t size = e->squares.level[level].size;
        add_strip(e, level, a, b, size, count, w, s);
        add_strip(e, level, b, a, 2 * size, count, w, s);
    }
}
