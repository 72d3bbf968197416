# SPDX-License-Identifier: BSD-3-Clause
"""longconv.compat: each function against plain sums in float64, with one weight for each pair of an output and an input
sample, values and gradients; the signatures; and, where a folder of vectors of the authors' implementations is given
(LONGCONV_GOLDEN_DIR), those."""
import importlib
import inspect
import json
import os
import pathlib

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import longconv.torch as lt  # noqa: E402
from longconv import InvalidArgumentError  # noqa: E402
from longconv.compat import cudnn, flashfftconv, h3, hyenadna, safari, savanna, subquadratic_ops, vortex  # noqa: E402

GOLDEN = pathlib.Path(os.environ.get("LONGCONV_GOLDEN_DIR") or "no golden folder")
FUSED = ("(u, k, D, dropout_mask=None, gelu=True, force_fp16_output=False, output_hbl_layout=False, v=None, "
         "head_dim=1, q=None, fftfp16=False, k_rev=None)")
SIGNATURES = {
    (safari, "fftconv_func"): FUSED,
    (safari, "fftconv_ref"): "(u, k, D, dropout_mask, gelu=True, k_rev=None)",
    (safari, "fftconv_h3_ref"): "(k, ssm_kernel, D, q, v, head_dim=1, ssm_kernel_rev=None)",
    (safari, "fftconv"): "(u, k, D)",
    (h3, "fftconv_func"): FUSED,
    (h3, "fftconv_ref"): "(u, k, D, dropout_mask, gelu=True, k_rev=None)",
    (h3, "fftconv_h3_ref"): "(k, ssm_kernel, D, q, v, head_dim=1, ssm_kernel_rev=None)",
    (hyenadna, "fftconv_func"): FUSED,
    (hyenadna, "fftconv_ref"): "(u, k, D, dropout_mask, gelu=True, k_rev=None, bidirectional=False)",
    (flashfftconv, "FlashFFTConv"): "(seqlen, dtype=torch.float16, use_32_butterfly=True)",
    (flashfftconv.FlashFFTConv, "forward"): "(self, u, k, pregate=None, postgate=None)",
    (vortex, "fftconv_func"): "(u, k, D, dropout_mask, gelu=True, k_rev=None, bidirectional=False, "
                              "print_activations=False, layer_idx=None, **kwargs)",
    (savanna, "fftconv_func"): "(u, k, D, dropout_mask, gelu=True, k_rev=None, bidirectional=False)",
    (cudnn, "fft_causal_conv1d"): "(x, weight)",
    (subquadratic_ops, "fft_causal_conv1d"): "(x, weight)",
}


@pytest.mark.parametrize("owner, name", SIGNATURES, ids=lambda value: getattr(value, "__name__", value))
def test_signature(owner, name):
    assert str(inspect.signature(getattr(owner, name))) == SIGNATURES[owner, name]


# Which tap connects input s with output t, for L samples. No tap, or one beyond the last: the weight is zero.
def causal(t, s, length):
    return t - s


def anticausal(t, s, length):
    return s - t


def delayed(t, s, length):
    return (t - length // 2 - s) % (2 * length)


def delayed_anticausal(t, s, length):
    return (s - t + length // 2) % (2 * length)


def mirrored(t, s, length):
    return (-t % (2 * length) - s) % (2 * length)


def period(size):
    return lambda t, s, length: (t - s) % size


def sums(u, k, tap):
    """y[..., t] = the sum over s of k[..., tap(t, s)] u[..., s], axes as they broadcast."""
    length = u.shape[-1]
    t, s = torch.meshgrid(torch.arange(length), torch.arange(length), indexing="ij")
    number = tap(t, s, length)
    number = torch.where((number >= 0) & (number < k.shape[-1]), number, k.shape[-1])
    weights = torch.cat([k, torch.zeros_like(k[..., :1])], -1)[..., number]
    return (weights * u.unsqueeze(-2)).sum(-1)


def gelu(x):
    return x * 0.5 * (1 + torch.erf(x / 2 ** 0.5))


def random(*shapes, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed + sum(map(len, shapes)))
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes]


def check(ours, plain, tensors):
    """Same values in float64 and float32, same gradients in all tensors."""
    tensors = [x.clone().requires_grad_() for x in tensors]
    got, expected = ours(*tensors), plain(*tensors)
    assert got.shape == expected.shape and got.dtype == torch.float64
    torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-11)
    (direction,) = random(tuple(expected.shape), seed=1)
    for a, b in zip(torch.autograd.grad(got, tensors, direction), torch.autograd.grad(expected, tensors, direction)):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
    with torch.no_grad():
        short = ours(*(x.float() for x in tensors))
    assert short.dtype == torch.float32
    torch.testing.assert_close(short.double(), expected.detach(), rtol=1e-5, atol=3e-5)


