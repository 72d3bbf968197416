/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzz target: any small convolution, forward and backward, with right and wrong arguments and failing
 * allocations. What succeeds is compared with plain sums in double; what fails leaves the outputs alone. */
#include "conv_case.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

/* ---- What must come out ---- */

static double tap(const conv_case *this, const lcv_tensor *filter, int64_t b, int64_t c, int64_t j)
{
    const lcv_conv_params *params = &this->params;
    switch (params->filter_form) {
    case LCV_FILTER_PER_SAMPLE:
        return conv_case_value(filter, b, c, j);
    case LCV_FILTER_SHARED:
        return conv_case_value(filter, 0, j, 0);
    case LCV_FILTER_GROUPED:
        return conv_case_value(filter, c / (params->channels / params->filter_groups), j, 0);
    case LCV_FILTER_PER_CHANNEL:
        break;
    }
    return conv_case_value(filter, c, j, 0);
}

/* The oracle computes in more than double: float64 results are held to a few units of double. */
typedef long double wide;

static wide gated_input(const conv_case *this, int64_t b, int64_t c, int64_t t)
{
    const lcv_conv_args *args = &this->args;
    double gate = args->pre_gate.rank ? conv_case_data(this, &args->pre_gate, b, c, t) : 1;
    return (wide)gate * (wide)conv_case_data(this, &args->u, b, c, t);
}

/* x at time t as the mode sees it: zero, or wrapped, outside the sequence. */
static wide input_at(const conv_case *this, int64_t b, int64_t c, int64_t t)
{
    int64_t seqlen = this->params.seqlen;
    if (this->params.mode == LCV_CONV_CIRCULAR)
        t = ((t % seqlen) + seqlen) % seqlen;
    return t < 0 || t >= seqlen ? 0 : gated_input(this, b, c, t);
}

/* conv[t], and the sum of the magnitudes of its terms. */
static wide plain_sum(const conv_case *this, int64_t b, int64_t c, int64_t t, double *magnitude)
{
    const lcv_conv_params *params = &this->params;
    const int64_t direction = params->mode == LCV_CONV_ANTICAUSAL ? 1 : -1;
    wide sum = 0;
    *magnitude = 0;
    for (int64_t j = 0; j < params->filter_len; j++) {
        wide term = (wide)tap(this, &this->args.filter, b, c, j) * input_at(this, b, c, t + direction * j);
        sum += term;
        *magnitude += fabs((double)term);
    }
    for (int64_t j = 0; j < params->filter_future_len; j++) {
        wide term = (wide)tap(this, &this->args.filter_future, b, c, j) *
                    input_at(this, b, c, t + j + params->future_first_lag);
        sum += term;
        *magnitude += fabs((double)term);
    }
    if (this->args.state_in.rank && t < params->filter_len - 1) {
        wide term = (wide)conv_case_value(&this->args.state_in, b, c, t);
        sum += term;
        *magnitude += fabs((double)term);
    }
    return sum;
}

static double activate(lcv_activation activation, double z)
{
    switch (activation) {
    case LCV_ACTIVATION_GELU:
        return 0.5 * z * erfc(-z / sqrt(2.0));
    case LCV_ACTIVATION_GELU_TANH:
        return 0.5 * z * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (z + 0.044715 * z * z * z)));
    case LCV_ACTIVATION_SILU:
        return z / (1 + exp(-z));
    case LCV_ACTIVATION_NONE:
        break;
    }
    return z;
}

/* The part of conv.h's error bound that belongs to the whole row: norms of x, state and filters. */
static double row_norms(const conv_case *this, int64_t b, int64_t c)
{
    const lcv_conv_params *params = &this->params;
    double x = 0, h = 0, future = 0, state = 0;
    for (int64_t t = 0; t < params->seqlen; t++)
        x += pow((double)gated_input(this, b, c, t), 2);
    for (int64_t j = 0; j < params->filter_len; j++)
        h += pow(tap(this, &this->args.filter, b, c, j), 2);
    for (int64_t j = 0; j < params->filter_future_len; j++)
        future += pow(tap(this, &this->args.filter_future, b, c, j), 2);
    for (int64_t j = 0; this->args.state_in.rank && j < params->filter_len - 1; j++)
        state += pow(conv_case_value(&this->args.state_in, b, c, j), 2);
    return sqrt(x) * (sqrt(h) + sqrt(future)) + sqrt(state);
}

