/* SPDX-License-Identifier: BSD-3-Clause */
/* fuzz_input.h: reads choices from the bytes that the fuzzer gives. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct fuzz_input {
    const uint8_t *bytes;
    size_t left;
} fuzz_input;

/* The next byte; 0 when there is none left. */
static inline uint8_t fuzz_byte(fuzz_input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->bytes++;
}

/* A number in [0, count). */
static inline int64_t fuzz_below(fuzz_input *input, int64_t count)
{
    return fuzz_byte(input) % count;
}

/* True once in `rarity` times. The byte 0, and so an input that ends, is false. */
static inline int fuzz_chance(fuzz_input *input, int64_t rarity)
{
    return fuzz_below(input, rarity) == rarity - 1;
}

/* The next `size` bytes as an input of their own, so that what is read from it depends on nothing before. */
static inline fuzz_input fuzz_part(fuzz_input *input, size_t size)
{
    fuzz_input part = {input->bytes, size < input->left ? size : input->left};
    input->bytes += part.left;
    input->left -= part.left;
    return part;
}

/* A broken promise: ends the process so that the fuzzer keeps the input. */
#define FUZZ_REQUIRE(condition)                                                                              \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* The entry of a target; libFuzzer or replay.c calls it. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#endif
