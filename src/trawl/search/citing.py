"""Bring the passage that cites a figure next to the figure.

A question in the words of a caption finds the figure. The passage that explains the figure often
has other words, so its score comes from the figure's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from trawl.display import CITATION
from trawl.ranking import Fused, Fusion
from trawl.search.rows import Rows
from trawl.types import Evidence

COLUMNS = ("document_id", "modality", "links")
"""The columns of ``chunks`` that `with_citing` reads."""

# A passage about a figure answers a question that the figure answers, only a little less surely.
_SHARE = 0.9
# Figures whose passages are looked up, each of another document.
_FIGURES = 3


def with_citing(
    items: Sequence[Fused],
    fields: dict[int, dict[str, Any]],
    fused: Fusion,
    snapshot: Rows,
    columns: Sequence[str],
) -> list[Fused]:
    """Raise the best passage that cites each of the first figures and tables.

    Its score becomes nine tenths of the figure's, if it is lower. Passages are raised that are
    among the candidates, `fused`, and so match the filters. Returns the items, best first, and
    adds the `columns` of the raised ones to `fields`.
    """
    figures = _figures(items, fields)
    ids = [name for _, names in figures.values() for name in names]
    rows = snapshot.rows_of(ids) if ids else {}
    places = _places(fused, list(rows.values()))
    raised: dict[int, Fused] = {}
    for rank, names in figures.values():
        found = [places[rows[name]] for name in names if rows.get(name) in places]
        if not found:
            continue
        figure, best = items[rank - 1], fused[min(found)]
        if _SHARE * figure.score > best.score:
            by = Evidence(CITATION, rank, figure.score, 0.0)
            score = _SHARE * figure.score
            raised[best.row] = replace(best, score=score, further=(by,))
    if not raised:
        return list(items)
    fields |= snapshot.fields([row for row in raised if row not in fields], columns)
    others = [item for item in items if item.row not in raised]
    return sorted([*others, *raised.values()], key=lambda item: -item.score)


def _figures(
    items: Sequence[Fused], fields: Mapping[int, Mapping[str, Any]]
) -> dict[str, tuple[int, list[str]]]:
    """Return the rank of the first figure of a document, and the chunks that cite it."""
    found: dict[str, tuple[int, list[str]]] = {}
    for rank, item in enumerate(items, start=1):
        row = fields[item.row]
        names = [
            f"{row['document_id']}:{link['ordinal']}"
            for link in row["links"] or ()
            if link["kind"] == "cited_by"
        ]
        if names and len(found) < _FIGURES:
            found.setdefault(row["document_id"], (rank, names))
    return found


def _places(fused: Fusion, rows: Sequence[int]) -> dict[int, int]:
    """Return the places of some rows in the list."""
    at = np.flatnonzero(np.isin(fused.rows, rows))
    return {int(fused.rows[place]): int(place) for place in at}
