/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams, copies and graphs. Work waits in its stream until somebody waits for it. */
#include "fake_internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct work {
    struct work *next;
    fake_run_fn run, drop;
    void *closure;
} work;

typedef struct {
    work *first, **end;
} queue;

struct CUstream_st {
    cudaStream_t next; /* of all streams */
    queue waiting;
    queue *capture; /* where work goes instead, while it is captured */
    bool invalid;   /* the capture met something forbidden */
};

struct CUgraph_st {
    queue nodes;
    int users; /* the graph and what was made of it */
};

struct CUgraphExec_st {
    cudaGraph_t graph;
};

static struct CUstream_st default_stream; /* first of the list of all streams */
static cudaStream_t captured;             /* at most one at a time */

static void put(queue *q, fake_run_fn run, fake_run_fn drop, void *closure)
{
    work *w = malloc(sizeof *w);
    if (w == NULL)
        fake_die("out of memory");
    *w = (work){.run = run, .drop = drop, .closure = closure};
    if (q->first == NULL)
        q->end = &q->first;
    *q->end = w;
    q->end = &w->next;
}

static void empty(queue *q)
{
    while (q->first != NULL) {
        work *w = q->first;
        q->first = w->next;
        w->drop(w->closure);
        free(w);
    }
}

bool fake_forbidden_in_capture(void)
{
    if (captured != NULL)
        captured->invalid = true;
    return captured != NULL;
}

cudaError_t fake_submit(cudaStream_t stream, fake_run_fn run, fake_run_fn drop, void *closure)
{
    if (stream == NULL) {
        stream = &default_stream;
        fake_all.default_stream++;
        if (fake_forbidden_in_capture()) {
            drop(closure);
            return cudaErrorStreamCaptureUnsupported;
        }
    }
    if (stream->capture != NULL) {
        put(stream->capture, run, drop, closure);
        return cudaSuccess;
    }
    put(&stream->waiting, run, drop, closure);
    fake_all.queued++;
    return cudaSuccess;
}

int simt_submit(void *stream, void (*run)(void *), void (*drop)(void *), void *closure);

/* Where launches of kernels arrive. */
int simt_submit(void *stream, void (*run)(void *), void (*drop)(void *), void *closure)
{
    cudaError_t error = fake_enter();
    if (error == cudaSuccess)
        error = fake_submit(stream, run, drop, closure);
    else
        drop(closure);
    return (int)fake_leave(error);
}

/* ---- Copies ---- */

typedef struct {
    char *target;
    const char *source; /* NULL: fill */
    size_t bytes;
    int value;
} transfer;

static void run_transfer(void *closure)
{
    const transfer *t = closure;
    if (t->source != NULL)
        memcpy(t->target, t->source, t->bytes);
    else
        memset(t->target, t->value, t->bytes);
}

static cudaError_t submit_transfer(const transfer *t, cudaStream_t stream)
{
    transfer *copy = malloc(sizeof *copy);
    if (copy == NULL)
        fake_die("out of memory");
    *copy = *t;
    return fake_submit(stream, run_transfer, free, copy);
}

static bool matches(const void *address, bool device)
{
    return fake_memory_holds(address) == device;
}

cudaError_t cudaMemcpyAsync(void *target, const void *source, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    cudaError_t error = fake_enter();
    const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (error == cudaSuccess && bytes > 0 && kind != cudaMemcpyDefault &&
        (!matches(target, to_device) || !matches(source, from_device)))
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess && bytes > 0)
        error = submit_transfer(&(transfer){target, source, bytes, 0}, stream);
    return fake_leave(error);
}

cudaError_t cudaMemsetAsync(void *target, int value, size_t bytes, cudaStream_t stream)
{
    cudaError_t error = fake_enter();
    if (error == cudaSuccess && bytes > 0)
        error = submit_transfer(&(transfer){target, NULL, bytes, value}, stream);
    return fake_leave(error);
}

