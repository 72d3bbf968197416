// SPDX-License-Identifier: BSD-3-Clause
// step_recurrences.cpp: the steps wkv, by sums over all pairs of samples, and scan, one sample after the
// other.
#include "step_formulas.h"

#include <complex>

// ---- wkv. The scene's number: even ones have a gate ----

void set_up_wkv(Scene &s)
{
    s.add_data(LCV_STEP_IN, s.channels);
    s.add_data(LCV_STEP_PRE_GATE, s.channels);
    if (s.number % 2 == 0)
        s.add_data(LCV_STEP_POST_GATE, s.channels);
    s.add_vector(LCV_STEP_SKIP, s.channels);
    s.add_vector(LCV_STEP_BIAS, s.channels);
    s.scale(LCV_STEP_PRE_GATE, 16.0);
    s.set_out_data(s.channels);
}

namespace
{

// One row, with the sums of every sample.
struct WkvRow {
    const Scene &s;
    int64_t b, c;
    Exact w, u;
    std::vector<Exact> num, den, num_lag, den_lag, y, n;

    WkvRow(const Scene &scene, int64_t b_, int64_t c_)
        : s(scene), b(b_), c(c_), w(-expl(s.value(LCV_STEP_BIAS, 0, 0, c))),
          u(s.value(LCV_STEP_SKIP, 0, 0, c))
    {
        for (int64_t t = 0; t < s.seqlen; t++)
            look(t);
    }
    Exact k(int64_t t) const
    {
        return s.value(LCV_STEP_PRE_GATE, b, c, t);
    }
    Exact v(int64_t t) const
    {
        return s.value(LCV_STEP_IN, b, c, t);
    }
    Exact gate(int64_t t) const
    {
        return s.number % 2 != 0 ? 1 : sigmoid(s.value(LCV_STEP_POST_GATE, b, c, t));
    }
    Exact factor(int64_t from, int64_t t) const
    {
        return expl(Exact(t - 1 - from) * w + k(from));
    }

  private:
    void look(int64_t t)
    {
        Exact a = expl(u + k(t)) * v(t), d = expl(u + k(t)), a_lag = 0, d_lag = 0;
        for (int64_t from = 0; from < t; from++) {
            a += factor(from, t) * v(from);
            d += factor(from, t);
            a_lag += Exact(t - 1 - from) * factor(from, t) * v(from);
            d_lag += Exact(t - 1 - from) * factor(from, t);
        }
        num.push_back(a), den.push_back(d), num_lag.push_back(a_lag), den_lag.push_back(d_lag);
        y.push_back(a / d);
        n.push_back(s.upstream(b, c, t) * gate(t) / d);
    }
};

// Exponents of up to a hundred lose digits of double.
Sum with_digits(Sum sum, int64_t seqlen)
{
    sum.terms += 100 * (seqlen + 1);
    return sum;
}

void check_wkv_row(Scene &s, const WkvRow &row, Sum &by_decay, Sum &by_first)
{
    for (int64_t t = 0; t < s.seqlen; t++) {
        const size_t i = size_t(t);
        const Exact now = expl(row.u + row.k(t)) * row.n[i], dout = s.upstream(row.b, row.c, t);
        Sum dv, dk, out(row.gate(t) * row.y[i], row.gate(t));
        dv.add(now);
        dk.add(now * row.v(t));
        dk.add(-now * row.y[i]);
        by_first.add(now * row.v(t));
        by_first.add(-now * row.y[i]);
        by_decay.add(row.w * row.n[i] * row.num_lag[i]);
        by_decay.add(-row.w * row.n[i] * row.y[i] * row.den_lag[i]);
        for (int64_t later = t + 1; later < s.seqlen; later++) {
            const Exact part = row.factor(t, later) * row.n[size_t(later)];
            dv.add(part);
            dk.add(part * row.v(t));
            dk.add(-part * row.y[size_t(later)]);
        }
        s.expect_out(row.b, row.c, t, with_digits(out, s.seqlen));
        s.expect_gradient(LCV_STEP_IN, row.b, row.c, t, with_digits(dv, s.seqlen));
        s.expect_gradient(LCV_STEP_PRE_GATE, row.b, row.c, t, with_digits(dk, s.seqlen));
        if (s.number % 2 == 0) {
            const Exact slope = row.gate(t) * (1 - row.gate(t)) * dout;
            s.expect_gradient(LCV_STEP_POST_GATE, row.b, row.c, t,
                              with_digits({slope * row.y[i], fabsl(slope)}, s.seqlen));
        }
    }
}

} // namespace

