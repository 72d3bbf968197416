# SPDX-License-Identifier: BSD-3-Clause
"""A convolution problem, as the key of its plan: everything that lcv_conv_params says."""
import ctypes as c
from typing import NamedTuple

from . import _errors, _words
from ._native import structs


class Problem(NamedTuple):
    """Numbers as in lcv_conv_params. `threads` is the context's."""

    dtype: int
    mode: int
    layout: int
    filter_form: int
    activation: int
    device: int
    device_index: int
    batch: int
    channels: int
    seqlen: int
    filter_len: int
    filter_future_len: int
    future_first_lag: int
    filter_groups: int
    terms: int
    grad_mask: int
    threads: int
    backend: str

    def params(self):
        """The struct of C. The caller of the plan brings the workspace."""
        params = structs.ConvParams()
        for name in self._fields:
            if name not in ("threads", "backend", "device_index"):
                setattr(params, name, getattr(self, name))
        params.struct_size = c.sizeof(params)
        params.workspace_owner = 1
        params.backend = self.backend.encode()
        return params


def _form(filter_shape, batch, channels):
    """Form and number of groups of a filter of this shape."""
    if len(filter_shape) == 3:
        if tuple(filter_shape[:2]) != (batch, channels):
            raise _errors.InvalidArgumentError(
                f"filter: expected shape [batch, channels, filter_len] = [{batch}, {channels}, filter_len] for "
                f"filters per sample, given {list(filter_shape)}")
        return _words.PER_SAMPLE, 0
    if len(filter_shape) != 2:
        raise _errors.InvalidArgumentError(
            "filter: expected rank 2 ([channels, taps], [groups, taps] or [1, taps]) or 3 ([batch, channels, taps]), "
            f"given shape {list(filter_shape)}")
    rows = filter_shape[0]
    if rows == channels:
        return _words.PER_CHANNEL, 0
    if rows == 1:
        return _words.SHARED, 0
    if rows == 0 or channels % rows != 0:
        raise _errors.InvalidArgumentError(
            f"filter: expected a number of rows that divides the {channels} channels, given {rows}")
    return _words.GROUPED, rows


def problem(u_shape, dtype, filter_shape, future_shape, *, mode, layout, activation, future_first_lag, terms, backend,
            grad_mask=0, device=_words.CPU, device_index=0, threads=0):
    """The problem of these shapes and words; errors name the argument."""
    if len(u_shape) != 3:
        raise _errors.InvalidArgumentError(
            f"u: expected rank 3 ([batch, channels, seqlen], or [batch, seqlen, channels] with layout='BLD'), given "
            f"shape {list(u_shape)}")
    channels_axis, time_axis = _words.axes(layout)
    batch, channels, seqlen = u_shape[0], u_shape[channels_axis], u_shape[time_axis]
    form, groups = _form(filter_shape, batch, channels)
    mode_number = _words.number(_words.MODES, "mode", mode)
    if mode == "twosided":
        _check_future(filter_shape, future_shape)
    elif future_shape is not None:
        raise _errors.InvalidArgumentError(f"filter_future: belongs to mode 'twosided', given with mode {mode!r}")
    _words.text("backend", backend)
    _words.whole("future_first_lag", future_first_lag)
    return Problem(dtype, mode_number, _words.LAYOUTS[layout], form,
                   _words.number(_words.ACTIVATIONS, "activation", activation), device, device_index, batch, channels,
                   seqlen, filter_shape[-1], future_shape[-1] if future_shape is not None else 0, future_first_lag,
                   groups, terms, grad_mask, threads, backend)


def _check_future(filter_shape, future_shape):
    if future_shape is None:
        raise _errors.InvalidArgumentError("filter_future: is needed in mode 'twosided'")
    if tuple(future_shape[:-1]) != tuple(filter_shape[:-1]):
        raise _errors.InvalidArgumentError(
            f"filter_future: expected the shape of filter but for the taps, {list(filter_shape[:-1])} + [taps], given "
            f"{list(future_shape)}")
