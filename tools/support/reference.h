/* SPDX-License-Identifier: BSD-3-Clause */
/* reference.h: all outputs of a problem in float64, from the same inputs, in one piece.
 *
 * Where 5e9 products are enough, the `ref` backend computes them. Longer problems (rows above 65536 with long
 * filters) come from the float64 run of the engine that the library prefers, unless that is what is being
 * tested; the caller checks them against direct sums (oracle.h) at some elements. */
#ifndef SUPPORT_REFERENCE_H
#define SUPPORT_REFERENCE_H

#include "arrays.h"

typedef struct reference {
    bool complete;   /* outputs holds every output */
    bool is_direct;  /* they come from the ref backend */
    char source[48]; /* for people: "ref", "cpu/fftw in float64", "direct sums" */
    arrays outputs;  /* float64, BDL */
    bool has_linear; /* linear holds z, or outputs.y is z */
    arrays linear;   /* float64, z in its y */
    bool y_is_linear;
} reference;

/* `inputs` are those of the tested run, `backend` and `engine` what it runs on. False: out of memory, or the
 * library failed; then `message` says how. Free it in either case. */
bool reference_create(lcv_context *context, const arrays *inputs, const char *backend, const char *engine,
                      reference *out, char *message, size_t message_bytes);
void reference_free(reference *r);

/* The arrays whose y is z; NULL when z is not known. */
const arrays *reference_linear(const reference *r);

#endif
