/* SPDX-License-Identifier: BSD-3-Clause */
/* The spectrum of a diagonal-plus-low-rank model by Cauchy sums and the Woodbury identity. At a node w with
 * z = 2 (1 - w) / (1 + w), and a = dt pole, for coefficients v,
 *
 *     T(v) = sum over conjugate pairs of v / (z - a)
 *          = sum over modes of Re(v) (w1 + w2) + i Im(v) (w1 - w2),   w1 = 1 / (z - a), w2 = 1 / (z -
 * conj(a)), spectrum = 2 / (1 + w) dt (T(C B) - dt T(C P) (I + dt T(conj(P) P))^-1 T(conj(P) B)).
 *
 * At w = -1, the last node of even lengths without decay, the limit is the sum of dt Re(C B). Nodes go in
 * tiles: what a tile needs stays in the first cache, whatever the numbers of nodes and modes are.
 *
 * A node near a pole makes all T large, and their products nearly cancel: rounding grows as 1 / |z - a|. A
 * decay of a few over the length keeps nodes at 1 / length from all poles of stable models.
 *
 * Backward: with x = (I + dt T(conj(P) P))^-1 T(conj(P) B), y = T(C P) (I + dt T(conj(P) P))^-1, and
 * right = (B - dt P x) / (z - a), left = (C - dt y conj(P)) / (z - a), which are resolvents applied to B and
 * C, d(C right) = dC right + left dB + left (da - dt dP x) - dt y conj(dP) right. Gradients of T itself would
 * be products of numbers that cancel twice. Source: Gu et al., S4 (2022), appendix C. */
#include "dplr.h"
#include "../turns.h"

#include <math.h>
#include <string.h>

enum { TILE = LCV_CAUCHY_TILE, R = LCVI_DPLR_MAX_RANK, BLOCK = 16 /* tiles that one call sums */ };

/* A complex number at each node of a tile. */
typedef struct lanes {
    double re[TILE], im[TILE];
} lanes;

/* The sums T(v): functions (j, i) of conj(P_j) P_i, then those of conj(P_j) B, then of each output those of
 * C B and C P_i. */
typedef struct cauchy {
    const lcvi_dplr *model;
    int64_t modes, functions;
    double *a_re, *a_im;
    double *v_re, *v_im; /* [functions][modes] */
    double *weights;     /* [modes][4][TILE]: parts of w1 + w2, then of w1 - w2 */
    double *sums;        /* [functions][2][TILE]: T of the tile at hand */
    double *block;       /* the same of BLOCK tiles */
    const lcvi_backend *helper;
    lanes *moments;  /* backward, [2 + rank + outputs][modes]: by a, P, B, C */
    lanes *x, *by_y; /* backward, [rank]: x, and the sum over outputs of conj(y) by */
    lanes *by;       /* backward, [outputs]: the gradients by C right */
} cauchy;

/* ---- Memory ---- */

static int64_t function_count(const lcvi_dplr_shape *shape)
{
    return (shape->rank + shape->outputs) * (1 + shape->rank);
}

static int64_t of_p_b(const cauchy *c, int32_t j)
{
    return (int64_t)c->model->shape.rank * c->model->shape.rank + j;
}

/* Of C B; those of C P_i follow. */
static int64_t of_output(const cauchy *c, int64_t output)
{
    return (c->model->shape.rank + output) * (1 + c->model->shape.rank);
}

int64_t lcvi_cauchy_work(const lcvi_dplr_shape *shape, bool backward)
{
    const int64_t functions = function_count(shape), modes = shape->modes;
    const int64_t forward = 2 * modes * (1 + functions) + 4 * TILE * modes + 2 * TILE * BLOCK * functions;
    const int64_t numbers = (2 + shape->rank + shape->outputs) * modes + 2 * shape->rank + shape->outputs;
    return backward ? forward + 2 * TILE * numbers : forward;
}

