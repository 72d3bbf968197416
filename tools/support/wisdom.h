/* SPDX-License-Identifier: BSD-3-Clause */
/* wisdom.h: what planning by measuring has learnt, from and to a file. */
#ifndef SUPPORT_WISDOM_H
#define SUPPORT_WISDOM_H

#include "problem.h"

/* False: `message` names the file and says why. */
bool wisdom_import(lcv_context *context, const char *path, char *message, size_t message_bytes);
bool wisdom_export(lcv_context *context, const char *path, char *message, size_t message_bytes);

/* Makes the plans of a problem by measuring, and lets them go. A problem that names no backend or engine goes
 * to the one that learns: cpu, fftw. Errors: the library's. */
lcv_status wisdom_learn(lcv_context *context, const problem *p);

#endif
