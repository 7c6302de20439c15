"""Bound the work of the server: a pool of threads with a bounded queue, and rate limits."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from cachetools import LRUCache
from limits import RateLimitItem, WindowStats, parse

from trawl.errors import OverloadedError, SettingsError
from trawl.server.redis import CircuitBreaker, UnavailableError, connected

if TYPE_CHECKING:
    from limits.aio.storage import RedisStorage

    from trawl.server.metrics import Metrics

P = ParamSpec("P")
T = TypeVar("T")

# This many calls per thread may wait regardless of time: a slow model is not an overload.
_MAY_WAIT = 4
# A queue that has not been empty for this long is a standing queue rather than a burst. All
# its calls would wait for the longest time; half of that keeps the threads just as busy
# (Maurer, "Fail at Scale", ACM Queue 13(8), 2015).
_STANDING_S = 0.25
_STANDING_SHARE = 0.5

# A connection that retries at once is refused four times a second at most. Without this, a
# dozen clients that ignore `Retry-After` take the processor from all others.
_REFUSAL_PAUSE_S = 0.25
_MOST_CONNECTIONS = 10_000


class WorkPool:
    """Runs blocking calls in `threads` threads; at most `queue_length` calls wait.

    A further call is refused with `OverloadedError`. So is a call that would wait longer than
    `longest_wait_s`, estimated from recent calls, or half of that in a standing queue. `name`
    labels metrics. Use from one event loop.
    """

    def __init__(
        self, name: str, threads: int, queue_length: int, longest_wait_s: float = math.inf
    ) -> None:
        self.name = name
        self.threads = threads
        self.queue_length = queue_length
        self._longest_wait_s = longest_wait_s
        self._call_s = 0.0
        self._was_empty = time.monotonic()
        self._inside = 0
        self._lock = Lock()
        self._executor = ThreadPoolExecutor(threads, f"trawl-{name}")

    @property
    def running(self) -> int:
        """The number of calls that have a thread."""
        return min(self._inside, self.threads)

    @property
    def waiting(self) -> int:
        """The number of calls that wait for a thread."""
        return max(0, self._inside - self.threads)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in a thread and return its result. Raises `OverloadedError`.

        A call that is cancelled while it waits is not started.
        """
        with self._lock:
            error = self._overload()
            if error is not None:
                raise error
            self._inside += 1
        # Log lines of the thread carry the context of the request.
        bound = partial(copy_context().run, partial(work, *args, **kwargs))
        future = self._executor.submit(self._timed, bound)
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def overload(self) -> OverloadedError | None:
        """Return the error that `run` would raise now, or None."""
        with self._lock:
            return self._overload()

    def _overload(self) -> OverloadedError | None:
        now, waiting = time.monotonic(), self._inside - self.threads
        if waiting <= 0:
            self._was_empty = now
        is_standing = now - self._was_empty > _STANDING_S
        longest_wait_s = self._longest_wait_s * (_STANDING_SHARE if is_standing else 1.0)
        is_late = (waiting + 1) * self._call_s / self.threads > longest_wait_s
        if waiting >= self.queue_length or (is_late and waiting >= _MAY_WAIT * self.threads):
            return OverloadedError(
                f"{waiting} requests are already waiting; retry in a moment",
                reason=f"{self.name}_queue",
            )
        return None

    def _timed(self, work: Callable[[], T]) -> T:
        began = time.perf_counter()
        try:
            return work()
        finally:
            call_s = time.perf_counter() - began
            with self._lock:
                # A moving average over about ten calls.
                kept = 0.9 if self._call_s else 0.0
                self._call_s = kept * self._call_s + (1 - kept) * call_s

    def _leave(self, _: object) -> None:
        with self._lock:
            self._inside -= 1

    def close(self) -> None:
        """Shut the threads down after their current calls."""
        self._executor.shutdown(wait=False, cancel_futures=True)


class RefusalDelay:
    """Delays refusals of clients that retry immediately. Use from one event loop."""

    def __init__(self) -> None:
        self._refused_at: LRUCache[object, float] = LRUCache(_MOST_CONNECTIONS)

    async def wait(self, connection: object) -> None:
        """Wait until `connection` may be refused again; return at once if it is None."""
        if connection is None:
            return
        now = time.monotonic()
        due = max(now, self._refused_at.get(connection, -math.inf) + _REFUSAL_PAUSE_S)
        self._refused_at[connection] = due
        if due > now:
            await asyncio.sleep(due - now)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request is within its client's rate limit, and the state of that limit."""

    allowed: bool
    limit: int
    window_s: int
    remaining: int
    reset_s: int

    @property
    def headers(self) -> dict[str, str]:
        """The header fields of draft-ietf-httpapi-ratelimit-headers-10."""
        fields = {
            "RateLimit-Policy": f'"default";q={self.limit};w={self.window_s}',
            "RateLimit": f'"default";r={self.remaining};t={self.reset_s}',
        }
        return fields if self.allowed else {**fields, "Retry-After": str(self.reset_s)}


