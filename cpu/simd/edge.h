/* SPDX-License-Identifier: BSD-3-Clause */
/* edge.h: the first pass, from `radix` columns of reals to the residues modulo z - w for the radix-th roots w
 * of i (z stands for z^(N/radix)), and the last pass, its adjoint. The residues come in the order of
 * tables.c.
 *
 * For an odd radix i or -i is a root itself, and the others come in pairs w, -conj(w) that share their
 * products. An even radix is a split by two of the residues of its even and of its odd columns.
 */
#ifndef LCV_CPU_SIMD_EDGE_H
#define LCV_CPU_SIMD_EDGE_H

#include "butterfly.h"
#include "form.h"
#include "simd.h"

/* cos and sin of k times the angle of the first root of each pair, for column k. */
typedef struct root_pair {
    real cos[7], sin[7];
} root_pair;

#define C(x) REAL(x)

static const root_pair pairs3[1] = {
    {{C(1.0), C(0.8660254037844386467637), C(0.5)}, {C(0.0), C(0.5), C(0.8660254037844386467637)}},
};

static const root_pair pairs5[2] = {
    {{C(1.0), C(0.9510565162951535721164), C(0.8090169943749474241023), C(0.5877852522924731291687),
      C(0.3090169943749474241023)},
     {C(0.0), C(0.3090169943749474241023), C(0.5877852522924731291687), C(0.8090169943749474241023),
      C(0.9510565162951535721164)}},
    {{C(1.0), C(-0.5877852522924731291687), C(-0.3090169943749474241023), C(0.9510565162951535721164),
      C(-0.8090169943749474241023)},
     {C(0.0), C(-0.8090169943749474241023), C(0.9510565162951535721164), C(-0.3090169943749474241023),
      C(-0.5877852522924731291687)}},
};

static const root_pair pairs7[3] = {
    {{C(1.0), C(0.9749279121818236070181), C(0.9009688679024191262361), C(0.7818314824680298087084),
      C(0.623489801858733530525), C(0.4338837391175581204758), C(0.2225209339563144042889)},
     {C(0.0), C(0.2225209339563144042889), C(0.4338837391175581204758), C(0.623489801858733530525),
      C(0.7818314824680298087084), C(0.9009688679024191262361), C(0.9749279121818236070181)}},
    {{C(1.0), C(0.4338837391175581204758), C(-0.623489801858733530525), C(-0.9749279121818236070181),
      C(-0.2225209339563144042889), C(0.7818314824680298087084), C(0.9009688679024191262361)},
     {C(0.0), C(0.9009688679024191262361), C(0.7818314824680298087084), C(-0.2225209339563144042889),
      C(-0.9749279121818236070181), C(-0.623489801858733530525), C(0.4338837391175581204758)}},
    {{C(1.0), C(-0.7818314824680298087084), C(0.2225209339563144042889), C(0.4338837391175581204758),
      C(-0.9009688679024191262361), C(0.9749279121818236070181), C(-0.623489801858733530525)},
     {C(0.0), C(-0.623489801858733530525), C(0.9749279121818236070181), C(-0.9009688679024191262361),
      C(0.4338837391175581204758), C(0.2225209339563144042889), C(-0.7818314824680298087084)}},
};

/* The square roots (c, t) of the residues' roots, by which radix 4, 6, 10 and 14 split once more. */
static const real halves2[2][2] = {{C(0.9238795325112867561282), C(0.4142135623730950488017)},
                                   {C(-0.3826834323650897717285), C(-2.414213562373095048802)}};
static const real halves3[3][2] = {{C(0.9659258262890682867497), C(0.2679491924311227064726)},
                                   {C(0.2588190451025207623489), C(3.732050807568877293527)},
                                   {C(-0.7071067811865475244008), C(-1.0)}};
static const real halves5[5][2] = {{C(0.98768834059513772619), C(0.1583844403245362938389)},
                                   {C(0.1564344650402308690101), C(6.313751514675043098979)},
                                   {C(-0.4539904997395467915604), C(-1.962610505505150582305)},
                                   {C(-0.8910065241883678623597), C(-0.5095254494944288105137)},
                                   {C(0.7071067811865475244008), C(1.0)}};
