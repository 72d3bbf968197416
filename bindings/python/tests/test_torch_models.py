# SPDX-License-Identifier: BSD-3-Clause
"""The models as layers: their formulas in float64, numeric gradients, tracing, and the names of checkpoints; where a folder
of vectors of the authors' implementations is given (LONGCONV_GOLDEN_DIR), those too."""
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch.nn import functional  # noqa: E402

import longconv.torch as lt  # noqa: E402
from longconv import InvalidArgumentError, UnsupportedError  # noqa: E402
from longconv.torch.long_conv import BlockFFT, LongConvKernel  # noqa: E402
from longconv.torch.ssm import S4Kernel  # noqa: E402
from test_torch_families import causal, check, double, golden, read  # noqa: E402, F401

L = 16
# Each layer with the shape of its input.
LAYERS = {
    "s4": (lambda: lt.S4(3, 4, channels=2), (2, 3, L)),
    "s4_block": (lambda: lt.S4Block(3, 4, channels=2, bidirectional=True), (2, 3, L)),
    "s4d_block": (lambda: lt.S4Block(3, 4, model="s4d", final_act=None, layout="BLD"), (2, L, 3)),
    "s4_block_hyper": (lambda: lt.S4Block(3, 4, model="s4d", channels=2, hyper_act="silu"), (2, 3, L)),
    "s5": (lambda: lt.S5(3, 4), (2, L, 3)),
    "s5_two_sided": (lambda: lt.S5(3, 4, bidirectional=True, discretization="bilinear"), (2, L, 3)),
    "ckconv": (lambda: lt.CKConv(3, 2, 20, 8), (2, 3, L)),
    "flexconv": (lambda: lt.FlexConv(3, 2, 20, 8, mask_init_value=0.3), (2, 3, L)),
    "liquid_s4": (lambda: lt.LiquidS4(3, 4, degree=3), (2, 3, L)),
    "liquid_s4_scaled": (lambda: lt.LiquidS4(3, 4, degree=3, kernel="scaled", disc="zoh", layout="BLD"), (2, L, 3)),
    "long_conv": (lambda: lt.LongConvLayer(3, 20, 2, lam=0.001), (2, 3, L)),
    "long_conv_two_sided": (lambda: lt.LongConvLayer(3, L, 2, True, postact=None, lam=0.001, layout="BLD",
                                                     weight_init="double_exp"), (2, L, 3)),
    "butterfly": (lambda: lt.ButterflyConv(3, 20, 2, lam=0.001), (2, 3, 13)),
    "butterfly_additive": (lambda: lt.ButterflyConv(3, 20, postact=None, fft_rows=3, learn_additive=True), (2, 3, L)),
    "cascade_se": (lambda: lt.HyenaCascade(4, "se", groups=2), (2, L, 12)),
    "evo2_mr": (lambda: lt.Evo2Layer(4, "mr", groups=2, interleave=False), (2, L, 4)),
    "evo2_li": (lambda: lt.Evo2Layer(4, "li", state_size=3), (2, L, 4)),
    "rwkv": (lambda: lt.RWKVTimeMix(4, 1, 3), (2, L, 4)),
    "monarch": (lambda: lt.MonarchLinear(7, 10, 3), (2, 5, 7)),
}


# ---- The formulas ----

def dense_conv(x, taps):
    """y[o] = sum_i taps[o, i] conv x[i]."""
    return torch.stack([sum(causal(x[:, i], taps[o, i].expand(x.shape[0], -1)) for i in range(x.shape[1]))
                        for o in range(taps.shape[0])], 1)


def s4_taps(kernel, length):
    """By the recurrence with dense matrices."""
    taps = []
    for channel in range(kernel.d_model):
        a = torch.complex(-kernel.A_real[channel].exp(), -kernel.A_imag[channel])
        p, b = (torch.view_as_complex(value)[0, channel] for value in (kernel.P, kernel.B))
        a, p, b = (torch.cat([value, value.conj()]) for value in (a, p, b))
        c = torch.view_as_complex(kernel.C)[:, channel]
        c = torch.cat([c, c.conj()], -1)
        matrix, dt, one = torch.diag(a) - torch.outer(p, p.conj()), kernel.inv_dt[channel].exp(), torch.eye(len(a))
        inverse = torch.linalg.inv(one - dt / 2 * matrix)
        step, state, rows = inverse @ (one + dt / 2 * matrix), inverse @ (dt * b), []
        for _ in range(length):
            rows.append((c @ state).real)
            state = step @ state
        taps.append(torch.stack(rows, -1))
    return torch.stack(taps, 1)  # [outputs, channels, length]


