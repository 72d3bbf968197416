/* SPDX-License-Identifier: BSD-3-Clause */
/* embedding.h: the inputs of a gated convolution over a sequence of symbols: each symbol has a vector of u
 * and one for each gate in seeded tables; filters decay at a rate of their own in each channel. */
#ifndef SUPPORT_EMBEDDING_H
#define SUPPORT_EMBEDDING_H

#include "arrays.h"
#include "sequence.h"

/* The problem: one row per channel, causal, filters as long as the sequence, skip and both gates. */
problem embedding_problem(const sequence *s, int64_t channels, uint64_t seed);

/* Fills all inputs of arrays that were allocated for that problem. Vectors of a file become u as they are;
 * their gates are periodic in time. */
bool embedding_fill(const sequence *s, arrays *a);

#endif
