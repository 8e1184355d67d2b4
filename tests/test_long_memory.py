"""The example on long memory: it learns short sequences, goes on after a kill, and its tables are right."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import checkout

EXAMPLE = checkout() / "examples" / "long_memory.py"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script as a module, with short sequences."""
    spec = importlib.util.spec_from_file_location("long_memory", EXAMPLE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, value in {"T": (5, 8), "SEEDS": 1, "UPDATES": 300}.items():
        monkeypatch.setattr(module, name, value)
    return module


def test_examples_are_what_they_say(example: Any) -> None:
    rng = np.random.default_rng(1)
    x, targets, counts = example.adding(rng, 10, 4)
    np.testing.assert_allclose((x[..., 0] * x[..., 1]).sum(0), targets[-1, :, 0], rtol=1e-6)
    assert (x[:5, :, 1].sum(0) == 1).all()
    assert (x[5:, :, 1].sum(0) == 1).all()
    assert counts.sum() == counts[-1].sum() == 4
    x, targets, counts = example.copying(rng, 10, 4)
    seen, word = x.argmax(-1), example.WORD
    assert len(x) == 10 + 2 * word
    np.testing.assert_array_equal(seen[:word], targets[-word:])
    assert (seen[word : -word - 1] == example.SYMBOLS).all()
    assert (seen[-word - 1] == example.SYMBOLS + 1).all()
    assert (seen[-word:] == example.SYMBOLS).all()
    np.testing.assert_array_equal(counts.sum(1), [0] * (10 + word) + [4] * word)


def test_runs_go_on(example: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "results.jsonl"
    example.run(results, ["adding"], ["GRU"])
    first = results.read_text()
    lines = [json.loads(line) for line in first.splitlines()]
    assert [(line["T"], line["solved"] is not None) for line in lines] == [(5, True), (8, True)]
    whole, half = first.splitlines(keepends=True)
    results.write_text(whole + half[:20])  # killed while it wrote
    example.run(results, ["adding"], ["GRU"])
    again = [json.loads(line) for line in results.read_text().splitlines()]
    assert [{**line, "seconds": 0} for line in again] == [{**line, "seconds": 0} for line in lines]
    capsys.readouterr()
    example.table(results)
    assert f"| GRU | 1 of 1, {lines[0]['solved']} | 1 of 1, {lines[1]['solved']} |" in capsys.readouterr().out


def test_flow(example: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(example, "T", (20, 100))
    example.flow(None)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(example.CELLS)
    left = {line.split("|")[1].strip(): float(line.split("|")[-2]) for line in lines[2:]}
    assert left["LSTM"] > -2 > -3 > left["tanh RNN"]


def test_the_tanh_network_fails_where_the_lstm_solves(example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adding over 100 steps: in a thousand updates, of which the LSTM needs some six hundred."""
    monkeypatch.setattr(example, "UPDATES", 1000)
    found = {cell: example.train("adding", cell, 100, 1) for cell in ("LSTM", "tanh RNN")}
    assert found["LSTM"]["solved"] is not None
    assert found["tanh RNN"]["solved"] is None
    assert found["tanh RNN"]["score"] > 0.1  # always answering 1 has 1/6
