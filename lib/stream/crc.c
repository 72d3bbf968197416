/* SPDX-License-Identifier: BSD-3-Clause */
/* CRC-32, eight bytes at a time by eight tables (slicing), which are filled at first use. */
#include "crc.h"

#include <pthread.h>
#include <string.h>

enum { SLICES = 8 };

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
        const uint32_t low = word_at(bytes) ^ crc, high = word_at(bytes + 4);
        crc = tables[7][low & 0xFFu] ^ tables[6][low >> 8 & 0xFFu] ^ tables[5][low >> 16 & 0xFFu] ^
              tables[4][low >> 24] ^ tables[3][high & 0xFFu] ^ tables[2][high >> 8 & 0xFFu] ^
              tables[1][high >> 16 & 0xFFu] ^ tables[0][high >> 24];
    }
    for (; count > 0; count--, bytes++)
        crc = (crc >> 8) ^ tables[0][(crc ^ *bytes) & 0xFFu];
    return ~crc;
}
