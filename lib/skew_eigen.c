/* SPDX-License-Identifier: BSD-3-Clause */
/* Reflections make S tridiagonal: T = Q^T S Q, still skew. With D = diag((-i)^k), D^* (-i T) D is the real
 * symmetric tridiagonal matrix with T's lower off-diagonal and a zero diagonal, whose eigenvalues are found
 * by the implicitly shifted QR method. Neither Q nor the eigenvectors are formed: the vectors are carried
 * along. Source: Golub and Van Loan, Matrix Computations, sections 8.3 (QR steps) and 5.1 (reflections). */
#include "skew_eigen.h"
#include "initialise.h"

#include <math.h>

LCVI_EXACT_ARITHMETIC

enum { STEPS_AN_EIGENVALUE = 60 };

/* ---- Tridiagonal form ---- */

/* v so that (I - scale v v^T) x is a multiple of the first unit vector, v over x. Returns scale; 0: x has
 * that shape already. `first` becomes the multiple. */
static double reflector(int64_t n, double *x, double *first)
{
    double rest = 0.0;
    for (int64_t i = 1; i < n; i++)
        rest += x[i] * x[i];
    *first = x[0];
    if (rest == 0.0)
        return 0.0;
    const double size = sqrt(x[0] * x[0] + rest);
    *first = x[0] > 0.0 ? -size : size;
    x[0] -= *first;
    return 2.0 / (x[0] * x[0] + rest);
}

/* vector -= scale v (v . vector) */
static void reflect(int64_t n, const double *v, double scale, double *vector)
{
    double product = 0.0;
    for (int64_t i = 0; i < n; i++)
        product += v[i] * vector[i];
    for (int64_t i = 0; i < n; i++)
        vector[i] -= scale * product * v[i];
}

/* Both sides of the trailing m x m block: S += scale (v p^T - p v^T) with p = S v, because v^T S v = 0. */
static void reflect_block(int64_t n, int64_t m, double *block, const double *v, double scale, double *p)
{
    for (int64_t i = 0; i < m; i++) {
        p[i] = 0.0;
        for (int64_t k = 0; k < m; k++)
            p[i] += block[i * n + k] * v[k];
    }
    for (int64_t i = 0; i < m; i++)
        for (int64_t k = 0; k < m; k++)
            block[i * n + k] += scale * (v[i] * p[k] - p[i] * v[k]);
}

/* Leaves the lower off-diagonal in `below` ([n], its last entry 0). The reflector of a column is kept in the
 * row of the same number, which is not needed any more. */
static void make_tridiagonal(int64_t n, double *s, double *below, int64_t count, double *vectors, double *p)
{
    for (int64_t k = 0; k + 1 < n; k++) {
        const int64_t m = n - k - 1;
        double *v = s + k * n + k + 1;
        for (int64_t i = 0; i < m; i++)
            v[i] = s[(k + 1 + i) * n + k];
        const double scale = reflector(m, v, &below[k]);
        if (scale == 0.0)
            continue;
        reflect_block(n, m, s + (k + 1) * n + k + 1, v, scale, p);
        for (int64_t row = 0; row < count; row++)
            reflect(m, v, scale, vectors + row * n + k + 1);
    }
    below[n - 1] = 0.0;
}

/* ---- Eigenvalues ---- */

static void rotate(double c, double s, double *a, double *b)
{
    const double turned = c * *a + s * *b;
    *b = c * *b - s * *a;
    *a = turned;
}

/* One QR step on the rows lo to hi, with Wilkinson's shift. */
static void qr_step(int64_t n, int64_t lo, int64_t hi, double *d, double *e, int64_t count, double *re,
                    double *im)
{
    const double half = 0.5 * (d[hi - 1] - d[hi]), last = e[hi - 1];
    const double root = sqrt(half * half + last * last);
    double x = d[lo] - (d[hi] - last * last / (half + (half >= 0.0 ? root : -root))), z = e[lo];
    for (int64_t k = lo; k < hi; k++) {
        const double r = sqrt(x * x + z * z);
        const double c = r > 0.0 ? x / r : 1.0, s = r > 0.0 ? z / r : 0.0;
        const double a = d[k], b = e[k], f = d[k + 1];
        if (k > lo)
            e[k - 1] = r;
        d[k] = c * c * a + 2.0 * c * s * b + s * s * f;
        d[k + 1] = s * s * a - 2.0 * c * s * b + c * c * f;
        e[k] = c * s * (f - a) + (c * c - s * s) * b;
        x = e[k];
        z = s * e[k + 1];
        e[k + 1] = k + 1 < hi ? c * e[k + 1] : e[k + 1];
        for (int64_t row = 0; row < count; row++) {
            rotate(c, s, &re[row * n + k], &re[row * n + k + 1]);
            rotate(c, s, &im[row * n + k], &im[row * n + k + 1]);
        }
    }
}

static double largest(int64_t n, const double *e)
{
    double size = 0.0;
    for (int64_t k = 0; k < n; k++)
        size = fabs(e[k]) > size ? fabs(e[k]) : size;
    return size;
}

static bool find_eigenvalues(int64_t n, double *d, double *e, int64_t count, double *re, double *im)
{
    const double negligible = 0x1p-53 * largest(n, e);
    int64_t hi = n - 1, steps = STEPS_AN_EIGENVALUE * n;
    while (hi > 0 && steps-- > 0) {
        int64_t lo = hi;
        while (lo > 0 && fabs(e[lo - 1]) > negligible)
            lo--;
        if (lo > 0)
            e[lo - 1] = 0.0;
        if (lo == hi)
            hi--;
        else
            qr_step(n, lo, hi, d, e, count, re, im);
    }
    return hi <= 0;
}

/* ---- Order ---- */

static void swap(double *a, double *b)
{
    const double kept = *a;
    *a = *b;
    *b = kept;
}

static void sort(int64_t n, double *d, int64_t count, double *re, double *im)
{
    for (int64_t k = 0; k + 1 < n; k++) {
        int64_t least = k;
        for (int64_t i = k + 1; i < n; i++)
            least = d[i] < d[least] ? i : least;
        swap(&d[k], &d[least]);
        for (int64_t row = 0; row < count && least != k; row++) {
            swap(&re[row * n + k], &re[row * n + least]);
            swap(&im[row * n + k], &im[row * n + least]);
        }
    }
}

bool lcvi_skew_eigen(int64_t n, double *s, double *lambda, int64_t count, double *vectors, double *re,
                     double *im, double *work)
{
    double *below = work, *p = lambda; /* the eigenvalues are not there yet */
    make_tridiagonal(n, s, below, count, vectors, p);
    /* D^* vector: entry k times i^k. */
    for (int64_t i = 0; i < count * n; i++) {
        const int64_t k = i % n;
        const double sign = k % 4 < 2 ? 1.0 : -1.0;
        re[i] = k % 2 == 0 ? sign * vectors[i] : 0.0;
        im[i] = k % 2 == 1 ? sign * vectors[i] : 0.0;
    }
    for (int64_t k = 0; k < n; k++)
        lambda[k] = 0.0;
    const bool found = find_eigenvalues(n, lambda, below, count, re, im);
    sort(n, lambda, count, re, im);
    return found;
}
