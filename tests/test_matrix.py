"""The matrix of cells and options in docs/cells.md is what the classes do; a script that prints it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from conftest import checkout

import fastrnn
from fastrnn.layers.options import family

T, B, I, H = 130, 2, 3, 4  # long enough for a scan
Make = Callable[..., Any]

CELLS: dict[str, Make] = {
    **{
        f'`RNN("{f}")`': partial(fastrnn.RNN, nonlinearity=f) for f in ("tanh", "relu", "sigmoid", "identity")
    },
    "`LSTM`": fastrnn.LSTM,
    "`LSTM(coupled=True)`": partial(fastrnn.LSTM, coupled=True),
    '`LSTM(peephole="diagonal")`': partial(fastrnn.LSTM, peephole="diagonal"),
    '`LSTM(peephole="full")`': partial(fastrnn.LSTM, peephole="full"),
    "`LSTM(proj_size=)`": partial(fastrnn.LSTM, proj_size=2),
    '`LSTM(layer_norm="all")`': partial(fastrnn.LSTM, layer_norm="all"),
    '`LSTM(layer_norm="gate")`': partial(fastrnn.LSTM, layer_norm="gate"),
    "`DepthGatedLSTM`": fastrnn.DepthGatedLSTM,
    '`GRU(reset="after")`': fastrnn.GRU,
    '`GRU(reset="before")`': partial(fastrnn.GRU, reset="before"),
    '`GRU(layer_norm="all")`': partial(fastrnn.GRU, layer_norm="all"),
    '`GRU(layer_norm="gate")`': partial(fastrnn.GRU, layer_norm="gate"),
    "`MinGRU`": fastrnn.MinGRU,
    "`MinLSTM`": fastrnn.MinLSTM,
    "`MinGRU(scan=True)`": partial(fastrnn.MinGRU, scan=True),
    "`MinLSTM(scan=True)`": partial(fastrnn.MinLSTM, scan=True),
    "`SCRN`": partial(fastrnn.SCRN, context_size=2),
    "`SCRN(learn_alpha=True)`": partial(fastrnn.SCRN, context_size=2, learn_alpha=True),
    "`ClockworkRNN`": fastrnn.ClockworkRNN,
}


def trained(make: Make, lengths: Any = None, **options: Any) -> Any:
    """A forward and a backward pass; y, x and states."""
    layer = make(I, H, seed=0, **options)
    x = np.ones((T, B, I), layer.dtype)
    (_, state), _ = layer.vjp(x, None, lengths, key=0)
    (y, state), pullback = layer.vjp(x, tuple(0 * s for s in state), lengths, key=0)
    dx, dstate = pullback(np.ones_like(y), tuple(np.ones_like(s) for s in state))
    assert dx.shape == x.shape
    assert [d.shape for d in dstate] == [s.shape for s in state]
    return y


def tokens(make: Make) -> None:
    """An embedding before the layer, whether it is joined with it or not."""
    model = fastrnn.Sequential(fastrnn.Embedding(5, I, seed=0), make(I, H, seed=0))
    (y, _), pullback = model.vjp(np.ones((T, B), np.int64))
    pullback(np.ones_like(y))


def objective(make: Make, mask: Any = None, **options: Any) -> None:
    """A loss on the outputs, or on some of them, and its gradients."""
    layer = make(I, H, seed=0)
    f = fastrnn.value_and_grad(layer, fastrnn.losses.MSE(), **options)
    f(np.ones((T, B, I), np.float32), np.ones((T, B, layer.output_size), np.float32), mask=mask)


OPTIONS: dict[str, Callable[[Make], Any]] = {
    "stacked, `dropout`": lambda make: trained(make, num_layers=3, dropout=0.5),
    "`bidirectional`": lambda make: trained(make, bidirectional=True),
    "states in, gradients out": trained,
    "`lengths`": lambda make: trained(make, [T - 1, 0]),
    "`batch_first`": lambda make: trained(partial(make, batch_first=True)),
    "float64": lambda make: trained(make, dtype="float64"),
    "token input": tokens,
    "`prepare()`, `step()`": lambda make: make(I, H).prepare().step(np.ones((B, I), "f4")),
    "`proj_size`": lambda make: trained(make, proj_size=3),
    "`recurrent_dropout`": lambda make: trained(make, recurrent_dropout=0.5),
    "`zoneout`": lambda make: trained(make, zoneout=0.5),
    "`tbptt`": lambda make: objective(make, tbptt=(5, 9)),
    "loss `mask`": lambda make: objective(make, np.arange(T * B).reshape(T, B) % 3 == 0),
    "`init.orthogonal`": lambda make: fastrnn.init.orthogonal(make(I, H), seed=0),
    "`init.identity`": lambda make: fastrnn.init.identity(make(I, H)),
    "`init.xavier`": lambda make: fastrnn.init.xavier(make(I, H), seed=0),
    "`init.forget_bias`": lambda make: fastrnn.init.forget_bias(make(I, H), 1.0),
}
# A value of each option that only some classes have; of proj_size all have 0.
OWN: dict[str, Any] = {
    "nonlinearity": "relu",
    "peephole": "full",
    "coupled": True,
    "layer_norm": "all",
    "reset": "before",
    "scan": True,
    "context_size": 3,
    "alpha": 0.5,
    "learn_alpha": True,
    "periods": (1, 2),
    "module_sizes": (2, 2),
}


def matrix() -> list[str]:
    """The table, and the errors of its empty squares."""
    lines = ["| | " + " | ".join(OPTIONS) + " |", "|---" * (len(OPTIONS) + 1) + "|"]
    errors = dict[str, dict[str, None]]()  # of an option, each once
    for cell, make in CELLS.items():
        squares = []
        for option, use in OPTIONS.items():
            try:
                use(make)
                squares.append("yes")
            except ValueError as error:
                squares.append("–")
                text = str(error).replace(type(make(I, H)).__name__, "...")
                errors.setdefault(option, {})[f"`{text}`"] = None
        lines.append(f"| {cell} | {' | '.join(squares)} |")
    if errors:
        lines += ["", "Each empty square is a `ValueError`, ... being the class:", ""]
    return lines + [f"- {option}: {'; '.join(texts)}" for option, texts in errors.items()]


def is_on(page: str) -> None:
    """The page has the matrix, line by line."""
    begin, end = (page.index(f"<!-- {mark} -->") for mark in ("matrix", "end of the matrix"))
    assert page[begin:end].splitlines()[1:] == ["", *matrix(), ""]


def test_the_page_has_it() -> None:
    page = (checkout() / "docs" / "cells.md").read_text(encoding="utf-8")
    is_on(page)
    with pytest.raises(AssertionError):
        is_on(page.replace("| yes |", "| – |", 1))


CLASSES = list(family(fastrnn.layers.Recurrent))


def test_every_class_is_in_it() -> None:
    made = {type(make(I, H)) for make in CELLS.values()}
    assert set(CLASSES) == made
    assert {*OWN, "proj_size"} == {name for kind in CLASSES for name in kind._own}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", OWN)
def test_options_of_other_cells(kind: Any, name: str) -> None:
    if name in kind._own:
        return
    sizes = (I, H, 2) if "context_size" in kind._own else (I, H)
    with pytest.raises(ValueError, match="expected no such option") as raised:
        kind(*sizes, **{name: OWN[name]})
    got = "tuple" if isinstance(OWN[name], tuple) else repr(OWN[name])
    assert str(raised.value) == f"{name}: expected no such option for {kind.__name__}, got {got}"
    with pytest.raises(TypeError, match="unexpected keyword argument 'no_option'"):
        kind(*sizes, no_option=1)


if __name__ == "__main__":
    sys.stdout.write("\n".join(matrix()) + "\n")
