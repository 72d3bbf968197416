# SPDX-License-Identifier: BSD-3-Clause
"""step, push and prefill of the PyTorch layers against their forward."""
import pytest

torch = pytest.importorskip("torch")

import longconv  # noqa: E402
from longconv.torch import H3, HyenaOperator, LongConv  # noqa: E402

LENGTH = 200
LAYERS = {
    "long_conv": lambda: LongConv(6, 150, layout="BLD", bias=True, activation="gelu"),
    "long_conv_grouped": lambda: LongConv(6, LENGTH, groups=3, layout="BLD", skip=False),
    "hyena": lambda: HyenaOperator(6, LENGTH, filter_order=16),
    "hyena_3": lambda: HyenaOperator(6, LENGTH, order=3, filter_order=16, activation="tanh", filter_index="order_major"),
    "hyena_short": lambda: HyenaOperator(6, LENGTH, order=3, filter_order=16, short_filter_order=1, activation="gelu"),
    "h3": lambda: H3(6, d_state=16, l_max=LENGTH),
    "h3_heads": lambda: H3(6, d_state=16, l_max=LENGTH, head_dim=2, disc="zoh"),
    "h3_heads_first": lambda: H3(6, d_state=16, l_max=LENGTH, head_dim=3, output_order="heads_first"),
}


def layer(name, dtype=torch.float32):
    torch.manual_seed(0)
    return LAYERS[name]().to(dtype).eval()


def close(got, expected, tolerance):
    assert not got.requires_grad
    assert (got - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 3e-6), (torch.float64, 1e-12), (torch.bfloat16, 0.05)])
@pytest.mark.parametrize("name", LAYERS)
def test_prompt_and_tokens_are_forward(name, dtype, tolerance):
    if name.startswith("h3") and dtype == torch.bfloat16:
        pytest.skip("forward computes the taps of this layer in bfloat16")
    model, u = layer(name, dtype), torch.randn(2, LENGTH, 6, dtype=dtype)
    expected = model(u).detach()
    y, stream = model.prefill(u[:, :77], max_len=LENGTH)
    close(y, expected[:, :77], tolerance)
    close(torch.stack([model.step(u[:, t], stream) for t in range(77, 150)], 1), expected[:, 77:150], tolerance)
    child = stream.fork(LENGTH)
    close(model.push(u[:, 150:], child), expected[:, 150:], tolerance)
    child.close()
    close(model.push(u[:, 150:], stream), expected[:, 150:], tolerance)
    assert stream.position == LENGTH


def test_channels_first():
    model, u = LongConv(6, LENGTH).eval(), torch.randn(2, 6, LENGTH)
    expected, stream = model(u).detach(), model.stream(2)
    y = torch.stack([model.step(u[:, :, t], stream) for t in range(LENGTH)], 2)
    close(y, expected, 3e-6)


def test_views_are_read_as_they_lie():
    model, u = layer("hyena"), torch.randn(LENGTH, 6, 2).permute(2, 0, 1)
    stream = model.stream(2)
    close(model.push(u, stream), model(u).detach(), 3e-6)


def test_what_has_no_stream():
    with pytest.raises(longconv.UnsupportedError, match="mode: "):
        LongConv(6, 50, mode="anticausal").stream()
    with pytest.raises(longconv.UnsupportedError, match="num_blocks: "):
        HyenaOperator(6, LENGTH, num_blocks=2).stream()
    with pytest.raises(longconv.InvalidArgumentError, match="max_len: "):
        H3(6).stream()
    stream = layer("hyena").stream(2)
    with pytest.raises(longconv.InvalidArgumentError, match="x: "):
        layer("hyena").step(torch.zeros(3, 6), stream)
    with pytest.raises(longconv.InvalidArgumentError, match="x: "):
        layer("hyena").step(torch.zeros(2, 6, dtype=torch.float64), stream)
