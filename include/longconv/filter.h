/* SPDX-License-Identifier: BSD-3-Clause */
/* filter.h: filter families, the generators of long filters, and their gradients.
 *
 * A family turns a few parameters into taps of any number: an MLP over positions (Hyena), sums of decaying
 * exponentials (S4D, DSS, Mega, Evo 2), the taps themselves. lcv_filter is an instance: a family with its
 * options and the values of its parameters. Its taps go to a convolution as `filter`, or straight into a
 * prepared spectrum; what backward of the convolution gives as dfilter goes back through lcv_filter_backward.
 *
 * Taps are in FIR order. An instance has `filters` rows of taps: its channels, times what its options
 * multiply (say, several outputs a channel). Parameters, taps and gradients have the instance's dtype,
 * float32 or float64; time steps, poles, phases and positional tables are computed in double in both.
 *
 * Families: lcv_filter_family_count and lcv_filter_family_describe list them.
 */
#ifndef LONGCONV_FILTER_H
#define LONGCONV_FILTER_H

#include <longconv/conv.h>
#include <longconv/option.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The list of families ---- */

/* All texts are static. */
typedef struct lcv_filter_family_info {
    size_t struct_size;
    const char *name;    /* "implicit_mlp", "diag_ssm", ... */
    const char *summary; /* one line */
    const char *formula; /* one line */
    const char *source;  /* the paper */
    int32_t option_count;
    int32_t modal; /* 1: with some options it is a sum of exponentials (lcv_filter_modes) */
} lcv_filter_family_info;

/* Number of families. Thread-safety: safe. */
LCV_API int32_t lcv_filter_family_count(void);

/* Index of a family, -1 when there is none of this name (or it is NULL). Thread-safety: safe. */
LCV_API int32_t lcv_filter_family_find(const char *name);

/* Describe family `family` and its option `option`; `info->struct_size` must be set.
 * Errors: INVALID_ARG, VERSION_MISMATCH (message: lcv_context_message(NULL)). Thread-safety: safe. */
LCV_API lcv_status lcv_filter_family_describe(int32_t family, lcv_filter_family_info *info);
LCV_API lcv_status lcv_filter_family_option(int32_t family, int32_t option, lcv_option_info *info);

/* ---- Instances ---- */

/* Thread-safety: evaluating, getting and backward may run at once in any number of threads, with a workspace
 * each; setting and initialising must not overlap any other use. */
typedef struct lcv_filter lcv_filter;

typedef struct lcv_filter_params {
    size_t struct_size;
    const char *family;
    const char *options; /* option.h; NULL: the defaults */
    lcv_dtype dtype;     /* LCV_F32 or LCV_F64 */
    int64_t channels;    /* >= 1 */
    int64_t max_len;     /* >= 1: the longest seqlen it will be asked for; families with positional tables
                          * measure time in it (Hyena's seq_len), and parameters may have it in their shape */
    uint64_t seed;       /* of the first initialisation */
    int32_t num_threads; /* 0: the context's */
    const char *backend; /* which evaluates; NULL or "auto": the best that knows the family, else the core */
    lcv_device_kind device; /* where taps, dtaps and gradients are. On LCV_DEVICE_CUDA calls enqueue their
                             * work on exec.stream; a backend of that device has to know the family */
} lcv_filter_params;

#define LCV_FILTER_PARAMS_INIT                                                                               \
    {                                                                                                        \
        sizeof(lcv_filter_params), NULL, NULL, LCV_F32, 0, 0, 1, 0, NULL, LCV_DEVICE_CPU                     \
    }

LCV_API void lcv_filter_params_init(lcv_filter_params *params, size_t struct_size);

/* Makes an instance and initialises its parameters. `params` is copied.
 * Errors: INVALID_ARG (the message names the field or the option), UNSUPPORTED, TOO_LARGE, OUT_OF_MEMORY,
 * NO_DEVICE. On error *out is NULL. Thread-safety: safe. */
LCV_API lcv_status lcv_filter_create(lcv_context *context, const lcv_filter_params *params, lcv_filter **out);

LCV_API void lcv_filter_destroy(lcv_filter **filter);

typedef struct lcv_filter_info {
    size_t struct_size;
    const char *family;
    const char *options; /* all of them, with their values: creates the same instance */
    const char *backend; /* which evaluates: "core", "cpu", ... */
    lcv_dtype dtype;
    int64_t channels;
    int64_t filters; /* rows of taps */
    int64_t max_len;
    int32_t parameter_count;
    int32_t modal;   /* 1: lcv_filter_modes answers */
    int64_t modes;   /* of one row, where modal */
    int32_t threads; /* most that one call uses, unless the host brings its own */
} lcv_filter_info;

/* Errors of both: INVALID_ARG, VERSION_MISMATCH. Thread-safety: safe. */
LCV_API lcv_status lcv_filter_describe(const lcv_filter *filter, lcv_filter_info *info);
LCV_API lcv_status lcv_filter_parameter(const lcv_filter *filter, int32_t index, lcv_port_info *info);

/* Index of a parameter, -1 when there is none of this name. Thread-safety: safe. */
LCV_API int32_t lcv_filter_parameter_find(const lcv_filter *filter, const char *name);

