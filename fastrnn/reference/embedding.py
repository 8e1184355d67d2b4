"""Rows of a table. Mirror of ``csrc/kernels/embedding.h``."""

from __future__ import annotations

import numpy as np

from ._types import Array, Tokens


def embedding(tokens: Tokens, table: Array) -> Array:
    """Row ``tokens[...]`` of table [V, I] for every token: shape [..., I]."""
    return np.asarray(table[tokens])


def embedding_backward(tokens: Tokens, dy: Array, num_embeddings: int) -> Array:
    """Gradient of the table, [V, I]: rows of dy [..., I] summed by token, in the order of the tokens."""
    dtable = np.zeros((num_embeddings, dy.shape[-1]), dy.dtype)
    np.add.at(dtable, tokens.reshape(-1), dy.reshape(-1, dy.shape[-1]))
    return dtable