static cauchy make(const lcvi_backend *helper, const lcvi_dplr *model, double *work, bool backward)
{
    cauchy c = {.helper = helper,
                .model = model,
                .modes = model->shape.modes,
                .functions = function_count(&model->shape)};
    c.weights = work;
    c.block = c.sums = c.weights + 4 * TILE * c.modes;
    c.a_re = c.block + 2 * TILE * BLOCK * c.functions;
    c.a_im = c.a_re + c.modes;
    c.v_re = c.a_im + c.modes;
    c.v_im = c.v_re + c.functions * c.modes;
    c.moments = (lanes *)(void *)(c.v_im + c.functions * c.modes);
    c.x = c.moments + (2 + model->shape.rank + model->shape.outputs) * c.modes;
    c.by_y = c.x + model->shape.rank;
    c.by = c.by_y + model->shape.rank;
    if (backward)
        memset(c.moments, 0, (size_t)(c.x - c.moments) * sizeof *c.moments);
    return c;
}

/* ---- Nodes ---- */

static int64_t whole_tiles(int64_t nodes)
{
    return (nodes + TILE - 1) / TILE * TILE;
}

int64_t lcvi_cauchy_node_doubles(int64_t length)
{
    return 2 * whole_tiles(length / 2 + 1);
}

/* z = 2 tanh((decay + i angle) / 2) */
static lcvi_number node_value(double decay, double turns)
{
    const double cosine = lcvi_cosine_of_turns(0.5 * turns), sine = lcvi_sine_of_turns(0.5 * turns);
    const double half = sinh(0.5 * decay), scale = 1.0 / (half * half + cosine * cosine);
    return (lcvi_number){scale * sinh(decay), 2.0 * scale * sine * cosine};
}

lcvi_cauchy_nodes lcvi_cauchy_make_nodes(int64_t length, double decay, double *memory)
{
    const int64_t count = length / 2 + 1, room = whole_tiles(count);
    const bool has_limit = length % 2 == 0 && decay == 0.0;
    for (int64_t m = 0; m < room; m++) { /* what has no value is as the first node */
        const bool is_regular = m < count - (has_limit ? 1 : 0);
        const lcvi_number z = node_value(decay, is_regular ? (double)m / (double)length : 0.0);
        memory[m] = z.re;
        memory[room + m] = z.im;
    }
    return (lcvi_cauchy_nodes){length, count, has_limit, memory, memory + room};
}

/* ---- Coefficients ---- */

static void set_function(const cauchy *c, int64_t function, int64_t n, lcvi_number v)
{
    c->v_re[function * c->modes + n] = v.re;
    c->v_im[function * c->modes + n] = v.im;
}

static void set_mode(const cauchy *c, int64_t n)
{
    const lcvi_dplr *model = c->model;
    const int32_t rank = model->shape.rank;
    c->a_re[n] = *model->dt * model->pole[n].re;
    c->a_im[n] = *model->dt * model->pole[n].im;
    for (int32_t j = 0; j < rank; j++) {
        const lcvi_number p = model->p[j * c->modes + n];
        for (int32_t i = 0; i < rank; i++)
            set_function(c, (int64_t)j * rank + i, n, lcvi_conj_times(p, model->p[i * c->modes + n]));
        set_function(c, of_p_b(c, j), n, lcvi_conj_times(p, model->b[n]));
    }
    for (int64_t o = 0; o < model->shape.outputs; o++) {
        const lcvi_number number = model->c[o * c->modes + n];
        set_function(c, of_output(c, o), n, lcvi_times(number, model->b[n]));
        for (int32_t i = 0; i < rank; i++)
            set_function(c, of_output(c, o) + 1 + i, n, lcvi_times(number, model->p[i * c->modes + n]));
    }
}

/* ---- The sums at the nodes of a tile ---- */

