/* SPDX-License-Identifier: BSD-3-Clause */
/* Family implicit_mlp: formulas in longconv/backend.h. Source of the filter: Poli et al., Hyena Hierarchy
 * (2023); the gradients are those of its formulas. */
#include "ref_mlp.h"
#include "../size.h"
#include "ref_rows.h"

#include <math.h>
#include <string.h>

/* Scratch memory of one position, and the sums of a backward call. */
typedef struct {
    const lcv_filter_problem *problem;
    const lcv_mlp_problem *mlp;
    const lcv_filter_call *call;
    int64_t last;             /* columns of weight_out */
    double *features;         /* [features] */
    double *before, *after;   /* [layers, width]: arguments (before frequency) and values of the sines */
    double *o, *window, *q;   /* [filters] */
    double *g, *grad, *below; /* [filters], [widest], [widest] */
    double *in, *hidden, *out, *bias, *freq, *decay, *norm_weight,
        *norm_bias; /* sums, in the gradients' shapes */
} position;

static double value(const position *p, const void *array, int64_t index)
{
    return p->problem->dtype == LCV_F64 ? ((const double *)array)[index]
                                        : (double)((const float *)array)[index];
}

static int64_t widest_of(const lcv_mlp_problem *mlp)
{
    return mlp->width > mlp->features ? mlp->width : mlp->features;
}

/* ---- Memory ---- */

/* Counts (memory NULL) or places the next array of a x b x c doubles. */
static bool take(double *memory, int64_t *used, int64_t a, int64_t b, int64_t c, double **array)
{
    int64_t count;
    if (!lcvi_mul(a, b, &count) || !lcvi_mul(count, c, &count))
        return false;
    if (memory != NULL)
        *array = memory + *used;
    return lcvi_add(*used, count, used);
}

static bool lay_out(position *p, double *memory, bool backward, int64_t *used)
{
    const lcv_mlp_problem *m = p->mlp;
    const int64_t filters = p->problem->filters, hidden = m->layers > 1 ? m->layers - 1 : 0;
    *used = 0;
    if (!take(memory, used, m->features, 1, 1, &p->features) ||
        !take(memory, used, m->layers, m->width, 1, &p->before) ||
        !take(memory, used, m->layers, m->width, 1, &p->after) || !take(memory, used, filters, 1, 1, &p->o) ||
        !take(memory, used, filters, 1, 1, &p->window) || !take(memory, used, filters, 1, 1, &p->q))
        return false;
    return !backward ||
           (take(memory, used, filters, 1, 1, &p->g) && take(memory, used, widest_of(m), 1, 1, &p->grad) &&
            take(memory, used, widest_of(m), 1, 1, &p->below) &&
            take(memory, used, m->width, m->features, 1, &p->in) &&
            take(memory, used, hidden, m->width, m->width, &p->hidden) &&
            take(memory, used, filters, p->last, 1, &p->out) &&
            take(memory, used, m->layers, m->width, 1, &p->bias) &&
            take(memory, used, m->layers, m->width, 1, &p->freq) &&
            take(memory, used, filters, 1, 1, &p->decay) &&
            take(memory, used, filters, 1, 1, &p->norm_weight) &&
            take(memory, used, filters, 1, 1, &p->norm_bias));
}

static position position_of(const lcv_filter_problem *problem, const lcv_filter_call *call)
{
    const lcv_mlp_problem *mlp = problem->details;
    return (position){
        .problem = problem, .mlp = mlp, .call = call, .last = mlp->layers > 0 ? mlp->width : mlp->features};
}

bool lcvi_ref_mlp_workspace(const lcv_filter_problem *problem, bool backward, size_t *bytes)
{
    position p = position_of(problem, NULL);
    int64_t used;
    return lay_out(&p, NULL, backward, &used) && lcvi_bytes(used, sizeof(double), bytes);
}

/* ---- One position ---- */

