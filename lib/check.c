/* SPDX-License-Identifier: BSD-3-Clause */
#include "check.h"
#include "overlap.h"
#include "size.h"

#include <stdio.h>
#include <string.h>

static void print_shape(char *text, size_t size, const int64_t *shape, int32_t rank)
{
    size_t used = 0;
    text[0] = '\0';
    for (int32_t axis = 0; axis < rank && axis < LCV_MAX_RANK && used < size; axis++) {
        int length =
            snprintf(text + used, size - used, "%s%lld", axis > 0 ? ", " : "", (long long)shape[axis]);
        used += length > 0 ? (size_t)length : 0;
    }
}

static lcv_status check_shape(lcv_context *context, const lcvi_expect *expect, const lcv_tensor *tensor)
{
    char wanted[96], given[96];
    bool same = tensor->rank == expect->rank;
    for (int32_t axis = 0; same && axis < expect->rank; axis++)
        same = tensor->shape[axis] == expect->shape[axis];
    if (same)
        return LCV_OK;
    print_shape(wanted, sizeof wanted, expect->shape, expect->rank);
    print_shape(given, sizeof given, tensor->shape, tensor->rank);
    return lcvi_fail(context, LCV_INVALID_ARG, "%s: expected shape [%s] (%s), given rank %d [%s]",
                     expect->name, wanted, expect->axes, tensor->rank, given);
}

/* Strides are >= 0 and the view spans less than PTRDIFF_MAX bytes. */
static lcv_status check_strides(lcv_context *context, const char *name, const lcv_tensor *tensor)
{
    int64_t reach = 0, step;
    size_t bytes;
    for (int32_t axis = 0; axis < tensor->rank; axis++) {
        if (tensor->shape[axis] <= 1)
            continue;
        if (tensor->strides[axis] < 0)
            return lcvi_fail(context, LCV_INVALID_ARG, "%s: stride of axis %d: expected >= 0, given %lld",
                             name, axis, (long long)tensor->strides[axis]);
        if (!lcvi_mul(tensor->shape[axis] - 1, tensor->strides[axis], &step) ||
            !lcvi_add(reach, step, &reach))
            return lcvi_fail(context, LCV_TOO_LARGE, "%s: shape and strides overflow", name);
    }
    if (reach == INT64_MAX || !lcvi_bytes(reach + 1, lcv_dtype_size(tensor->dtype), &bytes))
        return lcvi_fail(context, LCV_TOO_LARGE, "%s: spans more bytes than an object may have", name);
    return LCV_OK;
}

static bool has_elements(const lcv_tensor *tensor)
{
    for (int32_t axis = 0; axis < tensor->rank; axis++)
        if (tensor->shape[axis] == 0)
            return false;
    return true;
}

static lcv_status check_given(const lcvi_checker *checker, const lcvi_expect *expect,
                              const lcv_tensor *tensor)
{
    lcv_context *context = checker->context;
    const char *name = expect->name;
    if (expect->presence == LCVI_ABSENT)
        return lcvi_fail(context, LCV_INVALID_ARG, "%s: given, but this plan does not use it", name);
    if (tensor->dtype != expect->dtype) {
        const char *given = lcv_dtype_name(tensor->dtype);
        return lcvi_fail(context, LCV_INVALID_ARG, "%s: expected dtype %s, given %s", name,
                         lcv_dtype_name(expect->dtype), given != NULL ? given : "an unknown one");
    }
    if (tensor->device != checker->device)
        return lcvi_fail(context, LCV_INVALID_ARG, "%s: expected device kind %d, given %d", name,
                         (int)checker->device, (int)tensor->device);
    lcv_status status = check_shape(context, expect, tensor);
    if (status == LCV_OK)
        status = check_strides(context, name, tensor);
    if (status != LCV_OK)
        return status;
    if (tensor->data == NULL && has_elements(tensor))
        return lcvi_fail(context, LCV_INVALID_ARG, "%s: data is NULL", name);
    if (expect->output && lcvi_view_overlaps_itself(tensor))
        return lcvi_fail(context, LCV_INVALID_ARG,
                         "%s: its strides reach an element twice; an output needs distinct elements", name);
    return LCV_OK;
}

static lcv_array array_of(const lcvi_expect *expect, const lcv_tensor *tensor)
{
    lcv_array array = {.data = tensor->data};
    for (int32_t axis = 0; axis < tensor->rank; axis++)
        array.stride[expect->axis[axis]] = tensor->shape[axis] > 1 ? tensor->strides[axis] : 0;
    return array;
}

lcv_status lcvi_check(lcvi_checker *checker, const lcvi_expect *expect, const lcv_tensor *tensor,
                      lcv_array *array)
{
    *array = (lcv_array){0};
    if (tensor == NULL || tensor->rank == 0) {
        if (expect->presence == LCVI_REQUIRED)
            return lcvi_fail(checker->context, LCV_INVALID_ARG, "%s: is required and was not given",
                             expect->name);
        return LCV_OK;
    }
    lcv_status status = check_given(checker, expect, tensor);
    if (status != LCV_OK)
        return status;
    if (checker->count == LCVI_MAX_TENSORS)
        return lcvi_fail(checker->context, LCV_INTERNAL, "%s: too many tensors in one call", expect->name);
    int32_t place = checker->count++;
    checker->seen[place].name = expect->name;
    checker->seen[place].tensor = tensor;
    checker->seen[place].twins = expect->twins;
    checker->seen[place].output = expect->output;
    *array = array_of(expect, tensor);
    return LCV_OK;
}

/* Is `name` one of the words of `names`? */
static bool is_among(const char *name, const char *names)
{
    const size_t length = strlen(name);
    while (names != NULL && *names != '\0') {
        const size_t word = strcspn(names, " ");
        if (word == length && strncmp(names, name, length) == 0)
            return true;
        names += word + (names[word] == ' ');
    }
    return false;
}

static bool may_coincide(const lcvi_checker *checker, int32_t out, int32_t other)
{
    return !checker->seen[other].output && is_among(checker->seen[other].name, checker->seen[out].twins) &&
           lcvi_views_equal(checker->seen[out].tensor, checker->seen[other].tensor);
}

lcv_status lcvi_check_overlaps(const lcvi_checker *checker)
{
    for (int32_t out = 0; out < checker->count; out++) {
        if (!checker->seen[out].output)
            continue;
        for (int32_t other = 0; other < checker->count; other++) {
            if (other == out || (checker->seen[other].output && other < out))
                continue;
            if (!may_coincide(checker, out, other) &&
                lcvi_views_overlap(checker->seen[out].tensor, checker->seen[other].tensor))
                return lcvi_fail(checker->context, LCV_INVALID_ARG, "%s: overlaps %s",
                                 checker->seen[out].name, checker->seen[other].name);
        }
    }
    return LCV_OK;
}
