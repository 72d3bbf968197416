/* SPDX-License-Identifier: BSD-3-Clause */
#include "block_transform.h"
#include "../../turns.h"

#include <math.h>
#include <string.h>

bool lcvi_block_shape(int64_t points, lcvi_block_transform *transform)
{
    if (points < 2 || points > (int64_t)1 << 40 || (points & (points - 1)) != 0)
        return false;
    *transform = (lcvi_block_transform){.points = points, .last = points};
    while (transform->last > LCVI_BLOCK) {
        transform->last /= LCVI_BLOCK;
        transform->levels++;
    }
    return true;
}

static bool has_last(const lcvi_block_transform *t)
{
    return t->last != LCVI_BLOCK;
}

int64_t lcvi_block_numbers(const lcvi_block_transform *t)
{
    const int64_t block = t->levels > 0 || !has_last(t) ? LCVI_BLOCK_MATRIX : 0;
    return block + (has_last(t) ? 2 * t->last * t->last : 0);
}

/* The place of the last matrix. */
static int64_t last_place(const lcvi_block_transform *t)
{
    return has_last(t) && t->levels > 0 ? LCVI_BLOCK_MATRIX : 0;
}

static int64_t side_of(int64_t numbers)
{
    int64_t side = 1;
    while (2 * side * side < numbers)
        side *= 2;
    return side;
}

double lcvi_block_exact(int64_t numbers, int64_t index)
{
    const bool in_block = index < LCVI_BLOCK_MATRIX && numbers >= LCVI_BLOCK_MATRIX;
    const int64_t side =
        in_block ? LCVI_BLOCK : side_of(numbers > LCVI_BLOCK_MATRIX ? numbers - LCVI_BLOCK_MATRIX : numbers);
    const int64_t place = in_block || numbers < LCVI_BLOCK_MATRIX ? index : index - LCVI_BLOCK_MATRIX;
    const int64_t row = place / 2 / side, column = place / 2 % side;
    const double turns = (double)(row * column % side) / (double)side;
    return place % 2 == 0 ? lcvi_cosine_of_turns(turns) : -lcvi_sine_of_turns(turns);
}

void lcvi_block_turns(int64_t points, double *turns)
{
    for (int64_t k = 0; k < points; k++) {
        turns[2 * k] = lcvi_cosine_of_turns((double)k / (double)points);
        turns[2 * k + 1] = -lcvi_sine_of_turns((double)k / (double)points);
    }
}

/* ---- Forward ---- */

/* y[i step] = sum_a matrix[i, a] x[a step], for `count` neighbouring columns. */
static void multiply(const double *matrix, int64_t side, const double *x, double *y, int64_t step,
                     int64_t count)
{
    memset(y, 0, (size_t)(2 * side * step) * sizeof *y);
    for (int64_t i = 0; i < side; i++)
        for (int64_t a = 0; a < side; a++) {
            const double re = matrix[2 * (i * side + a)], im = matrix[2 * (i * side + a) + 1];
            const double *in = x + 2 * a * step;
            double *out = y + 2 * i * step;
            for (int64_t b = 0; b < count; b++) {
                out[2 * b] += re * in[2 * b] - im * in[2 * b + 1];
                out[2 * b + 1] += re * in[2 * b + 1] + im * in[2 * b];
            }
        }
}

/* Multiplies z[i, b] of a part of 16 r points by exp(-2 pi i' i b / (16 r)), or by its conjugate. */
static void turn(const lcvi_block_transform *t, int64_t r, double sign, double *z)
{
    const int64_t stride = t->points / (LCVI_BLOCK * r);
    for (int64_t i = 1; i < LCVI_BLOCK; i++)
        for (int64_t b = 1; b < r; b++) {
            const double *w = t->turns + 2 * i * b * stride, im = sign * w[1];
            double *at = z + 2 * (i * r + b);
            const double re = at[0] * w[0] - at[1] * im;
            at[1] = at[0] * im + at[1] * w[0];
            at[0] = re;
        }
}

