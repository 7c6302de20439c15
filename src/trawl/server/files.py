"""Send files: ETags, conditional requests, and ranges of files that are already open."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from urllib.parse import quote

import anyio
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable, Response
from starlette.types import Receive, Scope, Send

from trawl.library import Original

# A picture that changes keeps its address, so a copy is used for a while and then checked.
CACHED = "private, max-age=300, must-revalidate"
# Files can have any content: browsers may show them, but not run anything.
_POLICY = "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
# Browsers show no PDF in a sandbox; their viewers run none of its scripts with access to the site.
_VIEWER_POLICY = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'"

# Text whose type does not begin with text/.
_TEXTS = frozenset({"application/jsonl", "application/json", "application/x-ipynb+json"})


def etag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def matches(header: str, tag: str, *, weakly: bool = True) -> bool:
    """Return whether a list of ETags has `tag` (RFC 9110, section 13.1); `*` has all.

    `If-None-Match` compares weakly, `If-Match` does not.
    """
    tags = [one.strip() for one in header.split(",")]
    if weakly:
        tags = [one.removeprefix("W/") for one in tags]
    return "*" in tags or tag in tags


def file_response(original: Original, request: Headers) -> Response:
    """Return an original file, a range of it, or 304 if the client's copy is current."""
    headers = {
        "ETag": f'"{original.tag}"',
        "Last-Modified": _http_date(original.modified_at),
        "Cache-Control": CACHED,
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(original.name, safe='')}",
        "Content-Security-Policy": (
            _VIEWER_POLICY if original.media_type == "application/pdf" else _POLICY
        ),
    }
    if _is_current(request, headers["ETag"], original.modified_at):
        original.file.close()
        return Response(status_code=304, headers=headers)
    return _OriginalResponse(original, headers)


def _http_date(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC).replace(microsecond=0), usegmt=True)


def _is_current(request: Headers, tag: str, modified_at: datetime) -> bool:
    """Return whether the client's copy is current; the date counts only without an ETag."""
    tags = request.get("if-none-match")
    if tags is not None:
        return matches(tags, tag)
    try:
        since = parsedate_to_datetime(request.get("if-modified-since", ""))
    except ValueError:
        return False
    return modified_at.replace(microsecond=0) <= since.replace(tzinfo=since.tzinfo or UTC)


def _content_type(media_type: str) -> str:
    """Return the header for a media type. Readers take text as UTF-8, browsers do not.

    A byte order mark has precedence over the header, so files in UTF-16 are shown correctly.
    """
    is_plain = media_type.startswith("text/") or media_type in _TEXTS
    return f"{media_type}; charset=utf-8" if is_plain else media_type


def _status(original: Original) -> os.stat_result:
    """Return what a response needs of a file's status; an object of a store has none."""
    modified = int(original.modified_at.timestamp())
    fields = (stat.S_IFREG, 0, 0, 1, 0, 0, original.size_bytes, modified, modified, modified)
    return os.stat_result(fields)


class _OriginalResponse(FileResponse):
    """Sends the file that was opened and checked, rather than what is now at its path."""

    chunk_size = 256 * 1024
    max_ranges = 1  # of several ranges, which a server may ignore, the whole file is sent

    def __init__(self, original: Original, headers: Mapping[str, str]) -> None:
        super().__init__(
            original.name,
            headers=headers,
            media_type=_content_type(original.media_type),
            stat_result=_status(original),
        )
        self._file = original.file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file or a range of it, and close it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()

    @asynccontextmanager
    async def _open_file(self) -> AsyncIterator[anyio.AsyncFile[bytes]]:
        yield anyio.wrap_file(self._file)

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader:
            return []  # ignored, as RFC 9110 requires
        except RangeNotSatisfiable:
            raise HTTPException(
                416,
                f"the file has {file_size:,} bytes",
                headers={"Content-Range": f"bytes */{file_size}"},
            ) from None
