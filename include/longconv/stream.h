/* SPDX-License-Identifier: BSD-3-Clause */
/* stream.h: the causal long convolution one token at a time, as a model generates.
 *
 *     x[t] = pre_gate[t] u[t]
 *     y[t] = post_gate[t] activation( sum_{j < filter_len} filter[j] x[t-j] + skip x[t] + bias )
 *
 * for each row (one batch entry, one channel), where u[t] may depend on y[t-1]. The past is kept in the
 * stream; a token costs O(log^2 L) operations a row instead of O(L), and y[t] does not depend on later tokens
 * in any bit.
 *
 * Modes:
 *     relaxed  the past is added up in tiles of 128, 256, ... samples, each by one small transform. The mean
 *              token is cheapest; one at a multiple of a large power of two runs a large tile.
 *     smooth   the same with each row's tiles shifted in time, and the largest ones cut and spread, so that
 *              no token waits long. Up to twice the work and two and a half times the state.
 *     direct   the sum over all taps at each token, to compare with.
 *     modal    the filter is a sum of `order` exponentials: constant state and cost. Exact if the filter is
 *              such a sum (poles and residues given); else a fit, whose measured error the caller limits.
 *     auto     modal where `order` is given, or a family of filters makes it possible; else relaxed.
 * All but a modal fit are exact: the same convolution, within the bound of conv.h.
 *
 * Numbers: the error bound of conv.h, in every mode but a modal fit (modal mode in float64: what the powers
 * of the poles lose, about 2^-53 of each for each token that it lasts). Results of the exact modes do not
 * depend on how tokens are grouped into calls, on max_len, on marks and forks or on threads: same tokens,
 * same bits; those of relaxed are also the bits of a convolution plan with exact_causality and the same
 * filter on the same backend. prefill is the exception: the y it returns have the bits of an FFT convolution;
 * the state it leaves does not differ, unless `generate_len` asks for the quick way.
 *
 * An x[t] that is not finite spoils those outputs that depend on it and no others: they are NaN, with the
 * `ref` backend perhaps infinite (modal mode: all from t on).
 *
 * Thread-safety: one call at a time on one stream; different streams are free of each other, also forks.
 *
 * Source: van der Hoeven, Relax, but don't be too lazy (2002), section 4; Oncescu et al., Flash Inference
 * (2025), section 3; Agarwal et al., FutureFill (2024); Massaroli et al., Laughing Hyena Distillery (2023),
 * section 3.
 */
#ifndef LONGCONV_STREAM_H
#define LONGCONV_STREAM_H

#include <longconv/filter.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lcv_stream lcv_stream;

typedef enum lcv_stream_mode {
    LCV_STREAM_AUTO = 0,
    LCV_STREAM_DIRECT = 1,
    LCV_STREAM_RELAXED = 2,
    LCV_STREAM_SMOOTH = 3,
    LCV_STREAM_MODAL = 4
} lcv_stream_mode;

/* Most exponentials of one filter in modal mode. */
enum { LCV_STREAM_MAX_ORDER = 256 };

typedef struct lcv_stream_params {
    size_t struct_size;
    lcv_dtype dtype; /* of u, the gates and y */
    lcv_stream_mode mode;
    lcv_layout layout;
    lcv_filter_form filter_form;
    lcv_activation activation;
    lcv_device_kind device;
    int64_t batch;
    int64_t channels;
    int64_t filter_len;
    int64_t filter_groups; /* as in conv.h */
    int64_t max_len;       /* tokens that the stream may see; 0: any number. A bound saves memory */
    uint32_t terms;        /* of LCV_TERM_SKIP, LCV_TERM_BIAS, LCV_TERM_PRE_GATE, LCV_TERM_POST_GATE */
    int32_t num_threads;   /* of large tiles; 0: the context's */
    int64_t
        order; /* modal: exponentials of each filter, 1 to LCV_STREAM_MAX_ORDER, 0 with a modal family; else
                * 0 */
    double tolerance; /* modal without poles: largest error of a fit that is accepted, as sum_j |filter[j] -
                       * fit[j]| over sum_j |filter[j]|, for each filter, over all lags that the stream may
                       * see: where max_len does not keep them within filter_len, the filter is 0 beyond its
                       * taps and the fit is not; else 0 */
    const char *backend;  /* NULL or "auto": the best that serves it; else this one or an error */
    int64_t generate_len; /* 0: the state that a prompt leaves has the bits of steps. Else at most so many
                           * tokens follow a prompt, of any length, and the state keeps of it what it gives to
                           * them, which the FFT convolution of the prompt makes too: about the cost of one
                           * convolution and memory for generate_len tokens, whatever the prompt was. Same
                           * bound, but results depend on this number in their last bits. A stream without
                           * a prompt ends after generate_len tokens. Not in direct mode; modal mode needs no
                           * such thing and takes no notice */
} lcv_stream_params;

