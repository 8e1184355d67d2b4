"""Layers: what they compute is the reference, and who owns what."""

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
from fastrnn import LSTM, Dropout, Embedding, Linear, Sequential
from fastrnn._random import fold
from fastrnn.layers import Composite, Layer
from fastrnn.reference import sequence, stack
from fastrnn.reference.cells import lstm

T, B, I, H, L, V = 6, 3, 5, 17, 3, 7
KEY = 2**70 + 3  # more than 64 bits: keys are taken modulo 2**64

OPTIONS: list[dict[str, Any]] = [
    {},
    {"bias": False},
    {"batch_first": True},
    {"num_layers": L},
    {"num_layers": L, "dropout": 0.4},
    {"num_layers": L, "dropout": 0.4, "batch_first": True, "bias": False},
]


def normal(rng: np.random.Generator, dtype: Any, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(dtype)


def reference_of(layer: Any) -> tuple[list[sequence.Weights], list[stack.Gap]]:
    """The layer's parameters in a wider type, and its dropout."""
    weights = []
    for level in range(layer.num_layers):
        kinds = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if layer.bias else ()))
        weights.append(
            sequence.Weights(*(layer.params[f"{k}_l{level}"].astype(np.longdouble) for k in kinds))
        )
    gaps = [stack.Gap(layer.dropout, fold(KEY, level), 2) for level in range(layer.num_layers - 1)]
    return weights, gaps if layer.dropout else []


def lstm_is_the_reference(layer: Any, rng: np.random.Generator) -> None:
    dtype, turn = layer.dtype, (1, 0, 2) if layer.batch_first else (0, 1, 2)
    x, dy = normal(rng, dtype, T, B, I), normal(rng, dtype, T, B, H)
    state = normal(rng, dtype, 2, layer.num_layers, B, H)
    dstate = normal(rng, dtype, 2, layer.num_layers, B, H)
    (y, final), pullback = layer.vjp(x.transpose(turn), tuple(state), KEY, 2)
    dx, dinitial = pullback(dy.transpose(turn), tuple(dstate))

    weights, gaps = reference_of(layer)
    wide = [a.astype(np.longdouble) for a in (x, dy, state, dstate)]
    levels = [tuple(wide[2][:, level]) for level in range(layer.num_layers)]
    want_y, want_final, saved = stack.forward(lstm, wide[0], weights, levels, gaps=gaps)
    dlevels = [tuple(wide[3][:, level]) for level in range(layer.num_layers)]
    want = stack.backward(lstm, saved, weights, wide[1], dlevels, gaps=gaps)

    checks.close(y.transpose(turn), want_y, "forward", "y")
    checks.close(dx.transpose(turn), want.x, "gradient", "dx")
    for part in range(2):
        checks.close(final[part], np.stack([s[part] for s in want_final]), "forward", f"state[{part}]")
        checks.close(dinitial[part], np.stack([s[part] for s in want.state]), "gradient", f"dstate[{part}]")
    flat = [a for w in want.weights for a in w if a is not None]
    for (name, got), expected in zip(layer.grads.items(), flat, strict=True):
        checks.close(got, expected, "gradient", f"grads[{name!r}]")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_lstm_is_the_reference(rng: np.random.Generator, dtype: np.dtype, options: dict[str, Any]) -> None:
    lstm_is_the_reference(LSTM(I, H, **options, dtype=dtype.name, seed=1), rng)


def test_the_check_sees_a_wrong_mask(rng: np.random.Generator) -> None:
    layer = LSTM(I, H, 2, dropout=0.4, dtype="float64", seed=1)
    vjp = layer.vjp
    layer.vjp = lambda x, state, key, step: vjp(x, state, key, step + 1)  # type: ignore[method-assign]
    with pytest.raises(AssertionError, match="y: .* eps, allowed"):
        lstm_is_the_reference(layer, rng)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_plain_call_is_vjp_without_dropout(rng: np.random.Generator, options: dict[str, Any]) -> None:
    layer = LSTM(I, H, **{**options, "dropout": 0.0}, seed=1)
    x = normal(rng, "float32", T, B, I)
    y, final = layer(x)
    (kept, kept_final), _ = layer.vjp(x)
    checks.same_bits(y, kept)
    checks.same_bits(np.stack(final), np.stack(kept_final))


