"""Looking up the rows of ``documents`` without reading them all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from threading import Lock
from typing import NamedTuple

import lance
import numpy as np
from numpy.typing import NDArray

from trawl.store.rows import DocumentRow, document_rows, metadata_from_json
from trawl.store.schema import has_name, one_of, quoted
from trawl.types import Metadata

_IDS_PER_QUERY = 500
_MAX_NAMES = 50
_CACHED = 20_000

# A query of a column takes a few milliseconds. After so many, the column is read once.
_QUERIES = 32
_READ_AT_ONCE = 20_000


class Named(NamedTuple):
    """The id of a document, its address, and its other names."""

    document_id: str
    uri: str
    names: tuple[str, ...] = ()


class DocumentRows:
    """Look-ups in one version of ``documents``. Safe to use from several threads."""

    def __init__(self, dataset: lance.LanceDataset) -> None:
        self._dataset = dataset
        self._lock = Lock()
        self._queries: Counter[str] = Counter()
        self._columns: dict[str, _Column] = {}

    @cached_property
    def _count(self) -> int:
        return int(self._dataset.count_rows())

    def of(self, document_ids: Sequence[str]) -> dict[str, DocumentRow]:
        """Return the rows of the documents that exist, by id."""
        found: dict[str, DocumentRow] = {}
        if not self._count:
            return found
        for start in range(0, len(document_ids), _IDS_PER_QUERY):
            some = document_ids[start : start + _IDS_PER_QUERY]
            found |= {row.document_id: row for row in self.where(one_of("document_id", some))}
        return found

    def where(self, condition: str) -> list[DocumentRow]:
        """Return the rows that match a condition, ordered by `uri`; SQL of this package."""
        return document_rows(self._dataset.to_table(filter=condition))

    def ids(self, condition: str) -> list[str]:
        """Return the ids of the documents that match a condition."""
        table = self._dataset.to_table(columns=["document_id"], filter=condition)
        found: list[str] = table["document_id"].to_pylist()
        return found

    def names(self, condition: str | None = None) -> Iterator[Named]:
        """Yield the names of the documents that match a condition, in no order."""
        columns = ["document_id", "uri", "names"]
        for batch in self._dataset.to_batches(columns=columns, filter=condition):
            ids, uris, names = (batch[column].to_pylist() for column in columns)
            for document_id, uri, others in zip(ids, uris, names, strict=True):
                yield Named(document_id, uri, tuple(others or ()))

    def with_file_names(self, names: Sequence[str], condition: str) -> list[Named]:
        """Return the documents that match a condition whose addresses end with one of `names`."""
        if not names or not self._count:
            return []
        if len(names) <= _MAX_NAMES:
            condition = f"{condition} AND ({' OR '.join(map(has_name, names))})"
        wanted = set(names)
        found = (row for row in self.names(condition) if row.uri.rpartition("/")[2] in wanted)
        return sorted(found, key=lambda row: row.uri)

    def with_content(self, content_hash: str) -> list[DocumentRow]:
        """Return the indexed documents with a content hash, ordered by `uri`."""
        found = self._equal("content_hash", content_hash)
        return [row for row in found if row.error is None and row.chunks > 0]

    def content_hashes(self) -> set[str]:
        """Return the content hashes of all documents."""
        return set(self._dataset.to_table(columns=["content_hash"])["content_hash"].to_pylist())

    def with_contents(self, content_hashes: Iterable[str]) -> Iterator[DocumentRow]:
        """Yield the documents that have one of some content hashes."""
        wanted = list(content_hashes)
        for start in range(0, len(wanted), _IDS_PER_QUERY):
            yield from self.where(one_of("content_hash", wanted[start : start + _IDS_PER_QUERY]))

    def at(self, uri: str) -> DocumentRow | None:
        """Return the document at an address, or None."""
        return next(iter(self._equal("uri", uri)), None)

    def metadata(self, keys: Iterable[str]) -> Iterator[Metadata]:
        """Yield the metadata of the documents that may have one of some keys."""
        # The beginning of the key's entry, as `metadata_to_json` writes it.
        entries = [quoted(json.dumps(key, ensure_ascii=False) + ":") for key in keys]
        having = " OR ".join(f"contains(metadata, {entry})" for entry in entries)
        scanner = self._dataset.scanner(columns=["metadata"], filter=having, batch_size=1024)
        for batch in scanner.to_batches():
            yield from map(metadata_from_json, batch["metadata"].to_pylist())

    def _equal(self, column: str, value: str) -> list[DocumentRow]:
        if not self._count:
            return []
        with self._lock:
            self._queries[column] += 1
            often = self._queries[column] > _QUERIES or self._count <= _READ_AT_ONCE
            if often and column not in self._columns:
                self._columns[column] = _Column(self._dataset, column)
            held = self._columns.get(column)
        if held is None:
            return self.where(f"{column} = {quoted(value)}")
        rows = self.of(held.ids_of(value)).values()
        return sorted(
            (row for row in rows if getattr(row, column) == value), key=lambda row: row.uri
        )


class _Column:
    """The ids of documents by the hash of a column's value, in 32 bytes a document."""

    def __init__(self, dataset: lance.LanceDataset, column: str) -> None:
        hashes: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        ids: list[NDArray[np.bytes_]] = [np.zeros(0, "S24")]
        for batch in dataset.to_batches(columns=["document_id", column]):
            values = batch[column].to_pylist()
            hashes.append(np.fromiter(map(hash, values), np.int64, len(values)))
            ids.append(np.array(batch["document_id"].to_pylist(), "S"))
        joined = np.concatenate(hashes)
        order = np.argsort(joined, kind="stable")
        self._hashes, self._ids = joined[order], np.concatenate(ids)[order]

    def ids_of(self, value: str) -> list[str]:
        """Return the ids of the documents that may have a value."""
        first, last = np.searchsorted(self._hashes, [hash(value), hash(value) + 1])
        return [name.decode() for name in self._ids[first:last]]


class Known:
    """The rows of ``documents`` as the writer has written them. Safe to use from several threads.

    Rows are looked up as they are needed, and those of the last commits are kept.
    """

    def __init__(self, documents: lance.LanceDataset) -> None:
        self._documents = documents
        self._lock = Lock()
        self._cached: dict[str, DocumentRow | None] = {}
        self._version = self._read()

    def _read(self) -> DocumentRows:
        # On a handle of its own, since other threads write through the other one.
        return DocumentRows(self._documents.checkout_version(self._documents.version))

    def version(self) -> DocumentRows:
        """Return the look-ups in the version that was written last."""
        return self._version

    def fetch(self, document_ids: Iterable[str]) -> None:
        """Look up several documents at once."""
        with self._lock:
            missing = [one for one in dict.fromkeys(document_ids) if one not in self._cached]
        if missing:
            found = self._version.of(missing)
            with self._lock:
                for one in missing:
                    self._cached.setdefault(one, found.get(one))

    def get(self, document_id: str) -> DocumentRow | None:
        """Return the row of a document, or None."""
        self.fetch([document_id])
        with self._lock:
            return self._cached[document_id]

    def __getitem__(self, document_id: str) -> DocumentRow:
        row = self.get(document_id)
        if row is None:
            raise KeyError(document_id)
        return row

    def update(self, rows: Mapping[str, DocumentRow | None]) -> None:
        """Take rows that are about to be written; None for removed documents."""
        with self._lock:
            self._cached.update(rows)

    def written(self) -> None:
        """Note that the rows were written, and read this version from now on."""
        self._version = self._read()
        with self._lock:
            if len(self._cached) > _CACHED:
                self._cached.clear()
