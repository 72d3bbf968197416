# SPDX-License-Identifier: BSD-3-Clause
"""The structs of include/longconv/*.h. A test compares sizes and offsets with what a C compiler says."""
import ctypes as c

MAX_RANK = 3


class Tensor(c.Structure):
    _fields_ = [("data", c.c_void_p), ("dtype", c.c_int), ("rank", c.c_int32), ("shape", c.c_int64 * MAX_RANK),
                ("strides", c.c_int64 * MAX_RANK), ("device", c.c_int), ("device_index", c.c_int32)]


def tensor(data, dtype, shape, strides, device, device_index):
    """A Tensor; strides are in elements."""
    made = Tensor(data=data, dtype=dtype, rank=len(shape), device=device, device_index=device_index)
    made.shape[:len(shape)], made.strides[:len(shape)] = shape, strides
    return made


class Exec(c.Structure):
    _fields_ = [("stream", c.c_void_p), ("workspace", c.c_void_p), ("workspace_bytes", c.c_size_t),
                ("parallel_for", c.c_void_p), ("user", c.c_void_p)]


class ContextParams(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("alloc", c.c_void_p), ("free", c.c_void_p),
                ("memory_user", c.c_void_p), ("log", c.c_void_p), ("log_user", c.c_void_p), ("log_level", c.c_int),
                ("num_threads", c.c_int32), ("backend_path", c.c_char_p)]


class BackendInfo(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("name", c.c_char_p), ("description", c.c_char_p),
                ("engines", c.c_char_p), ("reason", c.c_char_p), ("origin", c.c_char_p), ("device", c.c_int),
                ("available", c.c_int32), ("concurrent", c.c_int32)]


class PlanInfo(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("kind", c.c_char_p), ("backend", c.c_char_p), ("engine", c.c_char_p),
                ("explanation", c.c_char_p), ("fft_size", c.c_int64), ("workspace_bytes", c.c_size_t),
                ("spectrum_bytes", c.c_size_t), ("threads", c.c_int32), ("saved_bytes", c.c_size_t)]


class ConvParams(c.Structure):
    _fields_ = ([("struct_size", c.c_size_t)] +
                [(name, c.c_int) for name in ("dtype", "mode", "layout", "filter_form", "activation", "device")] +
                [(name, c.c_int64) for name in ("batch", "channels", "seqlen", "filter_len", "filter_future_len",
                                                "future_first_lag", "filter_groups")] +
                [(name, c.c_uint32) for name in ("terms", "grad_mask", "accumulate_mask")] +
                [("workspace_owner", c.c_int), ("max_workspace_bytes", c.c_uint64), ("num_threads", c.c_int32),
                 ("backend", c.c_char_p), ("engine", c.c_char_p), ("exact_causality", c.c_int32),
                 ("reproducible", c.c_int32), ("precision", c.c_int32), ("planning", c.c_int),
                 ("state_len", c.c_int64)])


def _args(before_spectrum, after_spectrum):
    """Fields of an args struct: tensors, the prepared filter, tensors, resources, saved."""
    return ([("struct_size", c.c_size_t)] + [(name, Tensor) for name in before_spectrum] +
            [("spectrum", c.c_void_p)] + [(name, Tensor) for name in after_spectrum] +
            [("exec", Exec), ("saved", c.c_void_p), ("saved_bytes", c.c_size_t)])


class ConvArgs(c.Structure):
    _fields_ = _args(("u", "filter", "filter_future"),
                     ("skip", "bias", "pre_gate", "post_gate", "state_in", "y", "state_out", "seq_offsets"))


class ConvGradArgs(c.Structure):
    _fields_ = _args(("u", "filter", "filter_future"),
                     ("skip", "bias", "pre_gate", "post_gate", "state_in", "dy", "dstate_out", "du", "dfilter",
                      "dfilter_future", "dskip", "dbias", "dpre_gate", "dpost_gate", "dstate_in"))


class OptionInfo(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("name", c.c_char_p), ("type", c.c_int), ("default_text", c.c_char_p),
                ("least", c.c_double), ("most", c.c_double), ("choices", c.c_char_p), ("help", c.c_char_p)]


class PortInfo(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("name", c.c_char_p), ("axes", c.c_char_p), ("help", c.c_char_p),
                ("role", c.c_int), ("dtype", c.c_int), ("rank", c.c_int32), ("shape", c.c_int64 * MAX_RANK),
                ("is_complex", c.c_int32), ("trainable", c.c_int32), ("optional", c.c_int32)]


class FilterFamilyInfo(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("name", c.c_char_p), ("summary", c.c_char_p), ("formula", c.c_char_p),
                ("source", c.c_char_p), ("option_count", c.c_int32), ("modal", c.c_int32)]


class FilterParams(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("family", c.c_char_p), ("options", c.c_char_p), ("dtype", c.c_int),
                ("channels", c.c_int64), ("max_len", c.c_int64), ("seed", c.c_uint64), ("num_threads", c.c_int32),
                ("backend", c.c_char_p), ("device", c.c_int)]


