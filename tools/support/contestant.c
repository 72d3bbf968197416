/* SPDX-License-Identifier: BSD-3-Clause */
#include "contestant.h"

lcv_status contestant_library(lcv_context *context, const problem *p, bool prepared, contestant *out)
{
    *out = (contestant){NULL, NULL};
    return runner_create(context, p, prepared, &out->library);
}

lcv_status contestant_r2c(const problem *p, bool prepared, int threads, contestant *out)
{
    *out = (contestant){NULL, NULL};
    if (r2c_refusal(p) != NULL)
        return LCV_UNSUPPORTED;
    out->yardstick = r2c_create(p, prepared, threads);
    return out->yardstick == NULL ? LCV_OUT_OF_MEMORY : LCV_OK;
}

lcv_status contestant_prepare(contestant *c, const arrays *a)
{
    if (c->yardstick != NULL) {
        r2c_prepare(c->yardstick, a);
        return LCV_OK;
    }
    return c->library == NULL ? LCV_OK : runner_prepare(c->library, a);
}

lcv_status contestant_execute(contestant *c, const arrays *a)
{
    if (c->yardstick != NULL) {
        r2c_execute(c->yardstick, a);
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
    r2c_destroy(&c->yardstick);
}