static void fill_weights(const cauchy *c, const double *restrict z_re, const double *restrict z_im)
{
    for (int64_t n = 0; n < c->modes; n++) {
        double *restrict w = c->weights + 4 * TILE * n;
        for (int m = 0; m < TILE; m++) {
            const double x = z_re[m] - c->a_re[n], y1 = z_im[m] - c->a_im[n], y2 = z_im[m] + c->a_im[n];
            const double size1 = x * x + y1 * y1, size2 = x * x + y2 * y2, inverse = 1.0 / (size1 * size2);
            const double i1 = inverse * size2, i2 = inverse * size1;
            w[m] = x * (i1 + i2);
            w[TILE + m] = -(y1 * i1 + y2 * i2);
            w[2 * TILE + m] = x * (i1 - i2);
            w[3 * TILE + m] = y2 * i2 - y1 * i1;
        }
    }
}

static void fill_sums(const cauchy *c)
{
    for (int64_t f = 0; f < c->functions; f++) {
        const double *v_re = c->v_re + f * c->modes, *v_im = c->v_im + f * c->modes;
        double re[TILE] = {0}, im[TILE] = {0};
        for (int64_t n = 0; n < c->modes; n++) {
            const double *restrict w = c->weights + 4 * TILE * n;
            for (int m = 0; m < TILE; m++) {
                re[m] += v_re[n] * w[m] - v_im[n] * w[3 * TILE + m];
                im[m] += v_re[n] * w[TILE + m] + v_im[n] * w[2 * TILE + m];
            }
        }
        memcpy(c->sums + 2 * TILE * f, re, sizeof re);
        memcpy(c->sums + 2 * TILE * f + TILE, im, sizeof im);
    }
}

/* By the backend, which does as many tiles as there is room for. */
static void sum_with_help(const cauchy *c, const double *z_re, const double *z_im, int64_t tiles)
{
    const lcv_cauchy_sums sums = {.modes = c->modes,
                                  .functions = c->functions,
                                  .nodes = tiles * TILE,
                                  .a_re = c->a_re,
                                  .a_im = c->a_im,
                                  .v_re = c->v_re,
                                  .v_im = c->v_im,
                                  .z_re = z_re,
                                  .z_im = z_im,
                                  .sums = c->block,
                                  .weights = c->weights};
    const lcv_filter_problem problem = {.family = "cauchy_sums", .dtype = LCV_F64, .details = &sums};
    const lcv_filter_call call = {.count = sums.nodes};
    c->helper->table->filter_evaluate(c->helper->device, &problem, &call);
}

/* Makes c->sums those of the tile that begins at node `first`. */
static void take_tile(cauchy *c, const lcvi_cauchy_nodes *nodes, int64_t first)
{
    const int64_t tile = first / TILE, left = whole_tiles(nodes->count) / TILE - tile;
    const double *z_re = nodes->z_re + first, *z_im = nodes->z_im + first;
    if (c->helper == NULL) {
        fill_weights(c, z_re, z_im);
        fill_sums(c);
        return;
    }
    if (tile % BLOCK == 0)
        sum_with_help(c, z_re, z_im, left < BLOCK ? left : BLOCK);
    c->sums = c->block + tile % BLOCK * 2 * TILE * c->functions;
}

const lcvi_backend *lcvi_cauchy_helper(const lcv_context *context)
{
    const lcv_filter_problem problem = {.family = "cauchy_sums", .dtype = LCV_F64};
    size_t bytes;
    for (int32_t i = 0; i < context->backend_count; i++) {
        const lcvi_backend *backend = &context->backends[i];
        const bool allowed =
            context->only_backend[0] == '\0' || strcmp(context->only_backend, backend->name) == 0;
        if (allowed && backend->available && backend->device_kind == LCV_DEVICE_CPU &&
            backend->table->filter_query != NULL &&
            backend->table->filter_query(backend->device, &problem, 1, 0, &bytes) == LCV_OK)
            return backend;
    }
    return NULL;
}

/* ---- One node ---- */

typedef struct node {
    lcvi_number factor;       /* 2 / (1 + w) */
    int32_t first, second;    /* the matrix I + dt T(conj(P) P) is eliminated in this order */
    lcvi_number lower, upper; /* its other entries over the pivot */
    lcvi_number inverse[R];   /* of the pivots */
    lcvi_number x[R];         /* matrix^-1 T(conj(P) B) */
} node;

