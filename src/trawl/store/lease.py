"""The writer's lock of a library in an object store: a lease, and a fence behind it.

A lease is an object with a number, `.leases/00000012`, which only one writer can create. Its
holder overwrites it every few seconds. A lease that a contender has seen unchanged for
`TTL_S`, by its own clock, is taken over: the contender creates the next number. A holder that was
only paused may continue then, so safety does not rest on clocks. Whoever takes over writes its
number into the configuration of each table and then restores the table at its newest version.
The engine refuses every commit that was prepared before a restore; the list of them is in
`tests/integration/test_lease.py`. A writer that reads the newest version has walked past this
fence, and finds the number.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Collection
from types import TracebackType
from typing import Any
from uuid import uuid4

import lance

from trawl.errors import LeaseLostError, LibraryLockedError, StorageError
from trawl.locations import Location
from trawl.store.locking import WriteLock
from trawl.telemetry import logger

TTL_S = 8.0
"""Seconds without a change after which a lease is taken over."""

_RENEW_S = 2.0
_PAUSE_S = 0.25
_CONFIG = "trawl.lease"

# When each lease was first seen as it is. It outlives the attempts, each of which may be short.
_seen: dict[tuple[str, str], tuple[str, float]] = {}


class Lease(WriteLock):
    """The lease of one library.

    Raises `LibraryLockedError` if another writer holds it for longer than `wait_s`, and
    `LibraryReadOnlyError` if the store may not be written. `folder` holds the leases of another
    kind of work.
    """

    def __init__(
        self, location: Location, wait_s: float = 10.0, *, folder: str = ".leases/"
    ) -> None:
        self._location = location
        self._folder = folder
        self._wait_s = wait_s
        self._number = 0
        self._needs_fence = False
        self._fenced = False
        self._lost = threading.Event()
        self._done = threading.Event()
        self._renewing: threading.Thread | None = None
        self._about = {
            "holder": uuid4().hex,
            "host": platform.node(),
            "pid": os.getpid(),
        }

    def __enter__(self) -> Lease:
        """Take the lease, and renew it in a thread."""
        deadline = time.monotonic() + self._wait_s
        while not self._take():
            if time.monotonic() >= deadline:
                raise LibraryLockedError(
                    f"another process is writing to the library at {self._location}"
                    f"{self._holder()}; it did not finish within {self._wait_s:g} s, so try "
                    "again later"
                )
            time.sleep(_PAUSE_S)
        self._renewing = threading.Thread(target=self._renew, name="trawl-lease", daemon=True)
        self._renewing.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release the lease. Raises `LeaseLostError` for a commit that the fence refused."""
        self._done.set()
        if self._renewing is not None:
            self._renewing.join()
        fenced = error is not None and "Incompatible transaction" in str(error)
        if self._lost.is_set() or fenced:
            if isinstance(error, Exception) and not isinstance(error, LeaseLostError):
                raise self._lost_error() from error
            return
        # An interrupted writer may leave half of a batch, like a killed one. One that ends before
        # its fence stands leaves that to the next.
        state = "released" if kind is None and not self._needs_fence else "unfinished"
        try:
            self._write(state, 0)
        except StorageError as failure:
            # The next writer takes the lease over; what was committed stays.
            logger.warning("the lease of %s was not released: %s", self._location, failure)

    def fence(self, tables: Collection[lance.LanceDataset]) -> None:
        """Restore the tables at their newest versions, unless the last writer released its lease.

        No commit of that writer is lost: one that comes between the look at the newest version
        and the restore is restored too.
        """
        if not self._needs_fence:
            return
        for table in tables:
            table.update_config({_CONFIG: str(self._number)})
            if self._lost.is_set():  # a restore now could undo what the next holder has committed
                raise self._lost_error()
            _restore(table)
        self._needs_fence = False
        self._fenced = True

    def check(self, tables: Collection[lance.LanceDataset]) -> None:
        """Raise `LeaseLostError` if another writer has taken the lease."""
        numbers = [int(table.config().get(_CONFIG, 0)) for table in tables]
        if (
            self._lost.is_set()
            or any(number > self._number for number in numbers)
            # An earlier holder, paused while it fenced, has restored a version before this one.
            or (self._fenced and any(number < self._number for number in numbers))
        ):
            raise self._lost_error()

    def _lost_error(self) -> LeaseLostError:
        self._lost.set()
        return LeaseLostError(
            f"another process took over writing to the library at {self._location}, because this "
            "one did not renew its lease in time; what was committed stays, so run it again"
        )

    def _take(self) -> bool:
        """Create the next lease if the last one is free or was not renewed."""
        last, content = self._last()
        about = _parsed(content)
        state = about.get("state", "released") if last else "released"
        if state == "held" and not self._is_stale(last, content):
            return False
        self._number = last + 1
        try:
            self._location.create(self._name(self._number), self._content("held", 0))
        except FileExistsError:
            return False
        newest, _ = self._last()
        if newest > self._number:  # this contender was late: the number had been used and deleted
            self._location.delete(self._name(self._number))
            return False
        self._needs_fence = state != "released"
        self.unfinished = state != "released"
        for entry in list(self._location.entries(self._folder)):
            if entry.name < self._name(self._number):
                self._location.delete(entry.name)
        return True

    def _last(self) -> tuple[int, bytes]:
        """Return the number and the content of the last lease; 0 if there is none."""
        names = sorted(entry.name for entry in self._location.entries(self._folder))
        for name in reversed(names):
            try:
                return int(name.removeprefix(self._folder)), self._location.read(name)
            except FileNotFoundError:  # deleted meanwhile
                continue
        return 0, b""

    def _is_stale(self, number: int, content: bytes) -> bool:
        key = (self._location.address, self._name(number))
        now = time.monotonic()
        known, since = _seen.get(key, ("", now))
        if known != content.decode("utf-8", "replace"):
            _seen[key] = (content.decode("utf-8", "replace"), now)
            return False
        return now - since >= TTL_S

    def _holder(self) -> str:
        about = _parsed(self._last()[1])
        return f" (process {about['pid']} on {about['host']})" if "pid" in about else ""

    def _renew(self) -> None:
        """Overwrite the lease until it is released, or lost."""
        renewed, beat = time.monotonic(), 0
        while not self._done.wait(_RENEW_S):
            beat += 1
            if time.monotonic() - renewed > TTL_S:  # paused, or cut off from the store
                self._lost.set()
                return
            try:
                newest, _ = self._last()
                if newest != self._number:
                    self._lost.set()
                    return
                asked = time.monotonic()
                self._write("held", beat)
                renewed = asked
            except (StorageError, OSError) as error:
                logger.warning("cannot renew the lease of %s: %s", self._location, error)

    def _write(self, state: str, beat: int) -> None:
        self._location.write(self._name(self._number), self._content(state, beat))

    def _content(self, state: str, beat: int) -> bytes:
        return json.dumps({**self._about, "state": state, "beat": beat}).encode()

    def _name(self, number: int) -> str:
        return f"{self._folder}{number:08d}"


def _restore(table: lance.LanceDataset) -> None:
    """Restore a table at its newest version, with the commits that come in meanwhile."""
    table.checkout_latest()
    known = table.version
    table.restore()
    restored = table.version
    if restored > known + 1:
        # Commits came between, and the restore has undone them. It has also ended them, so the
        # version before it is complete.
        table.checkout_version(restored - 1).restore()
        table.checkout_latest()


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(content))
    except (ValueError, TypeError):
        return {}
