# SPDX-License-Identifier: BSD-3-Clause
"""The layers of longconv.torch: against the formulas with torch.fft, names of parameters, copies, and, where a folder of
vectors of the authors' implementations is given (LONGCONV_GOLDEN_DIR), against those."""
import copy
import io
import json
import math
import os
import pathlib
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from longconv import InvalidArgumentError, UnsupportedError  # noqa: E402
from longconv.torch import H3, HyenaFilter, HyenaOperator, LongConv  # noqa: E402

GOLDEN = pathlib.Path(os.environ.get("LONGCONV_GOLDEN_DIR") or "no golden folder")


def fft_conv(u, taps):
    """Causal convolution of [..., seqlen] with [channels, taps]."""
    size = u.shape[-1] + taps.shape[-1]
    return torch.fft.irfft(torch.fft.rfft(u, n=size) * torch.fft.rfft(taps, n=size), n=size)[..., :u.shape[-1]]


def hyena_reference(module, u):
    """The operator with torch.fft, channels first, from the paper's equations."""
    order, width = module.order, module.d_model
    uc = module.short_filter(module.in_proj(u).transpose(1, 2))[..., :u.shape[1]]
    *x, v = uc.split(width, 1)
    taps = module.filter_fn.filter(u.shape[1])[0].T
    for step in range(order - 1):
        rows = [c * (order - 1) + step for c in range(width)]
        v = v * x[order - 1 - step]
        v = fft_conv(v, taps[rows]) + module.filter_fn.bias[rows, None] * v
    return module.out_proj((v * x[0]).transpose(1, 2))


@pytest.mark.parametrize("order, length", [(2, 100), (3, 61), (4, 128)])
def test_hyena_is_its_formula(order, length):
    torch.manual_seed(order)
    module = HyenaOperator(6, 128, order=order, filter_order=16, emb_dim=5, w=10).double()
    u = torch.randn(2, length, 6, dtype=torch.float64)
    expected = hyena_reference(module, u)
    torch.testing.assert_close(module(u), expected)
    ours = torch.autograd.grad(module(u).pow(2).sum(), module.parameters())
    theirs = torch.autograd.grad(expected.pow(2).sum(), module.parameters())
    for (name, _), a, b in zip(module.named_parameters(), ours, theirs):
        torch.testing.assert_close(a, b, msg=name)


def test_hyena_is_causal():
    module = HyenaOperator(4, 32, filter_order=16).double()
    u = torch.randn(1, 32, 4, dtype=torch.float64, requires_grad=True)
    slope = torch.autograd.grad(module(u)[0, 10].sum(), u)[0]
    assert slope[0, 11:].abs().max() < 1e-12 < slope[0, 10].abs().max()


def test_hyena_blocks():
    """Blocks are convolved each for itself: like a batch of blocks, but for the short convolution before."""
    module = HyenaOperator(4, 64, num_blocks=4, filter_order=8, short_filter_order=1)
    single = HyenaOperator(4, 64, filter_order=8, short_filter_order=1)
    single.load_state_dict(module.state_dict())
    u = torch.randn(2, 64, 4)
    torch.testing.assert_close(module(u), single(u.reshape(8, 16, 4)).reshape(2, 64, 4))


def test_hyena_dropout_and_length():
    module = HyenaOperator(4, 32, dropout=0.5, filter_order=8)
    u = torch.randn(2, 40, 4)
    assert module(u).shape == (2, 32, 4)  # cut at l_max
    assert not torch.equal(module(u), module(u))
    module.eval()
    torch.testing.assert_close(module(u), hyena_reference(module, u[:, :32]), atol=1e-5, rtol=1e-4)


HYENA_NAMES = """out_proj.weight out_proj.bias in_proj.weight in_proj.bias short_filter.weight short_filter.bias
filter_fn.bias filter_fn.pos_emb.z filter_fn.pos_emb.t filter_fn.implicit_filter.0.weight filter_fn.implicit_filter.0.bias
filter_fn.implicit_filter.1.freq filter_fn.implicit_filter.2.weight filter_fn.implicit_filter.2.bias
filter_fn.implicit_filter.3.freq filter_fn.implicit_filter.4.weight filter_fn.implicit_filter.4.bias
filter_fn.implicit_filter.5.freq filter_fn.implicit_filter.6.weight filter_fn.modulation.deltas""".split()
H3_NAMES = """ssm_k_D D q_proj.weight q_proj.bias k_proj.weight k_proj.bias v_proj.weight v_proj.bias
ssm_k_kernel.kernel.B ssm_k_kernel.kernel.C kernel.kernel.C kernel.kernel.log_dt kernel.kernel.B kernel.kernel.inv_A_real
kernel.kernel.A_imag output_linear.weight output_linear.bias""".split()


