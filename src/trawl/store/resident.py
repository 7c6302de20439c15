"""What a server holds of a library: codes of vectors in memory, words and columns in files.

A call to the engine costs 1 to 2 ms, and a search made five. With the data here it makes none,
unless it asks for phrases, misspelt words or a new filter. A commit adds fragments and marks rows
as deleted; only these changes are read, since the files of a fragment never change.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import lance
import numpy as np
import pyarrow as pa
from lance.file import LanceFileReader

from trawl.native import return_freed_memory
from trawl.store.cells import Cell, cells
from trawl.store.codes import CodedVectors, Rows
from trawl.store.postings import Part, Postings
from trawl.store.products import Codes
from trawl.store.rows import STORED_COLUMNS, row_ids, vectors_of
from trawl.store.schema import TERMS_COLUMN, may_have, vector_column
from trawl.store.scratch import mapped, open_scratch
from trawl.types import Space, Vectors

_HELD_COLUMNS = [*STORED_COLUMNS, "ordinal", "content"]
"""The columns of results, and those by which results are arranged."""

_MAX_COUNTS = 4_096
_BATCH = 8_192

Files: TypeAlias = tuple[int, tuple[str, ...]]
"""The number and the files of a fragment."""


def _files_of(fragment: lance.LanceFragment) -> Files:
    return fragment.fragment_id, tuple(file.path for file in fragment.metadata.files)


def _deletions_of(fragment: lance.LanceFragment) -> str:
    """Return the name of the file that lists a fragment's deleted rows."""
    return str(fragment.metadata.deletion_file)


class Counts:
    """Counts rows in the versions of one table. Safe to use from several threads.

    Counts are cached per fragment: counting anew after each commit would take a third of a
    second in 100,000 chunks.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Files, str, str], int] = {}

    def of(self, dataset: lance.LanceDataset, where: str) -> int:
        """Return the number of rows of a version that match `where`, SQL of this package."""
        return sum(self._in(dataset, fragment, where) for fragment in dataset.get_fragments())

    def _in(self, dataset: lance.LanceDataset, fragment: lance.LanceFragment, where: str) -> int:
        key = _files_of(fragment), _deletions_of(fragment), where
        count = self._known.get(key)
        if count is None:
            # `fragment.count_rows` holds the GIL, which the engine's threads need to finish a
            # search: a deadlock.
            scanner = dataset.scanner(columns=[], filter=where, fragments=[fragment])
            count = int(scanner.count_rows())
            if len(self._known) >= _MAX_COUNTS:
                self._known = {}
            self._known[key] = count
        return count


@dataclass(frozen=True, slots=True)
class _Chunks:
    """The held columns of one fragment; `rows` are its row ids, ascending."""

    rows: memoryview[int]
    columns: Mapping[str, Cell]

    @classmethod
    def of(cls, table: pa.Table, scratch: Path) -> _Chunks:
        """Write the columns of a table with row ids to a file without a name, and map it."""
        read = table.select(_HELD_COLUMNS).combine_chunks()
        with open_scratch(scratch) as file:
            with pa.ipc.new_file(file, read.schema) as writer:
                writer.write_table(read)
            file.flush()
            held = pa.ipc.open_file(pa.BufferReader(mapped(file))).read_all()
        columns = {name: cells(held[name].chunk(0)) for name in _HELD_COLUMNS}
        return cls(row_ids(table).data, columns)


@dataclass(frozen=True, slots=True)
class _Indexed:
    """The numbers of chunks and words in a full-text index, with deleted ones; their fragments."""

    chunks: int
    words: int
    fragments: frozenset[int]

    @classmethod
    def of(cls, folder: str) -> _Indexed:
        """Read a segment of the index, whose files never change."""
        chunks = words = 0
        fragments: set[int] = set()
        about = LanceFileReader(f"{folder}/metadata.lance").metadata().schema.metadata
        for part in json.loads(about[b"partitions"]):
            file = LanceFileReader(f"{folder}/part_{part}_docs.lance")
            rows = file.read_all().to_table()["_rowid"].to_numpy()
            chunks += len(rows)
            words += int(file.metadata().schema.metadata[b"total_tokens"])
            fragments.update(np.unique(rows >> 32).tolist())
        return cls(chunks, words, frozenset(fragments))


@dataclass(frozen=True, slots=True)
class Resident:
    """Vectors by source, and stored columns by fragment, of one version.

    Either may be incomplete: the engine serves the rest.
    """

    version: int
    vectors: Mapping[str, CodedVectors]
    chunks: tuple[_Chunks, ...]
    fragments: Mapping[Files, str]
    """The fragments of the version, and the name of each one's deletion file."""
    postings: Postings | None = None
    is_indexed: bool = False
    """Whether `postings` has the words of the full-text index, no more and no less."""

    @property
    def words(self) -> Postings | None:
        """The words, if the engine has no others."""
        return self.postings if self.is_indexed else None

    def fields(
        self, rows: Sequence[int], columns: Sequence[str]
    ) -> dict[int, dict[str, Any]] | None:
        """Return some columns by row id; None if a row or a column is not held."""
        if not set(columns) <= set(_HELD_COLUMNS):
            return None
        firsts = [chunks.rows[0] for chunks in self.chunks]
        found: dict[int, dict[str, Any]] = {}
        for row in rows:
            at = bisect_right(firsts, row) - 1
            if at < 0:
                return None
            chunks = self.chunks[at]
            place = bisect_left(chunks.rows, row)
            if place == len(chunks.rows) or chunks.rows[place] != row:
                return None
            found[row] = {name: chunks.columns[name](place) for name in columns}
        return found


