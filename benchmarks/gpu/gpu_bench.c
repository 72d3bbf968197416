/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_bench [--scale N] [ENGINE]: times the CUDA backend by replaying graphs on a stream of its own, and says
 * for each problem whether the replay gave the bits of the plain call. The first line is the bandwidth of a
 * copy on the device, the floor for everything that follows. One JSON line for each problem; the status is 1
 * if any failed.
 * --scale divides the batches and the lengths, for a trial run. */
#include <longconv/half.h>
#include <longconv/longconv.h>

#include <cuda_runtime_api.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 9, REPLAYS = 5, NOISE = 1 << 16 };

static const struct {
    int64_t batch, channels, seqlen;
} shapes[] = {{64, 768, 1024},  {64, 768, 4096},  {32, 768, 8192}, {16, 768, 16384},
              {16, 768, 32768}, {8, 384, 131072}, {8, 48, 1048576}};

static const lcv_dtype dtypes[] = {LCV_F32, LCV_BF16};

static void require(int fine, const char *what, const char *why)
{
    if (fine)
        return;
    fprintf(stderr, "gpu_bench: %s: %s\n", what, why);
    exit(1);
}

#define CUDA(call) cuda((call), #call)

static void cuda(cudaError_t error, const char *what)
{
    require(error == cudaSuccess, what, cudaGetErrorString(error));
}

static void lcv(lcv_context *context, lcv_status status, const char *what)
{
    require(status == LCV_OK, what, lcv_context_message(context));
}

/* ---- Timing ---- */

typedef struct {
    cudaStream_t stream;
    cudaEvent_t from, to;
} timer;

static int compare(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The median of milliseconds of one replay. */
static double time_graph(const timer *t, cudaGraphExec_t exec)
{
    float samples[SAMPLES];
    CUDA(cudaGraphLaunch(exec, t->stream));
    for (int i = 0; i < SAMPLES; i++) {
        CUDA(cudaEventRecord(t->from, t->stream));
        for (int k = 0; k < REPLAYS; k++)
            CUDA(cudaGraphLaunch(exec, t->stream));
        CUDA(cudaEventRecord(t->to, t->stream));
        CUDA(cudaEventSynchronize(t->to));
        CUDA(cudaEventElapsedTime(&samples[i], t->from, t->to));
    }
    qsort(samples, SAMPLES, sizeof samples[0], compare);
    return (double)samples[SAMPLES / 2] / REPLAYS;
}

/* Bytes read and written in a second by a copy of `bytes` on the device. */
static double copy_bandwidth(const timer *t, size_t bytes)
{
    void *from = NULL, *to = NULL;
    float samples[SAMPLES];
    CUDA(cudaMalloc(&from, bytes));
    CUDA(cudaMalloc(&to, bytes));
    for (int i = 0; i < SAMPLES; i++) {
        CUDA(cudaEventRecord(t->from, t->stream));
        CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, t->stream));
        CUDA(cudaEventRecord(t->to, t->stream));
        CUDA(cudaEventSynchronize(t->to));
        CUDA(cudaEventElapsedTime(&samples[i], t->from, t->to));
    }
    qsort(samples, SAMPLES, sizeof samples[0], compare);
    CUDA(cudaFree(from));
    CUDA(cudaFree(to));
    return 2.0 * (double)bytes / ((double)samples[SAMPLES / 2] * 1e-3);
}

/* ---- Arrays: noise of the dtype, repeated ---- */

static void *array_of_noise(const timer *t, lcv_dtype dtype, size_t count)
{
    static union {
        float f32[NOISE];
        uint16_t bf16[NOISE];
    } noise;
    const size_t size = lcv_dtype_size(dtype);
    char *memory = NULL;
    for (int i = 0; i < NOISE; i++) {
        const float value = (float)((i * 7919 + 12345) % 65521) / 65521.0F - 0.5F;
        if (dtype == LCV_F32)
            noise.f32[i] = value;
        else
            noise.bf16[i] = lcv_f32_to_bf16(value);
    }
    CUDA(cudaMalloc((void **)&memory, count * size));
    for (size_t done = 0; done < count; done += NOISE) {
        const size_t part = count - done < NOISE ? count - done : NOISE;
        CUDA(cudaMemcpyAsync(memory + done * size, &noise, part * size, cudaMemcpyHostToDevice, t->stream));
    }
    CUDA(cudaStreamSynchronize(t->stream));
    return memory;
}

static lcv_tensor tensor_of(void *memory, lcv_dtype dtype, int32_t rank, const int64_t *shape)
{
    lcv_tensor tensor = lcv_tensor_compact(memory, dtype, rank, shape);
    tensor.device = LCV_DEVICE_CUDA;
    return tensor;
}