def test_names_of_the_checkpoints():
    assert sorted(HyenaOperator(4, 16).state_dict()) == sorted(HYENA_NAMES)
    assert sorted(H3(4).state_dict()) == sorted(H3_NAMES)
    shapes = {name: tuple(tensor.shape) for name, tensor in HyenaOperator(4, 16, order=3).state_dict().items()}
    assert shapes["short_filter.weight"] == (16, 1, 3) and shapes["filter_fn.pos_emb.z"] == (1, 16, 3)
    assert shapes["filter_fn.implicit_filter.6.weight"] == (8, 64) and shapes["filter_fn.modulation.deltas"] == (1, 1, 8)


def diag_taps(kernel, length):
    """The taps of a diagonal model by running its recurrence on an impulse."""
    dt, a = torch.exp(kernel.log_dt)[:, None], torch.complex(-torch.exp(kernel.inv_A_real), kernel.A_imag)
    if kernel.disc == "zoh":
        pole, gain = torch.exp(a * dt), (torch.exp(a * dt) - 1) / a
    else:
        pole, gain = (1 + a * dt / 2) / (1 - a * dt / 2), dt / (1 - a * dt / 2)
    state, taps = gain * torch.view_as_complex(kernel.B), []
    for _ in range(length):
        taps.append(2 * (torch.view_as_complex(kernel.C[0]) * state).sum(-1).real)
        state = state * pole
    return torch.stack(taps, -1)


def h3_reference(module, u):
    """The layer with torch.fft and explicit loops over the entries of the outer products."""
    q, k, v = (project(u).transpose(1, 2) for project in (module.q_proj, module.k_proj, module.v_proj))
    size, shift = module.head_dim, module.ssm_k_kernel.kernel
    states = shift.B.shape[-1]
    taps = torch.stack([(shift.B[:, :states - j] * shift.C[0, :, j:]).sum(-1) for j in range(states)], -1)
    k = fft_conv(k, taps[:, :u.shape[1]]) + module.ssm_k_D[:, None] * k
    diag, out = diag_taps(module.kernel.kernel, u.shape[1]), []
    for j in range(size):
        total = 0
        for i in range(size):
            kv = k[:, i::size] * v[:, j::size]
            total = total + q[:, i::size] * (fft_conv(kv, diag) + module.D[:, None] * kv)
        out.append(total)
    return module.output_linear(torch.cat(out, 1).transpose(1, 2))  # channel j * heads + head


@pytest.mark.parametrize("head_dim, disc, length", [(1, "bilinear", 70), (1, "zoh", 20), (2, "bilinear", 33), (3, "zoh", 64)])
def test_h3_is_its_formula(head_dim, disc, length):
    torch.manual_seed(length)
    module = H3(6, d_state=32, head_dim=head_dim, disc=disc).double()
    u = torch.randn(2, length, 6, dtype=torch.float64)
    expected = h3_reference(module, u)
    torch.testing.assert_close(module(u), expected)
    ours = torch.autograd.grad(module(u).pow(2).sum(), module.parameters())
    theirs = torch.autograd.grad(expected.pow(2).sum(), module.parameters())
    for (name, _), a, b in zip(module.named_parameters(), ours, theirs):
        torch.testing.assert_close(a, b, msg=name)


def test_h3_output_order():
    last, first = H3(6, head_dim=2), H3(6, head_dim=2, output_order="heads_first")
    first.load_state_dict(last.state_dict())
    order = [j * 3 + head for head in range(3) for j in range(2)]  # channel (head, j) is channel (j, head) of the other
    first.output_linear.weight.data = last.output_linear.weight.data[:, order]
    u = torch.randn(1, 20, 6)
    torch.testing.assert_close(first(u), last(u))


