"""Define the bodies of responses about documents, chunks, the library and jobs."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from trawl.types import Modality, Space, StoredChunk
from trawl.wire.spans import LinkOut, PlaceOut, SpanOut
from trawl.wire.values import file_name, media_url, thumbnail_url, without_paths

if TYPE_CHECKING:
    from trawl.library import Peaks
    from trawl.store import DocumentRow
    from trawl.types import Status

_DOCUMENT_ID = "1f0c9d2a7be84c55a1d0e3f2"
_CHUNK_ID = f"{_DOCUMENT_ID}:0"

JobState = Literal["queued", "running", "done", "failed", "cancelled"]


class DocumentOut(BaseModel):
    """A file that was added, or that failed to be read."""

    id: str = Field(examples=[_DOCUMENT_ID])
    title: str = Field(examples=["Decay curve of the muon"])
    source: str = Field(description="File name.", examples=["muon_decay.png"])
    media_type: str = Field(examples=["image/png"])
    size_bytes: int = Field(examples=[48_213])
    chunks: int = Field(description="Number of searchable chunks.", examples=[1])
    error: str | None = Field(description="Why the file could not be read, or null.")
    notices: list[str] = Field(
        default=[], description="What differs from the file, such as a value kept as text."
    )
    added_at: datetime.datetime
    metadata: dict[str, Any] = Field(examples=[{"topic": "physics", "year": 2019}])

    @classmethod
    def from_row(cls, row: DocumentRow, **more: Any) -> Self:
        """Return a document as JSON has it. `more` are the fields of a subclass."""
        return cls(
            id=row.document_id,
            title=row.title,
            source=file_name(row.uri),
            media_type=row.media_type,
            size_bytes=row.size_bytes,
            chunks=row.chunks,
            error=without_paths(row.error) if row.error is not None else None,
            notices=[without_paths(notice) for notice in row.notices],
            added_at=row.added_at,
            metadata=row.metadata,
            **more,
        )


class DocumentPage(BaseModel):
    """One page of the list of documents, ordered by path."""

    documents: list[DocumentOut]
    total: int = Field(description="Number of documents in all.", examples=[120])
    next_offset: int | None = Field(description="Offset of the next page; null at the end.")


class ChunkOut(BaseModel):
    """A passage, a picture or a sound segment."""

    id: str = Field(examples=[_CHUNK_ID])
    document_id: str
    modality: Modality
    title: str
    source: str = Field(description="File name.")
    media_type: str
    text: str = Field(description="The passage, or the caption of a picture or a sound.")
    detail: str = Field(description="The size of a picture, or the length of a sound.")
    span: SpanOut
    thumbnail_url: str | None
    media_url: str = Field(
        description="Address of its file.", examples=[f"/v1/chunks/{_CHUNK_ID}/media"]
    )
    metadata: dict[str, Any]
    label: str = Field(
        "",
        description="The number that the document gives a figure or table.",
        examples=["Figure 2"],
    )
    words: str = Field("", description="The text inside a picture.")
    links: list[LinkOut] = Field(
        [],
        description="The figures and tables that a passage cites, or the passages that cite a "
        "figure or table.",
    )

    @classmethod
    def from_chunk(cls, chunk: StoredChunk, root_path: str = "") -> ChunkOut:
        """Return a chunk as JSON has it."""
        return cls(
            id=chunk.chunk_id,
            document_id=chunk.document_id,
            modality=chunk.modality,
            title=chunk.title,
            source=file_name(chunk.uri),
            media_type=chunk.media_type,
            text=chunk.text,
            detail=chunk.detail,
            span=SpanOut(**chunk.span.as_dict()),
            thumbnail_url=thumbnail_url(chunk.chunk_id, chunk.modality, root_path),
            media_url=media_url(chunk.chunk_id, root_path),
            metadata=chunk.metadata,
            label=chunk.label,
            words=chunk.words,
            links=[LinkOut(kind=one.kind, id=one.chunk_id, label=one.label) for one in chunk.links],
        )

    def chunk(self) -> StoredChunk:
        """Return the chunk; its `uri` is the file name."""
        return StoredChunk(
            chunk_id=self.id,
            document_id=self.document_id,
            uri=self.source,
            title=self.title,
            modality=self.modality,
            media_type=self.media_type,
            text=self.text,
            detail=self.detail,
            span=self.span.span(),
            metadata=self.metadata,
            label=self.label,
            words=self.words,
            links=tuple(one.link() for one in self.links),
        )


class DocumentWithChunks(DocumentOut):
    """A document and its chunks."""

    parts: list[ChunkOut] = Field(description="The chunks, in document order.")
    places: list[PlaceOut] = Field(
        default=[], description="The other documents with the same content."
    )
    gone: bool = Field(default=False, description="Whether the file is missing by now.")


class PeaksOut(BaseModel):
    """The loudness of a recording, to draw its waveform."""

    peaks: list[float] = Field(
        description="The highest samples of equal stretches, 0 to 1.", examples=[[0.02, 0.4, 0.31]]
    )
    duration_s: float = Field(description="Seconds that the values cover.", examples=[12.5])
    complete: bool = Field(
        description="Whether that is the whole recording; a very long one is cut."
    )

    @classmethod
    def from_peaks(cls, peaks: Peaks) -> PeaksOut:
        """Return the loudness as JSON has it."""
        return cls(peaks=list(peaks.values), duration_s=peaks.duration_s, complete=peaks.complete)


class SpaceOut(BaseModel):
    """An embedding space."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(examples=["mini"])
    dimension: int = Field(examples=[256])
    fingerprint: str = Field(description="Hash of the weights and the preprocessing.")
    parts: int = Field(1, description="Vectors of an item; `dimension` is that of all together.")

    def space(self) -> Space:
        """Return the space."""
        return Space(self.name, self.dimension, self.fingerprint, parts=self.parts)


