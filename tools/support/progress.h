/* SPDX-License-Identifier: BSD-3-Clause */
/* progress.h: one changing line on standard error, only when that is a terminal. */
#ifndef SUPPORT_PROGRESS_H
#define SUPPORT_PROGRESS_H

#include <longconv/common.h>

LCV_PRINTF(1, 2) void progress_show(const char *format, ...);
void progress_clear(void);

#endif
