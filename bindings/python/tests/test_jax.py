# SPDX-License-Identifier: BSD-3-Clause
"""longconv.jax.conv: values, gradients, jit, vmap, shard_map, and both ways to run a call. The whole file runs with the compiled
handler where there is a compiler, and with callbacks into Python."""
import os
import subprocess
import sys

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"

import numpy as np
import pytest
from conftest import close, direct

jax = pytest.importorskip("jax", reason="JAX is not installed")
import jax.numpy as jnp  # noqa: E402

import longconv  # noqa: E402
import longconv.jax as lj  # noqa: E402
from longconv import InvalidArgumentError, NoDeviceError, TooLargeError, UnsupportedError  # noqa: E402
from longconv.jax import _call, _handler  # noqa: E402

jax.config.update("jax_enable_x64", True)


@pytest.fixture(params=[pytest.param("handler", marks=pytest.mark.compiler), "callback"], autouse=True, scope="module")
def route(request, tmp_path_factory):
    """All tests with one way, then all with the other: compiled programs remember it, so they are dropped between."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("LONGCONV_JAX_ROUTE", request.param)
        patch.setattr(_handler, "_route", None)
        jax.clear_caches()
        assert lj.route() == request.param
        yield request.param


CASES = {
    "plain": {},
    "shared": {"filter_shape": (1, 5)},
    "grouped": {"filter_shape": (2, 5)},
    "per_sample": {"filter_shape": (2, 4, 5)},
    "long_filter": {"filter_shape": (4, 50)},
    "anticausal": {"mode": "anticausal"},
    "circular": {"mode": "circular", "filter_shape": (4, 9)},
    "twosided": {"mode": "twosided", "future": 3, "future_first_lag": 0, "with_": ("skip",)},
    "gelu": {"with_": ("skip", "bias", "pre_gate", "post_gate"), "activation": "gelu"},
    "everything": {"with_": ("skip", "bias", "pre_gate", "post_gate", "state"), "activation": "silu", "layout": "BLD"},
}


def make(case, rng, dtype="float64", length=12, batch=2, channels=4):
    """(arrays by name, words) of a case."""
    words = dict(CASES[case])
    with_, future, filter_shape = words.pop("with_", ()), words.pop("future", 0), words.pop("filter_shape", (4, 5))
    data = (batch, channels, length) if words.get("layout", "BDL") == "BDL" else (batch, length, channels)
    shapes = {"u": data, "filter": filter_shape}
    shapes.update({"filter_future": (*filter_shape[:-1], future)} if future else {})
    shapes.update({name: (channels,) for name in ("skip", "bias") if name in with_})
    shapes.update({name: data for name in ("pre_gate", "post_gate") if name in with_})
    shapes.update({"state": (batch, channels, filter_shape[-1] - 1)} if "state" in with_ else {})
    compute = "float64" if dtype == "float64" else "float32"
    of = {name: dtype if name in ("u", "pre_gate", "post_gate") else compute for name in shapes}
    return {name: jnp.asarray(rng.standard_normal(shape)).astype(of[name]) for name, shape in shapes.items()}, words


def by_fft(u, filter):
    """The causal convolution with jnp.fft."""
    size = u.shape[-1] + filter.shape[-1]
    return jnp.fft.irfft(jnp.fft.rfft(u, size) * jnp.fft.rfft(filter, size), size)[..., :u.shape[-1]].astype(u.dtype)


# ---- Values ----

@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("case", CASES)
def test_values(case, dtype, rng):
    arrays, words = make(case, rng, dtype, length=40)
    y = jax.jit(lambda arrays: lj.conv(**arrays, **words))(arrays)
    given = {name: np.asarray(array.astype("float64")) for name, array in arrays.items()}
    assert y.dtype == dtype and y.shape == arrays["u"].shape
    close(y.astype("float64"), direct(**given, **words), dtype)


def test_is_numpy(rng):
    u, filter = rng.standard_normal((2, 3, 500)).astype("f4"), rng.standard_normal((3, 400)).astype("f4")
    assert np.array_equal(lj.conv(u, filter), longconv.conv(u, filter))


def test_state_carries(rng):
    u, filter = rng.standard_normal((2, 3, 90)), rng.standard_normal((3, 17))
    first, state = lj.conv(u[..., :40], filter, return_state=True)
    second = lj.conv(u[..., 40:], filter, state=state)
    close(jnp.concatenate([first, second], -1), direct(u, filter), "float64")


@pytest.mark.parametrize("shape", [(0, 3, 8), (2, 0, 8), (2, 3, 0)])
def test_empty(shape):
    u, filter = jnp.zeros(shape), jnp.ones((shape[1], 4))
    du, dfilter = jax.grad(lambda u, filter: lj.conv(u, filter).sum(), (0, 1))(u, filter)
    assert du.shape == shape and dfilter.shape == filter.shape and not dfilter.any()


# ---- Gradients ----

def derivative(function, array, rng):
    """(a direction, the derivative of `function` in it) by central differences."""
    direction = rng.standard_normal(array.shape)
    step = 1e-5
    return direction, (function(array + step * direction) - function(array - step * direction)) / (2 * step)


@pytest.mark.parametrize("case", CASES)
def test_gradients_of_direct_sums(case, rng):
    arrays, words = make(case, rng)
    weights = rng.standard_normal(arrays["u"].shape)
    gradients = jax.grad(lambda arrays: (lj.conv(**arrays, **words) * weights).sum())(arrays)
    given = {name: np.asarray(array) for name, array in arrays.items()}
    for name, gradient in gradients.items():
        def loss(array, name=name):
            return (direct(**{**given, name: array}, **words) * weights).sum()
        direction, expected = derivative(loss, given[name], rng)
        assert float((gradient * direction).sum()) == pytest.approx(expected, rel=1e-6, abs=1e-6), name


def test_gradients_of_fft(rng):
    u, filter = (jnp.asarray(rng.standard_normal(shape), "float32") for shape in ((3, 8, 1000), (8, 700)))
    weights = jnp.asarray(rng.standard_normal(u.shape), "float32")
    ours, theirs = (jax.jit(jax.grad(lambda u, filter, f=f: (f(u, filter) * weights).sum(), (0, 1)))(u, filter)
                    for f in (lj.conv, by_fft))
    for mine, other in zip(ours, theirs):
        close(mine, other, "float32")


def test_state_gradient(rng):
    u, filter = jnp.asarray(rng.standard_normal((2, 3, 30))), jnp.asarray(rng.standard_normal((3, 9)))

    def in_chunks(u, filter):
        first, state = lj.conv(u[..., :20], filter, return_state=True)
        return (jnp.concatenate([first, lj.conv(u[..., 20:], filter, state=state)], -1) ** 2).sum()
    whole = jax.grad(lambda u, filter: (lj.conv(u, filter) ** 2).sum(), (0, 1))(u, filter)
    for mine, other in zip(jax.grad(in_chunks, (0, 1))(u, filter), whole):
        close(mine, other, "float64")
    only_state = jax.grad(lambda u: lj.conv(u, filter, return_state=True)[1].sum())(u)
    assert np.abs(only_state[..., -8:]).min() > 0 and not only_state[..., :-8].any()


def test_only_wanted_gradients(rng, route):
    """One result, and with the handler its workspace."""
    u, filter = jnp.asarray(rng.standard_normal((2, 3, 30))), jnp.asarray(rng.standard_normal((3, 9)))
    program = str(jax.make_jaxpr(jax.grad(lambda filter: lj.conv(u, filter).sum()))(filter))
    backward = [line for line in program.splitlines() if ("ffi_call" if route == "handler" else "pure_callback") in line]
    assert backward and not any(line.count("f64[2,3,30]") and line.count("f64[3,9]") for line in backward)
    both = jax.grad(lambda u, filter: lj.conv(u, filter).sum(), (0, 1))(u, filter)
    assert np.array_equal(jax.grad(lambda filter: lj.conv(u, filter).sum())(filter), both[1])


@pytest.mark.parametrize("case", CASES)
def test_second_gradients(case, rng):
    """The derivative of the gradients in a direction, against central differences of the gradients."""
    arrays, words = make(case, rng, length=7, batch=2 if case == "per_sample" else 1)
    words = {**words, **({"return_state": True} if "state" in arrays else {})}
    weights = {name: jnp.asarray(rng.standard_normal(array.shape)) for name, array in arrays.items()}
    of_y = [jnp.asarray(rng.standard_normal(shape)) for shape in (arrays["u"].shape, arrays.get("state", jnp.zeros(0)).shape)]

    def loss(arrays):
        results = lj.conv(**arrays, **words)
        return sum((result ** 2 * weight).sum() for result, weight in zip(results if "state" in arrays else [results], of_y))

    @jax.jit
    def first(arrays):
        return sum((gradient * weights[name]).sum() for name, gradient in jax.grad(loss)(arrays).items())
    second = jax.jit(jax.grad(first))(arrays)
    for name, array in arrays.items():
        direction, expected = derivative(lambda value, name=name: float(first({**arrays, name: value})), array, rng)
        assert float((second[name] * direction).sum()) == pytest.approx(expected, rel=1e-5, abs=1e-5), name


def test_second_gradient_of_one(rng):
    """Where only one array is differentiated in, in float32 and 16 bits too: the Hessian is that of the FFT."""
    u, filter = rng.standard_normal((2, 3, 30)), rng.standard_normal((3, 9))
    for dtype, digits in (("float32", 1e-4), ("bfloat16", 2e-2)):
        x, h = jnp.asarray(u, dtype), jnp.asarray(filter, "float32")

        def products(conv, x=x, h=h):
            loss = lambda h: (conv(x, h).astype("float32") ** 3).sum()  # noqa: E731
            return jax.grad(lambda h: (jax.grad(loss)(h) ** 2).sum())(h)
        ours, theirs = products(lj.conv), products(lambda x, h: by_fft(x.astype("float32"), h))
        assert float(jnp.linalg.norm(ours - theirs) / jnp.linalg.norm(theirs)) < digits


def test_third_gradient(rng):
    u, filter = jnp.asarray(rng.standard_normal((1, 1, 5))), jnp.asarray(rng.standard_normal((1, 3)))

    def second(f):
        loss = lambda f: jax.nn.silu(lj.conv(u, f, activation="gelu")).sum()  # noqa: E731
        return jax.grad(lambda f: (jax.grad(loss)(f) ** 2).sum())(f).sum()
    direction, expected = derivative(lambda value: float(second(value)), filter, rng)
    assert float((jax.grad(second)(filter) * direction).sum()) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_hessian(rng):
    """vmap goes through second derivatives as well."""
    u, filter = jnp.asarray(rng.standard_normal((2, 2, 9))), jnp.asarray(rng.standard_normal((2, 4)))
    ours, theirs = (jax.jacrev(jax.jacrev(lambda h, f=f: (f(u, h) ** 3).sum()))(filter) for f in (lj.conv, by_fft))
    close(ours, theirs, "float64", factor=256)


def test_forward_mode_is_refused():
    u, filter = jnp.ones((1, 2, 8)), jnp.ones((2, 4))
    with pytest.raises(TypeError, match="custom_vjp"):
        jax.jvp(lambda f: lj.conv(u, f), (filter,), (filter,))


# ---- Transformations ----

MAPPED = {"all": None, "data": ("u", "pre_gate", "post_gate", "state"), "parameters": ("filter", "filter_future", "skip", "bias"),
          "filter": ("filter",)}


@pytest.mark.parametrize("mapped", MAPPED)
@pytest.mark.parametrize("case", CASES)
def test_vmap(case, mapped, rng):
    """Values and the gradients of every entry are those of calls one by one."""
    names = MAPPED[mapped] or tuple(make(case, rng)[0])
    entries = [make(case, rng) for _ in range(3)]
    words, common = entries[0][1], entries[0][0]
    axes = {name: 0 if name in names else None for name in common}
    stacked = {name: jnp.stack([entry[name] for entry, _ in entries]) if name in names else common[name] for name in common}

    @jax.jit
    def both(arrays):
        return jax.value_and_grad(lambda arrays: (lj.conv(**arrays, **words) ** 2).sum())(arrays)
    values, gradients = jax.vmap(both, in_axes=(axes,))(stacked)
    for i, (entry, _) in enumerate(entries):
        value, gradient = both({name: entry[name] if name in names else common[name] for name in common})
        assert values[i] == pytest.approx(float(value), rel=1e-12)
        for name in common:
            close(gradients[name][i], gradient[name], "float64")


def test_vmap_twice(rng):
    u, filter = rng.standard_normal((2, 3, 2, 4, 30)), rng.standard_normal((3, 4, 9))
    y = jax.vmap(jax.vmap(lj.conv), in_axes=(0, None))(u, filter)
    for i in range(2):
        for j in range(3):
            close(y[i, j], direct(u[i, j], filter[j]), "float64")


def test_scan_and_threads(rng):
    """A call within a loop; programs that run at the same time."""
    from concurrent.futures import ThreadPoolExecutor
    u, filter = jnp.asarray(rng.standard_normal((2, 3, 64))), jnp.asarray(rng.standard_normal((3, 64)) * 0.1)
    looped = jax.jit(lambda u: jax.lax.scan(lambda x, _: (lj.conv(x, filter), None), u, None, length=3)[0])
    expected = direct(direct(direct(u, filter), filter), filter)
    with ThreadPoolExecutor(4) as pool:
        for y in pool.map(lambda _: looped(u), range(16)):
            close(y, expected, "float64", factor=128)


def test_shard_map(rng):
    """Batch over two devices, channels over two, in both directions; filters lie with their channels."""
    if len(jax.devices()) < 4:
        pytest.skip("JAX was started before this file, with fewer than 4 devices")
    mesh = jax.make_mesh((2, 2), ("batch", "channels"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    spec = jax.sharding.PartitionSpec
    u, filter = jnp.asarray(rng.standard_normal((4, 6, 100))), jnp.asarray(rng.standard_normal((6, 80)))
    sharded = jax.shard_map(lj.conv, mesh=mesh, in_specs=(spec("batch", "channels"), spec("channels")),
                            out_specs=spec("batch", "channels"), check_vma=False)
    close(jax.jit(sharded)(u, filter), direct(u, filter), "float64")
    ours, alone = (jax.jit(jax.grad(lambda u, filter, f=f: (f(u, filter) ** 2).sum(), (0, 1)))(u, filter)
                   for f in (sharded, lj.conv))
    for mine, other in zip(ours, alone):
        close(mine, other, "float64")


# ---- Errors ----

U, H = np.ones((2, 3, 8), "f4"), np.ones((3, 4), "f4")
WRONG = {
    "rank": (dict(u=U[0], filter=H), InvalidArgumentError, "u: expected rank 3"),
    "dtype": (dict(u=U.astype("i4"), filter=H), InvalidArgumentError, "u: expected dtype"),
    "complex": (dict(u=U, filter=H * 1j), InvalidArgumentError, "filter: expected real"),
    "rows": (dict(u=U, filter=np.ones((2, 4))), InvalidArgumentError, "filter: expected a number of rows"),
    "gate_dtype": (dict(u=U, filter=H, pre_gate=U.astype("f8")), InvalidArgumentError, "pre_gate: expected u's dtype"),
    "skip": (dict(u=U, filter=H, skip=np.ones(4)), InvalidArgumentError, "skip: expected shape"),
    "state": (dict(u=U, filter=H, state=np.ones((2, 3, 4))), InvalidArgumentError, "state: expected shape"),
    "state_mode": (dict(u=U, filter=H, state=np.ones((2, 3, 3)), mode="circular"), UnsupportedError, "state"),
    "mode": (dict(u=U, filter=H, mode="sideways"), InvalidArgumentError, "mode: expected one of"),
    "backend": (dict(u=U, filter=H, backend="none such"), NoDeviceError, "backend"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("jit", [False, True])
def test_errors(case, jit):
    """While the program is traced, also below jit."""
    arguments, error, message = WRONG[case]
    words = {name: arguments[name] for name in arguments if isinstance(arguments[name], str)}
    arrays = {name: arguments[name] for name in arguments if name not in words}
    call = lambda arrays: lj.conv(**arrays, **words)  # noqa: E731
    with pytest.raises(error, match=message):
        (jax.jit(call) if jit else call)(arrays)


def test_too_large():
    u = jax.ShapeDtypeStruct((2 ** 21, 2 ** 21, 2 ** 21), jnp.float32)
    with pytest.raises((TooLargeError, OverflowError)):
        jax.eval_shape(lj.conv, u, jax.ShapeDtypeStruct((1, 4), jnp.float32))


def test_too_little_workspace(route, monkeypatch):
    """As in a program that was compiled on another machine."""
    if route != "handler":
        pytest.skip("callbacks bring their own workspace")
    monkeypatch.setattr(_call, "_workspace_bytes", lambda found: 1)
    with pytest.raises(Exception, match="compile it again"):
        jax.block_until_ready(jax.jit(lambda u: lj.conv(u, jnp.ones((3, 50))))(jnp.ones((2, 3, 77))))


def python(code, **environment):
    return subprocess.run([sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True)


def test_without_compiler(tmp_path):
    """The result is the same, and a warning says what is missing; a handler that is insisted on is an error."""
    code = ("import numpy as np, longconv.jax as lj; y = lj.conv(np.ones((1, 1, 4), 'f4'), np.ones((1, 2), 'f4'));"
            "assert lj.route() == 'callback'; print(np.asarray(y).tolist())")
    done = python(code, CC="no-such-compiler", XDG_CACHE_HOME=str(tmp_path), LONGCONV_JAX_ROUTE="auto")
    assert done.stdout.strip() == "[[[1.0, 2.0, 2.0, 2.0]]]", done.stderr
    assert "no C compiler 'no-such-compiler'" in done.stderr and "pure_callback" in done.stderr
    done = python(code, CC="no-such-compiler", XDG_CACHE_HOME=str(tmp_path), LONGCONV_JAX_ROUTE="handler")
    assert done.returncode and "NoDeviceError" in done.stderr
