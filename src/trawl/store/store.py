"""A library's tables: made, opened, read at their newest version, and written by one writer."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import lance

from trawl.errors import QueryError
from trawl.store.documents import DocumentRow, document_rows
from trawl.store.lock import WriteLock
from trawl.store.schema import DOCUMENTS, MEDIA, chunks_schema
from trawl.store.snapshot import Snapshot
from trawl.store.sql import quoted
from trawl.store.writer import Writer
from trawl.types import Space

__all__ = ["DocumentRow", "Store"]

CHUNKS = "chunks"
_TABLES = (CHUNKS, "documents", "media")


class Store:
    """The tables in one directory.

    `sources` maps each source's name ("mini.image") to its space. Readers see what a
    writer commits, in this process or another, within `freshness_s` seconds.
    """

    def __init__(
        self, directory: Path, sources: Mapping[str, Space], *, freshness_s: float = 0.5
    ) -> None:
        self.directory = directory
        self.sources = dict(sources)
        self._freshness_s = freshness_s
        self._session = lance.Session()
        self._lock = Lock()
        self._checked_at = float("-inf")
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
            return Snapshot(
                lance.dataset(uri, version=version, session=self._session), self.sources
            )
        except (ValueError, OSError) as error:
            raise QueryError(
                f"version {version} of the library is gone: versions are kept for an hour; "
                "ask again from the first page"
            ) from error

    def refresh(self) -> Snapshot:
        """Give the newest version of the chunks, looked for now."""
        with self._lock:
            self._refresh(time.monotonic())
            return self._snapshot

    def _refresh(self, now: float) -> None:
        newest = self._snapshot.latest_version()
        if newest != self._snapshot.version:
            self._snapshot = self._read()
        self._checked_at = now

    def _read(self) -> Snapshot:
        return Snapshot(self._open(CHUNKS), self.sources)

    def _open(self, name: str) -> lance.LanceDataset:
        return lance.dataset(str(self.directory / f"{name}.lance"), session=self._session)

    def documents(self, where: str | None = None) -> list[DocumentRow]:
        """Give the rows of ``documents``, failed ones too; `where` is SQL of this package."""
        return document_rows(self._open("documents").to_table(filter=where))

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
