/* SPDX-License-Identifier: BSD-3-Clause */
#include "oracle.h"

#include "activation.h"

#include <math.h>
#include <stdlib.h>

static const double most_products = 2e8;

struct oracle {
    const arrays *a;
    const problem *p;
    bool compensated;
    int64_t state_len, out_len; /* out_len: samples of z and of what becomes the state */
    int64_t row;                /* the one that is loaded; -1: none */
    bool has_gradient;          /* g is right for this row */
    double skip, bias;
    double *x, *g, *filter, *filter_future, *backwards, *state;
};

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- Sums ---- */

static double two_sum_error(double a, double b, double sum)
{
    const double part = sum - a;
    return (a - (sum - part)) + (b - part);
}

double oracle_dot(const double *a, const double *b, int64_t count, bool compensated)
{
    double total = 0.0, error = 0.0;
    if (!compensated) {
        for (int64_t i = 0; i < count; i++)
            total += a[i] * b[i];
        return total;
    }
    for (int64_t i = 0; i < count; i++) {
        const double product = a[i] * b[i];
        const double next = total + product;
        error += fma(a[i], b[i], -product) + two_sum_error(total, product, next);
        total = next;
    }
    return total + error;
}

/* sum_j f[j] s[t + j], s zero outside [0, length). */
static double led(const oracle *o, const double *f, int64_t taps, const double *s, int64_t length, int64_t t)
{
    const int64_t first = max64(0, -t), last = min64(taps, length - t);
    return last > first ? oracle_dot(f + first, s + t + first, last - first, o->compensated) : 0.0;
}

/* sum_j f[j] s[t - j]: the taps are turned around first. */
static double lagged(const oracle *o, const double *f, int64_t taps, const double *s, int64_t length,
                     int64_t t)
{
    const int64_t first = max64(0, t - length + 1), last = min64(taps, t + 1);
    for (int64_t j = first; j < last; j++)
        o->backwards[last - 1 - j] = f[j];
    return last > first ? oracle_dot(o->backwards, s + t - last + 1, last - first, o->compensated) : 0.0;
}

/* sum_j f[j] s[(t + direction j) mod length] */
static double around(const oracle *o, const double *f, int64_t taps, const double *s, int64_t length,
                     int64_t t, int direction)
{
    double total = 0.0;
    for (int64_t done = 0; done < taps; done += length) {
        const int64_t count = min64(length, taps - done);
        /* Taps before the sum steps over the end of s, and those after. */
        const int64_t before = min64(count, direction > 0 ? length - t : t + 1), after = count - before;
        const double *turn = f + done;
        if (direction > 0)
            total += led(o, turn, before, s, length, t) + led(o, turn + before, after, s, length, 0);
        else
            total += lagged(o, turn, before, s, length, t) +
                     lagged(o, turn + before, after, s, length, length - 1);
    }
    return total;
}

/* ---- The linear maps of conv.h ---- */

static double convolved(const oracle *o, int64_t t)
{
    const problem *p = o->p;
    switch (p->mode) {
    case LCV_CONV_ANTICAUSAL:
        return led(o, o->filter, p->filter_len, o->x, p->seqlen, t);
    case LCV_CONV_TWOSIDED:
        return lagged(o, o->filter, p->filter_len, o->x, p->seqlen, t) +
               led(o, o->filter_future, p->filter_future_len, o->x, p->seqlen, t + p->future_first_lag);
    case LCV_CONV_CIRCULAR:
        return around(o, o->filter, p->filter_len, o->x, p->seqlen, t, -1);
    case LCV_CONV_CAUSAL:
        break;
    }
    return lagged(o, o->filter, p->filter_len, o->x, p->seqlen, t) + (t < o->state_len ? o->state[t] : 0.0);
}

static double adjoint(const oracle *o, int64_t t)
{
    const problem *p = o->p;
    switch (p->mode) {
    case LCV_CONV_ANTICAUSAL:
        return lagged(o, o->filter, p->filter_len, o->g, p->seqlen, t);
    case LCV_CONV_TWOSIDED:
        return led(o, o->filter, p->filter_len, o->g, p->seqlen, t) +
               lagged(o, o->filter_future, p->filter_future_len, o->g, p->seqlen, t - p->future_first_lag);
    case LCV_CONV_CIRCULAR:
        return around(o, o->filter, p->filter_len, o->g, p->seqlen, t, 1);
    case LCV_CONV_CAUSAL:
        break;
    }
    return led(o, o->filter, p->filter_len, o->g, o->out_len, t);
}

