/* SPDX-License-Identifier: BSD-3-Clause */
/* golden_case.h: one case of golden vectors: its folder read, its numbers compared. */
#ifndef TESTS_GOLDEN_CASE_H
#define TESTS_GOLDEN_CASE_H

#include "npy.h"
#include "suite.h"

#include <cjson/cJSON.h>

/* DIFFERENT: the reference computes something that it does not mean, and the library computes what was meant.
 */
typedef enum golden_outcome {
    GOLDEN_PASSED,
    GOLDEN_FAILED,
    GOLDEN_UNSUPPORTED,
    GOLDEN_DIFFERENT
} golden_outcome;

enum { GOLDEN_OUTCOMES = GOLDEN_DIFFERENT + 1, GOLDEN_NAME = 64, GOLDEN_ARRAYS = 96 };

typedef struct golden_case {
    cJSON *meta;
    const char *system;
    const cJSON *hyper;
    int count;
    struct {
        char name[GOLDEN_NAME]; /* file name without .npy */
        npy_array data;
    } array[GOLDEN_ARRAYS];
    struct {
        double error; /* largest relative 2-norm error so far */
        char name[GOLDEN_NAME];
    } worst[2];        /* by lcv_dtype: float32, float64 */
    char message[512]; /* why it failed or is not supported, or what differs */
} golden_case;

/* What the cases run on. */
typedef struct golden_setup {
    lcv_context *context;
    target targets[TARGETS_MAX]; /* every backend and engine */
    size_t target_count;
} golden_setup;

/* One row of golden_systems.inc. */
typedef struct golden_system {
    const char *system; /* as meta.json writes it */
    const char *needs;  /* an array that tells this kind of case from others of the system; NULL: all */
    golden_outcome (*run)(golden_case *c, const golden_setup *setup, lcv_dtype dtype);
} golden_system;

#define GOLDEN_SYSTEM(system, needs, function)                                                               \
    golden_outcome function(golden_case *c, const golden_setup *setup, lcv_dtype dtype);
#include "golden_systems.inc"
#undef GOLDEN_SYSTEM

/* Reads the folder of a case. Free it in every case. */
golden_outcome golden_read(const char *folder, const char *name, golden_case *out);
void golden_free(golden_case *c);

/* An array of the case, or NULL. */
const npy_array *golden_find(const golden_case *c, const char *name);

/* Adds the real and the imaginary part of a complex array (last axis of 2) as arrays of their own, if they
 * are not there yet. A case without the array is left as it is. False: no memory or no complex array. */
bool golden_split(golden_case *c, const char *name, const char *real, const char *imag);

/* The way back: pairs (a last axis of 2) of two arrays, as another one. False: no memory, or other sizes. */
bool golden_join(golden_case *c, const char *name, const char *real, const char *imag);

/* Adds an array of `count` numbers, which the caller fills; NULL: no memory. */
double *golden_room(golden_case *c, const char *name, int rank, const int64_t *shape, int64_t count);

/* Adds the first and the second half of an array, by its first axis, and an array with its last axis turned
 * round, in the same way. */
bool golden_halve(golden_case *c, const char *name, const char *first, const char *second);
bool golden_reverse(golden_case *c, const char *name, const char *reversed);

/* Adds an array under a name; takes its memory, also on failure (no memory, or too many arrays). */
bool golden_add(golden_case *c, const char *name, npy_array array);

/* Fields of "hyper". */
bool golden_flag(const golden_case *c, const char *name, bool absent);
double golden_number(const golden_case *c, const char *name, double absent);
const char *golden_text(const golden_case *c, const char *name, const char *absent);

/* Sets the message and returns the outcome. */
golden_outcome golden_say(golden_case *c, golden_outcome outcome, const char *format, ...) LCV_PRINTF(3, 4);

/* Compares an output of `count` numbers, in row-major order, with the array `name`. Relative 2-norm error: at
 * most 1e-9 in float64 (or what the case itself records, where that is larger) and 2e-5 in float32. */
bool golden_compare(golden_case *c, lcv_dtype dtype, const char *name, const double *got, int64_t count);

/* For a documented difference: true where an output is finite and far from the array `name`. */
bool golden_differs(golden_case *c, lcv_dtype dtype, const char *name, const double *got, int64_t count);

/* The comparison with an error of at most `most`. */
bool golden_compare_within(golden_case *c, lcv_dtype dtype, const char *name, const double *got,
                           int64_t count, double most);

/* Copies of numbers in another dtype (float32 or float64), to be freed; NULL: no memory. */
void *golden_narrow(lcv_dtype dtype, const double *values, int64_t count);
double *golden_widen(lcv_dtype dtype, const void *memory, int64_t count);

/* An array of the case in a dtype, to be freed; NULL: no such array or no memory. */
void *golden_load(const golden_case *c, lcv_dtype dtype, const char *name);

/* Compares an output that is in `dtype`. */
bool golden_compare_memory(golden_case *c, lcv_dtype dtype, const char *name, const void *memory,
                           int64_t count);

/* All numbers of an array as double, to be freed; NULL: no such array or no memory. */
double *golden_values(const golden_case *c, const char *name);

#endif