def test_long_conv_layer():
    layer = LongConv(6, 50, groups=2, mode="twosided", future_len=20, bias=True, activation="gelu")
    u = torch.randn(2, 6, 64)
    past, future = (f.repeat_interleave(3, 0) for f in (layer.filter, layer.filter_future))
    later = fft_conv(torch.nn.functional.pad(u.flip(-1), (1, 0))[..., :-1], future).flip(-1)
    z = fft_conv(u, past) + later + layer.skip[:, None] * u + layer.bias[:, None]
    torch.testing.assert_close(layer(u), torch.nn.functional.gelu(z))
    gate = torch.randn_like(u)
    assert LongConv(6, 5, skip=False)(u, pre_gate=gate, post_gate=gate).shape == u.shape
    assert "filter_len=50" in repr(layer)


MODULES = {"long_conv": lambda: LongConv(4, 30, layout="BLD"), "hyena": lambda: HyenaOperator(4, 64, filter_order=8),
           "h3": lambda: H3(4, d_state=8), "h3_heads": lambda: H3(4, d_state=8, head_dim=2)}


@pytest.mark.parametrize("name", MODULES)
def test_copies(name):
    module, u = MODULES[name](), torch.randn(2, 40, 4)
    expected, memory = module(u), io.BytesIO()
    torch.save(module.state_dict(), memory)
    memory.seek(0)
    loaded = MODULES[name]()
    loaded.load_state_dict(torch.load(memory))
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), loaded):
        assert torch.equal(other(u), expected)


@pytest.mark.parametrize("name", MODULES)
def test_compile_and_autocast(name):
    torch._dynamo.reset()
    module, u = MODULES[name](), torch.randn(2, 40, 4)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(u), module(u))
    with torch.autocast("cpu", torch.bfloat16):
        y = module(u)
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())
    torch.testing.assert_close(y.float(), module(u), rtol=0.1, atol=0.05)


def test_filter_alone():
    filter = HyenaFilter(3, seq_len=50, normalized=True, shift=0.05, modulation_lr=1e-3, lr_pos_emb=0.0)
    taps = filter.filter(20)
    assert taps.shape == (1, 20, 3) and "modulation.deltas" in dict(filter.named_parameters())
    x = torch.randn(2, 3, 20)
    torch.testing.assert_close(filter(x), fft_conv(x, taps[0].T) + filter.bias[:, None] * x)


def test_wrong_arguments():
    for make, cls in [(lambda: HyenaOperator(4, 16, num_heads=2), UnsupportedError),
                      (lambda: HyenaOperator(4, 16, order=1), InvalidArgumentError),
                      (lambda: HyenaOperator(4, 16, activation="cube"), InvalidArgumentError),
                      (lambda: HyenaFilter(4, emb_dim=4), InvalidArgumentError),
                      (lambda: HyenaFilter(4, seq_len=8).filter(9), InvalidArgumentError),
                      (lambda: H3(5, head_dim=2), InvalidArgumentError), (lambda: H3(4, disc="euler"), InvalidArgumentError)]:
        with pytest.raises(cls):
            make()


# ---- Vectors of the authors' implementations ----

FILTER_NAMES = {"freq": ["1.freq", "3.freq", "5.freq"], "W0": ["0.weight"], "b0": ["0.bias"], "W1": ["2.weight"],
                "b1": ["2.bias"], "W2": ["4.weight"], "b2": ["4.bias"], "W_out": ["6.weight"]}
HYENA = {"W_in": "in_proj.weight", "b_in": "in_proj.bias", "W_short": "short_filter.weight", "b_short": "short_filter.bias",
         "W_out_proj": "out_proj.weight", "b_out_proj": "out_proj.bias", "D": "filter_fn.bias"}
H3_OF = {"Wq": "q_proj.weight", "bq": "q_proj.bias", "Wk": "k_proj.weight", "bk": "k_proj.bias", "Wv": "v_proj.weight",
         "bv": "v_proj.bias", "Wo": "output_linear.weight", "bo": "output_linear.bias", "D": "D", "shift_D": "ssm_k_D",
         "shift_B": "ssm_k_kernel.kernel.B", "shift_C": "ssm_k_kernel.kernel.C", "diag_B": "kernel.kernel.B",
         "diag_C": "kernel.kernel.C", "diag_log_dt": "kernel.kernel.log_dt", "diag_A_imag": "kernel.kernel.A_imag",
         "diag_inv_A_real": "kernel.kernel.inv_A_real"}


def golden(pattern):
    return [pytest.param(path, id=path.name) for path in sorted(GOLDEN.glob(pattern))] or [
        pytest.param(None, marks=pytest.mark.skip(reason="LONGCONV_GOLDEN_DIR is not set, or has no " + pattern))]