static void run_layer(const position *p, int64_t layer, const double *in, double *before, double *after)
{
    const lcv_mlp_problem *m = p->mlp;
    const int64_t inner = layer == 0 ? m->features : m->width;
    const void *weight = layer == 0 ? m->weight_in : m->weight_hidden;
    const int64_t first = layer == 0 ? 0 : (layer - 1) * m->width * m->width;
    for (int64_t j = 0; j < m->width; j++) {
        double sum = value(p, m->bias, layer * m->width + j);
        for (int64_t k = 0; k < inner; k++)
            sum += value(p, weight, first + j * inner + k) * in[k];
        before[j] = sum;
        after[j] =
            sin(m->freq_scale * value(p, m->sine_freq, (m->freq_per_layer ? layer * m->width : 0) + j) * sum);
    }
}

static double time_of(const position *p, int64_t t)
{
    return p->problem->max_len > 1 ? (double)t / (double)(p->problem->max_len - 1) : 0.0;
}

/* What goes into the last layer. */
static const double *last_in(const position *p)
{
    return p->mlp->layers > 0 ? p->after + (p->mlp->layers - 1) * p->mlp->width : p->features;
}

/* q: the taps before normalisation. window: its exponential alone. */
static void run_position(const position *p, int64_t t)
{
    const lcv_mlp_problem *m = p->mlp;
    const double *in = p->features;
    for (int64_t f = 0; f < m->features; f++)
        p->features[f] = value(p, m->posenc, t * m->features + f);
    for (int64_t layer = 0; layer < m->layers; layer++) {
        double *after = p->after + layer * m->width;
        run_layer(p, layer, in, p->before + layer * m->width, after);
        in = after;
    }
    for (int64_t c = 0; c < p->problem->filters; c++) {
        double sum = 0.0;
        for (int64_t k = 0; k < p->last; k++)
            sum += value(p, m->weight_out, c * p->last + k) * in[k];
        p->o[c] = sum;
        p->window[c] = 1.0;
        if (m->decay_rate != NULL)
            p->window[c] = exp(-fabs(value(p, m->decay_rate, c)) * time_of(p, t));
        p->q[c] = m->decay_rate != NULL ? sum * (p->window[c] + m->shift) : sum;
    }
}

/* ---- Normalisation ---- */

static double sum_of_magnitudes(const position *p)
{
    double sum = 0.0;
    for (int64_t c = 0; c < p->problem->filters; c++)
        sum += fabs(p->q[c]);
    return sum;
}

static void mean_and_inverse(const position *p, double *mean, double *inverse)
{
    const double filters = (double)p->problem->filters;
    double sum = 0.0, squares = 0.0;
    for (int64_t c = 0; c < p->problem->filters; c++)
        sum += p->q[c];
    *mean = sum / filters;
    for (int64_t c = 0; c < p->problem->filters; c++)
        squares += (p->q[c] - *mean) * (p->q[c] - *mean);
    *inverse = 1.0 / sqrt(squares / filters + p->mlp->norm_epsilon);
}

static void normalise(const position *p)
{
    const lcv_mlp_problem *m = p->mlp;
    const int64_t filters = p->problem->filters;
    double mean, inverse;
    if (m->norm == LCV_MLP_NORM_L1) {
        const double sum = sum_of_magnitudes(p);
        for (int64_t c = 0; sum > 0.0 && c < filters; c++)
            p->q[c] /= sum;
    } else if (m->norm == LCV_MLP_NORM_LAYER) {
        mean_and_inverse(p, &mean, &inverse);
        for (int64_t c = 0; c < filters; c++)
            p->q[c] = value(p, m->norm_weight, c) * (p->q[c] - mean) * inverse + value(p, m->norm_bias, c);
    }
}

/* g: from the gradient of the taps to that of q. */
static void unnormalise_l1(const position *p)
{
    const double sum = sum_of_magnitudes(p);
    double product = 0.0;
    for (int64_t c = 0; c < p->problem->filters; c++)
        product += p->g[c] * p->q[c];
    for (int64_t c = 0; sum > 0.0 && c < p->problem->filters; c++) {
        const double sign = (p->q[c] > 0.0) - (p->q[c] < 0.0);
        p->g[c] = (p->g[c] - sign * product / sum) / sum;
    }
}

