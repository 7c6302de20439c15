"""How much one client may ask: a moving window for each key or address."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

from limits import RateLimitItem, WindowStats, parse

from trawl.errors import SettingsError
from trawl.server.metrics import Metrics
from trawl.server.shared import AwayError, Link, connected

if TYPE_CHECKING:
    from limits.aio.storage import RedisStorage


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may go on, and what to tell the client of its limit."""

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
    """Bounds what a client asks within a window of time. Raises `SettingsError` for a bad rate.

    With a `shared` count, all processes count together; while that is away, each counts
    for itself.
    """

    def __init__(self, rate: str, shared: SharedCount | None = None) -> None:
        self._rate = _parse(rate)
        self._own = OwnCount()
        self._shared = shared if self._rate is not None else None

    async def check(self, client: str, cost: int) -> Verdict | None:
        """Note a request of `client` that counts for `cost`; None where there is no limit."""
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
            except AwayError:
                pass
        return self._own.hit(rate, client, cost)


class OwnCount:
    """What clients asked of this process alone.

    `limits` has such a storage too, but starts a thread every 10 ms to clear it up, which
    costs a request more than all the rest of the counting.
    """

    def __init__(self) -> None:
        self._times: dict[str, deque[float]] = {}
        self._swept_at = 0.0

    def hit(self, rate: RateLimitItem, client: str, cost: int) -> tuple[bool, WindowStats]:
        """Note a request, and tell whether it may go on; one that may not counts for nothing."""
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
        """Forget, once a window, those who have not come back in one."""
        if now - self._swept_at < window_s:
            return
        self._swept_at = now
        self._times = {
            client: times
            for client, times in self._times.items()
            if times and times[-1] >= now - window_s
        }


class SharedCount:
    """What clients asked of all processes together, counted in a Redis.

    Raises `SettingsError` for a bad address, or where the extra is missing.
    """

    def __init__(self, url: str, metrics: Metrics) -> None:
        # Of `limits` the counting alone: it takes fewer addresses, and waits otherwise.
        self._redis = connected(url)
        from limits.aio.storage import RedisStorage
        from limits.aio.strategies import MovingWindowRateLimiter as SharedWindow

        self._storage: RedisStorage = RedisStorage(
            "async+redis://",
            implementation="redispy",
            key_prefix="trawl",
            connection_pool=self._redis.connection_pool,  # type: ignore[arg-type]
        )
        self._strategy = SharedWindow(self._storage)
        self._link = Link("limits", url, metrics)

    async def hit(self, rate: RateLimitItem, client: str, cost: int) -> tuple[bool, WindowStats]:
        """Note a request, and tell whether it may go on. Raises `AwayError`."""

        async def asked() -> tuple[bool, WindowStats]:
            allowed = await self._strategy.hit(rate, client, cost=cost)
            return allowed, await self._strategy.get_window_stats(rate, client)

        return await self._link.call(asked)

    async def close(self) -> None:
        """Let the connections go."""
        await self._redis.aclose()


def _parse(rate: str) -> RateLimitItem | None:
    if not rate.strip():
        return None
    try:
        return parse(rate)
    except ValueError:
        raise SettingsError(
            f'rate_limit is a number and a time, "100/minute" say, not {rate!r}'
        ) from None


class Proxies:
    """Tells who asks, when some of those who connect pass on the questions of others."""

    def __init__(self, trusted: list[str]) -> None:
        self._trusted = [ip_network(network, strict=False) for network in trusted]

    def client(self, peer: str, forwarded_for: str) -> str:
        """Give the client's address: the last one in the chain that is no trusted proxy.

        What stands further to the left of `X-Forwarded-For` is the client's own word.
        """
        chain = [peer]
        if forwarded_for:
            chain += [part.strip() for part in reversed(forwarded_for.split(","))]
        found = peer
        for step in chain:
            address = _address(step)
            if address is None:
                break
            found = step
            if not any(address in network for network in self._trusted):
                break
        return _counted_as(found)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _counted_as(text: str) -> str:
    """Give the /64 of an IPv6 address: its holder has all the others in it, too."""
    address = _address(text)
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
    return text
