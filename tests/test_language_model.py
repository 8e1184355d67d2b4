"""The language model: it learns, samples, and is saved; its step is that of its parts."""

from __future__ import annotations

import copy
import io
import math
import pickle

import checks
import numpy as np
import pytest
from conftest import peer

import fastrnn
from fastrnn import checkpoint, losses, optim
from fastrnn.callbacks import Callback
from fastrnn.data import END_OF_LINE, UNKNOWN, Streams, Vocabulary
from fastrnn.interop import onnx
from fastrnn.models import LanguageModel

TEXT = "the quick brown fox jumps over the lazy dog, and the dog sleeps.\n" * 40
WORDS = "a b c d e\n" * 100


def small(text: str = TEXT, unit: str = "character", **options: object) -> LanguageModel:
    vocabulary = Vocabulary.from_text(text, unit)
    return LanguageModel(vocabulary, **{"hidden_size": 24, "num_layers": 2, "seed": 3, **options})


@pytest.fixture(scope="module")
def trained() -> LanguageModel:
    model = small()
    model.fit(TEXT, epochs=8, batch=4, steps=16, lr=2e-2, progress=False)
    return model


def test_it_learns(trained):
    before, after = small().evaluate(TEXT), trained.evaluate(TEXT)
    assert before.loss > 3 > 0.5 > after.loss
    assert after.perplexity == math.exp(after.loss)
    assert after.tokens == len(TEXT) - 1


def test_all_parameters_are_one_buffer():
    model = small()
    sizes = [part.size for part in model.params.values()]
    assert sum(sizes) == model.flat_params.size
    assert all(np.shares_memory(part, model.flat_params) for part in model.params.values())
    assert np.shares_memory(model.head.params["weight"], model.flat_params)
    assert len(model.flat_grads) == len(model.flat_params)


def test_a_step_is_that_of_its_parts():
    model, twin = small(dropout=0.3), small(dropout=0.3)
    x, targets = Streams(model.vocabulary.encode(TEXT), 3, 7)[0]
    loss, state = model.value_and_grad(x, targets, None, key=5)
    joined = fastrnn.value_and_grad(twin.body, twin.head)
    expected, expected_state = joined(x, targets, None, key=5)
    assert loss == expected
    assert (model.flat_grads == joined.flat_grads).all()
    assert model.flat_grads.any()
    for ours, theirs in zip(state[0], expected_state[0], strict=True):
        assert (ours == theirs).all()


def test_evaluation_does_not_depend_on_the_length_of_chunks():
    model = small()
    assert model.evaluate(TEXT, 3, 10).loss == pytest.approx(model.evaluate(TEXT, 3, 97).loss, rel=1e-6)


def test_the_lowest_temperatures_take_the_likeliest(trained):
    coldest = trained.sample(20, "the quick", temperature=0)
    for temperature in (1e-300, 5e-324):
        assert trained.sample(20, "the quick", temperature=temperature) == coldest


@pytest.mark.parametrize("temperature", [0.0, 3.0])
def test_samples_repeat_with_the_seed(trained, temperature):
    first = trained.sample(60, "the quick", temperature=temperature, seed=1)
    assert len(first) == 60
    assert first == trained.sample(60, "the quick", temperature=temperature, seed=1)
    if temperature:
        assert first != trained.sample(60, "the quick", temperature=temperature, seed=2)


def test_the_likeliest_text_is_the_one_it_was_trained_on(trained):
    assert trained.sample(10, "the quick ", temperature=0) == "brown fox "
    assert trained.sample(10, "the quick ", top_k=1, seed=9) == "brown fox "
    assert trained.sample(0, "the") == ""
    assert len(trained.sample(3)) == 3


def test_next_gives_probabilities(trained):
    best = trained.next("the qu")
    assert len(best) == 8
    assert best[0][0] == "i"
    assert best[0][1] > 0.9
    every = trained.next("the qu", topn=1000)
    assert [token for token, _ in every[:8]] == [token for token, _ in best]
    assert sum(p for _, p in every) == pytest.approx(1)
    assert [p for _, p in every] == sorted((p for _, p in every), reverse=True)
    assert np.exp(-trained.head.total(*_last(trained, "the qu", "i"))[0]) == pytest.approx(
        best[0][1], rel=1e-5
    )


def _last(model, text, target):
    y, _ = model.body(model.vocabulary.encode(text)[:, None])
    return y[-1], model.vocabulary.encode(target)