static void unnormalise_layer(const position *p)
{
    const int64_t filters = p->problem->filters;
    double mean, inverse, slope = 0.0, product = 0.0;
    mean_and_inverse(p, &mean, &inverse);
    for (int64_t c = 0; c < filters; c++) {
        const double unit = (p->q[c] - mean) * inverse;
        p->norm_weight[c] += p->g[c] * unit;
        p->norm_bias[c] += p->g[c];
        p->g[c] *= value(p, p->mlp->norm_weight, c);
        slope += p->g[c];
        product += p->g[c] * unit;
    }
    for (int64_t c = 0; c < filters; c++)
        p->g[c] = inverse * (p->g[c] - (slope + (p->q[c] - mean) * inverse * product) / (double)filters);
}

/* ---- Gradients of one position ---- */

static void through_window(const position *p, int64_t t)
{
    for (int64_t c = 0; p->mlp->decay_rate != NULL && c < p->problem->filters; c++) {
        const double rate = value(p, p->mlp->decay_rate, c), sign = (rate > 0.0) - (rate < 0.0);
        p->decay[c] -= p->g[c] * p->o[c] * time_of(p, t) * p->window[c] * sign;
        p->g[c] *= p->window[c] + p->mlp->shift;
    }
}

static void through_last(const position *p)
{
    const double *in = last_in(p);
    memset(p->grad, 0, (size_t)p->last * sizeof *p->grad);
    for (int64_t c = 0; c < p->problem->filters; c++)
        for (int64_t k = 0; k < p->last; k++) {
            p->out[c * p->last + k] += p->g[c] * in[k];
            p->grad[k] += p->g[c] * value(p, p->mlp->weight_out, c * p->last + k);
        }
}

static void through_layer(const position *p, int64_t layer)
{
    const lcv_mlp_problem *m = p->mlp;
    const int64_t inner = layer == 0 ? m->features : m->width, first = layer * m->width;
    const int64_t matrix = layer == 0 ? 0 : (layer - 1) * m->width * m->width;
    const double *in = layer == 0 ? p->features : p->after + first - m->width;
    const void *weight = layer == 0 ? m->weight_in : m->weight_hidden;
    double *sum = layer == 0 ? p->in : p->hidden + matrix;
    memset(p->below, 0, (size_t)inner * sizeof *p->below);
    for (int64_t j = 0; j < m->width; j++) {
        const double scale = m->freq_scale * value(p, m->sine_freq, (m->freq_per_layer ? first : 0) + j);
        const double slope = p->grad[j] * cos(scale * p->before[first + j]);
        p->freq[first + j] += m->freq_scale * slope * p->before[first + j];
        p->bias[first + j] += scale * slope;
        for (int64_t k = 0; k < inner; k++) {
            sum[j * inner + k] += scale * slope * in[k];
            p->below[k] += scale * slope * value(p, weight, matrix + j * inner + k);
        }
    }
}

/* ---- Where results go ---- */

static lcvi_ref_row taps_at(const position *p, int64_t t)
{
    const lcv_array *taps = &p->call->taps;
    const int64_t offset = (t - p->call->first) * taps->stride[2];
    return (lcvi_ref_row){(char *)taps->data + offset * (int64_t)lcv_dtype_size(p->problem->dtype),
                          taps->stride[1], p->problem->dtype};
}

/* An array of a x b x c gradients. */
static void deliver(const position *p, const lcv_array *to, int64_t a, int64_t b, int64_t c,
                    const double *values)
{
    for (int64_t i = 0; to->data != NULL && i < a; i++)
        for (int64_t j = 0; j < b; j++)
            lcvi_ref_store(lcvi_ref_row_of(to, p->problem->dtype, i, j), c, values + (i * b + j) * c,
                           p->call->accumulate != 0);
}

static void deliver_posenc(const position *p, int64_t t, const double *values)
{
    const lcv_array *all = &((const lcv_mlp_gradients *)p->call->gradients)->posenc;
    const lcv_array to = {all->data, {0, all->stride[0], all->stride[1]}};
    if (to.data != NULL)
        lcvi_ref_store(lcvi_ref_row_of(&to, p->problem->dtype, 0, t), p->mlp->features, values,
                       p->call->accumulate != 0);
}

