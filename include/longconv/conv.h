/* SPDX-License-Identifier: BSD-3-Clause */
/* conv.h: the long convolution of each row (one batch entry, one channel), forward and backward.
 *
 *     x = pre_gate * u
 *     z = conv(x, filter) + skip * x + bias
 *     y = post_gate * activation(z)                          (* is elementwise)
 *
 * Modes; filters are in FIR order: tap j acts at lag j, tap 0 multiplies the current sample.
 *     causal      conv[t] = sum_j filter[j] x[t-j]
 *     anticausal  conv[t] = sum_j filter[j] x[t+j]
 *     twosided    conv[t] = sum_j filter[j] x[t-j] + sum_j filter_future[j] x[t+j+future_first_lag]
 *     circular    conv[t] = sum_j filter[j] x[(t-j) mod seqlen]
 * x is zero outside [0, seqlen) in all modes but the last. seqlen and filter_len are free of each other, of
 * powers of two and of parity; any of them may be 0 (an empty sum is 0).
 *
 * State (causal mode only) carries a sequence across calls: what x so far still contributes to the next
 * filter_len-1 samples of conv, before skip, bias, activation and gate:
 *     state_out[t] = sum_j filter[j] x[seqlen+t-j] + state_in[seqlen+t],   t in [0, filter_len-1)
 * and conv[t] gains state_in[t]. It means the same on every backend and engine, so a sequence may be cut
 * anywhere and moved between them; an empty chunk copies it.
 *
 * Numbers: eps = 2^-24 (2^-53 for float64), norms are 2-norms of a row. The error of y is at most
 *     |post_gate| Lip ( 4 eps |x| (|filter| + |filter_future|) + 4 eps (|skip x| + |bias| + |z|)[t] )
 *     + 4 eps |y[t]| + half a unit in the last place of a 16-bit result,
 * Lip = 1, or 1.13 for GELU and 1.10 for SiLU. The values of a row influence each other within this bound,
 * also backwards in time, as in every FFT convolution. 16-bit data is computed in float32.
 *
 * A NaN, an infinity or an overflow reaches only the outputs and gradients that depend on it by these
 * formulas (on the backends ref and cpu): those of a NaN are NaN, all others are as without it, within the
 * bound.
 *
 * Source: Poli et al., Hyena Hierarchy (2023), eq. 4-7; Fu et al., H3 (2023), section 3; Gu et al., S4
 * (2022).
 */
#ifndef LONGCONV_CONV_H
#define LONGCONV_CONV_H

#include <longconv/plan.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum lcv_conv_mode {
    LCV_CONV_CAUSAL = 0,
    LCV_CONV_ANTICAUSAL = 1,
    LCV_CONV_TWOSIDED = 2,
    LCV_CONV_CIRCULAR = 3
} lcv_conv_mode;

/* Which filter a row uses. The same holds for filter_future. */
typedef enum lcv_filter_form {
    LCV_FILTER_PER_CHANNEL = 0, /* [channels, filter_len] */
    LCV_FILTER_SHARED = 1,      /* [1, filter_len]: all rows */
    LCV_FILTER_GROUPED = 2,     /* [filter_groups, filter_len]: channel c uses c / (channels/filter_groups) */
    LCV_FILTER_PER_SAMPLE = 3   /* [batch, channels, filter_len] */
} lcv_filter_form;

typedef enum lcv_activation {
    LCV_ACTIVATION_NONE = 0,
    LCV_ACTIVATION_GELU = 1,      /* z Phi(z), exact */
    LCV_ACTIVATION_GELU_TANH = 2, /* z/2 (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3))) */
    LCV_ACTIVATION_SILU = 3       /* z / (1 + exp(-z)) */
} lcv_activation;

/* Optional terms of the formula, named when the plan is made. A named term's tensor must be given in every
 * call, except that state_in may be absent (a zero state) and state_out too (not wanted). */
