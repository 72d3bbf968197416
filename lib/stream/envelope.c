/* SPDX-License-Identifier: BSD-3-Clause */
#include "envelope.h"

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
        return lcvi_fail(context, LCV_VERSION_MISMATCH, "bytes: expected version %u of snapshots, given %u",
                         expected->version, given->version);
    if (given->header_crc != expected->header_crc)
        return lcvi_snapshot_damaged(context, "the checksum of its header is wrong");
    return LCV_OK;
}
