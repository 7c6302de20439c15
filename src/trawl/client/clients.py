"""The two clients: each drives the operations, one blocking and one with asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx

from trawl.client import operations
from trawl.client.exchange import Call, Pause, Reply, ServerError, Steps, check, retried
from trawl.client.records import Job
from trawl.wire import JobOut

P = ParamSpec("P")
T = TypeVar("T")


def _blocking(operation: Callable[P, Steps[T]]) -> Callable[Concatenate[Client, P], T]:
    @functools.wraps(operation)
    def method(self: Client, /, *args: P.args, **options: P.kwargs) -> T:
        return self._run(operation(*args, **options))

    return method


def _awaitable(
    operation: Callable[P, Steps[T]],
) -> Callable[Concatenate[AsyncClient, P], Awaitable[T]]:
    @functools.wraps(operation)
    async def method(self: AsyncClient, /, *args: P.args, **options: P.kwargs) -> T:
        return await self._run(operation(*args, **options))

    return method


class Client:
    """A client of a Trawl server. Thread-safe.

    `key` is an API key, if the server requires one. Requests that a busy server refuses
    (429, 503) are retried up to `retries` times, after the delay that it states.

    Every method raises the errors of the corresponding `Library` method, and `ServerError`.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 30.0,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._retries = retries
        self._http = httpx.Client(transport=transport, **_options(url, key, timeout_s))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    search = _blocking(operations.search)
    query = _blocking(operations.query)
    similar = _blocking(operations.similar)
    candidates = _blocking(operations.candidates)
    liked = _blocking(operations.liked)
    facets = _blocking(operations.facets)
    submit = _blocking(operations.submit)
    submit_lines = _blocking(operations.submit_lines)
    add = _blocking(operations.add)
    wait = _blocking(operations.wait)
    job = _blocking(operations.job)
    cancel = _blocking(operations.cancel)
    documents = _blocking(operations.documents)
    show = _blocking(operations.show)
    chunk = _blocking(operations.chunk)
    set_metadata = _blocking(operations.set_metadata)
    remove = _blocking(operations.remove)
    thumbnail = _blocking(operations.thumbnail)
    media = _blocking(operations.media)
    stats = _blocking(operations.stats)
    status = _blocking(operations.status)
    health = _blocking(operations.health)
    metrics = _blocking(operations.metrics)

    def watch(self, job_id: str) -> Iterator[Job]:
        """Yield the job now and after each change, until it ends."""
        try:
            with self._http.stream("GET", _events(job_id)) as response:
                if response.is_error:
                    response.read()
                    check(_reply(response))
                yield from filter(None, map(_job_in, response.iter_lines()))
        except httpx.HTTPError as error:
            raise _unreachable(self._http.base_url, error) from error

    def _run(self, operation: Steps[T]) -> T:
        steps = retried(operation, self._retries)
        reply: Reply | None = None
        try:
            while True:
                step = steps.send(reply)
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    reply = None
                else:
                    reply = self._exchange(step)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            steps.close()

    def _exchange(self, call: Call) -> Reply:
        try:
            return _reply(self._http.request(call.method, call.path, **call.arguments()))
        except httpx.HTTPError as error:
            raise _unreachable(self._http.base_url, error) from error


class AsyncClient:
    """A client of a Trawl server for asyncio. Same methods as `Client`."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 30.0,
        retries: int = 3,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._retries = retries
        self._http = httpx.AsyncClient(transport=transport, **_options(url, key, timeout_s))

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    search = _awaitable(operations.search)
    query = _awaitable(operations.query)
    similar = _awaitable(operations.similar)
    candidates = _awaitable(operations.candidates)
    liked = _awaitable(operations.liked)
    facets = _awaitable(operations.facets)
    submit = _awaitable(operations.submit)
    submit_lines = _awaitable(operations.submit_lines)
    add = _awaitable(operations.add)
    wait = _awaitable(operations.wait)
    job = _awaitable(operations.job)
    cancel = _awaitable(operations.cancel)
    documents = _awaitable(operations.documents)
    show = _awaitable(operations.show)
    chunk = _awaitable(operations.chunk)
    set_metadata = _awaitable(operations.set_metadata)
    remove = _awaitable(operations.remove)
    thumbnail = _awaitable(operations.thumbnail)
    media = _awaitable(operations.media)
    stats = _awaitable(operations.stats)
    status = _awaitable(operations.status)
    health = _awaitable(operations.health)
    metrics = _awaitable(operations.metrics)

    async def watch(self, job_id: str) -> AsyncIterator[Job]:
        """Yield the job now and after each change, until it ends."""
        try:
            async with self._http.stream("GET", _events(job_id)) as response:
                if response.is_error:
                    await response.aread()
                    check(_reply(response))
                async for line in response.aiter_lines():
                    job = _job_in(line)
                    if job is not None:
                        yield job
        except httpx.HTTPError as error:
            raise _unreachable(self._http.base_url, error) from error

    async def _run(self, operation: Steps[T]) -> T:
        steps = retried(operation, self._retries)
        reply: Reply | None = None
        try:
            while True:
                step = steps.send(reply)
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    reply = None
                else:
                    reply = await self._exchange(step)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            steps.close()

    async def _exchange(self, call: Call) -> Reply:
        try:
            return _reply(await self._http.request(call.method, call.path, **call.arguments()))
        except httpx.HTTPError as error:
            raise _unreachable(self._http.base_url, error) from error


def _options(url: str, key: str | None, timeout_s: float) -> dict[str, Any]:
    return {
        "base_url": url.rstrip("/"),
        "timeout": timeout_s,
        "headers": {"Authorization": f"Bearer {key}"} if key is not None else {},
    }


def _reply(response: httpx.Response) -> Reply:
    """Convert a response; parse its body if its content type is JSON."""
    media_type = response.headers.get("content-type", "").partition(";")[0]
    body = None
    if media_type.endswith(("/json", "+json")):
        with contextlib.suppress(ValueError):
            body = response.json()
    return Reply(response.status_code, dict(response.headers), response.content, body)


def _unreachable(url: httpx.URL, error: httpx.HTTPError) -> ServerError:
    reason = str(error) or type(error).__name__
    return ServerError(f"no response from {url}: {reason}; is `trawl serve` running there?")


def _events(job_id: str) -> str:
    return f"/v1/jobs/{job_id}/events"


def _job_in(line: str) -> Job | None:
    """Parse a line of server-sent events; return None if it has no data."""
    name, _, data = line.partition(": ")
    return Job.from_wire(JobOut.model_validate_json(data)) if name == "data" else None
