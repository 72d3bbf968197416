/* SPDX-License-Identifier: BSD-3-Clause */
#include "gabor_net.h"
#include "../size.h"

#include <math.h>
#include <string.h>

/* Positions of a task; tasks that are in memory at a time. */
enum { BLOCK = 64, BLOCKS = 16 };

/* Sums of a layer's gamma, mu, frequency and phase. */
enum { SHAPES = LCVI_GABOR_PHASE + 1 };

/* One panel of positions. In memory for each block: the arguments a and values h of all layers (a[0] is
 * unused), in backward also the gradients by the a. Rows of BLOCK numbers. */
typedef struct {
    const lcvi_gabor *net;
    const lcvi_filter_call *call;
    int64_t start, count; /* offsets from call->first */
    double *memory;       /* of the blocks */
    double *sums;         /* backward: [values], then [BLOCKS, (depth + 1) width SHAPES + 2] of the blocks */
} panel;

/* What one block works on. */
typedef struct {
    const panel *p;
    int64_t start, count; /* offsets from call->first */
    double *a, *h, *da;
    double *mask, *u; /* [BLOCK]; [width, BLOCK] */
    double *shapes;   /* sums of this block */
    double x[BLOCK];
} block;

static int64_t layers_of(const lcvi_gabor *net)
{
    return net->depth + 1;
}

static int64_t rows_of_block(const lcvi_gabor *net, bool backward)
{
    return (backward ? 3 : 2) * layers_of(net) * net->width + 1 + (backward ? net->width : 0);
}

static int64_t shapes_of_block(const lcvi_gabor *net)
{
    return layers_of(net) * net->width * SHAPES + 2;
}

static const double *values_of(const lcvi_gabor *net, int slot)
{
    return net->values + net->first[slot];
}

double lcvi_gabor_position(const lcvi_gabor *net, int64_t t)
{
    return net->max_len > 1 ? 1.0 - 2.0 * ((double)t / (double)(net->max_len - 1)) : 1.0;
}

bool lcvi_gabor_workspace(const lcvi_gabor *net, bool backward, size_t *bytes)
{
    int64_t rows, sums = 0;
    if (!lcvi_mul(rows_of_block(net, backward), (int64_t)BLOCK * BLOCKS, &rows))
        return false;
    if (backward && (!lcvi_mul(shapes_of_block(net), BLOCKS, &sums) ||
                     !lcvi_add(sums, net->first[LCVI_GABOR_SLOTS], &sums)))
        return false;
    return lcvi_add(rows, sums, &rows) && lcvi_bytes(rows, sizeof(double), bytes);
}

static block block_of(const panel *p, int64_t index, bool backward)
{
    const lcvi_gabor *net = p->net;
    const int64_t layer = layers_of(net) * net->width * BLOCK;
    double *memory = p->memory + index * rows_of_block(net, backward) * BLOCK;
    block b = {.p = p,
               .start = p->start + index * BLOCK,
               .count = p->count - index * BLOCK < BLOCK ? p->count - index * BLOCK : BLOCK,
               .a = memory,
               .h = memory + layer,
               .mask = memory + 2 * layer};
    if (backward) {
        b.da = b.mask + BLOCK;
        b.u = b.da + layer;
        b.shapes = p->sums + net->first[LCVI_GABOR_SLOTS] + index * shapes_of_block(net);
    }
    for (int64_t i = 0; i < b.count; i++)
        b.x[i] = lcvi_gabor_position(net, p->call->first + b.start + i);
    return b;
}

/* ---- Forward ---- */

static double factor(const lcvi_gabor *net, int64_t neuron, double x)
{
    const double offset =
        values_of(net, LCVI_GABOR_GAMMA)[neuron] * (x - values_of(net, LCVI_GABOR_MU)[neuron]);
    return exp(-0.5 * offset * offset) *
           sin(values_of(net, LCVI_GABOR_FREQUENCY)[neuron] * x + values_of(net, LCVI_GABOR_PHASE)[neuron]);
}

/* out[i] = start + sum_k row[k] in[k][i] */
static void multiply(const double *row, int64_t inner, const double *in, double start, double *out)
{
    for (int i = 0; i < BLOCK; i++)
        out[i] = start;
    for (int64_t k = 0; k < inner; k++)
        for (int i = 0; i < BLOCK; i++)
            out[i] += row[k] * in[k * BLOCK + i];
}

