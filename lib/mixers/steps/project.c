/* SPDX-License-Identifier: BSD-3-Clause */
/* The projection step: one matrix for all times, as matrix products over strided views, without copies.
 *
 *   out[b, c, t]  = bias[c] + sum_d weight[c, d] in[b, d, t]
 *   din[b, d, t]  = sum_c weight[c, d] dout[b, c, t]
 *   dweight[c, d] = sum_{b, t} dout[b, c, t] in[b, d, t]
 *   dbias[c]      = sum_{b, t} dout[b, c, t]
 */
#include "../mixer.h"

typedef enum { OUT, GRAD_IN, GRAD_WEIGHT, GRAD_BIAS, PRODUCTS } product;

static lcv_matmul_params params_of(const lcvi_program *program, const lcvi_step *step, product which,
                                   int64_t seqlen)
{
    const lcv_mixer_params *p = &program->params;
    const lcv_dtype compute = lcv_dtype_compute(p->dtype);
    const int32_t threads = p->num_threads, fixed = p->exact_causality != 0 || p->reproducible != 0;
    const int64_t in = step->slot[LCVI_IN].count, out = step->out.count;
    const lcv_matmul_params all[PRODUCTS] = {
        [OUT] = {compute, p->dtype, p->dtype, p->batch, out, seqlen, in, 0, threads, fixed},
        [GRAD_IN] = {compute, p->dtype, p->dtype, p->batch, in, seqlen, out, 0, threads, fixed},
        [GRAD_WEIGHT] = {p->dtype, p->dtype, compute, p->batch, out, in, seqlen, 1, threads, fixed},
        [GRAD_BIAS] = {p->dtype, compute, compute, p->batch, out, 1, seqlen, 1, threads, fixed},
    };
    return all[which];
}

static lcv_status query(const lcvi_program *program, const lcvi_step *step, const lcvi_backend *backend,
                        size_t *workspace)
{
    const int last = program->params.backward ? PRODUCTS : OUT + 1;
    for (int which = OUT; which < last; which++) {
        const lcv_matmul_params params = params_of(program, step, (product)which, program->params.seqlen);
        size_t bytes = 0;
        const lcv_status status = lcvi_matmul_workspace(program->context, backend, &params, &bytes);
        if (status != LCV_OK)
            return status;
        *workspace = bytes > *workspace ? bytes : *workspace;
    }
    return LCV_OK;
}

/* The same array with its last two axes exchanged. */
static lcv_array transposed(lcv_array array)
{
    return (lcv_array){array.data, {array.stride[0], array.stride[2], array.stride[1]}};
}

/* A vector as one column. */
static lcv_array column(lcv_array vector)
{
    return (lcv_array){vector.data, {0, vector.stride[2], 0}};
}

static lcv_status multiply(const lcvi_mixer_run *run, const lcvi_step *step, product which,
                           lcv_matmul_call *call)
{
    const lcv_matmul_params params = params_of(run->program, step, which, run->seqlen);
    call->exec = run->exec;
    return call->c.data == NULL ? LCV_OK : lcvi_matmul(run->program->backend, &params, call);
}

static lcv_status forward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    lcv_matmul_call call = {.left = lcvi_run_value(run, step->slot[LCVI_WEIGHT]),
                            .right = lcvi_run_value(run, step->slot[LCVI_IN]),
                            .c = lcvi_run_value(run, step->out),
                            .bias = column(lcvi_run_value(run, step->slot[LCVI_BIAS])),
                            .accumulate = step->adds};
    return multiply(run, step, OUT, &call);
}

static lcv_status backward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    const lcv_array dout = lcvi_run_gradient(run, step->out);
    const lcv_array one = {run->program->ones, {0, 0, 0}};
    lcv_matmul_call calls[PRODUCTS] = {
        [GRAD_IN] = {.left = transposed(lcvi_run_value(run, step->slot[LCVI_WEIGHT])),
                     .right = dout,
                     .c = lcvi_run_gradient(run, step->slot[LCVI_IN]),
                     .accumulate = step->slot_adds[LCVI_IN]},
        [GRAD_WEIGHT] = {.left = dout,
                         .right = transposed(lcvi_run_value(run, step->slot[LCVI_IN])),
                         .c = lcvi_run_gradient(run, step->slot[LCVI_WEIGHT]),
                         .accumulate = run->accumulate || step->slot_adds[LCVI_WEIGHT]},
        [GRAD_BIAS] = {.left = dout,
                       .right = one,
                       .c = column(lcvi_run_gradient(run, step->slot[LCVI_BIAS])),
                       .accumulate = run->accumulate || step->slot_adds[LCVI_BIAS]},
    };
    lcv_status status = LCV_OK;
    for (int which = GRAD_IN; status == LCV_OK && which < PRODUCTS; which++)
        status = multiply(run, step, (product)which, &calls[which]);
    return status;
}

const lcvi_step_kind lcvi_project_step = {.engine = "matmul",
                                          .query = query,
                                          .forward = forward,
                                          .stream = forward,
                                          .backward = backward,
                                          .in_place = false};
