"""What a person looks at: pages of documents, pictures in full, the loudness of recordings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from trawl.library import MAX_PEAKS, MAX_WIDTH_PX, MIN_WIDTH_PX, Peaks, View
from trawl.server.auth import reads
from trawl.server.errors import documented
from trawl.server.files import CACHED, matches
from trawl.server.schemas import ChunkId
from trawl.server.service import Service, ServiceOf
from trawl.wire import PeaksOut

router = APIRouter(tags=["Documents"])

IfNoneMatch = Annotated[str | None, Header(description="ETags of the client's copies.")]
Width = Annotated[
    int, Query(ge=MIN_WIDTH_PX, le=MAX_WIDTH_PX, description="Width in pixels, at most.")
]
_ERRORS = documented(401, 403, 404, 410, 415, 422, 503)
_NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The client's copy is current."}
}
_JPEG: dict[str, Any] = {
    "response_class": Response,
    "dependencies": [reads],
    "responses": {
        200: {"description": "A JPEG file.", "content": {"image/jpeg": {}}},
        **_NOT_MODIFIED,
        **_ERRORS,
    },
}


@router.get("/v1/chunks/{chunk_id}/page", summary="Get the page of a chunk", **_JPEG)
async def page(
    service: ServiceOf,
    chunk_id: ChunkId,
    width: Width = 1000,
    page: Annotated[
        int | None,
        Query(ge=1, le=1_000_000, description="Another page of the same document, from 1."),
    ] = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return the page of a PDF as a JPEG, with the passage, table or figure marked.

    A chunk that continues on another page is marked there too: its `regions` name the pages. If
    the file was moved or changed since it was added, the response is 410; a file without pages is
    404, and a page that cannot be drawn 415.
    """
    views = service.library.views
    view = await service.pool.run(views.page, chunk_id, page=page, width_px=width)
    return await _jpeg(service, view, if_none_match)


@router.get("/v1/chunks/{chunk_id}/picture", summary="Get a picture in full", **_JPEG)
async def picture(
    service: ServiceOf,
    chunk_id: ChunkId,
    width: Width = 1600,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return a picture, a figure of a document, or the middle of a video's shot, as a JPEG.

    It is larger than the thumbnail, and a browser can show it whatever the format of the file
    is. It is never enlarged beyond what the file has.
    """
    view = await service.pool.run(service.library.views.picture, chunk_id, width_px=width)
    return await _jpeg(service, view, if_none_match)


@router.get(
    "/v1/chunks/{chunk_id}/peaks",
    summary="Get the loudness of a recording",
    dependencies=[reads],
    response_model=PeaksOut,
    responses={**_NOT_MODIFIED, **_ERRORS},
)
async def peaks(
    service: ServiceOf,
    chunk_id: ChunkId,
    count: Annotated[
        int, Query(ge=1, le=MAX_PEAKS, description="Number of values, at most.")
    ] = 400,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return the highest samples of equal stretches of the whole recording, to draw its waveform.

    The `span` of a chunk locates it in the recording.
    """
    views = service.library.views
    view = await service.pool.run(views.peaks, chunk_id, count=count)

    def measured() -> bytes:
        return PeaksOut.from_peaks(views.make(view, Peaks)).model_dump_json().encode()

    return await _made(service, view, measured, "application/json", if_none_match)


async def _jpeg(service: Service, view: View, if_none_match: str | None) -> Response:
    def drawn() -> bytes:
        return service.library.views.make(view, bytes)

    return await _made(service, view, drawn, "image/jpeg", if_none_match)


async def _made(
    service: Service,
    view: View,
    make: Callable[[], bytes],
    media_type: str,
    if_none_match: str | None,
) -> Response:
    headers = {"ETag": f'"{view.tag}"', "Cache-Control": CACHED}
    if if_none_match is not None and matches(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    body, _ = await service.views.get(view.tag, lambda: service.viewing.run(make))
    return Response(body, media_type=media_type, headers=headers)
