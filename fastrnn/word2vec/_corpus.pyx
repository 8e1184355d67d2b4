# cython: language_level=3, boundscheck=False, wraparound=False
"""Token lists to integer ids: the loop over Python objects."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_GetItemWithError, PyDict_SetItem
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t
from libcpp.vector cimport vector

DEF CHUNK = 1 << 20  # tokens that are handed on together


def encode(sentences, dict types, sink, tokenizer=None):
    """Number the tokens of an iterable of token lists.

    Parameters
    ----------
    sentences : iterable of iterables of str
        With `tokenizer`, whatever that takes; it returns an iterable of str.
    types : dict of str to int
        Ids of the tokens; unknown ones are added.
    sink : callable
        ``sink(ids, ends)`` takes a part of the result as bytes: int32 ids, and int64 numbers of tokens, from the
        very beginning, at the end of each sentence that has any.

    Returns
    -------
    bytes
        The int64 count of each id.
    """
    cdef vector[int32_t] ids
    cdef vector[int64_t] ends, counts
    cdef int64_t tokens = 0, number = 0, before
    cdef int32_t at
    cdef PyObject* found
    cdef object sentence, token
    counts.resize(len(types))
    for sentence in sentences:
        if tokenizer is not None:
            sentence = tokenizer(sentence)
        if isinstance(sentence, (str, bytes)):
            raise TypeError(
                f"sentences: expected lists of tokens, got {type(sentence).__name__} {_short(sentence)} as sentence "
                f"{number}; split it, or give tokenizer="
            )
        before = tokens
        try:
            iter(sentence)
        except TypeError:
            raise TypeError(
                f"sentences: expected lists of tokens, got {type(sentence).__name__} {_short(sentence)} as sentence "
                f"{number}; integer ids go in as NumPy arrays (ids, offsets)"
            ) from None
        for token in sentence:
            if not isinstance(token, str):
                raise TypeError(
                    f"sentences: expected tokens that are strings, got {type(token).__name__} {_short(token)} in "
                    f"sentence {number}; integer ids go in as NumPy arrays (ids, offsets)"
                )
            found = PyDict_GetItemWithError(types, token)
            if found is NULL:
                at = <int32_t>len(types)
                PyDict_SetItem(types, token, at)
                counts.push_back(0)
            else:
                at = <object>found
            ids.push_back(at)
            counts[at] += 1
            tokens += 1
        number += 1
        if tokens > before:
            ends.push_back(tokens)
        if ids.size() >= CHUNK:
            _flush(ids, ends, sink)
    _flush(ids, ends, sink)
    return PyBytes_FromStringAndSize(<char*>counts.data(), <Py_ssize_t>(counts.size() * sizeof(int64_t)))


cdef _flush(vector[int32_t]& ids, vector[int64_t]& ends, sink):
    sink(
        PyBytes_FromStringAndSize(<char*>ids.data(), <Py_ssize_t>(ids.size() * sizeof(int32_t))),
        PyBytes_FromStringAndSize(<char*>ends.data(), <Py_ssize_t>(ends.size() * sizeof(int64_t))),
    )
    ids.clear()
    ends.clear()


cdef _short(value):
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
