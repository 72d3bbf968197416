/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_tiles.h: products of two blocks of a row by the engines, one prepared problem for each block size. What
 * a stream and an exactly causal convolution add up beyond the current block.
 *
 * Level l has size U = LCV_STREAM_BLOCK << l. A tile takes the U samples before a position n, a multiple of
 * U, to what they contribute to the U outputs from n on, through lags 1 to 2U - 1. A square is the whole
 * product of U samples and U taps.
 *
 * Source: van der Hoeven, Relax, but don't be too lazy (2002), section 4; Oncescu et al., Flash Inference
 * (2025), section 3. */
#ifndef LCV_CPU_TILES_H
#define LCV_CPU_TILES_H

#include "engine.h"

enum { LCV_CPU_MAX_LEVELS = 48 };

typedef enum lcv_cpu_tile_form { LCV_CPU_TILE_MIDDLE, LCV_CPU_TILE_SQUARE } lcv_cpu_tile_form;

typedef struct lcv_cpu_tile_level {
    int64_t size; /* U */
    const lcv_cpu_engine *engine;
    void *self; /* NULL until lcv_cpu_tiles_create */
    lcv_cpu_geometry geometry;
    lcv_cpu_engine_info info;
    size_t spectrum; /* byte offset among the spectra of one filter */
} lcv_cpu_tile_level;

typedef struct lcv_cpu_tiles {
    const lcv_backend_host *host;
    lcv_cpu_tile_form form;
    int32_t count;
    lcv_cpu_tile_level level[LCV_CPU_MAX_LEVELS];
    size_t spectrum_bytes; /* of one filter, all levels */
    size_t scratch_bytes;  /* of the engines, for one row at a time */
} lcv_cpu_tiles;

/* Chooses an engine for each level up to `largest` samples (below LCV_STREAM_BLOCK: no levels) and a filter
 * of `taps` taps. Errors: UNSUPPORTED, TOO_LARGE. */
lcv_status lcv_cpu_tiles_choose(const lcv_backend_host *host, lcv_cpu_tile_form form, bool is_double,
                                int64_t taps, int64_t largest, lcv_cpu_tiles *tiles);

/* Makes the engines' plans; on an error there are none. */
lcv_status lcv_cpu_tiles_create(lcv_cpu_tiles *tiles);
void lcv_cpu_tiles_destroy(lcv_cpu_tiles *tiles);

/* Middle form: prepares all levels of a filter. taps[0] must be 0 (lag 0 is never a tile's), and there are at
 * least as many as choose was told. */
void lcv_cpu_tiles_prepare(const lcv_cpu_tiles *tiles, const void *taps, void *spectra, void *scratch);

/* tail[i], i < U, from the U samples at x. `spectrum` is the level's own. */
void lcv_cpu_tile_run(const lcv_cpu_tiles *tiles, int32_t level, const void *spectrum, const void *x,
                      void *tail, void *scratch);

/* Square form: v[i], i < 2U - 1, from U samples and U taps, which are prepared into `spectrum`; taps NULL:
 * they are there already. */
void lcv_cpu_square_run(const lcv_cpu_tiles *tiles, int32_t level, const void *taps, const void *x, void *v,
                        void *spectrum, void *scratch);

/* The level whose size is `size`. */
int32_t lcv_cpu_tile_level_of(int64_t size);

#endif
