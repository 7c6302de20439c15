"""How much one client may ask: a moving window for each key or address."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from trawl.errors import SettingsError


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
    """Bounds what a client asks within a window of time. Raises `SettingsError` for a bad rate."""

    def __init__(self, rate: str) -> None:
        self._rate = _parse(rate)
        self._strategy = MovingWindowRateLimiter(MemoryStorage())

    def check(self, client: str, cost: int) -> Verdict | None:
        """Note a request of `client` that counts for `cost`; None where there is no limit."""
        rate = self._rate
        if rate is None:
            return None
        cost = min(cost, rate.amount)
        allowed = self._strategy.hit(rate, client, cost=cost)
        state = self._strategy.get_window_stats(rate, client)
        reset_s = max(1, math.ceil(state.reset_time - time.time()))
        return Verdict(allowed, rate.amount, rate.get_expiry(), state.remaining, reset_s)


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