#define LCV_STREAM_PARAMS_INIT                                                                               \
    {                                                                                                        \
        sizeof(lcv_stream_params), LCV_F32, LCV_STREAM_AUTO, LCV_LAYOUT_BDL, LCV_FILTER_PER_CHANNEL,         \
            LCV_ACTIVATION_NONE, LCV_DEVICE_CPU, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, NULL, 0                        \
    }

LCV_API void lcv_stream_params_init(lcv_stream_params *params, size_t struct_size);

/* What a stream is made from; compute dtype unless said otherwise. All is copied. */
typedef struct lcv_stream_filter {
    size_t struct_size;
    lcv_tensor filter; /* [channels, filter_len], [1, ..], [filter_groups, ..] or [batch, channels,
                        * filter_len], by filter_form. Absent in modal mode with poles */
    lcv_tensor skip;   /* [channels]; with LCV_TERM_SKIP */
    lcv_tensor bias;   /* [channels]; with LCV_TERM_BIAS */
    lcv_tensor poles; /* float64 [filters, 2 order]: pairs of real and imaginary part, |pole| < 1; modal only.
                       * "filters" counts per-sample filters row by row */
    lcv_tensor residues;      /* like poles: filter[j] = sum_i Re(residue[i] pole[i]^j) */
    const lcv_filter *family; /* NULL, or what makes the filter in the place of the three tensors, with as
                               * many rows of taps as there are filters; not needed afterwards. A family that
                               * is a sum of exponentials (lcv_filter_info.modal) is streamed as that in modal
                               * mode with `order` 0, and in auto mode where max_len <= filter_len, so that
                               * the filter's end is not seen; else its taps are */
} lcv_stream_filter;

#define LCV_STREAM_FILTER_INIT                                                                               \
    {                                                                                                        \
        sizeof(lcv_stream_filter), LCV_TENSOR_NONE, LCV_TENSOR_NONE, LCV_TENSOR_NONE, LCV_TENSOR_NONE,       \
            LCV_TENSOR_NONE, NULL                                                                            \
    }

LCV_API void lcv_stream_filter_init(lcv_stream_filter *filter, size_t struct_size);

typedef struct lcv_stream_info {
    size_t struct_size;
    lcv_stream_mode mode; /* never AUTO */
    const char *backend;
    const char *explanation; /* one line for people; not to be parsed */
    int64_t position;        /* tokens seen; 0 in a query */
    int64_t limit;           /* tokens it may see in all; INT64_MAX: any number. Marks and forks lower it */
    size_t state_bytes;      /* numbers of one stream: the past of all rows */
    size_t shared_bytes;     /* prepared filters, shared by a stream, its forks and its likes */
    size_t scratch_bytes;    /* of each stream */
    double fit_error; /* modal: largest sum |filter - fit| / sum |filter| of a filter, as of `tolerance`;
                       * measured, beyond 2 filter_len lags bounded; else 0 */
} lcv_stream_info;

/* What a stream with these params would be and take. `info->struct_size` must be set; texts last until this
 * thread's next query. Errors: as lcv_stream_create without OUT_OF_MEMORY. Thread-safety: safe. */
LCV_API lcv_status lcv_stream_query(lcv_context *context, const lcv_stream_params *params,
                                    lcv_stream_info *info);

/* Makes a stream at position 0.
 * Errors: INVALID_ARG, UNSUPPORTED (no backend; a fit above `tolerance`, the message says its error),
 * NO_DEVICE, TOO_LARGE, OUT_OF_MEMORY. On error *out is NULL. Thread-safety: safe. */
LCV_API lcv_status lcv_stream_create(lcv_context *context, const lcv_stream_params *params,
                                     const lcv_stream_filter *filter, lcv_stream **out);

/* Another stream of the same params and filter at position 0, sharing the prepared filters: for each sequence
 * of a ragged batch one. Errors: INVALID_ARG, OUT_OF_MEMORY. */
LCV_API lcv_status lcv_stream_create_like(const lcv_stream *stream, lcv_stream **out);

LCV_API void lcv_stream_destroy(lcv_stream **stream);

LCV_API lcv_status lcv_stream_describe(const lcv_stream *stream, lcv_stream_info *info);

/* Tokens seen so far; 0 for NULL. */
LCV_API int64_t lcv_stream_position(const lcv_stream *stream);

/* Tensors of one call: [batch, channels, count] ([batch, count, channels] with LCV_LAYOUT_BLD) in the
 * stream's dtype; in lcv_stream_step also [batch, channels]. */
