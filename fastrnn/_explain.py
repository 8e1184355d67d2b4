"""What the planner of the extension decides for a layer."""

from __future__ import annotations

from typing import Any

from . import _check, _core
from .layers.base import Layer
from .layers.composite import Composite
from .layers.recurrent import Recurrent


class Explanation(tuple[dict[str, Any], ...]):
    """The planner's choices, a dict for each level of each recurrent layer; prints as lines."""

    __slots__ = ()

    def __repr__(self) -> str:
        lines = ([f"{name}={_show(value)}" for name, value in level.items()] for level in self)
        return "\n".join(map("  ".join, lines))


def _show(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def explain(layer: Layer, T: int, B: int) -> Explanation:
    """Tell how a call would be shared out among threads.

    Parameters
    ----------
    layer : Layer
        A recurrent layer, or a composite with some.
    T, B : int
        Steps and rows of the input.

    Returns
    -------
    tuple of dict
        What the planner chooses for each pass of each level, among it the predicted share of the FMA peak,
        or of bfloat16's; prints as lines.
    """
    T, B = _check.integer("T", T, 1), _check.integer("B", B, 1)
    levels: list[dict[str, Any]] = []
    for found in _recurrent(layer):
        for level in range(found.num_layers):
            inputs = found.output_size * found.directions if level else found.input_size
            for cell, steps, width, hidden in found._calls(level, T, inputs):
                sizes = {"T": steps, "B": B, "I": width, "H": hidden}
                threads = _core.get_num_threads()
                P = found.proj_size
                kind = "bfloat16" if found._bfloat16 else str(found.dtype)
                choice = _core.explain(cell, steps, B, width, hidden, threads, kind, P)
                levels.append({"cell": cell, "level": level, **sizes, **choice})
    if not levels:
        raise TypeError(
            f"layer: expected a recurrent layer, or one that has some, got {_check.describe(layer)}"
        )
    return Explanation(levels)


def _recurrent(layer: Any) -> list[Recurrent]:
    if isinstance(layer, Recurrent):
        return [layer]
    if isinstance(layer, Composite):
        return [found for child in layer.children.values() for found in _recurrent(child)]
    return []
