/* SPDX-License-Identifier: BSD-3-Clause */
/* The weighted sum of RWKV-4, one pass over time:
 *
 *     num_t = sum_{s<t} e^{(t-1-s) w + k_s} v_s + e^{u + k_t} v_t        den_t: the same with 1 for v
 *     out_t = sigmoid(r_t) num_t / den_t                                w = -exp(time_decay), u = time_first
 *
 * Both sums are convolutions of e^k, but a transform must not compute them: its error is relative to the
 * largest e^k of the row, which may be e^50 times those that a sample depends on. Here every sum carries the
 * logarithm of its own scale, the running maximum of its exponents, so that all exponentials are at most 1;
 * what came before is three numbers a channel. Backward keeps these at every 256th sample and goes through
 * the chunks in reverse.
 *
 * Gradients: with n_t = dout_t sigmoid(r_t) / den_t, y_t = num_t / den_t, and sums over later samples
 * N_s = sum_{t>s} e^{(t-1-s) w} n_t and M_s likewise of -n_t y_t,
 *
 *     dv_s = e^{u + k_s} n_s + e^{k_s} N_s           dk_s = e^{u + k_s} n_s (v_s - y_s) + e^{k_s} (v_s N_s +
 * M_s) du   = sum_s e^{u + k_s} n_s (v_s - y_s)       dtime_decay = w sum_t n_t (num'_t - y_t den'_t)
 *
 * where num' and den' are the sums over s < t with the factor t - 1 - s. Source: Peng et al., RWKV (2023),
 * section 3 and appendix on numerical stability. Slots: IN v, PRE_GATE k, POST_GATE r (may be absent), SKIP
 * u, BIAS time_decay. */
#include "../../filters/transforms.h"
#include "host.h"
#include "../../size.h"

#include <math.h>

enum { CHUNK = 256 };

/* Sums over what came before, in units of e^scale. */
typedef struct {
    double num, den, scale;
    double num_lag, den_lag; /* num' and den' */
} sums;

enum { KEPT = sizeof(sums) / sizeof(double), PARTIALS = 2 }; /* doubles a chunk and a row keep */

static const sums nothing = {.scale = -(double)INFINITY};

typedef struct {
    double w, u, decay; /* decay: time_decay itself */
} weights;

/* One sample as backward needs it. */
typedef struct {
    double y, den, top; /* den in units of e^top */
    double now;         /* e^{u + k - top} */
    double past;        /* e^{scale - top} */
} sample;

/* ---- One row ---- */

/* e^x of an x of at most 0, which often is 0. */
static double below(double x)
{
    return x == 0.0 ? 1.0 : exp(x);
}

static sample look(const sums *s, const weights *c, double k, double v)
{
    sample now = {.top = fmax(s->scale, c->u + k)};
    now.past = below(s->scale - now.top);
    now.now = below(c->u + k - now.top);
    now.den = now.past * s->den + now.now;
    now.y = (now.past * s->num + now.now * v) / now.den;
    return now;
}

static void advance(sums *s, const weights *c, double k, double v, bool with_lags)
{
    const double scale = fmax(c->w + s->scale, k);
    const double past = below(c->w + s->scale - scale), now = below(k - scale);
    if (with_lags) {
        s->num_lag = past * (s->num_lag + s->num);
        s->den_lag = past * (s->den_lag + s->den);
    }
    s->num = past * s->num + now * v;
    s->den = past * s->den + now;
    s->scale = scale;
}

/* ---- Tasks: a panel of channels of one batch entry ---- */

typedef struct {
    const lcvi_mixer_run *run;
    const lcvi_step *step;
    int64_t channels, seqlen, chunks;
    double *kept;     /* backward: sums at the begin of each chunk, [row][chunk] */
    double *partials; /* and what each row gives to time_decay and time_first, [batch][2][channel] */
} job;

static job make_job(const lcvi_mixer_run *run, const lcvi_step *step)
{
    const lcv_mixer_params *p = &run->program->params;
    job j = {.run = run, .step = step, .channels = step->out.count, .seqlen = run->seqlen};
    j.chunks = (j.seqlen + CHUNK - 1) / CHUNK;
    j.kept = run->exec.workspace;
    if (j.kept != NULL)
        j.partials = j.kept + p->batch * j.channels * j.chunks * KEPT;
    return j;
}

/* A panel: channels [first, first + count) of batch entry b. */
typedef struct {
    int64_t b, first, count;
} panel;

static panel panel_of(const job *j, int64_t index)
{
    const int64_t panels = lcvi_host_panels(j->channels);
    panel p = {.b = index / panels, .first = index % panels * LCVI_PANEL};
    p.count = j->channels - p.first < LCVI_PANEL ? j->channels - p.first : LCVI_PANEL;
    return p;
}

