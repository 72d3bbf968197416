/* SPDX-License-Identifier: BSD-3-Clause */
/* The weighted sum of RWKV-4, one pass over time:
 *
 *     num_t = sum_{s<t} e^{(t-1-s) w + k_s} v_s        den_t: the same with 1 for v
 *     out_t = sigmoid(r_t) y_t,   y_t = (num_t + e^{u + k_t} v_t) / (den_t + e^{u + k_t})
 *
 * with w = -exp(time_decay), u = time_first. All sums are convolutions of e^k, but a transform must not
 * compute them: its error is relative to the largest e^k of the row, which may be e^50 times those that a
 * sample depends on. Here num and den carry the logarithm of their scale, the running maximum of their
 * exponents, so that all exponentials are at most 1; what came before is three numbers a channel:
 *
 *     scale' = max(w + scale, k),  past = e^{w + scale - scale'},  now = e^{k - scale'}: one of both is 1
 *     num' = past num + now v,  den' = past den + now
 *     y = (past num + now e^{u + w} v) / (past den + now e^{u + w})
 *
 * The last line is the one above in units of e^{scale' - w}: one exponential serves both. Where e^{u + w}
 * would leave the range in which its product with `now` is right, the result has weights of its own.
 *
 * Backward: scales change no result, so that they count as constants. With n = dy / (denominator of y) and
 * gradients N by num and M by den,
 *
 *     dv = now_y n + now N'                    du += now_y n (v - y)
 *     dk = now_y n (v - y) + now (v N' + M')   dtime_decay += w past (num N' + den M')
 *     N = past_y n + past N'                   M = -past_y n y + past M'
 *
 * where past_y and now_y are the weights of y. It keeps the sums at the begin of each chunk and goes through
 * the chunks in reverse. Source: Peng et al., RWKV (2023), section 3 and appendix on numerical stability.
 *
 * Sixteen channels go side by side, for one channel's sums wait for each other. Slots: IN v, PRE_GATE k,
 * POST_GATE r (may be absent), SKIP u, BIAS time_decay. */
#include "../../pair.h"
#include "../../size.h"
#include "host.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 32, PAIRS = LCVI_PANEL / LCVI_PAIR, PARTIALS = 2 };

/* Of the channels of a panel: what came before, in units of e^scale. Zeros: nothing did. */
typedef struct {
    lcvi_pair num[PAIRS], den[PAIRS], scale[PAIRS];
} sums;

enum { KEPT = sizeof(sums) / sizeof(double) };

typedef struct {
    lcvi_pair w[PAIRS], u[PAIRS], first[PAIRS]; /* first: e^{u + w} */
    bool far;                                   /* is some u + w beyond what `first` is good for? */
} weights;

static const double farthest = 300.0;
static const double before_all = -1e300; /* the scale of nothing; finite, so that keys may be -infinity */

typedef lcvi_pair samples[CHUNK][PAIRS];

typedef struct {
    samples k, v, r, y;
    samples past, now;
    samples own_past, now_y; /* own_past: past_y where it is not `past` */
} chunk_data;

/* ---- One chunk of a panel ---- */

/* Differences of exponents become e^difference and 1, or 1 and e^-difference: both at most 1. */
static void weigh(int64_t count, lcvi_pair *past, lcvi_pair *now)
{
    const lcvi_pair one = lcvi_pair_of(1.0);
    for (int64_t i = 0; i < count; i++) {
        const lcvi_pair_bits is_less = past[i] < lcvi_pair_of(0.0);
        const lcvi_pair e = lcvi_pair_exp(lcvi_pair_minus_size(past[i]));
        past[i] = lcvi_pair_select(is_less, e, one);
        now[i] = lcvi_pair_select(is_less, one, e);
    }
}

static void weigh_results(const weights *w, int64_t count, chunk_data *d)
{
    if (w->far) {
        weigh(count * PAIRS, d->own_past[0], d->now_y[0]);
        return;
    }
    for (int64_t t = 0; t < count; t++)
        for (int i = 0; i < PAIRS; i++)
            d->now_y[t][i] = d->now[t][i] * w->first[i];
}

static const lcvi_pair *past_y(const weights *w, const chunk_data *d, int64_t t)
{
    return w->far ? d->own_past[t] : d->past[t];
}

