/* SPDX-License-Identifier: BSD-3-Clause */
/* fake.h where the device is a real one: nothing is counted there and nothing can be made to fail, so that
 * tests which do not ask for that run on a GPU as they are. */
#include "fake.h"

#include "test.h"

fake_counts fake_count(void)
{
    return (fake_counts){0};
}

void fake_reset(void)
{
}

void fake_restart(void)
{
}

void fake_set_devices(int count, cudaError_t error)
{
    fail_msg("the number of real devices cannot be %d (%d)", count, (int)error);
}

void fake_limit_memory(size_t bytes)
{
    fail_msg("the memory of a real device cannot be %zu", bytes);
}

void fake_fail(int64_t call, bool for_good, cudaError_t error)
{
    fail_msg("call %lld of a real device cannot fail%s with %d", (long long)call, for_good ? " for good" : "",
             (int)error);
}
