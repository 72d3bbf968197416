/* SPDX-License-Identifier: BSD-3-Clause */
/* mlp_forward.h: the taps of one strip. */
#ifndef LCV_CPU_DENSE_MLP_FORWARD_H
#define LCV_CPU_DENSE_MLP_FORWARD_H

#include "mlp_common.h"

enum { STREAM_BYTES = 1 << 23 };

enum { WIDE_SUMS = 6 }; /* vectors of doubles that the registers hold beside a weight and features */

_Static_assert(STRIP % (WIDE_SUMS * DLANES) == 0, "a strip is whole blocks of wide sums");

/* Columns that are not asked for are zeros. */
static void load_features(const lcv_mlp_job *job, const span *at, real *to)
{
    const int64_t features = job->mlp->features;
    const real *from = (const real *)job->mlp->posenc + at->begin * features;
    for (int64_t f = 0; f < features; f++)
        for (int64_t i = 0; i < STRIP; i++)
            to[f * STRIP + i] = i >= at->from && i < at->to ? from[i * features + f] : REAL(0.0);
}

INLINE bool any_lane(ivec mask)
{
    lane_int any = 0;
    for (int64_t i = 0; i < LANES; i++)
        any |= mask[i];
    return any != 0;
}

/* to = sin(scale x) or cos(scale x) of `count` whole vectors' reals; x may be `to`. */
INLINE void waves(const real *x, double scale, bool cosine, int64_t count, real *to)
{
    real kept[STRIP];
    ivec far = isplat(0);
    for (int64_t i = 0; i < count; i += LANES) {
        const vec value = load(x + i);
        store(kept + i, value);
        far |= far_mask(value, scale);
        store(to + i, cosine ? scaled_cosine(value, scale) : scaled_sine(value, scale));
    }
    for (int64_t i = 0; any_lane(far) && i < count; i++) {
        const double y = (double)kept[i] * scale;
        if (is_far(kept[i], scale))
            to[i] = (real)(cosine ? cos(y) : sin(y));
    }
}

/* before += bias, after = sin(scale before), for one layer. */
static void activate(const lcv_mlp_job *job, int64_t layer, real *before, real *after)
{
    const int64_t width = job->mlp->width;
    const real *bias = (const real *)job->mlp->bias + layer * width;
    const double *scale = doubles_at(shared_at(job, job->shared.scale)) + layer * width;
    for (int64_t j = 0; j < width; j++) {
        real *row = before + j * STRIP;
        for (int64_t i = 0; i < STRIP; i += LANES)
            store(row + i, load(row + i) + splat(bias[j]));
        waves(row, scale[j], false, STRIP, after + j * STRIP);
    }
}

#if !REAL_IS_DOUBLE

/* The rounding errors of the first layer grow from layer to layer, by about the frequency each time, and its
 * arguments are the largest. It is a small part of the work: in float32 its sums and arguments are doubles.
 */
INLINE void wide_sums(const double *z, const real *weight, double bias, int64_t features, dvec *sum)
{
    for (int v = 0; v < WIDE_SUMS; v++)
        sum[v] = dsplat(bias);
    for (int64_t f = 0; f < features; f++)
        for (int v = 0; v < WIDE_SUMS; v++)
            sum[v] += dsplat((double)weight[f]) * *(const loose_dvec *)(z + f * STRIP + v * DLANES);
}

static void wide_row(const double *z, const real *weight, double bias, int64_t features, double scale,
                     real *before, real *after)
{
    ivec far = isplat(0);
    for (int64_t i = 0; i < STRIP; i += (int64_t)WIDE_SUMS * DLANES) {
        dvec sum[WIDE_SUMS];
        wide_sums(z + i, weight, bias, features, sum);
        for (int v = 0; v < WIDE_SUMS; v += 2) {
            const reduced x = reduce_wide(sum[v] * dsplat(scale), sum[v + 1] * dsplat(scale));
            const vec rounded = JOIN(__builtin_convertvector(sum[v], half_vec),
                                     __builtin_convertvector(sum[v + 1], half_vec));
            far |= far_mask(rounded, scale);
            store(before + i + v * DLANES, rounded);
            store(after + i + v * DLANES, sine_of(x));
        }
    }
    for (int64_t i = 0; any_lane(far) && i < STRIP; i++)
        if (is_far(before[i], scale))
            after[i] = (real)sin((double)before[i] * scale);
}

