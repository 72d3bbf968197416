/* SPDX-License-Identifier: BSD-3-Clause */
#include "r2c.h"

#include "r2c_type.h"

#include <stdlib.h>

#ifdef LONGCONV_HAVE_FFTW

struct r2c {
    problem p;
    r2c_f32 *f32;
    r2c_f64 *f64;
};

const char *r2c_refusal(const problem *p)
{
    if (p->kind != PROBLEM_CONV)
        return "it knows the long convolution only";
    if (p->dtype != LCV_F32 && p->dtype != LCV_F64)
        return "it knows f32 and f64 only";
    if (p->mode != LCV_CONV_CAUSAL || p->activation != LCV_ACTIVATION_NONE || p->chunk > 0 ||
        (p->terms & LCV_TERM_STATE) != 0)
        return "it knows the causal convolution without activation and state only";
    if (p->seqlen < 1 || p->filter_len < 1 || problem_rows(p) < 1)
        return "the problem is empty";
    return p->inplace && p->passes != PROBLEM_FORWARD ? "it knows no backward in place" : NULL;
}

r2c *r2c_create(const problem *p, bool prepared, int threads)
{
    r2c *r = calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    r->p = *p;
    if (p->dtype == LCV_F64)
        r->f64 = r2c_create_f64(p, prepared, threads);
    else
        r->f32 = r2c_create_f32(p, prepared, threads);
    if (r->f32 == NULL && r->f64 == NULL)
        r2c_destroy(&r);
    return r;
}

void r2c_destroy(r2c **pointer)
{
    r2c *r = *pointer;
    *pointer = NULL;
    if (r == NULL)
        return;
    r2c_destroy_f32(r->f32);
    r2c_destroy_f64(r->f64);
    free(r);
}

void r2c_prepare(r2c *r, const arrays *a)
{
    if (r->f64 != NULL)
        r2c_prepare_f64(r->f64, a);
    else
        r2c_prepare_f32(r->f32, a);
}

void r2c_execute(r2c *r, const arrays *a)
{
    if (r->f64 != NULL)
        r2c_execute_f64(r->f64, a);
    else
        r2c_execute_f32(r->f32, a);
}

#else

const char *r2c_refusal(const problem *p)
{
    (void)p;
    return "this build has no FFTW";
}

r2c *r2c_create(const problem *p, bool prepared, int threads)
{
    (void)p;
    (void)prepared;
    (void)threads;
    return NULL;
}

void r2c_destroy(r2c **r)
{
    *r = NULL;
}

void r2c_prepare(r2c *r, const arrays *a)
{
    (void)r;
    (void)a;
}

void r2c_execute(r2c *r, const arrays *a)
{
    (void)r;
    (void)a;
}

#endif
