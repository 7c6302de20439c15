"""What is in the library: its documents, their chunks, and the whole in numbers."""

from __future__ import annotations

import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from trawl.errors import NotFoundError
from trawl.server.intake import Intake
from trawl.server.keys import reads, writes
from trawl.server.models import SpanOut, file_name, plain_metadata, thumbnail_url, without_paths
from trawl.server.problems import documented
from trawl.server.routes.chunks import ChunkId
from trawl.server.service import ServiceOf, root_path
from trawl.store import DocumentRow, StoredChunk
from trawl.types import Modality

router = APIRouter(prefix="/v1", tags=["Documents"])

DocumentId = Annotated[
    str,
    Path(
        pattern="^[0-9a-f]{24}$",
        description="The `document_id` of a result.",
        examples=["1f0c9d2a7be84c55a1d0e3f2"],
    ),
]


class DocumentOut(BaseModel):
    """A file that was added, or could not be."""

    id: str = Field(examples=["1f0c9d2a7be84c55a1d0e3f2"])
    title: str = Field(examples=["Decay curve of the muon"])
    source: str = Field(description="The name of the file.", examples=["muon_decay.png"])
    media_type: str = Field(examples=["image/png"])
    size_bytes: int = Field(examples=[48_213])
    chunks: int = Field(description="How many chunks of it can be found.", examples=[1])
    error: str | None = Field(description="Why it could not be read; null where it is in.")
    added_at: datetime.datetime
    metadata: dict[str, Any] = Field(examples=[{"topic": "physics", "year": 2019}])


class DocumentPage(BaseModel):
    """Some of the documents, by the address of their files."""

    documents: list[DocumentOut]
    total: int = Field(description="How many there are in all.", examples=[120])
    next_offset: int | None = Field(description="Where the next page begins; null at the end.")


class ChunkOut(BaseModel):
    """A passage, a picture or a window of sound."""

    id: str = Field(examples=["1f0c9d2a7be84c55a1d0e3f2:0"])
    document_id: str
    modality: Modality
    title: str
    source: str = Field(description="The name of the file.")
    media_type: str
    text: str = Field(description="The passage, or the caption of a picture or a sound.")
    detail: str = Field(description="The size of a picture, or the length of a sound.")
    span: SpanOut
    thumbnail_url: str | None
    metadata: dict[str, Any]


class DocumentWithChunks(DocumentOut):
    """A document, and its chunks in their order."""

    parts: list[ChunkOut] = Field(description="The chunks, in their order.")


class SpaceOut(BaseModel):
    """What several encoders share."""

    name: str = Field(examples=["mini"])
    dimension: int = Field(examples=[256])
    fingerprint: str = Field(description="Hash of the weights and the preprocessing.")


class Stats(BaseModel):
    """The library in numbers."""

    documents: int
    failed: int = Field(description="Files that could not be read.")
    chunks: dict[Modality, int]
    spaces: list[SpaceOut]
    columns: dict[str, str] = Field(
        description="What can be filtered by, with the types.",
        examples=[{"modality": "text", "year": "integer"}],
    )
    version: int = Field(description="Grows with every change.")


@router.get(
    "/documents",
    summary="List documents",
    dependencies=[reads],
    responses=documented(401, 403, 422, 429, 503),
)
async def documents(
    service: ServiceOf,
    failed: Annotated[
        bool | None,
        Query(description="Only those that could not be read, or only those that are in."),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many, at most.")] = 100,
    offset: Annotated[
        int, Query(ge=0, le=1_000_000_000, description="How many to leave out before.")
    ] = 0,
) -> DocumentPage:
    """List what was added, failed files too, ordered by the address of the files."""
    rows = await service.pool.run(service.library.documents, failed=failed)
    end = offset + limit
    return DocumentPage(
        documents=[DocumentOut(**_document(row)) for row in rows[offset:end]],
        total=len(rows),
        next_offset=end if end < len(rows) else None,
    )


@router.get(
    "/documents/{document_id}",
    summary="Show a document",
    dependencies=[reads],
    responses=documented(401, 403, 404, 422, 429, 503),
)
async def document(
    request: Request, service: ServiceOf, document_id: DocumentId
) -> DocumentWithChunks:
    """Show a document with all its chunks, in their order."""
    try:
        shown = await service.pool.run(service.library.show, document_id)
    except NotFoundError:
        raise NotFoundError(f"no document {document_id} in this library") from None
    root = root_path(request)
    return DocumentWithChunks(
        **_document(shown.document), parts=[_chunk(chunk, root) for chunk in shown.chunks]
    )


@router.delete(
    "/documents/{document_id}",
    summary="Remove a document",
    status_code=204,
    dependencies=[writes],
    responses=documented(401, 403, 404, 409, 422, 429, 503),
)
async def remove(request: Request, service: ServiceOf, document_id: DocumentId) -> None:
    """Take a document out of the library.

    A file that was uploaded is deleted with it; any other stays where it is.
    """
    intake: Intake = request.app.state.intake

    def remove_with_upload() -> None:
        uri = service.library.show(document_id).document.uri
        service.library.remove(document_id)
        intake.forget(uri)

    try:
        await service.change(remove_with_upload)
    except NotFoundError:
        raise NotFoundError(f"no document {document_id} in this library") from None


@router.get(
    "/chunks/{chunk_id}",
    summary="Show a chunk",
    dependencies=[reads],
    responses=documented(401, 403, 404, 422, 429, 503),
)
async def chunk(request: Request, service: ServiceOf, chunk_id: ChunkId) -> ChunkOut:
    """Show what was found: the whole passage, or what is known of a picture or a sound."""
    try:
        shown = await service.pool.run(service.library.show, chunk_id)
        found = next(one for one in shown.chunks if one.chunk_id == chunk_id)
    except (NotFoundError, StopIteration):
        raise NotFoundError(f"no chunk {chunk_id} in this library") from None
    return _chunk(found, root_path(request))


@router.get(
    "/stats",
    summary="The library in numbers",
    dependencies=[reads],
    responses=documented(401, 403, 429, 503),
)
async def stats(service: ServiceOf) -> Stats:
    """Tell how much is in the library, what can be filtered by, and which models it is for."""
    status = await service.status()
    columns = await service.pool.run(service.library.columns)
    return Stats(
        documents=status.documents,
        failed=len(status.failed),
        chunks=dict(status.chunks),
        spaces=[
            SpaceOut(name=space.name, dimension=space.dimension, fingerprint=space.fingerprint)
            for space in status.spaces
        ],
        columns=dict(columns),
        version=status.version,
    )


def _document(row: DocumentRow) -> dict[str, Any]:
    return {
        "id": row.document_id,
        "title": row.title,
        "source": file_name(row.uri),
        "media_type": row.media_type,
        "size_bytes": row.size_bytes,
        "chunks": row.chunks,
        "error": without_paths(row.error) if row.error is not None else None,
        "added_at": row.added_at,
        "metadata": plain_metadata(row.metadata),
    }


def _chunk(chunk: StoredChunk, root: str) -> ChunkOut:
    return ChunkOut(
        id=chunk.chunk_id,
        document_id=chunk.document_id,
        modality=chunk.modality,
        title=chunk.title,
        source=file_name(chunk.uri),
        media_type=chunk.media_type,
        text=chunk.text,
        detail=chunk.detail,
        span=SpanOut(**chunk.span.as_dict()),
        thumbnail_url=thumbnail_url(chunk.chunk_id, chunk.modality, root),
        metadata=plain_metadata(chunk.metadata),
    )
