"""What each file of a run continues: itself, unchanged or not, or a document that has moved.

A document has moved if a file with the same content is new and its own file is gone, or holds
something else by now, as after two files have swapped their names. Edits and the metadata that
was given with `add` go along.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import takewhile
from threading import Lock
from typing import Literal

from trawl.ingest.items import Item, Plan
from trawl.ingest.names import is_file, leads_to
from trawl.objects import is_object
from trawl.store import DocumentRow, DocumentRows, Named
from trawl.types import Edits, Metadata, Notice

# Documents with one file name that are checked for having lost their file.
_MAX_NAMESAKES = 100

# The rows of so many files are read by one query. Threads may be in neighbouring windows.
_WINDOW = 500
_WINDOWS = 4


@dataclass(frozen=True, slots=True)
class Origin:
    """The document that a file continues; `row` is None for a new one.

    `state` is "unchanged" if nothing is to be done, "renamed" if the document only has another
    address or id, and "changed" if the file has to be read. `given` is the metadata of `add`,
    from earlier runs and this one. `retired` is the id of the document that ends with this
    continuation.
    """

    state: Literal["unchanged", "renamed", "changed"] = "changed"
    row: DocumentRow | None = None
    given: Metadata = field(default_factory=dict)
    moved: bool = False
    retired: str | None = None

    @property
    def edits(self) -> Edits:
        """The edits of the document so far."""
        return self.row.edits if self.row is not None else {}


class Origins:
    """The origins of the files of one run. Safe to use from several threads.

    `documents` are those at the beginning of the run. `fingerprint_of` returns the content
    hash of a file; it raises `OSError` if the file cannot be read.
    """

    def __init__(
        self,
        plan: Plan,
        documents: DocumentRows,
        fingerprint_of: Callable[[Item], str],
    ) -> None:
        self._plan = plan
        self._documents = documents
        self._ids = [item.document_id for item in plan.items]
        self._items = {item.document_id: item for item in plan.items}
        self._places = {document_id: place for place, document_id in enumerate(self._ids)}
        self._window = lru_cache(_WINDOWS)(self._read_window)
        self._fingerprint_of = fingerprint_of
        self._lock = Lock()
        self._taken: set[str] = set()
        self._found: dict[str, Origin] = {}

    def __getitem__(self, document_id: str) -> Origin:
        """Return the origin of a document that `of` was called for, unless it is unchanged."""
        return self._found.get(document_id, Origin())

    def of(self, item: Item, content_hash: str) -> Origin:
        """Return what a file with a content hash continues. Call it once for each file."""
        known = self._window(self._places[item.document_id] // _WINDOW).get(item.document_id)
        if known is not None and known.error is None and known.content_hash == content_hash:
            found = self._same(known, item)
        else:
            found = self._moved(item, content_hash, known) or self._changed(known, item)
        if found.state != "unchanged":
            self._found[item.document_id] = found
        return found

    def _read_window(self, number: int) -> Mapping[str, DocumentRow]:
        """Read the rows of several files at once; they are asked for about in this order."""
        return self._documents.of(self._ids[number * _WINDOW : (number + 1) * _WINDOW])

    def notices(self) -> Iterator[Notice]:
        """Yield a notice for each new file whose namesake in the library has lost its file."""
        new = [one for one, origin in self._found.items() if origin.row is None]
        names = list({_file_name(self._items[one].uri) for one in new})
        namesakes: dict[str, list[Named]] = defaultdict(list)
        for row in self._documents.with_file_names(names, "error IS NULL"):
            if row.document_id not in self._items:
                namesakes[_file_name(row.uri)].append(row)
        ended = self._taken | {one.retired for one in self._found.values()}
        for document_id in new:
            uri = self._items[document_id].uri
            for row in namesakes[_file_name(uri)][:_MAX_NAMESAKES]:
                if row.document_id not in ended and self._is_gone(row):
                    yield Notice(
                        uri,
                        f"the file of the same name at {row.uri} is gone. It had other content, "
                        "so its document stays with its edits; trawl rm removes it",
                    )
                    break

    def _same(self, known: DocumentRow, item: Item) -> Origin:
        given = _with(known.given, item.given)
        moved = known.uri != item.uri and not leads_to(known.uri, known.document_id)
        if given != known.given:
            return Origin("changed", known, given, moved)
        if (known.uri, known.names) == (item.uri, item.names):
            return Origin("unchanged", known, given)
        is_renamed = _file_name(known.uri) == _file_name(item.uri)
        return Origin("renamed" if is_renamed else "changed", known, given, moved)

    def _moved(self, item: Item, content_hash: str, known: DocumentRow | None) -> Origin | None:
        if not _has_file(item.uri):
            return None
        same = self._documents.with_content(content_hash)
        with self._lock:
            candidates = [
                row
                for row in same
                if row.document_id != item.document_id
                and row.document_id not in self._taken
                and _has_file(row.uri)
            ]
            for row in sorted(candidates, key=lambda row: -_common_parts(row.uri, item.uri)):
                gone = self._is_gone(row)
                if gone or self._has_other_content(row):
                    self._taken.add(row.document_id)
                    break
            else:
                return None
        given = _with(row.given, item.given)
        # The title may be the file's name, and is embedded with the text.
        as_it_is = (
            gone
            and given == row.given
            and _file_name(row.uri) == _file_name(item.uri)
            and known is None
        )
        retired = row.document_id if gone else None
        return Origin("renamed" if as_it_is else "changed", row, given, True, retired)

    def _changed(self, known: DocumentRow | None, item: Item) -> Origin:
        """Return a document of the same file, or of another one that had its name."""
        other = self._documents.at(item.uri)
        if (
            other is not None
            and other.document_id != item.document_id
            and other.document_id not in self._items
            and self._is_gone(other)
        ):
            row = known or other
            return Origin("changed", row, _with(row.given, item.given), False, other.document_id)
        given = _with(known.given if known is not None else {}, item.given)
        return Origin("changed", known, given)

    def _is_gone(self, row: DocumentRow | Named) -> bool:
        """Return whether a document has lost its file; a record has none to lose.

        An object is gone if the listing of this run lacks it.
        """
        if is_object(row.uri):
            return (
                row.document_id not in self._items
                and self._plan.covers(row.uri)
                and not self._plan.is_unreadable(row.uri)
            )
        return is_file(row.uri) and not any(
            leads_to(name, row.document_id) for name in (row.uri, *row.names)
        )

    def _has_other_content(self, row: DocumentRow) -> bool:
        item = self._items.get(row.document_id)
        if item is None:
            return False
        if item.source is not None:
            return self._fingerprint_of(item) != row.content_hash
        try:
            status = item.path.stat()
            if (status.st_mtime_ns, status.st_size) == (row.modified_ns, row.size_bytes):
                return False
            return self._fingerprint_of(item) != row.content_hash
        except OSError:
            return False


def _with(given: Metadata, changes: Edits) -> Metadata:
    return {key: value for key, value in {**given, **changes}.items() if value is not None}


def _has_file(uri: str) -> bool:
    return is_file(uri) or is_object(uri)


def _file_name(uri: str) -> str:
    return uri.rpartition("/")[2]


def _common_parts(one: str, other: str) -> int:
    """Return the number of equal parts at the end of two addresses."""
    pairs = zip(reversed(one.split("/")), reversed(other.split("/")), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
