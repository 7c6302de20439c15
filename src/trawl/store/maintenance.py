"""Compaction and indexes.

Below `_INDEXED_FROM` vectors a source is searched by brute force, which is exact and
fast enough; above, it gets an IVF index. Rows that are not yet indexed are found by a
scan, but a thousand unindexed passages add 20 ms or more to a full-text query, and a scan
does not match fuzzy words. So words are indexed with every commit, and the other columns
at the end of every run. Indexing adds a small segment to the index (40 ms for a thousand
passages); the engine's default, merging them into the large segment, takes three seconds
in 100,000 chunks. Small segments are merged when there are many.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from pathlib import Path

import lance

from trawl.objects import is_object
from trawl.store.schema import TERMS_COLUMN, WORDS_COLUMN, has_sets, may_have_vector

_INDEXED_FROM = 10_000
_QUANTISED_FROM = 500_000
# Sets are compared in full up to this number; their usual size decides the partitions.
_SETS_INDEXED_FROM = 2_000
_SET_SIZE = 64
# With one bit a dimension, three times as many candidates leave out every third of the nearest.
_BITS = 5
# The engine keeps up to 6 GB of indexes in memory.
_MAX_PREWARMED = 4 * 2**30
_MAX_FRAGMENTS = 12
# Fragments of this size are not compacted: rewriting 100 MB for a dozen new files would slow
# down concurrent searches and force servers to reload all of it.
_FULL_FRAGMENT_ROWS = 65_536
_MAX_UNINDEXED_ROWS = 100
# A segment is merged with the later ones unless it is this many times as large as they are
# together. Each row is then written about log4(N) times, and there are about as many segments.
_SEGMENT_RATIO = 4
# Longer than a reader keeps a snapshot, and than someone reads the pages of one answer. Copying a
# version from an object store can take longer.
_KEPT, _KEPT_FAR = timedelta(minutes=10), timedelta(hours=1)


def maintain(*tables: lance.LanceDataset, check: Callable[[], None]) -> None:
    """Compact each table that has many fragments, and update its indexes.

    `check` raises if another writer has taken over. It is called after each look at the newest
    version, which may be of that writer.
    """
    for table in tables:
        small = [f for f in table.get_fragments() if f.metadata.num_rows < _FULL_FRAGMENT_ROWS]
        compacted = len(small) > _MAX_FRAGMENTS
        if compacted:
            table.optimize.compact_files(target_rows_per_fragment=_FULL_FRAGMENT_ROWS)
            table.checkout_latest()
        check()
        _refresh_indexes(table, 0)
        check()
        for field in table.schema:
            if field.name.startswith("v_"):
                _index_vectors(table, field.name)
        if is_object(table.uri):
            if compacted:
                table.cleanup_old_versions(older_than=_KEPT_FAR)
        elif _has_expired(table):
            # The engine cannot tell replaced indexes from those of another writer, and would keep
            # them for seven days. There is no other writer: the lock is held.
            table.cleanup_old_versions(older_than=_KEPT, delete_unverified=True)


def _has_expired(table: lance.LanceDataset) -> bool:
    """Return whether it is time to delete versions of a table on the local disk.

    Deleting them reads them all, 0.1 s for 400, so several are deleted at a time.
    """
    written = sorted(file.stat().st_mtime for file in Path(table.uri, "_versions").iterdir())
    return len(written) > 1 and time.time() - written[0] > 1.5 * _KEPT.total_seconds()


def keep_up(table: lance.LanceDataset) -> None:
    """Index the words of new rows during a run, for concurrent searches."""
    _refresh_indexes(table, _MAX_UNINDEXED_ROWS, (WORDS_COLUMN, TERMS_COLUMN))


def _refresh_indexes(
    table: lance.LanceDataset, max_unindexed: int, only: Collection[str] = ()
) -> None:
    """Update the indexes with more than `max_unindexed` new rows, or those on columns `only`."""
    rows = table.count_rows()
    for index in table.describe_indices():
        if only and not set(index.field_names) & set(only):
            continue
        if rows - index.num_rows_indexed > max_unindexed:
            merged = segments_to_merge([segment.size_bytes or 0 for segment in index.segments])
            table.optimize.optimize_indices(index_names=[index.name], num_indices_to_merge=merged)
            table.checkout_latest()


def segments_to_merge(sizes: Sequence[int]) -> int:
    """Return how many of the last segments to merge with the new rows.

    0 puts the new rows into a segment of their own. `sizes` are the sizes of the segments
    in bytes, oldest first.
    """
    merged, total = 0, 0
    for size in reversed(sizes):
        if merged and size >= _SEGMENT_RATIO * total:
            break
        merged, total = merged + 1, total + size
    return merged if merged > 1 else 0


def _index_vectors(table: lance.LanceDataset, column: str) -> None:
    """Create the index of a vector column, or recreate it when the vectors have quadrupled."""
    built_for = int(table.config().get(_built_for(column), 0))
    sets = has_sets(table.schema.field(column))
    wanted = max(_SETS_INDEXED_FROM if sets else _INDEXED_FROM, 4 * built_for)
    # Counting the vectors reads them all, so the rows that may have one are counted first.
    if table.count_rows() < wanted or table.count_rows(filter=may_have_vector(column)) < wanted:
        return
    vectors = int(table.count_rows(filter=f"{column} IS NOT NULL"))
    if vectors < wanted:
        return
    quantised = vectors >= _QUANTISED_FROM and not sets
    table.create_index(
        column,
        "IVF_RQ" if quantised else "IVF_FLAT",
        metric="cosine",
        num_partitions=max(16, round((vectors * (_SET_SIZE if sets else 1)) ** 0.5)),
        replace=built_for > 0,
        **({"num_bits": _BITS} if quantised else {}),
    )
    bits = {bits_key(column): str(_BITS)} if quantised else {}
    table.update_config({_built_for(column): str(vectors), **bits})


def prewarm(table: lance.LanceDataset) -> None:
    """Load the indexes of a table in an object store into memory, if they are not too large."""
    indexes = table.describe_indices()
    size = sum(segment.size_bytes or 0 for index in indexes for segment in index.segments)
    if size <= _MAX_PREWARMED:
        for index in indexes:
            table.prewarm_index(index.name)


def bits_key(column: str) -> str:
    """Return the config key for the bits a dimension of a column's quantised index."""
    return f"trawl.{column}.bits"


def _built_for(column: str) -> str:
    """Return the config key for the number of vectors when the index was created."""
    return f"trawl.{column}.vectors"
