/* SPDX-License-Identifier: BSD-3-Clause */
/* family.h: the filter families as rows of one list, and what an instance of one holds.
 *
 * A family is one file with one lcvi_family and one row in family_list.inc. The core does everything that is
 * alike for all: option texts, checks of arguments, storage of parameters, conversion of dtypes, strides,
 * workspace. A family declares its parameters and computes. docs/adding-a-filter-family.md shows it. */
#ifndef LCVI_FAMILY_H
#define LCVI_FAMILY_H

#include "../initialise.h"
#include "../options.h"
#include "../parallel.h"
#include "../ports.h"

#include <longconv/filter.h>

enum { LCVI_MAX_PARAMETERS = 16, LCVI_MAX_PRESETS = 12 };

/* An option of another family with a default of its own. */
typedef struct lcvi_preset {
    const char *option, *value;
} lcvi_preset;

/* Where the gradient of one parameter goes: an array of the parameter's shape. data NULL: not wanted. */
typedef struct lcvi_sink {
    lcv_array array;
    const lcv_port_info *port;
    lcv_dtype dtype;
    bool accumulate;
} lcvi_sink;

/* One evaluation or backward call. */
typedef struct lcvi_filter_call {
    const lcv_filter *filter; /* for tasks that get the call alone */
    int64_t seqlen;
    int64_t first, count; /* taps [first, first + count) of [0, seqlen) */
    lcv_array taps; /* axes (0, row, tap), the instance's dtype: written, or (backward) their gradients */
    lcvi_sink gradient[LCVI_MAX_PARAMETERS]; /* backward; each wanted one is written once, whole */
    void *workspace;                         /* aligned to 64 bytes, as large as the family asked for */
    lcv_exec exec;
    struct lcvi_remote *remote; /* a device computes the sums; NULL: the host */
} lcvi_filter_call;

struct lcvi_handover;        /* dispatch.h */
struct lcv_exponential_mode; /* longconv/backend.h */
struct lcvi_remote;          /* remote_sums.h */

typedef struct lcvi_family {
    const char *name;
    const char *summary;
    const char *formula;
    const char *source;
    lcvi_option_table options;
    bool modal; /* with some options it is a sum of exponentials */

    /* A family that is another one under a name of its own has its four texts and these two: the other one,
     * and the defaults that differ (ends with a NULL option). All else is the other one's. */
    const struct lcvi_family *base;
    lcvi_preset preset[LCVI_MAX_PRESETS];

    /* Sets filter->filters and filter->modes, declares the parameters (lcvi_filter_declare), and may make
     * tables (filter->own). Options are in range one by one; combinations are checked here. */
    lcv_status (*configure)(lcv_filter *filter);

    /* Initial values of elements [first, first + count) of a parameter, each a function of its index. */
    void (*initialise)(const lcv_filter *filter, int32_t parameter, const lcvi_random *random, int64_t first,
                       int64_t count, double *values);

    /* Optional: parameters have new values; brings tables in filter->own up to date. */
    void (*changed)(lcv_filter *filter);

    /* Optional: fills the unions of `to` for a backend that evaluates the family by itself. `call` NULL:
     * sizes only, there is no call yet. */
    void (*hand_over)(const lcv_filter *filter, const lcvi_filter_call *call, struct lcvi_handover *to);

    /* Optional, both or none, beside hand_over: the family is a network that backends know with something
     * around it. `around` are the bytes, a multiple of 64, that it needs in a call for itself; they are
     * call->workspace when hand_over sees a call, and when finish comes after the network. */
    bool (*around)(const lcv_filter *filter, bool backward, size_t *bytes);
    void (*finish)(const lcv_filter *filter, const lcvi_filter_call *call, bool backward);

    /* Optional (NULL: none is needed): bytes for a call of `count` taps. False: the number overflows. */
    bool (*workspace)(const lcv_filter *filter, int64_t seqlen, int64_t count, bool backward, size_t *bytes);

    /* Nothing can fail here any more; count and seqlen are not 0. */
    void (*evaluate)(const lcv_filter *filter, const lcvi_filter_call *call);
    void (*backward)(const lcv_filter *filter, const lcvi_filter_call *call);

    /* Families that may be modal: mode n of a row, from the parameters. */
    struct lcv_exponential_mode (*mode)(const lcv_filter *filter, int64_t seqlen, int64_t row, int64_t n);
} lcvi_family;

#define LCVI_FAMILY(name) extern const lcvi_family lcvi_family_##name;
#include "family_list.inc"
#undef LCVI_FAMILY

/* The list (family_list.c). */
int32_t lcvi_family_count(void);
const lcvi_family *lcvi_family_at(int32_t index); /* NULL: out of range */

struct lcv_filter {
    lcv_context *context;
    const lcvi_family *family; /* which computes */
    const char *name;          /* what the caller asked for: it, or one that is based on it */
    lcvi_option_value option[LCVI_MAX_OPTIONS];
    char *options_text;
    size_t options_bytes;
    lcv_dtype dtype;
    int64_t channels, filters, max_len;
    int64_t modes; /* of one row; 0: no sum of exponentials */
    bool cut;      /* the sum ends at some tap, so that poles and residues do not say all */
    int32_t threads;
    lcvi_ports parameters;
    void *data[LCVI_MAX_PARAMETERS];      /* compact, in dtype */
    lcv_device_kind device;               /* of taps and gradients */
    void *on_device[LCVI_MAX_PARAMETERS]; /* device.h; NULL on the host */
    const struct lcvi_backend *backend;   /* which evaluates; NULL: the core */
    bool only_core;                       /* asked for: no backend helps either */
    void *own;                            /* the family's tables, one block */
    size_t own_bytes;
};

/* ---- For families ---- */

/* Adds a parameter; its dtype and role are set here. Declared in the order of an enum of the family. */
lcv_status lcvi_filter_declare(lcv_filter *filter, const lcv_port_info *port);

/* Zeroed memory for filter->own, once; the core frees it. */
lcv_status lcvi_filter_own(lcv_filter *filter, size_t bytes);

/* Runs tasks on the call's threads (parallel.h). */
void lcvi_filter_parallel(const lcv_filter *filter, const lcvi_filter_call *call, int64_t count,
                          lcv_task_fn task, void *arg);

/* One element of an array in float32 or float64, at any address. */
double lcvi_load(const void *data, lcv_dtype dtype, int64_t index);
void lcvi_store(void *data, lcv_dtype dtype, int64_t index, double value);

/* Where element `index` of a parameter, counted in row-major order, lies in a strided array of its shape. */
int64_t lcvi_port_place(const lcv_port_info *port, const lcv_array *array, int64_t index);

/* Elements [first, first + count) of a parameter, as double. */
void lcvi_filter_load(const lcv_filter *filter, int32_t parameter, int64_t first, int64_t count,
                      double *values);

/* Taps [t, t + count) of a row, t counted from call->first. */
void lcvi_taps_write(const lcv_filter *filter, const lcvi_filter_call *call, int64_t row, int64_t t,
                     int64_t count, const double *values);
void lcvi_taps_read(const lcv_filter *filter, const lcvi_filter_call *call, int64_t row, int64_t t,
                    int64_t count, double *values);

/* Elements [first, first + count) of a gradient, counted in row-major order; nothing when not wanted. */
void lcvi_sink_write(const lcvi_sink *sink, int64_t first, int64_t count, const double *values);

static inline bool lcvi_sink_wanted(const lcvi_sink *sink)
{
    return sink->array.data != NULL;
}

#endif
