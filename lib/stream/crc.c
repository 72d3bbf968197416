/* SPDX-License-Identifier: BSD-3-Clause */
/* CRC-32, sixteen bytes at a time by sixteen tables (slicing), which are filled at first use. */
#include "crc.h"

#include <pthread.h>

enum { SLICES = 16 };

static uint32_t tables[SLICES][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill_tables(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1u) != 0 ? 0xEDB88320u : 0u);
        tables[0][i] = crc;
    }
    for (int slice = 1; slice < SLICES; slice++)
        for (uint32_t i = 0; i < 256; i++)
            tables[slice][i] = (tables[slice - 1][i] >> 8) ^ tables[0][tables[slice - 1][i] & 0xFFu];
}

static uint32_t word_at(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

uint32_t lcvi_crc32(uint32_t crc, const void *memory, size_t count)
{
    const unsigned char *bytes = memory;
    pthread_once(&once, fill_tables);
    crc = ~crc;
    for (; count >= SLICES; count -= SLICES, bytes += SLICES) {
        const uint32_t words[4] = {word_at(bytes) ^ crc, word_at(bytes + 4), word_at(bytes + 8),
                                   word_at(bytes + 12)};
        crc = 0;
        for (int i = 0; i < 4; i++)
            for (int k = 0; k < 4; k++)
                crc ^= tables[SLICES - 1 - (4 * i + k)][words[i] >> (8 * k) & 0xFFu];
    }
    for (; count > 0; count--, bytes++)
        crc = (crc >> 8) ^ tables[0][(crc ^ *bytes) & 0xFFu];
    return ~crc;
}
