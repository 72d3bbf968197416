/* SPDX-License-Identifier: BSD-3-Clause */
#include "command.h"

#include "support/wisdom.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int command_fail(int code, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("longconv: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    return code;
}

int command_usage(const command *self)
{
    fprintf(stderr, "Try 'longconv help %s'.\n", self->name);
    return EXIT_USAGE;
}

int command_help(const command *self)
{
    fputs(self->help, stdout);
    return EXIT_FINE;
}

bool command_number(const char *option, const char *text, long long least, long long most, long long *out)
{
    char *end;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < least || value > most) {
        command_fail(0, "%s: expected a whole number from %lld to %lld, given '%s'", option, least, most,
                     text);
        return false;
    }
    *out = value;
    return true;
}

bool command_seconds(const char *option, const char *text, double *out)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value) || value <= 0.0) {
        command_fail(0, "%s: expected seconds, more than 0, given '%s'", option, text);
        return false;
    }
    *out = value;
    return true;
}

lcv_context *command_context(int32_t threads)
{
    lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
    lcv_context *context = NULL;
    params.num_threads = threads;
    const lcv_status status = lcv_context_create(&params, &context);
    if (status != LCV_OK)
        command_fail(0, "the library cannot start: %s: %s", lcv_status_text(status),
                     lcv_context_message(NULL));
    return context;
}

bool command_wisdom_import(lcv_context *context, const char *path)
{
    char message[640];
    if (path == NULL || wisdom_import(context, path, message, sizeof message))
        return true;
    command_fail(0, "--wisdom: %s", message);
    return false;
}

int command_finish(int code)
{
    /* A reader that went away (head, less) is not our failure. */
    if (fclose(stdout) != 0 && errno != EPIPE)
        return command_fail(EXIT_WRONG, "standard output: %s", strerror(errno));
    return code;
}
