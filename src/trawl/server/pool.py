"""Where the work is done: threads beside the event loop, and a bounded queue before them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread

from trawl.server.problems import OverloadedError

P = ParamSpec("P")
T = TypeVar("T")


class WorkPool:
    """Runs blocking work in `threads` threads; at most `queue_length` calls wait for one.

    A call beyond that is refused at once (`OverloadedError`), so that under a load that
    cannot be met the rest keep their pace. To be used from one event loop.
    """

    def __init__(self, threads: int, queue_length: int) -> None:
        self.threads = threads
        self.queue_length = queue_length
        self.refused = 0
        self._inside = 0
        self._limiter = anyio.CapacityLimiter(threads)

    @property
    def running(self) -> int:
        """How many calls have a thread."""
        return min(self._inside, self.threads)

    @property
    def waiting(self) -> int:
        """How many calls wait for a thread."""
        return max(0, self._inside - self.threads)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in a thread and give what it gives. Raises `OverloadedError`."""
        if self._inside >= self.threads + self.queue_length:
            self.refused += 1
            raise OverloadedError(
                f"{self.queue_length} requests wait already; ask again in a moment"
            )
        self._inside += 1
        try:
            return await anyio.to_thread.run_sync(
                partial(work, *args, **kwargs), limiter=self._limiter
            )
        finally:
            self._inside -= 1