/* The weights of all samples; scale becomes that after them. */
static void find_weights(const weights *w, sums *s, int64_t count, chunk_data *d)
{
    for (int i = 0; i < PAIRS; i++)
        s->scale[i] = lcvi_pair_select(s->den[i] == lcvi_pair_of(0.0), lcvi_pair_of(before_all), s->scale[i]);
    for (int64_t t = 0; t < count; t++)
        for (int i = 0; i < PAIRS; i++) {
            const lcvi_pair k = d->k[t][i], old = w->w[i] + s->scale[i];
            d->past[t][i] = old - k;
            d->own_past[t][i] = s->scale[i] - (w->u[i] + k);
            s->scale[i] = lcvi_pair_select(old > k, old, k);
        }
    weigh(count * PAIRS, d->past[0], d->now[0]);
    weigh_results(w, count, d);
}

static inline void advance(const chunk_data *d, int64_t t, int i, sums *s)
{
    s->num[i] = d->past[t][i] * s->num[i] + d->now[t][i] * d->v[t][i];
    s->den[i] = d->past[t][i] * s->den[i] + d->now[t][i];
}

/* The results of a chunk, in y. */
static void results(const weights *w, bool gated, int64_t count, chunk_data *d, sums *s)
{
    const lcvi_pair one = lcvi_pair_of(1.0);
    find_weights(w, s, count, d);
    for (int64_t t = 0; t < count; t++) {
        const lcvi_pair *past = past_y(w, d, t);
        for (int i = 0; i < PAIRS; i++) {
            lcvi_pair top = past[i] * s->num[i] + d->now_y[t][i] * d->v[t][i];
            lcvi_pair bottom = past[i] * s->den[i] + d->now_y[t][i];
            if (gated) { /* by e^r / (1 + e^r) or 1 / (1 + e^-r) */
                const lcvi_pair r = d->r[t][i], e = lcvi_pair_exp(lcvi_pair_minus_size(r));
                top *= lcvi_pair_select(r < lcvi_pair_of(0.0), e, one);
                bottom *= one + e;
            }
            d->y[t][i] = top / bottom;
            advance(d, t, i, s);
        }
    }
}

/* ---- Tasks: a panel of channels of one batch entry ---- */

typedef struct {
    const lcvi_mixer_run *run;
    const lcvi_step *step;
    bool gated;
    int64_t channels, panels, chunks;
    double *state;    /* of a stream, or NULL: sums of each row of panels, [batch][panel] */
    double *kept;     /* backward: sums at the begin of each chunk, [batch][panel][chunk] */
    double *partials; /* and what each row gives to time_decay and time_first, [batch][2][channel] */
} job;

static int64_t chunks_of(int64_t seqlen)
{
    return (seqlen + CHUNK - 1) / CHUNK;
}

static job make_job(const lcvi_mixer_run *run, const lcvi_step *step)
{
    job j = {.run = run, .step = step, .channels = step->out.count, .chunks = chunks_of(run->seqlen)};
    j.gated = lcvi_rows_exist(step->slot[LCVI_POST_GATE]);
    j.panels = lcvi_host_panels(j.channels);
    if (run->state != NULL)
        j.state = run->state + step->state;
    return j;
}

static lcvi_panel panel_of(const job *j, int64_t index)
{
    const int64_t first = index % j->panels * LCVI_PANEL, left = j->channels - first;
    return (lcvi_panel){
        .b = index / j->panels, .first = first, .channels = left < LCVI_PANEL ? left : LCVI_PANEL};
}

static lcvi_panel chunk_of(const job *j, lcvi_panel panel, int64_t chunk)
{
    const int64_t left = j->run->seqlen - chunk * CHUNK;
    panel.t = chunk * CHUNK;
    panel.count = left < CHUNK ? left : CHUNK;
    return panel;
}

static weights weights_of(const job *j, const lcvi_panel *p)
{
    double decay[LCVI_PANEL] = {0}, u[LCVI_PANEL] = {0}, w[LCVI_PANEL], first[LCVI_PANEL];
    weights all = {.far = false};
    lcvi_ref_load(lcvi_host_entries(j->run, j->step->slot[LCVI_BIAS], false, p->first), p->channels, 0.0,
                  decay);
    lcvi_ref_load(lcvi_host_entries(j->run, j->step->slot[LCVI_SKIP], false, p->first), p->channels, 0.0, u);
    for (int i = 0; i < LCVI_PANEL; i++) {
        w[i] = -exp(decay[i]);
        first[i] = exp(u[i] + w[i]);
        all.far = all.far || !(fabs(u[i] + w[i]) <= farthest);
    }
    memcpy(all.w, w, sizeof w);
    memcpy(all.u, u, sizeof u);
    memcpy(all.first, first, sizeof first);
    return all;
}

static void load(const job *j, lcvi_slot slot, const lcvi_panel *p, samples to)
{
    lcvi_host_load_panel(j->run, j->step->slot[slot], false, p, (double *)to);
}

/* ---- Forward ---- */

