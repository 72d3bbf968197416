# SPDX-License-Identifier: BSD-3-Clause
"""longconv.torch.conv: values, gradients of first and second order, and the rules of PyTorch's dispatcher."""
import itertools

import numpy as np
import pytest
from conftest import close, direct

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import longconv.torch as lt  # noqa: E402
from longconv import InvalidArgumentError, UnsupportedError  # noqa: E402

# What a call has besides u and filter. Sizes are small: numeric derivatives take a pass for each number.
CASES = {
    "plain": {},
    "shared": {"filter_shape": (1, 5)},
    "grouped": {"filter_shape": (2, 5)},
    "per_sample": {"filter_shape": (2, 4, 5)},
    "long_filter": {"filter_shape": (4, 9)},
    "one_tap": {"filter_shape": (4, 1)},
    "anticausal": {"mode": "anticausal"},
    "circular": {"mode": "circular", "filter_shape": (4, 9)},
    "twosided": {"mode": "twosided", "future": 3},
    "twosided_lag0": {"mode": "twosided", "future": 4, "future_first_lag": 0, "with_": ("skip", "pre_gate")},
    "skip_bias": {"with_": ("skip", "bias")},
    "gates": {"with_": ("pre_gate", "post_gate")},
    "gelu": {"with_": ("skip", "bias", "pre_gate", "post_gate"), "activation": "gelu"},
    "gelu_tanh": {"with_": ("bias",), "activation": "gelu_tanh"},
    "silu": {"with_": ("post_gate",), "activation": "silu"},
    "state": {"with_": ("state",), "return_state": True},
    "state_out": {"return_state": True},
    "state_long_filter": {"with_": ("state", "skip"), "return_state": True, "filter_shape": (4, 10)},
    "everything": {"with_": ("skip", "bias", "pre_gate", "post_gate", "state"), "activation": "silu", "layout": "BLD",
                   "return_state": True},
}


def make(case, dtype=torch.float64, length=6, batch=2, channels=4, requires_grad=True):
    """(function of tensors, tensors by name) of a case."""
    case = dict(CASES[case])
    with_, future = case.pop("with_", ()), case.pop("future", 0)
    filter_shape = case.pop("filter_shape", (4, 5))
    data = (batch, channels, length) if case.get("layout", "BDL") == "BDL" else (batch, length, channels)
    shapes = {"u": data, "filter": filter_shape}
    shapes.update({"filter_future": (*filter_shape[:-1], future)} if future else {})
    shapes.update({name: (channels,) for name in ("skip", "bias") if name in with_})
    shapes.update({name: data for name in ("pre_gate", "post_gate") if name in with_})
    shapes.update({"state": (batch, channels, filter_shape[-1] - 1)} if "state" in with_ else {})
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    generator = torch.Generator().manual_seed(len(case) + 7)
    tensors = {}
    for name, shape in shapes.items():
        of = dtype if name in ("u", "pre_gate", "post_gate") else compute
        tensors[name] = torch.randn(shape, generator=generator, dtype=torch.float64).to(of).requires_grad_(requires_grad)

    def function(*values):
        return lt.conv(**dict(zip(tensors, values)), **case)
    return function, tensors


def outputs(result):
    return result if isinstance(result, tuple) else (result,)


# ---- Values ----

@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("case", CASES)
def test_values(case, dtype):
    function, tensors = make(case, dtype, length=40)
    y = outputs(function(*tensors.values()))[0]
    given = {name: tensor.detach().double().numpy() for name, tensor in tensors.items()}
    words = {name: word for name, word in CASES[case].items() if name in ("mode", "future_first_lag", "activation", "layout")}
    assert y.dtype == dtype and y.is_contiguous()
    close(y.detach().double().numpy(), direct(**given, **words), str(dtype).split(".")[1])


def test_is_numpy(rng):
    import longconv
    u, filter = rng.standard_normal((2, 3, 500)).astype("f4"), rng.standard_normal((3, 400)).astype("f4")
    y = lt.conv(torch.from_numpy(u), torch.from_numpy(filter), activation="gelu")
    np.testing.assert_array_equal(y.numpy(), longconv.conv(u, filter, activation="gelu"))