class FilterInfo(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("family", c.c_char_p), ("options", c.c_char_p), ("backend", c.c_char_p),
                ("dtype", c.c_int), ("channels", c.c_int64), ("filters", c.c_int64), ("max_len", c.c_int64),
                ("parameter_count", c.c_int32), ("modal", c.c_int32), ("modes", c.c_int64), ("threads", c.c_int32)]


class FilterArgs(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("seqlen", c.c_int64), ("first", c.c_int64), ("taps", Tensor),
                ("exec", Exec)]


class FilterGradArgs(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("seqlen", c.c_int64), ("first", c.c_int64), ("dtaps", Tensor),
                ("gradient_count", c.c_int32), ("gradients", c.POINTER(Tensor)), ("accumulate", c.c_int32),
                ("exec", Exec)]


class MixerInfo(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("name", c.c_char_p), ("summary", c.c_char_p), ("formula", c.c_char_p),
                ("source", c.c_char_p), ("option_count", c.c_int32)]


class MixerParams(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("mixer", c.c_char_p), ("options", c.c_char_p), ("dtype", c.c_int),
                ("device", c.c_int), ("batch", c.c_int64), ("channels", c.c_int64), ("seqlen", c.c_int64),
                ("backward", c.c_int32), ("workspace_owner", c.c_int), ("num_threads", c.c_int32),
                ("backend", c.c_char_p), ("engine", c.c_char_p), ("planning", c.c_int),
                ("exact_causality", c.c_int32), ("reproducible", c.c_int32)]


class MixerArgs(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("port_count", c.c_int32), ("tensors", c.POINTER(Tensor)),
                ("gradients", c.POINTER(Tensor)), ("accumulate", c.c_uint32), ("prepared", c.c_void_p), ("exec", Exec)]


class StreamParams(c.Structure):
    _fields_ = ([("struct_size", c.c_size_t)] +
                [(name, c.c_int) for name in ("dtype", "mode", "layout", "filter_form", "activation", "device")] +
                [(name, c.c_int64) for name in ("batch", "channels", "filter_len", "filter_groups", "max_len")] +
                [("terms", c.c_uint32), ("num_threads", c.c_int32), ("order", c.c_int64), ("tolerance", c.c_double),
                 ("backend", c.c_char_p), ("generate_len", c.c_int64)])


class StreamFilter(c.Structure):
    _fields_ = ([("struct_size", c.c_size_t)] +
                [(name, Tensor) for name in ("filter", "skip", "bias", "poles", "residues")] + [("family", c.c_void_p)])


class StreamInfo(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("mode", c.c_int), ("backend", c.c_char_p), ("explanation", c.c_char_p),
                ("position", c.c_int64), ("limit", c.c_int64), ("state_bytes", c.c_size_t),
                ("shared_bytes", c.c_size_t), ("scratch_bytes", c.c_size_t), ("fit_error", c.c_double)]


class StreamArgs(c.Structure):
    _fields_ = ([("struct_size", c.c_size_t)] +
                [(name, Tensor) for name in ("u", "pre_gate", "post_gate", "y")] + [("exec", Exec)])


class MixerStreamParams(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("mode", c.c_int), ("max_len", c.c_int64), ("order", c.c_int64),
                ("tolerance", c.c_double), ("num_threads", c.c_int32), ("generate_len", c.c_int64)]


class MixerStreamSetup(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("port_count", c.c_int32), ("tensors", c.POINTER(Tensor)),
                ("families", c.POINTER(c.c_void_p))]


class MixerStreamInfo(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("mixer", c.c_char_p), ("backend", c.c_char_p), ("streams", c.c_int32),
                ("position", c.c_int64), ("limit", c.c_int64), ("state_bytes", c.c_size_t),
                ("shared_bytes", c.c_size_t), ("scratch_bytes", c.c_size_t), ("fit_error", c.c_double)]


class MixerStreamArgs(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("port_count", c.c_int32), ("tensors", c.POINTER(Tensor)), ("exec", Exec)]


# By the name in C.
STRUCTS = {"lcv_tensor": Tensor, "lcv_exec": Exec, "lcv_context_params": ContextParams,
           "lcv_backend_info": BackendInfo, "lcv_plan_info": PlanInfo, "lcv_conv_params": ConvParams,
           "lcv_conv_args": ConvArgs, "lcv_conv_grad_args": ConvGradArgs, "lcv_option_info": OptionInfo,
           "lcv_port_info": PortInfo, "lcv_filter_family_info": FilterFamilyInfo, "lcv_filter_params": FilterParams,
           "lcv_filter_info": FilterInfo, "lcv_filter_args": FilterArgs, "lcv_filter_grad_args": FilterGradArgs,
           "lcv_mixer_info": MixerInfo, "lcv_mixer_params": MixerParams, "lcv_mixer_args": MixerArgs,
           "lcv_stream_params": StreamParams, "lcv_stream_filter": StreamFilter, "lcv_stream_info": StreamInfo,
           "lcv_stream_args": StreamArgs, "lcv_mixer_stream_params": MixerStreamParams,
           "lcv_mixer_stream_setup": MixerStreamSetup, "lcv_mixer_stream_info": MixerStreamInfo,
           "lcv_mixer_stream_args": MixerStreamArgs}
