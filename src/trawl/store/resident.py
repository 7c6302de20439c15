"""What a server holds of a library in memory: vectors, and what is shown of a chunk.

A call of the engine costs about 1.5 ms whatever it asks for, and a search made five; of what is
held here it makes one, for the words. A commit adds fragments and marks rows as gone, and only
that is read of it: fragments are known by their files, which never change.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lance
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trawl.store.columns import row_ids, vectors_of
from trawl.store.fragments import Counts, Files, deletions_of, files_of
from trawl.store.heads import Heads
from trawl.store.schema import vector_column
from trawl.store.sql import may_have
from trawl.types import Space, Vectors

_SHOWN_BYTES_A_ROW = 1_200
"""What the shown columns of a row take at the most, as reckoned before they are read."""

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Shown:
    """The columns that are shown of one fragment's rows; `rows` int64 [N], ascending."""

    rows: Rows
    columns: pa.Table


@dataclass(frozen=True, slots=True)
class Resident:
    """What is held of one version: vectors by source, and fragments' rows as they are shown.

    Neither need be all: what is too large stays with the engine.
    """

    version: int
    vectors: Mapping[str, Heads]
    shown: tuple[_Shown, ...]
    files: Mapping[Files, str]
    """The fragments that this is of, and the name of what tells which of their rows have gone."""

    def take(self, rows: Sequence[int]) -> list[dict[str, Any]] | None:
        """Give the shown columns of some rows, in their order; None where one is not held."""
        firsts = [int(shown.rows[0]) for shown in self.shown]
        places: dict[int, list[int]] = {}
        for row in rows:
            at = bisect_right(firsts, row) - 1
            if at < 0:
                return None
            places.setdefault(at, []).append(row)
        found: dict[int, dict[str, Any]] = {}
        for at, wanted in places.items():
            shown = self.shown[at]
            local = np.searchsorted(shown.rows, wanted)
            if local.max() >= len(shown.rows) or (shown.rows[local] != wanted).any():
                return None
            table = shown.columns.take(pa.array(local))
            found.update(zip(wanted, table.to_pylist(), strict=True))
        return [found[row] for row in rows]


class Reader:
    """Reads what is held, `most_bytes` of it at the most. To be used from one thread at a time."""

    def __init__(
        self, sources: Mapping[str, Space], counts: Counts, shown: Sequence[str], most_bytes: int
    ) -> None:
        self._sources = sources
        self._counts = counts
        self._shown = list(shown)
        self._most_bytes = most_bytes

    def read(self, dataset: lance.LanceDataset, before: Resident | None = None) -> Resident:
        """Give what is held of a version, with what of an earlier one still holds."""
        fragments = {files_of(fragment): fragment for fragment in dataset.get_fragments()}
        files = {key: deletions_of(fragment) for key, fragment in fragments.items()}
        known = before.files if before is not None else {}
        same = set(known) & set(files)
        new = [fragment for key, fragment in fragments.items() if key not in same]
        live = {key[0]: np.zeros(0, np.int64) for key in set(known) - same}
        for key in same:
            if known[key] != files[key]:
                live[key[0]] = row_ids(_scan(dataset, [], [fragments[key]]))
        left = self._most_bytes
        vectors: dict[str, Heads] = {}
        for source, size in self._by_size(dataset):
            if size > left:
                continue
            left -= size
            held = before.vectors.get(source) if before is not None else None
            if held is not None:
                held = _keep(held, live)
            if held is None or held.untidy:
                vectors[source] = Heads.of(*self._vectors(dataset, source, None))
            else:
                vectors[source] = held.with_more(*self._vectors(dataset, source, new))
        shown: list[_Shown] = []
        if dataset.count_rows() * _SHOWN_BYTES_A_ROW <= left:
            kept_shown = {s.rows[0] >> 32: s for s in before.shown} if before is not None else {}
            for key in sorted(files):
                there = kept_shown.get(key[0]) if key in same else None
                there = there or self._shown_of(dataset, fragments[key])
                if there is not None:
                    shown.append(there)
        return Resident(int(dataset.version), vectors, tuple(shown), files)

    def _by_size(self, dataset: lance.LanceDataset) -> list[tuple[str, int]]:
        """Give the sources and the bytes that their vectors take, the smallest first."""
        sizes = {
            source: self._counts.of(dataset, may_have(source)) * space.dimension * 4
            for source, space in self._sources.items()
        }
        return sorted(sizes.items(), key=lambda pair: pair[1])

    def _vectors(
        self,
        dataset: lance.LanceDataset,
        source: str,
        fragments: Sequence[lance.LanceFragment] | None,
    ) -> tuple[Rows, Vectors]:
        """Read the ids of the rows that have a source's vector, and these, float32 [N, D]."""
        dimension = self._sources[source].dimension
        column = vector_column(source)
        if fragments is not None and not fragments:
            return np.zeros(0, np.int64), np.zeros((0, dimension), np.float32)
        table = _scan(dataset, [column], fragments, may_have(source))
        having, vectors = vectors_of(table, column, dimension)
        return row_ids(having), vectors

    def _shown_of(
        self, dataset: lance.LanceDataset, fragment: lance.LanceFragment
    ) -> _Shown | None:
        table = _scan(dataset, self._shown, [fragment])
        if not table.num_rows:
            return None
        rows = row_ids(table)
        columns = table.select(self._shown).combine_chunks()
        return _Shown(rows, columns)


def _scan(
    dataset: lance.LanceDataset,
    columns: list[str],
    fragments: Sequence[lance.LanceFragment] | None,
    where: str | None = None,
) -> pa.Table:
    return dataset.scanner(
        columns=columns, filter=where, fragments=fragments, with_row_id=True, scan_in_order=True
    ).to_table()


def _keep(held: Heads, live: Mapping[int, Rows]) -> Heads:
    """Give the vectors without those whose rows have gone from the fragments in `live`."""
    if not live:
        return held
    keep = []
    for block in held.blocks:
        there = np.ones(len(block.rows), bool) if block.gone is None else ~block.gone
        for fragment_id, rows in live.items():
            inside = block.rows >> 32 == fragment_id
            there[inside] &= np.isin(block.rows[inside], rows)
        keep.append(there)
    return held.keeping(keep)
