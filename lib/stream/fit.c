/* SPDX-License-Identifier: BSD-3-Clause */
/* A filter as a sum of exponentials, and the error that is really there.
 *
 * The Hankel matrix h[i + j] of a sum of R exponentials has rank R, and its range does not change when it is
 * shifted by one row: on the leading eigenvectors the shift is a small matrix whose eigenvalues are the
 * poles. Residues follow by least squares over all taps. An exponential Re(residue pole^j) with a complex
 * pole is two of the R.
 *
 * Source: Kung, A new identification and model reduction algorithm via singular value decomposition (1978).
 */
#include "eigen.h"
#include "stream.h"

#include <math.h>
#include <string.h>

enum {
    MOST_ROWS = 256, /* of the Hankel matrix */
    MORE = 6,        /* vectors in work beyond the wanted ones: the iteration converges faster */
    ROUNDS = 24
};

typedef struct {
    const double *taps;
    int64_t count;
    int64_t rows;                         /* of the Hankel matrix */
    int64_t vectors;                      /* in work */
    double *basis, *image, *small, *turn; /* rows x vectors, twice; vectors x vectors, twice */
    double *shift;                        /* vectors x vectors */
    double *columns, *rest;               /* count x 2 order; count */
} fit;

static int64_t hankel_rows(int64_t taps)
{
    return lcvi_max(lcvi_min((taps + 1) / 2, MOST_ROWS), 1);
}

static int64_t vectors_for(int64_t taps, int64_t order)
{
    return lcvi_min(2 * order + MORE, hankel_rows(taps));
}

int64_t lcvi_fit_numbers(int64_t taps, int64_t order)
{
    const int64_t rows = hankel_rows(taps), vectors = vectors_for(taps, order);
    return 2 * rows * vectors + 3 * vectors * vectors + lcvi_eigen_numbers(vectors) + taps * (2 * order + 1);
}

/* ---- Leading eigenvectors ---- */

static double dot(const double *a, const double *b, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Makes vector v orthogonal to those before it and of length 1; returns its length before, beside them. */
static double orthogonalise(double *vectors, int64_t count, int64_t v)
{
    double *own = vectors + v * count;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t k = 0; k < v; k++) {
            const double part = dot(vectors + k * count, own, count);
            for (int64_t i = 0; i < count; i++)
                own[i] -= part * vectors[k * count + i];
        }
    const double length = sqrt(dot(own, own, count));
    for (int64_t i = 0; i < count && length > 0.0; i++)
        own[i] /= length;
    return length;
}

/* image = Hankel basis */
static void apply_hankel(const fit *f)
{
    for (int64_t v = 0; v < f->vectors; v++)
        for (int64_t i = 0; i < f->rows; i++) {
            const int64_t there = lcvi_max(lcvi_min(f->rows, f->count - i), 0);
            f->image[v * f->rows + i] = dot(f->taps + i, f->basis + v * f->rows, there);
        }
}

/* Turns the basis so that the Hankel matrix is diagonal on it, the largest first. */
static void align(const fit *f)
{
    const int64_t n = f->vectors;
    apply_hankel(f);
    for (int64_t a = 0; a < n; a++)
        for (int64_t b = 0; b < n; b++)
            f->small[a * n + b] = dot(f->basis + a * f->rows, f->image + b * f->rows, f->rows);
    lcvi_eigen_symmetric(f->small, f->turn, n);
    for (int64_t v = 0; v < n; v++)
        for (int64_t i = 0; i < f->rows; i++) {
            double sum = 0.0;
            for (int64_t k = 0; k < n; k++)
                sum += f->turn[v * n + k] * f->basis[k * f->rows + i];
            f->image[v * f->rows + i] = sum;
        }
    memcpy(f->basis, f->image, (size_t)(n * f->rows) * sizeof(double));
}

static void find_range(const fit *f)
{
    uint64_t seed = 1;
    for (int64_t i = 0; i < f->vectors * f->rows; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        f->basis[i] = (double)(seed >> 11) * 0x1p-52 - 1.0;
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int64_t v = 0; v < f->vectors; v++)
            orthogonalise(f->basis, f->rows, v);
        if (round + 1 == ROUNDS)
            break;
        apply_hankel(f);
        memcpy(f->basis, f->image, (size_t)(f->vectors * f->rows) * sizeof(double));
    }
    align(f);
}

