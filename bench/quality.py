"""What the quality scripts share: data, epochs, evaluation, and a checkpoint after every epoch."""

from __future__ import annotations

import argparse
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from language_models import MODELS, Config

from fastrnn import checkpoint
from fastrnn._bench import peer, set_threads
from fastrnn.data import Streams, Vocabulary
from fastrnn.schedules import Schedule


@dataclass(frozen=True)
class Task:
    """A model, data cut into chunks, and how to train it. `held_out` and `final`: names and streams."""

    name: str
    config: Config
    optimizer: str
    schedule: Schedule
    max_norm: float
    training: Streams
    held_out: tuple[str, Streams]
    final: dict[str, Streams]
    uniform: float | None = None  # initial parameters from U(-uniform, uniform), all of them


def arguments(description: str, epochs: int) -> argparse.Namespace:
    """The options of a quality script."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--peer", choices=["torch"], help="train the same model there instead")
    options.add_argument("--compute", choices=["bfloat16"], help="what our products are computed in")
    options.add_argument("--epochs", type=int, default=epochs, help="default: %(default)s")
    options.add_argument(
        "--stop-after", type=int, help="epochs to do before the run stops; go on with --resume"
    )
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--threads", type=int)
    options.add_argument("--checkpoint", type=Path, help="written after every epoch")
    options.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    found = options.parse_args()
    if found.resume and not (found.checkpoint and found.checkpoint.exists()):
        options.error("--resume: expected --checkpoint with a file that exists")
    return found


def folder(name: str) -> Path:
    """FASTRNN_DATA/name; ends the script if it is missing."""
    place = Path(os.environ.get("FASTRNN_DATA", ".")) / name
    if not place.is_dir():
        raise SystemExit(f"FASTRNN_DATA: expected a folder that has {name}/, got {place.parent}")
    return place


def streams(vocabulary: Vocabulary, text: str, batch: int, steps: int, *, whole: bool = False) -> Streams:
    """Chunks of a text."""
    return Streams(vocabulary.encode(text), batch, steps, whole=whole)


def run(task: Task, options: argparse.Namespace) -> None:
    """Train, a line for each epoch; and the losses at the end, of the best epoch and of the last."""
    name = options.peer or "fastrnn"
    threads = set_threads(options.threads, peer(name) if options.peer else None)
    model = MODELS[name](task.config, task.optimizer, task.schedule.base, options.seed)
    if options.compute is not None:
        if options.peer:
            raise SystemExit(f"--compute: expected none with --peer, got {options.compute}")
        model.model.set_compute(options.compute, strict=True)
    if task.uniform is not None:
        draw = np.random.default_rng(options.seed)
        parameters = model.parameters().items()
        values = {n: draw.uniform(-task.uniform, task.uniform, p.shape) for n, p in sorted(parameters)}
        model.load({n: a.astype(np.float32) for n, a in values.items()})
    done: dict[str, Any] = {"epoch": 0, "seconds": 0.0, "best": math.inf, "best_parameters": {}}
    settings = {"task": task.name, "model": name, "seed": options.seed, "epochs": options.epochs}
    settings["compute"] = options.compute or "float32"
    if options.resume:
        saved = checkpoint.load(options.checkpoint)
        if saved["settings"] != settings:
            raise SystemExit(f"--resume: expected {saved['settings']}, as the run began, got {settings}")
        model.load_state_dict(saved["model"])
        done = saved["done"]
    size = sum(p.size for p in model.parameters().values())
    kind = f"{size:,} parameters, {settings['compute']}, seed {options.seed}, {threads} threads"
    print(f"{task.name} on {name}: {kind}", flush=True)
    last = min(options.epochs, done["epoch"] + (options.stop_after or options.epochs))
    for epoch in range(done["epoch"], last):
        train_epoch(model, task, epoch, done)
        done["epoch"] = epoch + 1
        if options.checkpoint:
            checkpoint.save(
                options.checkpoint, {"settings": settings, "model": model.state_dict(), "done": done}
            )
    report(model, task, done)


def train_epoch(model: Any, task: Task, epoch: int, done: dict[str, Any]) -> None:
    """One pass over the training data, then the held-out loss; only the pass is on the clock."""
    start, cpu, total, count = time.perf_counter(), time.process_time(), 0.0, len(task.training)
    model.state = None
    for k, chunk in enumerate(task.training):
        model.lr = task.schedule.lr(epoch * count + k, epoch)
        total += model.step(*model.prepare(*chunk), task.max_norm)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    done["seconds"] += seconds
    label, data = task.held_out
    loss = evaluate(model, data)
    if loss < done["best"]:
        done["best"], done["best_epoch"] = loss, epoch + 1
        done["best_parameters"] = {name: p.copy() for name, p in model.parameters().items()}
    speed = f"{seconds:.1f} s ({cpu:.1f} s of processors)  {task.training.tokens / seconds:,.0f} tokens/s"
    print(
        f"epoch {epoch + 1:3}  loss {total / count:.4f}  {label} {loss:.4f} (perplexity {math.exp(loss):.2f})"
        f"  lr {model.lr:.4g}  {speed}",
        flush=True,
    )


def evaluate(model: Any, data: Streams) -> float:
    """Mean loss over all tokens, in nats."""
    total, count, state = 0.0, 0, None
    for chunk in data:
        part, terms, state = model.total(*model.prepare(*chunk), state)
        total, count = total + part, count + terms
    return total / count


def report(model: Any, task: Task, done: dict[str, Any]) -> None:
    """The final losses."""
    print(f"training time {done['seconds']:.1f} s, {done['epoch']} epochs")
    label, _ = task.held_out
    print(f"best {label} {done['best']:.4f} after {done.get('best_epoch', 0)} epochs")
    last = {name: p.copy() for name, p in model.parameters().items()}
    for which, parameters in (("last", last), ("best", done["best_parameters"])):
        model.load(parameters)
        for name, data in task.final.items():
            loss = evaluate(model, data)
            print(f"{name}, {which} epoch: loss {loss:.4f}, perplexity {math.exp(loss):.2f}", flush=True)
