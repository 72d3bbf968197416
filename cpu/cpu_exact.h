/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_exact.h: what the files of the exact engine share. Included by sources that are compiled for each type.
 */
#ifndef LCV_CPU_EXACT_H
#define LCV_CPU_EXACT_H

#include "cpu_tiles.h"
#include "kernels.h"
#include "near.h"

/* A causal filter and its tiles. */
typedef struct {
    int64_t taps;
    int64_t largest; /* size of the largest tile; 0: there are none */
    lcv_cpu_tiles tiles;
} exact_filter;

typedef struct {
    const lcv_backend_host *host;
    const TYPED(lcv_cpu_kernels) * kernels;
    const TYPED(lcv_cpu_near) * near;
    lcv_cpu_geometry geometry;
    exact_filter past, future; /* the future's as a causal filter on the row turned round; taps 0: none */
    lcv_cpu_tiles squares;     /* for the filters' gradients; none for a forward plan */
    size_t future_spectrum;    /* byte offset of the second filter in a prepared one */
    size_t spectrum_bytes;
} exact_plan;

/* Scratch of one call. Rows have out_len reals, or more by a block. */
typedef struct {
    void *engine;       /* of the tiles */
    real *x, *v;        /* a row, and what it becomes */
    real *w, *g;        /* two more: for a second side or a product, and for backward */
    real *lost, *large; /* a row without what is not ordinary, and what that gives */
    real *tail;         /* of one tile */
    real *padded;       /* inputs of a tile that the row does not fill */
    void *spectrum;     /* of one square */
} exact_scratch;

/* w[m] = sum_{i + s = m} a[i] b[s], m < count, where no w[m] depends on a or b beyond m. Uses s->tail,
 * s->padded, s->spectrum and s->engine. */
void TYPED(lcv_cpu_exact_product)(const exact_plan *e, const real *a, const real *b, int64_t count, real *w,
                                  const exact_scratch *s);

#endif
