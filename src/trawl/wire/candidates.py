"""Define the bodies of a search of several libraries, and read them back.

A server with several libraries sends each of them a `QuestionBody` and reads a `CandidatesOut`.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from trawl.errors import QueryError
from trawl.ranking import Null, Prior
from trawl.search import Candidate, Candidates, Gathered, Liked
from trawl.types import ColumnType, Metadata, Modality, Place, Ranking, StoredChunk
from trawl.wire.search import FacetOut
from trawl.wire.spans import LinkOut, SpanOut
from trawl.wire.values import file_name


class RankingOut(BaseModel):
    """The candidates of one source, best first."""

    source: str = Field(examples=["mini.image"])
    rows: list[int] = Field(description="Numbers of the candidates.")
    similarities: list[float] = Field(description="Cosines, or BM25 scores.")
    searched: int = Field(description="Number of chunks that the source searched.")
    complete: bool = Field(description="Whether there are no further candidates.")

    def ranking(self) -> Ranking:
        """Return the ranking."""
        rows = np.array(self.rows, np.int64)
        return Ranking(
            self.source, rows, np.array(self.similarities, np.float32), self.searched, self.complete
        )


class NullOut(BaseModel):
    """What a source shows for queries without an answer (docs/ranking.md)."""

    best: float
    std: float
    growth: float
    size: int
    trust: float


class PriorOut(BaseModel):
    """Mean and standard deviation of the similarities of unrelated pairs."""

    mean: float
    std: float


class CandidateOut(BaseModel):
    """A chunk among the candidates."""

    row: int = Field(description="Its number in the rankings.")
    id: str = Field(description="The chunk's id.")
    document_id: str
    source: str = Field(description="File name.")
    title: str
    modality: Modality
    media_type: str
    text: str
    detail: str
    span: SpanOut
    metadata: dict[str, Any]
    label: str = ""
    words: str = ""
    links: list[LinkOut] = []
    likeness: str = Field("", description="Bytes in base64 that are near those of near-duplicates.")
    content: str = Field("", description="Equal for files with the same bytes.")
    places: list[dict[str, str]] = []
    gone: bool = False
    vectors: dict[str, str] = Field({}, description="Vectors by source: float32 in base64.")

    def candidate(self, columns: Mapping[str, ColumnType]) -> Candidate:
        """Return the candidate; its `uri` is the file name."""
        return Candidate(
            StoredChunk(
                chunk_id=self.id,
                document_id=self.document_id,
                uri=self.source,
                title=self.title,
                modality=self.modality,
                media_type=self.media_type,
                text=self.text,
                detail=self.detail,
                span=self.span.span(),
                metadata=_dated(self.metadata, columns),
                label=self.label,
                words=self.words,
                links=tuple(one.link() for one in self.links),
                likeness=base64.b64decode(self.likeness),
            ),
            self.content,
            tuple(Place(one["document_id"], one["source"]) for one in self.places),
            self.gone,
            {source: decoded(text) for source, text in self.vectors.items()},
        )


class GatheredOut(BaseModel):
    """The candidates of every source, and what fusing them needs."""

    rankings: list[RankingOut]
    nulls: dict[str, NullOut]
    priors: dict[str, PriorOut]
    odds: dict[str, float]
    query_words: int
    alike: Modality | None
    words: str

    def gathered(self) -> Gathered:
        """Return the candidates."""
        return Gathered(
            tuple(one.ranking() for one in self.rankings),
            {source: Null(**null.model_dump()) for source, null in self.nulls.items()},
            {source: Prior(**prior.model_dump()) for source, prior in self.priors.items()},
            self.odds,
            self.query_words,
            self.alike,
            self.words,
        )


class CandidatesOut(BaseModel):
    """What a library contributes to a search of several."""

    version: int = Field(description="Version of the library that was searched.")
    columns: dict[str, ColumnType] = Field(description="The columns of the library.")
    spaces: dict[str, str] = Field(description="The fingerprint of each source's model.")
    chunks: list[CandidateOut]
    gathered: GatheredOut | None = Field(description="Null if the request only filters.")
    total: int | None = Field(description="Number of documents that match, if it only filters.")
    facets: list[FacetOut]
    notices: list[str]
    took_ms: dict[str, float]

    def candidates(self) -> Candidates:
        """Return the candidates."""
        return Candidates(
            self.version,
            self.columns,
            self.spaces,
            {one.row: one.candidate(self.columns) for one in self.chunks},
            self.gathered.gathered() if self.gathered is not None else None,
            self.total,
            tuple(one.facet() for one in self.facets),
            tuple(self.notices),
            self.took_ms,
        )


class LikedOut(BaseModel):
    """A chunk that other libraries search for chunks like."""

    modality: Modality
    content: str = Field(description="Equal for files with the same bytes.")
    vectors: dict[str, str] = Field(
        description="Vectors by the fingerprint of their model: float32 in base64."
    )

    def liked(self) -> Liked:
        """Return the chunk."""
        vectors = {name: decoded(text) for name, text in self.vectors.items()}
        return Liked(self.modality, vectors, self.content)

    @classmethod
    def from_liked(cls, liked: Liked) -> LikedOut:
        """Return a chunk as JSON has it."""
        vectors = {name: encoded(vector) for name, vector in liked.vectors.items()}
        return cls(modality=liked.modality, content=liked.content, vectors=vectors)


def candidates_fields(found: Candidates) -> dict[str, Any]:
    """Return the fields of a `CandidatesOut`."""
    return {
        "version": found.version,
        "columns": dict(found.columns),
        "spaces": dict(found.spaces),
        "chunks": [_chunk_fields(row, one) for row, one in found.chunks.items()],
        "gathered": _gathered_fields(found.gathered) if found.gathered is not None else None,
        "total": found.total,
        "facets": [FacetOut.from_facet(facet).model_dump() for facet in found.facets],
        "notices": found.notices,
        "took_ms": dict(found.took_ms),
    }


def _gathered_fields(gathered: Gathered) -> dict[str, Any]:
    return {
        "rankings": [
            {
                "source": one.source,
                "rows": one.rows.tolist(),
                # Nine digits, which float32 survives.
                "similarities": [float(f"{value:.9g}") for value in one.similarities.tolist()],
                "searched": one.searched,
                "complete": one.complete,
            }
            for one in gathered.rankings
        ],
        "nulls": gathered.nulls,
        "priors": gathered.priors,
        "odds": dict(gathered.odds),
        "query_words": gathered.query_words,
        "alike": gathered.alike,
        "words": gathered.words,
    }


def _chunk_fields(row: int, one: Candidate) -> dict[str, Any]:
    chunk = one.chunk
    return {
        "row": row,
        "id": chunk.chunk_id,
        "document_id": chunk.document_id,
        "source": file_name(chunk.uri),
        "title": chunk.title,
        "modality": chunk.modality,
        "media_type": chunk.media_type,
        "text": chunk.text,
        "detail": chunk.detail,
        "span": chunk.span,
        "metadata": chunk.metadata,
        "label": chunk.label,
        "words": chunk.words,
        "links": [
            {"kind": each.kind, "id": each.chunk_id, "label": each.label} for each in chunk.links
        ],
        "likeness": base64.b64encode(chunk.likeness).decode(),
        "content": one.content,
        "places": [
            {"document_id": each.document_id, "source": file_name(each.uri)} for each in one.places
        ],
        "gone": one.gone,
        "vectors": {source: encoded(vector) for source, vector in one.vectors.items()},
    }


def encoded(vector: NDArray[np.float32]) -> str:
    """Return a vector as base64 of its little-endian float32 values."""
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def decoded(text: str) -> NDArray[np.float32]:
    """Return a vector from base64. Raises `QueryError` if it is none."""
    try:
        vector = np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float32)
    except ValueError as error:
        raise QueryError("a vector is float32 values in base64") from error
    if not np.isfinite(vector).all():
        raise QueryError("a vector has finite values")
    return vector


def _dated(metadata: Mapping[str, Any], columns: Mapping[str, ColumnType]) -> Metadata:
    """Return metadata with its dates, which JSON has as text."""
    parse = {
        "date": datetime.date.fromisoformat,
        "datetime": datetime.datetime.fromisoformat,
    }
    return {
        key: parse[kind](value) if kind in parse and isinstance(value, str) else value
        for key, value in metadata.items()
        for kind in [columns.get(key, "text")]
    }
