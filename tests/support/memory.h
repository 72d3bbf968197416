/* SPDX-License-Identifier: BSD-3-Clause */
/* memory.h: memory functions for a context that count, and that fail when they are told to. Thread-safe. */
#ifndef TEST_MEMORY_H
#define TEST_MEMORY_H

#include <longconv/context.h>

#include <stdatomic.h>
#include <stdbool.h>

typedef struct test_memory {
    _Atomic int64_t calls;       /* of alloc, so far */
    _Atomic int64_t live_blocks; /* not freed yet */
    _Atomic int64_t live_bytes;
    _Atomic int64_t faults; /* frees with a wrong size or of memory that is not ours, wrong alignments */
    int64_t fail_at;        /* the call that fails, from 1; 0: none */
    bool fail_on;           /* and all calls after it */
    size_t largest;         /* more bytes than this at once fail; 0: no limit */
} test_memory;

/* Params of a context with this memory and one thread. */
lcv_context_params test_memory_params(test_memory *memory);

#endif