static void forward_task(void *arg, int64_t index)
{
    const job *j = arg;
    const lcvi_panel panel = panel_of(j, index);
    const weights w = weights_of(j, &panel);
    chunk_data d;
    sums s;
    memset(&s, 0, sizeof s);
    if (j->state != NULL)
        memcpy(&s, j->state + index * KEPT, sizeof s);
    for (int64_t chunk = 0; chunk < j->chunks; chunk++) {
        const lcvi_panel p = chunk_of(j, panel, chunk);
        load(j, LCVI_PRE_GATE, &p, d.k);
        load(j, LCVI_IN, &p, d.v);
        if (j->gated)
            load(j, LCVI_POST_GATE, &p, d.r);
        results(&w, j->gated, p.count, &d, &s);
        lcvi_host_store_panel(j->run, j->step->out, false, &p, (const double *)d.y, false);
    }
    if (j->state != NULL)
        memcpy(j->state + index * KEPT, &s, sizeof s);
}

static lcv_status forward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    job j = make_job(run, step);
    lcvi_host_parallel(run, run->program->params.batch * j.panels, forward_task, &j);
    return LCV_OK;
}

/* ---- Backward ---- */

static double *kept_at(const job *j, int64_t index, int64_t chunk)
{
    return j->kept + (index * j->chunks + chunk) * KEPT;
}

/* Keeps the sums at the begin of every chunk. */
static void keep_sums(const job *j, const lcvi_panel *panel, int64_t index, const weights *w, chunk_data *d)
{
    sums s;
    memset(&s, 0, sizeof s);
    for (int64_t chunk = 0; chunk < j->chunks; chunk++) {
        const lcvi_panel p = chunk_of(j, *panel, chunk);
        memcpy(kept_at(j, index, chunk), &s, sizeof s);
        load(j, LCVI_PRE_GATE, &p, d->k);
        load(j, LCVI_IN, &p, d->v);
        find_weights(w, &s, p.count, d);
        for (int64_t t = 0; t < p.count; t++)
            for (int i = 0; i < PAIRS; i++)
                advance(d, t, i, &s);
    }
}

/* Gradients by the sums, and of the parameters so far. */
typedef struct {
    lcvi_pair by_num[PAIRS], by_den[PAIRS], by_decay[PAIRS], by_first[PAIRS];
} later;

/* n: dy, then dy over the denominator. */
typedef struct {
    samples n, num, den;
} chunk_gradients;

/* Forward of a chunk once more: y, n and the sums before each sample; r becomes its own gradient. */
static void look_again(const weights *w, bool gated, int64_t count, sums s, chunk_data *d, chunk_gradients *g)
{
    const lcvi_pair one = lcvi_pair_of(1.0);
    find_weights(w, &s, count, d);
    for (int64_t t = 0; t < count; t++) {
        const lcvi_pair *past = past_y(w, d, t);
        for (int i = 0; i < PAIRS; i++) {
            const lcvi_pair now = d->now_y[t][i], inverse = one / (past[i] * s.den[i] + now);
            const lcvi_pair y = (past[i] * s.num[i] + now * d->v[t][i]) * inverse;
            if (gated) {
                const lcvi_pair r = d->r[t][i], e = lcvi_pair_exp(lcvi_pair_minus_size(r)),
                                by = one / (one + e);
                const lcvi_pair_bits is_less = r < lcvi_pair_of(0.0);
                const lcvi_pair gate = lcvi_pair_select(is_less, e, one) * by;
                d->r[t][i] = g->n[t][i] * y * gate * lcvi_pair_select(is_less, one, e) * by;
                g->n[t][i] *= gate;
            }
            d->y[t][i] = y;
            g->n[t][i] *= inverse;
            g->num[t][i] = s.num[i];
            g->den[t][i] = s.den[i];
            advance(d, t, i, &s);
        }
    }
}

/* k and v become their gradients. */
static void go_back(const weights *w, int64_t count, chunk_data *d, const chunk_gradients *g, later *sum)
{
    for (int64_t t = count - 1; t >= 0; t--) {
        const lcvi_pair *own_past = past_y(w, d, t);
        for (int i = 0; i < PAIRS; i++) {
            const lcvi_pair past = d->past[t][i], now = d->now[t][i], v = d->v[t][i], n = g->n[t][i];
            const lcvi_pair by_num = sum->by_num[i], by_den = sum->by_den[i];
            const lcvi_pair here = d->now_y[t][i] * n, by_weight = here * (v - d->y[t][i]);
            d->v[t][i] = here + now * by_num;
            d->k[t][i] = by_weight + now * (v * by_num + by_den);
            sum->by_first[i] += by_weight;
            sum->by_decay[i] += past * (g->num[t][i] * by_num + g->den[t][i] * by_den);
            sum->by_num[i] = own_past[i] * n + past * by_num;
            sum->by_den[i] = past * by_den - own_past[i] * n * d->y[t][i];
        }
    }
}

