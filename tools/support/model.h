/* SPDX-License-Identifier: BSD-3-Clause */
/* model.h: a whole Hyena operator over one sequence: the embedding of its symbols, the mixer's plan with all
 * its parameters, and the filter family that makes its taps. Values are seeded, or those of a trained
 * operator. */
#ifndef SUPPORT_MODEL_H
#define SUPPORT_MODEL_H

#include "mixer_arrays.h"
#include "sequence.h"

typedef struct model_options {
    int64_t channels, order;
    uint64_t seed;
    int32_t threads;
    bool measured;
    const char *backend, *engine;        /* "": the library's choice */
    const char *family, *family_options; /* of the filters; options may be NULL */
    const char *weights;                 /* NULL: seeded values. See weights.h */
} model_options;

typedef struct model {
    lcv_plan *plan;
    lcv_filter *filter; /* NULL: the taps themselves are among the weights */
    int32_t port_count;
    lcv_port_info port[MIXER_PORTS_MAX];
    lcv_tensor tensor[MIXER_PORTS_MAX]; /* float32, compact; x and y are [1, channels, seqlen] */
    lcv_tensor embedding;               /* [symbols, channels]; rank 0: the sequence is of vectors */
    int64_t channels, order, seqlen;
    double filter_seconds; /* that making the taps took */
} model;

/* Makes everything but y. Values that are not among the weights are seeded. False: `message` says why. */
bool model_create(lcv_context *context, const sequence *s, const model_options *options, model *out,
                  char *message, size_t message_bytes);
void model_free(model *m);

/* y = the operator of x; filters are transformed in the call. */
lcv_status model_run(model *m);

/* The tensor of a port; NULL: the operator has no such port. */
const lcv_tensor *model_tensor(const model *m, const char *name);

/* Writes all that weights can give: parameters, those of the filter as "filter.NAME", the embedding. */
bool model_save(const model *m, const char *path, char *message, size_t message_bytes);

#endif
