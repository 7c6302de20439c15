"""Reranking: a cross-encoder reads query and passage together and reorders the first passages.

The first 50 hits with text (a passage, or the caption of a picture or a sound) change
places among themselves. Each place keeps its score, so scores still fall from the top and
remain probabilities; hits without text keep their place. The cross-encoder's own score
is in each hit's evidence, as the source ``rerank``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trawl.display import RERANK
from trawl.ranking import Fusion
from trawl.search.rows import Rows
from trawl.types import Evidence

MAX_RERANKED = 50
"""The number of passages that are reranked, at most."""

# Passages are taken from the first hits, up to this place.
_LOOKED_AT = 200


class Reranker(Protocol):
    """The interface of `trawl.encoders.CrossEncoder`."""

    def logits(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 [N]: above 0 for passages that probably answer the query."""
        ...


def rerank(
    reranker: Reranker, query: str, snapshot: Rows, fused: Fusion
) -> tuple[Fusion, tuple[str, ...]]:
    """Return the list with its first passages reranked, and notices.

    If `query` is blank or no hit has text, the list is returned as it is, with a notice.
    Raises `ModelError` if the model cannot be run.
    """
    if not query.strip():
        return fused, ("not reranked: the query has no text",)
    rows = [int(row) for row in fused.rows[:_LOOKED_AT]]
    texts = {row: str(values["text"]) for row, values in snapshot.fields(rows, ["text"]).items()}
    places = [place for place, row in enumerate(rows) if texts[row].strip()][:MAX_RERANKED]
    if not places:
        return fused, ("not reranked: no hit has text",)
    logits = reranker.logits(query, [texts[rows[place]] for place in places])
    order = np.argsort(-logits, kind="stable")
    joint = fused.rows.copy()
    joint[places] = fused.rows[places][order]
    reranked = {
        int(joint[places[rank]]): _evidence(rank + 1, float(logits[old]))
        for rank, old in enumerate(order.tolist())
    }

    def evidence_of(row: int) -> tuple[Evidence, ...]:
        evidence = fused.evidence_of(row)
        return (*evidence, reranked[row]) if row in reranked else evidence

    reordered = Fusion(joint, fused.scores, fused.confidence, evidence_of, fused.by_probability)
    return reordered, ()


def _evidence(rank: int, logit: float) -> Evidence:
    """Return the evidence: the probability as similarity, the logit as calibrated."""
    return Evidence(RERANK, rank, float(np.exp(-np.logaddexp(0.0, -logit))), logit)
