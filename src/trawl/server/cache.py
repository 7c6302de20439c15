"""Answers that were given before, and questions that are being answered already."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cachetools import TTLCache

from trawl.types import Answer, Hit

Outcome: TypeAlias = Literal["hit", "miss", "collapsed", "bypass"]

# What a hit holds beside its texts: the objects themselves, numbers, evidence.
_HIT_BYTES = 1_500


@dataclass(frozen=True, slots=True)
class Cached:
    """An answer, and how the cache came to it."""

    answer: Answer
    outcome: Outcome


class AnswerCache:
    """Keeps answers for `ttl_s`, at most `max_entries` of them in about `max_bytes`.

    The key has to name all that decides the answer, the library's version too; then new
    data is never hidden by an old answer. Whoever asks what is being answered already
    waits for that answer. To be used from one event loop.
    """

    def __init__(self, max_entries: int, max_bytes: int, ttl_s: float) -> None:
        # One sum bounds both: an entry counts for its share of the bytes at the least.
        share = max_bytes / max_entries if max_entries else 0.0
        self._kept: TTLCache[Hashable, Answer] | None = None
        if max_entries:
            self._kept = TTLCache(
                max_bytes, ttl_s, getsizeof=lambda answer: max(share, answer_bytes(answer))
            )
        self._under_way: dict[Hashable, asyncio.Task[Answer]] = {}

    def __len__(self) -> int:
        return len(self._kept) if self._kept is not None else 0

    async def get(self, key: Hashable, find: Callable[[], Awaitable[Answer]]) -> Cached:
        """Give the answer for `key`, found by `find` where it is not kept.

        Raises what `find` raises, to everyone who waited for it, and keeps nothing then.
        """
        if self._kept is None:
            return Cached(await find(), "bypass")
        kept = self._kept.get(key)
        if kept is not None:
            return Cached(kept, "hit")
        task = self._under_way.get(key)
        if task is not None:
            return Cached(await asyncio.shield(task), "collapsed")
        # A task of its own: the first to ask may go away while others wait for the answer.
        task = asyncio.create_task(self._find(key, find))
        self._under_way[key] = task
        return Cached(await asyncio.shield(task), "miss")

    async def _find(self, key: Hashable, find: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            answer = await find()
        finally:
            del self._under_way[key]
        if self._kept is not None and answer_bytes(answer) <= self._kept.maxsize:
            self._kept[key] = answer
        return answer


def answer_bytes(answer: Answer) -> int:
    """Estimate what an answer holds in memory."""
    return 500 + sum(_hit_bytes(hit) for hit in answer.hits)


def _hit_bytes(hit: Hit) -> int:
    texts = len(hit.snippet) + len(hit.title) + len(hit.uri) + len(hit.detail)
    # Python keeps a text that is not Latin in 2 or 4 bytes a character.
    return _HIT_BYTES + 2 * (texts + len(repr(hit.metadata)))