def s4(layer, x):
    taps = s4_taps(layer.kernel, x.shape[-1])
    return torch.cat([causal(x, one) + skip[:, None] * x for one, skip in zip(taps, layer.D)], 1)


def s4_block(block, x):
    z = functional.gelu(block.layer(x)).transpose(1, 2)
    return functional.glu(block.output_linear(z), -1).transpose(1, 2)


def s4d_block(block, x):
    return block.output_linear(functional.gelu(block.layer(x.transpose(1, 2)).transpose(1, 2)))


def s4_block_hyper(block, x):
    values, gates = block.layer(x).chunk(2, 1)  # two outputs of each channel, and two more
    z = functional.gelu(values * functional.silu(gates)).transpose(1, 2)
    return functional.glu(block.output_linear(z), -1).transpose(1, 2)


def s5(layer, x, two_sided=False):
    poles, dt = torch.complex(layer.Lambda_re, layer.Lambda_im), layer.log_step[:, 0].exp()
    b, c = torch.view_as_complex(layer.B), torch.view_as_complex(layer.C)
    if two_sided:
        step, gain = (1 + dt * poles / 2) / (1 - dt * poles / 2), dt / (1 - dt * poles / 2)
    else:
        step, gain = torch.exp(dt * poles), (torch.exp(dt * poles) - 1) / poles
    into = x.to(b.dtype) @ (gain[:, None] * b).T

    def scan(into):
        states, state = [], 0
        for entry in into.unbind(1):
            state = step * state + entry
            states.append(state)
        return torch.stack(states, 1)
    states = [scan(into), *([scan(into.flip(1)).flip(1)] if two_sided else [])]
    return 2 * (torch.cat(states, -1) @ c.T).real + layer.D * x


def positions(layer, length):
    """Of taps, lag 0 first."""
    return torch.linspace(1, -1, layer.train_length.item())[:length]


def ckconv(layer, x):
    h, last = positions(layer, x.shape[2])[None], len(layer.Kernel.kernel_net) - 1
    for index, row in enumerate(layer.Kernel.kernel_net.values()):
        weight = (row.weight_g * row.weight_v / row.weight_v.norm(dim=1, keepdim=True))[..., 0]
        h = weight @ h + row.bias[:, None]
        h = h if index == last else torch.sin(30 * h)
    return dense_conv(x, h.unflatten(0, (2, 3))) + layer.bias[:, None]


def flexconv(layer, x):
    with torch.no_grad():
        layer.Kernel.output_linear.weight *= 1e4  # the network starts small
    p, net, h = positions(layer, x.shape[2]), layer.Kernel, 1
    for index, gabor in enumerate(net.filters):
        if index:
            h = net.linear[index - 1].weight[..., 0] @ h + net.linear[index - 1].bias[:, None]
        wave = torch.sin(gabor.linear.weight[..., 0] * p + gabor.linear.bias[:, None])
        h = h * torch.exp(-0.5 * (gabor.gamma * (p - gabor.mu)) ** 2) * wave
    middle, width = layer.mask_params[0]
    mask = torch.exp(-0.5 * ((p - middle) / width) ** 2)
    taps = (net.output_linear.weight[..., 0] @ h + net.output_linear.bias[:, None]) * mask * (mask >= 0.1)
    return dense_conv(x, taps.unflatten(0, (2, 3))) + layer.bias[:, None]


