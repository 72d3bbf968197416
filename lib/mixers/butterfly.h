/* SPDX-License-Identifier: BSD-3-Clause */
/* butterfly.h: what mixers of learned block transforms share. */
#ifndef LCVI_MIXER_BUTTERFLY_H
#define LCVI_MIXER_BUTTERFLY_H

#include "steps/block_transform.h"
#include "mixer.h"

/* A port of the matrices of transforms of `points` points, one a channel. */
lcvi_rows lcvi_butterfly_matrices(lcvi_program *program, const char *name, int64_t points, const char *help);

/* The exact transform, plus `noise` times a normal number: an entry of lcvi_mixer. */
lcv_status lcvi_butterfly_initialise(const lcvi_program *program, const char *port, const lcvi_random *random,
                                     int64_t count, double *values);

#endif