/* ---- Streams ---- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    const cudaError_t error = fake_enter();
    (void)flags;
    if (error == cudaSuccess) {
        *stream = calloc(1, sizeof **stream);
        if (*stream == NULL)
            fake_die("out of memory");
        (*stream)->next = default_stream.next;
        default_stream.next = *stream;
        fake_all.live_streams++;
    }
    return fake_leave(error);
}

static void run_all(cudaStream_t stream)
{
    if (stream->waiting.first == NULL)
        return;
    fake_memory_open(true);
    for (work *w = stream->waiting.first; w != NULL; w = w->next) {
        w->run(w->closure);
        fake_all.queued--;
    }
    fake_memory_open(false);
    empty(&stream->waiting);
}

void fake_run_streams(void)
{
    for (cudaStream_t stream = &default_stream; stream != NULL; stream = stream->next)
        run_all(stream);
}

void fake_forget_streams(void)
{
    empty(&default_stream.waiting);
    while (default_stream.next != NULL) {
        cudaStream_t stream = default_stream.next;
        default_stream.next = stream->next;
        empty(&stream->waiting);
        free(stream);
    }
    fake_all.live_streams = fake_all.queued = 0;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    const cudaError_t error = fake_enter();
    if (error == cudaSuccess) {
        cudaStream_t before = &default_stream;
        while (before->next != stream)
            before = before->next;
        before->next = stream->next;
        run_all(stream);
        free(stream);
        fake_all.live_streams--;
    }
    return fake_leave(error);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    cudaError_t error = fake_enter();
    if (fake_forbidden_in_capture())
        error = cudaErrorStreamCaptureUnsupported;
    if (error == cudaSuccess)
        run_all(stream != NULL ? stream : &default_stream);
    return fake_leave(error);
}

/* ---- Capture ---- */

static void release_graph(cudaGraph_t graph)
{
    if (--graph->users > 0)
        return;
    empty(&graph->nodes);
    free(graph);
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    cudaError_t error = fake_enter();
    (void)mode;
    if (error == cudaSuccess && (stream == NULL || captured != NULL))
        error = cudaErrorStreamCaptureUnsupported;
    if (error == cudaSuccess) {
        stream->capture = calloc(1, sizeof *stream->capture);
        stream->invalid = false;
        captured = stream;
    }
    return fake_leave(error);
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    cudaError_t error = fake_enter();
    *graph = NULL;
    if (error != cudaSuccess || stream != captured)
        return fake_leave(error != cudaSuccess ? error : cudaErrorInvalidValue);
    captured = NULL;
    if (stream->invalid) {
        empty(stream->capture);
        error = cudaErrorStreamCaptureInvalidated;
    } else {
        *graph = calloc(1, sizeof **graph);
        (*graph)->users = 1;
        (*graph)->nodes = *stream->capture;
    }
    free(stream->capture);
    stream->capture = NULL;
    return fake_leave(error);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags)
{
    const cudaError_t error = fake_enter();
    (void)flags;
    if (error == cudaSuccess) {
        *exec = calloc(1, sizeof **exec);
        (*exec)->graph = graph;
        graph->users++;
    }
    return fake_leave(error);
}

static void run_graph(void *closure)
{
    const struct CUgraph_st *graph = closure;
    for (const work *w = graph->nodes.first; w != NULL; w = w->next)
        w->run(w->closure);
}

static void drop_graph(void *closure)
{
    release_graph(closure);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    cudaError_t error = fake_enter();
    if (error == cudaSuccess) {
        exec->graph->users++;
        error = fake_submit(stream, run_graph, drop_graph, exec->graph);
    }
    return fake_leave(error);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    const cudaError_t error = fake_enter();
    if (error == cudaSuccess) {
        release_graph(exec->graph);
        free(exec);
    }
    return fake_leave(error);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    const cudaError_t error = fake_enter();
    if (error == cudaSuccess)
        release_graph(graph);
    return fake_leave(error);
}