static const real halves7[7][2] = {{C(0.9937122098932425835331), C(0.1126729399001110496953)},
                                   {C(0.1119644761033078584687), C(8.875245474969757194505)},
                                   {C(0.8467241992282841683528), C(0.6283416453672137385122)},
                                   {C(0.5320320765153365635576), C(1.591490882982271027177)},
                                   {C(-0.3302790619551670817749), C(-2.857835809272380342515)},
                                   {C(-0.9438833303083675628953), C(-0.3499151339469726673735)},
                                   {C(-0.7071067811865475244008), C(-1.0)}};
static const real root_half = C(0.7071067811865475244008);

#undef C

INLINE const root_pair *pairs_of(int radix)
{
    return radix == 3 ? pairs3 : radix == 5 ? pairs5 : pairs7;
}

INLINE rotation half_of(int radix, int residue)
{
    return rotation_of(radix == 2   ? halves2[residue]
                       : radix == 3 ? halves3[residue]
                       : radix == 5 ? halves5[residue]
                                    : halves7[residue]);
}

/* i^k for the root of an odd radix that is i (radix 5) or -i. */
INLINE int own_quarter(int radix, int k)
{
    return (radix == 5 ? k : 3 * k) % 4;
}

INLINE void spread2(const vec x[2], cvec y[2])
{
    const vec b = splat(root_half) * x[1];
    y[0] = (cvec){x[0] + b, b};
    y[1] = (cvec){x[0] - b, -b};
}

INLINE void spread_own(int radix, const vec *x, cvec *y)
{
    *y = (cvec){x[0], radix == 5 ? x[1] : -x[1]};
#pragma GCC unroll 8
    for (int k = 2; k < radix; k++) {
        const int quarter = own_quarter(radix, k);
        if (quarter == 0)
            y->r += x[k];
        else if (quarter == 1)
            y->i += x[k];
        else if (quarter == 2)
            y->r -= x[k];
        else
            y->i -= x[k];
    }
}

INLINE void spread_odd(int radix, const vec *x, cvec *y)
{
    const root_pair *pairs = pairs_of(radix);
#pragma GCC unroll 8
    for (int pair = 0; pair < radix / 2; pair++) {
        vec even_r = x[0], even_i = splat(pairs[pair].sin[2]) * x[2];
        vec odd_r = splat(pairs[pair].cos[1]) * x[1], odd_i = splat(pairs[pair].sin[1]) * x[1];
        even_r += splat(pairs[pair].cos[2]) * x[2];
#pragma GCC unroll 8
        for (int k = 3; k < radix; k++) {
            const vec c = splat(pairs[pair].cos[k]), s = splat(pairs[pair].sin[k]);
            if (k % 2 == 0) {
                even_r += c * x[k];
                even_i += s * x[k];
            } else {
                odd_r += c * x[k];
                odd_i += s * x[k];
            }
        }
        y[2 * pair] = (cvec){even_r + odd_r, odd_i + even_i};
        y[2 * pair + 1] = (cvec){even_r - odd_r, odd_i - even_i};
    }
    spread_own(radix, x, &y[radix - 1]);
}

/* Residues of `radix` real columns. */
INLINE void spread(int radix, const vec *x, cvec *y)
{
    if (radix == 2) {
        spread2(x, y);
    } else if (radix % 2 != 0) {
        spread_odd(radix, x, y);
    } else {
        const int half = radix / 2;
        vec even[7], odd[7];
        cvec a[7], b[7];
#pragma GCC unroll 8
        for (int k = 0; k < half; k++) {
            even[k] = x[2 * k];
            odd[k] = x[2 * k + 1];
        }
        if (half == 2) {
            spread2(even, a);
            spread2(odd, b);
        } else {
            spread_odd(half, even, a);
            spread_odd(half, odd, b);
        }
#pragma GCC unroll 8
        for (int k = 0; k < half; k++) {
            split2(&a[k], &b[k], half_of(half, k));
            y[2 * k] = a[k];
            y[2 * k + 1] = b[k];
        }
    }
}

INLINE void gather2(const cvec y[2], vec x[2])
{
    const cvec d = sub(y[0], y[1]);
    x[0] = y[0].r + y[1].r;
    x[1] = splat(root_half) * (d.r + d.i);
}

/* The real part of i^-quarter y. */
INLINE vec quarter_part(cvec y, int quarter)
{
    return quarter == 0 ? y.r : quarter == 1 ? y.i : quarter == 2 ? -y.r : -y.i;
}

