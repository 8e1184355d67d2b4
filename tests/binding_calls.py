"""A good call of every function of the extension, and arguments that are none of them good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import word2vec
from errors import TOKENS, WEIGHTS, B, H, I, T, V, X

import fastrnn
from fastrnn import _core

STATE = (np.zeros((B, H), np.float32),) * 2
TABLE = np.zeros((V, I), np.float32)
BIAS = np.zeros(V, np.float32)
DY = np.zeros((T, B, V), np.float32)


class Call(NamedTuple):
    """A function, good arguments by name, and what else its messages call an argument."""

    function: Callable[..., Any]
    arguments: dict[str, Any]
    parts: tuple[str, ...] = ()


GLOVE_TABLES = ("words", "contexts", "word_squares", "context_squares")
CODECS = ("unknown encoding", "unknown error handler", "begin, end")
PATH_PARTS = ("path offsets", "path nodes", "path labels", "joined size", "joined tags", "joined null")
WEIGHT_PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
GRADIENT_PARTS = (*WEIGHT_PARTS, *(f"d{part}" for part in WEIGHT_PARTS), "dheld", "saved")


def forward(**more: Any) -> dict[str, Any]:
    """Arguments of ``recurrent_forward``."""
    good = {"cell": "lstm", "x": X, "table": None, "weights": WEIGHTS, "state": STATE, "batch_first": False}
    return {**good, "keep": True, "reverse": False, "y": None, "lengths": None, **more}


def backward() -> dict[str, Any]:
    """Arguments of ``recurrent_backward``, with what a forward call has just saved."""
    y, _, saved = _core.recurrent_forward(**forward())
    given = {name: forward()[name] for name in ("x", "table", "weights", "state")}
    grads = tuple(np.zeros_like(w) for w in WEIGHTS)
    given |= {"saved": saved, "y": y, "dy": np.zeros_like(y), "dstate": STATE, "grads": grads}
    return {**given, "dtable": None, "want_dx": True, "dx": None, "add": False}


def held_forward() -> dict[str, Any]:
    """Arguments of ``recurrent_forward`` with an input that is held."""
    simple = (np.zeros((H, I), np.float32), np.zeros((H, H), np.float32), None, None)
    held = np.zeros((2, B, V), np.float32), np.zeros((H, V), np.float32), np.arange(T) // T
    return forward(cell="rnn_tanh", weights=simple, state=STATE[:1], held=held)


def held_backward() -> dict[str, Any]:
    """And of ``recurrent_backward``."""
    given = held_forward()
    y, _, saved = _core.recurrent_forward(**given)
    given = {name: given[name] for name in ("x", "table", "weights", "state", "held")}
    given |= {"saved": saved, "y": y, "dy": np.zeros_like(y), "dstate": STATE[:1]}
    grads = tuple(None if w is None else np.zeros_like(w) for w in given["weights"])
    dheld = tuple(np.zeros_like(part) for part in given["held"][:2])
    given["held"] = given["held"], dheld
    return {**given, "grads": grads, "dtable": None, "want_dx": True}


def spans(*names: str) -> dict[str, list[np.ndarray]]:
    """Arguments of an optimiser."""
    return {name: [BIAS.copy(), TABLE.copy()] for name in names}


def run_once(**given: Any) -> Any:
    """Train with what the constructor has let pass."""
    return _core.Word2VecRun(**given).train(0, len(given["ids"]), 1, 0.05, 0.0, 2)


def calls() -> dict[str, Call]:
    """One for each function of ``_core`` that takes arguments, and for some a second in another form."""
    entropy = {"x": X, "weight": TABLE, "bias": BIAS, "targets": TOKENS, "ignore_index": -100, "mean": True}
    entropy["mask"] = np.ones((T, B), bool)
    gradients = {"dweight": TABLE.copy(), "dbias": BIAS.copy(), "want_dx": True}
    step = {"lr": 0.1, "weight_decay": 0.0, "max_norm": 1.0, "zero_grad": True}
    ragged = forward(x=np.zeros((6, I), np.float32), lengths=np.array([3, 2, 1]))
    records = {"data": b"a 1 2\nb 3 4\n", "begin": 0, "end": 12, "binary": False, "last": True}
    records |= {"rows": np.zeros((2, 2), np.float32), "encoding": "utf8", "errors": "strict"}
    pooling = {"x": X, "lengths": np.array([2, 4, 0]), "kind": "last", "turned": 2, "batch_first": False}
    filters = {"x": X, "weight": np.ones((2, I, 3), np.float32), "lengths": np.array([2, 4, 0])}
    attended = {"q": X[:2].copy(), "k": X, "v": X.copy(), "mask": np.ones((B, T), bool)}
    attended |= {"energy": np.ones(I, np.float32), "scale": 1.0}
    momentum = {"momentum": 0.9, "dampening": 0.0, "nesterov": False}
    adam = {"step": 1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "decoupled": True}
    minimal = fastrnn.MinGRU(I, H, seed=0)._weights[0]
    y, _, saved = _core.recurrent_forward(**forward(cell="min_gru", weights=minimal, state=None))
    blocks = {"saved": saved, "blocks": B}
    problem = word2vec.make_problem(np.random.default_rng(0), "both", locks=2)
    run = word2vec.arguments(problem, word2vec.tables(problem))
    trained = _core.Word2VecRun(**run)
    lists = {
        name: word2vec.make_problem(np.random.default_rng(0), **{name: True}) for name in ("bags", "tags")
    }
    lists["joined"] = word2vec.make_problem(np.random.default_rng(0), tags=True, cbow=True, joined=1)
    corpus = {"ids": np.arange(4, dtype=np.int32), "words": np.arange(4, dtype=np.int32)}
    corpus |= {"offsets": np.array([0, 4]), "vocabulary": 4, "first": 0, "last": 4, "window": 2, "threads": 1}
    entries = _core.cooccurrences(**corpus)
    glove = {name: word2vec.Table(np.ones((4, 16), np.float32)).padded for name in GLOVE_TABLES}
    glove |= {name: np.ones((4, 2), np.float32) for name in ("word_biases", "context_biases")}
    glove |= {"entries": entries, "rate": 0.1, "most": 1.0, "power": 1.0}
    encoder = _core.TextEncoder(1, True)
    return {
        "Prepared": Call(_core.Prepared, {"cell": "lstm", "weights": WEIGHTS}, WEIGHT_PARTS),
        "Prepared.__call__": Call(_core.Prepared("lstm", WEIGHTS), {"x": X, "state": STATE}),
        "use_isa": Call(_core.use_isa, {"name": _core.isa()}, ("isa",)),
        "emulate_bfloat16": Call(_core.emulate_bfloat16, {"emulate": False}),
        "set_num_threads": Call(_core.set_num_threads, {"n": _core.get_num_threads()}),
        "recurrent_forward": Call(_core.recurrent_forward, forward(), WEIGHT_PARTS),
        "recurrent_forward: tokens": Call(
            _core.recurrent_forward, forward(x=TOKENS, table=TABLE), WEIGHT_PARTS
        ),
        "recurrent_forward: lengths": Call(_core.recurrent_forward, ragged, WEIGHT_PARTS),
        "recurrent_forward: held": Call(_core.recurrent_forward, held_forward(), WEIGHT_PARTS),
        "recurrent_backward: held": Call(
            lambda **given: _core.recurrent_backward(**{"saved": held_backward()["saved"], **given}),
            {name: value for name, value in held_backward().items() if name != "saved"},
            GRADIENT_PARTS,
        ),
        "recurrent_backward": Call(
            lambda **given: _core.recurrent_backward(**{"saved": backward()["saved"], **given}),
            {name: value for name, value in backward().items() if name != "saved"},
            GRADIENT_PARTS,
        ),
        "scan_forward": Call(_core.scan_forward, {**blocks, "y": y, "state": STATE[0][:1]}),
        "scan_backward": Call(_core.scan_backward, {**blocks, "dy": y, "dstate": STATE[0][:1]}),
        "pool": Call(_core.pool, pooling),
        "pool_backward": Call(_core.pool_backward, {"dy": X[0].copy(), "y": X[0].copy(), **pooling}),
        "convolution": Call(_core.convolution, {**filters, "bias": np.ones(2, np.float32)}),
        "convolution_backward": Call(
            _core.convolution_backward,
            {
                **filters,
                "dy": np.zeros((B, 2), np.float32),
                "at": np.zeros((B, 2), np.int32),
                "dweight": np.zeros((2, I, 3), np.float32),
                "dbias": np.zeros(2, np.float32),
                "want_dx": True,
            },
        ),
        "attention": Call(_core.attention, attended),
        "attention_backward": Call(
            _core.attention_backward,
            {
                **attended,
                "dcontext": X[:2].copy(),
                "weights": np.zeros((B, 2, T), np.float32),
                "denergy": np.zeros(I, np.float32),
            },
        ),
        "take": Call(
            _core.take, {"table": TABLE, "places": np.array([1, -1]), "to": np.ones((2, I), np.float32)}
        ),
        "hold": Call(
            _core.hold,
            {"held": X.copy(), "versions": X.copy(), "of": np.arange(T), "backward": False, "lengths": None},
        ),
        "hold: lengths": Call(
            _core.hold,
            {
                "held": np.zeros((3, I), np.float32),
                "versions": np.zeros((3, I), np.float32),
                "of": np.arange(2),
                "backward": False,
                "lengths": (np.array([2, 1]), np.array([2, 1])),
            },
        ),
        "empty": Call(_core.empty, {"shape": (2, 3), "like": X}),
        "dropout": Call(_core.dropout, {"x": X, "p": 0.5, "key": 1, "step": 0, "batch_first": False}),
        "linear": Call(_core.linear, {"x": X, "weight": TABLE, "bias": BIAS}),
        "linear_backward": Call(_core.linear_backward, {"dy": DY, "x": X, "weight": TABLE, **gradients}),
        "embedding": Call(_core.embedding, {"tokens": TOKENS, "table": TABLE}),
        "embedding_backward": Call(
            _core.embedding_backward, {"tokens": TOKENS, "dy": X, "dtable": TABLE.copy()}
        ),
        "cross_entropy": Call(_core.cross_entropy, entropy),
        "cross_entropy_grad": Call(_core.cross_entropy_grad, {**entropy, "scale": 1.0, **gradients}),
        "nearest": Call(_core.nearest, {"queries": X[0], "vectors": TABLE, "scale": BIAS, "topn": 2}),
        "read_records": Call(_core.read_records, records, CODECS),
        "read_records: binary": Call(
            _core.read_records, {**records, "data": bytes(24), "binary": True}, CODECS
        ),
        "write_records": Call(_core.write_records, {"words": [b"a"] * V, "rows": TABLE, "binary": False}),
        "global_norm": Call(_core.global_norm, spans("grads")),
        "sgd": Call(_core.sgd, {**spans("params", "grads", "momentum_buffers"), **momentum, **step}),
        "adam": Call(_core.adam, {**spans("params", "grads", "m", "v"), **adam, **step}),
        "rmsprop": Call(
            _core.rmsprop,
            {
                **spans("params", "grads", "v", "momentum_buffers"),
                "alpha": 0.9,
                "eps": 1e-8,
                "momentum": 0.9,
                **step,
            },
        ),
        "adagrad": Call(_core.adagrad, {**spans("params", "grads", "sums"), "eps": 1e-8, **step}),
        "clip_value": Call(_core.clip_value, {**spans("grads"), "limit": 0.5}),
        "exp": Call(_core.exp, {"x": X}),
        "sigmoid": Call(_core.sigmoid, {"x": X}),
        "tanh": Call(_core.tanh, {"x": X}),
        "Word2VecRun": Call(_core.Word2VecRun, run, PATH_PARTS),
        **{
            f"Word2VecRun: {name}": Call(
                run_once, word2vec.arguments(case, word2vec.tables(case)), PATH_PARTS
            )
            for name, case in lists.items()
        },
        "Word2VecRun.train": Call(
            trained.train,
            {"begin": 0, "end": 512, "key": 1, "rate": 0.05, "rate_per_position": 0.0, "threads": 1},
            ("begin, end",),
        ),
        "cooccurrences": Call(_core.cooccurrences, corpus),
        "GloveRun": Call(_core.GloveRun, glove),
        "GloveRun.train": Call(
            _core.GloveRun(**glove).train,
            {"begin": 0, "end": len(entries), "start": 1, "step": 2, "threads": 1},
            ("begin, end", "start, step"),
        ),
        "TextEncoder": Call(_core.TextEncoder, {"threads": 1, "ignore": False}),
        "TextEncoder.feed": Call(encoder.feed, {"text": b"a b \xff\n", "last": True}),
        "alias_table": Call(_core.alias_table, {"weights": np.ones(3)}),
        "ngrams": Call(_core.ngrams, {"words": [b"a\xc3\xa9", b""], "min_n": 1, "max_n": 3, "buckets": 7}),
        "huffman_paths": Call(_core.huffman_paths, {"counts": np.arange(3)}),
    }


CALLS = calls()
