# SPDX-License-Identifier: BSD-3-Clause
"""longconv.Stream and longconv.MixerStream against the convolution and the layers of whole sequences."""
import numpy as np
import pytest

import longconv
from conftest import close, direct


def chunks(rng, length):
    """Random cuts of [0, length)."""
    at = 0
    while at < length:
        count = int(rng.integers(1, 40))
        yield at, min(at + count, length)
        at += count


def run(stream, rng, u, axis, **gates):
    """All of u through a stream, in chunks of any size, single ones by step."""
    parts = []
    for begin, end in chunks(rng, u.shape[axis]):
        part = {name: np.take(array, range(begin, end), axis) for name, array in {"u": u, **gates}.items()}
        if end - begin == 1:
            y = stream.step(*(array.squeeze(axis) for array in part.values()))
            parts.append(np.expand_dims(y, axis))
        else:
            parts.append(stream.push(*part.values()))
    return np.concatenate(parts, axis)


@pytest.mark.parametrize("layout", ["BDL", "BLD"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_any_chunks_are_the_convolution(rng, layout, dtype):
    shape, axis = ((2, 6, 500), 2) if layout == "BDL" else ((2, 500, 6), 1)
    u, pre, post = (rng.standard_normal(shape).astype(dtype) for _ in range(3))
    filter, skip, bias = rng.standard_normal((3, 200)) * 0.1, rng.standard_normal(6), rng.standard_normal(6)
    expected = direct(u, filter, skip=skip, bias=bias, pre_gate=pre, post_gate=post, activation="silu", layout=layout)
    with longconv.Stream(filter, channels=6, batch=2, skip=skip, bias=bias, pre_gate=True, post_gate=True,
                         activation="silu", layout=layout, dtype=dtype) as stream:
        first = run(stream, rng, u, axis, pre_gate=pre, post_gate=post)
        close(first, expected, dtype, factor=64)
        assert stream.position == 500
        stream.reset()
        stream.work()
        assert np.array_equal(run(stream, rng, u, axis, pre_gate=pre, post_gate=post), first)


@pytest.mark.parametrize("filter_shape", [(5, 90), (1, 90), (90,), (2, 5, 90)])
def test_forms_of_filters(rng, filter_shape):
    filter, u = rng.standard_normal(filter_shape), rng.standard_normal((2, 5, 300))
    stream = longconv.Stream(filter, channels=5, batch=2, max_len=300)
    assert stream.info()["mode"] == "relaxed" and stream.info()["limit"] == 300
    close(run(stream, rng, u, 2), direct(u, filter), "float64")


@pytest.mark.parametrize("mode", ["direct", "relaxed", "smooth"])
def test_a_prompt_then_tokens(rng, mode):
    filter, u = rng.standard_normal((3, 700)), rng.standard_normal((1, 3, 700))
    expected = direct(u, filter)
    stream = longconv.Stream(filter, max_len=700, mode=mode)
    close(stream.prefill(u[:, :, :400]), expected[:, :, :400], "float64")
    close(run(stream, rng, u[:, :, 400:], 2), expected[:, :, 400:], "float64", factor=64)
    other = stream.like()
    assert other.prefill(u[:, :, :400], out=False) is None and other.position == 400
    close(run(other, rng, u[:, :, 400:], 2), expected[:, :, 400:], "float64", factor=64)


@pytest.mark.parametrize("mode", ["relaxed", "smooth"])
def test_a_prompt_that_leaves_sums(rng, mode):
    filter, u = rng.standard_normal((3, 700)), rng.standard_normal((1, 3, 700))
    expected = direct(u, filter)
    stream = longconv.Stream(filter, generate_len=300, mode=mode)
    state = stream.info()["state_bytes"]
    close(stream.prefill(u[:, :, :400]), expected[:, :, :400], "float64")
    assert stream.info()["limit"] == 700 and stream.info()["state_bytes"] == state
    close(run(stream, rng, u[:, :, 400:], 2), expected[:, :, 400:], "float64", factor=64)


def test_marks_forks_and_snapshots(rng):
    filter, u = rng.standard_normal((3, 600)), rng.standard_normal((2, 3, 600))
    stream = longconv.Stream(filter, batch=2)
    whole = longconv.Stream(filter, batch=2).push(u)
    stream.push(u[:, :, :200])
    stream.mark(100)
    stream.push(np.zeros((2, 3, 100)))
    with pytest.raises(longconv.InvalidArgumentError, match="the stream ends at 300"):
        stream.step(np.zeros((2, 3)))
    stream.rollback()
    stream.release()
    child = stream.fork(400)
    assert child.position == 200
    assert np.array_equal(child.push(u[:, :, 200:]), whole[:, :, 200:])
    snapshot = stream.save()
    stream.detach()
    child.close()
    other = stream.like()
    other.load(snapshot)
    stream.work(other)
    for each in (stream, other):
        assert np.array_equal(run(each, rng, u[:, :, 200:], 2), whole[:, :, 200:])
    with pytest.raises(longconv.InvalidArgumentError, match="snapshot"):
        other.load(snapshot[:-1])
    with pytest.raises(longconv.IncompatibleError):
        longconv.Stream(2 * filter, batch=2).load(snapshot)


def test_families_and_exponentials(rng):
    u = rng.standard_normal((1, 4, 300)).astype(np.float32)
    family = longconv.filters.Filter("decay", 4, 300, seed=3)
    stream = longconv.Stream(family, max_len=300)
    assert stream.info()["mode"] == "modal"
    close(run(stream, rng, u, 2), direct(u, family.taps(300)))
    poles = 0.9 * np.exp(1j * rng.uniform(0, 3, (4, 2)))
    residues = rng.standard_normal((4, 2)) + 1j * rng.standard_normal((4, 2))
    taps = (residues[..., None] * poles[..., None] ** np.arange(300)).sum(1).real
    close(longconv.Stream(None, modes=(poles, residues)).push(u), direct(u, taps))
    with pytest.raises(longconv.UnsupportedError, match="tolerance"):
        longconv.Stream(rng.standard_normal((4, 300)), mode="modal", order=2, tolerance=1e-3)
    close(longconv.Stream(taps, mode="modal", order=2, tolerance=1e-6, dtype="float64").push(u.astype(float)),
          direct(u, taps), "float32")


def test_errors_name_the_argument(rng):
    filter = rng.standard_normal((3, 50))
    for arguments, message in [(dict(mode="fast"), "mode: "), (dict(dtype="int8"), "dtype: "), (dict(max_len=-1), "max_len"),
                               (dict(filter_len=3), "filter_len: "), (dict(modes=(1, 2)), "modes: "),
                               (dict(layout="LBD"), "layout: "), (dict(channels=4), "filter: ")]:
        with pytest.raises(longconv.InvalidArgumentError, match=message):
            longconv.Stream(filter, **arguments)
    with pytest.raises(longconv.InvalidArgumentError, match="filter: "):
        longconv.Stream(None)
    with pytest.raises(longconv.InvalidArgumentError, match="channels: "):
        longconv.Stream(filter[0])
    stream = longconv.Stream(filter)
    with pytest.raises(longconv.InvalidArgumentError, match="u: expected the stream's dtype float64"):
        stream.step(np.zeros((1, 3), np.float32))
    with pytest.raises(longconv.InvalidArgumentError, match="u: "):
        stream.step(np.zeros((1, 4)))
    with pytest.raises(longconv.InvalidArgumentError, match="pre_gate: "):
        stream.step(np.zeros((1, 3)), pre_gate=np.zeros((1, 3)))
    assert stream.position == 0
    stream.close()
    for changed, message in (({"filter": 1.0}, "filter: expected taps"), ({"filter": None, "modes": 3}, "modes: expected"),
                             ({"batch": "two"}, "batch: expected"), ({"threads": None}, "threads: expected"),
                             ({"channels": []}, "channels: expected")):
        with pytest.raises(longconv.InvalidArgumentError, match=message):
            longconv.Stream(**{"filter": np.ones((2, 3)), **changed})
    with pytest.raises(longconv.InvalidArgumentError, match="options: expected a dictionary"):
        longconv.MixerStream("hyena", 3, options=["order"])
    with pytest.raises(longconv.InvalidArgumentError, match="stream: is NULL"):
        stream.step(np.zeros((1, 3)))


def hyena_arrays(rng, channels, taps, order):
    width, filters = (order + 1) * channels, (order - 1) * channels
    return {"in_weight": rng.standard_normal((width, channels)), "in_bias": rng.standard_normal(width),
            "short_weight": rng.standard_normal((width, 3)), "short_bias": rng.standard_normal(width),
            "filter": 0.1 * rng.standard_normal((filters, taps)), "skip": rng.standard_normal(filters),
            "out_weight": rng.standard_normal((channels, channels)), "out_bias": rng.standard_normal(channels)}


@pytest.mark.parametrize("order", [2, 3])
def test_hyena_token_by_token(rng, order):
    arrays, x = hyena_arrays(rng, 4, 300, order), rng.standard_normal((2, 300, 4))
    expected = longconv.hyena(x, order=order, **arrays)
    stream = longconv.MixerStream("hyena", 4, batch=2, max_len=300, dtype="float64", options={"order": order}, **arrays)
    first = run(stream, rng, x, 1)
    close(first, expected, "float64", factor=256)
    stream.reset()
    close(stream.prefill(x[:, :100]), expected[:, :100], "float64", factor=256)
    child = stream.fork(200)
    stream.close()
    close(run(child, rng, x[:, 100:], 1), expected[:, 100:], "float64", factor=256)
    assert child.info()["streams"] == order
    with pytest.raises(longconv.InvalidArgumentError, match="x: "):
        child.like().step(x[:, 0, :3])
    with pytest.raises(longconv.InvalidArgumentError, match="filters: no parameter"):
        longconv.MixerStream("hyena", 4, filters=1)


def test_h3_with_families(rng):
    shift, diag = longconv.filters.Filter("shift_ssm", 4, 64, seed=1), longconv.filters.Filter("diag_ssm", 2, 300, seed=2)
    x, weight = rng.standard_normal((1, 300, 12)).astype(np.float32), rng.standard_normal((4, 4))
    arrays = {"shift_skip": rng.standard_normal(4), "skip": rng.standard_normal(2), "out_weight": weight,
              "out_bias": np.zeros(4)}
    options = {"head_dim": 2, "projections": "out"}
    expected = longconv.h3(x, shift_filter=shift.taps(64), filter=diag.taps(300), **arrays, **options)
    stream = longconv.MixerStream("h3", 4, max_len=300, options=options, shift_filter=shift, filter=diag, **arrays)
    close(run(stream, rng, x, 1), expected, factor=64)


@pytest.mark.parametrize("layout", ["bld", "bdl"])
def test_a_layer_of_several_inputs(rng, layout):
    shape, axis = ((2, 200, 5), 1) if layout == "bld" else ((2, 5, 200), 2)
    k, v, r = rng.standard_normal((3, *shape))
    options = {"gate": 1, "layout": layout}
    arrays = longconv.ops.rwkv4_wkv.initial(channels=5, seqlen=200, dtype=np.float64, **options)
    expected = longconv.ops.rwkv4_wkv(k, v=v, r=r, **arrays, **options)
    stream = longconv.MixerStream("rwkv4_wkv", 5, batch=2, dtype="float64", options=options, **arrays)
    prompt = [np.take(array, range(120), axis) for array in (k, v, r)]
    parts = [stream.prefill(prompt[0], v=prompt[1], r=prompt[2])]
    snapshot = stream.save()
    for _ in range(2):
        for t in range(120, 200):
            token = [array.take(t, axis) for array in (k, v, r)]
            parts.append(np.expand_dims(stream.step(token[0], r=token[2], v=token[1]), axis))
        close(np.concatenate([parts[0], *parts[-80:]], axis), expected, "float64")
        stream.load(snapshot)
    with pytest.raises(longconv.InvalidArgumentError, match="inputs k, v, r, given k, v"):
        stream.push(prompt[0], v=prompt[1])


def test_what_is_not_a_streams_own_is_refused():
    taps = np.ones((2, 8), np.float32)
    stream, layer = longconv.Stream(taps), longconv.MixerStream(
        "rwkv4_wkv", 5, **longconv.ops.rwkv4_wkv.initial(channels=5, seqlen=20))
    for call, name in ((lambda: stream.work(layer), "others"), (lambda: stream.fork("x"), "reserve"),
                       (lambda: stream.mark(2.5), "reserve"), (lambda: stream.load("abc"), "snapshot"),
                       (lambda: longconv.Stream(taps, generate_len=2 ** 64 + 3), "generate_len"),
                       (lambda: stream.step(np.ones((1, 2), np.float32), out=[1]), "out")):
        with pytest.raises(longconv.InvalidArgumentError, match=f"{name}: expected"):
            call()


def refused(call, message, error=longconv.InvalidArgumentError):
    with pytest.raises(error, match=message):
        call()


def test_marks_forks_and_snapshots_that_cannot_be(rng):
    """Each gets a message that names the argument, and the stream goes on."""
    filter, u = rng.standard_normal((3, 400)), rng.standard_normal((1, 3, 400))
    stream = longconv.Stream(filter)
    whole = stream.push(u)
    stream.reset()
    refused(stream.rollback, "stream: has no mark to go back to")
    refused(stream.release, "stream: has no mark to release")
    refused(lambda: stream.mark(0), "reserve: expected >= 1, given 0")
    refused(lambda: stream.fork(-3), "reserve: expected >= 1, given -3")
    stream.push(u[:, :, :100])
    stream.mark(50)
    refused(lambda: stream.push(u[:, :, 100:151]), "u: 51 tokens at position 100, but the stream ends at 150")
    stream.push(u[:, :, 100:150])
    snapshot = stream.save()
    other = stream.like()
    other.load(snapshot)
    assert other.position == 150
    refused(other.rollback, "stream: has no mark to go back to")
    refused(lambda: other.prefill(u), "stream: a prompt comes first")
    grandchild = other.fork(300).fork(300)
    assert np.array_equal(grandchild.push(u[:, :, 150:]), whole[:, :, 150:])
    for size in (0, 7, len(snapshot) // 2, len(snapshot) - 1):
        refused(lambda size=size: other.load(snapshot[:size]), "bytes: ")
    refused(lambda: other.load(b"x" * 500), "bytes: this is no sound snapshot")
    refused(lambda: longconv.Stream(filter, max_len=500).load(snapshot), "max_len 0, this stream has 500",
            longconv.IncompatibleError)
    refused(lambda: longconv.Stream(2 * filter).load(snapshot), "another filter", longconv.IncompatibleError)
    stream.rollback()
    assert np.array_equal(stream.push(u[:, :, 100:150]), whole[:, :, 100:150])
    stream.close()
    for call in (stream.save, stream.reset, stream.info, stream.like, stream.work, lambda: stream.fork(1)):
        refused(call, "stream: is (NULL|closed)")
    refused(lambda: other.work(stream), "others: is closed")
    assert np.array_equal(other.push(u[:, :, 150:]), whole[:, :, 150:])


def test_snapshots_of_layers_know_their_options():
    arrays = longconv.ops.s5.initial(channels=4, seqlen=20, states=6)
    layers = {options: longconv.MixerStream("s5", 4, options={"states": 6, **dict(options)}, **arrays)
              for options in ((), (("rate", 2),), (("discretisation", "bilinear"),))}
    snapshot = layers[()].save()
    for options, layer in layers.items():
        if options:
            refused(lambda layer=layer: layer.load(snapshot), f"other options: {options[0][0]}=", longconv.IncompatibleError)
        else:
            layer.load(snapshot)
    refused(lambda: longconv.MixerStream("s5", 4, batch=2, options={"states": 6}, **arrays).load(snapshot), "batch 1",
            longconv.IncompatibleError)
