# SPDX-License-Identifier: BSD-3-Clause
"""torch.compile, torch.export, torch.func, autocast and opcheck on the registered operators."""
import pathlib

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import torch._dynamo.testing  # noqa: E402

import longconv.torch as lt  # noqa: E402
from longconv.torch import _kernels, _mixer, _ops, _taps  # noqa: E402
from test_torch import CASES, make, outputs  # noqa: E402

SCHEMAS = pathlib.Path(__file__).with_name("schemas.txt")


def test_schemas_are_frozen():
    """Exported programs and users' code depend on them."""
    lines = [str(getattr(torch.ops.longconv, name).default._schema) for name in (*_ops.SCHEMAS, *_taps.SCHEMAS, *_mixer.SCHEMAS)]
    assert "\n".join(lines) == SCHEMAS.read_text().strip()


def operator(case, dtype=torch.float64):
    """The registered operator of a case, and its arguments."""
    _, tensors = make(case, dtype)
    words = ("activation", "mode", "future_first_lag", "layout", "backend")
    defaults = {"activation": "none", "mode": "causal", "future_first_lag": 1, "layout": "BDL", "backend": "auto"}
    words = [CASES[case].get(word, defaults[word]) for word in words]
    given = [tensors.get(name) for name in _kernels.INPUTS]
    if CASES[case].get("return_state"):
        return torch.ops.longconv.conv_state, (*given, *words)
    return torch.ops.longconv.conv, (*given[:-1], *words)


@pytest.mark.parametrize("case", CASES)
def test_opcheck(case):
    op, arguments = operator(case)
    torch.library.opcheck(op, arguments)


@pytest.mark.parametrize("case", ["plain", "twosided", "everything"])
def test_opcheck_backward(case):
    op, arguments = operator(case)
    with_state = op is torch.ops.longconv.conv_state
    tensors, words = list(arguments[:-5]) + [None] * (not with_state), arguments[-5:]
    result = outputs(op(*arguments))
    dy, dstate = (torch.randn_like(result[0], requires_grad=True), torch.randn_like(result[1]) if with_state else None)
    terms = _kernels.terms_of(*tensors[3:7], with_state)
    mask = sum(bit for bit, tensor in zip(_kernels.BITS, tensors) if tensor is not None)
    torch.library.opcheck(torch.ops.longconv.conv_backward, (dy, dstate, *tensors, terms, mask, *words))


@pytest.mark.parametrize("case", CASES)
def test_operator_is_the_function(case):
    """The operators' own autograd gives the same bits as the shortcut of lt.conv, also for second derivatives."""
    function, tensors = make(case)
    op, arguments = operator(case)

    def second(result):
        loss = sum((part ** 2).sum() for part in outputs(result))
        first = torch.autograd.grad(loss, tensors.values(), create_graph=True)
        return first, torch.autograd.grad(sum((g ** 2).sum() for g in first), tensors.values())
    by_name = dict(zip(_kernels.INPUTS, arguments))
    arguments = [tensors.get(name, value) if name in tensors else value
                 for name, value in zip(_kernels.INPUTS, arguments[:-5])] + list(arguments[-5:])
    assert set(tensors) <= set(by_name)
    for ours, theirs in zip(second(function(*tensors.values())), second(op(*arguments))):
        for a, b in zip(ours, theirs):
            torch.testing.assert_close(a, b)


# ---- torch.compile and torch.export ----

def layer(u, filter, skip, gate):
    y = lt.conv(u * 2, filter, skip=skip, pre_gate=gate, activation="gelu")
    return (y * gate).sum(0)


def inputs(length, requires_grad=True):
    torch.manual_seed(length)
    shapes = [(2, 4, length), (4, length), (4,), (2, 4, length)]
    return [torch.randn(shape).requires_grad_(requires_grad) for shape in shapes]


def gradients(function, tensors):
    return torch.autograd.grad(function(*tensors).pow(2).sum(), tensors)


def test_compile_has_no_graph_breaks():
    torch._dynamo.reset()
    explanation = torch._dynamo.explain(layer)(*inputs(32))
    assert explanation.graph_break_count == 0 and explanation.graph_count == 1


@pytest.mark.parametrize("backend", ["eager", "aot_eager", pytest.param("inductor", marks=pytest.mark.compiler)])
def test_compile_dynamic_shapes(backend):
    """Many lengths, two compilations at most: the first length, and the general one."""
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounterWithBackend(backend)
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend=counter)
    for length in (32, 48, 1000, 63):
        tensors = inputs(length)
        torch.testing.assert_close(compiled(*tensors), layer(*tensors))
        for ours, expected in zip(gradients(compiled, tensors), gradients(layer, tensors)):
            torch.testing.assert_close(ours, expected)
    assert counter.frame_count <= 2