class Reader:
    """Reads codes of up to `max_bytes` into memory, and the rest into files that are mapped.

    The files have no names, and are in the directory `scratch`. Columns of results are held only
    if the codes of all sources fit, which bounds the files. Not safe to use from several threads
    at once.
    """

    def __init__(
        self, sources: Mapping[str, Space], counts: Counts, max_bytes: int, scratch: Path
    ) -> None:
        # The engine searches sets of vectors.
        self._sources = {name: space for name, space in sources.items() if space.parts == 1}
        self._counts = counts
        self._max_bytes = max_bytes
        self._scratch = scratch
        self._segments: dict[str, _Indexed] = {}

    def read(self, dataset: lance.LanceDataset, before: Resident | None = None) -> Resident:
        """Read a version into memory, reusing data of an earlier one."""
        fragments = {_files_of(fragment): fragment for fragment in dataset.get_fragments()}
        deletions = {key: _deletions_of(fragment) for key, fragment in fragments.items()}
        known = before.fragments if before is not None else {}
        same = set(known) & set(fragments)
        new = [fragment for key, fragment in fragments.items() if key not in same]
        live = {key[0]: np.zeros(0, np.int64) for key in set(known) - same}
        for key in same:
            if known[key] != deletions[key]:
                live[key[0]] = row_ids(_scan(dataset, [], [fragments[key]]))
        left = self._max_bytes
        vectors: dict[str, CodedVectors] = {}
        for source, size in self._by_size(dataset):
            if size > left:
                continue
            left -= size
            held = before.vectors.get(source) if before is not None else None
            if held is not None:
                held = _keep(held, live)
            if held is None or held.stale:
                dimension = self._sources[source].dimension
                parts = self._vectors(dataset, source, None)
                held = CodedVectors.of(parts, dimension, self._scratch)
            else:
                held = held.with_more(self._vectors(dataset, source, new))
            vectors[source] = held.measured()
        chunks: list[_Chunks] = []
        if len(vectors) == len(self._sources):
            read = {each.rows[0] >> 32: each for each in before.chunks} if before else {}
            for key in sorted(fragments):
                unchanged = read.get(key[0]) if key in same else None
                found = unchanged or self._chunks(dataset, fragments[key])
                if found is not None:
                    chunks.append(found)
        postings, is_indexed = None, False
        if len(vectors) == len(self._sources):
            index = self._index(dataset)
            kept = {key[0] for key in same} | index.fragments - {key[0] for key in fragments}
            postings = self._postings(dataset, new, live, kept, before)
            is_indexed = (index.chunks, index.words) == (postings.size, postings.words)
        pa.default_memory_pool().release_unused()
        return_freed_memory()
        return Resident(
            int(dataset.version), vectors, tuple(chunks), deletions, postings, is_indexed
        )

    def _by_size(self, dataset: lance.LanceDataset) -> list[tuple[str, int]]:
        """Return the sources and the bytes of their codes, smallest first."""
        sizes = {
            source: self._counts.of(dataset, may_have(source))
            * Codes.bytes_per_vector(space.dimension)
            for source, space in self._sources.items()
        }
        return sorted(sizes.items(), key=lambda pair: pair[1])

    def _vectors(
        self,
        dataset: lance.LanceDataset,
        source: str,
        fragments: Sequence[lance.LanceFragment] | None,
    ) -> Iterator[tuple[Rows, Vectors]]:
        """Yield the row ids and vectors, float32 [N, D], of a source, in parts."""
        if fragments is not None and not fragments:
            return
        column = vector_column(source)
        scanner = dataset.scanner(
            columns=[column],
            filter=may_have(source),
            fragments=fragments,
            with_row_id=True,
            scan_in_order=True,
            batch_size=_BATCH,
            batch_readahead=2,
            fragment_readahead=1,
        )
        for batch in scanner.to_batches():
            having, vectors = vectors_of(pa.Table.from_batches([batch]), column)
            yield row_ids(having), vectors

    def _postings(
        self,
        dataset: lance.LanceDataset,
        new: Sequence[lance.LanceFragment],
        live: Mapping[int, Rows],
        kept: Collection[int],
        before: Resident | None,
    ) -> Postings:
        known = before.postings if before is not None else None
        if known is None:
            new = dataset.get_fragments()
        ordered = sorted(new, key=lambda fragment: fragment.fragment_id)
        parts = (part for fragment in ordered for part in _words_of(dataset, fragment))
        more = Postings.of(parts, self._scratch)
        if known is None:
            return more
        return known.following(live, kept, more, self._scratch)

    def _index(self, dataset: lance.LanceDataset) -> _Indexed:
        """Return what the full-text index has; nothing if its files cannot be read."""
        segments = [
            (str(segment.uuid), f"{dataset.uri}/_indices/{segment.uuid}")
            for index in dataset.describe_indices()
            if list(index.field_names) == [TERMS_COLUMN]
            for segment in index.segments
        ]
        try:
            self._segments = {
                name: self._segments.get(name) or _Indexed.of(folder) for name, folder in segments
            }
        except (OSError, KeyError, ValueError, TypeError):  # the files are the engine's own
            self._segments = {}
        every = self._segments.values()
        return _Indexed(
            sum(one.chunks for one in every),
            sum(one.words for one in every),
            frozenset().union(*(one.fragments for one in every)),
        )

    def _chunks(self, dataset: lance.LanceDataset, fragment: lance.LanceFragment) -> _Chunks | None:
        table = _scan(dataset, _HELD_COLUMNS, [fragment])
        return _Chunks.of(table, self._scratch) if table.num_rows else None


