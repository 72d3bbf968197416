/* SPDX-License-Identifier: BSD-3-Clause */
/* ports.h: the named arrays of one filter or mixer: declared once, described and found by name. */
#ifndef LCVI_PORTS_H
#define LCVI_PORTS_H

#include "context.h"

#include <longconv/option.h>

enum { LCVI_MAX_PORTS = 32 };

/* Texts of the entries are static or live as long as the object that has the ports. */
typedef struct lcvi_ports {
    int32_t count;
    lcv_port_info port[LCVI_MAX_PORTS];
    int64_t elements[LCVI_MAX_PORTS]; /* product of the shape */
} lcvi_ports;

/* Adds a port; its struct_size is set here. A shape whose bytes overflow is TOO_LARGE. */
lcv_status lcvi_ports_add(lcv_context *context, lcvi_ports *ports, const lcv_port_info *port);

/* Index of a port, -1 when there is none of this name or it is NULL. */
int32_t lcvi_ports_find(const lcvi_ports *ports, const char *name);

/* Fills the caller's struct about port `index`. */
lcv_status lcvi_ports_describe(lcv_context *context, const lcvi_ports *ports, int32_t index,
                               lcv_port_info *info);

#endif
