/* SPDX-License-Identifier: BSD-3-Clause */
/* mixer.h: mixers as rows of one list. A mixer describes itself as a program: arrays, which are its ports or
 * lie in the workspace, and steps from arrays to an array. Everything else follows from the program: the
 * parts that the backend must serve, the workspace, forward, and backward as the steps' gradients from the
 * last to the first. */
#ifndef LCVI_MIXER_H
#define LCVI_MIXER_H

#include "../check.h"
#include "../initialise.h"
#include "../matmul.h"
#include "../options.h"
#include "../plan.h"
#include "../ports.h"

enum {
    LCVI_MIXER_ARRAYS = 48,
    LCVI_MIXER_STEPS = 288,
    LCVI_MIXER_PARTS = 32,   /* plans of convolutions; steps with the same params share one */
    LCVI_MIXER_SPECTRA = 64, /* prepared filters */
    LCVI_MIXER_NAME = 40
};

/* ---- Arrays ---- */

typedef enum lcvi_array_kind {
    LCVI_DATA,   /* (batch, channel, time), the data dtype */
    LCVI_MATRIX, /* (-, row, column), the compute dtype: filters and weights */
    LCVI_VECTOR  /* (-, -, entry), the compute dtype */
} lcvi_array_kind;

/* The initial values of a parameter. */
typedef struct lcvi_initial {
    enum { LCVI_ZERO, LCVI_UNIFORM, LCVI_NORMAL, LCVI_OF_FAMILY, LCVI_OF_MIXER } rule;
    double scale; /* uniform in [-scale, scale), or the standard deviation */
} lcvi_initial;

/* An initial value that follows from the place among `count`; the same on every machine. */
typedef double (*lcvi_initial_fn)(int64_t index, int64_t count);

typedef struct lcvi_mixer_array {
    lcvi_array_kind kind;
    lcv_dtype dtype;
    int64_t rows;      /* channels, rows or entries */
    int64_t length;    /* of one row: samples, columns or 1 */
    int32_t port;      /* -1: in the workspace */
    lcv_layout layout; /* of a port's axes */
    bool one;          /* the number 1 of the compute dtype, whatever the index */
    bool turned;       /* of a filter: the last tap acts at lag 0 */
    lcvi_initial initial;
    lcvi_initial_fn formula;             /* instead of `initial`, where it is not NULL */
    size_t bytes;                        /* of a compact copy */
    char gradient_name[LCVI_MIXER_NAME]; /* of a port, for messages */
} lcvi_mixer_array;

/* Some rows of an array: first, first + step, ..., `count` of them. */
typedef struct lcvi_rows {
    int32_t array; /* -1: none */
    int64_t first, step, count;
} lcvi_rows;

#define LCVI_NO_ROWS ((lcvi_rows){.array = -1})

/* ---- Steps ---- */

typedef enum lcvi_slot {
    LCVI_IN = LCV_STEP_IN,
    LCVI_WEIGHT = LCV_STEP_WEIGHT, /* filter, or matrix of a projection */
    LCVI_SKIP = LCV_STEP_SKIP,
    LCVI_BIAS = LCV_STEP_BIAS,
    LCVI_PRE_GATE = LCV_STEP_PRE_GATE,
    LCVI_POST_GATE = LCV_STEP_POST_GATE,
    LCVI_FUTURE = LCV_STEP_FUTURE, /* the filter for the future, of a two-sided convolution */
    LCVI_SLOTS = LCV_STEP_OPERANDS
} lcvi_slot;

typedef struct lcvi_step lcvi_step;
typedef struct lcvi_program lcvi_program;
typedef struct lcvi_mixer_run lcvi_mixer_run;

/* What kinds of steps have beside arrays and sizes, as a backend that computes them sees it. */
typedef union lcvi_step_details {
    lcv_blocks_step blocks;
    lcv_lagged_step lagged;
    lcv_norm_step norm;
    lcv_scan_step scan;
} lcvi_step_details;

