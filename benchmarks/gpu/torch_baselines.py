# SPDX-License-Identifier: BSD-3-Clause
"""Times the FFT convolution that PyTorch programs write, on the GPU, at the shapes of gpu_bench.c.

    python benchmarks/gpu/torch_baselines.py

One JSON line for each shape and pipeline: `rfft` (real transforms of twice the length, as in most models) and `fft`
(complex ones), forward with the filter's spectrum prepared, plain and gated, float32. Median of 9 samples of 5 calls,
between events on the device."""
import json
import statistics
import sys

SHAPES = [(64, 768, 1024), (64, 768, 4096), (32, 768, 8192), (16, 768, 16384), (16, 768, 32768), (8, 384, 131072),
          (8, 48, 1048576), (1, 16, 16777216)]


def main():
    try:
        import torch
    except ImportError:
        print("torch_baselines: PyTorch is not installed", file=sys.stderr)
        return 0
    if not torch.cuda.is_available():
        print("torch_baselines: PyTorch sees no GPU", file=sys.stderr)
        return 0

    def rfft(u, spectrum, seqlen):
        return torch.fft.irfft(torch.fft.rfft(u, n=2 * seqlen) * spectrum, n=2 * seqlen)[..., :seqlen]

    def fft(u, spectrum, seqlen):
        return torch.fft.ifft(torch.fft.fft(u, n=2 * seqlen) * spectrum).real[..., :seqlen]

    def measure(call):
        samples = []
        call()
        for _ in range(9):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            for _ in range(5):
                call()
            end.record()
            end.synchronize()
            samples.append(start.elapsed_time(end) / 5)
        return statistics.median(samples)

    def milliseconds(transform, pipeline, batch, channels, seqlen, gated):
        u, *gates = (torch.randn(batch, channels, seqlen, device="cuda") for _ in range(3 if gated else 1))
        spectrum = transform(torch.randn(channels, seqlen, device="cuda") / seqlen, n=2 * seqlen)
        if not gated:
            return measure(lambda: pipeline(u, spectrum, seqlen))
        pre, post = gates
        return measure(lambda: post * pipeline(pre * u, spectrum, seqlen))

    for batch, channels, seqlen in SHAPES:
        for name, transform, pipeline in (("rfft", torch.fft.rfft, rfft), ("fft", torch.fft.fft, fft)):
            for gated in (False, True):
                try:
                    with torch.no_grad():
                        ms = milliseconds(transform, pipeline, batch, channels, seqlen, gated)
                except torch.cuda.OutOfMemoryError:
                    ms = None
                torch.cuda.empty_cache()
                print(json.dumps({"baseline": f"torch {torch.__version__} {name}",
                                  "problem": f"conv:f32:b{batch}:d{channels}:l{seqlen}{':gated' if gated else ''}:fwd",
                                  "median_ms": ms,
                                  "ps_per_output": None if ms is None else ms * 1e9 / (batch * channels * seqlen)}),
                      flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
