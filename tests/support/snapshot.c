/* SPDX-License-Identifier: BSD-3-Clause */
#include "snapshot.h"

#include <stdbool.h>
#include <string.h>

enum {
    KIND_AT = 3, /* of the magic words "LCVSTRM" and "LCVMIXR" */
    PAYLOAD_CRC_AT = TEST_SNAPSHOT_HEADER_BYTES - 12,
    HEADER_CRC_AT = TEST_SNAPSHOT_HEADER_BYTES - 4,
    MIXER_CRC_AT = TEST_SNAPSHOT_MIXER_HEADER_BYTES - 4
};

/* The checksum as zip defines it, bit by bit. */
static uint32_t checksum(const unsigned char *bytes, size_t count)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1u) != 0 ? 0xEDB88320u : 0u);
    }
    return ~crc;
}

static bool is_of_mixer(const unsigned char *bytes, size_t size)
{
    return size > KIND_AT && bytes[KIND_AT] == 'M';
}

static void repair_stream(unsigned char *bytes, size_t size)
{
    if (size < TEST_SNAPSHOT_HEADER_BYTES)
        return;
    const uint32_t payload = checksum(bytes + TEST_SNAPSHOT_HEADER_BYTES, size - TEST_SNAPSHOT_HEADER_BYTES);
    memcpy(bytes + PAYLOAD_CRC_AT, &payload, sizeof payload);
    const uint32_t header = checksum(bytes, HEADER_CRC_AT);
    memcpy(bytes + HEADER_CRC_AT, &header, sizeof header);
}

/* The part of a mixer's snapshot whose size is at `at`; 0: there is none. */
static size_t part_size(const unsigned char *bytes, size_t size, size_t at)
{
    uint64_t part;
    if (at > size || size - at < sizeof part)
        return 0;
    memcpy(&part, bytes + at, sizeof part);
    return part <= size - at - sizeof part ? (size_t)part : 0;
}

/* What is left after the parts: numbers of steps, and their checksum. */
static void repair_numbers(unsigned char *bytes, size_t count)
{
    if (count < 2 * sizeof(uint64_t))
        return;
    const uint64_t crc = checksum(bytes, count - sizeof crc);
    memcpy(bytes + count - sizeof crc, &crc, sizeof crc);
}

static void repair_mixer(unsigned char *bytes, size_t size)
{
    if (size < TEST_SNAPSHOT_MIXER_HEADER_BYTES)
        return;
    size_t at = TEST_SNAPSHOT_MIXER_HEADER_BYTES, part;
    while ((part = part_size(bytes, size, at)) > 0) {
        repair_stream(bytes + at + sizeof(uint64_t), part);
        at += sizeof(uint64_t) + part;
    }
    repair_numbers(bytes + at, size - at);
    const uint32_t header = checksum(bytes, MIXER_CRC_AT);
    memcpy(bytes + MIXER_CRC_AT, &header, sizeof header);
}

void test_snapshot_repair(unsigned char *bytes, size_t size)
{
    if (is_of_mixer(bytes, size))
        repair_mixer(bytes, size);
    else
        repair_stream(bytes, size);
}

static size_t below(uint64_t *random, size_t count)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(*random >> 33) % count;
}

/* Where one of the streams begins. */
static size_t any_stream(const unsigned char *bytes, size_t size, uint64_t *random)
{
    size_t at = TEST_SNAPSHOT_MIXER_HEADER_BYTES, part, chosen = 0;
    if (!is_of_mixer(bytes, size))
        return 0;
    for (size_t count = 1; (part = part_size(bytes, size, at)) > 0; count++) {
        if (below(random, count) == 0)
            chosen = at + sizeof(uint64_t);
        at += sizeof(uint64_t) + part;
    }
    return chosen;
}

/* Anywhere; in a position; or in a header, the size before it or the counters behind it. */
static size_t any_place(const unsigned char *bytes, size_t size, uint64_t *random)
{
    const size_t stream = any_stream(bytes, size, random), before = stream > 0 ? sizeof(uint64_t) : 0;
    switch (below(random, is_of_mixer(bytes, size) ? 5 : 4)) {
    case 0:
        return below(random, size);
    case 1:
        return stream + TEST_SNAPSHOT_POSITION_AT - 8 + below(random, 16);
    case 4:
        return below(random, TEST_SNAPSHOT_MIXER_HEADER_BYTES);
    default:
        return stream - before + below(random, before + TEST_SNAPSHOT_HEADER_BYTES + 64);
    }
}

void test_snapshot_mutate(unsigned char *bytes, size_t size, uint64_t *random)
{
    for (size_t i = 1 + below(random, 6); i > 0; i--) {
        const size_t at = any_place(bytes, size, random) % size;
        bytes[at] = (unsigned char)(below(random, 3) == 0 ? 0xFF : below(random, 256));
    }
    if (below(random, 8) != 0)
        test_snapshot_repair(bytes, size);
}