/* What a step does. */
typedef struct lcvi_step_kind {
    const char *engine; /* what a mixer without convolutions says is its engine */
    const char *name;   /* as backends know it that compute it by themselves; NULL: none is asked */

    /* Fills the details of its name; false: backends do not know such a step. NULL: there are none. */
    bool (*describe)(const lcvi_step *step, lcvi_step_details *details);

    /* Names the parts and spectra that the step needs, before any backend is known. NULL: it needs none. */
    void (*declare)(lcvi_program *program, lcvi_step *step);

    /* Can this backend do it? Raises *workspace to what the step needs beside its parts. */
    lcv_status (*query)(const lcvi_program *program, const lcvi_step *step, const lcvi_backend *backend,
                        size_t *workspace);
    lcv_status (*forward)(const lcvi_mixer_run *run, const lcvi_step *step);

    /* Forward of the next `run->seqlen` tokens of a stream; NULL: it has none. */
    lcv_status (*stream)(const lcvi_mixer_run *run, const lcvi_step *step);

    /* Doubles that a stream keeps of what came before (run->state from step->state on), all 0 at its start;
     * false: too many. NULL: none. */
    bool (*state)(const lcvi_program *program, const lcvi_step *step, int64_t *doubles);
    lcv_status (*backward)(const lcvi_mixer_run *run, const lcvi_step *step);
    bool in_place; /* may `out` lie where IN was, and the gradient of IN where that of `out` was? */
} lcvi_step_kind;

extern const lcvi_step_kind lcvi_dense_step, lcvi_blocks_step;
extern const lcvi_step_kind lcvi_project_step, lcvi_conv_step, lcvi_glu_step, lcvi_wkv_step, lcvi_norm_step,
    lcvi_spread_step, lcvi_lagged_step, lcvi_scan_step;

/* mixer_stream_conv.c */
lcv_status lcvi_conv_step_stream(const lcvi_mixer_run *run, const lcvi_step *step);

/* One convolution plan of the backend, shared by all steps with the same params. */
typedef struct lcvi_part {
    bool is_short;
    lcv_conv_params conv;
    lcv_short_conv_params short_conv;
    lcv_plan *plan;
} lcvi_part;

/* One long filter prepared for one part, or several: copy k is that of rows filter.first + k and on, and all
 * copies but the first are for the part `later`. Copies lie one behind the other. */
typedef struct lcvi_mixer_spectrum {
    lcvi_rows filter, future;
    int32_t part, later;
    int64_t copies;
    int32_t uses[2];     /* calls that read it: in forward, in backward */
    size_t prepared;     /* place in the caller's prepared memory; only where uses[0] > 0 */
    size_t workspace[2]; /* place in the workspace of forward and backward; only where uses[...] > 1 */
} lcvi_mixer_spectrum;

/* How a scan's recurrence follows from its parameters (steps/scan.c). */
typedef struct lcvi_scan {
    int32_t discretisation; /* lcvi_discretisation */
    bool reversed;          /* from the last sample to the first */
    double rate;            /* factor of the time steps */
    double largest_real;    /* real parts of eigenvalues are held below it */
    double factor;          /* of what is read of the states */
} lcvi_scan;

struct lcvi_step {
    const lcvi_step_kind *kind;
    lcvi_rows slot[LCVI_SLOTS];
    lcvi_rows out;
    bool slot_adds[LCVI_SLOTS]; /* backward: a later step has written this gradient already */

    bool adds; /* to `out`, which an earlier step has written */

    /* Convolutions. */
    bool is_short;
    lcv_conv_mode mode;
    int64_t future_first_lag;
    lcv_tap_order tap_order; /* of short ones */
    lcv_activation activation;
    int64_t taps;
    int64_t pieces;      /* the sequence is cut into so many, each convolved by itself */
    double epsilon;      /* of a norm */
    int64_t lag;         /* of the earlier sample */
    int32_t stream;      /* index of its stream, -1: none; only in programs of streams */
    int64_t state;       /* where its state begins; only in programs of streams */
    int32_t part[6];     /* forward; backward; backward that adds to all parameters' gradients; then others */
    int32_t spectrum[2]; /* of forward and of backward, -1: none */

