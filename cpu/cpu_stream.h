/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_stream.h: the stream entries of the CPU backend, what they share, and the row functions of each type of
 * reals. */
#ifndef LCV_CPU_STREAM_H
#define LCV_CPU_STREAM_H

#include "cpu_threads.h"
#include "cpu_tiles.h"

typedef struct lcv_cpu_stream lcv_cpu_stream;

/* Rows in work by one thread. */
typedef struct lcv_cpu_stream_part {
    const lcv_stream_tile_call *call;
    int64_t row, rows;
    char *scratch; /* tile_bytes */
} lcv_cpu_stream_part;

/* Functions on rows; cpu_stream_rows.c defines one table for each type. */
typedef struct lcv_cpu_stream_rows {
    const void *(*choose_kernels)(const char *mask);
    const void *(*choose_near)(const char *mask);
    void (*prepare)(lcv_cpu_stream *s, const lcv_stream_setup *setup, char *scratch);
    void (*step)(const lcv_cpu_stream *s, const lcv_stream_step_call *call, char *scratch);
    void (*flush)(const lcv_cpu_stream *s, const lcv_stream_block_call *call);
    void (*fill)(const lcv_cpu_stream *s, const lcv_stream_block_call *call);
    void (*load)(const lcv_cpu_stream *s, const lcv_stream_load_call *call);
    void (*tile)(const lcv_cpu_stream *s, const lcv_cpu_stream_part *part);
    void (*dot)(const lcv_cpu_stream *s, const lcv_stream_dot_call *call);
} lcv_cpu_stream_rows;

extern const lcv_cpu_stream_rows lcv_cpu_stream_rows_f32, lcv_cpu_stream_rows_f64;

/* Prepared filters: immutable once made. */
struct lcv_cpu_stream {
    const lcv_backend_host *host;
    lcv_stream_params params;
    lcv_dtype compute;
    size_t real_size;
    const lcv_cpu_stream_rows *code;
    const void *kernels, *near;
    int64_t rows, groups, filters;
    lcv_cpu_tiles tiles;
    int64_t distances;     /* of the largest tile, see backend.h */
    size_t distant_bytes;  /* of one distant spectrum */
    size_t spectrum_bytes; /* of one filter: all levels, then distances from 2 on */
    int32_t threads;
    size_t tile_bytes; /* scratch of one thread: engine, inputs, results */
    size_t row_bytes;  /* scratch of a token: one number for each row, rounded up */

    /* One piece of memory, and what lies in it. */
    char *memory;
    size_t bytes;
    void *near_taps;          /* group by group as in windows: lags below LCV_STREAM_BLOCK */
    char *spectra;            /* filter by filter, spectrum_bytes each */
    void *reversed;           /* direct mode: all taps of each filter, last first */
    void *skip, *bias;        /* of each row; NULL where it is no term */
    double *poles, *residues; /* modal: group by group; for each exponential the real parts of the rows, then
                               * the imaginary parts */
};

/* Rows of group g, and where a group's first element lies among those of `each` elements a row. */
static inline int64_t lcv_cpu_stream_width(const lcv_cpu_stream *s, int64_t g)
{
    const int64_t left = s->rows - g * LCV_STREAM_GROUP;
    return left < LCV_STREAM_GROUP ? left : LCV_STREAM_GROUP;
}

static inline int64_t lcv_cpu_stream_place(int64_t g, int64_t each)
{
    return g * LCV_STREAM_GROUP * each;
}

/* The filter of a row. */
int64_t lcv_cpu_stream_filter(const lcv_cpu_stream *s, int64_t row);

lcv_status lcv_cpu_stream_query(void *device, const lcv_stream_params *params, const lcv_stream_tiles *tiles,
                                lcv_backend_stream_info *info);
lcv_status lcv_cpu_stream_create(void *device, const lcv_stream_params *params, const lcv_stream_tiles *tiles,
                                 const lcv_stream_setup *setup, void **shared);
void lcv_cpu_stream_destroy(void *shared);
lcv_status lcv_cpu_stream_step(void *shared, const lcv_stream_step_call *call);
lcv_status lcv_cpu_stream_flush(void *shared, const lcv_stream_block_call *call);
lcv_status lcv_cpu_stream_fill(void *shared, const lcv_stream_block_call *call);
lcv_status lcv_cpu_stream_load(void *shared, const lcv_stream_load_call *call);
lcv_status lcv_cpu_stream_tile(void *shared, const lcv_stream_tile_call *call);
lcv_status lcv_cpu_stream_dot(void *shared, const lcv_stream_dot_call *call);

#endif
