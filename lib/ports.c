/* SPDX-License-Identifier: BSD-3-Clause */
/* Named arrays. */
#include "ports.h"
#include "size.h"

#include <string.h>

lcv_status lcvi_ports_add(lcv_context *context, lcvi_ports *ports, const lcv_port_info *port)
{
    int64_t elements = 1;
    size_t bytes;
    bool fits = true;
    if (ports->count == LCVI_MAX_PORTS)
        return lcvi_fail(context, LCV_INTERNAL, "%s: too many arrays in one object", port->name);
    for (int32_t axis = 0; axis < port->rank; axis++)
        fits = fits && lcvi_mul(elements, port->shape[axis], &elements);
    if (!fits || !lcvi_bytes(elements, sizeof(double), &bytes))
        return lcvi_fail(context, LCV_TOO_LARGE, "%s: the number of elements overflows", port->name);
    ports->port[ports->count] = *port;
    ports->port[ports->count].struct_size = sizeof *port;
    ports->elements[ports->count++] = elements;
    return LCV_OK;
}

int32_t lcvi_ports_find(const lcvi_ports *ports, const char *name)
{
    for (int32_t i = 0; name != NULL && i < ports->count; i++)
        if (strcmp(ports->port[i].name, name) == 0)
            return i;
    return -1;
}

lcv_status lcvi_ports_describe(lcv_context *context, const lcvi_ports *ports, int32_t index,
                               lcv_port_info *info)
{
    if (index < 0 || index >= ports->count)
        return lcvi_fail(context, LCV_INVALID_ARG, "index: expected 0 to %d, given %d", ports->count - 1,
                         index);
    if (info == NULL)
        return lcvi_fail(context, LCV_INVALID_ARG, "info: is NULL");
    const lcv_port_info *port = &ports->port[index];
    return lcvi_hand_out(context, "info", info, port, sizeof *port, sizeof *port);
}
