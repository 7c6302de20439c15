"""The fragments of a version: what each is known by, and how many of its rows fit a condition.

A fragment's files never change; only rows of it go, which its deletion file tells. So what was
counted of it once holds in every version that has it. To count a condition on text anew after
each commit would take a third of a second in 100,000 chunks.
"""

from __future__ import annotations

from typing import TypeAlias

import lance

Files: TypeAlias = tuple[int, tuple[str, ...]]

_KEPT_AT_MOST = 4_096


def files_of(fragment: lance.LanceFragment) -> Files:
    """Give a fragment's number and its files."""
    return fragment.fragment_id, tuple(file.path for file in fragment.metadata.files)


def deletions_of(fragment: lance.LanceFragment) -> str:
    """Name what tells which of a fragment's rows have gone."""
    return str(fragment.metadata.deletion_file)


class Counts:
    """Counts rows in the versions of one table. Safe to use from several threads."""

    def __init__(self) -> None:
        self._known: dict[tuple[Files, str, str], int] = {}

    def of(self, dataset: lance.LanceDataset, where: str) -> int:
        """Give how many rows of a version fit `where`, SQL of this package."""
        return sum(self._in(dataset, fragment, where) for fragment in dataset.get_fragments())

    def _in(self, dataset: lance.LanceDataset, fragment: lance.LanceFragment, where: str) -> int:
        key = files_of(fragment), deletions_of(fragment), where
        count = self._known.get(key)
        if count is None:
            # `fragment.count_rows` keeps Python to itself until it is done, and the engine's
            # threads need Python to end a search: each waits for the other, for ever.
            scanner = dataset.scanner(columns=[], filter=where, fragments=[fragment])
            count = int(scanner.count_rows())
            if len(self._known) >= _KEPT_AT_MOST:
                self._known = {}
            self._known[key] = count
        return count
