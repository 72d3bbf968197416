/* SPDX-License-Identifier: BSD-3-Clause */
/* interrupt.h: Ctrl-C ends a command between two steps, so that no half-written file stays behind. A second
 * one ends it at once. */
#ifndef SUPPORT_INTERRUPT_H
#define SUPPORT_INTERRUPT_H

#include <stdbool.h>

void interrupt_watch(void);
bool interrupted(void);

#endif
