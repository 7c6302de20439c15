"""Hold what the routes share: the library, its threads, the cache, and its readiness."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, cast

import anyio.to_thread
from fastapi import Depends, Request

from trawl.errors import TrawlError
from trawl.libraries.served import are_several
from trawl.library import Library
from trawl.search import QueryPart, SearchOptions
from trawl.server.cache import MemoryStore, Outcome, ResponseCache, cache_key, response_cache
from trawl.server.job_process import Ingester, Progress
from trawl.server.limits import T, WorkPool
from trawl.server.metrics import Metrics
from trawl.settings import Settings
from trawl.telemetry import events, logger
from trawl.types import Answer, Report, Status
from trawl.wire import answer_fields, to_bytes

if TYPE_CHECKING:
    from trawl.server.tracing import Tracing

_CHANGES_WAITING = 16
_STATUS_S = 1.0
# Views are drawn in processes, which should not take the processors from searches.
_VIEW_THREADS = max(1, min(4, (os.cpu_count() or 1) // 2))
_VIEWS_WAITING = 64
_VIEW_WAIT_S = 10.0
_VIEWS_CACHED, _VIEW_CACHE_BYTES, _VIEW_CACHE_S = 1_000, 64 * 2**20, 3600.0
# A file that is being added when the server stops has this long to finish.
_GRACE_S = 5.0

Readiness: TypeAlias = Literal["starting", "ready", "failed"]
KnownPart: TypeAlias = tuple[Literal["text", "like"], str, float]
"""A query part without media: its kind, its text or chunk id, and its weight."""


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A query without its media: equal queries have equal answers.

    `text` is plain text, `line` one line of the query language.
    """

    text: str | None = None
    line: str | None = None
    like: str | None = None
    parts: tuple[KnownPart, ...] = ()
    options: SearchOptions = field(default_factory=SearchOptions)

    def search(self, library: Library, media: Sequence[QueryPart] = ()) -> Answer:
        """Search a library. Raises what `Library.search` and `Library.query` raise."""
        known = [
            library.like(value, weight) if kind == "like" else QueryPart("text", value, weight)
            for kind, value, weight in self.parts
        ]
        parts = [*known, *media]
        if self.line is not None:
            return library.query(
                self.line, like=self.like, parts=parts, files=False, options=self.options
            )
        return library.search(self.text, like=self.like, parts=parts, options=self.options)

    def cache_key(self) -> str:
        """Return the query as text: equal queries, equal text in every process."""
        words = json.dumps([self.text, self.line, self.like, self.parts])
        return words + self.options.cache_key()


@dataclass(frozen=True, slots=True)
class Shape:
    """The form of a response: with paging and facets or not, and a proxy's path prefix."""

    detailed: bool
    root_path: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """The body of a search response, the time to get it, and what the cache did."""

    body: bytes
    took_ms: float
    cache: Outcome

    @property
    def cache_status(self) -> str:
        """The `Cache-Status` header (RFC 9211)."""
        fields = {
            "hit": "hit",
            "miss": "fwd=miss; stored",
            "collapsed": "fwd=miss; collapsed",
            "bypass": "fwd=bypass",
        }
        return f"trawl; {fields[self.cache]}"


