/* SPDX-License-Identifier: BSD-3-Clause */
/* mlp.h: what the driver of family implicit_mlp (cpu_filter.c) and its kernels share.
 *
 * Positions are cut into strips of LCV_MLP_STRIP, counted from position 0 whatever range is asked for. A
 * strip's activations are matrices of rows of LCV_MLP_STRIP reals, one row a neuron (or filter), that stay in
 * the caches from the first layer to the taps. The decay window of a strip is the product of two
 * exponentials, one of the strip's begin and one of the place in the strip, so that there are few of them.
 *
 * Gradients: strips are put into groups, a number that follows from their count alone. The strips of a group
 * are summed one after the other, and the groups at the end, in order.
 */
#ifndef LCV_CPU_DENSE_MLP_H
#define LCV_CPU_DENSE_MLP_H

#include "dense.h"

enum {
    LCV_MLP_STRIP = 96, /* positions; whole tiles at every level */
    LCV_MLP_CHUNK = 48, /* filters that go through the last layer at a time; whole tiles at every level */
    LCV_MLP_MAX_GROUPS = 16
};

/* Offsets in reals. In a packed matrix "turned" stands for transposed. */
typedef struct lcv_mlp_shared {
    int64_t left_in, left_hidden, left_out;       /* packed weights */
    int64_t turned_in, turned_hidden, turned_out; /* backward: packed, transposed */
    int64_t hidden_size;                          /* of one packed hidden layer */
    int64_t scale;                                /* doubles [layers, width]: freq_scale sine_freq */
    int64_t step;                                 /* [filters, strip]: the window's second factor */
    int64_t rate;                                 /* doubles [filters]: |decay_rate| / (max_len - 1) */
    int64_t size;
} lcv_mlp_shared;

/* Scratch memory of one worker. */
typedef struct lcv_mlp_scratch {
    int64_t features; /* [features, strip] */
    int64_t wide;     /* doubles [features, strip]: the same; float32 only */
    int64_t before;   /* [layers (forward: 1), width, strip]: what goes into the sines */
    int64_t after;    /* [layers (forward: 2), width, strip]: what comes out */
    int64_t out;      /* [filters or chunk, strip]: the last layer */
    int64_t window;   /* [chunk, strip], backward */
    int64_t norm;     /* [4, strip]: sums over the filters */
    int64_t grad_out; /* [chunk, strip]; from here on backward only */
    int64_t grad;     /* [2, width, strip] */
    int64_t left;     /* packed activations */
    int64_t right;
    int64_t raw; /* [chunk, strip]: the last layer without its window */
    int64_t size;
} lcv_mlp_scratch;

/* Sums of one group. Those of matrices are in reals and whole tiles, the others in doubles. */
typedef struct lcv_mlp_sums {
    int64_t in, hidden, out; /* [width, features], [layers - 1][width, width]; [last, filters]: transposed */
    int64_t in_step, hidden_step, hidden_size, out_step;
    int64_t bias, freq;             /* [layers, width] */
    int64_t decay;                  /* [filters] */
    int64_t norm_weight, norm_bias; /* [filters] */
    int64_t size;
} lcv_mlp_sums;

struct lcv_mlp_job {
    const lcv_filter_problem *problem;
    const lcv_mlp_problem *mlp;
    const lcv_filter_call *call;
    const lcv_mlp_gradients *wanted; /* backward */
    int64_t last;                    /* columns of the last layer's matrix: width, or features */
    int64_t first_strip, strips, groups;
    int64_t chunks; /* of filters */
    lcv_mlp_shared shared;
    lcv_mlp_scratch scratch;
    lcv_mlp_sums sums;
    char *shared_memory, *sums_memory; /* the latter: groups * sums.size */
    size_t real_size;
};

/* Pieces of mlp_prepare: the layers in one, and one for each chunk of filters. */
static inline int64_t lcv_mlp_pieces(const lcv_mlp_job *job)
{
    return job->chunks + 1;
}

#endif
