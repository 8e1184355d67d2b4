"""The tables that a model trains, and where they are seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastrnn import _check

from ._tables import Floats, Table, Tables, lock_factors
from .corpus import Corpus
from .keyedvectors import KeyedVectors

Paths = tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]


class TrainedTables:
    """The part of `Word2Vec` that has tables."""

    wv: KeyedVectors
    vector_size: int
    keep_thresholds: npt.NDArray[np.uint32]
    alias: npt.NDArray[np.uint32] | None
    paths: Paths | None
    _counts: npt.NDArray[np.int64]
    _tables: Tables | None

    def _take_tables(self, tables: Tables, before: int = 0) -> None:
        """Train these from now on."""
        self._tables = tables
        if not before:
            for owner, attribute in self._locked().values():
                setattr(owner, attribute, np.ones(1, np.float32))
        self._show()
        self.wv.expandos["count"] = self._counts
        self.wv.expandos["sample_int"] = self.keep_thresholds

    def _shown(self) -> dict[str, tuple[KeyedVectors, str]]:
        """Where the rows of which table are seen."""
        return {"input": (self.wv, "vectors")}

    def _locked(self) -> dict[str, tuple[KeyedVectors, str]]:
        """Where the factors on the updates of rows are."""
        return {"locks": (self.wv, "vectors_lockf")}

    @property
    def layer1_size(self) -> int:
        """Numbers in a row of `syn1neg` and `syn1`."""
        return self.vector_size

    def joined(self) -> tuple[int, int, int] | None:
        """Where inputs are joined: numbers in a vector, tags of a document, row of the null word."""
        return None

    def kernel_outputs(self) -> dict[str, Any]:
        """Return the arguments of ``_core.Word2VecRun`` that say what inputs are and are scored against."""
        tables = self.tables()
        return {
            "input": tables.input.padded,
            "output": None if tables.output is None else tables.output.padded,
            "nodes": None if tables.nodes is None else tables.nodes.padded[:-1],
            "alias": None if tables.output is None else self.alias,
            "paths": self.paths,
            "joined": self.joined(),
        }

    def kernel_inputs(self, corpus: Corpus) -> dict[str, Any]:
        """Return the arguments of ``_core.Word2VecRun`` that say what inputs are."""
        return {name: lock_factors(getattr(*where)) for name, where in self._locked().items()}

    def settle(self) -> None:
        """Make what follows from the tables, after they have changed."""
        self.wv.norms = None

    def tables(self) -> Tables:
        """Return the tables, to be trained.

        An array put in the place of one that is shown is taken over; what is in a file comes into memory.
        """
        assert self._tables is not None
        mapped = {n: t for n, t in vars(self._tables).items() if t is not None and t.mapped}
        for name, (owner, attribute) in self._shown().items():
            table, values = getattr(self._tables, name), getattr(owner, attribute)
            if not table.holds(values):
                values = np.asarray(values)
                _check.array(f"wv.{attribute}", values, table.rows.shape, np.dtype(np.float32))
                setattr(self._tables, name, Table(values))
                setattr(owner, attribute, getattr(self._tables, name).rows)
                mapped.pop(name, None)
        for name, table in mapped.items():
            setattr(self._tables, name, Table(table.rows))
        if mapped:
            self._show()
        return self._tables

    def _show(self) -> None:
        for name, (owner, attribute) in self._shown().items():
            setattr(owner, attribute, getattr(self._tables, name).rows)
        self.settle()

    @property
    def syn1neg(self) -> Floats:
        """Output vectors of negative sampling, [words, layer1_size]."""
        return self._trained_rows("syn1neg", "negative")

    @property
    def syn1(self) -> Floats:
        """Vectors of the nodes of the Huffman tree, [words, layer1_size]; the last row is not used."""
        return self._trained_rows("syn1", "hs")

    def _trained_rows(self, name: str, option: str) -> Floats:
        table = (
            None
            if self._tables is None
            else self._tables.output
            if option == "negative"
            else self._tables.nodes
        )
        if table is None:
            raise AttributeError(f"{name}: expected a vocabulary and {option} > 0, got a model without")
        return table.rows
