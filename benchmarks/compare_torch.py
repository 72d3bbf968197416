# SPDX-License-Identifier: BSD-3-Clause
"""Times longconv.torch against PyTorch's own pipeline (rfft, product, irfft), eager and compiled, on the same tensors, in
turns in one process.

    python benchmarks/compare_torch.py [--shapes 1x768x1024,...] [--kinds forward,train,...] [--threads 2]
                                       [--out FILE.jsonl] [--figure FILE.svg]

Prints a JSON line for each shape and kind of work, then a table in Markdown, then what a call costs at 64 samples beside
torch.add. Kinds: forward (with a skip), train (forward and backward), gated, gated_train (with both gates, whose
gradients are wanted too). Each line has medians in milliseconds, spreads, ratios (the other's median over ours) and the
relative difference of the results. Extra memory is measured in a process for each side: how far the resident memory
rises over what it was with the inputs there, during a first and a second call.

Needs longconv, PyTorch and, for the compiled side, a C++ compiler; Matplotlib for --figure."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "python"))
import frameworks  # noqa: E402

import torch  # noqa: E402

import longconv.torch  # noqa: E402


def ours(u, filter, skip, pre_gate=None, post_gate=None):
    return longconv.torch.conv(u, filter, skip=skip, pre_gate=pre_gate, post_gate=post_gate)


def pipeline(u, filter, skip, pre_gate=None, post_gate=None):
    """As models write it: everything padded to twice the length."""
    length = u.shape[-1]
    x = u if pre_gate is None else pre_gate * u
    product = torch.fft.rfft(filter, n=2 * length) * torch.fft.rfft(x, n=2 * length)
    y = torch.fft.irfft(product, n=2 * length)[..., :length] + x * skip[:, None]
    return y if post_gate is None else post_gate * y


class Torch:
    name, title, version = "torch", "PyTorch", torch.__version__
    sides, compiled_sides = ("longconv", "eager", "compiled"), ("compiled",)
    limit_threads = staticmethod(torch.set_num_threads)
    forget = staticmethod(torch._dynamo.reset)

    def step(self, side, shape, kind):
        functions = {"longconv": ours, "eager": pipeline}
        function = functions[side] if side in functions else torch.compile(pipeline, dynamic=False)
        arrays, dy = frameworks.arrays_of(shape, kind)
        inputs, dy = [torch.from_numpy(array).requires_grad_("train" in kind) for array in arrays], torch.from_numpy(dy)

        def forward():
            with torch.no_grad():
                return [function(*inputs)]

        def train():
            y = function(*inputs)
            return [y.detach(), *torch.autograd.grad(y, inputs, dy)]
        return train if "train" in kind else forward

    def calls(self):
        u, filter, dy = torch.randn(1, 4, 64), torch.randn(4, 64), torch.randn(1, 4, 64)
        leaves = [u.clone().requires_grad_(), filter.clone().requires_grad_()]
        conv, add, grad = longconv.torch.conv, torch.add, torch.autograd.grad
        prepared = longconv.torch.prepare(filter, u.shape)
        return {
            "without gradient": (lambda: conv(u, filter), lambda: add(u, u)),
            "prepared filter": (lambda: conv(u, prepared), lambda: add(u, u)),
            "with gradient": (lambda: conv(*leaves), lambda: add(leaves[0], leaves[0])),
            "forward and backward": (lambda: grad(conv(*leaves), leaves, dy),
                                     lambda: grad(add(leaves[0], leaves[0]), leaves[:1], dy)),
        }, "torch.add"


if __name__ == "__main__":
    frameworks.main(Torch(), __doc__)
