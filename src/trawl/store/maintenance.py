"""The library looks after itself: compaction and indexes, as it grows.

Below `_INDEXED_FROM` vectors a source is searched by brute force, which is exact and
fast enough; above, it gets an IVF index. Rows that are new to an index are found too, by
a scan: but a thousand passages cost the full-text index 20 ms a query and more, and a scan
knows no fuzzy words. So the words are indexed with every commit, and all the rest at the end
of every run. That makes a small segment of an index (40 ms for a thousand passages); to put
them into the large one instead, as the engine does when told no more, takes three seconds
in 100,000 chunks. Segments are merged once those that are smaller have become many.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import lance

from trawl.store.words import WORDS_COLUMN

_INDEXED_FROM = 10_000
_QUANTISED_FROM = 500_000
_FRAGMENTS_AT_MOST = 12
# A fragment of so many rows is left as it is: to write 100 MB again for the sake of a dozen new
# files would hold up who searches meanwhile, and have all of it read into memory again.
_FULL_FRAGMENT_ROWS = 65_536
_UNINDEXED_ROWS_WHILE_WRITING = 100
# A segment is merged with those after it when it is not this many times as large: so each row
# is written some log4(N) times, and there are not many more segments than that.
_SEGMENT_RATIO = 4
# Longer than any reader keeps a snapshot; see the notes on `cleanup_older_than`.
_KEPT = timedelta(hours=1)


def maintain(*tables: lance.LanceDataset) -> None:
    """Compact each table where it is in many fragments, and bring its indexes up to date."""
    for table in tables:
        small = [f for f in table.get_fragments() if f.metadata.num_rows < _FULL_FRAGMENT_ROWS]
        compacted = len(small) > _FRAGMENTS_AT_MOST
        if compacted:
            table.optimize.compact_files(target_rows_per_fragment=_FULL_FRAGMENT_ROWS)
            table.checkout_latest()
        _refresh_indexes(table, 0)
        for field in table.schema:
            if field.name.startswith("v_"):
                _index_vectors(table, field.name)
        if compacted:
            table.cleanup_old_versions(older_than=_KEPT)


def keep_up(table: lance.LanceDataset) -> None:
    """Index the words of what has come, while more is coming: readers search meanwhile."""
    _refresh_indexes(table, _UNINDEXED_ROWS_WHILE_WRITING, WORDS_COLUMN)


def _refresh_indexes(
    table: lance.LanceDataset, unindexed_at_most: int, only: str | None = None
) -> None:
    """Index new rows where there are more than so many, in all columns or in one."""
    rows = table.count_rows()
    for index in table.describe_indices():
        if only not in (None, *index.field_names):
            continue
        if rows - index.num_rows_indexed > unindexed_at_most:
            merged = segments_to_merge([segment.size_bytes or 0 for segment in index.segments])
            table.optimize.optimize_indices(index_names=[index.name], num_indices_to_merge=merged)
            table.checkout_latest()


def segments_to_merge(sizes: Sequence[int]) -> int:
    """Tell how many of the last segments to merge with what is new; 0 makes one more of that.

    `sizes` are those of the segments in bytes, in the order of their coming.
    """
    merged, together = 0, 0
    for size in reversed(sizes):
        if merged and size >= _SEGMENT_RATIO * together:
            break
        merged, together = merged + 1, together + size
    return merged if merged > 1 else 0


def _index_vectors(table: lance.LanceDataset, column: str) -> None:
    """Make or, once the vectors are four times as many, make anew the index of a column."""
    built_for = int(table.config().get(_built_for(column), 0))
    wanted = max(_INDEXED_FROM, 4 * built_for)
    # To count the vectors reads them all: only where there may be enough.
    if table.count_rows() < wanted:
        return
    vectors = int(table.count_rows(filter=f"{column} IS NOT NULL"))
    if vectors < wanted:
        return
    table.create_index(
        column,
        "IVF_RQ" if vectors >= _QUANTISED_FROM else "IVF_FLAT",
        metric="cosine",
        num_partitions=max(16, round(vectors**0.5)),
        replace=built_for > 0,
    )
    table.update_config({_built_for(column): str(vectors)})


def _built_for(column: str) -> str:
    """Name the table's note of how many vectors an index had when its partitions were made."""
    return f"trawl.{column}.vectors"
