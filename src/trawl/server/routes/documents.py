"""Documents, chunks and their files; counts of the library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic_core import from_json
from starlette.exceptions import HTTPException

from trawl.errors import NotFoundError
from trawl.libraries.served import are_several
from trawl.search import SearchOptions
from trawl.server.auth import has_scope, reads, writes
from trawl.server.errors import documented
from trawl.server.files import CACHED, etag, file_response, matches
from trawl.server.openapi import metadata_body
from trawl.server.schemas import (
    DOCUMENT_PATTERN,
    EXAMPLE_WHERE,
    LINE,
    MODALITY,
    MOST_KEYS,
    WHERE,
    ChunkId,
    Column,
)
from trawl.server.service import SearchQuery, ServiceOf, Shape, root_path
from trawl.server.uploads import Uploads, metadata_object
from trawl.store import DocumentRow
from trawl.types import Modality
from trawl.wire import (
    ChunkOut,
    DocumentOut,
    DocumentPage,
    DocumentWithChunks,
    FacetOut,
    Facets,
    PlaceOut,
    SkippedFile,
    SkippedFiles,
    Stats,
    file_name,
    without_paths,
)

router = APIRouter(tags=["Documents"])

_PATCHES = ("application/merge-patch+json", "application/json")
_TEXT = {"type": "string"}
DocumentId = Annotated[
    str,
    Path(
        pattern=DOCUMENT_PATTERN,
        description="The `document_id` of a result.",
        examples=["1f0c9d2a7be84c55a1d0e3f2"],
    ),
]
Where = Annotated[
    str | None,
    Query(min_length=1, max_length=4000, description=WHERE, examples=[EXAMPLE_WHERE]),
]
IfNoneMatch = Annotated[str | None, Header(description="ETags of the client's copies.")]


def _tag(row: DocumentRow) -> str:
    """Return the ETag of a document, which changes with its file, edits and outcome."""
    # A document of a server that is one of several has no edits and no hash here.
    known = (sorted(row.metadata.items()), sorted(getattr(row, "edits", {}).items()))
    state = repr(
        (getattr(row, "content_hash", row.size_bytes), row.title, known, row.chunks, row.error)
    )
    return etag(state.encode("utf-8", "surrogatepass"))


# --- documents -----------------------------------------------------------------------------


@router.get(
    "/v1/documents",
    summary="List documents",
    dependencies=[reads],
    responses=documented(401, 403, 422, 429, 503),
)
async def documents(
    service: ServiceOf,
    failed: Annotated[
        bool | None,
        Query(description="Only failed documents (true), or only those that were added (false)."),
    ] = None,
    notices: Annotated[
        bool | None, Query(description="Only documents with (true) or without notices (false).")
    ] = None,
    where: Where = None,
    name: Annotated[
        str | None,
        Query(min_length=1, max_length=1000, description="Only documents with this file name."),
    ] = None,
    sort: Annotated[
        Column | None,
        Query(
            description="A column, `added_at` or `size_bytes`; `-KEY` sorts in descending order."
        ),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of documents.")] = 100,
    offset: Annotated[
        int, Query(ge=0, le=1_000_000_000, description="Number of documents to skip.")
    ] = 0,
) -> DocumentPage:
    """List the documents, including failed files, ordered by path or by `sort`.

    Failed files have no metadata, so a filter never matches them.
    """
    page = await service.pool.run(
        service.library.document_page,
        failed=failed,
        notices=notices,
        where=where,
        name=name,
        sort=sort,
        offset=offset,
        limit=limit,
    )
    end = offset + limit
    return DocumentPage(
        documents=[DocumentOut.from_row(row) for row in page.documents],
        total=page.total,
        next_offset=end if end < page.total else None,
    )


@router.get(
    "/v1/documents/{document_id}",
    summary="Get a document",
    dependencies=[reads],
    responses=documented(401, 403, 404, 422, 429, 503),
)
async def document(
    request: Request, response: Response, service: ServiceOf, document_id: DocumentId
) -> DocumentWithChunks:
    """Return a document with all its chunks, in document order.

    Send its `ETag` as `If-Match` with a change. `Allow` has the methods that the key may use.
    """
    try:
        shown = await service.pool.run(service.library.show, document_id)
    except NotFoundError:
        raise NotFoundError(f"no document {document_id} in this library") from None
    root = root_path(request)
    response.headers["ETag"] = _tag(shown.document)
    may_change = has_scope(request, "write") and not are_several(service.library)
    changing = ", PATCH, DELETE" if may_change else ""
    response.headers["Allow"] = f"GET, HEAD{changing}"
    parts = [ChunkOut.from_chunk(chunk, root) for chunk in shown.chunks]
    return DocumentWithChunks.from_row(
        shown.document,
        parts=parts,
        places=[PlaceOut.from_place(place) for place in shown.places],
        gone=shown.gone,
    )


@router.patch(
    "/v1/documents/{document_id}",
    summary="Change a document's metadata, title or caption",
    dependencies=[writes],
    responses={
        200: {"headers": {"ETag": {"description": "Of the new state.", "schema": _TEXT}}},
        **documented(400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 429, 503),
    },
    openapi_extra=metadata_body(_PATCHES, MOST_KEYS),
)
async def change_metadata(
    request: Request,
    response: Response,
    service: ServiceOf,
    document_id: DocumentId,
    if_match: Annotated[
        str | None,
        Header(description="The document's `ETag`: only change it if it still matches."),
    ] = None,
) -> DocumentOut:
    """Set metadata keys, and remove those that are null (RFC 7396).

    `title` and `caption` replace the file's title and the caption of a picture or a sound, and
    are embedded again; null restores the file's. Searches use the new values at once. Edits
    survive re-adding the file, until the document is removed.
    """
    changes = _changes(request.headers.get("content-type", ""), await request.body())

    def check(row: DocumentRow) -> None:
        if if_match is not None and not matches(if_match, _tag(row), weakly=False):
            raise HTTPException(412, "the document has changed; get it again")

    def set_metadata() -> DocumentRow:
        return service.library.set_metadata(document_id, changes, check=check)

    try:
        row = await service.change(set_metadata)
    except NotFoundError:
        raise NotFoundError(f"no document {document_id} in this library") from None
    response.headers["ETag"] = _tag(row)
    return DocumentOut.from_row(row)


@router.delete(
    "/v1/documents/{document_id}",
    summary="Remove a document",
    status_code=204,
    dependencies=[writes],
    responses=documented(401, 403, 404, 409, 422, 429, 503),
)
async def remove(request: Request, service: ServiceOf, document_id: DocumentId) -> None:
    """Remove a document from the library.

    An uploaded file is deleted too; other files are kept.
    """
    uploads: Uploads = request.app.state.uploads

    def remove_with_upload() -> None:
        uri = service.library.show(document_id).document.uri
        service.library.remove(document_id)
        uploads.delete(uri)

    try:
        await service.change(remove_with_upload)
    except NotFoundError:
        raise NotFoundError(f"no document {document_id} in this library") from None


def _changes(content_type: str, body: bytes) -> Mapping[str, Any]:
    """Parse a JSON merge patch. Raises 415 and `UsageError`."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in _PATCHES:
        raise HTTPException(415, f"a change is {' or '.join(_PATCHES)}, not {media_type[:100]!r}")
    return metadata_object(body, values_may_be_null=True)


