"""Vectors in memory: what is nearest, by the telling dimensions first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trawl.store.heads import Heads

DIMENSION = 64


def unit_vectors(count: int, seed: int = 0) -> np.ndarray:
    """Vectors as models give them: a few directions tell most, and all lean to one side."""
    draw = np.random.default_rng(seed)
    scales = 1 / np.sqrt(1 + np.arange(DIMENSION))
    found = draw.standard_normal((count, DIMENSION)) * scales + 0.2
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def exactly(rows: np.ndarray, vectors: np.ndarray, query: np.ndarray, limit: int) -> np.ndarray:
    return rows[np.lexsort((rows, -(vectors @ query)))[:limit]]


@pytest.mark.parametrize("count", [0, 1, 7, 3_000])
def test_few_are_compared_as_they_are(count: int) -> None:
    vectors, query = unit_vectors(count), unit_vectors(1, seed=9)[0]
    rows = np.arange(count, dtype=np.int64) * 3
    found, similarities = Heads.of(rows, vectors).nearest(query, 10)
    assert found.tolist() == exactly(rows, vectors, query, 10).tolist()
    assert np.all(np.diff(similarities) <= 0)
    assert np.allclose(similarities, vectors[found // 3] @ query, atol=1e-6)


def test_many_are_found_by_their_heads_with_exact_similarities() -> None:
    vectors = unit_vectors(20_000)
    rows = np.random.default_rng(1).permutation(20_000).astype(np.int64)
    heads = Heads.of(rows, vectors)
    assert heads.axes is not None
    assert heads.head < DIMENSION
    where = np.argsort(rows)
    hits = 0
    for query in unit_vectors(50, seed=5):
        found, similarities = heads.nearest(query, 20)
        assert np.allclose(similarities, vectors[where[found]] @ query, atol=1e-5)
        hits += len(set(found.tolist()) & set(exactly(rows, vectors, query, 20).tolist()))
    assert hits / (50 * 20) > 0.97


def test_what_has_gone_is_not_found_and_what_came_is() -> None:
    vectors = unit_vectors(6_000)
    rows = np.arange(6_000, dtype=np.int64)
    heads = Heads.of(rows[:5_000], vectors[:5_000])
    for start in range(5_000, 6_000, 100):
        heads = heads.with_more(rows[start : start + 100], vectors[start : start + 100])
    assert len(heads.blocks) <= 4
    query = vectors[5_950]
    assert heads.nearest(query, 1)[0].tolist() == [5_950]
    heads = heads.keeping([block.rows % 2 == 1 for block in heads.blocks])
    found, _ = heads.nearest(query, 50)
    assert len(found) == 50
    assert np.all(found % 2 == 1)
    # Blocks are joined without what has gone.
    heads = heads.with_more(rows[:3_000:2] + 10_000, unit_vectors(1_500, seed=3))
    assert all(block.deleted is None for block in heads.blocks[1:])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.integers(1, 60))
def test_only_what_is_allowed_is_found(seed: int, share: float, limit: int) -> None:
    draw = np.random.default_rng(seed)
    vectors = unit_vectors(5_000)
    rows = np.arange(5_000, dtype=np.int64) * 2
    allowed = rows[draw.random(5_000) < share]
    found, _ = HEADS.nearest(unit_vectors(1, seed=seed)[0], limit, allowed)
    assert set(found.tolist()) <= set(allowed.tolist())
    assert len(found) == min(limit, len(allowed))
    if 0 < len(allowed) < 1_000:
        chosen = exactly(allowed, vectors[allowed // 2], unit_vectors(1, seed=seed)[0], limit)
        assert found.tolist() == chosen.tolist()


HEADS = Heads.of(np.arange(5_000, dtype=np.int64) * 2, unit_vectors(5_000))


def test_it_is_laid_out_anew_when_most_is_new_or_gone() -> None:
    vectors, rows = unit_vectors(25_000), np.arange(25_000, dtype=np.int64)
    heads = Heads.of(rows[:5_000], vectors[:5_000])
    assert not heads.stale
    assert heads.with_more(rows[5_000:], vectors[5_000:]).stale
    assert heads.keeping([heads.blocks[0].rows > 4_500]).stale
