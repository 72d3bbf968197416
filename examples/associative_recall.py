# SPDX-License-Identifier: BSD-3-Clause
"""Trains a two-layer Hyena on associative recall, through longconv.torch and, beside it, with torch.fft.

    python examples/associative_recall.py [--steps 1500] [--length 64] [--no-fft] [--out losses.jsonl]

A sequence is a list of key-value pairs, where each key has one value all through the sequence, and a query key at the
end: the answer is that key's value. Every batch is new; accuracy is measured on sequences that were never trained on.
Both models start from the same numbers and see the same batches, in turns, so their losses agree within rounding (which
training amplifies: the curves are compared over the first steps, and as averages later).

Needs PyTorch and longconv. Ends with status 1 when the accuracy is below --wanted or the curves disagree.
Source of the task: Fu et al., H3 (2023), section 3.1; of the model: Poli et al., Hyena (2023)."""
import json
import math
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional

from longconv.torch import HyenaOperator
from training import Block, Parser, Progress, positive, whole, writable

KEYS, VALUES = 4, 4  # the vocabulary: keys, then values, then the sign that a question follows
ASK, VOCABULARY = KEYS + VALUES, KEYS + VALUES + 1


def batch_of(count, length, generator):
    """Inputs [count, length + 2] and what follows each of them: the next token, at the end the answer."""
    values_of = torch.randint(KEYS, KEYS + VALUES, (count, KEYS), generator=generator)
    keys = torch.randint(0, KEYS, (count, length // 2), generator=generator)
    pairs = torch.stack([keys, values_of.gather(1, keys)], -1).flatten(1)
    asked = keys.gather(1, torch.randint(0, length // 2, (count, 1), generator=generator))
    ask = torch.full((count, 1), ASK)
    tokens = torch.cat([pairs, ask, asked, values_of.gather(1, asked)], 1)
    return tokens[:, :-1], tokens[:, 1:]


class FftHyena(HyenaOperator):
    """The same layer as models compute it without longconv: channels first, padded transforms, gates by themselves."""

    def forward(self, u):
        length = u.shape[1]
        short = self.short_filter(self.in_proj(u).transpose(1, 2))[..., :length]
        gate, pre_gate, v = short.split(self.d_model, 1)
        taps, skip = self.filter_fn.filter(length)[0].T, self.filter_fn.bias
        x = v * pre_gate
        spectrum = torch.fft.rfft(taps, n=2 * length) * torch.fft.rfft(x, n=2 * length)
        y = torch.fft.irfft(spectrum, n=2 * length)[..., :length] + x * skip[:, None]
        return self.out_proj((y * gate).transpose(1, 2))


class Model(nn.Module):
    def __init__(self, mixer_class, width, length, layers=2):
        super().__init__()
        self.embedding, self.head = nn.Embedding(VOCABULARY, width), nn.Linear(width, VOCABULARY)
        self.blocks = nn.Sequential(*(
            Block(mixer_class(width, length + 2, emb_dim=5, filter_order=64, w=10, lr_pos_emb=0.0), width)
            for _ in range(layers)))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens):
        return self.head(self.norm(self.blocks(self.embedding(tokens))))


class Trainer:
    """One model with its optimizer, its losses and the times of its steps."""

    def __init__(self, name, mixer_class, options):
        torch.manual_seed(options.seed)
        self.name, self.model = name, Model(mixer_class, options.width, options.length)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=options.lr, weight_decay=0.1)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: min((step + 1) / 100, 0.5 + 0.5 * math.cos(math.pi * step / options.steps)))
        self.losses, self.seconds = [], []

    def step(self, inputs, targets):
        start = time.perf_counter()
        loss = functional.cross_entropy(self.model(inputs).flatten(0, 1), targets.flatten())
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        self.losses.append(loss.item())
        self.seconds.append(time.perf_counter() - start)

    @torch.no_grad()
    def accuracy(self, length, count=2000, seed=1 << 20):
        """Share of right answers on sequences of another random stream."""
        inputs, targets = batch_of(count, length, torch.Generator().manual_seed(seed))
        self.model.eval()
        answers = self.model(inputs)[:, -1].argmax(-1)
        self.model.train()
        return (answers == targets[:, -1]).float().mean().item()

    def milliseconds(self):
        return 1e3 * statistics.median(self.seconds)


def train(trainers, options):
    generator, progress = torch.Generator().manual_seed(options.seed + 1), Progress(options.steps)
    for step in range(1, options.steps + 1):
        batch = batch_of(options.batch, options.length, generator)
        for trainer in trainers if step % 2 else trainers[::-1]:
            trainer.step(*batch)
        progress.show(step, "loss " + ", ".join(f"{trainer.name} {trainer.losses[-1]:.4f}" for trainer in trainers))


def compare_curves(ours, theirs, early):
    """Largest relative distance over the first steps, and of averages over a tenth of the run."""
    first = max(abs(a - b) / b for a, b in zip(ours[:early], theirs[:early]))
    part = max(len(ours) // 10, 1)
    means = [[statistics.mean(losses[i:i + part]) for i in range(0, len(losses), part)] for losses in (ours, theirs)]
    return first, max(abs(a - b) for a, b in zip(*means))


def arguments():
    parser = Parser(__doc__)
    parser.add_argument("--steps", type=whole, default=1500)
    parser.add_argument("--length", type=whole, default=64, help="tokens of the pairs, an even number")
    parser.add_argument("--width", type=whole, default=64)
    parser.add_argument("--batch", type=whole, default=32)
    parser.add_argument("--lr", type=positive, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--wanted", type=float, default=0.95, help="accuracy below which the run has failed")
    parser.add_argument("--early", type=whole, default=50, help="steps over which the two curves must agree to 1e-3")
    parser.add_argument("--no-fft", action="store_true", help="only longconv")
    parser.add_argument("--out", type=writable, help="file for the losses, a JSON line a step")
    options = parser.parse_args()
    if options.length % 2:
        parser.error(f"--length: expected an even number, given {options.length}")
    return options


def main():
    options = arguments()
    trainers = [Trainer("longconv", HyenaOperator, options)]
    if not options.no_fft:
        trainers.append(Trainer("torch.fft", FftHyena, options))
    train(trainers, options)
    if options.out:
        with open(options.out, "w") as out:
            for step, losses in enumerate(zip(*(trainer.losses for trainer in trainers))):
                out.write(json.dumps({"step": step, **dict(zip((t.name for t in trainers), losses))}) + "\n")
    good = True
    for trainer in trainers:
        accuracy = trainer.accuracy(options.length)
        good &= accuracy >= options.wanted
        print(f"{trainer.name:10} held-out accuracy {100 * accuracy:.1f} %, last losses "
              f"{statistics.mean(trainer.losses[-20:]):.4f}, {trainer.milliseconds():.2f} ms a step (median)")
    if len(trainers) == 2:
        first, means = compare_curves(trainers[0].losses, trainers[1].losses, options.early)
        good &= first < 1e-3
        print(f"losses of the first {options.early} steps agree to {first:.1e}; averages over tenths of the run to {means:.1e}")
        print(f"torch.fft takes {trainers[1].milliseconds() / trainers[0].milliseconds():.2f} times as long a step")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
