/* SPDX-License-Identifier: BSD-3-Clause */
#define _POSIX_C_SOURCE 200809L
#include "memory.h"

#include <stdlib.h>

/* Lies directly before the memory that is handed out. */
typedef struct {
    void *start;
    size_t bytes;
    uint64_t mark;
} header;

static const uint64_t mark_live = 0x6c6f6e67636f6e76u;

static bool is_to_fail(const test_memory *memory, int64_t call)
{
    return memory->fail_at != 0 && (memory->fail_on ? call >= memory->fail_at : call == memory->fail_at);
}

static void *counted_alloc(void *user, size_t bytes, size_t alignment)
{
    test_memory *memory = user;
    if (is_to_fail(memory, atomic_fetch_add(&memory->calls, 1) + 1))
        return NULL;
    if (memory->largest != 0 && bytes > memory->largest)
        return NULL;
    if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
        atomic_fetch_add(&memory->faults, 1);
        return NULL;
    }
    char *start = malloc(sizeof(header) + alignment + bytes);
    if (start == NULL)
        return NULL;
    const uintptr_t least = (uintptr_t)start + sizeof(header);
    char *given = (char *)((least + alignment - 1) / alignment * alignment);
    header *h = (header *)(void *)(given - sizeof(header));
    if ((uintptr_t)h % _Alignof(header) != 0) { /* an alignment below the header's own */
        given += _Alignof(header) - (uintptr_t)given % _Alignof(header);
        h = (header *)(void *)(given - sizeof(header));
    }
    *h = (header){.start = start, .bytes = bytes, .mark = mark_live};
    atomic_fetch_add(&memory->live_blocks, 1);
    atomic_fetch_add(&memory->live_bytes, (int64_t)bytes);
    return given;
}

static void counted_free(void *user, void *given, size_t bytes)
{
    test_memory *memory = user;
    header *h = (header *)(void *)((char *)given - sizeof(header));
    if (h->mark != mark_live || h->bytes != bytes)
        atomic_fetch_add(&memory->faults, 1);
    h->mark = 0;
    atomic_fetch_sub(&memory->live_blocks, 1);
    atomic_fetch_sub(&memory->live_bytes, (int64_t)bytes);
    free(h->start);
}

lcv_context_params test_memory_params(test_memory *memory)
{
    lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
    params.alloc = counted_alloc;
    params.free = counted_free;
    params.memory_user = memory;
    params.num_threads = 1;
    return params;
}