static double by_tap(const oracle *o, int64_t j)
{
    const problem *p = o->p;
    if (p->mode == LCV_CONV_ANTICAUSAL)
        return led(o, o->g, p->seqlen, o->x, p->seqlen, j);
    if (p->mode == LCV_CONV_CIRCULAR)
        return p->seqlen == 0 ? 0.0 : around(o, o->x, p->seqlen, o->g, p->seqlen, j % p->seqlen, 1);
    return led(o, o->x, p->seqlen, o->g, o->out_len, j);
}

static double by_future_tap(const oracle *o, int64_t j)
{
    return led(o, o->g, o->p->seqlen, o->x, o->p->seqlen, j + o->p->future_first_lag);
}

/* ---- Rows ---- */

static double *room(int64_t count)
{
    return calloc((size_t)max64(count, 1), sizeof(double));
}

oracle *oracle_create(const arrays *a)
{
    oracle *o = calloc(1, sizeof *o);
    if (o == NULL)
        return NULL;
    const problem *p = &a->p;
    o->a = a;
    o->p = p;
    o->compensated = p->dtype == LCV_F64;
    o->state_len = (p->terms & LCV_TERM_STATE) != 0 ? problem_state_len(p) : 0;
    o->out_len = p->seqlen + o->state_len;
    o->row = -1;
    o->x = room(p->seqlen);
    o->g = room(o->out_len);
    o->filter = room(p->filter_len);
    o->filter_future = room(p->filter_future_len);
    o->backwards = room(max64(p->filter_len, p->filter_future_len));
    o->state = room(o->state_len);
    if (o->x == NULL || o->g == NULL || o->filter == NULL || o->filter_future == NULL ||
        o->backwards == NULL || o->state == NULL)
        oracle_destroy(&o);
    return o;
}

void oracle_destroy(oracle **pointer)
{
    oracle *o = *pointer;
    *pointer = NULL;
    if (o == NULL)
        return;
    free(o->x);
    free(o->g);
    free(o->filter);
    free(o->filter_future);
    free(o->backwards);
    free(o->state);
    free(o);
}

static double element(const oracle *o, array_role role, int64_t row, int64_t index, double absent)
{
    const lcv_tensor view = arrays_row(o->a, role, row);
    return view.rank == 0 ? absent : tensor_get(&view, index);
}

static void load(const oracle *o, array_role role, int64_t row, double *out)
{
    const lcv_tensor view = arrays_row(o->a, role, row);
    tensor_load(&view, view.rank == 0 ? 0 : view.shape[0], 0.0, out);
}

static bool turned(const oracle *o)
{
    return o->p->kind == PROBLEM_SHORT_CONV && o->p->tap_order == LCV_TAPS_CORRELATION;
}

static void load_row(oracle *o, int64_t row)
{
    const problem *p = o->p;
    if (o->row == row)
        return;
    const int64_t b = row / p->channels, c = row % p->channels;
    o->row = row;
    o->has_gradient = false;
    load(o, ARRAY_FILTER, problem_filter_of(p, b, c), o->filter);
    load(o, ARRAY_FILTER_FUTURE, problem_filter_of(p, b, c), o->filter_future);
    for (int64_t j = 0; turned(o) && j < p->filter_len / 2; j++) {
        const double other = o->filter[p->filter_len - 1 - j];
        o->filter[p->filter_len - 1 - j] = o->filter[j];
        o->filter[j] = other;
    }
    for (int64_t t = 0; t < p->seqlen; t++)
        o->x[t] = element(o, ARRAY_U, row, t, 0.0) * element(o, ARRAY_PRE_GATE, row, t, 1.0);
    load(o, ARRAY_STATE_IN, row, o->state);
    o->skip = element(o, ARRAY_SKIP, 0, c, 0.0);
    o->bias = element(o, ARRAY_BIAS, 0, c, 0.0);
}

double oracle_linear(oracle *o, int64_t row, int64_t t)
{
    load_row(o, row);
    return convolved(o, t) + o->skip * o->x[t] + o->bias;
}

