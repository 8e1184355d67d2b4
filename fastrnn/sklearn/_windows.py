"""A classifier and a forecaster of windows of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from fastrnn import _check
from fastrnn.batches import DenseBatches
from fastrnn.models._window_network import WindowNetwork
from fastrnn.windows import Scaling

if TYPE_CHECKING:
    from typing_extensions import Self


class _OfWindows(BaseEstimator):  # type: ignore[misc]
    """What classifier and forecaster share."""

    def __init__(
        self,
        channels: int = 1,
        hidden_size: int = 32,
        num_layers: int = 1,
        cell: str = "GRU",
        bidirectional: bool = False,
        pooling: str = "last",
        dropout: float = 0.0,
        epochs: int = 50,
        batch: int = 16,
        lr: float = 1e-2,
        validation_fraction: float = 0.0,
        patience: int | None = None,
        compute: str | None = None,
        random_state: Any = None,
    ) -> None:
        self.channels = channels
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.cell = cell
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.dropout = dropout
        self.epochs = epochs
        self.batch = batch
        self.lr = lr
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.compute = compute
        self.random_state = random_state

    def _train(self, X: Any, targets: Any, outputs: int, classes: bool) -> None:
        channels = _check.integer("channels", self.channels, 1)
        if X.shape[1] % channels:
            raise ValueError(f"channels: expected a divisor of {X.shape[1]} columns, got {channels}")
        share = _check.real("validation_fraction", self.validation_fraction, 0.0, 1.0)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        order, held = np.random.default_rng(seed).permutation(len(X)), int(share * len(X))
        kept = np.sort(order[held:])
        if share and not held:
            raise ValueError(f"validation_fraction: expected at least one of {len(X)} rows, got {share:g}")
        if self.patience is not None and not held:
            raise ValueError(f"patience: expected None without validation_fraction, got {self.patience!r}")
        self.scaling_ = Scaling.of(X[kept].reshape(-1, channels))
        if not classes:
            self.target_scaling_ = Scaling.of(targets[kept])
            targets = self.target_scaling_.scale(targets).astype(np.float32)
        self.model_ = WindowNetwork(
            channels,
            outputs,
            classes=classes,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            cell=self.cell,
            bidirectional=self.bidirectional,
            pooling=self.pooling,
            dropout=self.dropout,
            seed=seed,
        )
        x = self._windows(X)
        held_out = None
        if held:
            held_out = DenseBatches(x[order[:held]], targets[order[:held]], 256)
        self.history_ = self.model_.train(
            DenseBatches(x[kept], targets[kept], self.batch, seed=seed),
            held_out,
            epochs=self.epochs,
            lr=self.lr,
            patience=self.patience,
            compute=self.compute,
            seed=seed,
            progress=False,
        ).epochs

    def _windows(self, X: Any) -> Any:
        """[N, T, C], scaled."""
        scaled = self.scaling_.scale(X.reshape(-1, self.channels))
        return np.ascontiguousarray(scaled.reshape(len(X), -1, self.channels), dtype=np.float32)

    def _outputs(self, X: Any) -> Any:
        check_is_fitted(self)
        x = self._windows(validate_data(self, X, dtype=np.float64, reset=False))
        parts = [self.model_.outputs(x[at : at + 256]) for at in range(0, len(x), 256)]
        return np.concatenate(parts).astype(np.float64)


class RNNClassifier(ClassifierMixin, _OfWindows):  # type: ignore[misc]
    """
    Labels of windows of numbers, by a recurrent layer.

    Parameters
    ----------
    channels
        C, the numbers of one step: a row of X is T steps of C numbers, one step after the other. Numbers are
        scaled by mean and deviation of their channel over the training part.
    hidden_size, num_layers, cell, bidirectional
        Of the recurrent layer; `cell` is the name of its class.
    pooling
        ``"last"``, ``"mean"`` or ``"max"`` over the steps.
    dropout
        Before the last layer and between layers.
    epochs, batch, lr
        Passes over the data, rows of a batch, and the largest rate of Adam, which falls along a cosine.
    validation_fraction, patience
        Hold out a share of the rows, and keep the parameters of the epoch that is best on them; with
        `patience` stop after that many epochs that are no better.
    compute
        What products are computed in: ``"bfloat16"``, or None for float32.
    random_state
        As everywhere in scikit-learn: of initial parameters, order and dropout.

    Attributes
    ----------
    classes_, n_features_in_
    model_
        What was trained, of which `summary` tells the parameters.
    history_
        Losses by epoch, a list of dicts.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train on X [N, T * C] and N labels."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, targets = np.unique(column_or_1d(y), return_inverse=True)
        self._train(X, targets.astype(np.int32), len(self.classes_), True)
        return self

    def predict_proba(self, X: Any) -> Any:
        """Return the probabilities of ``classes_``, [N, classes]."""
        return self._outputs(X)

    def predict(self, X: Any) -> Any:
        """Return the likeliest label of each row."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]


class RNNForecaster(RegressorMixin, _OfWindows):  # type: ignore[misc]
    """
    Numbers that follow windows of numbers, by a recurrent layer: regression on fixed windows.

    ``fastrnn.windows.Windows``, or NumPy's ``sliding_window_view``, makes windows of a series;
    `fastrnn.Forecaster` takes the series itself, and has intervals.

    Parameters and attributes are those of `RNNClassifier`, but for ``classes_``; y, [N] or [N, O], is scaled
    too, by mean and deviation of its columns.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train on X [N, T * C] and y [N] or [N, O]."""
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        self._flat = y.ndim == 1
        numbers = y.reshape(len(y), -1).astype(np.float64)
        self._train(X, numbers, numbers.shape[1], False)
        return self

    def predict(self, X: Any) -> Any:
        """Return [N] or [N, O], as y was given."""
        outputs = self._outputs(X)
        found = self.target_scaling_.restore(outputs, range(outputs.shape[1]))
        return found[:, 0] if self._flat else found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