static lcvi_number sum_at(const cauchy *c, int64_t function, int m)
{
    const double *at = c->sums + 2 * TILE * function + m;
    return (lcvi_number){at[0], at[TILE]};
}

static double size_of(lcvi_number a)
{
    return a.re * a.re + a.im * a.im;
}

/* Elimination and not the inverse: near a pole the matrix is as good as singular in one direction, and errors
 * must keep to that direction. */
static void eliminate(int32_t rank, lcvi_number matrix[R][R], node *at)
{
    at->first = rank == 2 && size_of(matrix[1][1]) > size_of(matrix[0][0]) ? 1 : 0;
    at->second = 1 - at->first;
    at->inverse[at->first] = lcvi_reciprocal(matrix[at->first][at->first]);
    if (rank == 1)
        return;
    at->lower = lcvi_times(matrix[at->second][at->first], at->inverse[at->first]);
    at->upper = lcvi_times(matrix[at->first][at->second], at->inverse[at->first]);
    const lcvi_number rest = lcvi_times(at->lower, matrix[at->first][at->second]);
    at->inverse[at->second] = lcvi_reciprocal(lcvi_minus(matrix[at->second][at->second], rest));
}

/* x with matrix x = t, in the place of t, when `below` is `lower` and `above` is `upper`; with these
 * exchanged, x matrix = t. */
static void solve(const cauchy *c, const node *at, lcvi_number below, lcvi_number above, lcvi_number t[R])
{
    const lcvi_number first = lcvi_times(at->inverse[at->first], t[at->first]);
    if (c->model->shape.rank == 1) {
        t[0] = first;
        return;
    }
    const lcvi_number rest = lcvi_minus(t[at->second], lcvi_times(below, t[at->first]));
    t[at->second] = lcvi_times(at->inverse[at->second], rest);
    t[at->first] = lcvi_minus(first, lcvi_times(above, t[at->second]));
}

static node node_at(const cauchy *c, double z_re, double z_im, int m)
{
    const int32_t rank = c->model->shape.rank;
    lcvi_number matrix[R][R] = {{{1.0, 0.0}, {0.0, 0.0}}, {{0.0, 0.0}, {1.0, 0.0}}};
    node at = {.factor = {1.0 + 0.5 * z_re, 0.5 * z_im}};
    for (int32_t j = 0; j < rank; j++) {
        for (int32_t i = 0; i < rank; i++) {
            matrix[j][i] = lcvi_scaled(*c->model->dt, sum_at(c, (int64_t)j * rank + i, m));
            matrix[j][i].re += j == i ? 1.0 : 0.0;
        }
        at.x[j] = sum_at(c, of_p_b(c, j), m);
    }
    eliminate(rank, matrix, &at);
    solve(c, &at, at.lower, at.upper, at.x);
    return at;
}

/* sum of T(C P_i) x_i */
static lcvi_number correction(const cauchy *c, const node *at, int64_t output, int m)
{
    lcvi_number sum = {0.0, 0.0};
    for (int32_t i = 0; i < c->model->shape.rank; i++)
        lcvi_add_to(&sum, lcvi_times(sum_at(c, of_output(c, output) + 1 + i, m), at->x[i]));
    return sum;
}

static lcvi_number spectrum_at(const cauchy *c, const node *at, int64_t output, int m)
{
    const double dt = *c->model->dt;
    const lcvi_number sum =
        lcvi_minus(sum_at(c, of_output(c, output), m), lcvi_scaled(dt, correction(c, at, output, m)));
    return lcvi_scaled(dt, lcvi_times(at->factor, sum));
}

/* At w = -1, without dt. */
static double limit(const lcvi_dplr *model, int64_t output)
{
    double sum = 0.0;
    for (int64_t n = 0; n < model->shape.modes; n++)
        sum += lcvi_times(model->c[output * model->shape.modes + n], model->b[n]).re;
    return sum;
}

static int64_t regular_nodes(const lcvi_cauchy_nodes *nodes)
{
    return nodes->count - (nodes->has_limit ? 1 : 0);
}

