"""What the routes share: one library, the threads it is asked in, and whether it is ready."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, cast

import anyio.to_thread
from fastapi import Depends, Request

from trawl.errors import TrawlError
from trawl.library import Library
from trawl.ranking import Method
from trawl.search import QueryPart
from trawl.search import normalised as normalised
from trawl.server.cache import AnswerCache, AnswerStore, Key, MemoryAnswers, Outcome, RedisAnswers
from trawl.server.job_process import Ingester, Progress, ThreadIngester
from trawl.server.metrics import Metrics
from trawl.server.pool import T, WorkPool
from trawl.settings import Settings
from trawl.telemetry import events, logger
from trawl.types import Answer, Modality, Report, Status

if TYPE_CHECKING:
    from trawl.server.tracing import Tracing

_CHANGES_WAITING = 16
_LOOK_S = 1.0
# What is being added when the server stops ends with its file.
_GRACE_S = 5.0

Readiness: TypeAlias = Literal["starting", "ready", "failed"]
AskPart: TypeAlias = tuple[Literal["text", "like"], str, float]
"""A part that needs no media: its kind, its words or its chunk's id, and its weight."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A question as the cache knows it: equal questions have equal answers.

    `text` is plain words, `line` one line of the query language; a question of media
    alone has neither. The other fields are options of `Library.search`, by their names.
    """

    text: str | None = None
    line: str | None = None
    like: str | None = None
    modality: frozenset[Modality] = frozenset()
    where: str | None = None
    limit: int = 10
    offset: int = 0
    cursor: str | None = None
    fusion: Method = "calibrated"
    weights: frozenset[tuple[str, float]] = frozenset()
    required: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    balance: bool = False
    diversity: float = 0.0
    per_document: int | None = None
    group: bool = False
    sort: str | None = None
    facets: tuple[str, ...] = ()
    parts: tuple[AskPart, ...] = ()
    phrases: tuple[str, ...] = ()
    fuzzy: tuple[tuple[str, int], ...] = ()
    quotas: frozenset[tuple[Modality, int]] = frozenset()
    interleave: bool = False
    nearest: bool = True
    rrf_k: float = 60.0
    rerank: str | None = None

    def of(self, library: Library, media: Sequence[QueryPart] = ()) -> Answer:
        """Ask a library. Raises what `Library.search` and `Library.query` raise."""
        options: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        options |= {"weights": dict(self.weights), "quotas": dict(self.quotas)}
        known = [
            library.like(value, weight) if kind == "like" else QueryPart("text", value, weight)
            for kind, value, weight in self.parts
        ]
        options["parts"] = [*known, *media]
        line = options.pop("line")
        if line is None:
            return library.search(**options)
        # The words of a line are its own; they hold the words of these options, too.
        for name in ("text", "required", "excluded", "phrases", "fuzzy"):
            options.pop(name)
        return library.query(line, files=False, **options)


@dataclass(frozen=True, slots=True)
class Found:
    """An answer, the milliseconds that it took to get it, and what the cache did."""

    answer: Answer
    took_ms: float
    cache: Outcome


class Service:
    """One library behind one application. To be used from one event loop."""

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
        self.ingester = ingester or ThreadIngester(library)
        events.watch(self.metrics)
        self.pool = WorkPool(
            "search", settings.search_threads, settings.search_queue, settings.search_wait_s
        )
        self.cache = AnswerCache(_store(settings, self.metrics))
        self.readiness: Readiness = "starting"
        self.stopping = False
        self.unfinished = False
        self._stop_by = float("inf")
        self._changing = WorkPool("change", 1, _CHANGES_WAITING)
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        self._seen: Status | None = None
        self._state = ""
        self._state_at = float("-inf")
        self._changes = 0

    def stop(self, within_s: float = _GRACE_S) -> None:
        """Let streams and jobs come to their end; the first call says within how long."""
        if not self.stopping:
            self.stopping = True
            self._stop_by = time.monotonic() + within_s

    async def close(self) -> None:
        """Let threads and connections go."""
        self.pool.close()
        self._changing.close()
        await self.cache.close()

    @property
    def grace_s(self) -> float:
        """How long what still runs is waited for."""
        return max(0.5, self._stop_by - time.monotonic())

    async def ask(self, ask: Ask, *, use_cache: bool = True) -> Found:
        """Answer a question in words, from the cache where it can be.

        Raises what the library raises, and `OverloadedError`.
        """
        began = time.perf_counter()
        if not use_cache:
            return self._found(await self._search(ask), "bypass", began)
        key = Key(await self._current_state(), ask)
        cached = await self.cache.get(key, lambda: self._search(ask))
        return self._found(cached.answer, cached.outcome, began)

    async def ask_with(self, ask: Ask, load: Callable[[], Sequence[QueryPart]]) -> Found:
        """Answer a question that holds media, which `load` reads in a thread.

        Raises what `load` and the library raise, and `OverloadedError`.
        """

        def loaded() -> tuple[Answer, float, float]:
            began = time.perf_counter()
            media = load()
            decoded = time.perf_counter()
            return ask.of(self.library, media), began, decoded

        asked = time.perf_counter()
        answer, began, decoded = await self.pool.run(loaded)
        self._note(answer, queue_s=began - asked, decode_s=decoded - began)
        return self._found(answer, "bypass", decoded)

    async def _search(self, ask: Ask) -> Answer:
        def searched() -> tuple[Answer, float]:
            began = time.perf_counter()
            return ask.of(self.library), began

        asked = time.perf_counter()
        answer, began = await self.pool.run(searched)
        self._note(answer, queue_s=began - asked)
        return answer

    def _note(self, answer: Answer, *, queue_s: float, decode_s: float = 0.0) -> None:
        """Note what the stages of a search took."""
        self.metrics.search(answer.took_ms)
        self.metrics.stage("queue", queue_s)
        if decode_s:
            self.metrics.stage("decode", decode_s)
        if self.tracing is not None:
            self.tracing.search(answer.took_ms, decode_s=decode_s, queue_s=queue_s)

    def _found(self, answer: Answer, outcome: Outcome, began: float) -> Found:
        self.metrics.cache.labels(outcome).inc()
        return Found(answer, (time.perf_counter() - began) * 1000, outcome)

    async def _current_state(self) -> str:
        """Name what is in the library.

        The library itself looks at most every `freshness_s`, and is asked twice as often:
        what another process wrote is found within one and a half of it.
        """
        now = time.monotonic()
        if now - self._state_at >= self.library.settings.freshness_s / 2:
            changes = self._changes
            # In a thread: opening a new version reads from the disk.
            self._state = await anyio.to_thread.run_sync(lambda: self.library.state)
            # What was changed meanwhile may have been seen or not.
            self._state_at = now if changes == self._changes else float("-inf")
        return self._state

    async def change(self, work: Callable[[], T]) -> T:
        """Change the library in a thread, one change after the other; the next question sees it.

        Raises what `work` raises: `LibraryLockedError` while a job or another process
        writes, which is waited for first; and `OverloadedError`.
        """
        try:
            return await self._changing.run(work)
        finally:
            self._changed()

    async def add(
        self, paths: Sequence[str], metadata: Mapping[str, Any], progress: Progress
    ) -> Report:
        """Add files; the next question sees them. Raises what `Ingester.add` raises."""
        try:
            return await self.ingester.add(paths, metadata, progress)
        finally:
            await anyio.to_thread.run_sync(self.library.refresh)
            self._changed()

    def _changed(self) -> None:
        self._changes += 1
        self._state_at = float("-inf")

    async def status(self) -> Status:
        """Tell what is in the library; not held up by the questions that wait."""
        status = await anyio.to_thread.run_sync(self.library.status)
        self.metrics.library(status)
        return status

    async def look(self) -> Status | None:
        """Give the library's status, at most a second old, or None where it cannot be read.

        Anyone may ask for it as often as they like, so it is not read each time.
        """
        async with self._looking:
            if time.monotonic() - self._looked_at >= _LOOK_S:
                try:
                    self._seen = await self.status()
                except (TrawlError, OSError, ValueError, RuntimeError) as error:
                    logger.error("the library cannot be read: %s", error, exc_info=error)
                    self._seen = None
                self._looked_at = time.monotonic()
            return self._seen

    async def measure(self) -> None:
        """Bring up to date the numbers that nobody changes as they come."""
        metrics = self.metrics
        for pool in (self.pool, self._changing):
            metrics.waiting.labels(pool.name).set(pool.waiting)
            metrics.running.labels(pool.name).set(pool.running)
        metrics.cache_entries.set(len(self.cache))
        metrics.process()
        await self.look()

    async def warm(self) -> None:
        """Load what the first question needs, so that it is as fast as the second."""
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


def _store(settings: Settings, metrics: Metrics) -> AnswerStore | None:
    if not settings.cache_entries:
        return None
    if settings.cache == "memory":
        return MemoryAnswers(settings.cache_entries, settings.cache_bytes, settings.cache_s)
    return RedisAnswers(settings.cache, settings.cache_s, metrics)


def cache_status(found: Found) -> str:
    """Say what the cache did, as RFC 9211 has it."""
    said = {
        "hit": "hit",
        "miss": "fwd=miss; stored",
        "collapsed": "fwd=miss; collapsed",
        "bypass": "fwd=bypass",
    }
    return f"trawl; {said[found.cache]}"


async def _service(request: Request) -> Service:
    return cast(Service, request.app.state.service)


ServiceOf: TypeAlias = Annotated[Service, Depends(_service)]


def root_path(request: Request) -> str:
    """Give the path that a proxy puts before the server's own."""
    found: Any = request.scope.get("root_path", "")
    return str(found).rstrip("/")
