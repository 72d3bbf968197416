/* SPDX-License-Identifier: BSD-3-Clause */
/* C - factor C M^length by repeated squaring of M, as a real matrix: a state (Re x, Im x) has 2 modes
 * numbers, and the output 2 Re(c x) is gamma (Re x, Im x) with gamma = (2 Re c, -2 Im c). With Pi = (Re P, Im
 * P),
 *
 *     A = blocks(poles) - 2 Pi Pi^T,   M = 2 (I - dt A / 2)^-1 - I,
 *     (I - dt A / 2)^-1 = D - dt D Pi (I + dt Pi^T D Pi)^-1 Pi^T D,   D = blocks(1 / (1 - dt poles / 2)).
 *
 * gamma M^length takes the factors M^(2^k) of the binary digits of `length`. The order of all sums is fixed.
 * Products of matrices are nearly all of the work; a backend that has them does them. */
#include "dplr.h"
#include "../matmul.h"
#include "../size.h"

#include <math.h>
#include <string.h>

enum { ROWS = 4, COLUMNS = 4 };

static const double negligible = 1e-140; /* matrices below it are zero: their squares would underflow */

typedef struct matrices {
    int64_t states, step; /* rows and columns in use, and as stored: a multiple of COLUMNS */
    int64_t length;
    int32_t digits;
    const lcvi_dplr *model;
    double *power;      /* forward: two of them; backward: M^(2^k) for all k */
    double *extra[4];   /* backward */
    double *vectors;    /* [outputs][step]: gamma times the powers so far; backward: [digits + 1] of those */
    double *row, *row2; /* [step] */
    const lcvi_backend *helper; /* whose products are used; NULL: ours */
    lcv_exec exec;              /* of its products */
} matrices;

/* ---- Memory ---- */

static int64_t step_of(const lcvi_dplr_shape *shape)
{
    return (2 * shape->modes + COLUMNS - 1) / COLUMNS * COLUMNS;
}

static int32_t digits_of(int64_t length)
{
    int32_t digits = 0;
    while (length > 0) {
        digits++;
        length /= 2;
    }
    return digits;
}

static lcv_matmul_params product_of(int64_t step)
{
    return (lcv_matmul_params){.left = LCV_F64,
                               .right = LCV_F64,
                               .c = LCV_F64,
                               .batch = 1,
                               .rows = step,
                               .columns = step,
                               .inner = step,
                               .num_threads = 1,
                               .fixed_order = 1};
}

/* NULL: the helper has no products, or none of this size. */
static const lcvi_backend *multiplier(const lcvi_backend *helper, int64_t step, size_t *bytes)
{
    const lcv_matmul_params product = product_of(step);
    *bytes = 0;
    return helper != NULL && helper->table->matmul != NULL &&
                   helper->table->matmul_query(helper->device, &product, bytes) == LCV_OK
               ? helper
               : NULL;
}

bool lcvi_dplr_power_work(const lcvi_backend *helper, const lcvi_dplr_shape *shape, int64_t length,
                          bool backward, int64_t *doubles)
{
    const int64_t step = step_of(shape), digits = digits_of(length);
    int64_t matrix, vectors;
    size_t bytes;
    multiplier(helper, step, &bytes);
    return lcvi_mul(step, step, &matrix) && lcvi_mul(matrix, backward ? digits + 4 : 2, &matrix) &&
           lcvi_mul(step, shape->outputs, &vectors) &&
           lcvi_mul(vectors, backward ? digits + 1 : 1, &vectors) && lcvi_add(vectors, 2 * step, &vectors) &&
           lcvi_add(vectors, (int64_t)(bytes / sizeof(double)) + 1, &vectors) &&
           lcvi_add(matrix, vectors, doubles);
}

static matrices matrices_in(const lcvi_backend *helper, const lcvi_dplr *model, int64_t length, bool backward,
                            double *work)
{
    matrices m = {
        .states = 2 * model->shape.modes, .step = step_of(&model->shape), .length = length, .model = model};
    const int64_t size = m.step * m.step;
    m.digits = digits_of(length);
    m.power = work;
    work += size * (backward ? m.digits : 2);
    for (int i = 0; i < 4 && backward; i++, work += size)
        m.extra[i] = work;
    m.vectors = work;
    work += m.step * model->shape.outputs * (backward ? m.digits + 1 : 1);
    m.row = work;
    m.row2 = work + m.step;
    m.helper = multiplier(helper, m.step, &m.exec.workspace_bytes);
    m.exec.workspace = m.row2 + m.step;
    return m;
}

/* ---- Products ---- */

