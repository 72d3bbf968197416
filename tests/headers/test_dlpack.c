/* SPDX-License-Identifier: BSD-3-Clause */
/* The adapter from DLPack tensors to views. */
#include "dlpack_layout.h"

#include <longconv/dlpack.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static float values[64];
static int64_t shape[3] = {2, 3, 4}, strides[3] = {24, 1, 6};

static DLTensor example(void)
{
    DLTensor tensor = {values, {kDLCPU, 0}, 3, {kDLFloat, 32, 1}, shape, strides, 8};
    return tensor;
}

static void test_strided(void **state)
{
    DLTensor source = example();
    lcv_tensor view = lcv_tensor_from_dlpack(&source);
    (void)state;
    assert_ptr_equal(view.data, values + 2);
    assert_int_equal(view.rank, 3);
    assert_int_equal(view.dtype, LCV_F32);
    assert_int_equal(view.device, LCV_DEVICE_CPU);
    for (int axis = 0; axis < 3; axis++) {
        assert_int_equal(view.shape[axis], shape[axis]);
        assert_int_equal(view.strides[axis], strides[axis]);
    }
}

static void test_compact(void **state)
{
    const int64_t expected[3] = {12, 4, 1};
    DLTensor source = example();
    (void)state;
    source.strides = NULL;
    lcv_tensor view = lcv_tensor_from_dlpack(&source);
    for (int axis = 0; axis < 3; axis++)
        assert_int_equal(view.strides[axis], expected[axis]);
}

static void test_dtypes(void **state)
{
    const struct {
        DLDataType type;
        int32_t known;
        lcv_dtype dtype;
    } rows[] = {{{kDLFloat, 64, 1}, 1, LCV_F64}, {{kDLFloat, 32, 1}, 1, LCV_F32},
                {{kDLFloat, 16, 1}, 1, LCV_F16}, {{kDLBfloat, 16, 1}, 1, LCV_BF16},
                {{kDLInt, 32, 1}, 0, LCV_F32},   {{kDLFloat, 8, 1}, 0, LCV_F32},
                {{kDLFloat, 32, 2}, 0, LCV_F32}, {{kDLBfloat, 32, 1}, 0, LCV_F32}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lcv_dtype dtype = LCV_F32;
        assert_int_equal(lcv_dlpack_dtype(rows[i].type, &dtype), rows[i].known);
        assert_int_equal(dtype, rows[i].dtype);
    }
}

static void test_devices(void **state)
{
    DLTensor source = example();
    (void)state;
    source.device.device_type = kDLCUDA;
    source.device.device_id = 3;
    lcv_tensor view = lcv_tensor_from_dlpack(&source);
    assert_int_equal(view.device, LCV_DEVICE_CUDA);
    assert_int_equal(view.device_index, 3);
    source.device.device_type = kDLMetal;
    assert_int_equal(lcv_tensor_from_dlpack(&source).rank, 0);
}

static void test_ranks(void **state)
{
    int64_t many[5] = {1, 1, 1, 1, 1};
    (void)state;
    for (int32_t rank = 0; rank <= 5; rank++) {
        DLTensor source = example();
        source.ndim = rank;
        source.shape = many;
        source.strides = NULL;
        int32_t expected = rank >= 1 && rank <= LCV_MAX_RANK ? rank : 0;
        assert_int_equal(lcv_tensor_from_dlpack(&source).rank, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strided), cmocka_unit_test(test_compact), cmocka_unit_test(test_dtypes),
        cmocka_unit_test(test_devices), cmocka_unit_test(test_ranks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
