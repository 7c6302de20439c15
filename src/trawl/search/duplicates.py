"""Near-duplicates among hits: noted, or collapsed under the best one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from trawl.likeness import Prints, same_picture, same_text
from trawl.ranking import Fused
from trawl.search.rows import Rows
from trawl.types import Modality, StoredChunk

# Items whose chunks are loaded together.
_LOADED = 50


class Seen:
    """The chunks of a list so far, to tell those that nearly repeat an earlier one."""

    def __init__(self) -> None:
        self._chunks: dict[Modality, list[StoredChunk]] = {}
        self._prints: dict[Modality, Prints] = {}

    def first_like(self, chunk: StoredChunk) -> StoredChunk | None:
        """Return the earlier chunk that a chunk nearly repeats; else remember it, and return None.

        Parts of one document do not repeat each other: passages overlap.
        """
        if not chunk.likeness:
            return None
        chunks = self._chunks.setdefault(chunk.modality, [])
        prints = self._prints.setdefault(chunk.modality, Prints())
        for place in prints.like(chunk.likeness):
            earlier = chunks[int(place)]
            if earlier.document_id != chunk.document_id and _same(earlier, chunk):
                return earlier
        chunks.append(chunk)
        prints.extend([chunk.likeness])
        return None


def _same(one: StoredChunk, other: StoredChunk) -> bool:
    if one.modality == "text":
        return same_text(one.text, other.text)
    return same_picture(one.likeness, other.likeness)


def duplicates_of(chunks: Iterable[StoredChunk]) -> dict[str, str]:
    """Return, for each chunk that nearly repeats an earlier one of a list, the earlier one's id."""
    seen = Seen()
    found = ((chunk.chunk_id, seen.first_like(chunk)) for chunk in chunks)
    return {chunk_id: like.chunk_id for chunk_id, like in found if like is not None}


def without_duplicates(
    items: Sequence[Fused], snapshot: Rows, enough: int
) -> tuple[list[Fused], Mapping[str, Sequence[StoredChunk]]]:
    """Return the first `enough` items that repeat no earlier one, and the others after them.

    The second value has the chunks left out, by the id of the chunk that they repeat.
    """
    seen = Seen()
    kept: list[Fused] = []
    left_out: dict[str, list[StoredChunk]] = {}
    for start in range(0, len(items), _LOADED):
        if len(kept) >= enough:
            kept += items[start:]
            break
        block = items[start : start + _LOADED]
        for item, chunk in zip(block, snapshot.take([one.row for one in block]), strict=True):
            like = seen.first_like(chunk)
            if like is None:
                kept.append(item)
            else:
                left_out.setdefault(like.chunk_id, []).append(chunk)
    return kept, left_out