void lcvi_cauchy_spectrum(const lcvi_backend *helper, const lcvi_dplr *model, const lcvi_cauchy_nodes *nodes,
                          double *re, double *im, double *work)
{
    cauchy c = make(helper, model, work, false);
    const int64_t regular = regular_nodes(nodes);
    for (int64_t n = 0; n < c.modes; n++)
        set_mode(&c, n);
    for (int64_t first = 0; first < regular; first += TILE) {
        take_tile(&c, nodes, first);
        for (int m = 0; m < TILE && first + m < regular; m++) {
            const node at = node_at(&c, nodes->z_re[first + m], nodes->z_im[first + m], m);
            for (int64_t o = 0; o < model->shape.outputs; o++) {
                const lcvi_number value = spectrum_at(&c, &at, o, m);
                re[o * nodes->count + first + m] = value.re;
                im[o * nodes->count + first + m] = value.im;
            }
        }
    }
    for (int64_t o = 0; o < model->shape.outputs && nodes->has_limit; o++) {
        re[o * nodes->count + regular] = *model->dt * limit(model, o);
        im[o * nodes->count + regular] = 0.0;
    }
}

/* ---- Backward: one node ---- */

static void set_lane(lanes *to, int m, lcvi_number value)
{
    to->re[m] = value.re;
    to->im[m] = value.im;
}

/* y with y matrix = T(C P). */
static void fill_y(const cauchy *c, const node *at, int64_t output, int m, lcvi_number y[R])
{
    for (int32_t i = 0; i < c->model->shape.rank; i++)
        y[i] = sum_at(c, of_output(c, output) + 1 + i, m);
    solve(c, at, at->upper, at->lower, y);
}

/* Leaves x and the gradients of the node in their lanes; returns what dt gets beside what it gets through a.
 */
static double node_backward(const cauchy *c, const node *at, int m, const lcvi_cauchy_nodes *nodes,
                            int64_t first, const double *re, const double *im)
{
    const double dt = *c->model->dt;
    const bool is_node = first + m < regular_nodes(nodes);
    double by_dt = 0.0;
    lcvi_number by_y[R] = {{0.0, 0.0}}, y[R] = {{0.0, 0.0}};
    for (int64_t o = 0; o < c->model->shape.outputs; o++) {
        const int64_t place = o * nodes->count + first + m;
        const lcvi_number given = {is_node ? re[place] : 0.0, is_node ? im[place] : 0.0};
        const lcvi_number by = lcvi_conj_times(at->factor, given);
        lcvi_number by_factor =
            lcvi_minus(sum_at(c, of_output(c, o), m), lcvi_scaled(dt, correction(c, at, o, m)));
        fill_y(c, at, o, m, y);
        for (int32_t j = 0; j < c->model->shape.rank; j++) {
            lcvi_add_to(&by_y[j], lcvi_scaled(dt, lcvi_conj_times(y[j], by)));
            by_factor = lcvi_minus(by_factor, lcvi_scaled(dt, lcvi_times(y[j], at->x[j])));
        }
        by_dt += lcvi_conj_times(by_factor, by).re;
        set_lane(&c->by[o], m, lcvi_scaled(dt, by));
    }
    for (int32_t j = 0; j < c->model->shape.rank; j++) {
        set_lane(&c->x[j], m, at->x[j]);
        set_lane(&c->by_y[j], m, by_y[j]);
    }
    return by_dt;
}

/* ---- Backward: one mode at the nodes of a tile ---- */

/* sum += factor x */
static inline void add_scaled(lanes *restrict sum, lcvi_number factor, const lanes *restrict x)
{
    for (int m = 0; m < TILE; m++) {
        sum->re[m] += factor.re * x->re[m] - factor.im * x->im[m];
        sum->im[m] += factor.re * x->im[m] + factor.im * x->re[m];
    }
}