/* A tile of c = a b (+ c). */
static void multiply_tile(int64_t step, const double *a, const double *b, double *c, bool adds)
{
    double sum[ROWS][COLUMNS] = {{0}};
    for (int64_t k = 0; k < step; k++)
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < COLUMNS; j++)
                sum[i][j] += a[i * step + k] * b[k * step + j];
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++)
            c[i * step + j] = sum[i][j] + (adds ? c[i * step + j] : 0.0);
}

static void multiply(const matrices *m, double *a, double *b, double *c, bool adds)
{
    const int64_t step = m->step;
    if (m->helper != NULL) {
        const lcv_matmul_params product = product_of(step);
        const lcv_matmul_call call = {.left = {a, {0, step, 1}},
                                      .right = {b, {0, step, 1}},
                                      .c = {c, {0, step, 1}},
                                      .accumulate = adds,
                                      .exec = m->exec};
        lcvi_matmul(m->helper, &product, &call);
        return;
    }
    for (int64_t j = 0; j < step; j += COLUMNS)
        for (int64_t i = 0; i < step; i += ROWS)
            multiply_tile(step, a + i * step, b + j, c + i * step + j, adds);
}

static void transpose(int64_t step, const double *a, double *out)
{
    for (int64_t i = 0; i < step; i++)
        for (int64_t j = 0; j < step; j++)
            out[j * step + i] = a[i * step + j];
}

/* out = vector a */
static void vector_times(int64_t step, const double *vector, const double *a, double *out)
{
    memset(out, 0, (size_t)step * sizeof *out);
    for (int64_t k = 0; k < step; k++)
        for (int64_t j = 0; j < step; j++)
            out[j] += vector[k] * a[k * step + j];
}

/* out = a vector */
static void times_vector(int64_t step, const double *a, const double *vector, double *out)
{
    for (int64_t i = 0; i < step; i++) {
        double sum = 0.0;
        for (int64_t k = 0; k < step; k++)
            sum += a[i * step + k] * vector[k];
        out[i] = sum;
    }
}

static bool vanishes(int64_t step, const double *a)
{
    for (int64_t i = 0; i < step * step; i++)
        if (!(fabs(a[i]) < negligible))
            return false;
    return true;
}

/* ---- M ---- */

static lcvi_number resolvent(const lcvi_dplr *model, int64_t n)
{
    const double half = 0.5 * *model->dt;
    return lcvi_reciprocal((lcvi_number){1.0 - half * model->pole[n].re, -half * model->pole[n].im});
}

/* Pi^T D Pi of two vectors of P, in one number: the real part. */
static double inner(const lcvi_dplr *model, const lcvi_number *left, const lcvi_number *right)
{
    double sum = 0.0;
    for (int64_t n = 0; n < model->shape.modes; n++)
        sum += lcvi_conj_times(left[n], lcvi_times(resolvent(model, n), right[n])).re;
    return sum;
}

/* dt (I + dt Pi^T D Pi)^-1 */
static void invert_correction(const lcvi_dplr *model, double inverse[LCVI_DPLR_MAX_RANK][LCVI_DPLR_MAX_RANK])
{
    const double dt = *model->dt;
    const int64_t modes = model->shape.modes;
    double g[LCVI_DPLR_MAX_RANK][LCVI_DPLR_MAX_RANK] = {{1.0, 0.0}, {0.0, 1.0}};
    for (int32_t i = 0; i < model->shape.rank; i++)
        for (int32_t j = 0; j < model->shape.rank; j++)
            g[i][j] += dt * inner(model, model->p + i * modes, model->p + j * modes);
    const double scale = dt / (g[0][0] * g[1][1] - g[0][1] * g[1][0]);
    inverse[0][0] = scale * g[1][1];
    inverse[1][1] = scale * g[0][0];
    inverse[0][1] = -scale * g[0][1];
    inverse[1][0] = -scale * g[1][0];
}

/* out -= factor left right^T where left = D Pi_i and right = D^T Pi_j */
static void subtract_product(const matrices *m, double factor, const lcvi_number *pi, const lcvi_number *pj,
                             double *out)
{
    const int64_t modes = m->model->shape.modes, step = m->step;
    for (int64_t n = 0; n < modes; n++) {
        const lcvi_number d = resolvent(m->model, n);
        const lcvi_number left = lcvi_times(d, pi[n]), right = lcvi_conj_times(d, pj[n]);
        m->row[n] = factor * left.re;
        m->row[modes + n] = factor * left.im;
        m->row2[n] = right.re;
        m->row2[modes + n] = right.im;
    }
    for (int64_t i = 0; i < m->states; i++)
        for (int64_t j = 0; j < m->states; j++)
            out[i * step + j] -= m->row[i] * m->row2[j];
}

