"""What a graph reads for sentences."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrnn import _check
from fastrnn.batches import PaddedBatches
from fastrnn.models import SequenceClassifier, SequenceTagger
from fastrnn.models._characters import Spelled
from fastrnn.models._sentences import encode


def inputs(model: Any, x: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Give the arrays that the graph of a tagger or a classifier reads for sentences, in their order.

    Parameters
    ----------
    model
        A `SequenceTagger`, with characters or without, or a `SequenceClassifier`.
    x
        Lists of words.

    Returns
    -------
    dict
        ``x``, [T, B], and ``lengths``, [B], for a graph made with ``lengths=True``; of a tagger with
        characters also ``places``, ``letters`` and ``sizes``, see `export`.

    Raises
    ------
    TypeError, ValueError
        Another model, no sentences, or something that is no word.
    """
    if not isinstance(model, (SequenceTagger, SequenceClassifier)):
        raise TypeError(
            f"model: expected a SequenceTagger or SequenceClassifier, got {_check.describe(model)}"
        )
    x = _check.items(x)
    words = encode("x", x, model.vocabulary)
    if isinstance(model, SequenceTagger):
        data = model._batches("x", x, words, words, len(words))
    else:
        data = PaddedBatches(words, words, len(words))
    at = np.argsort(data.rows(0))  # they are sorted by length there
    rows: Any = data[0][0]
    found: dict[str, Any] = {
        "x": rows.tokens[:, at].astype(np.int64),
        "lengths": rows.lengths[at].astype(np.int32),
    }
    if isinstance(rows, Spelled):
        found["places"] = rows.places[:, at].astype(np.int64)
        found |= {"letters": rows.letters.astype(np.int64), "sizes": rows.sizes.astype(np.int32)}
    return found
