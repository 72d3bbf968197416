/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_conv_plan.h: what a convolution plan of the CPU backend holds, and the row functions of each type of
 * reals.
 */
#ifndef LCV_CPU_CONV_PLAN_H
#define LCV_CPU_CONV_PLAN_H

#include "engine.h"

typedef struct lcv_cpu_rows lcv_cpu_rows;

enum { LCV_CPU_MAX_WIDTH = 32 }; /* rows of a panel: two cache lines of float32 channels */

/* Byte offsets in one worker's part of the workspace. Of everything but taps and scratch there is one for
 * each row of a panel. */
typedef struct lcv_cpu_worker_layout {
    size_t taps;                  /* gathered taps, and a filter's finished gradient */
    size_t spectrum;              /* of the filters in work, when filters are not prepared beforehand */
    size_t grad;                  /* their gradients, when no other unit shares them */
    size_t keep;                  /* rows' transforms, kept from forward for backward */
    size_t x, g;                  /* gathered rows */
    size_t scratch;               /* the engine's */
    size_t beside;                /* buffers of rows side by side: cpu_beside.h */
    size_t careful, careful_grad; /* three rows, a carry and an accumulator: cpu_contain.h */
    size_t bytes;
} lcv_cpu_worker_layout;

/* What is known of a filter beside its spectrum, which is that of its finite taps over 2^exponent. */
typedef struct lcv_cpu_filter_note {
    double reach;     /* plain: at least the sum of |tap| */
    double limit;     /* plain: of the squares of a row that it meets, see engine.h */
    int32_t exponent; /* plain: 0 */
    int32_t plain; /* 0: not all taps are finite and of moderate size, and the class of each is noted, too */
} lcv_cpu_filter_note;

/* One prepared filter, in an area of many: all spectra, then all notes, then all classes, so that spectra
 * follow one another. */
typedef struct lcv_cpu_filter {
    char *spectrum;
    lcv_cpu_filter_note *note;
    char *classes; /* tap_class of each tap (cpu_window.h), unless the filter is plain */
} lcv_cpu_filter;

/* What stands behind an accumulator of filter gradients: how far it is, and gradients of rows that needed
 * care, reals for all taps, which follow. */
typedef struct lcv_cpu_late {
    int64_t used;  /* else what follows has no meaning */
    int64_t begun; /* else the accumulator has none */
    int64_t ended; /* was its last row told to be it? (engine.h) */
} lcv_cpu_late;

typedef struct lcv_cpu_plan {
    const lcv_backend_host *host;
    lcv_conv_params params;
    lcv_dtype compute;
    const lcv_cpu_rows *rows;
    const void *kernels;          /* the table of kernels.h for the type and the CPU level */
    const lcv_cpu_engine *engine; /* NULL: there are no samples to convolve */
    void *engine_self;
    lcv_cpu_engine_info info;
    lcv_cpu_geometry geometry;
    size_t real_size;
    int64_t state_len;
    bool circular;

    /* How work is cut; see cpu_units.h. */
    int64_t filters;
    int64_t width;             /* most rows of a panel */
    int64_t blocks;            /* of filters whose rows make panels together */
    int64_t filters_per_block; /* most */
    int64_t panels_per_block;
    int64_t chunks; /* units of each block, when blocks are few */
    int64_t slab;   /* channels of forward's units where rows go side by side: cpu_beside.h; 0: they do not */
    int64_t lanes;  /* then: rows that are transformed at a time; 0: they are summed */
    int32_t workers;
    int32_t team_threads; /* threads inside each row, one row at a time; 1: rows side by side */

    /* Distances: gathered rows in reals, the rest in bytes, multiples of the alignment. */
    int64_t x_len, g_len;
    size_t spectrum_stride, grad_stride, keep_stride;
    size_t classes_stride;
    size_t late_at; /* of late gradients behind others */

    /* Byte offsets in the workspace. spectra when units share them, grads when chunks > 1; sums: 2 doubles a
     * row. */
    size_t spectra, grads, sums;
    size_t first_worker;
    lcv_cpu_worker_layout worker;
    size_t workspace_bytes;
    size_t filters_bytes; /* of an area with all filters */

    /* What forward leaves of each row for backward: a flag, its transform (if the flag is 1), and z. 0 bytes
     * where there is nothing of a kind. */
    size_t saved_stride, saved_keep_bytes, saved_z_bytes;
} lcv_cpu_plan;

