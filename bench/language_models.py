"""One language model on fastrnn and on PyTorch: embedding, LSTM layers, softmax; equal initial weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

import fastrnn


class Config(NamedTuple):
    """Vocabulary, units (of the embedding too), layers, share of outputs dropped between and after layers."""

    vocabulary: int
    hidden: int
    layers: int = 2
    dropout: float = 0.0

    def flops(self, rows: int) -> float:
        """Of a training step on so many tokens; a token that repeats needs its input product once."""
        v, h = self.vocabulary, self.hidden
        first = min(v, rows) * h + rows * h
        return 6.0 * (4 * h * (first + (self.layers - 1) * rows * 2 * h) + rows * h * v)


class Ours:
    """The model on fastrnn. All parameters are one span, named as `TorchModel` names them."""

    name = "fastrnn"

    def __init__(self, config: Config, optimizer: str = "Adam", lr: float = 1e-3, seed: int = 0) -> None:
        v, h, layers, p = config
        lstm = fastrnn.LSTM(h, h, layers, dropout=p, seed=seed + 1)
        after = [fastrnn.Dropout(p)] if p else []
        body = fastrnn.Sequential(fastrnn.Embedding(v, h, seed=seed), lstm, *after)
        head = fastrnn.losses.LinearCrossEntropy(h, v, seed=seed + 2)
        self.model = fastrnn.value_and_grad(body, head)
        self.optimizer = getattr(fastrnn.optim, optimizer)(self.model, lr=lr)
        self.state: Any = None
        self.key = seed

    def prepare(self, x: np.ndarray, targets: np.ndarray) -> tuple[Any, Any]:
        """Tokens [T, B] as this model takes them."""
        return x, targets

    def step(self, x: Any, targets: Any, max_norm: float) -> float:
        """One whole training step on from the last; the mean loss before it."""
        self.key += 1
        loss, self.state = self.model(x, targets, self.state, self.key)
        self.optimizer.step(max_norm=max_norm)
        return loss

    def total(self, x: Any, targets: Any, state: Any) -> tuple[float, int, Any]:
        """Sum of the losses without dropout, their number, and the state to carry on."""
        return self.model.total(x, targets, state)

    def parameters(self) -> dict[str, np.ndarray]:
        """Named parameters."""
        return {_plain(name): value for name, value in self.model.params.items()}

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        """Copy parameters in."""
        self.model.load_params({name: parameters[_plain(name)] for name in self.model.params})

    def touch_memory(self) -> None:
        """Make all pages of gradients and of the optimiser's state real."""
        for array in (self.model.flat_params, self.model.flat_grads, *self.optimizer.state.values()):
            array += 0

    def state_dict(self) -> dict[str, Any]:
        """All that another process needs to go on between epochs, as arrays and numbers."""
        return {"parameters": self.parameters(), "optimizer": self.optimizer.state_dict(), "key": self.key}

    def load_state_dict(self, tree: dict[str, Any]) -> None:
        """Go on."""
        self.load(tree["parameters"])
        self.optimizer.load_state_dict(tree["optimizer"])
        self.key = tree["key"]

    @property
    def lr(self) -> float:
        """Learning rate."""
        return self.optimizer.lr

    @lr.setter
    def lr(self, value: float) -> None:
        self.optimizer.lr = value


def _plain(name: str) -> str:
    """``embedding.weight``, ``lstm.weight_ih_l0``, ``head.bias`` for the names that places give."""
    for place, plain in (("model.0", "embedding"), ("model.1", "lstm"), ("loss", "head")):
        name = name.replace(place + ".", plain + ".")
    return name


