"""The passage that cites a matching figure comes next to it."""

from __future__ import annotations

from typing import Any

from trawl.display import explanation
from trawl.ranking import Fused
from trawl.search.citing import with_citing


def _listed(*rows: tuple[int, float]) -> list[Fused]:
    return [Fused(row, score, ()) for row, score in rows]


def _fields(*documents: str) -> dict[int, dict[str, Any]]:
    """Return the fields of a passage 0, a passage 1 and a figure 2 of each document."""
    fields = {}
    for base, name in zip((0, 10), documents, strict=False):
        cited = [{"kind": "cited_by", "ordinal": 1, "label": "page 2"}]
        cites = [{"kind": "cites", "ordinal": 2, "label": "Figure 1"}]
        for place, (modality, links) in enumerate(
            [("text", None), ("text", cites), ("image", cited)]
        ):
            fields[base + place] = {
                "document_id": name, "modality": modality, "ordinal": place, "links": links,
            }  # fmt: skip
    return fields


def test_the_citing_passage_follows_its_figure() -> None:
    found = with_citing(_listed((2, 0.8), (0, 0.6), (10, 0.5), (1, 0.2)), _fields("a", "b"))
    assert [item.row for item in found] == [2, 1, 0, 10]
    assert found[1].score == 0.9 * 0.8
    assert "cites a figure or table that matches (rank 1" in explanation(0.72, found[1].evidence)


def test_a_better_passage_keeps_its_score() -> None:
    listed = _listed((1, 0.9), (2, 0.8), (0, 0.1))
    assert with_citing(listed, _fields("a")) == listed


def test_only_passages_that_were_found_are_raised() -> None:
    listed = _listed((2, 0.8), (0, 0.6), (11, 0.1))
    assert with_citing(listed, _fields("a", "b")) == listed
