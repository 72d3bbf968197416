/* SPDX-License-Identifier: BSD-3-Clause */
#include "bounds.h"

#include "activation.h"

#include <math.h>
#include <stdlib.h>

struct bounds {
    problem p;
    const arrays *inputs;
    const arrays *linear;
    double eps4, underflow;
    int64_t pieces, piece_len;
    double *past;       /* [rows][pieces]: |x| H of the sequence so far */
    double *x_norm;     /* [rows] */
    double *taps;       /* [filters]: H */
    double *g_norm;     /* [rows] */
    double *z_grad;     /* [rows]: |g| without dstate_out, for dskip and dbias */
    double *e_g_norm;   /* [rows] */
    double *product;    /* [filters]: sum |x|^2 |g|^2 */
    double *propagated; /* [filters]: sum |x| |e_g| */
};

static double square(double value)
{
    return value * value;
}

static double element(const bounds *b, array_role role, int64_t row, int64_t index, double absent)
{
    const lcv_tensor view = arrays_row(b->inputs, role, row);
    return view.rank == 0 ? absent : tensor_get(&view, index);
}

static double row_norm(const bounds *b, array_role role, int64_t row)
{
    const lcv_tensor view = arrays_row(b->inputs, role, row);
    double sum = 0.0;
    for (int64_t t = 0; view.rank > 0 && t < view.shape[0]; t++)
        sum += square(tensor_get(&view, t));
    return sqrt(sum);
}

static double linear_at(const bounds *b, int64_t row, int64_t t)
{
    const lcv_tensor view = arrays_row(b->linear, ARRAY_Y, row);
    return tensor_get(&view, t);
}

static double skip_of(const bounds *b, int64_t row)
{
    return element(b, ARRAY_SKIP, 0, row % b->p.channels, 0.0);
}

static double x_at(const bounds *b, int64_t row, int64_t t)
{
    return element(b, ARRAY_U, row, t, 0.0) * element(b, ARRAY_PRE_GATE, row, t, 1.0);
}

static int64_t filter_of(const bounds *b, int64_t row)
{
    return problem_filter_of(&b->p, row / b->p.channels, row % b->p.channels);
}

static double error_of_z(const bounds *b, int64_t row, int64_t t, double z)
{
    const double past = b->past[row * b->pieces + t / b->piece_len];
    const double bias = element(b, ARRAY_BIAS, 0, row % b->p.channels, 0.0);
    return b->eps4 * (past + fabs(skip_of(b, row) * x_at(b, row, t)) + fabs(bias) + fabs(z)) + b->underflow;
}

/* g[t] and its error; without an activation z need not be known. */
static double gradient_at(const bounds *b, int64_t row, int64_t t, double *error)
{
    const double outer = element(b, ARRAY_DY, row, t, 0.0) * element(b, ARRAY_POST_GATE, row, t, 1.0);
    *error = 0.0;
    if (b->p.activation == LCV_ACTIVATION_NONE)
        return outer;
    const double z = linear_at(b, row, t);
    const double g = outer * activation_slope(b->p.activation, z);
    *error =
        b->eps4 * fabs(g) + activation_curvature(b->p.activation) * fabs(outer) * error_of_z(b, row, t, z);
    return g;
}

/* ---- Norms ---- */

static void measure_past(bounds *b, int64_t row)
{
    const double taps = b->taps[filter_of(b, row)], state = row_norm(b, ARRAY_STATE_IN, row);
    const lcv_tensor u = arrays_row(b->inputs, ARRAY_U, row),
                     gate = arrays_row(b->inputs, ARRAY_PRE_GATE, row);
    double sum = 0.0;
    for (int64_t piece = 0; piece < b->pieces; piece++) {
        for (int64_t t = piece * b->piece_len; t < (piece + 1) * b->piece_len && t < b->p.seqlen; t++)
            sum += square(tensor_get(&u, t) * (gate.rank > 0 ? tensor_get(&gate, t) : 1.0));
        b->past[row * b->pieces + piece] = sqrt(sum * square(taps) + square(state));
    }
    b->x_norm[row] = sqrt(sum);
}

