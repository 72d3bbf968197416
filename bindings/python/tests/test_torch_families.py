# SPDX-License-Identifier: BSD-3-Clause
"""Filter families as layers, and the state space layers: formulas in float64, gradients, names, tracing."""
import copy
import json
import os
import pathlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import longconv  # noqa: E402
import longconv.torch as lt  # noqa: E402
from longconv import InvalidArgumentError, UnsupportedError  # noqa: E402
from longconv.torch.ssm import DSS_VERSIONS, DSSKernel, S4DKernel  # noqa: E402

GOLDEN = pathlib.Path(os.environ.get("LONGCONV_GOLDEN_DIR") or "/nonexistent")


@pytest.fixture(autouse=True)
def double():
    """One thread: numeric derivatives are thousands of small calls, each of which would wake another one."""
    torch.manual_seed(0)
    default, threads = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    yield
    torch.set_default_dtype(default)
    torch.set_num_threads(threads)


def causal(x, taps):
    """Direct sums; x [batch, channels, seqlen]."""
    y = torch.zeros_like(x)
    for j in range(min(taps.shape[-1], x.shape[-1])):
        y[..., j:] += taps[..., j, None] * x[..., :x.shape[-1] - j]
    return y


def s4d_taps(kernel, length):
    """Vandermonde sum by its formula (zero-order hold)."""
    a = torch.complex(-kernel.A_real.exp(), -kernel.A_imag)
    dta = a * kernel.inv_dt.exp()
    gains = torch.view_as_complex(kernel.B)[0] * torch.view_as_complex(kernel.C) * (dta.exp() - 1) / a
    return 2 * (gains[..., None] * (dta[..., None] * torch.arange(length)).exp()).sum(-2).real.flatten(0, 1)


# ---- Any family ----

@pytest.mark.parametrize("name", sorted(longconv.filters.families()))
def test_family_gradients(name):
    """Taps are those of longconv.filters, their gradients those of finite differences."""
    layer = lt.FilterFamily(name, 3, 12)
    alone = longconv.filters.Filter(name, 3, 12, dtype="float64")
    alone.set(**{key: value.detach().numpy() for key, value in layer.state_dict().items()})
    np.testing.assert_array_equal(layer(12).detach().numpy(), alone.taps(12))
    parameters = dict(layer.named_parameters())

    def taps(*values):
        return torch.func.functional_call(layer, dict(zip(parameters, values)), (9,))
    assert torch.autograd.gradcheck(taps, tuple(parameters.values()), atol=1e-6)


def test_initial_values_follow_the_seed():
    values = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        values.append(lt.FilterFamily("modal", 3, 12, modes=4)(12))
    assert torch.equal(values[0], values[1]) and not torch.equal(values[0], values[2])


def test_threads_and_copies():
    """Layers with one description share an instance in C, but never each other's values."""
    layers = [lt.FilterFamily("decay", 2, 50) for _ in range(4)]
    layers += [copy.deepcopy(layers[0])]
    expected = [layer(50).detach() for layer in layers]
    assert torch.equal(expected[0], expected[-1]) and not torch.equal(expected[0], expected[1])
    with ThreadPoolExecutor(4) as pool:
        for i, taps in enumerate(pool.map(lambda i: layers[i % 5](50), range(60))):
            assert torch.equal(taps, expected[i % 5])


def test_operator_rules():
    layer = lt.FilterFamily("modal", 2, 20, modes=3)
    family, parameters = layer.family, list(layer.parameters())
    words = (family.family, family.options, 2, 20, family.filters, 15)
    for result in torch.library.opcheck(torch.ops.longconv.taps, (parameters, *words)).values():
        assert result == "SUCCESS"
    dtaps = torch.randn(2, 15)
    torch.library.opcheck(torch.ops.longconv.taps_backward, (dtaps, [p.detach() for p in parameters], *words))


def test_compiled():
    layer, u = lt.S4D(4, 8), torch.randn(2, 4, 30)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(u), layer(u))
    torch.testing.assert_close(torch.autograd.grad(compiled(u).sum(), layer.kernel.C)[0],
                               torch.autograd.grad(layer(u).sum(), layer.kernel.C)[0])