# All that share the plain causal form, in odd, even, and single lengths, with shorter and longer filters.
@pytest.mark.parametrize("function", [safari.fftconv_ref, safari.fftconv_func, h3.fftconv_ref, h3.fftconv_func,
                                      hyenadna.fftconv_ref, hyenadna.fftconv_func, savanna.fftconv_func],
                         ids=lambda f: f"{f.__module__}.{f.__name__}")
@pytest.mark.parametrize("length, taps", [(1, 1), (7, 7), (16, 5), (9, 30)])
def test_plain(function, length, taps):
    check(lambda u, k, D: function(u, k, D, None),
          lambda u, k, D: gelu(sums(u, k, causal) + D[:, None] * u), random((2, 3, length), (3, taps), (3,)))
    check(lambda u, k, D, mask, k_rev: function(u, k, D, dropout_mask=mask, gelu=False, k_rev=k_rev),
          lambda u, k, D, mask, k_rev: mask[..., None] * (
              sums(u, k, causal) + sums(u, k_rev, anticausal) + D[:, None] * u),
          random((2, 3, length), (3, taps), (3,), (2, 3), (3, taps)))


@pytest.mark.parametrize("function", [safari.fftconv_ref, hyenadna.fftconv_ref, savanna.fftconv_func])
@pytest.mark.parametrize("with_rev", [False, True])
def test_five_axes(function, with_rev):
    """As Hyena calls it: batch, heads, channels, blocks, seqlen."""
    check(lambda u, k, D, r: function(u, k, D, None, gelu=False, k_rev=r if with_rev else 0 * r),
          lambda u, k, D, r: (sums(u, k[:, None], causal) + with_rev * sums(u, r[:, None], anticausal)
                              + D[..., None] * u),
          random((2, 2, 3, 4, 6), (3, 6), (1, 3, 1), (3, 6)))


@pytest.mark.parametrize("u, k, D", [
    ((2, 3, 6), (1, 3, 6), (3,)), ((2, 3, 6), (2, 3, 6), (3,)), ((2, 3, 6), (3, 6), (1,)), ((2, 3, 6), (1, 6), (2, 1)),
    ((3, 6), (3, 6), (3,)), ((6,), (6,), ()), ((1, 3, 6), (2, 3, 6), (2, 3)), ((2, 1, 6), (1, 6), (1,)),
    ((2, 3, 6), (6,), (3,))], ids=str)
def test_broadcast(u, k, D):
    check(lambda u, k, D: safari.fftconv_ref(u, k, D, None, gelu=False),
          lambda u, k, D: sums(*torch.broadcast_tensors(u, k), causal) + D[..., None] * u, random(u, k, D))


@pytest.mark.parametrize("function", [safari.fftconv_func, savanna.fftconv_func, safari.fftconv_ref])
def test_grouped(function):
    check(lambda u, k, D: function(u, k, D, None, gelu=False),
          lambda u, k, D: sums(u, k.repeat_interleave(3, 0), causal) + D[:, None] * u, random((2, 6, 8), (2, 8), (6,)))


def test_standalone():
    check(safari.fftconv, lambda u, k, D: sums(u, k, causal) + D[:, None] * u, random((2, 3, 8), (3, 8), (3,)))


def test_fused_gates():
    check(lambda u, k, D, mask, v, q: safari.fftconv_func(u, k, D, mask, True, False, True, v, 1, q),
          lambda u, k, D, mask, v, q: mask[..., None] * q * gelu(sums(u * v, k, causal) + D[:, None] * u * v),
          random((2, 3, 7), (3, 7), (3,), (2, 3), (2, 3, 7), (2, 3, 7)))


