"""Models in files: what the file says of the model, and models that are all counts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from fastrnn import checkpoint

if TYPE_CHECKING:
    from typing_extensions import Self


def described(tree: Any, name: str) -> dict[str, Any]:
    """The description of a model in a checkpoint; ValueError unless it is a `name`."""
    model = tree.get("model") if isinstance(tree, dict) else None
    kind = model.get("kind") if isinstance(model, dict) else None
    if not isinstance(model, dict) or kind != name:
        raise ValueError(f"checkpoint: expected a {name}, got {kind or 'no model'}")
    return model


class Stored:
    """`save` and `load` of a model that is fitted by counting."""

    def _state(self) -> dict[str, Any]:
        """All of the model, as a checkpoint holds it; ValueError before `fit`."""
        raise NotImplementedError

    @classmethod
    def _restored(cls, model: dict[str, Any]) -> Self:
        """The model of which that is the state."""
        raise NotImplementedError

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file; see `fastrnn.checkpoint`. Raises ValueError before `fit`."""
        checkpoint.save(path, {"model": {"kind": type(self).__name__, **self._state()}})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """
        Read a model that `save` wrote.

        Raises OSError or ValueError as `fastrnn.checkpoint.load`, ValueError also for another kind of model.
        """
        name = cls.__name__
        model = described(checkpoint.load(path), name)
        try:
            return cls._restored(model)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"checkpoint: expected the parts of a {name}, got none for {error}") from None
