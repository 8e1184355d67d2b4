"""N processes on N parts of the rows train as one does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import checks
import numpy as np
import processes
import pytest
from distributed_runs import DATA, EPOCHS, HELD_OUT, VOCABULARY, alone, language_model, outcome

import fastrnn
from fastrnn import checkpoint, losses, optim
from fastrnn.batches import DenseBatches, PaddedBatches, Sequences
from fastrnn.callbacks import Callback, History, Score
from fastrnn.distributed import connect
from fastrnn.models import LanguageModel, SequenceTagger
from fastrnn.training import Trainer


class Columns:
    """Items whose rows have states, cut by column."""

    carry_state = True

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, k: int) -> Any:
        return self.items[k]

    def part(self, process: int, count: int) -> Columns:
        return Columns(
            [tuple(np.array_split(a, count, axis=1)[process] for a in item) for item in self.items]
        )


def in_company() -> Any:
    trainer = language_model(distributed=connect(timeout=20))
    trainer.fit(DATA, EPOCHS, HELD_OUT)
    return outcome(trainer)


class TestTogether:
    """Runs of two to four processes."""

    pytestmark = processes.together

    @pytest.mark.parametrize("size", [2, 3, 4])
    def test_as_one_process_on_the_whole_batch(self, tmp_path: Path, size: int) -> None:
        """Not its bits: a chain of fma over the rows of a batch is cut where the parts are."""
        want, epochs = alone()
        found = processes.run(size, tmp_path, in_company)
        for params, logs in found:
            checks.same_bits(params, found[0][0])
            assert logs == found[0][1]
            checks.close(params, want, "gradient")
            for mine, theirs in zip(logs, epochs, strict=True):
                for name in ("loss", "validation_loss"):
                    assert mine[name] == pytest.approx(theirs[name], rel=1e-12)

    def test_the_bits_of_summed_parts(self, tmp_path: Path) -> None:
        """What N processes give is what one gives that forms the gradients of the parts and adds them."""
        parts = [DATA.part(k, 2) for k in range(2)]
        model = LanguageModel(VOCABULARY, 12, 2, dtype="float64", seed=3)
        optimizer, states = optim.Adam(model, lr=1e-2), [None, None]
        for k in range(len(DATA)):
            grads = []
            for p, part in enumerate(parts):
                x, targets = part[k]
                _, states[p] = model.value_and_grad(x, targets, states[p])
                grads.append(model.flat_grads * (targets.size / DATA[k][1].size))
                model.zero_grad()
            model.flat_grads[:] = grads[0] + grads[1]
            optimizer.step(max_norm=0.5, zero_grad=True, guard=True)

        def work() -> Any:
            trainer = language_model(distributed=connect(timeout=20))
            trainer.fit(DATA, 1)
            return trainer.model.flat_params.copy()

        for params in processes.run(2, tmp_path, work):
            checks.same_bits(params, model.flat_params)

    @pytest.mark.parametrize("accumulate", [1, 3])
    def test_unequal_parts(self, tmp_path: Path, rng: np.random.Generator, accumulate: int) -> None:
        """Rows of unlike lengths, a batch with fewer rows than processes: each target counts the same."""
        words = [["ab"[i] for i in rng.integers(0, 2, n)] for n in rng.integers(1, 9, 13)]
        held_out = words[:3]

        def work(**options: Any) -> Any:
            model = SequenceTagger(words, ["a", "b"], 8, 6, dtype="float64", seed=1)
            fitted = model.fit(
                words,
                words,
                (held_out, held_out),
                batch=6,
                epochs=2,
                optimizer=optim.SGD(model, 0.1),
                accumulate=accumulate,
                progress=False,
                **options,
            )
            return model.flat_params.copy(), fitted.epochs

        want, _ = work()
        for params, _ in processes.run(3, tmp_path, lambda: work(distributed=connect(timeout=20))):
            checks.close(params, want, "gradient")

    def test_callbacks(self, tmp_path: Path) -> None:
        """Scores are averaged; who asks for an end ends all; rank 0 alone writes."""

        class Stop(Callback):
            def on_step_end(self, trainer: Trainer, logs: Any) -> None:
                if trainer._team.rank == 1 and trainer.steps_done == 2:
                    trainer.stop(finished=False)

        def work() -> Any:
            group = connect(timeout=15)
            path = tmp_path / f"run{group.rank}"
            rng = np.random.default_rng(0)
            x = rng.standard_normal((12, 3)).astype(np.float32)
            data = DenseBatches(x, x[:, :1].copy(), 4, seed=0)
            f = fastrnn.value_and_grad(fastrnn.Linear(3, 1, seed=0), losses.MSE())
            history = History()
            Trainer(
                f,
                optim.SGD(f, 0.1),
                distributed=group,
                checkpoint=path,
                callbacks=[Score("rank", lambda: float(group.rank)), history, Stop()],
            ).fit(data, 3)
            Trainer(
                f,
                optim.SGD(f, 0.1),
                distributed=group,
                callbacks=[Score("rank", lambda: 2.0 * group.rank), history],
            ).fit(data, 1)
            return history.epochs[-1]["rank"], path.exists()

        assert processes.run(2, tmp_path, work) == [(1.0, True), (1.0, False)]
        assert checkpoint.load(tmp_path / "run0")["training"]["steps_done"] in (2, 3)

    def test_sums_and_rows_without_targets(self, tmp_path: Path, rng: np.random.Generator) -> None:
        """A loss that is a sum; a process whose rows have no target in one item carries their state on."""
        x = rng.standard_normal((12, 3))
        dense = DenseBatches(x, x[:, :1].copy(), 5, seed=0)
        items = [rng.integers(0, len(VOCABULARY), (2, 4, 2)) for _ in range(3)]
        items[0][1, :, 1] = -100
        streams = Columns([(inputs, targets) for inputs, targets in items])

        def work(**options: Any) -> Any:
            f = fastrnn.value_and_grad(fastrnn.Linear(3, 1, dtype="float64", seed=0), losses.MSE("sum"))
            Trainer(f, optim.SGD(f, 0.01), **options).fit(dense, 2)
            model = LanguageModel(VOCABULARY, 6, 1, dtype="float64", seed=3)
            Trainer(model, optim.SGD(model, 0.5), **options).fit(streams, 2)
            return f.flat_params.copy(), model.flat_params.copy()

        want = work()
        for found in processes.run(2, tmp_path, lambda: work(distributed=connect(timeout=20))):
            for a, b in zip(found, want, strict=True):
                checks.close(a, b, "gradient")

    def test_an_end_that_one_asks_for(self, tmp_path: Path) -> None:
        """All put the best parameters back; connecting twice by itself gives one group."""

        class Stop(Callback):
            def on_epoch_end(self, trainer: Trainer, logs: Any) -> None:
                if trainer._team.rank == 1 and trainer.epoch == 2:
                    trainer.stop(finished=True)

        def work() -> Any:
            trainer = language_model(None, distributed=True)
            trainer.callbacks.insert(0, Stop())
            trainer.fit(DATA, 5, HELD_OUT)
            assert language_model(None, distributed=True)._team.group is trainer._team.group
            return trainer.epoch, trainer.model.flat_params.copy()

        (first, mine), (second, theirs) = processes.run(2, tmp_path, work)
        assert first == second == 2
        checks.same_bits(mine, theirs)

    def test_exchanges(self, tmp_path: Path) -> None:
        def work() -> Any:
            group = connect(timeout=15)
            mean = group.mean(np.full(3, float(group.rank), np.float32))
            parts = group.gather(np.arange(group.rank))
            text = group.bytes(b"from 0" if group.rank == 0 else None)
            group.close()
            return mean.tolist(), [p.tolist() for p in parts], text

        assert processes.run(3, tmp_path, work) == [([1.0] * 3, [[], [0], [0, 1]], b"from 0")] * 3


def test_parts_are_the_whole(rng: np.random.Generator) -> None:
    """The rows of the parts are those of the item."""
    padded = PaddedBatches(
        Sequences("x", [np.arange(1, n + 1, dtype=np.int32) for n in (3, 1, 2, 2)]),
        np.arange(4, dtype=np.int32),
        4,
    )
    parts = [padded.part(k, 3)[0] for k in range(3)]
    assert sorted(n for x, _ in parts for n in x.lengths.tolist()) == [1, 2, 2, 3]
    assert sorted(t for _, targets in parts for t in targets.tolist()) == [0, 1, 2, 3]
    columns = np.concatenate([DATA.part(k, 3)[0][0] for k in range(3)], axis=1)
    checks.same_bits(columns, DATA[0][0])
