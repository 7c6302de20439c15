"""The two clients: they send what an operation asks for, and wait or are awaited."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx

from trawl.client import operations
from trawl.client.exchange import Call, Pause, Reply, ServerError, Steps, check, retried
from trawl.client.records import Job, job_of

P = ParamSpec("P")
T = TypeVar("T")


def _waited(operation: Callable[P, Steps[T]]) -> Callable[Concatenate[Client, P], T]:
    @functools.wraps(operation)
    def method(self: Client, /, *args: P.args, **options: P.kwargs) -> T:
        return self._run(operation(*args, **options))

    return method


def _awaited(
    operation: Callable[P, Steps[T]],
) -> Callable[Concatenate[AsyncClient, P], Awaitable[T]]:
    @functools.wraps(operation)
    async def method(self: AsyncClient, /, *args: P.args, **options: P.kwargs) -> T:
        return await self._run(operation(*args, **options))

    return method


class Client:
    """A Trawl server, asked and waited for.

    `key` is an API key, where the server asks for one. A request that the server is too
    busy for (429, 503) is sent again up to `retries` times, after the pause that it asks
    for. Safe to use from several threads.

    Every method raises the error that `Library` would raise, and `ServerError`.
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

    search = _waited(operations.search)
    query = _waited(operations.query)
    similar = _waited(operations.similar)
    facets = _waited(operations.facets)
    submit = _waited(operations.submit)
    submit_lines = _waited(operations.submit_lines)
    add = _waited(operations.add)
    wait = _waited(operations.wait)
    job = _waited(operations.job)
    cancel = _waited(operations.cancel)
    documents = _waited(operations.documents)
    show = _waited(operations.show)
    chunk = _waited(operations.chunk)
    set_metadata = _waited(operations.set_metadata)
    remove = _waited(operations.remove)
    thumbnail = _waited(operations.thumbnail)
    media = _waited(operations.media)
    stats = _waited(operations.stats)
    status = _waited(operations.status)
    health = _waited(operations.health)
    metrics = _waited(operations.metrics)

    def watch(self, job_id: str) -> Iterator[Job]:
        """Give a job at once and at each change, as the server tells of it, until it is over."""
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
    """A Trawl server, asked and awaited. The same as `Client` in all else."""

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

    search = _awaited(operations.search)
    query = _awaited(operations.query)
    similar = _awaited(operations.similar)
    facets = _awaited(operations.facets)
    submit = _awaited(operations.submit)
    submit_lines = _awaited(operations.submit_lines)
    add = _awaited(operations.add)
    wait = _awaited(operations.wait)
    job = _awaited(operations.job)
    cancel = _awaited(operations.cancel)
    documents = _awaited(operations.documents)
    show = _awaited(operations.show)
    chunk = _awaited(operations.chunk)
    set_metadata = _awaited(operations.set_metadata)
    remove = _awaited(operations.remove)
    thumbnail = _awaited(operations.thumbnail)
    media = _awaited(operations.media)
    stats = _awaited(operations.stats)
    status = _awaited(operations.status)
    health = _awaited(operations.health)
    metrics = _awaited(operations.metrics)

    async def watch(self, job_id: str) -> AsyncIterator[Job]:
        """Give a job at once and at each change, as the server tells of it, until it is over."""
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
    """Take a response over, with its JSON where that is what it says it is."""
    media_type = response.headers.get("content-type", "").partition(";")[0]
    found = None
    if media_type.endswith(("/json", "+json")):
        try:
            found = response.json()
        except ValueError:
            found = None
    return Reply(response.status_code, dict(response.headers), response.content, found)


def _unreachable(url: httpx.URL, error: httpx.HTTPError) -> ServerError:
    said = str(error) or type(error).__name__
    return ServerError(f"no answer from {url}: {said}; does `trawl serve` run there?")


def _events(job_id: str) -> str:
    return f"/v1/jobs/{job_id}/events"


def _job_in(line: str) -> Job | None:
    """Read a line of server-sent events; None where it tells nothing of a job."""
    name, _, data = line.partition(": ")
    return job_of(json.loads(data)) if name == "data" else None
