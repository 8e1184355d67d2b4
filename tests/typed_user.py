"""What a user may write, with the types that it has: it runs, and passes ``mypy --strict``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import fastrnn
from fastrnn import callbacks, functional, losses, optim, schedules
from fastrnn.data import Vocabulary
from fastrnn.models.language_model import Evaluation
from fastrnn.training import Trainer

if TYPE_CHECKING:
    from typing_extensions import assert_type  # a part of typing from Python 3.11 on
else:

    def assert_type(value: Any, kind: object) -> Any:
        return value


Array = NDArray[Any]
x = np.zeros((5, 3, 4), np.float32)
targets = np.zeros((5, 3, 2), np.float32)


def layers() -> None:
    """Layers, pullbacks and what joins them."""
    layer = fastrnn.LSTM(4, 8, num_layers=2, bidirectional=True, seed=0)
    y, state = layer(x)
    assert_type(y, Array)
    assert_type(state, tuple[Any, ...])
    (y, state), pullback = layer.vjp(x, state, lengths=np.array([5, 2, 1]))
    dx, dstate = pullback(np.ones_like(y), state)
    norm: float = float(np.linalg.norm(dx)) + sum(float(np.linalg.norm(d)) for d in dstate)
    assert_type(layer.grads["weight_ih_l0"], Array)
    layer.load_params({name: 0.5 * value for name, value in layer.params.items()})
    layer.zero_grad()

    cell = fastrnn.GRU(4, 8, seed=0).prepare()
    h: tuple[Any, ...] | None = None
    for row in x:
        out, h = cell.step(row, h)
    assert_type(out, Array)
    assert out.shape == (3, 8)
    assert norm >= 0

    linear = fastrnn.Linear(4, 2, seed=0)
    y, back = linear.vjp(x)
    loss, dy = losses.MSE().value_and_grad(y, targets)
    assert_type(loss, float)
    assert back(dy).shape == x.shape
    deep = fastrnn.Sequential(fastrnn.Residual(fastrnn.Linear(4, 4)), fastrnn.Dropout(0.1), linear)
    print(deep.summary(), fastrnn.isa(), fastrnn.__version__.upper())

    two = fastrnn.Inputs(
        fastrnn.Sequential(fastrnn.LSTM(4, 8, seed=0), fastrnn.Pool("last")), fastrnn.Linear(3, 2)
    )
    both = fastrnn.Sequential(two, fastrnn.Linear(10, 2))
    fastrnn.value_and_grad(both, losses.MSE())((x, np.zeros((3, 3), np.float32)), targets[0])


class Print(callbacks.Callback):
    """A callback of one's own."""

    def on_epoch_end(self, trainer: Trainer, logs: callbacks.Logs) -> None:
        assert_type(trainer.steps_done, int)
        print(trainer.epoch, logs["loss"])


