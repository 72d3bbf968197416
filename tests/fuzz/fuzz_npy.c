/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: the reader of .npy files. What it accepts is consistent and no larger than the file; what it
 * refuses gets a message. */
#include "fuzz_input.h"

#include "npy.h"

#include <string.h>

static void check_array(const npy_array *array, size_t file_size)
{
    int64_t count = 1;
    double sum = 0;
    FUZZ_REQUIRE(array->rank >= 0 && array->rank <= NPY_MAX_RANK);
    for (int axis = 0; axis < array->rank; axis++)
        FUZZ_REQUIRE(!__builtin_mul_overflow(count, array->shape[axis], &count) && count >= 0);
    FUZZ_REQUIRE(count == array->count);
    FUZZ_REQUIRE((uint64_t)count <= file_size / npy_type_size(array->type));
    for (int64_t i = 0; i < count; i++)
        sum += npy_get(array, i);
    FUZZ_REQUIRE(count > 0 || sum == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char message[256] = "";
    npy_array array;
    if (npy_parse(bytes, size, &array, message, sizeof message)) {
        check_array(&array, size);
        npy_free(&array);
    } else {
        FUZZ_REQUIRE(message[0] != '\0' && memchr(message, '\0', sizeof message) != NULL);
    }
    return 0;
}
