/* SPDX-License-Identifier: BSD-3-Clause */
/* problem.h: one problem in one line of text, the same in the command, the tests and the benchmarks.
 *
 *     conv:DTYPE:bB:dD:lL[:kK][:kfK][:causal|anticausal|twosided|circular][:lag0|lag1]
 *         [:gG|shared|persample][:skip][:bias][:pre][:post][:gated][:act=gelu|gelu_tanh|silu][:state]
 *         [:chunkN][:bld][:inplace][:fwd|bwd|fwdbwd]
 *     op:short_conv:DTYPE:bB:dD:lL[:taps=N][:order=fir|correlation][:bias][:state][:act=...][:bld]
 *         [:fwd|bwd|fwdbwd]
 *     op:gate:DTYPE:bB:dD:lL[:fwd|bwd|fwdbwd]
 *     op:MIXER:DTYPE:bB:dD:lL[:OPTION=VALUE...][:fwd|bwd|fwdbwd]     (hyena, h3, ...: operator.h)
 *     filter:FAMILY:DTYPE:dD:lL[:OPTION=VALUE...][:fwd|bwd|fwdbwd]    (f32 or f64)
 * and after any of them, separated by blanks: backend= engine= vs= threads= seed=
 *
 * Not given: k = l, kf = k (twosided), causal, lag1, a filter per channel, taps = 3, fir, BDL, fwd, seed = 1.
 * `gated` is `pre` and `post`. `chunkN` runs the sequence in pieces of N samples with carried state; `state`
 * gives the first piece a state and takes that of the last. `inplace` is y == u and du == dy.
 */
#ifndef SUPPORT_PROBLEM_H
#define SUPPORT_PROBLEM_H

#include <longconv/longconv.h>

#include <stdbool.h>

enum { PROBLEM_NAME_MAX = 64, PROBLEM_TEXT_MAX = 768, PROBLEM_OPTIONS_MAX = 384 };

typedef enum problem_kind {
    PROBLEM_CONV,
    PROBLEM_SHORT_CONV,
    PROBLEM_GATE,
    PROBLEM_FILTER,
    PROBLEM_MIXER
} problem_kind;

enum { PROBLEM_FORWARD = 1, PROBLEM_BACKWARD = 2 };

typedef struct problem {
    problem_kind kind;
    lcv_dtype dtype;
    int64_t batch, channels, seqlen;
    int64_t filter_len; /* taps of a short convolution too; 0 for a gate */
    int64_t filter_future_len;
    int64_t future_first_lag;
    lcv_conv_mode mode;
    lcv_filter_form filter_form;
    int64_t filter_groups;
    uint32_t terms; /* LCV_TERM_* */
    lcv_activation activation;
    lcv_tap_order tap_order;
    lcv_layout layout;
    int64_t chunk; /* samples in one piece; 0: all */
    bool inplace;
    unsigned passes; /* PROBLEM_FORWARD, PROBLEM_BACKWARD or both */
    char backend[PROBLEM_NAME_MAX];
    char engine[PROBLEM_NAME_MAX];
    char vs[PROBLEM_NAME_MAX]; /* "" where not given, also of the two above */
    int32_t threads;           /* 0: not given */
    uint64_t seed;
    char name[PROBLEM_NAME_MAX];       /* of a filter's family or a mixer; else "" */
    char options[PROBLEM_OPTIONS_MAX]; /* its options, separated by ':'; else "" */
    bool measured;                     /* plans may measure (LCV_PLANNING_MEASURED); not part of the text */
} problem;

/* Reads one problem. On failure `message` (of `message_bytes`) names the word that is wrong. */
bool problem_parse(const char *text, problem *out, char *message, size_t message_bytes);

/* Writes the canonical text, which parses back to the same problem. `with_options`: also backend= and so on,
 * those that are given. Returns `text`, which has room for PROBLEM_TEXT_MAX. */
const char *problem_print(const problem *p, bool with_options, char *text);

/* The data dtype replaced, for a reference run of the same numbers. */
problem problem_with_dtype(const problem *p, lcv_dtype dtype);

/* Number of filters, of rows (batch * channels), and of rows that share one filter. */
int64_t problem_filters(const problem *p);
int64_t problem_rows(const problem *p);

/* A name as the library's params take it: NULL, its own choice, where none was given. */
const char *problem_name_or_auto(const char *name);

/* The filter that row (b, c) uses. */
int64_t problem_filter_of(const problem *p, int64_t b, int64_t c);

/* Samples of carried state of each row: max(filter_len - 1, 0). */
int64_t problem_state_len(const problem *p);

/* Gradients that backward of this problem computes: LCV_GRAD_* for each input that it has. */
uint32_t problem_grad_mask(const problem *p);

/* Multiplications of the direct sums of its passes, as a double: sizes may be huge. */
double problem_direct_cost(const problem *p);

#endif
