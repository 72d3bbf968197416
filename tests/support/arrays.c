/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "arrays.h"
#include "numbers.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FILLING = 0x7F };

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* Whole pages with one page without access on either side. */
static void map_pages(test_array *array, size_t bytes)
{
    const size_t page = page_size();
    array->open_bytes = (bytes + page - 1) / page * page;
    array->map_bytes = array->open_bytes + 2 * page;
    array->map = mmap(NULL, array->map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(array->map != MAP_FAILED);
    array->open = array->map + page;
    assert_int_equal(mprotect(array->open, array->open_bytes, PROT_READ | PROT_WRITE), 0);
}

static char *place_bytes(test_array *array, size_t bytes, const test_place *place)
{
    if (place->edge == TEST_PLAIN) {
        array->open_bytes = bytes + place->offset;
        array->open = malloc(array->open_bytes);
        assert_non_null(array->open);
    } else {
        map_pages(array, bytes + place->offset);
    }
    memset(array->open, FILLING, array->open_bytes);
    return place->edge == TEST_BEFORE_GUARD ? array->open + array->open_bytes - place->offset - bytes
                                            : array->open + place->offset;
}

/* Strides of the axes in the given order, and the elements that the view spans. */
static int64_t lay_out(lcv_tensor *tensor, const int32_t *order, int64_t step)
{
    int64_t stride = step > 1 ? step : 1, span = 1;
    for (int32_t place = tensor->rank - 1; place >= 0; place--) {
        const int32_t axis = order != NULL ? order[place] : place;
        tensor->strides[axis] = stride;
        if (tensor->shape[axis] == 0)
            return 0;
        span += (tensor->shape[axis] - 1) * stride;
        stride *= tensor->shape[axis];
    }
    return span;
}

void test_array_make(test_array *array, lcv_dtype dtype, int32_t rank, const int64_t *shape,
                     const int32_t *order, const test_place *place)
{
    memset(array, 0, sizeof *array);
    array->tensor.dtype = dtype;
    array->tensor.rank = rank;
    memcpy(array->tensor.shape, shape, (size_t)rank * sizeof *shape);
    const int64_t span = lay_out(&array->tensor, order, place->step);
    if (test_array_count(array) > 0)
        array->tensor.data = place_bytes(array, (size_t)span * lcv_dtype_size(dtype), place);
}

void test_array_free(test_array *array)
{
    free(array->snapshot);
    if (array->map != NULL)
        munmap(array->map, array->map_bytes);
    else
        free(array->open);
    memset(array, 0, sizeof *array);
}

int64_t test_array_count(const test_array *array)
{
    int64_t count = array->tensor.rank > 0 ? 1 : 0;
    for (int32_t axis = 0; axis < array->tensor.rank; axis++)
        count *= array->tensor.shape[axis];
    return count;
}

char *test_array_element(const test_array *array, int64_t index)
{
    const lcv_tensor *tensor = &array->tensor;
    int64_t offset = 0;
    for (int32_t axis = tensor->rank - 1; axis >= 0; axis--) {
        offset += index % tensor->shape[axis] * tensor->strides[axis];
        index /= tensor->shape[axis];
    }
    return (char *)tensor->data + offset * (int64_t)lcv_dtype_size(tensor->dtype);
}

void test_array_fill(test_array *array, uint64_t *random)
{
    const int64_t count = test_array_count(array);
    for (int64_t i = 0; i < count; i++)
        test_set(test_array_element(array, i), array->tensor.dtype, test_uniform(random));
}

void test_array_protect(test_array *array, bool read_only)
{
    if (array->map == NULL)
        return;
    const int access = read_only ? PROT_READ : PROT_READ | PROT_WRITE;
    assert_int_equal(mprotect(array->open, array->open_bytes, access), 0);
}

void test_array_watch(test_array *array)
{
    if (array->open_bytes == 0)
        return;
    if (array->snapshot == NULL)
        array->snapshot = malloc(array->open_bytes);
    assert_non_null(array->snapshot);
    memcpy(array->snapshot, array->open, array->open_bytes);
}

bool test_array_unchanged(const test_array *array)
{
    return array->open_bytes == 0 || memcmp(array->snapshot, array->open, array->open_bytes) == 0;
}

bool test_array_unchanged_outside(const test_array *array)
{
    const int64_t count = test_array_count(array);
    const size_t size = lcv_dtype_size(array->tensor.dtype);
    for (int64_t i = 0; i < count; i++) {
        const char *element = test_array_element(array, i);
        memcpy(array->snapshot + (element - array->open), element, size);
    }
    return test_array_unchanged(array);
}
