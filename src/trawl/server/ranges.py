"""Parts of a file: which bytes a request is for, and a response that gives them.

RFC 9110, section 14. One range is given as it is asked for; of several, which a server may
leave be, the whole file is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import BinaryIO
from urllib.parse import quote

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_RANGE = re.compile(r"bytes=\s*(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))\s*", re.IGNORECASE)
_BLOCK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes of a file: from `start` to before `end`."""

    start: int
    end: int


class UnsatisfiableError(Exception):
    """The file has none of the bytes that were asked for."""


def wanted(header: str | None, size_bytes: int) -> Bytes | None:
    """Read a `Range` header; None for the whole file. Raises `UnsatisfiableError`.

    What is not one range of bytes is passed over, as the RFC has it.
    """
    found = _RANGE.fullmatch(header or "")
    if found is None:
        return None
    first, last, suffix = (int(text) if text else None for text in found.groups())
    if suffix is not None:
        start, end = max(0, size_bytes - suffix), size_bytes
    else:
        start = first or 0
        end = size_bytes if last is None else min(last + 1, size_bytes)
        if last is not None and last < start:
            return None  # not a range at all
    if start >= size_bytes or start >= end:
        raise UnsatisfiableError
    return Bytes(start, end)


def http_date(moment: datetime) -> str:
    """Give a time as HTTP has it, to the second."""
    return format_datetime(moment.astimezone(UTC).replace(microsecond=0), usegmt=True)


def is_known(headers: Headers, tag: str, modified_at: datetime) -> bool:
    """Tell whether the client's copy is this file: RFC 9110, section 13.1.

    Tags are compared weakly, and `*` is any; the time counts where there is no tag.
    """
    tags = headers.get("if-none-match")
    if tags is not None:
        given = [one.strip().removeprefix("W/") for one in tags.split(",")]
        return "*" in given or tag in given
    since = _time(headers.get("if-modified-since"))
    return since is not None and modified_at.replace(microsecond=0) <= since


def is_still(headers: Headers, tag: str, modified_at: datetime) -> bool:
    """Tell whether a range of this file goes on from what the client has (`If-Range`)."""
    given = headers.get("if-range")
    return given is None or given.strip() in (tag, http_date(modified_at))


def inline(name: str) -> str:
    """Give the `Content-Disposition` of a file that is shown where it is asked for."""
    return f"inline; filename*=UTF-8''{quote(name, safe='')}"


def _time(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


class FileBytes(Response):
    """Sends bytes of an open file, read in threads as the client takes them, and closes it."""

    def __init__(
        self,
        file: BinaryIO,
        part: Bytes,
        *,
        status_code: int,
        headers: Mapping[str, str],
        media_type: str,
    ) -> None:
        super().__init__(
            status_code=status_code,
            headers={**headers, "Content-Length": str(part.end - part.start)},
            media_type=media_type,
        )
        self._file = file
        self._part = part

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head, and the bytes unless the request is for the head alone."""
        start = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        try:
            await send(start)
            left = 0 if scope["method"] == "HEAD" else self._part.end - self._part.start
            if left:
                await anyio.to_thread.run_sync(self._file.seek, self._part.start)
            while left:
                block = await anyio.to_thread.run_sync(self._file.read, min(left, _BLOCK_BYTES))
                if not block:
                    raise OSError("the file became shorter while it was sent")
                left -= len(block)
                await send({"type": "http.response.body", "body": block, "more_body": left > 0})
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b""})
        finally:
            self._file.close()
