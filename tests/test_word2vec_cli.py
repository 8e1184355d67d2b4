"""The command `fastrnn word2vec`."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import numpy as np
from command import run, start

from fastrnn import Word2Vec

WORDS = ["pack", "my", "box", "with", "five", "dozen", "liquor", "jugs"]


def read(path: Path) -> tuple[list[str], np.ndarray]:
    """Vectors of the text or the binary format, read as word2vec.c's `distance` does it."""
    data = path.read_bytes()
    head, rest = data.split(b"\n", 1)
    count, size = map(int, head.split())
    if path.suffix != ".bin":
        rows = [line.split() for line in rest.decode().splitlines()]
        return [row[0] for row in rows], np.array([row[1:] for row in rows], np.float32)
    words, vectors = [], np.empty((count, size), np.float32)
    for i in range(count):
        word, rest = rest.split(b" ", 1)
        words.append(word.replace(b"\n", b"").decode())
        vectors[i] = np.frombuffer(rest, np.float32, size)
        rest = rest[4 * size :]
    assert rest == b""
    return words, vectors


def corpus(folder: Path, sentences: int = 200) -> None:
    """Write words in random order."""
    rng = np.random.default_rng(0)
    lines = (" ".join(rng.permutation(WORDS)) for _ in range(sentences))
    (folder / "words.txt").write_text("\n".join(lines))


def test_vectors(tmp_path: Path) -> None:
    corpus(tmp_path)
    options = ["--size", "10", "--threads", "1", "--epochs", "2", "--seed", "3"]
    code, out, err = run(tmp_path, "word2vec", "words.txt", "-o", "v.bin", "--model", "m", *options)
    assert (code, out) == (0, ""), err
    assert "text: 1,600 words in 200 sentences, 8 of 8 types in the vocabulary" in err
    assert re.search(r"trained: 3,200 words in [\d.]+ s, [\d,]+ words/s", err)
    assert re.search(r"lr 0\.\d+, loss \d+\.\d+", err)
    assert run(tmp_path, "word2vec", "words.txt", "-o", "v.txt", *options)[0] == 0
    words, vectors = read(tmp_path / "v.bin")
    same_words, same = read(tmp_path / "v.txt")
    model = Word2Vec.load(tmp_path / "m")
    assert words == same_words == model.wv.index_to_key
    assert (vectors == same).all()
    assert (vectors == model.wv.vectors).all()
    assert sorted(p.suffix for p in tmp_path.iterdir()) == ["", ".bin", ".txt", ".txt", ".txt"]


def test_hierarchical_softmax_with_and_without_noise(tmp_path: Path) -> None:
    corpus(tmp_path)
    for options, hs, negative in (((), 0, 5), (("--hs",), 1, 0), (("--hs", "--negative", "3"), 1, 3)):
        usual = ["--model", "m", "--overwrite", "--size", "4", "--epochs", "1"]
        code, _, err = run(tmp_path, "word2vec", "words.txt", "-o", "v.bin", *usual, *options)
        assert code == 0, err
        model = Word2Vec.load(tmp_path / "m")
        assert (model.hs, model.negative) == (hs, negative)
    code, _, err = run(tmp_path, "word2vec", "words.txt", "-o", "w.bin", "--negative", "0")
    assert code != 0
    assert "negative" in err


def test_errors(tmp_path: Path) -> None:
    corpus(tmp_path, 3)
    code, _, err = run(tmp_path, "word2vec", "words.txt", "-o", "v.bin")
    assert (code, err.count("\n")) == (2, 1)
    assert "min_count: expected a word that occurs 5 times, but the most frequent of 8 has 3" in err
    code, _, err = run(tmp_path, "word2vec", "none.txt", "-o", "v.bin")
    assert (code, err) == (2, "fastrnn: error: No such file or directory: none.txt\n")
    (tmp_path / "wrong.txt").write_bytes(b"a \xff")
    code, _, err = run(tmp_path, "word2vec", "wrong.txt", "-o", "v.bin")
    assert code == 2
    assert "wrong.txt: expected UTF-8, got byte 255 at offset 2" in err
    code, _, err = run(tmp_path, "word2vec", "words.txt", "-o", "words.txt")
    assert (code, err) == (2, "fastrnn: error: words.txt exists; give another name, or --overwrite\n")
    code, _, err = run(tmp_path, "word2vec", "none.txt", "-o", "none/v.bin")  # before anything is read
    said = "none/v.bin: expected a folder that can be written, got none"
    assert (code, err) == (2, f"fastrnn: error: {said}\n")
    code, _, err = run(tmp_path, "word2vec", "none.txt", "-o", "v.bin", "--model", "./v.bin")
    assert (code, err) == (2, "fastrnn: error: --model: expected another file than --output, got ./v.bin\n")


def test_ctrl_c_keeps_the_vectors(tmp_path: Path) -> None:
    corpus(tmp_path, 20_000)
    process = start(tmp_path, "word2vec", "words.txt", "-o", "v.bin", "--epochs", "1000000")
    for line in process.stderr or ():
        if line.startswith("text:"):
            break
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted: the vectors are as trained so far" in err
    words, vectors = read(tmp_path / "v.bin")
    assert sorted(words) == sorted(WORDS)
    assert np.isfinite(vectors).all()
