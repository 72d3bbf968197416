/* SPDX-License-Identifier: BSD-3-Clause */
/* The convolution step: a long convolution with its gates and skip, a short one, or none (pointwise), each
 * one call of the backend for each piece of the sequence.
 *
 * A step that adds to its output uses that backward of an anticausal convolution is a causal one: with
 *     y[t] = a[t] sum_j h[j] b[t+j] u[t+j]  follows  du[s] = b[s] sum_j h[j] a[s-j] dy[s-j],
 * and backward can add to du. So `in` is given as dy, and the gates change places. */
#include "../mixer.h"

#include <string.h>

static const struct {
    uint32_t term, grad;
} slots[LCVI_SLOTS] = {
    [LCVI_IN] = {0, LCV_GRAD_U},
    [LCVI_WEIGHT] = {0, LCV_GRAD_FILTER},
    [LCVI_SKIP] = {LCV_TERM_SKIP, LCV_GRAD_SKIP},
    [LCVI_BIAS] = {LCV_TERM_BIAS, LCV_GRAD_BIAS},
    [LCVI_PRE_GATE] = {LCV_TERM_PRE_GATE, LCV_GRAD_PRE_GATE},
    [LCVI_POST_GATE] = {LCV_TERM_POST_GATE, LCV_GRAD_POST_GATE},
    [LCVI_FUTURE] = {0, LCV_GRAD_FILTER_FUTURE},
};

/* ---- Declaration ---- */

static bool has_gradient(const lcvi_program *program, lcvi_rows rows)
{
    return lcvi_rows_exist(rows) && !program->array[rows.array].one;
}

/* What a step's plans have to do. */
typedef struct {
    uint32_t terms;
    uint32_t grads;      /* of all slots */
    uint32_t adds;       /* those that a later step has written already */
    uint32_t parameters; /* those of the caller's parameters */
} masks;

static masks masks_of(const lcvi_program *program, const lcvi_step *step)
{
    masks m = {0};
    for (int slot = 0; slot < LCVI_SLOTS; slot++) {
        const lcvi_rows rows = step->slot[slot];
        if (!lcvi_rows_exist(rows))
            continue;
        m.terms |= slots[slot].term;
        if (!has_gradient(program, rows))
            continue;
        m.grads |= slots[slot].grad;
        if (step->slot_adds[slot])
            m.adds |= slots[slot].grad;
        if (lcvi_slot_is_parameter((lcvi_slot)slot) && program->array[rows.array].port >= 0)
            m.parameters |= slots[slot].grad;
    }
    return m;
}

/* Channels-last where the step touches the caller's channels-last data. */
static lcv_layout layout_of(const lcvi_program *program, const lcvi_step *step)
{
    const lcvi_mixer_array *in = &program->array[step->slot[LCVI_IN].array],
                           *out = &program->array[step->out.array];
    return in->layout == LCV_LAYOUT_BLD || out->layout == LCV_LAYOUT_BLD ? LCV_LAYOUT_BLD : LCV_LAYOUT_BDL;
}

/* Fewer filters than channels are shared by groups of them. */
static void take_filters(const lcvi_program *program, const lcvi_step *step, lcv_conv_params *conv)
{
    const lcvi_rows filter = step->slot[LCVI_WEIGHT], future = step->slot[LCVI_FUTURE];
    if (lcvi_rows_exist(future))
        conv->filter_future_len = program->array[future.array].length;
    if (!lcvi_rows_exist(filter) || filter.count == step->out.count)
        return;
    conv->filter_form = filter.count == 1 ? LCV_FILTER_SHARED : LCV_FILTER_GROUPED;
    conv->filter_groups = filter.count == 1 ? 0 : filter.count;
}

lcvi_part lcvi_long_part(const lcvi_program *program, const lcvi_step *step, int64_t channels)
{
    const lcv_conv_params conv = LCV_CONV_PARAMS_INIT;
    const lcv_mixer_params *p = &program->params;
    lcvi_part part = {.conv = conv};
    part.conv.dtype = p->dtype;
    part.conv.layout = layout_of(program, step);
    part.conv.device = p->device;
    part.conv.batch = p->batch;
    part.conv.channels = channels;
    part.conv.seqlen = p->seqlen / step->pieces;
    part.conv.filter_len = step->taps;
    part.conv.workspace_owner = LCV_WORKSPACE_CALLER;
    part.conv.num_threads = p->num_threads;
    part.conv.engine = step->taps > 0 ? p->engine : NULL;
    part.conv.planning = p->planning;
    part.conv.exact_causality = p->exact_causality;
    part.conv.reproducible = p->reproducible;
    return part;
}

