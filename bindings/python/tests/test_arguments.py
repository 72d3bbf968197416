# SPDX-License-Identifier: BSD-3-Clause
"""Wrong arguments of longconv.conv: the class of the exception, and that its text names the argument."""
import numpy as np
import pytest

import longconv
from longconv import InvalidArgumentError, NoDeviceError, TooLargeError, UnsupportedError

U, FILTER = np.zeros((2, 4, 16), "f4"), np.zeros((4, 16), "f4")

WRONG = {
    "u_integer": (InvalidArgumentError, "u: expected dtype float32", {"u": U.astype("i4")}),
    "u_complex": (InvalidArgumentError, "u: expected dtype float32", {"u": U.astype("c8")}),
    "u_rank": (InvalidArgumentError, "u: expected rank 3", {"u": U[0]}),
    "filter_complex": (InvalidArgumentError, "filter: expected real", {"filter": FILTER.astype("c8")}),
    "filter_none": (InvalidArgumentError, "filter: is needed", {"filter": None}),
    "filter_rows": (InvalidArgumentError, "filter: expected a number of rows that divides", {"filter": FILTER[:3]}),
    "filter_rank": (InvalidArgumentError, "filter: expected rank 2", {"filter": np.zeros((1, 1, 4, 16), "f4")}),
    "filter_batch": (InvalidArgumentError, "filter: expected shape", {"filter": np.zeros((3, 4, 16), "f4")}),
    "gate_dtype": (InvalidArgumentError, "pre_gate: expected u's dtype", {"pre_gate": U.astype("f8")}),
    "gate_shape": (InvalidArgumentError, "post_gate: expected shape", {"post_gate": U[:, :, :8]}),
    "skip_shape": (InvalidArgumentError, "skip: expected shape", {"skip": np.zeros(3)}),
    "mode": (InvalidArgumentError, "mode: expected one of", {"mode": "acausal"}),
    "activation": (InvalidArgumentError, "activation: expected one of", {"activation": "relu"}),
    "layout": (InvalidArgumentError, "layout: expected one of", {"layout": "LBD"}),
    "future_missing": (InvalidArgumentError, "filter_future: is needed", {"mode": "twosided"}),
    "future_not_wanted": (InvalidArgumentError, "filter_future: belongs to mode", {"filter_future": FILTER}),
    "future_rows": (InvalidArgumentError, "filter_future: expected the shape",
                    {"mode": "twosided", "filter_future": FILTER[:1]}),
    "future_lag": (InvalidArgumentError, "future_first_lag: expected",
                   {"mode": "twosided", "filter_future": FILTER, "future_first_lag": 2}),
    "state_shape": (InvalidArgumentError, "state_in: expected shape", {"state": np.zeros((2, 4, 16), "f4")}),
    "state_mode": (UnsupportedError, "state", {"mode": "circular", "return_state": True}),
    "backend_absent": (NoDeviceError, "backend", {"backend": "no-such"}),
    "backend_type": (InvalidArgumentError, "backend: expected a name", {"backend": None}),
    "out_dtype": (InvalidArgumentError, "out: expected", {"out": np.zeros(U.shape)}),
    "out_shape": (InvalidArgumentError, "y: expected shape", {"out": np.zeros((2, 4, 15), "f4")}),
    "out_type": (InvalidArgumentError, "out: expected a numpy array", {"out": [1.0]}),
    "out_expanded": (InvalidArgumentError, "y: ", {"out": np.lib.stride_tricks.as_strided(U.copy(), U.shape, (0, 64, 4))}),
    "out_overlap": (InvalidArgumentError, "overlap", {"out": "shifted"}),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_argument(case):
    cls, text, changed = WRONG[case]
    given = {"u": U.copy(), "filter": FILTER, **changed}
    if isinstance(given.get("out"), str):
        memory = np.zeros(129 + 1, "f4")
        given["u"], given["out"] = memory[:128].reshape(2, 4, 16), memory[1:129].reshape(2, 4, 16)
    before = np.copy(given["out"]) if isinstance(given.get("out"), np.ndarray) else None
    with pytest.raises(cls) as caught:
        longconv.conv(**given)
    assert text in str(caught.value)
    if before is not None:
        np.testing.assert_array_equal(given["out"], before)


def huge(*shape):
    """One number, seen as an array of any size."""
    return np.lib.stride_tricks.as_strided(np.zeros(1, "f4"), shape, (0, 0, 0))


def test_sizes_that_cannot_be():
    with pytest.raises(TooLargeError):
        longconv.prepare(FILTER[:1], (1 << 31, 1 << 31, 1 << 31))
    with pytest.raises(TooLargeError):
        longconv.conv(huge(1 << 20, 1 << 20, 1 << 20), FILTER[:1])
    with pytest.raises(MemoryError):
        longconv.conv(huge(1 << 18, 1 << 18, 1 << 8), FILTER[:1])


def test_read_only_out():
    out = U.copy()
    out.flags.writeable = False
    with pytest.raises(InvalidArgumentError, match="read-only"):
        longconv.conv(U, FILTER, out=out)


def test_wrong_types():
    filter = longconv.filters.Filter("modal", 2, 8)
    read_only = np.zeros((2, 8), "f4")
    read_only.flags.writeable = False
    for out in ([1.0], np.zeros((2, 8)), read_only):
        with pytest.raises(InvalidArgumentError, match="out: expected a writable array of dtype float32"):
            filter.taps(8, out=out)
    with pytest.raises(InvalidArgumentError, match="filter: is needed"):
        longconv.prepare(None, U.shape)
    with pytest.raises(InvalidArgumentError, match="future_first_lag: expected a whole number"):
        longconv.conv(U, FILTER, future_first_lag="one")
    for tolerance in ("1e-3", None, 10 ** 400):
        with pytest.raises(InvalidArgumentError, match=f"tolerance: expected a number, given {tolerance!r}"):
            longconv.Stream(FILTER, mode="modal", order=2, tolerance=tolerance)
    for seed in ("a", 1.5, -1, 2 ** 64):
        with pytest.raises(InvalidArgumentError, match="seed: expected a"):
            longconv.filters.Filter("modal", 2, 8, seed=seed)
    largest = longconv.filters.Filter("modal", 2, 8, seed=2 ** 64 - 1)
    assert largest.taps(8).shape == (2, 8)


def test_every_status_has_a_class():
    from longconv import _errors
    assert sorted(_errors.CLASSES) == list(range(-12, 0))
    assert type(_errors.error(-99, "")) is longconv.InternalError
    assert issubclass(InvalidArgumentError, ValueError) and issubclass(longconv.OutOfMemoryError, MemoryError)