/* ---- One problem ---- */

typedef struct {
    lcv_context *context;
    const timer *timer;
    double bandwidth;
    lcv_conv_params params;
    lcv_conv_args args;
    lcv_conv_grad_args grads;
    void *memory[12];
    int arrays;
} bench;

static lcv_tensor data_array(bench *b)
{
    const int64_t shape[] = {b->params.batch, b->params.channels, b->params.seqlen};
    void *memory = array_of_noise(b->timer, b->params.dtype, (size_t)(shape[0] * shape[1] * shape[2]));
    b->memory[b->arrays++] = memory;
    return tensor_of(memory, b->params.dtype, 3, shape);
}

static lcv_tensor filter_array(bench *b)
{
    const int64_t shape[] = {b->params.channels, b->params.filter_len};
    void *memory = array_of_noise(b->timer, LCV_F32, (size_t)(shape[0] * shape[1]));
    b->memory[b->arrays++] = memory;
    return tensor_of(memory, LCV_F32, 2, shape);
}

static void make_arrays(bench *b, int gated, int backward)
{
    const lcv_conv_args no_args = LCV_CONV_ARGS_INIT;
    const lcv_conv_grad_args no_grads = LCV_CONV_GRAD_ARGS_INIT;
    b->args = no_args;
    b->grads = no_grads;
    b->args.u = b->grads.u = data_array(b);
    b->args.filter = b->grads.filter = filter_array(b);
    b->args.y = data_array(b);
    if (gated) {
        b->args.pre_gate = b->grads.pre_gate = data_array(b);
        b->args.post_gate = b->grads.post_gate = data_array(b);
    }
    if (!backward)
        return;
    b->grads.dy = data_array(b);
    b->grads.du = data_array(b);
    b->grads.dfilter = filter_array(b);
    if (gated) {
        b->grads.dpre_gate = data_array(b);
        b->grads.dpost_gate = data_array(b);
    }
}

static lcv_status execute(bench *b, const lcv_plan *plan, const lcv_spectrum *spectrum, int backward)
{
    lcv_conv_args args = b->args;
    lcv_conv_grad_args grads = b->grads;
    args.exec.stream = grads.exec.stream = b->timer->stream;
    args.spectrum = grads.spectrum = spectrum;
    args.filter.rank = grads.filter.rank = 0;
    return backward ? lcv_conv_backward(plan, &grads) : lcv_conv_forward(plan, &args);
}

/* The first bytes of the output, on the host. */
static void peek(bench *b, int backward, void *to, size_t bytes)
{
    const lcv_tensor *out = backward ? &b->grads.du : &b->args.y;
    CUDA(cudaMemcpyAsync(to, out->data, bytes, cudaMemcpyDeviceToHost, b->timer->stream));
    CUDA(cudaStreamSynchronize(b->timer->stream));
}

static cudaGraphExec_t capture(bench *b, const lcv_plan *plan, const lcv_spectrum *spectrum, int backward)
{
    cudaGraph_t graph = NULL;
    cudaGraphExec_t exec = NULL;
    CUDA(cudaStreamBeginCapture(b->timer->stream, cudaStreamCaptureModeGlobal));
    lcv(b->context, execute(b, plan, spectrum, backward), "captured execution");
    CUDA(cudaStreamEndCapture(b->timer->stream, &graph));
    CUDA(cudaGraphInstantiate(&exec, graph, 0));
    CUDA(cudaGraphDestroy(graph));
    return exec;
}

static void report(const bench *b, const lcv_plan *plan, int gated, int backward, double ms, int same)
{
    lcv_plan_info info = {.struct_size = sizeof info};
    const double outputs = (double)b->params.batch * (double)b->params.channels * (double)b->params.seqlen;
    const double arrays = backward ? (gated ? 7.0 : 3.0) : (gated ? 4.0 : 2.0);
    const double floor_ms = outputs * arrays * (double)lcv_dtype_size(b->params.dtype) / b->bandwidth * 1e3;
    lcv(b->context, lcv_plan_describe(plan, &info), "lcv_plan_describe");
    printf("{\"problem\": \"conv:%s:b%lld:d%lld:l%lld%s:%s\", \"engine\": \"%s\", \"fft_size\": %lld, "
           "\"workspace_bytes\": %zu, \"median_ms\": %.6g, \"ps_per_output\": %.4g, \"floor_ms\": %.6g, "
           "\"graph_same_bits\": %s}\n",
           lcv_dtype_name(b->params.dtype), (long long)b->params.batch, (long long)b->params.channels,
           (long long)b->params.seqlen, gated ? ":gated" : "", backward ? "bwd" : "fwd", info.engine,
           (long long)info.fft_size, info.workspace_bytes, ms, ms * 1e9 / outputs, floor_ms,
           same ? "true" : "false");
    fflush(stdout);
}

