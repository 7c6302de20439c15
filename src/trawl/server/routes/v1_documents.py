"""What is in the library: its documents, their chunks, and the whole in numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from starlette.exceptions import HTTPException

from trawl.errors import NotFoundError
from trawl.server.composed import EXAMPLE_WHERE, LINE, MODALITIES, WHERE, Column
from trawl.server.intake import MOST_KEYS, Intake, metadata_object
from trawl.server.keys import reads, writes
from trawl.server.problems import documented
from trawl.server.routes.chunks import ChunkId
from trawl.server.service import Ask, ServiceOf, root_path
from trawl.store import DocumentRow
from trawl.types import Modality
from trawl.wire import (
    ChunkOut,
    DocumentOut,
    DocumentPage,
    DocumentWithChunks,
    FacetOut,
    Facets,
    Stats,
)

router = APIRouter(prefix="/v1", tags=["Documents"])

_PATCHES = ("application/merge-patch+json", "application/json")
_TEXT = {"type": "string"}

DocumentId = Annotated[
    str,
    Path(
        pattern="^[0-9a-f]{24}$",
        description="The `document_id` of a result.",
        examples=["1f0c9d2a7be84c55a1d0e3f2"],
    ),
]


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
    where: Annotated[
        str | None,
        Query(min_length=1, max_length=4000, description=WHERE, examples=[EXAMPLE_WHERE]),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many, at most.")] = 100,
    offset: Annotated[
        int, Query(ge=0, le=1_000_000_000, description="How many to leave out before.")
    ] = 0,
) -> DocumentPage:
    """List what was added, failed files too, ordered by the address of the files.

    A filter lets by only documents that are in: there is no metadata of the others.
    """
    page = await service.pool.run(
        service.library.document_page, failed=failed, where=where, offset=offset, limit=limit
    )
    end = offset + limit
    return DocumentPage(
        documents=[DocumentOut.from_row(row) for row in page.documents],
        total=page.total,
        next_offset=end if end < page.total else None,
    )


@router.get(
    "/documents/{document_id}",
    summary="Show a document",
    dependencies=[reads],
    responses=documented(401, 403, 404, 422, 429, 503),
)
async def document(
    request: Request, response: Response, service: ServiceOf, document_id: DocumentId
) -> DocumentWithChunks:
    """Show a document with all its chunks, in their order.

    Its `ETag` goes into the `If-Match` of a change.
    """
    try:
        shown = await service.pool.run(service.library.show, document_id)
    except NotFoundError:
        raise NotFoundError(f"no document {document_id} in this library") from None
    root = root_path(request)
    response.headers["ETag"] = _tag(shown.document)
    parts = [ChunkOut.from_chunk(chunk, root) for chunk in shown.chunks]
    return DocumentWithChunks.from_row(shown.document, parts=parts)


@router.patch(
    "/documents/{document_id}",
    summary="Change a document's metadata",
    dependencies=[writes],
    responses={
        200: {"headers": {"ETag": {"description": "Of the new state.", "schema": _TEXT}}},
        **documented(400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 429, 503),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                media_type: {
                    "schema": {
                        "type": "object",
                        "maxProperties": MOST_KEYS,
                        "examples": [{"year": 2020, "topic": None}],
                    }
                }
                for media_type in _PATCHES
            },
        }
    },
)
async def change_metadata(
    request: Request,
    response: Response,
    service: ServiceOf,
    document_id: DocumentId,
    if_match: Annotated[
        str | None,
        Header(description="The document's `ETag`: change it only where it is still this one."),
    ] = None,
) -> DocumentOut:
    """Set keys of a document's metadata, and take away those that are null (RFC 7396).

    What is there of its chunks stays; they are not embedded anew, and are found by the new
    metadata at once. A change outlives the file's: added again, changed or not, the file
    gives the rest, and the changes stay on top until the document is removed.
    """
    changes = _changes(request.headers.get("content-type", ""), await request.body())

    def check(row: DocumentRow) -> None:
        tags = [one.strip() for one in (if_match or "*").split(",")]
        if "*" not in tags and _tag(row) not in tags:
            raise HTTPException(412, "the document was changed since; look at it again")

    def set_metadata() -> DocumentRow:
        return service.library.set_metadata(document_id, changes, check=check)

    try:
        row = await service.change(set_metadata)
    except NotFoundError:
        raise NotFoundError(f"no document {document_id} in this library") from None
    response.headers["ETag"] = _tag(row)
    return DocumentOut.from_row(row)


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


def _changes(content_type: str, body: bytes) -> Mapping[str, Any]:
    """Read a JSON merge patch. Raises 415, and `UsageError` for what is none."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in _PATCHES:
        raise HTTPException(415, f"a change is {' or '.join(_PATCHES)}, not {kind[:100]!r}")
    return metadata_object(body, values_may_be_null=True)


def _tag(row: DocumentRow) -> str:
    """Give the ETag of a document: it changes with the file, the metadata and the outcome."""
    state = repr((row.content_hash, sorted(row.metadata.items()), row.chunks, row.error))
    return f'"{hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()[:32]}"'


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
    return ChunkOut.from_chunk(found, root_path(request))


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
    return Stats.from_status(status, columns)


@router.get(
    "/facets",
    summary="Count the values of metadata",
    dependencies=[reads],
    responses=documented(401, 403, 404, 422, 429, 503),
)
async def facets(
    service: ServiceOf,
    key: Annotated[
        list[Column],
        Query(min_length=1, max_length=20, description="The columns.", examples=[["year"]]),
    ],
    q: Annotated[
        str | None,
        Query(min_length=1, max_length=4000, description=f"Count among what this finds. {LINE}"),
    ] = None,
    where: Annotated[
        str | None,
        Query(min_length=1, max_length=4000, description=WHERE, examples=[EXAMPLE_WHERE]),
    ] = None,
    modality: Annotated[list[Modality] | None, Query(description=MODALITIES)] = None,
    limit: Annotated[
        int, Query(ge=1, le=1000, description="How many values of a column, at most.")
    ] = 100,
) -> Facets:
    """Count the documents that have each value of some columns, the most frequent first.

    Without a question all documents that the filter lets by are counted; with one, those
    among the candidates of the search, as `facets` of a search does.
    """
    wanted = frozenset(modality or ())
    if q is None:
        found = await service.pool.run(
            service.library.facets, key, where=where, modality=wanted, limit=limit
        )
    else:
        ask = Ask(line=q, where=where, modality=wanted, limit=1, facets=tuple(key))
        found = (await service.ask(ask)).answer.facets
    return Facets(facets=[FacetOut.from_facet(one, limit) for one in found])
