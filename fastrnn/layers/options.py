"""Options that a recurrent layer does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def refuse(layer: Any, root: type, given: Mapping[str, object]) -> None:
    """Raise for what came beyond the options of a layer.

    Raises
    ------
    ValueError
        It is an option of another layer.
    TypeError
        It is none at all.
    """
    for name, value in given.items():
        if any(name in kind._own for kind in family(root)):
            which = type(layer).__name__
            raise ValueError(f"{name}: expected no such option for {which}, got {_check.describe(value)}")
        raise TypeError(f"{type(layer).__name__}() got an unexpected keyword argument {name!r}")


def family(root: type) -> Iterator[Any]:
    """The classes of cells that the package has."""
    kinds: list[Any] = root.__subclasses__()
    for kind in kinds:
        if not kind.__name__.startswith("_") and kind.__module__.startswith("fastrnn."):
            yield kind
        yield from family(kind)
