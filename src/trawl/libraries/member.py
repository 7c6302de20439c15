"""One library of several: opened when it is first needed, and given up when it is slow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from trawl.errors import LibraryError, ModelError, OverloadedError, TrawlError
from trawl.library.interface import SearchLibrary

T = TypeVar("T")

# A library that failed is tried again after this time, in the background.
_PAUSE_S = 10.0
# Calls that one library may be behind with.
_MOST_AT_ONCE = 16
_FAILURES = (LibraryError, ModelError, OverloadedError, OSError)


class TooSlowError(LibraryError):
    """A library did not answer in time."""


@dataclass(slots=True)
class Pending(Generic[T]):
    """A call to a library that is running in a thread, or was refused with an `error`."""

    member: Member
    began: float
    future: Future[T] | None = None
    error: TrawlError | None = None
    ended: float | None = None

    def result(self) -> T:
        """Return the result. Raises the call's error, or `TooSlowError` after the timeout."""
        if self.error is not None:
            raise self.error
        assert self.future is not None
        left = self.began + self.member.timeout_s - time.monotonic()
        try:
            return self.future.result(max(0.0, left))
        except TimeoutError:
            if self.future.done():
                raise  # the call's own
            error = TooSlowError(f"no answer within {self.member.timeout_s:g} s")
            self.member.give_up(error)
            raise error from None

    @property
    def took_ms(self) -> float:
        """Milliseconds that the call took, or has taken by now."""
        if self.error is not None:
            return 0.0
        ended = self.ended if self.ended is not None else time.monotonic()
        return round((ended - self.began) * 1000, 1)


class Member:
    """One library of several. Safe to use from several threads.

    `open_` opens it. A call takes at most `timeout_s`, opening included. After a failure the
    library is not waited for, until a call in the background succeeds in time.
    """

    def __init__(self, name: str, open_: Callable[[], SearchLibrary], timeout_s: float) -> None:
        self.name = name
        self.timeout_s = timeout_s
        self._open = open_
        self._opened: SearchLibrary | None = None
        self._opening = threading.Lock()
        self._lock = threading.Lock()
        self._running = 0
        self._error: TrawlError | None = None
        self._retry_at = 0.0

    @property
    def error(self) -> TrawlError | None:
        """The reason why the library is not waited for, or None."""
        return self._error

    @property
    def opened(self) -> SearchLibrary | None:
        """The library, or None if it has not been opened yet."""
        return self._opened

    def source(self) -> SearchLibrary:
        """Return the library, opened. Raises what opening raises."""
        with self._opening:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def close(self) -> None:
        """Close the library if it is open and not being opened."""
        if self._opening.acquire(blocking=False):
            try:
                close: Any = getattr(self._opened, "close", None)
                self._opened = None
            finally:
                self._opening.release()
            if close is not None:
                close()

    def start(self, work: Callable[[SearchLibrary], T]) -> Pending[T]:
        """Call the library in a thread."""
        began = time.monotonic()
        with self._lock:
            error = self._error
            if error is not None and began < self._retry_at:
                return Pending(self, began, error=error)
            if self._running >= _MOST_AT_ONCE:
                busy = OverloadedError(f"still busy with {self._running} earlier searches")
                return Pending(self, began, error=error or busy)
            self._running += 1
            self._retry_at = began + _PAUSE_S
        pending: Pending[T] = Pending(self, began, Future(), error)
        name = f"trawl-library-{self.name}"
        # Daemons, since a library that hangs must not keep the process from ending.
        threading.Thread(target=self._run, args=(work, pending), name=name, daemon=True).start()
        return pending

    def _run(self, work: Callable[[SearchLibrary], T], pending: Pending[T]) -> None:
        future = pending.future
        assert future is not None
        try:
            result = work(self.source())
        except BaseException as error:
            if isinstance(error, _FAILURES):
                self.give_up(error if isinstance(error, TrawlError) else LibraryError(str(error)))
            pending.ended = time.monotonic()
            future.set_exception(error)
        else:
            pending.ended = time.monotonic()
            if pending.ended - pending.began <= self.timeout_s:
                self._error = None
            future.set_result(result)
        finally:
            with self._lock:
                self._running -= 1

    def give_up(self, error: TrawlError) -> None:
        """Do not wait for the library until it has answered in the background."""
        with self._lock:
            self._error = error
            self._retry_at = time.monotonic() + _PAUSE_S