/* ---- Poles ---- */

/* The shift on the first `rank` vectors, by least squares: without the last row the vectors are orthonormal
 * but for a matrix of rank 1. */
static void fill_shift(const fit *f, int64_t rank)
{
    const int64_t last = f->rows - 1;
    double beyond = 0.0;
    for (int64_t a = 0; a < rank; a++)
        beyond += f->basis[a * f->rows + last] * f->basis[a * f->rows + last];
    const double scale = beyond < 1.0 ? 1.0 / (1.0 - beyond) : 0.0;
    for (int64_t b = 0; b < rank; b++) {
        double along = 0.0;
        for (int64_t a = 0; a < rank; a++) {
            f->shift[a * rank + b] = dot(f->basis + a * f->rows, f->basis + b * f->rows + 1, last);
            along += f->basis[a * f->rows + last] * f->shift[a * rank + b];
        }
        for (int64_t a = 0; a < rank; a++)
            f->shift[a * rank + b] += scale * along * f->basis[a * f->rows + last];
    }
}

/* Keeps one of each pair of conjugates, inside the unit circle; returns how many there are, whatever fits. */
static int64_t keep_poles(const double *eigenvalues, int64_t rank, int64_t order, double *poles)
{
    const double most = 1.0 - 1e-9, real_enough = 1e-12;
    int64_t kept = 0;
    for (int64_t i = 0; i < rank; i++) {
        double re = eigenvalues[2 * i], im = eigenvalues[2 * i + 1];
        const double size = hypot(re, im);
        if (im < -real_enough || !isfinite(size))
            continue;
        if (size > most) {
            re *= most / size;
            im *= most / size;
        }
        if (kept < order) {
            poles[2 * kept] = re;
            poles[2 * kept + 1] = im > real_enough ? im : 0.0;
        }
        kept++;
    }
    return kept;
}

/* As many poles as `order` exponentials can hold; returns how many. */
static int64_t find_poles(const fit *f, int64_t order, double *poles)
{
    double *work = f->shift + f->vectors * f->vectors;
    int64_t rank = lcvi_min(2 * order, f->vectors);
    for (;;) {
        fill_shift(f, rank);
        if (!lcvi_eigenvalues(f->shift, rank, work))
            return 0;
        const int64_t kept = keep_poles(work, rank, order, poles);
        if (kept <= order)
            return kept;
        rank -= kept - order;
    }
}

/* ---- Residues ---- */

/* Columns Re(pole^j) and -Im(pole^j); returns how many. */
static int64_t fill_columns(const fit *f, const double *poles, int64_t kept)
{
    double *column = f->columns;
    int64_t count = 0;
    for (int64_t i = 0; i < kept; i++) {
        const double re = poles[2 * i], im = poles[2 * i + 1];
        const int parts = im != 0.0 ? 2 : 1;
        double a = 1.0, b = 0.0;
        for (int64_t j = 0; j < f->count; j++) {
            column[j] = a;
            if (parts == 2)
                column[f->count + j] = -b;
            const double next = a * re - b * im;
            b = a * im + b * re;
            a = next;
        }
        column += parts * f->count;
        count += parts;
    }
    return count;
}

/* Least squares: columns become orthonormal, and `triangle` (columns x columns, in f->shift's place) says by
 * what. Solutions come back column by column. */
static void solve(const fit *f, int64_t columns, double *solution, double *triangle)
{
    memcpy(f->rest, f->taps, (size_t)f->count * sizeof(double));
    for (int64_t c = 0; c < columns; c++) {
        double *own = f->columns + c * f->count;
        memset(triangle + c * columns, 0, (size_t)columns * sizeof(double));
        for (int pass = 0; pass < 2; pass++)
            for (int64_t k = 0; k < c; k++) {
                const double part = dot(f->columns + k * f->count, own, f->count);
                triangle[c * columns + k] += part;
                for (int64_t j = 0; j < f->count; j++)
                    own[j] -= part * f->columns[k * f->count + j];
            }
        const double length = sqrt(dot(own, own, f->count));
        triangle[c * columns + c] = length;
        for (int64_t j = 0; j < f->count; j++)
            own[j] = length > 1e-14 ? own[j] / length : 0.0;
        solution[c] = dot(own, f->rest, f->count);
    }
    for (int64_t c = columns - 1; c >= 0; c--) {
        for (int64_t k = c + 1; k < columns; k++)
            solution[c] -= triangle[k * columns + c] * solution[k];
        const double length = triangle[c * columns + c];
        solution[c] = length > 1e-14 ? solution[c] / length : 0.0;
    }
}

