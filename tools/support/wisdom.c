/* SPDX-License-Identifier: BSD-3-Clause */
#include "wisdom.h"

#include "file.h"
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool fail(lcv_context *context, lcv_status status, const char *path, char *message,
                 size_t message_bytes)
{
    snprintf(message, message_bytes, "%s: %s: %s", path, lcv_status_text(status),
             lcv_context_message(context));
    return false;
}

bool wisdom_import(lcv_context *context, const char *path, char *message, size_t message_bytes)
{
    file_bytes file;
    if (!file_read(path, &file, message, message_bytes))
        return false;
    const lcv_status status = lcv_planning_import(context, NULL, file.data, file.count);
    file_free(&file);
    return status == LCV_OK || fail(context, status, path, message, message_bytes);
}

bool wisdom_export(lcv_context *context, const char *path, char *message, size_t message_bytes)
{
    size_t size = 0;
    lcv_status status = lcv_planning_export(context, NULL, NULL, 0, &size);
    char *text = status == LCV_OK ? malloc(size) : NULL;
    if (status == LCV_OK && text == NULL) {
        snprintf(message, message_bytes, "%s: out of memory", path);
        return false;
    }
    if (status == LCV_OK)
        status = lcv_planning_export(context, NULL, text, size, &size);
    bool fine = status == LCV_OK || fail(context, status, path, message, message_bytes);
    if (fine) {
        const file_bytes part = {text, size - 1};
        fine = file_write(path, &part, 1, message, message_bytes);
    }
    free(text);
    return fine;
}

lcv_status wisdom_learn(lcv_context *context, const problem *p)
{
    problem measured = *p;
    runner *plans = NULL;
    measured.measured = true;
    if (measured.backend[0] == '\0' && measured.engine[0] == '\0') {
        strcpy(measured.backend, "cpu");
        strcpy(measured.engine, "fftw");
    }
    const lcv_status status = runner_create(context, &measured, false, &plans);
    runner_destroy(&plans);
    return status;
}
