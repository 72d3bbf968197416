/* SPDX-License-Identifier: BSD-3-Clause */
/* snapshot_input.h: how the targets of snapshots read their input. The first byte chooses the stream and
 * whether checksums are made right; the others, three by three, change bytes of a true snapshot: place (two
 * bytes) and value. */
#ifndef FUZZ_SNAPSHOT_INPUT_H
#define FUZZ_SNAPSHOT_INPUT_H

#include "../support/snapshot.h"
#include "fuzz_input.h"

#include <string.h>

typedef struct snapshot_sample {
    uint8_t *bytes, *copy;
    size_t size;
} snapshot_sample;

static inline void snapshot_sample_allocate(snapshot_sample *s)
{
    s->bytes = malloc(s->size);
    s->copy = malloc(s->size);
    FUZZ_REQUIRE(s->bytes != NULL && s->copy != NULL);
}

/* Leaves the changed snapshot in `copy`; returns how much of it to load. */
static inline size_t snapshot_sample_change(const snapshot_sample *s, uint8_t choice, fuzz_input input)
{
    const size_t given = input.left + 1;
    memcpy(s->copy, s->bytes, s->size);
    while (input.left >= 3) {
        const size_t low = fuzz_byte(&input), high = fuzz_byte(&input);
        s->copy[(low + 256 * high) % s->size] = fuzz_byte(&input);
    }
    if (choice < 128)
        test_snapshot_repair(s->copy, s->size);
    return choice % 8 == 7 ? given % (s->size + 1) : s->size;
}

#endif