def heads(u, k, D, v, q, size, tap_of_rev=None):
    """out[(h, d2)] = sum over d1 of q[(h, d1)] (k_h conv + D_h) of u[(h, d1)] v[(h, d2)], channel by channel."""
    channels = []
    for head in range(k.shape[0]):
        for d2 in range(size):
            total = 0
            for d1 in range(size):
                product = u[:, head * size + d1] * v[:, head * size + d2]
                mixed = sums(product, k[head], causal) + D[head] * product
                if tap_of_rev is not None:
                    mixed = mixed + sums(product, tap_of_rev[head], anticausal)
                total = total + q[:, head * size + d1] * mixed
            channels.append(total)
    return torch.stack(channels, 1)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_heads(size):
    shapes = (2, 6, 5), (6 // size, 5), (6 // size,), (2, 6, 5), (2, 6, 5)
    check(lambda u, k, D, v, q: safari.fftconv_func(u, k, D, None, False, False, True, v, size, q),
          lambda u, k, D, v, q: heads(u, k, D, v, q, size), random(*shapes))
    check(lambda u, k, D, v, q, r: h3.fftconv_h3_ref(u, k, D, q, v, head_dim=size, ssm_kernel_rev=r),
          lambda u, k, D, v, q, r: heads(u, k, D, v, q, size, r), random(*shapes, shapes[1]))


def test_fused_layout_and_dtype():
    u, k, D = random((2, 3, 8), (3, 8), (3,), dtype=torch.float32)
    y = safari.fftconv_func(u, k, D, None, False, True, True)
    assert y.dtype == torch.float16 and y.shape == (2, 3, 8) and y.stride() == (8, 16, 1)
    assert safari.fftconv_func(u.bfloat16(), k, D, force_fp16_output=True).dtype == torch.bfloat16
    assert torch.equal(y, safari.fftconv(u, k, D).half())


@pytest.mark.parametrize("function", [
    lambda u, k, D: safari.fftconv_ref(u, k, D, None), lambda u, k, D: safari.fftconv_func(u, k, D),
    lambda u, k, D: hyenadna.fftconv_ref(u, k, D, None, bidirectional=True),
    lambda u, k, D: vortex.fftconv_func(u, k, D, None), lambda u, k, D: savanna.fftconv_func(u, k, D, None),
    lambda u, k, D: vortex.fftconv_func(u, k, D, None, bidirectional=True),
    lambda u, k, D: cudnn.fft_causal_conv1d(u, k)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sixteen_bits_and_autocast(function, dtype):
    """u's dtype comes back, sums are in float32; autocast changes nothing."""
    u, k, D = random((2, 4, 32), (4, 32), (4,), dtype=torch.float32)
    u = u.to(dtype)
    y, exact = function(u, k, D), function(u.double(), k.double(), D.double())
    assert y.dtype == dtype
    torch.testing.assert_close(y.double(), exact, rtol=1.01 * torch.finfo(dtype).eps, atol=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = function(u.float(), k, D)
    assert inside.dtype == torch.float32 and torch.equal(inside, function(u.float(), k, D))
    mixed = function(u.float(), k.double(), D)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed.double(), exact, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("length, taps", [(1, 1), (6, 6), (7, 7), (7, 4), (6, 11), (6, 15)])
def test_hyenadna_bidirectional(length, taps):
    check(lambda u, k, D: hyenadna.fftconv_ref(u, k, D, None, gelu=True, bidirectional=True),
          lambda u, k, D: gelu(sums(u, k[..., :2 * length], delayed) + D[:, None] * u),
          random((2, 3, length), (3, taps), (3,)))
    check(lambda u, k, D, r, mask: hyenadna.fftconv_ref(u, k, D, mask, False, r, True),
          lambda u, k, D, r, mask: mask[..., None] * (sums(u, k[..., :2 * length], delayed) + D[:, None] * u
                                                      + sums(u, r[..., :2 * length], delayed_anticausal)),
          random((2, 3, length), (3, taps), (3,), (3, taps), (2, 3)))


def test_hyenadna_bidirectional_five_axes():
    check(lambda u, k, D: hyenadna.fftconv_ref(u, k, D, None, gelu=False, bidirectional=True),
          lambda u, k, D: sums(u, k[:, None], delayed) + D[..., None] * u, random((2, 1, 3, 2, 6), (3, 6), (1, 3, 1)))


@pytest.mark.parametrize("length, taps", [(1, 1), (6, 6), (7, 3), (6, 11)])
def test_savanna_bidirectional(length, taps):
    check(lambda u, k, D, mask: savanna.fftconv_func(u, k, D, mask, True, None, True),
          lambda u, k, D, mask: mask[..., None] * gelu(
              sums(u, k[0, :3], causal) + sums(u, k[0, 3:], mirrored) + D[:, None] * u),
          random((2, 3, length), (1, 6, taps), (3,), (2, 3)))


def test_savanna_bidirectional_four_axes():
    check(lambda u, k, D: savanna.fftconv_func(u, k, D, None, gelu=False, bidirectional=True),
          lambda u, k, D: sums(u, k[:, None, :3], causal) + sums(u, k[:, None, 3:], mirrored) + D[:, None] * u,
          random((2, 4, 3, 6), (1, 6, 6), (3,)))


@pytest.mark.parametrize("rows", [(4, 9), (4, 1, 9), (1, 4, 9)], ids=str)
def test_vortex(rows):
    """GELU, mask and unknown keywords have no effect."""
    mask = torch.zeros(2, 4)
    check(lambda u, k, D, r: vortex.fftconv_func(u, k, D, mask, k_rev=r, groups=2, layer_idx=1, print_activations=True),
          lambda u, k, D, r: sums(u, k.reshape(4, 9), causal) + sums(u, r, anticausal) + D[:, None] * u,
          random((2, 4, 9), rows, (4,), (4, 9)))


def test_vortex_shapes():
    check(lambda u, k, D: vortex.fftconv_func(u, k, D, None),
          lambda u, k, D: sums(u, k, causal) + D[:, None] * u, random((2, 5, 4, 6), (4, 6), (4,)))
    check(lambda u, k, D: vortex.fftconv_func(u, k, D, None),
          lambda u, k, D: sums(u, k[0], causal) + D[:, None] * u, random((2, 1, 6), (1, 1, 6), (1,)))
    check(lambda u, k, D: vortex.fftconv_func(u, k, D, None),
          lambda u, k, D: sums(u, k, causal) + D[:, None] * u, random((2, 3, 6), (3, 1), (3,)))


@pytest.mark.parametrize("length, taps", [(5, 2), (8, 8), (7, 6), (8, 12)])
def test_vortex_bidirectional(length, taps):
    check(lambda u, k, D: vortex.fftconv_func(u, k, D, None, bidirectional=True),
          lambda u, k, D: sums(u, k, causal) + sums(u, k[..., taps // 2:], mirrored) + D[:, None] * u,
          random((2, 3, length), (3, taps), (3,)))


@pytest.mark.parametrize("seqlen, length, taps", [(16, 8, 8), (16, 16, 16), (16, 16, 5), (16, 12, 9), (16, 10, 8),
                                                  (16, 10, 7), (16, 8, 20), (13, 6, 7), (1, 1, 1)])
def test_flashfftconv(seqlen, length, taps):
    """Causal, circular and between, without gates, with both, with one."""
    module, wrap = flashfftconv.FlashFFTConv(seqlen, torch.bfloat16), period(seqlen)
    shapes = (2, 3, length), (3, taps)
    check(module, lambda u, k: sums(u, k[:, :seqlen], wrap), random(*shapes))
    check(module, lambda u, k, a, b: b * sums(u * a, k[:, :seqlen], wrap), random(*shapes, shapes[0], shapes[0]))
    check(lambda u, k, b: module.eval()(u, k, postgate=b), lambda u, k, b: b * sums(u, k[:, :seqlen], wrap),
          random(*shapes, shapes[0]))


def test_flashfftconv_in_sixteen_bits():
    module = flashfftconv.FlashFFTConv(64, dtype=torch.bfloat16)
    u, k = random((2, 3, 32), (3, 32), dtype=torch.float32)
    y = module(u.bfloat16(), k)
    assert y.dtype == torch.bfloat16 and module.dtype == torch.bfloat16 and module.seqlen == 64
    expected = sums(u.bfloat16().double(), k.double(), causal)
    torch.testing.assert_close(y.double(), expected, rtol=1.01 * 2.0 ** -8, atol=1e-4)


def test_flashfftconv_checkpoints():
    """A checkpoint of a model with the original has its tables; it loads strictly."""
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.flashfftconv, self.linear = flashfftconv.FlashFFTConv(256), torch.nn.Linear(2, 2)

    state = dict(Model().state_dict(), **{"flashfftconv.f_sqrt_N_fft": torch.zeros(16, 16, 2)})
    Model().load_state_dict(state)
    assert not flashfftconv.FlashFFTConv(256).state_dict()
    with pytest.raises(RuntimeError, match="Unexpected key"):
        Model().load_state_dict(dict(state, other=torch.zeros(1)))


@pytest.mark.parametrize("module", [cudnn, subquadratic_ops], ids=lambda module: module.__name__)
@pytest.mark.parametrize("length, taps", [(1, 1), (10, 3), (13, 13), (5, 40)])
def test_fft_causal_conv1d(module, length, taps):
    check(module.fft_causal_conv1d, lambda x, weight: sums(x, weight, causal), random((2, 4, length), (4, taps)))


def test_fft_causal_conv1d_has_the_other_order_of_taps():
    x, weight = random((2, 4, 20), (4, 5))
    expected = torch.nn.functional.conv1d(x, weight[:, None], padding=4, groups=4)[..., :20]
    torch.testing.assert_close(cudnn.fft_causal_conv1d(x, weight.flip(-1)), expected)


def test_weight_gradient_has_its_dtype():
    x, weight = random((2, 4, 20), (4, 5), dtype=torch.bfloat16)
    cudnn.fft_causal_conv1d(x, weight.requires_grad_()).sum().backward()
    assert weight.grad.dtype == torch.bfloat16


def test_strides():
    """The transposed data of (batch, seqlen, channels) layers."""
    u, k, D = random((2, 8, 3), (3, 8), (3,))
    assert torch.equal(safari.fftconv_ref(u.transpose(1, 2), k, D, None),
                       safari.fftconv_ref(u.transpose(1, 2).contiguous(), k, D, None))


def test_second_derivatives():
    u, k, D = (x.requires_grad_() for x in random((1, 2, 4), (2, 4), (2,)))
    assert torch.autograd.gradgradcheck(lambda *x: vortex.fftconv_func(*x, None, bidirectional=True), (u, k, D))
    assert torch.autograd.gradgradcheck(lambda *x: hyenadna.fftconv_ref(*x, None, bidirectional=True), (u, k, D))


def test_the_same_in_longconv():
    """The tables of docs/migrating/."""
    u, k, D, a, b = random((2, 3, 8), (3, 8), (3,), (2, 3, 8), (2, 3, 8))
    spectrum = torch.fft.rfft(u, n=16) * torch.fft.rfft(k, n=16)
    for theirs, ours in (
            (safari.fftconv_ref(u, k, D, None, gelu=False), lt.conv(u, k, skip=D)),
            (safari.fftconv_ref(u, k, D, None), lt.conv(u, k, skip=D, activation="gelu")),
            (safari.fftconv_func(u, k, D, None, False, v=a, q=b), lt.conv(u, k, skip=D, pre_gate=a, post_gate=b)),
            (flashfftconv.FlashFFTConv(16)(u, k, a, b), lt.conv(u, k, pre_gate=a, post_gate=b)),
            (flashfftconv.FlashFFTConv(8)(u, k), lt.conv(u, k, mode="circular")),
            (torch.fft.irfft(spectrum, n=16)[..., :8] + D[:, None] * u, lt.conv(u, k, skip=D)),
            (vortex.fftconv_func(u, k[:, None], D, None, gelu=False), lt.conv(u, k, skip=D)),
            (savanna.fftconv_func(a * u, k[:1].repeat_interleave(3, 0), D, None, gelu=False),
             lt.conv(u, k[:1], skip=D, pre_gate=a)),
            (cudnn.fft_causal_conv1d(u, k), lt.conv(u, k)),
            (torch.nn.functional.silu(torch.nn.functional.conv1d(torch.nn.functional.pad(u, (7, 0)), k[:, None], D, groups=3)),
             lt.conv(u, k.flip(-1), bias=D, activation="silu")),
            (torch.fft.irfft(torch.fft.rfft(u) * torch.fft.rfft(k), n=8), lt.conv(u, k, mode="circular")),
            (torch.fft.irfft(torch.fft.rfft(u, n=16) * torch.fft.rfft(k, n=16).conj(), n=16)[..., :8],
             lt.conv(u, k, mode="anticausal"))):
        torch.testing.assert_close(theirs, ours)


def test_compiled():
    u, k, D, mask = random((2, 3, 8), (3, 8), (3,), (2, 3))
    for function in (lambda u: safari.fftconv_ref(u, k, D, mask, k_rev=k),
                     lambda u: safari.fftconv_ref(u, k[None], D, None),
                     lambda u: hyenadna.fftconv_ref(u, k, D, mask, bidirectional=True)):
        torch._dynamo.reset()
        torch.testing.assert_close(torch.compile(function, fullgraph=True, backend="aot_eager")(u), function(u))


@pytest.mark.parametrize("call, names", [
    (lambda u, k, D: safari.fftconv_ref(u, k[:2], D, None), "u, k, D: .*3.*2"),
    (lambda u, k, D: safari.fftconv_ref(u, k, D[:2], None), "u, k, D"),
    (lambda u, k, D: safari.fftconv_func(u[0], k, D), "u: .*(3, 8)"),
    (lambda u, k, D: safari.fftconv_func(u, k, D, head_dim=3), "v, q"),
    (lambda u, k, D: safari.fftconv_func(u, k, D, head_dim=2, v=u, q=u), "head_dim: .*2"),
    (lambda u, k, D: vortex.fftconv_func(u, k[:, :7], D, None, bidirectional=True), "k: .*even.*7"),
    (lambda u, k, D: savanna.fftconv_func(u, k, D, None, bidirectional=True), "k: .*(3, 8)"),
    (lambda u, k, D: flashfftconv.FlashFFTConv(0), "seqlen: .*0"),
    (lambda u, k, D: flashfftconv.FlashFFTConv(16, torch.int32), "dtype: .*int32"),
    (lambda u, k, D: flashfftconv.FlashFFTConv(4)(u, k), "u: .*4.*8"),
    (lambda u, k, D: flashfftconv.FlashFFTConv(16)(u, k[None]), "k: .*(1, 3, 8)"),
    (lambda u, k, D: cudnn.fft_causal_conv1d(u[0], k), "x: .*(3, 8)"),
    (lambda u, k, D: cudnn.fft_causal_conv1d(u, k[:2]), "weight: .*3.*(2, 8)")])
def test_errors(call, names):
    with pytest.raises(InvalidArgumentError, match=names):
        call(*random((2, 3, 8), (3, 8), (3,)))


def test_one_line_to_switch():
    """Every import line that the modules' docstrings show works."""
    for module in (safari, h3, hyenadna, flashfftconv, vortex, savanna, cudnn, subquadratic_ops):
        (line,) = [line.split() for line in module.__doc__.splitlines() if line.startswith("    from ")]
        assert line[1] == module.__name__
        assert all(hasattr(importlib.import_module(line[1]), name.strip(",")) for name in line[3:])


def golden(pattern):
    return [pytest.param(path, id=path.name) for path in sorted(GOLDEN.glob(pattern))] or [
        pytest.param(None, marks=pytest.mark.skip(reason="LONGCONV_GOLDEN_DIR is not set, or has no " + pattern))]


def read(folder):
    return {path.stem: torch.from_numpy(np.load(path)).double() for path in folder.glob("*.npy")}


@pytest.mark.parametrize("folder", golden("fftconv_*"))
@pytest.mark.parametrize("function", [safari.fftconv_ref, safari.fftconv_func, hyenadna.fftconv_ref,
                                      savanna.fftconv_func],
                         ids=lambda f: f"{f.__module__}.{f.__name__}")
def test_golden(function, folder):
    arrays, options = read(folder), json.loads((folder / "meta.json").read_text())["hyper"]
    leaves = {name: arrays[of].requires_grad_() for name, of in
              {"u": "in_u", "k": "p_k", "D": "p_D", "k_rev": "p_k_rev"}.items() if of in arrays}
    y = function(dropout_mask=arrays.get("in_mask"), gelu=options["gelu"], **leaves)
    torch.testing.assert_close(y, arrays["out_y"], rtol=1e-11, atol=1e-11 * arrays["out_y"].abs().max().item())
    y.backward(arrays["in_dy"])
    for name, leaf in leaves.items():
        expected = arrays["g_" + name]
        torch.testing.assert_close(leaf.grad, expected, rtol=1e-10, atol=1e-11 * expected.abs().max().item())


@pytest.mark.parametrize("folder", golden("hyenadna_fftconv_bidir_asis_*"))
def test_golden_hyenadna_bidirectional(folder):
    arrays = read(folder)
    y = hyenadna.fftconv_ref(arrays["in_u"], arrays["p_k"], arrays["p_D"], None, gelu=False, bidirectional=True)
    torch.testing.assert_close(y, arrays["out_y"], rtol=1e-11, atol=1e-11)
