"""A softmax whose weight is the embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn.layers import Embedding
from fastrnn.losses import LinearCrossEntropy

if TYPE_CHECKING:
    from collections.abc import Mapping


class TiedCrossEntropy(LinearCrossEntropy):
    """
    `LinearCrossEntropy` whose weight [V, I] is that of an embedding; its own parameter is ``bias``.

    Its gradient by the weight is added to that of the embedding, so both must be parts of one model.

    Parameters
    ----------
    embedding
        Whose weight it takes.

    References
    ----------
    Press, Wolf: Using the output embedding to improve language models. EACL 2017. Inan et al. ICLR 2017.
    """

    def __init__(self, embedding: Embedding) -> None:
        super().__init__(
            embedding.embedding_dim, embedding.num_embeddings, dtype=str(embedding.flat_params.dtype), seed=0
        )
        self.embedding = embedding
        self._declare({"bias": (self.num_classes,)}, np.dtype(embedding.flat_params.dtype))

    def _tables(self) -> Any:
        return self.embedding._weights[0], self._weights[0]

    def _table_gradients(self) -> Any:
        return self.embedding._gradients[0], self._gradients[0]

    def _into(self, grads: Any) -> Any:
        raise ValueError(
            "grads: expected None for a tied weight, whose gradient is another layer's, got some"
        )

    def _pack(self, named: Mapping[str, Any]) -> Any:
        return tuple(named.values())
