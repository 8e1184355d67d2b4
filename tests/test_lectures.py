"""Exercises of the courses on recurrent networks, with the answers worked out by hand or in plain NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import checks
import mpmath
import numpy as np
import pytest
from ops import Run

import fastrnn
from fastrnn.data import Vocabulary
from fastrnn.models import LanguageModel
from fastrnn.reference.testing import complex_gradient

# Two steps, four instances, three inputs; five neurons.
X0 = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0], [6.0, 7.0, 8.0], [9.0, 0.0, 1.0]])
X1 = np.array([[9.0, 8.0, 7.0], [0.0, 0.0, 0.0], [6.0, 5.0, 4.0], [3.0, 2.0, 1.0]])
F: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "relu": lambda a: a * (a.real > 0),
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "identity": lambda a: a,
}


def two_steps_by_hand(layer: Any) -> None:
    """Y0 = F(X0 W + b) and Y1 = F(X1 W + Y0 R + b), written out, are the call over both steps."""
    f, p = F[layer.nonlinearity], {name: a.astype(np.float64) for name, a in layer.params.items()}
    w, r, b = p["weight_ih_l0"].T, p["weight_hh_l0"].T, p["bias_ih_l0"] + p["bias_hh_l0"]
    y0 = f(X0 @ w + b)
    y1 = f(X1 @ w + y0 @ r + b)
    y, (h,) = layer(np.stack([X0, X1]).astype(layer.dtype))
    assert y.shape == (2, 4, 5)
    checks.close(y, np.stack([y0, y1]), "peer", "y")
    checks.close(h, y1[None], "peer", "h")


@pytest.mark.parametrize("nonlinearity", F)
def test_two_steps_by_hand(dtype: np.dtype, nonlinearity: str) -> None:
    layer = fastrnn.RNN(3, 5, nonlinearity=nonlinearity, dtype=dtype.name, seed=1)
    two_steps_by_hand(layer)


class StackWithHead:
    """Three levels of ReLU neurons, and a linear head on what they know after the last step.

    The head sees the final h of every level side by side, or of the top level alone; the loss is the cross
    entropy of its classes.
    """

    STEPS, ROWS, WIDTH, HIDDEN, LEVELS, CLASSES = 6, 4, 3, 5, 3, 3

    def __init__(self, every: bool) -> None:
        self.every, rng = every, np.random.default_rng(5)
        self.body: Any = fastrnn.RNN(
            self.WIDTH, self.HIDDEN, self.LEVELS, nonlinearity="relu", dtype="float64", seed=1
        )
        features = self.HIDDEN * (self.LEVELS if every else 1)
        self.head: Any = fastrnn.losses.LinearCrossEntropy(features, self.CLASSES, dtype="float64", seed=2)
        self.x = rng.standard_normal((self.STEPS, self.ROWS, self.WIDTH))
        self.targets = rng.integers(0, self.CLASSES, self.ROWS)

    @property
    def parameters(self) -> Run:
        return {**self.body.params, **{f"head.{name}": a for name, a in self.head.params.items()}}

    def by_hand(self, p: Run) -> Any:
        """The loss in plain NumPy, which complex numbers go through."""
        h = [np.zeros((self.ROWS, self.HIDDEN)) for _ in range(self.LEVELS)]
        for t in range(self.STEPS):
            below = self.x[t]
            for k in range(self.LEVELS):
                a = below @ p[f"weight_ih_l{k}"].T + p[f"bias_ih_l{k}"]
                h[k] = below = F["relu"](a + h[k] @ p[f"weight_hh_l{k}"].T + p[f"bias_hh_l{k}"])
        known = np.concatenate(h, axis=-1) if self.every else h[-1]
        logits = known @ p["head.weight"].T + p["head.bias"]
        right = logits[np.arange(self.ROWS), self.targets]
        return (np.log(np.exp(logits).sum(axis=-1)) - right).mean()

    def run(self) -> Run:
        """The loss, and the gradients of all parameters, which come through the final states alone."""
        self.body.zero_grad()
        self.head.zero_grad()
        (_, (h,)), pullback = self.body.vjp(self.x)
        known = h.transpose(1, 0, 2).reshape(self.ROWS, -1) if self.every else h[-1]
        loss, to_known = self.head.vjp(np.ascontiguousarray(known), self.targets)
        dh, dknown = np.zeros_like(h), to_known()
        dh[:] = dknown.reshape(self.ROWS, -1, self.HIDDEN).transpose(1, 0, 2) if self.every else 0
        if not self.every:
            dh[-1] = dknown
        pullback(None, (dh,))
        grads = {**self.body.grads, **{f"head.{name}": a for name, a in self.head.grads.items()}}
        return {"loss": np.asarray(loss), **{f"d {name}": a for name, a in grads.items()}}

    def step(self, lr: float) -> float:
        """One step of gradient descent; the loss before it."""
        run = self.run()
        for name, a in self.parameters.items():
            a -= lr * run[f"d {name}"]
        return float(run["loss"])


def head_is_by_hand(model: StackWithHead) -> None:
    """The loss is that of plain NumPy, and every gradient its derivative by a complex step."""
    run, p = model.run(), model.parameters
    want = {"loss": np.asarray(model.by_hand(p))}
    for name, value in p.items():
        want[f"d {name}"] = complex_gradient(lambda a, n=name: model.by_hand({**p, n: a}), value)
    checks.runs_close(run, want, "complex step", "complex step")


@pytest.mark.parametrize("every", [True, False], ids=["every level", "top level"])
class TestStackWithHead:
    def test_is_by_hand(self, every: bool) -> None:
        head_is_by_hand(StackWithHead(every))

    def test_learns(self, every: bool) -> None:
        model = StackWithHead(every)
        losses = [model.step(0.1) for _ in range(400)]
        assert losses[-1] < 0.05 < 0.9 < losses[0]


class TestNorms:
    """A linear network: dh(T)/dh(0) = R^T, whose norms the eigenvalues of R say."""

    H = 6
    STEPS = (1, 2, 10, 40)

    def network(self, r: np.ndarray) -> Any:
        layer = fastrnn.RNN(1, self.H, nonlinearity="identity", bias=False, dtype="float64")
        layer.params["weight_hh_l0"][...] = r
        return layer

    def norms(self, layer: Any, directions: np.ndarray) -> np.ndarray:
        """|d <v, h(T)> / d h(0)| for each row v of `directions`, each a row of the batch; and each T."""
        found = []
        for steps in self.STEPS:
            x = np.zeros((steps, len(directions), 1))
            _, pullback = layer.vjp(x, (np.zeros((1, *directions.shape)),))
            _, (dh,) = pullback(None, (directions[None],))
            found.append(np.linalg.norm(dh[0], axis=-1))
        return np.array(found)

    def are_those_of_the_eigenvalues(self, layer: Any, r: np.ndarray) -> None:
        """V' diag(eigenvalues)^T V'^-1 v, for v random: grows or falls by the eigenvalues.

        With 30 digits: where two eigenvectors are nearly one, those of float64 are off by hundreds of eps.
        """
        v = np.random.default_rng(4).standard_normal((3, self.H))
        want = np.empty((len(self.STEPS), len(v)))
        with mpmath.workdps(30):
            values, vectors = mpmath.eig(mpmath.matrix(r.T.tolist()))
            for row, direction in enumerate(v):
                parts = mpmath.lu_solve(vectors, mpmath.matrix(direction.tolist()))
                for k, t in enumerate(self.STEPS):
                    grown = mpmath.matrix([e**t * p for e, p in zip(values, parts, strict=True)])
                    want[k, row] = mpmath.norm(vectors * grown)
        ratio = self.norms(layer, v) / want
        checks.close(ratio, np.ones_like(ratio), "peer", "norms")

    @pytest.mark.parametrize("largest", [0.5, 1.0, 1.3])
    @pytest.mark.parametrize("symmetric", [True, False])
    def test_eigenvalues(self, rng: np.random.Generator, symmetric: bool, largest: float) -> None:
        r = rng.standard_normal((self.H, self.H))
        r = r + r.T if symmetric else r
        r *= largest / np.abs(np.linalg.eigvals(r)).max()
        self.are_those_of_the_eigenvalues(self.network(r), r)
        with pytest.raises(AssertionError):
            self.are_those_of_the_eigenvalues(self.network(r.T if not symmetric else r * 1.001), r)

    @pytest.mark.parametrize("gain", [0.9, 1.0, 1.1])
    def test_an_orthogonal_network_neither_bends_nor_stretches(
        self, rng: np.random.Generator, gain: float
    ) -> None:
        layer = fastrnn.init.orthogonal(self.network(np.zeros((self.H, self.H))), gain, seed=3)
        v = rng.standard_normal((4, self.H))
        v /= np.linalg.norm(v, axis=-1, keepdims=True)
        ratio = self.norms(layer, v) / gain ** np.array(self.STEPS)[:, None]
        checks.close(ratio, np.ones_like(ratio), "peer", "norms")

    def test_an_eigenvector_falls_by_its_eigenvalue(self) -> None:
        eigenvalues = np.linspace(0.3, 1.2, self.H)
        layer = self.network(np.diag(eigenvalues))
        ratio = self.norms(layer, np.eye(self.H)) / eigenvalues ** np.array(self.STEPS)[:, None]
        checks.close(ratio, np.ones_like(ratio), "peer", "norms")


LINES = [
    *(["students opened their books"] * 3),
    "students opened their laptops",
    *(["students closed their minds"] * 3),
    *(["teachers opened their windows"] * 2),
]
STORIES = "\n".join(np.random.default_rng(6).permutation(LINES * 20)) + "\n"  # in no order to learn by heart


def next_words(model: LanguageModel) -> None:
    """After "students opened their" come books, thrice as often as laptops; other contexts, other words."""
    found = dict(model.next("students opened their", topn=20))
    assert list(found)[:2] == ["books", "laptops"]
    assert abs(found["books"] - 0.75) < 0.1
    assert abs(found["laptops"] - 0.25) < 0.1
    assert model.next("students closed their", topn=1)[0][0] == "minds"
    assert model.next("teachers opened their", topn=1)[0][0] == "windows"


def test_the_next_word() -> None:
    model = LanguageModel(Vocabulary.from_text(STORIES, "word"), hidden_size=16, num_layers=1, seed=1)
    with pytest.raises(AssertionError):
        next_words(model)
    model.fit(STORIES, epochs=40, batch=4, steps=15, lr=2e-2, progress=False)
    next_words(model)


class TestTwins:
    """Each check of this file notices what is wrong."""

    def test_two_steps(self) -> None:
        layer = fastrnn.RNN(3, 5, dtype="float64", seed=1)
        layer.nonlinearity = "sigmoid"
        with pytest.raises(AssertionError):
            two_steps_by_hand(layer)

    @pytest.mark.parametrize("name", ["weight_hh_l0", "bias_ih_l2", "head.weight"])
    def test_heads(self, name: str) -> None:
        model = StackWithHead(True)
        run = model.run
        model.run = lambda: {n: a * 1.001 if n == f"d {name}" else a for n, a in run().items()}  # type: ignore[method-assign]
        with pytest.raises(AssertionError):
            head_is_by_hand(model)