static void measure_gradient(bounds *b, int64_t row)
{
    double sum = 0.0, error_sum = 0.0, error;
    for (int64_t t = 0; t < b->p.seqlen; t++) {
        sum += square(gradient_at(b, row, t, &error));
        error_sum += square(error);
    }
    b->z_grad[row] = sqrt(sum);
    b->g_norm[row] = sqrt(sum + square(row_norm(b, ARRAY_DSTATE_OUT, row)));
    b->e_g_norm[row] = sqrt(error_sum);
    b->product[filter_of(b, row)] += square(b->x_norm[row] * b->g_norm[row]);
    b->propagated[filter_of(b, row)] += b->x_norm[row] * b->e_g_norm[row];
}

static bool knows_gradient(const bounds *b)
{
    return (b->p.passes & PROBLEM_BACKWARD) != 0 &&
           (b->p.activation == LCV_ACTIVATION_NONE || b->linear != NULL);
}

static void measure(bounds *b)
{
    const int64_t rows = problem_rows(&b->p);
    for (int64_t f = 0; f < problem_filters(&b->p); f++)
        b->taps[f] = row_norm(b, ARRAY_FILTER, f) + row_norm(b, ARRAY_FILTER_FUTURE, f);
    for (int64_t row = 0; row < rows; row++)
        measure_past(b, row);
    for (int64_t row = 0; knows_gradient(b) && row < rows; row++)
        measure_gradient(b, row);
}

static double *room(int64_t count)
{
    return calloc((size_t)(count > 0 ? count : 1), sizeof(double));
}

static bool allocate(bounds *b)
{
    const int64_t rows = problem_rows(&b->p), filters = problem_filters(&b->p);
    b->past = room(rows * b->pieces);
    b->x_norm = room(rows);
    b->taps = room(filters);
    b->g_norm = room(rows);
    b->z_grad = room(rows);
    b->e_g_norm = room(rows);
    b->product = room(filters);
    b->propagated = room(filters);
    return b->past != NULL && b->x_norm != NULL && b->taps != NULL && b->g_norm != NULL &&
           b->z_grad != NULL && b->e_g_norm != NULL && b->product != NULL && b->propagated != NULL;
}

bounds *bounds_create(const problem *p, const arrays *inputs, const arrays *linear)
{
    bounds *b = calloc(1, sizeof *b);
    if (b == NULL)
        return NULL;
    const bool is_double = p->dtype == LCV_F64;
    b->p = *p;
    b->inputs = inputs;
    b->linear = linear;
    b->eps4 = 4.0 * (is_double ? 0x1p-53 : 0x1p-24);
    b->underflow = 16.0 * sqrt((double)(p->seqlen + p->filter_len + 1)) * (is_double ? 0x1p-1074 : 0x1p-149);
    b->piece_len = p->chunk > 0 ? p->chunk : p->seqlen > 0 ? p->seqlen : 1;
    b->pieces = p->seqlen > 0 ? (p->seqlen + b->piece_len - 1) / b->piece_len : 1;
    if (!allocate(b))
        bounds_destroy(&b);
    else if (p->kind != PROBLEM_GATE)
        measure(b);
    return b;
}

void bounds_destroy(bounds **pointer)
{
    bounds *b = *pointer;
    *pointer = NULL;
    if (b == NULL)
        return;
    free(b->past);
    free(b->x_norm);
    free(b->taps);
    free(b->g_norm);
    free(b->z_grad);
    free(b->e_g_norm);
    free(b->product);
    free(b->propagated);
    free(b);
}

/* ---- Formats ---- */

