"""Answers that were given before, and questions that are being answered already."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeAlias

from cachetools import TTLCache

from trawl.server.answers import key_of, read_answer, write_answer
from trawl.server.metrics import Metrics
from trawl.server.shared import AwayError, Link, connected
from trawl.types import Answer, Hit

Outcome: TypeAlias = Literal["hit", "miss", "collapsed", "bypass"]

# What a hit holds beside its texts: the objects themselves, numbers, evidence.
_HIT_BYTES = 1_500
_VALUE_CHARACTERS = 40
_MOST_SHARED_BYTES = 2**20


class Key(NamedTuple):
    """All that decides an answer: what is in the library (`Library.state`), and the question."""

    state: str
    ask: Hashable


@dataclass(frozen=True, slots=True)
class Cached:
    """An answer, and how the cache came to it."""

    answer: Answer
    outcome: Outcome


class AnswerStore(Protocol):
    """Where answers are kept for a while. It never fails: what it cannot give is not kept."""

    async def get(self, key: Key) -> Answer | None:
        """Give an answer, or None."""
        ...

    async def put(self, key: Key, answer: Answer) -> None:
        """Keep an answer, where there is room."""
        ...

    async def close(self) -> None:
        """Let go of what the store holds."""
        ...

    def __len__(self) -> int:
        """How many answers this process keeps."""
        ...


class MemoryAnswers:
    """Keeps answers for `ttl_s`, at most `max_entries` of them in about `max_bytes`."""

    def __init__(self, max_entries: int, max_bytes: int, ttl_s: float) -> None:
        # One sum bounds both: an entry counts for its share of the bytes at the least.
        share = max_bytes / max_entries
        self._kept: TTLCache[Key, Answer] = TTLCache(
            max_bytes, ttl_s, getsizeof=lambda answer: max(share, answer_bytes(answer))
        )

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, key: Key) -> Answer | None:
        """Give an answer, or None."""
        return self._kept.get(key)

    async def put(self, key: Key, answer: Answer) -> None:
        """Keep an answer, unless it is larger than all the room there is."""
        with suppress(ValueError):  # it is too large, says the cache, which reckons its size
            self._kept[key] = answer

    async def close(self) -> None:
        """Forget everything."""
        self._kept.clear()


class RedisAnswers:
    """Keeps answers for `ttl_s` in a Redis, for every process that asks the same library.

    Redis bounds them: by their time, and by its own `maxmemory`.
    """

    def __init__(self, url: str, ttl_s: float, metrics: Metrics) -> None:
        self._redis = connected(url)
        self._link = Link("cache", url, metrics)
        self._ttl_ms = max(1, round(ttl_s * 1000))

    def __len__(self) -> int:
        return 0

    async def get(self, key: Key) -> Answer | None:
        """Give an answer, or None: also where Redis is away, or holds something else."""
        name = key_of(*key)
        try:
            found = await self._link.call(lambda: self._redis.get(name))
        except AwayError:
            return None
        return read_answer(found) if isinstance(found, bytes) else None

    async def put(self, key: Key, answer: Answer) -> None:
        """Keep an answer, unless Redis is away."""
        written = write_answer(answer)
        if len(written) > _MOST_SHARED_BYTES:
            return
        name = key_of(*key)
        try:
            await self._link.call(lambda: self._redis.set(name, written, px=self._ttl_ms))
        except AwayError:
            return

    async def close(self) -> None:
        """Let the connections go."""
        await self._redis.aclose()


class AnswerCache:
    """Finds each answer once: kept where it was found before, shared where it is being found.

    Whoever asks what is being answered already waits for that answer. Without a store
    nothing is kept. To be used from one event loop.
    """

    def __init__(self, store: AnswerStore | None) -> None:
        self._store = store
        self._under_way: dict[Key, asyncio.Task[Answer]] = {}
        self._putting: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._store) if self._store is not None else 0

    async def get(self, key: Key, find: Callable[[], Awaitable[Answer]]) -> Cached:
        """Give the answer for `key`, found by `find` where it is not kept.

        Raises what `find` raises, to everyone who waited for it, and keeps nothing then.
        """
        if self._store is None:
            return Cached(await find(), "bypass")
        kept = await self._store.get(key)
        if kept is not None:
            return Cached(kept, "hit")
        task = self._under_way.get(key)
        if task is not None:
            return Cached(await asyncio.shield(task), "collapsed")
        # A task of its own: the first to ask may go away while others wait for the answer.
        task = asyncio.create_task(self._find(key, find, self._store))
        self._under_way[key] = task
        return Cached(await asyncio.shield(task), "miss")

    async def _find(
        self, key: Key, find: Callable[[], Awaitable[Answer]], store: AnswerStore
    ) -> Answer:
        try:
            answer = await find()
        finally:
            del self._under_way[key]
        if isinstance(store, MemoryAnswers):
            await store.put(key, answer)
        else:
            # Nobody waits for an answer to be kept somewhere else.
            putting = asyncio.create_task(store.put(key, answer))
            self._putting.add(putting)
            putting.add_done_callback(self._putting.discard)
        return answer

    async def close(self) -> None:
        """Let go of the store."""
        if self._putting:
            await asyncio.wait(self._putting)
        if self._store is not None:
            await self._store.close()


def answer_bytes(answer: Answer) -> int:
    """Estimate what an answer holds in memory."""
    return 500 + sum(_hit_bytes(hit) for hit in answer.hits)


def _hit_bytes(hit: Hit) -> int:
    texts = len(hit.snippet) + len(hit.title) + len(hit.uri) + len(hit.detail)
    for key, value in hit.metadata.items():
        texts += len(key) + _VALUE_CHARACTERS
        if isinstance(value, str):
            texts += len(value)
        elif isinstance(value, list):
            texts += sum(len(one) + _VALUE_CHARACTERS for one in value)
    # Python keeps a text that is not Latin in 2 or 4 bytes a character.
    return _HIT_BYTES + 2 * texts