static void first_layer(const lcv_mlp_job *job, const real *features, real *scratch, real *before,
                        real *after)
{
    const int64_t count = job->mlp->features;
    const real *weight = job->mlp->weight_in, *bias = job->mlp->bias;
    const double *scale = doubles_at(shared_at(job, job->shared.scale));
    double *wide = doubles_at(scratch + job->scratch.wide);
    for (int64_t i = 0; i < count * STRIP; i++)
        wide[i] = (double)features[i];
    for (int64_t j = 0; j < job->mlp->width; j++)
        wide_row(wide, weight + j * count, (double)bias[j], count, scale[j], before + j * STRIP,
                 after + j * STRIP);
}

#else

static void first_layer(const lcv_mlp_job *job, const real *features, real *scratch, real *before,
                        real *after)
{
    (void)scratch;
    multiply_strip(shared_at(job, job->shared.left_in), job->mlp->features * TILE_ROWS, job->mlp->width,
                   job->mlp->features, features, before, false);
    activate(job, 0, before, after);
}

#endif

/* The layers of sines. `keep`: every layer has its own matrices in `before` and `after`. Returns what goes
 * into the last layer. */
static const real *run_layers(const lcv_mlp_job *job, const span *at, real *scratch, bool keep)
{
    const lcv_mlp_problem *mlp = job->mlp;
    const lcv_mlp_shared *s = &job->shared;
    const int64_t width = mlp->width, matrix = tiles(width, TILE_ROWS) * TILE_ROWS * STRIP;
    real *features = scratch + job->scratch.features;
    const real *in = features;
    load_features(job, at, features);
    for (int64_t m = 0; m < mlp->layers; m++) {
        real *before = scratch + job->scratch.before + (keep ? m * matrix : 0);
        real *after = scratch + job->scratch.after + (keep ? m : m % 2) * matrix;
        if (m == 0) {
            first_layer(job, features, scratch, before, after);
        } else {
            multiply_strip(shared_at(job, s->left_hidden + (m - 1) * s->hidden_size), width * TILE_ROWS,
                           width, width, in, before, false);
            activate(job, m, before, after);
        }
        in = after;
    }
    return in;
}

/* A chunk of the last layer, without the window. */
static void multiply_chunk(const lcv_mlp_job *job, const real *in, int64_t chunk, real *to)
{
    const int64_t first = chunk * CHUNK, count = smaller(CHUNK, job->problem->filters - first);
    const real *left = shared_at(job, job->shared.left_out + first * job->last);
    multiply_strip(left, job->last * TILE_ROWS, count, job->last, in, to, false);
}

/* o *= factor step + shift */
INLINE void window_row(const real *step, real factor, real shift, real *o)
{
    for (int64_t i = 0; i < STRIP; i += LANES)
        store(o + i, load(o + i) * (splat(factor) * load(step + i) + splat(shift)));
}

static void run_chunk(const lcv_mlp_job *job, const span *at, const real *in, int64_t chunk, real *to)
{
    const int64_t first = chunk * CHUNK, count = smaller(CHUNK, job->problem->filters - first);
    double factor[CHUNK + DLANES];
    multiply_chunk(job, in, chunk, to);
    if (job->mlp->decay_rate == NULL)
        return;
    fill_factors(job, at, first, count, factor);
    for (int64_t c = 0; c < count; c++)
        window_row(shared_at(job, job->shared.step + (first + c) * STRIP), (real)factor[c],
                   (real)job->mlp->shift, to + c * STRIP);
}

/* ---- Where taps go ---- */

static char *taps_at(const lcv_mlp_job *job, const span *at, int64_t filter)
{
    const lcv_array *taps = &job->call->taps;
    const int64_t column = at->begin + at->from - job->call->first;
    return (char *)taps->data + (filter * taps->stride[1] + column * taps->stride[2]) * (int64_t)sizeof(real);
}

/* Whole vectors at aligned places go around the caches, what is before and after them does not. */
static void copy_around_caches(const real *from, int64_t count, real *to)
{
    const int64_t past = (int64_t)((uintptr_t)to / sizeof(real) % LANES), first = (LANES - past) % LANES;
    const int64_t head = smaller(first, count), whole = (count - head) / LANES * LANES;
    memcpy(to, from, (size_t)head * sizeof(real));
    for (int64_t i = head; i < head + whole; i += LANES)
        store_around_caches(to + i, load(from + i));
    memcpy(to + head + whole, from + head + whole, (size_t)(count - head - whole) * sizeof(real));
}

