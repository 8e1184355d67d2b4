"""What a checkpoint compares when a run is resumed, and what is said of a run that diverges."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fastrnn.protocols import Batches


OLDER = {"clip_value": None, "accumulate": 1}  # settings that older files lack


def parameters_of(model: Any, tree: dict[str, Any]) -> np.ndarray[Any, Any]:
    """The parameters in a checkpoint; ValueError where it is of another model."""
    saved = dict(tree["model"])
    found: np.ndarray[Any, Any] = saved.pop("parameters")
    same("model", describe(model), saved)
    mine = model.flat_params
    if found.shape != mine.shape or found.dtype != mine.dtype:
        raise ValueError(
            f"model: expected {found.dtype} parameters of shape {found.shape}, as in the file, "
            f"got {mine.dtype} of shape {mine.shape}"
        )
    return found


def fingerprint(data: Batches | None) -> dict[str, Any] | None:
    """What tells data from other data; None of none."""
    if data is None:
        return None
    describe = getattr(data, "fingerprint", None)
    if describe is not None:
        return dict(describe())
    found: dict[str, Any] = {"items": len(data)}
    if isinstance(data, (list, tuple)):
        digest = hashlib.sha256()
        _digest(digest, data)
        found["sha256"] = digest.hexdigest()
    return found


def _digest(digest: Any, value: Any) -> None:
    """Feed arrays, and lists and tuples of them."""
    if isinstance(value, (list, tuple)):
        digest.update(f"{len(value)}[".encode())
        for item in value:
            _digest(digest, item)
    elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).data)


def describe(model: Any) -> dict[str, Any]:
    """All of a model but its parameters."""
    describe = getattr(model, "describe", None)
    return dict(describe()) if describe is not None else {"kind": type(model).__name__}


def _as_saved(value: Any) -> Any:
    """As it comes back from a file: tuples are lists."""
    if isinstance(value, (tuple, list)):
        return [_as_saved(item) for item in value]
    return {key: _as_saved(item) for key, item in value.items()} if isinstance(value, dict) else value


def same(what: str, mine: dict[str, Any] | None, saved: dict[str, Any] | None) -> None:
    """Raise ValueError for the first entry in which they differ."""
    mine, saved = mine or {}, saved or {}
    for key in sorted(mine.keys() | saved.keys()):
        a, b = _as_saved(mine.get(key)), _as_saved(saved.get(key))
        if a != b:
            if isinstance(a, dict) and isinstance(b, dict):
                same(f"{what} {key}", a, b)
            show = [text if len(text := repr(value)) < 80 else text[:77] + "..." for value in (b, a)]
            raise ValueError(f"{what}: expected {key} = {show[0]}, as in the checkpoint, got {show[1]}")


def tuples(tree: Any) -> Any:
    """A state as it was before it was written: lists are tuples."""
    return tuple(tuples(item) for item in tree) if isinstance(tree, list) else tree


def diverged(model: Any, step: int, loss: float, norm: float) -> FloatingPointError:
    """The error for a step whose loss or gradient is not finite; it names the parameters concerned."""
    text = f"step {step}: loss {loss}, gradient norm {norm}: a lower learning rate or max_norm may help"
    for what, arrays in (
        ("", getattr(model, "params", {})),
        ("the gradient of ", getattr(model, "grads", {})),
    ):
        wrong = [name for name, a in arrays.items() if not np.isfinite(a).all()]
        if wrong:
            text += f"; not finite: {what}{wrong[0]}" + (f" and {len(wrong) - 1} more" if wrong[1:] else "")
            break
    else:
        if norm == 0:
            text = f"step {step}: loss {loss}, gradient norm 0: expected a target that counts, got none"
    return FloatingPointError(text)


def gradient_norm(model: Any) -> float:
    """The norm of all gradients, nan where the model does not show them."""
    grads = getattr(model, "flat_grads", None)
    return float("nan") if grads is None else float(np.linalg.norm(grads.astype(np.float64)))