def test_words():
    model = small(WORDS, "word")
    model.fit(WORDS, WORDS[:100], epochs=6, batch=4, steps=10, lr=2e-2, progress=False)
    assert model.evaluate(WORDS).loss < 0.5
    assert model.next("a b", topn=1)[0][0] == "c"
    assert model.next("d e", topn=1)[0][0] == END_OF_LINE
    assert model.sample(6, "a b", temperature=0) == "c d e\na b"
    assert UNKNOWN not in model.sample(200, temperature=9.0)


@pytest.mark.parametrize("how", ["save", "pickle", "deepcopy"])
def test_copies_are_equal_and_their_own(trained, tmp_path, how):
    if how == "save":
        trained.save(tmp_path / "model")
        model = LanguageModel.load(tmp_path / "model")
    else:
        model = (
            copy.deepcopy(trained) if how == "deepcopy" else pickle.load(io.BytesIO(pickle.dumps(trained)))
        )
    assert (model.flat_params == trained.flat_params).all()
    assert not np.shares_memory(model.flat_params, trained.flat_params)
    assert model.vocabulary == trained.vocabulary
    assert model.sample(30, seed=4) == trained.sample(30, seed=4)
    assert np.shares_memory(model.body.flat_params, model.flat_params)


@pytest.mark.parametrize("cell", ["GRU", "RNN", "MinGRU", "SCRN"])
def test_other_cells(cell, tmp_path):
    model = small(cell=cell, num_layers=1)
    model.fit(TEXT, epochs=2, batch=4, steps=16, lr=2e-2, progress=False)
    assert model.evaluate(TEXT).loss < 2.5
    model.save(tmp_path / "model")
    assert LanguageModel.load(tmp_path / "model").evaluate(TEXT) == model.evaluate(TEXT)
    assert len(model.sample(5, seed=1)) == 5


def test_tied_weights_are_one_array(tmp_path):
    model = small(tied=True, dtype="float64", hidden_size=6, num_layers=1)
    assert [name for name in model.params if name.startswith("head")] == ["head.bias"]
    assert model.flat_params.size == small(hidden_size=6, num_layers=1).flat_params.size - 6 * len(
        model.vocabulary
    )
    x, targets = Streams(model.vocabulary.encode(TEXT), 3, 7)[0]
    model.value_and_grad(x, targets)
    flat, step = model.flat_params, 1e-5
    for k in range(0, flat.size, 7):  # central differences leave half of the digits
        before, losses = flat[k], []
        for moved in (before + step, before - step):
            flat[k] = moved
            losses.append(model.total(x, targets)[0])
        flat[k] = before
        slope = (losses[0] - losses[1]) / (2 * step * 21)
        assert abs(slope - model.flat_grads[k]) < np.sqrt(np.finfo(np.float64).eps)
    history = model.fit(TEXT, epochs=2, batch=4, steps=16, lr=2e-2, progress=False)
    assert history.epochs[1]["loss"] < history.epochs[0]["loss"]
    model.save(tmp_path / "model")
    for again in (LanguageModel.load(tmp_path / "model"), copy.deepcopy(model)):
        assert again.evaluate(TEXT) == model.evaluate(TEXT)
        again.params["body.0.weight"][:] = 0  # the softmax has lost its weight as well
        assert np.ptp(again.head.logits(np.ones((1, 6)))) == np.ptp(again.params["head.bias"])
    with pytest.raises(ValueError, match=r"^grads: expected None for a tied weight"):
        model.head.value_and_grad(np.ones((1, 6)), np.zeros(1, np.int32), np.zeros(3))


@pytest.mark.peer
def test_tied_weights_are_exported():
    runtime = peer("onnxruntime")
    model = small(tied=True)
    graph = onnx.export(model)
    session = runtime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    x = model.vocabulary.encode(TEXT[:12])[:, None].astype(np.int64)
    (found,) = session.run(None, {session.get_inputs()[0].name: x})[:1]
    checks.close(found, model.head.logits(model.body(x)[0]), "peer")


def test_a_sample_ends_where_it_is_told(trained):
    whole = trained.sample(60, "the quick", temperature=0)
    assert trained.sample(60, "the quick", temperature=0, stop="fox") == whole[: whole.index("fox") + 3]
    model = small(WORDS, "word")
    model.fit(WORDS, epochs=6, batch=4, steps=10, lr=2e-2, progress=False)
    assert model.sample(9, "a b", temperature=0, stop="e\n") == "c d e\n"


