/* SPDX-License-Identifier: BSD-3-Clause */
#include "sequence.h"

#include "file.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool fail(char *message, size_t message_bytes, const char *reason)
{
    snprintf(message, message_bytes, "%s", reason);
    return false;
}

static bool room_for(sequence *s, size_t count)
{
    s->symbols = malloc((count > 0 ? count : 1) * sizeof *s->symbols);
    return s->symbols != NULL;
}

/* ---- FASTA and text ---- */

static void take_letters(sequence *s, const unsigned char *line, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isspace(line[i]))
            s->symbols[s->length++] = (uint16_t)toupper(line[i]);
}

static bool read_fasta(const file_bytes *file, sequence *s, char *message, size_t message_bytes)
{
    const unsigned char *at = file->data, *end = at + file->count;
    s->format = "FASTA";
    if (!room_for(s, file->count))
        return fail(message, message_bytes, "out of memory");
    while (at < end) {
        const unsigned char *newline = memchr(at, '\n', (size_t)(end - at));
        const unsigned char *line_end = newline == NULL ? end : newline;
        if (*at == '>')
            s->records++;
        else
            take_letters(s, at, (size_t)(line_end - at));
        at = newline == NULL ? end : newline + 1;
    }
    return s->length > 0 || fail(message, message_bytes, "the FASTA file holds no letters");
}

static bool read_text(const file_bytes *file, sequence *s, char *message, size_t message_bytes)
{
    const unsigned char *bytes = file->data;
    s->format = "text";
    if (!room_for(s, file->count))
        return fail(message, message_bytes, "out of memory");
    for (size_t i = 0; i < file->count; i++)
        s->symbols[i] = bytes[i];
    s->length = (int64_t)file->count;
    return s->length > 0 || fail(message, message_bytes, "the file is empty");
}

/* ---- npy ---- */

static bool take_symbols(sequence *s, char *message, size_t message_bytes)
{
    const npy_array *a = &s->vectors;
    if (!room_for(s, (size_t)a->count))
        return fail(message, message_bytes, "out of memory");
    s->length = a->count;
    for (int64_t i = 0; i < a->count; i++) {
        const double value = npy_get(a, i);
        if (value < 0.0 || value >= SEQUENCE_SYMBOLS)
            return fail(message, message_bytes, "a symbol of the .npy file is not in 0 ... 65535");
        s->symbols[i] = (uint16_t)value;
    }
    npy_free(&s->vectors);
    return s->length > 0 || fail(message, message_bytes, "the .npy file holds no symbols");
}

static bool take_vectors(sequence *s, int64_t channels, char *message, size_t message_bytes)
{
    const int64_t *shape = s->vectors.shape;
    if (channels > 0 && shape[0] != channels && shape[1] != channels)
        return fail(message, message_bytes,
                    "no axis of the .npy file has as many entries as --channels says");
    s->channels_first = channels > 0 ? shape[0] == channels : shape[0] <= shape[1];
    s->channels = shape[s->channels_first ? 0 : 1];
    s->length = shape[s->channels_first ? 1 : 0];
    return s->vectors.count > 0 || fail(message, message_bytes, "the .npy file holds no numbers");
}

static bool read_npy(const file_bytes *file, int64_t channels, sequence *s, char *message,
                     size_t message_bytes)
{
    s->format = "npy";
    if (!npy_parse(file->data, file->count, &s->vectors, message, message_bytes))
        return false;
    const bool is_float = s->vectors.type == NPY_F4 || s->vectors.type == NPY_F8;
    if (s->vectors.rank == 1 && !is_float)
        return take_symbols(s, message, message_bytes);
    if (s->vectors.rank == 2 && is_float)
        return take_vectors(s, channels, message, message_bytes);
    return fail(message, message_bytes, "the .npy file must hold 1-D integers or 2-D floats");
}

bool sequence_read(const char *path, int64_t channels, sequence *out, char *message, size_t message_bytes)
{
    static const unsigned char npy_magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
    char reason[256];
    file_bytes file;
    *out = (sequence){0};
    if (!file_read(path, &file, message, message_bytes))
        return false;
    const unsigned char *bytes = file.data;
    bool fine;
    if (file.count >= sizeof npy_magic && memcmp(bytes, npy_magic, sizeof npy_magic) == 0)
        fine = read_npy(&file, channels, out, reason, sizeof reason);
    else if (file.count > 0 && bytes[0] == '>')
        fine = read_fasta(&file, out, reason, sizeof reason);
    else
        fine = read_text(&file, out, reason, sizeof reason);
    file_free(&file);
    if (!fine) {
        snprintf(message, message_bytes, "%s: %s", path, reason);
        sequence_free(out);
    }
    return fine;
}

void sequence_free(sequence *s)
{
    free(s->symbols);
    npy_free(&s->vectors);
    *s = (sequence){0};
}
