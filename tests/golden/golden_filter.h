/* SPDX-License-Identifier: BSD-3-Clause */
/* golden_filter.h: taps of a filter family, and the gradients of its parameters, beside those of a case. */
#ifndef TESTS_GOLDEN_FILTER_H
#define TESTS_GOLDEN_FILTER_H

#include "golden_case.h"

enum { GOLDEN_PARAMETERS = 12, GOLDEN_OPTIONS = 512 };

typedef struct golden_filter {
    const char *family;
    char options[GOLDEN_OPTIONS];
    int64_t channels;
    int64_t max_len; /* 0: seqlen */
    int64_t seqlen;
    const char *taps;  /* the array of all taps: "out_k" */
    const char *dtaps; /* of their gradients: "in_dk"; the case need not have it */
    double accuracy;   /* of the case itself, where its gradients are known to be worse than 1e-9 */
    struct {
        const char *array; /* "A_real" for p_A_real and g_A_real */
        const char *parameter;
    } names[GOLDEN_PARAMETERS]; /* ends with a NULL */
} golden_filter;

/* Makes the instance with the parameters of the case. NULL: the message says why. */
lcv_filter *golden_filter_create(golden_case *c, const golden_setup *setup, const golden_filter *g,
                                 lcv_dtype dtype);

/* Compares all taps, and all gradients that the case has. */
golden_outcome golden_filter_run(golden_case *c, const golden_setup *setup, const golden_filter *g,
                                 lcv_dtype dtype);

/* Taps of an instance as double, [filters, seqlen], to be freed; NULL on failure. */
double *golden_filter_taps(golden_case *c, const lcv_filter *filter, int64_t seqlen);

/* Gradients of the parameters from those of the taps ([filters, seqlen]), compared with g_* of the case. */
bool golden_filter_compare_gradients(golden_case *c, const lcv_filter *filter, const golden_filter *g,
                                     const double *dtaps);

#endif
