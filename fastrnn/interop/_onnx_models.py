"""Models that are more than a chain of layers, as ONNX graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn.interop._onnx_attention import attention
from fastrnn.interop._onnx_layers import (
    States,
    begin,
    chain,
    embedded,
    inside,
    layers_of,
    linear,
    over_time,
    recurrent,
)
from fastrnn.layers.recurrent import Recurrent
from fastrnn.models import Captioner, Forecaster, Seq2Seq, SequenceTagger, SpanFinder, WindowLanguageModel

if TYPE_CHECKING:
    from fastrnn.interop._onnx_graph import Graph


def window_language_model(graph: Graph, model: Any) -> None:
    """Logits of the word after each window."""
    x = graph.input("x", "INT64", ["N", model.context])
    e = embedded(graph, model.table.params["weight"], "table", x)
    wide = graph.node("Reshape", [e, graph.ints(0, model.context * model.table.embedding_dim)])
    graph.axes = 2
    y = chain(graph, [*layers_of(model.body), *layers_of(model.head)], wide)
    graph.output("y", y, "FLOAT", ["N", model.head.num_classes])


def spelled_tagger(graph: Graph, model: Any) -> None:
    """Logits of the tags of words that have letters."""
    first = model.children["input"]
    children = first.children
    rest = [*layers_of(model.body), *layers_of(model.head)]
    x = begin(graph, [children["words"], *rest])
    axes, lengths = graph.axes, graph.lengths
    places = graph.input("places", "INT64", graph.rows())
    letters, sizes = graph.input("letters", "INT64", ["C", "U"]), graph.input("sizes", "INT32", ["U"])
    states, graph.states = graph.states, False
    graph.sequence(sizes)
    spelled = chain(graph, layers_of(children["letters"]), letters, "letters.")
    if first.join == "gate":
        spelled = chain(graph, layers_of(children["project"]), spelled, "project.")
    m = graph.node("Gather", [spelled, places])
    graph.sequence(lengths)
    graph.axes, graph.states = axes, states
    e = embedded(graph, children["words"].params["weight"], "words", x)
    y = graph.node("Concat", [e, m], axis=-1)
    if first.join == "gate":
        g = chain(graph, layers_of(children["gate"]), y, "gate.")
        y = graph.node("Add", [m, graph.node("Mul", [g, graph.node("Sub", [e, m])])])
    graph.output("y", chain(graph, rest, y), "FLOAT", [*graph.rows(), model.head.num_classes])


def forecaster(graph: Graph, model: Any) -> None:
    """Forecasts in the units of the series: scaled and restored in float64, as the model does."""
    if model.scaling is None:
        raise ValueError("model: expected a fitted Forecaster, got one without scaling; call fit first")
    node, count = graph.node, len(model.targets)
    mean, deviation = (np.asarray(a, np.float64) for a in (model.scaling.mean, model.scaling.deviation))
    x = graph.input("x", "DOUBLE", ["B", model.window, model.width])
    moved = node("Sub", [x, graph.constant(mean, "mean")])
    scaled = graph.cast(node("Div", [moved, graph.constant(deviation, "deviation")]), "FLOAT")
    values = node("Transpose", [scaled], perm=[1, 0, 2])  # [W, B, V]
    last = node("Gather", [values, graph.constant(np.array(model.window - 1, np.int64))])
    relative = node("Sub", [values, last])
    read, future = relative, ""
    if model.known:
        known = graph.input("known", "FLOAT", ["B", model.window + model.horizon, model.known])
        turned = node("Transpose", [known], perm=[1, 0, 2])
        past, future = node("Split", [turned, graph.ints(model.window, model.horizon)], 2, axis=0)
        read = node("Concat", [relative, past], axis=2)
    graph.sequence()
    h = chain(graph, layers_of(model.body), read, "body.")
    if model.known:
        flat = node("Transpose", [future], perm=[1, 0, 2])
        flat = node("Reshape", [flat, graph.ints(-1, model.horizon * model.known)])
        h = node("Concat", [h, flat], axis=1)
    out = node("Reshape", [linear(graph, model.head, "head", h), graph.ints(-1, model.horizon, count)])
    targets = graph.ints(*model.targets)
    last = node("Unsqueeze", [node("Gather", [last, targets], axis=1), graph.ints(1)])
    y = node("Add", [out, last])
    if "linear" in model.children:
        own = node("Transpose", [node("Gather", [relative, targets], axis=2)], perm=[1, 2, 0])  # [B, K, W]
        beside = linear(graph, model.children["linear"], "linear", own)
        y = node("Add", [y, node("Transpose", [beside], perm=[0, 2, 1])])
    wide = node("Mul", [graph.cast(y, "DOUBLE"), graph.constant(deviation[model.targets])])
    y = node("Add", [wide, graph.constant(mean[model.targets])])
    graph.output("y", y, "DOUBLE", ["B", model.horizon, count])


def span_finder(graph: Graph, model: Any) -> None:
    """Logits of the first and the last token, -inf past the end of a text."""
    node, has_lengths = graph.node, bool(graph.lengths)
    reader, outputs, lengths = layers_of(model.reader), [], []
    table, *read = reader
    weight = graph.constant(table.params["weight"], "table.weight")
    for name, letter in (("text", "T"), ("question", "Q")):
        tokens = graph.input(name, "INT64", [letter, "B"])
        lengths.append(graph.input(f"{name}_lengths", "INT32", ["B"]) if has_lengths else "")
        graph.sequence(lengths[-1])
        outputs.append(chain(graph, read, node("Gather", [weight, tokens]), "reader."))
    text, asked = outputs
    found, _ = attention(graph, model.children["attention"], "attention", text, asked)
    joined = node("Concat", [text, found, node("Mul", [text, found])], axis=2)
    graph.sequence(lengths[0])
    m = chain(graph, layers_of(model.joiner), joined, "joiner.")
    y = node("Transpose", [linear(graph, model.head, "head", m)], perm=[2, 1, 0])  # [2, B, T]
    if has_lengths:
        low = graph.constant(np.array(-np.inf, np.float32))
        *_, there = graph.steps(text, 0, (), (1,))  # [B, T]
        y = node("Where", [there, y, low])
    graph.output("y", y, "FLOAT", [2, "B", "T"])


def seq2seq(graph: Graph, model: Any) -> None:
    """Logits after each token of an output so far; with attention its weights, too."""
    lengths = "source_lengths" if graph.lengths else ""
    source = graph.input("source", "INT64", ["T", "B"])
    if lengths:
        graph.input(lengths, "INT32", ["B"])
    *before, read = layers_of(model.encoder)
    graph.sequence(lengths)
    memory, states = recurrent(graph, read, "encoder", chain(graph, before, source, "encoder."), {})
    if model.config["bidirectional"]:  # both directions of a level, [2, B, H / 2], side by side

        def folded(state: str) -> str:
            turned = graph.node("Transpose", [state], perm=[1, 0, 2])
            flat = graph.node("Reshape", [turned, graph.ints(0, 2 * read.hidden_size)])
            return str(graph.node("Unsqueeze", [flat, graph.ints(0)]))

        states = {name: [folded(part) for part in parts] for name, parts in states.items()}
    _decoded(graph, model, states, memory)


def captioner(graph: Graph, model: Any) -> None:
    """Logits after each token of what is said so far of x."""
    layers = layers_of(model.encoder)
    v = chain(graph, layers, begin(graph, layers), "encoder.")
    flat = graph.node("Tanh", [linear(graph, model.children["bridge"], "bridge", v)])
    *_, write = layers_of(model.decoder)
    levels = write.num_layers
    parts = [
        graph.node("Unsqueeze", [part, graph.ints(0)])
        for part in graph.split(flat, levels * len(write.states), axis=1)
    ]
    states = {name: parts[k * levels : (k + 1) * levels] for k, name in enumerate(write.states)}
    _decoded(graph, model, states, v)


def _decoded(graph: Graph, model: Any, states: States, memory: str) -> None:
    """What a decoder reads is `target`, [S, B]: the token that ends outputs, then those so far."""
    node, children = graph.node, model.children
    lengths, target = graph.lengths, graph.input("target", "INT64", ["S", "B"])
    *before, write = layers_of(model.decoder)
    graph.sequence()  # of outputs all steps count
    if model.config["tied"]:
        target_vectors = embedded(graph, model.head.params["weight"], "decoder.table", target)
    else:
        target_vectors = target
    read = chain(graph, before, target_vectors, "decoder.")
    firsts = {name: parts[: write.num_layers] for name, parts in states.items()}
    s, _ = recurrent(graph, write, "decoder", read, firsts)
    y = s
    if "attention" in children:
        graph.lengths = lengths
        beside, weights = attention(graph, children["attention"], "attention", s, memory)
        graph.lengths = ""
        graph.output("weights", weights, "FLOAT", ["B", "S", "T"])
    elif model._context:
        wide = node("Concat", [node("Shape", [target]), graph.ints(model._context)], axis=0)
        beside = node("Expand", [memory, wide])
    else:
        beside = ""
    if beside:
        y = node("Concat", [beside, s], axis=2)
    if model.above is not None:
        *_, above = layers_of(model.above)
        firsts = {name: parts[write.num_layers :] for name, parts in states.items()}
        s, _ = recurrent(graph, above, "above", y, firsts)
        y = node("Concat", [beside, s], axis=2)
    if "joint" in children:
        y = node("Tanh", [linear(graph, children["joint"], "joint", y)])
    logits = linear(graph, model.head, "head", y)
    graph.output("y", logits, "FLOAT", ["S", "B", model.head.num_classes])


def builder(model: Any) -> Any:
    """What makes the graph of a model that is no chain of layers; None for others."""
    for kind, build in BUILDERS.items():
        if isinstance(model, kind):
            chained = isinstance(model, SequenceTagger) and "input" not in model.children
            return None if chained else build
    return None


def options_of(model: Any) -> tuple[bool, bool]:
    """Whether a graph can have lengths, and states."""
    if isinstance(model, (Seq2Seq, SpanFinder)):
        return True, False
    if isinstance(model, (Captioner, Forecaster, WindowLanguageModel)):
        return False, False
    layers = layers_of(model.body if isinstance(model, SequenceTagger) else model)
    return over_time(layers), any(isinstance(layer, Recurrent) for layer in inside(layers))


BUILDERS: dict[type, Any] = {
    WindowLanguageModel: window_language_model,
    SequenceTagger: spelled_tagger,
    Forecaster: forecaster,
    SpanFinder: span_finder,
    Seq2Seq: seq2seq,
    Captioner: captioner,
}
