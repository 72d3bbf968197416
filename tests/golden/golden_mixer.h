/* SPDX-License-Identifier: BSD-3-Clause */
/* golden_mixer.h: a mixer with filters of families, forward and backward, beside a case. */
#ifndef TESTS_GOLDEN_MIXER_H
#define TESTS_GOLDEN_MIXER_H

#include "golden_case.h"

enum { GOLDEN_BINDINGS = 20, GOLDEN_PIECES = 4, GOLDEN_TAPS = 2, GOLDEN_MIXER_OPTIONS = 512 };

/* A port or parameter, and the arrays of the case that it is made of, one after the other: "Wq" stands for
 * p_Wq and its gradient g_Wq. */
typedef struct golden_binding {
    const char *name;
    const char *pieces[GOLDEN_PIECES]; /* ends with a NULL */
} golden_binding;

/* The taps of one port. */
typedef struct golden_taps {
    const char *port, *family;
    const char *expected; /* the array of the taps, NULL: none */
    char options[GOLDEN_MIXER_OPTIONS];
    int64_t channels, max_len;
    golden_binding parameters[GOLDEN_BINDINGS]; /* ends with a NULL name */
} golden_taps;

typedef struct golden_mixer {
    const char *mixer;
    char options[GOLDEN_MIXER_OPTIONS];
    int64_t batch, channels, seqlen;
    bool time_major;                   /* data of the case is [seqlen, batch, channels] */
    const char *inputs[GOLDEN_PIECES]; /* "k" for in_k and its gradient g_k; ends with a NULL; none: "x" */
    const char *upstream;              /* NULL: "dy", for in_dy */
    const char *output;                /* "pre" for out_pre; NULL: out_y */
    bool forward_only;
    golden_binding ports[GOLDEN_BINDINGS];
    golden_taps taps[GOLDEN_TAPS];
} golden_mixer;

/* out_y is the output. A case without the upstream gradient is forward only. */
golden_outcome golden_mixer_run(golden_case *c, const golden_setup *setup, const golden_mixer *g,
                                lcv_dtype dtype);

#endif
