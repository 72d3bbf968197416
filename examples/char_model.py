# SPDX-License-Identifier: BSD-3-Clause
"""Trains a character model made of Hyena layers on text files, and writes text with it.

    python examples/char_model.py [FILE...] [--steps 400] [--length 256] [--sample 400] [--prompt TEXT]

Without a file it reads the documentation of this repository. The last tenth of the text is held out; the loss on it is
printed in bits per character, beside that of guessing each character by its frequency, and by the one before it.
Ends with status 1 when the model does not beat the frequencies. Needs PyTorch and longconv; minutes on two cores."""
import math
import pathlib
import sys

import torch
from torch import nn
from torch.nn import functional

from longconv.torch import HyenaOperator
from training import Block, Parser, Progress, positive, readable, whole

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCUMENTATION = ("*.md", "docs/*.md", "include/longconv/*.h")  # the headers are the manual


class CharModel(nn.Module):
    def __init__(self, characters, width, length, layers):
        super().__init__()
        self.embedding, self.head = nn.Embedding(characters, width), nn.Linear(width, characters)
        self.blocks, self.norm = nn.Sequential(*(
            Block(HyenaOperator(width, length, emb_dim=5, filter_order=64, w=10, lr_pos_emb=0.0), width)
            for _ in range(layers))), nn.LayerNorm(width)

    def forward(self, tokens):
        return self.head(self.norm(self.blocks(self.embedding(tokens))))

    def loss(self, tokens):
        """Bits for each character of [batch, length + 1] but the first."""
        logits = self(tokens[:, :-1]).flatten(0, 1)
        return functional.cross_entropy(logits, tokens[:, 1:].flatten()) / math.log(2)


def read(files):
    """All text, its characters in order, and the text as their numbers."""
    paths = [pathlib.Path(file) for file in files] or sorted(
        path for pattern in DOCUMENTATION for path in ROOT.glob(pattern))
    text = "\n".join(path.read_text(errors="replace") for path in paths)
    characters = sorted(set(text))
    numbers = {character: i for i, character in enumerate(characters)}
    return characters, torch.tensor([numbers[character] for character in text])


def simple_losses(train, held_out, characters):
    """Bits per character of guessing by frequency, and by frequency after the character before."""
    ones = torch.bincount(train, minlength=characters).double() + 1
    pairs = torch.bincount(train[:-1] * characters + train[1:], minlength=characters ** 2).double() + 0.1
    pairs = pairs.reshape(characters, characters)
    after = pairs / pairs.sum(1, keepdim=True)
    return (-torch.log2(ones / ones.sum())[held_out].mean().item(),
            -torch.log2(after)[held_out[:-1], held_out[1:]].mean().item())


def train(model, data, options):
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, total_steps=options.steps)
    generator, progress = torch.Generator().manual_seed(options.seed), Progress(options.steps)
    for step in range(1, options.steps + 1):
        places = torch.randint(len(data) - options.length, (options.batch, 1), generator=generator)
        loss = model.loss(data[places + torch.arange(options.length + 1)])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        progress.show(step, f"{loss.item():.3f} bits")


@torch.no_grad()
def held_out_loss(model, data, length):
    pieces = data[:len(data) // (length + 1) * (length + 1)].reshape(-1, length + 1)
    return model.loss(pieces).item()


@torch.no_grad()
def sample(model, prompt, count, length, temperature, seed):
    """Continues `prompt` by `count` characters; the model sees the last `length`."""
    generator, tokens = torch.Generator().manual_seed(seed), prompt
    for _ in range(count):
        logits = model(tokens[None, -length:])[0, -1] / temperature
        tokens = torch.cat([tokens, torch.multinomial(logits.softmax(-1), 1, generator=generator)])
    return tokens


def arguments():
    parser = Parser(__doc__)
    parser.add_argument("files", nargs="*", type=readable, help="text files")
    parser.add_argument("--steps", type=whole, default=400)
    parser.add_argument("--length", type=whole, default=256, help="characters that the model sees")
    parser.add_argument("--width", type=whole, default=96)
    parser.add_argument("--layers", type=whole, default=2)
    parser.add_argument("--batch", type=whole, default=16)
    parser.add_argument("--lr", type=positive, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sample", type=whole, default=400, help="characters to write")
    parser.add_argument("--prompt", default="The ", help="what the written text begins with")
    parser.add_argument("--temperature", type=positive, default=0.8)
    return parser.parse_args()


def main():
    options = arguments()
    characters, data = read(options.files)
    if len(data) < 20 * (options.length + 1):
        print(f"char_model.py: the text has {len(data)} characters, at least {20 * (options.length + 1)} are needed",
              file=sys.stderr)
        return 2
    torch.manual_seed(options.seed)
    cut = len(data) * 9 // 10
    model = CharModel(len(characters), options.width, options.length, options.layers)
    train(model, data[:cut], options)
    by_frequency, by_pairs = simple_losses(data[:cut], data[cut:], len(characters))
    reached = held_out_loss(model.eval(), data[cut:], options.length)
    print(f"{len(data)} characters, {len(characters)} different. Bits per character on the held-out tenth: {reached:.3f}; "
          f"by frequency {by_frequency:.3f}, by the character before {by_pairs:.3f}\n")
    prompt = torch.tensor([characters.index(c) for c in options.prompt if c in characters] or [0])
    written = sample(model, prompt, options.sample, options.length, options.temperature, options.seed)
    print("".join(characters[i] for i in written))
    return 0 if reached < by_frequency else 1


if __name__ == "__main__":
    sys.exit(main())
