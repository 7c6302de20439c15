"""Bound connections: their number, and the size and duration of a request's head.

uvicorn has no such bounds. Errors at this level are problem documents like all others.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from trawl.errors import OverloadedError
from trawl.server.errors import (
    HTTP_KINDS,
    KINDS,
    MEDIA_TYPE,
    REQUEST_ID_HEADER,
    Kind,
    problem_json,
)

_HEAD_S = 20.0
_HEAD_BYTES = 64 * 1024
# A connection over the bound is answered 503 at its first request; without one it is closed.
_REFUSED_S = 1.0
# After an error response, further input is discarded for this long: closing a socket with
# unread input resets the connection, which can destroy the response.
_LINGER_S = 5.0
_JOINED_BYTES = 64 * 1024


def protocol_with(max_connections: int, rejected: Callable[[str], None]) -> type[HttpToolsProtocol]:
    """Return the protocol class of a server with at most `max_connections`.

    Further connections are answered 503, and counted with `rejected`. Beyond twice the bound
    they are closed at once.
    """

    class Bounded(_Connection):
        limit = max_connections
        on_rejected = staticmethod(rejected)

    return Bounded


class Joining:
    """A transport that sends at once what is written in one step of the event loop.

    uvicorn writes a response's head and body apart. Between the two, another thread may hold the
    interpreter's lock for milliseconds; if the process was killed there, a proxy had a head without
    a body, and could not try another replica.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._pending = bytearray()

    def write(self, data: bytes) -> None:
        """Send data at the end of this step of the loop, or now if there are many."""
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending += data
        if len(self._pending) >= _JOINED_BYTES:
            self._flush()

    def close(self) -> None:
        """Send what is written, and close."""
        self._flush()
        self._transport.close()

    def write_eof(self) -> None:
        """Send what is written, and shut down writing."""
        self._flush()
        self._transport.write_eof()

    def _flush(self) -> None:
        if self._pending and not self._transport.is_closing():
            self._transport.write(bytes(self._pending))
        self._pending.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Connection(HttpToolsProtocol):
    """One connection, closed if a request's head is too slow or too large."""

    limit: int
    on_rejected: Callable[[str], None]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._is_refused = False
        self._is_ended = False
        self._head_since: float | None = None
        self._head_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, Joining(transport, self.loop)))
        count = len(self.connections)
        if count > 2 * self.limit:
            self.on_rejected("connections")
            transport.abort()
            return
        self._is_refused = count > self.limit
        self._head_since = self.loop.time()
        wait_s = _REFUSED_S if self._is_refused else _HEAD_S
        self._timer = self.loop.call_later(wait_s, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_ended or self.transport.is_closing():
            return
        if self._is_refused:
            self.on_rejected("connections")
            self._end(
                503,
                KINDS[OverloadedError],
                f"{self.limit:,} connections are already open; retry later",
                1,
            )
            return
        super().data_received(data)
        if self._is_ended or self.transport.is_closing():
            return
        if self._head_since is not None:
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_BYTES:
                detail = f"the head of the request is larger than {_HEAD_BYTES:,} bytes"
                self._end(431, HTTP_KINDS[413], detail)

    def on_message_begin(self) -> None:
        self._head_since = self.loop.time()
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_since = None
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._end(400, HTTP_KINDS[400], msg)

    def _check(self) -> None:
        """Close the connection if a head takes too long, or check again later."""
        if self.transport.is_closing():
            return
        now = self.loop.time()
        if self._is_refused or (self._head_since is not None and now - self._head_since >= _HEAD_S):
            if self._head_bytes:
                self._end(408, HTTP_KINDS[408], f"the head did not arrive within {_HEAD_S:g} s")
            else:
                self.transport.close()
            return
        waited_s = now - self._head_since if self._head_since is not None else 0.0
        self._timer = self.loop.call_later(max(1.0, _HEAD_S - waited_s), self._check)

    def _end(self, status: int, kind: Kind, detail: str, retry_after_s: int | None = None) -> None:
        """Send a problem document, shut down writing, and close a little later."""
        self._is_ended = True
        if self.cycle is not None:
            # Discard the response of an earlier request: nothing can follow this one.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        request_id = uuid.uuid4().hex
        body = problem_json(kind, status, detail, request_id)
        lines = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            f"content-type: {MEDIA_TYPE}",
            f"content-length: {len(body)}",
            f"{REQUEST_ID_HEADER.lower()}: {request_id}",
            "connection: close",
        ]
        if retry_after_s is not None:
            lines.append(f"retry-after: {retry_after_s}")
        self.transport.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(_LINGER_S, self.transport.close)
