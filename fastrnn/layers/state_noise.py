"""What training does to the states of a recurrent layer besides its cell: masks for the extension.

Definitions: ``fastrnn/reference/state_noise.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _check, _core
from .._random import fold

if TYPE_CHECKING:
    from .._typing import Array, Shape
    from .ragged import Ragged
    from .recurrent import Recurrent

_DROP, _ZONE = -1, -2  # folded into the key first; levels of dropout between layers are folded as 0, 1, ...


class Noise(NamedTuple):
    """Masks of one pass, as the extension takes them.

    Attributes
    ----------
    drop : ndarray, [B, P], or None
        What products read is h times this.
    zone : tuple or None
        How much of each state stays as it was: a sequence of masks, a number, or None.
    """

    drop: Array | None = None
    zone: tuple[Array | float | None, ...] | None = None


NONE = Noise()


def check(layer: Recurrent, recurrent_dropout: Any, zoneout: Any) -> tuple[float, tuple[float, ...]]:
    """The two options of a layer, one number of zoneout for each state."""
    dropout = _check.real("recurrent_dropout", recurrent_dropout, 0.0, 1.0)
    number = len(layer.states)
    given = zoneout if isinstance(zoneout, (tuple, list)) else (zoneout,) * number
    if len(given) != number:
        wanted = ", ".join(layer.states)
        raise ValueError(f"zoneout: expected a number or a tuple ({wanted}), got {len(given)} of them")
    zone = tuple([_check.real("zoneout", p, 0.0, 1.0) for p in given])
    cell, name = layer._traits, type(layer).__name__
    if dropout and not (layer._one_pass and cell["recurrent_gates"]):
        raise ValueError(f"recurrent_dropout: expected 0 for {name}, got {dropout:g}")
    if any(zone) and not layer._one_pass:
        raise ValueError(f"zoneout: expected 0 for {name}, got {zone}")
    if any(zone) and cell["sees_made_states"]:
        raise ValueError(f"zoneout: expected 0 for {name} with peepholes, got {zone}")
    return dropout, zone


def of_inference(layer: Recurrent) -> Noise:
    """What is expected of zoneout."""
    return Noise(None, layer.zoneout) if any(layer.zoneout) else NONE


def of_training(
    layer: Recurrent, place: int, shape: Shape, key: int, step: int, ragged: Ragged | None
) -> Noise:
    """The masks of one direction of a level over x of this shape, from a key.

    That of h depends on (key, place, row, unit), those of zoneout on the absolute step too.
    """
    direction, rows = place % layer.directions, shape[0 if layer.batch_first else 1]
    drop, zone = None, None
    if layer.recurrent_dropout:
        size = (rows, layer.state_sizes[0])
        drop = _dropout(layer, layer.recurrent_dropout, size, fold(key, _DROP, place), 0)
        if ragged is not None:
            (drop,) = ragged.sort((drop,))  # type: ignore[misc]
    if any(layer.zoneout):
        zone = tuple(
            [
                _zone(layer, p, (*shape[:2], width), fold(key, _ZONE - state, place), step) if p else None
                for state, (p, width) in enumerate(zip(layer.zoneout, layer.state_sizes, strict=True))
            ]
        )
        if ragged is not None:
            zone = tuple([None if mask is None else ragged.gather(mask, direction) for mask in zone])
    return Noise(drop, zone)


def _dropout(layer: Recurrent, p: float, size: Shape, key: int, step: int) -> Array:
    """Dropout of ones."""
    ones = np.broadcast_to(np.ones(size[-1], layer.flat_params.dtype), size)
    return _core.dropout(ones, p, key, step, layer.batch_first and len(size) == 3)


def _zone(layer: Recurrent, p: float, size: Shape, key: int, step: int) -> Array:
    """One where dropout would give zero, and zero elsewhere."""
    mask = _dropout(layer, p, size, key, step)
    np.equal(mask, 0, out=mask, casting="unsafe")
    return mask