def liquid_s4(layer, x, scaled=False):
    x = x.transpose(1, 2) if scaled else x
    kernel, length = layer.kernel, x.shape[2]
    a, dt = torch.complex(-kernel.A_real.exp(), -kernel.A_imag), kernel.inv_dt.exp()
    pole, gain = (((a * dt).exp(), ((a * dt).exp() - 1) / a) if scaled else
                  ((1 + a * dt / 2) / (1 - a * dt / 2), dt / (1 - a * dt / 2)))
    c, db = torch.view_as_complex(kernel.C)[0], torch.view_as_complex(kernel.B)[0] * gain
    powers = pole[..., None] ** torch.arange(length)

    def taps(b):
        return 2 * ((c * b)[..., None] * powers).sum(1).real
    y, product = causal(x, taps(db)) + layer.D[0, :, None] * x, x
    for p in range(2, layer.degree + 1):
        product = product * functional.pad(x, (p - 1, 0))[..., :length]
        own = taps(db) * (2 * db.sum(-1, keepdim=True).real) ** (p - 1) if scaled else taps(db ** p)
        y = y + causal(product, own)
    return y.transpose(1, 2) if scaled else y


def long_conv_sums(layer, x):
    taps = functional.softshrink(layer.kernel.kernel, 0.001)[..., :x.shape[2]]
    return torch.cat([causal(x, one) + skip[:, None] * x for one, skip in zip(taps, layer.D)], 1), taps


def long_conv(layer, x):
    z = functional.gelu(long_conv_sums(layer, x)[0]).transpose(1, 2)
    return functional.glu(layer.output_linear(z), -1).transpose(1, 2)


def long_conv_two_sided(layer, x):
    x = x.transpose(1, 2)
    z, taps = long_conv_sums(layer, x)
    ahead = torch.cat([causal(x.flip(2), one).flip(2) for one in taps[2:]], 1)
    return functional.gelu(z + functional.pad(ahead, (0, 1))[..., 1:]).transpose(1, 2)


def cascade(layer, x, groups, correlation, interleave=True):
    """`x`: the projected input."""
    z = causal(x.transpose(1, 2), layer.short_filter_weight[:, 0].flip(-1))
    post, pre, v = (z[:, i::3] for i in range(3)) if interleave else z.chunk(3, 1)
    if layer.options["form"] == "li":
        taps = (layer.residues[..., None] * (layer.log_poles * torch.arange(x.shape[1])).exp()).sum(1)
    else:
        taps = (layer.h[:, 0].flip(-1) if correlation else layer.h[:, 0]).repeat_interleave(4 // groups, 0)
    u = pre * v
    return (post * (causal(u, taps) + (0 if layer.D is None else layer.D[:, None] * u))).transpose(1, 2)


def evo2(layer, x, **words):
    with torch.no_grad():
        layer.filter.D.normal_()
    return layer.out_filter_dense(cascade(layer.filter, layer.projections(x), **words))


def rwkv(layer, x):
    before = torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)
    k, v, r = (linear(x * mix + before * (1 - mix)) for linear, mix in (
        (layer.key, layer.time_mix_k), (layer.value, layer.time_mix_v), (layer.receptance, layer.time_mix_r)))
    decay, above, below, rows = (-layer.time_decay.exp()).exp(), 0, 0, []
    for t in range(x.shape[1]):
        first = (layer.time_first + k[:, t]).exp()
        rows.append((above + first * v[:, t]) / (below + first))
        above, below = decay * above + k[:, t].exp() * v[:, t], decay * below + k[:, t].exp()
    return layer.output(torch.sigmoid(r) * torch.stack(rows, 1))


def monarch(layer, x):
    blocks = functional.pad(x, (0, 2)).unflatten(-1, (3, 3))
    middle = torch.einsum("kqp,...kp->...kq", layer.blkdiag1, blocks).flatten(-2)
    wide = torch.einsum("lsr,...rl->...sl", layer.blkdiag2, middle.unflatten(-1, (-1, 3)))
    return wide.flatten(-2)[..., :10] + layer.bias


