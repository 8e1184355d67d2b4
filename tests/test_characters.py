"""Filters over steps, and taggers that see the letters of words."""

from __future__ import annotations

from typing import Any

import checks
import numpy as np
import pytest
from errors import Case, check

import fastrnn
from fastrnn import ConvMax, Embedding, SequenceTagger, Sequential, reference
from fastrnn.callbacks import Callback
from fastrnn.data import Vocabulary

SOUNDS = ["ba", "ko", "li", "mu", "na", "po", "ra", "tu", "wi", "ze"]
ENDS = {"ing": "VBG", "ed": "VBD", "er": "NN", "s": "NNS"}
QUICK: dict[str, Any] = {"epochs": 8, "batch": 4, "lr": 2e-2, "progress": False}
SMALL = {"embedding_size": 6, "hidden_size": 8, "widths": (2, 3)}
KINDS = [("LSTM", "concatenate"), ("GRU", "gate"), ("CNN", "concatenate"), ("CNN", "gate")]


def endings(count: int, seed: int = 0) -> tuple[list[list[str]], list[list[str]]]:
    """Words that hardly come twice, whose tag is told by their end alone."""
    draw, x, y = np.random.default_rng(seed), [], []
    for _ in range(count):
        ends = [str(end) for end in draw.choice(list(ENDS), draw.integers(1, 6))]
        x.append(["".join(draw.choice(SOUNDS, 3)) + end for end in ends])
        y.append([ENDS[end] for end in ends])
    return x, y


TRAIN, NEW = endings(80), endings(30, 1)


def tagger(characters: str | None = "LSTM", **options: Any) -> SequenceTagger:
    """A small one."""
    letters = {} if characters is None else {"character_options": SMALL}
    given = {**letters, "embedding_size": 6, "seed": 0, **options}
    return SequenceTagger(TRAIN[0], TRAIN[1], 8, characters=characters, **given)


def test_filters_are_those_of_the_reference(rng: np.random.Generator, dtype: np.dtype) -> None:
    x = rng.standard_normal((6, 4, 3)).astype(dtype)
    lengths = np.array([6, 0, 2, 5])
    for batch_first in (False, True):
        layer = ConvMax(3, 5, 4, batch_first=batch_first, dtype=dtype.name, seed=0)
        given = np.ascontiguousarray(x.swapaxes(0, 1)) if batch_first else x
        y, pullback = layer.vjp(given, lengths=lengths)
        weight, bias = layer.params["weight"], layer.params["bias"]
        wide = [a.astype(np.longdouble) for a in (x, weight, bias)]
        checks.close(y, reference.convolution.forward(*wide, lengths), "product")
        checks.same_bits(layer(given, lengths=lengths), y)
        dy = rng.standard_normal(y.shape).astype(dtype)
        want = reference.convolution.backward(dy.astype(np.longdouble), *wide, lengths)
        dx = pullback(dy)
        checks.close(dx.swapaxes(0, 1) if batch_first else dx, want.x, "product")
        checks.close(layer.grads["weight"], want.weight, "product")
        checks.close(layer.grads["bias"], want.bias, "product")
        with pytest.raises(RuntimeError, match="second"):
            pullback(dy)


def test_nan_is_the_largest_and_padding_is_not_read(rng: np.random.Generator) -> None:
    layer = ConvMax(3, 5, 3, seed=0)
    x = rng.standard_normal((6, 3, 3), np.float32)
    x[2, 0], x[4:, 1] = np.nan, np.nan
    y = layer(x, lengths=[6, 4, 1])
    assert np.isnan(y[0]).all()
    assert np.isfinite(y[1:]).all()
    alone = layer(x[:1, 2:].copy())
    checks.same_bits(alone[0], y[2])


@pytest.mark.peer
def test_filters_are_those_of_torch(rng: np.random.Generator, torch: Any) -> None:
    x, layer = rng.standard_normal((7, 5, 3), np.float32), ConvMax(3, 4, 3, seed=0)
    conv = torch.nn.Conv1d(3, 4, 3, padding=1)
    conv.load_state_dict({name: torch.from_numpy(a.copy()) for name, a in layer.params.items()})
    turned = torch.from_numpy(x.transpose(1, 2, 0).copy()).requires_grad_()
    want = conv(turned).max(dim=2).values
    y, pullback = layer.vjp(x)
    dx = pullback(np.ones_like(y))
    want.sum().backward()
    checks.close(y, want.detach().numpy(), "peer")
    checks.close(dx, turned.grad.numpy().transpose(2, 0, 1), "peer")
    checks.close(layer.grads["weight"], conv.weight.grad.numpy(), "peer")


