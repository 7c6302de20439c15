"""One hit for the same chunk of identical files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trawl.ranking import Fused
from trawl.search.rows import Rows
from trawl.types import StoredChunk

IsGone = Callable[[StoredChunk], bool]
"""Returns whether the file of a chunk is gone."""


def fields_of_copies(
    snapshot: Rows, rows: Sequence[int], columns: Sequence[str]
) -> dict[int, dict[str, Any]]:
    """Return some columns by row. The `document_id` is that of the first copy of its file."""
    copies = snapshot.copies
    fields = snapshot.fields(rows, [*columns, "ordinal"] if copies.places else columns)
    if copies.places:
        for values in fields.values():
            values["document_id"] = copies.first(values["document_id"])
    return fields


def without_copies(
    items: Sequence[Fused], fields: Mapping[int, Mapping[str, Any]]
) -> tuple[list[Fused], dict[int, list[Fused]]]:
    """Return the best item of each chunk, and its other copies by the row of that item."""
    best: dict[tuple[str, int], Fused] = {}
    copies: dict[int, list[Fused]] = {}
    kept = []
    for item in items:
        values = fields[item.row]
        if "ordinal" not in values:  # the library has no copies
            return list(items), {}
        first = best.setdefault((values["document_id"], values["ordinal"]), item)
        if first is item:
            kept.append(item)
        else:
            copies.setdefault(first.row, []).append(item)
    return kept, copies


def living(
    chunk: StoredChunk, copies: Sequence[Fused], snapshot: Rows, is_gone: IsGone
) -> tuple[StoredChunk, bool]:
    """Return a chunk, or a copy of it if only the copy's file exists, and whether all are gone."""
    if not is_gone(chunk):
        return chunk, False
    for other in snapshot.take([item.row for item in copies]):
        if not is_gone(other):
            return other, False
    return chunk, True
