# SPDX-License-Identifier: BSD-3-Clause
"""Generation with the layers: what LongConv, HyenaOperator and H3 inherit to run one token at a time.

    y, stream = layer.prefill(prompt)      # or stream = layer.stream(batch)
    y = layer.step(token, stream)          # [batch, channels] to the same

A stream holds copies of the parameters as they were when it was made, and the past. It can mark, roll back, fork, save and
load (`longconv.Stream`). Results have no gradients, dropout is left out, and all is on the CPU."""
import torch
from torch.nn import functional

from .. import _errors
from .._stream import MixerStream, Stream
from . import _inputs, _kernels


def _array(tensor):
    """A parameter as NumPy array of the compute dtype."""
    if tensor is None:
        return None
    if tensor.device.type != "cpu":
        raise _errors.UnsupportedError(f"streams run on the CPU only, and the layer is on {tensor.device}")
    return tensor.detach().to(_kernels.compute_dtype(tensor.dtype)).numpy()


def _name(dtype):
    """The dtype's name in NumPy."""
    return str(dtype).removeprefix("torch.")


def _described(name, tensor):
    return tensor.data_ptr(), _kernels._view(name, tensor)


def _run(stream, verb, result_shape, **inputs):
    """Runs on tensors; returns the result in the dtype of the stream."""
    kind = Stream if "u" in inputs else MixerStream
    if not isinstance(stream, kind):
        raise _errors.InvalidArgumentError(f"stream: expected what stream() or prefill() of this layer made, given "
                                           f"{type(stream).__name__}")
    given = {name: tensor.detach().resolve_neg() for name, tensor in inputs.items() if tensor is not None}
    first = next(iter(given.values()))
    result = torch.empty(result_shape, dtype=first.dtype, device=first.device)
    stream._execute(verb, {name: _described(name, tensor) for name, tensor in {**given, "y": result}.items()})
    return result


class Steps:
    """The verbs; a layer says how its stream is made and what it does with a token."""

    def stream(self, batch=1, *, max_len=0, mode="auto", generate_len=0):
        """A stream of this layer at position 0, for `batch` sequences of up to `max_len` tokens (0: as many as the
        layer's l_max; of LongConv, any number). mode: "relaxed" (least mean time), "smooth" (bounded longest step) or "auto"."""
        with torch.no_grad():
            return self._stream(batch, max_len, mode, generate_len)

    def prefill(self, u, max_len=0, mode="auto", generate_len=0):
        """The layer's result on a prompt, shaped as in forward, and the stream that goes on after it; with generate_len for
        at most so many tokens, at less cost and memory."""
        _inputs.expect_tensor("u", u, rank=3)
        stream = self.stream(u.shape[0], max_len=max_len, mode=mode, generate_len=generate_len)
        with torch.no_grad():
            return self._tokens("prefill", stream, u), stream

    def push(self, u, stream):
        """The next tokens, shaped as in forward."""
        _inputs.expect_tensor("u", u, rank=3)
        with torch.no_grad():
            return self._tokens("push", stream, u)

    def step(self, u, stream):
        """The next token, [batch, channels]."""
        _inputs.expect_tensor("u", u, rank=2)
        with torch.no_grad():
            return self._tokens("step", stream, u)


class LongConvSteps(Steps):
    def _stream(self, batch, max_len, mode, generate_len):
        if self.mode != "causal":
            raise _errors.UnsupportedError(f"mode: only causal layers have streams, this one is {self.mode}")
        return Stream(_array(self.filter), channels=self.channels, batch=batch, max_len=max_len, mode=mode, generate_len=generate_len,
                      skip=_array(self.skip), bias=_array(self.bias), activation=self.activation, layout=self.layout,
                      dtype=_name(self.filter.dtype), threads=_kernels.threads())

    def _tokens(self, verb, stream, u):
        return _run(stream, verb, u.shape, u=u)


class HyenaSteps(Steps):
    """The gates, the short and the long convolutions of a token are one call; activation and output projection follow."""

    def _stream(self, batch, max_len, mode, generate_len):
        if self.num_blocks != 1:
            raise _errors.UnsupportedError(f"num_blocks: a stream has one block, this layer {self.num_blocks}")
        taps, skips = self._filters(self.l_max)
        short = self.short_filter.weight[:, 0]
        if short.shape[1] == 1:
            short = functional.pad(short, (1, 0))
        options = {"order": self.order, "projections": "in", "projection_bias": self.in_proj.bias is not None,
                   "short_taps": short.shape[1], "short_bias": self.short_filter.bias is not None,
                   "filter_len": self.l_max, "filter_index": "order_major"}
        arrays = {"in_weight": self.in_proj.weight, "in_bias": self.in_proj.bias, "short_weight": short,
                  "short_bias": self.short_filter.bias, "filter": taps.flatten(0, 1), "skip": skips.flatten()}
        return MixerStream("hyena", self.d_model, batch=batch, max_len=max_len or self.l_max, mode=mode,
                           generate_len=generate_len, dtype=_name(self.in_proj.weight.dtype), threads=_kernels.threads(), options=options,
                           **{name: _array(tensor) for name, tensor in arrays.items() if tensor is not None})

    def _tokens(self, verb, stream, u):
        return self._finish(_run(stream, verb, u.shape, x=u))


class H3Steps(Steps):
    def _stream(self, batch, max_len, mode, generate_len):
        length = self.l_max or max_len
        if not length:
            raise _errors.InvalidArgumentError("max_len: is needed where the layer has no l_max")
        shift, projections = self.ssm_k_kernel(length), (self.q_proj, self.k_proj, self.v_proj)
        options = {"head_dim": self.head_dim, "head_order": self.output_order.removeprefix("heads_"),
                   "shift_len": shift.shape[1], "filter_len": length}
        arrays = {"in_weight": torch.cat([linear.weight for linear in projections]),
                  "in_bias": torch.cat([linear.bias for linear in projections]), "shift_filter": shift,
                  "shift_skip": self.ssm_k_D, "filter": self.kernel(length), "skip": self.D,
                  "out_weight": self.output_linear.weight, "out_bias": self.output_linear.bias}
        return MixerStream("h3", self.d_model, batch=batch, max_len=max_len or length, mode=mode,
                           generate_len=generate_len, dtype=_name(self.q_proj.weight.dtype), threads=_kernels.threads(), options=options,
                           **{name: _array(tensor) for name, tensor in arrays.items()})

    def _tokens(self, verb, stream, u):
        return _run(stream, verb, u.shape, x=u)
