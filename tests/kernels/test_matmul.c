/* SPDX-License-Identifier: BSD-3-Clause */
/* Matrix products against sums in long double: every type, CPU level, orientation of the operands and of the
 * result, odd sizes, bias, accumulation, sums over the batch, any number of threads; and the core's own
 * product. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "matmul.h"
#include "random_bits.h"

#include <longconv/half.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double get(lcv_dtype dtype, const void *data, int64_t i)
{
    switch (dtype) {
    case LCV_F64:
        return ((const double *)data)[i];
    case LCV_F32:
        return (double)((const float *)data)[i];
    case LCV_F16:
        return (double)lcv_f16_to_f32(((const uint16_t *)data)[i]);
    case LCV_BF16:
        return (double)lcv_bf16_to_f32(((const uint16_t *)data)[i]);
    }
    return 0.0;
}

static void put(lcv_dtype dtype, void *data, int64_t i, double value)
{
    switch (dtype) {
    case LCV_F64:
        ((double *)data)[i] = value;
        return;
    case LCV_F32:
        ((float *)data)[i] = (float)value;
        return;
    case LCV_F16:
        ((uint16_t *)data)[i] = lcv_f32_to_f16((float)value);
        return;
    case LCV_BF16:
        ((uint16_t *)data)[i] = lcv_f32_to_bf16((float)value);
        return;
    }
}

/* How a matrix lies in memory. */
typedef enum { ROW_MAJOR, COLUMN_MAJOR, SPREAD, LAYOUTS } layout;

typedef struct {
    void *memory;
    int64_t count;
    lcv_dtype dtype;
    lcv_array array;
} matrix;

static matrix matrix_of(lcv_dtype dtype, int64_t batch, int64_t rows, int64_t columns, layout how)
{
    matrix m = {.dtype = dtype};
    int64_t *stride = m.array.stride;
    const int64_t gap = how == SPREAD ? 2 : 1, pitch = how == SPREAD ? 3 : 0;
    stride[how == COLUMN_MAJOR ? 1 : 2] = gap;
    stride[how == COLUMN_MAJOR ? 2 : 1] = (how == COLUMN_MAJOR ? rows : columns) * gap + pitch;
    stride[0] = (how == COLUMN_MAJOR ? columns : rows) * stride[how == COLUMN_MAJOR ? 2 : 1];
    m.count = batch * stride[0];
    m.memory = malloc((size_t)(m.count > 0 ? m.count : 1) * lcv_dtype_size(dtype));
    assert_non_null(m.memory);
    m.array.data = m.memory;
    for (int64_t i = 0; i < m.count; i++)
        put(dtype, m.memory, i, random_real(-1.0, 1.0));
    return m;
}

static int64_t index_of(const matrix *m, int64_t b, int64_t i, int64_t j)
{
    return b * m->array.stride[0] + i * m->array.stride[1] + j * m->array.stride[2];
}

static double at(const matrix *m, int64_t b, int64_t i, int64_t j)
{
    return get(m->dtype, m->memory, index_of(m, b, i, j));
}

/* One problem and its answer. */
typedef struct {
    lcv_matmul_params params;
    int32_t accumulate;
    bool biased;
    layout left, right, c;
} problem;

static lcv_context *context_with(const char *mask)
{
    lcv_context *context = NULL;
    setenv("LONGCONV_CPU_MASK", mask, 1);
    assert_int_equal(lcv_context_create(NULL, &context), LCV_OK);
    unsetenv("LONGCONV_CPU_MASK");
    return context;
}

static const lcvi_backend *backend_named(const lcv_context *context, const char *name)
{
    for (int32_t i = 0; i < context->backend_count; i++)
        if (strcmp(context->backends[i].name, name) == 0)
            return &context->backends[i];
    fail_msg("there is no backend named %s", name);
    return context->backends;
}

