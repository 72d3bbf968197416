/* SPDX-License-Identifier: BSD-3-Clause */
/* mixer_stream.h: a whole mixer (Hyena, H3, ...; operator.h) one token at a time, as a model generates.
 *
 * Each convolution of the mixer, short ones too, has a stream (stream.h) of its own; a token goes through all
 * of them, with the projections and gates between. y[t] does not depend on later tokens in any bit, and
 * results do not depend on how tokens are grouped into calls, on max_len, on marks and forks or on threads.
 * In relaxed mode they are the bits of a mixer's plan with exact_causality on the same backend. prefill is
 * the exception, as in stream.h: its y has the bits of FFT convolutions; and where one convolution follows
 * another, so has what the later ones remember of the prompt. So has all of it with `generate_len`.
 *
 * What has a recurrence of its own (rwkv4_wkv, s5) is streamed by that: a few numbers, whatever the mode.
 *
 * Streams of the CPU only; a mixer that keeps nothing of the past has none, nor has one that looks at the
 * future or cuts the sequence into blocks (num_blocks).
 *
 * Thread-safety: one call at a time on one stream; different streams are free of each other, also forks.
 *
 * Source: the papers of stream.h; Poli et al., Hyena Hierarchy (2023) and Fu et al., Hungry Hungry Hippos
 * (2023) for what is computed. */
#ifndef LONGCONV_MIXER_STREAM_H
#define LONGCONV_MIXER_STREAM_H

#include <longconv/filter.h>
#include <longconv/operator.h>
#include <longconv/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lcv_mixer_stream lcv_mixer_stream;

typedef struct lcv_mixer_stream_params {
    size_t struct_size;
    lcv_stream_mode mode; /* of the long convolutions; short ones are relaxed */
    int64_t max_len;      /* tokens that the stream may see; 0: any number. A bound saves memory */
    int64_t order;        /* modal, without a family that is modal: exponentials of the fit of each filter */
    double tolerance;     /* of that fit, as in stream.h */
    int32_t num_threads;  /* of prompts and large tiles; 0: the context's */
    int64_t generate_len; /* of the long convolutions, as in stream.h: tokens that follow a prompt at most, of
                           * which no more than its sums are kept; 0: as many as there are */
} lcv_mixer_stream_params;

#define LCV_MIXER_STREAM_PARAMS_INIT                                                                         \
    {                                                                                                        \
        sizeof(lcv_mixer_stream_params), LCV_STREAM_AUTO, 0, 0, 0.0, 0, 0                                    \
    }

LCV_API void lcv_mixer_stream_params_init(lcv_mixer_stream_params *params, size_t struct_size);

/* What a stream is made from; all is copied. */
typedef struct lcv_mixer_stream_setup {
    size_t struct_size;
    int32_t port_count;        /* entries of both: the ports of the plan */
    const lcv_tensor *tensors; /* the parameters; entries of inputs and outputs are not looked at */
    const lcv_filter *const
        *families; /* NULL, or for each port NULL or what makes the taps of this long
                    * filter in the place of a tensor. In AUTO and MODAL mode one that is
                    * a sum of exponentials is streamed as that (see stream.h, `family`) */
} lcv_mixer_stream_setup;

#define LCV_MIXER_STREAM_SETUP_INIT                                                                          \
    {                                                                                                        \
        sizeof(lcv_mixer_stream_setup), 0, NULL, NULL                                                        \
    }

LCV_API void lcv_mixer_stream_setup_init(lcv_mixer_stream_setup *setup, size_t struct_size);

typedef struct lcv_mixer_stream_info {
    size_t struct_size;
    const char *mixer;
    const char *backend;
    int32_t streams;      /* convolutions, each with a stream */
    int64_t position;     /* tokens seen; 0 in a query */
    int64_t limit;        /* tokens it may see in all; INT64_MAX: any number */
    size_t state_bytes;   /* numbers of one stream: the past of all convolutions and recurrences */
    size_t shared_bytes;  /* prepared filters and parameters, shared by a stream, its forks and its likes */
    size_t scratch_bytes; /* of each stream */
    double fit_error;     /* modal: the largest of any filter, see stream.h */
} lcv_mixer_stream_info;

/* What a stream of this mixer would be and take, all convolutions in the mode of `params`, AUTO being
 * relaxed. The plan gives mixer, options, dtype, batch, channels, backend, and where filter_len is 0 the
 * number of taps: its seqlen, which does not matter otherwise.
 * Errors: INVALID_ARG, UNSUPPORTED, TOO_LARGE, OUT_OF_MEMORY. Thread-safety: safe. */