class Service:
    """One library behind one application. Use from one event loop."""

    def __init__(
        self,
        library: Library,
        settings: Settings,
        metrics: Metrics | None = None,
        tracing: Tracing | None = None,
        ingester: Ingester | None = None,
    ) -> None:
        self.library = library
        self.settings = settings
        self.metrics = metrics or Metrics()
        self.tracing = tracing
        self.ingester = ingester or Ingester(library)
        events.watch(self.metrics)
        self.pool = WorkPool(
            "search", settings.search_threads, settings.search_queue, settings.search_wait_s
        )
        self.cache = response_cache(settings, self.metrics)
        self.viewing = WorkPool("view", _VIEW_THREADS, _VIEWS_WAITING, _VIEW_WAIT_S)
        self.views = ResponseCache(MemoryStore(_VIEWS_CACHED, _VIEW_CACHE_BYTES, _VIEW_CACHE_S))
        self.readiness: Readiness = "starting"
        self.stopping = False
        self.unfinished = False
        self._stop_by = float("inf")
        self._changing = WorkPool("change", 1, _CHANGES_WAITING)
        self.is_cut_off = False
        self._status_at = float("-inf")
        self._status: Status | None = None
        self._reading: asyncio.Task[bool] | None = None
        self._state = ""
        self._state_at = float("-inf")
        self._changes = 0

    def stop(self, within_s: float = _GRACE_S) -> None:
        """End streams and jobs; the first call sets the time they have."""
        if not self.stopping:
            self.stopping = True
            self._stop_by = time.monotonic() + within_s

    async def close(self) -> None:
        """Release threads and connections."""
        self.pool.close()
        self._changing.close()
        self.viewing.close()
        await self.views.close()
        await self.cache.close()

    @property
    def grace_s(self) -> float:
        """The time that running work has left."""
        return max(0.5, self._stop_by - time.monotonic())

    async def search(self, query: SearchQuery, shape: Shape, *, use_cache: bool = True) -> Found:
        """Search without media, from the cache if possible.

        Raises what the library raises, and `OverloadedError`.
        """
        began = time.perf_counter()

        async def compute() -> bytes:
            return (await self._search(query, shape))[0]

        if not use_cache or are_several(self.library):
            return self._found(await compute(), "bypass", began)
        state = await self._current_state()
        if query.options.map is not None:
            # New chunks get their places after the library has changed.
            state += f"-{self.library.map_changed()}"
        key = cache_key(state, repr(shape), query.cache_key())
        body, outcome = await self.cache.get(key, compute)
        return self._found(body, outcome, began)

    async def search_media(
        self, query: SearchQuery, shape: Shape, load: Callable[[], Sequence[QueryPart]]
    ) -> Found:
        """Search with media, which `load` decodes in a thread; not cached.

        Raises what `load` and the library raise, and `OverloadedError`.
        """
        body, decoded = await self._search(query, shape, load)
        return self._found(body, "bypass", decoded)

    async def _search(
        self,
        query: SearchQuery,
        shape: Shape,
        load: Callable[[], Sequence[QueryPart]] | None = None,
    ) -> tuple[bytes, float]:
        """Return the body of the response to a query, and when its media were decoded."""

        def work() -> tuple[bytes, Mapping[str, float], float, float]:
            began = time.perf_counter()
            media = load() if load is not None else ()
            decoded = time.perf_counter()
            answer = query.search(self.library, media)
            fields = answer_fields(answer, shape.root_path, detailed=shape.detailed)
            return to_bytes(fields), answer.took_ms, began, decoded

        received = time.perf_counter()
        body, took_ms, began, decoded = await self.pool.run(work)
        queue_s = began - received
        decode_s = decoded - began if load is not None else 0.0
        self.metrics.search(took_ms)
        self.metrics.stage("queue", queue_s)
        if load is not None:
            self.metrics.stage("decode", decode_s)
        if self.tracing is not None:
            self.tracing.search(took_ms, decode_s=decode_s, queue_s=queue_s)
        return body, decoded

    def _found(self, body: bytes, outcome: Outcome, began: float) -> Found:
        self.metrics.cache.labels(outcome).inc()
        return Found(body, (time.perf_counter() - began) * 1000, outcome)

    async def _current_state(self) -> str:
        """Return `Library.state`.

        The library itself checks at most every `freshness_s`, and is asked twice as often, so
        commits of other processes are seen within one and a half times `freshness_s`.
        """
        now = time.monotonic()
        if now - self._state_at >= self.library.settings.freshness_s / 2:
            changes = self._changes
            # In a thread, since opening a new version reads from disk.
            self._state = await anyio.to_thread.run_sync(lambda: self.library.state)
            # A change that happened meanwhile may be included or not.
            self._state_at = now if changes == self._changes else float("-inf")
        return self._state

    async def change(self, work: Callable[[], T]) -> T:
        """Change the library in a thread, one change at a time; later searches see it.

        Raises what `work` raises, such as `LibraryLockedError` while a job or another process
        writes; and `OverloadedError`.
        """
        try:
            return await self._changing.run(work)
        finally:
            self._changed()

    async def add(
        self, paths: Sequence[str], metadata: Mapping[str, Any], progress: Progress
    ) -> Report:
        """Add files; later searches see them. Raises what `Ingester.add` raises."""
        try:
            return await self.ingester.add(paths, metadata, progress)
        finally:
            await anyio.to_thread.run_sync(self.library.refresh)
            self._changed()

    def _changed(self) -> None:
        self._changes += 1
        self._state_at = float("-inf")

    async def status(self) -> Status:
        """Return the library's status, without waiting for the search queue."""
        status = await anyio.to_thread.run_sync(self.library.status)
        self.metrics.library(status)
        return status

    async def recent_status(self) -> Status | None:
        """Return the library's status, at most a second old, or None if it cannot be read.

        Anyone may request it at any rate, so it is not read each time. If an object store fails,
        or takes longer than a second, it is the status that was read last, and `is_cut_off` is
        set: searches continue on the version that is known.
        """
        if self._reading is None or (
            self._reading.done() and time.monotonic() - self._status_at >= _STATUS_S
        ):
            self._reading = asyncio.create_task(self._read_status())
        is_known = self._status is not None and self.is_remote
        done, _ = await asyncio.wait({self._reading}, timeout=_STATUS_S if is_known else None)
        self.is_cut_off = self._status is not None and not (done and self._reading.result())
        return self._status

    async def _read_status(self) -> bool:
        """Read the library's status. Return False if it cannot be read."""
        try:
            self._status = await self.status()
        except (TrawlError, OSError, ValueError, RuntimeError) as error:
            if not self.is_cut_off:
                logger.error("the library cannot be read: %s", error, exc_info=error)
            if not self.is_remote:
                self._status = None
            return False
        finally:
            self._status_at = time.monotonic()
        return True

    @property
    def is_remote(self) -> bool:
        """Whether the library is in an object store, which may fail for a while."""
        return self.library.location.path is None

    async def measure(self) -> None:
        """Update the gauges."""
        metrics = self.metrics
        for pool in (self.pool, self._changing, self.viewing):
            metrics.waiting.labels(pool.name).set(pool.waiting)
            metrics.running.labels(pool.name).set(pool.running)
        metrics.cache_entries.set(len(self.cache))
        metrics.process()
        await self.recent_status()

    async def warm(self) -> None:
        """Load the models and indexes, so that the first search is as fast as the second."""
        began = time.perf_counter()
        try:
            await anyio.to_thread.run_sync(self.library.warm)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.readiness = "failed"
            logger.error("the library cannot be searched: %s", error, exc_info=error)
        else:
            self.readiness = "ready"
            logger.info("ready after %.0f ms", (time.perf_counter() - began) * 1000)


async def _service(request: Request) -> Service:
    return cast(Service, request.app.state.service)


ServiceOf: TypeAlias = Annotated[Service, Depends(_service)]


def root_path(request: Request) -> str:
    """Return the path prefix of the proxy in front of the server."""
    prefix: Any = request.scope.get("root_path", "")
    return str(prefix).rstrip("/")
