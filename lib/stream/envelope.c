/* SPDX-License-Identifier: BSD-3-Clause */
#include "envelope.h"

#include <stdio.h>
#include <string.h>

lcv_status lcvi_snapshot_damaged(lcv_context *context, const char *what)
{
    return lcvi_fail(context, LCV_INVALID_ARG, "bytes: this is no sound snapshot: %s", what);
}

bool lcvi_snapshot_has_room(lcv_context *context, const void *bytes, size_t size, size_t needed,
                            lcv_status *status)
{
    *status = LCV_OK;
    if (bytes == NULL && size == 0)
        return false;
    if (bytes != NULL && size >= needed)
        return true;
    *status = lcvi_fail(context, LCV_INVALID_ARG, "size: expected at least %zu, given %zu", needed,
                        bytes == NULL ? 0 : size);
    return false;
}

lcv_status lcvi_snapshot_read_header(lcv_context *context, const void *bytes, size_t size, void *header,
                                     size_t header_bytes)
{
    if (bytes == NULL)
        return lcvi_fail(context, LCV_INVALID_ARG, "bytes: is NULL");
    if (size < header_bytes)
        return lcvi_snapshot_damaged(context, "it is shorter than its header");
    memcpy(header, bytes, header_bytes);
    return LCV_OK;
}

lcv_status lcvi_envelope_check(lcv_context *context, const char *kind, const lcvi_envelope *given,
                               const lcvi_envelope *expected)
{
    if (memcmp(given->magic, expected->magic, 8) != 0)
        return lcvi_fail(context, LCV_INVALID_ARG,
                         "bytes: this is no sound snapshot: it does not begin like one%s", kind);
    if (given->byte_order != expected->byte_order)
        return lcvi_fail(context, LCV_INCOMPATIBLE, "bytes: the snapshot has another byte order");
    if (given->version != expected->version)
        return lcvi_fail(context, LCV_VERSION_MISMATCH, "bytes: expected version %u of snapshots%s, given %u",
                         expected->version, kind, given->version);
    return LCV_OK;
}

lcv_status lcvi_snapshot_check_crc(lcv_context *context, uint32_t given, uint32_t computed)
{
    return given == computed ? LCV_OK : lcvi_snapshot_damaged(context, "the checksum of its header is wrong");
}

/* ---- Fields ---- */

lcv_status lcvi_snapshot_differs(lcv_context *context, const char *name, const char *given, const char *own)
{
    return lcvi_fail(context, LCV_INCOMPATIBLE,
                     "bytes: the snapshot was made with other params: %s %s, this stream has %s", name, given,
                     own);
}

static int64_t number_at(const lcvi_snapshot_field *field, const void *header)
{
    const char *at = (const char *)header + field->at;
    uint32_t narrow;
    int64_t wide;
    memcpy(&narrow, at, sizeof narrow);
    if (!field->wide)
        return narrow;
    memcpy(&wide, at, sizeof wide);
    return wide;
}

static void print_number(const lcvi_snapshot_field *field, int64_t number, char *text, size_t size)
{
    const char *word = field->word != NULL ? field->word(number) : NULL;
    if (word != NULL)
        snprintf(text, size, "%s", word);
    else
        snprintf(text, size, "%lld", (long long)number);
}

lcv_status lcvi_snapshot_compare(lcv_context *context, const lcvi_snapshot_field *field, const void *given,
                                 const void *own)
{
    const int64_t theirs = number_at(field, given), ours = number_at(field, own);
    char first[32], second[32];
    if (theirs == ours)
        return LCV_OK;
    print_number(field, theirs, first, sizeof first);
    print_number(field, ours, second, sizeof second);
    return lcvi_snapshot_differs(context, field->name, first, second);
}

const char *lcvi_snapshot_dtype(int64_t number)
{
    return number >= LCV_F32 && number <= LCV_BF16 ? lcv_dtype_name((lcv_dtype)number) : NULL;
}

const char *lcvi_snapshot_mode(int64_t number)
{
    static const char *const words[] = {"auto", "direct", "relaxed", "smooth", "modal"};
    return number >= 0 && number < (int64_t)(sizeof words / sizeof words[0]) ? words[number] : NULL;
}
