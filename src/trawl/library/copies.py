"""Copies of added files beside the library, for when a file is gone or on another machine.

A copy is at `files/<hash>/<name>`. The hash is the content hash of its document, so that a copy is
always of the version that was indexed, and goes along when a file moves.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from trawl.errors import GoneError, TrawlError
from trawl.ingest import MEMBER, Item, document_id_of, is_file, open_member
from trawl.library.originals import Original, checked_member, open_original
from trawl.locations import Entry, Location
from trawl.objects import Objects
from trawl.store import DocumentRow, DocumentRows, Known
from trawl.types import Failure

FOLDER = "files"
_AT_ONCE = 4

FindDocument = Callable[[str], DocumentRow | None]
"""Returns a document by its id."""


class Copies:
    """The copies of files beside a library. Thread-safe."""

    def __init__(self, location: Location, objects: Objects, find: FindDocument) -> None:
        self._location = location
        self._objects = objects
        self._find = find

    @cached_property
    def exist(self) -> bool:
        """Whether the library has any copies, as far as this object knows."""
        return self._look()

    def _look(self) -> bool:
        """Look whether another process has stored copies."""
        self.exist = FOLDER in self._location.names()
        return self.exist

    def has(self, row: DocumentRow) -> bool:
        """Return whether there is a copy of a document's file. Raises `StorageError`."""
        return self._entry(row) is not None

    def _entry(self, row: DocumentRow) -> Entry | None:
        """Return the copy of a document's file, which may have been added by another name."""
        if not is_file(row.uri) or not row.content_hash:
            return None
        found = self._location.entries(f"{FOLDER}/{row.content_hash}/")
        return next((one for one in found if one.size == row.size_bytes), None)

    def open(self, row: DocumentRow) -> Original:
        """Open a document's file, or the copy of it if the file is gone or has changed.

        Raises what `open_original` raises.
        """
        try:
            return open_original(row, self._objects)
        except GoneError:
            copy = self._open_copy(row) or self._open_member(row)
            if copy is None:
                raise
            return copy

    def update(
        self,
        before: DocumentRows,
        known: Known,
        items: Sequence[Item],
        earlier: Callable[[str], DocumentRow | None],
        *,
        copy: bool,
    ) -> list[Failure]:
        """Copy files after a run, all or those that had a copy; delete copies without a document.

        `before` are the documents before the run, and `known` those after it. `earlier` returns
        the document that another one continues, by its id. Returns the files that could not be
        copied. Requires the lock of the writer.
        """
        if not self._look() and not copy:
            return []
        failed: list[Failure] = []
        known.fetch(item.document_id for item in items)

        def store(item: Item) -> None:
            row = known.get(item.document_id)
            if row is None or row.error is not None or item.source or not is_file(item.uri):
                return
            if MEMBER in item.uri and not Path(item.uri).exists():
                return  # its archive is copied
            try:
                old = earlier(item.document_id)
                is_kept = old is not None and old.content_hash != row.content_hash
                if copy or (is_kept and old is not None and self.has(old)):
                    self._put(row, item.path)
            except (OSError, TrawlError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                failed.append(Failure(row.uri, f"was added, but cannot be copied: {reason}"))

        with ThreadPoolExecutor(_AT_ONCE, "trawl-copy") as pool:
            list(pool.map(store, items))
        gone = before.content_hashes() - known.version().content_hashes()
        self._discard(before.with_contents(gone), known)
        return sorted(failed, key=lambda one: one.uri)

    def remove(self, removed: Iterable[DocumentRow], known: Known) -> None:
        """Delete the copies of documents that are not `known` any more. See `update`."""
        if self._look():
            self._discard(removed, known)

    def _put(self, row: DocumentRow, path: Path) -> None:
        if self._entry(row) is not None:
            return
        status = path.stat()
        if (status.st_size, status.st_mtime_ns) != (row.size_bytes, row.modified_ns):
            raise GoneError("it changed while it was added; add it again")
        name = row.uri.rpartition("/")[2]
        with path.open("rb") as file:
            self._location.upload(f"{FOLDER}/{row.content_hash}/{name}", file)
        self.exist = True

    def _discard(self, before: Iterable[DocumentRow], known: Known) -> None:
        used = known.version().content_hashes()
        ended = [row for row in before if row.content_hash and row.content_hash not in used]
        known.fetch(row.document_id for row in ended)
        for row in ended:
            now = known.get(row.document_id)
            if now is not None and now.error is not None and now.chunks > 0:
                continue  # it cannot be opened now, and keeps what was read earlier
            self._location.clear(f"{FOLDER}/{row.content_hash}/")

    def _open_copy(self, row: DocumentRow) -> Original | None:
        entry = self._entry(row)
        if entry is None:
            return None
        file: BinaryIO
        if self._location.path is not None:
            path = self._location.path / entry.name
            file = path.open("rb", buffering=0)
            modified = path.stat().st_mtime
        else:
            source = self._objects.get(f"{self._location.address}/{entry.name}")
            if source is None:
                return None
            file, modified = source.open(), source.modified_ns / 1e9
        return Original(
            file=file,
            name=row.uri.rpartition("/")[2],
            media_type=row.media_type,
            size_bytes=row.size_bytes,
            modified_at=datetime.datetime.fromtimestamp(modified, datetime.UTC),
            tag=f"{row.content_hash}-copy",
        )

    def _open_member(self, row: DocumentRow) -> Original | None:
        """Open a member of an archive that has a copy."""
        at = row.uri.find(MEMBER)
        while at >= 0:
            outer = self._find(document_id_of(row.uri[:at]))
            copy = self._open_copy(outer) if outer is not None else None
            if outer is not None and copy is not None:
                member = row.uri[at + len(MEMBER) :]
                with copy.named(Path(outer.uri).name, outer.modified_ns) as path:
                    return checked_member(row, open_member(f"{path}{MEMBER}{member}"))
            at = row.uri.find(MEMBER, at + 1)
        return None
