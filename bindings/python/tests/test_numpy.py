# SPDX-License-Identifier: BSD-3-Clause
"""longconv.conv against direct sums."""
import numpy as np
import pytest
from conftest import close, direct

import longconv


def randn(rng, *shape, dtype="float32"):
    return rng.standard_normal(shape).astype(dtype)


CASES = {
    "plain": {},
    "one_sample": {"length": 1, "taps": 1},
    "odd": {"length": 131, "taps": 77},
    "prime_long": {"length": 1009, "taps": 1009},
    "long_filter": {"length": 40, "taps": 90},
    "short_filter": {"length": 5000, "taps": 5},
    "shared": {"filter_rows": 1},
    "grouped": {"filter_rows": 2},
    "anticausal": {"mode": "anticausal"},
    "twosided": {"mode": "twosided", "future_taps": 30},
    "twosided_lag0": {"mode": "twosided", "future_taps": 64, "future_first_lag": 0},
    "circular": {"mode": "circular", "taps": 100},
    "float64": {"dtype": "float64"},
    "float16": {"dtype": "float16"},
    "gates": {"with_": ("pre_gate", "post_gate")},
    "everything": {"with_": ("pre_gate", "post_gate", "skip", "bias"), "activation": "gelu"},
    "silu": {"with_": ("skip",), "activation": "silu"},
    "gelu_tanh": {"activation": "gelu_tanh"},
    "blD": {"layout": "BLD", "with_": ("pre_gate", "skip")},
}


def arguments(rng, length=64, taps=64, filter_rows=4, dtype="float32", future_taps=0, with_=(), layout="BDL", **words):
    shape = (2, 4, length) if layout == "BDL" else (2, length, 4)
    compute = "float64" if dtype == "float64" else "float32"
    scale = 1 / np.sqrt(taps)
    given = {"u": randn(rng, *shape, dtype=dtype), "filter": (scale * randn(rng, filter_rows, taps)).astype(compute),
             "layout": layout, **words}
    if future_taps:
        given["filter_future"] = (scale * randn(rng, filter_rows, future_taps)).astype(compute)
    for name in with_:
        given[name] = randn(rng, *shape, dtype=dtype) if name.endswith("gate") else randn(rng, 4, dtype=compute)
    return given


@pytest.mark.parametrize("case", CASES)
def test_against_direct_sums(rng, case):
    given = arguments(rng, **CASES[case])
    y = longconv.conv(**given)
    assert y.dtype == given["u"].dtype and y.shape == given["u"].shape and y.flags.c_contiguous
    close(y, direct(**given), given["u"].dtype.name)


@pytest.mark.parametrize("backend", ["ref", "cpu"])
def test_backends(rng, backend):
    given = arguments(rng, length=333, taps=200)
    close(longconv.conv(backend=backend, **given), direct(**given))


def test_filters_per_sample(rng):
    u, filter = randn(rng, 3, 2, 50), randn(rng, 3, 2, 20)
    close(longconv.conv(u, filter), direct(u, filter))


def test_one_dimensional_filter_is_shared(rng):
    u, filter = randn(rng, 1, 3, 50), randn(rng, 20)
    np.testing.assert_array_equal(longconv.conv(u, filter), longconv.conv(u, filter[None]))


def test_bfloat16(rng):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    u, filter = randn(rng, 2, 3, 100).astype(ml_dtypes.bfloat16), randn(rng, 3, 100)
    y = longconv.conv(u, filter)
    assert y.dtype == ml_dtypes.bfloat16
    close(y.astype("f8"), direct(u.astype("f8"), filter), "bfloat16")


@pytest.mark.parametrize("shape", [(0, 3, 8), (2, 0, 8), (2, 3, 0)])
def test_empty(shape):
    assert longconv.conv(np.zeros(shape, "f4"), np.zeros((shape[1], 5), "f4")).shape == shape