def test_float64_and_embedding_options():
    model = small(dtype="float64", embedding_size=5, embedding_dropout=0.2, num_layers=1)
    assert model.flat_params.dtype == np.float64
    x, targets = Streams(model.vocabulary.encode(TEXT), 3, 7)[0]
    with pytest.raises(ValueError, match=r"key: expected an int because dropout is 0\.2, got None"):
        model.value_and_grad(x, targets)
    assert np.isfinite(model.value_and_grad(x, targets, key=1)[0])


def test_another_optimiser_and_schedule():
    model = small()
    sgd, schedule = optim.SGD(model, lr=1.0), fastrnn.schedules.StepDecay(1.0, 1, 0.5)
    history = model.fit(TEXT, epochs=3, batch=4, steps=16, optimizer=sgd, schedule=schedule, progress=False)
    assert [logs["lr"] for logs in history.epochs] == [1.0, 0.5, 0.25]
    assert sgd.steps == history.epochs[-1]["step"]


def test_the_rate_is_that_of_the_optimiser():
    model = small()
    sgd = optim.SGD(model, lr=1.0)
    for more, highest in (({}, 1.0), ({}, 1.0), ({"lr": 0.5}, 0.5)):
        seen = []

        class Rates(Callback):
            def on_step_end(self, trainer, logs, seen=seen):
                seen.append(logs["lr"])

        options = {"epochs": 2, "batch": 4, "steps": 16, "progress": False, "callbacks": [Rates()], **more}
        model.fit(TEXT, optimizer=sgd, **options)
        assert max(seen) == highest
        assert sgd.lr == 1.0


def test_bad_arguments(trained):
    with pytest.raises(TypeError, match="vocabulary: expected a Vocabulary, got str"):
        LanguageModel("abc")
    with pytest.raises(ValueError, match=r"hidden_size: expected an int >= 1, got 0"):
        small(hidden_size=0)
    with pytest.raises(ValueError, match="seed: expected an int >= 0, got -1"):
        small(seed=-1)
    with pytest.raises(ValueError, match=r"^embedding_dropout: expected 0 <= embedding_dropout < 1, got 1$"):
        small(embedding_dropout=1.0)
    with pytest.raises(ValueError, match=r"^tied: expected embedding_size = 24, as outputs are, got 8$"):
        small(tied=True, embedding_size=8)
    with pytest.raises(ValueError, match=r"^cell: expected one of 'GRU', 'LSTM', .*, got 'lstm'$"):
        small(cell="lstm")
    with pytest.raises(ValueError, match=r"^cell_options: expected no bidirectional .*, got True$"):
        small(cell_options={"bidirectional": True})
    with pytest.raises(ValueError, match=r"text: expected one of the"):
        trained.next("Ω")
    with pytest.raises(ValueError, match=r"text: expected at least batch \* steps \+ 1"):
        trained.fit("the", progress=False)
    with pytest.raises(ValueError, match="text: expected at least 2 tokens, got 0"):
        trained.evaluate("")
    for name, bad in (("n", -1), ("temperature", -0.1), ("temperature", np.nan), ("top_k", 0), ("seed", -1)):
        with pytest.raises(ValueError, match=rf"^{name}: expected"):
            trained.sample(**{"n": 1, name: bad})
    with pytest.raises(ValueError, match="topn: expected an int >= 1, got 0"):
        trained.next("t", 0)


def _with(model: LanguageModel, **changes: object) -> dict:
    return {"model": {**model.describe(), "parameters": model.flat_params, **changes}}


def test_foreign_checkpoints(trained, tmp_path):
    config = trained.config
    for tree, message in (
        ([1], "expected a LanguageModel, got no model"),
        ({}, "got no model"),
        (_with(trained, kind="Tagger"), "expected a LanguageModel, got Tagger"),
        (_with(trained, config=config | {"hidden_size": 8}), r"expected \d+ parameters of float32, got \d+"),
        (_with(trained, config=config | {"dtype": "float64"}), r"parameters of float64, got \d+ of float32"),
        (_with(trained, config=config | {"wings": 2}), "expected the parts of a LanguageModel"),
        (_with(trained, parameters=None), "expected the parts of a LanguageModel"),
        (_with(trained, vocabulary={"unit": "character"}), "got none for 'tokens'"),
    ):
        checkpoint.save(tmp_path / "foreign", tree)
        with pytest.raises(ValueError, match=f"^checkpoint: .*{message}"):
            LanguageModel.load(tmp_path / "foreign")


def test_the_head_is_the_fused_loss(trained):
    assert isinstance(trained.head, losses.LinearCrossEntropy)