    lcvi_scan scan;

    bool by_backend; /* its table computes the step, not the kind's functions */
};

/* ---- Programs ---- */

/* Where everything lies in the workspace of one direction. */
typedef struct lcvi_layout {
    size_t value[LCVI_MIXER_ARRAYS], gradient[LCVI_MIXER_ARRAYS];
    size_t inner; /* the workspace of the parts begins */
    size_t total;
} lcvi_layout;

typedef struct lcvi_mixer lcvi_mixer;

struct lcvi_program {
    lcv_context *context;
    const lcvi_mixer *mixer;
    lcv_mixer_params params;
    lcvi_option_value options[LCVI_MAX_OPTIONS];
    lcv_layout layout; /* of data ports that `build` declares; it may change between them */
    lcv_status status; /* the first failure of building */
    lcvi_ports ports;
    int32_t array_of_port[LCVI_MAX_PORTS];
    int32_t array_count, step_count, part_count, spectrum_count;
    lcvi_mixer_array array[LCVI_MIXER_ARRAYS];
    lcvi_step step[LCVI_MIXER_STEPS];
    lcvi_part part[LCVI_MIXER_PARTS];
    lcvi_mixer_spectrum spectrum[LCVI_MIXER_SPECTRA];
    size_t inner_bytes; /* the largest workspace of a step */
    size_t prepared_bytes;
    lcvi_layout where[2]; /* forward, backward */
    void *ones;           /* on the backend's device: 1 of the compute dtype */
    const lcvi_backend *backend;
};

/* One execution. */
struct lcvi_mixer_run {
    const lcvi_program *program;
    bool backward, accumulate;
    int64_t seqlen; /* of this execution's data */
    lcv_exec exec;  /* its workspace is that of the parts */
    lcv_array value[LCVI_MIXER_ARRAYS], gradient[LCVI_MIXER_ARRAYS];
    const char *spectrum[LCVI_MIXER_SPECTRA]; /* NULL: transformed in the call */
    lcv_stream *const *streams;               /* of a stream's steps */
    double *state;                            /* of a stream; NULL: no stream, or none of its steps has one */
    bool prompt;                              /* the tokens are a prompt */
};

/* A row of the list. Texts as in lcv_mixer_info. */
struct lcvi_mixer {
    const char *name, *summary, *formula, *source;
    lcvi_option_table options;

    /* Declares ports and steps, from `program->options` and `program->params`; its own checks of options are
     * recorded with lcvi_mixer_refuse. */
    void (*build)(lcvi_program *program);

    /* Initial values of the parameters whose rule is LCVI_OF_MIXER; NULL: there are none. */
    lcv_status (*initialise)(const lcvi_program *program, const char *port, const lcvi_random *random,
                             int64_t count, double *values);
};

#define LCVI_MIXER(name) extern const lcvi_mixer lcvi_mixer_##name;
#include "mixer_list.inc"
#undef LCVI_MIXER

/* ---- For `build` ----
 * Ports are declared in the order that users see. After a failure all of these do nothing. */

lcv_status lcvi_mixer_refuse(lcvi_program *program, lcv_status status, const char *format, ...)
    LCV_PRINTF(3, 4);

int64_t lcvi_mixer_integer(const lcvi_program *program, int32_t option);

/* Ports declared from now on have the layout that this option says, one of LCVI_LAYOUT_WORDS. */
void lcvi_mixer_take_layout(lcvi_program *program, int32_t option);

/* Initial values of a matrix whose results are sums of `fan_in` products, and of its bias. */
lcvi_initial lcvi_uniform_over(int64_t fan_in);

/* Refuses so many channels that small multiples of them overflow. */
void lcvi_mixer_check_channels(lcvi_program *program);

