"""Series in: numbers that are checked and scaled, and sliding windows of them."""

from __future__ import annotations

import contextlib
import copy
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastrnn import _check
from fastrnn._random import fold
from fastrnn.batches import own_rows

Floats = npt.NDArray[np.floating[Any]]


class Past(NamedTuple):
    """What a forecast sees: past values [W, B, V], and what is known of past and future, [W + S, B, C]."""

    values: Floats
    known: Floats | None


def series(name: str, value: Any, columns: int, dtype: np.dtype[Any], names: Sequence[str] = ()) -> Floats:
    """
    Check for a finite series [N, columns] and give it in `dtype`; [N] will do for one column.

    Anything that NumPy makes an array of will do: lists, data frames, Arrow columns and tables. Of what
    has named columns, those called `names` are taken, in that order.

    Raises
    ------
    ValueError
        A column is missing, the shape is wrong, or a number is not finite: the message has its row and
        column.
    TypeError
        They are no numbers.
    """
    found = _numbers(_chosen(name, _check.foreign(name, value), names))
    if found.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected numbers, got {found.dtype}")
    if found.ndim == 1 and columns == 1:
        found = found[:, None]
    if found.ndim != 2 or found.shape[1] != columns:
        raise ValueError(f"{name}: expected shape (N, {columns}), got {found.shape}")
    with np.errstate(over="ignore"):
        cast: Floats = found.astype(dtype, order="C")
    wrong = np.argwhere(~np.isfinite(cast))
    if len(wrong):
        row, column = (int(k) for k in wrong[0])
        label = f" ({names[column]!r})" if names else ""
        what = f"finite numbers of {dtype}" if np.isfinite(found[row, column]) else "finite numbers"
        raise ValueError(
            f"{name}: expected {what}, got {found[row, column]} at row {row}, column {column}{label}"
        )
    return cast


def _numbers(table: Any) -> Any:
    """As an array; what pandas calls missing is NaN."""
    found = np.asarray(list(table) if isinstance(table, Iterator) else table)
    if found.dtype == object and hasattr(table, "to_numpy"):
        with contextlib.suppress(TypeError, ValueError):
            found = table.to_numpy(dtype=np.float64, na_value=np.nan)
    return found


def _chosen(name: str, value: Any, names: Sequence[str]) -> Any:
    """Return the columns `names` of a data frame, or of an Arrow table."""
    has = getattr(value, "column_names", getattr(value, "columns", None))
    if not names or has is None:
        return value
    for wanted in names:
        if wanted not in has:
            raise ValueError(f"{name}: expected columns {list(names)}, got {list(has)}")
    return value.select(list(names)) if hasattr(value, "column_names") else value[list(names)]


def listed(name: str, given: Any) -> list[Any]:
    """A list of names, each once; a string in its place is more often a slip than a wish."""
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise TypeError(f"{name}: expected a list of names, got {_check.describe(given)}")
    found = list(given)
    for item in found:
        if found.count(item) > 1:
            raise ValueError(f"{name}: expected each once, got {item!r} {found.count(item)} times")
    return found


class Scaling:
    """Means and standard deviations of columns; a constant one, but for rounding, has the deviation 1."""

    def __init__(self, mean: Any, deviation: Any) -> None:
        self.mean, self.deviation = np.asarray(mean, np.float64), np.asarray(deviation, np.float64)

    @classmethod
    def of(cls, values: Floats) -> Scaling:
        """Measure `values`, [N, V]."""
        wide = values.astype(np.float64)
        # The deviation of a constant is a rounding error, not zero.
        varies = np.ptp(wide, axis=0) > 64 * np.finfo(np.float64).eps * np.abs(wide).max(axis=0)
        return cls(wide.mean(axis=0), np.where(varies, wide.std(axis=0), 1.0))

    def scale(self, values: Floats) -> Floats:
        """Give (values - mean) / deviation, in the dtype of `values`."""
        return ((values - self.mean) / self.deviation).astype(values.dtype)

    def restore(self, values: Floats, columns: Sequence[int]) -> Floats:
        """Undo it, for arrays whose last axis has these columns."""
        chosen = list(columns)
        return values * self.deviation[chosen] + self.mean[chosen]


class Windows:
    """
    All windows of a series; see `fastrnn.protocols.Batches`.

    Item k is ``(Past(values, known), targets)``, targets [B, S, K].

    Parameters
    ----------
    values
        [N, V], already scaled.
    known
        [N, C], of the same rows, or None.
    window, horizon
        W and S: rows that a forecast sees, and rows that it is of.
    targets
        The K columns that are forecast.
    batch
        Windows of a batch.
    stride
        Rows between the begins of windows.
    seed
        Shuffles the windows anew in every epoch; None leaves them in order.
    name
        What messages call the series.

    Raises
    ------
    ValueError
        There are fewer than W + S rows.
    """

    carry_state = False
    _share: tuple[int, int] | None = None

    def __init__(
        self,
        values: Floats,
        known: Floats | None,
        window: int,
        horizon: int,
        targets: Sequence[int],
        batch: int,
        *,
        stride: int = 1,
        seed: int | None = None,
        name: str = "series",
    ) -> None:
        need = window + horizon
        if len(values) < need:
            raise ValueError(
                f"{name}: expected at least window + horizon = {window} + {horizon} = {need} rows, "
                f"got {len(values)}"
            )
        self.values, self.known, self.window, self.horizon = values, known, window, horizon
        self.targets, self.batch, self.seed = list(targets), _check.integer("batch", batch, 1), seed
        self._starts = np.arange(0, len(values) - need + 1, _check.integer("stride", stride, 1))
        self._order = self._starts
        self.set_epoch(0)

    @property
    def count(self) -> int:
        """Windows in all batches together."""
        return len(self._starts)

    def set_epoch(self, epoch: int) -> None:
        """Shuffle as epoch `epoch` of this seed has it, whatever was before."""
        if self.seed is not None:
            draw = np.random.Generator(np.random.PCG64(fold(self.seed, epoch)))
            self._order = draw.permutation(self._starts)

    def __len__(self) -> int:
        return -(-len(self._starts) // self.batch)

    def __getitem__(self, k: int) -> tuple[Past, Floats]:
        if not 0 <= k < len(self):
            raise IndexError(f"batch {k} of {len(self)}")
        starts = own_rows(self._order[k * self.batch : (k + 1) * self.batch], self._share)
        steps = np.arange(self.window + self.horizon)[:, None]
        known = None if self.known is None else self.known[starts + steps]
        past = self.values[starts + steps[: self.window]]
        future = self.values[starts[:, None] + steps[self.window :, 0]][:, :, self.targets]
        return Past(past, known), future

    def part(self, process: int, count: int) -> Windows:
        """Return the windows of every batch that one of `count` processes has."""
        own = copy.copy(self)
        own._share = (process, count)
        return own

    def fingerprint(self) -> dict[str, Any]:
        """Describe the data so that a checkpoint can tell whether it goes on with the same."""
        digest = hashlib.sha256(np.ascontiguousarray(self.values).data)
        if self.known is not None:
            digest.update(np.ascontiguousarray(self.known).data)
        sizes = {"window": self.window, "horizon": self.horizon, "batch": self.batch, "windows": self.count}
        return {**sizes, "targets": self.targets, "seed": self.seed, "sha256": digest.hexdigest()}
