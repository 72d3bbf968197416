/* SPDX-License-Identifier: BSD-3-Clause */
/* engine.h: the internal table of the CPU backend's engines. An engine convolves one row at a time; the
 * driver (cpu_conv.c) owns batch, channels, threads, strides, 16-bit data, activations and reductions.
 *
 * "Reals" are floats or doubles, by geometry.is_double. Every row an engine sees is contiguous and in reals,
 * aligned to them, but for rows in 16 bits (cpu_form.h) where the engine takes such. Scratch, spectra and
 * accumulators are aligned to LCV_CPU_ALIGNMENT.
 */
#ifndef LCV_CPU_ENGINE_H
#define LCV_CPU_ENGINE_H

#include "cpu_form.h"

#include <longconv/backend.h>

#include <stdbool.h>
#include <string.h>

enum { LCV_CPU_ALIGNMENT = 64 };

/* The next multiple of the alignment, so that pieces side by side are all aligned. */
static inline size_t lcv_cpu_round_up(size_t bytes)
{
    return (bytes + LCV_CPU_ALIGNMENT - 1) & ~(size_t)(LCV_CPU_ALIGNMENT - 1);
}

/* The linear problem of one row:
 *   v[t] = sum_{j < taps} h[j] x[t-j] + sum_{j < taps_future} hf[j] x[t+j+first_lag],  0 <= t < out_len,
 * x zero outside [0, seqlen). All modes come down to it: circular ones fold their taps, and the driver adds
 * what lies beyond seqlen to the front. Sizes are clipped (no tap beyond the last lag that matters), so
 * out_len is seqlen, or up to seqlen + taps - 1 when the tail is wanted (then taps_future is 0). */
typedef struct lcv_cpu_geometry {
    int64_t seqlen;      /* >= 1 */
    int64_t out_len;     /* >= seqlen */
    int64_t taps;        /* >= 0 */
    int64_t taps_future; /* >= 0; taps + taps_future >= 1 */
    int64_t first_lag;   /* 0 or 1 */
    int64_t rows;        /* batch * channels, for the choice only */
    int64_t filters;     /* for the choice only */
    bool is_double;
    bool backward;     /* backward will be called */
    bool measure;      /* creation may time alternatives (LCV_PLANNING_MEASURED) */
    bool reproducible; /* nothing may follow from what was planned before in the process */
    bool exact;        /* results must not depend on later samples, not even by rounding (exact_causality) */
    bool beside;   /* rows lie side by side (BLD), with neither state nor wrapping: cpu_beside.h may sum */
    bool together; /* and may transform: rounding may depend on how arrays lie, and memory is not limited */
    bool middle;   /* forward only, and only the tail is wanted: what comes before it may be wrong. Then taps
                    * is at most out_len, and out_len 2 seqlen */
} lcv_cpu_geometry;

/* The largest lag on either side: how far a sum looks back and ahead. */
static inline int64_t lcv_cpu_past_reach(const lcv_cpu_geometry *g)
{
    return g->taps > 0 ? g->taps - 1 : 0;
}

static inline int64_t lcv_cpu_future_reach(const lcv_cpu_geometry *g)
{
    return g->taps_future > 0 ? g->taps_future - 1 + g->first_lag : 0;
}

/* Threads for the inside of one row. `run` calls task(arg, i) for i in [0, count), possibly at once. */
typedef struct lcv_cpu_team {
    int32_t threads;
    lcv_parallel_for_fn parallel_for;
    void *user;
} lcv_cpu_team;

/* `count` cache lines, `step` bytes from one to the next. */
typedef struct lcv_cpu_lines {
    const char *at;
    int64_t count, step;
} lcv_cpu_lines;

/* Asks for a line that is read, or written, soon; not into the first cache, which the work at hand needs. The
 * empty statement keeps compilers from taking a function that only asks for one without effects, and leaving
 * it out. */
static inline void lcv_cpu_fetch(const void *line)
{
    __builtin_prefetch(line, 0, 2);
    __asm__ volatile("" : : "r"(line));
}

enum {
    LCV_CPU_LINE = 64,            /* bytes of a cache line */
    LCV_CPU_AHEAD = 16,           /* samples of rows side by side, fetched ahead; more wait for each other */
    LCV_CPU_MOST_AHEAD = 5,       /* arrays that a row's convolution fetches ahead */
    LCV_CPU_MOST_CACHED = 1 << 17 /* bytes of one; longer ones would drive others from the cache */
};

/* Do rows of `bytes`, `step` apart, consist of whole lines? */
static inline bool lcv_cpu_are_lines(const void *at, int64_t step, int64_t bytes)
{
    return ((uintptr_t)at | (uintptr_t)step | (uintptr_t)bytes) % LCV_CPU_LINE == 0;
}

