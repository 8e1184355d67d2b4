"""A layer of fastrnn.torch beside torch.nn's, with the same parameters and the same input."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

Run = dict[str, np.ndarray]

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("LSTM", {}),
    ("GRU", {}),
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu"}),
    ("LSTM", {"proj_size": 3}),
]


def pair(torch: ModuleType, kind: str, sizes: tuple[int, ...], dtype: str, **options: Any) -> tuple[Any, Any]:
    """torch.nn's layer and ours, with equal parameters."""
    import fastrnn.torch

    torch.manual_seed(5)
    theirs = getattr(torch.nn, kind)(*sizes, dtype=getattr(torch, dtype), **options)
    ours = getattr(fastrnn.torch, kind)(*sizes, dtype=getattr(torch, dtype), **options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, ours


def states(torch: ModuleType, layer: Any, rows: int | None, seed: int = 7) -> tuple[Any, ...]:
    """Initial states that require gradients; without `rows`, of one sequence."""
    torch.manual_seed(seed)
    levels = layer.num_layers * (2 if layer.bidirectional else 1)
    widths = (layer.proj_size or layer.hidden_size, layer.hidden_size)[: 2 if layer.mode == "LSTM" else 1]
    shape = (levels,) if rows is None else (levels, rows)
    dtype = layer.weight_ih_l0.dtype
    return tuple([torch.randn(*shape, width, dtype=dtype, requires_grad=True) for width in widths])


def run(torch: ModuleType, layer: Any, x: Any, state: tuple[Any, ...] | None, seed: int = 11) -> Run:
    """y, last states, and every gradient of an inner product with random numbers."""
    packed = isinstance(x, torch.nn.utils.rnn.PackedSequence)
    leaf = x.data if packed else x
    hx = None if state is None else state if len(state) == 2 else state[0]
    torch.manual_seed(seed)  # for dropout
    y, last = layer(x, hx)
    last = last if isinstance(last, tuple) else (last,)
    outputs = {"y": y.data if packed else y} | {f"last{k}": part for k, part in enumerate(last)}
    torch.manual_seed(seed + 1)
    loss = sum((torch.randn(a.shape, dtype=a.dtype) * a).sum() for a in outputs.values())
    leaves = {"x": leaf, **{f"state{k}": part for k, part in enumerate(state or ())}}
    leaves |= dict(layer.named_parameters())
    grads = torch.autograd.grad(loss, list(leaves.values()))
    found = {name: a.detach().numpy() for name, a in outputs.items()}
    found |= {f"d {name}": g.numpy() for name, g in zip(leaves, grads, strict=True)}
    if packed:
        for name in ("batch_sizes", "sorted_indices", "unsorted_indices"):
            value = getattr(y, name)
            found[name] = np.zeros(0) if value is None else value.numpy().astype("float64")
    return found
