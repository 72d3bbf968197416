/* SPDX-License-Identifier: BSD-3-Clause */
/* Quarters of a turn are taken away exactly; the rest, at most an eighth of a turn, goes into the series. */
#include "turns.h"
#include "initialise.h"

#include <math.h>

LCVI_EXACT_ARITHMETIC

static const double two_pi = 6.283185307179586476925;

/* sum of c[k] z^k with c[k] = (-1)^k / (2k + first)!, first 1 or 0. */
static double series(double z, int first)
{
    double sum = 0.0;
    for (int k = 9; k >= 1; k--)
        sum = -(1.0 + sum) * z / (double)((2 * k + first - 1) * (2 * k + first));
    return 1.0 + sum;
}

/* sin(2 pi (turns + more / 4)) */
static double wave(double turns, double more)
{
    const double quarters = floor(4.0 * turns + 0.5);
    const double angle = (turns - 0.25 * quarters) * two_pi, z = angle * angle;
    const double quadrant = quarters + more - 4.0 * floor(0.25 * (quarters + more));
    const double size = quadrant == 1.0 || quadrant == 3.0 ? series(z, 0) : angle * series(z, 1);
    return quadrant >= 2.0 ? -size : size;
}

double lcvi_sine_of_turns(double turns)
{
    return wave(turns, 0.0);
}

double lcvi_cosine_of_turns(double turns)
{
    return wave(turns, 1.0);
}