/* Copies a parameter in or out; `value` has its shape, float32 or float64 (converted), any strides, on the
 * CPU. Setting checks everything first: a wrong name, shape or a number that is not finite changes nothing.
 * An instance on a device copies them there, which waits for the default stream: wait for its calls on other
 * streams before. When that copy fails, the parameter has no defined value until it is set again.
 * Errors: INVALID_ARG; of the copy, DEVICE_LOST and BACKEND_FAILED. */
LCV_API lcv_status lcv_filter_set(lcv_filter *filter, const char *name, const lcv_tensor *value);
LCV_API lcv_status lcv_filter_get(const lcv_filter *filter, const char *name, const lcv_tensor *value);

/* Gives all parameters their initial values, drawn from `seed`: the same numbers on every machine. */
LCV_API lcv_status lcv_filter_initialise(lcv_filter *filter, uint64_t seed);

/* ---- Taps and gradients ---- */

/* Scratch memory of one evaluation (or backward) of `count` taps of a filter for `seqlen`.
 * Errors: INVALID_ARG, TOO_LARGE. Thread-safety: safe. */
LCV_API lcv_status lcv_filter_workspace(const lcv_filter *filter, int64_t seqlen, int64_t count,
                                        int32_t backward, size_t *bytes);

typedef struct lcv_filter_args {
    size_t struct_size;
    int64_t seqlen;  /* the length that taps are made for, 0 to max_len; a few families depend on it */
    int64_t first;   /* position of the first tap asked for: taps [first, first + count) of [0, seqlen) */
    lcv_tensor taps; /* out: [filters, count], the filter's dtype, any strides, on the filter's device */
    lcv_exec exec;   /* workspace (on the filter's device) NULL: it is allocated for this call, which on a
                      * device waits for its end; otherwise nothing is allocated and nothing waited for, but
                      * for sums of exponentials on a device: these need host memory, and wait for copies */
} lcv_filter_args;

#define LCV_FILTER_ARGS_INIT                                                                                 \
    {                                                                                                        \
        sizeof(lcv_filter_args), 0, 0, LCV_TENSOR_NONE, LCV_EXEC_INIT                                        \
    }

LCV_API void lcv_filter_args_init(lcv_filter_args *args, size_t struct_size);

/* Writes taps. The same taps whatever the range that they are asked in.
 * Errors: INVALID_ARG, WORKSPACE_TOO_SMALL, OUT_OF_MEMORY. */
LCV_API lcv_status lcv_filter_evaluate(const lcv_filter *filter, const lcv_filter_args *args);

typedef struct lcv_filter_grad_args {
    size_t struct_size;
    int64_t seqlen;
    int64_t first;
    lcv_tensor dtaps;            /* [filters, count], the filter's dtype and device, any strides:
                                  * d loss / d taps */
    int32_t gradient_count;      /* entries of `gradients`: the filter's parameter_count */
    const lcv_tensor *gradients; /* out, one for each parameter in its shape and the filter's dtype and
                                  * device, any strides; an empty tensor where it is not wanted */
    int32_t accumulate;          /* 1: add to the arrays instead of overwriting them */
    lcv_exec exec;               /* as in lcv_filter_args */
} lcv_filter_grad_args;

#define LCV_FILTER_GRAD_ARGS_INIT                                                                            \
    {                                                                                                        \
        sizeof(lcv_filter_grad_args), 0, 0, LCV_TENSOR_NONE, 0, NULL, 0, LCV_EXEC_INIT                       \
    }

LCV_API void lcv_filter_grad_args_init(lcv_filter_grad_args *args, size_t struct_size);

/* Gradients of the parameters from those of the taps; sums in a fixed order.
 * Errors: as lcv_filter_evaluate. */
LCV_API lcv_status lcv_filter_backward(const lcv_filter *filter, const lcv_filter_grad_args *args);

/* Evaluates the filter_len taps of a convolution plan and prepares them as its spectrum (conv.h). The plan
 * has one filter for each row of taps, and the filter's dtype as its compute dtype. Two-sided plans need two
 * filters: `future` is the second, else NULL. Memory for the taps is allocated for the call. A filter on the
 * CPU serves plans of any device, one on a device those of its backend; for a plan on a device the call waits
 * until the spectrum is there.
 * Errors: INVALID_ARG, INCOMPATIBLE, OUT_OF_MEMORY. Thread-safety: as lcv_spectrum_prepare. */
LCV_API lcv_status lcv_filter_prepare(const lcv_filter *filter, const lcv_filter *future,
                                      const lcv_plan *plan, lcv_spectrum *spectrum, const lcv_exec *exec);

/* A family that is a sum of exponentials: tap[t] = Re sum_n residue[n] pole[n]^t, with 0^0 = 1.
 * poles and residues, out: [filters, modes, 2], float64, on the CPU.
 * Errors: INVALID_ARG, UNSUPPORTED (not modal). Thread-safety: as evaluate. */
LCV_API lcv_status lcv_filter_modes(const lcv_filter *filter, int64_t seqlen, const lcv_tensor *poles,
                                    const lcv_tensor *residues);

#ifdef __cplusplus
}
#endif
#endif
