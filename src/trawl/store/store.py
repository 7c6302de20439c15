"""The tables of a library: creates and opens them, returns snapshots and the writer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import lance
import pyarrow as pa

from trawl.errors import QueryError, StorageError
from trawl.locations import Location
from trawl.store.edits import EmbedTexts
from trawl.store.listing import Arrange, Listing
from trawl.store.locking import WriteLock
from trawl.store.maintenance import prewarm
from trawl.store.mirror import Mirror, StoppedError
from trawl.store.resident import Counts, Reader, Resident
from trawl.store.rows import DocumentRow, document_rows
from trawl.store.schema import (
    AS_ANALYSED,
    DOCUMENTS,
    MEDIA,
    TERMS_COLUMN,
    WORDS_COLUMN,
    chunks_schema,
    quoted,
)
from trawl.store.snapshot import Snapshot
from trawl.store.writer import Writer
from trawl.telemetry import logger
from trawl.types import Space

CHUNKS = "chunks"
_TABLES = (CHUNKS, "documents", "media")

# Reading a commit into memory takes about 50 ms, longer if all cores are busy. After this time
# the version is served by the engine, which is slower.
_WAIT_S = 2.0

_LEAST_PAUSE_S = 0.05

_MAX_LISTS = 8


class Store:
    """The tables of one library.

    `sources` maps each source's name ("mini.image") to its space. Readers see commits, of
    this process or another, within `freshness_s` seconds. Of an object store, a background
    thread looks for them, and copies the chunks with `mirror`, which the caller chose.
    """

    def __init__(
        self,
        location: Location,
        sources: Mapping[str, Space],
        *,
        freshness_s: float = 0.25,
        mirror: Mirror | None = None,
    ) -> None:
        self.location = location
        self.sources = dict(sources)
        self._freshness_s = freshness_s
        self._session = lance.Session()
        self._counts = Counts()
        self._lock = Lock()
        self._checked_at = float("-inf")
        self._newer_since: float | None = None
        self._mirror = mirror
        self._reader: Reader | None = None
        self._preparing: Thread | None = None
        self._resident: Resident | None = None
        self._snapshot = self._read()
        self._follower: Thread | None = None
        self._closing = Event()
        self._lists: dict[tuple[object, ...], Listing] = {}

    @classmethod
    def create(cls, location: Location, sources: Mapping[str, Space]) -> Store:
        """Create empty tables, replacing those of a `create` that was killed."""
        options = location.storage_options
        for name, schema in zip(_TABLES, (chunks_schema(sources), DOCUMENTS, MEDIA), strict=True):
            location.clear(f"{name}.lance/")
            lance.write_dataset(
                schema.empty_table(), location.table(name), schema=schema, storage_options=options
            )
        chunks = lance.dataset(location.table(CHUNKS), storage_options=options)
        for column in (WORDS_COLUMN, TERMS_COLUMN):
            chunks.create_scalar_index(
                column, "INVERTED", with_position=column == WORDS_COLUMN, **AS_ANALYSED
            )
        return cls(location, sources)

    def snapshot(self) -> Snapshot:
        """Return the newest version of the chunks, checked at most every `freshness_s`."""
        if self.location.path is None:  # checked in the background
            if self._follower is None:
                self._follow()
            return self._snapshot
        with self._lock:
            now = time.monotonic()
            if now - self._checked_at >= self._freshness_s:
                self._refresh(now, self._latest())
            return self._snapshot

    def snapshot_at(self, version: int) -> Snapshot:
        """Return an earlier version of the chunks. Raises `QueryError` if it was deleted."""
        newest = self.snapshot()
        if version == newest.version:
            return newest
        try:
            return self._read(version)
        except (ValueError, OSError) as error:
            raise QueryError(
                f"version {version} of the library no longer exists; versions are kept for "
                "ten minutes, so start again from the first page"
            ) from error

    def refresh(self) -> Snapshot:
        """Return the newest version of the chunks, checked now."""
        for _ in range(2):  # a read in progress may be of an older version
            latest = self._latest()
            with self._lock:
                self._refresh(time.monotonic(), latest)
                preparing = self._preparing
                if self._newer_since is None or preparing is None:
                    return self._snapshot
            # A copy of a large library takes minutes; until then, the store answers.
            preparing.join(_WAIT_S if self._mirror is not None else None)
        with self._lock:
            # The second read began after this call, unless there was none.
            if self._reader is None or self._mirror is not None:
                self._show_newest()
            return self._snapshot

    def hold(self, max_bytes: int, scratch: Path) -> None:
        """Keep up to `max_bytes` of the library in memory from now on.

        The exact vectors are in files without names in the directory `scratch`. A background
        thread reads the library, and later each commit. A version becomes visible once it was
        read, or `_WAIT_S` after it was noticed.
        """
        with self._lock:
            if self._reader is None and max_bytes > 0:
                self._reader = Reader(self.sources, self._counts, max_bytes, scratch)
                self._prepare()

    def settle(self) -> None:
        """Wait until what is being copied or read into memory is there."""
        preparing = self._preparing
        if preparing is not None:
            preparing.join()

    def close(self) -> None:
        """End the background threads; a copy in progress is stopped."""
        self._closing.set()
        if self._mirror is not None:
            self._mirror.stop()
        self.settle()
        if self._follower is not None:
            self._follower.join()

    def _follow(self) -> None:
        """Start the thread that looks for new versions in an object store."""
        with self._lock:
            if self._follower is None and not self._closing.is_set():
                self._follower = Thread(target=self._look, name="trawl-follow", daemon=True)
                self._follower.start()
                self._prepare()

    def _look(self) -> None:
        failed = False
        while not self._closing.wait(max(self._freshness_s, _LEAST_PAUSE_S)):
            try:
                latest = self._latest()
                with self._lock:
                    self._refresh(time.monotonic(), latest)
                failed = False
            except (OSError, ValueError, RuntimeError) as error:
                if not failed:  # logged once; searches continue on the known version
                    logger.warning("cannot look for new versions of %s: %s", self.location, error)
                failed = True

    @cached_property
    def _newest(self) -> lance.LanceDataset:
        """A handle on the table in an object store; that of a snapshot may be on its copy."""
        return self._open(CHUNKS)

    def _latest(self) -> int:
        """Return the number of the newest version."""
        if self.location.path is None:
            return int(self._newest.latest_version)
        return self._snapshot.latest_version()

    def _refresh(self, now: float, latest: int) -> None:
        """Show a newer version or start reading it. Requires the lock."""
        self._checked_at = now
        if latest <= self._snapshot.version:
            self._newer_since = None
            return
        self._newer_since = self._newer_since or now
        alone = self._reader is None and self._mirror is None
        if alone or now - self._newer_since > _WAIT_S:
            self._show_newest()
        self._prepare()

    def _show_newest(self) -> None:
        self._snapshot = self._read()
        self._newer_since = None

    def _prepare(self) -> None:
        """Start the background thread if needed. Requires the lock."""
        needed = self._reader is not None or self.location.path is None
        if needed and self._preparing is None and not self._closing.is_set():
            self._preparing = Thread(target=self._prepare_newest, name="trawl-prepare")
            self._preparing.start()

    def _prepare_newest(self) -> None:
        """Copy the newest version, read it into memory, and show it."""
        try:
            dataset = stored = self._open(CHUNKS)
            if self._mirror is not None:
                dataset = self._mirror.sync(dataset, self._session) or dataset
            if self.location.path is None and dataset is stored:
                prewarm(dataset)
            resident = None
            if self._reader is not None:
                resident = self._reader.read(dataset, self._resident)
            snapshot = Snapshot(dataset, self.sources, self._counts, resident)
            snapshot.prepare()
            with self._lock:
                self._resident = resident
                if snapshot.version >= self._snapshot.version:
                    self._snapshot = snapshot
                    self._newer_since = None
        except StoppedError:
            pass
        except (OSError, ValueError, RuntimeError, MemoryError, StorageError) as error:
            # The engine serves the version. A store that failed may answer the next time.
            logger.warning("cannot keep the library in memory: %s", error)
            if self.location.path is not None:
                self._reader = None
        finally:
            with self._lock:
                self._preparing = None

    def _read(self, version: int | None = None) -> Snapshot:
        dataset = self._open(CHUNKS, version)
        copied = self._mirror.opened(dataset, self._session) if self._mirror is not None else None
        return Snapshot(copied or dataset, self.sources, self._counts)

    def _open(self, name: str, version: int | None = None) -> lance.LanceDataset:
        return lance.dataset(
            self.location.table(name),
            version=version,
            session=self._session,
            storage_options=self.location.storage_options,
        )

    def documents(self, where: str | None = None) -> list[DocumentRow]:
        """Return the rows of ``documents``, with failed ones; `where` is SQL of this package."""
        return document_rows(self._open("documents").to_table(filter=where))

    def has_notices(self) -> bool:
        """Return whether ``documents`` has the column `notices`, which older libraries lack."""
        return "notices" in self._open("documents").schema.names

    def document_values(self, column: str) -> pa.Table:
        """Return a column of ``documents`` as `document_id` and `value`."""
        table = self._open("documents").to_table(columns=["document_id", column])
        return table.rename_columns(["document_id", "value"])

    def listed(self, where: str | None, key: tuple[object, ...], arrange: Arrange) -> Listing:
        """Return a list of documents, which is kept for this version of the library.

        `where` is SQL of this package; `key` says what `arrange` does.
        """
        documents = self._open("documents")
        key = (where, *key, documents.version, self.snapshot().version)
        with self._lock:
            found = self._lists.get(key)
        if found is None:
            found = Listing(documents, where, arrange)
            with self._lock:
                while len(self._lists) >= _MAX_LISTS:
                    del self._lists[next(iter(self._lists))]
                self._lists[key] = found
        return found

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
        tables = [self._open(name) for name in _TABLES]
        lock.fence(tables)
        chunks, documents, media = tables
        return Writer(chunks=chunks, documents=documents, media=media, lock=lock, embed=embed)
