# SPDX-License-Identifier: BSD-3-Clause
"""Times longconv.jax against JAX's own pipeline (rfft, product, irfft), operation by operation and compiled, on the same
arrays, in turns in one process.

    python benchmarks/compare_jax.py [--shapes 1x768x1024,...] [--kinds forward,train,...] [--threads 2]
                                     [--out FILE.jsonl] [--figure FILE.svg]

The grid, the lines, the table and the figure are those of compare_torch.py. longconv is compiled (jax.jit), as the
`compiled` side is. What a call costs at 64 samples is printed beside jnp.add, both compiled. The number of threads is that
of the processors which the process may use.

Needs longconv, JAX and a C compiler; Matplotlib for --figure."""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "python"))
import frameworks  # noqa: E402

os.environ.setdefault("JAX_PLATFORMS", "cpu")
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

import longconv.jax  # noqa: E402


def ours(u, filter, skip, pre_gate=None, post_gate=None):
    return longconv.jax.conv(u, filter, skip=skip, pre_gate=pre_gate, post_gate=post_gate)


def pipeline(u, filter, skip, pre_gate=None, post_gate=None):
    """As models write it: everything padded to twice the length."""
    length = u.shape[-1]
    x = u if pre_gate is None else pre_gate * u
    product = jnp.fft.rfft(filter, 2 * length) * jnp.fft.rfft(x, 2 * length)
    y = jnp.fft.irfft(product, 2 * length)[..., :length] + x * skip[:, None]
    return y if post_gate is None else post_gate * y


def with_gradients(function):
    def step(dy, *inputs):
        y, pull = jax.vjp(function, *inputs)
        return [y, *pull(dy)]
    return step


class Jax:
    name, title, version = "jax", "JAX", jax.__version__
    sides, compiled_sides = ("longconv", "eager", "compiled"), ("longconv", "eager", "compiled")
    forget = staticmethod(jax.clear_caches)

    def limit_threads(self, count):
        """JAX makes as many threads as there are processors to run on."""
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
        os.environ["LONGCONV_NUM_THREADS"] = str(count)

    def step(self, side, shape, kind):
        function = ours if side == "longconv" else pipeline
        arrays, dy = frameworks.arrays_of(shape, kind)
        inputs = [jnp.asarray(array) for array in arrays]
        if "train" in kind:
            inputs, function = [jnp.asarray(dy), *inputs], with_gradients(function)
        if side != "eager":
            function = jax.jit(function)

        def step():
            results = jax.block_until_ready(function(*inputs))
            return results if "train" in kind else [results]
        return step

    def calls(self):
        u, filter = jnp.ones((1, 4, 64)), jnp.ones((4, 64))
        conv, add = jax.jit(longconv.jax.conv), jax.jit(jnp.add)
        conv_gradients, add_gradients = (jax.jit(with_gradients(function)) for function in (longconv.jax.conv, jnp.add))
        wait = jax.block_until_ready
        return {
            "without gradient": (lambda: wait(conv(u, filter)), lambda: wait(add(u, u))),
            "forward and backward": (lambda: wait(conv_gradients(u, u, filter)), lambda: wait(add_gradients(u, u, u))),
        }, "jnp.add"


if __name__ == "__main__":
    frameworks.main(Jax(), __doc__)