enum {
    LCV_TERM_SKIP = 1 << 0,
    LCV_TERM_BIAS = 1 << 1,
    LCV_TERM_PRE_GATE = 1 << 2,
    LCV_TERM_POST_GATE = 1 << 3,
    LCV_TERM_STATE = 1 << 4 /* state_in and state_out, and their gradients in backward */
};

/* Gradients, named when the plan is made. */
enum {
    LCV_GRAD_U = 1 << 0,
    LCV_GRAD_FILTER = 1 << 1,
    LCV_GRAD_FILTER_FUTURE = 1 << 2,
    LCV_GRAD_SKIP = 1 << 3,
    LCV_GRAD_BIAS = 1 << 4,
    LCV_GRAD_PRE_GATE = 1 << 5,
    LCV_GRAD_POST_GATE = 1 << 6,
    LCV_GRAD_STATE = 1 << 7
};

/* How much time the creation of a plan may take. */
typedef enum lcv_planning {
    LCV_PLANNING_QUICK = 0, /* decide by rule: milliseconds; the same in every process that never measured */
    LCV_PLANNING_MEASURED = 1 /* time alternatives on this machine: up to seconds for long transforms */
} lcv_planning;

typedef struct lcv_conv_params {
    size_t struct_size;
    lcv_dtype dtype; /* of u, the gates, y and their gradients */
    lcv_conv_mode mode;
    lcv_layout layout;
    lcv_filter_form filter_form;
    lcv_activation activation;
    lcv_device_kind device;    /* where the tensors lie */
    int64_t batch;             /* >= 0 */
    int64_t channels;          /* >= 0 */
    int64_t seqlen;            /* >= 0 */
    int64_t filter_len;        /* >= 0, taps */
    int64_t filter_future_len; /* >= 0, taps; twosided only, else 0 */
    int64_t future_first_lag;  /* twosided: lag of filter_future's tap 0. 1: lag 0 belongs to `filter` alone
                                * (S4, long conv, m2). 0: both count it (safari's k_rev, Mega). Default 1 */
    int64_t filter_groups;     /* LCV_FILTER_GROUPED: divides channels; else 0 */
    uint32_t terms;            /* LCV_TERM_* */
    uint32_t grad_mask;        /* LCV_GRAD_*: what backward computes; 0: the plan is for forward only */
    uint32_t accumulate_mask;  /* subset of grad_mask: add to the array instead of overwriting it */
    lcv_workspace_owner workspace_owner;
    uint64_t max_workspace_bytes; /* 0: no limit. Otherwise the plan uses fewer threads and smaller tiles, and
                                   * the cpu backend for some the engine "lean" (causal, forward only, float32
                                   * or float64, no skip, no state; less than 6 bytes a float32 sample; not
                                   * with `reproducible`). Creation fails with WORKSPACE_TOO_SMALL when even
                                   * that does not fit */
    int32_t num_threads;          /* 0: the context's, as far as the work is worth them */
    const char *backend;          /* NULL or "auto": the best that serves it; else this one or an error */
    const char *engine;           /* NULL or "auto": the backend's choice; else this one or an error */
    int32_t exact_causality; /* 1: no bit of a result depends on later samples, see below; 0: not promised */
    int32_t reproducible;    /* 1: the same bits in every process, see below; 0: not promised */
    int32_t precision;       /* reserved: 0 */
    lcv_planning planning;
    int64_t state_len; /* with LCV_TERM_STATE: samples of state_in and state_out, at most filter_len - 1 and
                        * 0 for all of these. Fewer where the sequence ends so many samples after this part
                        * of it: what would come later is neither computed nor stored */
} lcv_conv_params;

