"""ONNX graphs to layers."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from fastrnn import _check, layers
from fastrnn._files import reading
from fastrnn.interop import _gates, _onnx_begin
from fastrnn.layers.base import Layer

GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
USUAL = {"RNN": ["tanh"], "LSTM": ["sigmoid", "tanh", "tanh"], "GRU": ["sigmoid", "tanh"]}
ASIDE = {"Shape"}  # reads a value without being a layer of it


class _Level(NamedTuple):
    """One operator: our class, its options, and the parameters of each direction, by kind."""

    kind: str
    hidden: int
    options: dict[str, Any]
    params: list[dict[str, Any]]


def load(source: Any) -> layers.Sequential:
    """Read a chain of layers from an ONNX graph.

    It begins at the first input and takes RNN, LSTM, GRU (with what turns their outputs into the next input),
    Gather of a table, MatMul with Add, Gemm, Relu, Tanh, Sigmoid, Dropout and Identity; levels that follow
    one another become one layer. Initial states and lengths are arguments of the call here, so inputs of the
    graph for them are left out.

    Parameters
    ----------
    source : path or onnx.ModelProto

    Returns
    -------
    Sequential
        With batch_first=True where the graph turns its input around.

    Raises
    ------
    ImportError
        There is no onnx.
    OSError
        The file cannot be read.
    ValueError
        It is no ONNX file; the graph has an operator or an attribute that we lack, by name, or is no chain.
    """
    try:
        import onnx
    except ImportError:
        raise ImportError("fastrnn.interop.onnx: needs onnx; pip install 'fastrnn[onnx]'") from None
    if not isinstance(source, onnx.ModelProto):
        if not isinstance(source, (str, os.PathLike)):
            raise TypeError(f"source: expected a path or an onnx.ModelProto, got {_check.describe(source)}")
        with reading("onnx", source) as file:
            data = file.read()
        try:
            model = onnx.load_model_from_string(data)
            onnx.checker.check_model(model)
        except Exception as error:
            text = str(error).strip().split("\n")[0]
            raise ValueError(f"onnx: expected an ONNX file, got {os.fspath(source)!r}: {text}") from None
        source = model
    return _Chain(source.graph, onnx).layers()


class _Chain:
    """The walk along the graph."""

    def __init__(self, graph: Any, onnx: Any) -> None:
        self.onnx = onnx
        self.constants = {w.name: onnx.numpy_helper.to_array(w) for w in graph.initializer}
        self.nodes = []
        for node in graph.node:
            if node.op_type == "Constant":
                self.constants[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
            else:
                self.nodes.append(node)
        inputs = [value.name for value in graph.input if value.name not in self.constants]
        if not inputs:
            raise ValueError("graph: expected an input, got none")
        self.at = self.first = inputs[0]
        self.makers = {name: node for node in self.nodes for name in node.output if name}
        self.outputs = [value.name for value in graph.output]
        self.found: list[Any] = []
        self.turned = self.batch_first = False

    def layers(self) -> layers.Sequential:
        """Walk, and make the layers."""
        while (node := self.following()) is not None:
            take = getattr(self, f"_{node.op_type.lower()}", None)
            if take is None:
                raise ValueError(f"graph: expected an operator that fastrnn has, got {node.op_type!r}")
            take(node)
        if self.at not in self.outputs:
            raise ValueError(f"graph: expected a chain that ends in one of {self.outputs}, got {self.at!r}")
        if not self.found:
            raise ValueError("graph: expected at least one layer, got none")
        return layers.Sequential(*self._made())

    def following(self) -> Any:
        """The operator that reads the value at hand; None at the end."""
        readers = [n for n in self.nodes if self.at and self.at in n.input and n.op_type not in ASIDE]
        if len(readers) > 1:
            kinds = " and ".join(repr(n.op_type) for n in readers)
            raise ValueError(f"graph: expected a chain of layers, got {kinds} that read {self.at!r}")
        return readers[0] if readers else None

    def constant(self, node: Any, place: int) -> Any:
        """A weight that a node reads."""
        name = node.input[place]
        if name not in self.constants:
            raise ValueError(f"graph: expected a constant as input {place} of {node.op_type}, got {name!r}")
        return self.constants[name]

    def attributes(self, node: Any) -> dict[str, Any]:
        """By name, as Python has them."""
        found: dict[str, Any] = {}
        for a in node.attribute:
            value = self.onnx.helper.get_attribute_value(a)
            if isinstance(value, bytes):
                value = value.decode()
            elif a.type == self.onnx.AttributeProto.STRINGS:
                value = [text.decode() for text in value]
            found[a.name] = value
        return found

    def _identity(self, node: Any) -> None:
        self.at = node.output[0]

    _dropout = _identity

    def _transpose(self, node: Any) -> None:
        perm = list(self.attributes(node).get("perm", ()))
        if perm != [1, 0, 2]:
            raise ValueError(f"graph: expected Transpose of steps and rows, [1, 0, 2], got {perm}")
        self.turned = not self.turned
        self.batch_first = self.batch_first or not any(isinstance(a, _Level) for a in self.found)
        self.at = node.output[0]

    def _gather(self, node: Any) -> None:
        table = self.constant(node, 0)
        embedding = layers.Embedding(*table.shape, dtype=str(table.dtype))
        embedding.load_params({"weight": table})
        self.found.append(embedding)
        self.at = node.output[0]

    def _matmul(self, node: Any) -> None:
        self.at, bias = node.output[0], None
        weight = self.constant(node, 1)
        after = self.following()
        if after is not None and after.op_type == "Add":
            bias = self.constant(after, 1 if after.input[0] == self.at else 0)
            self.at = after.output[0]
        self._dense(weight.T, bias)

    def _gemm(self, node: Any) -> None:
        given = self.attributes(node)
        wrong = {k: v for k, v in given.items() if k != "transB" and v != (0 if k == "transA" else 1.0)}
        if wrong:
            raise ValueError(f"graph: expected Gemm without alpha, beta and transA, got {wrong}")
        weight = self.constant(node, 1)
        bias = self.constant(node, 2) if len(node.input) > 2 else None
        self._dense(weight if given.get("transB") else weight.T, bias)
        self.at = node.output[0]

    def _dense(self, weight: Any, bias: Any) -> None:
        layer = layers.Linear(weight.shape[1], weight.shape[0], bias is not None, dtype=str(weight.dtype))
        layer.load_params({"weight": weight} | ({} if bias is None else {"bias": bias}))
        self.found.append(layer)

    def _activation(self, node: Any) -> None:
        self.found.append(layers.Activation(node.op_type.lower()))
        self.at = node.output[0]

    _relu = _tanh = _sigmoid = _activation

    def _recurrent(self, node: Any) -> None:
        operator, given = node.op_type, self.attributes(node)
        two = {"forward": False, "bidirectional": True}.get(given.pop("direction", "forward"))
        hidden = given.pop("hidden_size", 0)
        options = _options(operator, given, 1 + bool(two))
        if two is None or given:
            what = given or "another direction"
            raise ValueError(f"graph: expected {operator} forward or bidirectional, and no more, got {what}")
        _onnx_begin.check(self, node)
        kind, cell = options.pop("kind"), options.pop("cell")
        order, gates = _gates.ONNX[cell], GATES[operator]
        w, r = self.constant(node, 1), self.constant(node, 2)
        read = [*node.input, *[""] * 5]
        peepholes = self.constant(node, 7) if operator == "LSTM" and len(node.input) > 7 and read[7] else None
        if peepholes is not None:
            options["peephole"], order = "diagonal", _gates.ONNX["lstm_peephole"]
        options |= {"bias": bool(read[3]), "bidirectional": bool(two), "dtype": str(w.dtype)}
        params = []
        for d in range(len(w)):
            of = {"weight_ih": _gates.ours(w[d], order), "weight_hh": _gates.ours(r[d], order)}
            if read[3]:
                both = np.split(self.constant(node, 3)[d], [gates * hidden])
                of |= {k: _gates.ours(b, order) for k, b in zip(("bias_ih", "bias_hh"), both, strict=True)}
            if peepholes is not None:
                of["weight_ch"] = _gates.ours(peepholes[d], _gates.PEEPHOLES)
            params.append(of)
        self.found.append(_Level(kind, hidden, options, params))
        self.at = node.output[0]
        self._join(bool(two))

    _rnn = _lstm = _gru = _recurrent

    def _join(self, two: bool) -> None:
        """Y, [T, D, B, H], to [T, B, D*H]."""
        after = self.following()
        if after is None:
            return
        if two:
            perm = list(self.attributes(after).get("perm", ()))
            if after.op_type != "Transpose" or perm != [0, 2, 1, 3]:
                raise ValueError(f"graph: expected Transpose [0, 2, 1, 3] of Y, got {after.op_type} {perm}")
            self.at = after.output[0]
            after = self.following()
        if after is None or not self._joins(after):
            got = "none" if after is None else repr(after.op_type)
            raise ValueError(f"graph: expected what joins the directions of Y, got {got}")
        self.at = after.output[0]

    def _joins(self, node: Any) -> bool:
        """Whether it takes the axis of directions away, and no other."""
        if node.op_type == "Squeeze":
            axes = self.attributes(node).get("axes") or self.constant(node, 1).tolist()
            return list(axes) == [1]
        return bool(node.op_type == "Reshape" and len(self.constant(node, 1)) == 3)

    def _made(self) -> list[Layer]:
        """The layers, levels that follow one another being one."""
        done: list[Layer] = []
        levels: list[_Level] = []
        for item in [*self.found, None]:
            if levels and not (isinstance(item, _Level) and item[:3] == levels[0][:3]):
                done.append(self._stack(levels))
                levels = []
            if isinstance(item, _Level):
                levels.append(item)
            elif item is not None:
                done.append(item)
        if self.turned:
            raise ValueError("graph: expected the output turned around as the input is, got one that is not")
        return done

    def _stack(self, levels: list[_Level]) -> Layer:
        width = levels[0].params[0]["weight_ih"].shape[1]
        options = levels[0].options | {"batch_first": self.batch_first}
        layer: Layer = getattr(layers, levels[0].kind)(width, levels[0].hidden, len(levels), **options)
        layer.load_params(
            {
                f"{kind}_l{number}{suffix}": array
                for number, level in enumerate(levels)
                for suffix, of in zip(("", "_reverse"), level.params, strict=False)
                for kind, array in of.items()
            }
        )
        return layer


def _options(operator: str, given: dict[str, Any], directions: int) -> dict[str, Any]:
    """What an operator is called here; takes out of `given` what it understands."""
    functions = [name.lower() for name in given.pop("activations", ())]
    alpha, beta = list(given.pop("activation_alpha", ())), list(given.pop("activation_beta", ()))
    each = functions[: len(functions) // directions] or USUAL[operator]
    if functions not in ([], each * directions):
        raise ValueError(f"graph: expected the same activations in both directions, got {functions}")
    if given.get("layout") == 0:
        del given["layout"]
    if operator == "RNN":
        if each == ["affine"] and alpha == [1.0] * directions and not any(beta):
            each = ["identity"]
        if each[0] in ("tanh", "relu", "sigmoid", "identity"):
            return {"kind": "RNN", "cell": f"rnn_{each[0]}", "nonlinearity": each[0]}
    if each != USUAL[operator]:
        raise ValueError(f"graph: expected the usual activations of {operator}, got {each}")
    if operator == "LSTM":
        coupled = bool(given.pop("input_forget", 0))
        return {"kind": "LSTM", "cell": "lstm_coupled" if coupled else "lstm"} | (
            {"coupled": True} if coupled else {}
        )
    after = bool(given.pop("linear_before_reset", 0))
    return {"kind": "GRU", "cell": "gru" if after else "gru_reset_before"} | (
        {} if after else {"reset": "before"}
    )
