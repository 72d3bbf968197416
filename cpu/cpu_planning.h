/* SPDX-License-Identifier: BSD-3-Clause */
/* cpu_planning.h: the planning entries of the CPU backend's table. */
#ifndef LCV_CPU_PLANNING_H
#define LCV_CPU_PLANNING_H

#include <longconv/common.h>

lcv_status lcv_cpu_planning_export(void *device, char *text, size_t size, size_t *needed);
lcv_status lcv_cpu_planning_import(void *device, const char *text, size_t length);

#endif