INLINE void gather_odd(int radix, const cvec *y, vec *x)
{
    const root_pair *pairs = pairs_of(radix);
#pragma GCC unroll 8
    for (int k = 0; k < radix; k++)
        x[k] = quarter_part(y[radix - 1], own_quarter(radix, k));
#pragma GCC unroll 8
    for (int pair = 0; pair < radix / 2; pair++) {
        const cvec sum = add(y[2 * pair], y[2 * pair + 1]), difference = sub(y[2 * pair], y[2 * pair + 1]);
        x[0] += sum.r;
#pragma GCC unroll 8
        for (int k = 1; k < radix; k++) {
            const vec c = splat(pairs[pair].cos[k]), s = splat(pairs[pair].sin[k]);
            x[k] += k % 2 == 0 ? c * sum.r + s * difference.i : c * difference.r + s * sum.i;
        }
    }
}

/* The adjoint of spread: real columns of the residues, times radix. */
INLINE void gather(int radix, const cvec *y, vec *x)
{
    if (radix == 2) {
        gather2(y, x);
    } else if (radix % 2 != 0) {
        gather_odd(radix, y, x);
    } else {
        const int half = radix / 2;
        vec even[7], odd[7];
        cvec a[7], b[7];
#pragma GCC unroll 8
        for (int k = 0; k < half; k++) {
            a[k] = y[2 * k];
            b[k] = y[2 * k + 1];
            join2(&a[k], &b[k], half_of(half, k));
        }
        if (half == 2) {
            gather2(a, even);
            gather2(b, odd);
        } else {
            gather_odd(half, a, even);
            gather_odd(half, b, odd);
        }
#pragma GCC unroll 8
        for (int k = 0; k < half; k++) {
            x[2 * k] = even[k];
            x[2 * k + 1] = odd[k];
        }
    }
}

/* Two sums, because one would have to wait for itself. */
INLINE void add_squares(int radix, const vec *x, vec sum[2])
{
#pragma GCC unroll 16
    for (int k = 0; k < radix; k++)
        sum[k % 2] += x[k] * x[k];
}

/* From one vector of column k to the next, in elements. Vectors of one row follow one another; those that are
 * points of rows side by side have a step for each column. */
INLINE int64_t step_of(const int64_t *steps, int k)
{
    return steps != NULL ? steps[k] : LANES;
}

/* The weights of vector i of a row (see simd.h), or of point i of rows side by side. */
INLINE vec weights_of(const vec *stagger, const int64_t *steps, size_t i)
{
    return steps != NULL ? load_splat((const real *)stagger + i % (LANES * LANES)) : stagger[i % LANES];
}

/* `count` vectors of each column, from vector `at` on; residue r goes to y + r * stride. With `complex`,
 * columns radix to 2 radix - 1 are the imaginary parts. With `look` `energy` gains the squares of all reals:
 * one more operation for each, which tells of anything that is not finite. */
INLINE void first_loop(int radix, lcv_cpu_form form, bool complex, bool look, const void *const *column,
                       const int64_t *steps, cvec *y, size_t stride, size_t at, size_t count,
                       const vec *stagger, vec *energy)
{
    vec sum[2] = {*energy, splat(1)}; /* not 0: see first_range */
    for (size_t j = 0; j < count; j++) {
        vec x[LCV_SIMD_MAX_RADIX];
        cvec z[LCV_SIMD_MAX_RADIX], zi[LCV_SIMD_MAX_RADIX];
        const vec by = weights_of(stagger, steps, at + j);
#pragma GCC unroll 16
        for (int k = 0; k < radix; k++)
            x[k] = load_as(form, column[k], (int64_t)j * step_of(steps, k));
        if (look)
            add_squares(radix, x, sum);
#pragma GCC unroll 16
        for (int k = 0; k < radix; k++)
            x[k] *= by;
        spread(radix, x, z);
        if (complex) {
#pragma GCC unroll 16
            for (int k = 0; k < radix; k++)
                x[k] = load_as(form, column[radix + k], (int64_t)j * step_of(steps, radix + k));
            if (look)
                add_squares(radix, x, sum);
#pragma GCC unroll 16
            for (int k = 0; k < radix; k++)
                x[k] *= by;
            spread(radix, x, zi);
        }
#pragma GCC unroll 16
        for (int k = 0; k < radix; k++)
            y[(size_t)k * stride + j] = complex ? add_i(z[k], zi[k]) : z[k];
    }
    *energy = sum[0] + sum[1];
}