def _scan(
    dataset: lance.LanceDataset,
    columns: list[str],
    fragments: Sequence[lance.LanceFragment] | None,
    where: str | None = None,
) -> pa.Table:
    return dataset.scanner(
        columns=columns, filter=where, fragments=fragments, with_row_id=True, scan_in_order=True
    ).to_table()


def _words_of(dataset: lance.LanceDataset, fragment: lance.LanceFragment) -> Iterator[Part]:
    """Yield the words of a fragment's chunks, with the deleted ones, which the index has too."""
    scanner = dataset.scanner(
        columns=[TERMS_COLUMN],
        fragments=[fragment],
        with_row_id=True,
        include_deleted_rows=True,
        scan_in_order=True,
        batch_size=_BATCH,
        batch_readahead=2,
    )
    first = fragment.fragment_id << 32
    for batch in scanner.to_batches():
        rows = np.arange(first, first + batch.num_rows)
        alive = batch["_rowid"].is_valid().to_numpy(zero_copy_only=False)
        yield Part.of(batch[TERMS_COLUMN], rows, alive)
        first += batch.num_rows


def _keep(held: CodedVectors, live: Mapping[int, Rows]) -> CodedVectors:
    """Drop the vectors whose rows are no longer in the fragments of `live`."""
    if not live:
        return held
    keep = []
    for block in held.blocks:
        kept = np.ones(len(block.rows), bool) if block.deleted is None else ~block.deleted
        for fragment_id, rows in live.items():
            inside = block.rows >> 32 == fragment_id
            kept[inside] &= np.isin(block.rows[inside], rows)
        keep.append(kept)
    return held.keeping(keep)