# --- the library -----------------------------------------------------------------------------


@router.get(
    "/v1/stats",
    summary="Get counts of the library",
    dependencies=[reads],
    responses=documented(401, 403, 429, 503),
)
async def stats(service: ServiceOf) -> Stats:
    """Return the number of documents and chunks, the filter columns, and the models."""
    status = await service.status()
    columns = await service.pool.run(service.library.columns)
    size = await anyio.to_thread.run_sync(service.library.size_bytes)
    return Stats.from_status(status, columns, size, several=are_several(service.library))


@router.get(
    "/v1/skipped",
    summary="List skipped files",
    dependencies=[reads],
    responses=documented(401, 403, 422, 429, 503),
)
async def skipped(
    service: ServiceOf,
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of files.")] = 100,
) -> SkippedFiles:
    """List the files of added folders whose type is not read, with the reasons."""
    found = await anyio.to_thread.run_sync(service.library.skipped)
    files = [
        SkippedFile(source=file_name(one.uri), reason=without_paths(one.reason))
        for one in found.files[:limit]
    ]
    return SkippedFiles(files=files, total=len(found.files) + found.unlisted)


@router.get(
    "/v1/facets",
    summary="Count metadata values",
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
        Query(min_length=1, max_length=4000, description=f"Count among the results of: {LINE}"),
    ] = None,
    where: Where = None,
    modality: Annotated[list[Modality] | None, Query(description=MODALITY)] = None,
    limit: Annotated[
        int, Query(ge=1, le=1000, description="Maximum number of values per column.")
    ] = 100,
) -> Facets:
    """Count the documents that have each value of a column, the most frequent first.

    With `q`, only documents that the search finds are counted, as with its `facets` option.
    """
    if q is None:
        counted = await service.pool.run(
            service.library.facets,
            key,
            where=where,
            modality=frozenset(modality or ()),
            limit=limit,
        )
        return Facets(facets=[FacetOut.from_facet(one, limit) for one in counted])
    options = SearchOptions(where=where, modality=tuple(modality or ()), limit=1, facets=tuple(key))
    found = await service.search(SearchQuery(line=q, options=options), Shape(detailed=True))
    values = [FacetOut.model_validate(one) for one in from_json(found.body)["facets"]]
    return Facets(facets=[FacetOut(key=one.key, counts=one.counts[:limit]) for one in values])