static void expect_sample(conv_case *this, int64_t b, int64_t c, int64_t t, double norms, int64_t at)
{
    const lcv_conv_args *args = &this->args;
    const double eps = conv_case_eps(this->params.dtype), store = conv_case_store_eps(this->params.dtype);
    double magnitude;
    double post = args->post_gate.rank ? conv_case_data(this, &args->post_gate, b, c, t) : 1;
    wide skip =
        args->skip.rank ? (wide)conv_case_value(&args->skip, c, 0, 0) * gated_input(this, b, c, t) : 0;
    double bias = args->bias.rank ? conv_case_value(&args->bias, c, 0, 0) : 0;
    double dy = conv_case_data(this, &this->grad.dy, b, c, t);
    wide linear = plain_sum(this, b, c, t, &magnitude) + skip;
    double z = (double)(linear + (wide)bias);
    double y = post * activate(this->params.activation, z);
    this->expected[at] = y;
    this->allowed[at] = fabs(post) * 1.13 * 4 * eps * (norms + fabs((double)skip) + fabs(bias) + fabs(z)) +
                        4 * eps * fabs(y) + store * fabs(y) + (store > 0 ? 0x1p-24 : 0) + 1e-300;
    this->product += dy * post * (double)linear;
    this->product_bias += dy * post * bias;
    this->magnitude += fabs(dy * post) * (magnitude + fabs((double)skip) + fabs(bias));
}

static void expect(conv_case *this)
{
    const lcv_conv_params *params = &this->params;
    const size_t bytes = (size_t)(params->batch * params->channels * params->seqlen) * sizeof(double);
    int64_t at = 0;
    this->expected = conv_case_memory(this, bytes);
    this->allowed = conv_case_memory(this, bytes);
    for (int64_t b = 0; b < params->batch; b++)
        for (int64_t c = 0; c < params->channels; c++) {
            double norms = row_norms(this, b, c);
            for (int64_t t = 0; t < params->seqlen; t++)
                expect_sample(this, b, c, t, norms, at++);
        }
}

/* ---- Memory that fails on demand ---- */

typedef struct failing_memory {
    atomic_int_fast64_t calls, balance;
    int64_t fails;
    bool for_good;
} failing_memory;

static void *failing_alloc(void *user, size_t bytes, size_t alignment)
{
    failing_memory *memory = user;
    int64_t call = atomic_fetch_add(&memory->calls, 1) + 1;
    void *block = NULL;
    if (memory->fails != 0 && (call == memory->fails || (memory->for_good && call > memory->fails)))
        return NULL;
    if (bytes > (size_t)1 << 28) /* a broken size that the library believed: nobody has so much memory */
        return NULL;
    if (posix_memalign(&block, alignment < sizeof(void *) ? sizeof(void *) : alignment, bytes) != 0)
        return NULL;
    atomic_fetch_add(&memory->balance, (int64_t)bytes);
    return block;
}

static void failing_free(void *user, void *block, size_t bytes)
{
    failing_memory *memory = user;
    atomic_fetch_sub(&memory->balance, (int64_t)bytes);
    free(block);
}

/* ---- Running it ---- */

/* A status that this case may end with. */
static bool is_allowed(const conv_case *this, lcv_status status)
{
    return status == LCV_OK || this->broken || (this->fail_allocation != 0 && status == LCV_OUT_OF_MEMORY);
}

static lcv_status prepare(conv_case *this, const lcv_plan *plan, lcv_spectrum **spectrum)
{
    const lcv_tensor *future = this->args.filter_future.rank ? &this->args.filter_future : NULL;
    lcv_tensor none = {.rank = 0};
    lcv_status status = lcv_spectrum_create(plan, NULL, 0, spectrum);
    if (status == LCV_OK)
        status = lcv_spectrum_prepare(*spectrum, plan, &this->args.filter, future, &this->args.exec);
    if (status == LCV_OK) {
        this->args.spectrum = this->grad.spectrum = *spectrum;
        this->args.filter = this->args.filter_future = none;
        this->grad.filter = this->grad.filter_future = none;
    }
    return status;
}

static void give_workspace(conv_case *this, const lcv_plan *plan)
{
    lcv_plan_info info = {.struct_size = sizeof info};
    FUZZ_REQUIRE(lcv_plan_describe(plan, &info) == LCV_OK);
    if (!this->own_workspace || info.workspace_bytes > (size_t)1 << 30)
        return;
    this->args.exec.workspace = (char *)conv_case_memory(this, info.workspace_bytes + 1) + 1;
    this->args.exec.workspace_bytes = info.workspace_bytes;
    this->grad.exec = this->args.exec;
}

