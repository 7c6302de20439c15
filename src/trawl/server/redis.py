"""Use Redis, and continue without it when it does not respond.

Everything kept in Redis can be done without: responses can be computed again, and each process
can count requests for itself. After a failure Redis is skipped for a while (a circuit
breaker); then one request at a time tries it again.
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

TIMEOUT_S = 0.25
"""Seconds that Redis has to respond."""

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0


class UnavailableError(Exception):
    """Redis does not respond, or has not recently."""


class CircuitBreaker:
    """Calls Redis for one `use`, and skips it for a while after a failure.

    Use from one event loop.
    """

    def __init__(self, use: str, url: str, metrics: Metrics) -> None:
        self._use = use
        self._address = _without_secrets(url)
        self._metrics = metrics
        self._failures = _failures()
        self._pause_s = 0.0
        self._skipped_until = 0.0
        metrics.redis_up.labels(use).set(1)

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `work`. Raises `UnavailableError` if Redis fails or is skipped."""
        now = time.monotonic()
        if self._pause_s:
            if now < self._skipped_until:
                raise UnavailableError
            # This call tries; others skip Redis until it has succeeded.
            self._skipped_until = now + self._pause_s
        try:
            async with asyncio.timeout(TIMEOUT_S):
                result = await work()
        except self._failures as error:
            self._trip(error)
            raise UnavailableError from error
        if self._pause_s:
            self._reset()
        return result

    def _trip(self, error: BaseException) -> None:
        self._metrics.redis_errors.labels(self._use).inc()
        self._metrics.redis_up.labels(self._use).set(0)
        if not self._pause_s:
            logger.warning(
                "Redis at %s is unavailable (%s); continuing without it for the %s",
                self._address,
                type(error).__name__,
                self._use,
            )
        self._pause_s = min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, self._pause_s * 2))
        self._skipped_until = time.monotonic() + self._pause_s

    def _reset(self) -> None:
        self._pause_s = 0.0
        self._metrics.redis_up.labels(self._use).set(1)
        logger.info("Redis at %s is available again for the %s", self._address, self._use)


def connected(url: str) -> Redis:
    """Return a Redis client, which connects at its first call.

    Raises `SettingsError` for an invalid URL, or if the extra is not installed.
    """
    check_redis(url)
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    try:
        # No retries: continuing without Redis is better than waiting.
        client: Redis = Redis.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
        )
    except ValueError as error:
        raise SettingsError(
            f"{_without_secrets(url)!r} is not a valid Redis URL: {error}"
        ) from None
    return client


def check_redis(url: str) -> None:
    """Raise `SettingsError` if the Redis client is not installed."""
    if find_spec("redis") is None:
        raise SettingsError(
            f"{_without_secrets(url)} needs the Redis client, which is not installed; "
            'install it with: pip install "trawl-multimodal[redis]"'
        )


def _failures() -> tuple[type[BaseException], ...]:
    from redis.exceptions import RedisError

    # A pool that is closed during a call raises RuntimeError.
    return (RedisError, OSError, TimeoutError, RuntimeError)


def _without_secrets(url: str) -> str:
    """Return a URL without user name and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