void check_wkv(Scene &s)
{
    for (int64_t c = 0; c < s.channels; c++) {
        Sum by_decay, by_first;
        for (int64_t b = 0; b < s.batch; b++)
            check_wkv_row(s, WkvRow(s, b, c), by_decay, by_first);
        s.expect_gradient(LCV_STEP_BIAS, 0, 0, c, with_digits(by_decay, s.seqlen));
        s.expect_gradient(LCV_STEP_SKIP, 0, 0, c, with_digits(by_first, s.seqlen));
    }
}

// ---- scan. The scene's number: its bits choose direction and discretisation; some have tiny time steps ----

void set_up_scan(Scene &s)
{
    s.channels *= 2;
    s.add_data(LCV_STEP_IN, s.channels);
    s.add_matrix(LCV_STEP_WEIGHT, s.channels / 2, 2);
    s.add_vector(LCV_STEP_BIAS, s.channels / 2);
    s.set_out_data(s.channels);
    s.details.scan.bilinear = s.number / 2 % 2 != 0;
    s.details.scan.reversed = s.number % 2 != 0;
    s.details.scan.rate = s.number % 5 == 4 ? 1e-4 : 0.25;
    s.details.scan.largest_real = -0.1;
    s.details.scan.factor = 2.0;
}

namespace
{

typedef std::complex<long double> Complex;

// A state, and the derivatives of its pole and gain.
struct Mode {
    Complex a, pole, gain, pole_by_a, pole_by_dt, gain_by_a, gain_by_dt;
    Exact dt;
    bool held;

    Mode(const Scene &s, int64_t state)
    {
        const Exact re = s.value(LCV_STEP_WEIGHT, 0, state, 0), im = s.value(LCV_STEP_WEIGHT, 0, state, 1);
        dt = s.details.scan.rate * expl(s.value(LCV_STEP_BIAS, 0, 0, state));
        held = re > s.details.scan.largest_real;
        a = Complex(held ? Exact(s.details.scan.largest_real) : re, im);
        if (s.details.scan.bilinear)
            take_bilinear();
        else
            take_hold();
    }

  private:
    void take_hold()
    {
        pole = std::exp(dt * a);
        gain = (pole - Exact(1)) / a;
        pole_by_a = dt * pole;
        pole_by_dt = a * pole;
        gain_by_a = (dt * pole * a - (pole - Exact(1))) / (a * a);
        gain_by_dt = pole;
    }
    void take_bilinear()
    {
        const Complex inverse = Exact(1) / (Exact(1) - dt * a / Exact(2));
        pole = (Exact(1) + dt * a / Exact(2)) * inverse;
        gain = dt * inverse;
        pole_by_a = dt * inverse * inverse;
        pole_by_dt = a * inverse * inverse;
        gain_by_a = dt * dt / Exact(2) * inverse * inverse;
        gain_by_dt = inverse + dt * a / Exact(2) * inverse * inverse;
    }
};

// A complex sum and the magnitudes of its terms.
struct ComplexSum {
    Complex value = 0;
    Exact magnitude = 0;
    void add(Complex term, Exact size)
    {
        value += term;
        magnitude += size;
    }
};

struct ScanRow {
    const Scene &s;
    const Mode &m;
    int64_t b, state;

