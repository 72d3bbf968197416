# SPDX-License-Identifier: BSD-3-Clause
"""Filters transformed once, for many calls without gradients of the filter."""
import torch

from .. import _errors, _plans, _prepared
from . import _inputs, _kernels


class PreparedFilter(_prepared.PreparedFilter):
    """What `prepare` returns: give it to `conv` in place of the filter. Where the call is recorded for a gradient, or
    traced, its taps are used instead of their transform; they themselves have no gradient."""

    _tensor = staticmethod(_kernels.tensor_of)

    def prepare(self, plan, **resources):
        """Makes the spectrum for a plan; on a device it waits for it, so that calls on other streams find it whole."""
        spectrum = super().prepare(plan, **resources)
        if self.taps.is_cuda:
            torch.cuda.current_stream(self.taps.device).synchronize()
        return spectrum


def _private(name, filter, compute):
    """A contiguous copy that nobody else can change, without a history."""
    if filter is None:
        return None
    _inputs.expect_tensor(name, filter)
    if filter.dtype.is_complex:
        raise _errors.InvalidArgumentError(f"{name}: expected real numbers, given a tensor of dtype {filter.dtype}")
    filter = filter.detach()
    filter = filter[None] if filter.dim() == 1 else filter
    return torch.empty(filter.shape, dtype=compute, device=filter.device).copy_(filter)


def prepare(filter, u_shape, *, dtype=torch.float32, mode="causal", filter_future=None, future_first_lag=1, layout="BDL",
            backend="auto"):
    """Transforms a filter once, for many calls of `conv`: `conv(u, prepare(filter, u.shape))`.

    u_shape is the shape of the data it is for, dtype the data's; the device is the filter's. It may be used with any other
    shape too; it is then transformed again where that needs another transform, which is kept. The other arguments are
    those of `conv`.
    """
    _inputs.expect_tensor("filter", filter)
    compute = _kernels.compute_dtype(dtype)
    prepared = PreparedFilter(_private("filter", filter, compute), _private("filter_future", filter_future, compute))
    data = torch.empty(0, dtype=dtype, device=prepared.taps.device)
    found = _kernels.problem(data, prepared.taps, prepared.taps_future, 0, 0,
                             ("none", mode, future_first_lag, layout, backend), shape=tuple(u_shape))
    with _kernels.device_of(data):
        plan = _plans.plan(found)
        given, kept = _kernels.resources(plan, data)
        prepared.prepare(plan, **given)
        del kept
    return prepared