def test_no_taps(rng):
    u = randn(rng, 1, 2, 9)
    np.testing.assert_array_equal(longconv.conv(u, np.zeros((2, 0), "f4"), skip=np.ones(2)), u)


STRIDED = {
    "every_second": lambda a: np.repeat(a, 2, -1)[..., ::2],
    "transposed": lambda a: np.ascontiguousarray(a.transpose(2, 0, 1)).transpose(1, 2, 0),
    "expanded": lambda a: np.broadcast_to(a[:1], a.shape),
    "constant": lambda a: np.broadcast_to(a[..., :1], a.shape),
    "reversed": lambda a: a[..., ::-1],
    "unaligned": lambda a: np.frombuffer(b"\0" + a.tobytes(), a.dtype, offset=1).reshape(a.shape),
    "swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "field": lambda a: np.rec.fromarrays([np.zeros(a.shape, "i1"), a], names="pad,value")["value"],
}
COPIED = {"reversed", "swapped", "field"}


@pytest.mark.parametrize("how", STRIDED)
def test_strides(rng, how):
    u = STRIDED[how](randn(rng, 2, 4, 96))
    filter = randn(rng, 4, 96)
    close(longconv.conv(u, filter), direct(u, filter))
    copies = longconv.explain(u, filter).copies
    assert bool(copies) == (how in COPIED) and all("u was copied" in note for note in copies)


def test_out_and_in_place(rng):
    u, filter = randn(rng, 2, 3, 200), randn(rng, 3, 200)
    expected = longconv.conv(u, filter)
    wide = np.full((2, 3, 400), 7, "f4")
    assert longconv.conv(u, filter, out=wide[..., ::2]).base is wide
    np.testing.assert_array_equal(wide[..., ::2], expected)
    assert (wide[..., 1::2] == 7).all()
    longconv.conv(u, filter, out=u)
    np.testing.assert_array_equal(u, expected)


@pytest.mark.parametrize("cuts", [[100], [1, 50], [7, 7, 8], [0, 30]])
def test_state_carries_a_sequence(rng, cuts):
    u, filter = randn(rng, 2, 3, 150), randn(rng, 3, 90)
    parts, state = [], None
    for part in np.split(u, cuts, -1):
        y, state = longconv.conv(part, filter, state=state, return_state=True)
        parts.append(y)
    close(np.concatenate(parts, -1), direct(u, filter))
    assert state.shape == (2, 3, 89) and state.dtype == np.float32


def test_state_without_return(rng):
    u, filter, state = randn(rng, 1, 2, 40), randn(rng, 2, 10), randn(rng, 1, 2, 9)
    close(longconv.conv(u, filter, state=state), direct(u, filter, state=state))


@pytest.mark.parametrize("given", [np.ones(2, "f8"), np.ones(2, "f2"), [1, 1], np.ones(2, bool)])
def test_parameters_are_converted(rng, given):
    u, filter = randn(rng, 1, 2, 30), randn(rng, 2, 8)
    expected = longconv.conv(u, filter, skip=np.ones(2, "f4"))
    np.testing.assert_array_equal(longconv.conv(u, filter.astype("f8"), skip=given), expected)


def test_rows_far_apart():
    """Offsets above 2^31 elements: only the pages that are touched take memory."""
    memory = np.empty(3 << 30, "f4")
    u = np.lib.stride_tricks.as_strided(memory, (1, 3, 64), (0, 4 << 30, 4))
    u[...] = np.random.default_rng(3).standard_normal((1, 3, 64))
    filter = np.ones((3, 5), "f4")
    np.testing.assert_array_equal(longconv.conv(u, filter), longconv.conv(u.copy(), filter))


def test_inputs_are_not_changed(rng):
    given = arguments(rng, **CASES["everything"])
    before = {name: np.copy(value) for name, value in given.items() if isinstance(value, np.ndarray)}
    longconv.conv(**given)
    for name, value in before.items():
        np.testing.assert_array_equal(given[name], value)