/* Rows in work together: channels c, c+1, ... of batch entry b. Arrays are set up to the width. */
typedef struct lcv_cpu_panel lcv_cpu_panel;
struct lcv_cpu_panel {
    int64_t b, c, width;
    lcv_cpu_filter filters[LCV_CPU_MAX_WIDTH]; /* each row's */
    void *grads[LCV_CPU_MAX_WIDTH];            /* its gradient's accumulator, or NULL */
    bool ends;                                 /* these are the last rows that add to them */
    const lcv_cpu_panel *next; /* place and width of its worker's next one, it seems; NULL: not known */
    const char *next_spectrum; /* of that one's first row, where it is prepared and not this one's */
};

/* Channels c, c+1, ... of batch entry b. */
typedef struct lcv_cpu_place {
    int64_t b, c, width;
} lcv_cpu_place;

/* Channels c, c+1, ... of batch entries [first, last), samples [from, to) of each. */
typedef struct lcv_cpu_part {
    int64_t c, width;
    int64_t first, last;
    int64_t from, to;
} lcv_cpu_part;

/* One worker at work. */
typedef struct lcv_cpu_worker {
    char *memory; /* worker.bytes of the workspace */
    lcv_cpu_work work;
    bool ends; /* backward: this row is the last to add to its filter's gradient */
} lcv_cpu_worker;

/* Rows side by side, for each type; see cpu_beside.h. `filters`: all prepared filters. */
typedef struct lcv_cpu_beside {
    /* Can this call go so, as its arrays lie and its filters are? Backward, filters may be NULL: nobody needs
     * them. */
    bool (*goes)(const lcv_cpu_plan *p, const lcv_conv_call *call, char *filters);
    bool (*goes_back)(const lcv_cpu_plan *p, const lcv_conv_call *call, char *filters);

    /* Forward of a part, whose width is at most p->slab. Where y lies where u does, it has all samples. */
    void (*forward)(const lcv_cpu_plan *p, const lcv_conv_call *call, char *filters, const lcv_cpu_part *part,
                    const lcv_cpu_worker *worker);

    /* Backward of a slab of at most lcv_cpu_back_slab channels. grads: each channel's accumulator, or NULL.
     * sums: as below. False: a gradient is not finite; nothing has been added to accumulators and sums, and
     * everything else must be written again. */
    bool (*backward)(const lcv_cpu_plan *p, const lcv_conv_call *call, char *filters, const lcv_cpu_place *at,
                     void *const *grads, double (*sums)[2], const lcv_cpu_worker *worker);
} lcv_cpu_beside;

/* Functions on panels and filters; cpu_rows.c defines one table for each type. */
struct lcv_cpu_rows {
    const void *(*choose_kernels)(const char *mask);

    /* Filter f's taps, folded and clipped to the geometry: past, then future. Makes its spectrum, by way of
     * `taps`. */
    void (*prepare)(const lcv_cpu_plan *p, const lcv_conv_call *call, int64_t f, void *taps,
                    const lcv_cpu_filter *filter, const lcv_cpu_worker *worker);

    /* Writes (or adds) the gradient of filter f's taps, from an accumulator (which it may destroy) by way of
     * `taps`. grad NULL: zero. */
    void (*finish)(const lcv_cpu_plan *p, const lcv_conv_call *call, int64_t f, void *grad, void *taps,
                   const lcv_cpu_worker *worker);

    void (*forward)(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                    const lcv_cpu_worker *worker);

    /* sums: {sum dz x, sum dz} of each row, on entry 0. */
    void (*backward)(const lcv_cpu_plan *p, const lcv_conv_call *call, const lcv_cpu_panel *panel,
                     double (*sums)[2], const lcv_cpu_worker *worker);

    const lcv_cpu_beside *beside;
    const lcv_cpu_beside *transforms; /* goes and forward only */

    /* to += from, accumulators of filter gradients. */
    void (*add_grad)(const lcv_cpu_plan *p, void *from, void *to);

    /* See cpu_lean.h. */
    void (*lean_prepare)(const lcv_cpu_plan *p, const lcv_conv_call *call, void *taps);
    void (*lean_forward)(const lcv_cpu_plan *p, const lcv_conv_call *call, char *workspace, const void *taps,
                         const lcv_cpu_team *team);

    /* dskip (unless it comes by a tap) and dbias from every row's sums, in a fixed order. */
    void (*reduce)(const lcv_cpu_plan *p, const lcv_conv_call *call, const double *sums);
};

extern const lcv_cpu_rows lcv_cpu_rows_f32;
extern const lcv_cpu_rows lcv_cpu_rows_f64;

/* Filter `index` of an area of `count`. */
static inline lcv_cpu_filter lcv_cpu_filter_at(const lcv_cpu_plan *p, char *area, int64_t count,
                                               int64_t index)
{
    char *notes = area + (size_t)count * p->spectrum_stride;
    char *classes = notes + lcv_cpu_round_up((size_t)count * sizeof(lcv_cpu_filter_note));
    return (lcv_cpu_filter){area + (size_t)index * p->spectrum_stride,
                            (lcv_cpu_filter_note *)(void *)notes + index,
                            classes + (size_t)index * p->classes_stride};
}

