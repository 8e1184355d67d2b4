"""Layers and models to ONNX graphs."""

from __future__ import annotations

import os
from typing import Any

from fastrnn import _check
from fastrnn._files import replacing
from fastrnn.interop._onnx_graph import Graph
from fastrnn.interop._onnx_layers import begin, chain, layers_of, width
from fastrnn.interop._onnx_models import builder, options_of


def save(model: Any, path: str | os.PathLike[str], *, lengths: bool = False, states: bool = False) -> None:
    """Write the graph of a model to a file; see `export`.

    Raises
    ------
    OSError
        The file cannot be written; what was there stays.
    """
    data = export(model, lengths=lengths, states=states).SerializeToString()
    with replacing("onnx", path) as file:
        file.write(data)


def export(model: Any, *, lengths: bool = False, states: bool = False) -> Any:
    """Make the ONNX graph of a layer, a `Sequential` or a model, as it is without dropout.

    Inputs are ``x``, [T, B, I] or [B, T, I] as the model takes it, [N, I] without recurrent layers and pools,
    or tokens (int64) where it begins with an Embedding; the output is ``y``, logits for a model that ends in
    a softmax. Sizes of T and B are free. Models that are more than a chain of layers have:

    - `WindowLanguageModel`: ``x``, [N, context] tokens.
    - `SequenceTagger` with characters: ``x``, [T, B] tokens; ``letters``, [C, U] numbers of the letters of U
      distinct words, ``sizes``, [U] of int32, how many each has, and ``places``, [T, B], which of them each
      word is: what `inputs` gives.
    - `Forecaster`: ``x``, [B, W, V] of float64 in the units of the series, and ``known``, [B, W + S, C];
      ``y`` is [B, S, K] in those units.
    - `SpanFinder`: ``text``, [T, B], and ``question``, [Q, B], with lengths ``text_lengths`` and
      ``question_lengths``; ``y`` is [2, B, T], logits of the first and the last token of the answer.
    - `Seq2Seq`: ``source``, [T, B], with lengths ``source_lengths``, and ``target``, [S, B], the token that
      ends outputs and then those of the output so far; ``y`` is [S, B, V], logits of the token after each,
      and ``weights``, [B, S, T], where attention looks.
    - `Captioner`: ``x`` as its encoder takes it, and ``target``.

    Parameters
    ----------
    model
        Of RNN, LSTM (also with coupled=True or peephole="diagonal"), GRU, Linear, Embedding, Dropout,
        Activation, Pool, ConvMax, AttentionPool, and Sequential, Concat, Add and Residual of these; or a
        model whose layers are such. Any number of levels, both directions.
    lengths : bool
        Have an input ``lengths``, [B] of int32, of rows that are padded.
    states : bool
        Have the initial states of each recurrent layer as inputs, ``h0``, ``c0``, and those after the last
        step as outputs, ``hn``, ``cn``, each [L*D, B, H]; of several layers ``h0_1``, ... by their place.

    Returns
    -------
    onnx.ModelProto
        Opset 17, layout 0: with batch_first=True there are transpositions at both ends.

    Raises
    ------
    ImportError
        There is no onnx.
    TypeError, ValueError
        A layer that the operators of ONNX do not express, by name; float64, which runtimes lack; lengths or
        states of a model that has none.
    """
    try:
        import onnx
    except ImportError:
        raise ImportError("fastrnn.interop.onnx: needs onnx; pip install 'fastrnn[onnx]'") from None
    lengths, states = _check.flag("lengths", lengths), _check.flag("states", states)
    graph, build = Graph(onnx, "lengths" if lengths else "", states), builder(model)
    can_lengths, can_states = options_of(model)
    if lengths and not can_lengths:
        raise ValueError("lengths: expected False for a model that is not recurrent, got True")
    if states and not can_states:
        raise ValueError(f"states: expected False for a {type(model).__name__}, got True")
    if build is None:
        layers = layers_of(model)
        y = chain(graph, layers, begin(graph, layers))
        y = graph.turned(y, not graph.batch_first)
        graph.output("y", y, "FLOAT", [*graph.rows(), width(layers)])
    else:
        build(graph, model)
    return graph.finished()
