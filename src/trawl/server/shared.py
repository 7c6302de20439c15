"""Redis, where several processes share something, and what is done when it does not answer.

What is kept there can be done without: answers can be found again, and a rate can be
counted by each process for itself. So a Redis that dies or hangs costs one short wait; for
a while nobody asks it, and then one request in a while tries again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from trawl.errors import SettingsError
from trawl.telemetry import logger

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from trawl.server.metrics import Metrics

T = TypeVar("T")

ANSWER_S = 0.25
"""Seconds that Redis has for one answer."""

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0


class AwayError(Exception):
    """Redis does not answer, or has not lately."""


class Link:
    """The way to one Redis for one `use`, closed for a while when nothing comes back.

    To be used from one event loop.
    """

    def __init__(self, use: str, url: str, metrics: Metrics) -> None:
        self._use = use
        self._where = _without_secrets(url)
        self._metrics = metrics
        self._failures = _failures()
        self._pause_s = 0.0
        self._closed_until = 0.0
        metrics.redis_up.labels(use).set(1)

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Give what `work` gives. Raises `AwayError`, at once while the way is closed."""
        now = time.monotonic()
        if self._pause_s:
            if now < self._closed_until:
                raise AwayError
            # This call finds out; the others go without until it has.
            self._closed_until = now + self._pause_s
        try:
            async with asyncio.timeout(ANSWER_S):
                found = await work()
        except self._failures as error:
            self._close(error)
            raise AwayError from error
        if self._pause_s:
            self._open()
        return found

    def _close(self, error: BaseException) -> None:
        self._metrics.redis_errors.labels(self._use).inc()
        self._metrics.redis_up.labels(self._use).set(0)
        if not self._pause_s:
            logger.warning(
                "Redis at %s is away (%s): going on without it for the %s",
                self._where,
                type(error).__name__,
                self._use,
            )
        self._pause_s = min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, self._pause_s * 2))
        self._closed_until = time.monotonic() + self._pause_s

    def _open(self) -> None:
        self._pause_s = 0.0
        self._metrics.redis_up.labels(self._use).set(1)
        logger.info("Redis at %s is back for the %s", self._where, self._use)


def connected(url: str) -> Redis:
    """Give a client of a Redis, which is connected to at the first call.

    Raises `SettingsError` for a bad address, or where the extra is missing.
    """
    check_redis(url)
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    try:
        # Nothing is tried twice: whoever asks would rather go without than wait.
        client: Redis = Redis.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=ANSWER_S,
            socket_connect_timeout=ANSWER_S,
        )
    except ValueError as error:
        raise SettingsError(
            f"{_without_secrets(url)!r} is no address of a Redis: {error}"
        ) from None
    return client


def check_redis(url: str) -> None:
    """Raise `SettingsError` where a Redis is asked for and the extra is not installed."""
    if find_spec("redis") is None:
        raise SettingsError(
            f"{_without_secrets(url)} is a Redis, and the client for it is missing; "
            'install it with: pip install "trawl-multimodal[redis]"'
        )


def _failures() -> tuple[type[BaseException], ...]:
    from redis.exceptions import RedisError

    # A pool that was torn down under a waiting call says so with a RuntimeError.
    return (RedisError, OSError, TimeoutError, RuntimeError)


def _without_secrets(url: str) -> str:
    """Give an address without the name and the password in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