/* More taps than the caches keep are better written around them. */
static void store_taps(const lcv_mlp_job *job, const span *at, int64_t filter, const real *row)
{
    const int64_t columns = at->to - at->from, stride = job->call->taps.stride[2];
    const int64_t bytes = job->problem->filters * job->call->count * (int64_t)sizeof(real);
    char *to = taps_at(job, at, filter);
    row += at->from;
    if (stride == 1 && bytes >= STREAM_BYTES && (uintptr_t)to % sizeof(real) == 0)
        copy_around_caches(row, columns, (real *)(void *)to);
    else if (stride == 1)
        memcpy(to, row, (size_t)columns * sizeof(real));
    else
        for (int64_t i = 0; i < columns; i++)
            memcpy(to + i * stride * (int64_t)sizeof(real), row + i, sizeof(real));
}

/* ---- Normalisation: over the filters, at each position ---- */

/* What normalisation knows of each column. L1: `sum` is the sum of magnitudes. Layer: mean and 1 / deviation.
 */
typedef struct column_norms {
    real *sum, *mean, *inverse;
} column_norms;

static column_norms norms_at(const lcv_mlp_job *job, real *scratch)
{
    real *norm = scratch + job->scratch.norm;
    return (column_norms){norm, norm, norm + STRIP};
}

/* total[i] = sum over the filters of term(q), chunk by chunk: sums of sums lose less. */
#define SUM_OVER_FILTERS(total, term)                                                                        \
    memset(total, 0, STRIP * sizeof(real));                                                                  \
    for (int64_t first = 0; first < filters; first += CHUNK) {                                               \
        real part[STRIP] = {REAL(0.0)};                                                                      \
        for (int64_t c = first; c < smaller(filters, first + CHUNK); c++)                                    \
            for (int64_t i = 0; i < STRIP; i++)                                                              \
                part[i] += (term);                                                                           \
        for (int64_t i = 0; i < STRIP; i++)                                                                  \
            (total)[i] += part[i];                                                                           \
    }

static inline real magnitude(real x)
{
    return x < REAL(0.0) ? -x : x;
}

static void measure_columns(const lcv_mlp_job *job, const real *q, const column_norms *norms)
{
    const int64_t filters = job->problem->filters;
    const real share = REAL(1.0) / (real)filters;
    real *sum = norms->sum;
    if (job->mlp->norm == LCV_MLP_NORM_L1) {
        SUM_OVER_FILTERS(sum, magnitude(q[c * STRIP + i]))
        return;
    }
    real *mean = norms->mean, *inverse = norms->inverse;
    SUM_OVER_FILTERS(mean, q[c * STRIP + i])
    for (int64_t i = 0; i < STRIP; i++)
        mean[i] *= share;
    SUM_OVER_FILTERS(inverse, (q[c * STRIP + i] - mean[i]) * (q[c * STRIP + i] - mean[i]))
    for (int64_t i = 0; i < STRIP; i++)
        inverse[i] = (real)(1.0 / sqrt((double)(inverse[i] * share) + job->mlp->norm_epsilon));
}

static void normalise_row(const lcv_mlp_job *job, const column_norms *norms, int64_t c, real *q)
{
    if (job->mlp->norm == LCV_MLP_NORM_L1) {
        for (int64_t i = 0; i < STRIP; i++)
            q[i] = norms->sum[i] > REAL(0.0) ? q[i] / norms->sum[i] : q[i];
        return;
    }
    const real weight = ((const real *)job->mlp->norm_weight)[c],
               bias = ((const real *)job->mlp->norm_bias)[c];
    for (int64_t i = 0; i < STRIP; i++)
        q[i] = weight * ((q[i] - norms->mean[i]) * norms->inverse[i]) + bias;
}

static void deliver_normalised(const lcv_mlp_job *job, const span *at, real *scratch)
{
    real *q = scratch + job->scratch.out;
    const column_norms norms = norms_at(job, scratch);
    measure_columns(job, q, &norms);
    for (int64_t c = 0; c < job->problem->filters; c++) {
        normalise_row(job, &norms, c, q + c * STRIP);
        store_taps(job, at, c, q + c * STRIP);
    }
}

static void mlp_strip(const lcv_mlp_job *job, int64_t strip, void *memory)
{
    real *scratch = memory, *out = scratch + job->scratch.out;
    const int64_t filters = job->problem->filters;
    const bool normal = job->mlp->norm != LCV_MLP_NORM_NONE;
    const span at = span_of(job, strip);
    const real *in = run_layers(job, &at, scratch, false);
    for (int64_t chunk = 0; chunk < job->chunks; chunk++) {
        run_chunk(job, &at, in, chunk, normal ? out + chunk * CHUNK * STRIP : out);
        for (int64_t c = chunk * CHUNK; !normal && c < smaller(filters, (chunk + 1) * CHUNK); c++)
            store_taps(job, &at, c, out + (c - chunk * CHUNK) * STRIP);
    }
    if (normal)
        deliver_normalised(job, &at, scratch);
    finish_streams();
}

#endif
