"""Which cells remember, and for how long: the adding problem and the copy task over T steps.

python long_memory.py run RESULTS.jsonl        train: a line for each run; killed, it goes on where it was
python long_memory.py table RESULTS.jsonl      how many seeds solved each task, and after how many updates
python long_memory.py flow [--plot FILE.png]   how much of the gradient is left after T steps, before training

Adding (Hochreiter and Schmidhuber 1997): x has a number in [0, 1) and a marker; two steps are marked, one in
each half, and the answer after the last step is the sum of their numbers. Always answering 1 has a mean
squared error of 1/6; solved is less than 0.01.

Copy (Arjovsky et al. 2016, with a shorter word): a word of 3 out of 8 symbols, T blanks, a signal, then the
word is to be said again. Guessing gets one symbol in 8 right; solved is more than 99 in 100.

Every cell has the same number of units, batch, number of updates and clipping, and Adam. Gates begin with the
biases of Tallec and Ollivier 2018 (arXiv:1804.11188): at each step a unit forgets, and takes in, 1 / u of its
state, u being uniform in [1, T - 1].
"""

import argparse
import itertools
import json
import math
import time
from pathlib import Path

import numpy as np

import fastrnn

T = (50, 100, 200, 400)
SEEDS = 5
HIDDEN, BATCH, UPDATES, CHECK_EVERY = 32, 16, 5000, 100
SYMBOLS, WORD = 8, 3


