"""Where the work is done: threads beside the event loop, and a bounded queue before them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from threading import Lock
from typing import ParamSpec, TypeVar

from trawl.errors import OverloadedError

# So many for each thread may wait whatever they take: a slow model is no overload.
_MAY_WAIT = 4
# A queue that was not empty for so long is no burst, which comes at once, but a load that cannot
# be met. A long queue serves nobody then: all who are let in wait for the whole of it. Half of
# the longest wait keeps the threads just as busy (Maurer, "Fail at Scale", ACM Queue 13(8), 2015).
_STANDING_S = 0.25
_STANDING_SHARE = 0.5

P = ParamSpec("P")
T = TypeVar("T")


class WorkPool:
    """Runs blocking work in `threads` threads; at most `queue_length` calls wait for one.

    `name` says what for.
    A call beyond that is refused at once (`OverloadedError`), and so is one behind more than
    a few others that would wait for more than `longest_wait_s` at the pace of the last ones,
    or for more than half of that in a queue that has not been empty for a while: under a
    load that cannot be met the rest keep their pace. To be used from one event loop.
    """

    def __init__(
        self, name: str, threads: int, queue_length: int, longest_wait_s: float = math.inf
    ) -> None:
        self.name = name
        self.threads = threads
        self.queue_length = queue_length
        self._longest_wait_s = longest_wait_s
        self._took_s = 0.0
        self._was_empty = time.monotonic()
        self._inside = 0
        self._lock = Lock()
        self._executor = ThreadPoolExecutor(threads, f"trawl-{name}")

    @property
    def running(self) -> int:
        """How many calls have a thread."""
        return min(self._inside, self.threads)

    @property
    def waiting(self) -> int:
        """How many calls wait for a thread."""
        return max(0, self._inside - self.threads)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in a thread and give what it gives. Raises `OverloadedError`.

        What is no longer waited for is not begun; what has begun comes to its end.
        """
        with self._lock:
            error = self._overload()
            if error is not None:
                raise error
            self._inside += 1
        # The thread logs with what is bound to the request.
        bound = partial(copy_context().run, partial(work, *args, **kwargs))
        future = self._executor.submit(self._timed, bound)
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def overload(self) -> OverloadedError | None:
        """Give the error that a call would raise now; None where there is room for it."""
        with self._lock:
            return self._overload()

    def _overload(self) -> OverloadedError | None:
        """Give what `overload` does; the lock is held."""
        before = self._inside - self.threads
        is_late = (before + 1) * self._took_s / self.threads > self._may_wait_s(before)
        if before >= self.queue_length or (is_late and before >= _MAY_WAIT * self.threads):
            return OverloadedError(
                f"{before} requests wait already; ask again in a moment",
                reason=f"{self.name}_queue",
            )
        return None

    def _may_wait_s(self, before: int) -> float:
        """Give how long a call behind `before` others may have to wait now."""
        now = time.monotonic()
        if before <= 0:
            self._was_empty = now
        is_standing = now - self._was_empty > _STANDING_S
        return self._longest_wait_s * (_STANDING_SHARE if is_standing else 1.0)

    def _timed(self, work: Callable[[], T]) -> T:
        began = time.perf_counter()
        try:
            return work()
        finally:
            took_s = time.perf_counter() - began
            with self._lock:
                # What the last ten or so took, on the whole.
                kept = 0.9 if self._took_s else 0.0
                self._took_s = kept * self._took_s + (1 - kept) * took_s

    def _leave(self, _: object) -> None:
        with self._lock:
            self._inside -= 1

    def close(self) -> None:
        """Let the threads go, once they are done."""
        self._executor.shutdown(wait=False, cancel_futures=True)
