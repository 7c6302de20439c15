"""Wrap every request: id, headers and log line; client and rate limit; load and body bounds."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachetools import LRUCache
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from trawl.errors import OverloadedError
from trawl.server.auth import Client, Keyring, presented_key
from trawl.server.errors import HTTP_KINDS, INTERNAL, REQUEST_ID_HEADER, problem, problem_of
from trawl.server.limits import RateLimiter, RefusalDelay
from trawl.server.metrics import Metrics
from trawl.server.proxy import Proxies, is_loopback, route_path
from trawl.telemetry import logger

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from trawl.server.tracing import Tracing

# Ids only tell requests apart, so that they need no call to the system.
_random = random.Random()
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_REQUEST_ID = REQUEST_ID_HEADER.lower().encode("latin-1")
_REFUSALS = frozenset({429, 503})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Recently answered searches are not refused under load: their responses may be cached.
_MOST_ANSWERED = 1_000
# nginx's status of a request whose client left before it was answered.
_CLIENT_LEFT = 499
# A form's boundaries, part headers and fields, beside the file that it carries.
_FORM_OVERHEAD_BYTES = 64 * 1024


class RequestContext:
    """Adds an id to each request and headers to each response, and handles unexpected errors.

    A request may bring its own `X-Request-ID` (1 to 64 letters, digits, `.`, `_`, `-`).
    Refusals (429, 503) of a client that retries at once are delayed, except on paths that are
    `undelayed`. The log line has no query string, since queries are private.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        headers: Mapping[str, str],
        undelayed: Callable[[str], bool],
        metrics: Metrics | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._app = app
        # Encoded once, since they are added to each response.
        self._headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in headers.items()
        ]
        self._undelayed = undelayed
        self._delay = RefusalDelay()
        self._metrics = metrics
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        # Every log line of this request has its id, in any thread.
        bind_contextvars(request_id=request_id)
        own = [(_REQUEST_ID, request_id.encode("latin-1")), *self._headers]
        began = time.perf_counter()
        status = 0
        left = False

        async def receive_noticing() -> Message:
            nonlocal left
            message = await receive()
            left = left or (message["type"] == "http.disconnect" and not status)
            return message

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                if status in _REFUSALS and not self._undelayed(route_path(scope)):
                    await self._delay.wait(scope.get("client"))
                given = list(message.get("headers", ()))
                names = {name.lower() for name, _ in given}
                message["headers"] = given + [one for one in own if one[0] not in names]
            await send(message)

        span: Span | None
        with self._tracing.request(scope) if self._tracing else nullcontext() as span:
            try:
                await self._app(scope, receive_noticing, send_with_headers)
            except ClientDisconnect:
                left = True
            except Exception:
                if left and not status:
                    return  # the error is that the request is incomplete
                logger.exception("request failed", extra={"request_id": request_id})
                if status:
                    raise  # part of the response was sent, so the connection is closed
                response = problem(INTERNAL, 500, INTERNAL.detail or "", scope)
                await response(scope, receive, send_with_headers)
            finally:
                status = _CLIENT_LEFT if left else status
                self._record(scope, status, time.perf_counter() - began, span)

    def _record(self, scope: Scope, status: int, seconds: float, span: Span | None) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        if self._metrics is not None:
            self._metrics.request(method, route, status, seconds)
        if self._tracing is not None and span is not None:
            self._tracing.finished(span, method, route, status, scope["state"]["request_id"])
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
    for name, value in scope["headers"]:
        if name == _REQUEST_ID:
            given = str(value.decode("latin-1"))
            if _GIVEN_ID.fullmatch(given):
                return given
    return f"{_random.getrandbits(128):032x}"


@dataclass(frozen=True, slots=True)
class _Route:
    """Stands for the route in metrics when a request is refused before routing."""

    path: str