/* Positions outside the range have none. */
static void deliver_other_posenc(const position *p)
{
    memset(p->below, 0, (size_t)p->mlp->features * sizeof *p->below);
    for (int64_t t = 0; t < p->problem->max_len; t++)
        if (t < p->call->first || t >= p->call->first + p->call->count)
            deliver_posenc(p, t, p->below);
}

/* The axes of the gradients begin at stride[0]; those with fewer than three take the last ones of a row. */
static lcv_array flat(const lcv_array *to)
{
    return (lcv_array){to->data, {0, 0, to->stride[0]}};
}

static lcv_array matrix(const lcv_array *to)
{
    return (lcv_array){to->data, {0, to->stride[0], to->stride[1]}};
}

static void deliver_freq(const position *p, const lcv_array *to)
{
    const int64_t width = p->mlp->width, layers = p->mlp->layers;
    const lcv_array table = matrix(to), row = flat(to);
    if (p->mlp->freq_per_layer) {
        deliver(p, &table, 1, layers, width, p->freq);
        return;
    }
    for (int64_t j = 0; j < width; j++)
        for (int64_t m = 1; m < layers; m++)
            p->freq[j] += p->freq[m * width + j];
    deliver(p, &row, 1, 1, width, p->freq);
}

static void deliver_all(const position *p)
{
    const lcv_mlp_gradients *to = p->call->gradients;
    const int64_t width = p->mlp->width, filters = p->problem->filters;
    const lcv_array out = matrix(&to->weight_out), in = matrix(&to->weight_in), bias = matrix(&to->bias);
    const lcv_array decay = flat(&to->decay_rate);
    const lcv_array norm_weight = flat(&to->norm_weight), norm_bias = flat(&to->norm_bias);
    deliver(p, &out, 1, filters, p->last, p->out);
    deliver(p, &decay, 1, 1, filters, p->decay);
    deliver(p, &norm_weight, 1, 1, filters, p->norm_weight);
    deliver(p, &norm_bias, 1, 1, filters, p->norm_bias);
    deliver_other_posenc(p);
    if (p->mlp->layers == 0)
        return;
    deliver(p, &in, 1, width, p->mlp->features, p->in);
    deliver(p, &to->weight_hidden, p->mlp->layers - 1, width, width, p->hidden);
    deliver(p, &bias, 1, p->mlp->layers, width, p->bias);
    deliver_freq(p, &to->sine_freq);
}

/* ---- All positions ---- */

void lcvi_ref_mlp_evaluate(const lcv_filter_problem *problem, const lcv_filter_call *call)
{
    position p = position_of(problem, call);
    int64_t used;
    lay_out(&p, call->exec.workspace, false, &used);
    for (int64_t t = call->first; t < call->first + call->count; t++) {
        run_position(&p, t);
        normalise(&p);
        lcvi_ref_store(taps_at(&p, t), problem->filters, p.q, false);
    }
}

void lcvi_ref_mlp_backward(const lcv_filter_problem *problem, const lcv_filter_call *call)
{
    position p = position_of(problem, call);
    int64_t used;
    lay_out(&p, call->exec.workspace, true, &used);
    memset(p.in, 0, (size_t)(used - (p.in - p.features)) * sizeof(double));
    for (int64_t t = call->first; t < call->first + call->count; t++) {
        run_position(&p, t);
        lcvi_ref_load(taps_at(&p, t), problem->filters, 0.0, p.g);
        if (p.mlp->norm == LCV_MLP_NORM_L1)
            unnormalise_l1(&p);
        else if (p.mlp->norm == LCV_MLP_NORM_LAYER)
            unnormalise_layer(&p);
        through_window(&p, t);
        through_last(&p);
        for (int64_t layer = p.mlp->layers - 1; layer >= 0; layer--) {
            through_layer(&p, layer);
            double *other = p.grad;
            p.grad = p.below;
            p.below = other;
        }
        deliver_posenc(&p, t, p.grad);
    }
    deliver_all(&p);
}