static void multiply(lcv_context *context, const lcvi_backend *backend, const lcv_matmul_params *params,
                     const lcv_matmul_call *call)
{
    lcv_matmul_call full = *call;
    size_t bytes;
    assert_int_equal(lcvi_matmul_workspace(context, backend, params, &bytes), LCV_OK);
    char *memory = malloc(bytes + 1);
    assert_non_null(memory);
    full.exec.workspace = memory + 1;
    full.exec.workspace_bytes = bytes;
    assert_int_equal(lcvi_matmul(backend, params, &full), LCV_OK);
    free(memory);
}

/* The sum and the sum of magnitudes, which measures its rounding errors. */
static long double expected(const problem *p, const matrix *left, const matrix *right, const matrix *bias,
                            double before, int64_t b, int64_t i, int64_t j, long double *magnitude)
{
    const int64_t first = b, last = p->params.sum_batch ? p->params.batch : b + 1;
    const long double added = p->biased ? (long double)at(bias, 0, i, 0) : 0.0L;
    const long double there = p->accumulate ? (long double)before : 0.0L;
    long double sum = added + there;
    *magnitude = fabsl(added) + fabsl(there);
    for (int64_t part = first; part < last; part++)
        for (int64_t k = 0; k < p->params.inner; k++) {
            const long double term = (long double)at(left, part, i, k) * (long double)at(right, part, k, j);
            sum += term;
            *magnitude += fabsl(term);
        }
    return sum;
}

static double unit_of(lcv_dtype dtype)
{
    switch (dtype) {
    case LCV_F64:
        return 0x1p-53;
    case LCV_F32:
        return 0x1p-24;
    case LCV_F16:
        return 0x1p-11;
    case LCV_BF16:
        return 0x1p-8;
    }
    return 0.0;
}

static void compare(const problem *p, const matrix *left, const matrix *right, const matrix *bias,
                    const matrix *before, const matrix *c, int64_t products)
{
    const double sums = p->params.c == LCV_F64 ? 0x1p-53 : 0x1p-24, last = unit_of(p->params.c);
    const double terms = (double)(p->params.inner < 192 ? p->params.inner : 192) + 8.0;
    for (int64_t b = 0; b < products; b++)
        for (int64_t i = 0; i < p->params.rows; i++)
            for (int64_t j = 0; j < p->params.columns; j++) {
                long double magnitude;
                const long double want =
                    expected(p, left, right, bias, at(before, b, i, j), b, i, j, &magnitude);
                const long double error = fabsl((long double)at(c, b, i, j) - want);
                const long double bound = magnitude * (long double)(sums * terms) +
                                          fabsl(want) * (long double)last +
                                          (p->params.c == LCV_F16 ? 0x1p-24L : 0.0L);
                if (error > bound)
                    fail_msg(
                        "(%lld,%lld,%lld) of b%lld r%lld c%lld k%lld layouts %d %d %d: error %Lg, bound %Lg",
                        (long long)b, (long long)i, (long long)j, (long long)p->params.batch,
                        (long long)p->params.rows, (long long)p->params.columns, (long long)p->params.inner,
                        (int)p->left, (int)p->right, (int)p->c, error, bound);
            }
}

/* What lies between the elements of the result must stay. */
static void check_gaps(const matrix *before, const matrix *after, const problem *p, int64_t products)
{
    unsigned char *inside = calloc((size_t)after->count + 1, 1);
    assert_non_null(inside);
    for (int64_t b = 0; b < products; b++)
        for (int64_t i = 0; i < p->params.rows; i++)
            for (int64_t j = 0; j < p->params.columns; j++)
                inside[index_of(after, b, i, j)] = 1;
    for (int64_t n = 0; n < after->count; n++)
        if (!inside[n])
            assert_true(get(after->dtype, before->memory, n) == get(after->dtype, after->memory, n));
    free(inside);
}

static matrix copy_of(const matrix *m)
{
    matrix copy = *m;
    const size_t bytes = (size_t)m->count * lcv_dtype_size(m->dtype);
    copy.memory = malloc(bytes + 1);
    assert_non_null(copy.memory);
    memcpy(copy.memory, m->memory, bytes);
    copy.array.data = copy.memory;
    return copy;
}

