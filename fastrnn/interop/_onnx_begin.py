"""What a recurrent operator of an ONNX graph begins with: where it is no argument of the call, it is zero."""

from __future__ import annotations

from typing import Any

import numpy as np


def check(chain: Any, node: Any) -> None:
    """Refuse lengths and initial states that the graph itself has, which a layer would not know of."""
    read = [*node.input, *[""] * 7]
    if read[4] in chain.constants:
        raise ValueError(
            f"graph: expected lengths of {node.op_type} that are an input or none, got constant ones"
        )
    for name in read[5:7]:
        if name and not _zero(chain, name):
            raise ValueError(
                f"graph: expected initial states of {node.op_type} that are an input, or zeros, got {name!r}"
            )


def _zero(chain: Any, name: str) -> bool:
    """Whether a value is an input of its own, or made of zeros alone (shapes are no values)."""
    if name in chain.constants:
        value = chain.constants[name]
        return value.dtype.kind != "f" or not np.any(value)
    node = chain.makers.get(name)
    if node is None:
        return bool(name != chain.first)
    if node.op_type == "Shape":
        return True
    filled = chain.attributes(node).get("value") if node.op_type == "ConstantOfShape" else None
    if filled is not None and np.any(chain.onnx.numpy_helper.to_array(filled)):
        return False
    return all(_zero(chain, part) for part in node.input if part)
