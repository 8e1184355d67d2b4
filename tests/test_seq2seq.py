"""Encoder and decoder: gradients, what is learnt, beam search against all outputs, and bad input."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from errors import Case, check

from fastrnn import Seq2Seq
from fastrnn.batches import PaddedBatches, Rows
from fastrnn.data import IGNORED, Vocabulary
from fastrnn.models._beam import search

LETTERS = Vocabulary(["<unk>", "<eos>", *"abcdef"], "word")
QUICK: dict[str, Any] = {"batch": 8, "lr": 1e-2, "progress": False}


def reversals(count: int, seed: int = 0) -> tuple[list[list[str]], list[list[str]]]:
    """Letters, and the same from the end: what one vector must hold, or attention can look up."""
    draw = np.random.default_rng(seed)
    x = [[str(c) for c in draw.choice(list("abcdef"), draw.integers(1, 6))] for _ in range(count)]
    return x, [row[::-1] for row in x]


TRAIN, HELD = reversals(300), reversals(60, 1)


def model(**options: Any) -> Seq2Seq:
    """A small one."""
    return Seq2Seq(LETTERS, LETTERS, options.pop("hidden_size", 8), **{"seed": 0, **options})


@pytest.mark.parametrize("attention", [None, "dot", "general", "additive"])
@pytest.mark.parametrize(
    "options",
    [
        {"cell": "LSTM"},
        {"cell": "GRU", "bidirectional": False},
        {"cell": "RNN", "num_layers": 2, "dropout": 0.3},
        {"cell": "LSTM", "num_layers": 3, "dropout": 0.3},
        {
            "cell": "GRU",
            "tied": True,
            "embedding_dropout": 0.3,
            "memory_dropout": 0.2,
            "label_smoothing": 0.1,
        },
    ],
    ids=str,
)
def test_gradients(attention: str | None, options: dict[str, Any]) -> None:
    """Central differences in float64; with dropout, under one key."""
    if attention is None:
        options = {name: value for name, value in options.items() if name != "memory_dropout"}
    net = model(attention=attention, hidden_size=6, embedding_size=3, dtype="float64", **options)
    draw = np.random.default_rng(3)
    net.flat_params[:] = draw.normal(0, 0.4, net.flat_params.size)
    net.touch()
    x, targets = PaddedBatches(*net._encode(TRAIN[0][:5], TRAIN[1][:5]), 5, aligned=False)[0]
    net.value_and_grad(x, targets, key=7)
    found = net.flat_grads.copy()
    for name, values in net.params.items():
        at = draw.choice(values.size, 3)
        start = sum(a.size for n, a in list(net.params.items())[: list(net.params).index(name)])
        for place in at:
            before, ends = values.flat[place], []
            for change in (1e-6, -1e-6):
                values.flat[place] = before + change
                net.touch()
                ends.append(net.value_and_grad(x, targets, key=7)[0])
            values.flat[place] = before
            slope = (ends[0] - ends[1]) / 2e-6
            assert slope == pytest.approx(found[start + place], rel=2e-5, abs=1e-8), name


def test_the_loss_of_training_is_that_of_evaluation() -> None:
    net = model(cell="GRU")
    x, targets = PaddedBatches(*net._encode(*HELD), 16, aligned=False)[1]
    loss, _ = net.value_and_grad(x, targets)
    total, count, _ = net.total(x, targets)
    assert total / count == pytest.approx(loss, rel=1e-6)
    assert count == (targets != IGNORED).sum()


@pytest.mark.parametrize(
    "options", [{"cell": "GRU"}, {"attention": "additive"}, {"cell": "GRU", "num_layers": 2}], ids=str
)
def test_it_learns_to_reverse(options: dict[str, Any], tmp_path: Any) -> None:
    net = model(hidden_size=32, **options)
    net.fit(*TRAIN, validation_data=HELD, epochs=25, **QUICK)
    found = net.evaluate(*HELD)
    assert found.exact > 0.8
    assert found.sequences == 60
    best = net.translate(HELD[0][:5], beam=3)
    for row, hypotheses in zip(HELD[0], best, strict=False):
        top = hypotheses[0]
        assert top.attention.shape == (len(top.tokens), len(row))
        np.testing.assert_allclose(top.attention.sum(axis=1), 1, rtol=1e-5)
        assert [h.score for h in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)
    net.save(tmp_path / "model")
    again = Seq2Seq.load(tmp_path / "model")
    assert again.predict(HELD[0], beam=2) == net.predict(HELD[0], beam=2)


def test_a_wide_beam_finds_the_likeliest_of_all_outputs() -> None:
    """All outputs of up to three tokens, scored by the loss, against a beam that keeps them all."""
    net = model(hidden_size=6)
    net.flat_params[:] = np.random.default_rng(0).normal(0, 1, net.flat_params.size)
    net.params["head.bias"][1] += 2  # the end is likely, so that short outputs win
    net.touch()
    source, best = ["a", "c", "b"], []
    names = [t for t in LETTERS.tokens if t != "<eos>"]
    for n in range(4):
        for output in product(names, repeat=n):
            x, targets = PaddedBatches(*net._encode([source], [list(output)]), 1, aligned=False)[0]
            best.append((-net.total(x, targets)[0], list(output)))
    best.sort(key=lambda pair: -pair[0])
    x = Rows(np.array([[LETTERS.id(c)] for c in source], np.int32), np.array([3]))
    found = [h for h in search(net, *net.read(x), 400, 0.0, [3])[0] if len(h.tokens) <= 2]
    wanted = [pair for pair in best if len(pair[1]) <= 2][: len(found)]
    for h, (log_probability, tokens) in zip(found[:10], wanted[:10], strict=True):
        assert h.tokens == tokens
        assert h.log_probability == pytest.approx(log_probability, abs=1e-4)
        assert h.score == h.log_probability
    (penalised,) = search(net, *net.read(x), 5, 1.0, [3])
    assert all(h.score >= h.log_probability for h in penalised)


@pytest.mark.parametrize("seed", range(6))
def test_a_beam_of_one_takes_the_likeliest_token(seed: int) -> None:
    """Also where the end is the second likeliest."""
    net = model(hidden_size=6, seed=seed)
    net.flat_params[:] = np.random.default_rng(seed).normal(0, 1, net.flat_params.size)
    net.touch()
    x = Rows(np.array([[3], [4], [2]], np.int32), np.array([3]))
    memory, state = net.read(x)
    last, wanted, total = net.end(), [], 0.0
    while len(wanted) < 9:
        logs, state, _ = net.step(np.array([last], np.int32), state, memory)
        last = int(logs[0].argmax())
        total += logs[0, last]
        if last == net.end():
            break
        wanted.append(LETTERS.tokens[last])
    ((found,),) = search(net, *net.read(x), 1, 0.0, [9])
    assert found.tokens == wanted
    if len(wanted) < 9:
        assert found.log_probability == pytest.approx(total)
    for beam in (2, 5):
        assert search(net, *net.read(x), beam, 0.0, [9])[0][0].log_probability >= found.log_probability - 1e-9


@pytest.mark.parametrize("attention", [None, "general"])
def test_what_is_found_does_not_depend_on_the_batch(attention: str | None) -> None:
    """Sources of unlike lengths side by side, against each by itself."""
    net = model(hidden_size=8, attention=attention, tied=True, seed=3)
    net.flat_params[:] = np.random.default_rng(1).normal(0, 0.7, net.flat_params.size)
    net.touch()
    together = net.translate(HELD[0][:20], beam=3, length_penalty=0.7)
    for batch in (1, 7):
        apart = net.translate(HELD[0][:20], beam=3, length_penalty=0.7, batch=batch)
        for one, other in zip(together, apart, strict=True):
            assert [h.tokens for h in one] == [h.tokens for h in other]
            for h, g in zip(one, other, strict=True):
                assert h.log_probability == pytest.approx(g.log_probability, abs=1e-5)
                if attention is None:
                    assert h.attention is None
                else:
                    np.testing.assert_allclose(h.attention, g.attention, atol=1e-6)
    for source, hypotheses in zip(HELD[0], together, strict=False):
        for h in hypotheses:  # what the loss says of the same output
            x, targets = PaddedBatches(*net._encode([source], [h.tokens]), 1, aligned=False)[0]
            if len(h.tokens) < 2 * len(source) + 10:
                assert -net.total(x, targets)[0] == pytest.approx(h.log_probability, abs=1e-3)


def test_tied_weights_are_one() -> None:
    """Without an embedding in the decoder; a narrow embedding makes a narrow head."""
    apart, tied = model(embedding_size=4), model(embedding_size=4, tied=True)
    assert "decoder.0.weight" in apart.params
    assert "decoder.0.weight" not in tied.params
    assert tied.params["head.weight"].shape == (8, 4)
    assert tied.params["joint.weight"].shape == (4, 16)
    assert model(embedding_size=4, tied=True, attention=None).params["joint.weight"].shape == (4, 8)
    assert "joint.weight" not in model(tied=True, attention=None).params


def test_an_output_is_cut() -> None:
    net = model()
    net.params["head.bias"][1] = -50  # it never ends
    net.touch()
    assert len(net.predict([["a"]], max_length=4)[0]) == 4
    assert len(net.predict([["a", "b"]], beam=2)[0]) == 14
    (cut,) = net.translate([["a", "b"]], max_length=3)[0]
    x, targets = PaddedBatches(*net._encode([["a", "b"]], [cut.tokens]), 1, aligned=False)[0]
    end = Rows(np.array([[LETTERS.id(c)] for c in "ab"], np.int32), np.array([2]))
    memory, state = net.read(end)
    total, last = 0.0, net.end()
    for token in cut.tokens:
        logs, state, _ = net.step(np.array([last], np.int32), state, memory)
        last = LETTERS.id(token)
        total += logs[0, last]
    assert cut.log_probability == pytest.approx(total)
    assert -net.total(x, targets)[0] < total  # that the output ends there is not part of it


ERRORS: dict[str, Case] = {
    "kind": (
        lambda: model(attention="soft"),
        ValueError,
        "attention: expected one of 'dot', 'general', 'additive', got 'soft'",
    ),
    "odd": (
        lambda: model(hidden_size=7),
        ValueError,
        "hidden_size: expected an even number for a bidirectional encoder, got 7",
    ),
    "cell": (
        lambda: model(cell="ClockworkRNN"),
        ValueError,
        "cell: expected one whose states all have H numbers, got 'ClockworkRNN'",
    ),
    "empty": (lambda: model().predict([[]]), ValueError, "x[0]: expected at least one token, got none"),
    "numbers": (
        lambda: model().fit([["a"]], []),
        ValueError,
        "y: expected 1 sequences, as x has, got 0",
    ),
    "strings": (
        lambda: model().fit([["a"]], ["ab"]),
        TypeError,
        "y[0]: expected a list of words, got 'ab'",
    ),
    "validation": (
        lambda: model().fit([["a"]], [["a"]], validation_data=([["a"]], [[3]])),
        TypeError,
        "validation_data[1][0]: expected words, got 3",
    ),
    "beam": (lambda: model().predict([["a"]], beam=0), ValueError, "beam: expected an int >= 1, got 0"),
    "penalty": (
        lambda: model().predict([["a"]], length_penalty=-1.0),
        ValueError,
        "length_penalty: expected a finite number >= 0, got -1",
    ),
    "smoothing": (
        lambda: model(label_smoothing=1.5),
        ValueError,
        "label_smoothing: expected 0 <= label_smoothing < 1, got 1.5",
    ),
    "tied": (lambda: model(tied=1), TypeError, "tied: expected True or False, got 1"),
    "batch": (lambda: model().translate([["a"]], batch=0), ValueError, "batch: expected an int >= 1, got 0"),
    "length": (
        lambda: model().predict([["a"]], max_length=0),
        ValueError,
        "max_length: expected an int >= 1, got 0",
    ),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case: Case) -> None:
    check(case)