/* sum += conj(a) b */
static inline void add_conj_times(lanes *restrict sum, const lanes *restrict a, const lanes *restrict b)
{
    for (int m = 0; m < TILE; m++) {
        sum->re[m] += a->re[m] * b->re[m] + a->im[m] * b->im[m];
        sum->im[m] += a->re[m] * b->im[m] - a->im[m] * b->re[m];
    }
}

/* x = w x, and y = conj(w) y */
static inline void apply_weights(const lanes *restrict w, lanes *restrict x, lanes *restrict y)
{
    for (int m = 0; m < TILE; m++) {
        const double re = x->re[m], by_re = y->re[m];
        x->re[m] = w->re[m] * re - w->im[m] * x->im[m];
        x->im[m] = w->re[m] * x->im[m] + w->im[m] * re;
        y->re[m] = w->re[m] * by_re + w->im[m] * y->im[m];
        y->im[m] = w->re[m] * y->im[m] - w->im[m] * by_re;
    }
}

/* sum += factor (a + conj(b)) */
static inline void add_both(lanes *restrict sum, double factor, const lanes *restrict a,
                            const lanes *restrict b)
{
    for (int m = 0; m < TILE; m++) {
        sum->re[m] += factor * (a->re[m] + b->re[m]);
        sum->im[m] += factor * (a->im[m] - b->im[m]);
    }
}

/* w1 or w2: 1 / (z - (re + i im)) */
static inline void fill_weight(double re, double im, const double *restrict z_re, const double *restrict z_im,
                               lanes *restrict w)
{
    for (int m = 0; m < TILE; m++) {
        const double x = z_re[m] - re, y = z_im[m] - im, inverse = 1.0 / (x * x + y * y);
        w->re[m] = x * inverse;
        w->im[m] = -y * inverse;
    }
}

/* One state, mode n or the conjugate of it: `right`, and the gradient by B, which is conj(left) by. */
static void state_backward(const cauchy *c, int64_t n, bool conjugate, const double *z_re, const double *z_im,
                           lanes *right, lanes *by_b)
{
    const lcvi_dplr *model = c->model;
    const double dt = *model->dt;
    const lcvi_number b = conjugate ? lcvi_conj(model->b[n]) : model->b[n];
    lanes w;
    fill_weight(c->a_re[n], conjugate ? -c->a_im[n] : c->a_im[n], z_re, z_im, &w);
    for (int m = 0; m < TILE; m++) {
        right->re[m] = b.re;
        right->im[m] = b.im;
        by_b->re[m] = by_b->im[m] = 0.0;
    }
    for (int32_t j = 0; j < model->shape.rank; j++) {
        const lcvi_number p = model->p[j * c->modes + n], used = conjugate ? lcvi_conj(p) : p;
        add_scaled(right, lcvi_scaled(-dt, used), &c->x[j]);
        add_scaled(by_b, lcvi_scaled(-dt, used), &c->by_y[j]);
    }
    for (int64_t o = 0; o < model->shape.outputs; o++) {
        const lcvi_number number = model->c[o * c->modes + n];
        add_scaled(by_b, conjugate ? number : lcvi_conj(number), &c->by[o]);
    }
    apply_weights(&w, right, by_b);
}

/* Adds conj(factor) x of mode n and the conjugate of that of its partner. */
static void add_pair(lanes *sum, double scale, const lanes *factor, const lanes x[2], const lanes *other,
                     const lanes y[2])
{
    lanes first = {{0}, {0}}, second = {{0}, {0}};
    add_conj_times(&first, factor, &x[0]);
    add_conj_times(&second, factor, &x[1]);
    if (other != NULL) {
        add_conj_times(&first, other, &y[0]);
        add_conj_times(&second, other, &y[1]);
    }
    add_both(sum, scale, &first, &second);
}

