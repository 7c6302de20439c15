"""Reranking: a model that reads query and passage together puts the first passages in order.

The first 50 hits that have text (a passage, or the caption of a picture or a sound) change
places among themselves. The places, and the scores that belong to the places, stay: so a
picture without words keeps its place and its score, scores still fall from the top, and a
score still says how likely a hit at this place is an answer. What the reranker thinks of
each hit is in its evidence, as the source ``rerank``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trawl.ranking import Fusion
from trawl.store import Snapshot
from trawl.types import RERANK, Evidence

MAX_RERANKED = 50
"""How many passages are read, at most: the first of the list."""

# Among so many hits the passages are looked for.
_LOOKED_AT = 200


class Reranker(Protocol):
    """What puts passages in order: `trawl.encoders.CrossEncoder`."""

    def logits(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Give float32 [N]: above 0 where a passage more likely answers than not."""
        ...


def rerank(
    reranker: Reranker, query: str, snapshot: Snapshot, fused: Fusion
) -> tuple[Fusion, tuple[str, ...]]:
    """Give the list with its first passages in the reranker's order, and notices.

    `query` is the words of the request; without any, nothing is reranked, and a notice
    says so. Raises `ModelError` where the model cannot be run.
    """
    if not query.strip():
        return fused, ("nothing was reranked: the query has no words",)
    rows = [int(row) for row in fused.rows[:_LOOKED_AT]]
    texts = {row: str(found["text"]) for row, found in snapshot.fields(rows, ["text"]).items()}
    places = [place for place, row in enumerate(rows) if texts[row].strip()][:MAX_RERANKED]
    if not places:
        return fused, ("nothing was reranked: no hit has text",)
    logits = reranker.logits(query, [texts[rows[place]] for place in places])
    order = np.argsort(-logits, kind="stable")
    joint = fused.rows.copy()
    joint[places] = fused.rows[places][order]
    said = {
        int(joint[places[rank]]): _evidence(rank + 1, float(logits[old]))
        for rank, old in enumerate(order.tolist())
    }

    def evidence_of(row: int) -> tuple[Evidence, ...]:
        found = fused.evidence_of(row)
        return (*found, said[row]) if row in said else found

    return Fusion(joint, fused.scores, fused.confidence, evidence_of), ()


def _evidence(rank: int, logit: float) -> Evidence:
    """What the reranker says: its probability as the similarity, its logit as calibrated."""
    return Evidence(RERANK, rank, float(np.exp(-np.logaddexp(0.0, -logit))), logit)
