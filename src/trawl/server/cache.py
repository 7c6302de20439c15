"""Cache the JSON of search responses, and share searches that are already running."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal, TypeAlias

from cachetools import TTLCache
from pydantic import ValidationError

from trawl import __version__
from trawl.server.metrics import Metrics
from trawl.server.redis import CircuitBreaker, UnavailableError, connected
from trawl.settings import Settings
from trawl.wire import SearchResponse

Outcome: TypeAlias = Literal["hit", "miss", "collapsed", "bypass"]

_PREFIX = "trawl:answer:"

_MOST_SHARED_BYTES = 2**20


def cache_key(state: str, *parts: str) -> str:
    """Return the key of a response: `Library.state`, and all that it depends on besides.

    Another version of Trawl may respond differently, so its version is part of the key.
    """
    text = json.dumps([__version__, state, *parts])
    return _PREFIX + hashlib.blake2b(text.encode(), digest_size=24).hexdigest()


class MemoryStore:
    """Stores at most `max_entries` bodies of together at most `max_bytes`, each for `ttl_s`."""

    def __init__(self, max_entries: int, max_bytes: int, ttl_s: float) -> None:
        # One sum bounds both: an entry counts for at least its share of the bytes.
        share = max_bytes / max_entries
        self._bodies: TTLCache[str, bytes] = TTLCache(
            max_bytes, ttl_s, getsizeof=lambda body: max(share, len(body))
        )

    def __len__(self) -> int:
        return len(self._bodies)

    async def get(self, key: str) -> bytes | None:
        return self._bodies.get(key)

    async def put(self, key: str, body: bytes) -> None:
        """Store a body, unless it is larger than the whole cache."""
        with suppress(ValueError):
            self._bodies[key] = body

    async def close(self) -> None:
        self._bodies.clear()


class RedisStore:
    """Stores bodies for `ttl_s` in Redis, for all processes that serve the library.

    Redis bounds their memory by its own `maxmemory`.
    """

    def __init__(self, url: str, ttl_s: float, metrics: Metrics) -> None:
        self._redis = connected(url)
        self._breaker = CircuitBreaker("cache", url, metrics)
        self._ttl_ms = max(1, round(ttl_s * 1000))

    def __len__(self) -> int:
        return 0

    async def get(self, key: str) -> bytes | None:
        """Return a body, or None if Redis is unavailable or has something else."""
        try:
            body = await self._breaker.call(lambda: self._redis.get(key))
        except UnavailableError:
            return None
        return body if isinstance(body, bytes) and is_response(body) else None

    async def put(self, key: str, body: bytes) -> None:
        """Store a body, unless Redis is unavailable."""
        if len(body) > _MOST_SHARED_BYTES:
            return
        with suppress(UnavailableError):
            await self._breaker.call(lambda: self._redis.set(key, body, px=self._ttl_ms))

    async def close(self) -> None:
        await self._redis.aclose()


class ResponseCache:
    """Computes each response once: later requests get it from the store or wait for it.

    Without a store nothing is cached. Use from one event loop.
    """

    def __init__(self, store: MemoryStore | RedisStore | None) -> None:
        self._store = store
        self._running: dict[str, asyncio.Task[bytes]] = {}
        self._putting: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._store) if self._store is not None else 0

    async def get(self, key: str, compute: Callable[[], Awaitable[bytes]]) -> tuple[bytes, Outcome]:
        """Return the body for `key`, from `compute` if it is not cached.

        An error of `compute` is raised to all who wait for it, and is not cached.
        """
        if self._store is None:
            return await compute(), "bypass"
        body = await self._store.get(key)
        if body is not None:
            return body, "hit"
        task = self._running.get(key)
        if task is not None:
            return await asyncio.shield(task), "collapsed"
        # A separate task: the first client may disconnect while others wait.
        task = asyncio.create_task(self._compute(key, compute, self._store))
        self._running[key] = task
        return await asyncio.shield(task), "miss"

    async def _compute(
        self, key: str, compute: Callable[[], Awaitable[bytes]], store: MemoryStore | RedisStore
    ) -> bytes:
        try:
            body = await compute()
        finally:
            del self._running[key]
        if isinstance(store, MemoryStore):
            await store.put(key, body)
        else:
            # Do not wait for Redis.
            putting = asyncio.create_task(store.put(key, body))
            self._putting.add(putting)
            putting.add_done_callback(self._putting.discard)
        return body

    async def close(self) -> None:
        if self._putting:
            await asyncio.wait(self._putting)
        if self._store is not None:
            await self._store.close()


def response_cache(settings: Settings, metrics: Metrics) -> ResponseCache:
    """Return the cache that the settings describe."""
    if not settings.cache_entries:
        return ResponseCache(None)
    if settings.cache == "memory":
        memory = MemoryStore(settings.cache_entries, settings.cache_bytes, settings.cache_s)
        return ResponseCache(memory)
    return ResponseCache(RedisStore(settings.cache, settings.cache_s, metrics))


def with_query(body: bytes, query: str, took_ms: float) -> bytes:
    """Return the JSON of a response: a cached body with the fields of this request."""
    fields = {"query": query, "query_time_ms": round(took_ms, 3)}
    head = json.dumps(fields, separators=(",", ":"))
    return head[:-1].encode() + b"," + body[1:]


def is_response(body: bytes) -> bool:
    """Return whether a body from a shared cache is one: anyone may have written there."""
    try:
        SearchResponse.model_validate_json(with_query(body, "", 0.0))
    except ValidationError:
        return False
    return True