/* E = (I - dt A / 2)^-1 */
static void fill_resolvent(const matrices *m, double *out)
{
    const lcvi_dplr *model = m->model;
    const int64_t modes = model->shape.modes, step = m->step;
    double g[LCVI_DPLR_MAX_RANK][LCVI_DPLR_MAX_RANK];
    memset(out, 0, (size_t)(step * step) * sizeof *out);
    invert_correction(model, g);
    for (int64_t n = 0; n < modes; n++) {
        const lcvi_number d = resolvent(model, n);
        out[n * step + n] = out[(modes + n) * step + modes + n] = d.re;
        out[n * step + modes + n] = -d.im;
        out[(modes + n) * step + n] = d.im;
    }
    for (int32_t i = 0; i < model->shape.rank; i++)
        for (int32_t j = 0; j < model->shape.rank; j++)
            subtract_product(m, g[i][j], model->p + i * modes, model->p + j * modes, out);
}

/* M = 2 E - I */
static void fill_transition(const matrices *m, double *out)
{
    fill_resolvent(m, out);
    for (int64_t i = 0; i < m->states; i++)
        for (int64_t j = 0; j < m->states; j++)
            out[i * m->step + j] = 2.0 * out[i * m->step + j] - (i == j ? 1.0 : 0.0);
}

static void load_gamma(const matrices *m, double *out)
{
    const int64_t modes = m->model->shape.modes;
    memset(out, 0, (size_t)(m->step * m->model->shape.outputs) * sizeof *out);
    for (int64_t o = 0; o < m->model->shape.outputs; o++)
        for (int64_t n = 0; n < modes; n++) {
            out[o * m->step + n] = 2.0 * m->model->c[o * modes + n].re;
            out[o * m->step + modes + n] = -2.0 * m->model->c[o * modes + n].im;
        }
}

/* ---- Forward ---- */

static void multiply_vectors(const matrices *m, const double *from, const double *a, double *to)
{
    for (int64_t o = 0; o < m->model->shape.outputs; o++)
        vector_times(m->step, from + o * m->step, a, to + o * m->step);
}

void lcvi_dplr_truncate(const lcvi_backend *helper, const lcvi_dplr *model, int64_t length, double factor,
                        double *work)
{
    const matrices m = matrices_in(helper, model, length, false, work);
    const int64_t size = m.step * m.step, modes = model->shape.modes;
    double *power = m.power, *next = m.power + size;
    load_gamma(&m, m.vectors);
    fill_transition(&m, power);
    for (int32_t k = 0; k < m.digits; k++) {
        if (vanishes(m.step, power))
            return; /* the largest factor of M^length is among what follows */
        for (int64_t o = 0; o < model->shape.outputs && (length >> k) % 2 != 0; o++) {
            vector_times(m.step, m.vectors + o * m.step, power, m.row);
            memcpy(m.vectors + o * m.step, m.row, (size_t)m.step * sizeof(double));
        }
        if (k + 1 < m.digits)
            multiply(&m, power, power, next, false);
        double *const kept = power;
        power = next;
        next = kept;
    }
    for (int64_t i = 0; i < model->shape.outputs * modes; i++) {
        const double *gamma = m.vectors + i / modes * m.step + i % modes;
        lcvi_add_to(&model->c[i], (lcvi_number){-0.5 * factor * gamma[0], 0.5 * factor * gamma[modes]});
    }
}

/* ---- Backward ---- */

/* All powers, and the vectors before each factor. False: M^length vanishes. */
static bool run_forward(const matrices *m)
{
    const int64_t size = m->step * m->step, vectors = m->step * m->model->shape.outputs;
    load_gamma(m, m->vectors);
    fill_transition(m, m->power);
    for (int32_t k = 0; k < m->digits; k++) {
        double *const power = m->power + k * size, *const at = m->vectors + k * vectors;
        if (k > 0)
            multiply(m, power - size, power - size, power, false);
        if (vanishes(m->step, power))
            return false;
        if ((m->length >> k) % 2 != 0)
            multiply_vectors(m, at, power, at + vectors);
        else
            memcpy(at + vectors, at, (size_t)vectors * sizeof *at);
    }
    return true;
}

/* The factor M^(2^k): what it gives to the gradients by itself (`sum`) and by the vectors before it. */
static void factor_backward(const matrices *m, int32_t k, double *by_vectors, double *sum)
{
    const int64_t step = m->step;
    const double *power = m->power + k * step * step,
                 *before = m->vectors + k * step * m->model->shape.outputs;
    for (int64_t o = 0; o < m->model->shape.outputs; o++) {
        double *by = by_vectors + o * step;
        for (int64_t i = 0; i < step; i++)
            for (int64_t j = 0; j < step; j++)
                sum[i * step + j] += before[o * step + i] * by[j];
        times_vector(step, power, by, m->row);
        memcpy(by, m->row, (size_t)step * sizeof *by);
    }
}

