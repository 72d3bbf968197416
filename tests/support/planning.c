/* SPDX-License-Identifier: BSD-3-Clause */
#include "planning.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t crc_of(const char *bytes, size_t length)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < length; i++) {
        crc ^= (unsigned char)bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xEDB88320u : crc >> 1;
    }
    return ~crc;
}

test_planning_parts test_planning_split(const char *text)
{
    test_planning_parts parts = {{NULL, NULL}, {0, 0}};
    const char *at = strchr(text, '\n');
    for (int i = 0; i < 2 && at != NULL; i++) {
        parts.length[i] = strtoul(at + strlen("\nfftw-f32 "), NULL, 10);
        parts.bytes[i] = strchr(at + 1, '\n') + 1;
        at = parts.bytes[i] + parts.length[i] - 1;
    }
    return parts;
}

size_t test_planning_join(const test_planning_parts *parts, char *out, size_t size)
{
    static const char *const names[] = {"f32", "f64"};
    size_t used = (size_t)snprintf(out, size, "longconv-planning 1 cpu\n");
    for (int i = 0; i < 2 && used < size; i++) {
        used += (size_t)snprintf(out + used, size - used, "fftw-%s %zu %08x\n", names[i], parts->length[i],
                                 (unsigned)crc_of(parts->bytes[i], parts->length[i]));
        if (used >= size || size - used < parts->length[i])
            return 0;
        memcpy(out + used, parts->bytes[i], parts->length[i]);
        used += parts->length[i];
    }
    return used <= size ? used : 0;
}
