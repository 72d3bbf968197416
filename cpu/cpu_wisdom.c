/* SPDX-License-Identifier: BSD-3-Clause */
#include "cpu_wisdom.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const headings[LCV_CPU_WISDOM_PARTS] = {"fftw-f32 ", "fftw-f64 "};
static const char *const prefixes[LCV_CPU_WISDOM_PARTS] = {"fftwf_", "fftw_"};

uint32_t lcv_cpu_wisdom_crc(uint32_t crc, char byte)
{
    crc = ~crc ^ (unsigned char)byte;
    for (int bit = 0; bit < 8; bit++)
        crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0);
    return ~crc;
}

size_t lcv_cpu_wisdom_heading(char *out, size_t size, int part, size_t length, uint32_t crc)
{
    const int written = snprintf(out, size, "%s%zu %08" PRIx32 "\n", headings[part], length, crc);
    return written > 0 ? (size_t)written : 0;
}

/* ---- Words. Each `take` moves on only when it finds what it wants. ---- */

typedef struct {
    const char *at, *end;
} cursor;

static bool take(cursor *c, const char *wanted)
{
    const size_t length = strlen(wanted);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, wanted, length) != 0)
        return false;
    c->at += length;
    return true;
}

/* A value of a digit, or -1. FFTW writes lower case. */
static int digit_of(char letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* `least` to `most` digits, at most 8 of them, and no digit after. */
static bool take_number(cursor *c, int base, int least, int most, uint32_t *out)
{
    uint32_t value = 0;
    int count = 0;
    const char *at = c->at;
    for (; at < c->end && digit_of(*at) >= 0 && digit_of(*at) < base && count <= most; at++, count++)
        value = value * (uint32_t)base + (uint32_t)digit_of(*at);
    if (count < least || count > most)
        return false;
    c->at = at;
    *out = value;
    return true;
}

static bool take_field(cursor *c, int least, int most, uint32_t *out)
{
    return take(c, " #x") && take_number(c, 16, least, most, out);
}

/* Four words of 32 bits: a digest. */
static bool take_digest(cursor *c)
{
    uint32_t word;
    for (int i = 0; i < 4; i++)
        if (!take_field(c, 8, 8, &word))
            return false;
    return true;
}

static bool is_name(char letter)
{
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
           (letter >= '0' && letter <= '9') || letter == '_';
}

/* 1 to `most` letters; '.', '-' and '+' are among them when it is a version. */
static bool take_name(cursor *c, int most, bool version)
{
    int count = 0;
    for (; c->at < c->end && count <= most; c->at++, count++)
        if (!is_name(*c->at) && !(version && strchr(".-+", *c->at) != NULL && *c->at != '\0'))
            break;
    return count > 0 && count <= most;
}

/* ---- One part ---- */

bool lcv_cpu_wisdom_is_entry(const char *line, size_t length, int part)
{
    enum { MOST_NAME = 56 };
    cursor c = {line, line + length};
    uint32_t number, lower, upper;
    if (!take(&c, "  (") || !take(&c, prefixes[part]) || !take_name(&c, MOST_NAME, false) || !take(&c, " ") ||
        !take_number(&c, 10, 1, 4, &number))
        return false;
    /* Two sets of flags of 20 bits, the first within the second, and a time limit, which a solver never has.
     */
    if (!take_field(&c, 1, 5, &lower) || !take_field(&c, 1, 5, &upper) || (lower & ~upper) != 0 ||
        !take(&c, " #x0"))
        return false;
    return take_digest(&c) && take(&c, ")") && c.at == c.end;
}

static bool is_opening(const char *line, size_t length, int part)
{
    cursor c = {line, line + length};
    return take(&c, "(fftw-") && take_name(&c, 32, true) && take(&c, " ") && take(&c, prefixes[part]) &&
           take(&c, "wisdom") && take_digest(&c) && c.at == c.end;
}

/* The next line without its newline. False: there is no newline. */
static bool next_line(cursor *c, lcv_cpu_wisdom_text *line)
{
    const char *newline = memchr(c->at, '\n', (size_t)(c->end - c->at));
    if (newline == NULL)
        return false;
    *line = (lcv_cpu_wisdom_text){c->at, (size_t)(newline - c->at)};
    c->at = newline + 1;
    return true;
}

/* NULL, or what is wrong at *at. */
static const char *check_part(const lcv_cpu_wisdom_text *text, int part, const char **at)
{
    cursor c = {text->bytes, text->bytes + text->length};
    lcv_cpu_wisdom_text line;
    *at = c.at;
    if (!next_line(&c, &line) || !is_opening(line.bytes, line.length, part))
        return "expected the opening line of FFTW's wisdom for this type";
    for (;;) {
        *at = c.at;
        if (!next_line(&c, &line))
            return "expected an entry or the closing ')'";
        if (line.length == 1 && line.bytes[0] == ')')
            break;
        if (line.length >= LCV_CPU_WISDOM_LINE || !lcv_cpu_wisdom_is_entry(line.bytes, line.length, part))
            return "expected an entry: a solver, its number, three fields of flags, four words";
    }
    *at = c.at;
    return c.at == c.end ? NULL : "there is more after the closing ')'";
}

/* ---- The whole ---- */

static const char *take_part(cursor *c, int part, lcv_cpu_wisdom_text *out, const char **at)
{
    uint32_t length, expected, crc = 0;
    *at = c->at;
    if (!take(c, headings[part]) || !take_number(c, 10, 1, 8, &length) || !take(c, " ") ||
        !take_number(c, 16, 8, 8, &expected) || !take(c, "\n"))
        return part == 0 ? "expected the heading 'fftw-f32 BYTES CRC'"
                         : "expected the heading 'fftw-f64 BYTES CRC'";
    if (length > (size_t)(c->end - c->at))
        return "this part is longer than the rest of the text, which was cut short";
    *out = (lcv_cpu_wisdom_text){c->at, length};
    for (size_t i = 0; i < length; i++)
        crc = lcv_cpu_wisdom_crc(crc, c->at[i]);
    if (crc != expected)
        return "the checksum of this part does not match: it was changed";
    c->at += length;
    return check_part(out, part, at);
}

static bool blame(lcv_cpu_wisdom_fault *fault, lcv_status status, const lcv_cpu_wisdom_text *text,
                  const char *at, const char *reason)
{
    *fault = (lcv_cpu_wisdom_fault){status, 1, reason};
    for (const char *byte = text->bytes; byte < at; byte++)
        fault->line += *byte == '\n';
    return false;
}

bool lcv_cpu_wisdom_read(const lcv_cpu_wisdom_text *text, lcv_cpu_wisdom_text parts[LCV_CPU_WISDOM_PARTS],
                         lcv_cpu_wisdom_fault *fault)
{
    cursor c = {text->bytes, text->bytes + text->length};
    uint32_t version;
    if (text->length > LCV_CPU_WISDOM_MOST)
        return blame(fault, LCV_INVALID_ARG, text, c.at, "longer than 16 MiB");
    if (!take(&c, "longconv-planning ") || !take_number(&c, 10, 1, 4, &version) || !take(&c, " cpu\n"))
        return blame(fault, LCV_INVALID_ARG, text, text->bytes,
                     "expected the first line 'longconv-planning 1 cpu'");
    if (version != 1)
        return blame(fault, LCV_VERSION_MISMATCH, text, text->bytes,
                     "a version that this library cannot read");
    for (int part = 0; part < LCV_CPU_WISDOM_PARTS; part++) {
        const char *at = c.at, *reason = take_part(&c, part, &parts[part], &at);
        if (reason != NULL)
            return blame(fault, LCV_INVALID_ARG, text, at, reason);
    }
    return c.at == c.end || blame(fault, LCV_INVALID_ARG, text, c.at, "there is more after the last part");
}
