/* SPDX-License-Identifier: BSD-3-Clause */
/* gpu_bench [--scale N] [ENGINE]: times the CUDA backend by replaying graphs on a stream of its own. The
 * first line is the bandwidth of a copy on the device, the floor for everything that follows. One JSON line
 * for each problem: with filters prepared once or in every call; how much memory of the device the plan took
 * beside prepared filters; whether the replay gave the bits of the plain call; and how far the first row is
 * from that of a float64 plan, in parts of the error bound. The status is 1 if bits differed or a bound was
 * missed.
 * --scale divides the batches, the channels and the lengths, for a trial run. */
#include <longconv/half.h>
#include <longconv/longconv.h>

#include <cuda_runtime_api.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 9, REPLAYS = 5, NOISE = 1 << 24, MOST_ARRAYS = 12, DTYPES = LCV_BF16 + 1 };

static const struct {
    int64_t batch, channels, seqlen;
} shapes[] = {{64, 768, 1024},  {64, 768, 4096},  {32, 768, 8192},  {16, 768, 16384},
              {16, 768, 32768}, {8, 384, 131072}, {8, 48, 1048576}, {1, 16, 16777216}};

/* What is measured of each shape, in order. */
static const struct {
    lcv_dtype dtype;
    int gated, backward, prepared;
} kinds[] = {
    {LCV_F32, 0, 0, 1}, {LCV_F32, 1, 0, 1},  {LCV_F32, 0, 1, 1},  {LCV_F32, 1, 1, 1},  {LCV_F32, 0, 0, 0},
    {LCV_F32, 0, 1, 0}, {LCV_BF16, 0, 0, 1}, {LCV_BF16, 1, 0, 1}, {LCV_BF16, 0, 1, 1}, {LCV_BF16, 1, 1, 1},
    {LCV_F16, 0, 0, 1}, {LCV_F16, 0, 1, 1},  {LCV_F64, 0, 0, 1},  {LCV_F64, 0, 1, 1},
};

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
    int samples, replays;
    size_t noise; /* numbers of it */
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
    for (int i = 0; i < t->samples; i++) {
        CUDA(cudaEventRecord(t->from, t->stream));
        for (int k = 0; k < t->replays; k++)
            CUDA(cudaGraphLaunch(exec, t->stream));
        CUDA(cudaEventRecord(t->to, t->stream));
        CUDA(cudaEventSynchronize(t->to));
        CUDA(cudaEventElapsedTime(&samples[i], t->from, t->to));
    }
    qsort(samples, (size_t)t->samples, sizeof samples[0], compare);
    return (double)samples[t->samples / 2] / t->replays;
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

/* ---- Arrays: noise of the dtype, repeated from row to row but not within one ---- */

static void store(void *to, lcv_dtype dtype, size_t i, double value)
{
    if (dtype == LCV_F64)
        ((double *)to)[i] = value;
    else if (dtype == LCV_F32)
        ((float *)to)[i] = (float)value;
    else
        ((uint16_t *)to)[i] = dtype == LCV_F16 ? lcv_f32_to_f16((float)value) : lcv_f32_to_bf16((float)value);
}

static double load(const void *from, lcv_dtype dtype, size_t i)
{
    if (dtype == LCV_F64)
        return ((const double *)from)[i];
    if (dtype == LCV_F32)
        return (double)((const float *)from)[i];
    const uint16_t bits = ((const uint16_t *)from)[i];
    return (double)(dtype == LCV_F16 ? lcv_f16_to_f32(bits) : lcv_bf16_to_f32(bits));
}

/* Numbers between -1/2 and 1/2, on the host. Source: the finaliser of splitmix64 (Steele, Lea and Flood,
 * 2014). */
