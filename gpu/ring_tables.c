/* SPDX-License-Identifier: BSD-3-Clause */
/* Constants of the ring transforms. */
#include "ring_tables.h"

#include <complex.h>
#include <math.h>
#include <stdbool.h>

static const double TURN = 6.28318530717958647692;

/* The angle, in turns, of the root rho of node `node` among the 2^depth nodes of its level. A node's children
 * have the roots +sqrt(rho) and -sqrt(rho); the node at the top has the root i. */
static double root_angle(int64_t depth, int64_t node)
{
    double angle = 0.25;
    for (int64_t level = depth - 1; level >= 0; level--)
        angle = angle / 2 + ((node >> level & 1) != 0 ? 0.5 : 0.0);
    return angle;
}

static int64_t log2_of(int64_t power)
{
    int64_t exponent = 0;
    while (power >> exponent > 1)
        exponent++;
    return exponent;
}

/* Constant `number` of one node's pass goes into half a float4. */
static void put_constant(float *table, int64_t nodes, int64_t node, int64_t number, double angle)
{
    float *const place = table + 4 * (number / 2 * nodes + node) + 2 * (number % 2);
    place[0] = (float)cos(TURN * angle);
    place[1] = (float)sin(TURN * angle);
}

void lcv_gpu_ring_fill_pass(float *table, int64_t radix, int64_t nodes)
{
    const int64_t depth = log2_of(nodes);
    for (int64_t node = 0; node < nodes; node++)
        for (int64_t level = 0; radix >> level > 1; level++)
            for (int64_t below = 0; below < (int64_t)1 << level; below += 2) {
                const int64_t number = level == 0 ? 0 : ((int64_t)1 << (level - 1)) + below / 2;
                const double rho = root_angle(depth + level, (node << level) + below);
                put_constant(table, nodes, node, number, rho / 2);
            }
}

/* CMPLX of C11, which not every compiler with this C library has. */
static double complex complex_of(double re, double im)
{
    const union {
        double parts[2];
        double complex value;
    } both = {{re, im}};
    return both.value;
}

/* Rounded constant over true constant. */
static double complex rounding_of(int64_t depth, int64_t node)
{
    const double angle = TURN * root_angle(depth, node) / 2;
    const double complex exact = complex_of(cos(angle), sin(angle));
    return complex_of((double)(float)creal(exact), (double)(float)cimag(exact)) / exact;
}

/* What the node's constant does to its children: half of their samples are multiplied by it. Below the first
 * level of a pass an odd node uses the constant of the even one beside it. */
static double complex drift_of(int64_t depth, int64_t node, bool starts_pass)
{
    return (complex_of(1.0, 0.0) + rounding_of(depth, starts_pass ? node : node & ~(int64_t)1)) / 2.0;
}

typedef struct tree {
    float *gain;
    int64_t n;
    const int64_t *radices;
    lcv_gpu_ring_order order;
    double factor;
} tree;

/* Everything below one node; `drift` is what happened above, `pass_depth` where the node's pass begins. */
static void fill_below(const tree *t, int64_t depth, int64_t node, int64_t pass, int64_t pass_depth,
                       double complex drift)
{
    if ((int64_t)1 << depth == t->n) {
        const double complex gain = t->factor / (drift * drift * conj(drift));
        const int64_t place = t->order(node, t->n);
        t->gain[2 * place] = (float)creal(gain);
        t->gain[2 * place + 1] = (float)cimag(gain);
        return;
    }
    if ((int64_t)1 << (depth - pass_depth) == t->radices[pass]) {
        pass++;
        pass_depth = depth;
    }
    drift *= drift_of(depth, node, depth == pass_depth);
    fill_below(t, depth + 1, 2 * node, pass, pass_depth, drift);
    fill_below(t, depth + 1, 2 * node + 1, pass, pass_depth, drift);
}

void lcv_gpu_ring_fill_gain(float *gain, int64_t n, const int64_t *radices, lcv_gpu_ring_order order,
                            double factor)
{
    const tree t = {gain, n, radices, order, factor};
    fill_below(&t, 0, 0, 0, 0, 1.0);
}

void lcv_gpu_ring_fill_circle(float *table, int64_t count, int64_t step, int64_t turn)
{
    for (int64_t m = 0; m < count; m++) {
        const double angle = TURN * (double)(m * step) / (double)turn;
        table[2 * m] = (float)cos(angle);
        table[2 * m + 1] = (float)sin(angle);
    }
}
