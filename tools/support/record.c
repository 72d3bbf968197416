/* SPDX-License-Identifier: BSD-3-Clause */
#include "record.h"
#include "spot_check.h"

#include <cjson/cJSON.h>

#include <math.h>
#include <stddef.h>
#include <stdio.h>

record record_empty(void)
{
    const double none = (double)NAN;
    return (record){.median_ms = none,
                    .ns_per_output = none,
                    .ratio = none,
                    .max_err = none,
                    .l2_err = none,
                    .bound = none};
}

void record_take_check(record *r, const spot_check *check)
{
    if (check->count == 0)
        return;
    r->max_err = check->max_err;
    r->l2_err = check->l2_err;
    r->bound = check->bound;
    r->pass = &check->pass;
}

void record_add_number(cJSON *object, const char *key, double value)
{
    if (isfinite(value))
        cJSON_AddNumberToObject(object, key, value);
    else
        cJSON_AddNullToObject(object, key);
}

void record_add_text(cJSON *object, const char *key, const char *value)
{
    if (value != NULL && value[0] != '\0')
        cJSON_AddStringToObject(object, key, value);
    else
        cJSON_AddNullToObject(object, key);
}

void record_add_bool(cJSON *object, const char *key, bool value)
{
    cJSON_AddBoolToObject(object, key, value);
}

cJSON *record_object(void)
{
    return cJSON_CreateObject();
}

cJSON *record_json(const record *r)
{
    cJSON *object = cJSON_CreateObject();
    if (object == NULL)
        return NULL;
    record_add_text(object, "problem", r->problem);
    record_add_text(object, "backend", r->backend);
    record_add_text(object, "engine", r->engine);
    record_add_text(object, "vs", r->vs);
    record_add_number(object, "median_ms", r->median_ms);
    record_add_number(object, "ns_per_output", r->ns_per_output);
    record_add_number(object, "ratio", r->ratio);
    record_add_number(object, "max_err", r->max_err);
    record_add_number(object, "l2_err", r->l2_err);
    record_add_number(object, "bound", r->bound);
    if (r->pass == NULL)
        cJSON_AddNullToObject(object, "pass");
    else
        cJSON_AddBoolToObject(object, "pass", *r->pass);
    return object;
}

bool record_print(cJSON *object)
{
    char *text = object == NULL ? NULL : cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    if (text == NULL)
        return false;
    puts(text);
    fflush(stdout);
    cJSON_free(text);
    return true;
}
