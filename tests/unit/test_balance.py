"""Shares and turns of the modalities, on lists whose right arrangement is known."""

from __future__ import annotations

import numpy as np
import pytest

from trawl.ranking import Fusion, balance, by_quota, deal_out, fuse
from trawl.types import Modality, Ranking


def listed(modalities: str) -> tuple[Fusion, dict[int, Modality]]:
    """A list given by its modalities' initials, best first."""
    names: dict[str, Modality] = {"t": "text", "i": "image", "a": "audio"}
    size = len(modalities)
    fused = fuse([Ranking("bm25", np.arange(size), np.linspace(9, 1, size, dtype=np.float32), 99)])
    return fused, {row: names[letter] for row, letter in enumerate(modalities)}


@pytest.mark.parametrize(
    ("given", "limit", "expected"),
    [
        ("ttttttiia", 6, "tttiia"),
        ("ttttttia", 6, "ttttia"),
        ("tttttt", 4, "tttt"),
        ("ttiittaa", 3, "tia"),
        ("itt", 9, "itt"),
        ("ttti", 0, ""),
    ],
)
def test_modalities_share_equally_and_leave_what_they_cannot_use(
    given: str, limit: int, expected: str
) -> None:
    fused, modality_of = listed(given)
    assert "".join(given[item.row] for item in balance(fused, modality_of, limit)) == expected


@pytest.mark.parametrize(
    ("limit", "quotas", "rows"),
    [
        (6, {"image": 2}, [0, 1, 2, 3, 6, 7]),
        (6, {"image": 2, "text": 1}, [0, 6, 7, 9]),
        (5, {"image": 5}, [6, 7, 8]),
        (3, {"text": 0}, [6, 7, 8]),
        (3, {"text": 0, "image": 1}, [6, 9]),
        (4, {}, [0, 1, 2, 3]),
    ],
)
def test_a_quota_is_kept_and_the_rest_goes_to_the_others(
    limit: int, quotas: dict[Modality, int], rows: list[int]
) -> None:
    fused, modality_of = listed("ttttttiiia")
    assert [item.row for item in by_quota(fused, modality_of, limit, quotas)] == rows


@pytest.mark.parametrize(
    ("given", "expected"),
    [("tttiia", "tiatit"), ("itt", "itt"), ("aaat", "ataa"), ("", "")],
)
def test_dealing_out_takes_the_modalities_in_turn(given: str, expected: str) -> None:
    fused, modality_of = listed(given)
    dealt = [item.row for item in deal_out(fused, modality_of)]
    assert "".join(given[row] for row in dealt) == expected
    assert sorted(dealt) == list(range(len(given)))
    for letter in given:
        own = [row for row in dealt if given[row] == letter]
        assert own == sorted(own)
