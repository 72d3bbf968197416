/* SPDX-License-Identifier: BSD-3-Clause */
/* backend.h: the dispatch table, the only door between the core and a backend. For authors of backends.
 *
 * The core makes every check before it calls an entry: an entry may trust its arguments. A backend says "no"
 * in three places only: `probe` (it cannot run here), the `..._query` entries (it does not serve this
 * problem) and the `planning_...` entries; all leave a reason with `host->fail`. Execution entries allocate
 * nothing and take no lock.
 *
 * A module is a shared object named longconv-NAME.so that exports `lcv_backend_entry`. It needs no symbol of
 * the library: what it needs comes in lcv_backend_host.
 */
#ifndef LONGCONV_BACKEND_H
#define LONGCONV_BACKEND_H

#include <longconv/conv.h>
#include <longconv/operator.h>
#include <longconv/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever the meaning or layout of anything in this header changes. New entries go to the end. */
#define LCV_BACKEND_ABI 8u

/* Services of the core, valid from `probe` to the context's end. Thread-safety: all safe. */
typedef struct lcv_backend_host lcv_backend_host;
struct lcv_backend_host {
    size_t struct_size;
    void *user; /* the core's own */

    /* Host memory through the context's functions; NULL when there is none. `release` accepts NULL. */
    void *(*allocate)(const lcv_backend_host *host, size_t bytes, size_t alignment);
    void (*release)(const lcv_backend_host *host, void *memory, size_t bytes);

    /* Records the message of this thread's failure and returns `status`. */
    lcv_status (*fail)(const lcv_backend_host *host, lcv_status status, const char *format, ...)
        LCV_PRINTF(3, 4);

    /* Sends one message to the context's log. */
    void (*log)(const lcv_backend_host *host, lcv_log_level level, const char *format, ...) LCV_PRINTF(3, 4);

    /* The cheapest transform length >= least whose prime factors are 2, 3, 5 and 7; 0 if it overflows. */
    int64_t (*fft_size)(int64_t least);

    /* The context's thread count, and the LONGCONV_CPU_MASK in force ("" when there is none). */
    int32_t num_threads;
    const char *cpu_mask;
};

/* A strided array of up to three axes as an entry sees it: element (i, j, k) is at data + i*stride[0] + ...
 * (in elements). data NULL: absent. Strides may be 0 for inputs; a filter's last may be negative. */
typedef struct lcv_array {
    void *data;
    int64_t stride[3];
} lcv_array;

/* One call of a convolution, forward or backward. Axes are always (batch, channel, time) for data and state,
 * (batch, filter, tap) for filters, (0, 0, channel) for skip and bias, whatever the layout was. In a filter
 * array axis 0 has stride 0 unless the form is per sample, and then "filter" is the channel. */
typedef struct lcv_conv_call {
    lcv_array u, filter, filter_future, skip, bias, pre_gate, post_gate, state_in;
    lcv_array y, state_out;                                                                /* forward */
    lcv_array dy, dstate_out;                                                              /* backward: in */
    lcv_array du, dfilter, dfilter_future, dskip, dbias, dpre_gate, dpost_gate, dstate_in; /* and out */
    const void *spectrum; /* prepared filters, or NULL: use filter and filter_future */
    lcv_exec exec;        /* workspace is never NULL unless workspace_bytes of the query was 0 */
    void *saved;          /* what forward leaves for backward, NULL: nothing; backward only reads it */
} lcv_conv_call;

/* One call of the gate multiply over extent[0] x extent[1] x extent[2] elements. */
typedef struct lcv_gate_call {
    lcv_array a, b, y;    /* forward */
    lcv_array dy, da, db; /* backward */
    lcv_exec exec;
} lcv_gate_call;