class Stats(BaseModel):
    """Counts and columns of the library."""

    documents: int
    failed: int = Field(description="Number of files that could not be read.")
    notices: int = Field(0, description="Number of notices about files that were indexed.")
    chunks: dict[Modality, int]
    spaces: list[SpaceOut]
    columns: dict[str, str] = Field(
        description="Columns that filters can use, with their types.",
        examples=[{"modality": "text", "year": "integer"}],
    )
    version: int = Field(description="Increases with every change.")
    unindexed: int = Field(
        0, description="Number of chunks that no index covers yet; searches scan them."
    )
    recall: dict[str, float] = Field(
        {}, description="Share of the ten nearest that a search finds, by source, as measured."
    )
    size_bytes: int | None = Field(
        None, description="Size of the library's directory; the original files are not in it."
    )
    several: bool = Field(
        False,
        description="Whether the server searches several libraries. These have no map, and "
        "documents are added to, changed in and removed from each of them alone.",
    )

    @classmethod
    def from_status(
        cls,
        status: Status,
        columns: Mapping[str, str],
        size_bytes: int | None = None,
        *,
        several: bool = False,
    ) -> Stats:
        """Return a library's status as JSON has it."""
        return cls(
            documents=status.documents,
            failed=len(status.failed),
            notices=len(status.notices),
            chunks=dict(status.chunks),
            spaces=status.spaces,  # type: ignore[arg-type]
            columns=dict(columns),
            version=status.version,
            unindexed=status.unindexed_rows,
            recall=dict(status.recall),
            size_bytes=size_bytes,
            several=several,
        )


class SkippedFile(BaseModel):
    """A file of an added folder whose type is not read."""

    source: str = Field(description="File name.", examples=["notes.doc"])
    reason: str


class SkippedFiles(BaseModel):
    """The files of added folders that are skipped."""

    files: list[SkippedFile]
    total: int = Field(description="Number of skipped files, including those not listed.")


class JobFile(BaseModel):
    """One file of a job."""

    source: str = Field(description="File name.", examples=["dimuon.png"])
    document_id: str = Field(description="The id of the document it becomes.")


class JobFailure(BaseModel):
    """A file that could not be read."""

    source: str
    reason: str


class JobNotice(BaseModel):
    """What differs from a file that was indexed."""

    source: str
    notice: str


class JobReport(BaseModel):
    """The outcome of a job."""

    added: int
    unchanged: int = Field(description="Files that were already in the library.")
    replaced: int = Field(description="Files that replaced an older version.")
    moved: int = Field(default=0, description="Documents whose files have moved.")
    failed: list[JobFailure]
    notices: list[JobNotice] = Field(
        default=[], description="What differs from the files that were added."
    )
    chunks: int = Field(description="Number of chunks added.")
    seconds: float


class JobOut(BaseModel):
    """A job that adds uploaded files."""

    id: str
    state: JobState = Field(
        description="`done` even if some files could not be read; see the report."
    )
    done: int = Field(description="Number of files read so far.")
    total: int = Field(description="Number of files.")
    files: list[JobFile]
    report: JobReport | None = Field(description="The outcome, once the job is done.")
    error: str | None = Field(description="Why the job as a whole failed.")
    created_at: datetime.datetime
    updated_at: datetime.datetime
