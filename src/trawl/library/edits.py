"""What a caller may edit of a document: its title, caption and metadata."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from trawl.errors import MetadataError, UsageError
from trawl.library.inputs import as_mapping, kind_of
from trawl.readers.values import flat_metadata
from trawl.store import BUILT_IN_COLUMNS, DocumentRow
from trawl.types import Edits
from trawl.values import with_items

_RESERVED = tuple(sorted(BUILT_IN_COLUMNS.keys() - {"title"}))
_MOST_CHARACTERS = {"title": 1_000, "caption": 10_000}


class EditRequest:
    """A checked request to edit a document. `on` returns its edits for a document.

    `changes` is a JSON merge patch (RFC 7396): dotted keys or nested objects, None to remove a
    key. `add` and `remove` map keys to items of lists. Raises `UsageError` for a reserved key,
    and `MetadataError` if a value has no type of the library.
    """

    def __init__(
        self,
        changes: Mapping[str, Any] | None,
        add: Mapping[str, Any] | None,
        remove: Mapping[str, Any] | None,
    ) -> None:
        self._edits = metadata_edits(as_mapping(changes, "changes"))
        self._added = _items(as_mapping(add, "add"))
        self._removed = _items(as_mapping(remove, "remove"))
        both = self._edits.keys() & (self._added.keys() | self._removed.keys())
        if both:
            raise UsageError(f"{min(both)!r} is both set, and added to or removed from")

    def on(self, row: DocumentRow) -> Edits:
        """Return the edits for a document, with its lists changed."""
        lists: Edits = {}
        for key in {**self._added, **self._removed}:
            value = row.metadata.get(key)
            items = with_items(value, self._added.get(key, ()), self._removed.get(key, ()))
            if items != value:
                lists[key] = items
        return {**self._edits, **lists}


def metadata_edits(changes: Mapping[str, Any]) -> Edits:
    """Return a JSON merge patch as edits: dotted keys, typed values, None to remove a key.

    Values are typed in the same way as a file's metadata. Raises what `EditRequest` raises.
    """
    texts = {key: changes[key] for key in _MOST_CHARACTERS if key in changes}
    texts = {key: text for key, text in texts.items() if not isinstance(text, Mapping)}
    others = {key: value for key, value in changes.items() if key not in texts}
    _check_keys(others)
    return {
        **flat_metadata(others),
        **dict.fromkeys(_deleted_keys(others, "")),
        **{key: _line(key, text) for key, text in texts.items()},
    }


def _check_keys(keys: Iterable[str]) -> None:
    for key in keys:
        if key in _RESERVED:
            raise UsageError(
                f"{key!r} cannot be edited: it comes from the file. Reserved names are "
                f"{', '.join(_RESERVED)}; use another key"
            )


def _line(key: str, text: object) -> str | None:
    """Return a title or caption as one line, or None to restore the file's."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise MetadataError(f"the {key} must be text, not {kind_of(text)}")
    line = " ".join(text.split())
    if len(line) > _MOST_CHARACTERS[key]:
        raise MetadataError(
            f"the {key} has {len(line):,} characters; the maximum is {_MOST_CHARACTERS[key]:,}"
        )
    if any("\ud800" <= letter <= "\udfff" for letter in line):
        raise MetadataError(f"the {key} is not valid Unicode: it contains a lone surrogate")
    if key == "title" and not line:
        raise MetadataError("the title is empty; None restores the file's")
    return line


def _items(changes: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the items to add or to remove as text, by key."""
    _check_keys(changes)
    for key in _MOST_CHARACTERS:
        if key in changes:
            raise UsageError(f"the {key} is not a list; set it")
    lists = {
        key: list(items) if isinstance(items, list | tuple | set) else [items]
        for key, items in changes.items()
    }
    return {
        key: list(items) if isinstance(items, list) else []
        for key, items in flat_metadata(lists).items()
    }


def _deleted_keys(changes: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, value in changes.items():
        if isinstance(value, Mapping):
            yield from _deleted_keys(value, f"{prefix}{name}.")
        elif value is None:
            yield f"{prefix}{name}"
