"""A library's tables: made, opened, read at their newest version, and written by one writer."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import lance

from trawl.errors import QueryError
from trawl.store.documents import DocumentRow, document_rows
from trawl.store.fragments import Counts
from trawl.store.lock import WriteLock
from trawl.store.resident import Reader, Resident
from trawl.store.schema import DOCUMENTS, MEDIA, chunks_schema
from trawl.store.shown import SHOWN
from trawl.store.snapshot import Snapshot
from trawl.store.sql import one_of, quoted
from trawl.store.writer import Writer
from trawl.telemetry import logger
from trawl.types import Space

__all__ = ["DocumentRow", "Store"]

CHUNKS = "chunks"
_TABLES = (CHUNKS, "documents", "media")

# What a commit adds is read into memory in some 50 ms, and much more where all cores are busy.
# What is not in memory by then is shown all the same: the engine is slower, and right.
_WAIT_S = 2.0


class Store:
    """The tables in one directory.

    `sources` maps each source's name ("mini.image") to its space. Readers see what a
    writer commits, in this process or another, within `freshness_s` seconds.
    """

    def __init__(
        self, directory: Path, sources: Mapping[str, Space], *, freshness_s: float = 0.25
    ) -> None:
        self.directory = directory
        self.sources = dict(sources)
        self._freshness_s = freshness_s
        self._session = lance.Session()
        self._counts = Counts()
        self._lock = Lock()
        self._checked_at = float("-inf")
        self._newer_since: float | None = None
        self._reader: Reader | None = None
        self._preparing: Thread | None = None
        self._resident: Resident | None = None
        self._snapshot = self._read()

    @classmethod
    def create(cls, directory: Path, sources: Mapping[str, Space]) -> Store:
        """Make empty tables, in place of what a killed `create` may have left there."""
        for name in _TABLES:
            shutil.rmtree(directory / f"{name}.lance", ignore_errors=True)
        for name, schema in zip(_TABLES, (chunks_schema(sources), DOCUMENTS, MEDIA), strict=True):
            lance.write_dataset(
                schema.empty_table(), str(directory / f"{name}.lance"), schema=schema
            )
        chunks = lance.dataset(str(directory / f"{CHUNKS}.lance"))
        chunks.create_scalar_index("words", "INVERTED", with_position=True)
        return cls(directory, sources)

    def snapshot(self) -> Snapshot:
        """Give the newest version of the chunks, looked for at most every `freshness_s`."""
        with self._lock:
            now = time.monotonic()
            if now - self._checked_at >= self._freshness_s:
                self._refresh(now)
            return self._snapshot

    def snapshot_at(self, version: int) -> Snapshot:
        """Give an earlier version of the chunks. Raises `QueryError` where it is gone."""
        newest = self.snapshot()
        if version == newest.version:
            return newest
        try:
            uri = str(self.directory / f"{CHUNKS}.lance")
            dataset = lance.dataset(uri, version=version, session=self._session)
            return Snapshot(dataset, self.sources, self._counts)
        except (ValueError, OSError) as error:
            raise QueryError(
                f"version {version} of the library is gone: versions are kept for an hour; "
                "ask again from the first page"
            ) from error

    def refresh(self) -> Snapshot:
        """Give the newest version of the chunks, looked for now."""
        for _ in range(2):  # what is being read already may be older than what is there by now
            with self._lock:
                self._refresh(time.monotonic())
                preparing = self._preparing
                if self._newer_since is None or preparing is None:
                    return self._snapshot
            preparing.join()
        with self._lock:
            # The second reading began after this was called, unless there was none.
            if self._reader is None:
                self._show_unread()
            return self._snapshot

    def hold(self, most_bytes: int) -> None:
        """Hold the library in memory from now on, as much of it as `most_bytes` take.

        It is read in a thread of its own, and so is what is committed later. A version is then
        shown when it has been read, or `_WAIT_S` after it was seen.
        """
        with self._lock:
            if self._reader is None and most_bytes > 0:
                self._reader = Reader(self.sources, self._counts, SHOWN, most_bytes)
                self._prepare()

    def close(self) -> None:
        """Wait for what is being read."""
        preparing = self._preparing
        if preparing is not None:
            preparing.join()

    def _refresh(self, now: float) -> None:
        """Look for a newer version, and show it or have it read; the lock is held."""
        self._checked_at = now
        if self._snapshot.latest_version() == self._snapshot.version:
            self._newer_since = None
            return
        self._newer_since = self._newer_since or now
        if self._reader is None or now - self._newer_since > _WAIT_S:
            self._show_unread()
        self._prepare()

    def _show_unread(self) -> None:
        self._snapshot = self._read()
        self._newer_since = None

    def _prepare(self) -> None:
        """Read what is to be held, in a thread; the lock is held."""
        if self._reader is not None and self._preparing is None:
            self._preparing = Thread(target=self._hold_newest, name="trawl-hold")
            self._preparing.start()

    def _hold_newest(self) -> None:
        """Read the newest version into memory, and show it. The engine serves where that fails."""
        try:
            assert self._reader is not None
            dataset = self._open(CHUNKS)
            resident = self._reader.read(dataset, self._resident)
            snapshot = Snapshot(dataset, self.sources, self._counts, resident)
            snapshot.prepare()
            with self._lock:
                self._resident = resident
                if snapshot.version >= self._snapshot.version:
                    self._snapshot = snapshot
                    self._newer_since = None
        except (OSError, ValueError, RuntimeError, MemoryError) as error:
            logger.warning("the library is not held in memory: %s", error)
            self._reader = None
        finally:
            with self._lock:
                self._preparing = None

    def _read(self) -> Snapshot:
        return Snapshot(self._open(CHUNKS), self.sources, self._counts)

    def _open(self, name: str) -> lance.LanceDataset:
        return lance.dataset(str(self.directory / f"{name}.lance"), session=self._session)

    def documents(self, where: str | None = None) -> list[DocumentRow]:
        """Give the rows of ``documents``, failed ones too; `where` is SQL of this package."""
        return document_rows(self._open("documents").to_table(filter=where))

    def document_ids(self, where: str | None = None) -> list[str]:
        """Give the ids of documents, by address; `where` is SQL of this package."""
        table = self._open("documents").to_table(columns=["document_id", "uri"], filter=where)
        found: list[str] = table.sort_by("uri")["document_id"].to_pylist()
        return found

    def documents_of(self, document_ids: Sequence[str]) -> list[DocumentRow]:
        """Give the rows of some documents, by address."""
        return self.documents(one_of("document_id", document_ids)) if document_ids else []

    def count_documents(self) -> int:
        """How many documents are in."""
        return int(self._open("documents").count_rows(filter="error IS NULL"))

    def document(self, document_id: str) -> DocumentRow | None:
        """Give one document, or None."""
        return next(iter(self.documents(f"document_id = {quoted(document_id)}")), None)

    def thumbnail(self, chunk_id: str) -> bytes | None:
        """Give a picture's thumbnail, a JPEG, or None."""
        table = self._open("media").to_table(
            columns=["thumbnail"], filter=f"chunk_id = {quoted(chunk_id)}"
        )
        found: Any = table["thumbnail"].to_pylist()
        return found[0] if found else None

    def writer(self, lock: WriteLock) -> Writer:
        """Give the one writer. `lock` is the library's, and held."""
        return Writer(
            chunks=self._open(CHUNKS),
            documents=self._open("documents"),
            media=self._open("media"),
            recover=lock.unfinished,
        )
