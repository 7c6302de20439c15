"""One writer a library: a lock on a local disk that a killed process lets go of."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from trawl.errors import LibraryLockedError


class WriteLock:
    """Held while a process writes. Raises `LibraryLockedError` when another one holds it.

    `unfinished` tells, once the lock is held, that the last writer did not come to its
    end: it was killed, and what it left has to be set right.
    """

    def __init__(self, directory: Path, wait_s: float = 10.0) -> None:
        self._lock = FileLock(directory / ".lock", timeout=wait_s)
        self._marker = directory / ".writing"
        self._wait_s = wait_s
        self.unfinished = False

    def __enter__(self) -> WriteLock:
        try:
            self._lock.acquire()
        except Timeout:
            raise LibraryLockedError(
                f"another process is writing to the library at {self._marker.parent}; "
                f"it did not finish within {self._wait_s:g} s, so try again later"
            ) from None
        self.unfinished = self._marker.exists()
        self._marker.touch()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            # An interrupted writer may have left half of a batch as a killed one does.
            if kind is None:
                self._marker.unlink(missing_ok=True)
        finally:
            self._lock.release()
