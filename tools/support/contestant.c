/* SPDX-License-Identifier: BSD-3-Clause */
#include "contestant.h"

#include <stdlib.h>

lcv_status contestant_library(lcv_context *context, const problem *p, bool prepared, contestant *out)
{
    *out = (contestant){0};
    return p->kind == PROBLEM_MIXER ? mixer_runner_create(context, p, prepared, &out->mixer)
                                    : runner_create(context, p, prepared, &out->library);
}

lcv_status contestant_yardstick(const char *name, const problem *p, bool prepared, int threads,
                                contestant *out)
{
    *out = (contestant){0};
    if (yardstick_refusal(name, p) != NULL)
        return LCV_UNSUPPORTED;
    out->yardstick = yardstick_create(name, p, prepared, threads);
    return out->yardstick == NULL ? LCV_OUT_OF_MEMORY : LCV_OK;
}

/* ---- Parts ---- */

static lcv_status add_part(lcv_context *context, const mixer_part *part, bool prepared, contestant *out,
                           int i)
{
    out->part_times[i] = part->times;
    const lcv_status status = contestant_library(context, &part->p, prepared, &out->parts[i]);
    if (status != LCV_OK)
        return status;
    return arrays_create(&part->p, RANDOM_NORMAL, &out->part_arrays[i]) ? LCV_OK : LCV_OUT_OF_MEMORY;
}

lcv_status contestant_parts(lcv_context *context, const problem *p, bool prepared, contestant *out)
{
    mixer_part parts[MIXER_PARTS_MAX];
    const int count = mixer_parts_of(p, parts);
    *out = (contestant){0};
    if (count == 0)
        return LCV_UNSUPPORTED;
    out->parts = calloc(MIXER_PARTS_MAX, sizeof *out->parts);
    out->part_arrays = calloc(MIXER_PARTS_MAX, sizeof *out->part_arrays);
    lcv_status status = out->parts != NULL && out->part_arrays != NULL ? LCV_OK : LCV_OUT_OF_MEMORY;
    for (int i = 0; status == LCV_OK && i < count; i++)
        status = add_part(context, &parts[i], prepared, out, i);
    return status;
}

/* All parts, each as often as it occurs (once to prepare). */
static lcv_status each_part(contestant *c, bool execute)
{
    lcv_status status = LCV_OK;
    for (int i = 0; status == LCV_OK && i < MIXER_PARTS_MAX; i++)
        for (int64_t n = 0; status == LCV_OK && n < (execute ? c->part_times[i] : 1); n++)
            status = execute ? contestant_execute(&c->parts[i], &c->part_arrays[i])
                             : contestant_prepare(&c->parts[i], &c->part_arrays[i]);
    return status;
}

/* ---- All kinds ---- */

lcv_plan_info contestant_describe(const contestant *c)
{
    return c->mixer != NULL ? mixer_runner_describe(c->mixer) : runner_describe(c->library);
}

bool contestant_is_prepared(const contestant *c)
{
    return c->mixer != NULL ? mixer_runner_is_prepared(c->mixer) : runner_is_prepared(c->library);
}

double contestant_bytes(const contestant *c)
{
    return c->mixer != NULL ? mixer_runner_bytes(c->mixer) : 0.0;
}

lcv_status contestant_prepare(contestant *c, const arrays *a)
{
    if (c->parts != NULL)
        return each_part(c, false);
    if (c->mixer != NULL)
        return mixer_runner_prepare(c->mixer);
    if (c->yardstick != NULL) {
        yardstick_prepare(c->yardstick, a);
        return LCV_OK;
    }
    return c->library == NULL ? LCV_OK : runner_prepare(c->library, a);
}

lcv_status contestant_execute(contestant *c, const arrays *a)
{
    if (c->parts != NULL)
        return each_part(c, true);
    if (c->mixer != NULL)
        return mixer_runner_execute(c->mixer);
    if (c->yardstick != NULL) {
        yardstick_execute(c->yardstick, a);
        return LCV_OK;
    }
    return c->library == NULL ? LCV_OK : runner_execute(c->library, a);
}

bool contestant_exists(const contestant *c)
{
    return c->library != NULL || c->yardstick != NULL || c->mixer != NULL || c->parts != NULL;
}

void contestant_free(contestant *c)
{
    for (int i = 0; c->parts != NULL && i < MIXER_PARTS_MAX; i++)
        contestant_free(&c->parts[i]);
    for (int i = 0; c->part_arrays != NULL && i < MIXER_PARTS_MAX; i++)
        arrays_free(&c->part_arrays[i]);
    free(c->parts);
    free(c->part_arrays);
    c->parts = NULL;
    c->part_arrays = NULL;
    mixer_runner_destroy(&c->mixer);
    runner_destroy(&c->library);
    yardstick_destroy(&c->yardstick);
}
