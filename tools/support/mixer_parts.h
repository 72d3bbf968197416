/* SPDX-License-Identifier: BSD-3-Clause */
/* mixer_parts.h: what a mixer is made of, as problems that run alone: projections, short and long
 * convolutions. A benchmark compares the mixer with them. */
#ifndef SUPPORT_MIXER_PARTS_H
#define SUPPORT_MIXER_PARTS_H

#include "problem.h"

enum { MIXER_PARTS_MAX = 8 };

typedef struct mixer_part {
    problem p;
    int64_t times; /* how often it occurs */
} mixer_part;

/* Fills `parts` and returns their number; 0 when this is no mixer whose parts are known. */
int mixer_parts_of(const problem *p, mixer_part parts[MIXER_PARTS_MAX]);

/* The value of an option of a mixer's problem as text, its default where it is not given; "" when there is no
 * such option. Lives until this thread's next call. */
const char *mixer_option_text(const problem *p, const char *name);

#endif