/* Those of memory in one piece; none where there is none. */
static inline lcv_cpu_lines lcv_cpu_lines_of(const void *at, int64_t bytes)
{
    return (lcv_cpu_lines){at, at != NULL ? bytes / LCV_CPU_LINE : 0, LCV_CPU_LINE};
}

/* A row is refused where its limit says so. Engines that write beginnings of rows before they have seen the
 * rest say how much they have done, so that it need not be undone: nothing of it depends on what follows. */
typedef struct lcv_cpu_begun {
    int64_t samples; /* of x, from the start on: their outputs are written, their gradients added */
    void *carry;     /* forward, info.block > 0: taps - 1 reals, what they add to the outputs that follow */
} lcv_cpu_begun;

/* What one worker brings to a call. */
typedef struct lcv_cpu_work {
    void *scratch;            /* info.scratch_bytes */
    const lcv_cpu_team *team; /* NULL: this row has one thread */
    lcv_cpu_begun *begun;     /* where a row has a limit: nothing yet, and room for the carry */
    /* What will be needed at the row's end and after it, first what is needed most; an engine may fetch it
     * while it computes, and uses the list up. NULL: nothing is known beyond the row's own sink. */
    lcv_cpu_lines *ahead; /* LCV_CPU_MOST_AHEAD of them */
    /* For engines that heed them. begins: backward finds nothing in grad, whatever its bytes are. ends: it
     * is the last to add to grad, and filter_grad, which is told the same, comes next. */
    bool begins, ends;
} lcv_cpu_work;

/* One row going in: x[t] * gate[t] for t < seqlen, then tail[t - seqlen] for t < out_len. */
typedef struct lcv_cpu_row {
    const void *x;
    const void *gate;   /* NULL: 1 */
    const void *factor; /* of product; only where the engine multiplies, and rows are reals */
    void *product;      /* NULL: not wanted. Else product[t] = x[t] * factor[t], written when x is read */
    const void *tail;   /* NULL: 0; only in backward, as the gradient of the outgoing tail */
    /* 0: none. Else, where the squares of all of it (or of each block) do not sum to less, and it could spoil
     * more than what depends on it, forward and backward return false. They have then overwritten nothing
     * that they read, and added no gradient, but for what they have begun; what else they wrote must be
     * written again. */
    double limit;
    int64_t from;      /* samples before it count as 0; it is 0 in each row that an engine sees */
    lcv_cpu_form form; /* of x and gate */
} lcv_cpu_row;

/* One row coming out. With s[t] = v[t] + skip * x[t] * x_gate[t] + bias, for t < seqlen:
 *   out[t] = gate[t] * s[t]   and   out2[t] = gate2[t] * s[t];   tail[t - seqlen] = v[t] for t >= seqlen.
 * out may be the row's own x (elementwise the same place); nothing else overlaps. */
typedef struct lcv_cpu_sink {
    void *out;          /* NULL: not wanted */
    const void *gate;   /* NULL: 1 */
    void *out2;         /* NULL: not wanted */
    const void *gate2;  /* NULL: 1 */
    void *tail;         /* NULL: not wanted */
    const void *x;      /* NULL: skip is 0 */
    const void *x_gate; /* NULL: 1 */
    double skip;
    double bias;
    lcv_cpu_form form;   /* of out and gate */
    lcv_cpu_form form2;  /* of out2 and gate2 */
    lcv_cpu_form x_form; /* of x and x_gate */
} lcv_cpu_sink;

/* Rows side by side, as many as a vector of the engine has lanes: sample t of row l is x[t * x_step + l]. */
typedef struct lcv_cpu_lanes {
    const void *x; /* `count` samples, at most seqlen; zeros follow */
    int64_t x_step, count;
    void *v; /* `out_count` samples of their linear result, at most out_len; v may be x with the same step */
    int64_t v_step, out_count;
    void *energy; /* a sum for each row: of its squares, roughly; not finite where a sample is not */
} lcv_cpu_lanes;

/* What an engine says about a geometry. */
typedef struct lcv_cpu_engine_info {
    int64_t fft_size;      /* 0: no transform */
    int64_t block;         /* samples of the blocks that a row is cut into; 0: it is not */
    size_t spectrum_bytes; /* one prepared filter */
    size_t row_bytes;      /* one row kept for backward (see `keep`) */
    size_t grad_bytes;     /* one accumulator of filter gradients: an array of reals; all zero bytes is zero,
                            * and two are added elementwise */
    size_t scratch_bytes;  /* of one worker */
    bool halves;           /* rows may lie in 16 bits */
    bool team;             /* a row of this length is worth the threads of a team */
    bool sums;             /* a prepared filter is its taps, past and future: see cpu_beside.h */
    int64_t lanes;         /* rows that forward_beside takes; 0: there is none */
    bool multiplies;       /* heeds row.product in backward; nobody asks others */
    bool heeds_ends;       /* heeds work.begins and work.ends; else accumulators are cleared */
    double cost;           /* for the choice: estimated nanoseconds of one forward row on one thread, */
    double cost_dx;        /* of its gradient by the input, */
    double cost_dtaps; /* and of what the gradient by the taps adds to that, with its share in filter_grad */
} lcv_cpu_engine_info;