/* A batch of matrix products,
 *
 *   c[b,i,j] = sum_k left[b,i,k] right[b,k,j] + bias[b,i,j] (+ c[b,i,j])
 *
 * for b < batch, i < rows, j < columns, k < inner. The matrix products of operators and filters go through
 * this one entry. With sum_batch there is one c[i,j], and the sum goes over b as well.
 *
 * Types: left, right and c are all LCV_F64, or each of them is LCV_F32, LCV_F16 or LCV_BF16 and the product
 * is computed in float32. bias has the compute type. */
typedef struct lcv_matmul_params {
    lcv_dtype left, right, c;
    int64_t batch, rows, columns, inner; /* any of them may be 0 */
    int32_t sum_batch;
    int32_t num_threads; /* 0: the host's */
    int32_t fixed_order; /* 1: the bits of an element are those of its row of left and column of right alone,
                          * whatever the other sizes */
} lcv_matmul_params;

/* Arrays with their axes as above; any strides, so a transposed matrix is one with its strides exchanged.
 * left, right and bias may have strides of 0. c overlaps nothing else; where it is not accumulated to, what
 * it held is not read. */
typedef struct lcv_matmul_call {
    lcv_array left, right, c;
    lcv_array bias; /* data NULL: none; with sum_batch it is added once, from b = 0 */
    int32_t accumulate;
    lcv_exec exec; /* workspace: at least the bytes that matmul_query said, any alignment */
} lcv_matmul_call;

/* ---- Filter families that a backend evaluates by itself ---- */

typedef enum lcv_mlp_norm {
    LCV_MLP_NORM_NONE = 0,
    LCV_MLP_NORM_L1 = 1,   /* by the sum of magnitudes over the filters, at each position */
    LCV_MLP_NORM_LAYER = 2 /* by mean and variance over the filters, at each position */
} lcv_mlp_norm;

/* Family "implicit_mlp". At position t, with h_0 = posenc[t] and m = 0 .. layers - 1,
 *
 *   h_(m+1) = sin(freq_scale sine_freq_m (weight_m h_m + bias_m)),   o = weight_out h_layers,
 *   q = o (exp(-|decay_rate| t / (max_len - 1)) + shift)             (q = o where decay_rate is NULL),
 *   taps[t] = q,  q / sum_c |q_c|,  or  norm_weight (q - mean) / sqrt(variance + norm_epsilon) + norm_bias.
 *
 * A sum of magnitudes that is 0 leaves q as it is. All arrays are compact, in the problem's dtype and aligned
 * to their elements. Without layers, weight_out is [filters, features]. */
typedef struct lcv_mlp_problem {
    int64_t features, width, layers;
    const void *posenc;        /* [max_len, features] */
    const void *weight_in;     /* [width, features]: weight_0 */
    const void *weight_hidden; /* [layers - 1, width, width]: weight_1 and on */
    const void *bias;          /* [layers, width] */
    const void *weight_out;    /* [filters, width] */
    const void *sine_freq;     /* [width] for all layers, or [layers, width] */
    int32_t freq_per_layer;
    double freq_scale;
    const void *decay_rate; /* [filters], or NULL */
    double shift;
    lcv_mlp_norm norm;
    const void *norm_weight, *norm_bias; /* [filters], LCV_MLP_NORM_LAYER only */
    double norm_epsilon;
} lcv_mlp_problem;

/* Where its gradients go: axes as above, from stride[0] on; data NULL: not wanted. */
typedef struct lcv_mlp_gradients {
    lcv_array posenc, weight_in, weight_hidden, bias, weight_out, sine_freq, decay_rate, norm_weight,
        norm_bias;
} lcv_mlp_gradients;

/* "exponential_sums": no family, but the sums that those with poles are made of. With problem.filters rows of
 * `modes` modes each, all in double,
 *
 *   taps[t] = Re sum_n (re + i im) pole^(t - origin),   pole = exp(log_size + i angle),
 *
 * and backward gives, of the gradients g of taps that the call has, the moments
 *
 *   re0 + i im0 = sum_t g[t] pole^(t - origin),   re1 + i im1 = sum_t g[t] (t - origin) pole^(t - origin).
 *
 * log_size may be minus infinity, a pole of 0; 0^0 is 1. */
