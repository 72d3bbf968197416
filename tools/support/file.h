/* SPDX-License-Identifier: BSD-3-Clause */
/* file.h: whole files in and out. */
#ifndef SUPPORT_FILE_H
#define SUPPORT_FILE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct file_bytes {
    const void *data;
    size_t count;
} file_bytes;

/* Reads a file, a pipe too. False: `message` names the file and says why. */
bool file_read(const char *path, file_bytes *out, char *message, size_t message_bytes);

/* Only for what file_read gave. */
void file_free(file_bytes *file);

/* Writes the parts one after the other: the file appears under its name when it is whole. */
bool file_write(const char *path, const file_bytes *parts, int count, char *message, size_t message_bytes);

/* Can file_write create this file? Leaves nothing behind. */
bool file_can_write(const char *path, char *message, size_t message_bytes);

#endif
