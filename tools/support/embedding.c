/* SPDX-License-Identifier: BSD-3-Clause */
#include "embedding.h"

#include <math.h>
#include <stdlib.h>

enum { STREAM_TABLES = 2000, STREAM_TAPS = 2010, STREAM_SKIP = 2011, GATE_PERIOD = 256 };

/* Time constants of the filters go from this many samples to half the sequence. */
static const double shortest_decay = 32.0;

/* Taps below this part of the first do not matter to the sum, and would only become subnormal numbers. */
static const double negligible = 1e-20;

problem embedding_problem(const sequence *s, int64_t channels, uint64_t seed)
{
    return (problem){
        .kind = PROBLEM_CONV,
        .dtype = LCV_F32,
        .batch = 1,
        .channels = channels,
        .seqlen = s->length,
        .filter_len = s->length,
        .future_first_lag = 1,
        .terms = LCV_TERM_SKIP | LCV_TERM_PRE_GATE | LCV_TERM_POST_GATE,
        .passes = PROBLEM_FORWARD,
        .seed = seed,
    };
}

static int64_t symbol_at(const sequence *s, int64_t t)
{
    return s->symbols == NULL ? t % GATE_PERIOD : s->symbols[t];
}

/* row[t] = table[symbol at t]; the table is that of one channel. */
static void look_up(const sequence *s, const arrays *a, array_role role, int64_t channel, float *table)
{
    const double mean = role == ARRAY_U ? 0.0 : 1.0, scale = role == ARRAY_U ? 1.0 : 0.5;
    const int64_t symbols = s->symbols == NULL ? GATE_PERIOD : SEQUENCE_SYMBOLS;
    const lcv_tensor row = arrays_row(a, role, channel);
    float *values = row.data;
    for (int64_t i = 0; i < symbols; i++)
        table[i] = (float)(mean + scale * random_normal(a->p.seed, (uint32_t)(STREAM_TABLES + (int)role),
                                                        (uint64_t)(channel * SEQUENCE_SYMBOLS + i)));
    for (int64_t t = 0; t < s->length; t++)
        values[t] = table[symbol_at(s, t)];
}

static void take_vectors(const sequence *s, const arrays *a, int64_t channel)
{
    const lcv_tensor row = arrays_row(a, ARRAY_U, channel);
    for (int64_t t = 0; t < s->length; t++)
        tensor_set(
            &row, t,
            npy_get(&s->vectors, s->channels_first ? channel * s->length + t : t * s->channels + channel));
}

static double decay_ratio(const arrays *a, int64_t channel)
{
    const double longest = fmax(shortest_decay, 0.5 * (double)a->p.seqlen);
    const double place = a->p.channels > 1 ? (double)channel / (double)(a->p.channels - 1) : 1.0;
    return 1.0 - 1.0 / (shortest_decay * pow(longest / shortest_decay, place));
}

static void fill_filter(const arrays *a, int64_t channel)
{
    const lcv_tensor row = arrays_row(a, ARRAY_FILTER, channel);
    const double ratio = decay_ratio(a, channel);
    float *taps = row.data;
    /* The 2-norm of ratio^j is 1 / sqrt(1 - ratio^2). */
    double factor = sqrt(1.0 - ratio * ratio);
    const double least = factor * negligible;
    for (int64_t j = 0; j < a->p.filter_len; j++, factor *= ratio) {
        const uint64_t index = (uint64_t)(channel * a->p.filter_len + j);
        taps[j] = factor < least ? 0.0f : (float)(factor * random_normal(a->p.seed, STREAM_TAPS, index));
        if (factor < least)
            factor = 0.0;
    }
}

bool embedding_fill(const sequence *s, arrays *a)
{
    float *table = malloc(SEQUENCE_SYMBOLS * sizeof *table);
    if (table == NULL)
        return false;
    const lcv_tensor skip = arrays_row(a, ARRAY_SKIP, 0);
    for (int64_t channel = 0; channel < a->p.channels; channel++) {
        if (s->symbols != NULL)
            look_up(s, a, ARRAY_U, channel, table);
        else
            take_vectors(s, a, channel);
        look_up(s, a, ARRAY_PRE_GATE, channel, table);
        look_up(s, a, ARRAY_POST_GATE, channel, table);
        fill_filter(a, channel);
        tensor_set(&skip, channel, random_normal(a->p.seed, STREAM_SKIP, (uint64_t)channel));
    }
    free(table);
    return true;
}
