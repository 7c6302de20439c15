"""What was found, looked at more closely."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import APIRouter, Header, Path
from fastapi.responses import Response

from trawl.server.keys import reads
from trawl.server.problems import documented
from trawl.server.service import ServiceOf

router = APIRouter(prefix="/chunks", tags=["Documents"], dependencies=[reads])

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


@router.get(
    "/{chunk_id}/thumbnail",
    summary="A picture's thumbnail",
    response_class=Response,
    responses={
        200: {"description": "The picture, made small.", "content": {"image/jpeg": {}}},
        304: {"description": "The picture is the one of the `If-None-Match` header."},
        **documented(401, 403, 404, 422, 503),
    },
)
async def thumbnail(
    service: ServiceOf,
    chunk_id: ChunkId,
    if_none_match: Annotated[
        str | None, Header(description="ETags of copies that the client has.")
    ] = None,
) -> Response:
    """Give the thumbnail of a picture that was found, as a JPEG."""
    picture = await service.pool.run(service.library.thumbnail, chunk_id)
    tag = f'"{hashlib.sha256(picture).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": _CACHED}
    if _matches(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    return Response(picture, media_type="image/jpeg", headers=headers)


def _matches(if_none_match: str | None, tag: str) -> bool:
    """Compare as RFC 9110, section 13.1.2, does: weakly, and `*` is any."""
    given = [one.strip().removeprefix("W/") for one in (if_none_match or "").split(",")]
    return "*" in given or tag in given
