# SPDX-License-Identifier: BSD-3-Clause
"""What every layer of longconv.torch has in common: it can be made without memory, and it refuses inputs and options that
are wrong with errors that name them."""
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import longconv  # noqa: E402
import longconv.torch as lt  # noqa: E402
from longconv import InvalidArgumentError  # noqa: E402
from test_torch_families import double  # noqa: E402, F401
from test_torch_models import L, LAYERS  # noqa: E402

EVERY = {
    **LAYERS,
    "explicit": (lambda: lt.LongConv(3, 9, bias=True, activation="silu"), (2, 3, L)),
    "explicit_ahead": (lambda: lt.LongConv(3, 9, mode="twosided", future_len=4, layout="BLD"), (2, L, 3)),
    "hyena": (lambda: lt.HyenaOperator(3, 20, order=3, filter_order=8), (2, L, 3)),
    "hyena_filter": (lambda: lt.HyenaFilter(3, seq_len=20, order=8), (2, 3, L)),
    "h3": (lambda: lt.H3(4, d_state=8, head_dim=2), (2, L, 4)),
    "s4d": (lambda: lt.S4D(3, 4, bidirectional=True, layout="BLD"), (2, L, 3)),
    "dss": (lambda: lt.DSS(3, 4, version="exp"), (2, 3, L)),
    "mega": (lambda: lt.MegaEMA(3, bidirectional=True, truncation=7), (2, L, 3)),
    "gss": (lambda: lt.GSS(3, 2, 4, 5), (2, L, 3)),
    "bigs": (lambda: lt.BiGS(3, d_state=4), (2, L, 3)),
    "mixer": (lambda: lt.Mixer("long_conv", 3, seqlen=L), (2, L, 3)),
    "mixer_with_family": (lambda: lt.Mixer("long_conv", 3, layout="bdl", filters={
        "filter": lt.FilterFamily("diag_ssm", 3, 50)}), (2, 3, L)),
}


# ---- Without memory ----

@pytest.mark.parametrize("name", EVERY)
def test_made_on_meta(name):
    make, shape = EVERY[name]
    layer, x = make(), torch.randn(shape)
    for assigned in (False, True):
        with torch.device("meta"):
            other = make()
        assert {value.device.type for value in other.state_dict().values()} == {"meta"}
        if not assigned:
            other.to_empty(device="cpu")
        other.load_state_dict(layer.state_dict(), assign=assigned)
        assert torch.equal(other(x), layer(x))


# ---- Wrong inputs ----

@pytest.mark.parametrize("name", EVERY)
def test_wrong_inputs(name):
    make, shape = EVERY[name]
    layer, any_rank = make(), name == "monarch"
    ranks = [torch.zeros(())] if any_rank else [torch.zeros(()), torch.zeros(shape[1:]), torch.zeros(*shape, 1)]
    channels = torch.zeros([size + (axis > 0 and size != L) for axis, size in enumerate(shape)])
    for wrong in (*ranks, channels, np.zeros(shape), None, [1.0]):
        with pytest.raises(InvalidArgumentError, match=r"^(x|u): expected "):
            layer(wrong)


@pytest.mark.parametrize("changed, text", [
    ({"u": np.zeros((1, 2, 3))}, "u: expected a tensor, given ndarray"), ({"filter": None}, "filter: expected a tensor"),
    ({"filter_future": [1.0]}, "filter_future: expected a tensor, given list"), ({"skip": 1.0}, "skip: expected a tensor"),
    ({"bias": 1}, "bias: expected a tensor"), ({"pre_gate": 1.0}, "pre_gate: expected a tensor"),
    ({"post_gate": np.ones(3)}, "post_gate: expected a tensor"), ({"state": 0}, "state: expected a tensor"),
    ({"skip": torch.zeros(2, dtype=torch.complex64)}, "skip: expected real numbers"),
])
def test_what_is_no_tensor(changed, text):
    given = {"u": torch.zeros(1, 2, 3), "filter": torch.zeros(2, 3), **changed}
    for device in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=device), pytest.raises(InvalidArgumentError, match=text):
            lt.conv(**given)


def test_streams_refuse_other_ranks():
    layer = lt.LongConv(3, 9).float()
    stream = layer.stream(2)
    for call, wrong in ((layer.push, torch.zeros(2, 3)), (layer.step, torch.zeros(2, 3, 1)), (layer.prefill, torch.zeros(3))):
        with pytest.raises(InvalidArgumentError, match="u: expected rank"):
            call(wrong, *([] if call == layer.prefill else [stream]))
    with pytest.raises(InvalidArgumentError, match="u: expected a tensor"):
        layer.prefill(np.zeros((2, 3, 4)))