typedef struct lcv_stream_args {
    size_t struct_size;
    lcv_tensor u;
    lcv_tensor pre_gate;  /* with LCV_TERM_PRE_GATE */
    lcv_tensor post_gate; /* with LCV_TERM_POST_GATE */
    lcv_tensor y;         /* out; may be exactly u. prefill: may be absent */
    lcv_exec exec;        /* workspace is not used */
} lcv_stream_args;

#define LCV_STREAM_ARGS_INIT                                                                                 \
    {                                                                                                        \
        sizeof(lcv_stream_args), LCV_TENSOR_NONE, LCV_TENSOR_NONE, LCV_TENSOR_NONE, LCV_TENSOR_NONE,         \
            LCV_EXEC_INIT                                                                                    \
    }

LCV_API void lcv_stream_args_init(lcv_stream_args *args, size_t struct_size);

/* One token. Allocates nothing; y is there on return.
 * Errors: INVALID_ARG (a tensor; the stream is at its limit), and then nothing has happened. */
LCV_API lcv_status lcv_stream_step(lcv_stream *stream, const lcv_stream_args *args);

/* `count` tokens at once (u's length): the same results as that many steps. Allocates nothing. */
LCV_API lcv_status lcv_stream_push(lcv_stream *stream, const lcv_stream_args *args);

/* A prompt, at position 0: y as a convolution plan computes it (see "Numbers" above), and the state at the
 * cost of a few tiles, or with `generate_len` at none. Without y it is cheaper still (but with generate_len).
 * May allocate: the plan of a prompt is kept, and when a second one of that length comes the transformed
 * filters too (8 bytes a point and filter in float32), for all streams that share filters, until one of
 * another length comes. Errors: as lcv_stream_push; OUT_OF_MEMORY, and then the stream is at position 0. */
LCV_API lcv_status lcv_stream_prefill(lcv_stream *stream, const lcv_stream_args *args);

/* Does now, for all of the streams, the tiles that their next steps would begin with: so that the next steps
 * are short, while the rest of the model runs. Optional; changes no result. Allocates nothing. NULL entries
 * are skipped. `exec` may be NULL. No stream may be in another call. Errors: INVALID_ARG (streams, count). */
LCV_API lcv_status lcv_stream_work(lcv_stream *const *streams, int64_t count, const lcv_exec *exec);

/* Back to position 0; marks are forgotten. */
LCV_API lcv_status lcv_stream_reset(lcv_stream *stream);

/* ---- Marks: to go back ---- */

/* Remembers the position; up to `reserve` tokens may follow until the mark is released. Marks nest, up to 8
 * with forks. Takes memory for `reserve` tokens. Errors: INVALID_ARG, OUT_OF_MEMORY, UNSUPPORTED (too deep).
 */
LCV_API lcv_status lcv_stream_mark(lcv_stream *stream, int64_t reserve);

/* Goes back to the last mark, which stays. Errors: INVALID_ARG (there is none), OUT_OF_MEMORY (only after a
 * fork). */
LCV_API lcv_status lcv_stream_rollback(lcv_stream *stream);

/* Forgets the last mark and keeps what followed it. Costs the tiles of what followed. Errors: INVALID_ARG. */
LCV_API lcv_status lcv_stream_release(lcv_stream *stream);

/* ---- Forks: to go on in two ways ---- */

/* Makes *child a stream at the same position with the same past, which both share; nothing of it is copied.
 * Until the other is destroyed (or detached), each of the two may see `reserve` more tokens; it takes memory
 * for them. The last one alive is free again. The child has no marks. Errors: as lcv_stream_mark. */
LCV_API lcv_status lcv_stream_fork(lcv_stream *stream, int64_t reserve, lcv_stream **child);

/* Copies what is shared, so that the stream is free of its forks and marks. Errors: OUT_OF_MEMORY. */
LCV_API lcv_status lcv_stream_detach(lcv_stream *stream);

/* ---- Snapshots ---- */

/* Writes the stream's state at `bytes`, that after all tokens so far; marks are not in it. *needed is its
 * size, set also when `size` is too small or bytes NULL.
 * A snapshot belongs to the backend, params and filter it was made with, and to this machine's byte order.
 * Errors: INVALID_ARG (size too small: nothing was written), OUT_OF_MEMORY. */
LCV_API lcv_status lcv_stream_save(const lcv_stream *stream, void *bytes, size_t size, size_t *needed);

/* Takes the state over from a snapshot; marks are forgotten, and a fork is free of its relatives. Every byte
 * is checked first, on an error the stream is as before. Errors: INVALID_ARG (damaged, the message says
 * where), VERSION_MISMATCH, INCOMPATIBLE (made with other params, filter or backend; what differs is named),
 * OUT_OF_MEMORY. */
LCV_API lcv_status lcv_stream_load(lcv_stream *stream, const void *bytes, size_t size);

#ifdef __cplusplus
}
#endif
#endif
