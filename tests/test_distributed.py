"""N processes on N parts of the rows train as one does; lost, late and unlike processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import checks
import numpy as np
import processes
import pytest
from conftest import peer

import fastrnn
from fastrnn import checkpoint, losses, optim
from fastrnn.batches import DenseBatches, PaddedBatches, Sequences
from fastrnn.callbacks import Callback, EarlyStopping, History, Score
from fastrnn.data import Streams, Vocabulary
from fastrnn.distributed import PeerError, connect
from fastrnn.distributed._connect import launcher
from fastrnn.models import LanguageModel, SequenceTagger
from fastrnn.training import Trainer

TEXT = "pack my box with five dozen liquor jugs; " * 12
VOCABULARY = Vocabulary.from_text(TEXT)
DATA = Streams(VOCABULARY.encode(TEXT), 5, 20)
HELD_OUT = Streams(VOCABULARY.encode(TEXT[7:90]), 3, 9, whole=True)
EPOCHS = 2

together = [
    pytest.mark.peer,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def one_thread(threads: None, request: pytest.FixtureRequest) -> None:
    """Forks of a process with one thread; torch is imported before."""
    fastrnn.set_num_threads(1)
    if "peer" in request.keywords:
        peer("torch").set_num_threads(1)
        peer("torch.distributed")


def language_model(path: Any = None, *extra: Callback, seed: int = 3, **options: Any) -> Trainer:
    model = LanguageModel(VOCABULARY, 12, 2, dtype="float64", seed=seed)
    return Trainer(
        model,
        optim.Adam(model, lr=1e-2),
        max_norm=0.5,
        callbacks=[EarlyStopping(5), History(), *extra],
        checkpoint=path,
        checkpoint_every=0.0,
        **options,
    )


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


def outcome(trainer: Trainer) -> Any:
    history = next(c for c in trainer.callbacks if isinstance(c, History))
    return trainer.model.flat_params.copy(), history.epochs


def alone() -> Any:
    trainer = language_model()
    trainer.fit(DATA, EPOCHS, HELD_OUT)
    return outcome(trainer)


def in_company() -> Any:
    trainer = language_model(distributed=connect(timeout=20))
    trainer.fit(DATA, EPOCHS, HELD_OUT)
    return outcome(trainer)


class TestTogether:
    """Runs of two to four processes."""

    pytestmark = together

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

    def test_a_lost_process(self, tmp_path: Path) -> None:
        """Killed or stuck: the others end with an error, and the run goes on from the checkpoint."""
        for signum in (signal.SIGKILL, signal.SIGSTOP):
            path = tmp_path / f"run{signum}"

            class Strike(Callback):
                def on_step_end(self, trainer: Trainer, logs: Any, signum: int = signum) -> None:
                    if trainer._team.rank == 1 and trainer.steps_done == 4:
                        os.kill(os.getpid(), signum)

            def work(path: Path = path, strike: Callback = Strike()) -> Any:  # noqa: B008
                language_model(path, strike, distributed=connect(timeout=3)).fit(DATA, EPOCHS, HELD_OUT)

            port = processes.free_port()
            pids = [processes.start(rank, 3, port, tmp_path, work) for rank in range(3)]
            begun = time.monotonic()
            errors = [processes.wait(pids[rank], tmp_path, 20) for rank in (0, 2)]
            os.kill(pids[1], signal.SIGKILL)
            assert processes.wait(pids[1], tmp_path) is None
            assert time.monotonic() - begun < 15
            for error in errors:
                assert isinstance(error, PeerError), error
                assert "one was lost or is stuck" in str(error)
                assert "the last checkpoint stands" in str(error)
            tree = checkpoint.load(path)
            assert tree["training"]["steps_done"] == 4
        want, _ = alone()

        def resumed() -> Any:
            trainer = language_model(path, seed=99, distributed=connect(timeout=20))
            trainer.fit(DATA, EPOCHS, HELD_OUT, resume=True)
            return trainer.model.flat_params.copy()

        for params in processes.run(2, tmp_path, resumed):  # with one process less
            checks.close(params, want, "gradient")
        again = language_model(path, seed=98)
        again.fit(DATA, EPOCHS, HELD_OUT, resume=True)  # with one alone: the run is finished
        checks.close(again.model.flat_params, want, "gradient")

    def test_a_late_process(self, tmp_path: Path) -> None:
        port = processes.free_port()

        def work() -> Any:
            group = connect(timeout=15)
            group.sum(np.zeros(1))
            time.sleep(2.0)
            group.sum(np.zeros(1))
            return "done"

        def late() -> Any:
            return connect(timeout=2)

        first = [processes.start(rank, 2, port, tmp_path, work) for rank in range(2)]
        time.sleep(1.2)
        again = processes.start(1, 2, port, tmp_path, late)
        beyond = processes.start(2, 2, port, tmp_path, late)
        assert str(processes.wait(again, tmp_path)) == (
            "distributed: process 1 of 2 comes late: there was one already, and a run that has begun takes "
            "no more; start all of them again from the checkpoint"
        )
        assert str(processes.wait(beyond, tmp_path)) == (
            "distributed: expected a rank in [0, 2), got 2: a run that has begun takes no more"
        )
        assert [processes.wait(pid, tmp_path) for pid in first] == ["done", "done"]
        over = processes.wait(processes.start(1, 2, port, tmp_path, late), tmp_path)
        assert isinstance(over, PeerError)
        assert "expected all to meet at 127.0.0.1:" in str(over)

    def test_unlike_runs_and_failures(self, tmp_path: Path) -> None:
        def unlike() -> Any:
            group = connect(timeout=15)
            language_model(distributed=group, seed=1 + group.rank, accumulate=1 + group.rank).fit(DATA, 1)

        errors = processes.run(2, tmp_path, unlike)
        assert str(errors[1]) == (
            "distributed: process 1 of 2: this process trainer: expected accumulate = 1, as in "
            "process 0, got 2"
        )
        assert str(errors[0]) == (
            "distributed: process 1 of 2 failed: comparing the runs; it says why, and all end"
        )

        def absent() -> Any:
            language_model(tmp_path / "absent", distributed=connect(timeout=15)).fit(DATA, 1, resume=True)

        errors = processes.run(2, tmp_path, absent)
        assert isinstance(errors[0], FileNotFoundError)
        assert "process 0 of 2 failed: reading the checkpoint" in str(errors[1])

        def diverges() -> Any:
            trainer = language_model(distributed=connect(timeout=15))
            if trainer._team.rank == 1:
                trainer.model.value_and_grad = lambda *_, **__: (np.nan, None)
            trainer.fit(DATA, 1)

        assert [type(error) for error in processes.run(2, tmp_path, diverges)] == [FloatingPointError] * 2

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

    def test_unlike_settings(self, tmp_path: Path) -> None:
        def rates() -> Any:
            group = connect(timeout=15)
            model = LanguageModel(VOCABULARY, 6, 1, seed=3)
            Trainer(model, optim.SGD(model, 0.5 + group.rank), distributed=group).fit(DATA, 1)

        assert str(processes.run(2, tmp_path, rates)[1]) == (
            "distributed: process 1 of 2: this process optimizer: expected lr = 0.5, as in process 0, got 1.5"
        )

        def resumes() -> Any:
            group = connect(timeout=15)
            language_model(tmp_path / "none", distributed=group).fit(DATA, 1, resume=group.rank == 1)

        for error in processes.run(2, tmp_path, resumes):
            assert str(error).startswith("resume: expected the same in all 2 processes, got True in 1 of")

    def test_exchanges(self, tmp_path: Path) -> None:
        def work() -> Any:
            group = connect(timeout=15)
            mean = group.mean(np.full(3, float(group.rank), np.float32))
            parts = group.gather(np.arange(group.rank))
            text = group.bytes(b"from 0" if group.rank == 0 else None)
            group.close()
            return mean.tolist(), [p.tolist() for p in parts], text

        assert processes.run(3, tmp_path, work) == [([1.0] * 3, [[], [0], [0, 1]], b"from 0")] * 3


PROGRAM = """
import numpy as np, fastrnn
group = fastrnn.distributed.connect(timeout=30)
total = group.sum(np.array([group.rank + 1.0]))
print(f"{type(group).__name__} {group.rank} of {group.size}: {total[0]:g}\\n", end="", flush=True)
"""


@pytest.mark.peer
@pytest.mark.parametrize("kind", [pytest.param("torchrun", marks=pytest.mark.heavy), "mpiexec"])
def test_launchers(tmp_path: Path, kind: str) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    folder = Path(sys.executable).parent
    if kind == "torchrun":
        peer("torch")
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    else:
        peer("mpi4py")
        if not (folder / "mpiexec").exists():
            pytest.skip("there is no mpiexec")
        command = [str(folder / "mpiexec"), "-n", "2", sys.executable]
    done = subprocess.run(
        [*command, str(tmp_path / "program.py")],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    name = {"torchrun": "TorchGroup", "mpiexec": "MpiGroup"}[kind]
    assert sorted(line for line in done.stdout.splitlines() if name in line) == [
        f"{name} 0 of 2: 3",
        f"{name} 1 of 2: 3",
    ], done.stderr


def test_which_launcher() -> None:
    torch = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}
    assert launcher(torch) == "torch"
    assert launcher({"PMI_RANK": "1"}) == launcher({"OMPI_COMM_WORLD_RANK": "1"}) == "mpi"
    with pytest.raises(RuntimeError) as raised:
        launcher({})
    assert str(raised.value) == (
        "distributed: expected a program that torchrun or mpiexec started, got an environment without RANK "
        "and without OMPI_COMM_WORLD_RANK, PMIX_RANK and PMI_RANK"
    )
    with pytest.raises(TypeError) as wrong:
        language_model(distributed=2)
    assert str(wrong.value) == ("distributed: expected True, False or a fastrnn.distributed.Group, got 2")


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


class Corpus:
    """Sentences of words of five topics, drawn by Zipf's law."""

    def __init__(self) -> None:
        draw = np.random.default_rng(1)
        p = 1 / np.arange(1, 101)
        topics = draw.integers(0, 5, 6000)
        words = draw.choice(100, (6000, 10), p=p / p.sum())
        self.lists = [[f"t{t}w{w}" for w in row] for t, row in zip(topics, words, strict=True)]

    def share_of_neighbours(self, model: Any) -> float:
        """Of the nearest five of each word, how many are of its topic."""
        keys = model.wv.index_to_key
        found = [[near[:2] == word[:2] for near, _ in model.wv.most_similar(word, topn=5)] for word in keys]
        return float(np.mean(found))


