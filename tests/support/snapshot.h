/* SPDX-License-Identifier: BSD-3-Clause */
/* snapshot.h (tests): snapshots of streams and of mixers' streams as a hostile hand changes them: with right
 * checksums, so that what is wrong inside meets the checks behind them. */
#ifndef TEST_SNAPSHOT_H
#define TEST_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

/* Where things are in the snapshot of a stream; and in that of a mixer, which has its own header, then each
 * stream's snapshot behind eight bytes with its size, then the numbers of steps and eight bytes with their
 * checksum. */
enum {
    TEST_SNAPSHOT_POSITION_AT = 72,
    TEST_SNAPSHOT_VERSION_AT = 124,
    TEST_SNAPSHOT_HEADER_BYTES = 168,
    TEST_SNAPSHOT_MIXER_VERSION_AT = 28,
    TEST_SNAPSHOT_MIXER_HEADER_BYTES = 368
};

/* Makes the checksums right, of a snapshot of either kind: its first byte that differs says which. A size
 * that leads out of it ends the repair. */
void test_snapshot_repair(unsigned char *bytes, size_t size);

/* Changes one to six bytes, mostly those that a reader relies on, and mostly repairs the checksums. `random`
 * is the state of a generator. */
void test_snapshot_mutate(unsigned char *bytes, size_t size, uint64_t *random);

#endif