typedef struct lcv_exponential_mode {
    double log_size, angle;
    double re, im;
    double origin;
} lcv_exponential_mode;

typedef struct lcv_exponential_problem {
    int64_t modes;
    const lcv_exponential_mode *mode; /* [filters][modes] */
} lcv_exponential_problem;

typedef struct lcv_exponential_moment {
    double re0, im0, re1, im1;
} lcv_exponential_moment;

/* `accumulate` of the call does not count: moments are overwritten. */
typedef struct lcv_exponential_gradients {
    lcv_exponential_moment *moment; /* [filters][modes] */
} lcv_exponential_gradients;

/* "cauchy_sums", evaluate only: no taps, but what those of s4_dplr are made of. In double, for each function
 * f (of `functions`) and node z,
 *
 *   sum over modes of v_f / (z - a) + conj(v_f) / (z - conj(a)),
 *
 * real and imaginary parts in tiles of nodes: sums[node / TILE][f][part][node % TILE]. Computed by the
 * calling thread. Both nodes and sums have room for whole tiles. */
enum { LCV_CAUCHY_TILE = 8 };

typedef struct lcv_cauchy_sums {
    int64_t modes, functions, nodes; /* nodes: a multiple of LCV_CAUCHY_TILE */
    const double *a_re, *a_im;       /* [modes] */
    const double *v_re, *v_im;       /* [functions][modes] */
    const double *z_re, *z_im;       /* [nodes] */
    double *sums;
    double *weights; /* scratch, [modes][4][LCV_CAUCHY_TILE] */
} lcv_cauchy_sums;

/* One instance of a family. */
typedef struct lcv_filter_problem {
    const char *family;
    lcv_dtype dtype; /* LCV_F32 or LCV_F64 */
    int64_t filters, max_len;
    int32_t num_threads;
    const void *details; /* the family's struct: lcv_mlp_problem, lcv_exponential_problem, ... */
} lcv_filter_problem;

/* One call for taps [first, first + count) of [0, seqlen); count >= 1, but for backward of a backend whose
 * memory is not the host's: there it may be 0, and the gradients are. */
typedef struct lcv_filter_call {
    int64_t seqlen, first, count;
    lcv_array taps;        /* axes (0, filter, tap): written by evaluate; backward: their gradients, read */
    const void *gradients; /* backward: the family's struct, lcv_mlp_gradients, ... */
    int32_t accumulate;    /* backward, 1: gradients are added to what is there */
    lcv_exec exec;         /* workspace: at least what filter_query said, any alignment */
} lcv_filter_call;

/* ---- Steps of mixers that a backend computes by itself ----
 *
 * Data are (batch, channel, time), vectors (0, 0, entry), matrices (0, row, column); data have the problem's
 * dtype, the others its compute dtype. Forward makes `out` of the operands. Backward reads the operands and
 * the gradient of `out`, and writes the operands' gradients, or adds to them where `adds` is 1. The kinds:
 *
 *   glu     out = IN sigmoid(PRE_GATE)
 *   spread  out[i] = IN[0], vectors of `channels` entries and of one
 *   lagged  out[t] = IN[t] PRE_GATE[t - lag], 0 where there is no such sample             lcv_lagged_step
 *   norm    out[c] = SKIP[c] (IN[c] - mean) / sqrt(variance + epsilon) + BIAS[c], at every time over the
 *           channels; SKIP, BIAS: vectors                                                 lcv_norm_step
 *
 *   wkv     num / den, times sigmoid(POST_GATE) where it is there: of v = IN, k = PRE_GATE, and the vectors
 *           u = SKIP, w = -exp(BIAS),
 *               num_t = sum_{s<t} e^{(t-1-s) w + k_s} v_s + e^{u + k_t} v_t,   den_t: the same with 1 for v,
 *           without overflow, and with an error that is relative to each den_t
 *   scan    of complex states, whose real and imaginary parts are neighbouring channels of IN and out,
 *               z[t] = pole z[t - 1] + gain IN[t],   out = factor (Re z, -Im z);         lcv_scan_step
 *           with the eigenvalues A = WEIGHT, a matrix [channels / 2, 2], real parts at most largest_real, the
 *           vector BIAS, dt = rate e^BIAS and a = dt A: pole e^a and gain (e^a - 1) / A, dt where A is 0;
 *           bilinear: pole (1 + a/2) / (1 - a/2), gain dt / (1 - a/2)
 *   blocks  filtered: out = Re F^-1 ((T_x IN) (T_f WEIGHT)) + SKIP IN, with zeros behind the samples of
 *           IN and the taps of WEIGHT, a matrix [channels, taps]; SKIP, a vector, may be absent;
 *           else: of out = T_x IN the first seqlen points: the real parts of IN's channels, of which
 *           there are channels / 2, then the imaginary parts.                            lcv_blocks_step
 *           T_x and T_f are the block transforms (below) of the matrices in BIAS and in FUTURE,
 *           [channels of IN, numbers]
 *
 * Of glu, out may be exactly where IN is, and the gradient of IN where that of out is. IN and PRE_GATE may be
 * the same rows; then the gradient of the latter adds. Nothing else overlaps. */
