/* SPDX-License-Identifier: BSD-3-Clause */
/* Device memory: each piece ends where a page begins that nobody may touch (up to 15 bytes before it, so that
 * it is aligned), and another such page lies before it. */
#define _GNU_SOURCE
#include "fake_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALIGNMENT = 16 };

typedef struct piece {
    struct piece *next;
    char *map;    /* guard page, pages, guard page */
    char *memory; /* what cudaMalloc returned */
    size_t map_bytes, bytes;
} piece;

static piece *pieces;
static size_t limit;
static bool is_open;

static size_t page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

void fake_limit_memory(size_t bytes)
{
    limit = bytes;
}

static void protect(const piece *p, bool open)
{
    if (mprotect(p->map + page(), p->map_bytes - 2 * page(), open ? PROT_READ | PROT_WRITE : PROT_NONE) != 0)
        fake_die("mprotect failed");
}

void fake_memory_open(bool open)
{
    is_open = open;
    for (const piece *p = pieces; p != NULL; p = p->next)
        protect(p, open);
}

bool fake_memory_holds(const void *address)
{
    const char *a = address;
    for (const piece *p = pieces; p != NULL; p = p->next)
        if (a >= p->memory && a < p->memory + p->bytes)
            return true;
    return false;
}

static cudaError_t allocate(void **memory, size_t bytes)
{
    const size_t pages = (bytes + page() - 1) / page() * page();
    if (limit > 0 && (size_t)fake_all.live_bytes + bytes > limit)
        return cudaErrorMemoryAllocation;
    piece *p = malloc(sizeof *p);
    void *map = mmap(NULL, pages + 2 * page(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == NULL || map == MAP_FAILED)
        fake_die("no memory for the device");
    *p = (piece){.next = pieces, .map = map, .map_bytes = pages + 2 * page(), .bytes = bytes};
    p->memory = p->map + page() + (pages - (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    pieces = p;
    protect(p, true);
    memset(p->map + page(), 0xff, pages); /* NaN in every dtype */
    protect(p, is_open);
    fake_all.live_allocations++;
    fake_all.live_bytes += (int64_t)bytes;
    if (fake_all.live_bytes > fake_all.most_bytes)
        fake_all.most_bytes = fake_all.live_bytes;
    *memory = p->memory;
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    cudaError_t error = fake_enter();
    if (fake_forbidden_in_capture())
        error = cudaErrorStreamCaptureUnsupported;
    if (error == cudaSuccess && bytes > 0)
        error = allocate(memory, bytes);
    return fake_leave(error);
}

cudaError_t cudaMemGetInfo(size_t *left, size_t *all)
{
    const cudaError_t error = fake_enter();
    *all = limit > 0 ? limit : (size_t)1 << 40;
    *left = *all - (size_t)fake_all.live_bytes;
    return fake_leave(error);
}

/* Later work that still uses it dies. */
static void release(piece **link)
{
    piece *p = *link;
    *link = p->next;
    munmap(p->map, p->map_bytes);
    fake_all.live_allocations--;
    fake_all.live_bytes -= (int64_t)p->bytes;
    free(p);
}

void fake_forget_memory(void)
{
    while (pieces != NULL)
        release(&pieces);
}

cudaError_t cudaFree(void *memory)
{
    cudaError_t error = fake_enter();
    if (fake_forbidden_in_capture())
        error = cudaErrorStreamCaptureUnsupported;
    if (error == cudaSuccess && fake_all.queued > 0) {
        fake_all.late_frees++;
        fake_run_streams();
    }
    for (piece **link = &pieces; error == cudaSuccess && memory != NULL; link = &(*link)->next) {
        piece *p = *link;
        if (p == NULL)
            fake_die("cudaFree of what is no device memory");
        if (p->memory != memory)
            continue;
        release(link);
        break;
    }
    return fake_leave(error);
}
