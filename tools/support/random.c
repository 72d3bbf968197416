/* SPDX-License-Identifier: BSD-3-Clause */
#include "random.h"

void random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t product0 = (uint64_t)0xd2511f53u * c0;
        const uint64_t product1 = (uint64_t)0xcd9e8d57u * c2;
        c0 = (uint32_t)(product1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)product1;
        c2 = (uint32_t)(product0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)product0;
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

static void block(uint64_t seed, uint32_t stream, uint64_t index, uint32_t out[4])
{
    const uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), stream, 0};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    random_philox(counter, key, out);
}

uint64_t random_bits(uint64_t seed, uint32_t stream, uint64_t index)
{
    uint32_t words[4];
    block(seed, stream, index, words);
    return (uint64_t)words[1] << 32 | words[0];
}

double random_uniform(uint64_t seed, uint32_t stream, uint64_t index)
{
    return (double)(random_bits(seed, stream, index) >> 11) * 0x1p-53;
}

double random_normal(uint64_t seed, uint32_t stream, uint64_t index)
{
    static const double root_of_12_by_8 = 0x1.3988e1409212ep+0;
    uint32_t words[4];
    block(seed, stream, index, words);
    int64_t sum = 0;
    for (int i = 0; i < 4; i++)
        sum += (int64_t)(words[i] & 0xffffu) + (int64_t)(words[i] >> 16);
    /* Each of the 8 values is uniform on 0 ... 65535, mean 32767.5. */
    return (double)(sum - 4 * 65535) * 0x1p-16 * root_of_12_by_8;
}

int64_t random_below(uint64_t seed, uint32_t stream, uint64_t index, int64_t count)
{
    return (int64_t)(random_bits(seed, stream, index) % (uint64_t)count);
}