FORMULAS = {
    "s4": s4, "s4_block": s4_block, "s4d_block": s4d_block, "s4_block_hyper": s4_block_hyper, "s5": s5,
    "s5_two_sided": lambda layer, x: s5(layer, x, True),
    "ckconv": ckconv, "flexconv": flexconv, "liquid_s4": liquid_s4,
    "liquid_s4_scaled": lambda layer, x: liquid_s4(layer, x, True),
    "long_conv": long_conv, "long_conv_two_sided": long_conv_two_sided, "butterfly": long_conv,
    "cascade_se": lambda layer, x: cascade(layer, x, 2, True),
    "evo2_mr": lambda layer, x: evo2(layer, x, groups=2, correlation=False, interleave=False),
    "evo2_li": lambda layer, x: evo2(layer, x, groups=4, correlation=False), "rwkv": rwkv, "monarch": monarch,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_formula(name):
    make, shape = LAYERS[name]
    layer, x = make(), torch.randn(shape)
    expected = FORMULAS[name](layer, x)
    torch.testing.assert_close(layer(x), expected)
    assert expected.abs().max() > 1e-3


# ---- What all of them have in common ----

@pytest.mark.parametrize("name", LAYERS)
def test_gradients(name):
    make, shape = LAYERS[name]
    layer, x = make(), torch.randn(shape, requires_grad=True)
    parameters = dict(layer.named_parameters())

    def function(x, *values):
        return torch.func.functional_call(layer, dict(zip(parameters, values)), (x,))
    assert torch.autograd.gradcheck(function, (x, *parameters.values()), atol=1e-5, fast_mode=True)


@pytest.mark.parametrize("name", LAYERS)
def test_compiled_copied_and_narrow(name):
    make, shape = LAYERS[name]
    layer, x, other = make(), torch.randn(shape), make()
    torch._dynamo.reset()
    torch.testing.assert_close(torch.compile(layer, fullgraph=True, backend="aot_eager")(x), layer(x))
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(x), layer(x))
    narrow = other.float()(x.float())
    assert narrow.dtype == torch.float32
    torch.testing.assert_close(narrow.double(), layer(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["s4_block", "s5", "long_conv", "evo2_li", "rwkv"])
def test_autocast(name):
    make, shape = LAYERS[name]
    layer, x = make().float(), torch.randn(shape, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    y.float().sum().backward()
    assert all(value.grad.isfinite().all() for value in layer.parameters())
    torch.testing.assert_close(y.float(), layer(x), rtol=0.1, atol=0.05)


# ---- Names and shapes of checkpoints ----

NAMES = {
    "s4": "D kernel.inv_dt kernel.A_real kernel.A_imag kernel.P kernel.B kernel.C kernel.l_kernel",
    "s4_block": "layer.D layer.kernel.inv_dt layer.kernel.A_real layer.kernel.A_imag layer.kernel.P layer.kernel.B "
                "layer.kernel.C layer.kernel.l_kernel output_linear.0.weight output_linear.0.bias",
    "s5": "Lambda_re Lambda_im B C D log_step",
    "ckconv": "bias train_length " + " ".join(f"Kernel.kernel_net.{row}.{name}" for row in (0, 4, 8)
                                              for name in ("weight_g", "weight_v", "bias")),
    "flexconv": "bias mask_params train_length temperature mask_threshold Kernel.output_linear.weight "
                "Kernel.output_linear.bias " + " ".join(
                    [f"Kernel.linear.{row}.{name}" for row in range(3) for name in ("weight", "bias")] +
                    [f"Kernel.filters.{row}.{name}" for row in range(4)
                     for name in ("mu", "gamma", "linear.weight", "linear.bias")]),
    "long_conv": "D kernel.kernel output_linear.0.weight output_linear.0.bias",
    "butterfly": "D kernel.kernel output_linear.0.weight output_linear.0.bias " + " ".join(
        f"block_fft_{of}.mat_{size}" for of in "uk" for size in (2, 4, 8, 16)),
    "cascade_se": "short_filter_weight h",
    "evo2_mr": "projections.weight filter.short_filter_weight filter.h filter.D out_filter_dense.weight "
               "out_filter_dense.bias",
    "evo2_li": "projections.weight filter.short_filter_weight filter.log_poles filter.residues filter.D "
               "out_filter_dense.weight out_filter_dense.bias",
    "rwkv": "time_decay time_first time_mix_k time_mix_v time_mix_r key.weight value.weight receptance.weight output.weight",
    "monarch": "blkdiag1 blkdiag2 bias",
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_the_checkpoints(name):
    assert sorted(LAYERS[name][0]().state_dict()) == sorted(NAMES[name].split())


def test_s4_after_its_first_call():
    """The authors' code stores C (I - M^L) then, and says so in l_kernel."""
    kernel = S4Kernel(3, 4)
    a = torch.complex(-kernel.A_real.exp(), -kernel.A_imag)
    p, c = torch.view_as_complex(kernel.P)[0], torch.view_as_complex(kernel.C)[0]
    a, p, c = (torch.cat([value, value.conj()], -1) for value in (a, p, c))
    half, one = kernel.inv_dt.exp()[..., None] / 2, torch.eye(4)
    matrix = torch.diag_embed(a) - p[:, :, None] * p[:, None].conj()
    step = torch.linalg.solve(one - half * matrix, one + half * matrix)
    turned = (c[:, None] @ (one - torch.linalg.matrix_power(step, 20)))[:, 0, :2]
    state = {**kernel.state_dict(), "C": torch.view_as_real(turned)[None], "l_kernel": torch.tensor(20)}
    loaded = S4Kernel(3, 4)
    loaded.load_state_dict(state)
    torch.testing.assert_close(loaded(17), kernel(17))
    with pytest.raises(InvalidArgumentError, match="at most 20"):
        loaded(21)


def test_other_shapes_of_checkpoints():
    block = lt.S4Block(3, 4)
    state = block.state_dict()
    state["output_linear.0.weight"] = state["output_linear.0.weight"][..., None]  # a Conv1d's
    block.load_state_dict(state)
    s5 = lt.S5(3, 4, bidirectional=True)
    state = s5.state_dict()
    state["C1"], state["C2"] = state.pop("C").mul(2).chunk(2, 1)
    doubled = s5.C.detach() * 2
    s5.load_state_dict(state)
    assert torch.equal(s5.C, doubled)
    del state["C2"]
    with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict: \"C2\"\.\s*$"):
        s5.load_state_dict(state)
    assert s5.load_state_dict(state, strict=False).missing_keys == ["C2"] and torch.equal(s5.C, doubled)
    butterfly = lt.ButterflyConv(3, 20)
    state = {**butterfly.state_dict(), "block_fft_u.dft_matrices.0": butterfly.block_fft_u.mat_2.detach()}
    butterfly.load_state_dict(state)
    ckconv = lt.CKConv(3, 2, 20, 8)
    ckconv.load_state_dict({**ckconv.state_dict(), "train_length": torch.tensor([0])})  # never used
    assert ckconv.train_length.item() == 20
    ckconv.load_state_dict({**ckconv.state_dict(), "train_length": torch.tensor([30])})
    assert ckconv(torch.randn(1, 3, 30)).shape == (1, 2, 30) and "l_max=30" in repr(ckconv)


@pytest.mark.parametrize("wrong, error, text", [
    (lambda: lt.S4Block(3, model="s6"), InvalidArgumentError, "s4, s4d, dss"),
    (lambda: lt.LiquidS4(3, degree=1), InvalidArgumentError, "degree"),
    (lambda: lt.LiquidS4(4, n_ssm=2), UnsupportedError, "n_ssm"),
    (lambda: lt.HyenaCascade(4, "xl"), InvalidArgumentError, "form"),
    (lambda: lt.HyenaCascade(4, groups=3), InvalidArgumentError, "groups"),
    (lambda: lt.LongConvLayer(4, postact="relu"), InvalidArgumentError, "postact"),
    (lambda: lt.LongConvLayer(4, weight_init="zero"), InvalidArgumentError, "weight_init"),
    (lambda: lt.LongConvLayer(4, 8)(torch.zeros(1, 4, 9)), InvalidArgumentError, "length: expected at most 8"),
    (lambda: lt.CKConv(4, 4, 8)(torch.zeros(1, 3, 8)), InvalidArgumentError, "x: "),
])
def test_refusals(wrong, error, text):
    with pytest.raises(error, match=text):
        wrong()


def test_monarch_takes_any_rank():
    layer, x = lt.MonarchLinear(7, 10, nblocks=3, bias=False), torch.randn(2, 3, 7)
    assert torch.equal(layer(x[0, 0]), layer(x)[0, 0]) and layer(x[:0]).shape == (0, 3, 10) and "nblocks=3" in repr(layer)


def test_exported():
    """With sizes that may change."""
    layer, batch, length = lt.S5(4), torch.export.Dim("batch"), torch.export.Dim("length", min=2, max=4096)
    program = torch.export.export(layer, (torch.randn(2, 8, 4),), dynamic_shapes=({0: batch, 1: length},))
    x = torch.randn(3, 11, 4)
    assert torch.equal(program.module()(x), layer(x))


def test_butterfly_with_learned_matrices():
    """Additions of zero are the layer with exact matrices; one row for all channels is the same in each."""
    exact, added = lt.ButterflyConv(3, 20, fft_rows=1), lt.ButterflyConv(3, 20, fft_rows=3, learn_additive=True)
    with torch.no_grad():
        for name, value in exact.block_fft_u.named_parameters():
            change = 0.1 * torch.randn_like(value)
            value += change
            for fft in (added.block_fft_u, added.block_fft_k):
                getattr(fft, name).copy_(change if fft is added.block_fft_u else torch.zeros_like(change))
    added.load_state_dict({name: value for name, value in exact.state_dict().items() if "block_fft" not in name}, strict=False)
    x = torch.randn(2, 3, 20)
    torch.testing.assert_close(added(x), exact(x))


# ---- Vectors of the authors' implementations ----

def renamed(arrays, names):
    """`names`: pieces of the files' names, and of the layer's."""
    found = {}
    for key, value in arrays.items():
        for old, new in names.items():
            key = key.replace(old, new) if key[2:].startswith(old) else key
        found[key] = value
    return found


@pytest.mark.parametrize("folder", golden("s4_dplr_*"))
def test_golden_s4(folder):
    hyper, arrays = read(folder)
    kernel = S4Kernel(hyper["d_model"], hyper["d_state"], hyper["channels"], hyper.get("n_ssm"), init=hyper["init"],
                      rank=hyper["rank"])
    unused = kernel.state_dict()
    kernel.load_state_dict({**unused, "l_kernel": torch.tensor(hyper["L"])})
    del arrays["p_C"]
    check(kernel, renamed(arrays, {"C_tilde": "C"}), (hyper["L"],), arrays["out_k"], arrays["in_dk"])


@pytest.mark.parametrize("folder", golden("s5_*"))
def test_golden_s5(folder):
    hyper, arrays = read(folder)
    layer = lt.S5(hyper["H"], hyper["P"], discretization=hyper["discretization"], bidirectional=hyper["bidirectional"])
    layer.load_state_dict({"Lambda_re": arrays["p_Lambda"][:, 0], "Lambda_im": arrays["p_Lambda"][:, 1], "B": arrays["p_B"],
                           "C": arrays["p_C"], "D": arrays["p_D"], "log_step": arrays["p_log_step"][:, None]})
    torch.testing.assert_close(layer(arrays["in_u"][None])[0], arrays["out_y"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("folder", golden("ckconv_*") + golden("flexconv_*"))
def test_golden_dense(folder):
    hyper, arrays = read(folder)
    if folder.name.startswith("ckconv"):
        layer = lt.CKConv(hyper["Cin"], hyper["Cout"], hyper["L"], hyper["hidden"], hyper["omega_0"])
        names = {"l0": "Kernel_kernel_net_0", "l1": "Kernel_kernel_net_4", "l2": "Kernel_kernel_net_8"}
    else:
        layer = lt.FlexConv(hyper["Cin"], hyper["Cout"], hyper["L"], hyper["hidden"], hyper["no_layers"],
                            mask_dynamic_cropping=hyper["crop"], mask_threshold=hyper["mask_threshold"])
        names = {"linear": "Kernel_linear", "filters": "Kernel_filters", "output_linear": "Kernel_output_linear"}
    check(layer, renamed(arrays, names), (arrays["in_x"],), arrays["out_y"], arrays["in_dy"])


@pytest.mark.parametrize("folder", golden("longconv_smoothfreq_*"))
def test_golden_long_conv_kernel(folder):
    hyper, arrays = read(folder)
    kernel = LongConvKernel(hyper["H"], hyper["L"], lam=hyper["lam"], use_ma_smoothing=True, smooth_freq=True,
                            ma_window_len=hyper["ma_window_len"])
    kernel.load_state_dict({"kernel": arrays["p_kernel"]})
    torch.testing.assert_close(kernel(hyper["L"]), arrays["out_k"][0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("folder", golden("longconv_[!s]*") + golden("longconv_smooth_*"))
def test_golden_long_conv(folder):
    hyper, arrays = read(folder)
    smooth = {"use_ma_smoothing": True, "ma_window_len": hyper["ma_window_len"]} if "smooth" in folder.name else {}
    layer = lt.LongConvLayer(hyper["H"], hyper["L"], hyper["channels"], hyper["bidirectional"], lam=hyper["lam"], **smooth)
    names = {"kernel": "kernel_kernel", "W": "output_linear_0_weight", "b": "output_linear_0_bias"}
    check(layer, renamed(arrays, names), (arrays["in_x"],), arrays["out_y"], arrays["in_dy"])


@pytest.mark.parametrize("folder", golden("evo2_cascade_*"))
def test_golden_evo2(folder):
    hyper, arrays = read(folder)
    form = folder.name.split("_")[2]
    layer = lt.HyenaCascade(hyper["H"], form, groups=hyper["groups"], state_size=hyper["state_size"] or 16)
    check(layer, renamed(arrays, {"short": "short_filter_weight"}), (arrays["in_x"],), arrays["out_y"], arrays["in_dy"])


@pytest.mark.parametrize("folder", golden("rwkv4_*"))
def test_golden_rwkv(folder):
    hyper, arrays = read(folder)
    layer, inputs = lt.Mixer("rwkv4_wkv", hyper["C"]), [arrays["in_k"].requires_grad_(), arrays["in_v"].requires_grad_()]
    check(layer, arrays, inputs, arrays["out_y"], arrays["in_gy"])
    for tensor, name in zip(inputs, "kv"):
        torch.testing.assert_close(tensor.grad, arrays[f"g_{name}"], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("folder", golden("blockfft_*"))
def test_golden_block_fft(folder):
    hyper, arrays = read(folder)
    transform = BlockFFT(hyper["H"])
    transform.load_state_dict({key[2:]: value for key, value in arrays.items() if key.startswith("p_")})
    operator = lt.Mixer("block_transform", hyper["H"], seqlen=hyper["N"], layout="bdl").operator
    x = functional.pad(arrays["in_x"], (0, hyper["N"] - arrays["in_x"].shape[-1]))
    y = operator(x=x, matrices=transform.numbers(hyper["N"], hyper["H"]))
    expected = arrays["out_Y"]
    torch.testing.assert_close(y, torch.cat([expected[..., 0], expected[..., 1]], 1), rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("folder", golden("monarch_*"))
def test_golden_monarch(folder):
    hyper, arrays = read(folder)
    layer = lt.Mixer("monarch", hyper["k"] * hyper["p"], blocks=hyper["k"], middle=hyper["k"] * hyper["q"],
                     out_blocks=hyper["l"], width=hyper["l"] * hyper["s"])
    layer.load_state_dict({"first": arrays["p_w1"].flatten(0, 1), "second": arrays["p_w2"].flatten(0, 1)})
    torch.testing.assert_close(layer(arrays["in_x"][None])[0], arrays["out_y"])


def test_a_block_stops_at_l_max():
    layer, x = lt.S4Block(3, 4, l_max=5), torch.randn(1, 3, L)
    changed = x.clone()
    changed[..., 0] += 1
    distance = (layer(changed) - layer(x)).abs().amax((0, 1))
    assert distance[4] > 0 and (distance[5:] < 1e-5).all()


def test_layers_in_bfloat16_and_under_autocast():
    x = torch.randn(1, 3, L).bfloat16()
    assert lt.S4(3, 4).bfloat16()(x).dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert lt.RWKVTimeMix(4).float()(torch.randn(1, L, 4).bfloat16()).dtype == torch.bfloat16
        assert lt.MonarchLinear(7, 10, 3).float()(torch.randn(2, 7).float()).dtype == torch.bfloat16
