/* SPDX-License-Identifier: BSD-3-Clause */
#include "progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static const char erase_line[] = "\r\033[K";

void progress_show(const char *format, ...)
{
    va_list list;
    if (!isatty(STDERR_FILENO))
        return;
    va_start(list, format);
    fputs(erase_line, stderr);
    vfprintf(stderr, format, list);
    va_end(list);
    fflush(stderr);
}

void progress_clear(void)
{
    if (isatty(STDERR_FILENO))
        fputs(erase_line, stderr);
}
