/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LCVI_CRC_H
#define LCVI_CRC_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32 (polynomial 0xEDB88320, as in zip) of `bytes` after those whose CRC is `crc`; 0 begins. */
uint32_t lcvi_crc32(uint32_t crc, const void *bytes, size_t count);

#endif
