"""fastrnn.keras.accelerate: what Keras computes on its torch backend, and how it trains, on our kernels."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import checks
import numpy as np
import pytest
from conftest import peer

T, B, I, H = 7, 4, 3, 5
CELL_STATES = {"SimpleRNN": "h", "GRU": "h", "LSTM": "hc"}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"return_sequences": True, "return_state": True},
    {"return_sequences": True, "go_backwards": True, "return_state": True},
    {"use_bias": False, "zero_output_for_mask": True, "return_sequences": True},
    {"unroll": True, "go_backwards": True},
]
CELLS: list[tuple[str, dict[str, Any]]] = [
    ("SimpleRNN", {}),
    ("SimpleRNN", {"activation": "relu"}),
    ("LSTM", {}),
    ("GRU", {}),
    ("GRU", {"reset_after": False}),
]

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore::DeprecationWarning:keras")]


@pytest.fixture
def keras(torch: Any) -> Any:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    found = peer("keras")
    from fastrnn.torch import _fallback

    _fallback._said.clear()
    return found


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, keras: Any) -> list[str]:
    """The layers that ran on our operator."""
    from fastrnn.keras import _inner_loop

    specs, run = [], _inner_loop._op.run
    monkeypatch.setattr(_inner_loop._op, "run", lambda call: specs.append(call.spec) or run(call))
    return specs


def accelerate(layer: Any) -> Any:
    import fastrnn.keras

    return fastrnn.keras.accelerate(layer)


def masks(rng: np.random.Generator) -> dict[str, Any]:
    """None; past the end; before the begin; anywhere, with a row of nothing."""
    lengths = np.array([7, 3, 1, 0])
    right = np.arange(T) < lengths[:, None]
    holes = rng.random((B, T)) < 0.6
    holes[0] = False
    return {"none": None, "right": right, "left": right[:, ::-1].copy(), "holes": holes}


def run(torch: Any, layer: Any, x: Any, **call: Any) -> list[np.ndarray]:
    """Outputs and states, the gradients by x and by all weights."""
    x = torch.from_numpy(x).requires_grad_(True)
    out = layer(x, **call)
    flat = list(out) if isinstance(out, (list, tuple)) else [out]
    weights = [v.value for v in layer.trainable_variables]
    loss = sum(((k + 1) * part).sin().sum() for k, part in enumerate(flat))
    grads = torch.autograd.grad(loss, [x, *weights])
    return [part.detach().numpy() for part in (*flat, *grads)]


@pytest.mark.parametrize("option", OPTIONS, ids=str)
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_layers(
    torch: Any, keras: Any, ran: list[str], rng: np.random.Generator, cell: Any, option: dict[str, Any]
) -> None:
    name, own = cell
    layer = getattr(keras.layers, name)(H, **own, **option)
    x = rng.standard_normal((B, T, I)).astype(np.float32)
    layer.build(x.shape)
    for v in layer.trainable_variables:
        v.assign(rng.standard_normal(v.shape) / 2)
    states = [torch.from_numpy(rng.standard_normal((B, H)).astype(np.float32)) for _ in CELL_STATES[name]]
    calls = [{"mask": None if m is None else torch.from_numpy(m)} for m in masks(rng).values()]
    calls.append({"initial_state": states, "mask": calls[-1]["mask"]})
    if option.get("unroll") and option.get("go_backwards"):
        calls = calls[:1]  # Keras's own code cannot flip the list of masks
    want = [run(torch, layer, x, **call) for call in calls]
    report = accelerate(layer)
    assert list(report.swapped.values()) == [name]
    assert not report.left
    for call, expected in zip(calls, want, strict=True):
        for got, wanted in zip(run(torch, layer, x, **call), expected, strict=True):
            checks.close(got, wanted, "peer")
    assert len(ran) == len(calls)


def model(keras: Any, seed: int = 0) -> Any:
    """Tokens with padding, layers both ways with dropout, one that takes states."""
    keras.utils.set_random_seed(seed)
    tokens = keras.Input((T,), dtype="int32")
    x = keras.layers.Embedding(11, I, mask_zero=True)(tokens)
    x = keras.layers.Bidirectional(keras.layers.GRU(H, return_sequences=True, dropout=0.2), name="both")(x)
    y, h, c = keras.layers.LSTM(H, return_sequences=True, return_state=True, name="encoder")(x)
    x = keras.layers.LSTM(H, dropout=0.3, name="decoder")(y, initial_state=[h, c])
    made = keras.Model(tokens, keras.layers.Dense(1)(x))
    made.compile(keras.optimizers.Adam(1e-2), "mse")
    return made


def test_training(keras: Any, ran: list[str], rng: np.random.Generator, tmp_path: Any) -> None:
    """The same losses, step by step, with the same masks of dropout; what is saved is plain Keras."""
    tokens = rng.integers(0, 11, (16, T)).astype(np.int32)
    tokens[:, 0] = 1
    targets = tokens.mean(1, keepdims=True) / 5
    losses = []
    for swap in (False, True):
        made = model(keras)
        if swap:
            assert sorted(accelerate(made).swapped.values()) == ["GRU", "GRU", "LSTM", "LSTM"]
        keras.utils.set_random_seed(1)
        fitted = made.fit(tokens, targets, batch_size=8, epochs=2, shuffle=False, verbose=0)
        losses.append(fitted.history["loss"])
    assert len(ran) == 4 * 2 * 2
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    want = made.predict(tokens, verbose=0)
    made.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    before = len(ran)
    checks.close(again.predict(tokens, verbose=0), want, "peer")
    assert len(ran) == before
    import fastrnn.keras

    assert len(fastrnn.keras.restore(made).swapped) == 4
    assert not fastrnn.keras.restore(made).swapped
    checks.close(made.predict(tokens, verbose=0), want, "peer")
    assert len(ran) == before


def test_stateful(torch: Any, keras: Any, ran: list[str], rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, B, T, I)).astype(np.float32)
    layer = keras.layers.LSTM(H, stateful=True)
    layer.build((B, T, I))
    want = [layer(part).detach().numpy() for part in x]
    states = [s.value.detach().numpy().copy() for s in layer.states]
    layer.reset_state()
    accelerate(layer)
    for part, expected in zip(x, want, strict=True):
        before = [torch.from_numpy(s.numpy().copy()) for s in layer.states]
        y, *grads = run(torch, layer, part)  # Keras's own code cannot go back here: it has changed the states
        checks.close(y, expected, "peer")
        layer.stateful = False
        for got, wanted in zip(grads, run(torch, layer, part, initial_state=before)[1:], strict=True):
            checks.same_bits(got, wanted)
        layer.stateful = True
    for got, wanted in zip(layer.states, states, strict=True):
        checks.close(got.value.detach().numpy(), wanted, "peer")


def test_what_is_left(torch: Any, keras: Any) -> None:
    class Own(keras.layers.LSTM):
        pass

    layers = keras.layers
    made = keras.Sequential([
        layers.Input((T, I)),
        layers.LSTM(H, return_sequences=True, activation="relu", name="a"),
        layers.LSTM(H, return_sequences=True, recurrent_activation="hard_sigmoid", name="b"),
        layers.GRU(H, return_sequences=True, recurrent_dropout=0.1, name="c"),
        layers.RNN(layers.LSTMCell(H), return_sequences=True, name="d"),
        layers.SimpleRNN(H, return_sequences=True, activation="softplus", name="e"),
        Own(H, return_sequences=True, name="f"),
        layers.GRU(H, dropout=0.1, implementation=1, name="g"),
    ])  # fmt: skip
    report = accelerate(made)
    assert not report.swapped
    assert {path.rpartition("/")[2]: why for path, why in report.left.items()} == {
        "a": "activation=relu",
        "b": "recurrent_activation=hard_sigmoid",
        "c": "recurrent_dropout=0.1",
        "d": "RNN of LSTMCell, which may be any cell",
        "e": "activation=softplus",
        "f": f"{Own.__module__}.{Own.__qualname__} is a subclass and may have code of its own",
        "g": "dropout with implementation=1, which has a mask for each gate",
    }
    with pytest.raises(TypeError) as raised:
        accelerate(torch.nn.LSTM(2, 3))
    assert str(raised.value) == "model: expected a layer of Keras, got LSTM"


def test_fallback(torch: Any, keras: Any, ran: list[str]) -> None:
    import fastrnn.keras

    layer = keras.layers.GRU(H, dtype="bfloat16", recurrent_initializer="glorot_uniform")
    accelerate(layer)
    with pytest.warns(fastrnn.keras.FallbackWarning, match=r"torch\.bfloat16"):
        assert layer(np.zeros((B, T, I), np.float32)).dtype == torch.bfloat16
    double = keras.layers.GRU(H, dtype="float64")
    accelerate(double)
    assert double(np.zeros((B, T, I))).dtype == torch.float64
    assert ran == ["GRU(input_size=3, hidden_size=5, bias=True, batch_first=True)"]


def test_other_backends() -> None:
    code = "import sys, types; m = sys.modules['keras'] = types.ModuleType('keras'); "
    code += "m.config = types.SimpleNamespace(backend=lambda: 'jax')\nimport fastrnn.keras"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.stderr.strip().splitlines()[-1] == (
        "RuntimeError: fastrnn.keras: expected Keras on its torch backend (KERAS_BACKEND=torch before its "
        "import), got 'jax'"
    )