# --- chunks ------------------------------------------------------------------------------------


@router.get(
    "/v1/chunks/{chunk_id}",
    summary="Get a chunk",
    dependencies=[reads],
    responses=documented(401, 403, 404, 422, 429, 503),
)
async def chunk(request: Request, service: ServiceOf, chunk_id: ChunkId) -> ChunkOut:
    """Return a chunk: the whole passage, or the details of a picture or a sound."""
    try:
        shown = await service.pool.run(service.library.show, chunk_id)
        found = next(one for one in shown.chunks if one.chunk_id == chunk_id)
    except (NotFoundError, StopIteration):
        raise NotFoundError(f"no chunk {chunk_id} in this library") from None
    return ChunkOut.from_chunk(found, root_path(request))


_THUMBNAIL: dict[str, Any] = {
    "response_class": Response,
    "dependencies": [reads],
    "responses": {
        200: {"description": "The thumbnail.", "content": {"image/jpeg": {}}},
        304: {"description": "The client's copy is current."},
        **documented(401, 403, 404, 422, 503),
    },
}


@router.get("/chunks/{chunk_id}/thumbnail", summary="Get a thumbnail (short path)", **_THUMBNAIL)
@router.get("/v1/chunks/{chunk_id}/thumbnail", summary="Get a picture's thumbnail", **_THUMBNAIL)
async def thumbnail(
    service: ServiceOf, chunk_id: ChunkId, if_none_match: IfNoneMatch = None
) -> Response:
    """Return the thumbnail of a picture, as a JPEG."""
    picture = await service.pool.run(service.library.thumbnail, chunk_id)
    headers = {"ETag": etag(picture), "Cache-Control": CACHED}
    if if_none_match is not None and matches(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(picture, media_type="image/jpeg", headers=headers)


_FILE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_FILES = {f"{kind}/*": _FILE for kind in ("image", "audio", "video", "text", "application")}
_MEDIA: dict[str, Any] = {
    "summary": "Get the file of a chunk",
    "response_class": Response,
    "dependencies": [reads],
    "responses": {
        200: {"description": "The whole file.", "content": _FILES},
        206: {"description": "The bytes of the `Range` header.", "content": _FILES},
        304: {"description": "The client's copy is current."},
        **documented(401, 403, 404, 410, 416, 422, 429, 503),
    },
}


@router.get("/v1/chunks/{chunk_id}/media", **_MEDIA)
async def media(
    request: Request,
    service: ServiceOf,
    chunk_id: ChunkId,
    range_: Annotated[
        str | None,
        Header(alias="Range", description="The requested bytes.", examples=["bytes=0-1023"]),
    ] = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return the original file: the picture, the whole recording, or the text.

    Players can seek with ranges; a chunk's `span` locates it in a recording. If the file was
    moved or changed since it was added, the response is 410.
    """
    original = await service.pool.run(service.library.original, chunk_id)
    return file_response(original, request.headers)
