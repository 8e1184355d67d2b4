"""Every cell at equal parameters on four tasks: what it learns, and what a training step costs.

``python bench/which_cell.py run RESULTS.jsonl`` trains, a line for each run; killed, it goes on where it
was. ``table RESULTS.jsonl`` prints means over the seeds, ``time`` what a step costs beside the LSTM's, all
in one process. Data: ``$FASTRNN_DATA/{tinyshakespeare,ptb,atis}``, see README.md.

A layer with at most ``cell_tasks.PARAMETERS`` parameters between an embedding and softmax; Adam, clipping at
1, the same rate for all. So this ranks cells after a short training with one setting, not after one of their
own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cell_tasks import CELLS, EMBEDDING, TASKS, widest

from fastrnn._timing import interleave

SEEDS = 3


def read(path: Path) -> list[dict[str, Any]]:
    """All lines."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run(path: Path, tasks: list[str], cells: list[str]) -> None:
    """Do all runs that have no line yet."""
    done = {(r["task"], r["cell"], r["seed"]) for r in read(path)}
    made: dict[str, Any] = {}
    for seed, task, cell in itertools.product(range(SEEDS), tasks, cells):
        if (task, cell, seed) in done:
            continue
        if task not in made:
            made[task] = TASKS[task][0]()
        score = made[task].run(cell, seed)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"task": task, "cell": cell, "seed": seed, "score": score}) + "\n")


def square(scores: list[float], runs: int) -> str:
    """Mean, how far the farthest is from it, and what is not in them."""
    notes = [f"{runs - len(scores)} diverged"] if len(scores) < runs else []
    notes += [f"{runs} seed{'s' * (runs > 1)}"] if 0 < runs < SEEDS else []
    mean = sum(scores) / max(len(scores), 1)
    spread = f" ± {max(abs(score - mean) for score in scores):.1g}" if len(scores) > 1 else ""
    return ", ".join([f"{mean:.3g}{spread}", *notes] if scores else notes)


def table(path: Path) -> None:
    """Mean over the seeds, and how far the farthest is from it."""
    results = read(path)
    print("| | H | " + " | ".join(f"{task}, {unit}" for task, (_, unit) in TASKS.items()) + " |")
    print("|---|---|" + "---|" * len(TASKS))
    for cell in CELLS:
        squares = []
        for task in TASKS:
            found = [r["score"] for r in results if (r["task"], r["cell"]) == (task, cell)]
            squares.append(square([score for score in found if math.isfinite(score)], len(found)))
        print(f"| {cell} | {widest(cell)} | " + " | ".join(squares) + " |")


def timing() -> None:
    """A training step of the layer alone, T = 64, B = 32, in units of the LSTM's in the same round."""
    x = np.random.default_rng(0).standard_normal((64, 32, EMBEDDING), np.float32)

    def step(layer: Any) -> Callable[[], float]:
        def turn() -> float:
            (y, _), pullback = layer.vjp(x)
            pullback(y)
            start = time.perf_counter()
            for _ in range(5):
                (y, _), pullback = layer.vjp(x)
                pullback(y)
            return (time.perf_counter() - start) / 5

        return turn

    turns = {cell: step(make(EMBEDDING, widest(cell), seed=0)) for cell, make in CELLS.items()}
    seconds = {cell: np.array(found) for cell, found in interleave(turns, 31).items()}
    for cell, found in seconds.items():
        ratio = found / seconds["LSTM"]
        low, high = np.quantile(ratio, [0.25, 0.75])
        spread = f"{np.median(ratio):.2f} ({low:.2f} to {high:.2f})"
        print(f"{cell}: {1e3 * np.median(found):.2f} ms, {spread} of the LSTM")


def main() -> None:
    """Read the command."""
    arguments = argparse.ArgumentParser(description="Every cell at equal parameters.")
    commands = arguments.add_subparsers(dest="command", required=True)
    for name in ("run", "table"):
        command = commands.add_parser(name)
        command.add_argument("results", type=Path)
        if name == "run":
            command.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
            command.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    commands.add_parser("time")
    options = arguments.parse_args()
    if options.command == "run":
        run(options.results, options.tasks, options.cells)
    elif options.command == "table":
        table(options.results)
    else:
        timing()


if __name__ == "__main__":
    main()
