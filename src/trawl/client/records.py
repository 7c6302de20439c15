"""What a server says, as the types of Trawl and a few of the client's own."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from trawl.types import (
    Answer,
    Evidence,
    Facet,
    Failure,
    Hit,
    Metadata,
    Space,
    Span,
    Status,
    StoredChunk,
)


@dataclass(frozen=True, slots=True)
class Job:
    """Files that were uploaded, and what became of them so far.

    `state` is `queued`, `running`, `done`, `failed` or `cancelled`; `done` also where some
    files could not be read: they are in `failed`. `files_done` of `files` were read.
    """

    job_id: str
    state: str
    files_done: int
    files: int
    added: int
    unchanged: int
    replaced: int
    failed: tuple[Failure, ...]
    chunks: int
    seconds: float
    document_ids: tuple[str, ...]
    error: str | None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will become of it."""
        return self.state in ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Document:
    """A file that was added, or could not be. `uri` is its name: paths stay on the server."""

    document_id: str
    uri: str
    title: str
    media_type: str
    size_bytes: int
    chunks: int
    error: str | None
    added_at: datetime.datetime
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class DocumentContents:
    """A document with its chunks, in their order."""

    document: Document
    chunks: tuple[StoredChunk, ...]


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """Some of the documents. `next_offset` is where the next page begins, None at the end."""

    documents: tuple[Document, ...]
    total: int
    next_offset: int | None


@dataclass(frozen=True, slots=True)
class MediaPart:
    """Bytes of a file, from `start` on; `size_bytes` is the whole file's."""

    data: bytes
    media_type: str
    start: int
    size_bytes: int


def answer_of(body: Mapping[str, Any]) -> Answer:
    """Read the answer of a search."""
    return Answer(
        hits=tuple(_hit(hit) for hit in body["results"]),
        took_ms=body["took_ms"],
        no_good_match=body["no_good_match"],
        confidence=body.get("confidence", 0.0),
        notices=tuple(body["notices"]),
        facets=facets_of(body["facets"]),
        version=body["version"],
        cursor=body["cursor"],
    )


def facets_of(body: Iterable[Mapping[str, Any]]) -> tuple[Facet, ...]:
    """Read counts of values."""
    return tuple(
        Facet(one["key"], tuple((each["value"], each["count"]) for each in one["counts"]))
        for one in body
    )


def document_of(body: Mapping[str, Any]) -> Document:
    """Read a document."""
    return Document(
        document_id=body["id"],
        uri=body["source"],
        title=body["title"],
        media_type=body["media_type"],
        size_bytes=body["size_bytes"],
        chunks=body["chunks"],
        error=body["error"],
        added_at=datetime.datetime.fromisoformat(body["added_at"]),
        metadata=body["metadata"],
    )


def shown_of(body: Mapping[str, Any]) -> DocumentContents:
    """Read a document with its chunks."""
    return DocumentContents(document_of(body), tuple(chunk_of(one) for one in body["parts"]))


def page_of(body: Mapping[str, Any]) -> DocumentPage:
    """Read a page of documents."""
    documents = tuple(document_of(one) for one in body["documents"])
    return DocumentPage(documents, body["total"], body["next_offset"])


def chunk_of(body: Mapping[str, Any]) -> StoredChunk:
    """Read a chunk."""
    return StoredChunk(
        chunk_id=body["id"],
        document_id=body["document_id"],
        uri=body["source"],
        title=body["title"],
        modality=body["modality"],
        media_type=body["media_type"],
        text=body["text"],
        detail=body["detail"],
        span=_span(body["span"]),
        metadata=body["metadata"],
    )


def job_of(body: Mapping[str, Any]) -> Job:
    """Read a job."""
    report = body["report"] or {}
    return Job(
        job_id=body["id"],
        state=body["state"],
        files_done=body["done"],
        files=body["total"],
        added=report.get("added", 0),
        unchanged=report.get("unchanged", 0),
        replaced=report.get("replaced", 0),
        failed=tuple(Failure(one["source"], one["reason"]) for one in report.get("failed", ())),
        chunks=report.get("chunks", 0),
        seconds=report.get("seconds", 0.0),
        document_ids=tuple(file["document_id"] for file in body["files"]),
        error=body["error"],
    )


def status_of(stats: Mapping[str, Any], failed: Iterable[Document]) -> Status:
    """Join the numbers of a library and its failed documents."""
    return Status(
        documents=stats["documents"],
        chunks=stats["chunks"],
        failed=tuple(Failure(one.uri, one.error or "") for one in failed),
        spaces=tuple(
            Space(one["name"], one["dimension"], one["fingerprint"]) for one in stats["spaces"]
        ),
        version=stats["version"],
    )


def _hit(hit: Mapping[str, Any]) -> Hit:
    return Hit(
        rank=hit["rank"],
        score=hit["score"],
        chunk_id=hit["id"],
        document_id=hit["document_id"],
        uri=hit["source"],
        modality=hit["modality"],
        title=hit["title"],
        snippet=hit["snippet"],
        span=_span(hit["span"]),
        metadata=hit["metadata"],
        evidence=tuple(Evidence(**one) for one in hit["evidence"]),
        detail=hit["detail"],
    )


def _span(body: Mapping[str, Any]) -> Span:
    span = {name: value for name, value in body.items() if value is not None}
    if "box" in span:
        span["box"] = tuple(span["box"])
    return Span(**span)
