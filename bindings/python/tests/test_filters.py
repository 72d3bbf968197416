# SPDX-License-Identifier: BSD-3-Clause
"""Filter families and mixers on NumPy arrays, against formulas and finite differences."""
import numpy as np
import pytest
from conftest import close, direct, lagged

import longconv
from longconv import InvalidArgumentError
from longconv.filters import Filter, families

FAMILIES = list(families())


def test_families_are_listed():
    assert {"explicit", "implicit_mlp", "decay", "diag_ssm"} <= set(FAMILIES)
    for told in families().values():
        assert told["summary"] and told["formula"]
        assert all(option["help"] and option["type"] for option in told["options"].values())


@pytest.mark.parametrize("family", FAMILIES)
def test_taps_and_gradients(rng, family):
    """Ranges agree with the whole, and the gradients with central differences along a random direction."""
    filter = Filter(family, 3, 24, dtype="f8", seed=3)
    whole = filter.taps(24)
    assert whole.shape == (filter.filters, 24) and np.isfinite(whole).all()
    np.testing.assert_array_equal(filter.taps(24, first=5, count=7), whole[:, 5:12])
    np.testing.assert_array_equal(Filter(family, 3, 24, dtype="f8", seed=3).taps(24), whole)
    weights = rng.standard_normal(whole.shape)
    gradients, start = filter.gradients(weights), filter.parameters
    for name, gradient in gradients.items():
        direction, ends = rng.standard_normal(gradient.shape), []
        for sign in (1, -1):
            filter.set(**{name: start[name] + sign * 1e-6 * direction})
            ends.append((filter.taps(24) * weights).sum())
        filter.set(**{name: start[name]})
        expected, scale = (ends[0] - ends[1]) / 2e-6, np.abs(gradient).max() + np.abs(whole).max()
        assert abs((gradient * direction).sum() - expected) < 1e-5 * max(scale, 1) * gradient.size, name


def test_decay_is_its_formula():
    filter = longconv.filters.decay(2, 20, dtype="f8", seed=1)
    p = filter.parameters
    sigmoid = {name: 1 / (1 + np.exp(-p[name])) for name in ("delta", "alpha")}
    q, modes = 1 - sigmoid["delta"] * sigmoid["alpha"], p["delta"].shape[1]
    terms = p["gamma"] * sigmoid["delta"] * p["beta"]
    expected = (terms[..., None] * q[..., None] ** np.arange(20)).sum(1) / np.sqrt(modes)
    np.testing.assert_allclose(filter.taps(20), expected, rtol=1e-12)


def test_options_and_parameters():
    filter = Filter("implicit_mlp", 4, 100, seed=1)
    assert "implicit_mlp" in repr(filter) and filter.parameters.keys() == filter.ports.keys()
    before = filter.taps(50)
    name = next(name for name, port in filter.ports.items() if port["trainable"])
    filter.set(**{name: 2 * filter.parameters[name]})
    assert not np.array_equal(filter.taps(50), before)


@pytest.mark.parametrize("wrong, text", [
    (lambda: Filter("no_such_family", 1, 8), "no_such_family"),
    (lambda: Filter("decay", 1, 8, no_such_option=1), "no_such_option"),
    (lambda: Filter("decay", 1, 8, dtype="f2"), "dtype"),
    (lambda: Filter("decay", 1, 8).taps(9), "seqlen"),
    (lambda: Filter("decay", 1, 8).set(gamma=np.zeros(7)), "gamma"),
    (lambda: Filter("decay", 1, 8).set(nothing=np.zeros(7)), "nothing"),
])
def test_wrong_filter(wrong, text):
    with pytest.raises(InvalidArgumentError, match=text):
        wrong()


def test_no_such_family_is_no_attribute():
    with pytest.raises(AttributeError, match="no filter family"):
        longconv.filters.fourier_series


# ---- Mixers ----

def linear(x, weight, bias):
    return x @ weight.T.astype("f8") + bias


def test_hyena_is_its_formula(rng):
    batch, length, width, order = 2, 50, 4, 3
    x = rng.standard_normal((batch, length, width)).astype("f4")
    rows = (order + 1) * width
    arrays = {"in_weight": rng.standard_normal((rows, width)), "in_bias": rng.standard_normal(rows),
              "short_weight": rng.standard_normal((rows, 3)), "short_bias": rng.standard_normal(rows),
              "filter": rng.standard_normal(((order - 1) * width, length)) / 7, "skip": rng.standard_normal((order - 1) * width),
              "out_weight": rng.standard_normal((width, width)), "out_bias": rng.standard_normal(width)}
    arrays = {name: array.astype("f4") for name, array in arrays.items()}
    projected = linear(x, arrays["in_weight"], arrays["in_bias"]).transpose(0, 2, 1)
    short = sum(arrays["short_weight"][:, i, None] * lagged(projected, 2 - i) for i in range(3)) + arrays["short_bias"][:, None]
    *gates, v = np.split(short, order + 1, 1)
    for step in range(order - 1):
        chosen = [channel * (order - 1) + step for channel in range(width)]
        v = direct(gates[order - 1 - step] * v, arrays["filter"][chosen], skip=arrays["skip"][chosen])
    expected = linear((gates[0] * v).transpose(0, 2, 1), arrays["out_weight"], arrays["out_bias"])
    close(longconv.hyena(x, order=order, **arrays), expected, factor=200)


def test_h3_is_its_formula(rng):
    q, k, v = (rng.standard_normal((2, 40, 4)).astype("f4") for _ in range(3))
    shift, filter = rng.standard_normal((4, 8)).astype("f4"), rng.standard_normal((4, 40)).astype("f4")
    shift_skip, skip = rng.standard_normal((2, 4)).astype("f4")
    shifted = direct(k, shift, skip=shift_skip, layout="BLD")
    expected = q * direct(v, filter, skip=skip, pre_gate=shifted, layout="BLD")
    y = longconv.h3(np.concatenate([q, k, v], -1), projections="none", shift_len=8, shift_filter=shift,
                    shift_skip=shift_skip, filter=filter, skip=skip)
    close(y, expected, factor=200)


def test_mixers_are_listed_and_refuse():
    assert {"hyena", "h3"} <= set(longconv.mixers())
    x = np.zeros((1, 8, 4), "f4")
    with pytest.raises(InvalidArgumentError, match="no array of this mixer"):
        longconv.hyena(x, filters=np.zeros((4, 8), "f4"))
    with pytest.raises(InvalidArgumentError, match="order"):
        longconv.hyena(x, order=1)
    with pytest.raises(InvalidArgumentError, match="in_weight: is required"):
        longconv.hyena(x)
    with pytest.raises(InvalidArgumentError, match="rank 3"):
        longconv.hyena(x[0])
