# SPDX-License-Identifier: BSD-3-Clause
"""Writes text with the character model of char_model.py, one character at a time, and shows what that costs.

    python examples/generate.py [FILE...] [--steps 100] [--length 1024] [--prompt TEXT]

Trains the model for a moment, then lets it write up to its length twice: with a stream of each layer, where a character
costs a few microseconds of convolution whatever came before it, and by computing the whole sequence again for each
character, as models without streams do. Both take the same random numbers. Ends with status 1 when the streams' numbers are
not those of the whole sequence. Needs PyTorch and longconv; a minute or two on two cores."""
import pathlib
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from char_model import CharModel, read, train  # noqa: E402
from training import Parser, positive, readable, whole  # noqa: E402


class Generator:
    """The model with a stream for each of its mixers."""

    def __init__(self, model, length):
        self.model, self.length, self.streams = model, length, None

    def _blocks(self, x, mix):
        for block, stream in zip(self.model.blocks, self.streams):
            x = x + mix(block.mixer, block.before_mixer(x), stream)
            x = x + block.mlp(block.before_mlp(x))
        return self.model.head(self.model.norm(x))

    def prompt(self, tokens):
        """Logits after a prompt [batch, length]."""
        self.streams = [block.mixer.stream(tokens.shape[0], max_len=self.length) for block in self.model.blocks]
        return self._blocks(self.model.embedding(tokens), lambda mixer, x, stream: mixer.push(x, stream))[:, -1]

    def step(self, token):
        """Logits after one more token [batch]."""
        return self._blocks(self.model.embedding(token), lambda mixer, x, stream: mixer.step(x, stream))


def draw(logits, temperature, generator):
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]


def write(first, following, prompt, count, options):
    """Continues `prompt` by `count` characters. first(tokens), following(tokens): logits after all of them. Returns the
    tokens, the logits and the seconds after the prompt."""
    generator, tokens = torch.Generator().manual_seed(options.seed), prompt[None]
    logits = [first(tokens)]
    start = time.perf_counter()
    for _ in range(count - 1):
        tokens = torch.cat([tokens, draw(logits[-1], options.temperature, generator)[:, None]], 1)
        logits.append(following(tokens))
    seconds = time.perf_counter() - start
    tokens = torch.cat([tokens, draw(logits[-1], options.temperature, generator)[:, None]], 1)
    return tokens[0], torch.stack(logits), seconds


def arguments():
    parser = Parser(__doc__)
    parser.add_argument("files", nargs="*", type=readable, help="text files")
    parser.add_argument("--steps", type=whole, default=100, help="of training")
    parser.add_argument("--length", type=whole, default=1024, help="characters that the model can see")
    parser.add_argument("--width", type=whole, default=96)
    parser.add_argument("--layers", type=whole, default=2)
    parser.add_argument("--batch", type=whole, default=4)
    parser.add_argument("--lr", type=positive, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--prompt", default="The ", help="what the written text begins with")
    parser.add_argument("--temperature", type=positive, default=0.8)
    options = parser.parse_args()
    if options.length < max(len(options.prompt), 1) + 2:
        parser.error(f"--length: expected at least the prompt and two characters, {max(len(options.prompt), 1) + 2}, "
                     f"given {options.length}")
    return options


@torch.no_grad()
def compare(model, characters, options):
    """Writes in both ways; returns the text, the rates and the largest difference of the logits."""
    prompt = torch.tensor([characters.index(c) for c in options.prompt if c in characters] or [0])
    count, streamed = options.length - len(prompt), Generator(model, options.length)
    tokens, logits, seconds = write(streamed.prompt, lambda tokens: streamed.step(tokens[:, -1]), prompt, count, options)
    again = write(lambda tokens: model(tokens)[:, -1], lambda tokens: model(tokens)[:, -1], prompt, count, options)
    same = next((i for i, (a, b) in enumerate(zip(tokens, again[0])) if a != b), len(tokens))
    compared = same - len(prompt)  # as long as both have seen the same characters
    difference = (logits[:compared] - again[1][:compared]).abs().max().item() / logits.abs().max().item()
    text = "".join(characters[i] for i in tokens)
    return text, (count - 1) / seconds, (count - 1) / again[2], compared, difference


def main():
    options = arguments()
    characters, data = read(options.files)
    if len(data) <= options.length:
        print(f"generate.py: the text has {len(data)} characters, more than {options.length} are needed", file=sys.stderr)
        return 2
    torch.manual_seed(options.seed)
    model = CharModel(len(characters), options.width, options.length, options.layers)
    train(model, data, options)
    text, streamed, recomputed, compared, difference = compare(model.eval(), characters, options)
    print(text)
    print(f"\n{streamed:.0f} characters/s with streams, {recomputed:.0f} by computing {options.length} characters at most "
          f"again for each: {streamed / recomputed:.1f} times as many.\nLargest difference of the logits over "
          f"{compared} characters: {difference:.1e} of the largest.")
    return 0 if compared > 0 and difference < 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