typedef enum lcv_step_operand {
    LCV_STEP_IN,
    LCV_STEP_WEIGHT,
    LCV_STEP_SKIP,
    LCV_STEP_BIAS,
    LCV_STEP_PRE_GATE,
    LCV_STEP_POST_GATE,
    LCV_STEP_FUTURE,
    LCV_STEP_OPERANDS
} lcv_step_operand;

/* A block transform is of N points, the least power of two from 2 on that holds seqlen, or seqlen + taps
 * where it is filtered; F is the Fourier transform of as many. A row of its matrices, complex numbers as
 * pairs, has block [16, 16], where N >= 16, then last [n, n], n = 2, 4 or 8, where N is no power of 16.
 * With n = N, N/16, ... and n = 16 r, i' the imaginary unit, i and a < 16,
 *
 *   z[i, b] = exp(-2 pi i' i b / n) sum_a block[i, a] x[a r + b],
 *
 * then each z[i] in the same way with n = r, down to y = last x, or y = block x where n is 16; point c of
 * part i is point 16 c + i of the whole. Gradients of complex numbers are d/dRe + i' d/dIm. */
typedef struct lcv_blocks_step {
    int64_t taps;     /* at least 0; where it is not filtered it does not count */
    int32_t filtered; /* 0 or 1 */
} lcv_blocks_step;

typedef struct lcv_lagged_step {
    int64_t lag; /* at least 0 */
} lcv_lagged_step;

typedef struct lcv_norm_step {
    double epsilon;
} lcv_norm_step;

typedef struct lcv_scan_step {
    int32_t bilinear; /* 0 or 1 */
    int32_t reversed; /* 1: from the last sample to the first, t + 1 for t - 1 */
    double rate, largest_real, factor;
} lcv_scan_step;

/* One step. */
typedef struct lcv_step_problem {
    const char *kind;
    lcv_dtype dtype;
    int64_t batch, channels, seqlen; /* any of them may be 0; channels: of out, unless the kind says else */
    const void *details;             /* the kind's struct, NULL where it has none */
} lcv_step_problem;

typedef struct lcv_step_call {
    lcv_array operand[LCV_STEP_OPERANDS];  /* data NULL: the kind has none, or this step has not */
    lcv_array out;                         /* backward: its gradient, read */
    lcv_array gradient[LCV_STEP_OPERANDS]; /* backward: there for all operands */
    int32_t adds[LCV_STEP_OPERANDS];
    lcv_exec exec; /* workspace: at least what step_query said, any alignment */
} lcv_step_call;

