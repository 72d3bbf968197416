/* SPDX-License-Identifier: BSD-3-Clause */
/* direct_parts.h: what the formulas of direct.h are made of, as plain loops. */
#ifndef TEST_MIXERS_DIRECT_PARTS_H
#define TEST_MIXERS_DIRECT_PARTS_H

#include "direct.h"

/* Sequences: element (b, c, t) of `channels` channels. free() data. */
typedef struct {
    int64_t channels;
    double *data;
} direct_signals;

direct_signals direct_make(const direct_options *o, int64_t channels);
double *direct_at(const direct_options *o, const direct_signals *s, int64_t b, int64_t c, int64_t t);

/* Element of a parameter, `absent` where there is no such port; the length of an axis of one. */
double direct_parameter(const mixer_arrays *a, const char *name, int64_t index, double absent);
int64_t direct_axis(const mixer_arrays *a, const char *name, int axis);

/* A data port of any layout, "x" or another; and y in the order of its port, from signals that it frees. */
direct_signals direct_input(const direct_options *o, const mixer_arrays *a, const char *name);
double *direct_output(const direct_options *o, direct_signals y);

/* weight `in` + bias when there is such a weight, else `in`, which is freed otherwise. */
direct_signals direct_project(const direct_options *o, const mixer_arrays *a, const char *weight,
                              const char *bias, direct_signals in);

/* The short convolution that the options speak of; frees `in`. */
direct_signals direct_short_conv(const direct_options *o, const mixer_arrays *a, direct_signals in);

/* Row `row` of a filter and its skip applied to x of one sequence, in blocks. */
void direct_long_conv(const direct_options *o, const mixer_arrays *a, const char *filter, const char *skip,
                      int64_t row, int64_t blocks, const double *x, double *out);

double direct_activate(lcv_activation activation, double z);

#endif