/* 1 when the replay of the graph gave other bits than the call. */
static int run(bench *b, int gated, int backward)
{
    static char plain[4096], replayed[sizeof plain];
    lcv_plan *plan = NULL;
    lcv_spectrum *spectrum = NULL;
    const size_t outputs = (size_t)(b->params.batch * b->params.channels * b->params.seqlen);
    const size_t all = outputs * lcv_dtype_size(b->params.dtype),
                 bytes = all < sizeof plain ? all : sizeof plain;
    b->params.terms = gated ? LCV_TERM_PRE_GATE | LCV_TERM_POST_GATE : 0;
    b->params.grad_mask = !backward ? 0
                          : gated   ? LCV_GRAD_U | LCV_GRAD_FILTER | LCV_GRAD_PRE_GATE | LCV_GRAD_POST_GATE
                                    : LCV_GRAD_U | LCV_GRAD_FILTER;
    b->arrays = 0;
    make_arrays(b, gated, backward);
    lcv(b->context, lcv_conv_plan_create(b->context, &b->params, &plan), "lcv_conv_plan_create");
    lcv(b->context, lcv_spectrum_create(plan, NULL, 0, &spectrum), "lcv_spectrum_create");
    const lcv_exec exec = {.stream = b->timer->stream};
    lcv(b->context, lcv_spectrum_prepare(spectrum, plan, &b->args.filter, NULL, &exec),
        "lcv_spectrum_prepare");
    lcv(b->context, execute(b, plan, spectrum, backward), "execution");
    peek(b, backward, plain, bytes);
    cudaGraphExec_t graph = capture(b, plan, spectrum, backward);
    const double ms = time_graph(b->timer, graph);
    peek(b, backward, replayed, bytes);
    const int same = memcmp(plain, replayed, bytes) == 0;
    report(b, plan, gated, backward, ms, same);
    CUDA(cudaGraphExecDestroy(graph));
    lcv_spectrum_destroy(&spectrum);
    lcv_plan_destroy(&plan);
    for (int i = 0; i < b->arrays; i++)
        CUDA(cudaFree(b->memory[i]));
    return !same;
}

static int run_all(bench *b, int64_t scale)
{
    int failures = 0;
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (size_t d = 0; d < sizeof dtypes / sizeof dtypes[0]; d++)
            for (int kind = 0; kind < 4; kind++) {
                b->params.dtype = dtypes[d];
                b->params.batch = shapes[s].batch > scale ? shapes[s].batch / scale : 1;
                b->params.channels = shapes[s].channels > scale ? shapes[s].channels / scale : 1;
                b->params.seqlen = b->params.filter_len =
                    shapes[s].seqlen > scale ? shapes[s].seqlen / scale : 1;
                failures += run(b, kind & 1, kind / 2);
            }
    return failures;
}

int main(int argc, char **argv)
{
    const lcv_conv_params defaults = LCV_CONV_PARAMS_INIT;
    timer t = {0};
    bench b = {.timer = &t, .params = defaults};
    int64_t scale = 1;
    b.params.device = LCV_DEVICE_CUDA;
    b.params.backend = "cuda";
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--scale") == 0 && i + 1 < argc)
            scale = atoll(argv[++i]);
        else
            b.params.engine = argv[i];
    }
    require(scale >= 1, "--scale", "expected a number of at least 1");
    lcv(NULL, lcv_context_create(NULL, &b.context), "lcv_context_create");
    CUDA(cudaStreamCreateWithFlags(&t.stream, cudaStreamNonBlocking));
    CUDA(cudaEventCreate(&t.from));
    CUDA(cudaEventCreate(&t.to));
    b.bandwidth = copy_bandwidth(&t, ((size_t)1 << 30) / (size_t)(scale * scale));
    printf("{\"copy_gigabytes_per_s\": %.5g, \"version\": \"%s\"}\n", b.bandwidth * 1e-9, lcv_version_text());
    const int failures = run_all(&b, scale);
    CUDA(cudaEventDestroy(t.from));
    CUDA(cudaEventDestroy(t.to));
    CUDA(cudaStreamDestroy(t.stream));
    lcv_context_destroy(&b.context);
    return failures > 0;
}
