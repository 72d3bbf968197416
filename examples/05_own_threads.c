/* SPDX-License-Identifier: BSD-3-Clause */
/* A host that lends its own threads: the library computes on them and starts none. The result is the same
 * bits as with one thread. */
#include "example.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { CHANNELS = 16, SEQLEN = 4096, HOST_THREADS = 2 };

static float u[CHANNELS * SEQLEN], filter[CHANNELS * SEQLEN];
static float y_serial[CHANNELS * SEQLEN], y_parallel[CHANNELS * SEQLEN];

/* One parallel_for call. The threads of the host take indices until none is left. */
typedef struct job {
    _Atomic int64_t next;
    int64_t count;
    lcv_task_fn task;
    void *task_arg;
} job;

static void *take_indices(void *argument)
{
    job *work = argument;
    for (;;) {
        int64_t index = atomic_fetch_add(&work->next, 1);
        if (index >= work->count)
            return NULL;
        work->task(work->task_arg, index);
    }
}

/* A real host would wake a pool; this one starts a thread for each helper. */
static void host_parallel_for(void *user, int64_t count, lcv_task_fn task, void *task_arg)
{
    _Atomic int64_t *calls = user;
    pthread_t helpers[HOST_THREADS - 1];
    int started = 0;
    job work = {0, count, task, task_arg};
    atomic_fetch_add(calls, 1);
    while (started < HOST_THREADS - 1 && pthread_create(&helpers[started], NULL, take_indices, &work) == 0)
        started++;
    take_indices(&work);
    while (started > 0)
        pthread_join(helpers[--started], NULL);
}

static void convolve(lcv_context *context, int32_t threads, lcv_exec exec, float *y)
{
    const int64_t shape[3] = {1, CHANNELS, SEQLEN};
    lcv_plan *plan = NULL;
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    params.batch = 1;
    params.channels = CHANNELS;
    params.seqlen = params.filter_len = SEQLEN;
    params.num_threads = threads;
    must(lcv_conv_plan_create(context, &params, &plan), "lcv_conv_plan_create");
    args.u = lcv_tensor_compact(u, LCV_F32, 3, shape);
    args.y = lcv_tensor_compact(y, LCV_F32, 3, shape);
    args.filter = lcv_tensor_compact(filter, LCV_F32, 2, (const int64_t[]){CHANNELS, SEQLEN});
    args.exec = exec;
    must(lcv_conv_forward(plan, &args), "lcv_conv_forward");
    lcv_plan_destroy(&plan);
}

int main(void)
{
    const lcv_exec defaults = LCV_EXEC_INIT;
    _Atomic int64_t calls = 0;
    lcv_context *context = NULL;
    lcv_exec host = {.parallel_for = host_parallel_for, .user = &calls};
    fill_f32(u, CHANNELS * SEQLEN, 1);
    fill_f32(filter, CHANNELS * SEQLEN, 2);
    must(lcv_context_create(NULL, &context), "lcv_context_create");
    convolve(context, 1, defaults, y_serial);
    convolve(context, HOST_THREADS, host, y_parallel);
    lcv_context_destroy(&context);

    int same = memcmp(y_serial, y_parallel, sizeof y_serial) == 0;
    printf("the library used the host's threads in %lld call(s); results %s\n", (long long)calls,
           same ? "are the same bits" : "differ");
    return same && calls > 0 ? 0 : 1;
}