static weights weights_of(const job *j, int64_t channel)
{
    weights c;
    lcvi_ref_load(lcvi_host_entries(j->run, j->step->slot[LCVI_BIAS], false, channel), 1, 0.0, &c.decay);
    lcvi_ref_load(lcvi_host_entries(j->run, j->step->slot[LCVI_SKIP], false, channel), 1, 0.0, &c.u);
    c.w = -exp(c.decay);
    return c;
}

static void load(const job *j, lcvi_slot slot, int64_t b, int64_t c, int64_t t, int64_t count, double *values)
{
    lcvi_ref_load(lcvi_host_samples(j->run, j->step->slot[slot], false, b, c, t), count, 0.0, values);
}

static int64_t chunk_count(const job *j, int64_t chunk)
{
    const int64_t left = j->seqlen - chunk * CHUNK;
    return left < CHUNK ? left : CHUNK;
}

/* ---- Forward ---- */

static void forward_chunk(const job *j, int64_t b, int64_t channel, int64_t chunk, sums *s)
{
    double k[CHUNK], v[CHUNK], r[CHUNK], y[CHUNK];
    const int64_t t = chunk * CHUNK, count = chunk_count(j, chunk);
    const weights c = weights_of(j, channel);
    const bool gated = lcvi_rows_exist(j->step->slot[LCVI_POST_GATE]);
    load(j, LCVI_PRE_GATE, b, channel, t, count, k);
    load(j, LCVI_IN, b, channel, t, count, v);
    if (gated)
        load(j, LCVI_POST_GATE, b, channel, t, count, r);
    for (int64_t i = 0; i < count; i++) {
        y[i] = look(s, &c, k[i], v[i]).y;
        if (gated)
            y[i] *= lcvi_transform_value(LCVI_TRANSFORM_SIGMOID, r[i]);
        advance(s, &c, k[i], v[i], false);
    }
    lcvi_ref_store(lcvi_host_samples(j->run, j->step->out, false, b, channel, t), count, y, false);
}

static void forward_task(void *arg, int64_t index)
{
    const job *j = arg;
    const panel p = panel_of(j, index);
    sums s[LCVI_PANEL];
    for (int64_t c = 0; c < p.count; c++)
        s[c] = nothing;
    for (int64_t chunk = 0; chunk < j->chunks; chunk++)
        for (int64_t c = 0; c < p.count; c++)
            forward_chunk(j, p.b, p.first + c, chunk, &s[c]);
}

static lcv_status forward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    job j = make_job(run, step);
    lcvi_host_parallel(run, run->program->params.batch * lcvi_host_panels(j.channels), forward_task, &j);
    return LCV_OK;
}

/* ---- Backward ---- */

static double *kept_at(const job *j, int64_t row, int64_t chunk)
{
    return j->kept + (row * j->chunks + chunk) * KEPT;
}

static void keep(double *place, const sums *s)
{
    const double values[KEPT] = {s->num, s->den, s->scale, s->num_lag, s->den_lag};
    for (int i = 0; i < KEPT; i++)
        place[i] = values[i];
}

static sums kept(const double *place)
{
    return (sums){place[0], place[1], place[2], place[3], place[4]};
}

/* Keeps the sums at the begin of a chunk, and takes them to its end. */
static void pass_chunk(const job *j, const panel *p, int64_t c, int64_t chunk, sums *s)
{
    double k[CHUNK], v[CHUNK];
    const int64_t channel = p->first + c, count = chunk_count(j, chunk);
    const weights w = weights_of(j, channel);
    keep(kept_at(j, p->b * j->channels + channel, chunk), s);
    load(j, LCVI_PRE_GATE, p->b, channel, chunk * CHUNK, count, k);
    load(j, LCVI_IN, p->b, channel, chunk * CHUNK, count, v);
    for (int64_t i = 0; i < count; i++)
        advance(s, &w, k[i], v[i], true);
}

/* Sums over later samples, N and M, in units of e^scale; and of the parameters so far. */
typedef struct {
    double n, m, scale;
    double by_decay, by_first;
} later;

/* The samples of a chunk. dy is multiplied by the sigmoid on the way, and r becomes its own gradient. */
typedef struct {
    double k[CHUNK], v[CHUNK], r[CHUNK], dy[CHUNK];
    sample at[CHUNK];
} chunk_data;

static void add_decay(const sums *s, const sample *at, double dy, later *sum)
{
    sum->by_decay += at->past * dy / at->den * (s->num_lag - at->y * s->den_lag);
}

static void look_again(const job *j, const weights *w, sums s, int64_t count, chunk_data *d, later *sum)
{
    const bool gated = lcvi_rows_exist(j->step->slot[LCVI_POST_GATE]);
    for (int64_t i = 0; i < count; i++) {
        d->at[i] = look(&s, w, d->k[i], d->v[i]);
        if (gated) {
            const double gate = lcvi_transform_value(LCVI_TRANSFORM_SIGMOID, d->r[i]);
            d->r[i] = d->dy[i] * d->at[i].y * gate * (1.0 - gate);
            d->dy[i] *= gate;
        }
        add_decay(&s, &d->at[i], d->dy[i], sum);
        advance(&s, w, d->k[i], d->v[i], true);
    }
}

