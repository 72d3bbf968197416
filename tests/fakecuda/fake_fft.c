/* SPDX-License-Identifier: BSD-3-Clause */
/* cuFFT by a plain recursion over the prime factors, in long double. */
#include "fake_internal.h"

#include <cufft.h>

#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef long double _Complex cplx;

enum {
    MOST_TRANSFORMS = 256,
    EXTRA_WORK = 48,
    WORK_ALIGNMENT = 256 /* of a work area that cuFFT allocates itself; no document allows less */
};

typedef struct {
    bool used, automatic, made;
    cufftType type;
    long long n, batch;
    size_t work_bytes;
    cudaStream_t stream;
    void *work;
} transform;

static transform transforms[MOST_TRANSFORMS];

static cufftResult leave(cudaError_t error, cufftResult result)
{
    fake_leave(error);
    if (error == cudaErrorMemoryAllocation)
        return CUFFT_ALLOC_FAILED;
    return error != cudaSuccess ? CUFFT_INTERNAL_ERROR : result;
}

static transform *find(cufftHandle plan)
{
    return plan >= 1 && plan <= MOST_TRANSFORMS && transforms[plan - 1].used ? &transforms[plan - 1] : NULL;
}

void fake_forget_transforms(void)
{
    memset(transforms, 0, sizeof transforms);
    fake_all.live_transforms = 0;
}

cufftResult cufftCreate(cufftHandle *plan)
{
    const cudaError_t error = fake_enter();
    if (error != cudaSuccess)
        return leave(error, CUFFT_SUCCESS);
    for (int i = 0; i < MOST_TRANSFORMS; i++) {
        if (transforms[i].used)
            continue;
        transforms[i] = (transform){.used = true, .automatic = true};
        fake_all.live_transforms++;
        *plan = i + 1;
        return leave(error, CUFFT_SUCCESS);
    }
    fake_die("too many transforms");
}

cufftResult cufftDestroy(cufftHandle plan)
{
    const cudaError_t error = fake_enter();
    transform *t = find(plan);
    if (error == cudaSuccess && t != NULL) {
        t->used = false;
        fake_all.live_transforms--;
    }
    return leave(error, t != NULL ? CUFFT_SUCCESS : CUFFT_INVALID_PLAN);
}

cufftResult cufftSetAutoAllocation(cufftHandle plan, int automatic)
{
    const cudaError_t error = fake_enter();
    transform *t = find(plan);
    if (t != NULL)
        t->automatic = automatic != 0;
    return leave(error, t != NULL ? CUFFT_SUCCESS : CUFFT_INVALID_PLAN);
}

static bool is_compact(long long n, const long long *embed, long long stride, long long distance)
{
    return embed == NULL || (stride == 1 && distance == n);
}

cufftResult cufftMakePlanMany64(cufftHandle plan, int rank, long long *n, long long *inembed,
                                long long istride, long long idist, long long *onembed, long long ostride,
                                long long odist, cufftType type, long long batch, size_t *work_bytes)
{
    cudaError_t error = fake_enter();
    transform *t = find(plan);
    if (fake_forbidden_in_capture())
        error = cudaErrorStreamCaptureUnsupported;
    if (error != cudaSuccess || t == NULL)
        return leave(error, CUFFT_INVALID_PLAN);
    if (rank != 1 || n[0] < 1 || batch < 1 || !is_compact(n[0], inembed, istride, idist) ||
        !is_compact(n[0], onembed, ostride, odist))
        return leave(error, CUFFT_INVALID_SIZE);
    if (t->automatic)
        fake_die("a transform that allocates its own work area");
    const size_t element = type == CUFFT_Z2Z ? sizeof(cufftDoubleComplex) : sizeof(cufftComplex);
    t->made = true;
    t->type = type;
    t->n = n[0];
    t->batch = batch;
    t->work_bytes = (size_t)n[0] * (size_t)batch * element + EXTRA_WORK;
    *work_bytes = t->work_bytes;
    return leave(error, CUFFT_SUCCESS);
}

cufftResult cufftSetStream(cufftHandle plan, cudaStream_t stream)
{
    const cudaError_t error = fake_enter();
    transform *t = find(plan);
    if (t != NULL)
        t->stream = stream;
    return leave(error, t != NULL ? CUFFT_SUCCESS : CUFFT_INVALID_PLAN);
}