static const void *noise_of(lcv_dtype dtype, size_t count)
{
    static void *noise[DTYPES];
    if (noise[dtype] != NULL)
        return noise[dtype];
    noise[dtype] = malloc(count * lcv_dtype_size(dtype));
    require(noise[dtype] != NULL, "malloc", "no memory");
    for (size_t i = 0; i < count; i++) {
        uint64_t x = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
        store(noise[dtype], dtype, i, (double)((x ^ x >> 31) >> 11) * 0x1p-53 - 0.5);
    }
    return noise[dtype];
}

/* One piece comes from the host, from another place for each `index`, and is doubled on the device until the
 * array is full. */
static void *array_of_noise(const timer *t, lcv_dtype dtype, size_t count, int index)
{
    const size_t size = lcv_dtype_size(dtype);
    const char *noise = (const char *)noise_of(dtype, 2 * t->noise) + (size_t)index * 7919 % t->noise * size;
    char *memory = NULL;
    size_t done = count < t->noise ? count : t->noise;
    CUDA(cudaMalloc((void **)&memory, count * size));
    CUDA(cudaMemcpyAsync(memory, noise, done * size, cudaMemcpyHostToDevice, t->stream));
    while (done < count) {
        const size_t part = count - done < done ? count - done : done;
        CUDA(cudaMemcpyAsync(memory + done * size, memory, part * size, cudaMemcpyDeviceToDevice, t->stream));
        done += part;
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
    int gated, backward, prepared;
    void *memory[MOST_ARRAYS];
    int arrays;
} bench;

/* What is found out about it. */
typedef struct {
    double ms, extra_bytes, error; /* error: in parts of the bound; below 0: not looked at */
    int same;
} result;

static lcv_tensor data_array(bench *b)
{
    const int64_t shape[] = {b->params.batch, b->params.channels, b->params.seqlen};
    void *memory =
        array_of_noise(b->timer, b->params.dtype, (size_t)(shape[0] * shape[1] * shape[2]), b->arrays);
    b->memory[b->arrays++] = memory;
    return tensor_of(memory, b->params.dtype, 3, shape);
}

static lcv_tensor filter_array(bench *b)
{
    const int64_t shape[] = {b->params.channels, b->params.filter_len};
    const lcv_dtype dtype = lcv_dtype_compute(b->params.dtype);
    void *memory = array_of_noise(b->timer, dtype, (size_t)(shape[0] * shape[1]), b->arrays);
    b->memory[b->arrays++] = memory;
    return tensor_of(memory, dtype, 2, shape);
}

static void make_arrays(bench *b)
{
    const lcv_conv_args no_args = LCV_CONV_ARGS_INIT;
    const lcv_conv_grad_args no_grads = LCV_CONV_GRAD_ARGS_INIT;
    b->args = no_args;
    b->grads = no_grads;
    b->args.u = b->grads.u = data_array(b);
    b->args.filter = b->grads.filter = filter_array(b);
    b->args.y = data_array(b);
    if (b->gated) {
        b->args.pre_gate = b->grads.pre_gate = data_array(b);
        b->args.post_gate = b->grads.post_gate = data_array(b);
    }
    if (!b->backward)
        return;
    b->grads.dy = data_array(b);
    b->grads.du = data_array(b);
    b->grads.dfilter = filter_array(b);
    if (b->gated) {
        b->grads.dpre_gate = data_array(b);
        b->grads.dpost_gate = data_array(b);
    }
}

static lcv_status execute(bench *b, const lcv_plan *plan, const lcv_spectrum *spectrum)
{
    lcv_conv_args args = b->args;
    lcv_conv_grad_args grads = b->grads;
    args.exec.stream = grads.exec.stream = b->timer->stream;
    args.spectrum = grads.spectrum = spectrum;
    if (spectrum != NULL)
        args.filter.rank = grads.filter.rank = 0;
    return b->backward ? lcv_conv_backward(plan, &grads) : lcv_conv_forward(plan, &args);
}

/* The first bytes of the output, on the host. */
static void peek(bench *b, void *to, size_t bytes)
{
    const lcv_tensor *out = b->backward ? &b->grads.du : &b->args.y;
    CUDA(cudaMemcpyAsync(to, out->data, bytes, cudaMemcpyDeviceToHost, b->timer->stream));
    CUDA(cudaStreamSynchronize(b->timer->stream));
}

static cudaGraphExec_t capture(bench *b, const lcv_plan *plan, const lcv_spectrum *spectrum)
{
    cudaGraph_t graph = NULL;
    cudaGraphExec_t exec = NULL;
    CUDA(cudaStreamBeginCapture(b->timer->stream, cudaStreamCaptureModeGlobal));
    lcv(b->context, execute(b, plan, spectrum), "captured execution");
    CUDA(cudaStreamEndCapture(b->timer->stream, &graph));
    CUDA(cudaGraphInstantiate(&exec, graph, 0));
    CUDA(cudaGraphDestroy(graph));
    return exec;
}

/* ---- The first row against float64 ---- */

/* The first `count` elements of a tensor on the device, as double. */
static double *download(const bench *b, const lcv_tensor *tensor, size_t count)
{
    const size_t bytes = count * lcv_dtype_size(tensor->dtype);
    void *raw = malloc(bytes);
    double *values = malloc(count * sizeof *values);
    require(raw != NULL && values != NULL, "malloc", "no memory");
    CUDA(cudaMemcpyAsync(raw, tensor->data, bytes, cudaMemcpyDeviceToHost, b->timer->stream));
    CUDA(cudaStreamSynchronize(b->timer->stream));
    for (size_t i = 0; i < count; i++)
        values[i] = load(raw, tensor->dtype, i);
    free(raw);
    return values;
}

/* Replaces values by values * gate; no gate: by themselves. */
static void multiply(const bench *b, double *values, const lcv_tensor *gate, size_t count)
{
    if (gate->rank == 0)
        return;
    double *factors = download(b, gate, count);
    for (size_t i = 0; i < count; i++)
        values[i] *= factors[i];
    free(factors);
}

static double norm(const double *values, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += values[i] * values[i];
    return sqrt(sum);
}

/* x convolved with h, in place, by a float64 plan on the device. */
static void convolve_in_double(bench *b, double *x, const double *h)
{
    const int64_t n = b->params.seqlen, shape[] = {1, 1, n};
    const size_t bytes = (size_t)n * sizeof(double);
    lcv_conv_params params = b->params;
    lcv_conv_args args = LCV_CONV_ARGS_INIT;
    lcv_plan *plan = NULL;
    void *row = NULL, *taps = NULL;
    params.dtype = LCV_F64;
    params.batch = params.channels = 1;
    params.terms = params.grad_mask = 0;
    params.engine = NULL;
    CUDA(cudaMalloc(&row, bytes));
    CUDA(cudaMalloc(&taps, bytes));
    CUDA(cudaMemcpyAsync(row, x, bytes, cudaMemcpyHostToDevice, b->timer->stream));
    CUDA(cudaMemcpyAsync(taps, h, bytes, cudaMemcpyHostToDevice, b->timer->stream));
    args.u = args.y = tensor_of(row, LCV_F64, 3, shape);
    args.filter = tensor_of(taps, LCV_F64, 2, shape + 1);
    args.exec.stream = b->timer->stream;
    lcv(b->context, lcv_conv_plan_create(b->context, &params, &plan), "a float64 plan");
    lcv(b->context, lcv_conv_forward(plan, &args), "a float64 convolution");
    CUDA(cudaMemcpyAsync(x, row, bytes, cudaMemcpyDeviceToHost, b->timer->stream));
    CUDA(cudaStreamSynchronize(b->timer->stream));
    lcv_plan_destroy(&plan);
    CUDA(cudaFree(row));
    CUDA(cudaFree(taps));
}

/* Half a unit in the last place of a result of this dtype. */
static double half_ulp(lcv_dtype dtype, double value)
{
    if (dtype == LCV_F16)
        return fmax(fabs(value) * 0x1p-11, 0x1p-25);
    return dtype == LCV_BF16 ? fabs(value) * 0x1p-8 : 0.0;
}

/* The largest error of y, in parts of the bound of docs/numerics.md. */
static double error_of_first_row(bench *b)
{
    const size_t n = (size_t)b->params.seqlen;
    double *x = download(b, &b->args.u, n), *h = download(b, &b->args.filter, n);
    double *y = download(b, &b->args.y, n), *post = malloc(n * sizeof *post), worst = 0.0;
    require(post != NULL, "malloc", "no memory");
    for (size_t i = 0; i < n; i++)
        post[i] = 1.0;
    multiply(b, post, &b->args.post_gate, n);
    multiply(b, x, &b->args.pre_gate, n);
    const double bound = 4.0 * 0x1p-24 * norm(x, n) * norm(h, n);
    convolve_in_double(b, x, h);
    for (size_t i = 0; i < n; i++) {
        const double z = fabs(x[i]), expected = x[i] * post[i];
        const double most = fabs(post[i]) * (bound + 4.0 * 0x1p-24 * z) + 4.0 * 0x1p-24 * fabs(expected);
        const double error = fabs(y[i] - expected) / (most + half_ulp(b->params.dtype, expected) + 1e-300);
        if (worst == worst && !(error <= worst)) /* what is not a number stays */
            worst = error;
    }
    free(x);
    free(h);
    free(y);
    free(post);
    return worst;
}

/* ---- Reports ---- */

static void report(const bench *b, const lcv_plan *plan, const result *r)
{
    lcv_plan_info info = {.struct_size = sizeof info};
    const double outputs = (double)b->params.batch * (double)b->params.channels * (double)b->params.seqlen;
    const double arrays = b->backward ? (b->gated ? 7.0 : 3.0) : (b->gated ? 4.0 : 2.0);
    const double floor_ms = outputs * arrays * (double)lcv_dtype_size(b->params.dtype) / b->bandwidth * 1e3;
    char error[64] = "null";
    if (isnan(r->error))
        snprintf(error, sizeof error, "\"nan\"");
    else if (r->error >= 0.0)
        snprintf(error, sizeof error, "%.3g", r->error);
    lcv(b->context, lcv_plan_describe(plan, &info), "lcv_plan_describe");
    printf("{\"problem\": \"conv:%s:b%lld:d%lld:l%lld%s:%s\", \"engine\": \"%s\", \"prepared\": %s, "
           "\"fft_size\": %lld, \"workspace_bytes\": %zu, \"extra_bytes\": %.0f, \"median_ms\": %.6g, "
           "\"ps_per_output\": %.4g, \"floor_ms\": %.6g, \"graph_same_bits\": %s, \"error_of_bound\": %s}\n",
           lcv_dtype_name(b->params.dtype), (long long)b->params.batch, (long long)b->params.channels,
           (long long)b->params.seqlen, b->gated ? ":gated" : "", b->backward ? "bwd" : "fwd", info.engine,
           b->prepared ? "true" : "false", (long long)info.fft_size, info.workspace_bytes, r->extra_bytes,
           r->ms, r->ms * 1e9 / outputs, floor_ms, r->same ? "true" : "false", error);
    fflush(stdout);
}

/* ---- Measuring ---- */

static double free_bytes(void)
{
    size_t left = 0, all = 0;
    CUDA(cudaMemGetInfo(&left, &all));
    return (double)left;
}

/* A plan that has run once, and its spectrum unless every call prepares its filters. */
static lcv_plan *make_plan(bench *b, lcv_spectrum **spectrum)
{
    lcv_plan *plan = NULL;
    lcv(b->context, lcv_conv_plan_create(b->context, &b->params, &plan), "lcv_conv_plan_create");
    if (b->prepared) {
        const lcv_exec exec = {.stream = b->timer->stream};
        lcv(b->context, lcv_spectrum_create(plan, NULL, 0, spectrum), "lcv_spectrum_create");
        lcv(b->context, lcv_spectrum_prepare(*spectrum, plan, &b->args.filter, NULL, &exec),
            "lcv_spectrum_prepare");
    }
    lcv(b->context, execute(b, plan, *spectrum), "execution");
    CUDA(cudaStreamSynchronize(b->timer->stream));
    return plan;
}

/* Memory that plan and execution took. The first of two plans brings the kernels into memory. */
static lcv_plan *measure_plan(bench *b, lcv_spectrum **spectrum, double *extra_bytes)
{
    lcv_plan_info info = {.struct_size = sizeof info};
    lcv_plan *plan = make_plan(b, spectrum);
    lcv_spectrum_destroy(spectrum);
    lcv_plan_destroy(&plan);
    const double before = free_bytes();
    plan = make_plan(b, spectrum);
    lcv(b->context, lcv_plan_describe(plan, &info), "lcv_plan_describe");
    *extra_bytes = before - free_bytes() - (b->prepared ? (double)info.spectrum_bytes : 0.0);
    return plan;
}

static void measure(bench *b, const lcv_plan *plan, const lcv_spectrum *spectrum, result *r)
{
    static char plain[4096], replayed[sizeof plain];
    const size_t outputs = (size_t)(b->params.batch * b->params.channels * b->params.seqlen);
    const size_t all = outputs * lcv_dtype_size(b->params.dtype),
                 bytes = all < sizeof plain ? all : sizeof plain;
    peek(b, plain, bytes);
    cudaGraphExec_t graph = capture(b, plan, spectrum);
    r->ms = time_graph(b->timer, graph);
    peek(b, replayed, bytes);
    r->same = memcmp(plain, replayed, bytes) == 0;
    r->error = -1.0;
    if (!b->backward && b->params.dtype != LCV_F64)
        r->error = error_of_first_row(b);
    CUDA(cudaGraphExecDestroy(graph));
}

/* 1 when the replay of the graph gave other bits than the call, or the result is wrong. */
static int run(bench *b)
{
    lcv_spectrum *spectrum = NULL;
    result r = {0};
    b->params.terms = b->gated ? LCV_TERM_PRE_GATE | LCV_TERM_POST_GATE : 0;
    b->params.grad_mask = !b->backward ? 0
                          : b->gated   ? LCV_GRAD_U | LCV_GRAD_FILTER | LCV_GRAD_PRE_GATE | LCV_GRAD_POST_GATE
                                       : LCV_GRAD_U | LCV_GRAD_FILTER;
    b->arrays = 0;
    make_arrays(b);
    lcv_plan *plan = measure_plan(b, &spectrum, &r.extra_bytes);
    measure(b, plan, spectrum, &r);
    report(b, plan, &r);
    lcv_spectrum_destroy(&spectrum);
    lcv_plan_destroy(&plan);
    for (int i = 0; i < b->arrays; i++)
        CUDA(cudaFree(b->memory[i]));
    return !r.same || !(r.error <= 1.0);
}

static int run_all(bench *b, int64_t scale)
{
    int failures = 0;
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
            b->params.dtype = kinds[k].dtype;
            b->gated = kinds[k].gated;
            b->backward = kinds[k].backward;
            b->prepared = kinds[k].prepared;
            b->params.batch = shapes[s].batch > scale ? shapes[s].batch / scale : 1;
            b->params.channels = shapes[s].channels > scale ? shapes[s].channels / scale : 1;
            b->params.seqlen = b->params.filter_len = shapes[s].seqlen > scale ? shapes[s].seqlen / scale : 1;
            failures += run(b);
        }
    return failures;
}

int main(int argc, char **argv)
{
    const lcv_conv_params defaults = LCV_CONV_PARAMS_INIT;
    timer t = {.samples = SAMPLES, .replays = REPLAYS, .noise = NOISE};
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
    if (scale > 1) /* nobody wants to know how long a trial takes */
        t.samples = t.replays = 1;
    t.noise /= (size_t)(scale < NOISE ? scale : NOISE);
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
