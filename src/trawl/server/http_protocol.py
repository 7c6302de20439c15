"""Connections: how many there may be, and how long and how large the head of a request may be.

What uvicorn leaves open. Errors at this level are problem documents like all others.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from trawl.errors import OverloadedError
from trawl.server.problems import (
    HTTP_KINDS,
    KINDS,
    MEDIA_TYPE,
    REQUEST_ID_HEADER,
    Kind,
    problem_json,
)

_HEAD_S = 20.0
_HEAD_BYTES = 64 * 1024
# Who comes too many is told so when they ask; who asks nothing is let go.
_REFUSED_S = 1.0
# After a refusal, what still arrives is read and thrown away for this long: a socket that
# is closed over unread bytes is reset, and the reset can overtake the answer.
_LINGER_S = 5.0


def protocol_with(max_connections: int, rejected: Callable[[str], None]) -> type[HttpToolsProtocol]:
    """Give the protocol of a server that holds at most `max_connections` at once.

    One more is answered 503, which `rejected` is told of; twice as many are not even
    read from.
    """

    class Bounded(_Connection):
        most = max_connections
        on_rejected = staticmethod(rejected)

    return Bounded


class _Connection(HttpToolsProtocol):
    """One connection, which ends when a request's head is too slow or too large."""

    most: int
    on_rejected: Callable[[str], None]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._refused = False
        self._ended = False
        self._head_since: float | None = None
        self._head_bytes = 0
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, or for a chance to refuse it."""
        super().connection_made(transport)
        count = len(self.connections)
        if count > 2 * self.most:
            self.on_rejected("connections")
            transport.abort()
            return
        self._refused = count > self.most
        self._head_since = self.loop.time()
        wait_s = _REFUSED_S if self._refused else _HEAD_S
        self._watch = self.loop.call_later(wait_s, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what comes, within bounds."""
        if self._ended or self.transport.is_closing():
            return
        if self._refused:
            self.on_rejected("connections")
            self._end(
                503,
                KINDS[OverloadedError],
                f"{self.most:,} connections are open already; come again",
                1,
            )
            return
        super().data_received(data)
        if self._ended or self.transport.is_closing():
            return
        if self._head_since is not None:
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_BYTES:
                detail = f"the head of the request is larger than {_HEAD_BYTES:,} bytes"
                self._end(431, HTTP_KINDS[413], detail)

    def on_message_begin(self) -> None:
        """Note that a head begins."""
        self._head_since = self.loop.time()
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that the head is there."""
        self._head_since = None
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._end(400, HTTP_KINDS[400], msg)

    def _look(self) -> None:
        """End the connection where a head takes too long; look again later where not."""
        if self.transport.is_closing():
            return
        now = self.loop.time()
        if self._refused or (self._head_since is not None and now - self._head_since >= _HEAD_S):
            if self._head_bytes:
                self._end(408, HTTP_KINDS[408], f"the head did not arrive within {_HEAD_S:g} s")
            else:
                self.transport.close()
            return
        waited_s = now - self._head_since if self._head_since is not None else 0.0
        self._watch = self.loop.call_later(max(1.0, _HEAD_S - waited_s), self._look)

    def _end(self, status: int, kind: Kind, detail: str, retry_after_s: int | None = None) -> None:
        """Answer with a problem document, say that no more comes, and close a little later."""
        self._ended = True
        if self.cycle is not None:
            # An earlier request's answer may still be in the making: nothing can follow this.
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
        if self._watch is not None:
            self._watch.cancel()
        self._watch = self.loop.call_later(_LINGER_S, self.transport.close)
