# SPDX-License-Identifier: BSD-3-Clause
"""The examples in Python, a few steps of each, and the parts of them that can be wrong unnoticed."""
import argparse
import pathlib
import statistics
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
EXAMPLES = pathlib.Path(__file__).resolve().parents[3] / "examples"
if not EXAMPLES.is_dir():
    pytest.skip("the examples are not there", allow_module_level=True)


@pytest.fixture
def example(monkeypatch):
    """Imports an example by its name."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return lambda name: __import__(name)


@pytest.mark.parametrize("page", ["README.md", "bindings/python/README.md"])
def test_first_lines_of_python(page):
    """What a reader copies from the two READMEs runs as it stands."""
    blocks = (EXAMPLES.parent / page).read_text().split("```python\n")[1:]
    names = {}
    exec("".join(block.split("```")[0] for block in blocks), names)
    assert names["y"].shape in ((2, 64, 8192), (2, 8192, 64))


RUNS = {
    "associative_recall.py": ["--steps", "3", "--length", "8", "--wanted", "0"],
    "lra_listops.py": ["--steps", "2", "--train", "30", "--test", "20"],
    "attention_crossover.py": ["--longest", "512", "--width", "32", "--seconds", "0", "--backward", "--figure", ""],
}


@pytest.mark.parametrize("name", RUNS)
def test_runs(name, tmp_path):
    out = tmp_path / "lines.jsonl"
    done = subprocess.run([sys.executable, str(EXAMPLES / name), *RUNS[name], "--out", str(out)], capture_output=True,
                          text=True, cwd=tmp_path)
    # Two steps train nothing: status 1 says so.
    assert done.returncode in ((0, 1) if name == "lra_listops.py" else (0,)), done.stderr
    assert done.stdout and out.read_text().count("\n") >= 2


@pytest.mark.parametrize("name, arguments, text", [
    ("associative_recall", ["--steps", "0"], "--steps: expected a whole number from 1 on, given 0"),
    ("associative_recall", ["--length", "7"], "--length: expected an even number, given 7"),
    ("associative_recall", ["--lr", "-1"], "--lr: expected a number above 0"),
    ("associative_recall", ["--out", "no/such/folder"], "--out: no/such/folder cannot be written"),
    ("char_model", ["no_such_file"], "no_such_file is not a file that can be read"),
    ("char_model", ["--temperature", "warm"], "--temperature: expected a number above 0, given warm"),
    ("generate", ["--length", "3"], "--length: expected at least the prompt and two characters"),
    ("lra_listops", ["--models", "s4d,rnn"], "--models: expected names of s4d, hyena, separated by commas, given rnn"),
    ("attention_crossover", ["--shortest", "0"], "--shortest: expected a whole number"),
])
def test_wrong_arguments(example, monkeypatch, capsys, name, arguments, text):
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    with pytest.raises(SystemExit) as ended:
        example(name).arguments()
    assert ended.value.code == 2 and text in capsys.readouterr().err


def test_generate(tmp_path):
    """Streams and the whole sequence write the same text; status 1 would say that they do not."""
    text = tmp_path / "text.txt"
    text.write_text("The quick brown fox jumps over the lazy dog. " * 60)
    done = subprocess.run([sys.executable, str(EXAMPLES / "generate.py"), str(text), "--steps", "2", "--length", "40",
                           "--width", "8", "--layers", "1", "--batch", "1"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.startswith("The ") and "characters/s with streams" in done.stdout


def value(tokens):
    """Of an expression, by reading it with a stack."""
    stack = []
    for token in tokens:
        if token.startswith("["):
            stack.append([token])
        else:
            done = int(token) if token != "]" else None
            if done is None:
                operator, *operands = stack.pop()
                operands.sort()
                done = {"[MIN": operands[0], "[MAX": operands[-1], "[SM": sum(operands) % 10,
                        "[MED": int(statistics.median(operands))}[operator]
            if not stack:
                return done
            stack[-1].append(done)
    raise AssertionError("the expression has no end")


def test_listops(example):
    """Every class is the value of its expression; sizes are kept; numbers repeat with the seed."""
    listops = example("lra_listops")
    options = argparse.Namespace(shortest=10, longest=60, depth=4, arguments=5)
    tokens, classes = listops.examples(300, options, 3)
    for row, expected in zip(tokens.tolist(), classes.tolist()):
        words = [listops.VOCABULARY[number] for number in row if number]
        assert 10 <= len(words) <= 60 and value(words) == expected
    assert torch.equal(tokens, listops.examples(300, options, 3)[0])
    assert set(classes.tolist()) == set(range(10))


def test_associative_recall(example):
    """The answer is the value that went with the key before."""
    recall = example("associative_recall")
    inputs, targets = recall.batch_of(50, 20, torch.Generator().manual_seed(0))
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    for tokens, answer in zip(inputs.tolist(), targets[:, -1].tolist()):
        pairs = dict(zip(tokens[:20:2], tokens[1:20:2]))
        assert tokens[20] == recall.ASK and pairs[tokens[21]] == answer


def test_crossover(example):
    crossover = example("attention_crossover").crossover
    rows = [{"length": 256 << i, "ratio": ratio} for i, ratio in enumerate((0.25, 0.5, 2.0, 8.0))]
    assert crossover(rows)[0] == 724  # half way between 512 and 1024, in logarithms
    assert crossover(rows[2:])[0] == 1024 and "below 1024" in crossover(rows[2:])[1]
    assert crossover(rows[:2]) == (None, "not up to 512 tokens")