/* What a query answers. */
typedef struct lcv_backend_plan_info {
    const char *engine; /* static text */
    int64_t fft_size;
    size_t workspace_bytes;
    size_t spectrum_bytes;
    int32_t threads;
    int64_t spectrum_key[4]; /* whatever else two plans must agree on to share a spectrum */
    char explanation[240];
    size_t saved_bytes; /* of lcv_conv_call.saved; 0: the plan leaves nothing for backward */
} lcv_backend_plan_info;

/* ---- Streams ----
 *
 * The core keeps time, a backend computes. Rows (batch * channels, channels fastest) are taken in groups of
 * LCV_STREAM_GROUP, the last of which may be smaller; a group sees time in blocks of LCV_STREAM_BLOCK
 * samples. All numbers that a stream keeps have the compute dtype.
 *
 * Window: the current block of every group, group after group, in each of them sample after sample, and for
 * each sample the rows of the group. A sample that has been seen holds x, the others hold sums: what earlier
 * samples give to them, as far as it has been added up. Behind it a backend may keep more, up to
 * `window_bytes`, all of which are zero at position 0; in modal mode all of it is the backend's.
 *
 * Far rows: x, or sums, along time. */

enum { LCV_STREAM_BLOCK = 128, LCV_STREAM_GROUP = 16, LCV_STREAM_MAX_PIECES = 12 };

/* What a stream is made from. Axes as in lcv_conv_call; poles and residues: (0, filter, 2 order). */
typedef struct lcv_stream_setup {
    lcv_array filter, skip, bias, poles, residues;
} lcv_stream_setup;

typedef struct lcv_backend_stream_info {
    size_t window_bytes;
    size_t shared_bytes;  /* of what stream_create takes */
    size_t scratch_bytes; /* of every call, any alignment */
    char explanation[240];
} lcv_backend_stream_info;

/* Consecutive samples of rows: sample i of row r at data + (r * stride + i) elements. data NULL: zeros. */
typedef struct lcv_stream_piece {
    const void *data;
    int64_t stride;
    int64_t count;
} lcv_stream_piece;

/* Samples [from, from + count) of the arrays, (batch, channel, time), go through the windows. */
typedef struct lcv_stream_step_call {
    lcv_array u, pre_gate, post_gate, y; /* y absent: results are not wanted */
    int64_t from, count;
    int64_t group, groups; /* only these; all of them if y is given */
    void *window;
    const int64_t
        *offset;     /* of each group: where the first sample goes; offset + count <= LCV_STREAM_BLOCK */
    const void *sum; /* direct mode, with count 1: one number a row that is added; else NULL */
    void *scratch;
    lcv_exec exec;
} lcv_stream_step_call;

/* Between windows and far rows, `groups` groups from `group` on. Flush: the window's block of x goes to rows
 * at far. Fill: the window becomes `known` sums from far and zeros. */
typedef struct lcv_stream_block_call {
    void *window;
    int64_t group, groups;
    void *far; /* the block of the r-th of these rows at far + r * stride elements */
    int64_t stride;
    int64_t known;
    void *scratch;
    lcv_exec exec;
} lcv_stream_block_call;

/* x = pre_gate u of samples [from, from + count) goes to far rows [row, row + rows) and not through the
 * window, whose part behind the blocks may take notice. */
typedef struct lcv_stream_load_call {
    lcv_array u, pre_gate;
    int64_t from, count;
    int64_t row, rows;
    void *window;
    void *far;
    int64_t stride;
    void *scratch;
    lcv_exec exec;
} lcv_stream_load_call;

/* What tiles there are: of LCV_STREAM_BLOCK, twice that, and so on up to `largest` samples (0: none); and of
 * the largest at up to `distances` times their own size (at least 1). */
typedef struct lcv_stream_tiles {
    int64_t largest;
    int64_t distances;
} lcv_stream_tiles;

/* One tile for rows [row, row + rows): from `size` samples of x, in pieces from the oldest on, to what they
 * give to the `size` samples that begin distance * size after the first of them; `count` are wanted. The
 * first `added` of these are sums already; the others are overwritten. Pieces and out may be the same memory.
 */