def test_refusals():
    layer = lt.FilterFamily("modal", 2, 20)
    with pytest.raises(InvalidArgumentError, match="length: expected at most 20"):
        layer(21)
    gradient, = torch.autograd.grad((layer(20) ** 2).sum(), layer.residues, create_graph=True)
    with pytest.raises(UnsupportedError, match="differentiated again"):
        torch.autograd.grad(gradient.sum(), layer.residues)
    assert layer.half()(20).dtype == torch.float32  # taps are in the compute dtype
    with pytest.raises(InvalidArgumentError, match="version"):
        lt.DSS(4, version="none such")


def test_transforms():
    """torch.func goes into families: derivatives of a layer for each entry of the data, taps for several values, and no
    second derivatives."""
    layer, x = lt.S4D(3, 4), torch.randn(4, 2, 3, 9)
    values = {name: value.detach() for name, value in layer.named_parameters()}

    def loss(values, x):
        return torch.func.functional_call(layer, values, (x,)).square().sum()
    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(values, x)
    for entry in range(4):
        layer.zero_grad()
        layer(x[entry]).square().sum().backward()
        for name, value in layer.named_parameters():
            torch.testing.assert_close(each[name][entry], value.grad)
    several = {name: torch.stack([value, 1.1 * value]) for name, value in values.items()}
    taps = torch.func.vmap(lambda values: torch.func.functional_call(layer, values, (x[0],)))(several)
    for entry in range(2):
        other = {name: value[entry] for name, value in several.items()}
        torch.testing.assert_close(taps[entry], torch.func.functional_call(layer, other, (x[0],)))
    with pytest.raises(UnsupportedError, match="filter family cannot be differentiated again"):
        torch.func.grad(lambda values: torch.func.grad(loss)(values, x[0])["kernel.C"].sum())(values)
    with pytest.raises(UnsupportedError, match="forward-mode"):
        torch.func.hessian(loss)(values, x[0])
    with pytest.raises(UnsupportedError, match="no entries"):
        torch.func.vmap(loss, (None, 0))(values, x[:0])


def test_lengths_of_numpy():
    """Whole numbers of any kind are lengths, others are refused by name."""
    family = lt.FilterFamily("decay", 2, 16)
    torch.testing.assert_close(family(np.int64(9)), family(9))
    with pytest.raises(InvalidArgumentError, match="length"):
        family(9.5)


# ---- Layers ----