/* From the gradient by X^2 that by X: sum = sum X^T + X^T sum. */
static void square_backward(const matrices *m, double *x, double *sum)
{
    const int64_t step = m->step;
    double *transposed = m->extra[1], *product = m->extra[2];
    transpose(step, x, transposed);
    multiply(m, sum, transposed, product, false);
    multiply(m, transposed, sum, product, true);
    memcpy(sum, product, (size_t)(step * step) * sizeof *sum);
}

/* The gradient by M becomes that by dt A: with F = E^-1 = I - dt A / 2 and M = 2 E - I, that by F is
 * -2 E^T sum E^T. */
static void resolvent_backward(const matrices *m, double *sum)
{
    const int64_t step = m->step;
    double *e = m->extra[1], *transposed = m->extra[2], *product = m->extra[3];
    fill_resolvent(m, e);
    transpose(step, e, transposed);
    multiply(m, transposed, sum, product, false);
    multiply(m, product, transposed, sum, false);
}

/* Sum over all entries of by[i][j] left[i] right[j], of vectors of P. */
static void low_rank_backward(const matrices *m, const double *by_a, int32_t vector, lcvi_dplr *gradient,
                              double *by_dt)
{
    const int64_t modes = m->model->shape.modes, step = m->step;
    const lcvi_number *p = m->model->p + vector * modes;
    for (int64_t n = 0; n < modes; n++) {
        m->row[n] = p[n].re;
        m->row[modes + n] = p[n].im;
    }
    for (int64_t i = 0; i < 2 * modes; i++) {
        double sum = 0.0;
        for (int64_t j = 0; j < 2 * modes; j++)
            sum += (by_a[i * step + j] + by_a[j * step + i]) * m->row[j];
        m->row2[i] = sum;
        *by_dt -= sum * m->row[i]; /* 2 Pi_i by_ij Pi_j */
    }
    for (int64_t n = 0; n < modes; n++)
        lcvi_add_to(
            &gradient->p[vector * modes + n],
            (lcvi_number){-2.0 * *m->model->dt * m->row2[n], -2.0 * *m->model->dt * m->row2[modes + n]});
}

/* by_a: by dt A. */
static void matrix_backward(const matrices *m, const double *by_a, lcvi_dplr *gradient)
{
    const lcvi_dplr *model = m->model;
    const int64_t modes = model->shape.modes, step = m->step;
    double by_dt = 0.0;
    for (int64_t n = 0; n < modes; n++) {
        const double *re = by_a + n * step + n, *im = by_a + (modes + n) * step + n;
        const lcvi_number by = {re[0] + im[modes], im[0] - re[modes]};
        by_dt += lcvi_conj_times(by, model->pole[n]).re;
        lcvi_add_to(&gradient->pole[n], lcvi_scaled(*model->dt, by));
    }
    for (int32_t vector = 0; vector < model->shape.rank; vector++)
        low_rank_backward(m, by_a, vector, gradient, &by_dt);
    *gradient->dt += by_dt;
}

void lcvi_dplr_truncate_backward(const lcvi_backend *helper, const lcvi_dplr *model, int64_t length,
                                 double factor, lcvi_dplr *gradient, double *work)
{
    const matrices m = matrices_in(helper, model, length, true, work);
    const int64_t modes = model->shape.modes, size = m.step * m.step;
    double *sum = m.extra[0], *by = m.vectors + m.digits * m.step * model->shape.outputs;
    if (!run_forward(&m))
        return;
    memset(sum, 0, (size_t)size * sizeof *sum);
    memset(by, 0, (size_t)(m.step * model->shape.outputs) * sizeof *by);
    /* c - factor c M^length: by gamma, whose parts are 2 Re c and -2 Im c. */
    for (int64_t i = 0; i < model->shape.outputs * modes; i++) {
        double *at = by + i / modes * m.step + i % modes;
        at[0] = -0.5 * factor * gradient->c[i].re;
        at[modes] = 0.5 * factor * gradient->c[i].im;
    }
    for (int32_t k = m.digits - 1; k >= 0; k--) {
        if (k + 1 < m.digits)
            square_backward(&m, m.power + k * size, sum);
        if ((length >> k) % 2 != 0)
            factor_backward(&m, k, by, sum);
    }
    for (int64_t i = 0; i < model->shape.outputs * modes; i++) {
        const double *at = by + i / modes * m.step + i % modes;
        lcvi_add_to(&gradient->c[i], (lcvi_number){2.0 * at[0], -2.0 * at[modes]});
    }
    resolvent_backward(&m, sum);
    matrix_backward(&m, sum, gradient);
}
