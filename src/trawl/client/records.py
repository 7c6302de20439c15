"""The client's own result types, built from the response models of `trawl.wire`."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

from trawl.types import Failure, Metadata, Notice, Place, Status, StoredChunk
from trawl.wire import DocumentOut, DocumentWithChunks, JobOut, JobReport, Stats
from trawl.wire import DocumentPage as PageOut


@dataclass(frozen=True, slots=True)
class Job:
    """The state of an upload.

    `state` is `queued`, `running`, `done`, `failed` or `cancelled`. A job is `done` even if
    some files could not be read; `failed` lists them. `files_done` counts the files read.
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
    notices: tuple[Notice, ...] = ()
    moved: int = 0

    @property
    def is_over(self) -> bool:
        """Whether the job has ended."""
        return self.state in ("done", "failed", "cancelled")

    @classmethod
    def from_wire(cls, job: JobOut) -> Job:
        """Convert a response."""
        report = job.report or JobReport(
            added=0, unchanged=0, replaced=0, failed=[], chunks=0, seconds=0.0
        )
        return cls(
            job_id=job.id,
            state=job.state,
            files_done=job.done,
            files=job.total,
            added=report.added,
            unchanged=report.unchanged,
            replaced=report.replaced,
            failed=tuple(Failure(one.source, one.reason) for one in report.failed),
            chunks=report.chunks,
            seconds=report.seconds,
            document_ids=tuple(file.document_id for file in job.files),
            error=job.error,
            notices=tuple(Notice(one.source, one.notice) for one in report.notices),
            moved=report.moved,
        )


@dataclass(frozen=True, slots=True)
class Document:
    """A file that was added, or could not be read. `uri` is its name without directories."""

    document_id: str
    uri: str
    title: str
    media_type: str
    size_bytes: int
    chunks: int
    error: str | None
    added_at: datetime.datetime
    metadata: Metadata
    notices: tuple[str, ...] = ()

    @classmethod
    def from_wire(cls, document: DocumentOut) -> Document:
        """Convert a response."""
        return cls(
            document_id=document.id,
            uri=document.source,
            title=document.title,
            media_type=document.media_type,
            size_bytes=document.size_bytes,
            chunks=document.chunks,
            error=document.error,
            added_at=document.added_at,
            metadata=document.metadata,
            notices=tuple(document.notices),
        )


@dataclass(frozen=True, slots=True)
class DocumentContents:
    """A document with its chunks, in document order."""

    document: Document
    chunks: tuple[StoredChunk, ...]
    places: tuple[Place, ...] = ()
    gone: bool = False

    @classmethod
    def from_wire(cls, document: DocumentWithChunks) -> DocumentContents:
        """Convert a response."""
        chunks = tuple(part.chunk() for part in document.parts)
        places = tuple(one.place() for one in document.places)
        return cls(Document.from_wire(document), chunks, places, document.gone)


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """A page of documents. `next_offset` is the offset of the next page, None at the end."""

    documents: tuple[Document, ...]
    total: int
    next_offset: int | None

    @classmethod
    def from_wire(cls, page: PageOut) -> DocumentPage:
        """Convert a response."""
        documents = tuple(Document.from_wire(one) for one in page.documents)
        return cls(documents, page.total, page.next_offset)


@dataclass(frozen=True, slots=True)
class MediaPart:
    """Bytes of a file from offset `start`; `size_bytes` is the size of the whole file."""

    data: bytes
    media_type: str
    start: int
    size_bytes: int


def status_from_wire(
    stats: Stats, failed: Iterable[Document], noticed: Iterable[Document] = ()
) -> Status:
    """Combine a library's counts with its failed documents, and those with notices."""
    return Status(
        documents=stats.documents,
        chunks=stats.chunks,
        failed=tuple(Failure(one.uri, one.error or "") for one in failed),
        spaces=tuple(space.space() for space in stats.spaces),
        version=stats.version,
        unindexed_rows=stats.unindexed,
        recall=stats.recall,
        notices=tuple(Notice(one.uri, notice) for one in noticed for notice in one.notices),
    )