def test_filters_in_a_model_that_reads_batches_first() -> None:
    layer = Sequential(
        Embedding(9, 4, seed=0), fastrnn.GRU(4, 3, batch_first=True, seed=1), ConvMax(3, 2, seed=2)
    )
    tokens = np.arange(12).reshape(3, 4) % 9
    (y, _), pullback = layer.vjp(tokens, lengths=[4, 0, 2])
    assert y.shape == (3, 2)
    pullback(np.ones_like(y))
    assert np.abs(layer.grads["0.weight"]).sum() > 0


def test_filters_side_by_side_take_the_order_of_the_model() -> None:
    both = fastrnn.Concat(ConvMax(3, 2, seed=2), ConvMax(3, 2, seed=3))
    layer = Sequential(Embedding(9, 4, seed=0), fastrnn.GRU(4, 3, batch_first=True, seed=1), both)
    tokens = np.arange(16).reshape(4, 4) % 9
    turned = [2, 0, 3, 1]
    y = layer(tokens, lengths=[4, 0, 2, 3])[0]
    assert y.shape == (4, 4)
    assert (layer(tokens[turned], lengths=[2, 4, 3, 0])[0] == y[turned]).all()


def test_a_process_without_rows() -> None:
    net = tagger("CNN")
    x, y = TRAIN[0][:2], TRAIN[1][:2]
    spelled, targets = net._batches("x", x, *net._encode(x, y), 2).part(2, 3)[0]
    assert spelled.tokens.shape[1] == targets.shape[1] == 0


@pytest.mark.parametrize(("characters", "join"), KINDS)
def test_gradients_are_those_of_the_loss(characters: str, join: str) -> None:
    """Central differences in float64: half of the digits are left, and none of a wrong path."""
    model = tagger(characters, join=join, dtype="float64")
    x, targets = model._batches("x", TRAIN[0], *model._encode(*TRAIN), 5)[3]
    model.value_and_grad(x, targets)
    words, flat, step = int(x.lengths.sum()), model.flat_params, 1e-5
    limit = np.sqrt(np.finfo(np.float64).eps)
    for k in np.random.default_rng(0).choice(flat.size, 60, replace=False):
        before, losses = flat[k], []
        for moved in (before + step, before - step):
            flat[k] = moved
            losses.append(model.total(x, targets)[0])
        flat[k] = before
        slope = (losses[0] - losses[1]) / (2 * step * words)
        assert abs(slope - model.flat_grads[k]) < limit
    used = [name for name, grad in model.grads.items() if np.abs(grad).sum() > 0]
    assert used == list(model.grads)


@pytest.mark.parametrize(("characters", "join"), KINDS)
def test_what_words_end_in_is_learnt(characters: str, join: str) -> None:
    model = tagger(characters, join=join)
    model.fit(*TRAIN, word_dropout=0.5, **{**QUICK, "epochs": 20 if join == "gate" else 8})
    assert model.evaluate(*NEW).accuracy > 0.95  # of words that were never seen


def test_words_alone_tell_nothing_of_new_ones() -> None:
    model = tagger(None)
    model.fit(*TRAIN, word_dropout=0.5, **QUICK)
    assert model.evaluate(*TRAIN).accuracy > 0.9
    assert model.evaluate(*NEW).accuracy < 0.5


def test_the_encoder_reads_each_word_once() -> None:
    model = tagger()
    data = model._batches("x", TRAIN[0], *model._encode(*TRAIN), 16)
    x, targets = data[0]
    words = {word for row in data.rows(0) for word in TRAIN[0][row]}
    assert x.letters.shape[1] == len(words)
    assert sorted(x.sizes) == sorted(map(len, words))
    assert x.places.shape == x.tokens.shape == targets.shape
    for column, row in enumerate(data.rows(0)):
        for t, word in enumerate(TRAIN[0][row]):
            place = x.places[t, column]
            assert x.sizes[place] == len(word)


def test_a_sentence_does_not_depend_on_those_beside_it() -> None:
    model = tagger()
    for sentence, found in zip(NEW[0], model.predict_proba(NEW[0]), strict=True):
        assert np.array_equal(model.predict_proba([sentence])[0], found)


