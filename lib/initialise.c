/* SPDX-License-Identifier: BSD-3-Clause */
/* Random numbers of initial values. */
#include "initialise.h"

#include <math.h>
#include <string.h>

LCVI_EXACT_ARITHMETIC

/* ---- Random bits ---- */

static void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t product0 = (uint64_t)0xd2511f53u * c0;
        const uint64_t product1 = (uint64_t)0xcd9e8d57u * c2;
        c0 = (uint32_t)(product1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)product1;
        c2 = (uint32_t)(product0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)product0;
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

lcvi_random lcvi_random_stream(uint64_t seed, const char *name)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return (lcvi_random){.seed = seed, .stream = hash};
}

uint64_t lcvi_random_bits(const lcvi_random *random, int64_t index)
{
    const uint64_t place = (uint64_t)index;
    const uint32_t counter[4] = {(uint32_t)place, (uint32_t)(place >> 32), random->stream, 0};
    const uint32_t key[2] = {(uint32_t)random->seed, (uint32_t)(random->seed >> 32)};
    uint32_t words[4];
    philox(counter, key, words);
    return (uint64_t)words[1] << 32 | words[0];
}

double lcvi_random_uniform(const lcvi_random *random, int64_t index)
{
    return (double)(lcvi_random_bits(random, index) >> 11) * 0x1p-53;
}

double lcvi_random_between(const lcvi_random *random, int64_t index, double least, double most)
{
    return least + (most - least) * lcvi_random_uniform(random, index);
}

/* ---- Functions that are the same everywhere ---- */

static double polynomial(const double *coefficients, int count, double x)
{
    double sum = coefficients[count - 1];
    for (int i = count - 2; i >= 0; i--)
        sum = sum * x + coefficients[i];
    return sum;
}

static const double ln2_high = 0x1.62e42fefa38p-1, ln2_low = 0x1.ef35793c7673p-45;

/* x = 2^e m with m in [sqrt(1/2), sqrt(2)); ln m = 2 artanh((m-1)/(m+1)), by its series. */
double lcvi_exact_log(double x)
{
    static const double odd[] = {2.0,      2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9, 2.0 / 11,
                                 2.0 / 13, 2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21};
    int exponent;
    double m = frexp(x, &exponent);
    if (m < 0x1.6a09e667f3bcdp-1) {
        m *= 2.0;
        exponent--;
    }
    const double s = (m - 1.0) / (m + 1.0);
    const double high = exponent * ln2_high, low = exponent * ln2_low;
    return high + (s * polynomial(odd, sizeof odd / sizeof odd[0], s * s) + low);
}

/* x = e ln 2 + r with |r| <= ln 2 / 2, and the series of exp(r). */
double lcvi_exact_exp(double x)
{
    static const double inverse_factorials[] = {1.0,
                                                1.0,
                                                1.0 / 2,
                                                1.0 / 6,
                                                1.0 / 24,
                                                1.0 / 120,
                                                1.0 / 720,
                                                1.0 / 5040,
                                                1.0 / 40320,
                                                1.0 / 362880,
                                                1.0 / 3628800,
                                                1.0 / 39916800,
                                                1.0 / 479001600,
                                                1.0 / 6227020800};
    const double e = floor(x * 0x1.71547652b82fep+0 + 0.5);
    const double r = (x - e * ln2_high) - e * ln2_low;
    return ldexp(polynomial(inverse_factorials, sizeof inverse_factorials / sizeof inverse_factorials[0], r),
                 (int)e);
}

/* ---- The normal distribution ---- */

enum { DEGREE = 8 };

/* Numerators and denominators of Algorithm AS 241: the middle, the shoulders, the far tails. */
static const double quantile[3][2][DEGREE] = {
    {{3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
      4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3},
     {1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3, 2.1213794301586595867e4,
      3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3}},
    {{1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
      1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2,
      7.74545014278341407640e-4},
     {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
      1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
      1.05075007164441684324e-9}},
    {{6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
      2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5,
      2.01033439929228813265e-7},
     {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
      7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
      2.04426310338993978564e-15}},
};

static double ratio(int part, double x)
{
    return polynomial(quantile[part][0], DEGREE, x) / polynomial(quantile[part][1], DEGREE, x);
}

double lcvi_normal_quantile(double p)
{
    const double q = p - 0.5;
    if (fabs(q) <= 0.425)
        return q * ratio(0, 0.180625 - q * q);
    const double r = sqrt(-lcvi_exact_log(q < 0.0 ? p : 1.0 - p));
    const double size = r <= 5.0 ? ratio(1, r - 1.6) : ratio(2, r - 5.0);
    return q < 0.0 ? -size : size;
}

/* The middles of 2^52 equal parts of (0, 1), which are symmetric about 1/2. */
double lcvi_random_normal(const lcvi_random *random, int64_t index)
{
    const uint64_t part = lcvi_random_bits(random, index) >> 12;
    return lcvi_normal_quantile(((double)part + 0.5) * 0x1p-52);
}

/* ---- Many values ---- */

void lcvi_fill_between(const lcvi_random *random, int64_t index, int64_t count, double least, double most,
                       double *values)
{
    for (int64_t i = 0; i < count; i++)
        values[i] = lcvi_random_between(random, index + i, least, most);
}

void lcvi_fill_normal(const lcvi_random *random, int64_t index, int64_t count, double deviation,
                      double *values)
{
    for (int64_t i = 0; i < count; i++)
        values[i] = deviation * lcvi_random_normal(random, index + i);
}