static lcvi_part long_part(const lcvi_program *program, const lcvi_step *step, uint32_t terms, uint32_t grads,
                           uint32_t adds)
{
    lcvi_part part = lcvi_long_part(program, step, step->out.count);
    part.conv.activation = step->activation;
    part.conv.mode = step->mode;
    part.conv.future_first_lag = step->mode == LCV_CONV_TWOSIDED ? step->future_first_lag : 1;
    take_filters(program, step, &part.conv);
    part.conv.terms = terms;
    part.conv.grad_mask = grads;
    part.conv.accumulate_mask = adds;
    return part;
}

static lcvi_part short_part(const lcvi_program *program, const lcvi_step *step, uint32_t terms,
                            uint32_t grads, uint32_t adds)
{
    const lcv_short_conv_params short_conv = LCV_SHORT_CONV_PARAMS_INIT;
    const lcv_mixer_params *p = &program->params;
    lcvi_part part = {.is_short = true, .short_conv = short_conv};
    part.short_conv.dtype = p->dtype;
    part.short_conv.layout = layout_of(program, step);
    part.short_conv.tap_order = step->tap_order;
    part.short_conv.activation = step->activation;
    part.short_conv.device = p->device;
    part.short_conv.batch = p->batch;
    part.short_conv.channels = step->out.count;
    part.short_conv.seqlen = p->seqlen / step->pieces;
    part.short_conv.taps = step->taps;
    part.short_conv.terms = terms;
    part.short_conv.grad_mask = grads;
    part.short_conv.accumulate_mask = adds;
    part.short_conv.workspace_owner = LCV_WORKSPACE_CALLER;
    part.short_conv.num_threads = p->num_threads;
    part.short_conv.exact_causality = p->exact_causality;
    return part;
}

static int32_t add_part(lcvi_program *program, const lcvi_step *step, uint32_t terms, uint32_t grads,
                        uint32_t adds)
{
    const lcvi_part part = step->is_short ? short_part(program, step, terms, grads, adds)
                                          : long_part(program, step, terms, grads, adds);
    return lcvi_program_part(program, &part);
}

/* The part whose backward is the forward of a step that adds. */
static int32_t add_transposed_part(lcvi_program *program, const lcvi_step *step, uint32_t terms)
{
    const uint32_t gates = LCV_TERM_PRE_GATE | LCV_TERM_POST_GATE;
    uint32_t exchanged = terms & ~gates;
    if ((terms & LCV_TERM_PRE_GATE) != 0)
        exchanged |= LCV_TERM_POST_GATE;
    if ((terms & LCV_TERM_POST_GATE) != 0)
        exchanged |= LCV_TERM_PRE_GATE;
    lcvi_part part = long_part(program, step, exchanged, LCV_GRAD_U, step->adds ? LCV_GRAD_U : 0);
    part.conv.mode = LCV_CONV_ANTICAUSAL;
    return lcvi_program_part(program, &part);
}

static bool has_long_filter(const lcvi_step *step)
{
    return !step->is_short && lcvi_rows_exist(step->slot[LCVI_WEIGHT]);
}

/* Can a step be computed by add_transposed_part? */
static bool may_add(const lcvi_step *step, uint32_t terms)
{
    return !step->is_short && step->mode == LCV_CONV_CAUSAL && step->activation == LCV_ACTIVATION_NONE &&
           (terms & LCV_TERM_BIAS) == 0;
}

static void declare_backward(lcvi_program *program, lcvi_step *step, const masks *m)
{
    step->part[1] = add_part(program, step, m->terms, m->grads, m->adds);
    step->part[2] = add_part(program, step, m->terms, m->grads, m->adds | m->parameters);
    if (!has_long_filter(step))
        return;
    step->spectrum[1] = lcvi_program_spectrum(program, step, step->part[1], true, (int32_t)step->pieces);
    if (lcvi_program_runs_again(program, step))
        program->spectrum[step->spectrum[0]].uses[1] += (int32_t)step->pieces;
}

static void declare(lcvi_program *program, lcvi_step *step)
{
    const masks m = masks_of(program, step);
    if (step->adds && !may_add(step, m.terms))
        lcvi_mixer_refuse(program, LCV_INTERNAL, "a step that adds is not causal and linear");
    step->part[0] =
        step->adds ? add_transposed_part(program, step, m.terms) : add_part(program, step, m.terms, 0, 0);
    if (has_long_filter(step))
        step->spectrum[0] = lcvi_program_spectrum(program, step, step->part[0], false, (int32_t)step->pieces);
    if (program->params.backward)
        declare_backward(program, step, &m);
}

static lcv_status query(const lcvi_program *program, const lcvi_step *step, const lcvi_backend *backend,
                        size_t *workspace)
{
    (void)program;
    (void)step;
    (void)backend;
    (void)workspace;
    return LCV_OK; /* the parts are asked for one by one */
}