cufftResult cufftSetWorkArea(cufftHandle plan, void *work)
{
    const cudaError_t error = fake_enter();
    transform *t = find(plan);
    if (t != NULL)
        t->work = work;
    return leave(error, t != NULL ? CUFFT_SUCCESS : CUFFT_INVALID_PLAN);
}

/* ---- The transform ---- */

static long long least_factor(long long n)
{
    for (long long factor = 2; factor * factor <= n; factor++)
        if (n % factor == 0)
            return factor;
    return n;
}

/* to[k] = sum_j from[j * step] root^(j k * stride), where root = roots[1] is an n0-th root and n * stride =
 * n0. */
static void transform_row(long long n, const cplx *from, long long step, const cplx *roots, long long stride,
                          cplx *to, cplx *scratch)
{
    if (n == 1) {
        to[0] = from[0];
        return;
    }
    const long long p = least_factor(n), m = n / p;
    for (long long r = 0; r < p; r++)
        transform_row(m, from + r * step, step * p, roots, stride * p, scratch + r * m, to + r * m);
    for (long long k = 0; k < n; k++) {
        cplx sum = scratch[k % m];
        for (long long r = 1; r < p; r++)
            sum += roots[(r * k % n) * stride] * scratch[r * m + k % m];
        to[k] = sum;
    }
}

typedef struct {
    transform t;
    void *from, *to;
    int direction;
} job;

static void load(const job *j, long long row, cplx *values)
{
    for (long long i = 0; i < j->t.n; i++) {
        const long long at = row * j->t.n + i;
        if (j->t.type == CUFFT_Z2Z) {
            const cufftDoubleComplex value = ((const cufftDoubleComplex *)j->from)[at];
            values[i] = (long double)value.x + (long double)value.y * (cplx)I;
        } else {
            const cufftComplex value = ((const cufftComplex *)j->from)[at];
            values[i] = (long double)value.x + (long double)value.y * (cplx)I;
        }
    }
}

static void store(const job *j, long long row, const cplx *values)
{
    for (long long i = 0; i < j->t.n; i++) {
        const long long at = row * j->t.n + i;
        if (j->t.type == CUFFT_Z2Z)
            ((cufftDoubleComplex *)j->to)[at] =
                (cufftDoubleComplex){(double)creall(values[i]), (double)cimagl(values[i])};
        else
            ((cufftComplex *)j->to)[at] = (cufftComplex){(float)creall(values[i]), (float)cimagl(values[i])};
    }
}

static void run_job(void *closure)
{
    const job *j = closure;
    const size_t n = (size_t)j->t.n;
    const long double pi = 3.14159265358979323846264L;
    cplx *roots = malloc(4 * n * sizeof *roots);
    if (roots == NULL)
        fake_die("out of memory");
    cplx *values = roots + n, *result = values + n, *scratch = result + n;
    for (size_t i = 0; i < n; i++) {
        const long double angle = 2.0L * pi * ((long double)i / (long double)n);
        roots[i] = cosl(angle) + (long double)j->direction * sinl(angle) * (cplx)I;
    }
    for (long long row = 0; row < j->t.batch; row++) {
        load(j, row, values);
        transform_row(j->t.n, values, 1, roots, 1, result, scratch);
        store(j, row, result);
    }
    memset(j->t.work, 0xff, j->t.work_bytes);
    free(roots);
}

static cufftResult execute(cufftHandle plan, cufftType type, void *from, void *to, int direction)
{
    const cudaError_t error = fake_enter();
    const transform *t = find(plan);
    if (error != cudaSuccess || t == NULL || !t->made || t->type != type)
        return leave(error, CUFFT_INVALID_PLAN);
    if (t->work == NULL || !fake_memory_holds(t->work))
        return leave(error, CUFFT_NO_WORKSPACE);
    if ((uintptr_t)t->work % WORK_ALIGNMENT != 0)
        fake_die("a work area that begins where cuFFT would not put one");
    job *j = malloc(sizeof *j);
    if (j == NULL)
        fake_die("out of memory");
    *j = (job){*t, from, to, direction};
    return leave(fake_submit(t->stream, run_job, free, j), CUFFT_SUCCESS);
}

cufftResult cufftExecC2C(cufftHandle plan, cufftComplex *from, cufftComplex *to, int direction)
{
    return execute(plan, CUFFT_C2C, from, to, direction);
}

cufftResult cufftExecZ2Z(cufftHandle plan, cufftDoubleComplex *from, cufftDoubleComplex *to, int direction)
{
    return execute(plan, CUFFT_Z2Z, from, to, direction);
}
