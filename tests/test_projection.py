"""LSTM(proj_size=): PyTorch's packed sequences, and messages. The rest is in the tests of all cells."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import checks
import numpy as np
import pytest
from errors import STATE, Case, H, I, X, check
from problems import make_problem

from fastrnn import GRU, LSTM, RNN, explain

T, B = 9, 5


@pytest.mark.peer
@pytest.mark.parametrize("options", [{}, {"num_layers": 3, "bidirectional": True}], ids=str)
def test_packed_sequences(
    torch: ModuleType, rng: np.random.Generator, dtype: np.dtype, options: dict[str, Any]
) -> None:
    """Rows of unlike lengths: outputs, states, and gradients by x, states and parameters."""
    problem = make_problem(rng, "Projected", (T, B, 4, 19), dtype, **options)
    layer, lengths = problem.layer, np.array([3, T, 1, T, 5])
    past = np.arange(T)[:, None, None] >= lengths[:, None]
    (y, final), pullback = layer.vjp(problem.x, problem.state, lengths)
    layer.zero_grad()
    dx, dstate = pullback(problem.dy, problem.dstate)
    got = {"y": y, "h": final[0], "c": final[1], "d x": dx, "d h": dstate[0], "d c": dstate[1]}
    got |= {f"d {name}": a for name, a in layer.grads.items()}

    theirs = torch.nn.LSTM(4, 19, proj_size=9, dtype=torch.float64, **options)
    theirs.load_state_dict({name: torch.tensor(a) for name, a in layer.params.items()})
    x, h, c = (torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in (problem.x, *problem.state))
    rnn = torch.nn.utils.rnn
    packed, (hn, cn) = theirs(rnn.pack_padded_sequence(x, lengths, enforce_sorted=False), (h, c))
    out, _ = rnn.pad_packed_sequence(packed)
    loss = (out * torch.tensor(np.where(past, 0, problem.dy))).sum()
    loss = loss + sum((a * torch.tensor(d)).sum() for a, d in zip((hn, cn), problem.dstate, strict=True))
    loss.backward()
    want = {"y": out, "h": hn, "c": cn, "d x": x.grad, "d h": h.grad, "d c": c.grad}
    want |= {f"d {name}": p.grad for name, p in theirs.named_parameters()}
    checks.runs_close(got, {name: a.detach().numpy() for name, a in want.items()}, "peer", "peer")


def test_explain_counts_the_projection() -> None:
    (found,) = explain(LSTM(8, 32, proj_size=16), 10, 4)
    assert found["flops"] == 6 * 10 * 4 * (4 * 32 * (8 + 16) + 16 * 32)


ERRORS: dict[str, Case] = {
    "projection of a GRU": (
        lambda: GRU(I, H, proj_size=3),
        ValueError,
        "proj_size: expected 0 for GRU, got 3",
    ),
    "projection of an RNN": (
        lambda: RNN(I, H, proj_size=3),
        ValueError,
        "proj_size: expected 0 for RNN, got 3",
    ),
    "projection and peepholes": (
        lambda: LSTM(I, H, peephole="full", proj_size=3),
        ValueError,
        "proj_size: expected 0 because peephole is 'full', got 3",
    ),
    "projection and coupled": (
        lambda: LSTM(I, H, coupled=True, proj_size=3),
        ValueError,
        "proj_size: expected 0 because coupled is True, got 3",
    ),
    "projection as wide as c": (
        lambda: LSTM(I, H, proj_size=H),
        ValueError,
        "proj_size: expected an int <= 5, got 6",
    ),
    "projection below zero": (
        lambda: LSTM(I, H, proj_size=-1),
        ValueError,
        "proj_size: expected an int >= 0, got -1",
    ),
    "projection of no number": (
        lambda: LSTM(I, H, proj_size=2.0),
        TypeError,
        "proj_size: expected an int, got 2.0",
    ),
    "state of a projection": (
        lambda: LSTM(I, H, proj_size=2)(X, (STATE, STATE)),
        ValueError,
        "h: expected shape (L, B, P) = (1, 3, 2), got (1, 3, 6)",
    ),
    "weights of a projection": (
        lambda: LSTM(I, H, proj_size=2).load_params(
            {**LSTM(I, H, proj_size=2).params, "weight_hr_l0": np.zeros((6, 2), np.float32)}
        ),
        ValueError,
        "weight_hr_l0: expected shape (P, H) = (2, 6), got (6, 2)",
    ),
}


@pytest.mark.parametrize("what", ERRORS)
def test_errors(what: str) -> None:
    check(ERRORS[what])
