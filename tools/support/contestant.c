/* SPDX-License-Identifier: BSD-3-Clause */
#include "contestant.h"

lcv_status contestant_library(lcv_context *context, const problem *p, bool prepared, contestant *out)
{
    *out = (contestant){NULL, NULL};
    return runner_create(context, p, prepared, &out->library);
}

lcv_status contestant_yardstick(const char *name, const problem *p, bool prepared, int threads,
                                contestant *out)
{
    *out = (contestant){NULL, NULL};
    if (yardstick_refusal(name, p) != NULL)
        return LCV_UNSUPPORTED;
    out->yardstick = yardstick_create(name, p, prepared, threads);
    return out->yardstick == NULL ? LCV_OUT_OF_MEMORY : LCV_OK;
}

lcv_status contestant_prepare(contestant *c, const arrays *a)
{
    if (c->yardstick != NULL) {
        yardstick_prepare(c->yardstick, a);
        return LCV_OK;
    }
    return c->library == NULL ? LCV_OK : runner_prepare(c->library, a);
}

lcv_status contestant_execute(contestant *c, const arrays *a)
{
    if (c->yardstick != NULL) {
        yardstick_execute(c->yardstick, a);
        return LCV_OK;
    }
    return c->library == NULL ? LCV_OK : runner_execute(c->library, a);
}

bool contestant_exists(const contestant *c)
{
    return c->library != NULL || c->yardstick != NULL;
}

void contestant_free(contestant *c)
{
    runner_destroy(&c->library);
    yardstick_destroy(&c->yardstick);
}
