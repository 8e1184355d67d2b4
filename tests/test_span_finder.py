"""Answers in texts: gradients, what is learnt, the same model in torch, and bad input."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import checks
import differences
import numpy as np
import pytest
from errors import Case, check

from fastrnn import SpanFinder
from fastrnn.batches import AskedBatches
from fastrnn.data import Vocabulary

WORDS = Vocabulary(["<unk>", "<eos>", "?", *"abcdef", *"123456"], "word")


def look_ups(count: int, seed: int = 0) -> tuple[list[Any], list[tuple[int, int]]]:
    """Letters, each with one or two digits behind it; the question is a letter."""
    draw, x, y = np.random.default_rng(seed), [], []
    for _ in range(count):
        text: list[str] = []
        spans = {}
        for letter in draw.permutation(list("abcdef"))[: draw.integers(2, 6)]:
            digits = draw.choice(list("123456"), draw.integers(1, 3))
            spans[str(letter)] = (len(text) + 1, len(text) + 1 + len(digits))
            text += [str(letter), *map(str, digits)]
        asked = str(draw.choice(list(spans)))
        x.append((text, [asked, "?"] if draw.random() < 0.5 else [asked]))
        y.append(spans[asked])
    return x, y


def model(**options: Any) -> SpanFinder:
    return SpanFinder(WORDS, options.pop("hidden_size", 16), seed=0, **options)


def batch(net: SpanFinder, count: int) -> Any:
    x, y = look_ups(count)
    return AskedBatches(*net._encode(x), net._targets("y", y, "x", x), count)[0]


@pytest.mark.parametrize("attention", ["dot", "general", "additive"])
def test_gradients(attention: str) -> None:
    options: dict[str, Any] = {"dropout": 0.2, "embedding_dropout": 0.2, "dtype": "float64"}
    net = model(hidden_size=4, embedding_size=3, attention=attention, **options)
    differences.check(net, *batch(net, 5))


def test_the_loss_of_training_is_that_of_evaluation() -> None:
    net = model(cell="GRU")
    x, targets = batch(net, 7)
    total, count, _ = net.total(x, targets)
    assert net.value_and_grad(x, targets)[0] == pytest.approx(total / count, rel=1e-5)
    assert count == 7


def test_it_learns_to_look_up(tmp_path: Any) -> None:
    net, train, held_out = model(), look_ups(800), look_ups(60, 1)
    history = net.fit(*train, validation_data=held_out, epochs=12, batch=16, lr=1e-2, progress=False)
    assert "exact" in history.epochs[0]
    found = net.evaluate(*held_out)
    assert found.exact > 0.85
    assert found.answers == 60
    answers = net.predict(held_out[0])
    for (text, _), answer in zip(held_out[0], answers, strict=True):
        assert answer.tokens == text[answer.start : answer.stop]
    net.save(tmp_path / "model")
    assert SpanFinder.load(tmp_path / "model").predict(held_out[0]) == answers


def test_answers_longer_than_predict_looks_for() -> None:
    words = ["a"] * 5 + ["1"] * 15
    net = model()
    x, y = [(words, ["a"]), (words, ["b"])] * 40, [(5, 20), (0, 5)] * 40
    history = net.fit(x, y, validation_data=(x, y), epochs=12, batch=8, lr=2e-2, progress=False)
    assert history.epochs[-1]["exact"] == 1
    assert net.evaluate(x, y).exact == 1


def test_spans_in_an_array() -> None:
    net, (x, y) = model(), look_ups(9)
    assert net.evaluate(x, np.array(y)) == net.evaluate(x, y)


def test_the_likeliest_span() -> None:
    """Against all spans, of random weights, where ends before begins are likely too."""
    net = model()
    net.flat_params[:] = np.random.default_rng(2).normal(0, 1, net.flat_params.size)
    net.touch()
    x, _ = look_ups(8)
    for most in (1, 2, 40):
        for pair, answer in zip(x, net.predict(x, max_tokens=most), strict=True):
            scores = {}
            for start in range(len(pair[0])):
                for stop in range(start + 1, min(start + most, len(pair[0])) + 1):
                    data = AskedBatches(
                        *net._encode([pair]), net._targets("y", [(start, stop)], "x", [pair]), 1
                    )
                    scores[start, stop] = -net.total(*data[0])[0]
            best = max(scores, key=lambda span: scores[span])
            assert (answer.start, answer.stop) == best
            assert answer.log_probability == pytest.approx(scores[best], abs=1e-4)


@pytest.mark.peer
def test_against_the_same_model_in_torch(torch: ModuleType) -> None:
    """Equal weights, equal loss and gradients: LSTM, general attention."""
    net = model(hidden_size=6, embedding_size=5, dtype="float64")
    x, targets = batch(net, 7)
    (text, question), (loss, _) = x, net.value_and_grad(x, targets)
    weights = {name: torch.tensor(value, requires_grad=True) for name, value in net.params.items()}
    reader, joiner = (torch.nn.LSTM(width, 6, bidirectional=True).double() for width in (5, 36))

    def run(layer: Any, prefix: str, x: Any, lengths: Any) -> Any:
        own = {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
        y, _ = torch.func.functional_call(layer, own, (packed,))
        return torch.nn.utils.rnn.pad_packed_sequence(y)[0]

    def read(rows: Any) -> Any:
        looked_up = weights["reader.0.weight"][torch.tensor(rows.tokens).long()]
        return run(reader, "reader.1.", looked_up, rows.lengths)

    t, q = read(text), read(question)
    scores = torch.einsum("tbd,sbd->bts", t, q @ weights["attention.keys.weight"].T)
    past = torch.arange(q.shape[0])[None, :] >= torch.tensor(question.lengths)[:, None]
    shares = scores.masked_fill(past[:, None], -torch.inf).softmax(dim=2)
    a = torch.einsum("bts,sbd->tbd", shares, q)
    m = run(joiner, "joiner.0.", torch.cat([t, a, t * a], dim=2), text.lengths)
    z = (m @ weights["head.weight"].T + weights["head.bias"]).permute(2, 1, 0)
    beyond = torch.arange(t.shape[0])[None, :] >= torch.tensor(text.lengths)[:, None]
    z = z.masked_fill(beyond[None], -torch.inf)
    wanted = sum(torch.nn.functional.cross_entropy(z[k], torch.tensor(targets[k]).long()) for k in range(2))
    wanted.backward()
    checks.close(np.array(loss), wanted.detach().numpy(), "peer")
    for name, weight in weights.items():
        checks.close(net.grads[name], weight.grad.numpy(), "peer", name)


PAIR = (["a", "1"], ["a"])
ERRORS: dict[str, Case] = {
    "string": (
        lambda: model().predict("ab"),
        TypeError,
        "x: expected a list of pairs (text, question), got 'ab'",
    ),
    "pair": (
        lambda: model().predict([["a", "b", "c"]]),
        TypeError,
        "x[0]: expected a pair (text, question), got list",
    ),
    "empty text": (
        lambda: model().predict([([], ["a"])]),
        ValueError,
        "text of x[0]: expected at least one token, got none",
    ),
    "question": (
        lambda: model().predict([(["a"], "a")]),
        TypeError,
        "question of x[0]: expected a list of words, got 'a'",
    ),
    "span": (
        lambda: model().fit([PAIR], [(1, 3)]),
        ValueError,
        "y[0]: expected 0 <= start < stop <= 2, got (1, 3)",
    ),
    "no span": (lambda: model().fit([PAIR], [1]), TypeError, "y[0]: expected a pair (start, stop), got 1"),
    "spans": (lambda: model().fit([PAIR], []), ValueError, "y: expected 1 spans, as x has, got 0"),
    "held out": (
        lambda: model().fit([PAIR], [(0, 1)], validation_data=([PAIR], [(0, 9)])),
        ValueError,
        "validation_data[1][0]: expected 0 <= start < stop <= 2, got (0, 9)",
    ),
    "longest": (
        lambda: model().predict([PAIR], max_tokens=0),
        ValueError,
        "max_tokens: expected an int >= 1, got 0",
    ),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case: Case) -> None:
    check(case)