STRIDED = {
    "every_second": lambda t: t.repeat_interleave(2, -1)[..., ::2],
    "transposed": lambda t: t.transpose(1, 2).contiguous().transpose(1, 2),
    "expanded_batch": lambda t: t[:1].expand(t.shape),
    "expanded_time": lambda t: t[..., :1].expand(t.shape),
    "offset": lambda t: torch.cat([t, t], 1)[:, t.shape[1]:],
}


@pytest.mark.parametrize("how", STRIDED)
def test_strides(how):
    u, filter = torch.randn(2, 3, 64), torch.randn(3, 64)
    u = STRIDED[how](u)
    wanted = u.contiguous().requires_grad_()
    expected = lt.conv(wanted, filter)
    torch.testing.assert_close(lt.conv(u, filter), expected, rtol=0, atol=0)
    leaf = u.detach().requires_grad_()
    lt.conv(leaf, filter).sum().backward()  # a gradient of stride 0
    expected.backward(torch.ones_like(expected))
    torch.testing.assert_close(leaf.grad, wanted.grad)


@pytest.mark.parametrize("shape", [(0, 3, 8), (2, 0, 8), (2, 3, 0)])
def test_empty(shape):
    u, filter = torch.zeros(shape, requires_grad=True), torch.zeros(shape[1], 5, requires_grad=True)
    y = lt.conv(u, filter)
    y.sum().backward()
    assert y.shape == shape and u.grad.shape == shape and (filter.grad == 0).all()


def test_rows_far_apart():
    """Offsets above 2^31 elements: only the pages that are touched take memory."""
    u = torch.empty(3 << 30).as_strided((1, 3, 64), (0, 1 << 30, 1)).copy_(torch.randn(1, 3, 64))
    filter = torch.randn(3, 64)
    assert torch.equal(lt.conv(u, filter), lt.conv(u.contiguous(), filter))


def test_negative_bit():
    u, filter = torch.randn(1, 2, 8, dtype=torch.complex64), torch.randn(2, 8)
    imaginary = u.conj().imag
    assert imaginary.is_neg()
    torch.testing.assert_close(lt.conv(imaginary, filter), lt.conv(imaginary.resolve_neg(), filter))


# ---- Gradients ----

@pytest.mark.parametrize("case", CASES)
def test_gradients(case):
    function, tensors = make(case)
    assert torch.autograd.gradcheck(function, tuple(tensors.values()))


@pytest.mark.parametrize("case", CASES)
def test_second_gradients(case):
    function, tensors = make(case, length=5, batch=2 if case == "per_sample" else 1)
    assert torch.autograd.gradgradcheck(function, tuple(tensors.values()))


def test_third_gradient():
    u, filter = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((1, 1, 4), (1, 3)))

    def second(u, filter):
        y = lt.conv(u, filter, activation="gelu").sum()
        first = torch.autograd.grad(y, (u, filter), create_graph=True)
        return torch.autograd.grad(sum((g ** 2).sum() for g in first), (u, filter), create_graph=True)
    assert torch.autograd.gradcheck(second, (u, filter))


@pytest.mark.parametrize("case", ["everything", "twosided_lag0"])
def test_gradients_of_a_subset(case):
    """Each subset of two inputs gets the gradients that all together get."""
    function, tensors = make(case)
    full = torch.autograd.grad(sum((o ** 2).sum() for o in outputs(function(*tensors.values()))), tensors.values())
    whole = dict(zip(tensors, full))
    for names in itertools.combinations(tensors, 2):
        leaves = {name: tensor.detach().requires_grad_(name in names) for name, tensor in tensors.items()}
        loss = sum((o ** 2).sum() for o in outputs(function(*leaves.values())))
        found = torch.autograd.grad(loss, [leaves[name] for name in names])
        for name, gradient in zip(names, found):
            torch.testing.assert_close(gradient, whole[name])


