# SPDX-License-Identifier: BSD-3-Clause
"""Prepared filters in longconv.torch: the results, when the transform is used, and what is refused."""
import copy
import pickle

import pytest
from conftest import close, direct

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
import longconv.torch as lt  # noqa: E402
from longconv import InvalidArgumentError, _plans  # noqa: E402


@pytest.fixture
def spectra(monkeypatch):
    """How many executions were given a spectrum, in a list that grows."""
    used, run = [], _plans.Binding.run

    def counted(self, addresses, workspace=None, stream=0, spectrum=0):
        if spectrum:
            used.append(self.plan.problem)
        return run(self, addresses, workspace, stream, spectrum)
    monkeypatch.setattr(_plans.Binding, "run", counted)
    return used


CASES = {
    "plain": ({}, torch.float32),
    "bfloat16": ({}, torch.bfloat16),
    "float64": ({}, torch.float64),
    "circular": ({"mode": "circular"}, torch.float32),
    "twosided": ({"mode": "twosided", "future_first_lag": 0}, torch.float32),
    "everything": ({"layout": "BLD", "activation": "gelu"}, torch.float32),
}


@pytest.mark.parametrize("case", CASES)
def test_values(case, rng, spectra):
    words, dtype = CASES[case]
    shape = (2, 500, 3) if words.get("layout") == "BLD" else (2, 3, 500)
    of = {name: torch.from_numpy(rng.standard_normal(shape)).to(dtype) for name in ("u", "pre_gate", "post_gate")}
    if case != "everything":
        of = {"u": of["u"]}
    taps = {"filter": torch.from_numpy(rng.standard_normal((3, 400)))}
    if words.get("mode") == "twosided":
        taps["filter_future"] = torch.from_numpy(rng.standard_normal((3, 30)))
    if dtype != torch.float64:
        taps = {name: value.float() for name, value in taps.items()}
    transform = {name: word for name, word in words.items() if name != "activation"}
    prepared = lt.prepare(**taps, u_shape=shape, dtype=dtype, **transform)
    expected = direct(**{name: value.double().numpy() for name, value in (of | taps).items()}, **words)
    for _ in range(2):
        y = lt.conv(**of, filter=prepared, **words)
        assert y.dtype == dtype
        close(y.double().numpy(), expected, str(dtype).split(".")[1])
    assert len(spectra) == 2


def test_other_shapes_and_state(rng, spectra):
    """One prepared filter serves any shape, in chunks too; its taps are a copy."""
    u, filter = rng.standard_normal((2, 3, 700)).astype("f4"), rng.standard_normal((3, 200)).astype("f4")
    taps = torch.from_numpy(filter.copy())
    prepared = lt.prepare(taps, u.shape)
    taps.zero_()
    first, state = lt.conv(torch.from_numpy(u[..., :300]), prepared, return_state=True)
    second = lt.conv(torch.from_numpy(u[..., 300:]), prepared, state=state)
    close(torch.cat([first, second], -1).numpy(), direct(u, filter))
    close(lt.conv(torch.from_numpy(u[:1, :, :50]), prepared).numpy(), direct(u[:1, :, :50], filter))
    assert len(spectra) >= 3


def test_recorded_and_traced_calls_use_the_taps(rng, spectra):
    """The data has its gradient, under vmap and torch.compile the result is the same."""
    u, filter = torch.randn(2, 3, 40), torch.randn(3, 40)
    prepared = lt.prepare(filter, u.shape)
    leaves = [u.clone().requires_grad_() for _ in range(2)]
    lt.conv(leaves[0], prepared).square().sum().backward()
    lt.conv(leaves[1], filter).square().sum().backward()
    torch.testing.assert_close(leaves[0].grad, leaves[1].grad, rtol=0, atol=0)
    mapped = torch.func.vmap(lambda u: lt.conv(u, prepared))(torch.stack([u, 2 * u]))
    torch.testing.assert_close(mapped[1], lt.conv(2 * u, filter))
    compiled = torch.compile(lambda u: lt.conv(u, prepared), fullgraph=True, backend="aot_eager")(u)
    torch.testing.assert_close(compiled, lt.conv(u, filter))
    assert not spectra
    with torch.no_grad():
        lt.conv(leaves[0], prepared)
    assert len(spectra) == 1


def test_one_transform_for_many_calls(rng, monkeypatch):
    made = []
    prepare = lt.PreparedFilter.prepare
    monkeypatch.setattr(lt.PreparedFilter, "prepare", lambda self, *a, **k: made.append(1) or prepare(self, *a, **k))
    prepared = lt.prepare(torch.randn(3, 900), (2, 3, 900))
    for batch in (1, 2, 3):
        lt.conv(torch.randn(batch, 3, 900), prepared, skip=torch.randn(3))
    assert len(made) == 1


def test_copies():
    u, filter = torch.randn(1, 2, 30), torch.randn(2, 9)
    prepared = lt.prepare(filter, u.shape)
    for same in (copy.deepcopy(prepared), pickle.loads(pickle.dumps(prepared))):
        assert torch.equal(lt.conv(u, same), lt.conv(u, prepared))


def test_errors():
    u, filter = torch.randn(1, 2, 30), torch.randn(2, 9)
    prepared = lt.prepare(filter, u.shape)
    with pytest.raises(InvalidArgumentError, match="was prepared in torch.float32"):
        lt.conv(u.double(), prepared)
    with pytest.raises(InvalidArgumentError, match="filter_future"):
        lt.conv(u, prepared, filter_future=filter)
    with pytest.raises(InvalidArgumentError, match="expected real numbers"):
        lt.prepare(filter + 1j, u.shape)
    with pytest.raises(InvalidArgumentError, match="rank 3"):
        lt.prepare(filter, (2, 30))
    with pytest.raises(InvalidArgumentError, match="mode"):
        lt.prepare(filter, u.shape, mode="sideways")
