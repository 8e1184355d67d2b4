"""A vector for each key: what word2vec learns, and what is asked of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastrnn import _check

from ._evaluation import Evaluation
from ._interop import Interop


class KeyedVectors(Evaluation, Interop):
    """
    A vector for each key, with nearest neighbours, evaluation and files. Names and numbers are gensim's.

    Parameters
    ----------
    vector_size
        Numbers in a vector.
    count
        Make room for so many keys, to be filled by `add_vector`.
    dtype
        float16, float32 or float64.

    Attributes
    ----------
    vectors
        [V, vector_size]; after changing it in place, call ``fill_norms(force=True)``.
    index_to_key, key_to_index
        The keys by row, and the row of each key.
    expandos
        Attributes: a name to an array of V values; see `set_vecattr`.

    Examples
    --------
    >>> kv = KeyedVectors.load_word2vec_format("vectors.bin", binary=True)
    >>> kv.most_similar(positive=["woman", "king"], negative=["man"], topn=3)
    >>> kv.most_similar([["king"], ["queen"]])  # a batch: one pass over the vectors
    """

    def vectors_for_all(
        self, keys: Iterable[Any], allow_inference: bool = True, copy_vecattrs: bool = False
    ) -> KeyedVectors:
        """
        Return new KeyedVectors of those of `keys` that are here, each once, in their order.

        Parameters
        ----------
        keys
            Any keys.
        allow_inference
            Let a subclass make up vectors for words that it has not seen.
        copy_vecattrs
            Take the attributes along. Otherwise ``count`` is made up, falling from the number of keys to 1.
        """
        _check.several(keys=keys)
        known: Any = self if allow_inference else self.key_to_index
        chosen = [key for key in dict.fromkeys(keys) if key in known]
        kv = KeyedVectors(self.vector_size, len(chosen), self.vectors.dtype)
        for at, key in enumerate(chosen):
            kv.vectors[at] = self.get_vector(key)
        kv._fill(chosen, kv.vectors)
        for at, key in enumerate(chosen):
            kv.set_vecattr(key, "count", len(chosen) - at)
        if copy_vecattrs:
            rows = [self.get_index(key, -1) for key in chosen]
            for name, values in self.expandos.items():
                kv.allocate_vecattrs([name], [values.dtype])
                for at, row in enumerate(rows):
                    if row >= 0:
                        kv.expandos[name][at] = values[row]
        return kv