static void run_layer(const block *b, int64_t layer)
{
    const lcvi_gabor *net = b->p->net;
    const int64_t width = net->width;
    for (int64_t k = 0; k < width; k++) {
        const int64_t neuron = layer * width + k, below = neuron - width;
        double *a = b->a + neuron * BLOCK, *h = b->h + neuron * BLOCK;
        if (layer > 0)
            multiply(values_of(net, LCVI_GABOR_HIDDEN) + below * width, width,
                     b->h + (layer - 1) * width * BLOCK, values_of(net, LCVI_GABOR_BIAS)[below], a);
        for (int64_t i = 0; i < b->count; i++)
            h[i] = factor(net, neuron, b->x[i]) * (layer > 0 ? a[i] : 1.0);
    }
}

/* How many widths of the bell curve x is from its middle. One of width 0 is the limit of narrow ones: 1 in
 * its middle and 0 elsewhere, and no gradient goes through it. */
static double widths_from(const double mask[2], double x)
{
    if (mask[1] == 0.0)
        return x == mask[0] ? 0.0 : (double)INFINITY;
    return (x - mask[0]) / mask[1];
}

/* All layers and the mask. Places of a block beyond its count are 0. */
static void run_block(const block *b)
{
    const lcvi_gabor *net = b->p->net;
    const double *mask = net->slots.parameter[LCVI_GABOR_MASK] >= 0 ? values_of(net, LCVI_GABOR_MASK) : NULL;
    memset(b->h, 0, (size_t)(layers_of(net) * net->width * BLOCK) * sizeof(double));
    memset(b->mask, 0, BLOCK * sizeof(double));
    for (int64_t layer = 0; layer < layers_of(net); layer++)
        run_layer(b, layer);
    for (int64_t i = 0; i < b->count; i++) {
        const double offset = mask != NULL ? widths_from(mask, b->x[i]) : 0.0;
        b->mask[i] = exp(-0.5 * offset * offset);
    }
}

static void evaluate_block(void *arg, int64_t index)
{
    const panel *p = arg;
    const lcvi_gabor *net = p->net;
    const block b = block_of(p, index, false);
    double out[BLOCK];
    run_block(&b);
    for (int64_t row = 0; row < net->filters; row++) {
        multiply(values_of(net, LCVI_GABOR_OUT) + row * net->width, net->width,
                 b.h + net->depth * net->width * BLOCK, values_of(net, LCVI_GABOR_BIAS_OUT)[row], out);
        for (int64_t i = 0; i < b.count; i++)
            out[i] *= b.mask[i];
        lcvi_taps_write(p->call->filter, p->call, row, b.start, b.count, out);
    }
}

/* Taps of the call that are not cut away. */
static int64_t kept_of(const lcvi_gabor *net, const lcvi_filter_call *call)
{
    const int64_t left = net->taps - call->first;
    return left < 0 ? 0 : (left < call->count ? left : call->count);
}

static void write_zeros(const lcvi_filter_call *call, int64_t filters, int64_t from)
{
    static const double zeros[BLOCK];
    for (int64_t row = 0; row < filters; row++)
        for (int64_t t = from; t < call->count; t += BLOCK)
            lcvi_taps_write(call->filter, call, row, t, call->count - t < BLOCK ? call->count - t : BLOCK,
                            zeros);
}

static panel panel_of(const lcvi_gabor *net, const lcvi_filter_call *call, int64_t start)
{
    const int64_t left = kept_of(net, call) - start, most = (int64_t)BLOCK * BLOCKS;
    return (panel){.net = net,
                   .call = call,
                   .start = start,
                   .count = left < most ? left : most,
                   .memory = call->workspace};
}

static int64_t blocks_of(const panel *p)
{
    return (p->count + BLOCK - 1) / BLOCK;
}

void lcvi_gabor_evaluate(const lcvi_gabor *net, const lcvi_filter_call *call)
{
    for (int64_t start = 0; start < kept_of(net, call); start += (int64_t)BLOCK * BLOCKS) {
        panel p = panel_of(net, call, start);
        lcvi_filter_parallel(call->filter, call, blocks_of(&p), evaluate_block, &p);
    }
    write_zeros(call, net->filters, kept_of(net, call));
}