class LoadShedding:
    """Refuses searches (GET) on some paths while the search queue is full.

    This is done before routing and parsing, which cost more than the rest of a refusal.
    `overload` returns the error that a new search would raise, if any. Searches that were
    answered before pass, since their responses may be cached.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        paths: Collection[str],
        overload: Callable[[], OverloadedError | None],
        rejected: Callable[[str], None],
    ) -> None:
        self._app = app
        self._paths = frozenset(paths)
        self._overload = overload
        self._rejected = rejected
        self._answered: LRUCache[tuple[str, bytes], None] = LRUCache(_MOST_ANSWERED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = route_path(scope) if scope["type"] == "http" else ""
        if path not in self._paths or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        address = (path, bytes(scope["query_string"]))
        error = self._overload() if address not in self._answered else None
        if error is not None:
            self._rejected(error.reason)
            scope["route"] = _Route(address[0])
            await problem_of(error, scope)(scope, receive, send)
            return

        async def send_recording(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                self._answered[address] = None
            await send(message)

        await self._app(scope, receive, send_recording)


class HeadRequests:
    """Answers HEAD like GET, without the body. A response that streams is not continued."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        get = {**scope, "method": "GET"}
        ended = False

        async def send_head(message: Message) -> None:
            nonlocal ended
            if message["type"] != "http.response.body":
                await send(message)
            elif not ended:
                ended = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                if message.get("more_body", False):
                    raise _AnsweredError

        try:
            await self._app(get, receive, send_head)
        except* _AnsweredError:
            pass
        finally:
            if "route" in get:
                scope["route"] = get["route"]


class _AnsweredError(Exception):
    """Ends a response that streams, once its head was sent."""


class AccessControl:
    """Identifies the client by key or address, and applies its rate limit.

    Without keys, requests that come from this machine are not limited.

    The `Client` is stored in the request's state. An invalid key is refused here (401), so
    that guesses count against the rate limit of the address.
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
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        peer = scope["client"][0] if scope.get("client") else "unknown"
        forwarded_for = ",".join(headers.getlist("x-forwarded-for"))
        address = self._proxies.client(peer, forwarded_for)
        key = presented_key(headers.get("authorization", ""), headers.get("x-api-key", ""))
        client, invalid_key = self._client(address, key)
        scope.setdefault("state", {})["client"] = client
        path = route_path(scope)
        verdict = None
        # A proxy on this machine passes on the requests of others.
        is_own = not self._keyring and not forwarded_for and is_loopback(peer)
        if invalid_key or not (is_own or self._exempt(path)):
            verdict = await self._limiter.check(client.name, self._cost(scope["method"], path))
        if verdict is not None and not verdict.allowed:
            self._rejected("rate")
            detail = (
                f"at most {verdict.limit} requests in {verdict.window_s} s are allowed; "
                f"retry in {verdict.reset_s} s"
            )
            refused = problem(HTTP_KINDS[429], 429, detail, scope, headers=verdict.headers)
            await refused(scope, receive, send)
            return
        if invalid_key:
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            detail = "Invalid API key"
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
        """Return the client, and whether its key is invalid."""
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
    """Bounds the size of a request's body and the time it takes to arrive.

    A compressed body is refused (415).

    A form may carry a file of `max_upload_bytes`, which is streamed to disk; any other body
    is held in memory and bounded by `max_json_bytes`. Reading the body raises 413 or 408.
    """

    def __init__(
        self, app: ASGIApp, *, max_upload_bytes: int, max_json_bytes: int, timeout_s: float
    ) -> None:
        self._app = app
        self._max_form_bytes = max_upload_bytes + _FORM_OVERHEAD_BYTES
        self._max_json_bytes = max_json_bytes
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        encoding = headers.get("content-encoding", "identity").strip()
        if encoding.lower() not in ("identity", ""):
            detail = f"Content-Encoding {encoding[:50]!r} is not supported; send the body as it is"
            accepted = {"Accept-Encoding": "identity"}
            await problem(HTTP_KINDS[415], 415, detail, scope, headers=accepted)(
                scope, receive, send
            )
            return
        is_form = headers.get("content-type", "").lower().startswith("multipart/form-data")
        limit = self._max_form_bytes if is_form else self._max_json_bytes
        declared = headers.get("content-length", "")
        deadline = time.monotonic() + self._timeout_s
        received = int(declared) if declared.isdecimal() and int(declared) > limit else 0
        complete = False

        async def receive_bounded() -> Message:
            nonlocal received, complete
            if complete:
                return await receive()  # waits for the client to disconnect
            if received > limit:
                raise _too_large(limit)
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    408, f"the body did not arrive within {self._timeout_s:g} s"
                ) from None
            received += len(message.get("body", b""))
            if received > limit:
                raise _too_large(limit)
            complete = not message.get("more_body", False)
            return message

        await self._app(scope, receive_bounded, send)


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"the body is larger than {limit:,} bytes; send smaller requests")