LCV_API lcv_status lcv_mixer_stream_query(const lcv_plan *plan, const lcv_mixer_stream_params *params,
                                          lcv_mixer_stream_info *info);

/* Makes a stream at position 0. It does not need the plan any more.
 * Errors: as lcv_stream_create; INVALID_ARG names the port. On error *out is NULL. Thread-safety: safe. */
LCV_API lcv_status lcv_mixer_stream_create(const lcv_plan *plan, const lcv_mixer_stream_params *params,
                                           const lcv_mixer_stream_setup *setup, lcv_mixer_stream **out);

/* Another one of the same mixer and parameters at position 0, sharing what is prepared. */
LCV_API lcv_status lcv_mixer_stream_create_like(const lcv_mixer_stream *stream, lcv_mixer_stream **out);

LCV_API void lcv_mixer_stream_destroy(lcv_mixer_stream **stream);

LCV_API lcv_status lcv_mixer_stream_describe(const lcv_mixer_stream *stream, lcv_mixer_stream_info *info);

/* Tokens seen so far; 0 for NULL. */
LCV_API int64_t lcv_mixer_stream_position(const lcv_mixer_stream *stream);

/* One tensor for each port: inputs read, outputs written, in the axes of the port with the call's number of
 * tokens as seqlen; in lcv_mixer_stream_step also without that axis. Those of parameters must be empty. No
 * output may overlap an input. */
typedef struct lcv_mixer_stream_args {
    size_t struct_size;
    int32_t port_count;
    const lcv_tensor *tensors;
    lcv_exec exec; /* workspace is not used */
} lcv_mixer_stream_args;

#define LCV_MIXER_STREAM_ARGS_INIT                                                                           \
    {                                                                                                        \
        sizeof(lcv_mixer_stream_args), 0, NULL, LCV_EXEC_INIT                                                \
    }

LCV_API void lcv_mixer_stream_args_init(lcv_mixer_stream_args *args, size_t struct_size);

/* One token, or any number of them: the same results. Allocate nothing.
 * Errors: INVALID_ARG (a tensor; the stream is at its limit), and then nothing has happened. */
LCV_API lcv_status lcv_mixer_stream_step(lcv_mixer_stream *stream, const lcv_mixer_stream_args *args);
LCV_API lcv_status lcv_mixer_stream_push(lcv_mixer_stream *stream, const lcv_mixer_stream_args *args);

/* A prompt, at position 0: one convolution of the whole for each of the mixer's. Takes memory for the call.
 * Errors: as lcv_mixer_stream_push; OUT_OF_MEMORY, and then the stream is at position 0. */
LCV_API lcv_status lcv_mixer_stream_prefill(lcv_mixer_stream *stream, const lcv_mixer_stream_args *args);

/* Does now, for all convolutions of all of the streams, what their next steps would begin with. Optional;
 * changes no result. Allocates nothing. NULL entries are skipped. `exec` may be NULL. */
LCV_API lcv_status lcv_mixer_stream_work(lcv_mixer_stream *const *streams, int64_t count,
                                         const lcv_exec *exec);

/* As the functions of these names in stream.h; each changes all convolutions or, after an error, none. */
LCV_API lcv_status lcv_mixer_stream_reset(lcv_mixer_stream *stream);
LCV_API lcv_status lcv_mixer_stream_mark(lcv_mixer_stream *stream, int64_t reserve);
LCV_API lcv_status lcv_mixer_stream_rollback(lcv_mixer_stream *stream);
LCV_API lcv_status lcv_mixer_stream_release(lcv_mixer_stream *stream);
LCV_API lcv_status lcv_mixer_stream_fork(lcv_mixer_stream *stream, int64_t reserve, lcv_mixer_stream **child);
LCV_API lcv_status lcv_mixer_stream_detach(lcv_mixer_stream *stream);

/* Snapshots, as in stream.h: they belong to the mixer with these options (all of them), parameters, dtype,
 * batch and channels. What differs is named; VERSION_MISMATCH names both versions. */
LCV_API lcv_status lcv_mixer_stream_save(const lcv_mixer_stream *stream, void *bytes, size_t size,
                                         size_t *needed);
LCV_API lcv_status lcv_mixer_stream_load(lcv_mixer_stream *stream, const void *bytes, size_t size);

#ifdef __cplusplus
}
#endif
#endif
