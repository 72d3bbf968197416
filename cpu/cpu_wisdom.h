/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_wisdom.h: the text of planning.h as the cpu backend writes it, and its reader, which trusts nothing:
 *
 *     longconv-planning 1 cpu
 *     fftw-f32 BYTES CRC          of the part that follows: its length, and its CRC-32 in eight hex digits
 *     (fftw-3.3.10 fftwf_wisdom #x???????? #x???????? #x???????? #x????????
 *       (fftwf_SOLVER N #xFLAGS #xFLAGS #x0 #x???????? #x???????? #x???????? #x????????)
 *       ...
 *     )
 *     fftw-f64 BYTES CRC
 *     (fftw-3.3.10 fftw_wisdom ...
 *
 * A part is exactly what FFTW 3 writes. FFTW checks some of it by assertions that end the process (flags of
 * more than 20 bits), so nothing reaches it that this reader has not read. */
#ifndef LCV_CPU_WISDOM_H
#define LCV_CPU_WISDOM_H

#include <longconv/common.h>

#include <stdbool.h>

enum {
    LCV_CPU_WISDOM_PARTS = 2, /* float32, float64 */
    LCV_CPU_WISDOM_MOST = 1 << 24,
    LCV_CPU_WISDOM_LINE = 160 /* no line of a part is as long */
};

/* Bytes, without a NUL. */
typedef struct lcv_cpu_wisdom_text {
    const char *bytes;
    size_t length;
} lcv_cpu_wisdom_text;

typedef struct lcv_cpu_wisdom_fault {
    lcv_status status;
    size_t line; /* from 1 */
    const char *reason;
} lcv_cpu_wisdom_fault;

/* Checks every byte of `text` and finds its parts. */
bool lcv_cpu_wisdom_read(const lcv_cpu_wisdom_text *text, lcv_cpu_wisdom_text parts[LCV_CPU_WISDOM_PARTS],
                         lcv_cpu_wisdom_fault *fault);

/* Is this, without its newline, an entry of a part: one solver for one transform? */
bool lcv_cpu_wisdom_is_entry(const char *line, size_t length, int part);

/* The line before everything. */
#define LCV_CPU_WISDOM_TITLE "longconv-planning 1 cpu\n"

/* Writes the line before a part, and a NUL; returns its length. 64 bytes are enough. */
size_t lcv_cpu_wisdom_heading(char *out, size_t size, int part, size_t length, uint32_t crc);

/* One more byte of a CRC-32 (that of zlib) that begins with 0. */
uint32_t lcv_cpu_wisdom_crc(uint32_t crc, char byte);

#endif
