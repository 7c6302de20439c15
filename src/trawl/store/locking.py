"""What makes a writer the only one: a file lock in a directory, a lease in an object store."""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path
from types import TracebackType

import lance
from filelock import FileLock, Timeout

from trawl.errors import LibraryLockedError, LibraryReadOnlyError
from trawl.locations import Location

_READ_ONLY = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class WriteLock(ABC):
    """The lock of a library's writer, held while it is entered.

    Once it is held, `unfinished` is true if the last writer was killed or failed, and the
    library needs recovery.
    """

    unfinished: bool = False

    @abstractmethod
    def __enter__(self) -> WriteLock:
        """Take the lock. Raises `LibraryLockedError` and `LibraryReadOnlyError`."""

    @abstractmethod
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release the lock; an error means that the library needs recovery."""

    @abstractmethod
    def fence(self, tables: Collection[lance.LanceDataset]) -> None:
        """Make the engine refuse what an earlier holder has not committed yet."""

    @abstractmethod
    def check(self, tables: Collection[lance.LanceDataset]) -> None:
        """Raise `LeaseLostError` if another writer has taken the lock."""


class DirectoryLock(WriteLock):
    """A lock on a local disk; the system releases a killed process's."""

    def __init__(self, directory: Path, wait_s: float = 10.0) -> None:
        self._lock = FileLock(directory / ".lock", timeout=wait_s)
        self._marker = directory / ".writing"
        self._wait_s = wait_s

    def __enter__(self) -> DirectoryLock:
        """Take the lock. Raises `LibraryLockedError` and `LibraryReadOnlyError`."""
        try:
            self._lock.acquire()
        except Timeout:
            raise LibraryLockedError(
                f"another process is writing to the library at {self._marker.parent}; "
                f"it did not finish within {self._wait_s:g} s, so try again later"
            ) from None
        except OSError as error:
            self._raise_if_read_only(error)
            raise
        self.unfinished = self._marker.exists()
        try:
            self._marker.touch()
        except OSError as error:
            self._lock.release()
            self._raise_if_read_only(error)
            raise
        return self

    def _raise_if_read_only(self, error: OSError) -> None:
        if error.errno in _READ_ONLY:
            raise LibraryReadOnlyError(
                f"the library at {self._marker.parent} is read-only: {error.strerror}; "
                "it can only be searched, or copied to a place that can be written"
            ) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release the lock."""
        try:
            # An interrupted writer may leave half of a batch, like a killed one.
            if kind is None:
                self._marker.unlink(missing_ok=True)
        finally:
            self._lock.release()

    def fence(self, tables: Collection[lance.LanceDataset]) -> None:
        """Do nothing: the system releases the lock only when its process has ended."""

    def check(self, tables: Collection[lance.LanceDataset]) -> None:
        """Do nothing, as `fence`."""


def write_lock(location: Location, wait_s: float = 10.0) -> WriteLock:
    """Return the lock of a library's writer, which waits up to `wait_s` for another writer."""
    if location.path is not None:
        return DirectoryLock(location.path, wait_s)
    from trawl.store.lease import Lease

    return Lease(location, wait_s)
