# SPDX-License-Identifier: BSD-3-Clause
"""Trains small S4D and Hyena classifiers on ListOps, a task of the Long Range Arena, through longconv.torch.

    python examples/lra_listops.py [--steps 1500] [--shortest 24] [--longest 96] [--models s4d,hyena] [--out FILE.jsonl]

An expression such as [MAX 2 [SM 7 8 ] 4 ] is read token by token; its value, a digit, is the class. Operators: the least,
the greatest, the median (rounded down) and the sum modulo 10. The expressions here are short so that minutes on a CPU show
something; --shortest 500 --longest 2000 --depth 10 is the size of the Long Range Arena. Both models see the same batches.

The table has the accuracy on expressions that were never trained on, beside that of always giving the most frequent class
and of a classifier that sees which tokens occur but not where. Ends with status 1 when a model is not better than the
first. Needs PyTorch and longconv.
Sources: Nangia and Bowman, ListOps (2018); Tay et al., Long Range Arena (2021)."""
import json
import math
import random
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional

from longconv.torch import S4D, HyenaOperator
from training import Block, Parser, Progress, positive, whole, writable

OPERATORS = {
    "[MIN": min,
    "[MAX": max,
    "[MED": lambda values: int(statistics.median(values)),
    "[SM": lambda values: sum(values) % 10,
}
VOCABULARY = ["", *map(str, range(10)), *OPERATORS, "]"]  # the first fills the ends of short expressions
NUMBERS = {token: number for number, token in enumerate(VOCABULARY)}
CLASSES = 10


# ---- The task ----

def expression(rng, depth, arguments):
    """(tokens, value) of a random expression: an operand is an expression with probability 1/4 while depth is left."""
    operator = rng.choice(list(OPERATORS))
    tokens, values = [operator], []
    for _ in range(rng.randint(2, arguments)):
        if depth > 1 and rng.random() < 0.25:
            inner, value = expression(rng, depth - 1, arguments)
            tokens += inner
        else:
            value = rng.randrange(10)
            tokens.append(str(value))
        values.append(value)
    return [*tokens, "]"], OPERATORS[operator](values)


def examples(count, options, seed):
    """(tokens [count, longest], classes [count]) of expressions with shortest to longest tokens."""
    rng = random.Random(seed)
    tokens, classes = torch.zeros(count, options.longest, dtype=torch.long), torch.zeros(count, dtype=torch.long)
    for row in range(count):
        words, value = expression(rng, options.depth, options.arguments)
        while not options.shortest <= len(words) <= options.longest:
            words, value = expression(rng, options.depth, options.arguments)
        tokens[row, :len(words)] = torch.tensor([NUMBERS[word] for word in words])
        classes[row] = value
    return tokens, classes


# ---- Models ----

class S4DMixer(nn.Module):
    """A two-sided S4D convolution with a gated projection after it."""

    def __init__(self, width, states):
        super().__init__()
        self.conv = S4D(width, states, bidirectional=True, activation="gelu", layout="BLD")
        self.project = nn.Sequential(nn.Linear(width, 2 * width), nn.GLU())

    def forward(self, x):
        return self.project(self.conv(x))


MIXERS = {
    "s4d": lambda options: S4DMixer(options.width, options.states),
    "hyena": lambda options: HyenaOperator(options.width, options.longest, emb_dim=5, filter_order=32, w=10, lr_pos_emb=0.0),
}


class Classifier(nn.Module):
    def __init__(self, mixer, options):
        super().__init__()
        self.embedding = nn.Embedding(len(VOCABULARY), options.width, padding_idx=0)
        self.blocks = nn.Sequential(*(Block(MIXERS[mixer](options), options.width) for _ in range(options.layers)))
        self.norm, self.head = nn.LayerNorm(options.width), nn.Linear(options.width, CLASSES)

    def forward(self, tokens):
        there = (tokens != 0)[..., None]
        x = self.norm(self.blocks(self.embedding(tokens)))
        return self.head((x * there).sum(1) / there.sum(1))


class TokenCounts(nn.Module):
    """Which tokens occur how often, and nothing about their places: what mixing has to beat."""

    def __init__(self, width=64):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(len(VOCABULARY), width), nn.GELU(), nn.Linear(width, CLASSES))

    def forward(self, tokens):
        return self.layers(functional.one_hot(tokens, len(VOCABULARY)).float().mean(1))


# ---- Training ----

