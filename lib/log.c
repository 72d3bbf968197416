/* SPDX-License-Identifier: BSD-3-Clause */
/* The log, and each thread's last failure message. */
#include "log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {
    [LCV_LOG_NONE] = "none", [LCV_LOG_ERROR] = "error", [LCV_LOG_WARN] = "warn",
    [LCV_LOG_INFO] = "info", [LCV_LOG_DEBUG] = "debug",
};

enum { LEVEL_COUNT = sizeof level_names / sizeof level_names[0] };

void lcvi_vlog(lcv_context *context, lcv_log_level level, const char *format, va_list arguments)
{
    char text[LCVI_MESSAGE_SIZE];
    if (context == NULL || context->log == NULL || level > context->log_level)
        return;
    vsnprintf(text, sizeof text, format, arguments);
    context->log(context->log_user, level, text);
}

void lcvi_log(lcv_context *context, lcv_log_level level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    lcvi_vlog(context, level, format, arguments);
    va_end(arguments);
}

void lcvi_log_to_stderr(void *user, lcv_log_level level, const char *message)
{
    char line[LCVI_MESSAGE_SIZE + 32];
    const char *name = (unsigned)level < LEVEL_COUNT ? level_names[level] : "log";
    int length = snprintf(line, sizeof line, "longconv %s: %s\n", name, message);
    (void)user;
    if (length > 0) {
        size_t bytes = (size_t)length < sizeof line ? (size_t)length : sizeof line - 1;
        ssize_t written = write(STDERR_FILENO, line, bytes);
        (void)written; /* a closed stderr is the host's choice */
    }
}

lcv_log_level lcvi_log_level_from_text(const char *text)
{
    for (unsigned level = LCV_LOG_ERROR; level < LEVEL_COUNT; level++)
        if (text != NULL && strcmp(text, level_names[level]) == 0)
            return (lcv_log_level)level;
    return LCV_LOG_NONE;
}

static _Thread_local struct {
    uint64_t context_id;
    char text[LCVI_MESSAGE_SIZE];
} last_failure;

void lcvi_message_set(const lcv_context *context, const char *format, va_list arguments)
{
    char text[LCVI_MESSAGE_SIZE]; /* an argument may be the old message itself */
    vsnprintf(text, sizeof text, format, arguments);
    memcpy(last_failure.text, text, sizeof text);
    last_failure.context_id = context != NULL ? context->id : 0;
}

const char *lcvi_message_get(const lcv_context *context)
{
    if (context != NULL && context->id != last_failure.context_id)
        return "";
    return last_failure.text;
}