def read(folder):
    arrays = {path.stem: torch.from_numpy(np.load(path)).double() for path in folder.glob("*.npy")}
    return json.loads((folder / "meta.json").read_text())["hyper"], arrays


def hyena_names():
    names = dict(HYENA)
    for short, long in FILTER_NAMES.items():
        names["f_" + short] = [f"filter_fn.implicit_filter.{name}" for name in long]
    return {short: long if isinstance(long, list) else [long] for short, long in names.items()}


def load(module, arrays, names):
    """Loads the parameters of a folder, which has no tables: those stay."""
    missing, unexpected = module.load_state_dict(
        {name: arrays["p_" + short] for short, of in names.items() for name in of if "p_" + short in arrays}, strict=False)
    assert not unexpected and all("pos_emb" in name or "deltas" in name for name in missing), missing


def compare(module, arrays, names):
    """Output and all gradients that the folder has."""
    u = arrays["in_x"].requires_grad_()
    y = module(u)
    torch.testing.assert_close(y, arrays["out_y"], rtol=1e-9, atol=1e-10)
    if "in_dy" not in arrays:
        return
    y.backward(arrays["in_dy"])
    parameters = {**dict(module.named_parameters(remove_duplicate=False)), "x": u}
    for short, of in {**names, "x": ["x"]}.items():
        if "g_" + short in arrays:
            scale = arrays["g_" + short].abs().max().item()
            torch.testing.assert_close(parameters[of[0]].grad, arrays["g_" + short], rtol=1e-8, atol=1e-9 * scale, msg=short)


@pytest.mark.parametrize("folder", golden("hyena_order*") + golden("hyena_standalone_order*"))
def test_golden_hyena(folder):
    hyper, arrays = read(folder)
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        module = HyenaOperator(
            hyper["d_model"], hyper.get("seq_len", hyper["L"]), order=hyper["order"], filter_order=hyper["filter_order"],
            emb_dim=hyper["emb_dim"], w=hyper["w"], num_inner_mlps=hyper["num_inner_mlps"], normalized=hyper["normalized"],
            shift=hyper["shift"], modulate=hyper["modulate"],
            filter_index="order_major" if "standalone" in folder.name else "channel_major")
    finally:
        torch.set_default_dtype(default)
    load(module, arrays, hyena_names())
    compare(module, arrays, hyena_names())


@pytest.mark.parametrize("folder", golden("h3_*"))
def test_golden_h3(folder):
    hyper, arrays = read(folder)
    module = H3(hyper["d_model"], hyper["d_state"], head_dim=hyper["head_dim"], disc=hyper["disc"]).double()
    names = {short: [long] for short, long in H3_OF.items()}
    load(module, arrays, names)
    compare(module, arrays, names)


@pytest.mark.parametrize("folder", golden("hyena_filter_*"))
def test_golden_filter(folder):
    hyper, arrays = read(folder)
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        module = HyenaFilter(hyper["d_model"], hyper["emb_dim"], hyper["order"], hyper["seq_len"], w=hyper["w"],
                             num_inner_mlps=hyper["num_inner_mlps"], normalized=hyper["normalized"],
                             **{name: hyper[name] for name in ("fast_decay_pct", "slow_decay_pct", "target", "shift",
                                                               "modulate")})
    finally:
        torch.set_default_dtype(default)
    inner = hyper["num_inner_mlps"]
    names = {short: [f"implicit_filter.{name}" for name in of] for short, of in FILTER_NAMES.items()
             if short not in ("W2", "b2") or inner == 2}
    if inner == 1:
        names["freq"], names["W_out"] = names["freq"][:2], ["implicit_filter.4.weight"]
    module.load_state_dict({name: arrays["p_" + short] for short, of in names.items() for name in of}, strict=False)
    taps = module.filter(hyper["L"])[0]
    torch.testing.assert_close(taps, arrays["out_k"], rtol=1e-9, atol=1e-11)
    taps.backward(arrays["in_dk"])
    for short, of in names.items():
        found = dict(module.named_parameters(remove_duplicate=False))[of[0]].grad
        scale = arrays["g_" + short].abs().max().item()
        torch.testing.assert_close(found, arrays["g_" + short], rtol=1e-8, atol=1e-9 * scale, msg=short)
    assert math.isclose(module.pos_emb.t[0, -1, 0].item(), 1.0)