static void solve(lcv_context *context, const lcvi_backend *backend, const problem *p)
{
    const lcv_matmul_params *q = &p->params;
    const int64_t products = q->sum_batch ? 1 : q->batch;
    matrix left = matrix_of(q->left, q->batch, q->rows, q->inner, p->left);
    matrix right = matrix_of(q->right, q->batch, q->inner, q->columns, p->right);
    matrix c = matrix_of(q->c, products, q->rows, q->columns, p->c);
    matrix bias = matrix_of(q->c == LCV_F64 ? LCV_F64 : LCV_F32, 1, q->rows, 1, ROW_MAJOR);
    bias.array.stride[0] = bias.array.stride[2] = 0;
    matrix before = copy_of(&c), again = copy_of(&c);
    lcv_matmul_call call = {
        .left = left.array, .right = right.array, .c = c.array, .accumulate = p->accumulate};
    if (p->biased)
        call.bias = bias.array;
    multiply(context, backend, q, &call);
    compare(p, &left, &right, &bias, &before, &c, products);
    check_gaps(&before, &c, p, products);
    lcv_matmul_params threaded = *q;
    threaded.num_threads = 3;
    call.c = again.array;
    multiply(context, backend, &threaded, &call);
    assert_memory_equal(c.memory, again.memory, (size_t)c.count * lcv_dtype_size(c.dtype));
    free(left.memory), free(right.memory), free(c.memory);
    free(bias.memory), free(before.memory), free(again.memory);
}

static const int64_t sizes[][4] = {
    /* batch, rows, columns, inner */
    {1, 1, 1, 1},   {2, 3, 5, 7},    {1, 8, 48, 64},   {3, 17, 49, 193}, {1, 49, 150, 200},
    {1, 97, 33, 1}, {2, 24, 70, 16}, {1, 1, 350, 200}, {1, 130, 1, 385},
};

static void each_problem(lcv_context *context, const lcvi_backend *backend, lcv_dtype x, lcv_dtype y,
                         lcv_dtype z)
{
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (int how = 0; how < LAYOUTS * LAYOUTS; how++) {
            problem p = {
                .params = {x, y, z, sizes[s][0], sizes[s][1], sizes[s][2], sizes[s][3], how % 2, 1, 0},
                .accumulate = how / 2 % 2,
                .biased = how % 4 != 1,
                .left = (layout)(how % LAYOUTS),
                .right = (layout)(how / LAYOUTS),
                .c = (layout)((how + (int)s) % LAYOUTS)};
            solve(context, backend, &p);
        }
}

static void each_type(lcv_context *context, const lcvi_backend *backend)
{
    each_problem(context, backend, LCV_F32, LCV_F32, LCV_F32);
    each_problem(context, backend, LCV_F64, LCV_F64, LCV_F64);
    each_problem(context, backend, LCV_F32, LCV_F16, LCV_F16);
    each_problem(context, backend, LCV_BF16, LCV_F32, LCV_BF16);
}

static void test_cpu_levels(void **state)
{
    static const char *const masks[] = {"c", "avx2", "avx512"};
    (void)state;
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        lcv_context *context = context_with(masks[i]);
        const lcvi_backend *cpu = backend_named(context, "cpu");
        assert_non_null(cpu->table->matmul);
        each_type(context, cpu);
        lcv_context_destroy(&context);
    }
}

static void test_core(void **state)
{
    (void)state;
    lcv_context *context = context_with("");
    const lcvi_backend *ref = backend_named(context, "ref");
    assert_null(ref->table->matmul);
    each_type(context, ref);
    lcv_context_destroy(&context);
}

