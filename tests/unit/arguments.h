/* SPDX-License-Identifier: BSD-3-Clause */
/* arguments.h: what the tests of argument errors share. */
#ifndef TEST_ARGUMENTS_H
#define TEST_ARGUMENTS_H

#include "test.h"

/* A params field and the value that is written over it. */
typedef struct field_row {
    const char *label;
    size_t offset, size;
    int64_t value;
    lcv_status status;
    const char *message; /* how the context's message must begin */
} field_row;

/* `field` may be an element: shape[1]. */
#define FIELD(type, field, value, status, message)                                                           \
    {                                                                                                        \
#field " = " #value, offsetof(type, field), sizeof(((type *)0)->field), value, status, message       \
    }

void apply_field(void *object, const field_row *row);

/* Fails the test unless a call answered `status` and left a message that begins with `message`. */
void expect_error(lcv_context *context, const char *label, lcv_status given, lcv_status status,
                  const char *message);

/* A fresh context without a log, on one thread. */
int open_context(void **state);
int close_context(void **state);

#endif
