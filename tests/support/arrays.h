/* SPDX-License-Identifier: BSD-3-Clause */
/* arrays.h: memory for one tensor, optionally at the edge of a page that nobody may touch. */
#ifndef TEST_ARRAYS_H
#define TEST_ARRAYS_H

#include <longconv/tensor.h>

#include <stdbool.h>

typedef enum test_edge {
    TEST_PLAIN,        /* malloc, so that the address sanitizer sees both ends */
    TEST_BEFORE_GUARD, /* the last byte lies `offset` bytes before a page without access */
    TEST_AFTER_GUARD   /* the first byte lies `offset` bytes after such a page */
} test_edge;

typedef struct test_place {
    test_edge edge;
    size_t offset; /* in bytes; odd numbers make unaligned data */
    int64_t step;  /* distance of neighbours of the fastest axis; 0 and 1: compact */
} test_place;

typedef struct test_array {
    char *map; /* all of it, guards included */
    size_t map_bytes;
    char *open; /* what may be touched */
    size_t open_bytes;
    char *snapshot; /* of `open`, by test_array_watch */
    lcv_tensor tensor;
} test_array;

/* Makes the array of a tensor whose axes lie in memory in the order `slowest` to fastest (a permutation of
 * 0..rank-1; NULL: as they are). Every byte is 0x7F, in every dtype a huge
 * number or a NaN. A shape with a 0 gives data NULL. */
void test_array_make(test_array *array, lcv_dtype dtype, int32_t rank, const int64_t *shape,
                     const int32_t *order, const test_place *place);
void test_array_free(test_array *array);

/* Number of elements, and the address of element `index` in row-major order of the shape. */
int64_t test_array_count(const test_array *array);
char *test_array_element(const test_array *array, int64_t index);

/* Fills all elements with uniform numbers. */
void test_array_fill(test_array *array, uint64_t *random);

/* Forbids writing (arrays with a guard only), or allows it again. */
void test_array_protect(test_array *array, bool read_only);

/* Remembers every byte; then: has none changed, or none but the elements themselves? */
void test_array_watch(test_array *array);
bool test_array_unchanged(const test_array *array);
bool test_array_unchanged_outside(const test_array *array);

#endif