/* Shared by mixers: the word of an option is an index of these. */
#define LCVI_LAYOUT_WORDS     "bld bdl"
#define LCVI_ACTIVATION_WORDS "none gelu gelu_tanh silu"

lcvi_rows lcvi_mixer_input(lcvi_program *program, const char *name, int64_t channels, const char *help);
lcvi_rows lcvi_mixer_output(lcvi_program *program, const char *name, int64_t channels, const char *help);
lcvi_rows lcvi_mixer_matrix(lcvi_program *program, const char *name, int64_t rows, int64_t columns,
                            const char *axes, lcvi_initial initial, const char *help);
lcvi_rows lcvi_mixer_vector(lcvi_program *program, const char *name, int64_t entries, const char *axes,
                            lcvi_initial initial, const char *help);

/* A vector that begins with the values of a formula. */
lcvi_rows lcvi_mixer_made_vector(lcvi_program *program, const char *name, int64_t entries, const char *axes,
                                 lcvi_initial_fn formula, const char *help);

/* A vector that begins with ones. */
lcvi_rows lcvi_mixer_ones(lcvi_program *program, const char *name, int64_t entries, const char *axes,
                          const char *help);

/* Taps of long filters, from a filter family. */
lcvi_rows lcvi_mixer_filter(lcvi_program *program, const char *name, int64_t filters, int64_t taps,
                            const char *help);

/* The taps of this filter port are in the order of a Conv1d weight: the last one acts at lag 0. */
void lcvi_mixer_turn(lcvi_program *program, lcvi_rows filter);

/* `channels` rows in the workspace. */
lcvi_rows lcvi_mixer_scratch(lcvi_program *program, int64_t channels);

/* Rows first, first + step, ... of `rows`. */
lcvi_rows lcvi_rows_of(lcvi_rows rows, int64_t first, int64_t step, int64_t count);

/* out[c] = bias[c] + sum_d weight[c, d] in[d], at every time. bias: may be LCVI_NO_ROWS. */
void lcvi_mixer_project(lcvi_program *program, lcvi_rows in, lcvi_rows weight, lcvi_rows bias, lcvi_rows out);

/* The same, added to what an earlier step wrote to `out`. */
void lcvi_mixer_project_onto(lcvi_program *program, lcvi_rows in, lcvi_rows weight, lcvi_rows bias,
                             lcvi_rows out);

/* A convolution as in conv.h or operator.h (is_short), from the fields that describe one: slots (those left
 * out are absent), out, is_short, mode, future_first_lag, adds, tap_order, activation, pieces (0 means 1).
 * The filter's rows go to the channels in order; fewer rows than channels are each shared by a group of
 * neighbouring channels. A long one without a filter is pointwise: out = post_gate * activation(pre_gate *
 * in). One that adds is causal and linear. */
void lcvi_mixer_conv(lcvi_program *program, const lcvi_step *description);

/* out = in * sigmoid(gate), at every time and channel. */
void lcvi_mixer_glu(lcvi_program *program, lcvi_rows in, lcvi_rows gate, lcvi_rows out);

/* out[o] = sum_i filter[o inputs + i] conv in[i]: every output sums over all inputs. */
void lcvi_mixer_dense(lcvi_program *program, lcvi_rows in, lcvi_rows filter, lcvi_rows out);

/* out = post_gate * activation(in); post_gate may be LCVI_NO_ROWS. */
void lcvi_mixer_pointwise(lcvi_program *program, lcvi_rows in, lcv_activation activation, lcvi_rows post_gate,
                          lcvi_rows out);

/* out[c] = weight[c] (in[c] - mean) / sqrt(variance + epsilon) + bias[c], over the channels at every time. */
void lcvi_mixer_norm(lcvi_program *program, lcvi_rows in, lcvi_rows weight, lcvi_rows bias, double epsilon,
                     lcvi_rows out);

