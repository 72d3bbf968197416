/* SPDX-License-Identifier: BSD-3-Clause */
#include "yardstick.h"

#include "functions.h"

#include <stdlib.h>
#include <string.h>

enum { LEVELS = 2, TYPES = 2 };

/* The columns: [plain C, AVX2][float32, float64]. */
typedef struct {
    const char *name;
    const yardstick_functions *of[LEVELS][TYPES];
} row;

#ifndef LONGCONV_HAVE_FFTW
#define LEVEL(name, level)                                                                                   \
    {                                                                                                        \
        NULL, NULL                                                                                           \
    }
#else
#define LEVEL(name, level)                                                                                   \
    {                                                                                                        \
        &name##_f32_##level, &name##_f64_##level                                                             \
    }
#define DECLARE(name, level) extern const yardstick_functions name##_f32_##level, name##_f64_##level;
DECLARE(r2c, plain)
DECLARE(r2c_calls, plain)
DECLARE(oversave, plain)
#ifdef __x86_64__
DECLARE(r2c, avx2)
DECLARE(r2c_calls, avx2)
DECLARE(oversave, avx2)
#endif
#endif

#ifdef __x86_64__
#define LEVELS_OF(name)                                                                                      \
    {                                                                                                        \
        LEVEL(name, plain), LEVEL(name, avx2)                                                                \
    }
#else
#define LEVELS_OF(name)                                                                                      \
    {                                                                                                        \
        LEVEL(name, plain),                                                                                  \
        {                                                                                                    \
            NULL, NULL                                                                                       \
        }                                                                                                    \
    }
#endif

/* clang-format off */
static const row rows[] = {
    {"r2c", LEVELS_OF(r2c)},
    {"r2c-calls", LEVELS_OF(r2c_calls)},
    {"oversave", LEVELS_OF(oversave)},
};
/* clang-format on */

struct yardstick {
    const yardstick_functions *functions;
    void *self;
};

static int best_level(void)
{
#ifdef __x86_64__
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 1 : 0;
#else
    return 0;
#endif
}

static const row *find(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

static const yardstick_functions *functions_for(const char *name, lcv_dtype dtype)
{
    const row *found = find(name);
    return found == NULL ? NULL : found->of[best_level()][dtype == LCV_F64 ? 1 : 0];
}

bool yardstick_exists(const char *name)
{
    return find(name) != NULL;
}

const char *yardstick_refusal(const char *name, const problem *p)
{
    const yardstick_functions *functions = functions_for(name, p->dtype);
    if (functions == NULL)
        return yardstick_exists(name) ? "this build has no FFTW" : "there is no such yardstick";
    if (p->kind != PROBLEM_CONV)
        return "it knows the long convolution only";
    if (p->dtype != LCV_F32 && p->dtype != LCV_F64)
        return "it knows f32 and f64 only";
    if (p->mode != LCV_CONV_CAUSAL || p->activation != LCV_ACTIVATION_NONE || p->chunk > 0 ||
        (p->terms & LCV_TERM_STATE) != 0)
        return "it knows the causal convolution without activation and state only";
    if (p->seqlen < 1 || p->filter_len < 1 || problem_rows(p) < 1)
        return "the problem is empty";
    if (p->seqlen > INT64_C(1) << 29)
        return "it knows at most 2^29 samples";
    if (p->inplace && p->passes != PROBLEM_FORWARD)
        return "it knows no backward in place";
    return functions->refusal(p);
}

yardstick *yardstick_create(const char *name, const problem *p, bool prepared, int threads)
{
    yardstick *y = calloc(1, sizeof *y);
    if (y == NULL)
        return NULL;
    y->functions = functions_for(name, p->dtype);
    y->self = y->functions == NULL ? NULL : y->functions->create(p, prepared, threads > 1 ? threads : 1);
    if (y->self == NULL)
        yardstick_destroy(&y);
    return y;
}

void yardstick_destroy(yardstick **pointer)
{
    yardstick *y = *pointer;
    *pointer = NULL;
    if (y != NULL && y->self != NULL)
        y->functions->destroy(y->self);
    free(y);
}

void yardstick_prepare(yardstick *y, const arrays *a)
{
    y->functions->prepare(y->self, a);
}

void yardstick_execute(yardstick *y, const arrays *a)
{
    y->functions->execute(y->self, a);
}

const char *yardstick_explanation(const yardstick *y)
{
    return y->functions->explanation(y->self);
}