/* ---- Backward of a block: gradients by the arguments of all layers, sums of its shapes ---- */

/* u[k] = sum_row W_out[row][k] dtap[row], before the mask; the mask's gradient. */
static void through_out(const block *b)
{
    const lcvi_gabor *net = b->p->net;
    const lcvi_filter_call *call = b->p->call;
    const double *out = values_of(net, LCVI_GABOR_OUT), *h = b->h + net->depth * net->width * BLOCK;
    double dtap[BLOCK], dmask[BLOCK] = {0};
    memset(b->u, 0, (size_t)(net->width * BLOCK) * sizeof(double));
    for (int64_t row = 0; row < net->filters; row++) {
        lcvi_taps_read(call->filter, call, row, b->start, b->count, dtap);
        for (int64_t i = 0; i < b->count; i++)
            dmask[i] += dtap[i] * values_of(net, LCVI_GABOR_BIAS_OUT)[row];
        for (int64_t k = 0; k < net->width; k++)
            for (int64_t i = 0; i < b->count; i++)
                b->u[k * BLOCK + i] += out[row * net->width + k] * dtap[i];
    }
    for (int64_t k = 0; k < net->width; k++)
        for (int64_t i = 0; i < b->count; i++)
            dmask[i] += b->u[k * BLOCK + i] * h[k * BLOCK + i];
    double *sums = b->shapes + shapes_of_block(net) - 2;
    sums[0] = sums[1] = 0.0;
    for (int64_t i = 0; net->slots.parameter[LCVI_GABOR_MASK] >= 0 && i < b->count; i++) {
        const double *mask = values_of(net, LCVI_GABOR_MASK), offset = widths_from(mask, b->x[i]);
        if (mask[1] == 0.0 || b->mask[i] == 0.0)
            continue;
        sums[0] += dmask[i] * b->mask[i] * offset / mask[1];
        sums[1] += dmask[i] * b->mask[i] * offset * offset / mask[1];
    }
}

/* df: the gradient by the factor of one neuron. */
static void add_shapes(const block *b, int64_t neuron, const double *df)
{
    const lcvi_gabor *net = b->p->net;
    const double gamma = values_of(net, LCVI_GABOR_GAMMA)[neuron], mu = values_of(net, LCVI_GABOR_MU)[neuron];
    double *sums = b->shapes + neuron * SHAPES;
    for (int shape = 0; shape < SHAPES; shape++)
        sums[shape] = 0.0;
    for (int64_t i = 0; i < b->count; i++) {
        const double x = b->x[i], far = x - mu, bell = exp(-0.5 * gamma * gamma * far * far);
        const double angle =
            values_of(net, LCVI_GABOR_FREQUENCY)[neuron] * x + values_of(net, LCVI_GABOR_PHASE)[neuron];
        const double along = df[i] * bell * sin(angle), turn = df[i] * bell * cos(angle);
        sums[LCVI_GABOR_GAMMA] -= along * gamma * far * far;
        sums[LCVI_GABOR_MU] += along * gamma * gamma * far;
        sums[LCVI_GABOR_FREQUENCY] += turn * x;
        sums[LCVI_GABOR_PHASE] += turn;
    }
}

/* From the gradients by h of a layer, in u, to those by its arguments, and by h of the layer below, in u. */
static void through_layer(const block *b, int64_t layer)
{
    const lcvi_gabor *net = b->p->net;
    const int64_t width = net->width;
    double df[BLOCK];
    for (int64_t k = 0; k < width; k++) {
        const int64_t neuron = layer * width + k;
        const double *dh = b->u + k * BLOCK, *a = b->a + neuron * BLOCK;
        for (int64_t i = 0; i < b->count; i++) {
            df[i] = dh[i] * (layer > 0 ? a[i] : 1.0);
            b->da[neuron * BLOCK + i] = dh[i] * factor(net, neuron, b->x[i]);
        }
        add_shapes(b, neuron, df);
    }
    memset(b->u, 0, (size_t)(width * BLOCK) * sizeof(double));
    for (int64_t k = 0; layer > 0 && k < width; k++) {
        const double *row = values_of(net, LCVI_GABOR_HIDDEN) + ((layer - 1) * width + k) * width;
        const double *da = b->da + (layer * width + k) * BLOCK;
        for (int64_t m = 0; m < width; m++)
            for (int64_t i = 0; i < b->count; i++)
                b->u[m * BLOCK + i] += row[m] * da[i];
    }
}

