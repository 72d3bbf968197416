/* SPDX-License-Identifier: BSD-3-Clause */
#include "bin_smoothing.h"
#include "../turns.h"

#include <math.h>
#include <string.h>

enum { MOST = 2 * LCVI_MOST_HALF_BINS };

/* The bins that sums or corrections are about. */
typedef struct {
    int64_t count, bin[MOST];
} bin_set;

static int64_t last_bin(const lcvi_bins *bins)
{
    return bins->length / 2;
}

/* Those beyond both ends, or those of 0 .. K that are near them. */
static bin_set set_of(const lcvi_bins *bins, bool beyond)
{
    const int64_t last = last_bin(bins), half = bins->half;
    bin_set set = {.count = 0};
    for (int64_t i = 0; beyond && i < half; i++) {
        set.bin[set.count++] = i - half;
        set.bin[set.count++] = last + 1 + i;
    }
    for (int64_t k = 0; !beyond && k <= last; k++) {
        if (k == half && k <= last - half)
            k = last - half + 1;
        if (k <= last)
            set.bin[set.count++] = k;
    }
    return set;
}

static double weight_of(const lcvi_bins *bins, int64_t distance)
{
    return distance <= bins->half && -distance <= bins->half ? exp(-0.5 * (double)distance * (double)distance)
                                                             : 0.0;
}

void lcvi_bins_circle(int64_t length, double *circle)
{
    for (int64_t i = 0; i < length; i++) {
        circle[2 * i] = lcvi_cosine_of_turns((double)i / (double)length);
        circle[2 * i + 1] = lcvi_sine_of_turns((double)i / (double)length);
    }
}

lcvi_bins lcvi_bins_begin(const double *circle, int64_t length, int64_t half, bool transposed)
{
    return (lcvi_bins){.circle = circle, .length = length, .half = half, .transposed = transposed};
}

/* A walk around the circle: the place of bin n at time t, and what it moves by with t. */
typedef struct {
    int64_t place, step;
} walk;

static walk walk_of(const lcvi_bins *bins, int64_t bin, int64_t t)
{
    const int64_t step = (bin % bins->length + bins->length) % bins->length;
    return (walk){step * (t % bins->length) % bins->length, step};
}

static void go_on(const lcvi_bins *bins, walk *w)
{
    w->place += w->step;
    w->place -= w->place >= bins->length ? bins->length : 0;
}

/* re, im: X of the bins of the set. */
void lcvi_bins_add(lcvi_bins *bins, int64_t t, int64_t count, const double *values)
{
    const bin_set set = set_of(bins, !bins->transposed);
    for (int64_t b = 0; b < set.count; b++) {
        walk w = walk_of(bins, set.bin[b], t);
        for (int64_t i = 0; i < count; i++, go_on(bins, &w)) {
            bins->re[b] += values[i] * bins->circle[2 * w.place];
            bins->im[b] -= values[i] * bins->circle[2 * w.place + 1];
        }
    }
}

/* Bins of 0 .. K that have no mirror image among the others. */
static bool is_alone(const lcvi_bins *bins, int64_t k)
{
    return k == 0 || 2 * k == bins->length;
}

void lcvi_bins_close(lcvi_bins *bins)
{
    const bin_set from = set_of(bins, !bins->transposed), to = set_of(bins, bins->transposed);
    double re[MOST] = {0}, im[MOST] = {0};
    for (int64_t i = 0; i < to.count; i++)
        for (int64_t j = 0; j < from.count; j++) {
            const int64_t inside = bins->transposed ? from.bin[j] : to.bin[i];
            const double factor =
                weight_of(bins, to.bin[i] - from.bin[j]) * (is_alone(bins, inside) ? 1.0 : 2.0);
            re[i] += factor * bins->re[j];
            im[i] += factor * bins->im[j];
        }
    memcpy(bins->re, re, sizeof re);
    memcpy(bins->im, im, sizeof im);
}

/* The factor w(t) at `count` times. */
static void factors_of(const lcvi_bins *bins, int64_t t, int64_t count, double *factor)
{
    for (int64_t i = 0; i < count; i++)
        factor[i] = 1.0;
    for (int64_t d = 1; d <= bins->half; d++) {
        const double weight = 2.0 * weight_of(bins, d);
        walk w = walk_of(bins, d, t);
        for (int64_t i = 0; i < count; i++, go_on(bins, &w))
            factor[i] += weight * bins->circle[2 * w.place];
    }
}

static void corrections_of(const lcvi_bins *bins, int64_t t, int64_t count, double *correction)
{
    const bin_set set = set_of(bins, bins->transposed);
    for (int64_t i = 0; i < count; i++)
        correction[i] = 0.0;
    for (int64_t b = 0; b < set.count; b++) {
        walk w = walk_of(bins, set.bin[b], t);
        for (int64_t i = 0; i < count; i++, go_on(bins, &w))
            correction[i] +=
                bins->re[b] * bins->circle[2 * w.place] - bins->im[b] * bins->circle[2 * w.place + 1];
    }
}

void lcvi_bins_apply(const lcvi_bins *bins, int64_t t, int64_t count, double *values)
{
    enum { BLOCK = 128 };
    double factor[BLOCK], correction[BLOCK];
    for (int64_t start = 0; start < count; start += BLOCK) {
        const int64_t some = count - start < BLOCK ? count - start : BLOCK;
        factors_of(bins, t + start, some, factor);
        corrections_of(bins, t + start, some, correction);
        for (int64_t i = 0; i < some; i++)
            values[start + i] = factor[i] * values[start + i] - correction[i] / (double)bins->length;
    }
}