class Batches:
    """Data of one's own: any object with these two."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, k: int) -> tuple[Array, Array]:
        return x + k, targets


def training() -> None:
    """A loop by hand, then the trainer."""
    model = fastrnn.Sequential(fastrnn.RNN(4, 6, seed=0), fastrnn.Linear(6, 2, seed=1))
    f = fastrnn.value_and_grad(model, losses.MSE(), tbptt=(2, 3))
    optimizer = optim.AdamW(
        f, lr=1e-3, weight_decay=0.1, groups=[{"params": ["*bias*"], "weight_decay": 0.0}]
    )
    state: tuple[Any, ...] | None = None
    for _ in range(2):
        loss, state = f(x, targets, state)
        assert_type(loss, float)
        assert_type(optimizer.step(max_norm=1.0), float)
    history = callbacks.History()
    trainer = Trainer(
        f, optimizer, schedule=schedules.Cosine(1e-3, 6, warmup=1), callbacks=[history, Print()]
    )
    trainer.fit(Batches(), 2, Batches())
    assert_type(trainer.evaluate(Batches()), float)
    optim.SGD(f, lr=0.1, momentum=0.9).load_state_dict(optim.SGD(f, 0.1, 0.9).state_dict())
    fastrnn.Trainer(f, optim.Adam(f, lr=1e-3), callbacks=[fastrnn.callbacks.TimeLimit(60)])

    head = losses.LinearCrossEntropy(8, 3, seed=0)
    y, _ = fastrnn.LSTM(4, 8, seed=0)(x)
    tokens = np.zeros((5, 3), np.int32)
    value, dy = head.value_and_grad(y, tokens)
    assert_type(value, float)
    assert dy.shape == y.shape
    assert_type(head.total(y, tokens, mask=tokens == 0), tuple[float, int])


def models() -> None:
    """A language model and a classifier."""
    text = "to be or not to be, that is the question. " * 20
    model = fastrnn.LanguageModel(Vocabulary.from_text(text), 16, 1, dropout=0.1, seed=0)
    history = model.fit(text, batch=4, steps=8, epochs=1, progress=False)
    assert_type(history, callbacks.History)
    found = model.evaluate(text)
    assert_type(found, Evaluation)
    assert_type(found.perplexity, float)
    assert_type(model.next("to b", topn=2), list[tuple[str, float]])
    assert_type(model.sample(5, "to ", temperature=0.5), str)

    sentences, labels = [["good"], ["bad"]] * 4, ["+", "-"] * 4
    classifier = fastrnn.SequenceClassifier(sentences, labels, hidden_size=4, seed=0)
    classifier.fit(sentences, labels, epochs=1, progress=False)
    assert_type(classifier.predict([["good"]]), list[str])


def words() -> None:
    """Word vectors."""
    sentences = [["a", "b", "c", "d"], ["b", "c", "a"]] * 20
    model = fastrnn.Word2Vec(
        sentences, min_count=1, vector_size=4, workers=1, sg=1, hs=1, negative=0, epochs=1
    )
    vectors = model.wv
    assert_type(vectors, fastrnn.KeyedVectors)
    nearest: list[tuple[str, float]] = vectors.most_similar("a", topn=1)
    assert_type(vectors["a"], Array)
    assert_type(vectors.rank("a", "b"), int)
    assert_type("a" in vectors, bool)
    similarity: float = float(vectors.similarity("a", nearest[0][0]))
    keys: list[str] = vectors.index_to_key
    more = fastrnn.KeyedVectors(vector_size=4)
    more.add_vectors(keys, vectors.vectors)
    assert len(more) == len(keys)
    assert -2 < similarity < 2


def stateless() -> None:
    """Functions of arrays."""
    weight = np.zeros((8, 4), np.float32)
    assert_type(functional.linear(x, weight), Array)
    y, state = functional.recurrent("rnn_tanh", x, (weight, np.eye(8, dtype=np.float32), None, None))
    assert_type(y, Array)
    assert_type(state, tuple[Any, ...])
    assert_type(functional.linear_cross_entropy(x, weight, None, np.zeros((5, 3), np.int64)), float)


if TYPE_CHECKING:
    # Each is an error, and an annotation that let it pass would make of its comment another.
    fastrnn.LSTM("4", 8)  # type: ignore[arg-type]
    fastrnn.LTSM(4, 8)  # type: ignore[attr-defined]
    fastrnn.callbacks.Histroy()  # type: ignore[attr-defined]
    fastrnn.LSTM(4, 8)([[1.0]])  # type: ignore[arg-type]
    fastrnn.Sequential(np.tanh)  # type: ignore[arg-type]
    optim.Adam(x, lr=1e-3)  # type: ignore[arg-type]
    Trainer(np.tanh, None)  # type: ignore[arg-type]
    fastrnn.LanguageModel("text")  # type: ignore[arg-type]
    fastrnn.Word2Vec(vector_size="4")  # type: ignore[arg-type]
    fastrnn.KeyedVectors(4).rank("a")  # type: ignore[call-arg]
    functional.linear(x)  # type: ignore[call-arg]
    shapes = losses.MSE().value_and_grad(x, targets)[1].shapes  # type: ignore[union-attr]


if __name__ == "__main__":
    for part in (layers, training, models, words, stateless):
        part()
