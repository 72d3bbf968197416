/* SPDX-License-Identifier: BSD-3-Clause */
#include "test.h"

#include <string.h>

static char memory[4096];

static void expect_view(const lcv_tensor *view, int32_t rank, const int64_t *shape, const int64_t *strides)
{
    assert_int_equal(view->rank, rank);
    for (int32_t axis = 0; axis < rank; axis++) {
        assert_int_equal(view->shape[axis], shape[axis]);
        assert_int_equal(view->strides[axis], strides[axis]);
    }
}

static void expect_empty(lcv_tensor view)
{
    assert_int_equal(view.rank, 0);
    assert_null(view.data);
}

static void compact_views(void **state)
{
    const int64_t shape[] = {2, 3, 5};
    (void)state;
    for (int dtype = LCV_F32; dtype <= LCV_BF16; dtype++) {
        const lcv_tensor one = lcv_tensor_compact(memory, (lcv_dtype)dtype, 1, shape);
        const lcv_tensor two = lcv_tensor_compact(memory, (lcv_dtype)dtype, 2, shape);
        const lcv_tensor three = lcv_tensor_compact(memory, (lcv_dtype)dtype, 3, shape);
        expect_view(&one, 1, shape, (const int64_t[]){1});
        expect_view(&two, 2, shape, (const int64_t[]){3, 1});
        expect_view(&three, 3, shape, (const int64_t[]){15, 5, 1});
        assert_ptr_equal(three.data, memory);
        assert_int_equal(three.dtype, dtype);
        assert_int_equal(three.device, LCV_DEVICE_CPU);
        assert_int_equal(three.device_index, 0);
    }
    expect_empty(lcv_tensor_compact(memory, LCV_F32, 0, shape));
    expect_empty(lcv_tensor_compact(memory, LCV_F32, 4, shape));
    expect_empty(lcv_tensor_compact(memory, LCV_F32, -1, shape));
    expect_empty(lcv_tensor_compact(memory, LCV_F32, 2, NULL));
}

/* Absurd shapes give a view that calls refuse; making it is defined (the sanitizers watch). */
static void compact_views_of_absurd_shapes(void **state)
{
    const int64_t shape[] = {INT64_MAX, INT64_MAX, INT64_MAX}, negative[] = {-3, -5, INT64_MIN};
    (void)state;
    const lcv_tensor huge = lcv_tensor_compact(NULL, LCV_F64, 3, shape);
    const lcv_tensor below = lcv_tensor_compact(NULL, LCV_F64, 3, negative);
    for (int axis = 0; axis < 3; axis++)
        assert_true(huge.strides[axis] >= 0 && below.strides[axis] >= 0);
}

static void transposed_views(void **state)
{
    const int64_t shape[] = {2, 3, 5};
    const lcv_tensor view = lcv_tensor_compact(memory, LCV_F32, 3, shape);
    (void)state;
    const lcv_tensor swapped = lcv_tensor_transpose(view, 0, 2);
    expect_view(&swapped, 3, (const int64_t[]){5, 3, 2}, (const int64_t[]){1, 5, 15});
    assert_ptr_equal(swapped.data, memory);
    const lcv_tensor back = lcv_tensor_transpose(swapped, 2, 0);
    assert_memory_equal(&back, &view, sizeof view);
    static const int wrong[][2] = {{0, 3}, {3, 0}, {-1, 0}, {0, -1}, {1, 1}};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        const lcv_tensor same = lcv_tensor_transpose(view, wrong[i][0], wrong[i][1]);
        assert_memory_equal(&same, &view, sizeof view);
    }
}

static void sliced_views(void **state)
{
    const int64_t shape[] = {2, 3, 5};
    (void)state;
    for (int dtype = LCV_F32; dtype <= LCV_BF16; dtype++) {
        const lcv_tensor view = lcv_tensor_compact(memory, (lcv_dtype)dtype, 3, shape);
        const int64_t size = (int64_t)lcv_dtype_size((lcv_dtype)dtype);
        const lcv_tensor part = lcv_tensor_slice(view, 1, 1, 2), end = lcv_tensor_slice(view, 2, 5, 0),
                         all = lcv_tensor_slice(view, 0, 0, 2);
        expect_view(&part, 3, (const int64_t[]){2, 2, 5}, view.strides);
        assert_int_equal((char *)part.data - memory, 5 * size);
        expect_view(&end, 3, (const int64_t[]){2, 3, 0}, view.strides);
        assert_memory_equal(&all, &view, sizeof view);
    }
}

static void slices_out_of_range(void **state)
{
    static const struct {
        int32_t axis;
        int64_t start, count;
    } rows[] = {
        {-1, 0, 1}, {3, 0, 1},         {0, -1, 1},        {0, 0, -1},        {0, 0, 3},
        {0, 2, 1},  {0, 3, 0},         {0, INT64_MAX, 1}, {0, 1, INT64_MAX}, {0, INT64_MAX, INT64_MAX},
        {0, 1, 2},  {0, INT64_MIN, 1}, {0, 0, INT64_MIN}};
    const int64_t shape[] = {2, 3, 5};
    const lcv_tensor view = lcv_tensor_compact(memory, LCV_F32, 3, shape);
    const lcv_tensor nothing = lcv_tensor_compact(NULL, LCV_F32, 3, shape);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect_empty(lcv_tensor_slice(view, rows[i].axis, rows[i].start, rows[i].count));
    assert_null(lcv_tensor_slice(nothing, 0, 1, 1).data);
}

static void dtypes(void **state)
{
    static const struct {
        lcv_dtype dtype, compute;
        const char *name;
        size_t size;
    } rows[] = {{LCV_F32, LCV_F32, "f32", 4},
                {LCV_F64, LCV_F64, "f64", 8},
                {LCV_F16, LCV_F32, "f16", 2},
                {LCV_BF16, LCV_F32, "bf16", 2}};
    static const int unknown[] = {-1, 4, 1000, INT32_MAX, INT32_MIN};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_string_equal(lcv_dtype_name(rows[i].dtype), rows[i].name);
        assert_int_equal(lcv_dtype_size(rows[i].dtype), rows[i].size);
        assert_int_equal(lcv_dtype_compute(rows[i].dtype), rows[i].compute);
    }
    for (size_t i = 0; i < COUNT_OF(unknown); i++) {
        assert_null(lcv_dtype_name((lcv_dtype)unknown[i]));
        assert_int_equal(lcv_dtype_size((lcv_dtype)unknown[i]), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compact_views),       cmocka_unit_test(compact_views_of_absurd_shapes),
        cmocka_unit_test(transposed_views),    cmocka_unit_test(sliced_views),
        cmocka_unit_test(slices_out_of_range), cmocka_unit_test(dtypes),
    };
    return cmocka_run_group_tests_name("tensor", tests, NULL, NULL);
}
