"""The estimators within scikit-learn: its own checks, pipelines, grid search, pickle."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from conftest import peer

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("default")]


@pytest.fixture(autouse=True)
def sklearn() -> Any:
    """A failure instead of a skip where peers are wanted."""
    return peer("sklearn")


def waves(count: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Sine waves that rise in frequency, or do not: 12 steps of two numbers."""
    draw = np.random.default_rng(0)
    kind, phase = draw.integers(0, 2, count), draw.uniform(0, 6, (count, 1))
    t = np.arange(12) / 2
    values = np.sin(t * (1 + 0.25 * kind[:, None] * t) + phase)
    return np.stack([values, draw.normal(0, 1, values.shape)], axis=2).reshape(count, -1), kind


@pytest.mark.parametrize("name", ["RNNClassifier", "RNNForecaster"])
def test_scikit_learns_own_checks(name: str) -> None:
    from sklearn.utils.estimator_checks import check_estimator

    import fastrnn.sklearn

    results = check_estimator(getattr(fastrnn.sklearn, name)(), on_fail=None)
    assert len(results) > 40
    assert [(r["check_name"], str(r["exception"])) for r in results if r["status"] == "failed"] == []
    assert sum(r["status"] == "passed" for r in results) > 40


def test_pipeline_and_grid_search() -> None:
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from fastrnn.sklearn import RNNClassifier

    x, y = waves()
    pipeline = make_pipeline(StandardScaler(), RNNClassifier(channels=2, epochs=25, lr=2e-2, random_state=0))
    names = np.array(["steady", "rising"])[y]
    search = GridSearchCV(pipeline, {"rnnclassifier__hidden_size": [1, 16]}, cv=2).fit(x, names)
    assert search.best_params_ == {"rnnclassifier__hidden_size": 16}
    assert search.best_score_ > 0.8
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(again.predict(x), search.predict(x))
    np.testing.assert_array_equal(again.predict_proba(x), search.predict_proba(x))


def test_forecasts_of_several_steps() -> None:
    from sklearn.model_selection import cross_val_score

    from fastrnn.sklearn import RNNForecaster

    series = 100 + 7 * np.sin(np.arange(300) / 3)
    windows = np.lib.stride_tricks.sliding_window_view(series, 15)
    model = RNNForecaster(epochs=15, validation_fraction=0.1, patience=10, random_state=0)
    scores = cross_val_score(model, windows[:, :12], windows[:, 12:], cv=2)
    assert scores.min() > 0.97
    model.fit(windows[:, :12], windows[:, 12:])
    assert model.predict(windows[:5, :12]).shape == (5, 3)
    assert "validation_loss" in model.history_[0]


def test_scaling_is_that_of_the_training_part() -> None:
    from fastrnn.sklearn import RNNForecaster

    x, y = np.random.default_rng(0).standard_normal((40, 6)), np.arange(40.0)
    model = RNNForecaster(epochs=1, validation_fraction=0.25, random_state=0).fit(x, y)
    others = RNNForecaster(epochs=1, random_state=0).fit(x, y)
    assert model.target_scaling_.mean[0] != others.target_scaling_.mean[0]


@pytest.mark.usefixtures("emulated")
def test_products_of_bfloat16() -> None:
    from sklearn.base import clone

    from fastrnn.sklearn import RNNClassifier, RNNForecaster, RNNTagger

    x, y = waves(30)
    words = [["a", "b"], ["b"]]
    for model, data in (
        (RNNClassifier(channels=2, epochs=1, random_state=0), (x, y)),
        (RNNForecaster(channels=2, epochs=1, random_state=0), (x, y.astype(float))),
        (RNNTagger(epochs=1, random_state=0), (words, words)),
    ):
        found = []
        for compute in (None, "bfloat16"):
            fitted = clone(model).set_params(compute=compute).fit(*data)
            assert fitted.model_.compute == (compute or "float32")
            found.append(fitted.model_.flat_params)
        assert (found[0] != found[1]).any()


def test_tagger() -> None:
    from sklearn.base import clone
    from sklearn.exceptions import NotFittedError
    from sklearn.model_selection import GridSearchCV

    from fastrnn.sklearn import RNNTagger

    draw = np.random.default_rng(0)
    x = [[str(w) for w in draw.choice(list("abc"), draw.integers(2, 6))] for _ in range(120)]
    y = [["after a" if before == "a" else "other" for before in ["", *row[:-1]]] for row in x]
    model = RNNTagger(epochs=10, hidden_size=16, lr=2e-2, random_state=0)
    search = GridSearchCV(model, {"cell": [None, "GRU"]}, cv=2).fit(x, y)
    assert search.best_params_ == {"cell": "GRU"}
    assert search.best_score_ > 0.9
    assert list(search.best_estimator_.classes_) == ["after a", "other"]
    assert search.best_estimator_.predict_proba(x[:2])[1].shape == (len(x[1]), 2)
    with pytest.raises(NotFittedError):
        clone(model).predict(x)
    with pytest.raises(ValueError, match=r"^y\[0\]: expected 2 tags, as X\[0\] has, got 1$"):
        search.best_estimator_.score([["a", "b"], ["c"]], [["other"], ["other", "after a"]])
    with pytest.raises(ValueError, match=r"^y: expected 2 lists of tags, as X has, got 1$"):
        search.best_estimator_.score([["a", "b"], ["c"]], [["other", "after a"]])


def test_errors() -> None:
    from fastrnn.sklearn import RNNClassifier

    x, y = waves(20)
    for options, message in (
        ({"channels": 5}, "channels: expected a divisor of 24 columns, got 5"),
        ({"cell": "Transformer"}, "cell: expected one of "),
        ({"validation_fraction": 1.0}, "validation_fraction: expected 0 <= validation_fraction < 1, got 1"),
        ({"patience": 3}, "patience: expected None without validation_fraction, got 3"),
        ({"validation_fraction": 0.03}, "validation_fraction: expected at least one of 20 rows, got 0.03"),
        ({"epochs": 0}, "epochs: expected an int >= 1, got 0"),
    ):
        with pytest.raises(ValueError, match=f"^{message}"):
            RNNClassifier(**options).fit(x, y)