static void store_gradient(const job *j, lcvi_slot slot, const lcvi_panel *p, samples from)
{
    lcvi_host_store_panel(j->run, j->step->slot[slot], true, p, (double *)from,
                          lcvi_host_adds(j->run, j->step, slot));
}

static void backward_chunk(const job *j, const lcvi_panel *p, const weights *w, const double *start,
                           chunk_data *d, later *sum)
{
    chunk_gradients g;
    sums s;
    memcpy(&s, start, sizeof s);
    load(j, LCVI_PRE_GATE, p, d->k);
    load(j, LCVI_IN, p, d->v);
    if (j->gated)
        load(j, LCVI_POST_GATE, p, d->r);
    lcvi_host_load_panel(j->run, j->step->out, true, p, (double *)g.n);
    look_again(w, j->gated, p->count, s, d, &g);
    go_back(w, p->count, d, &g, sum);
    store_gradient(j, LCVI_PRE_GATE, p, d->k);
    store_gradient(j, LCVI_IN, p, d->v);
    if (j->gated)
        store_gradient(j, LCVI_POST_GATE, p, d->r);
}

static void backward_task(void *arg, int64_t index)
{
    const job *j = arg;
    const lcvi_panel panel = panel_of(j, index);
    const weights w = weights_of(j, &panel);
    double *partials = j->partials + panel.b * PARTIALS * j->channels + panel.first;
    chunk_data d;
    later sum;
    memset(&sum, 0, sizeof sum);
    keep_sums(j, &panel, index, &w, &d);
    for (int64_t chunk = j->chunks - 1; chunk >= 0; chunk--) {
        const lcvi_panel p = chunk_of(j, panel, chunk);
        backward_chunk(j, &p, &w, kept_at(j, index, chunk), &d, &sum);
    }
    for (int64_t c = 0; c < panel.channels; c++) {
        const int64_t i = c / LCVI_PAIR, lane = c % LCVI_PAIR;
        partials[c] = w.w[i][lane] * sum.by_decay[i][lane];
        partials[j->channels + c] = sum.by_first[i][lane];
    }
}

/* The rows' parts of a parameter's gradient, added in the order of the batch. */
static void store_parameter(const job *j, lcvi_slot slot, int which)
{
    const lcvi_partials parts = {j->partials + which * j->channels, j->run->program->params.batch,
                                 PARTIALS * j->channels};
    lcvi_host_store_sums(j->run, j->step, slot, &parts, j->channels);
}

static lcv_status backward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    const int64_t panels = run->program->params.batch * lcvi_host_panels(step->out.count);
    job j = make_job(run, step);
    j.kept = run->exec.workspace;
    j.partials = j.kept + panels * j.chunks * KEPT;
    lcvi_host_parallel(run, panels, backward_task, &j);
    store_parameter(&j, LCVI_BIAS, 0);
    store_parameter(&j, LCVI_SKIP, 1);
    return LCV_OK;
}

/* ---- The step ---- */

/* Doubles of so many panels' sums; false: too many. */
static bool count_sums(const lcvi_program *program, const lcvi_step *step, int64_t chunks, int64_t *doubles)
{
    return lcvi_mul(lcvi_host_panels(step->out.count) * KEPT, chunks, doubles) &&
           lcvi_mul(*doubles, program->params.batch, doubles);
}

static lcv_status query(const lcvi_program *program, const lcvi_step *step, const lcvi_backend *backend,
                        size_t *workspace)
{
    const lcv_mixer_params *p = &program->params;
    int64_t rows, doubles;
    const lcv_status status = lcvi_host_query(program, backend);
    if (status != LCV_OK || !p->backward)
        return status;
    if (!lcvi_mul(p->batch, step->out.count, &rows) || !lcvi_mul(rows, PARTIALS, &rows) ||
        !count_sums(program, step, chunks_of(p->seqlen), &doubles) || !lcvi_add(doubles, rows, &doubles))
        doubles = INT64_MAX;
    return lcvi_host_workspace(program, doubles, workspace);
}

static bool state(const lcvi_program *program, const lcvi_step *step, int64_t *doubles)
{
    return count_sums(program, step, 1, doubles);
}

const lcvi_step_kind lcvi_wkv_step = {.engine = "scan",
                                      .name = "wkv",
                                      .query = query,
                                      .forward = forward,
                                      .stream = forward,
                                      .state = state,
                                      .backward = backward,
                                      .in_place = false};
