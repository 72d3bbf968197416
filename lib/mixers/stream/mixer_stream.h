/* SPDX-License-Identifier: BSD-3-Clause */
/* mixer_stream.h (core): streams of mixers. The program of a mixer runs once more, on a few tokens at a time,
 * and each of its convolutions has a stream. */
#ifndef LCVI_MIXER_STREAM_H
#define LCVI_MIXER_STREAM_H

#include "../../stream/stream.h"
#include "../mixer.h"

#include <longconv/mixer_stream.h>

/* Tokens that go through the program together, when there are so many. */
enum { LCVI_MIXER_CHUNK = 32 };

/* What a stream, its forks and its likes share. */
typedef struct lcvi_mixer_stream_core {
    _Atomic int64_t references;
    lcv_context *context;
    int32_t count;                      /* streams: of each convolution one */
    int32_t num_threads;                /* of prompts */
    lcvi_program program;               /* of a chunk */
    lcv_array value[LCVI_MIXER_ARRAYS]; /* the parameters that the program itself reads */
    char *parameters;                   /* their memory */
    size_t parameters_bytes;
    double one;              /* or as a float */
    uint32_t steps_crc;      /* of what the program computes */
    uint32_t parameters_crc; /* of those that it reads itself; streams know their own */
    size_t shared_bytes;     /* of the streams: prepared filters */
    int64_t max_len;         /* 0: any number */
    int64_t state_count;     /* numbers that steps keep themselves */
} lcvi_mixer_stream_core;

/* The numbers that steps keep themselves, and the position; those at the last mark below. */
typedef struct lcvi_mixer_state {
    struct lcvi_mixer_state *below;
    int64_t position;
    double numbers[];
} lcvi_mixer_state;

struct lcv_mixer_stream {
    lcvi_mixer_stream_core *core;
    lcv_stream **streams; /* core->count */
    lcvi_segment **fresh; /* the same: of one change, see lcvi_stream_change */
    lcvi_mixer_state *state;
    char *workspace; /* of a chunk */
};

/* ---- make.c ---- */

/* Checks params and derives the program of a chunk, whose steps know their streams; fills params of stream
 * `index` of the mixer as far as no family changes them. */
lcv_status lcvi_mixer_stream_derive(const lcv_plan *plan, const lcv_mixer_stream_params *params,
                                    lcvi_mixer_stream_core *core);
lcv_stream_params lcvi_mixer_stream_params_of(const lcvi_mixer_stream_core *core, const lcvi_step *step,
                                              const lcv_mixer_stream_params *params);

/* Lays out a program for `tokens` tokens, of any number up to that. */
lcv_status lcvi_mixer_stream_lay_out(lcvi_program *program, int64_t tokens);

/* Copies parameters and creates the streams, into `streams` (all NULL before). */
lcv_status lcvi_mixer_stream_fill(lcvi_mixer_stream_core *core, const lcv_mixer_stream_params *params,
                                  const lcv_mixer_stream_setup *setup, lcv_stream **streams);

/* The first step with a stream of the same params and filters as step `index`; and the bytes of the
 * parameters that are kept. */
int32_t lcvi_mixer_stream_original(const lcvi_program *program, int32_t index);
size_t lcvi_mixer_stream_kept_bytes(const lcvi_program *program);

/* ---- fingerprint.c ---- */

/* A checksum of all numbers of the steps, and of the arrays that they join. */
uint32_t lcvi_mixer_fingerprint(const lcvi_program *program);

/* ---- state.c ---- */

/* Says to steps where their numbers lie; false: too many. */
bool lcvi_mixer_state_lay_out(lcvi_program *program, int64_t *count);

/* Zeros at position 0; NULL: out of memory. It is freed with what lies below. */
lcvi_mixer_state *lcvi_mixer_state_new(const lcvi_mixer_stream_core *core);
void lcvi_mixer_state_free(const lcvi_mixer_stream_core *core, lcvi_mixer_state *state);
void lcvi_mixer_state_copy(const lcvi_mixer_stream_core *core, const lcvi_mixer_state *from,
                           lcvi_mixer_state *to);

lcv_status lcvi_mixer_state_check_reserve(const lcv_mixer_stream *stream, int64_t reserve);
lcv_status lcvi_mixer_state_mark(lcv_mixer_stream *stream);

/* There is a mark. */
void lcvi_mixer_state_release(lcv_mixer_stream *stream);
void lcvi_mixer_state_rollback(lcv_mixer_stream *stream);

void lcvi_mixer_state_forget_marks(lcv_mixer_stream *stream);
void lcvi_mixer_state_clear(lcv_mixer_stream *stream);

/* Their part of a snapshot. */
size_t lcvi_mixer_state_bytes(const lcvi_mixer_stream_core *core);
void lcvi_mixer_state_save(const lcv_mixer_stream *stream, char *to);
lcv_status lcvi_mixer_state_check(const lcvi_mixer_stream_core *core, const char *from);
void lcvi_mixer_state_load(lcv_mixer_stream *stream, const char *from, int64_t position);

/* ---- mixer_stream.c ---- */

void lcvi_mixer_stream_merge(lcv_mixer_stream *stream, const lcv_exec *exec);

/* Is it at position 0, without marks and forks? */
bool lcvi_mixer_stream_is_fresh(const lcv_mixer_stream *stream);

/* Changes all streams, or none. `parts`: snapshots that have been checked to lie within what was given, or
 * NULL. */
lcv_status lcvi_mixer_stream_change_all(lcv_mixer_stream *stream, const lcvi_stream_change *change,
                                        const char *parts);

/* The snapshots of the streams follow each other, each behind its size. Where one begins. */
const char *lcvi_mixer_stream_next_part(const char *at, size_t *size);

#endif
