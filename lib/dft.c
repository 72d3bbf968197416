/* SPDX-License-Identifier: BSD-3-Clause */
/* Real sequences of even length are complex ones of half the length. Those go through Stockham's passes, one
 * for each factor, without bit reversal; lengths with other primes than 2, 3, 5 and 7 become a convolution
 * with a chirp. Sources: Swarztrauber, FFT algorithms for vector computers (1984); Bluestein, A linear
 * filtering approach to the computation of discrete Fourier transform (1970). */
#include "dft.h"
#include "size.h"
#include "turns.h"

#include <string.h>

enum { MOST_RADIX = 7 };

/* ---- Complex transforms ---- */

/* A complex sequence in two arrays. */
typedef struct sequence {
    double *re, *im;
} sequence;

/* One pass: `radix` transforms of what `stride` sequences, already transformed, become. */
typedef struct pass {
    const lcvi_roots *roots;
    int64_t radix, parts, stride; /* radix * parts * stride = length */
    sequence in, out;
} pass;

/* exp(-2 pi i index / length) */
static void root_at(const lcvi_roots *roots, int64_t index, double root[2])
{
    root[0] = roots->re[index % roots->length];
    root[1] = roots->im[index % roots->length];
}

static void pass_2(const pass *p, int64_t part)
{
    double w[2];
    root_at(p->roots, part * p->stride, w);
    const int64_t s = p->stride, half = p->parts * s;
    const double *re = p->in.re + part * s, *im = p->in.im + part * s;
    double *out_re = p->out.re + 2 * part * s, *out_im = p->out.im + 2 * part * s;
    for (int64_t q = 0; q < s; q++) {
        const double dr = re[q] - re[half + q], di = im[q] - im[half + q];
        out_re[q] = re[q] + re[half + q];
        out_im[q] = im[q] + im[half + q];
        out_re[s + q] = dr * w[0] - di * w[1];
        out_im[s + q] = dr * w[1] + di * w[0];
    }
}

static void pass_4(const pass *p, int64_t part)
{
    double w1[2], w2[2], w3[2];
    const int64_t s = p->stride, quarter = p->parts * s;
    root_at(p->roots, part * s, w1);
    root_at(p->roots, 2 * part * s, w2);
    root_at(p->roots, 3 * part * s, w3);
    const double *re = p->in.re + part * s, *im = p->in.im + part * s;
    double *restrict out_re = p->out.re + 4 * part * s, *restrict out_im = p->out.im + 4 * part * s;
    for (int64_t q = 0; q < s; q++) {
        const double ar = re[q] + re[2 * quarter + q], ai = im[q] + im[2 * quarter + q];
        const double br = re[q] - re[2 * quarter + q], bi = im[q] - im[2 * quarter + q];
        const double cr = re[quarter + q] + re[3 * quarter + q], ci = im[quarter + q] + im[3 * quarter + q];
        const double dr = im[quarter + q] - im[3 * quarter + q], di = re[3 * quarter + q] - re[quarter + q];
        const double er = br + dr, ei = bi + di, fr = ar - cr, fi = ai - ci, gr = br - dr, gi = bi - di;
        out_re[q] = ar + cr;
        out_im[q] = ai + ci;
        out_re[s + q] = er * w1[0] - ei * w1[1];
        out_im[s + q] = er * w1[1] + ei * w1[0];
        out_re[2 * s + q] = fr * w2[0] - fi * w2[1];
        out_im[2 * s + q] = fr * w2[1] + fi * w2[0];
        out_re[3 * s + q] = gr * w3[0] - gi * w3[1];
        out_im[3 * s + q] = gr * w3[1] + gi * w3[0];
    }
}

/* Output k of a part, for any radix: the sum of the inputs times roots, with the twiddle factor in them. */
static void pass_any(const pass *p, int64_t part)
{
    const int64_t s = p->stride, step = p->parts * s, length = p->roots->length;
    for (int64_t k = 0; k < p->radix; k++) {
        double *out_re = p->out.re + (p->radix * part + k) * s,
               *out_im = p->out.im + (p->radix * part + k) * s;
        double w[MOST_RADIX][2];
        for (int64_t j = 0; j < p->radix; j++)
            root_at(p->roots, part * s * k + j * k % p->radix * (length / p->radix), w[j]);
        for (int64_t q = 0; q < s; q++) {
            double re = 0.0, im = 0.0;
            for (int64_t j = 0; j < p->radix; j++) {
                const double x = p->in.re[part * s + j * step + q], y = p->in.im[part * s + j * step + q];
                re += x * w[j][0] - y * w[j][1];
                im += x * w[j][1] + y * w[j][0];
            }
            out_re[q] = re;
            out_im[q] = im;
        }
    }
}

