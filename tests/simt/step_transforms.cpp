// SPDX-License-Identifier: BSD-3-Clause
// step_transforms.cpp: the step blocks, its transforms by recursion. The scene's number: 0 and what 4 divides
// have no filter, else it is the number of taps, and odd ones have a skip.
#include "step_formulas.h"

#include <algorithm>
#include <complex>

namespace
{

typedef std::complex<long double> Complex;

// A complex number and a bound of the magnitudes of what it was added up from.
struct Wide {
    Complex value = 0;
    Exact magnitude = 0;

    Wide() = default;
    Wide(Complex v) : value(v), magnitude(std::abs(v))
    {
    }
    Wide(Complex v, Exact m) : value(v), magnitude(m)
    {
    }
};

Wide operator+(Wide a, Wide b)
{
    return {a.value + b.value, a.magnitude + b.magnitude};
}

Wide operator*(Wide a, Wide b)
{
    return {a.value * b.value, a.magnitude * b.magnitude};
}

Wide conj(Wide a)
{
    return {std::conj(a.value), a.magnitude};
}

typedef std::vector<Wide> Points;

Wide turn(int64_t product, int64_t points)
{
    const Exact angle = 2 * acosl(-1.0L) * Exact(product % points) / Exact(points);
    return Complex(cosl(angle), -sinl(angle));
}

// y[k] = sum_t exp(-2 pi i k t / N) x[t], from those of the even and of the odd samples.
Points fourier(const Points &x)
{
    const size_t half = x.size() / 2;
    if (half == 0)
        return x;
    Points even, odd, y(x.size());
    for (size_t t = 0; t < half; t++)
        even.push_back(x[2 * t]), odd.push_back(x[2 * t + 1]);
    even = fourier(even), odd = fourier(odd);
    for (size_t k = 0; k < x.size(); k++)
        y[k] = even[k % half] + turn(int64_t(k), int64_t(x.size())) * odd[k % half];
    return y;
}

// A channel's matrices with the sums of their gradients.
struct Matrices16 {
    Points block, last, dblock, dlast;

    Matrices16(const Scene &s, int operand, int64_t channel, int64_t points)
    {
        int64_t side = points, from = 0;
        while (side > 16)
            side /= 16;
        if (points >= 16)
            block = read(s, operand, channel, 16, from);
        if (side < 16)
            last = read(s, operand, channel, side, from);
        dblock.resize(block.size()), dlast.resize(last.size());
    }

    Points apply(const Points &x) const
    {
        const size_t n = x.size(), r = n / 16;
        if (n <= 16)
            return multiply(n == 16 ? block : last, x);
        Points y(n);
        for (size_t i = 0; i < 16; i++) {
            const Points part = apply(first_stage(x, i));
            for (size_t c = 0; c < r; c++)
                y[16 * c + i] = part[c];
        }
        return y;
    }

    // dx of dy = d(apply(x)).
    Points back(const Points &x, const Points &dy)
    {
        const size_t n = x.size(), r = n / 16;
        Points dx(n), dpart(r);
        if (n <= 16) {
            add_back(n == 16 ? block : last, n == 16 ? dblock : dlast, x, dy, dx);
            return dx;
        }
        for (size_t i = 0; i < 16; i++) {
            for (size_t c = 0; c < r; c++)
                dpart[c] = dy[16 * c + i];
            const Points dz = back(first_stage(x, i), dpart);
            for (size_t b = 0; b < r; b++) {
                const Wide g = conj(turn(int64_t(i * b), int64_t(n))) * dz[b];
                for (size_t a = 0; a < 16; a++) {
                    dx[a * r + b] = dx[a * r + b] + conj(block[16 * i + a]) * g;
                    dblock[16 * i + a] = dblock[16 * i + a] + g * conj(x[a * r + b]);
                }
            }
        }
        return dx;
    }

    Points gradients() const
    {
        Points all = dblock;
        all.insert(all.end(), dlast.begin(), dlast.end());
        return all;
    }