# ---- Wrong options ----

@pytest.mark.parametrize("make, text", [
    (lambda: lt.ButterflyConv(3, activation="relu"), "activation: expected one of None, 'none', 'gelu', 'silu', 'gelu_tanh', "
                                                     "given 'relu'"),
    (lambda: lt.LongConvLayer(3, activation="relu"), "activation: expected one of"),
    (lambda: lt.LongConvLayer(3, layout="LBD"), "layout: expected one of 'BDL', 'BLD'"),
    (lambda: lt.LongConv(3, 4, activation="relu"), "activation: expected one of"),
    (lambda: lt.LongConv(3, 4, mode="future"), "mode: expected one of"),
    (lambda: lt.LongConv(3, 4, layout=None), "layout: expected one of"),
    (lambda: lt.S4(3, layout="bdl"), "layout: expected one of"),
    (lambda: lt.S4D(3, activation="relu"), "activation: expected one of"),
    (lambda: lt.S4Block(3, activation=["gelu"]), "activation: expected one of"),
    (lambda: lt.S4Block(3, layout=None), "layout: expected one of"),
    (lambda: lt.S4Block(3, hyper_act="relu"), "hyper: expected"),
    (lambda: lt.LiquidS4(3, layout=None), "layout: expected one of"),
    (lambda: lt.Mixer("hyena", 3, backend=None), "backend: expected a name"),
    (lambda: lt.Mixer(None, 3), "mixer: expected a name"),
    (lambda: lt.Mixer("hyena", 2.5), "channels: expected a whole number"),
    (lambda: lt.FilterFamily("modal", 3, 4, backend=None), "backend: expected a name"),
    (lambda: lt.FilterFamily(None, 3, 4), "family: expected a name"),
    (lambda: lt.FilterFamily("modal", 3, 4)(1.5), "length: expected a whole number"),
    (lambda: lt.prepare(None, (1, 2, 3)), "filter: expected a tensor"),
    (lambda: lt.HyenaOperator(3, 0), "l_max: expected a whole number from 1 on, given 0"),
    (lambda: lt.HyenaOperator(3, 8, num_blocks=0), "num_blocks: expected"),
    (lambda: lt.H3(4, d_state=0), "d_state: expected"), (lambda: lt.H3(4, dt_min=0), "dt_min, dt_max: expected"),
    (lambda: lt.H3(4, dt_min="a"), "dt_min: expected a number"),
    (lambda: lt.S4(3, channels="two"), "channels: expected"), (lambda: lt.MegaEMA(3, truncation=0), "truncation: expected"),
    (lambda: lt.FlexConv(3, 3, 8, no_layers=0), "no_layers: expected"),
    (lambda: lt.HyenaCascade(3, short_filter_length=0), "short_filter_length: expected"),
    (lambda: lt.RWKVTimeMix(3, n_layer=0), "n_layer: expected"), (lambda: lt.MonarchLinear(3, 3, 0), "nblocks: expected"),
    (lambda: lt.ButterflyConv(3, fft_rows=0), "rows: expected"), (lambda: lt.LongConv(3, -1), "filter_len: expected"),
    (lambda: lt.FilterFamily("modal", 1.5, 4), "channels: expected a whole number"),
    (lambda: longconv.filters.Filter("modal", 3, None), "max_len: expected a whole number"),
    (lambda: longconv.ops.hyena(np.zeros((1, 8, 3), "f4"), backend=None), "backend: expected a name"),
    (lambda: longconv.ops.hyena.initial(channels=3, seqlen="long"), "seqlen: expected a whole number"),
])
def test_wrong_options(make, text):
    with pytest.raises(InvalidArgumentError, match=text):
        make()


# ---- Any length ----

def test_butterfly_is_compiled_once_for_lengths_with_as_many_points():
    torch._dynamo.reset()
    layer, made = lt.ButterflyConv(3, 70), []

    def backend(graph, _):
        made.append(graph)
        return graph.forward
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend=backend)
    for length, graphs in ((20, 1), (30, 1), (17, 1), (40, 2), (64, 2)):
        x = torch.randn(2, 3, length)
        torch.testing.assert_close(compiled(x), layer(x))
        assert len(made) == graphs
