/* SPDX-License-Identifier: BSD-3-Clause */
/* The step wkv (longconv/backend.h). Sums over the past carry the logarithm of their own scale, the running maximum of
 * their exponents, so that every exponential is at most 1. With n_t = dout_t sigmoid(r_t) / den_t, y_t = num_t / den_t
 * and sums over later samples N_s = sum_{t>s} e^{(t-1-s) w} n_t and M_s likewise of -n_t y_t,
 *
 *     dv_s = e^{u + k_s} n_s + e^{k_s} N_s        dk_s = e^{u + k_s} n_s (v_s - y_s) + e^{k_s} (v_s N_s + M_s)
 *     du = sum_s e^{u + k_s} n_s (v_s - y_s)      ddecay = w sum_t n_t (num'_t - y_t den'_t)
 *
 * where num' and den' are the sums over s < t with the factor t - 1 - s. */
#include "gpu_chunks.cuh"

namespace
{

/* Sums over what came before, in units of e^scale; and num', den'. */
struct past_sums {
    double num, den, scale, num_lag, den_lag;
};

/* N and M over what comes later, in units of e^scale. */
struct later_sums {
    double n, m, scale;
};

enum { PAST = sizeof(past_sums) / sizeof(double), LATER = sizeof(later_sums) / sizeof(double), PARTIALS = 2 };

struct wkv {
    lcv_gpu_chunks chunks;
    lcv_gpu_signal k, v, r, out, dk, dv, dr; /* r, dr may be absent; out: its gradient in backward */
    lcv_array first, decay;                  /* u, and the logarithm of -w */
    int32_t adds_k, adds_v, adds_r;
    past_sums *past;   /* at the begin of each item, its own alone before they are carried */
    later_sums *later; /* at the end of each item, likewise */
    double *partials;  /* of each part: of the decays, of the firsts */
};

struct weights {
    double w, u;
};

/* One sample. */
struct sample {
    double y, den, top; /* den in units of e^top */
    double now, past;   /* e^{u + k - top}, e^{scale - top} */
};

/* The scale of nothing is finite, so that keys may be -infinity. */
LCV_GPU_DEVICE past_sums no_past() { return {0.0, 0.0, -1e300, 0.0, 0.0}; }
LCV_GPU_DEVICE later_sums no_later() { return {0.0, 0.0, -HUGE_VAL}; }

template <class R> LCV_GPU_DEVICE weights weights_of(const wkv &p, int64_t c)
{
    return {-exp(static_cast<double>(lcv_gpu_entry<R>(p.decay, c))), static_cast<double>(lcv_gpu_entry<R>(p.first, c))};
}

template <class R> LCV_GPU_DEVICE double load(const lcv_gpu_signal &s, const lcv_gpu_place &at, int64_t t)
{
    return static_cast<double>(lcv_gpu_at(s, at, t, R(0)));
}

LCV_GPU_DEVICE double logistic_of(double x) { return lcv_gpu_logistic(x); }

LCV_GPU_DEVICE sample look(const past_sums &s, const weights &w, double k, double v)
{
    sample now = {};
    now.top = fmax(s.scale, w.u + k);
    now.past = exp(s.scale - now.top);
    now.now = exp(w.u + k - now.top);
    now.den = now.past * s.den + now.now;
    now.y = (now.past * s.num + now.now * v) / now.den;
    return now;
}

LCV_GPU_DEVICE void advance(past_sums &s, const weights &w, double k, double v)
{
    const double scale = fmax(w.w + s.scale, k), past = exp(w.w + s.scale - scale), now = exp(k - scale);
    s.num_lag = past * (s.num_lag + s.num);
    s.den_lag = past * (s.den_lag + s.den);
    s.num = past * s.num + now * v;
    s.den = past * s.den + now;
    s.scale = scale;
}

/* The state behind a whole chunk, from that before it and what the chunk adds. */
LCV_GPU_DEVICE past_sums join(const past_sums &before, const past_sums &chunk, double w)
{
    const double count = LCV_GPU_CHUNK, scale = fmax(before.scale + count * w, chunk.scale);
    const double old = exp(before.scale + count * w - scale), fresh = exp(chunk.scale - scale);
    return {old * before.num + fresh * chunk.num, old * before.den + fresh * chunk.den, scale,
            old * (before.num_lag + count * before.num) + fresh * chunk.num_lag,
            old * (before.den_lag + count * before.den) + fresh * chunk.den_lag};
}

LCV_GPU_DEVICE later_sums join(const later_sums &after, const later_sums &chunk, double w)
{
    const double scale = fmax(after.scale + LCV_GPU_CHUNK * w, chunk.scale);
    const double old = exp(after.scale + LCV_GPU_CHUNK * w - scale), fresh = exp(chunk.scale - scale);
    return {old * after.n + fresh * chunk.n, old * after.m + fresh * chunk.m, scale};
}

/* ---- Forward ---- */

template <class R> __global__ void sum_past(wkv p)
{
    lcv_gpu_each_chunk(p.chunks, [&](const lcv_gpu_item &item) {
        const weights w = weights_of<R>(p, item.at.c);
        past_sums s = no_past();
        for (int64_t t = item.first; t < item.first + item.count; t++)
            advance(s, w, load<R>(p.k, item.at, t), load<R>(p.v, item.at, t));
        p.past[item.index] = s;
    });
}

template <class R> __global__ void carry_past(wkv p)
{
    lcv_gpu_each_row(p.chunks, [&](int64_t b, int64_t c) {
        const double w = weights_of<R>(p, c).w;
        lcv_gpu_carry(p.chunks, p.past, b, c, false, no_past(),
                      [&](const past_sums &before, const past_sums &own) { return join(before, own, w); });
    });
}

template <class R> __global__ void weigh(wkv p)
{
    lcv_gpu_each_chunk(p.chunks, [&](const lcv_gpu_item &item) {
        const weights w = weights_of<R>(p, item.at.c);
        past_sums s = p.past[item.index];
        for (int64_t t = item.first; t < item.first + item.count; t++) {
            const double k = load<R>(p.k, item.at, t), v = load<R>(p.v, item.at, t);
            double y = look(s, w, k, v).y;
            if (p.r.data != nullptr)
                y *= logistic_of(load<R>(p.r, item.at, t));
            lcv_gpu_put(p.out, item.at, t, 0, static_cast<R>(y));
            advance(s, w, k, v);
        }
    });
}

/* ---- Backward ---- */

/* What the way back through a chunk needs of its samples. */
struct chunk_samples {
    double y[LCV_GPU_CHUNK], n[LCV_GPU_CHUNK], top[LCV_GPU_CHUNK]; /* n in units of e^-top */
};

/* The samples of a chunk; f(t, dout, sample, state before it) for each of them. */
template <class R, class F>
LCV_GPU_DEVICE void look_again(const wkv &p, const lcv_gpu_item &item, const weights &w, chunk_samples &d, F f)
{
    past_sums s = p.past[item.index];
    for (int64_t i = 0; i < item.count; i++) {
        const int64_t t = item.first + i;
        const double k = load<R>(p.k, item.at, t), v = load<R>(p.v, item.at, t), dout = load<R>(p.out, item.at, t);
        const double gate = p.r.data == nullptr ? 1.0 : logistic_of(load<R>(p.r, item.at, t));
        const sample now = look(s, w, k, v);
        d.y[i] = now.y;
        d.n[i] = dout * gate / now.den;
        d.top[i] = now.top;
        f(t, dout, d.n[i], now, s);
        advance(s, w, k, v);
    }
}

LCV_GPU_DEVICE void go_back(later_sums &sum, const weights &w, double y, double n, double top)
{
    const double scale = fmax(-top, w.w + sum.scale);
    const double old = exp(w.w + sum.scale - scale), fresh = exp(-top - scale);
    sum = {old * sum.n + fresh * n, old * sum.m - fresh * n * y, scale};
}

template <class R> __global__ void sum_later(wkv p)
{
    lcv_gpu_each_chunk(p.chunks, [&](const lcv_gpu_item &item) {
        const weights w = weights_of<R>(p, item.at.c);
        chunk_samples d;
        later_sums sum = no_later();
        look_again<R>(p, item, w, d, [](int64_t, double, double, const sample &, const past_sums &) {});
        for (int64_t i = item.count - 1; i >= 0; i--)
            go_back(sum, w, d.y[i], d.n[i], d.top[i]);
        p.later[item.index] = sum;
    });
}

template <class R> __global__ void carry_later(wkv p)
{
    lcv_gpu_each_row(p.chunks, [&](int64_t b, int64_t c) {
        const double w = weights_of<R>(p, c).w;
        lcv_gpu_carry(p.chunks, p.later, b, c, true, no_later(),
                      [&](const later_sums &after, const later_sums &own) { return join(after, own, w); });
    });
}

template <class R> __global__ void weigh_back(wkv p)
{
    lcv_gpu_each_chunk(p.chunks, [&](const lcv_gpu_item &item) {
        const weights w = weights_of<R>(p, item.at.c);
        chunk_samples d;
        later_sums sum = p.later[item.index];
        double by_decay = 0.0, by_first = 0.0;
        look_again<R>(p, item, w, d, [&](int64_t t, double dout, double n, const sample &now, const past_sums &s) {
            by_decay += now.past * n * (s.num_lag - now.y * s.den_lag);
            if (p.r.data == nullptr)
                return;
            const double r = load<R>(p.r, item.at, t);
            lcv_gpu_put(p.dr, item.at, t, p.adds_r,
                        static_cast<R>(dout * now.y * logistic_of(r) * logistic_of(-r)));
        });
        for (int64_t i = item.count - 1; i >= 0; i--) {
            const int64_t t = item.first + i;
            const double k = load<R>(p.k, item.at, t), v = load<R>(p.v, item.at, t);
            const double here = exp(w.u + k - d.top[i]) * d.n[i];
            const double ahead = exp(k + sum.scale); /* at most 1: no later scale is below this sample's */
            by_first += here * (v - d.y[i]);
            lcv_gpu_put(p.dv, item.at, t, p.adds_v, static_cast<R>(here + ahead * sum.n));
            lcv_gpu_put(p.dk, item.at, t, p.adds_k,
                        static_cast<R>(here * (v - d.y[i]) + ahead * (v * sum.n + sum.m)));
            go_back(sum, w, d.y[i], d.n[i], d.top[i]);
        }
        double *partials = p.partials + item.part * PARTIALS * p.chunks.shape.channels + item.at.c;
        partials[0] = w.w * by_decay;
        partials[p.chunks.shape.channels] = by_first;
    });
}

/* ---- The host's side ---- */

bool workspace(const lcv_step_problem *p, bool backward, int64_t *doubles)
{
    return lcv_gpu_doubles(p, p->channels, backward ? PAST + LATER + PARTIALS : PAST, 0, doubles);
}

wkv wkv_of(const lcv_step_problem *p, const lcv_step_call *call, double *memory)
{
    wkv job = {};
    job.chunks = lcv_gpu_chunks_of(lcv_gpu_shape_of(p, call->operand[LCV_STEP_IN]));
    job.k = lcv_gpu_data(p, call->operand[LCV_STEP_PRE_GATE]);
    job.v = lcv_gpu_data(p, call->operand[LCV_STEP_IN]);
    job.r = lcv_gpu_data(p, call->operand[LCV_STEP_POST_GATE]);
    job.out = lcv_gpu_data(p, call->out);
    job.dk = lcv_gpu_data(p, call->gradient[LCV_STEP_PRE_GATE]);
    job.dv = lcv_gpu_data(p, call->gradient[LCV_STEP_IN]);
    job.dr = lcv_gpu_data(p, call->gradient[LCV_STEP_POST_GATE]);
    job.first = call->operand[LCV_STEP_SKIP];
    job.decay = call->operand[LCV_STEP_BIAS];
    job.adds_k = call->adds[LCV_STEP_PRE_GATE];
    job.adds_v = call->adds[LCV_STEP_IN];
    job.adds_r = call->adds[LCV_STEP_POST_GATE];
    const int64_t items = lcv_gpu_items_of(job.chunks);
    job.past = reinterpret_cast<past_sums *>(memory);
    job.later = reinterpret_cast<later_sums *>(memory + items * PAST);
    job.partials = memory + items * (PAST + LATER);
    return job;
}

/* The states at the begin of every chunk. */
int run_past(const wkv &job, bool is_double, void *stream)
{
    const int error =
        LCV_GPU_LAUNCH_REALS(is_double, sum_past, lcv_gpu_chunk_grid(job.chunks), 0, stream, job);
    return error != 0 ? error
                      : LCV_GPU_LAUNCH_REALS(is_double, carry_past, lcv_gpu_row_grid(job.chunks), 0, stream, job);
}

int run_back(const wkv &job, bool is_double, void *stream)
{
    const dim3 chunks = lcv_gpu_chunk_grid(job.chunks), rows = lcv_gpu_row_grid(job.chunks);
    int error = run_past(job, is_double, stream);
    if (error == 0)
        error = LCV_GPU_LAUNCH_REALS(is_double, sum_later, chunks, 0, stream, job);
    if (error == 0)
        error = LCV_GPU_LAUNCH_REALS(is_double, carry_later, rows, 0, stream, job);
    return error != 0 ? error : LCV_GPU_LAUNCH_REALS(is_double, weigh_back, chunks, 0, stream, job);
}

int forward(const lcv_step_problem *p, const lcv_step_call *call, double *memory, void *stream)
{
    const wkv job = wkv_of(p, call, memory);
    const bool is_double = lcv_gpu_is_double(p);
    if (lcv_gpu_items_of(job.chunks) == 0)
        return 0;
    const int error = run_past(job, is_double, stream);
    return error != 0 ? error
                      : LCV_GPU_LAUNCH_REALS(is_double, weigh, lcv_gpu_chunk_grid(job.chunks), 0, stream, job);
}

int store_parameter(const lcv_step_problem *p, const lcv_step_call *call, const wkv &job, lcv_step_operand operand,
                    int which, void *stream)
{
    const lcv_gpu_parts parts = {job.partials + which * p->channels,
                                 lcv_gpu_parts_of(job.chunks),
                                 PARTIALS * p->channels,
                                 p->channels,
                                 call->gradient[operand],
                                 call->adds[operand]};
    return lcv_gpu_add_parts(lcv_gpu_is_double(p), parts, stream);
}

int backward(const lcv_step_problem *p, const lcv_step_call *call, double *memory, void *stream)
{
    const wkv job = wkv_of(p, call, memory);
    int error = lcv_gpu_items_of(job.chunks) == 0 ? 0 : run_back(job, lcv_gpu_is_double(p), stream);
    if (error == 0)
        error = store_parameter(p, call, job, LCV_STEP_BIAS, 0, stream);
    return error != 0 ? error : store_parameter(p, call, job, LCV_STEP_SKIP, 1, stream);
}

} // namespace

const lcv_gpu_step lcv_gpu_step_wkv = {"wkv", workspace, forward, backward};