class TorchModel:
    """The model on PyTorch at its fastest: fused optimiser, foreach clipping, gradients set to None."""

    name = "torch"

    def __init__(self, config: Config, optimizer: str = "Adam", lr: float = 1e-3, seed: int = 0) -> None:
        import torch

        v, h, layers, p = config
        self.torch, self.config = torch, config
        torch.manual_seed(seed)
        nn = torch.nn
        self.net = nn.ModuleDict(
            {
                "embedding": nn.Embedding(v, h),
                "lstm": nn.LSTM(h, h, layers, dropout=p),
                "drop": nn.Dropout(p),
                "head": nn.Linear(h, v),
            }
        )
        self.optimizer = getattr(torch.optim, optimizer)(self.net.parameters(), lr=lr, fused=True)
        self.load(Ours(config, seed=seed).parameters())
        self.state: Any = None

    def prepare(self, x: np.ndarray, targets: np.ndarray) -> tuple[Any, Any]:
        """Tokens [T, B] as this model takes them."""
        return tuple(self.torch.from_numpy(a.astype(np.int64)) for a in (x, targets))

    def _sum(self, x: Any, targets: Any, state: Any, reduction: str) -> tuple[Any, Any]:
        y, state = self.net["lstm"](self.net["embedding"](x), state)
        logits = self.net["head"](self.net["drop"](y))
        loss = self.torch.nn.functional.cross_entropy
        return loss(logits.flatten(0, 1), targets.flatten(), reduction=reduction), state

    def step(self, x: Any, targets: Any, max_norm: float) -> float:
        """One whole training step on from the last; the mean loss before it."""
        self.net.train()
        self.optimizer.zero_grad()
        loss, state = self._sum(x, targets, self.state, "mean")
        self.state = tuple(part.detach() for part in state)
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.net.parameters(), max_norm, foreach=True)
        self.optimizer.step()
        return float(loss.detach())

    def total(self, x: Any, targets: Any, state: Any) -> tuple[float, int, Any]:
        """Sum of the losses without dropout, their number, and the state to carry on."""
        self.net.eval()
        with self.torch.no_grad():
            loss, state = self._sum(x, targets, state, "sum")
        return float(loss), int((targets != -100).sum()), state

    def parameters(self) -> dict[str, np.ndarray]:
        """Named parameters."""
        return {name: p.detach().numpy() for name, p in self.net.named_parameters()}

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        """Copy parameters in."""
        self.net.load_state_dict({n: self.torch.from_numpy(a.copy()) for n, a in parameters.items()})

    def touch_memory(self) -> None:
        """Make gradients and the optimiser's state: a step with gradients of zero, which changes nothing."""
        for p in self.net.parameters():
            p.grad = self.torch.empty_like(p).fill_(0)
        self.optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """All that another process needs to go on between epochs, as arrays and numbers."""
        state = {str(k): _numpy(v) for k, v in self.optimizer.state_dict()["state"].items()}
        return {
            "parameters": self.parameters(),
            "optimizer": state,
            "random": self.torch.get_rng_state().numpy(),
        }

    def load_state_dict(self, tree: dict[str, Any]) -> None:
        """Go on."""
        self.load(tree["parameters"])
        saved = self.optimizer.state_dict()
        tensors = {
            int(k): {name: self.torch.from_numpy(np.array(a)) for name, a in part.items()}
            for k, part in tree["optimizer"].items()
        }
        self.optimizer.load_state_dict({**saved, "state": tensors})
        self.torch.set_rng_state(self.torch.from_numpy(np.array(tree["random"])))

    @property
    def lr(self) -> float:
        """Learning rate."""
        return self.optimizer.param_groups[0]["lr"]

    @lr.setter
    def lr(self, value: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = value


def _numpy(part: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tensor.numpy() for name, tensor in part.items() if tensor is not None}


MODELS = {model.name: model for model in (Ours, TorchModel)}


def batches(config: Config, rows: int, steps: int, number: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Chunks of tokens that go on from each other, frequent ones first, as in a text (Zipf)."""
    weight = 1 / (np.arange(config.vocabulary) + 2.7)
    draw = np.random.default_rng(0)
    tokens = draw.choice(config.vocabulary, (number * steps + 1, rows), p=weight / weight.sum())
    tokens = tokens.astype(np.int32)
    starts = range(0, number * steps, steps)
    return [(tokens[s : s + steps], tokens[s + 1 : s + steps + 1]) for s in starts]
