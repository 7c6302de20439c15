"""The tables of a library: creates and opens them, returns snapshots and the writer."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import lance

from trawl.errors import QueryError
from trawl.store.edits import EmbedTexts
from trawl.store.resident import Counts, Reader, Resident
from trawl.store.rows import DocumentRow, document_rows
from trawl.store.schema import (
    AS_ANALYSED,
    DOCUMENTS,
    MEDIA,
    TERMS_COLUMN,
    WORDS_COLUMN,
    chunks_schema,
    one_of,
    quoted,
)
from trawl.store.snapshot import Snapshot
from trawl.store.writer import WriteLock, Writer
from trawl.telemetry import logger
from trawl.types import Space

CHUNKS = "chunks"
_TABLES = (CHUNKS, "documents", "media")

# Reading a commit into memory takes about 50 ms, longer if all cores are busy. After this time
# the version is served by the engine, which is slower.
_WAIT_S = 2.0


class Store:
    """The tables in one directory.

    `sources` maps each source's name ("mini.image") to its space. Readers see commits, of
    this process or another, within `freshness_s` seconds.
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
        """Create empty tables, replacing those of a `create` that was killed."""
        for name in _TABLES:
            shutil.rmtree(directory / f"{name}.lance", ignore_errors=True)
        for name, schema in zip(_TABLES, (chunks_schema(sources), DOCUMENTS, MEDIA), strict=True):
            lance.write_dataset(
                schema.empty_table(), str(directory / f"{name}.lance"), schema=schema
            )
        chunks = lance.dataset(str(directory / f"{CHUNKS}.lance"))
        for column in (WORDS_COLUMN, TERMS_COLUMN):
            chunks.create_scalar_index(
                column, "INVERTED", with_position=column == WORDS_COLUMN, **AS_ANALYSED
            )
        return cls(directory, sources)

    def snapshot(self) -> Snapshot:
        """Return the newest version of the chunks, checked at most every `freshness_s`."""
        with self._lock:
            now = time.monotonic()
            if now - self._checked_at >= self._freshness_s:
                self._refresh(now)
            return self._snapshot

    def snapshot_at(self, version: int) -> Snapshot:
        """Return an earlier version of the chunks. Raises `QueryError` if it was deleted."""
        newest = self.snapshot()
        if version == newest.version:
            return newest
        try:
            uri = str(self.directory / f"{CHUNKS}.lance")
            dataset = lance.dataset(uri, version=version, session=self._session)
            return Snapshot(dataset, self.sources, self._counts)
        except (ValueError, OSError) as error:
            raise QueryError(
                f"version {version} of the library no longer exists; versions are kept for "
                "an hour, so start again from the first page"
            ) from error

    def refresh(self) -> Snapshot:
        """Return the newest version of the chunks, checked now."""
        for _ in range(2):  # a read in progress may be of an older version
            with self._lock:
                self._refresh(time.monotonic())
                preparing = self._preparing
                if self._newer_since is None or preparing is None:
                    return self._snapshot
            preparing.join()
        with self._lock:
            # The second read began after this call, unless there was none.
            if self._reader is None:
                self._show_newest()
            return self._snapshot

    def hold(self, max_bytes: int) -> None:
        """Keep up to `max_bytes` of the library in memory from now on.

        A background thread reads the library, and later each commit. A version becomes
        visible once it was read, or `_WAIT_S` after it was noticed.
        """
        with self._lock:
            if self._reader is None and max_bytes > 0:
                self._reader = Reader(self.sources, self._counts, max_bytes)
                self._prepare()

    def close(self) -> None:
        """Wait for the background thread."""
        preparing = self._preparing
        if preparing is not None:
            preparing.join()

    def _refresh(self, now: float) -> None:
        """Check for a newer version, and show it or start reading it. Requires the lock."""
        self._checked_at = now
        if self._snapshot.latest_version() == self._snapshot.version:
            self._newer_since = None
            return
        self._newer_since = self._newer_since or now
        if self._reader is None or now - self._newer_since > _WAIT_S:
            self._show_newest()
        self._prepare()

    def _show_newest(self) -> None:
        self._snapshot = self._read()
        self._newer_since = None

    def _prepare(self) -> None:
        """Start the background thread if needed. Requires the lock."""
        if self._reader is not None and self._preparing is None:
            self._preparing = Thread(target=self._hold_newest, name="trawl-hold")
            self._preparing.start()

    def _hold_newest(self) -> None:
        """Read the newest version into memory, and show it. If that fails, the engine serves it."""
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
            logger.warning("cannot keep the library in memory: %s", error)
            self._reader = None
        finally:
            with self._lock:
                self._preparing = None

    def _read(self) -> Snapshot:
        return Snapshot(self._open(CHUNKS), self.sources, self._counts)

    def _open(self, name: str) -> lance.LanceDataset:
        return lance.dataset(str(self.directory / f"{name}.lance"), session=self._session)

    def documents(self, where: str | None = None) -> list[DocumentRow]:
        """Return the rows of ``documents``, with failed ones; `where` is SQL of this package."""
        return document_rows(self._open("documents").to_table(filter=where))

    def has_notices(self) -> bool:
        """Return whether ``documents`` has the column `notices`, which older libraries lack."""
        return "notices" in self._open("documents").schema.names

    def document_ids(self, where: str | None = None) -> list[str]:
        """Return the ids of documents, ordered by `uri`; `where` is SQL of this package."""
        table = self._open("documents").to_table(columns=["document_id", "uri"], filter=where)
        found: list[str] = table.sort_by("uri")["document_id"].to_pylist()
        return found

    def documents_of(self, document_ids: Sequence[str]) -> list[DocumentRow]:
        """Return the rows of some documents, ordered by `uri`."""
        return self.documents(one_of("document_id", document_ids)) if document_ids else []

    def count_documents(self) -> int:
        """Return the number of indexed documents."""
        return int(self._open("documents").count_rows(filter="error IS NULL"))

    def document(self, document_id: str) -> DocumentRow | None:
        """Return one document, or None."""
        return next(iter(self.documents(f"document_id = {quoted(document_id)}")), None)

    def thumbnail(self, chunk_id: str) -> bytes | None:
        """Return a picture's thumbnail, a JPEG, or None."""
        table = self._open("media").to_table(
            columns=["thumbnail"], filter=f"chunk_id = {quoted(chunk_id)}"
        )
        found: Any = table["thumbnail"].to_pylist()
        return found[0] if found else None

    def writer(self, lock: WriteLock, embed: EmbedTexts | None = None) -> Writer:
        """Return the writer. `lock` is the library's and must be held.

        Editing titles and captions needs `embed`.
        """
        return Writer(
            chunks=self._open(CHUNKS),
            documents=self._open("documents"),
            media=self._open("media"),
            recover=lock.unfinished,
            embed=embed,
        )