/* `exact_causality` (causal and anticausal modes): conv[t] has the same bits whatever x holds after t (before
 * t where the mode is anticausal), du[t] whatever the gradients before t hold, and no tap's gradient depends
 * on samples that the tap does not join. Rounding is relative to what came so far: a row may grow by many
 * orders of magnitude. The bits do not depend on seqlen either, and are those of a relaxed stream (stream.h)
 * on the same backend. It costs three to six times an ordinary plan; on CUDA it costs samples x taps.
 *
 * `reproducible`: plans of equal params give equal bits for equal inputs, outputs and gradients alike, in
 * every process, with every number of threads (the host's too), whatever the alignment of the arrays and
 * whatever was measured or imported in the process before. Nothing is measured, so planning must be QUICK.
 * The promise covers one build of this library (and of FFTW and the C library, where the fftw engine and
 * activations use them) on processors of one level, which `longconv info` names (c, avx2, avx512, avx512-amd)
 * and LONGCONV_CPU_MASK can choose, so that different machines agree. num_threads may differ,
 * max_workspace_bytes may not: a tighter limit cuts sums in other pieces. On CUDA it covers one model of
 * device and one version of the driver, the CUDA runtime and cuFFT, and where cuFFT is used it is as good as
 * cuFFT (docs/gpu.md). */
#define LCV_CONV_PARAMS_INIT                                                                                 \
    {                                                                                                        \
        sizeof(lcv_conv_params), LCV_F32, LCV_CONV_CAUSAL, LCV_LAYOUT_BDL, LCV_FILTER_PER_CHANNEL,           \
            LCV_ACTIVATION_NONE, LCV_DEVICE_CPU, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, LCV_WORKSPACE_PLAN, 0, 0,     \
            NULL, NULL, 0, 0, 0, LCV_PLANNING_QUICK, 0                                                       \
    }

/* Fills `params` with the defaults. `struct_size` is the caller's sizeof. Thread-safety: safe. */
LCV_API void lcv_conv_params_init(lcv_conv_params *params, size_t struct_size);

/* How many filters `params` asks for: the rows of the filter tensor, or batch * channels where each sample
 * has its own; 0 for a form that there is not, -1 when the product overflows. Reads filter_form and the
 * sizes. Thread-safety: safe. */
LCV_API int64_t lcv_conv_filter_count(const lcv_conv_params *params);

/* How many samples of state `params` asks for: state_len, or max(filter_len - 1, 0) where that is 0; 0
 * without LCV_TERM_STATE. Thread-safety: safe. */
LCV_API int64_t lcv_conv_state_len(const lcv_conv_params *params);

/* Makes a plan. `params` is copied.
 * Errors: INVALID_ARG (the message names the field), UNSUPPORTED (reserved fields, state outside causal mode,
 * or no backend serves the problem), NO_DEVICE (the named backend is not available), TOO_LARGE,
 * OUT_OF_MEMORY, WORKSPACE_TOO_SMALL, BACKEND_FAILED. On error *out is NULL. Thread-safety: safe. */
LCV_API lcv_status lcv_conv_plan_create(lcv_context *context, const lcv_conv_params *params, lcv_plan **out);

/* Would lcv_conv_plan_create find a backend, and what would the plan be? Builds nothing. `info` may be NULL;
 * else info->struct_size must be set. Its texts last until this thread's next query.
 * Errors: as lcv_conv_plan_create without OUT_OF_MEMORY. Thread-safety: safe. */
LCV_API lcv_status lcv_conv_query(lcv_context *context, const lcv_conv_params *params, lcv_plan_info *info);

/* Prepared filters: the transformed taps of `filter` (and filter_future), for many calls and many plans.
 * A spectrum belongs to a key (backend, engine, mode, fft_size, dtype, filter form and count, taps), not to
 * one plan: every plan with that key may use it, whatever its batch; another plan answers INCOMPATIBLE.
 * Thread-safety: reading is safe; preparing again must not overlap any other use. */
typedef struct lcv_spectrum lcv_spectrum;

/* Makes a spectrum for the key of `plan`, without taps yet. `memory` (on the plan's device, any alignment, at
 * least lcv_plan_info.spectrum_bytes) stays the caller's and must outlive it; NULL: the library allocates.
 * Errors: INVALID_ARG, UNSUPPORTED, OUT_OF_MEMORY, WORKSPACE_TOO_SMALL (memory). Thread-safety: safe. */
