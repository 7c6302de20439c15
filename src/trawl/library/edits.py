"""Changes of metadata, as a JSON merge patch (RFC 7396) has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trawl.readers.values import flat_metadata
from trawl.types import Edits


def typed_edits(changes: Mapping[str, Any]) -> Edits:
    """Give changes as the library has them: dotted keys, typed values, None for what goes.

    Nested objects are flattened, and values typed, as metadata from beside a file are.
    Raises `MetadataError` for a value that no column can hold.
    """
    return {**flat_metadata(changes), **dict.fromkeys(_taken_away(changes, ""))}


def _taken_away(changes: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, value in changes.items():
        if isinstance(value, Mapping):
            yield from _taken_away(value, f"{prefix}{name}.")
        elif value is None:
            yield f"{prefix}{name}"