/* ---- Execution ---- */

/* The samples of one piece. */
static lcv_array piece_of(const lcvi_mixer_run *run, const lcvi_step *step, lcv_array array, int64_t piece)
{
    const lcv_mixer_params *p = &run->program->params;
    const int64_t offset = piece * (p->seqlen / step->pieces) * array.stride[2];
    if (array.data != NULL)
        array.data = (char *)array.data + offset * (int64_t)lcv_dtype_size(p->dtype);
    return array;
}

static lcv_array value_of(const lcvi_mixer_run *run, const lcvi_step *step, lcvi_slot slot, int64_t piece)
{
    const lcv_array array = lcvi_run_value(run, step->slot[slot]);
    return lcvi_slot_is_parameter(slot) ? array : piece_of(run, step, array, piece);
}

static lcv_array gradient_of(const lcvi_mixer_run *run, const lcvi_step *step, lcvi_slot slot, int64_t piece)
{
    const lcv_array array = lcvi_run_gradient(run, step->slot[slot]);
    return lcvi_slot_is_parameter(slot) ? array : piece_of(run, step, array, piece);
}

static lcv_conv_call inputs_of(const lcvi_mixer_run *run, const lcvi_step *step, int64_t piece,
                               int32_t spectrum)
{
    lcv_conv_call call = {.u = value_of(run, step, LCVI_IN, piece),
                          .filter = value_of(run, step, LCVI_WEIGHT, piece),
                          .filter_future = value_of(run, step, LCVI_FUTURE, piece),
                          .skip = value_of(run, step, LCVI_SKIP, piece),
                          .bias = value_of(run, step, LCVI_BIAS, piece),
                          .pre_gate = value_of(run, step, LCVI_PRE_GATE, piece),
                          .post_gate = value_of(run, step, LCVI_POST_GATE, piece),
                          .exec = run->exec};
    if (spectrum >= 0)
        call.spectrum = run->spectrum[spectrum];
    return call;
}

static lcv_status run_part(const lcvi_mixer_run *run, int32_t part, lcv_conv_call *call, bool backward)
{
    const lcv_plan *plan = run->program->part[part].plan;
    return plan->op->run(plan, call, backward);
}

static lcv_status forward_piece(const lcvi_mixer_run *run, const lcvi_step *step, int64_t piece)
{
    lcv_conv_call call = inputs_of(run, step, piece, step->spectrum[0]);
    const lcv_array out = piece_of(run, step, lcvi_run_value(run, step->out), piece);
    if (!step->adds) {
        call.y = out;
        return run_part(run, step->part[0], &call, false);
    }
    const lcv_array pre_gate = call.pre_gate;
    call.dy = call.u;
    call.u = (lcv_array){0};
    call.pre_gate = call.post_gate;
    call.post_gate = pre_gate;
    call.du = out;
    return run_part(run, step->part[0], &call, true);
}

static lcv_status forward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    lcv_status status = LCV_OK;
    for (int64_t piece = 0; status == LCV_OK && piece < step->pieces; piece++)
        status = forward_piece(run, step, piece);
    return status;
}

static lcv_status backward_piece(const lcvi_mixer_run *run, const lcvi_step *step, int64_t piece)
{
    lcv_conv_call call = inputs_of(run, step, piece, step->spectrum[1]);
    call.dy = piece_of(run, step, lcvi_run_gradient(run, step->out), piece);
    call.du = gradient_of(run, step, LCVI_IN, piece);
    call.dfilter = gradient_of(run, step, LCVI_WEIGHT, piece);
    call.dfilter_future = gradient_of(run, step, LCVI_FUTURE, piece);
    call.dskip = gradient_of(run, step, LCVI_SKIP, piece);
    call.dbias = gradient_of(run, step, LCVI_BIAS, piece);
    call.dpre_gate = gradient_of(run, step, LCVI_PRE_GATE, piece);
    call.dpost_gate = gradient_of(run, step, LCVI_POST_GATE, piece);
    return run_part(run, run->accumulate || piece > 0 ? step->part[2] : step->part[1], &call, true);
}

static lcv_status backward(const lcvi_mixer_run *run, const lcvi_step *step)
{
    lcv_status status = LCV_OK;
    for (int64_t piece = 0; status == LCV_OK && piece < step->pieces; piece++)
        status = backward_piece(run, step, piece);
    return status;
}

const lcvi_step_kind lcvi_conv_step = {.engine = "none",
                                       .declare = declare,
                                       .query = query,
                                       .forward = forward,
                                       .stream = lcvi_conv_step_stream,
                                       .backward = backward,
                                       .in_place = true};