INLINE void last_loop(int radix, bool complex, const cvec *y, real *const *column, const int64_t *steps,
                      size_t stride, size_t count)
{
    for (size_t j = 0; j < count; j++) {
        vec x[LCV_SIMD_MAX_RADIX];
        cvec z[LCV_SIMD_MAX_RADIX];
#pragma GCC unroll 16
        for (int k = 0; k < radix; k++)
            z[k] = y[(size_t)k * stride + j];
        gather(radix, z, x);
#pragma GCC unroll 16
        for (int k = 0; k < radix; k++)
            store(column[k] + (int64_t)j * step_of(steps, k), x[k]);
        if (complex) {
#pragma GCC unroll 16
            for (int k = 0; k < radix; k++)
                z[k] = (cvec){y[(size_t)k * stride + j].i, -y[(size_t)k * stride + j].r};
            gather(radix, z, x);
#pragma GCC unroll 16
            for (int k = 0; k < radix; k++)
                store(column[radix + k] + (int64_t)j * step_of(steps, radix + k), x[k]);
        }
    }
}

typedef void first_function(const void *const *column, cvec *y, size_t stride, size_t at, size_t count,
                            const vec *stagger, vec *energy);
typedef void last_function(const cvec *y, real *const *column, size_t stride, size_t count);

#define FIRST(radix, name, form, is_complex, look)                                                           \
    static void first##name(const void *const *column, cvec *y, size_t stride, size_t at, size_t count,      \
                            const vec *stagger, vec *energy)                                                 \
    {                                                                                                        \
        first_loop(radix, form, is_complex, look, column, NULL, y, stride, at, count, stagger, energy);      \
    }
#define LAST(radix, name, is_complex)                                                                        \
    static void last##name(const cvec *y, real *const *column, size_t stride, size_t count)                  \
    {                                                                                                        \
        last_loop(radix, is_complex, y, column, NULL, stride, count);                                        \
    }
#define EDGE(radix, name, is_complex)                                                                        \
    FIRST(radix, name, LCV_CPU_REALS, is_complex, false)                                                     \
    FIRST(radix, name##_look, LCV_CPU_REALS, is_complex, true)                                               \
    LAST(radix, name, is_complex)
#define EDGES(radix)                                                                                         \
    EDGE(radix, _##radix##_real, false)                                                                      \
    EDGE(radix, _##radix##_complex, true)                                                                    \
    FIRST(radix, _##radix##_f16, LCV_CPU_F16, false, true)                                                   \
    FIRST(radix, _##radix##_bf16, LCV_CPU_BF16, false, true)

EDGES(2)
EDGES(3)
EDGES(4)
EDGES(5)
EDGES(6)
EDGES(7)
EDGES(10)
EDGES(14)

/* By radix, `complex` and `look`. */
#define ROW(radix)                                                                                           \
    [radix] = {{first_##radix##_real, first_##radix##_real_look},                                            \
               {first_##radix##_complex, first_##radix##_complex_look}}
static first_function *const first_functions[LCV_SIMD_MAX_RADIX + 1][2][2] = {
    ROW(2), ROW(3), ROW(4), ROW(5), ROW(6), ROW(7), ROW(10), ROW(14)};
#undef ROW

/* Those of rows in 16 bits, by radix and form: the most usual case. */
#define ROW(radix) [radix] = {[LCV_CPU_F16] = first_##radix##_f16, [LCV_CPU_BF16] = first_##radix##_bf16}
static first_function *const first_half_functions[LCV_SIMD_MAX_RADIX + 1][LCV_CPU_BF16 + 1] = {
    ROW(2), ROW(3), ROW(4), ROW(5), ROW(6), ROW(7), ROW(10), ROW(14)};
#undef ROW
#define ROW(radix) [radix] = {last_##radix##_real, last_##radix##_complex}
static last_function *const last_functions[LCV_SIMD_MAX_RADIX + 1][2] = {ROW(2), ROW(3), ROW(4),  ROW(5),
                                                                         ROW(6), ROW(7), ROW(10), ROW(14)};
#undef ROW
#undef EDGES
#undef EDGE
#undef FIRST
#undef LAST

#endif
