"""What was found, looked at more closely: a picture's thumbnail, and the file itself."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from trawl.server.keys import reads
from trawl.server.problems import documented
from trawl.server.ranges import (
    Bytes,
    FileBytes,
    UnsatisfiableError,
    http_date,
    inline,
    is_known,
    is_still,
    wanted,
)
from trawl.server.service import ServiceOf

router = APIRouter(tags=["Documents"], dependencies=[reads])

CHUNK_PATTERN = r"^[0-9a-f]{24}:[0-9]{1,9}$"
ChunkId = Annotated[
    str,
    Path(
        pattern=CHUNK_PATTERN,
        description="The `id` of a result.",
        examples=["1f0c9d2a7be84c55a1d0e3f2:0"],
    ),
]

# A picture that changes keeps its address, so a copy is used for a while and then checked.
_CACHED = "private, max-age=300, must-revalidate"
# A file is whatever somebody put into the library: it is shown, and may do nothing.
_POLICY = "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; sandbox"

IfNoneMatch = Annotated[str | None, Header(description="ETags of copies that the client has.")]


_THUMBNAIL: dict[str, Any] = {
    "response_class": Response,
    "responses": {
        200: {"description": "The picture, made small.", "content": {"image/jpeg": {}}},
        304: {"description": "The picture is the one of the `If-None-Match` header."},
        **documented(401, 403, 404, 422, 503),
    },
}


@router.get("/chunks/{chunk_id}/thumbnail", summary="The same, at its short address", **_THUMBNAIL)
@router.get("/v1/chunks/{chunk_id}/thumbnail", summary="A picture's thumbnail", **_THUMBNAIL)
async def thumbnail(
    request: Request, service: ServiceOf, chunk_id: ChunkId, if_none_match: IfNoneMatch = None
) -> Response:
    """Give the thumbnail of a picture that was found, as a JPEG."""
    picture = await service.pool.run(service.library.thumbnail, chunk_id)
    tag = f'"{hashlib.sha256(picture).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": _CACHED}
    given = [one.strip().removeprefix("W/") for one in (if_none_match or "").split(",")]
    if "*" in given or tag in given:
        return Response(status_code=304, headers=headers)
    return Response(picture, media_type="image/jpeg", headers=headers)


_FILE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_MEDIA: dict[str, Any] = {
    "summary": "The file that a chunk is of",
    "response_class": Response,
    "responses": {
        200: {
            "description": "The whole file.",
            "content": {"image/*": _FILE, "audio/*": _FILE, "text/*": _FILE},
        },
        206: {
            "description": "The bytes of the `Range` header.",
            "content": {"image/*": _FILE, "audio/*": _FILE, "text/*": _FILE},
        },
        304: {"description": "The client's copy is the file as it is."},
        **documented(401, 403, 404, 410, 416, 422, 429, 503),
    },
}


# The last decorator is the first to be listed.
@router.head("/v1/chunks/{chunk_id}/media", **{**_MEDIA, "summary": "The head of that file"})
@router.get("/v1/chunks/{chunk_id}/media", **_MEDIA)
async def media(
    request: Request,
    service: ServiceOf,
    chunk_id: ChunkId,
    range_: Annotated[
        str | None,
        Header(alias="Range", description="The bytes that are wanted.", examples=["bytes=0-1023"]),
    ] = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Give the original file: the picture itself, the whole recording, the text.

    Sounds can be played from anywhere, by ranges; where in the recording a chunk stands is
    its `span`. The file is the one that was added: where it is gone from its place, or was
    changed since, the answer is 410.
    """
    found = await service.pool.run(service.library.original, chunk_id)
    tag = f'"{found.tag}"'
    headers = {
        "ETag": tag,
        "Last-Modified": http_date(found.modified_at),
        "Cache-Control": _CACHED,
        "Accept-Ranges": "bytes",
        "Content-Disposition": inline(found.name),
        "Content-Security-Policy": _POLICY,
    }
    if is_known(request.headers, tag, found.modified_at):
        found.file.close()
        return Response(status_code=304, headers=headers)
    part = None
    if is_still(request.headers, tag, found.modified_at):
        try:
            part = wanted(range_, found.size_bytes)
        except UnsatisfiableError:
            found.file.close()
            raise HTTPException(
                416,
                f"the file has {found.size_bytes:,} bytes; ask for some of them",
                headers={"Content-Range": f"bytes */{found.size_bytes}"},
            ) from None
    if part is not None:
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{found.size_bytes}"
    text = found.media_type.startswith("text/")
    return FileBytes(
        found.file,
        part or Bytes(0, found.size_bytes),
        status_code=200 if part is None else 206,
        headers=headers,
        media_type=f"{found.media_type}; charset=utf-8" if text else found.media_type,
    )
