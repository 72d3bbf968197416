/* SPDX-License-Identifier: BSD-3-Clause */
/* handler.c: the convolution as a custom call of XLA on the CPU, forward and backward in one target.
 *
 * It links nothing: XLA's functions come with each call, those of longconv in the table that
 * longconv_jax_bind gets. A call has two attributes, `backend` and `problem` (enum below), from which the
 * instantiate stage makes the plan; XLA keeps it as the state of the compiled program. Operands are those
 * tensors of INPUTS whose bits are set, results y and state_out, or the gradients in grad_mask, and last the
 * workspace.
 */
#include <longconv/conv.h>
#include <stdlib.h>
#include <string.h>

#include <xla/ffi/api/c_api.h>

#define EXPORT __attribute__((visibility("default")))

/* Entries of the attribute `problem`; _call.py writes them in this order. */
enum {
    DTYPE,
    MODE,
    LAYOUT,
    FILTER_FORM,
    ACTIVATION,
    BATCH,
    CHANNELS,
    SEQLEN,
    FILTER_LEN,
    FILTER_FUTURE_LEN,
    FUTURE_FIRST_LAG,
    FILTER_GROUPS,
    TERMS,
    GRAD_MASK,
    INPUTS, /* bit i: the tensor of place i in `input` below is given */
    PROBLEM_SIZE
};
enum { INPUT_COUNT = 10, FORWARD_OUTPUTS = 2, GRADIENT_COUNT = 8 };

/* What the handler calls; _handler.py fills it in this order. */
typedef struct services {
    lcv_context *context;
    lcv_status (*plan_create)(lcv_context *, const lcv_conv_params *, lcv_plan **);
    void (*plan_destroy)(lcv_plan **);
    lcv_status (*plan_describe)(const lcv_plan *, lcv_plan_info *);
    lcv_status (*forward)(const lcv_plan *, const lcv_conv_args *);
    lcv_status (*backward)(const lcv_plan *, const lcv_conv_grad_args *);
    const char *(*message)(const lcv_context *);
    lcv_tensor (*compact)(void *, lcv_dtype, int32_t, const int64_t *);
} services;

/* Set once, before XLA knows the handlers, and only read from then on. */
static services longconv;

typedef struct state {
    lcv_plan *plan;
    size_t workspace_bytes;
} state;

static void destroy_state(void *object)
{
    state *owned = object;
    longconv.plan_destroy(&owned->plan);
    free(owned);
}

/* XLA writes the number when the type is registered. */
EXPORT XLA_FFI_TypeId longconv_jax_type_id = {0};
EXPORT XLA_FFI_TypeInfo longconv_jax_type_info = {XLA_FFI_TypeInfo_STRUCT_SIZE, NULL, destroy_state};

EXPORT void longconv_jax_bind(const services *table);
EXPORT XLA_FFI_Error *longconv_jax_instantiate(XLA_FFI_CallFrame *frame);
EXPORT XLA_FFI_Error *longconv_jax_execute(XLA_FFI_CallFrame *frame);

void longconv_jax_bind(const services *table)
{
    longconv = *table;
}

static XLA_FFI_Error *fail(const XLA_FFI_CallFrame *frame, XLA_FFI_Error_Code code, const char *message)
{
    XLA_FFI_Error_Create_Args args = {XLA_FFI_Error_Create_Args_STRUCT_SIZE, NULL, message, code};
    return frame->api->XLA_FFI_Error_Create(&args);
}

static XLA_FFI_Error *fail_status(const XLA_FFI_CallFrame *frame, lcv_status status)
{
    XLA_FFI_Error_Code code = XLA_FFI_Error_Code_INTERNAL;
    if (status == LCV_INVALID_ARG || status == LCV_TOO_LARGE)
        code = XLA_FFI_Error_Code_INVALID_ARGUMENT;
    else if (status == LCV_UNSUPPORTED)
        code = XLA_FFI_Error_Code_UNIMPLEMENTED;
    else if (status == LCV_OUT_OF_MEMORY)
        code = XLA_FFI_Error_Code_RESOURCE_EXHAUSTED;
    return fail(frame, code, longconv.message(NULL));
}

/* XLA asks once which version a handler was compiled for. True: this call was that question. */
static int answered(const XLA_FFI_CallFrame *frame)
{
    for (XLA_FFI_Extension_Base *next = frame->extension_start; next; next = next->next) {
        if (next->type != XLA_FFI_Extension_Metadata)
            continue;
        XLA_FFI_Metadata *metadata = ((XLA_FFI_Metadata_Extension *)next)->metadata;
        metadata->api_version.major_version = XLA_FFI_API_MAJOR;
        metadata->api_version.minor_version = XLA_FFI_API_MINOR;
        metadata->traits = 0;
        metadata->state_type_id = longconv_jax_type_id;
        return 1;
    }
    return 0;
}

