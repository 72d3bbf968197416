/* SPDX-License-Identifier: BSD-3-Clause */
/* Jacobi's rotations for symmetric matrices, and the shifted QR iteration for the others.
 *
 * Source: Golub and Van Loan, Matrix Computations (4th edition), sections 8.5 and 7.5. */
#include "eigen.h"

#include <complex.h>
#include <math.h>
#include <string.h>

/* ---- Symmetric ---- */

static void rotate(double *a, double *b, int64_t count, int64_t stride, double c, double s)
{
    for (int64_t i = 0; i < count; i++) {
        const double x = a[i * stride], y = b[i * stride];
        a[i * stride] = c * x - s * y;
        b[i * stride] = s * x + c * y;
    }
}

/* One rotation that makes element (p, q) zero. */
static void annihilate(double *m, double *vectors, int64_t n, int64_t p, int64_t q)
{
    const double off = m[p * n + q];
    if (off == 0.0)
        return;
    const double theta = (m[q * n + q] - m[p * n + p]) / (2.0 * off);
    const double t = (theta < 0.0 ? -1.0 : 1.0) / (fabs(theta) + sqrt(theta * theta + 1.0));
    const double c = 1.0 / sqrt(t * t + 1.0), s = t * c;
    rotate(m + p, m + q, n, n, c, s);
    rotate(m + p * n, m + q * n, n, 1, c, s);
    rotate(vectors + p * n, vectors + q * n, n, 1, c, s);
}

/* Rows by falling size of the diagonal. */
static void sort(double *m, double *vectors, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t best = i;
        for (int64_t k = i + 1; k < n; k++)
            if (fabs(m[k * n + k]) > fabs(m[best * n + best]))
                best = k;
        const double value = m[i * n + i];
        m[i * n + i] = m[best * n + best];
        m[best * n + best] = value;
        for (int64_t k = 0; k < n && best != i; k++) {
            const double swap = vectors[i * n + k];
            vectors[i * n + k] = vectors[best * n + k];
            vectors[best * n + k] = swap;
        }
    }
}

void lcvi_eigen_symmetric(double *matrix, double *vectors, int64_t n)
{
    const int sweeps = 12;
    memset(vectors, 0, (size_t)(n * n) * sizeof(double));
    for (int64_t i = 0; i < n; i++)
        vectors[i * n + i] = 1.0;
    for (int sweep = 0; sweep < sweeps; sweep++)
        for (int64_t p = 0; p < n; p++)
            for (int64_t q = p + 1; q < n; q++)
                annihilate(matrix, vectors, n, p, q);
    sort(matrix, vectors, n);
}

/* ---- General ---- */

int64_t lcvi_eigen_numbers(int64_t n)
{
    return 2 * n + 2 * n * n + 4 * n;
}

/* Similar to the matrix, with nothing below the first subdiagonal: elimination with pivots. */
static void make_hessenberg(double complex *h, int64_t n)
{
    for (int64_t k = 1; k < n - 1; k++) {
        int64_t pivot = k;
        for (int64_t i = k + 1; i < n; i++)
            if (cabs(h[i * n + k - 1]) > cabs(h[pivot * n + k - 1]))
                pivot = i;
        for (int64_t j = 0; j < n && pivot != k; j++) {
            const double complex swap = h[k * n + j];
            h[k * n + j] = h[pivot * n + j];
            h[pivot * n + j] = swap;
        }
        for (int64_t i = 0; i < n && pivot != k; i++) {
            const double complex swap = h[i * n + k];
            h[i * n + k] = h[i * n + pivot];
            h[i * n + pivot] = swap;
        }
        for (int64_t i = k + 1; i < n; i++) {
            if (h[i * n + k - 1] == 0.0)
                continue;
            const double complex factor = h[i * n + k - 1] / h[k * n + k - 1];
            for (int64_t j = 0; j < n; j++)
                h[i * n + j] -= factor * h[k * n + j];
            for (int64_t r = 0; r < n; r++)
                h[r * n + k] += factor * h[r * n + i];
        }
    }
}

/* The eigenvalue of the last two rows and columns that is nearer to the last diagonal element. */
static double complex wilkinson(const double complex *h, int64_t n, int64_t last)
{
    const double complex a = h[(last - 1) * n + last - 1], b = h[(last - 1) * n + last];
    const double complex c = h[last * n + last - 1], d = h[last * n + last];
    const double complex half = 0.5 * (a + d), root = csqrt(0.25 * (a - d) * (a - d) + b * c);
    return cabs(half + root - d) < cabs(half - root - d) ? half + root : half - root;
}

/* One QR step on rows and columns first to last: h - shift = QR becomes RQ + shift. */
static void qr_step(double complex *h, int64_t n, int64_t first, int64_t last, double complex shift,
                    double complex *turns)
{
    for (int64_t k = first; k <= last; k++)
        h[k * n + k] -= shift;
    for (int64_t k = first; k < last; k++) {
        const double complex a = h[k * n + k], b = h[(k + 1) * n + k];
        const double length = hypot(cabs(a), cabs(b));
        const double complex c = length > 0.0 ? a / length : 1.0, s = length > 0.0 ? b / length : 0.0;
        turns[2 * k] = c;
        turns[2 * k + 1] = s;
        for (int64_t j = k; j <= last; j++) {
            const double complex x = h[k * n + j], y = h[(k + 1) * n + j];
            h[k * n + j] = conj(c) * x + conj(s) * y;
            h[(k + 1) * n + j] = c * y - s * x;
        }
    }
    for (int64_t k = first; k < last; k++) {
        const double complex c = turns[2 * k], s = turns[2 * k + 1];
        for (int64_t i = first; i <= (k + 1 < last ? k + 1 : last); i++) {
            const double complex x = h[i * n + k], y = h[i * n + k + 1];
            h[i * n + k] = x * c + y * s;
            h[i * n + k + 1] = y * conj(c) - x * conj(s);
        }
    }
    for (int64_t k = first; k <= last; k++)
        h[k * n + k] += shift;
}

/* The first row of the block that ends at `last` and holds together. */
static int64_t block_start(double complex *h, int64_t n, int64_t last)
{
    int64_t first = last;
    while (first > 0) {
        const double beside = cabs(h[(first - 1) * n + first - 1]) + cabs(h[first * n + first]);
        if (cabs(h[first * n + first - 1]) <= 1e-15 * beside) {
            h[first * n + first - 1] = 0.0;
            break;
        }
        first--;
    }
    return first;
}

bool lcvi_eigenvalues(const double *matrix, int64_t n, double *work)
{
    const int most_steps = 60;
    double complex *h = (double complex *)(void *)(work + 2 * n), *turns = h + n * n;
    int steps = 0;
    for (int64_t i = 0; i < n * n; i++)
        h[i] = matrix[i];
    make_hessenberg(h, n);
    for (int64_t last = n - 1; last >= 0;) {
        const int64_t first = block_start(h, n, last);
        if (first == last) {
            work[2 * last] = creal(h[last * n + last]);
            work[2 * last + 1] = cimag(h[last * n + last]);
            last--;
            steps = 0;
            continue;
        }
        if (++steps > most_steps)
            return false;
        /* Now and then another shift, lest the iteration goes in a circle. */
        const double complex shift =
            steps % 10 == 0 ? h[last * n + last] + cabs(h[last * n + last - 1]) : wilkinson(h, n, last);
        qr_step(h, n, first, last, shift, turns);
    }
    return true;
}
