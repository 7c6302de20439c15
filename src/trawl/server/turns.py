"""Which of the servers of a library runs its jobs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from filelock import FileLock, Timeout

from trawl.errors import LeaseLostError, LibraryLockedError, LibraryReadOnlyError
from trawl.locations import Location
from trawl.store import Lease


class Turn(ABC):
    """Held by the process that runs the jobs, across its threads.

    `poll_s` is how often that process looks for jobs of others, and others whether it has ended.
    """

    poll_s: float

    @abstractmethod
    def is_held(self) -> bool:
        """Return whether this process runs the jobs."""

    @abstractmethod
    def take(self) -> bool:
        """Return whether this process runs the jobs from now on."""

    @abstractmethod
    def end(self) -> None:
        """Leave the jobs to another process."""


class FileTurn(Turn):
    """A file lock, for a library in a directory."""

    poll_s = 0.5

    def __init__(self, directory: Path) -> None:
        self._lock = FileLock(directory / ".jobs.lock", timeout=0, thread_local=False)

    def is_held(self) -> bool:
        return self._lock.is_locked

    def take(self) -> bool:
        try:
            self._lock.acquire()
        except (Timeout, OSError):
            return False
        return True

    def end(self) -> None:
        self._lock.release()


class LeaseTurn(Turn):
    """A lease, for a library in an object store."""

    poll_s = 2.0  # each look is a request

    def __init__(self, location: Location) -> None:
        self._location = location
        self._lease: Lease | None = None

    def is_held(self) -> bool:
        if self._lease is None:
            return False
        try:
            self._lease.check(())
        except LeaseLostError:
            self._lease = None
            return False
        return True

    def take(self) -> bool:
        lease = Lease(self._location, wait_s=0, folder=".job-leases/")
        try:
            self._lease = lease.__enter__()
        except (LibraryLockedError, LibraryReadOnlyError):
            return False
        return True

    def end(self) -> None:
        if self._lease is not None:
            self._lease.__exit__(None, None, None)
            self._lease = None


def turn_of(location: Location) -> Turn:
    """Return what the servers of one library take turns by."""
    return FileTurn(location.path) if location.path is not None else LeaseTurn(location)
