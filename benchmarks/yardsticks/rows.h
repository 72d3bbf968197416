/* SPDX-License-Identifier: BSD-3-Clause */
/* rows.h: what the yardsticks share: FFTW's names for the type of reals, rows of arrays as plain pointers,
 * and the loops over one row. */
#ifndef YARDSTICKS_ROWS_H
#define YARDSTICKS_ROWS_H

#include "arrays.h"

#include <fftw3.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include <string.h>

#if YARDSTICK_DOUBLE
typedef double real;
typedef fftw_complex complex_number;
typedef fftw_plan fft_plan;
#define FFT(name) fftw_##name
#else
typedef float real;
typedef fftwf_complex complex_number;
typedef fftwf_plan fft_plan;
#define FFT(name) fftwf_##name
#endif

static inline int thread_number(void)
{
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

static inline real *real_room(int64_t count)
{
    return FFT(malloc)((size_t)count * sizeof(real));
}

static inline complex_number *complex_room(int64_t count)
{
    return FFT(malloc)((size_t)count * sizeof(complex_number));
}

/* Whole cache lines, so that every spectrum of an array is aligned as the plans expect. */
static inline int64_t spectrum_stride(int64_t bins)
{
    return (bins + 7) / 8 * 8;
}

static inline unsigned plan_flags(const problem *p, int64_t fft_size)
{
    return fft_size <= (p->measured ? (int64_t)1 << 21 : (int64_t)1 << 18) ? FFTW_MEASURE : FFTW_ESTIMATE;
}

/* Taps that matter. */
static inline int64_t used_taps(const problem *p)
{
    return p->filter_len < p->seqlen ? p->filter_len : p->seqlen;
}

/* ---- Rows of arrays ---- */

/* A row side by side: where it is, or gathered into `room`. NULL: the problem has no such array. */
static inline const real *row_of(const arrays *a, array_role role, int64_t index, real *room)
{
    const lcv_tensor tensor = arrays_row(a, role, index);
    const real *data = tensor.data;
    if (tensor.rank == 0)
        return NULL;
    if (tensor.strides[0] == 1 || tensor.shape[0] <= 1)
        return data;
    for (int64_t t = 0; t < tensor.shape[0]; t++)
        room[t] = data[t * tensor.strides[0]];
    return room;
}

/* Where to compute a row: in place, or in `room` where its elements are apart. */
static inline real *target_of(const arrays *a, array_role role, int64_t index, real *room)
{
    const lcv_tensor tensor = arrays_row(a, role, index);
    if (tensor.rank == 0)
        return NULL;
    return tensor.strides[0] == 1 || tensor.shape[0] <= 1 ? tensor.data : room;
}

/* Writes what was computed in `room`. */
static inline void flush(const arrays *a, array_role role, int64_t index, const real *room)
{
    const lcv_tensor tensor = arrays_row(a, role, index);
    real *data = tensor.data;
    if (tensor.rank == 0 || data == room || tensor.strides[0] == 1 || tensor.shape[0] <= 1)
        return;
    for (int64_t t = 0; t < tensor.shape[0]; t++)
        data[t * tensor.strides[0]] = room[t];
}

/* The value of a channel in an array of one value a channel; `absent` without one. */
static inline real value_of(const arrays *a, array_role role, int64_t channel, real absent)
{
    const lcv_tensor tensor = arrays_row(a, role, 0);
    const real *data = tensor.data;
    return tensor.rank == 0 ? absent : data[channel * tensor.strides[0]];
}

/* ---- Loops ---- */

/* out = a b */
static inline void times(const real *restrict a, const real *restrict b, int64_t count, real *restrict out)
{
    for (int64_t t = 0; t < count; t++)
        out[t] = a[t] * b[t];
}

/* out = a b, or a without b */
static inline void times_gate(const real *a, const real *gate, int64_t count, real *out)
{
    if (gate != NULL)
        times(a, gate, count, out);
    else
        memcpy(out, a, (size_t)count * sizeof(real));
}

/* z += factor a gate, or factor a without a gate */
static inline void add_scaled(const real *restrict a, const real *restrict gate, real factor, int64_t count,
                              real *restrict z)
{
    if (gate != NULL)
        for (int64_t t = 0; t < count; t++)
            z[t] += factor * a[t] * gate[t];
    else
        for (int64_t t = 0; t < count; t++)
            z[t] += factor * a[t];
}

static inline void add_constant(real constant, int64_t count, real *z)
{
    for (int64_t t = 0; t < count; t++)
        z[t] += constant;
}

static inline void scale(complex_number *a, real factor, int64_t bins)
{
    for (int64_t k = 0; k < bins; k++) {
        a[k][0] *= factor;
        a[k][1] *= factor;
    }
}

/* out = a b; out may be a. */
static inline void multiply(complex_number *a, complex_number *b, int64_t bins, complex_number *out)
{
    for (int64_t k = 0; k < bins; k++) {
        const real ar = a[k][0], ai = a[k][1], br = b[k][0], bi = b[k][1];
        out[k][0] = ar * br - ai * bi;
        out[k][1] = ar * bi + ai * br;
    }
}

#endif