    int64_t time(int64_t i) const
    {
        return s.details.scan.reversed ? s.seqlen - 1 - i : i;
    }
    Complex in(int64_t i) const
    {
        return {s.value(LCV_STEP_IN, b, 2 * state, time(i)), s.value(LCV_STEP_IN, b, 2 * state + 1, time(i))};
    }
    Complex slope(int64_t i) const
    {
        const Exact factor = s.details.scan.factor;
        return {factor * s.upstream(b, 2 * state, time(i)), -factor * s.upstream(b, 2 * state + 1, time(i))};
    }
    Sum part(Exact value, Exact magnitude) const
    {
        Sum sum(value, magnitude);
        sum.terms += 16 * s.seqlen;
        return sum;
    }
};

void check_scan_row(Scene &s, const ScanRow &row, ComplexSum &by_pole, ComplexSum &by_gain)
{
    const Mode &m = row.m;
    std::vector<Complex> z(size_t(s.seqlen) + 1);
    std::vector<Exact> size(size_t(s.seqlen) + 1);
    for (int64_t i = 0; i < s.seqlen; i++) {
        const size_t k = size_t(i);
        z[k + 1] = m.pole * z[k] + m.gain * row.in(i);
        size[k + 1] = std::abs(m.pole) * size[k] + std::abs(m.gain) * std::abs(row.in(i));
        const Complex out = Exact(s.details.scan.factor) * std::conj(z[k + 1]);
        s.expect_out(row.b, 2 * row.state, row.time(i), row.part(out.real(), 2 * size[k + 1]));
        s.expect_out(row.b, 2 * row.state + 1, row.time(i), row.part(out.imag(), 2 * size[k + 1]));
    }
    Complex g = 0;
    Exact g_size = 0;
    for (int64_t i = s.seqlen - 1; i >= 0; i--) {
        g = row.slope(i) + std::conj(m.pole) * g;
        g_size = std::abs(row.slope(i)) + std::abs(m.pole) * g_size;
        const Complex din = std::conj(m.gain) * g;
        const Exact din_size = std::abs(m.gain) * g_size;
        s.expect_gradient(LCV_STEP_IN, row.b, 2 * row.state, row.time(i), row.part(din.real(), din_size));
        s.expect_gradient(LCV_STEP_IN, row.b, 2 * row.state + 1, row.time(i), row.part(din.imag(), din_size));
        by_pole.add(g * std::conj(z[size_t(i)]), g_size * size[size_t(i)]);
        by_gain.add(g * std::conj(row.in(i)), g_size * std::abs(row.in(i)));
    }
}

} // namespace

void check_scan(Scene &s)
{
    for (int64_t state = 0; state < s.channels / 2; state++) {
        const Mode m(s, state);
        ComplexSum by_pole, by_gain;
        for (int64_t b = 0; b < s.batch; b++)
            check_scan_row(s, {s, m, b, state}, by_pole, by_gain);
        const auto through = [&](Complex pole, Complex gain) {
            return by_pole.value * std::conj(pole) + by_gain.value * std::conj(gain);
        };
        const auto size = [&](Complex pole, Complex gain) {
            return by_pole.magnitude * std::abs(pole) + by_gain.magnitude * std::abs(gain);
        };
        const ScanRow any = {s, m, 0, state};
        const Complex a =
            m.held ? Complex(0, through(m.pole_by_a, m.gain_by_a).imag()) : through(m.pole_by_a, m.gain_by_a);
        /* The terms of gain_by_a are as large as dt / A. */
        const Exact a_size = size(m.pole_by_a, m.gain_by_a) + by_gain.magnitude * m.dt / std::abs(m.a);
        s.expect_gradient(LCV_STEP_WEIGHT, 0, state, 0, any.part(a.real(), a_size));
        s.expect_gradient(LCV_STEP_WEIGHT, 0, state, 1, any.part(a.imag(), a_size));
        s.expect_gradient(LCV_STEP_BIAS, 0, 0, state,
                          any.part(m.dt * through(m.pole_by_dt, m.gain_by_dt).real(),
                                   m.dt * size(m.pole_by_dt, m.gain_by_dt)));
    }
}
