"""What `Trainer` asks of a model and of data; any object that has these will do."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

State = Any  # what a model carries from chunk to chunk: None, an array, or a tuple of these


class Trainable(Protocol):
    """A model joined to its loss."""

    @property
    def flat_params(self) -> np.ndarray[Any, Any]:
        """All parameters, one axis."""

    def value_and_grad(
        self, x: Any, targets: Any, state: State = None, key: int | None = None
    ) -> tuple[float, State]:
        """Return the mean loss and the state to carry on; add the gradients to the model's."""

    def total(self, x: Any, targets: Any, state: State = None) -> tuple[float, int, State]:
        """Return the sum of the losses without dropout, their number, and the state to carry on."""

    def zero_grad(self) -> None:
        """Set all gradients to zero."""

    def touch(self) -> None:
        """Take note that the parameters have changed."""


def mask_of(item: tuple[Any, ...]) -> dict[str, Any]:
    """Return the mask of an item of `Batches` as a keyword argument, if it has one."""
    return {"mask": item[2]} if len(item) > 2 else {}


class Batches(Protocol):
    """
    Pairs (x, targets), or triples (x, targets, mask), by number; a mask is as the loss takes it. Rows of
    unlike lengths are `fastrnn.batches.Rows` as x.

    `carry_state` (False if absent) says that item k + 1 goes on where item k stopped. `fingerprint()`, if
    there is one, returns a dict that a checkpoint keeps in order to tell other data from the same.
    ``part(process, count)``, if there is one, returns the rows of every item that one of `count` processes of
    a distributed run has.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, k: int, /) -> tuple[Any, ...]: ...
