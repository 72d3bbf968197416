# SPDX-License-Identifier: BSD-3-Clause
"""The C interface through ctypes, as far as the comparison scripts need it: float32 causal convolution of
contiguous arrays [batch, channels, seqlen], gated or not, forward and backward."""
import ctypes as c
import os

F32 = 0
TERM_PRE_GATE, TERM_POST_GATE, TERM_SKIP = 1 << 2, 1 << 3, 1 << 0
GRAD_U, GRAD_FILTER, GRAD_SKIP, GRAD_PRE_GATE, GRAD_POST_GATE = 1 << 0, 1 << 1, 1 << 3, 1 << 5, 1 << 6


class Tensor(c.Structure):
    _fields_ = [("data", c.c_void_p), ("dtype", c.c_int), ("rank", c.c_int32), ("shape", c.c_int64 * 3),
                ("strides", c.c_int64 * 3), ("device", c.c_int), ("device_index", c.c_int32)]


class Exec(c.Structure):
    _fields_ = [("stream", c.c_void_p), ("workspace", c.c_void_p), ("workspace_bytes", c.c_size_t),
                ("parallel_for", c.c_void_p), ("user", c.c_void_p)]


class ConvParams(c.Structure):
    _fields_ = ([("struct_size", c.c_size_t)] +
                [(n, c.c_int) for n in ("dtype", "mode", "layout", "filter_form", "activation", "device")] +
                [(n, c.c_int64) for n in ("batch", "channels", "seqlen", "filter_len", "filter_future_len",
                                          "future_first_lag", "filter_groups")] +
                [(n, c.c_uint32) for n in ("terms", "grad_mask", "accumulate_mask")] +
                [("workspace_owner", c.c_int), ("max_workspace_bytes", c.c_uint64), ("num_threads", c.c_int32),
                 ("backend", c.c_char_p), ("engine", c.c_char_p), ("exact_causality", c.c_int32),
                 ("reproducible", c.c_int32), ("precision", c.c_int32), ("planning", c.c_int)])


class ConvArgs(c.Structure):
    _fields_ = ([("struct_size", c.c_size_t)] +
                [(n, Tensor) for n in ("u", "filter", "filter_future")] + [("spectrum", c.c_void_p)] +
                [(n, Tensor) for n in ("skip", "bias", "pre_gate", "post_gate", "state_in", "y", "state_out",
                                       "seq_offsets")] + [("exec", Exec)])


class ConvGradArgs(c.Structure):
    _fields_ = ([("struct_size", c.c_size_t)] +
                [(n, Tensor) for n in ("u", "filter", "filter_future")] + [("spectrum", c.c_void_p)] +
                [(n, Tensor) for n in ("skip", "bias", "pre_gate", "post_gate", "state_in", "dy", "dstate_out",
                                       "du", "dfilter", "dfilter_future", "dskip", "dbias", "dpre_gate",
                                       "dpost_gate", "dstate_in")] + [("exec", Exec)])


class PlanInfo(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("kind", c.c_char_p), ("backend", c.c_char_p), ("engine", c.c_char_p),
                ("explanation", c.c_char_p), ("fft_size", c.c_int64), ("workspace_bytes", c.c_size_t),
                ("spectrum_bytes", c.c_size_t), ("threads", c.c_int32)]


def load(build_dir):
    lib = c.CDLL(os.path.join(build_dir, "lib", "liblongconv.so"))
    lib.lcv_context_message.restype = c.c_char_p
    for name in ("lcv_context_message", "lcv_conv_forward", "lcv_conv_backward", "lcv_plan_describe"):
        getattr(lib, name).argtypes = [c.c_void_p] + [c.c_void_p] * (name != "lcv_context_message")
    return lib


def view(array):
    """A numpy float32 array, contiguous, as a tensor."""
    tensor = Tensor(data=array.ctypes.data, dtype=F32, rank=array.ndim)
    for axis in range(array.ndim):
        tensor.shape[axis] = array.shape[axis]
        tensor.strides[axis] = array.strides[axis] // array.itemsize
    return tensor


class Context:
    def __init__(self, lib):
        self.lib, self.handle = lib, c.c_void_p()
        self.check(lib.lcv_context_create(None, c.byref(self.handle)))

    def check(self, status):
        if status != 0:
            raise RuntimeError(self.lib.lcv_context_message(self.handle).decode())


class Conv:
    """A plan with its arguments bound: forward() and backward() run on the arrays given here."""

    def __init__(self, context, u, filter, y, threads, skip=None, pre_gate=None, post_gate=None, grads=None,
                 prepared=False, engine=None):
        self.context, self.lib = context, context.lib
        self.kept = [u, filter, y, skip, pre_gate, post_gate, grads]
        params = ConvParams()
        self.lib.lcv_conv_params_init(c.byref(params), c.sizeof(params))
        params.batch, params.channels, params.seqlen = u.shape
        params.filter_len, params.num_threads = filter.shape[1], threads
        params.engine = engine.encode() if engine else None
        params.terms = (TERM_SKIP * (skip is not None) | TERM_PRE_GATE * (pre_gate is not None) |
                        TERM_POST_GATE * (post_gate is not None))
        if grads is not None:
            params.grad_mask = (GRAD_U | GRAD_FILTER | GRAD_SKIP * ("dskip" in grads) |
                                GRAD_PRE_GATE * ("dpre_gate" in grads) | GRAD_POST_GATE * ("dpost_gate" in grads))
        self.plan = c.c_void_p()
        context.check(self.lib.lcv_conv_plan_create(context.handle, c.byref(params), c.byref(self.plan)))
        inputs = {"u": u, "filter": filter, "skip": skip, "pre_gate": pre_gate, "post_gate": post_gate}
        inputs = {name: view(array) for name, array in inputs.items() if array is not None}
        self.args = ConvArgs(struct_size=c.sizeof(ConvArgs), y=view(y), **inputs)
        if grads is not None:
            outputs = {name: view(array) for name, array in grads.items()}
            self.grad_args = ConvGradArgs(struct_size=c.sizeof(ConvGradArgs), **inputs, **outputs)
        if prepared:
            self.prepare(inputs["filter"])

    def prepare(self, taps):
        spectrum = c.c_void_p()
        self.context.check(self.lib.lcv_spectrum_create(self.plan, None, c.c_size_t(0), c.byref(spectrum)))
        self.context.check(self.lib.lcv_spectrum_prepare(spectrum, self.plan, c.byref(taps), None, None))
        self.args.spectrum, self.args.filter = spectrum.value, Tensor()

    def forward(self):
        self.context.check(self.lib.lcv_conv_forward(self.plan, c.byref(self.args)))

    def backward(self):
        self.context.check(self.lib.lcv_conv_backward(self.plan, c.byref(self.grad_args)))

    def engine(self):
        info = PlanInfo(struct_size=c.sizeof(PlanInfo))
        self.context.check(self.lib.lcv_plan_describe(self.plan, c.byref(info)))
        return info.engine.decode()
