"""What README.md shows works, and the examples run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import TEXT
from conftest import checkout, peer

ROOT = checkout()
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
COMMANDS = [text.strip() for language, text in BLOCKS if language == "sh"]


def run(folder: Path, *args: str | Path, quiet: bool = True) -> str:
    """Run Python on something in a folder without sources; the output. `quiet`: warnings are errors."""
    flags = ["-W", "error"] if quiet else []
    return subprocess.run(
        [sys.executable, *flags, *args], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("text", PYTHON, ids=[f"block {i}" for i in range(len(PYTHON))])
def test_python_blocks_run(tmp_path: Path, text: str) -> None:
    (tmp_path / "block.py").write_text(text)
    run(tmp_path, "block.py")


@pytest.mark.parametrize("name", ["keyedvectors", "diagnosis", "tasks"])
def test_pages_run(tmp_path: Path, name: str) -> None:
    page = (ROOT / "docs" / f"{name}.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "page.py").write_text("\n".join(blocks))
    run(tmp_path, "page.py")


def test_what_the_readme_must_have() -> None:
    setup = "python3 -m venv .venv && .venv/bin/pip install"
    assert [f"{setup} . && .venv/bin/fastrnn train", f"{setup} '.[test]' && .venv/bin/pytest"] == COMMANDS
    assert len(PYTHON) == 4
    assert 120 <= len(README.splitlines()) <= 240


@pytest.mark.parametrize("name", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_lead_somewhere(name: str) -> None:
    assert (ROOT / name).exists()


def test_pig_latin(tmp_path: Path) -> None:
    options = ["--epochs", "1", "--hidden", "16", "--threads", "1", "--more", "100"]
    out = run(tmp_path, ROOT / "examples" / "pig_latin.py", *options)
    assert re.search(r"^attention general: \d+\.\d % \(1 seeds\)$", out, re.MULTILINE)
    assert out.count("log-probability") == 3


def test_spirals(tmp_path: Path) -> None:
    out = run(tmp_path, ROOT / "examples" / "spirals.py", "--epochs", "12")
    softmax, linear, relu = (float(share) for share in re.findall(r"(\S+) % right", out))
    assert max(softmax, linear) < 75
    assert relu > 95


def atis(folder: Path) -> None:
    """Three files as ATIS has them."""
    line = "BOS flights {} boston EOS\tO O O B-{} atis_flight\n"
    for name in ("atis-2.train", "atis-2.dev", "atis.test"):
        text = "".join(line.format(*pair) for pair in (("from", "from"), ("to", "to")) * 30)
        (folder / f"{name}.w-intent.iob").write_text(text)


def reviews(folder: Path) -> None:
    """Two files of sentences; one has a character that only some take for the end of a line."""
    for name, text in (("neg", "a bad film \x85 bad\n"), ("pos", "a good film\n")):
        (folder / f"rt-polarity.{name}").write_bytes((text * 40).encode("iso-8859-1"))


def hours(folder: Path) -> None:
    """A file of waves with the columns of ETTh1, as many rows as the example reads."""
    t = np.arange(14400)
    rows = [f"{k},{','.join(f'{np.sin(k / 4 + c):.3f}' for c in range(7))}" for k in t]
    (folder / "ETTh1.csv").write_text("\n".join(["date,a,b,c,d,e,f,OT", *rows]) + "\n")


def parts_of_speech(folder: Path) -> None:
    """Three files of CoNLL-U, with a comment, a range and an empty node."""
    words = [("Dogs", "NOUN"), ("bark", "VERB"), (".", "PUNCT")]
    lines = [f"{k}\t{word}\t_\t{tag}\t_" for k, (word, tag) in enumerate(words, 1)]
    text = "\n".join(["# text", "1-2\tDogsbark\t_\t_\t_", *lines, "3.1\tx\t_\tX\t_", "", ""])
    for part in ("train", "dev", "test"):
        (folder / f"en_ewt-ud-{part}.conllu").write_text(text * 30)


def entities(folder: Path) -> None:
    """Three files of words and tags; a line of blanks ends a sentence too."""
    text = "in\tO\nParis\tB-location\n\t\nin\tO\nRome\tB-location\n\n"
    for name in ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"):
        (folder / name).write_text(text * 30)


def treebank(folder: Path) -> None:
    """Three files of lines of words."""
    text = " the film was good , not bad\n the film was bad , not good\n" * 60
    for part in ("train", "valid", "test"):
        (folder / f"ptb.{part}.txt").write_text(text)


def tunes(folder: Path) -> None:
    """A file of twenty tunes, as of old systems."""
    text = "".join(f"X: {k}\r\nT:A\r\nM:6/8\r\nK:D\r\nABc def|\r\n\r\n\r\n" for k in range(100, 200))
    (folder / "tunes.abc").write_bytes(text.encode("latin-1"))


MORE = {
    "sentiment": ["--hidden", "8", "--epochs", "12"],
    "part_of_speech": ["--hidden", "8", "--epochs", "12", "--characters", "none", "CNN", "--seeds", "2"],
    "baselines": ["--hidden", "8", "--window-epochs", "1", "--lstm-epochs", "1", "--tied"],
    "music": ["--hidden", "16", "--epochs", "20", "--samples", "2"],
}


@pytest.mark.parametrize(
    ("name", "folder", "make", "last"),
    [
        ("slot_filling", "atis", atis, r"boston/B-to"),
        (
            "sentiment",
            "sentiment-mr",
            reviews,
            r"max pooling: 100\.0 %, naive Bayes: 100\.0 % \(1 of 10 folds\)",
        ),
        ("part_of_speech", "ud-ewt", parts_of_speech, r"^characters CNN \(2 seeds\), %: test 100\.00 \+- 0"),
        ("part_of_speech", "wnut17", entities, r"^characters CNN \(2 seeds\), F1: test 100\.00 \+- 0"),
        ("baselines", "ptb", treebank, r"^LSTM, 2 x 8, tied +valid +\d+\.\d\d   test +\d+\.\d\d$"),
        ("music", "nottingham-abc", tunes, r"^100 tunes, held-out loss \d\.\d{4} nats a letter\nX:"),
        ("forecast", "timeseries", hours, r"^LSTM and linear part +MSE 0\.0\d+$"),
    ],
)
def test_examples_of_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, folder: str, make: Any, last: str
) -> None:
    (tmp_path / folder).mkdir()
    make(tmp_path / folder)
    monkeypatch.setenv("FASTRNN_DATA", str(tmp_path))
    options = ["--epochs", "3", "--hidden", "8", "--threads", "1"]
    if name == "forecast":
        options = ["--epochs", "1", "--hidden", "4", "--threads", "1", "--window", "24", "--horizon", "6"]
    if name in MORE:
        options = [*MORE[name], "--threads", "1"]
    if name == "part_of_speech":
        options += ["--data", folder]
    if name == "slot_filling":
        options[1] = "30"
    out = run(tmp_path, ROOT / "examples" / f"{name}.py", *options)
    assert re.search(last, out, re.MULTILINE), out


def captions_of_one(folder: Path) -> None:
    """Nothing: scikit-learn has the digits."""
    peer("sklearn.datasets")


def pairs(folder: Path) -> None:
    """Three parts of two languages."""
    peer("sacrebleu")
    peer("tokenizers")
    words = {
        "en": ["a dog", "a cat", "sleeps .", "eats ."],
        "de": ["ein Hund", "eine Katze", "schläft .", "isst ."],
    }
    for name, count in (("train", 200), ("val", 8), ("test_2016_flickr", 8)):
        draw = np.random.default_rng(count).integers(0, 2, (count, 2))
        for tongue, parts in words.items():
            lines = [f"{parts[a]} {parts[2 + b]}" for a, b in draw]
            (folder / f"{name}.{tongue}").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.peer
@pytest.mark.parametrize(
    ("name", "folder", "make", "options", "last"),
    [
        (
            "translation",
            "multi30k",
            pairs,
            ["--subwords", "60", "--hidden", "32", "--embedding", "16", "--epochs", "6", "--lr", "1e-2"],
            r"^test_2016, length penalty \d\.\d: BLEU \d+\.\d\d  nrefs:1\|case:mixed\|",
        ),
        (
            "captions",
            "",
            captions_of_one,
            ["--train", "100", "--test", "20", "--hidden", "16", "--epochs", "1"],
            r"^seed 0: \d+\.\d % exactly right, digits that were not$",
        ),
    ],
)
def test_examples_that_need_others(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    folder: str,
    make: Any,
    options: Any,
    last: str,
) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    make(tmp_path / folder)
    monkeypatch.setenv("FASTRNN_DATA", str(tmp_path))
    out = run(tmp_path, ROOT / "examples" / f"{name}.py", "--threads", "1", *options, quiet=False)
    assert re.search(last, out, re.MULTILINE), out


def test_answers(tmp_path: Path) -> None:
    options = ["--train", "100", "--test", "20", "--hidden", "8", "--epochs", "1", "--seeds", "1"]
    out = run(tmp_path, ROOT / "examples" / "answers.py", "--threads", "1", *options)
    assert re.search(r"^\d+\.\d % of 20 answers, \d+\.\d to \d+\.\d %$", out, re.MULTILINE), out


def test_character_model(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    options = ["--updates", "60", "--hidden", "32", "--sample", "20"]
    out = run(tmp_path, ROOT / "examples" / "char_lm.py", "text.txt", *options)
    losses = [float(value) for value in re.findall(r"loss (\S+)", out)]
    assert len(losses) == 2
    assert losses[1] < losses[0] < 3.4
    sample = out.split("character\n")[-1]
    assert len(sample) >= 20
    assert set(sample) <= set(TEXT)


def number(pattern: str, text: str) -> float:
    """The number in an output."""
    found = re.search(pattern, text)
    assert found, text
    return float(found[1])


def test_words(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with open(tmp_path / "pairs.tsv", "w") as file:
        file.writelines(f"{a}1\t{b}2\t{9 if a == b else 1}\n" for a in "abcd" for b in "abcd")
    lines = [" ".join(f"{'abcd'[t]}{i}" for i in rng.integers(0, 9, 12)) for t in rng.integers(0, 4, 2000)]
    (tmp_path / "text.txt").write_text("\n".join(lines))
    options = ["a1", "--epochs", "10", "--size", "20", "--pairs", "pairs.tsv"]
    out = run(tmp_path, ROOT / "examples" / "words.py", "text.txt", *options)
    assert number(r"-> (\S+)", out) < number(r"loss (\S+)", out)
    assert re.search(r"^a1:( a\d){5}$", out, re.MULTILINE)
    assert number(r"correlation (\S+),", out) > 0.7


@pytest.mark.parametrize(
    ("name", "pattern", "least"),
    [
        ("baskets.py", r"neighbours (\S+) are", 0.9),
        ("kmers.py", r"k-mers, (\S+) of", 0.9),
        ("walks.py", r"neighbours (\S+) are", 0.9),
    ],
)
def test_sequences_of_other_things(tmp_path: Path, name: str, pattern: str, least: float) -> None:
    assert number(pattern, run(tmp_path, ROOT / "examples" / name)) > least


def test_walks_on_a_graph_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "ring.txt").write_text("".join(f"{i} {(i + 1) % 30}\n" for i in range(30)))
    out = run(tmp_path, ROOT / "examples" / "walks.py", "ring.txt")
    assert out.startswith("30 nodes")
    assert number(r"-> (\S+)", out) < number(r"loss (\S+)", out)