def adding(rng, steps, rows):
    """Return x [T, B, 2], targets [T, B, 1] and which of them count: those of the last step."""
    x = np.zeros((steps, rows, 2), np.float32)
    x[..., 0] = rng.random((steps, rows))
    marked = rng.integers(0, steps // 2, rows), rng.integers(steps // 2, steps, rows)
    targets, counts = np.zeros((steps, rows, 1), np.float32), np.zeros((steps, rows), bool)
    counts[-1] = True
    for step in marked:
        x[step, np.arange(rows), 1] = 1
        targets[-1, :, 0] += x[step, np.arange(rows), 0]
    return x, targets, counts


def copying(rng, steps, rows):
    """Return x [T + 2 * WORD, B, SYMBOLS + 2], one-hot, targets and which of them count: the word's."""
    word = rng.integers(0, SYMBOLS, (WORD, rows))
    seen = np.full((steps + 2 * WORD, rows), SYMBOLS)
    targets, counts = np.zeros_like(seen), np.zeros(seen.shape, bool)
    seen[:WORD], seen[-WORD - 1] = word, SYMBOLS + 1
    targets[-WORD:], counts[-WORD:] = word, True
    return np.eye(SYMBOLS + 2, dtype=np.float32)[seen], targets, counts


def chrono(layer, steps, seed, keep, take=None):
    """Set the bias of the gate that keeps to log(u), and that of the gate that takes in to -log(u)."""
    scale = np.log(np.random.default_rng(seed).uniform(1, steps - 1, HIDDEN))
    for gate, value in ((keep, scale), (take, -scale)):
        if gate is not None:
            rows = slice(gate * HIDDEN, (gate + 1) * HIDDEN)
            layer.params["bias_ih_l0"][rows], layer.params["bias_hh_l0"][rows] = value, 0
    return layer


def lstm(inputs, steps, seed, **options):
    """Return an LSTM, whose gates are i, f, g, o."""
    return chrono(fastrnn.LSTM(inputs, HIDDEN, seed=seed, **options), steps, seed, keep=1, take=0)


def gru(inputs, steps, seed):
    """Return a GRU, whose gates are r, z, n; z keeps, and 1 - z takes in."""
    return chrono(fastrnn.GRU(inputs, HIDDEN, seed=seed), steps, seed, keep=1)


def tanh(inputs, steps, seed):
    """Return a simple network that begins with an orthogonal matrix, which neither bends nor stretches."""
    return fastrnn.init.orthogonal(fastrnn.RNN(inputs, HIDDEN, seed=seed), seed=seed)


def irnn(inputs, steps, seed):
    """Return a ReLU network that begins by keeping what it has (Le et al. 2015)."""
    layer = fastrnn.RNN(inputs, HIDDEN, nonlinearity="relu", seed=seed)
    layer.params["weight_ih_l0"][...] *= 0.1
    return fastrnn.init.identity(layer)


def scrn(inputs, steps, seed):
    """Return an SCRN of which half the units are context that forgets 1 in T at each step."""
    half = HIDDEN // 2
    return fastrnn.SCRN(inputs, half, half, alpha=1 - 1 / steps, seed=seed)


def clockwork(inputs, steps, seed):
    """Return a Clockwork network of eight modules, of which the slowest is updated every 128 steps."""
    return fastrnn.ClockworkRNN(inputs, HIDDEN, periods=[2**k for k in range(8)], seed=seed)


CELLS = {  # name: (inputs, T, seed) to layer, learning rate
    "tanh RNN": (tanh, 1e-3),
    "IRNN": (irnn, 1e-3),
    "LSTM": (lstm, 1e-2),
    "peephole LSTM": (lambda *sizes: lstm(*sizes, peephole="diagonal"), 1e-2),
    "GRU": (gru, 1e-2),
    "SCRN": (scrn, 1e-2),
    "Clockwork": (clockwork, 1e-2),
}
TASKS = {  # name: (examples, inputs, outputs)
    "adding": (adding, 2, 1),
    "copy": (copying, SYMBOLS + 2, SYMBOLS),
}


def make(task, cell, steps, seed):
    """Return a layer, the model and its loss as one function, and what gives the score of some examples."""
    _, inputs, outputs = TASKS[task]
    layer = CELLS[cell][0](inputs, steps, seed)
    if task == "adding":
        body = fastrnn.Sequential(layer, fastrnn.Linear(HIDDEN, outputs, seed=seed + 1))
        model = fastrnn.value_and_grad(body, fastrnn.losses.MSE())
        return layer, model, lambda x, targets, counts: model.loss(x, targets, mask=counts)[0]
    head = fastrnn.losses.LinearCrossEntropy(HIDDEN, outputs, seed=seed + 1)
    model = fastrnn.value_and_grad(layer, head)

    def wrong(x, targets, counts):
        y, _ = layer(x)
        return float(np.mean(head.logits(y[-WORD:]).argmax(-1) != targets[-WORD:]))

    return layer, model, wrong


def train(task, cell, steps, seed):
    """Train until solved or out of updates; what to write down."""
    examples = TASKS[task][0]
    rng, held_out = np.random.default_rng(seed), examples(np.random.default_rng(10**6), steps, 256)
    _, model, score = make(task, cell, steps, seed)
    optimizer = fastrnn.optim.Adam(model, lr=CELLS[cell][1])
    start, solved, last = time.perf_counter(), None, math.nan
    for update in range(1, UPDATES + 1):
        x, targets, counts = examples(rng, steps, BATCH)
        model(x, targets, mask=counts)
        optimizer.step(max_norm=1.0)
        if update % CHECK_EVERY == 0:
            last = score(*held_out)
            if last < 0.01:
                solved = update
                break
    seconds = round(time.perf_counter() - start, 1)
    return {
        "task": task,
        "cell": cell,
        "T": steps,
        "seed": seed,
        "solved": solved,
        "score": last,
        "seconds": seconds,
    }


def read(path):
    """Return the results; a line that was cut short is dropped, from the file too."""
    whole = (
        [line for line in path.read_text().splitlines(True) if line.endswith("\n")] if path.exists() else []
    )
    path.write_text("".join(whole))
    return [json.loads(line) for line in whole]


def run(path, tasks, cells):
    """Do all runs that have no line yet."""
    done = {(r["task"], r["cell"], r["T"], r["seed"]) for r in read(path)}
    for seed, steps, task, cell in itertools.product(range(SEEDS), T, tasks, cells):
        if (task, cell, steps, seed) not in done:
            line = json.dumps(train(task, cell, steps, seed))
            with open(path, "a", encoding="utf-8") as file:
                file.write(line + "\n")
            print(line, flush=True)


def table(path):
    """Print seeds that solved, of those that ran, and their median number of updates."""
    results = read(path)
    for task in TASKS:
        print(f"\n| {task} | " + " | ".join(f"T = {steps}" for steps in T) + " |")
        print("|---|" + "---|" * len(T))
        for cell in CELLS:
            squares = []
            for steps in T:
                found = [r for r in results if (r["task"], r["cell"], r["T"]) == (task, cell, steps)]
                solved = sorted(r["solved"] for r in found if r["solved"])
                median = f", {solved[len(solved) // 2]}" if solved else ""
                squares.append(f"{len(solved)} of {len(found)}{median}" if found else "")
            print(f"| {cell} | " + " | ".join(squares) + " |")


def flow(plot):
    """Print what is left of the gradient of the last step's output at earlier steps, and draw all of it."""
    print("| log10 of the gradient | " + " | ".join(f"{steps} steps back" for steps in (1, *T)) + " |")
    print("|---|" + "---|" * (1 + len(T)))
    flows = {}
    for cell in CELLS:
        x, _, _ = adding(np.random.default_rng(0), T[-1] + 1, 8)
        layer = CELLS[cell][0](2, T[-1], 0)
        flows[cell] = fastrnn.diagnosis.gradient_flow(layer, x, at=[T[-1]])
        left = sum(norms[-1, 0] ** 2 for norms in flows[cell].steps.values()) ** 0.5  # of all states together
        with np.errstate(divide="ignore"):
            logs = np.log10(left[[T[-1] - back for back in (1, *T)]] / left[T[-1]])
        print(f"| {cell} | " + " | ".join(f"{value:.1f}" for value in logs) + " |")
    if plot:
        draw(flows, plot)


def draw(flows, path):
    """Draw the norms over the steps, a line for each cell."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for cell, found in flows.items():
        axes.semilogy(sum(norms[-1, 0] ** 2 for norms in found.steps.values()) ** 0.5, label=cell)
    axes.set(xlabel="k", ylabel="|dJ(T)/ds(k)|", title=f"before training, T = {T[-1]}")
    axes.legend()
    figure.savefig(path)


def main():
    """Read the command."""
    arguments = argparse.ArgumentParser(description="Which cells remember, and for how long.")
    commands = arguments.add_subparsers(dest="command", required=True)
    for name in ("run", "table"):
        command = commands.add_parser(name)
        command.add_argument("results", type=Path, help="a file with a line of JSON for each run")
        if name == "run":
            command.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
            command.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    commands.add_parser("flow").add_argument("--plot", help="a picture to write; needs matplotlib")
    options = arguments.parse_args()
    if options.command == "run":
        run(options.results, options.tasks, options.cells)
    elif options.command == "table":
        table(options.results)
    else:
        flow(options.plot)


if __name__ == "__main__":
    main()
