# SPDX-License-Identifier: BSD-3-Clause
"""What the tests share: random data, and the convolution as direct sums in float64, written from the definition."""
import numpy as np
import pytest

EPS = {"float32": 2.0 ** -24, "float64": 2.0 ** -53, "float16": 2.0 ** -24, "bfloat16": 2.0 ** -24}


@pytest.fixture
def rng(request):
    """Its seed is the test's name, so that each test repeats alone."""
    return np.random.default_rng(list(request.node.name.encode()))


def lagged(x, lag):
    """x[t - lag], zero outside."""
    moved, length = np.zeros_like(x), x.shape[-1]
    if 0 <= lag < length:
        moved[..., lag:] = x[..., :length - lag]
    elif -length < lag < 0:
        moved[..., :lag] = x[..., -lag:]
    return moved


def rows(filter, channels):
    """Filters with one row for each channel."""
    filter = np.asarray(filter, np.float64)
    return filter if filter.ndim == 3 else np.repeat(np.atleast_2d(filter), channels // np.atleast_2d(filter).shape[0], 0)


def direct(u, filter, *, skip=None, bias=None, pre_gate=None, post_gate=None, activation=None, mode="causal",
           filter_future=None, future_first_lag=1, layout="BDL", state=None):
    """The result of longconv.conv by its definition: one shifted copy of the input for each tap."""
    to_bdl = (lambda a: np.asarray(a, np.float64)) if layout == "BDL" else (
        lambda a: np.asarray(a, np.float64).transpose(0, 2, 1))
    x = to_bdl(u) * (1 if pre_gate is None else to_bdl(pre_gate))
    length, h = x.shape[-1], rows(filter, x.shape[1])
    z = np.zeros_like(x)
    for j in range(h.shape[-1]):
        if mode == "circular":
            z += h[..., j, None] * np.roll(x, j, -1)
        else:
            z += h[..., j, None] * lagged(x, -j if mode == "anticausal" else j)
    if filter_future is not None:
        future = rows(filter_future, x.shape[1])
        for j in range(future.shape[-1]):
            z += future[..., j, None] * lagged(x, -j - future_first_lag)
    if state is not None:
        part = min(length, state.shape[-1])
        z[..., :part] += state[..., :part]
    z = z + (0 if skip is None else np.asarray(skip, np.float64)[:, None] * x)
    z = z + (0 if bias is None else np.asarray(bias, np.float64)[:, None])
    y = ACTIVATIONS[activation](z) * (1 if post_gate is None else to_bdl(post_gate))
    return y if layout == "BDL" else y.transpose(0, 2, 1)


def _gelu(z):
    from math import erf
    return z * 0.5 * (1 + np.vectorize(erf, otypes=[float])(z / np.sqrt(2)))


ACTIVATIONS = {
    None: lambda z: z,
    "gelu": _gelu,
    "gelu_tanh": lambda z: 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z ** 3))),
    "silu": lambda z: z / (1 + np.exp(-z)),
}


def close(got, expected, dtype="float32", factor=32):
    """Within `factor` rounding errors of the largest value, and half a unit in the last place of 16-bit data."""
    expected = np.asarray(expected, np.float64)
    bound = factor * EPS[dtype] * max(np.abs(expected).max(initial=0), 1e-30)
    ulp = {"float16": 2.0 ** -11, "bfloat16": 2.0 ** -8}.get(dtype, 0)
    worst = np.abs(np.asarray(got, np.float64) - expected) - ulp * np.abs(expected)
    assert worst.max(initial=0) <= bound, f"error {worst.max()} is above {bound}"
