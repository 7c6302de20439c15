"""Reports: what became of files that were added, and what a library holds.

`types` has their names, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from trawl.types import Modality, Space


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be indexed, and why."""

    uri: str
    reason: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A file that was indexed, and what differs from the file, such as a value kept as text."""

    uri: str
    notice: str


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one file: `trawl watch` reports it.

    `reason` states why it failed or was skipped, `was` is the earlier address of a moved one.
    """

    kind: Literal["added", "changed", "moved", "removed", "failed", "skipped"]
    uri: str
    reason: str = ""
    was: str = ""
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Repeat:
    """A file that was left out, since its content is nearly that of another document."""

    uri: str
    duplicate_of: str


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of one `add`.

    `failed` lists every file that could not be indexed, `notices` what differs from the files
    that were added or replaced. `moved` counts the documents whose files have moved. `skipped`
    counts the files in folders whose type is not read, and `skipped_types` counts them by
    extension (".doc", "" for none), most first; `skipped_examples` are the first of each.
    `duplicates` are the files left out because they nearly repeat another document.
    """

    added: int
    unchanged: int
    replaced: int
    removed: int
    failed: tuple[Failure, ...]
    chunks: int
    seconds: float
    skipped: int = 0
    notices: tuple[Notice, ...] = ()
    moved: int = 0
    skipped_types: Mapping[str, int] = field(default_factory=dict)
    skipped_examples: Mapping[str, str] = field(default_factory=dict)
    duplicates: tuple[Repeat, ...] = ()

    @property
    def nothing_added(self) -> bool:
        """Whether all files were skipped because of their types."""
        known = self.added + self.unchanged + self.replaced + self.moved
        return self.skipped > 0 and known == 0 and not self.failed

    def with_more(self, other: Report) -> Report:
        """Return the outcome of this run and another one together."""
        types = Counter(self.skipped_types) + Counter(other.skipped_types)
        return Report(
            added=self.added + other.added,
            unchanged=self.unchanged + other.unchanged,
            replaced=self.replaced + other.replaced,
            removed=self.removed + other.removed,
            moved=self.moved + other.moved,
            failed=self.failed + other.failed,
            chunks=self.chunks + other.chunks,
            seconds=round(self.seconds + other.seconds, 3),
            skipped=self.skipped + other.skipped,
            notices=self.notices + other.notices,
            skipped_types=dict(types.most_common()),
            skipped_examples={**other.skipped_examples, **self.skipped_examples},
            duplicates=self.duplicates + other.duplicates,
        )


@dataclass(frozen=True, slots=True)
class Status:
    """The contents of a library.

    `version` increases with every commit. `fragments` is the number of data files of the
    chunks table, `unindexed_rows` the number of chunks that no index covers yet. `recall` is the
    share of the ten nearest vectors that a search finds, by source whose vectors are in memory.
    """

    documents: int
    chunks: Mapping[Modality, int]
    failed: tuple[Failure, ...]
    spaces: tuple[Space, ...]
    version: int
    fragments: int = 0
    unindexed_rows: int = 0
    notices: tuple[Notice, ...] = ()
    recall: Mapping[str, float] = field(default_factory=dict)