/* No terms: the bias alone, and zeros without it. No elements: nothing is touched. */
static void test_empty(void **state)
{
    (void)state;
    lcv_context *context = context_with("");
    const char *const names[] = {"cpu", "ref"};
    for (int i = 0; i < 2; i++) {
        const lcvi_backend *backend = backend_named(context, names[i]);
        for (int how = 0; how < 2; how++) {
            problem p = {.params = {LCV_F32, LCV_F32, LCV_F32, 1, 3, 4, 0, 0, 1, 0}, .biased = how == 1};
            solve(context, backend, &p);
            p.params.sum_batch = 1;
            p.params.batch = 0;
            p.params.inner = 5;
            solve(context, backend, &p);
            p.params.sum_batch = 0;
            solve(context, backend, &p);
            p.params = (lcv_matmul_params){LCV_F64, LCV_F64, LCV_F64, 1, 0, 4, 2, 0, 1, 0};
            solve(context, backend, &p);
        }
    }
    lcv_context_destroy(&context);
}

/* A NaN in one row of the left operand reaches that row of the result and no other; a NaN that is overwritten
 * reaches nothing. */
static void test_nan(void **state)
{
    enum { N = 50 };
    (void)state;
    lcv_context *context = context_with("");
    const lcvi_backend *cpu = backend_named(context, "cpu");
    static float left[N * N], right[N * N], c[N * N];
    for (int i = 0; i < N * N; i++) {
        left[i] = right[i] = 1.0f;
        c[i] = NAN;
    }
    left[7 * N + 3] = NAN;
    left[9 * N + 3] = INFINITY;
    const lcv_matmul_params params = {LCV_F32, LCV_F32, LCV_F32, 1, N, N, N, 0, 1, 0};
    const lcv_array view = {NULL, {0, N, 1}};
    lcv_matmul_call call = {.left = view, .right = view, .c = view};
    call.left.data = left, call.right.data = right, call.c.data = c;
    multiply(context, cpu, &params, &call);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            const float value = c[i * N + j];
            assert_true(i == 7 ? isnan(value) : i == 9 ? isinf(value) : value == (float)N);
        }
    lcv_context_destroy(&context);
}

/* With fixed_order the bits of a row of the result are the same, however many rows are computed together. */
static void test_fixed_order(void **state)
{
    enum { ROWS = 33, COLUMNS = 350, INNER = 385 };
    static const char *const masks[] = {"c", "avx2", "avx512"};
    static float left[ROWS * INNER], right[INNER * COLUMNS], whole[ROWS * COLUMNS], parts[ROWS * COLUMNS];
    (void)state;
    for (int i = 0; i < ROWS * INNER; i++)
        left[i] = (float)random_real(-1.0, 1.0);
    for (int i = 0; i < INNER * COLUMNS; i++)
        right[i] = (float)random_real(-1.0, 1.0);
    for (size_t m = 0; m < sizeof masks / sizeof masks[0]; m++) {
        lcv_context *context = context_with(masks[m]);
        const lcvi_backend *cpu = backend_named(context, "cpu");
        lcv_matmul_params params = {LCV_F32, LCV_F32, LCV_F32, 1, ROWS, COLUMNS, INNER, 0, 1, 1};
        lcv_matmul_call call = {
            .left = {left, {0, INNER, 1}}, .right = {right, {0, COLUMNS, 1}}, .c = {whole, {0, COLUMNS, 1}}};
        multiply(context, cpu, &params, &call);
        for (int64_t step = 1; step < 12; step += step == 1 ? 1 : 8) {
            memset(parts, 0, sizeof parts);
            for (int64_t row = 0; row < ROWS; row += step) {
                params.rows = row + step <= ROWS ? step : ROWS - row;
                call.left.data = left + row * INNER;
                call.c.data = parts + row * COLUMNS;
                multiply(context, cpu, &params, &call);
            }
            assert_memory_equal(parts, whole, sizeof whole);
        }
        lcv_context_destroy(&context);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu_levels), cmocka_unit_test(test_core),        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_nan),        cmocka_unit_test(test_fixed_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
