"""Word similarity and analogies: gensim's protocol, in batches."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn._files import Path

from ._nearest import nearest
from ._queries import Queries
from ._similarities import unit
from ._statistics import Correlation, pearson, spearman
from ._word2vec_format import opened

if TYPE_CHECKING:
    pass

Question = tuple[str, str, str, str]
Section = dict[str, Any]
BATCH = 4096  # questions at once
CANDIDATES = 5  # how many answers are looked at for one that is not in the question


class Evaluation(Queries):
    """Tests against human judgement."""

    def evaluate_word_pairs(
        self,
        pairs: Path,
        delimiter: str = "\t",
        encoding: str = "utf8",
        restrict_vocab: int | None = 300000,
        case_insensitive: bool = True,
        dummy4unknown: bool = False,
    ) -> tuple[Correlation, Correlation, float]:
        """
        Correlate cosines with human judgements of similarity: WordSim-353, SimLex-999, MEN and others.

        Parameters
        ----------
        pairs
            A file of lines ``word word number``; those that begin with # or do not fit are left out.
        delimiter
            Between the fields.
        restrict_vocab
            Only the first so many keys are known.
        case_insensitive
            Compare upper-case forms; of keys that become equal, the first counts.
        dummy4unknown
            Count pairs with an unknown word, as of similarity 0.

        Returns
        -------
        pearson, spearman
            (coefficient, p-value) each.
        oov_ratio
            Percentage of pairs with an unknown word.

        Raises
        ------
        ValueError
            There is no pair to be used, or the file is no text.
        """
        known = self._known(restrict_vocab, case_insensitive)
        rows: list[tuple[int, int, float]] = []
        unknown = 0
        for line in _lines(pairs, encoding):
            if line.startswith("#"):
                continue
            fields = (line.upper() if case_insensitive else line).split(delimiter)
            try:
                a, b, judged = fields[0], fields[1], float(fields[2])
            except (ValueError, IndexError):
                continue
            if len(fields) != 3:
                continue
            if a in known and b in known:
                rows.append((known[a], known[b], judged))
            else:
                unknown += 1
                if dummy4unknown:
                    rows.append((-1, -1, judged))
        if not rows:
            raise ValueError(f"pairs: expected some of words that are keys, got none in {os.fspath(pairs)!r}")
        left, right, judgement = (np.array(column) for column in zip(*rows, strict=True))
        there = left >= 0
        units = [unit(self.vectors[index[there]].astype(np.float64)) for index in (left, right)]
        cosines = np.zeros(len(rows))
        cosines[there] = (units[0] * units[1]).sum(axis=1).astype(self.vectors.dtype)
        total = len(rows) if dummy4unknown else len(rows) + unknown
        return pearson(judgement, cosines), spearman(judgement, cosines), 100 * unknown / total

    def evaluate_word_analogies(
        self,
        analogies: Path,
        restrict_vocab: int | None = 300000,
        case_insensitive: bool = True,
        dummy4unknown: bool = False,
        similarity_function: str = "most_similar",
    ) -> tuple[float, list[Section]]:
        """
        Answer "a is to b as c is to ?" by the key nearest to b - a + c, and count what is right.

        Parameters
        ----------
        analogies
            A file of lines ``a b c answer``, in sections that begin with ``: name``; others are left out.
        restrict_vocab
            Only the first so many keys are known, and looked among.
        case_insensitive
            Compare upper-case forms; of keys that become equal, the first counts.
        dummy4unknown
            Count questions with an unknown word as wrong; otherwise they are left out.
        similarity_function
            ``"most_similar"``, in batches, or the name of another method that is asked question by question.

        Returns
        -------
        score
            The share of right answers.
        sections
            For each section, and at the end for ``"Total accuracy"``, a dict: its name under ``section``, the
            questions under ``correct`` and ``incorrect``.

        Raises
        ------
        ValueError
            A question comes before the first section, there is no question, or the file is no text.
        """
        method = getattr(self, similarity_function, None)
        if not callable(method):
            raise ValueError(
                f"similarity_function: expected the name of a method, got {similarity_function!r}"
            )
        known = self._known(restrict_vocab, case_insensitive)
        sections: list[Section] = []
        asked: list[tuple[Section, Question]] = []
        count = 0
        for number, line in enumerate(_lines(analogies, "utf8")):
            if line.startswith(": "):
                sections.append({"section": line.lstrip(": ").strip(), "correct": [], "incorrect": []})
                continue
            if not sections:
                raise ValueError(
                    f"analogies: expected ': section' before line {number + 1}, got {line[:40]!r}"
                )
            words = (line.upper() if case_insensitive else line).split()
            if len(words) == 4:
                count += 1
                if all(word in known for word in words) or dummy4unknown:
                    asked.append((sections[-1], (words[0], words[1], words[2], words[3])))
        if not count:
            raise ValueError(f"analogies: expected some questions, got none in {os.fspath(analogies)!r}")
        answerable = [q for _, q in asked if all(word in known for word in q)]
        own = similarity_function == "most_similar" and type(self).most_similar is Queries.most_similar
        find = self._analogies if own else self._analogies_by(method)
        answers = dict(
            zip(answerable, find(answerable, known, restrict_vocab, case_insensitive), strict=True)
        )
        for section, question in asked:
            right = answers.get(question) == question[3]
            section["correct" if right else "incorrect"].append(question)
        total: Section = {"section": "Total accuracy"}
        for which in ("correct", "incorrect"):
            total[which] = [question for section in sections for question in section[which]]
        done = len(total["correct"]) + len(total["incorrect"])
        return len(total["correct"]) / done if done else 0.0, [*sections, total]

    def _known(self, limit: int | None, upper: bool) -> dict[str, int]:
        """The first `limit` keys that are words, and their rows; of equal ones the first."""
        keys = [(i, key) for i, key in enumerate(self.index_to_key[:limit]) if isinstance(key, str)]
        return {key.upper() if upper else key: i for i, key in reversed(keys)}

    def _analogies(
        self, questions: list[Question], known: dict[str, int], limit: int | None, upper: bool
    ) -> list[str | None]:
        vectors, norms = self.vectors[: limit or None], self._lengths()[: limit or None]
        found: list[str | None] = []
        for at in range(0, len(questions), BATCH):
            part = questions[at : at + BATCH]
            rows = np.array([[known[word] for word in question[:3]] for question in part])
            with np.errstate(divide="ignore", invalid="ignore"):
                a, b, c = np.moveaxis(vectors[rows].astype(np.float64) / norms[rows, None], 1, 0)
            index, _ = nearest(unit(b + c - a), vectors, norms, CANDIDATES + 3)
            for question, near, own in zip(part, index.tolist(), rows.tolist(), strict=True):
                keys = [self.index_to_key[i] for i in near if i not in own][:CANDIDATES]
                found.append(_first(keys, question, known, upper))
        return found

    def _analogies_by(self, method: Any) -> Any:
        def find(
            questions: list[Question], known: dict[str, int], limit: int | None, upper: bool
        ) -> list[str | None]:
            found = []
            for question in questions:
                a, b, c = (self.index_to_key[known[word]] for word in question[:3])
                near = method(positive=[b, c], negative=[a], topn=CANDIDATES, restrict_vocab=limit)
                found.append(_first([key for key, _ in near], question, known, upper))
            return found

        return find


def _first(keys: list[Any], question: Question, known: dict[str, int], upper: bool) -> str | None:
    """The first key that is not in the question; if there is none, the last."""
    word = None
    for key in keys:
        word = str(key).upper() if upper else str(key)
        if word in known and word not in question[:3]:
            break
    return word


def _lines(path: Path, encoding: str) -> list[str]:
    with opened(path, "pairs") as file:
        raw = file.read()
    try:
        return raw.decode(encoding).split("\n")[: -1 if raw.endswith(b"\n") else None]
    except UnicodeDecodeError as error:
        raise ValueError(
            f"pairs: expected {encoding} text, got byte 0x{raw[error.start]:02x} at {error.start} of "
            f"{os.fspath(path)!r}"
        ) from None
