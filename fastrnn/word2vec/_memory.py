"""How much memory a model takes."""

from __future__ import annotations

from fastrnn import _check

from ._scanning import Scanning
from ._tables import row_bytes

# A word as a str of 64 bytes, its int and place in a dictionary 70, in a list 8, count, threshold and part of
# the table of negatives 20. Its path through the Huffman tree: 16 nodes of 8 bytes, as with 70,000 words.
_WORD, _PATH = 162, 136


class Memory(Scanning):
    """The part of `Word2Vec` that says how much memory it takes."""

    def estimate_memory(
        self, vocab_size: int | None = None, report: dict[str, int] | None = None
    ) -> dict[str, int]:
        """Estimate the bytes that a model takes with its present settings.

        Parameters
        ----------
        vocab_size : int, optional
            Words. Default: those that it has.
        report : dict, optional
            Is added to, and to the total.

        Returns
        -------
        dict of str to int
            Bytes by gensim's names, rows of tables as they are stored (padded to 64 bytes): ``vocab``,
            ``vectors``, ``syn1`` and ``syn1neg`` where there are any, and ``total``. Beside them `FastText`
            has ``syn0_vocab``, ``syn0_ngrams`` and ``buckets_word``, `Doc2Vec` ``doctag_lookup`` and
            ``doctag_syn0``.
        """
        words = len(self.wv) if vocab_size is None else _check.integer("vocab_size", vocab_size, 0)
        found = {name: int(count) for name, count in (report or {}).items() if name != "total"}
        found |= {"vocab": words * (_WORD + (_PATH if self.hs else 0)), **self._memory_of_inputs(words)}
        for name, used in (("syn1", self.hs), ("syn1neg", self.negative)):
            if used:
                found[name] = words * row_bytes(self.layer1_size)
        return {**found, "total": sum(found.values())}

    def _memory_of_inputs(self, words: int) -> dict[str, int]:
        return {"vectors": words * row_bytes(self.vector_size)}
