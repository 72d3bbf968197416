# SPDX-License-Identifier: BSD-3-Clause
"""Every mixer as a layer, and the operators below: values of longconv.ops, numeric gradients, tracing, and refusals."""
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from longconv import InvalidArgumentError, TooLargeError, UnsupportedError, ops  # noqa: E402
from longconv.torch import FilterFamily, Mixer  # noqa: E402
from test_torch_families import double  # noqa: E402, F401

LENGTH = 16  # a power of two for block_transform


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()


def layer_of(name, **options):
    """A layer, and random inputs."""
    layer = Mixer(name, 4, seqlen=LENGTH, **options)
    ports = layer.operator.ports
    return layer, [torch.randn(2, *ports[port]["shape"][1:]) for port in layer.operator.inputs]


def arguments_of(layer, inputs):
    """Of torch.ops.longconv.mixer."""
    operator, values = layer.operator, dict(layer.named_parameters())
    values.update(zip(operator.inputs, inputs))
    return [values[name] for name in operator.names], operator.mixer, operator.options, operator.channels, "auto"


@pytest.mark.parametrize("name", ops.names())
def test_every_mixer(name):
    layer, inputs = layer_of(name)
    given = {key: value.detach().numpy() for key, value in layer.named_parameters()}
    given.update((key, value.numpy()) for key, value in zip(layer.operator.inputs[1:], inputs[1:]))
    expected = getattr(ops, name)(inputs[0].numpy(), channels=4, **given)
    np.testing.assert_array_equal(layer(*inputs).detach().numpy(), expected)

    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    weights = torch.randn(expected.shape)
    loss, compiled_loss = ((call(*inputs) * weights).sum() for call in (layer, compiled))
    for mine, other in zip(*(torch.autograd.grad(value, list(layer.parameters())) if given else () for value in
                             (loss, compiled_loss))):
        assert torch.equal(mine, other)


@pytest.mark.parametrize("name", ops.names())
def test_gradients(name):
    layer, inputs = layer_of(name)
    parameters = dict(layer.named_parameters())

    def function(*values):
        return torch.func.functional_call(layer, dict(zip(parameters, values[len(inputs):])), values[:len(inputs)])
    values = (*(tensor.requires_grad_() for tensor in inputs), *parameters.values())
    assert torch.autograd.gradcheck(function, values, atol=1e-6, fast_mode=True)


@pytest.mark.parametrize("name", ["hyena", "rwkv4_wkv", "s5", "block_transform"])
def test_operator_rules(name):
    layer, inputs = layer_of(name)
    arrays, *words = arguments_of(layer, inputs)
    checks = torch.library.opcheck(torch.ops.longconv.mixer, (arrays, *words))
    dresults = [torch.randn_like(result) for result in torch.ops.longconv.mixer(arrays, *words)]
    arrays = [array.detach() for array in arrays]
    checks_of_backward = torch.library.opcheck(torch.ops.longconv.mixer_backward, (dresults, arrays, 5, *words))
    assert set(checks.values()) | set(checks_of_backward.values()) == {"SUCCESS"}


def test_subset_of_gradients():
    """Only what requires a gradient gets one; what does not is not computed."""
    layer, (x,) = layer_of("hyena")
    layer.requires_grad_(False)
    layer.skip.requires_grad_()
    layer(x).square().sum().backward()
    alone = layer.skip.grad
    layer.requires_grad_()
    layer.zero_grad()
    layer(x.requires_grad_()).square().sum().backward()
    assert torch.equal(layer.skip.grad, alone) and x.grad.shape == x.shape
    arrays, *words = arguments_of(layer, [x])
    dresults = [torch.ones(2, LENGTH, 4)]
    found = torch.ops.longconv.mixer_backward(dresults, arrays, 1 << layer.operator.names.index("skip"), *words)
    assert [gradient.shape for gradient in found] == [layer.skip.shape]


@pytest.mark.parametrize("view", [
    lambda x: x.transpose(0, 1).contiguous().transpose(0, 1), lambda x: torch.stack([x, -x], -1)[..., 0],
    lambda x: x[:1].expand(2, -1, -1), lambda x: torch.cat([x, x], 1)[:, ::2]])
def test_strides(view):
    layer, (x,) = layer_of("h3")
    strided = view(x).detach().requires_grad_()
    dense = strided.detach().contiguous().requires_grad_()
    results = [layer(tensor) for tensor in (strided, dense)]
    assert torch.equal(*results)
    for result in results:
        result.sum().backward()  # its gradient has strides of 0
    torch.testing.assert_close(strided.grad, dense.grad)