def test_chunks_see_the_masks_of_the_whole(rng: np.random.Generator) -> None:
    model = Sequential(Dropout(0.3), LSTM(I, H, 2, dropout=0.4, seed=1), Dropout(0.2))
    x = normal(rng, "float32", T, B, I)
    (whole, final), _ = model.vjp(x, key=KEY, step=10)
    (first, state), _ = model.vjp(x[:4], key=KEY, step=10)
    (second, state), _ = model.vjp(x[4:], state, KEY, 14)
    checks.same_bits(np.concatenate([first, second]), whole)
    checks.same_bits(np.stack(state[0]), np.stack(final[0]))


@pytest.mark.parametrize("vocabulary", [V, T * B, T * B + 1], ids=["joined", "just joined", "apart"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_sequential_is_its_layers(rng: np.random.Generator, vocabulary: int, batch_first: bool) -> None:
    def layers() -> list[Any]:
        return [
            Embedding(vocabulary, I, seed=1),
            LSTM(I, H, 2, dropout=0.4, batch_first=batch_first, seed=2),
            Dropout(0.3, batch_first=batch_first),
            LSTM(H, I, batch_first=batch_first, seed=3),
            Linear(I, 2, seed=4),
        ]

    shape = (B, T) if batch_first else (T, B)
    tokens, dy = rng.integers(0, vocabulary, shape), normal(rng, "float32", *shape, 2)
    model, apart = Sequential(*layers()), layers()
    (y, state), pullback = model.vjp(tokens, key=KEY, step=2)
    dx, dstate = pullback(dy)
    assert dx is None

    embedding, first, dropout, second, head = apart
    rows, to_rows = embedding.vjp(tokens)
    (a, state_a), to_a = first.vjp(rows, key=fold(KEY, 1), step=2)
    b, to_b = dropout.vjp(a, fold(KEY, 2), 2)
    (c, state_c), to_c = second.vjp(b)
    want, to_want = head.vjp(c)
    dc, dstate_c = to_c(to_want(dy))
    da, dstate_a = to_a(to_b(dc))
    to_rows(da)
    checks.close(y, want, "identity")
    checks.close(np.stack(state[0]), np.stack(state_a), "identity")
    checks.close(np.stack(state[1]), np.stack(state_c), "identity")
    checks.close(np.stack(dstate[0]), np.stack(dstate_a), "identity")
    checks.close(np.stack(dstate[1]), np.stack(dstate_c), "identity")
    for place, layer in enumerate(apart):
        for name, grad in layer.grads.items():
            checks.close(model.grads[f"{place}.{name}"], grad, "identity", f"{place}.{name}")
    checks.same_bits(model(tokens)[0], head(second(first(embedding(tokens))[0])[0]))


def test_sequential_of_sequentials(rng: np.random.Generator) -> None:
    inner = Sequential(LSTM(I, H, seed=1), Linear(H, I, seed=2))
    model = Sequential(inner, Linear(I, 2, seed=3))
    assert list(model.params)[-3:] == ["0.1.bias", "1.weight", "1.bias"]
    x = normal(rng, "float32", T, B, I)
    (y, state), pullback = model.vjp(x)
    (z, again), _ = model.vjp(x, state)
    assert len(state) == 1
    assert len(state[0]) == 1
    dx, dstate = pullback(np.ones_like(y), grads=(grads := np.zeros_like(model.flat_grads)))
    assert dx.shape == x.shape
    assert grads.all()
    assert not model.flat_grads.any()


def test_plain_sequential_has_no_state(rng: np.random.Generator) -> None:
    model = Sequential(Linear(I, H, seed=1), Dropout(0.5), Linear(H, 2, seed=2))
    x = normal(rng, "float32", B, I)
    assert model(x).shape == (B, 2)
    y, pullback = model.vjp(x, key=1)
    assert pullback(y).shape == x.shape
    y, pullback = model.vjp(x, key=1)
    assert pullback(y, want_dx=False) is None


def test_dropout(rng: np.random.Generator, dtype: np.dtype) -> None:
    layer, x = Dropout(0.25), np.ones((40, 20, 30), dtype)
    assert layer(x) is x
    y, pullback = layer.vjp(x, 5)
    kept = y != 0
    assert abs(kept.mean() - 0.75) < 0.01  # 24,000 draws: a standard deviation of 0.003
    checks.close(y[kept], np.full(kept.sum(), 1 / 0.75), "update")
    checks.same_bits(pullback(x), y)
    checks.same_bits(Dropout(0.25, batch_first=True).vjp(x.swapaxes(0, 1), 5)[0], y.swapaxes(0, 1))
    checks.same_bits(layer.vjp(x, 5 + 2**64)[0], y)
    y, pullback = Dropout(0).vjp(x)
    assert y is x
    assert pullback(x) is x


def test_dropout_takes_the_order_of_its_sequential() -> None:
    dropout = Dropout(0.5)
    assert Sequential(LSTM(I, H, batch_first=True), dropout).batch_first
    assert dropout.batch_first


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
    with pytest.raises(RuntimeError, match="^pullback: expected one call, got a second; call vjp again$"):
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
        RuntimeError, match="^pullback: expected the parameters of its forward pass, got changed ones"
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
        RuntimeError, match="^Sequential: expected to own its layers, got some that another model"
    ):
        again(tokens)
    with pytest.raises(RuntimeError, match="^Sequential: expected to own its layers"):
        again.vjp(tokens)
    with pytest.raises(RuntimeError, match="^Sequential: expected to own its layers"):
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
    with pytest.raises(ValueError, match="^bias: expected shape"):
        layer.load_params({"weight": np.ones((H, I), "f4"), "bias": np.ones(H + 1, "f4")})
    checks.same_bits(layer.flat_params, before)


def test_value_and_grad(rng: np.random.Generator, dtype: np.dtype) -> None:
    model = Sequential(
        Embedding(V, I, dtype=dtype.name, seed=1), LSTM(I, H, dtype=dtype.name, seed=2), Dropout(0.5)
    )
    head = fastrnn.losses.LinearCrossEntropy(H, V, dtype=dtype.name, seed=3)
    f = fastrnn.value_and_grad(model, head)
    assert np.shares_memory(f.flat_params, model.flat_params)
    assert np.shares_memory(f.flat_params, head.flat_params)
    tokens = rng.integers(0, V, (T + 1, B))
    loss, state = f(tokens[:-1], tokens[1:], key=1)
    got = f.flat_grads.copy()
    f.zero_grad()
    (y, want_state), pullback = model.vjp(tokens[:-1], key=1)
    want, to_y = head.vjp(y, tokens[1:])
    pullback(to_y())
    checks.close(dtype.type(loss), dtype.type(want), "loss")
    checks.same_bits(np.stack(state[0]), np.stack(want_state[0]))
    checks.close(f.flat_grads, got, "gradient")

    grads = np.zeros_like(got)
    f(tokens[:-1], tokens[1:], state, 1, grads=grads)
    assert grads.any()
    y, state = model(tokens[:-1])
    assert f.loss(tokens[:-1], tokens[1:])[0] == head(y, tokens[1:])
    total, count, _ = f.total(tokens[:-1], tokens[1:])
    assert count == T * B
    checks.close(dtype.type(total / count), dtype.type(head(y, tokens[1:])), "loss")


def test_value_and_grad_of_a_loss_without_parameters(rng: np.random.Generator) -> None:
    model = Linear(I, 2, seed=1)
    f = fastrnn.value_and_grad(model, fastrnn.losses.MSE())
    x, targets = normal(rng, "float32", B, I), normal(rng, "float32", B, 2)
    loss, state = f(x, targets)
    assert state is None
    assert loss == f.loss(x, targets)[0]
    assert model.flat_grads.any()
    assert np.shares_memory(model.flat_grads, f.flat_grads)


def test_explain_speaks_of_every_level() -> None:
    model = Sequential(Embedding(V, I), LSTM(I, H, 2), Linear(H, 2), LSTM(2, H))
    found = fastrnn.explain(model, 64, 8)
    assert [(level["level"], level["I"], level["H"]) for level in found] == [(0, I, H), (1, H, H), (0, 2, H)]
    assert all(0 < level["predicted_share"] <= 1 for level in found)
    assert len(repr(found).splitlines()) == 3


def test_keys_fold_as_published() -> None:
    # The first outputs of splitmix64 from seed 0 (its own reference program).
    state = 0
    for want in (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F):
        assert fold(state, 0) == want
        state += 0x9E3779B97F4A7C15
    assert fold(7, 1, 2) == fold(fold(7, 1), 2)
    assert fold(-1, 0) == fold(2**64 - 1, 0)
    assert len({fold(k, i) for k in range(50) for i in range(50)}) == 2500


def test_what_a_layer_prints() -> None:
    assert repr(LSTM(5, 7, 2, dropout=0.5)) == "LSTM(5, 7, num_layers=2, dropout=0.5)"
    assert (
        repr(Sequential(Embedding(3, 5), Dropout(0.5)))
        == "Sequential(\n  0: Embedding(3, 5)\n  1: Dropout(0.5)\n)"
    )


def test_every_layer_is_public() -> None:
    for base in (Layer, Composite):
        for kind in base.__subclasses__():
            if kind.__module__.startswith("fastrnn.layers") and kind not in (Composite,):
                assert getattr(fastrnn.layers, kind.__name__) is kind
