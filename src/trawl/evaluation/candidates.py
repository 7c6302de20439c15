"""The candidates of each question, searched once and fused in several ways."""

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
from trawl.search import Gathered
from trawl.search.rerank import Reranker, rerank
from trawl.store import DocumentRow, Snapshot
from trawl.types import Modality

_MISSING_PREFIX = "not in the library: "


@dataclass(frozen=True, slots=True)
class Judged:
    """A question's answers by key, which is the id of a document or of a judged chunk.

    `modalities` maps the answers that are in the library to their modality.
    """

    grades: Mapping[str, int]
    modalities: Mapping[str, Modality]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The candidates of one question from every source, and the key of each row."""

    gathered: Gathered
    keys: Mapping[int, str]
    snapshot: Snapshot

    @property
    def sources(self) -> list[str]:
        """The sources that returned candidates."""
        return [ranking.source for ranking in self.gathered.rankings if len(ranking.rows)]

    def by_fusion(
        self, method: Method, weights: Mapping[str, float], depth: int | None = None
    ) -> list[str]:
        """Return the distinct keys of the fused list, best first."""
        return self._keys(self.gathered.fused(method, weights), depth)

    def by_source(self, source: str) -> list[str]:
        """Return the distinct keys of one source's list, best first."""
        return self._keys(self.gathered.fused(sources={source}), None)

    def reranked(self, reranker: Reranker, weights: Mapping[str, float]) -> list[str]:
        """Return the keys of the default fusion's list after reranking."""
        fused = self.gathered.fused(DEFAULT, weights)
        return self._keys(rerank(reranker, self.gathered.words, self.snapshot, fused)[0], None)

    def _keys(self, fused: Fusion, depth: int | None) -> list[str]:
        # The rank of a document is that of its best chunk.
        keys: dict[str, None] = {}
        for row in fused.rows.tolist():
            keys.setdefault(self.keys[row])
            if depth is not None and len(keys) == depth:
                break
        return list(keys)


class AnswerResolver:
    """Finds the documents and chunks that judgements name. `missing` lists unknown names."""

    def __init__(self, library: Library, base: Path) -> None:
        self._library, self._base = library, base
        self._documents = {row.document_id: row for row in library.documents()}
        self.missing: list[str] = []

    def judged(self, question: Question) -> Judged:
        """Return a question's answers by key. Missing answers are kept, and count as not found."""
        grades: dict[str, int] = {}
        modalities: dict[str, Modality] = {}
        for name, grade in question.answers.items():
            if grade <= 0:
                continue
            key, modality = self._resolve(name)
            grades[key] = max(grade, grades.get(key, 0))
            if modality is not None:
                modalities[key] = modality
        return Judged(grades, modalities)

    def _resolve(self, name: str) -> tuple[str, Modality | None]:
        document_id, colon, ordinal = name.partition(":")
        row = self._documents.get(document_id)
        if row is not None and not colon:
            return document_id, _modality(row)
        if row is not None and ordinal.isdecimal():
            chunk = next(
                (c for c in self._library.show(document_id).chunks if c.chunk_id == name), None
            )
            return (name, chunk.modality) if chunk is not None else self._missing(name)
        for place in (self._base / name, Path(name)):
            with suppress(OSError, RuntimeError, ValueError):
                row = self._documents.get(document_id_of(uri_of(place.resolve())))
                if row is not None:
                    return row.document_id, _modality(row)
        return self._missing(name)

    def _missing(self, name: str) -> tuple[str, None]:
        self.missing.append(name)
        return _MISSING_PREFIX + name, None


def search(
    library: Library, question: Question, judged: Judged, k: int, weights: Mapping[str, float]
) -> Candidates:
    """Search every source for a question. `weights` are only validated.

    Raises `UsageError`, which names the question, if the query is invalid.
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
        row: ids["chunk_id"] if ids["chunk_id"] in judged.grades else ids["document_id"]
        for row, ids in fields.items()
    }
    return Candidates(gathered, keys, snapshot)


def _rows(gathered: Gathered) -> Sequence[int]:
    rows = [ranking.rows for ranking in gathered.rankings]
    return np.unique(np.concatenate(rows)).tolist() if rows else []


def _modality(row: DocumentRow) -> Modality:
    kind = (row.media_type or "").partition("/")[0]
    return "image" if kind == "image" else "audio" if kind == "audio" else "text"