def test_gradient_of_the_state_alone():
    function, tensors = make("state")
    expected = torch.autograd.grad(function(*tensors.values())[1].sum(), tensors["state"])
    y, state = function(*tensors.values())
    (y.sum() * 0 + state.sum()).backward()
    torch.testing.assert_close(tensors["state"].grad, expected[0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_dtypes_of_gradients(dtype):
    function, tensors = make("everything", dtype, length=30)
    sum(o.float().sum() for o in outputs(function(*tensors.values()))).backward()
    for tensor in tensors.values():
        assert tensor.grad.dtype == tensor.dtype and tensor.grad.isfinite().all()


def test_parameters_of_other_dtypes_get_their_gradients():
    u = torch.randn(1, 2, 30)
    filter, skip = torch.randn(2, 30, dtype=torch.float64, requires_grad=True), torch.ones(2).half().requires_grad_()
    lt.conv(u, filter, skip=skip).sum().backward()
    assert filter.grad.dtype == torch.float64 and skip.grad.dtype == torch.float16


def test_gradients_against_fft():
    """A length at which the FFT engines are taken."""
    u, filter = torch.randn(2, 3, 5000, dtype=torch.float64), torch.randn(3, 5000, dtype=torch.float64)
    leaves = [[t.clone().requires_grad_() for t in (u, filter)] for _ in range(2)]
    lt.conv(*leaves[0]).pow(2).sum().backward()
    spectra = [torch.fft.rfft(t, n=10000) for t in leaves[1]]
    torch.fft.irfft(spectra[0] * spectra[1], n=10000)[..., :5000].pow(2).sum().backward()
    for ours, theirs in zip(*leaves):
        assert (ours.grad - theirs.grad).abs().max() <= 1e-11 * theirs.grad.abs().max()


def test_deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        def run():
            function, tensors = make("everything", torch.float32, length=3000, batch=5)
            sum(o.pow(2).sum() for o in outputs(function(*tensors.values()))).backward()
            return [tensor.grad for tensor in tensors.values()]
        first = run()
        for threads in (1, 2):
            torch.set_num_threads(threads)
            assert all(torch.equal(a, b) for a, b in zip(first, run()))
    finally:
        torch.use_deterministic_algorithms(False)


def test_no_grad_and_inference_mode():
    function, tensors = make("gelu")
    expected = function(*tensors.values())
    with torch.no_grad():
        assert not function(*tensors.values()).requires_grad
    with torch.inference_mode():
        assert torch.equal(function(*tensors.values()), expected)


# ---- Errors ----

U, FILTER = torch.zeros(2, 4, 16), torch.zeros(4, 16)
WRONG = {
    "dtype": (InvalidArgumentError, "u: expected dtype", {"u": U.int()}),
    "complex_filter": (InvalidArgumentError, "expected real numbers", {"filter": FILTER.cfloat()}),
    "device": (InvalidArgumentError, "filter: expected a tensor on the CPU or on CUDA, given meta", {"filter": FILTER.to("meta")}),
    "rank": (InvalidArgumentError, "u: expected rank 3", {"u": U[0]}),
    "rows": (InvalidArgumentError, "filter: expected a number of rows", {"filter": FILTER[:3]}),
    "gate_shape": (InvalidArgumentError, "pre_gate: expected shape", {"pre_gate": U[..., :3]}),
    "gate_dtype": (InvalidArgumentError, "post_gate: expected", {"post_gate": U.double()}),
    "mode": (InvalidArgumentError, "mode: expected one of", {"mode": "backward"}),
    "state": (UnsupportedError, "state", {"mode": "circular", "return_state": True}),
    "too_large": (OverflowError, "overflow", {"u": torch.zeros(1).expand(1 << 20, 1 << 20, 1 << 20), "filter": FILTER[:1]}),
    "no_memory": (MemoryError, "no memory", {"u": torch.zeros(1).expand(1 << 18, 1 << 18, 1 << 8), "filter": FILTER[:1]}),
}


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("case", WRONG)
def test_wrong_argument(case, requires_grad):
    cls, text, changed = WRONG[case]
    given = {"u": U, "filter": FILTER, **changed}
    if given["filter"].is_floating_point():
        given["filter"] = given["filter"].detach().requires_grad_(requires_grad)
    with pytest.raises(cls, match=text):
        lt.conv(**given)


def test_sparse_and_meta():
    with pytest.raises(InvalidArgumentError, match="u: expected a dense tensor"):
        lt.conv(U.to_sparse(), FILTER)
    assert lt.conv(U.to("meta"), FILTER.to("meta")).shape == U.shape


def test_forward_mode_is_refused_and_not_forgotten():
    from torch.autograd import forward_ad
    with forward_ad.dual_level():
        assert lt.conv(U, FILTER).shape == U.shape
        with pytest.raises(UnsupportedError, match="forward-mode"):
            lt.conv(forward_ad.make_dual(U, torch.ones_like(U)), FILTER)
    with pytest.raises(UnsupportedError, match="forward-mode"):
        torch.func.jvp(lambda u: lt.conv(u, FILTER), (U,), (torch.ones_like(U),))
