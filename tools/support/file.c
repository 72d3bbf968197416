/* SPDX-License-Identifier: BSD-3-Clause */
#include "file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool fail(char *message, size_t message_bytes, const char *path, const char *reason)
{
    snprintf(message, message_bytes, "%s: %s", path, reason);
    return false;
}

/* The bytes that can be expected: of a regular file what is left, else a first guess. */
static size_t expected_size(FILE *file)
{
    struct stat status;
    if (fstat(fileno(file), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size < 0)
        return 65536;
    return (size_t)status.st_size + 1;
}

static bool read_all(FILE *file, file_bytes *out)
{
    size_t room = expected_size(file), used = 0;
    char *data = malloc(room);
    while (data != NULL) {
        used += fread(data + used, 1, room - used, file);
        if (used < room)
            break;
        char *larger = realloc(data, room * 2);
        if (larger == NULL)
            free(data);
        data = larger;
        room *= 2;
    }
    *out = (file_bytes){data, used};
    return data != NULL;
}

bool file_read(const char *path, file_bytes *out, char *message, size_t message_bytes)
{
    *out = (file_bytes){NULL, 0};
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return fail(message, message_bytes, path, strerror(errno));
    errno = 0;
    bool fine = read_all(file, out) || fail(message, message_bytes, path, "out of memory");
    if (fine && ferror(file)) {
        fine = fail(message, message_bytes, path, strerror(errno));
        file_free(out);
    }
    fclose(file);
    return fine;
}

void file_free(file_bytes *file)
{
    /* It came from malloc, which knows no const. */
    void *data;
    memcpy(&data, &file->data, sizeof data);
    free(data);
    *file = (file_bytes){NULL, 0};
}

static bool write_parts(const char *path, const file_bytes *parts, int count)
{
    FILE *file = fopen(path, "wb");
    bool fine = file != NULL;
    for (int i = 0; fine && i < count; i++)
        fine = fwrite(parts[i].data, 1, parts[i].count, file) == parts[i].count;
    if (file != NULL && fclose(file) != 0)
        fine = false;
    return fine;
}

/* Devices and pipes are written directly: a rename would replace them. */
static bool is_special(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

/* Where a file is written until it is whole. */
static bool name_part(const char *path, char *out, size_t room)
{
    return (size_t)snprintf(out, room, "%s.part", path) < room;
}

bool file_can_write(const char *path, char *message, size_t message_bytes)
{
    char part_path[4096];
    if (is_special(path))
        return access(path, W_OK) == 0 || fail(message, message_bytes, path, strerror(errno));
    if (!name_part(path, part_path, sizeof part_path))
        return fail(message, message_bytes, path, "the name is too long");
    if (!write_parts(part_path, NULL, 0))
        return fail(message, message_bytes, path, strerror(errno));
    remove(part_path);
    return true;
}

bool file_write(const char *path, const file_bytes *parts, int count, char *message, size_t message_bytes)
{
    char part_path[4096];
    if (is_special(path))
        return write_parts(path, parts, count) || fail(message, message_bytes, path, strerror(errno));
    if (!name_part(path, part_path, sizeof part_path))
        return fail(message, message_bytes, path, "the name is too long");
    if (write_parts(part_path, parts, count) && rename(part_path, path) == 0)
        return true;
    const int reason = errno;
    remove(part_path);
    return fail(message, message_bytes, path, strerror(reason));
}
