/* SPDX-License-Identifier: BSD-3-Clause */
/* random_bits.h: the random numbers of these tests (Marsaglia's xorshift), the same in every run. */
#ifndef LCV_TESTS_RANDOM_BITS_H
#define LCV_TESTS_RANDOM_BITS_H

#include <stdint.h>

#define RANDOM_START UINT64_C(88172645463325252)

static uint64_t random_state = RANDOM_START;

static inline uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static inline double random_real(double least, double most)
{
    return least + (most - least) * ((double)(random_bits() >> 11) * 0x1p-53);
}

#endif
