"""The documents whose files have the same content."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import lance
import pyarrow as pa
import pyarrow.compute as pc

from trawl.types import Place


@dataclass(frozen=True, slots=True)
class Copies:
    """The places of each document whose file has copies, by document id, ordered by `uri`."""

    places: Mapping[str, tuple[Place, ...]] = field(default_factory=dict)

    def first(self, document_id: str) -> str:
        """Return the id that stands for a document and all its copies."""
        places = self.places.get(document_id)
        return places[0].document_id if places else document_id

    def others(self, document_id: str) -> tuple[Place, ...]:
        """Return the other places of a document's content."""
        found = self.places.get(document_id, ())
        return tuple(place for place in found if place.document_id != document_id)


def find_copies(chunks: lance.LanceDataset) -> Copies:
    """Return the copies in a version of ``chunks``."""
    # Two scans, since most libraries have few copies, and addresses are long.
    contents = chunks.to_table(columns=["content"], filter=_FIRST)["content"]
    counts = pc.value_counts(contents.combine_chunks())
    repeated = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    if not len(repeated):
        return Copies()
    table = chunks.to_table(columns=["content", "document_id", "uri"], filter=_FIRST)
    found: dict[str, list[Place]] = defaultdict(list)
    copies: pa.Table = table.filter(pc.is_in(table["content"], repeated)).sort_by("uri")
    for row in copies.to_pylist():
        found[row["content"]].append(Place(row["document_id"], row["uri"]))
    groups = {content: tuple(places) for content, places in found.items()}
    return Copies({place.document_id: group for group in groups.values() for place in group})


_FIRST = "ordinal = 0 AND content <> ''"