static const void *attribute(const XLA_FFI_CallFrame *frame, const char *name, XLA_FFI_AttrType type)
{
    for (int64_t i = 0; i < frame->attrs.size; i++) {
        const XLA_FFI_ByteSpan *given = frame->attrs.names[i];
        if (frame->attrs.types[i] == type && given->len == strlen(name) &&
            !memcmp(given->ptr, name, given->len))
            return frame->attrs.attrs[i];
    }
    return NULL;
}

/* The numbers of the attribute `problem`, or NULL. */
static const int64_t *problem_of(const XLA_FFI_CallFrame *frame)
{
    const XLA_FFI_Array *array = attribute(frame, "problem", XLA_FFI_AttrType_ARRAY);
    return array && array->dtype == XLA_FFI_DataType_S64 && array->size == PROBLEM_SIZE ? array->data : NULL;
}

static lcv_conv_params params_of(const int64_t *problem, const char *backend)
{
    lcv_conv_params params = LCV_CONV_PARAMS_INIT;
    params.dtype = (lcv_dtype)problem[DTYPE];
    params.mode = (lcv_conv_mode)problem[MODE];
    params.layout = (lcv_layout)problem[LAYOUT];
    params.filter_form = (lcv_filter_form)problem[FILTER_FORM];
    params.activation = (lcv_activation)problem[ACTIVATION];
    params.batch = problem[BATCH];
    params.channels = problem[CHANNELS];
    params.seqlen = problem[SEQLEN];
    params.filter_len = problem[FILTER_LEN];
    params.filter_future_len = problem[FILTER_FUTURE_LEN];
    params.future_first_lag = problem[FUTURE_FIRST_LAG];
    params.filter_groups = problem[FILTER_GROUPS];
    params.terms = (uint32_t)problem[TERMS];
    params.grad_mask = (uint32_t)problem[GRAD_MASK];
    params.workspace_owner = LCV_WORKSPACE_CALLER;
    params.backend = backend;
    return params;
}

static lcv_status create_plan(const int64_t *problem, const char *backend, state *made)
{
    const lcv_conv_params params = params_of(problem, backend);
    lcv_status status = longconv.plan_create(longconv.context, &params, &made->plan);
    if (status != LCV_OK)
        return status;
    lcv_plan_info info = {.struct_size = sizeof info};
    status = longconv.plan_describe(made->plan, &info);
    made->workspace_bytes = info.workspace_bytes;
    return status;
}

XLA_FFI_Error *longconv_jax_instantiate(XLA_FFI_CallFrame *frame)
{
    if (answered(frame))
        return NULL;
    const int64_t *problem = problem_of(frame);
    const XLA_FFI_ByteSpan *name = attribute(frame, "backend", XLA_FFI_AttrType_STRING);
    char backend[64];
    if (!problem || !name || name->len >= sizeof backend)
        return fail(
            frame, XLA_FFI_Error_Code_INVALID_ARGUMENT,
            "longconv: expected the attributes `problem` (15 numbers) and `backend` (below 64 characters)");
    memcpy(backend, name->ptr, name->len);
    backend[name->len] = '\0';
    state *made = calloc(1, sizeof *made);
    if (!made)
        return fail(frame, XLA_FFI_Error_Code_RESOURCE_EXHAUSTED, "longconv: no memory for a plan");
    const lcv_status status = create_plan(problem, backend, made);
    if (status != LCV_OK) {
        XLA_FFI_Error *error = fail_status(frame, status);
        destroy_state(made);
        return error;
    }
    XLA_FFI_State_Set_Args args = {
        XLA_FFI_State_Set_Args_STRUCT_SIZE, NULL, frame->ctx, frame->stage, &longconv_jax_type_id, made};
    return frame->api->XLA_FFI_State_Set(&args);
}

/* A buffer as a tensor; one that cannot be told is the empty tensor, which the library then misses by name.
 */
static lcv_tensor tensor_of(const XLA_FFI_Buffer *buffer)
{
    lcv_tensor none = LCV_TENSOR_NONE;
    if (buffer->rank > LCV_MAX_RANK)
        return none;
    const int32_t rank = (int32_t)buffer->rank;
    switch (buffer->dtype) {
    case XLA_FFI_DataType_F32:
        return longconv.compact(buffer->data, LCV_F32, rank, buffer->dims);
    case XLA_FFI_DataType_F64:
        return longconv.compact(buffer->data, LCV_F64, rank, buffer->dims);
    case XLA_FFI_DataType_F16:
        return longconv.compact(buffer->data, LCV_F16, rank, buffer->dims);
    case XLA_FFI_DataType_BF16:
        return longconv.compact(buffer->data, LCV_BF16, rank, buffer->dims);
    default:
        return none;
    }
}

