/* SPDX-License-Identifier: BSD-3-Clause */
#include "arguments.h"

#include <string.h>

void apply_field(void *object, const field_row *row)
{
    const int32_t narrow = (int32_t)row->value;
    char *field = (char *)object + row->offset;
    if (row->size == sizeof narrow)
        memcpy(field, &narrow, sizeof narrow);
    else
        memcpy(field, &row->value, sizeof row->value);
}

void expect_error(lcv_context *context, const char *label, lcv_status given, lcv_status status,
                  const char *message)
{
    const char *text = lcv_context_message(context);
    if (given != status)
        fail_msg("%s: expected %s, got %s (%s)", label, lcv_status_name(status), lcv_status_name(given),
                 text);
    if (strncmp(text, message, strlen(message)) != 0)
        fail_msg("%s: expected a message that begins with \"%s\", got \"%s\"", label, message, text);
}

int open_context(void **state)
{
    lcv_context_params params = LCV_CONTEXT_PARAMS_INIT;
    params.num_threads = 1;
    lcv_context *context = NULL;
    if (lcv_context_create(&params, &context) != LCV_OK)
        return 1;
    *state = context;
    return 0;
}

int close_context(void **state)
{
    lcv_context *context = *state;
    lcv_context_destroy(&context);
    return 0;
}
