"""The library looks after itself: compaction and indexes, as it grows.

Below `_INDEXED_FROM` vectors a source is searched by brute force, which is exact and
fast enough; above, it gets an IVF index. Rows that are new to an index are found too, by
a scan: but a thousand passages cost the full-text index some 200 ms a query, and a scan
knows no fuzzy words. So the indexes take new rows in at the end of every run, which makes
a small segment (30 ms); segments are merged as they come.
"""

from __future__ import annotations

from datetime import timedelta

import lance

_INDEXED_FROM = 10_000
_QUANTISED_FROM = 500_000
_FRAGMENTS_AT_MOST = 12
# A fragment of so many rows is left as it is: to write 100 MB again for the sake of a dozen new
# files would hold up who searches meanwhile, and have all of it read into memory again.
_FULL_FRAGMENT_ROWS = 65_536
_UNINDEXED_ROWS_WHILE_WRITING = 4_096
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
    """Index what has come, while more is coming: readers search meanwhile."""
    _refresh_indexes(table, _UNINDEXED_ROWS_WHILE_WRITING)


def _refresh_indexes(table: lance.LanceDataset, unindexed_at_most: int) -> None:
    rows = table.count_rows()
    indexed = min((index.num_rows_indexed for index in table.describe_indices()), default=rows)
    if rows - indexed > unindexed_at_most:
        table.optimize.optimize_indices()
        table.checkout_latest()


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
