"""What the routes share: one library, the threads it is asked in, and whether it is ready."""

from __future__ import annotations

import asyncio
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, cast

import anyio.to_thread
from fastapi import Depends, Request

from trawl.errors import TrawlError
from trawl.library import Library
from trawl.ranking import Method
from trawl.server.cache import AnswerCache, Outcome
from trawl.server.metrics import Gauges, Metrics
from trawl.server.pool import WorkPool
from trawl.settings import Settings
from trawl.telemetry import logger
from trawl.types import Answer, Modality, Report, Sound, Status

if TYPE_CHECKING:
    from PIL.Image import Image

_CHANGES_WAITING = 16
_LOOK_S = 1.0

Progress: TypeAlias = Callable[[int, int, str], None]
Readiness: TypeAlias = Literal["starting", "ready", "failed"]


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

    def of(
        self, library: Library, image: Image | None = None, audio: Sound | None = None
    ) -> Answer:
        """Ask a library. Raises what `Library.search` and `Library.query` raise."""
        options: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        options |= {"image": image, "audio": audio, "weights": dict(self.weights)}
        line = options.pop("line")
        if line is None:
            return library.search(**options)
        # The words of a line are its own; they hold the words of these options, too.
        for name in ("text", "required", "excluded"):
            options.pop(name)
        return library.query(line, files=False, **options)


@dataclass(frozen=True, slots=True)
class Media:
    """What a question holds beside its words."""

    image: Image | None = None
    audio: Sound | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """An answer, the milliseconds that it took to get it, and what the cache did."""

    answer: Answer
    took_ms: float
    cache: Outcome


class Service:
    """One library behind one application. To be used from one event loop."""

    def __init__(self, library: Library, settings: Settings) -> None:
        self.library = library
        self.settings = settings
        self.pool = WorkPool(settings.search_threads, settings.search_queue)
        self.cache = AnswerCache(settings.cache_entries, settings.cache_bytes, settings.cache_s)
        self.metrics = Metrics()
        self.gauges = Gauges(self.pool, self.cache)
        self.metrics.registry.register(self.gauges)
        self.readiness: Readiness = "starting"
        self.stopping = False
        self._changing = WorkPool(1, _CHANGES_WAITING)
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        self._seen: Status | None = None
        self._version = -1
        self._version_at = float("-inf")

    async def ask(self, ask: Ask, *, use_cache: bool = True) -> Found:
        """Answer a question in words, from the cache where it can be.

        Raises what the library raises, and `OverloadedError`.
        """
        began = time.perf_counter()
        if not use_cache:
            return self._found(await self._search(ask), "bypass", began)
        key = (await self._current_version(), ask)
        cached = await self.cache.get(key, lambda: self._search(ask))
        return self._found(cached.answer, cached.outcome, began)

    async def ask_with(self, ask: Ask, load: Callable[[], Media]) -> Found:
        """Answer a question that holds media, which `load` reads in a thread.

        Raises what `load` and the library raise, and `OverloadedError`.
        """

        def loaded() -> Found:
            media = load()
            began = time.perf_counter()
            answer = ask.of(self.library, media.image, media.audio)
            return self._found(answer, "bypass", began)

        found = await self.pool.run(loaded)
        self.metrics.search(found.answer.took_ms)
        return found

    async def _search(self, ask: Ask) -> Answer:
        answer = await self.pool.run(ask.of, self.library)
        self.metrics.search(answer.took_ms)
        return answer

    def _found(self, answer: Answer, outcome: Outcome, began: float) -> Found:
        self.metrics.cache.labels(outcome).inc()
        return Found(answer, (time.perf_counter() - began) * 1000, outcome)

    async def _current_version(self) -> int:
        """Give the library's version, looked for at most every `freshness_s`."""
        now = time.monotonic()
        if now - self._version_at >= self.library.settings.freshness_s:
            # In a thread: opening a new version reads from the disk.
            self._version = await anyio.to_thread.run_sync(lambda: self.library.version)
            self._version_at = now
        return self._version

    async def change(self, work: Callable[[], None]) -> None:
        """Change the library in a thread, one change after the other; the next question sees it.

        Raises what `work` raises: `LibraryLockedError` while a job or another process
        writes, which is waited for first; and `OverloadedError`.
        """
        try:
            await self._changing.run(work)
        finally:
            self._version_at = float("-inf")

    async def add(
        self, paths: Sequence[str], metadata: Mapping[str, Any], progress: Progress
    ) -> Report:
        """Add files in a thread; the next question sees them. Raises what `Library.add` raises."""
        try:
            return await anyio.to_thread.run_sync(
                partial(self.library.add, paths, metadata=metadata, progress=progress)
            )
        finally:
            self._version_at = float("-inf")

    async def status(self) -> Status:
        """Tell what is in the library; not held up by the questions that wait."""
        self.gauges.status = await anyio.to_thread.run_sync(self.library.status)
        return self.gauges.status

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


def normalised(text: str) -> str:
    """Give words as they are searched for: composed (NFC), with single spaces between them."""
    return " ".join(unicodedata.normalize("NFC", text).split())


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