static int64_t next_radix(int64_t rest)
{
    static const int64_t radices[] = {4, 2, 3, 5, 7};
    for (size_t i = 0; i < sizeof radices / sizeof radices[0]; i++)
        if (rest % radices[i] == 0)
            return radices[i];
    return 0;
}

/* Transforms x, with `other` as scratch; returns where the result is. */
static sequence transform(const lcvi_roots *roots, sequence x, sequence other)
{
    int64_t stride = 1, rest = roots->length;
    while (rest > 1) {
        const int64_t radix = next_radix(rest);
        const pass p = {roots, radix, rest / radix, stride, x, other};
        for (int64_t part = 0; part < p.parts; part++) {
            if (radix == 4)
                pass_4(&p, part);
            else if (radix == 2)
                pass_2(&p, part);
            else
                pass_any(&p, part);
        }
        stride *= radix;
        rest /= radix;
        other = x;
        x = p.out;
    }
    return x;
}

/* ---- Lengths ---- */

static bool is_smooth(int64_t length)
{
    while (length > 1 && next_radix(length) > 0)
        length /= next_radix(length);
    return length <= 1;
}

static int64_t points_of(int64_t length)
{
    return length % 2 == 0 ? length / 2 : length;
}

/* The complex transform that is run: of the points themselves, or of the chirp's convolution. */
static int64_t run_length(int64_t points)
{
    int64_t longer = 1;
    if (is_smooth(points))
        return points;
    while (longer < 2 * points)
        longer *= 2;
    return longer;
}

bool lcvi_dft_sizes(int64_t length, int64_t *tables, int64_t *work)
{
    if (length < 1 || length > INT64_MAX / 128)
        return false;
    const int64_t points = points_of(length), run = run_length(points);
    *tables = 2 * run + 2 * points + (run != points ? 2 * points + 2 * run : 0);
    *work = 4 * run;
    return true;
}

/* ---- Tables ---- */

/* exp(-2 pi i (k or k^2) / length) for k < count. */
static void fill_roots(int64_t length, int64_t count, bool squares, double *re, double *im)
{
    for (int64_t k = 0, index = 0; k < count; k++) {
        const double turns = (double)index / (double)length;
        re[k] = lcvi_cosine_of_turns(turns);
        im[k] = -lcvi_sine_of_turns(turns);
        index = (index + (squares ? 2 * k + 1 : 1)) % length;
    }
}

/* The spectrum of the conjugate chirp, which is even, with the convolution's factor 1 / length. */
static void fill_chirp_spectrum(const lcvi_dft *dft, double *re, double *im, double *work)
{
    const int64_t run = dft->roots.length, points = dft->points;
    const sequence x = {work, work + run}, other = {work + 2 * run, work + 3 * run};
    memset(work, 0, (size_t)(2 * run) * sizeof *work);
    for (int64_t k = 0; k < points; k++) {
        const int64_t mirrored = (run - k) % run;
        x.re[k] = x.re[mirrored] = dft->chirp_re[k] / (double)run;
        x.im[k] = x.im[mirrored] = -dft->chirp_im[k] / (double)run;
    }
    const sequence found = transform(&dft->roots, x, other);
    memcpy(re, found.re, (size_t)run * sizeof *re);
    memcpy(im, found.im, (size_t)run * sizeof *im);
}

lcvi_dft lcvi_dft_make(int64_t length, double *tables, double *work)
{
    const int64_t points = points_of(length), run = run_length(points);
    double *turns = tables + 2 * run, *chirp = turns + 2 * points, *spectrum = chirp + 2 * points;
    lcvi_dft dft = {.length = length, .points = points, .roots = {run, tables, tables + run}};
    fill_roots(run, run, false, tables, tables + run);
    fill_roots(length, points, false, turns, turns + points);
    dft.turn_re = turns;
    dft.turn_im = turns + points;
    if (run == points)
        return dft;
    fill_roots(2 * points, points, true, chirp, chirp + points);
    dft.chirp_re = chirp;
    dft.chirp_im = chirp + points;
    fill_chirp_spectrum(&dft, spectrum, spectrum + run, work);
    dft.chirp_spectrum_re = spectrum;
    dft.chirp_spectrum_im = spectrum + run;
    return dft;
}

/* ---- Real sequences ---- */

static void multiply(double *re, double *im, double by_re, double by_im)
{
    const double product = *re * by_re - *im * by_im;
    *im = *re * by_im + *im * by_re;
    *re = product;
}