typedef struct lcv_stream_tile_call {
    int64_t row, rows;
    int64_t size;
    int64_t distance; /* 1, or more for the largest size */
    int32_t pieces;
    lcv_stream_piece piece[LCV_STREAM_MAX_PIECES];
    void *out;
    int64_t out_stride;
    int64_t count, added;
    void *scratch;
    lcv_exec exec;
} lcv_stream_tile_call;

/* Direct mode: sum[row] = what x before the current block gives to sample `offset` of the block. The pieces
 * end where the block begins; all but the first are whole blocks. */
typedef struct lcv_stream_dot_call {
    int64_t offset;
    int32_t pieces;
    lcv_stream_piece piece[LCV_STREAM_MAX_PIECES];
    void *sum;
    void *scratch;
    lcv_exec exec;
} lcv_stream_dot_call;

typedef struct lcv_backend {
    uint32_t abi;       /* LCV_BACKEND_ABI */
    uint32_t reserved;  /* 0 */
    size_t struct_size; /* sizeof(lcv_backend) of the module */
    const char *name;   /* lower case, as users write it */
    lcv_device_kind device;
    int32_t concurrent; /* 1: a plan may execute in several threads with a workspace each */

    /* Required. Can the backend run here? LCV_OK, or NO_DEVICE with a reason. Cheap; called once a context.
     */
    lcv_status (*probe)(const lcv_backend_host *host);

    /* Required. The backend's own object of one context. `close` never fails. */
    lcv_status (*open)(const lcv_backend_host *host, void **device);
    void (*close)(void *device);

    /* Required. Static texts, or texts that live as long as the device: one line about it, and its engines.
     */
    const char *(*description)(void *device);
    const char *(*engines)(void *device);

    /* Optional, all three or none: memory of the device, for workspaces, spectra and memory.h. NULL: the
     * device shares the host's memory and the core allocates it. `memory_copy` is between any two places in
     * host and device memory, comes after what the stream holds, and waits for all of that; `bytes` may be 0.
     */
    void *(*memory_allocate)(void *device, size_t bytes);
    void (*memory_release)(void *device, void *memory, size_t bytes);
    lcv_status (*memory_copy)(void *device, void *target, const void *source, size_t bytes, void *stream);

    /* Required. The convolution plan of conv.h. `query` decides without building anything; `create` is called
     * after a query of the same params said LCV_OK. */
    lcv_status (*conv_query)(void *device, const lcv_conv_params *params, lcv_backend_plan_info *info);
    lcv_status (*conv_create)(void *device, const lcv_conv_params *params, void **plan);
    void (*conv_destroy)(void *plan);
    lcv_status (*conv_prepare)(void *plan, const lcv_conv_call *call, void *spectrum);
    lcv_status (*conv_forward)(void *plan, const lcv_conv_call *call);
    lcv_status (*conv_backward)(void *plan, const lcv_conv_call *call);

    /* Required. The gate multiply. */
    lcv_status (*gate_forward)(void *device, const lcv_gate_params *params, const lcv_gate_call *call);
    lcv_status (*gate_backward)(void *device, const lcv_gate_params *params, const lcv_gate_call *call);

    /* Optional, all or none. The short convolution. NULL, or a query that answers UNSUPPORTED: the core
     * composes it from the convolution entries, with a filter array of negative tap stride for
     * LCV_TAPS_CORRELATION. */
    lcv_status (*short_conv_query)(void *device, const lcv_short_conv_params *params,
                                   lcv_backend_plan_info *info);
    lcv_status (*short_conv_create)(void *device, const lcv_short_conv_params *params, void **plan);
    void (*short_conv_destroy)(void *plan);
    lcv_status (*short_conv_forward)(void *plan, const lcv_conv_call *call);
    lcv_status (*short_conv_backward)(void *plan, const lcv_conv_call *call);

    /* Optional, both or none. What was learnt by measuring, as text (planning.h). `planning_export` says in
     * *needed how many bytes it is, its NUL included, and writes only if `size` is enough. `planning_import`
     * is the one reader of bytes that nobody has checked: it changes nothing unless all of them are sound. */
    lcv_status (*planning_export)(void *device, char *text, size_t size, size_t *needed);
    lcv_status (*planning_import)(void *device, const char *text, size_t length);

    /* Optional. Runs task(task_arg, i) for i in [0, count) on at most `threads` of the backend's threads, for
     * what the core computes itself (taps of filter families). */
    void (*parallel_for)(void *device, int32_t threads, int64_t count, lcv_task_fn task, void *task_arg);

    /* Optional, both or none. Matrix products. `matmul_query` says how much workspace a call needs. The order
     * of summation over k (and b) depends on the params but not on the number of threads. NULL: the core
     * multiplies by itself, where the backend shares the host's memory. */
    lcv_status (*matmul_query)(void *device, const lcv_matmul_params *params, size_t *workspace_bytes);
    lcv_status (*matmul)(void *device, const lcv_matmul_params *params, const lcv_matmul_call *call);

    /* Optional, all or none; parameters, taps, gradients and workspace are in the memory of the backend's
     * device. Filter families that the backend evaluates by itself; UNSUPPORTED for others, which the core
     * evaluates in the host's memory. The query looks at sizes, not at values, and
     * its answer says how much workspace a call of `count` taps needs. The taps do not depend on the range
     * they are asked in; gradients are summed in an order that does not depend on the number of threads. */
    lcv_status (*filter_query)(void *device, const lcv_filter_problem *problem, int64_t count,
                               int32_t backward, size_t *workspace_bytes);
    lcv_status (*filter_evaluate)(void *device, const lcv_filter_problem *problem,
                                  const lcv_filter_call *call);
    lcv_status (*filter_backward)(void *device, const lcv_filter_problem *problem,
                                  const lcv_filter_call *call);

    /* Optional, all or none. Streams, as above. In `params` the mode is settled. What `create` makes is
     * immutable and shared by streams in any number of threads, each with its own scratch. */
    lcv_status (*stream_query)(void *device, const lcv_stream_params *params, const lcv_stream_tiles *tiles,
                               lcv_backend_stream_info *info);
    lcv_status (*stream_create)(void *device, const lcv_stream_params *params, const lcv_stream_tiles *tiles,
                                const lcv_stream_setup *setup, void **shared);
    void (*stream_destroy)(void *shared);
    lcv_status (*stream_step)(void *shared, const lcv_stream_step_call *call);
    lcv_status (*stream_flush)(void *shared, const lcv_stream_block_call *call);
    lcv_status (*stream_fill)(void *shared, const lcv_stream_block_call *call);
    lcv_status (*stream_load)(void *shared, const lcv_stream_load_call *call);
    lcv_status (*stream_tile)(void *shared, const lcv_stream_tile_call *call);
    lcv_status (*stream_dot)(void *shared, const lcv_stream_dot_call *call);

    /* Optional, all or none. Steps of mixers that the backend computes by itself, as above; UNSUPPORTED for
     * others, which the core computes in the host's memory. All arrays and the workspace are in the memory of
     * the backend's device. Sums have an order that the problem and the strides alone decide. step_query:
     * backward 0: for forward alone, 1: for both. */
    lcv_status (*step_query)(void *device, const lcv_step_problem *problem, int32_t backward,
                             size_t *workspace_bytes);
    lcv_status (*step_forward)(void *device, const lcv_step_problem *problem, const lcv_step_call *call);
    lcv_status (*step_backward)(void *device, const lcv_step_problem *problem, const lcv_step_call *call);
} lcv_backend;

/* The symbol of a module. It returns a static table, or NULL when the module has none. */
typedef const lcv_backend *(*lcv_backend_entry_fn)(void);
#define LCV_BACKEND_ENTRY_NAME "lcv_backend_entry"

#ifdef __cplusplus
}
#endif
#endif