@pytest.mark.usefixtures("threads")
def test_threads_change_nothing() -> None:
    def run() -> dict[str, np.ndarray]:
        model = tagger("CNN", join="gate", dropout=0.2)
        model.fit(*TRAIN, word_dropout=0.5, **{**QUICK, "epochs": 1})
        return {"parameters": model.flat_params.copy()}

    checks.threads_change_nothing(run)


@pytest.mark.parametrize(("characters", "join"), [*KINDS, (None, "concatenate")])
def test_saved_and_loaded(characters: str | None, join: str, tmp_path: Any) -> None:
    model = tagger(characters, join=join, cell=None)
    model.save(tmp_path / "model")
    again = SequenceTagger.load(tmp_path / "model")
    assert again.describe() == model.describe()
    for a, b in zip(again.predict_proba(NEW[0]), model.predict_proba(NEW[0]), strict=True):
        assert np.array_equal(a, b)


class Stop(Callback):
    """Ctrl-C after seven steps."""

    def on_step_end(self, trainer: Any, logs: Any) -> None:
        if logs["step"] == 7:
            raise KeyboardInterrupt


def test_a_resumed_run_has_the_bits_of_an_unbroken_one(tmp_path: Any) -> None:
    options = {**QUICK, "epochs": 2, "batch": 16, "word_dropout": 0.2}
    whole, broken, again = (tagger(dropout=0.3, seed=s) for s in (0, 0, 5))
    whole.fit(*TRAIN, **options)
    with pytest.raises(KeyboardInterrupt):
        broken.fit(*TRAIN, checkpoint=tmp_path / "run", callbacks=[Stop()], **options)
    again.fit(*TRAIN, checkpoint=tmp_path / "run", resume=True, **options)
    assert np.array_equal(again.flat_params, whole.flat_params)
    other = [[word + "x" for word in words] for words in TRAIN[0]], TRAIN[1]
    with pytest.raises(ValueError, match="training data"):
        tagger(dropout=0.3).fit(*other, checkpoint=tmp_path / "run", resume=True, **options)


def test_vectors_and_letters_that_are_not_known() -> None:
    vectors = fastrnn.Word2Vec(TRAIN[0], vector_size=6, min_count=1, epochs=1, seed=1).wv
    model = SequenceTagger(
        Vocabulary.from_vectors(vectors), TRAIN[1], 8, embedding_size=6, characters="CNN", seed=0
    )
    assert model.load_vectors(vectors) == len(vectors)
    table, word = model.params["input.words.weight"], TRAIN[0][0][0]
    assert np.array_equal(table[model.vocabulary.id(word)], vectors[word])
    (first,), (second,) = model.predict_proba([["déjà"]]), model.predict_proba([["dčjñ"]])
    assert np.array_equal(first, second)


ERRORS: dict[str, Case] = {
    "kind": (
        lambda: tagger("rnn"),
        ValueError,
        "characters: expected one of 'CNN', 'GRU', 'LSTM', 'RNN', 'SCRN', 'ClockworkRNN', "
        "'MinGRU', 'MinLSTM', got 'rnn'",
    ),
    "join": (
        lambda: tagger(join="add"),
        ValueError,
        "join: expected one of 'concatenate', 'gate', got 'add'",
    ),
    "option": (
        lambda: tagger(character_options={"size": 3}),
        ValueError,
        "character_options: expected some of embedding_size, hidden_size, widths, got 'size'",
    ),
    "widths": (
        lambda: tagger(character_options={"widths": (2, 0)}),
        ValueError,
        "widths: expected an int >= 1, got 0",
    ),
    "empty word": (
        lambda: tagger().predict([["bakoing", ""]]),
        ValueError,
        "x: expected words of at least one character, got ''",
    ),
    "filters": (lambda: ConvMax(3, 0), ValueError, "filters: expected an int >= 1, got 0"),
    "rank": (
        lambda: ConvMax(3, 2)(np.zeros((2, 3), np.float32)),
        ValueError,
        "x: expected shape (T, B, I), got (2, 3)",
    ),
    "lengths": (
        lambda: ConvMax(3, 2)(np.zeros((2, 1, 3), np.float32), lengths=[3]),
        ValueError,
        "lengths: expected numbers in [0, T = 2], got 3",
    ),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case: Case) -> None:
    check(case)