/* A vector of `count` times the same entry, for a skip that all channels share. */
lcvi_rows lcvi_mixer_spread(lcvi_program *program, lcvi_rows entry, int64_t count);

/* A step of any kind, from the fields that its file speaks of; slots that are left out are absent. */
void lcvi_mixer_step(lcvi_program *program, const lcvi_step *description, const lcvi_step_kind *kind);

/* Diagonal linear recurrences of complex states, whose real and imaginary parts are neighbouring rows:
 *
 *     z[t] = pole z[t - 1] + gain in[t],   out = factor (Re z, -Im z),
 *
 * pole and gain from the eigenvalues [states, 2] and the logarithms of the time steps [states]. */
void lcvi_mixer_scan(lcvi_program *program, lcvi_rows in, lcvi_rows eigenvalues, lcvi_rows log_step,
                     lcvi_scan how, lcvi_rows out);

/* ---- For the files of the core ---- */

/* Completes a built program: what is shared, which gradients add, parts and spectra. */
lcv_status lcvi_program_finish(lcvi_program *program);

/* A lcvi_query_fn for finished programs. */
lcv_status lcvi_program_query(const lcvi_backend *backend, const void *program, lcv_backend_plan_info *info);

/* Creates the parts on one backend and lays out the workspace; fills the sizes of `info`. */
lcv_status lcvi_program_create(lcvi_program *program, const lcvi_backend *backend,
                               lcv_backend_plan_info *info);
void lcvi_program_destroy(lcvi_program *program);

/* Places of arrays in the workspace, from the steps that use them. False: too large. */
bool lcvi_program_lay_out(lcvi_program *program, bool backward);

/* Is this array's value needed by backward of a step, so that its step runs again? */
bool lcvi_program_runs_again(const lcvi_program *program, const lcvi_step *step);

/* Makes all data `seqlen` samples long: a program for so many tokens of a stream, which has no parts. */
lcv_status lcvi_program_resize(lcvi_program *program, int64_t seqlen);

/* What the tensor of a port must be. */
lcvi_expect lcvi_program_expect(const lcvi_program *program, int32_t port, lcvi_presence presence);

/* Are these the same rows? */
bool lcvi_rows_equal(lcvi_rows a, lcvi_rows b);

/* The part with these params, made if there is none yet. */
int32_t lcvi_program_part(lcvi_program *program, const lcvi_part *part);

/* A causal part of a step's lengths and layout, without terms and gradients. */
lcvi_part lcvi_long_part(const lcvi_program *program, const lcvi_step *step, int64_t channels);

/* Bytes of all copies of a spectrum, and of one; false: they overflow. */
bool lcvi_spectrum_copies(const lcvi_program *program, const lcvi_mixer_spectrum *spectrum, size_t *all,
                          size_t *one);

/* Notes `uses` more readings of a filter's spectrum by a part; returns its index. */
int32_t lcvi_program_spectrum(lcvi_program *program, const lcvi_step *step, int32_t part, bool backward,
                              int32_t uses);

/* The rows of a value or gradient. An absent array stays absent. */
lcv_array lcvi_run_value(const lcvi_mixer_run *run, lcvi_rows rows);
lcv_array lcvi_run_gradient(const lcvi_mixer_run *run, lcvi_rows rows);
bool lcvi_rows_exist(lcvi_rows rows);

/* Are the arrays of a parameter's kind? */
bool lcvi_slot_is_parameter(lcvi_slot slot);

/* Is `value` a tensor on the CPU that a port's values can be written to? */
lcv_status lcvi_program_check_value(const lcvi_program *program, int32_t port, const lcv_tensor *value);

/* Checks `args` and runs. */
lcv_status lcvi_program_forward(const lcv_plan *plan, const lcv_mixer_args *args);
lcv_status lcvi_program_backward(const lcv_plan *plan, const lcv_mixer_args *args);
lcv_status lcvi_program_prepare(const lcv_plan *plan, const lcv_mixer_args *args, void *memory);

static inline size_t lcvi_mixer_align(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

#endif
