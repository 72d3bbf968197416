/* SPDX-License-Identifier: BSD-3-Clause */
/* CRC-32 by tables, sixteen bytes of each of four neighbouring pieces at a time: within one piece every step
 * waits for the one before it. The CRC of pieces one after the other follows from theirs, because a CRC is
 * linear: tables say what a piece of zeros makes of the CRC before it. Tables are filled at first use. */
#include "crc.h"

#include <pthread.h>

enum { SLICES = 16, CHAINS = 4, PIECE = 2048 };

static uint32_t tables[SLICES][256], over_piece[4][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint32_t after_zero(uint32_t crc)
{
    return (crc >> 8) ^ tables[0][crc & 0xFFu];
}

/* What PIECE zeros make of each single bit; entries of several bits are their sums. */
static void fill_over_piece(void)
{
    for (int bit = 0; bit < 32; bit++) {
        const uint32_t own = 1u << (bit % 8);
        uint32_t crc = 1u << bit;
        for (int i = 0; i < PIECE; i++)
            crc = after_zero(crc);
        for (uint32_t rest = 0; rest < own; rest++)
            over_piece[bit / 8][own | rest] = over_piece[bit / 8][rest] ^ crc;
    }
}

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
            tables[slice][i] = after_zero(tables[slice - 1][i]);
    fill_over_piece();
}

static inline uint32_t word_at(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* Four bytes, of which the first is `distance` bytes before the end of the sixteen. */
static inline uint32_t of_word(uint32_t word, int distance)
{
    return tables[distance][word & 0xFFu] ^ tables[distance - 1][word >> 8 & 0xFFu] ^
           tables[distance - 2][word >> 16 & 0xFFu] ^ tables[distance - 3][word >> 24];
}

static inline uint32_t of_sixteen(uint32_t crc, const unsigned char *bytes)
{
    return of_word(word_at(bytes) ^ crc, 15) ^ of_word(word_at(bytes + 4), 11) ^
           of_word(word_at(bytes + 8), 7) ^ of_word(word_at(bytes + 12), 3);
}

static uint32_t of_pieces(uint32_t crc, const unsigned char *bytes)
{
    uint32_t chain[CHAINS] = {crc};
    for (int i = 0; i < PIECE; i += SLICES)
        for (int c = 0; c < CHAINS; c++)
            chain[c] = of_sixteen(chain[c], bytes + c * PIECE + i);
    crc = chain[0];
    for (int c = 1; c < CHAINS; c++)
        crc = over_piece[0][crc & 0xFFu] ^ over_piece[1][crc >> 8 & 0xFFu] ^
              over_piece[2][crc >> 16 & 0xFFu] ^ over_piece[3][crc >> 24] ^ chain[c];
    return crc;
}

uint32_t lcvi_crc32(uint32_t crc, const void *memory, size_t count)
{
    const unsigned char *bytes = memory;
    pthread_once(&once, fill_tables);
    crc = ~crc;
    for (; count >= (size_t)CHAINS * PIECE; count -= (size_t)CHAINS * PIECE, bytes += CHAINS * PIECE)
        crc = of_pieces(crc, bytes);
    for (; count >= SLICES; count -= SLICES, bytes += SLICES)
        crc = of_sixteen(crc, bytes);
    for (; count > 0; count--, bytes++)
        crc = after_zero(crc ^ *bytes);
    return ~crc;
}
