/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LCVI_LOG_H
#define LCVI_LOG_H

#include "context.h"

#include <stdarg.h>

/* Sends a message to the context's log if its level is wanted. */
void lcvi_log(lcv_context *context, lcv_log_level level, const char *format, ...) LCV_PRINTF(3, 4);
void lcvi_vlog(lcv_context *context, lcv_log_level level, const char *format, va_list arguments)
    LCV_PRINTF(3, 0);

/* A log function that writes one line to stderr. */
void lcvi_log_to_stderr(void *user, lcv_log_level level, const char *message);

/* error, warn, info, debug to a level; LCV_LOG_NONE for anything else. */
lcv_log_level lcvi_log_level_from_text(const char *text);

/* The failure message of this thread. */
void lcvi_message_set(const lcv_context *context, const char *format, va_list arguments) LCV_PRINTF(2, 0);
const char *lcvi_message_get(const lcv_context *context);

#endif
