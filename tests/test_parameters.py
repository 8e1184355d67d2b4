"""Who owns what: flat buffers, versions, one-shot pullbacks, copies, moves."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
from typing import Any

import checks
import numpy as np
import pytest

import fastrnn
from fastrnn import LSTM, Embedding, Linear, Sequential

T, B, I, H, V = 6, 3, 5, 17, 7


def normal(rng: np.random.Generator, dtype: Any, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(dtype)


def test_names_are_those_of_torch() -> None:
    assert list(LSTM(I, H, 2).params) == [
        *("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"),
        *("weight_ih_l1", "weight_hh_l1", "bias_ih_l1", "bias_hh_l1"),
    ]
    assert list(LSTM(I, H, bias=False).params) == ["weight_ih_l0", "weight_hh_l0"]
    assert [a.shape for a in LSTM(I, H, 2).params.values()][::4] == [(4 * H, I), (4 * H, H)]
    assert list(Linear(I, H).params) == ["weight", "bias"]
    assert list(Embedding(V, I).params) == ["weight"]


@pytest.mark.peer
def test_state_dict_of_torch_loads(torch: Any, rng: np.random.Generator) -> None:
    theirs = torch.nn.Sequential(torch.nn.Embedding(V, I), torch.nn.LSTM(I, H, 2))
    ours = Sequential(Embedding(V, I), LSTM(I, H, 2))
    assert list(ours.params) == list(theirs.state_dict())
    ours.load_params(theirs.state_dict())
    tokens = rng.integers(0, V, (T, B))
    y, _ = ours(tokens)
    checks.close(y, theirs(torch.from_numpy(tokens))[0].detach().numpy(), "peer")


def test_one_aligned_buffer() -> None:
    model = Sequential(Embedding(V, I), LSTM(I, H, 2), Linear(H, 2))
    for flat, named in ((model.flat_params, model.params), (model.flat_grads, model.grads)):
        assert flat.ctypes.data % 64 == 0
        assert flat.flags.c_contiguous
        joined = np.concatenate([a.ravel() for a in named.values()])
        checks.same_bits(flat, joined)
        assert all(np.shares_memory(a, flat) for a in named.values())
    lstm_part = model.children["1"]
    assert lstm_part.params["bias_hh_l1"] is not model.params["1.bias_hh_l1"]
    assert np.shares_memory(lstm_part.params["bias_hh_l1"], model.params["1.bias_hh_l1"])
    with pytest.raises(TypeError):
        model.params["1.bias_hh_l1"] = np.zeros(4 * H)  # type: ignore[index]


def test_default_parameters() -> None:
    for layer, bound in (
        (LSTM(I, H, 2, seed=0), H**-0.5),
        (Linear(H, 300, seed=0), H**-0.5),
        (Embedding(300, I), 0.1),
    ):
        size = np.abs(layer.flat_params).max()
        assert 0.98 * bound < size <= bound * (1 + 1e-6)
    checks.same_bits(LSTM(I, H, seed=3).flat_params, LSTM(I, H, seed=3).flat_params)
    checks.same_bits(
        LSTM(I, H, seed=3).flat_params, LSTM(I, H, seed=3, dtype="float64").flat_params.astype("f4")
    )
    assert (LSTM(I, H, seed=3).flat_params != LSTM(I, H, seed=4).flat_params).mean() > 0.99
    assert (LSTM(I, H).flat_params != LSTM(I, H).flat_params).mean() > 0.99


def every_layer() -> list[tuple[Any, tuple[int, ...]]]:
    """Layers with parameters, and the shape of an input."""
    return [
        (LSTM(I, H, 2, seed=1), (T, B, I)),
        (Linear(I, H, seed=1), (T, B, I)),
        (Sequential(Linear(I, H, seed=1), Linear(H, 2, seed=2)), (T, B, I)),
        (Sequential(LSTM(I, H, seed=1), Linear(H, 2, seed=2)), (T, B, I)),
    ]


def run(layer: Any, x: np.ndarray) -> tuple[np.ndarray, Any]:
    """The output and a function of dy and grads."""
    out, pullback = layer.vjp(x)
    y = out[0] if layer.recurrent else out
    if layer.recurrent:
        return y, lambda dy, grads=None: pullback(dy, None, grads)
    return y, pullback


@pytest.mark.parametrize("which", range(4))
def test_a_pullback_is_one_shot(rng: np.random.Generator, which: int) -> None:
    layer, shape = every_layer()[which]
    y, pullback = run(layer, normal(rng, "float32", *shape))
    pullback(y)
    before = layer.flat_grads.copy()
    with pytest.raises(RuntimeError, match=r"^pullback: expected one call, got a second; call vjp again$"):
        pullback(y)
    checks.same_bits(layer.flat_grads, before)


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("change", ["step", "load", "touch", "move"])
def test_a_pullback_does_not_outlive_its_parameters(
    rng: np.random.Generator, which: int, change: str
) -> None:
    layer, shape = every_layer()[which]
    y, pullback = run(layer, normal(rng, "float32", *shape))
    if change == "step":
        fastrnn.optim.SGD(layer, 0.1).step()
    elif change == "load":
        layer.load_params(dict(layer.params))
    elif change == "touch":
        layer.touch()
    else:
        Sequential(layer, Linear(2, 2))
    before = layer.flat_grads.copy()
    with pytest.raises(
        RuntimeError, match=r"^pullback: expected the parameters of its forward pass, got changed ones"
    ):
        pullback(y)
    checks.same_bits(layer.flat_grads, before)


@pytest.mark.parametrize("which", range(4))
def test_where_gradients_go(rng: np.random.Generator, which: int) -> None:
    layer, shape = every_layer()[which]
    x = normal(rng, "float32", *shape)
    y, pullback = run(layer, x)
    pullback(y)
    want = layer.flat_grads.copy()
    assert want.any()
    layer.zero_grad()
    assert not layer.flat_grads.any()

    flat = np.zeros_like(layer.flat_grads)
    run(layer, x)[1](y, flat)
    checks.same_bits(flat, want)
    named = {name: np.zeros_like(a) for name, a in layer.grads.items()}
    run(layer, x)[1](y, named)
    checks.same_bits(np.concatenate([a.ravel() for a in named.values()]), want)
    assert not layer.flat_grads.any()

    run(layer, x)[1](y)
    run(layer, x)[1](y)
    checks.close(layer.flat_grads, 2 * want, "identity")


def test_threads_add_without_loss(rng: np.random.Generator) -> None:
    layer, x, count = LSTM(I, H, seed=1), normal(rng, "float32", T, B, I), 8
    (y, _), pullback = layer.vjp(x)
    pullback(np.ones_like(y))
    want = layer.flat_grads * count
    layer.zero_grad()

    def work() -> None:
        layer.vjp(x)[1](np.ones_like(y))

    workers = [threading.Thread(target=work) for _ in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    checks.close(layer.flat_grads, want, "identity")


def test_pullbacks_run_in_any_order(rng: np.random.Generator) -> None:
    layer = LSTM(I, H, seed=1)
    xs = [normal(rng, "float32", T, B, I) for _ in range(3)]
    want = [layer.vjp(x)[1](np.ones((T, B, H), "f4"))[0] for x in xs]
    pullbacks = [layer.vjp(x)[1] for x in xs]
    for k in (1, 2, 0):
        gc.collect()
        checks.same_bits(pullbacks[k](np.ones((T, B, H), "f4"))[0], want[k])


def test_y_is_read_only(rng: np.random.Generator) -> None:
    layer, x = LSTM(I, H), normal(rng, "float32", T, B, I)
    for y in (layer(x)[0], layer.vjp(x)[0][0]):
        with pytest.raises(ValueError, match="read-only"):
            y[0] = 0


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))], ids=["copy", "pickle"]
)
def test_copies_are_whole_and_apart(rng: np.random.Generator, which: int, duplicate: Any) -> None:
    layer, shape = every_layer()[which]
    x = normal(rng, "float32", *shape)
    twin = duplicate(layer)
    assert list(twin.params) == list(layer.params)
    checks.same_bits(twin.flat_params, layer.flat_params)
    assert not np.shares_memory(twin.flat_params, layer.flat_params)
    assert all(np.shares_memory(a, twin.flat_params) for a in twin.params.values())
    assert twin.flat_params.ctypes.data % 64 == 0
    y, pullback = run(layer, x)
    pullback(y)
    assert not twin.flat_grads.any()
    again, pullback = run(twin, x)
    checks.same_bits(again, y)
    pullback(y)
    checks.same_bits(twin.flat_grads, layer.flat_grads)


def test_a_part_can_be_copied_out() -> None:
    model = Sequential(Embedding(V, I), LSTM(I, H))
    twin = copy.deepcopy(model.children["1"])
    checks.same_bits(twin.flat_params, model.children["1"].flat_params)
    assert twin.flat_params.base.size < model.flat_params.size + 16


def test_a_layer_has_one_owner() -> None:
    embedding, lstm_layer, head = Embedding(V, I), LSTM(I, H), Linear(H, 2)
    first = Sequential(embedding, lstm_layer)
    again = Sequential(embedding, lstm_layer)
    assert np.shares_memory(first.flat_params, again.flat_params)
    tokens = np.zeros((T, B), np.int64)
    first(tokens)
    whole = Sequential(first, head)
    first(tokens)
    whole(tokens)
    with pytest.raises(
        RuntimeError, match=r"^Sequential: expected to own its layers, got some that another model"
    ):
        again(tokens)
    with pytest.raises(RuntimeError, match=r"^Sequential: expected to own its layers"):
        again.vjp(tokens)
    with pytest.raises(RuntimeError, match=r"^Sequential: expected to own its layers"):
        copy.deepcopy(again)


def test_moving_keeps_values_and_gradients(rng: np.random.Generator) -> None:
    layer = LSTM(I, H, seed=1)
    (y, _), pullback = layer.vjp(normal(rng, "float32", T, B, I))
    pullback(y)
    params, grads = layer.flat_params.copy(), layer.flat_grads.copy()
    model = Sequential(layer, Linear(H, 2))
    checks.same_bits(layer.flat_params, params)
    checks.same_bits(layer.flat_grads, grads)
    checks.same_bits(model.flat_grads[: grads.size], grads)


def test_load_params_takes_all_or_nothing() -> None:
    layer, other = Linear(I, H, seed=1), Linear(I, H, seed=2)
    layer.load_params(other.params)
    checks.same_bits(layer.flat_params, other.flat_params)
    before = layer.flat_params.copy()
    with pytest.raises(ValueError, match=r"^bias: expected shape"):
        layer.load_params({"weight": np.ones((H, I), "f4"), "bias": np.ones(H + 1, "f4")})
    checks.same_bits(layer.flat_params, before)
