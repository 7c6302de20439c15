"""What a library's sources answer to each question, asked once and fused in many ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trawl.errors import UsageError
from trawl.evaluation.figures import DEFAULT
from trawl.evaluation.questions import Question
from trawl.ingest import document_id_of, uri_of
from trawl.library import Library
from trawl.ranking import Fusion, Method
from trawl.search import Gathered, Reranker, rerank
from trawl.store import DocumentRow, Snapshot
from trawl.types import Modality

_NOT_THERE = "not in the library: "


@dataclass(frozen=True, slots=True)
class Judged:
    """A question's answers by key: a document's id, or a chunk's where a chunk is judged.

    `modalities` tells what each answer is; it lacks those that are not in the library.
    """

    grades: Mapping[str, int]
    modalities: Mapping[str, Modality]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The sources' answers to one question, and the key of each row that they gave."""

    gathered: Gathered
    keys: Mapping[int, str]
    snapshot: Snapshot

    @property
    def sources(self) -> list[str]:
        """The sources that gave anything."""
        return [ranking.source for ranking in self.gathered.rankings if len(ranking.rows)]

    def by_fusion(
        self, method: Method, weights: Mapping[str, float], depth: int | None = None
    ) -> list[str]:
        """Give the keys of the fused list, the best first, each once."""
        return self._keys(self.gathered.fused(method, weights), depth)

    def by_source(self, source: str) -> list[str]:
        """Give the keys of one source's list, the best first, each once."""
        return self._keys(self.gathered.fused(sources={source}), None)

    def reranked(self, reranker: Reranker, weights: Mapping[str, float]) -> list[str]:
        """Give the keys of the default fusion's list in the order of a reranker."""
        fused = self.gathered.fused(DEFAULT, weights)
        return self._keys(rerank(reranker, self.gathered.words, self.snapshot, fused)[0], None)

    def _keys(self, fused: Fusion, depth: int | None) -> list[str]:
        # A document's place is that of its best chunk.
        found: dict[str, None] = {}
        for row in fused.rows.tolist():
            found.setdefault(self.keys[row])
            if depth is not None and len(found) == depth:
                break
        return list(found)


class Answers:
    """Finds the documents and chunks that judgements name."""

    def __init__(self, library: Library, base: Path) -> None:
        self._library, self._base = library, base
        self._documents = {row.document_id: row for row in library.documents()}
        self.missing: list[str] = []

    def judged(self, question: Question) -> Judged:
        """Give a question's answers by key. One that is not there stays, and is not found."""
        grades: dict[str, int] = {}
        modalities: dict[str, Modality] = {}
        for name, grade in question.answers.items():
            if grade <= 0:
                continue
            key, modality = self._found(name)
            grades[key] = max(grade, grades.get(key, 0))
            if modality is not None:
                modalities[key] = modality
        return Judged(grades, modalities)

    def _found(self, name: str) -> tuple[str, Modality | None]:
        document_id, colon, ordinal = name.partition(":")
        row = self._documents.get(document_id)
        if row is not None and not colon:
            return document_id, _modality(row)
        if row is not None and ordinal.isdecimal():
            chunk = next(
                (c for c in self._library.show(document_id).chunks if c.chunk_id == name), None
            )
            return (name, chunk.modality) if chunk is not None else self._missed(name)
        for place in (self._base / name, Path(name)):
            with suppress(OSError, RuntimeError, ValueError):
                row = self._documents.get(document_id_of(uri_of(place.resolve())))
                if row is not None:
                    return row.document_id, _modality(row)
        return self._missed(name)

    def _missed(self, name: str) -> tuple[str, None]:
        self.missing.append(name)
        return _NOT_THERE + name, None


def ask(
    library: Library, question: Question, judged: Judged, k: int, weights: Mapping[str, float]
) -> Candidates:
    """Ask all sources; `weights` are only checked.

    Raises `UsageError`, which names the question, for what cannot be asked.
    """
    try:
        gathered, snapshot = library.gather(
            question.query,
            text=question.text,
            image=question.image,
            audio=question.audio,
            limit=k,
            weights=weights,
        )
    except UsageError as error:
        raise UsageError(f"question {question.question_id}: {error}") from error
    rows = [int(row) for row in _rows(gathered)]
    fields = snapshot.fields(rows, ["chunk_id", "document_id"])
    keys = {
        row: found["chunk_id"] if found["chunk_id"] in judged.grades else found["document_id"]
        for row, found in fields.items()
    }
    return Candidates(gathered, keys, snapshot)


def _rows(gathered: Gathered) -> Sequence[int]:
    found = [ranking.rows for ranking in gathered.rankings]
    return np.unique(np.concatenate(found)).tolist() if found else []


def _modality(row: DocumentRow) -> Modality:
    kind = (row.media_type or "").partition("/")[0]
    return "image" if kind == "image" else "audio" if kind == "audio" else "text"