@pytest.mark.parametrize("layout", ["BDL", "BLD"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_s4d(bidirectional, layout):
    layer, u = lt.S4D(4, 8, channels=2, bidirectional=bidirectional, layout=layout), torch.randn(2, 4, 21)
    taps = s4d_taps(layer.kernel, 21)
    past, future = taps.unflatten(0, (-1, 2, 4))[0], taps.unflatten(0, (-1, 2, 4))[-1]
    x = u[:, None].expand(2, 2, 4, 21).flatten(1, 2)
    expected = causal(x, past.flatten(0, 1)) + layer.D.flatten()[:, None] * x
    if bidirectional:  # from one step ahead on
        ahead = causal(x.flip(-1), future.flatten(0, 1)).flip(-1)
        expected[..., :-1] += ahead[..., 1:]
    y = layer(u) if layout == "BDL" else layer(u.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(y, expected)
    ours = torch.autograd.grad(y.square().sum(), list(layer.parameters()))
    theirs = torch.autograd.grad(expected.square().sum(), list(layer.parameters()))
    for mine, other in zip(ours, theirs):
        torch.testing.assert_close(mine, other)


def test_float32_and_autocast():
    layer, u = lt.S4D(4, 8).float(), torch.randn(2, 4, 64, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(u)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), layer(u), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("make, features", [
    (lambda: lt.DSS(3, 4), None), (lambda: lt.MegaEMA(3, bidirectional=True), 3), (lambda: lt.GSS(5, 2, 4, 3), 5),
    (lambda: lt.BiGS(5, d_state=4), 5)])
def test_layer_gradients(make, features):
    layer = make()
    u = torch.randn(2, 7, features) if features else torch.randn(2, 3, 7)
    parameters = dict(layer.named_parameters())

    def function(u, *values):
        return torch.func.functional_call(layer, dict(zip(parameters, values)), (u,))
    assert torch.autograd.gradcheck(function, (u.requires_grad_(), *parameters.values()), atol=1e-5)


# ---- Vectors of the authors' implementations ----

def golden(pattern):
    return [pytest.param(path, id=path.name) for path in sorted(GOLDEN.glob(pattern))] or [
        pytest.param(None, marks=pytest.mark.skip(reason="LONGCONV_GOLDEN_DIR is not set, or has no " + pattern))]


def read(folder):
    arrays = {path.stem: torch.from_numpy(np.load(path)).double() for path in folder.glob("*.npy")}
    return json.loads((folder / "meta.json").read_text())["hyper"], arrays


def check(module, arrays, inputs, result, dresult):
    """Loads by name (the files have _ for .), and compares the output and all gradients."""
    by_file = {name.replace(".", "_"): name for name, _ in module.named_parameters()}
    given = {by_file[key[2:]]: value for key, value in arrays.items() if key[:2] == "p_" and key[2:] in by_file}
    assert len(given) == len(by_file)
    module.load_state_dict({**module.state_dict(), **given})
    y = module(*inputs)
    torch.testing.assert_close(y.reshape(result.shape), result, rtol=1e-9, atol=1e-10 * result.abs().max().item())
    y.backward(dresult.reshape(y.shape))
    found = {**{file: dict(module.named_parameters())[name].grad for file, name in by_file.items()}}
    for key, value in arrays.items():
        if key[:2] == "g_" and key[2:] in found:
            torch.testing.assert_close(found[key[2:]], value, rtol=1e-7, atol=1e-8 * value.abs().max().item() + 1e-11, msg=key)


@pytest.mark.parametrize("folder", golden("s4d_kernel_*"))
def test_golden_s4d(folder):
    hyper, arrays = read(folder)
    words = {name: hyper[name + "_transform"] for name in ("real", "imag", "dt")}
    kernel = S4DKernel(hyper["d_model"], hyper["d_state"], hyper["channels"], n_ssm=arrays["p_A_real"].shape[0],
                       disc=hyper["disc"], is_real=hyper["is_real"], **words)
    check(kernel, arrays, (hyper["L"],), arrays["out_k"], arrays["in_dk"])


@pytest.mark.parametrize("folder", golden("dss_kernel_*"))
def test_golden_dss(folder):
    hyper, arrays = read(folder)
    assert hyper["version"] in DSS_VERSIONS
    kernel = DSSKernel(hyper["H"], hyper["N"], version=hyper["version"], hold_shift=hyper["version"] == "softmax",
                       sep_dt_re_im=hyper.get("sep_dt_re_im", True))
    check(kernel, arrays, (hyper["L"],), arrays["out_k"], arrays["in_dk"])


@pytest.mark.parametrize("folder", golden("mega_ema_*"))
def test_golden_mega(folder):
    hyper, arrays = read(folder)
    module = lt.MegaEMA(hyper["D"], hyper["ndim"], hyper["bidirectional"], hyper["truncation"])
    time_first = [arrays[name].transpose(0, 1) for name in ("in_x", "out_y", "in_dy")]
    check(module, arrays, time_first[:1], *time_first[1:])


@pytest.mark.parametrize("folder", golden("gss_layer_*") + golden("bigs_layer_*"))
def test_golden_gated(folder):
    hyper, arrays = read(folder)
    module = (lt.GSS(hyper["E"], hyper["F"] / hyper["E"], hyper["N"], hyper["H"]) if "gss" in folder.name else
              lt.BiGS(hyper["H"], hyper["F"], hyper["N"], hyper["layer_norm_eps"]))
    check(module, arrays, (arrays["in_x"],), arrays["out_y"], arrays["in_dy"])