class Trainer:
    """One model with its optimizer, its losses and the times of its steps."""

    def __init__(self, name, model, options):
        self.name, self.model = name, model
        # The parameters of state spaces and filters learn slowly and do not decay.
        slow = [p for n, p in model.named_parameters() if "kernel" in n or "filter_fn" in n]
        rest = [p for n, p in model.named_parameters() if not ("kernel" in n or "filter_fn" in n)]
        self.optimizer = torch.optim.AdamW([{"params": rest, "weight_decay": 0.05},
                                            {"params": slow, "weight_decay": 0.0, "lr": min(options.lr, 1e-3)}], lr=options.lr)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: min((step + 1) / 100, 0.5 + 0.5 * math.cos(math.pi * step / options.steps)))
        self.losses, self.seconds = [], []

    def step(self, tokens, classes):
        start = time.perf_counter()
        loss = functional.cross_entropy(self.model(tokens), classes)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        self.losses.append(loss.item())
        self.seconds.append(time.perf_counter() - start)

    @torch.no_grad()
    def accuracy(self, tokens, classes):
        self.model.eval()
        right = [(self.model(part).argmax(-1) == of).float().sum() for part, of in zip(tokens.split(256), classes.split(256))]
        self.model.train()
        return (sum(right) / len(classes)).item()


def train(trainers, data, options):
    generator, progress = torch.Generator().manual_seed(options.seed), Progress(options.steps)
    tokens, classes = data
    for step in range(1, options.steps + 1):
        rows = torch.randint(len(classes), (options.batch,), generator=generator)
        for trainer in trainers:
            trainer.step(tokens[rows], classes[rows])
        progress.show(step, "loss " + ", ".join(f"{t.name} {statistics.mean(t.losses[-20:]):.3f}" for t in trainers))


def arguments():
    parser = Parser(__doc__)
    parser.add_argument("--models", default="s4d,hyena")
    parser.add_argument("--steps", type=whole, default=1500)
    parser.add_argument("--train", type=whole, default=20000, help="expressions to train on")
    parser.add_argument("--test", type=whole, default=2000, help="expressions to test on")
    parser.add_argument("--shortest", type=whole, default=24, help="tokens of an expression")
    parser.add_argument("--longest", type=whole, default=96)
    parser.add_argument("--depth", type=whole, default=4)
    parser.add_argument("--arguments", type=whole, default=5, help="most operands of an operator")
    parser.add_argument("--width", type=whole, default=64)
    parser.add_argument("--states", type=whole, default=16)
    parser.add_argument("--layers", type=whole, default=3)
    parser.add_argument("--batch", type=whole, default=32)
    parser.add_argument("--lr", type=positive, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=writable, help="file for the losses, a JSON line a step")
    options = parser.parse_args()
    unknown = sorted(set(options.models.split(",")) - set(MIXERS))
    if unknown:
        parser.error(f"--models: expected names of {', '.join(MIXERS)}, separated by commas, given {', '.join(unknown)}")
    return options


def print_table(trainers, test, by_class):
    print("\n| model | parameters | held-out accuracy | ms a step |\n|---|---|---|---|")
    print(f"| the most frequent class | 0 | {100 * by_class:.1f} % | |")
    reached = []
    for trainer in trainers:
        reached.append(trainer.accuracy(*test))
        print(f"| {trainer.name} | {sum(p.numel() for p in trainer.model.parameters())} | {100 * reached[-1]:.1f} % | "
              f"{1e3 * statistics.median(trainer.seconds):.1f} |")
    return reached


def main():
    options = arguments()
    data, test = examples(options.train, options, options.seed), examples(options.test, options, options.seed + 1)
    seen = {tuple(row) for row in data[0].tolist()}
    new = torch.tensor([tuple(row) not in seen for row in test[0].tolist()])
    test = test[0][new], test[1][new]
    trainers = []
    for name in options.models.split(","):
        torch.manual_seed(options.seed)
        trainers.append(Trainer(name, Classifier(name, options), options))
    trainers.append(Trainer("token counts", TokenCounts(), options))
    train(trainers, data, options)
    if options.out:
        with open(options.out, "w") as out:
            for step, losses in enumerate(zip(*(trainer.losses for trainer in trainers))):
                out.write(json.dumps({"step": step, **dict(zip((t.name for t in trainers), losses))}) + "\n")
    lengths = (test[0] != 0).sum(1).float()
    print(f"{len(test[1])} held-out expressions of {int(lengths.min())} to {int(lengths.max())} tokens, {lengths.mean():.0f} on average")
    by_class = (test[1] == data[1].bincount(minlength=CLASSES).argmax()).float().mean().item()
    reached = print_table(trainers, test, by_class)
    return 0 if all(accuracy > by_class for accuracy in reached[:-1]) else 1


if __name__ == "__main__":
    sys.exit(main())