static void backward_block(void *arg, int64_t index)
{
    const panel *p = arg;
    const block b = block_of(p, index, true);
    run_block(&b);
    through_out(&b);
    for (int64_t k = 0; k < p->net->width; k++)
        for (int64_t i = 0; i < b.count; i++)
            b.u[k * BLOCK + i] *= b.mask[i];
    for (int64_t layer = p->net->depth; layer >= 0; layer--)
        through_layer(&b, layer);
}

/* ---- Backward of a panel: sums over its positions, in their order ---- */

/* values[k] += sum over positions of d[position] h[k][position], and the sum of d itself. */
static double add_products(const panel *p, int64_t index, int64_t layer, const double *d, double *values)
{
    const block b = block_of(p, index, true);
    const double *h = b.h + layer * p->net->width * BLOCK;
    double total = 0.0;
    for (int64_t k = 0; k < p->net->width; k++) {
        double sum = 0.0;
        for (int64_t i = 0; i < b.count; i++)
            sum += d[i] * h[k * BLOCK + i];
        values[k] += sum;
    }
    for (int64_t i = 0; i < b.count; i++)
        total += d[i];
    return total;
}

/* A row of W_out with its bias. */
static void sum_out(void *arg, int64_t row)
{
    const panel *p = arg;
    const lcvi_gabor *net = p->net;
    double *values = p->sums + net->first[LCVI_GABOR_OUT] + row * net->width, dtap[BLOCK];
    for (int64_t index = 0; index < blocks_of(p); index++) {
        const block b = block_of(p, index, true);
        lcvi_taps_read(p->call->filter, p->call, row, b.start, b.count, dtap);
        for (int64_t i = 0; i < b.count; i++)
            dtap[i] *= b.mask[i];
        p->sums[net->first[LCVI_GABOR_BIAS_OUT] + row] += add_products(p, index, net->depth, dtap, values);
    }
}

/* A row of W_1 and on, with its bias. */
static void sum_hidden(void *arg, int64_t row)
{
    const panel *p = arg;
    const lcvi_gabor *net = p->net;
    double *values = p->sums + net->first[LCVI_GABOR_HIDDEN] + row * net->width;
    for (int64_t index = 0; index < blocks_of(p); index++) {
        const block b = block_of(p, index, true);
        p->sums[net->first[LCVI_GABOR_BIAS] + row] +=
            add_products(p, index, row / net->width, b.da + (row + net->width) * BLOCK, values);
    }
}

static void sum_shapes(const panel *p)
{
    const lcvi_gabor *net = p->net;
    for (int64_t index = 0; index < blocks_of(p); index++) {
        const block b = block_of(p, index, true);
        for (int64_t neuron = 0; neuron < layers_of(net) * net->width; neuron++)
            for (int shape = 0; shape < SHAPES; shape++)
                p->sums[net->first[shape] + neuron] += b.shapes[neuron * SHAPES + shape];
        for (int i = 0; net->slots.parameter[LCVI_GABOR_MASK] >= 0 && i < 2; i++)
            p->sums[net->first[LCVI_GABOR_MASK] + i] += b.shapes[shapes_of_block(net) - 2 + i];
    }
}

void lcvi_gabor_backward(const lcvi_gabor *net, const lcvi_filter_call *call)
{
    double *sums = (double *)call->workspace + rows_of_block(net, true) * BLOCK * BLOCKS;
    memset(sums, 0, (size_t)net->first[LCVI_GABOR_SLOTS] * sizeof *sums);
    for (int64_t start = 0; start < kept_of(net, call); start += (int64_t)BLOCK * BLOCKS) {
        panel p = panel_of(net, call, start);
        p.sums = sums;
        lcvi_filter_parallel(call->filter, call, blocks_of(&p), backward_block, &p);
        lcvi_filter_parallel(call->filter, call, net->filters, sum_out, &p);
        lcvi_filter_parallel(call->filter, call, net->depth * net->width, sum_hidden, &p);
        sum_shapes(&p);
    }
    for (int slot = 0; slot < LCVI_GABOR_SLOTS; slot++)
        lcvi_sink_write(lcvi_slot_gradient(call, slot), 0, net->first[slot + 1] - net->first[slot],
                        sums + net->first[slot]);
}
