/* SPDX-License-Identifier: BSD-3-Clause */
/* envelope.h: what all kinds of snapshots have in common: a magic word, a byte order, a version, a checksum
 * of the header, fields that must be those of the stream, and the words for what is wrong with them. */
#ifndef LCVI_ENVELOPE_H
#define LCVI_ENVELOPE_H

#include "../context.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LCVI_SNAPSHOT_BYTE_ORDER = 0x01020304 };

/* The same of a snapshot that is read, and of those that this library writes. */
typedef struct lcvi_envelope {
    const char *magic; /* 8 bytes */
    uint32_t byte_order, version;
} lcvi_envelope;

/* Says what is wrong; returns LCV_INVALID_ARG. */
lcv_status lcvi_snapshot_damaged(lcv_context *context, const char *what);

/* Is there room to write now? Otherwise `status` says whether the size was all that was asked for. */
bool lcvi_snapshot_has_room(lcv_context *context, const void *bytes, size_t size, size_t needed,
                            lcv_status *status);

/* Copies a header of `header_bytes` from what a user gave. */
lcv_status lcvi_snapshot_read_header(lcv_context *context, const void *bytes, size_t size, void *header,
                                     size_t header_bytes);

/* Is it a snapshot of this kind, byte order and version? `kind` goes on after "it does not begin like one".
 */
lcv_status lcvi_envelope_check(lcv_context *context, const char *kind, const lcvi_envelope *given,
                               const lcvi_envelope *expected);

/* The checksum of a header, and what is computed from its other bytes. */
lcv_status lcvi_snapshot_check_crc(lcv_context *context, uint32_t given, uint32_t computed);

/* A number of a header by its name and place. Eight bytes, or four. */
typedef struct lcvi_snapshot_field {
    const char *name;
    size_t at;
    bool wide;
    const char *(*word)(int64_t number); /* how it is called, NULL for no word; NULL: by its number */
} lcvi_snapshot_field;

/* Have both headers the same number in this field? Else INCOMPATIBLE, which names it and says both. */
lcv_status lcvi_snapshot_compare(lcv_context *context, const lcvi_snapshot_field *field, const void *given,
                                 const void *own);

/* The message of these, from texts of both. */
lcv_status lcvi_snapshot_differs(lcv_context *context, const char *name, const char *given, const char *own);

/* Words for the fields that have some. */
const char *lcvi_snapshot_dtype(int64_t number);
const char *lcvi_snapshot_mode(int64_t number);

#endif