double bounds_half_ulp(lcv_dtype dtype, double value)
{
    const bool narrow = dtype == LCV_F16;
    int exponent;
    if (!narrow && dtype != LCV_BF16)
        return 0.0;
    /* value = m 2^exponent with m in [1/2, 1); the significand has 11 or 8 bits. */
    frexp(value, &exponent);
    const int smallest = narrow ? -25 : -134;
    const int half_unit = exponent - (narrow ? 11 : 8) - 1;
    return ldexp(1.0, value == 0.0 || half_unit < smallest ? smallest : half_unit);
}

double bounds_largest(lcv_dtype dtype)
{
    switch (dtype) {
    case LCV_F64:
        return 0x1.fffffffffffffp+1023;
    case LCV_F16:
        return 65504.0;
    case LCV_BF16:
        return 0x1.fep+127;
    case LCV_F32:
        break;
    }
    return 0x1.fffffep+127;
}

/* ---- Elements ---- */

static double error_of_dx(const bounds *b, int64_t row, int64_t t)
{
    double error;
    const double taps = b->taps[filter_of(b, row)], skip = fabs(skip_of(b, row));
    const double g = gradient_at(b, row, t, &error);
    return b->eps4 * (b->g_norm[row] * taps + skip * fabs(g)) + taps * b->e_g_norm[row] + skip * error;
}

/* dskip and dbias of channel c, without the last term: sums over the batch. */
static double error_of_channel(const bounds *b, array_role role, int64_t c)
{
    const double length = (double)b->p.seqlen;
    double squares = 0.0, propagated = 0.0;
    for (int64_t row = c; row < problem_rows(&b->p); row += b->p.channels) {
        const double other = role == ARRAY_DSKIP ? b->x_norm[row] : sqrt(length);
        squares += square(other * b->z_grad[row]);
        propagated += other * b->e_g_norm[row];
    }
    return b->eps4 * sqrt(squares) + propagated;
}

static double error_of_dstate(const bounds *b, int64_t row, int64_t index)
{
    double error = 0.0;
    if (index < b->p.seqlen)
        gradient_at(b, row, index, &error);
    return error;
}

/* The bound without its last terms, which depend on the result alone. */
static double inner_error(const bounds *b, array_role role, int64_t row, int64_t index, double z)
{
    const double lipschitz = activation_lipschitz(b->p.activation);
    switch ((int)role) {
    case ARRAY_Y:
        return fabs(element(b, ARRAY_POST_GATE, row, index, 1.0)) * lipschitz * error_of_z(b, row, index, z);
    case ARRAY_DPOST_GATE:
        return fabs(element(b, ARRAY_DY, row, index, 0.0)) * lipschitz * error_of_z(b, row, index, z);
    case ARRAY_STATE_OUT:
        return b->eps4 * b->past[row * b->pieces + b->pieces - 1];
    case ARRAY_DU:
        return fabs(element(b, ARRAY_PRE_GATE, row, index, 1.0)) * error_of_dx(b, row, index);
    case ARRAY_DPRE_GATE:
        return fabs(element(b, ARRAY_U, row, index, 0.0)) * error_of_dx(b, row, index);
    case ARRAY_DFILTER:
    case ARRAY_DFILTER_FUTURE:
        return b->eps4 * sqrt(b->product[row]) + b->propagated[row];
    case ARRAY_DSKIP:
    case ARRAY_DBIAS:
        return error_of_channel(b, role, index);
    default:
        return error_of_dstate(b, row, index);
    }
}

bool bounds_serve(const bounds *b, array_role role)
{
    return b->p.kind == PROBLEM_GATE || role == ARRAY_Y || role == ARRAY_STATE_OUT ||
           role == ARRAY_DPOST_GATE || knows_gradient(b);
}

double bounds_of(const bounds *b, array_role role, int64_t row, int64_t index, double expected, double z)
{
    double error = b->eps4 * fabs(expected) + b->underflow;
    if (b->p.kind != PROBLEM_GATE)
        error += inner_error(b, role, row, index, z);
    return array_is_data(role) ? error + bounds_half_ulp(b->p.dtype, fabs(expected) + error) : error;
}
