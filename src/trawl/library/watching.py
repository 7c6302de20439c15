"""Keep a library equal to folders while they change: `trawl watch`.

The system reports which paths change. A file is added once it has been stable for a while, together
with the files that depend on it. All files are compared now and then, in case a report was lost.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trawl.errors import LibraryError, LibraryLockedError
from trawl.ingest import Plan, outer_path, path_of, uri_of
from trawl.library.dependents import Dependents
from trawl.library.folders import (
    Signature,
    identity,
    limit_message,
    signature,
    top_folders,
    walk_order,
)
from trawl.library.library import Library
from trawl.readers import suffix_of, why_skipped, why_unread
from trawl.types import Change

if TYPE_CHECKING:
    from watchfiles import Change as FileChange

SETTLE_S = 0.5
"""A file is added when it has not changed for this time."""
RETRY_S = (5.0, 30.0, 120.0, 600.0)
"""The times after which a failed file is tried again, unless it changes earlier."""
_TICK_MS = 150
_DEBOUNCE_MS = 300
# Files that settle within this time of each other are added together.
_JOIN_S = 1.0
# A file that never rests, such as a log, is added this often.
_RESTLESS_S = 30.0
_ROOTS_S = 1.0
_RESCAN_S = 60.0
_RESCAN_SHARE = 0.02
_MAX_LOSSES = 50
_LIMIT = re.compile("limit|MaxFilesWatch|No space left|Too many open files", re.IGNORECASE)


@dataclass(slots=True)
class _Waiting:
    """A path that has changed: as it was last seen, since when, and since when it waits."""

    signature: Signature
    since: float
    first: float


@dataclass(slots=True)
class _Root:
    """A watched folder. `identity` is its device and inode, None while it is not there."""

    path: Path
    identity: tuple[int, int] | None

    def is_present(self) -> bool:
        """Return whether the folder is there, and the same one as when it was looked for."""
        return self.identity is not None and self.identity == identity(self.path)


@dataclass(slots=True)
class _Failure:
    reason: str
    tries: int
    retry_at: float


class _LostError(Exception):
    """The system does not report changes any more."""


class Watcher:
    """Watches folders for one library.

    `on_change` is called for each document that is added, changed, moved, removed, failed or
    skipped, possibly in another thread; `tell` with messages about the watching itself.
    `metadata` is that of `Library.add`. With `poll`, the files are compared every second, for
    network drives, which report no changes. Raises `NotFoundError` if a folder does not exist,
    and `UsageError` for a file.
    """

    def __init__(
        self,
        library: Library,
        folders: Iterable[str | Path],
        on_change: Callable[[Change], None],
        tell: Callable[[str], None],
        *,
        metadata: Mapping[str, Any] | None = None,
        poll: bool = False,
    ) -> None:
        self._library = library
        self._own = library.work_dir.resolve()
        self._on_change = on_change
        self._tell = tell
        self._metadata = metadata
        self._poll = poll
        self._roots = [_Root(path, identity(path)) for path in top_folders(folders)]
        self._roots_at = self._rescan_at = 0.0
        self._waiting: dict[Path, _Waiting] = {}
        self._failures: dict[str, _Failure] = {}
        self._seen: dict[Path, Signature] = {}
        self._dependents = Dependents()
        self._is_locked_out = False
        self._is_lenient = False
        self._losses = 0

    def run(self, on_ready: Callable[[int], None]) -> None:
        """Bring the library up to date, and follow changes until an exception ends it.

        `on_ready` is called with the number of files after the first scan.
        """
        unscanned = [root.path for root in self._roots]
        is_ready = was_watching = False
        while True:
            present = [root.path for root in self._roots if root.identity is not None]
            if not present:
                time.sleep(_ROOTS_S)
                unscanned = self._check_roots()
                continue
            try:
                with closing(self._changes(present)) as changes:
                    # Watching begins before the scan, so that no change falls between them.
                    self._note(next(changes))
                    while unscanned:
                        self._scan(unscanned[0])
                        del unscanned[0]
                    if was_watching:  # nobody reported what changed in between
                        self._rescan()
                    was_watching = True
                    if not is_ready:
                        is_ready = True
                        on_ready(len(self._seen))
                    unscanned = self._follow(changes)
            except _LostError as lost:
                unscanned += self._recover(lost)

    def _changes(self, folders: list[Path]) -> Generator[set[tuple[FileChange, str]], None, None]:
        from watchfiles import watch

        try:
            yield from watch(
                *folders,
                watch_filter=lambda _, path: self._concerns(Path(path)),
                debounce=_DEBOUNCE_MS,
                step=50,
                rust_timeout=_TICK_MS,
                yield_on_timeout=True,
                force_polling=self._poll or None,
                poll_delay_ms=1_000,
                ignore_permission_denied=self._is_lenient,
            )
        except (OSError, RuntimeError) as error:
            raise _LostError(str(error)) from error

    def _recover(self, lost: _LostError) -> list[Path]:
        """Prepare to watch again. Return the folders that have come back meanwhile.

        Raises `LibraryError` if watching fails again and again.
        """
        self._losses += 1
        if _LIMIT.search(str(lost)) and not self._poll:
            self._poll = True
            self._tell(limit_message())
        elif isinstance(lost.__cause__, PermissionError) and not self._is_lenient:
            self._is_lenient = True  # towards all errors, so only if there is no other way
            self._tell(f"changes in some folders are seen only once a minute: {lost}")
        elif self._losses > _MAX_LOSSES:
            raise LibraryError(f"watching failed repeatedly: {lost}; try --poll") from lost
        else:  # such as a folder that was deleted before it could be watched
            time.sleep(0.2)
        return self._check_roots()

    def _concerns(self, path: Path) -> bool:
        """Return whether a path is not hidden, and not of the library itself."""
        if path.is_relative_to(self._own):
            return False
        for root in self._roots:
            if path.is_relative_to(root.path):
                return not any(part.startswith(".") for part in path.relative_to(root.path).parts)
        return False

    def _follow(self, changes: Iterator[set[tuple[FileChange, str]]]) -> list[Path]:
        """Apply changes until a root goes or comes back. Return those that came back."""
        for found in changes:
            now = time.monotonic()
            if now - self._roots_at > _ROOTS_S:
                before = [root.identity for root in self._roots]
                returned = self._check_roots()
                if before != [root.identity for root in self._roots]:
                    return returned
            self._note(found)
            if now > self._rescan_at:
                self._rescan()
            for uri, failure in self._failures.items():
                if now > failure.retry_at:
                    failure.retry_at = float("inf")
                    self._wait_for(path_of(uri))
            settled = self._settled()
            if settled:
                self._losses = 0
                self._apply(settled)
        return []

    # --- which files have changed --------------------------------------------------------

    def _note(self, found: set[tuple[FileChange, str]]) -> None:
        for _, name in found:
            path = Path(name)
            if path.is_dir() and not path.is_symlink():
                # What a new folder holds already is not reported.
                for file in self._files(path):
                    self._wait_for(file)
            else:
                self._failures.pop(uri_of(path), None)
                self._wait_for(path)

    def _wait_for(self, path: Path) -> None:
        if path not in self._waiting:
            now = time.monotonic()
            self._waiting[path] = _Waiting(signature(path), now, now)

    def _settled(self) -> list[Path]:
        """Return the paths that are stable, once those that changed along with them are too."""
        now = time.monotonic()
        settled = []
        for path, waiting in self._waiting.items():
            seen = signature(path)
            if seen != waiting.signature:
                waiting.signature, waiting.since = seen, now
            if now - waiting.since >= SETTLE_S or now - waiting.first >= _RESTLESS_S:
                settled.append(path)
        oldest = min((self._waiting[path].since for path in settled), default=now)
        if len(settled) < len(self._waiting) and now - oldest < SETTLE_S + _JOIN_S:
            return []
        for path in settled:
            del self._waiting[path]
        return settled

    def _rescan(self) -> None:
        """Find changes that were not reported, such as when too many came at once."""
        began = time.monotonic()
        now = {file: signature(file) for file in self._all_files()}
        for path in now.keys() | self._seen.keys():
            if now.get(path) != self._seen.get(path):
                self._wait_for(path)
        self._schedule_rescan(began)

    def _schedule_rescan(self, began: float) -> None:
        now = time.monotonic()
        self._rescan_at = now + max(_RESCAN_S, (now - began) / _RESCAN_SHARE)

    def _all_files(self) -> Iterator[Path]:
        for root in self._roots:
            if root.identity is not None:
                yield from self._files(root.path)

    def _files(self, top: Path) -> Iterator[Path]:
        for folder, folders, names in os.walk(top):
            here = Path(folder)
            folders[:] = [name for name in folders if self._concerns(here / name)]
            yield from (here / name for name in names if not name.startswith("."))

    # --- bringing the library up to date ---------------------------------------------------

    def _scan(self, root: Path) -> None:
        """Add what is in a folder, and remove the documents whose files are gone."""
        began = time.monotonic()
        files = {file: signature(file) for file in self._files(root)}
        kept = 0 if files else self._count_documents(root)
        if kept:
            self._tell(
                f"{root} is empty, but the library has {kept:,} of its files; they stay, since "
                f"a drive may be missing. To remove them: trawl rm {root}"
            )
        else:
            plan = self._sync([root])
            if plan.skipped:
                types = ", ".join(
                    f"{suffix or 'no extension'} {count:,}"
                    for suffix, count in list(plan.skipped_types.items())[:5]
                )
                count = len(plan.skipped)
                noun = "file whose type is" if count == 1 else "files whose types are"
                self._tell(f"skipped {count:,} {noun} not read: {types}")
        self._seen.update(files)
        self._schedule_rescan(began)

    def _count_documents(self, root: Path) -> int:
        return sum(
            path_of(row.uri).is_relative_to(root)
            for row in self._library.documents()
            if row.chunks > 0
        )

    def _apply(self, settled: list[Path]) -> None:
        present = [root.path for root in self._roots if root.is_present()]
        changed = [path for path in settled if any(map(path.is_relative_to, present))]
        if not changed:
            return
        for path in changed:
            seen = signature(path)
            if seen is None:
                self._seen.pop(path, None)
            else:
                self._seen[path] = seen
        plan = self._sync(sorted(self._dependents.of(changed), key=walk_order))
        for uri in plan.skipped:
            is_member = outer_path(uri) is not None
            reason = why_skipped(suffix_of(uri)) if is_member else why_unread(path_of(uri))
            self._on_change(Change("skipped", uri, reason))

    def _sync(self, paths: list[Path]) -> Plan:
        while True:
            try:
                _, plan = self._library.sync(
                    paths, metadata=self._metadata, on_change=self._changed
                )
            except LibraryLockedError:
                if not self._is_locked_out:
                    self._tell("another process is writing to the library; waiting for it")
                self._is_locked_out = True
                time.sleep(1)
                continue
            self._is_locked_out = False
            self._dependents.learn(plan.shown)
            return plan

    def _changed(self, change: Change) -> None:
        """Report a change, but a failure only if it is new. Failed files are tried again."""
        if change.kind != "failed":
            self._failures.pop(change.uri, None)
            self._on_change(change)
            return
        known = self._failures.get(change.uri)
        tries = known.tries + 1 if known is not None else 0
        retry_at = time.monotonic() + RETRY_S[tries] if tries < len(RETRY_S) else float("inf")
        self._failures[change.uri] = _Failure(change.reason, tries, retry_at)
        if known is None or known.reason != change.reason:
            self._on_change(change)

    def _check_roots(self) -> list[Path]:
        """Look whether the folders are still there; return those that have come back."""
        self._roots_at = time.monotonic()
        returned = []
        for root in self._roots:
            now = identity(root.path)
            if now == root.identity:
                continue
            if now is None:
                self._tell(f"{root.path} is gone; its documents stay. Waiting for it to return")
            else:
                self._tell(f"{root.path} is back")
                returned.append(root.path)
            root.identity = now
        return returned