/* g: the gradient by z, and behind it that by the outgoing state. */
static bool load_gradient(oracle *o, int64_t row, double rows)
{
    const problem *p = o->p;
    load_row(o, row);
    if (o->has_gradient)
        return true;
    if (p->activation != LCV_ACTIVATION_NONE &&
        rows * (double)p->seqlen * (double)min64(p->filter_len + p->filter_future_len, p->seqlen) >
            most_products)
        return false;
    for (int64_t t = 0; t < p->seqlen; t++) {
        o->g[t] = element(o, ARRAY_DY, row, t, 0.0) * element(o, ARRAY_POST_GATE, row, t, 1.0);
        if (p->activation != LCV_ACTIVATION_NONE)
            o->g[t] *= activation_slope(p->activation, oracle_linear(o, row, t));
    }
    load(o, ARRAY_DSTATE_OUT, row, o->g + p->seqlen);
    o->has_gradient = true;
    return true;
}

/* ---- Elements ---- */

/* The sum over batch entries and channels that share filter `filter`, or over the batch of one channel. */
static bool summed(oracle *o, array_role role, int64_t place, int64_t index, double *value)
{
    const problem *p = o->p;
    const double rows = (double)problem_rows(p);
    if (rows * (double)p->seqlen > most_products)
        return false;
    *value = 0.0;
    for (int64_t row = 0; row < problem_rows(p); row++) {
        const bool by_filter = role == ARRAY_DFILTER || role == ARRAY_DFILTER_FUTURE;
        const int64_t c = row % p->channels;
        if (by_filter ? problem_filter_of(p, row / p->channels, c) != place : c != index)
            continue;
        if (!load_gradient(o, row, rows))
            return false;
        if (role == ARRAY_DFILTER)
            *value += by_tap(o, turned(o) ? p->filter_len - 1 - index : index);
        else if (role == ARRAY_DFILTER_FUTURE)
            *value += by_future_tap(o, index);
        else if (role == ARRAY_DSKIP)
            *value += oracle_dot(o->g, o->x, p->seqlen, o->compensated);
        else
            for (int64_t t = 0; t < p->seqlen; t++)
                *value += o->g[t];
    }
    return true;
}

static bool by_input(oracle *o, array_role role, int64_t row, int64_t t, double *value)
{
    if (!load_gradient(o, row, 1.0))
        return false;
    const double dx = adjoint(o, t) + o->skip * o->g[t];
    *value =
        dx * (role == ARRAY_DU ? element(o, ARRAY_PRE_GATE, row, t, 1.0) : element(o, ARRAY_U, row, t, 0.0));
    return true;
}

static double gate_value(const oracle *o, array_role role, int64_t row, int64_t t)
{
    const double a = element(o, ARRAY_U, row, t, 0.0), b = element(o, ARRAY_PRE_GATE, row, t, 0.0);
    if (role == ARRAY_Y)
        return a * b;
    return element(o, ARRAY_DY, row, t, 0.0) * (role == ARRAY_DU ? b : a);
}

static double activated(oracle *o, int64_t row, int64_t t)
{
    return activation_value(o->p->activation, oracle_linear(o, row, t));
}

static bool conv_value(oracle *o, array_role role, int64_t row, int64_t index, double *value)
{
    if (role == ARRAY_Y) {
        *value = activated(o, row, index) * element(o, ARRAY_POST_GATE, row, index, 1.0);
        return true;
    }
    if (role == ARRAY_DPOST_GATE) {
        *value = activated(o, row, index) * element(o, ARRAY_DY, row, index, 0.0);
        return true;
    }
    if (role == ARRAY_STATE_OUT) {
        load_row(o, row);
        *value = convolved(o, o->p->seqlen + index);
        return true;
    }
    if (role == ARRAY_DU || role == ARRAY_DPRE_GATE)
        return by_input(o, role, row, index, value);
    if (role == ARRAY_DSTATE_IN) {
        if (!load_gradient(o, row, 1.0))
            return false;
        *value = o->g[index];
        return true;
    }
    return summed(o, role, row, index, value);
}

bool oracle_value(oracle *o, array_role role, int64_t row, int64_t index, double *value)
{
    if (o->p->kind == PROBLEM_GATE) {
        *value = gate_value(o, role, row, index);
        return true;
    }
    return conv_value(o, role, row, index, value);
}