class RateLimiter:
    """Limits the requests of a client in a moving window, "100/minute" for example.

    With a `shared` count, all processes count together; while it is unavailable, each counts
    for itself. Raises `SettingsError` for an invalid rate.
    """

    def __init__(self, rate: str, shared: SharedCount | None = None) -> None:
        self._rate = _parse(rate)
        self._own = OwnCount()
        self._shared = shared if self._rate is not None else None

    async def check(self, client: str, cost: int) -> Verdict | None:
        """Count a request of `client` as `cost` requests; return None without a limit."""
        rate = self._rate
        if rate is None:
            return None
        cost = min(cost, rate.amount)
        allowed, state = await self._hit(rate, client, cost)
        reset_s = max(1, math.ceil(state.reset_time - time.time()))
        return Verdict(allowed, rate.amount, rate.get_expiry(), state.remaining, reset_s)

    async def _hit(self, rate: RateLimitItem, client: str, cost: int) -> tuple[bool, WindowStats]:
        if self._shared is not None:
            try:
                return await self._shared.hit(rate, client, cost)
            except UnavailableError:
                pass
        return self._own.hit(rate, client, cost)


class OwnCount:
    """Counts the requests of clients in this process.

    The memory storage of `limits` is not used: it starts a thread every 10 ms to sweep all
    keys, which costs more than the counting.
    """

    def __init__(self) -> None:
        self._times: dict[str, deque[float]] = {}
        self._swept_at = 0.0

    def hit(self, rate: RateLimitItem, client: str, cost: int) -> tuple[bool, WindowStats]:
        """Count a request, and return whether it is allowed; a refused one is not counted."""
        now, window_s = time.time(), rate.get_expiry()
        self._sweep(now, window_s)
        times = self._times.setdefault(client, deque())
        while times and times[0] < now - window_s:
            times.popleft()
        allowed = len(times) + cost <= rate.amount
        if allowed:
            times.extend([now] * cost)
        reset_at = times[0] + window_s if times else now
        return allowed, WindowStats(reset_at, rate.amount - len(times))

    def _sweep(self, now: float, window_s: float) -> None:
        """Once per window, remove the clients without requests in it."""
        if now - self._swept_at < window_s:
            return
        self._swept_at = now
        self._times = {
            client: times
            for client, times in self._times.items()
            if times and times[-1] >= now - window_s
        }


class SharedCount:
    """Counts the requests of clients in Redis, for all processes.

    Raises `SettingsError` for an invalid URL, or if the extra is not installed.
    """

    def __init__(self, url: str, metrics: Metrics) -> None:
        # `limits` only counts; the connection and its timeouts are ours.
        self._redis = connected(url)
        from limits.aio.storage import RedisStorage
        from limits.aio.strategies import MovingWindowRateLimiter

        self._storage: RedisStorage = RedisStorage(
            "async+redis://",
            implementation="redispy",
            key_prefix="trawl",
            connection_pool=self._redis.connection_pool,  # type: ignore[arg-type]
        )
        self._strategy = MovingWindowRateLimiter(self._storage)
        self._breaker = CircuitBreaker("limits", url, metrics)

    async def hit(self, rate: RateLimitItem, client: str, cost: int) -> tuple[bool, WindowStats]:
        """Count a request, and return whether it is allowed. Raises `UnavailableError`."""

        async def counted() -> tuple[bool, WindowStats]:
            allowed = await self._strategy.hit(rate, client, cost=cost)
            return allowed, await self._strategy.get_window_stats(rate, client)

        return await self._breaker.call(counted)

    async def close(self) -> None:
        await self._redis.aclose()


def _parse(rate: str) -> RateLimitItem | None:
    if not rate.strip():
        return None
    try:
        return parse(rate)
    except ValueError:
        raise SettingsError(
            f'rate_limit must be a number and a time, for example "100/minute", not {rate!r}'
        ) from None