@pytest.mark.parametrize("shape", [(0, LENGTH, 4), (2, 0, 4), (2, 1, 4)])
def test_small_shapes(shape):
    layer = Mixer("h3", 4, filters={"filter": Taps(4)}, shift_len=2)
    x = torch.randn(shape, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert y.shape == shape == x.grad.shape and layer.in_weight.grad.isfinite().all()


def test_meta_tensors():
    layer, (x,) = layer_of("hyena")
    assert layer.to("meta")(x.to("meta")).shape == x.shape


def test_dynamic_shapes():
    layer = Mixer("hyena", 4, filters={"filter": Taps(4)})
    compiled = torch.compile(lambda x, taps: layer.operator(x=x, filter=taps, **dict(layer.named_parameters(recurse=False))),
                             fullgraph=True, dynamic=True, backend="aot_eager")
    for length in (16, 23, 40):
        x, taps = torch.randn(3, length, 4), torch.randn(4, length)
        layer.filters["filter"].values = taps
        torch.testing.assert_close(compiled(x, taps), layer(x))


class Taps(torch.nn.Module):
    """Taps that are told."""

    def __init__(self, rows):
        super().__init__()
        self.rows, self.values, self.asked = rows, None, None

    def forward(self, count):
        self.asked = count
        return torch.ones(self.rows, count) if self.values is None else self.values


def test_filters_from_families():
    layer = Mixer("h3", 4, filters={"filter": FilterFamily("diag_ssm", 4, 100), "shift_filter": Taps(4)}, shift_len=8)
    y = layer(torch.randn(2, 30, 4))
    y.sum().backward()
    assert layer.filters["shift_filter"].asked == 8  # as many as the option says, not as there are samples
    assert layer.filters["filter"].c.grad.abs().max() > 0 and "filters.filter.c" in layer.state_dict()
    assert "h3" in repr(layer)


def test_autocast():
    layer, (x,) = layer_of("hyena", dtype=torch.float32)
    x = x.float()
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    y.float().sum().backward()
    assert y.dtype == torch.bfloat16 and all(value.grad.isfinite().all() for value in layer.parameters())
    torch.testing.assert_close(y.float(), layer(x), rtol=0.1, atol=0.05)


def test_vmap():
    layer, (x,) = layer_of("mega_ema")
    many = torch.randn(3, 2, LENGTH, 4)
    torch.testing.assert_close(torch.func.vmap(layer)(many), torch.stack([layer(x) for x in many]))
    parameters = {name: value.detach() for name, value in layer.named_parameters()}

    def loss(values, x):
        return torch.func.functional_call(layer, values, (x[None],)).square().sum()
    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(parameters, x)
    for entry in range(2):
        for name, gradient in torch.func.grad(loss)(parameters, x[entry]).items():
            torch.testing.assert_close(each[name][entry], gradient)


@pytest.mark.parametrize("wrong, text", [
    (lambda layer, x: layer(x, x), "expected the inputs x, given 2"),
    (lambda layer, x: layer(x[0]), r"x: expected shape \[batch, seqlen, 4\], given \[16, 4\]"),
    (lambda layer, x: layer(x[:, :, :3]), "x: "),
    (lambda layer, x: layer(x[:, :5]), "filter: "),
    (lambda layer, x: layer(x.long()), "dtype"),
    (lambda layer, x: layer(x.to(torch.complex64)), "dtype"),
    (lambda layer, x: layer(x[:1, :1].expand(1 << 30, 1 << 30, -1)), "overflow"),
    (lambda layer, x: layer.operator(x=x), "expected the arrays x, in_weight"),
    (lambda layer, x: torch.ops.longconv.mixer([x], "hyena", "", 4, "auto"), "expected the arrays x, in_weight"),
    (lambda layer, x: torch.ops.longconv.mixer([x], "hyena", "order=1", 4, "auto"), "order"),
    (lambda layer, x: torch.ops.longconv.mixer([x], "none", "", 4, "auto"), "none"),
    (lambda layer, x: Mixer("hyena", 4, filters={"skip": Taps(4)}), "skip: no long filter"),
])
def test_wrong_calls(wrong, text):
    layer, (x,) = layer_of("hyena")
    with pytest.raises((InvalidArgumentError, TooLargeError), match=text):
        wrong(layer, x)


def test_second_derivatives_are_refused():
    layer, (x,) = layer_of("projection")
    gradient, = torch.autograd.grad(layer(x).square().sum(), layer.weight, create_graph=True)
    with pytest.raises(UnsupportedError, match="differentiated again"):
        torch.autograd.grad(gradient.sum(), layer.weight)
