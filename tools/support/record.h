/* SPDX-License-Identifier: BSD-3-Clause */
/* record.h: one result as a JSON object on one line, the same keys from every subcommand. */
#ifndef SUPPORT_RECORD_H
#define SUPPORT_RECORD_H

#include <stdbool.h>

struct cJSON;
struct spot_check;

/* NaN and NULL are written as null. */
typedef struct record {
    const char *problem, *backend, *engine, *vs;
    double median_ms, ns_per_output;
    double ratio; /* the other's time over ours */
    double max_err, l2_err;
    double bound;     /* of the element that comes closest to its bound */
    const bool *pass; /* NULL: not applicable */
} record;

record record_empty(void);

/* Takes over what a check found, if it looked at anything; `check` must outlive the record. */
void record_take_check(record *r, const struct spot_check *check);

/* The object with the keys of the struct, which the caller may extend. NULL: out of memory. */
struct cJSON *record_json(const record *r);

/* An empty object. NULL: out of memory. */
struct cJSON *record_object(void);

void record_add_number(struct cJSON *object, const char *key, double value);
void record_add_text(struct cJSON *object, const char *key, const char *value);
void record_add_bool(struct cJSON *object, const char *key, bool value);

/* Prints the object on one line of stdout and frees it. False: out of memory. */
bool record_print(struct cJSON *object);

#endif