class TestWord2Vec:
    """Word vectors of two and more processes."""

    pytestmark = together

    @pytest.mark.parametrize("options", [{"sg": 1}, {"hs": 1, "negative": 0, "alpha": 0.05}], ids=str)
    def test_as_good_as_one(self, tmp_path: Path, options: dict[str, Any]) -> None:
        corpus = Corpus()

        def made() -> Any:
            model = fastrnn.Word2Vec(
                vector_size=16, window=4, min_count=1, sample=0, deterministic=True, workers=1, **options
            )
            model.build_vocab(corpus.lists)
            return model

        one = made()
        assert one.train(corpus.lists, epochs=4, compute_loss=True)[1] == 240_000

        def work() -> Any:
            model, group = made(), connect(timeout=15)
            done = fastrnn.distributed.train_word2vec(
                model, corpus.lists, epochs=4, group=group, every=512, hot=64, compute_loss=True
            )
            return model.wv.vectors, model.epoch_losses, done, corpus.share_of_neighbours(model)

        first = processes.run(3, tmp_path, work)
        again = processes.run(3, tmp_path, work)
        for vectors, losses_, done, share in first + again:
            checks.same_bits(vectors, first[0][0])
            assert losses_ == first[0][1]
            assert done == (one.trained.centres, one.trained.words)
            assert share > corpus.share_of_neighbours(one) - 0.03
            assert losses_[-1] == pytest.approx(one.epoch_losses[-1], rel=0.02)

    def test_errors(self, tmp_path: Path) -> None:
        def other() -> Any:
            group = connect(timeout=15)
            model = fastrnn.Word2Vec(vector_size=4, min_count=1, window=5 + group.rank)
            model.build_vocab([["a", "b", "a"]])
            fastrnn.distributed.train_word2vec(model, [["a", "b", "a"]], epochs=1, group=group)

        errors = processes.run(2, tmp_path, other)
        assert str(errors[1]) == (
            "model: expected words, counts, options and corpus of process 0, got others in process 1 of 2"
        )
        assert "process 1 of 2 failed: comparing the models" in str(errors[0])


def test_word2vec_alone() -> None:
    with pytest.raises(TypeError, match=r"^model: expected a Word2Vec, got FastText$"):
        fastrnn.distributed.train_word2vec(fastrnn.FastText(), [["a"]], epochs=1)
    with pytest.raises(RuntimeError, match=r"^expected a vocabulary, got none; call build_vocab first$"):
        fastrnn.distributed.train_word2vec(fastrnn.Word2Vec(), [["a"]], epochs=1)