/* Where point c of part `part`, in the order of the stages, lies in y. */
static int64_t place_of(const lcvi_block_transform *t, int64_t part, int64_t c)
{
    int64_t place = c;
    for (int64_t level = 0; level < t->levels; level++) {
        place = place * LCVI_BLOCK + part % LCVI_BLOCK;
        part /= LCVI_BLOCK;
    }
    return place;
}

void lcvi_block_forward(const lcvi_block_transform *t, const double *matrices, double *stages, double *y)
{
    int64_t n = t->points;
    double out[2 * LCVI_BLOCK];
    for (int64_t level = 0; level < t->levels; level++, n /= LCVI_BLOCK) {
        const int64_t r = n / LCVI_BLOCK;
        const double *in = stages + 2 * t->points * level;
        for (int64_t start = 0; start < t->points; start += n) {
            double *z = stages + 2 * t->points * (level + 1) + 2 * start;
            multiply(matrices, LCVI_BLOCK, in + 2 * start, z, r, r);
            turn(t, r, 1.0, z);
        }
    }
    for (int64_t part = 0; part < t->points / t->last; part++) {
        multiply(matrices + last_place(t), t->last, stages + 2 * (t->points * t->levels + part * t->last),
                 out, 1, 1);
        for (int64_t c = 0; c < t->last; c++)
            memcpy(y + 2 * place_of(t, part, c), out + 2 * c, 2 * sizeof *y);
    }
}

/* ---- Backward ---- */

/* dx[a step] = sum_i conj(matrix[i, a]) dy[i step], and sums[i, a] += sum_b dy[i, b] conj(x[a, b]). */
static void multiply_back(const double *matrix, int64_t side, const double *x, const double *dy, double *dx,
                          double *sums, int64_t step, int64_t count)
{
    memset(dx, 0, (size_t)(2 * side * step) * sizeof *dx);
    for (int64_t i = 0; i < side; i++)
        for (int64_t a = 0; a < side; a++) {
            const double re = matrix[2 * (i * side + a)], im = matrix[2 * (i * side + a) + 1];
            const double *in = x + 2 * a * step, *from = dy + 2 * i * step;
            double *to = dx + 2 * a * step, sum_re = 0.0, sum_im = 0.0;
            for (int64_t b = 0; b < count; b++) {
                const double g = from[2 * b], h = from[2 * b + 1];
                to[2 * b] += re * g + im * h;
                to[2 * b + 1] += re * h - im * g;
                sum_re += g * in[2 * b] + h * in[2 * b + 1];
                sum_im += h * in[2 * b] - g * in[2 * b + 1];
            }
            if (sums == NULL)
                continue;
            sums[2 * (i * side + a)] += sum_re;
            sums[2 * (i * side + a) + 1] += sum_im;
        }
}

void lcvi_block_backward(const lcvi_block_transform *t, const double *matrices, const double *stages,
                         double *dy, double *dx, double *sums)
{
    double in[2 * LCVI_BLOCK];
    double *const last_sums = sums != NULL ? sums + last_place(t) : NULL;
    for (int64_t part = 0; part < t->points / t->last; part++) {
        for (int64_t c = 0; c < t->last; c++)
            memcpy(in + 2 * c, dy + 2 * place_of(t, part, c), 2 * sizeof *in);
        multiply_back(matrices + last_place(t), t->last,
                      stages + 2 * (t->points * t->levels + part * t->last), in, dx + 2 * part * t->last,
                      last_sums, 1, 1);
    }
    int64_t r = t->last;
    for (int64_t level = t->levels - 1; level >= 0; level--, r *= LCVI_BLOCK) {
        memcpy(dy, dx, (size_t)(2 * t->points) * sizeof *dy);
        for (int64_t start = 0; start < t->points; start += LCVI_BLOCK * r) {
            turn(t, r, -1.0, dy + 2 * start);
            multiply_back(matrices, LCVI_BLOCK, stages + 2 * (t->points * level + start), dy + 2 * start,
                          dx + 2 * start, sums, r, r);
        }
    }
}