/* Is `value` the inner product that linearity demands, within the accuracy of the dtype? */
static void require_product(const conv_case *this, double value, double product)
{
    static const double relative[] = {1e-4, 1e-11, 4e-3, 3e-2}; /* by lcv_dtype */
    FUZZ_REQUIRE(fabs(value - product) <= relative[this->params.dtype] * (this->magnitude + 1e-6));
}

/* z is linear in u, in the taps with skip, and in the gate: the gradients times these give <dy, post z>. */
static void check_gradients(const conv_case *this, const conv_case *before)
{
    const uint32_t mask = this->params.grad_mask;
    const lcv_conv_grad_args *grad = &this->grad, *given = &before->grad;
    if (this->params.activation != LCV_ACTIVATION_NONE || (this->params.terms & LCV_TERM_STATE))
        return;
    if (mask & LCV_GRAD_U)
        require_product(this, conv_case_inner(&given->u, &grad->du), this->product);
    if (mask & LCV_GRAD_PRE_GATE)
        require_product(this, conv_case_inner(&given->pre_gate, &grad->dpre_gate), this->product);
    if (mask & LCV_GRAD_BIAS)
        require_product(this, conv_case_inner(&given->bias, &grad->dbias), this->product_bias);
    if (mask & LCV_GRAD_POST_GATE)
        require_product(this, conv_case_inner(&given->post_gate, &grad->dpost_gate),
                        this->product + this->product_bias);
    bool all = (mask & LCV_GRAD_FILTER) && (!given->filter_future.rank || (mask & LCV_GRAD_FILTER_FUTURE)) &&
               (!given->skip.rank || (mask & LCV_GRAD_SKIP));
    if (all)
        require_product(this,
                        conv_case_inner(&given->filter, &grad->dfilter) +
                            conv_case_inner(&given->filter_future, &grad->dfilter_future) +
                            conv_case_inner(&given->skip, &grad->dskip),
                        this->product);
}

static void check_forward(const conv_case *this)
{
    const lcv_conv_params *params = &this->params;
    int64_t at = 0;
    for (int64_t b = 0; b < params->batch; b++)
        for (int64_t c = 0; c < params->channels; c++)
            for (int64_t t = 0; t < params->seqlen; t++, at++)
                FUZZ_REQUIRE(fabs(conv_case_data(this, &this->args.y, b, c, t) - this->expected[at]) <=
                             this->allowed[at]);
}

static lcv_status execute(conv_case *this, const lcv_plan *plan, lcv_spectrum **spectrum)
{
    const conv_case before = *this;
    lcv_status status = LCV_OK;
    give_workspace(this, plan);
    if (this->use_spectrum)
        status = prepare(this, plan, spectrum);
    if (status == LCV_OK && this->params.grad_mask != 0 && !this->broken) {
        status = lcv_conv_backward(plan, &this->grad);
        if (status == LCV_OK)
            check_gradients(this, &before);
    }
    if (status == LCV_OK)
        status = lcv_conv_forward(plan, &this->args);
    if (status == LCV_OK && !this->broken)
        check_forward(this);
    return status;
}

static void run(conv_case *this)
{
    failing_memory memory = {.fails = this->fail_allocation, .for_good = this->fail_for_good};
    lcv_context_params settings = LCV_CONTEXT_PARAMS_INIT;
    lcv_context *context = NULL;
    lcv_plan *plan = NULL;
    lcv_spectrum *spectrum = NULL;
    settings.alloc = failing_alloc;
    settings.free = failing_free;
    settings.memory_user = &memory;
    lcv_status status = lcv_context_create(&settings, &context);
    if (status == LCV_OK)
        status = lcv_conv_plan_create(context, &this->params, &plan);
    if (status == LCV_OK)
        status = execute(this, plan, &spectrum);
    if (!is_allowed(this, status))
        fprintf(stderr, "%s: %s\n", lcv_status_name(status), lcv_context_message(NULL));
    FUZZ_REQUIRE(is_allowed(this, status));
    FUZZ_REQUIRE(status == LCV_OK || lcv_context_message(NULL)[0] != '\0');
    lcv_spectrum_destroy(&spectrum);
    lcv_plan_destroy(&plan);
    lcv_context_destroy(&context);
    FUZZ_REQUIRE(atomic_load(&memory.balance) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fuzz_input input = {bytes, size};
    conv_case this;
    conv_case_make(&this, &input);
    if (!this.broken)
        expect(&this);
    run(&this);
    conv_case_free(&this);
    return 0;
}