/* Are arrays so long that near caches do not keep them? Then what is read has to be fetched in time, and what
 * is written goes around the caches: where lines lie far apart, that is quicker than to write them in the
 * last one, even if they are read from memory afterwards. */
static inline bool lcv_cpu_is_far(const lcv_cpu_plan *p)
{
    enum { FAR = 1 << 22 };
    const bool halves = p->params.dtype == LCV_F16 || p->params.dtype == LCV_BF16;
    const double size = halves ? 2.0 : (double)p->real_size;
    return (double)p->geometry.rows * (double)p->params.seqlen * size >= (double)FAR;
}

/* The filter of a channel of a batch entry. */
static inline int64_t lcv_cpu_filter_of(const lcv_cpu_plan *p, int64_t b, int64_t c)
{
    if (p->params.filter_form == LCV_FILTER_PER_SAMPLE)
        return b * p->params.channels + c;
    return c / (p->params.channels / p->filters);
}

/* Are all filters prepared before any unit begins? */
static inline bool lcv_cpu_shares_spectra(const lcv_cpu_plan *p)
{
    return p->chunks > 1 || p->slab > 0;
}

/* Most threads that an execution uses. */
static inline int32_t lcv_cpu_threads_of(const lcv_cpu_plan *p)
{
    return p->team_threads > p->workers ? p->team_threads : p->workers;
}

static inline bool lcv_cpu_wants(const lcv_cpu_plan *p, uint32_t grad)
{
    return (p->params.grad_mask & grad) != 0;
}

static inline bool lcv_cpu_adds(const lcv_cpu_plan *p, uint32_t grad)
{
    return (p->params.accumulate_mask & grad) != 0;
}

static inline lcv_cpu_late *lcv_cpu_late_of(const lcv_cpu_plan *p, void *grad)
{
    return (lcv_cpu_late *)(void *)((char *)grad + p->late_at);
}

/* Nothing is in an accumulator, and whoever comes first will see to it. */
static inline void lcv_cpu_reset_grad(const lcv_cpu_plan *p, void *grad)
{
    *lcv_cpu_late_of(p, grad) = (lcv_cpu_late){.used = 0};
}

/* What follows adds to an accumulator. */
static inline void lcv_cpu_begin_grad(const lcv_cpu_plan *p, void *grad)
{
    if (lcv_cpu_late_of(p, grad)->begun == 0)
        memset(grad, 0, p->info.grad_bytes);
    lcv_cpu_late_of(p, grad)->begun = 1;
}

/* Must backward compute the sum before the activation again? */
static inline bool lcv_cpu_needs_z(const lcv_conv_params *params)
{
    return (params->grad_mask & LCV_GRAD_POST_GATE) != 0 ||
           (params->grad_mask != 0 && params->activation != LCV_ACTIVATION_NONE);
}

static inline bool lcv_cpu_wants_dx(const lcv_cpu_plan *p)
{
    return lcv_cpu_wants(p, LCV_GRAD_U | LCV_GRAD_PRE_GATE);
}

static inline bool lcv_cpu_wants_taps(const lcv_cpu_plan *p)
{
    return lcv_cpu_wants(p, LCV_GRAD_FILTER | LCV_GRAD_FILTER_FUTURE);
}

/* Is the skip's gradient known with the filter's? The tap of lag 0 is multiplied by the same samples. Not
 * with a tail, whose rounding would reach it. */
static inline bool lcv_cpu_skips_by_tap(const lcv_cpu_plan *p)
{
    return lcv_cpu_wants(p, LCV_GRAD_SKIP) && lcv_cpu_wants(p, LCV_GRAD_FILTER) &&
           p->params.filter_form == LCV_FILTER_PER_CHANNEL && !p->circular && p->geometry.taps > 0 &&
           p->geometry.rows > 0 && p->geometry.seqlen > 0 && p->geometry.out_len == p->geometry.seqlen;
}

/* Sums of dz and dz x over each row that backward must make. */
static inline bool lcv_cpu_sums_skip(const lcv_cpu_plan *p)
{
    return lcv_cpu_wants(p, LCV_GRAD_SKIP) && !lcv_cpu_skips_by_tap(p);
}

static inline bool lcv_cpu_sums_rows(const lcv_cpu_plan *p)
{
    return lcv_cpu_sums_skip(p) || lcv_cpu_wants(p, LCV_GRAD_BIAS);
}

#endif