typedef struct lcv_cpu_engine {
    const char *name;
    bool exact; /* no result depends on a later sample, in no bit */
    bool lean;  /* whole executions are those of cpu_lean.h; of the functions below it has the first three */

    /* Does it serve this geometry? false leaves a reason (static text; NULL: a row for the other type). */
    bool (*query)(const lcv_backend_host *host, const lcv_cpu_geometry *geometry, lcv_cpu_engine_info *info,
                  const char **reason);

    /* Everything expensive: tables, FFT plans. */
    lcv_status (*create)(const lcv_backend_host *host, const lcv_cpu_geometry *geometry, void **self);
    void (*destroy)(void *self);

    /* Transforms `taps` and `taps_future` (geometry's counts, contiguous) into one prepared filter. */
    void (*prepare)(void *self, const void *taps, const void *taps_future, void *spectrum,
                    const lcv_cpu_work *work);

    /* One forward row. keep: NULL, or row_bytes where the row's own transform is left for backward. */
    bool (*forward)(void *self, const void *spectrum, const lcv_cpu_row *row, const lcv_cpu_sink *sink,
                    void *keep, const lcv_cpu_work *work);

    /* One backward row. g is the gradient by v.
     *   dx      (NULL: not wanted) receives adjoint(h) applied to g, through a sink without tail; its skip
     * term is skip * g's own x * gate where dx->x says so. grad    (NULL: not wanted) gains the row's filter
     * gradient, from g and from kept (or, when kept is NULL, from the row x). spectrum may be NULL when dx
     * is. */
    bool (*backward)(void *self, const void *spectrum, const lcv_cpu_row *g, const lcv_cpu_sink *dx,
                     const lcv_cpu_row *x, const void *kept, void *grad, const lcv_cpu_work *work);

    /* Forward of info.lanes rows side by side, or of one block of each (info.block). `arranged` is their
     * spectra put together by arrange_beside: as long as they are, and so is scratch. */
    void (*arrange_beside)(void *self, const void *const *spectra, void *arranged);
    void (*forward_beside)(void *self, const void *arranged, const lcv_cpu_lanes *rows, void *scratch);

    /* Turns an accumulator (which it may destroy) into taps' gradients. dtaps_future NULL: not wanted, and
     * likewise dtaps. */
    void (*filter_grad)(void *self, void *grad, void *dtaps, void *dtaps_future, const lcv_cpu_work *work);
} lcv_cpu_engine;

/* cost_dtaps of engines that transform: one more of the row, and one a filter. */
static inline double lcv_cpu_cost_of_taps(const lcv_cpu_geometry *g, double cost)
{
    return cost * (0.8 + 0.8 * (g->rows > 0 ? (double)g->filters / (double)g->rows : 1.0));
}

/* Nanoseconds that it takes to make rows of `samples` samples of one that lies beside others, and back. */
static inline double lcv_cpu_cost_of_turning(const lcv_cpu_geometry *g, int64_t samples)
{
    return 0.3 * (double)samples * (g->is_double ? 8.0 : 4.0);
}

/* How gradients of taps are summed directly, wherever rows lie: samples in blocks, whose sums are added in
 * double; with few taps by the kernel `dot`, else by `correlate`. */
enum { LCV_CPU_SUMMED = 128, LCV_CPU_FEW_TAPS = 4 };

/* filter_grad of the engines whose accumulator holds gradients of taps, the past's before the future's. */
static inline void lcv_cpu_hand_out_taps(const lcv_cpu_geometry *g, const void *grad, void *dtaps,
                                         void *dtaps_future)
{
    const size_t real_bytes = g->is_double ? sizeof(double) : sizeof(float);
    if (dtaps != NULL)
        memcpy(dtaps, grad, (size_t)g->taps * real_bytes);
    if (dtaps_future != NULL)
        memcpy(dtaps_future, (const char *)grad + (size_t)g->taps * real_bytes,
               (size_t)g->taps_future * real_bytes);
}

#define LCV_CPU_ENGINE(name) extern const lcv_cpu_engine lcv_cpu_engine_##name;
#include "engine_list.inc"
#undef LCV_CPU_ENGINE

#endif
