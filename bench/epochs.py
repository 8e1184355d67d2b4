"""What models of fastrnn and of PyTorch share that train for an epoch beside each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import fastrnn

MAX_NORM = 0.25


def words_of(size: int) -> Any:
    """A vocabulary of so many words."""
    return fastrnn.data.Vocabulary(["<unk>", "<eos>", *map(str, range(size - 2))], "word")


class Ours:
    """A model of fastrnn: a subclass makes it."""

    name = "fastrnn"

    def __init__(self, model: Any) -> None:
        self.model = model
        self.optimizer = fastrnn.optim.Adam(model, lr=1e-3)

    def items(self, data: Any) -> Iterator[Any]:
        """The batches, as this model takes them."""
        return (data[k] for k in range(len(data)))

    def step(self, x: Any, targets: Any) -> float:
        """One whole training step; the mean loss before it."""
        loss, _ = self.model.value_and_grad(x, targets)
        self.optimizer.step(max_norm=MAX_NORM)
        return float(loss)


class Torch:
    """The same of PyTorch: a subclass has `_loss`."""

    name = "torch"
    exact = True  # the loss is ours on all of the data, and not only where `Task.same` has it so

    def __init__(self, parts: dict[str, Any], state: dict[str, np.ndarray]) -> None:
        import torch

        self.torch, self.net = torch, torch.nn.ModuleDict(parts)
        self.net.load_state_dict({name: torch.tensor(values) for name, values in state.items()})
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3, fused=True)

    def _loss(self, x: Any, targets: Any) -> Any:
        """The mean loss, as a tensor."""
        raise NotImplementedError

    def step(self, x: Any, targets: Any) -> float:
        """One whole training step; the mean loss before it."""
        self.optimizer.zero_grad()
        loss = self._loss(x, targets)
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.net.parameters(), MAX_NORM, foreach=True)
        self.optimizer.step()
        return float(loss.detach())

    def rows_of(self, sequences: Any) -> list[Any]:
        """A tensor of each sequence."""
        parts = np.split(sequences.flat, np.cumsum(sequences.lengths)[:-1])
        return [self.torch.from_numpy(part.astype(np.int64)) for part in parts]