  private:
    static Points read(const Scene &s, int operand, int64_t channel, int64_t side, int64_t &from)
    {
        Points matrix;
        for (int64_t i = 0; i < side * side; i++, from += 2)
            matrix.push_back(
                Complex(s.value(operand, 0, channel, from), s.value(operand, 0, channel, from + 1)));
        return matrix;
    }

    Points first_stage(const Points &x, size_t i) const
    {
        const size_t n = x.size(), r = n / 16;
        Points z(r);
        for (size_t b = 0; b < r; b++) {
            for (size_t a = 0; a < 16; a++)
                z[b] = z[b] + block[16 * i + a] * x[a * r + b];
            z[b] = turn(int64_t(i * b), int64_t(n)) * z[b];
        }
        return z;
    }

    static Points multiply(const Points &matrix, const Points &x)
    {
        Points y(x.size());
        for (size_t i = 0; i < x.size(); i++)
            for (size_t a = 0; a < x.size(); a++)
                y[i] = y[i] + matrix[i * x.size() + a] * x[a];
        return y;
    }

    static void add_back(const Points &matrix, Points &sums, const Points &x, const Points &dy, Points &dx)
    {
        for (size_t i = 0; i < x.size(); i++)
            for (size_t a = 0; a < x.size(); a++) {
                const size_t at = i * x.size() + a;
                dx[a] = dx[a] + conj(matrix[at]) * dy[i];
                sums[at] = sums[at] + dy[i] * conj(x[a]);
            }
    }
};

bool is_filtered(const Scene &s)
{
    return s.number % 4 != 0;
}

bool has_skip(const Scene &s)
{
    return s.number % 2 != 0;
}

int64_t points_of(const Scene &s)
{
    int64_t points = 2;
    while (points < s.seqlen + (is_filtered(s) ? s.number : 0))
        points *= 2;
    return points;
}

// The error of an element is relative to the magnitudes of its terms.
Sum real_part(Wide w)
{
    return {w.value.real(), w.magnitude};
}

Sum imaginary_part(Wide w)
{
    return {w.value.imag(), w.magnitude};
}

void expect_matrices(Scene &s, int operand, int64_t channel, const Matrices16 &m)
{
    const Points all = m.gradients();
    for (size_t i = 0; i < all.size(); i++) {
        s.expect_gradient(operand, 0, channel, int64_t(2 * i), real_part(all[i]));
        s.expect_gradient(operand, 0, channel, int64_t(2 * i + 1), imaginary_part(all[i]));
    }
}

Points input(const Scene &s, int64_t b, int64_t c, int64_t points)
{
    Points x(static_cast<size_t>(points));
    for (int64_t t = 0; t < s.seqlen; t++)
        x[size_t(t)] = Complex(s.value(LCV_STEP_IN, b, c, t));
    return x;
}

void check_transform(Scene &s, int64_t c, int64_t channels)
{
    const int64_t points = points_of(s);
    Matrices16 m(s, LCV_STEP_BIAS, c, points);
    for (int64_t b = 0; b < s.batch && s.seqlen > 0; b++) {
        const Points x = input(s, b, c, points), y = m.apply(x);
        Points dy(static_cast<size_t>(points));
        for (int64_t k = 0; k < s.seqlen; k++) {
            s.expect_out(b, c, k, real_part(y[size_t(k)]));
            s.expect_out(b, c + channels, k, imaginary_part(y[size_t(k)]));
            dy[size_t(k)] = Complex(s.upstream(b, c, k), s.upstream(b, c + channels, k));
        }
        const Points dx = m.back(x, dy);
        for (int64_t t = 0; t < s.seqlen; t++)
            s.expect_gradient(LCV_STEP_IN, b, c, t, real_part(dx[size_t(t)]));
    }
    expect_matrices(s, LCV_STEP_BIAS, c, m);
}

// One channel with a filter.
struct Filtered {
    Scene &s;
    const int64_t c, points;
    Matrices16 of_x, of_f;
    Points filter, spectrum, dspectrum;
    Exact skip;
    Sum dskip;