/* ---- The error ---- */

/* Subtracts from `rest` the next `count` values of the exponentials, and leaves them behind these. */
static void subtract_next(const fit *f, int64_t count, int64_t order, const double *poles, double *now)
{
    for (int64_t i = 0; i < order; i++) {
        double a = now[2 * i], b = now[2 * i + 1];
        for (int64_t j = 0; j < count; j++) {
            const double next = a * poles[2 * i] - b * poles[2 * i + 1];
            f->rest[j] -= a;
            b = a * poles[2 * i + 1] + b * poles[2 * i];
            a = next;
        }
        now[2 * i] = a;
        now[2 * i + 1] = b;
    }
}

static double sum_of_sizes(const double *numbers, int64_t count)
{
    double sum = 0.0;
    for (int64_t j = 0; j < count; j++)
        sum += fabs(numbers[j]);
    return sum;
}

/* What the exponentials can sum up to at most in `lags` values from now on. */
static double most_from_now(int64_t lags, int64_t order, const double *poles, const double *now)
{
    double sum = 0.0;
    for (int64_t i = 0; i < order; i++) {
        const double size = hypot(poles[2 * i], poles[2 * i + 1]); /* below 1 */
        sum += hypot(now[2 * i], now[2 * i + 1]) * (1.0 - pow(size, (double)lags)) / (1.0 - size);
    }
    return sum;
}

/* sum |filter - fit| / sum |taps| over `lags` lags. Beyond the taps the filter is 0, but the fit goes on:
 * that is measured for as many lags again, and bounded for those after them. */
static double error_of(const fit *f, int64_t lags, int64_t order, const double *poles, const double *residues)
{
    double *now = f->columns; /* which are not needed any more */
    const double total = sum_of_sizes(f->taps, f->count);
    const int64_t more = lcvi_min(lcvi_max(lags - f->count, 0), f->count);
    memcpy(now, residues, (size_t)(2 * order) * sizeof(double));
    memcpy(f->rest, f->taps, (size_t)f->count * sizeof(double));
    subtract_next(f, f->count, order, poles, now);
    double error = sum_of_sizes(f->rest, f->count);
    memset(f->rest, 0, (size_t)more * sizeof(double));
    subtract_next(f, more, order, poles, now);
    error += sum_of_sizes(f->rest, more);
    if (lags - f->count > more)
        error += most_from_now(lags - f->count - more, order, poles, now);
    return total > 0.0 ? error / total : error;
}

double lcvi_fit(const double *taps, int64_t count, int64_t lags, int64_t order, double *poles,
                double *residues, double *work)
{
    fit f = {.taps = taps, .count = count, .rows = hankel_rows(count), .vectors = vectors_for(count, order)};
    const int64_t n = f.vectors;
    f.basis = work;
    f.image = f.basis + f.rows * n;
    f.small = f.image + f.rows * n;
    f.turn = f.small + n * n;
    f.shift = f.turn + n * n;
    f.columns = f.shift + n * n + lcvi_eigen_numbers(n);
    f.rest = f.columns + count * 2 * order;
    memset(poles, 0, (size_t)(2 * order) * sizeof(double));
    memset(residues, 0, (size_t)(2 * order) * sizeof(double));
    if (count == 0)
        return 0.0;
    find_range(&f);
    const int64_t kept = find_poles(&f, order, poles);
    const int64_t columns = fill_columns(&f, poles, kept);
    /* The basis has done its work; its place is large enough: columns <= n. */
    double *solution = f.small, *next = solution;
    solve(&f, columns, solution, f.turn);
    for (int64_t i = 0; i < kept; i++) {
        residues[2 * i] = *next++;
        residues[2 * i + 1] = poles[2 * i + 1] != 0.0 ? *next++ : 0.0;
    }
    return error_of(&f, lags, order, poles, residues);
}
