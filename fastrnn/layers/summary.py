"""A table of the parameters of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import _check
from .parameters import count

if TYPE_CHECKING:
    from .._typing import Shape
    from .base import Layer


@dataclass(frozen=True)
class Row:
    """One parameter, or a layer that has none: then `parameter` is "" and `shape` is ()."""

    path: str
    layer: str
    parameter: str
    shape: Shape
    size: int


@dataclass(frozen=True)
class Summary:
    """What ``layer.summary()`` gives: `print` it.

    Attributes
    ----------
    rows : tuple of Row
        In the order of ``layer.params``.
    parameters, bytes : int
        Of all of them.
    samples : int or None
        As given.
    """

    rows: tuple[Row, ...]
    parameters: int
    bytes: int
    samples: int | None = None

    @property
    def samples_per_parameter(self) -> float | None:
        """Samples over parameters; None without samples."""
        return None if self.samples is None else self.samples / max(self.parameters, 1)

    def __str__(self) -> str:
        table = [("layer", "parameter", "shape", "number")]
        before = None
        for row in self.rows:
            name = f"{row.path}: {row.layer}" if row.path else row.layer
            shape, size = "x".join(map(str, row.shape)), f"{row.size:,}" if row.size else ""
            table.append(("" if row.path == before else name, row.parameter, shape, size))
            before = row.path
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(
                text.rjust(width) if place == 3 else text.ljust(width)
                for place, (text, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in table
        ]
        total = f"{self.parameters:,} parameters, {self.bytes:,} bytes"
        if self.samples_per_parameter is not None:
            total += f"; {self.samples:,} samples, {self.samples_per_parameter:.3g} for each parameter"
        return "\n".join([*lines, total])


def summary(layer: Layer, samples: int | None) -> Summary:
    """See `Layer.summary`."""
    rows = []
    for path, leaf in layer._leaves():
        shapes = leaf._shapes or {"": ()}
        rows += [
            Row(path, repr(leaf), name, shape, count({name: shape}) if name else 0)
            for name, shape in shapes.items()
        ]
    if samples is not None:
        samples = _check.integer("samples", samples, 0)
    return Summary(tuple(rows), layer.flat_params.size, layer.flat_params.nbytes, samples)