static void mode_backward(const cauchy *c, int64_t n, const double *z_re, const double *z_im)
{
    const lcvi_dplr *model = c->model;
    const int32_t rank = model->shape.rank;
    lanes right[2], by_b[2], by_a[2] = {{{0}, {0}}, {{0}, {0}}};
    for (int half = 0; half < 2; half++) {
        state_backward(c, n, half == 1, z_re, z_im, &right[half], &by_b[half]);
        add_conj_times(&by_a[half], &right[half], &by_b[half]);
    }
    add_both(&c->moments[n], 1.0, &by_a[0], &by_a[1]);
    for (int32_t j = 0; j < rank; j++)
        add_pair(&c->moments[(1 + j) * c->modes + n], -*model->dt, &c->x[j], by_b, &c->by_y[j], right);
    add_both(&c->moments[(1 + rank) * c->modes + n], 1.0, &by_b[0], &by_b[1]);
    for (int64_t o = 0; o < model->shape.outputs; o++) {
        lanes by_c[2] = {{{0}, {0}}, {{0}, {0}}};
        add_conj_times(&by_c[0], &right[0], &c->by[o]);
        add_conj_times(&by_c[1], &right[1], &c->by[o]);
        add_both(&c->moments[(2 + rank + o) * c->modes + n], 1.0, &by_c[0], &by_c[1]);
    }
}

/* ---- Backward ---- */

static double lane_sum(const double *at)
{
    return ((at[0] + at[1]) + (at[2] + at[3])) + ((at[4] + at[5]) + (at[6] + at[7]));
}

static lcvi_number moment(const cauchy *c, int64_t index)
{
    return (lcvi_number){lane_sum(c->moments[index].re), lane_sum(c->moments[index].im)};
}

static void tile_backward(cauchy *c, const lcvi_cauchy_nodes *nodes, int64_t first, const double *re,
                          const double *im, double *by_dt)
{
    const double *z_re = nodes->z_re + first, *z_im = nodes->z_im + first;
    take_tile(c, nodes, first);
    for (int m = 0; m < TILE; m++) {
        const node at = node_at(c, z_re[m], z_im[m], m);
        *by_dt += node_backward(c, &at, m, nodes, first, re, im);
    }
    for (int64_t n = 0; n < c->modes; n++)
        mode_backward(c, n, z_re, z_im);
}

static void limit_backward(const lcvi_dplr *model, int64_t output, double by, lcvi_dplr *gradient)
{
    const double by_sum = *model->dt * by;
    *gradient->dt += by * limit(model, output);
    for (int64_t n = 0; n < model->shape.modes; n++) {
        const int64_t place = output * model->shape.modes + n;
        lcvi_add_to(&gradient->c[place], lcvi_scaled(by_sum, lcvi_conj(model->b[n])));
        lcvi_add_to(&gradient->b[n], lcvi_scaled(by_sum, lcvi_conj(model->c[place])));
    }
}

/* The moments are in the order of the gradient's parts; those by a are by dt and by the pole. */
static void take_moments(const cauchy *c, lcvi_dplr *gradient)
{
    const int64_t numbers = (2 + c->model->shape.rank + c->model->shape.outputs) * c->modes;
    for (int64_t n = 0; n < c->modes; n++) {
        const lcvi_number by_a = moment(c, n);
        gradient->pole[n] = lcvi_scaled(*c->model->dt, by_a);
        *gradient->dt += lcvi_conj_times(by_a, c->model->pole[n]).re;
    }
    for (int64_t i = c->modes; i < numbers; i++)
        gradient->pole[i] = moment(c, i);
}

void lcvi_cauchy_backward(const lcvi_backend *helper, const lcvi_dplr *model, const lcvi_cauchy_nodes *nodes,
                          const double *re, const double *im, lcvi_dplr *gradient, double *work)
{
    cauchy c = make(helper, model, work, true);
    const int64_t regular = regular_nodes(nodes);
    *gradient->dt = 0.0;
    for (int64_t n = 0; n < c.modes; n++)
        set_mode(&c, n);
    for (int64_t first = 0; first < regular; first += TILE)
        tile_backward(&c, nodes, first, re, im, gradient->dt);
    take_moments(&c, gradient);
    for (int64_t o = 0; o < model->shape.outputs && nodes->has_limit; o++)
        limit_backward(model, o, re[o * nodes->count + regular], gradient);
}