LCV_API lcv_status lcv_spectrum_create(const lcv_plan *plan, void *memory, size_t memory_bytes,
                                       lcv_spectrum **out);

/* Computes the spectrum from taps. `plan` is any plan with its key.
 *   filter         [filters, filter_len] or [batch, channels, filter_len], compute dtype
 *   filter_future  the same with filter_future_len; twosided only, else NULL
 *   exec           NULL: all defaults
 * The taps are not needed afterwards. Errors: INVALID_ARG, INCOMPATIBLE, BUSY, WORKSPACE_TOO_SMALL. */
LCV_API lcv_status lcv_spectrum_prepare(lcv_spectrum *spectrum, const lcv_plan *plan,
                                        const lcv_tensor *filter, const lcv_tensor *filter_future,
                                        const lcv_exec *exec);

/* Frees the spectrum, not the caller's memory. Thread-safety: safe, once for each spectrum. */
LCV_API void lcv_spectrum_destroy(lcv_spectrum **spectrum);

/* Arguments of forward. "data" is [batch, channels, seqlen] ([batch, seqlen, channels] with LCV_LAYOUT_BLD)
 * in the plan's dtype; "compute" is the compute dtype. An absent tensor has rank 0. */
typedef struct lcv_conv_args {
    size_t struct_size;
    lcv_tensor u;                 /* in, data */
    lcv_tensor filter;            /* in, compute, shape by filter_form; absent when `spectrum` is given */
    lcv_tensor filter_future;     /* in, compute, like filter; twosided without spectrum */
    const lcv_spectrum *spectrum; /* prepared filters instead of both; NULL: none */
    lcv_tensor skip;              /* in, compute, [channels] */
    lcv_tensor bias;              /* in, compute, [channels] */
    lcv_tensor pre_gate;          /* in, data */
    lcv_tensor post_gate;         /* in, data */
    lcv_tensor state_in;          /* in, compute, [batch, channels, lcv_conv_state_len]; absent: zero */
    lcv_tensor y;                 /* out, data; may be exactly u (same address and strides) */
    lcv_tensor state_out;         /* out, compute, like state_in; absent: not wanted */
    lcv_tensor seq_offsets;       /* reserved: absent */
    lcv_exec exec;
    void *saved; /* out: what backward would compute again, see lcv_conv_grad_args.saved; NULL: not wanted */
    size_t saved_bytes; /* at least lcv_plan_info.saved_bytes */
} lcv_conv_args;

#define LCV_TENSOR_NONE                                                                                      \
    {                                                                                                        \
        NULL, LCV_F32, 0, {0, 0, 0}, {0, 0, 0}, LCV_DEVICE_CPU, 0                                            \
    }
#define LCV_EXEC_INIT                                                                                        \
    {                                                                                                        \
        NULL, NULL, 0, NULL, NULL                                                                            \
    }
#define LCV_CONV_ARGS_INIT                                                                                   \
    {                                                                                                        \
        sizeof(lcv_conv_args), LCV_TENSOR_NONE, LCV_TENSOR_NONE, LCV_TENSOR_NONE, NULL, LCV_TENSOR_NONE,     \
            LCV_TENSOR_NONE, LCV_TENSOR_NONE, LCV_TENSOR_NONE, LCV_TENSOR_NONE, LCV_TENSOR_NONE,             \
            LCV_TENSOR_NONE, LCV_TENSOR_NONE, LCV_EXEC_INIT, NULL, 0                                         \
    }

/* All fields absent. `struct_size` is the caller's sizeof. Thread-safety: safe. */
LCV_API void lcv_conv_args_init(lcv_conv_args *args, size_t struct_size);

/* Computes y and state_out. No output may overlap an input or another output, except y == u exactly.
 * Errors: INVALID_ARG (the message names the tensor), UNSUPPORTED (seq_offsets), INCOMPATIBLE, BUSY,
 * WORKSPACE_TOO_SMALL, BACKEND_FAILED, DEVICE_LOST. Thread-safety: see plan.h. */
