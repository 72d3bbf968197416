/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: the reader of .safetensors files. What it accepts lies within the file, is found by its name
 * and has the bytes that its shape says; what it refuses gets a message. */
#include "fuzz_input.h"

#include "safetensors.h"

#include <string.h>

static void check_entry(const safetensors *s, const safetensors_entry *entry, size_t file_size)
{
    const char *begin = s->memory, *data = entry->data;
    int64_t count = 1;
    double sum = 0;
    FUZZ_REQUIRE(data >= begin && entry->bytes <= file_size &&
                 (size_t)(data - begin) <= file_size - entry->bytes);
    FUZZ_REQUIRE(entry->rank >= 0 && entry->rank <= SAFETENSORS_MAX_RANK);
    for (int axis = 0; axis < entry->rank; axis++)
        FUZZ_REQUIRE(!__builtin_mul_overflow(count, entry->shape[axis], &count) && count >= 0);
    FUZZ_REQUIRE(count == entry->count && safetensors_find(s, entry->name) == entry);
    for (int64_t i = 0; entry->is_real && i < count; i++)
        sum += safetensors_get(entry, i);
    FUZZ_REQUIRE(count > 0 || sum == 0);
    FUZZ_REQUIRE(!entry->is_real || entry->bytes == (size_t)count * lcv_dtype_size(entry->dtype));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char message[256] = "";
    safetensors s;
    if (safetensors_parse(bytes, size, &s, message, sizeof message)) {
        for (int64_t i = 0; i < s.count; i++)
            check_entry(&s, &s.entry[i], size);
        safetensors_free(&s);
    } else {
        FUZZ_REQUIRE(message[0] != '\0' && memchr(message, '\0', sizeof message) != NULL);
    }
    return 0;
}