/* Puts the buffers, in order, into those places whose bits are set. 0: there are fewer buffers than bits. */
static int fill(lcv_tensor *const *places, int count, int64_t bits, void *const *buffers,
                int64_t buffer_count)
{
    int64_t used = 0;
    for (int i = 0; i < count; i++) {
        if (!(bits >> i & 1))
            continue;
        if (used == buffer_count || !places[i])
            return 0;
        *places[i] = tensor_of(buffers[used++]);
    }
    return used == buffer_count;
}

/* Status 1 stands for operands or results that do not fit the attributes. */
enum { MISFIT = 1 };

static int run_forward(const XLA_FFI_CallFrame *frame, const int64_t *problem, const state *own,
                       void *workspace)
{
    lcv_conv_args a = LCV_CONV_ARGS_INIT;
    lcv_tensor *const input[INPUT_COUNT] = {&a.u,        &a.filter,    &a.filter_future, &a.skip, &a.bias,
                                            &a.pre_gate, &a.post_gate, &a.state_in,      NULL,    NULL};
    lcv_tensor *const output[FORWARD_OUTPUTS] = {&a.y, &a.state_out};
    const int64_t outputs = problem[TERMS] & LCV_TERM_STATE ? 3 : 1;
    if (!fill(input, INPUT_COUNT, problem[INPUTS], frame->args.args, frame->args.size) ||
        !fill(output, FORWARD_OUTPUTS, outputs, frame->rets.rets, frame->rets.size - 1))
        return MISFIT;
    a.exec.workspace = workspace;
    a.exec.workspace_bytes = own->workspace_bytes;
    return longconv.forward(own->plan, &a);
}

static int run_backward(const XLA_FFI_CallFrame *frame, const int64_t *problem, const state *own,
                        void *workspace)
{
    lcv_conv_grad_args a = LCV_CONV_GRAD_ARGS_INIT;
    lcv_tensor *const input[INPUT_COUNT] = {&a.u,    &a.filter,    &a.filter_future, &a.skip,
                                            &a.bias, &a.pre_gate,  &a.post_gate,     &a.state_in,
                                            &a.dy,   &a.dstate_out};
    lcv_tensor *const output[GRADIENT_COUNT] = {&a.du,    &a.dfilter,   &a.dfilter_future, &a.dskip,
                                                &a.dbias, &a.dpre_gate, &a.dpost_gate,     &a.dstate_in};
    if (!fill(input, INPUT_COUNT, problem[INPUTS], frame->args.args, frame->args.size) ||
        !fill(output, GRADIENT_COUNT, problem[GRAD_MASK], frame->rets.rets, frame->rets.size - 1))
        return MISFIT;
    a.exec.workspace = workspace;
    a.exec.workspace_bytes = own->workspace_bytes;
    return longconv.backward(own->plan, &a);
}

XLA_FFI_Error *longconv_jax_execute(XLA_FFI_CallFrame *frame)
{
    if (answered(frame))
        return NULL;
    XLA_FFI_State_Get_Args got = {XLA_FFI_State_Get_Args_STRUCT_SIZE,
                                  NULL,
                                  frame->ctx,
                                  XLA_FFI_ExecutionStage_INSTANTIATE,
                                  &longconv_jax_type_id,
                                  NULL};
    XLA_FFI_Error *error = frame->api->XLA_FFI_State_Get(&got);
    if (error)
        return error;
    const state *own = got.state;
    const int64_t *problem = problem_of(frame);
    if (!problem || frame->rets.size < 1)
        return fail(frame, XLA_FFI_Error_Code_INVALID_ARGUMENT,
                    "longconv: expected `problem` and a workspace");
    const XLA_FFI_Buffer *workspace = frame->rets.rets[frame->rets.size - 1];
    if (workspace->rank != 1 || (uint64_t)workspace->dims[0] < own->workspace_bytes)
        return fail(
            frame, XLA_FFI_Error_Code_FAILED_PRECONDITION,
            "longconv: this program was compiled where a plan needs less workspace (other processor, thread "
            "count or library); compile it again");
    const int status = problem[GRAD_MASK] ? run_backward(frame, problem, own, workspace->data)
                                          : run_forward(frame, problem, own, workspace->data);
    if (status == MISFIT)
        return fail(frame, XLA_FFI_Error_Code_INVALID_ARGUMENT,
                    "longconv: operands and results do not fit the attribute `problem`");
    return status == LCV_OK ? NULL : fail_status(frame, (lcv_status)status);
}
