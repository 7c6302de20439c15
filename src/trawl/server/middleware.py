"""What surrounds every request: an id, a last resort, a log line, who asks, bounds on its body."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from trawl.server.keys import Client, Keyring, presented_key
from trawl.server.limiting import Proxies, RateLimiter
from trawl.server.metrics import Metrics
from trawl.server.pacing import Pace
from trawl.server.problems import HTTP_KINDS, INTERNAL, REQUEST_ID_HEADER, problem
from trawl.telemetry import logger

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from trawl.server.tracing import Tracing

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_REQUEST_ID = REQUEST_ID_HEADER.lower().encode("latin-1")
_REFUSALS = frozenset({429, 503})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# A form's boundaries, part headers and fields, beside the file that it carries.
_FORM_OVERHEAD_BYTES = 64 * 1024


class RequestContext:
    """Gives each request an id, each response its headers, and each failure an answer.

    Refusals come at a pace; those of a path that is `unpaced` come at once.
    A request may bring its own `X-Request-ID` (1 to 64 letters, digits, `.`, `_`, `-`).
    The log line has no query string: what people search for is theirs.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        headers: Mapping[str, str],
        unpaced: Callable[[str], bool],
        metrics: Metrics | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._app = app
        # As they go over the line: this is done for each response.
        self._headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in headers.items()
        ]
        self._unpaced = unpaced
        self._pace = Pace()
        self._metrics = metrics
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        # Every log line of this request, in whatever thread, has its id.
        bind_contextvars(request_id=request_id)
        own = [(_REQUEST_ID, request_id.encode("latin-1")), *self._headers]
        began = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                if status in _REFUSALS and not self._unpaced(str(scope["path"])):
                    await self._pace.keep(scope.get("client"))
                given = list(message.get("headers", ()))
                names = {name.lower() for name, _ in given}
                message["headers"] = given + [one for one in own if one[0] not in names]
            await send(message)

        span: Span | None
        with self._tracing.request(scope) if self._tracing else nullcontext() as span:
            try:
                await self._app(scope, receive, send_with_headers)
            except Exception:
                logger.exception("request failed", extra={"request_id": request_id})
                if status:
                    raise  # half of a response is out: the connection has to break
                response = problem(INTERNAL, 500, INTERNAL.detail or "", scope)
                await response(scope, receive, send_with_headers)
            finally:
                self._note(scope, status, time.perf_counter() - began, span)

    def _note(self, scope: Scope, status: int, seconds: float, span: Span | None) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        if self._metrics is not None:
            self._metrics.request(method, route, status, seconds)
        if self._tracing is not None and span is not None:
            self._tracing.answered(span, method, route, status, scope["state"]["request_id"])
        logger.info(
            "%s %s %d",
            scope["method"],
            scope["path"],
            status,
            extra={
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "took_ms": round(seconds * 1000, 2),
            },
        )


def _request_id(scope: Scope) -> str:
    """Give the id that a request brings, or a new one."""
    for name, value in scope["headers"]:
        if name == _REQUEST_ID:
            given = str(value.decode("latin-1"))
            if _GIVEN_ID.fullmatch(given):
                return given
    return uuid.uuid4().hex


class Gate:
    """Finds out who asks, by key or by address, and holds each to the rate that is allowed.

    Leaves a `Client` in the request's state for the routes to ask. A wrong key is
    refused here (401), so that guessing counts against the address that guesses.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keyring: Keyring,
        limiter: RateLimiter,
        proxies: Proxies,
        exempt: Callable[[str], bool],
        cost: Callable[[str, str], int],
        rejected: Callable[[str], None],
    ) -> None:
        self._app = app
        self._keyring = keyring
        self._limiter = limiter
        self._proxies = proxies
        self._exempt = exempt
        self._cost = cost
        self._rejected = rejected

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        peer = scope["client"][0] if scope.get("client") else "unknown"
        address = self._proxies.client(peer, ",".join(headers.getlist("x-forwarded-for")))
        key = presented_key(headers.get("authorization", ""), headers.get("x-api-key", ""))
        client, wrong_key = self._client(address, key)
        scope.setdefault("state", {})["client"] = client
        path = str(scope["path"])
        verdict = None
        if wrong_key or not self._exempt(path):
            verdict = await self._limiter.check(client.name, self._cost(scope["method"], path))
        if verdict is not None and not verdict.allowed:
            self._rejected("rate")
            detail = (
                f"{verdict.limit} requests in {verdict.window_s} s are allowed; "
                f"ask again in {verdict.reset_s} s"
            )
            refused = problem(HTTP_KINDS[429], 429, detail, scope, headers=verdict.headers)
            await refused(scope, receive, send)
            return
        if wrong_key:
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            detail = "the key is none of this server's; ask whoever runs it for one"
            refused = problem(HTTP_KINDS[401], 401, detail, scope, headers=challenge)
            await refused(scope, receive, send)
            return
        if verdict is None:
            await self._app(scope, receive, send)
            return
        fields = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in verdict.headers.items()
        ]

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *fields]
            await send(message)

        await self._app(scope, receive, send_with_limits)

    def _client(self, address: str, key: str | None) -> tuple[Client, bool]:
        """Give who asks, and whether they showed a key that is none of ours."""
        if not self._keyring:
            return Client(f"address {address}", None), False
        if key is None:
            return Client(f"address {address}", frozenset()), False
        holder = self._keyring.holder(key)
        if holder is None:
            return Client(f"address {address}", frozenset()), True
        name, scopes = holder
        return Client(f"key {name}", scopes), False


class BodyLimit:
    """Bounds a request's body while it arrives: in bytes, and in seconds.

    A form may carry a file of `max_upload_bytes`, which goes to disk as it comes; any
    other body is held in memory and is bounded by `max_json_bytes`. Raises 413 and 408
    into whoever reads the body.
    """

    def __init__(
        self, app: ASGIApp, *, max_upload_bytes: int, max_json_bytes: int, timeout_s: float
    ) -> None:
        self._app = app
        self._max_form_bytes = max_upload_bytes + _FORM_OVERHEAD_BYTES
        self._max_json_bytes = max_json_bytes
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        is_form = headers.get("content-type", "").lower().startswith("multipart/form-data")
        most = self._max_form_bytes if is_form else self._max_json_bytes
        stated = headers.get("content-length", "")
        deadline = time.monotonic() + self._timeout_s
        taken = int(stated) if stated.isdecimal() and int(stated) > most else 0
        complete = False

        async def receive_bounded() -> Message:
            nonlocal taken, complete
            if complete:
                return await receive()  # waits for the client to go; that may take as it will
            if taken > most:
                raise _too_large(most)
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    408, f"the body did not arrive within {self._timeout_s:g} s; send it faster"
                ) from None
            taken += len(message.get("body", b""))
            if taken > most:
                raise _too_large(most)
            complete = not message.get("more_body", False)
            return message

        await self._app(scope, receive_bounded, send)


def _too_large(most: int) -> HTTPException:
    return HTTPException(413, f"the body is larger than {most:,} bytes; send less at once")