/* The transform of the points in x, which has room for the run's length. Returns where it is. */
static sequence run(const lcvi_dft *dft, sequence x, sequence other)
{
    const int64_t length = dft->roots.length;
    if (dft->chirp_re == NULL)
        return transform(&dft->roots, x, other);
    for (int64_t k = 0; k < dft->points; k++)
        multiply(&x.re[k], &x.im[k], dft->chirp_re[k], dft->chirp_im[k]);
    for (int64_t k = dft->points; k < length; k++)
        x.re[k] = x.im[k] = 0.0;
    sequence y = transform(&dft->roots, x, other);
    for (int64_t k = 0; k < length; k++)
        multiply(&y.re[k], &y.im[k], dft->chirp_spectrum_re[k], dft->chirp_spectrum_im[k]);
    /* With the parts exchanged a transform is its inverse. */
    const sequence exchanged = {y.im, y.re};
    const sequence rest = y.re == x.re ? other : x;
    const sequence back = transform(&dft->roots, exchanged, (sequence){rest.im, rest.re});
    y = (sequence){back.im, back.re};
    for (int64_t k = 0; k < dft->points; k++)
        multiply(&y.re[k], &y.im[k], dft->chirp_re[k], dft->chirp_im[k]);
    return y;
}

static void work_of(const lcvi_dft *dft, double *work, sequence *x, sequence *other)
{
    const int64_t length = dft->roots.length;
    *x = (sequence){work, work + length};
    *other = (sequence){work + 2 * length, work + 3 * length};
}

void lcvi_dft_forward(const lcvi_dft *dft, const double *x, double *re, double *im, double *work)
{
    const int64_t points = dft->points;
    const bool even = dft->length % 2 == 0;
    sequence z, other;
    work_of(dft, work, &z, &other);
    for (int64_t k = 0; k < points; k++) {
        z.re[k] = even ? x[2 * k] : x[k];
        z.im[k] = even ? x[2 * k + 1] : 0.0;
    }
    z = run(dft, z, other);
    for (int64_t m = 0; m <= dft->length / 2; m++) {
        const int64_t k = m % points, back = (points - k) % points;
        if (!even) {
            re[m] = z.re[m];
            im[m] = z.im[m];
            continue;
        }
        /* Spectra of the even and the odd samples; the last one is that of m = 0 turned by half. */
        const double even_re = 0.5 * (z.re[k] + z.re[back]), even_im = 0.5 * (z.im[k] - z.im[back]);
        double odd_re = 0.5 * (z.im[k] + z.im[back]), odd_im = 0.5 * (z.re[back] - z.re[k]);
        multiply(&odd_re, &odd_im, m == points ? -1.0 : dft->turn_re[k], m == points ? 0.0 : dft->turn_im[k]);
        re[m] = even_re + odd_re;
        im[m] = even_im + odd_im;
    }
}

/* The points, with the parts exchanged, so that a transform is its inverse. */
static void fill_even(const lcvi_dft *dft, const double *re, const double *im, sequence z)
{
    const double scale = 1.0 / (double)dft->length;
    for (int64_t k = 0; k < dft->points; k++) {
        const int64_t back = dft->points - k;
        const double xr = re[k], xi = k > 0 ? im[k] : 0.0, yr = re[back], yi = k > 0 ? -im[back] : 0.0;
        double odd_re = xr - yr, odd_im = xi - yi;
        multiply(&odd_re, &odd_im, dft->turn_re[k], -dft->turn_im[k]);
        z.im[k] = scale * (xr + yr - odd_im);
        z.re[k] = scale * (xi + yi + odd_re);
    }
}

static void fill_odd(const lcvi_dft *dft, const double *re, const double *im, sequence z)
{
    const double scale = 1.0 / (double)dft->length;
    z.im[0] = scale * re[0];
    z.re[0] = 0.0;
    for (int64_t k = 1; k <= dft->length / 2; k++) {
        z.im[k] = z.im[dft->points - k] = scale * re[k];
        z.re[k] = scale * im[k];
        z.re[dft->points - k] = -scale * im[k];
    }
}

void lcvi_dft_inverse(const lcvi_dft *dft, const double *re, const double *im, double *x, double *work)
{
    const bool even = dft->length % 2 == 0;
    sequence z, other;
    work_of(dft, work, &z, &other);
    if (even)
        fill_even(dft, re, im, z);
    else
        fill_odd(dft, re, im, z);
    z = run(dft, z, other);
    for (int64_t k = 0; k < dft->points; k++) {
        x[even ? 2 * k : k] = z.im[k];
        if (even)
            x[2 * k + 1] = z.re[k];
    }
}