@pytest.mark.parametrize("case", CASES)
def test_compile_every_case(case):
    torch._dynamo.reset()
    function, tensors = make(case, torch.float32)
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    for ours, expected in zip(outputs(compiled(*tensors.values())), outputs(function(*tensors.values()))):
        torch.testing.assert_close(ours, expected)
        assert ours.stride() == expected.stride()
    for ours, expected in zip(*(torch.autograd.grad(outputs(f(*tensors.values()))[0].sum(), tensors["filter"])
                                for f in (compiled, function))):
        torch.testing.assert_close(ours, expected)


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.filter, self.skip = torch.nn.Parameter(torch.randn(4, 64)), torch.nn.Parameter(torch.randn(4))

    def forward(self, u):
        return lt.conv(u, self.filter, skip=self.skip, activation="silu")


def test_export():
    module, u = Layer(), torch.randn(2, 4, 50)
    dynamic = {"u": {0: torch.export.Dim("batch"), 2: torch.export.Dim("seqlen", min=2, max=1 << 20)}}
    exported = torch.export.export(module, (u,), dynamic_shapes=dynamic).run_decompositions()
    assert "longconv.conv" in exported.graph_module.code
    for shape in [(2, 4, 50), (3, 4, 129)]:
        u = torch.randn(shape)
        torch.testing.assert_close(exported.module()(u), module(u))


# ---- torch.func ----

MAPPED = [("u",), ("filter",), ("u", "filter"), ("skip",), ("u", "pre_gate"), ("u", "filter", "state")]
MAPPED_CASES = [(case, names) for case in CASES for names in MAPPED if set(names) <= set(make(case)[1])]


@pytest.mark.parametrize("case, names", MAPPED_CASES)
def test_vmap(case, names):
    """As a loop over the mapped axis, for values and for gradients, with axes anywhere."""
    function, tensors = make(case)
    axes = [(1 if name == "filter" else 0) if name in names else None for name in tensors]
    stacked = [torch.stack([tensor, 2 * tensor, -tensor], axis) if axis is not None else tensor
               for tensor, axis in zip((t.detach() for t in tensors.values()), axes)]

    def one(i):
        return [t if axis is None else t.select(axis, i) for t, axis in zip(stacked, axes)]

    def loss(*values):
        return sum((part ** 2).sum() for part in outputs(function(*values)))
    every = tuple(range(len(stacked)))
    found = torch.func.vmap(function, in_dims=tuple(axes))(*stacked)
    slopes = torch.func.vmap(torch.func.grad(loss, argnums=every), in_dims=tuple(axes))(*stacked)
    for i in range(3):
        for ours, expected in zip(outputs(found), outputs(function(*one(i)))):
            torch.testing.assert_close(ours[i], expected)
        for ours, expected in zip(slopes, torch.func.grad(loss, argnums=every)(*one(i))):
            torch.testing.assert_close(ours[i], expected)


def test_gradients_per_sample():
    u, filter = torch.randn(5, 3, 20, dtype=torch.float64), torch.randn(3, 20, dtype=torch.float64)

    def loss(filter, sample):
        return lt.conv(sample[None], filter).pow(2).sum()
    found = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(filter, u)
    for sample, gradient in zip(u, found):
        torch.testing.assert_close(gradient, torch.func.grad(loss)(filter, sample))


def test_hessian():
    u, filter = torch.randn(1, 1, 5, dtype=torch.float64), torch.randn(1, 4, dtype=torch.float64)
    hessian = torch.func.jacrev(torch.func.jacrev(lambda h: lt.conv(u, h).pow(2).sum()))(filter)
    jacobian = torch.func.jacrev(lambda h: lt.conv(u, h).flatten())(filter).flatten(1)
    torch.testing.assert_close(hessian.reshape(4, 4), 2 * jacobian.T @ jacobian)


# ---- Autocast ----

@pytest.mark.parametrize("through", ["function", "operator"])
def test_autocast(through):
    """Data becomes bfloat16; filters and skip stay float32, so that the result is that of rounded data."""
    u, filter, skip = torch.randn(2, 3, 100), torch.randn(3, 100), torch.randn(3)
    call = {"function": lambda: lt.conv(u, filter, skip=skip),
            "operator": lambda: torch.ops.longconv.conv(u, filter, None, skip, None, None, None, "none", "causal", 1, "BDL",
                                                        "auto")}[through]
    with torch.autocast("cpu", torch.bfloat16):
        y = call()
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, lt.conv(u.bfloat16(), filter, skip=skip))
    with torch.autocast("cpu", torch.bfloat16):
        assert lt.conv(u.double(), filter.double()).dtype == torch.float64


def test_autocast_gradients_and_compile():
    torch._dynamo.reset()

    def run(function):
        tensors = inputs(40)
        with torch.autocast("cpu", torch.bfloat16):
            y = function(*tensors)
        return y, torch.autograd.grad(y.float().sum(), tensors)
    y, found = run(layer)
    compiled_y, compiled = run(torch.compile(layer, fullgraph=True, backend="aot_eager"))
    assert compiled_y.dtype == y.dtype
    for tensor, a, b in zip(inputs(40), found, compiled):
        assert a.dtype == tensor.dtype
        torch.testing.assert_close(a, b, rtol=2e-2, atol=2e-2)
