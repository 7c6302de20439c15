"""Refusals at a pace: who comes again at once hears a little later that it was too soon.

To refuse a request costs little, but a client that asks again as soon as it is refused, whatever
`Retry-After` said, does so hundreds of times a second: a dozen of those leave hardly any time to
those who were let in. So a connection is refused at once, and then four times a second at most.
"""

from __future__ import annotations

import asyncio
import math
import time

from cachetools import LRUCache

_PAUSE_S = 0.25
_KNOWN_AT_MOST = 10_000


class Pace:
    """Holds refusals back. To be used from one event loop."""

    def __init__(self) -> None:
        self._told: LRUCache[object, float] = LRUCache(_KNOWN_AT_MOST)

    async def keep(self, connection: object) -> None:
        """Wait until a refusal may be told; of a `connection` without a name, not at all."""
        if connection is None:
            return
        now = time.monotonic()
        told = max(now, self._told.get(connection, -math.inf) + _PAUSE_S)
        self._told[connection] = told
        if told > now:
            await asyncio.sleep(told - now)