/* k and v become their gradients. */
static void go_back(const weights *w, int64_t count, chunk_data *d, later *sum)
{
    for (int64_t i = count - 1; i >= 0; i--) {
        const sample *at = &d->at[i];
        const double v = d->v[i], n = d->dy[i] / at->den, here = at->now * n;
        const double ahead = exp(d->k[i] + sum->scale); /* at most 1: no later scale is below this sample's */
        const double scale = fmax(-at->top, w->w + sum->scale);
        const double old = below(w->w + sum->scale - scale), fresh = below(-at->top - scale);
        sum->by_first += here * (v - at->y);
        d->v[i] = here + ahead * sum->n;
        d->k[i] = here * (v - at->y) + ahead * (v * sum->n + sum->m);
        sum->n = old * sum->n + fresh * n;
        sum->m = old * sum->m - fresh * n * at->y;
        sum->scale = scale;
    }
}

static void store_gradient(const job *j, lcvi_slot slot, int64_t b, int64_t c, int64_t t, int64_t count,
                           const double *values)
{
    lcvi_ref_store(lcvi_host_samples(j->run, j->step->slot[slot], true, b, c, t), count, values,
                   lcvi_host_adds(j->run, j->step, slot));
}

static void backward_chunk(const job *j, const panel *p, int64_t c, int64_t chunk, later *sum)
{
    chunk_data d;
    const int64_t channel = p->first + c, t = chunk * CHUNK, count = chunk_count(j, chunk), b = p->b;
    const weights w = weights_of(j, channel);
    load(j, LCVI_PRE_GATE, b, channel, t, count, d.k);
    load(j, LCVI_IN, b, channel, t, count, d.v);
    if (lcvi_rows_exist(j->step->slot[LCVI_POST_GATE]))
        load(j, LCVI_POST_GATE, b, channel, t, count, d.r);
    lcvi_ref_load(lcvi_host_samples(j->run, j->step->out, true, b, channel, t), count, 0.0, d.dy);
    look_again(j, &w, kept(kept_at(j, b * j->channels + channel, chunk)), count, &d, sum);
    go_back(&w, count, &d, sum);
    store_gradient(j, LCVI_PRE_GATE, b, channel, t, count, d.k);
    store_gradient(j, LCVI_IN, b, channel, t, count, d.v);
    if (lcvi_rows_exist(j->step->slot[LCVI_POST_GATE]))
        store_gradient(j, LCVI_POST_GATE, b, channel, t, count, d.r);
}

static void backward_task(void *arg, int64_t index)
{
    const job *j = arg;
    const panel p = panel_of(j, index);
    sums s[LCVI_PANEL];
    later sum[LCVI_PANEL];
    for (int64_t c = 0; c < p.count; c++) {
        s[c] = nothing;
        sum[c] = (later){.scale = -(double)INFINITY};
    }
    for (int64_t chunk = 0; chunk < j->chunks; chunk++)
        for (int64_t c = 0; c < p.count; c++)
            pass_chunk(j, &p, c, chunk, &s[c]);
    for (int64_t chunk = j->chunks - 1; chunk >= 0; chunk--)
        for (int64_t c = 0; c < p.count; c++)
            backward_chunk(j, &p, c, chunk, &sum[c]);
    for (int64_t c = 0; c < p.count; c++) {
        double *partials = j->partials + p.b * PARTIALS * j->channels + p.first + c;
        partials[0] = weights_of(j, p.first + c).w * sum[c].by_decay;
        partials[j->channels] = sum[c].by_first;
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
    job j = make_job(run, step);
    lcvi_host_parallel(run, run->program->params.batch * lcvi_host_panels(j.channels), backward_task, &j);
    store_parameter(&j, LCVI_BIAS, 0);
    store_parameter(&j, LCVI_SKIP, 1);
    return LCV_OK;
}

/* ---- The step ---- */

static lcv_status query(const lcvi_program *program, const lcvi_step *step, const lcvi_backend *backend,
                        size_t *workspace)
{
    const lcv_mixer_params *p = &program->params;
    int64_t rows, chunks = p->seqlen / CHUNK + 1, doubles;
    const lcv_status status = lcvi_host_query(program, backend);
    if (status != LCV_OK || !p->backward)
        return status;
    if (!lcvi_mul(p->batch, step->out.count, &rows) || !lcvi_mul(chunks, KEPT, &doubles) ||
        !lcvi_add(doubles, PARTIALS, &doubles) || !lcvi_mul(rows, doubles, &doubles))
        doubles = INT64_MAX;
    return lcvi_host_workspace(program, doubles, workspace);
}

const lcvi_step_kind lcvi_wkv_step = {
    .engine = "scan", .query = query, .forward = forward, .backward = backward, .in_place = false};
