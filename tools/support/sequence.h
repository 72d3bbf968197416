/* SPDX-License-Identifier: BSD-3-Clause */
/* sequence.h: a sequence of symbols, or of vectors, from a file: FASTA, .npy or plain text.
 *   FASTA (the first character is '>'): letters, upper case, of all records one after the other
 *   .npy  (begins with its magic): 1-D integers 0 to 65535 are symbols; 2-D floats are vectors
 *   else  the bytes of the file
 */
#ifndef SUPPORT_SEQUENCE_H
#define SUPPORT_SEQUENCE_H

#include "npy.h"

enum { SEQUENCE_SYMBOLS = 65536 };

typedef struct sequence {
    const char *format; /* "FASTA", "text", "npy" */
    int64_t length;
    int64_t records;   /* FASTA */
    uint16_t *symbols; /* NULL when the file holds vectors */
    npy_array vectors;
    int64_t channels;    /* of the vectors */
    bool channels_first; /* vectors are [channels, length], else [length, channels] */
} sequence;

/* `channels` > 0 tells which axis of vectors are the channels; 0: the shorter one.
 * False: `message` says what is wrong with the file. */
bool sequence_read(const char *path, int64_t channels, sequence *out, char *message, size_t message_bytes);
void sequence_free(sequence *s);

#endif
