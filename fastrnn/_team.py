"""What a `Trainer` asks of the processes that it trains with; here there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastrnn import checkpoint as _checkpoint
from fastrnn._random import fold
from fastrnn._resuming import fingerprint

if TYPE_CHECKING:
    from fastrnn.protocols import Batches, State
    from fastrnn.training import Trainer


class Alone:
    """One process; `fastrnn.distributed._team.Team` is the same for many."""

    rank, size = 0, 1

    def resume(self, asked: bool) -> None:
        """Settle that a run goes on."""

    def fingerprint(self, data: Batches | None) -> Any:
        """What tells data from other data."""
        return fingerprint(data)

    def part(self, data: Batches | None) -> Any:
        """What this process sees of the data."""
        return data

    def own(self, state: State) -> State:
        """What this process has of a state that a checkpoint holds."""
        return state

    def whole(self, step: int, state: State) -> State:
        """The state of all rows after a step, for a checkpoint."""
        return state

    def load(self, path: Any) -> Any:
        """Read a checkpoint."""
        return _checkpoint.load(path)

    def begin(self, trainer: Trainer, items: int) -> None:
        """Begin together, with the same parameters."""

    def meet(self, trainer: Trainer, items: list[Any]) -> list[float] | None:
        """Share of this process in the mean over each item; None where all stop."""
        return [1.0] * len(items)

    def stopped(self, asked: bool) -> bool:
        """Whether all stop."""
        return asked

    def agree(self, trainer: Trainer) -> None:
        """Settle at the end of an epoch whether all stop."""

    def writes(self, due: bool) -> bool:
        """Whether a checkpoint that is due can be written now."""
        return due

    def key(self, seed: int, step: int) -> int:
        """The key of the random masks of a step."""
        return fold(seed, step)

    def sum(self, *numbers: float) -> tuple[float, ...]:
        """Numbers, summed over the processes."""
        return numbers

    def reduce(self, trainer: Trainer) -> None:
        """Sum the gradients over the processes."""

    def after(self, trainer: Trainer) -> None:
        """End a step."""
