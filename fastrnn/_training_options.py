"""What a `Trainer` is given: checked and made ready, before anything is trained."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn import _check
from fastrnn._team import Alone
from fastrnn.callbacks import Callback
from fastrnn.schedules import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterable


def path(name: str, given: Any) -> Any:
    """A path, or None."""
    if given is not None and not isinstance(given, (str, os.PathLike)):
        raise TypeError(f"{name}: expected a path or None, got {_check.describe(given)}")
    return given


def info(given: Any) -> dict[str, Any]:
    """What a checkpoint carries along."""
    if given is not None and not hasattr(given, "keys"):
        raise TypeError(f"info: expected a dict or None, got {_check.describe(given)}")
    return dict(given or {})


def items(data: Any) -> None:
    """Check for data: items by number, which a generator has not."""
    if not hasattr(data, "__len__") or not hasattr(data, "__getitem__"):
        raise TypeError(f"data: expected items by number, such as a list, got {_check.describe(data)}")


def limit(name: str, value: Any) -> Any:
    """None, or a positive number."""
    if value is None:
        return None
    if isinstance(value, (bool, str)) or not hasattr(value, "__float__"):
        raise TypeError(f"{name}: expected a positive number or None, got {_check.describe(value)}")
    if not value > 0:
        raise ValueError(f"{name}: expected a positive number or None, got {value!r}")
    return value


def optimizer(model: Any, given: Any) -> Any:
    """One of `fastrnn.optim`, or like it, of this model: another's would update what has no gradient."""
    if isinstance(given, type):
        name = given.__name__
        raise TypeError(f"optimizer: expected an optimiser, such as {name}(model), got the class {name}")
    if not hasattr(given, "step"):
        raise TypeError(f"optimizer: expected one of fastrnn.optim, got {_check.describe(given)}")
    if not hasattr(model, "flat_params"):
        raise TypeError(f"model: expected one with parameters, got {_check.describe(model)}")
    trained = getattr(given, "model", model)
    if not np.may_share_memory(trained.flat_params, model.flat_params):
        raise ValueError(
            f"optimizer: expected one of this model, got one of another {type(trained).__name__}"
        )
    return given


def schedule(given: Any, rate: float) -> Schedule:
    """A schedule; None is a constant rate."""
    if given is None:
        return Schedule(rate)
    if not isinstance(given, Schedule):
        raise TypeError(f"schedule: expected one of fastrnn.schedules, got {_check.describe(given)}")
    return given


def callbacks(given: Iterable[Any]) -> list[Callback]:
    """Callbacks, as a list."""
    if not hasattr(given, "__iter__"):
        raise TypeError(f"callbacks: expected a list of callbacks, got {_check.describe(given)}")
    found = list(given)
    for place, callback in enumerate(found):
        if not isinstance(callback, Callback):
            got = (
                f"the class {callback.__name__}" if isinstance(callback, type) else _check.describe(callback)
            )
            raise TypeError(f"callbacks[{place}]: expected a Callback, got {got}")
    return found


def set_compute(model: Any, compute: str) -> None:
    """Have a model of layers compute its products so."""
    if not hasattr(model, "set_compute"):
        raise TypeError(f"compute: expected a model of layers, got {type(model).__name__}")
    model.set_compute(compute)


def team(distributed: Any) -> Alone:
    """What a run asks of its processes, of which there may be one alone."""
    if distributed is False or distributed is None:
        return Alone()
    from fastrnn.distributed._team import Team

    return Team(distributed)