    Filtered(Scene &scene, int64_t channel)
        : s(scene), c(channel), points(points_of(scene)), of_x(scene, LCV_STEP_BIAS, channel, points),
          of_f(scene, LCV_STEP_FUTURE, channel, points), filter(static_cast<size_t>(points)),
          dspectrum(static_cast<size_t>(points)),
          skip(has_skip(scene) ? scene.value(LCV_STEP_SKIP, 0, 0, channel) : 0)
    {
        for (int64_t j = 0; j < s.number; j++)
            filter[size_t(j)] = Complex(s.value(LCV_STEP_WEIGHT, 0, c, j));
        spectrum = of_f.apply(filter);
    }

    void check_sample(int64_t b)
    {
        const Points x = input(s, b, c, points), y = of_x.apply(x);
        const Wide scale = Complex(1 / Exact(points));
        Points product, upstream(x.size());
        for (size_t k = 0; k < x.size(); k++)
            product.push_back(scale * conj(y[k] * spectrum[k]));
        const Points out = fourier(product);
        for (int64_t t = 0; t < s.seqlen; t++) {
            s.expect_out(b, c, t, real_part(out[size_t(t)] + Wide(skip) * x[size_t(t)]));
            upstream[size_t(t)] = Complex(s.upstream(b, c, t));
            dskip.add(s.upstream(b, c, t) * x[size_t(t)].value.real());
        }
        Points g = fourier(upstream), dy;
        for (size_t k = 0; k < x.size(); k++) {
            g[k] = scale * g[k];
            dspectrum[k] = dspectrum[k] + g[k] * conj(y[k]);
            dy.push_back(g[k] * conj(spectrum[k]));
        }
        const Points dx = of_x.back(x, dy);
        for (int64_t t = 0; t < s.seqlen; t++)
            s.expect_gradient(LCV_STEP_IN, b, c, t,
                              real_part(dx[size_t(t)] + Wide(skip) * upstream[size_t(t)]));
    }

    void check_parameters()
    {
        const Points df = of_f.back(filter, dspectrum);
        for (int64_t j = 0; j < s.number; j++)
            s.expect_gradient(LCV_STEP_WEIGHT, 0, c, j, real_part(df[size_t(j)]));
        expect_matrices(s, LCV_STEP_BIAS, c, of_x);
        expect_matrices(s, LCV_STEP_FUTURE, c, of_f);
        if (has_skip(s))
            s.expect_gradient(LCV_STEP_SKIP, 0, 0, c, dskip);
    }
};

} // namespace

void set_up_blocks(Scene &s)
{
    const int64_t points = points_of(s), most = std::max<int64_t>(512 / points, 1);
    const int64_t channels = s.channels = std::min(s.channels, most); // which take long enough
    int64_t last = points;
    while (last > 16)
        last /= 16;
    const int64_t numbers = (points >= 16 ? 512 : 0) + (last < 16 ? 2 * last * last : 0);
    s.add_data(LCV_STEP_IN, channels);
    s.add_matrix(LCV_STEP_BIAS, channels, numbers);
    s.details.blocks.filtered = is_filtered(s);
    s.details.blocks.taps = s.number;
    if (is_filtered(s)) {
        s.add_matrix(LCV_STEP_FUTURE, channels, numbers);
        s.add_matrix(LCV_STEP_WEIGHT, channels, s.number);
        if (has_skip(s))
            s.add_vector(LCV_STEP_SKIP, channels);
    } else {
        s.channels = 2 * channels;
    }
    s.set_out_data(s.channels);
}

void check_blocks(Scene &s)
{
    if (!is_filtered(s)) {
        for (int64_t c = 0; c < s.channels / 2; c++)
            check_transform(s, c, s.channels / 2);
        return;
    }
    for (int64_t c = 0; c < s.channels; c++) {
        Filtered channel(s, c);
        for (int64_t b = 0; b < s.batch && s.seqlen > 0; b++)
            channel.check_sample(b);
        channel.check_parameters();
    }
}
