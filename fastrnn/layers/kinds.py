"""The parameters of a cell, by kind: names, shapes, and the order in which the extension takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _core

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._typing import Array, Shape

CELLS: dict[str, dict[str, int]] = _core.cells()


def _order(cell: Mapping[str, int]) -> tuple[str, ...]:
    """The kinds as the extension takes them."""
    first = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    if cell["by_row"]:
        return (*first, "weight_ch", "gain_ih", "gain_hh", "gain_ch", "bias_ch")
    if cell["units"] + cell["second_gates"]:
        return (*first, "weight_hr" if cell["projects"] else "weight_ch")
    return first


def shapes(name: str, width: int, hidden: int, output: int, bias: bool) -> dict[str, Shape]:
    """Those of one direction of one level that reads `width` numbers and whose h has `output`."""
    cell = CELLS[name]
    rows, recurrent, second = (cell[k] * hidden for k in ("gates", "recurrent_gates", "second_gates"))
    normed, inner = cell["by_row"], cell["inner"] * hidden
    found: dict[str, Shape] = {
        "weight_ih": (rows, width),
        "weight_hh": (recurrent, output),
        "bias_ih": (rows * bias,),
        "bias_hh": (recurrent * bias,),
        "weight_hr": (output, hidden),
        "weight_ch": (second, hidden) if second else (cell["units"] * hidden,),
        "gain_ih": (rows * normed,),
        "gain_hh": (recurrent * normed,),
        "gain_ch": (inner,),
        "bias_ch": (inner * bias,),
    }
    return {kind: found[kind] for kind in _order(cell) if found[kind][0]}


def in_order(name: str, named: Mapping[str, Array], ending: str) -> tuple[Array | None, ...]:
    """As the extension takes them, of those in `named` whose names end so: ``"_l0_reverse"``."""
    return tuple([named.get(kind + ending) for kind in _order(CELLS[name])])


def first_values(params: Mapping[str, Array]) -> None:
    """Gains of layer normalisation begin with 1, the bias of what is normalised within a cell with 0."""
    for name, parameter in params.items():
        if name.startswith(("gain", "bias_ch")):
            parameter.fill(name.startswith("gain"))