LCV_API lcv_status lcv_conv_forward(const lcv_plan *plan, const lcv_conv_args *args);

/* Arguments of backward. Outputs named in grad_mask must be given, all others absent. Of the inputs, those
 * that the wanted gradients depend on must be given, others may be absent:
 *   dy always;
 *   u for filter, filter_future, skip and pre_gate gradients; post_gate when it is a term, and is not needed
 *   for its own gradient alone; pre_gate when it is a term, for u, filter, filter_future and skip gradients;
 *   filter or spectrum for u and pre_gate gradients; skip likewise;
 *   all inputs of forward when the activation is not NONE or for the post_gate gradient. */
typedef struct lcv_conv_grad_args {
    size_t struct_size;
    lcv_tensor u;
    lcv_tensor filter;
    lcv_tensor filter_future;
    const lcv_spectrum *spectrum;
    lcv_tensor skip;
    lcv_tensor bias;
    lcv_tensor pre_gate;
    lcv_tensor post_gate;
    lcv_tensor state_in;
    lcv_tensor dy;         /* in, data: gradient of the loss by y */
    lcv_tensor dstate_out; /* in, compute, like state_out; absent: zero */
    lcv_tensor du;         /* out, data; may be exactly dy */
    lcv_tensor dfilter;    /* out, compute, shaped like filter; summed over the rows that share a filter */
    lcv_tensor dfilter_future; /* out, compute, shaped like filter_future */
    lcv_tensor dskip;          /* out, compute, [channels] */
    lcv_tensor dbias;          /* out, compute, [channels] */
    lcv_tensor dpre_gate;      /* out, data */
    lcv_tensor dpost_gate;     /* out, data */
    lcv_tensor dstate_in;      /* out, compute, like state_in */
    lcv_exec exec;
    const void *saved;  /* NULL, or what a forward call of this plan with the same inputs left in its `saved`:
                         * transforms and sums that backward needs and then does not compute again. The
                         * gradients are the same to the last bit. Memory of the plan's device, any alignment;
                         * the inputs must be given all the same. The cpu backend saves sums from transforms
                         * of 8192 points on, 4 bytes a sample in float32, and transforms from 16384 points
                         * on, 8 bytes a point */
    size_t saved_bytes; /* at least lcv_plan_info.saved_bytes */
} lcv_conv_grad_args;

#define LCV_CONV_GRAD_ARGS_INIT                                                                              \
    {                                                                                                        \
        sizeof(lcv_conv_grad_args), LCV_TENSOR_NONE, LCV_TENSOR_NONE, LCV_TENSOR_NONE, NULL,                 \
            LCV_TENSOR_NONE, LCV_TENSOR_NONE, LCV_TENSOR_NONE, LCV_TENSOR_NONE, LCV_TENSOR_NONE,             \
            LCV_TENSOR_NONE, LCV_TENSOR_NONE, LCV_TENSOR_NONE, LCV_TENSOR_NONE, LCV_TENSOR_NONE,             \
            LCV_TENSOR_NONE, LCV_TENSOR_NONE, LCV_TENSOR_NONE, LCV_TENSOR_NONE, LCV_TENSOR_NONE,             \
            LCV_EXEC_INIT, NULL, 0                                                                           \
    }

/* All fields absent. `struct_size` is the caller's sizeof. Thread-safety: safe. */
LCV_API void lcv_conv_grad_args_init(lcv_conv_grad_args *args, size_t struct_size);

/* Computes the gradients in grad_mask. Sums over the batch (and over channels that share a filter) run in an
 * order that depends on the plan alone, so results are the same bits for every number of threads.
 * No output may overlap an input or another output, except du == dy exactly.
 * Errors: as lcv_conv_forward. Thread-safety: see plan.h. */
LCV_API lcv_status lcv_conv_backward(const lcv_plan *plan, const lcv_conv_grad_args *args);

#ifdef __cplusplus
}
#endif
#endif
