# SPDX-License-Identifier: BSD-3-Clause
"""Every mixer by name, on NumPy arrays: forward, gradients against central differences, and refusals."""
import numpy as np
import pytest

import longconv
from longconv import InvalidArgumentError, ops

LENGTHS = {"block_transform": 32}  # a power of two


def arguments_of(rng, mixer, dtype, **options):
    """Random arrays for all inputs and parameters, the first input apart."""
    sizes = {"channels": 4, "seqlen": LENGTHS.get(mixer.name, 21)}
    ports = mixer.arrays(batch=2, dtype=dtype, **sizes, **options)
    values = mixer.initial(seed=3, dtype=dtype, **sizes, **options)
    made, outputs = {}, []
    for name, port in ports.items():
        if port["role"] == 2:
            outputs.append(np.asarray(rng.standard_normal(port["shape"]), dtype))
        elif name in values:
            made[name] = values[name]
        else:
            made[name] = np.asarray(rng.standard_normal(port["shape"]) / (1 if port["role"] == 0 else 4), dtype)
    first = next(name for name, port in ports.items() if port["role"] == 0)
    return first, made.pop(first), made, outputs[0] if len(outputs) == 1 else tuple(outputs), options


def loss(mixer, first, given, weights, options):
    found = mixer(first, channels=4, **given, **options)
    pairs = zip(found, weights) if isinstance(found, tuple) else [(found, weights)]
    return sum((one * weight).sum() for one, weight in pairs)


@pytest.mark.parametrize("name", ops.names())
def test_every_mixer_has_its_gradients(rng, name):
    mixer = getattr(ops, name)
    first, x, given, weights, options = arguments_of(rng, mixer, "f8")
    found = mixer.gradients(weights, x, channels=4, **given, **options)
    assert set(found) <= {first, *given} and first in found
    for port, gradient in found.items():
        direction, ends = rng.standard_normal(gradient.shape), []
        for sign in (1, -1):
            moved = {**given, first: x}
            moved[port] = moved[port] + sign * 1e-5 * direction
            ends.append(loss(mixer, moved.pop(first), moved, weights, options))
        expected, scale = (ends[0] - ends[1]) / 2e-5, np.abs(gradient).sum() + 1
        assert abs((gradient * direction).sum() - expected) < 1e-6 * scale, port


@pytest.mark.parametrize("name", ops.names())
def test_float32_is_near_float64(rng, name):
    mixer = getattr(ops, name)
    _, x, given, _, options = arguments_of(rng, mixer, "f8")
    narrow = mixer(x.astype("f4"), channels=4, **{port: value.astype("f4") for port, value in given.items()}, **options)
    wide = mixer(x, channels=4, **given, **options)
    assert mixer.__doc__ and mixer.name == name and name in repr(mixer)
    for one, other in zip(*((found if isinstance(found, tuple) else (found,)) for found in (narrow, wide))):
        assert one.dtype == np.float32 and np.abs(one - other).max() <= 1e-4 * max(np.abs(other).max(), 1)


def test_channels_follow_from_the_input(rng):
    x = rng.standard_normal((2, 21, 12))
    filter, skip = rng.standard_normal((4, 21)), rng.standard_normal(4)
    y = ops.hyena(x, projections="none", short_taps=0, filter=filter, skip=skip)
    np.testing.assert_allclose(y, longconv.hyena(x, projections="none", short_taps=0, channels=4, filter=filter, skip=skip))
    assert y.shape == (2, 21, 4)


def test_initial_values_repeat():
    one, two = (ops.h3.initial(channels=4, seqlen=9, seed=5) for _ in range(2))
    assert "filter" not in one and one["in_weight"].dtype == np.float32
    np.testing.assert_array_equal(one["in_weight"], two["in_weight"])
    assert not np.array_equal(one["in_weight"], ops.h3.initial(channels=4, seqlen=9, seed=6)["in_weight"])


@pytest.mark.parametrize("wrong, text", [
    (lambda x: ops.hyena(x, order=1), "order"),
    (lambda x: ops.hyena(x, nothing=np.zeros(3)), "nothing: no array of this mixer"),
    (lambda x: ops.hyena(x[0]), "rank 3"),
    (lambda x: ops.projection(x), "weight: is required"),
    (lambda x: ops.projection.gradients((x, x), x, weight=np.eye(4), bias=np.zeros(4)), "dy: expected 1"),
    (lambda x: ops.projection.gradients(x[:1], x, weight=np.eye(4), bias=np.zeros(4)), "y: "),
    (lambda x: ops.projection.initial(channels=4, seqlen=3, dtype="i4"), "dtype"),
    (lambda x: ops.Mixer("nothing"), "expected one of"),
])
def test_wrong_calls(wrong, text):
    with pytest.raises(InvalidArgumentError, match=text):
        wrong(np.zeros((2, 5, 4), "f4"))


def test_no_such_mixer_is_no_attribute():
    assert {"hyena", "projection"} <= set(dir(ops))
    with pytest.raises(AttributeError, match="no mixer of this name"):
        ops.lstm
