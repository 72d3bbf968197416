/* SPDX-License-Identifier: BSD-3-Clause */
/* mlp_backward.h: the gradients of one strip, added to the sums of its group. The activations are computed
 * again.
 */
#ifndef LCV_CPU_DENSE_MLP_BACKWARD_H
#define LCV_CPU_DENSE_MLP_BACKWARD_H

#include "mlp_forward.h"

/* What one strip is worked on with. */
typedef struct backward_strip {
    const lcv_mlp_job *job;
    span at;
    real *scratch, *sums;
    const real *last_in; /* what went into the last layer */
    bool normal;
    column_norms norms;
    real *first_sum, *second_sum; /* of normalisation's gradient, over the filters */
} backward_strip;

INLINE double sum_of_lanes(vec x)
{
    real lane[LANES];
    store(lane, x);
    for (int64_t half = LANES / 2; half > 0; half /= 2)
        for (int64_t i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return (double)lane[0];
}

INLINE double dot_rows(const real *a, const real *b)
{
    vec sum = splat(REAL(0.0));
    for (int64_t i = 0; i < STRIP; i += LANES)
        sum += load(a + i) * load(b + i);
    return sum_of_lanes(sum);
}

INLINE double sum_row(const real *a)
{
    vec sum = splat(REAL(0.0));
    for (int64_t i = 0; i < STRIP; i += LANES)
        sum += load(a + i);
    return sum_of_lanes(sum);
}

/* Gradients of the taps of some filters; zeros where none were asked for. */
static void load_taps(const backward_strip *b, int64_t first, int64_t count, real *to)
{
    const int64_t from = b->at.from, columns = b->at.to - from, stride = b->job->call->taps.stride[2];
    for (int64_t c = 0; c < count; c++) {
        const char *row = taps_at(b->job, &b->at, first + c);
        real *target = to + c * STRIP;
        memset(target, 0, (size_t)from * sizeof(real));
        memset(target + b->at.to, 0, (size_t)(STRIP - b->at.to) * sizeof(real));
        if (stride == 1)
            memcpy(target + from, row, (size_t)columns * sizeof(real));
        else
            for (int64_t i = 0; i < columns; i++)
                memcpy(target + from + i, row + i * stride * (int64_t)sizeof(real), sizeof(real));
    }
}

/* ---- Normalisation ---- */

/* The filters before normalisation, and the sums over them that its gradient needs. */
static void measure_gradients(const backward_strip *b)
{
    const lcv_mlp_job *job = b->job;
    const int64_t filters = job->problem->filters;
    real *q = b->scratch + job->scratch.out, *g = b->scratch + job->scratch.grad_out;
    const real *weight = job->mlp->norm_weight;
    for (int64_t chunk = 0; chunk < job->chunks; chunk++)
        run_chunk(job, &b->at, b->last_in, chunk, q + chunk * CHUNK * STRIP);
    measure_columns(job, q, &b->norms);
    memset(b->first_sum, 0, STRIP * sizeof(real));
    memset(b->second_sum, 0, STRIP * sizeof(real));
    for (int64_t first = 0; first < filters; first += CHUNK) {
        const int64_t count = smaller(CHUNK, filters - first);
        real one[STRIP] = {REAL(0.0)}, two[STRIP] = {REAL(0.0)};
        load_taps(b, first, count, g);
        for (int64_t c = 0; c < count; c++)
            for (int64_t i = 0; i < STRIP; i++) {
                const real x = q[(first + c) * STRIP + i];
                const real slope = weight != NULL ? g[c * STRIP + i] * weight[first + c] : g[c * STRIP + i];
                one[i] += slope;
                two[i] += weight != NULL ? slope * ((x - b->norms.mean[i]) * b->norms.inverse[i]) : slope * x;
            }
        for (int64_t i = 0; i < STRIP; i++) {
            b->first_sum[i] += one[i];
            b->second_sum[i] += two[i];
        }
    }
}

/* k = q / S: qbar = kbar / S - sign(q) sum(kbar q) / S^2. */
static void unnormalise_l1(const backward_strip *b, const real *q, real *g)
{
    const real *sum = b->norms.sum, *product = b->second_sum;
    for (int64_t i = 0; i < STRIP; i++) {
        const real sign = q[i] > REAL(0.0) ? REAL(1.0) : q[i] < REAL(0.0) ? REAL(-1.0) : REAL(0.0);
        if (sum[i] > REAL(0.0))
            g[i] = (g[i] - sign * (product[i] / sum[i])) / sum[i];
    }
}

static void unnormalise_layer(const backward_strip *b, int64_t c, const real *q, real *g)
{
    const lcv_mlp_job *job = b->job;
    const real share = REAL(1.0) / (real)job->problem->filters,
               weight = ((const real *)job->mlp->norm_weight)[c];
    real unit[STRIP];
    for (int64_t i = 0; i < STRIP; i++)
        unit[i] = (q[i] - b->norms.mean[i]) * b->norms.inverse[i];
    doubles_at(b->sums + job->sums.norm_weight)[c] += dot_rows(g, unit);
    doubles_at(b->sums + job->sums.norm_bias)[c] += sum_row(g);
    for (int64_t i = 0; i < STRIP; i++)
        g[i] = b->norms.inverse[i] * (g[i] * weight - share * (b->first_sum[i] + unit[i] * b->second_sum[i]));
}

/* ---- The decay window ---- */

/* d loss / d rate = - sum qbar o t exp(-t |rate|) sign(rate), with t = position / (max_len - 1). */
static void sum_decay(const backward_strip *b, int64_t first, int64_t count, const real *g,
                      const real *window, real *o)
{
    const lcv_mlp_job *job = b->job;
    const real *rate = (const real *)job->mlp->decay_rate + first;
    const int64_t steps = job->problem->max_len > 1 ? job->problem->max_len - 1 : 1;
    double *sum = doubles_at(b->sums + job->sums.decay) + first;
    multiply_chunk(job, b->last_in, first / CHUNK, o);
    for (int64_t c = 0; c < count; c++) {
        const real sign = rate[c] > REAL(0.0) ? REAL(1.0) : rate[c] < REAL(0.0) ? REAL(-1.0) : REAL(0.0);
        double of_row = 0.0;
        for (int64_t i = 0; i < STRIP; i++)
            of_row += (double)(g[c * STRIP + i] * o[c * STRIP + i] * window[c * STRIP + i]) *
                      (double)(b->at.begin + i);
        sum[c] -= (double)sign * of_row / (double)steps;
    }
}

/* g becomes the gradient of o. */
static void through_window(const backward_strip *b, int64_t first, int64_t count, real *g)
{
    const lcv_mlp_job *job = b->job;
    real *window = b->scratch + job->scratch.window;
    const vec shift = splat((real)job->mlp->shift);
    double factor[CHUNK + DLANES];
    fill_factors(job, &b->at, first, count, factor);
    for (int64_t c = 0; c < count; c++) {
        const real *step = shared_at(job, job->shared.step + (first + c) * STRIP);
        for (int64_t i = 0; i < STRIP; i += LANES)
            store(window + c * STRIP + i, splat((real)factor[c]) * load(step + i));
    }
    if (job->wanted->decay_rate.data != NULL)
        sum_decay(b, first, count, g, window, b->scratch + job->scratch.raw);
    for (int64_t i = 0; i < count * STRIP; i += LANES)
        store(g + i, load(g + i) * (load(window + i) + shift));
}

/* ---- Layers ---- */

/* to += left (rows x STRIP) times the transpose of `other` (columns x STRIP); left is packed. */
static void add_product(const backward_strip *b, const real *left, int64_t rows, const real *other,
                        int64_t columns, real *to, int64_t to_step)
{
    real *right = b->scratch + b->job->scratch.right;
    for (int64_t j = 0; j < columns; j += TILE_COLUMNS) {
        pack_turned_panel(other + j * STRIP, smaller(TILE_COLUMNS, columns - j), right);
        multiply(&(lcv_dense_product){
            .inner = STRIP,
            .left = left,
            .left_panels = tiles(rows, TILE_ROWS),
            .left_panel = STRIP * TILE_ROWS,
            .right = right,
            .right_panels = 1,
            .right_panel = 0,
            .right_step = TILE_COLUMNS,
            .to = to + j,
            .to_step = to_step,
            .add = true,
        });
    }
}

/* The last layer: its sums, and the gradient of what goes into it. */
static void last_layer(const backward_strip *b, real *grad)
{
    const lcv_mlp_job *job = b->job;
    const int64_t filters = job->problem->filters, last = job->last;
    real *left = b->scratch + job->scratch.left, *g = b->scratch + job->scratch.grad_out;
    pack(b->last_in, STRIP, 1, last, STRIP, TILE_ROWS, left);
    for (int64_t first = 0; first < filters; first += CHUNK) {
        const int64_t count = smaller(CHUNK, filters - first);
        const real *q = b->scratch + job->scratch.out + first * STRIP;
        load_taps(b, first, count, g);
        for (int64_t c = 0; b->normal && c < count; c++)
            if (job->mlp->norm == LCV_MLP_NORM_L1)
                unnormalise_l1(b, q + c * STRIP, g + c * STRIP);
            else
                unnormalise_layer(b, first + c, q + c * STRIP, g + c * STRIP);
        if (job->mlp->decay_rate != NULL)
            through_window(b, first, count, g);
        add_product(b, left, last, g, count, b->sums + job->sums.out + first, job->sums.out_step);
        multiply_strip(shared_at(job, job->shared.turned_out + first * TILE_ROWS), filters * TILE_ROWS, last,
                       count, g, grad, first > 0);
    }
}

/* From the gradient of sin(scale x) to that of x, with the sums of frequency and bias. */
static void through_sines(const backward_strip *b, int64_t layer, const real *before, real *grad)
{
    const lcv_mlp_job *job = b->job;
    const int64_t width = job->mlp->width;
    const double *scale = doubles_at(shared_at(job, job->shared.scale)) + layer * width;
    double *freq = doubles_at(b->sums + job->sums.freq) + layer * width;
    double *bias = doubles_at(b->sums + job->sums.bias) + layer * width;
    real cosine[STRIP];
    for (int64_t j = 0; j < width; j++) {
        const real *x = before + j * STRIP;
        real *g = grad + j * STRIP;
        waves(x, scale[j], true, STRIP, cosine);
        for (int64_t i = 0; i < STRIP; i += LANES)
            store(cosine + i, load(cosine + i) * load(g + i));
        freq[j] += dot_rows(cosine, x);
        for (int64_t i = 0; i < STRIP; i += LANES)
            store(g + i, load(cosine + i) * splat((real)scale[j]));
        bias[j] += sum_row(g);
    }
}

static void store_posenc(const backward_strip *b, const real *grad)
{
    const lcv_array *to = &b->job->wanted->posenc;
    for (int64_t f = 0; f < b->job->mlp->features; f++)
        for (int64_t i = b->at.from; i < b->at.to; i++) {
            char *place = (char *)to->data +
                          ((b->at.begin + i) * to->stride[0] + f * to->stride[1]) * (int64_t)sizeof(real);
            real before = REAL(0.0);
            if (b->job->call->accumulate)
                memcpy(&before, place, sizeof before);
            before += grad[f * STRIP + i];
            memcpy(place, &before, sizeof before);
        }
}

/* One layer of sines: its sums; then `below` is the gradient of what goes into it. */
static void one_layer(const backward_strip *b, int64_t layer, real *grad, real *below)
{
    const lcv_mlp_job *job = b->job;
    const lcv_mlp_sums *s = &job->sums;
    const int64_t width = job->mlp->width, features = job->mlp->features;
    const int64_t matrix = tiles(width, TILE_ROWS) * TILE_ROWS * STRIP;
    real *left = b->scratch + job->scratch.left, *after = b->scratch + job->scratch.after;
    through_sines(b, layer, b->scratch + job->scratch.before + layer * matrix, grad);
    pack(grad, STRIP, 1, width, STRIP, TILE_ROWS, left);
    if (layer > 0) {
        add_product(b, left, width, after + (layer - 1) * matrix, width,
                    b->sums + s->hidden + (layer - 1) * s->hidden_size, s->hidden_step);
        multiply_strip(shared_at(job, job->shared.turned_hidden + (layer - 1) * job->shared.hidden_size),
                       width * TILE_ROWS, width, width, grad, below, false);
    } else {
        add_product(b, left, width, b->scratch + job->scratch.features, features, b->sums + s->in,
                    s->in_step);
        if (job->wanted->posenc.data != NULL)
            multiply_strip(shared_at(job, job->shared.turned_in), width * TILE_ROWS, features, width, grad,
                           below, false);
    }
}

static void run_backward(const lcv_mlp_job *job, int64_t strip, real *scratch, real *sums)
{
    real *norm = scratch + job->scratch.norm, *grad = scratch + job->scratch.grad;
    const int64_t rows = job->last > job->mlp->features ? job->last : job->mlp->features;
    real *below = grad + tiles(rows, TILE_ROWS) * TILE_ROWS * STRIP;
    backward_strip b = {.job = job,
                        .at = span_of(job, strip),
                        .scratch = scratch,
                        .sums = sums,
                        .normal = job->mlp->norm != LCV_MLP_NORM_NONE,
                        .norms = norms_at(job, scratch),
                        .first_sum = norm + (int64_t)2 * STRIP,
                        .second_sum = norm + (int64_t)3 * STRIP};
    b.last_in = run_layers(job, &b.at, scratch, true);
    if (b.normal)
        measure_gradients(&b);
    last_layer(&b, grad);
    for (int64_t layer = job->mlp->layers - 1; layer >= 0; layer--) {
        one_layer(&b, layer, grad, below);
        real *other = grad;
        grad = below;
        below = other;
    }
    if (job->wanted->posenc.data != NULL)
        store_posenc(&b, grad);
}

static void mlp_group(const lcv_mlp_job *job, int64_t group, void *scratch)
{
    real *sums = (real *)(void *)job->sums_memory + group * job->sums.size;
    memset(sums, 0, (size_t)job->sums.size * sizeof(real));
    for (int64_t i = job->strips * group / job->groups; i < job->strips * (group + 1) / job->groups; i++)
        run_backward(job, i, scratch, sums);
}

/* ---- The end: groups are added, in order ---- */

static double total_real(const lcv_mlp_job *job, int64_t offset)
{
    double sum = 0.0;
    for (int64_t g = 0; g < job->groups; g++)
        sum += (double)((const real *)(const void *)job->sums_memory)[g * job->sums.size + offset];
    return sum;
}

static double total_double(const lcv_mlp_job *job, int64_t offset, int64_t index)
{
    double sum = 0.0;
    for (int64_t g = 0; g < job->groups; g++)
        sum += doubles_at((real *)(void *)job->sums_memory + g * job->sums.size + offset)[index];
    return sum;
}

static void put(const lcv_mlp_job *job, const lcv_array *to, int64_t i, int64_t j, int64_t k, double value)
{
    char *place = (char *)to->data +
                  (i * to->stride[0] + j * to->stride[1] + k * to->stride[2]) * (int64_t)sizeof(real);
    real number;
    memcpy(&number, place, sizeof number);
    number = (real)(job->call->accumulate ? (double)number + value : value);
    memcpy(place, &number, sizeof number);
}

static void finish_chunk(const lcv_mlp_job *job, int64_t chunk)
{
    const lcv_mlp_gradients *to = job->wanted;
    const int64_t first = chunk * CHUNK, end = smaller(job->problem->filters, first + CHUNK);
    for (int64_t c = first; c < end; c++) {
        for (int64_t j = 0; to->weight_out.data != NULL && j < job->last; j++)
            put(job, &to->weight_out, c, j, 0, total_real(job, job->sums.out + j * job->sums.out_step + c));
        if (to->decay_rate.data != NULL)
            put(job, &to->decay_rate, c, 0, 0, total_double(job, job->sums.decay, c));
        if (to->norm_weight.data != NULL)
            put(job, &to->norm_weight, c, 0, 0, total_double(job, job->sums.norm_weight, c));
        if (to->norm_bias.data != NULL)
            put(job, &to->norm_bias, c, 0, 0, total_double(job, job->sums.norm_bias, c));
    }
}

static void finish_matrices(const lcv_mlp_job *job)
{
    const lcv_mlp_gradients *to = job->wanted;
    const lcv_mlp_sums *s = &job->sums;
    const int64_t width = job->mlp->width;
    for (int64_t i = 0; i < width; i++) {
        for (int64_t j = 0; to->weight_in.data != NULL && j < job->mlp->features; j++)
            put(job, &to->weight_in, i, j, 0, total_real(job, s->in + i * s->in_step + j));
        for (int64_t m = 0; to->weight_hidden.data != NULL && m < job->mlp->layers - 1; m++)
            for (int64_t j = 0; j < width; j++)
                put(job, &to->weight_hidden, m, i, j,
                    total_real(job, s->hidden + m * s->hidden_size + i * s->hidden_step + j));
    }
}

static void finish_vectors(const lcv_mlp_job *job)
{
    const lcv_mlp_gradients *to = job->wanted;
    const int64_t width = job->mlp->width, layers = job->mlp->layers;
    for (int64_t j = 0; j < width; j++) {
        double shared = 0.0;
        for (int64_t m = 0; m < layers; m++) {
            const double freq = job->mlp->freq_scale * total_double(job, job->sums.freq, m * width + j);
            if (to->bias.data != NULL)
                put(job, &to->bias, m, j, 0, total_double(job, job->sums.bias, m * width + j));
            if (to->sine_freq.data != NULL && job->mlp->freq_per_layer)
                put(job, &to->sine_freq, m, j, 0, freq);
            shared += freq;
        }
        if (to->sine_freq.data != NULL && !job->mlp->freq_per_layer)
            put(job, &to->sine_freq, j, 0, 0, shared);
    }
}

/* Positions that were not asked for have no gradient. */
static void finish_posenc(const lcv_mlp_job *job)
{
    const int64_t first = job->call->first, end = first + job->call->count;
    for (int64_t t = 0; job->wanted->posenc.data != NULL && t < job->problem->max_len; t++)
        for (int64_t f = 0; (t < first || t >= end) && f < job->mlp->features; f++)
            put(job, &job->wanted->posenc, t, f, 0, 0.0);
}

static void mlp_finish(const lcv_mlp_job *job, int64_t piece)
{
    if (piece < job->chunks) {
        finish_chunk(job, piece);
        return;
    }
    finish_posenc(job);
    if (job->mlp->layers > 0) {
        finish_matrices(job);
        finish_vectors(job);
    }
}

#endif
