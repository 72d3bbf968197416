# SPDX-License-Identifier: BSD-3-Clause
"""Plans with their arguments bound, from the parts of the Python package, so that a benchmark times the C library and
next to nothing else: float32 causal convolution of arrays [batch, channels, seqlen], gated or not, forward and backward.
"""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "bindings" / "python" / "src"))


def use_build(folder):
    """Takes the C library of a build folder; before the first plan."""
    os.environ["LONGCONV_LIBRARY"] = str(pathlib.Path(folder).resolve() / "lib" / "liblongconv.so")


class Conv:
    """forward() and backward() run on the arrays given here."""

    def __init__(self, u, filter, y, threads, skip=None, pre_gate=None, post_gate=None, grads=None, prepared=False):
        from longconv import _plans, _prepared, _problem, _words
        from longconv._arrays import view
        inputs = {"u": u, "filter": filter, "skip": skip, "pre_gate": pre_gate, "post_gate": post_gate}
        inputs = {name: array for name, array in inputs.items() if array is not None}
        terms = sum(bit for name, bit in _words.TERMS.items() if name in inputs)
        wanted = [] if grads is None else [name for name in ("u", "filter", "skip", "pre_gate", "post_gate")
                                           if "d" + name in grads]
        problem = _problem.problem(
            u.shape, 0, filter.shape, None, mode="causal", layout="BDL", activation=None, future_first_lag=1, terms=terms,
            backend="auto", threads=threads, grad_mask=sum(_words.GRADS[name] for name in wanted))
        self.plan = _plans.Plan(problem)

        def bind(backward, arrays):
            binding = _plans.Binding(self.plan, backward, {name: view(array) for name, array in arrays.items()})
            addresses = [array.ctypes.data for array in arrays.values()]
            return binding, addresses
        self.kept, self.spectrum = [inputs, y, grads], None
        if prepared:
            self.spectrum = _prepared.Spectrum(self.plan, filter, None)
            del inputs["filter"]
        self.of_forward = bind(False, {**inputs, "y": y})
        if grads is not None:
            self.of_backward = bind(True, {**inputs, **grads})

    def forward(self):
        binding, addresses = self.of_forward
        binding.run(addresses, spectrum=self.spectrum.handle.value if self.spectrum else 0)

    def backward(self):
        binding, addresses = self.of_backward
        binding.run(addresses)

    def engine(self):
        return self.plan.info.engine.decode()
