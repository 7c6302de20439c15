"""Vectors in memory: what is nearest, by codes and then exactly."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trawl.store import codes as store_codes
from trawl.store.codes import CodedVectors
from trawl.store.products import Codes, Products

HERE = Path("/tmp")


def unit_vectors(count: int, seed: int = 0, dimension: int = 64) -> np.ndarray:
    """Vectors as models make them: few directions vary most, one is far from 0 in all."""
    draw = np.random.default_rng(seed)
    scales = 1 / np.sqrt(1 + np.arange(dimension))
    found = draw.standard_normal((count, dimension)) * scales + 0.2
    found[:, 7] += 2
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def exactly(rows: np.ndarray, vectors: np.ndarray, query: np.ndarray, limit: int) -> np.ndarray:
    return rows[np.lexsort((rows, -(vectors @ query)))[:limit]]


def parts(rows: np.ndarray, vectors: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(rows), 3_000):
        yield rows[start : start + 3_000], vectors[start : start + 3_000]


def coded(rows: np.ndarray, vectors: np.ndarray, directory: Path = HERE) -> CodedVectors:
    return CodedVectors.of(parts(rows, vectors), vectors.shape[1], directory)


@pytest.mark.parametrize("count", [0, 1, 7, 3_000])
def test_few_are_compared_as_they_are(count: int) -> None:
    vectors, query = unit_vectors(count), unit_vectors(1, seed=9)[0]
    rows = np.arange(count, dtype=np.int64) * 3
    found, similarities = coded(rows, vectors).nearest(query, 10)
    assert found.tolist() == exactly(rows, vectors, query, 10).tolist()
    assert np.all(np.diff(similarities) <= 0)
    assert np.allclose(similarities, vectors[found // 3] @ query, atol=1e-6)


@pytest.mark.parametrize("dimension", [64, 100, 7 * 32])
def test_many_are_found_by_their_codes_with_exact_similarities(
    dimension: int, tmp_path: Path
) -> None:
    vectors = unit_vectors(20_000, dimension=dimension)
    rows = np.random.default_rng(1).permutation(20_000).astype(np.int64)
    index = coded(rows, vectors, tmp_path)
    assert index.blocks[0].products is not None
    assert not list(tmp_path.iterdir())  # the file has no name
    where = np.argsort(rows)
    hits = 0
    for query in unit_vectors(50, seed=5, dimension=dimension):
        found, similarities = index.nearest(query, 20)
        assert np.allclose(similarities, vectors[where[found]] @ query, atol=1e-5)
        hits += len(set(found.tolist()) & set(exactly(rows, vectors, query, 20).tolist()))
    assert hits / (50 * 20) > 0.98


def test_a_directory_that_is_not_there_is_replaced_by_that_for_temporary_files() -> None:
    vectors, rows = unit_vectors(5_000), np.arange(5_000, dtype=np.int64)
    index = coded(rows, vectors, Path("/nowhere/at/all"))
    assert index.nearest(vectors[3], 1)[0].tolist() == [3]


def test_what_has_gone_is_not_found_and_what_came_is() -> None:
    vectors = unit_vectors(6_000)
    rows = np.arange(6_000, dtype=np.int64)
    index = coded(rows[:5_000], vectors[:5_000])
    for start in range(5_000, 6_000, 100):
        index = index.with_more(parts(rows[start : start + 100], vectors[start : start + 100]))
    assert index.with_more(parts(rows[:0], vectors[:0])) is index
    assert len(index.blocks) <= 4
    query = vectors[5_950]
    assert index.nearest(query, 1)[0].tolist() == [5_950]
    index = index.keeping([block.rows % 2 == 1 for block in index.blocks])
    found, _ = index.nearest(query, 50)
    assert len(found) == 50
    assert np.all(found % 2 == 1)
    assert len(index.nearest(query, 10_000)[0]) == 3_000
    # Blocks are joined without what has gone.
    index = index.with_more(parts(rows[:3_000:2] + 10_000, unit_vectors(1_500, seed=3)))
    assert all(block.deleted is None for block in index.blocks[1:])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.integers(1, 60))
def test_only_what_is_allowed_is_found(seed: int, share: float, limit: int) -> None:
    draw = np.random.default_rng(seed)
    allowed = ROWS[draw.random(len(ROWS)) < share]
    query = unit_vectors(1, seed=seed)[0]
    found, _ = INDEX.nearest(query, limit, allowed)
    assert set(found.tolist()) <= set(allowed.tolist())
    assert len(found) == min(limit, len(allowed))
    if len(allowed) < 8_000:
        assert found.tolist() == exactly(allowed, VECTORS[allowed // 2], query, limit).tolist()


VECTORS, ROWS = unit_vectors(20_000), np.arange(20_000, dtype=np.int64) * 2
INDEX = coded(ROWS, VECTORS)


def test_rows_out_of_order_are_filtered_alike() -> None:
    rows = np.random.default_rng(2).permutation(20_000).astype(np.int64)
    allowed = np.arange(0, 20_000, 50)
    found, _ = coded(rows, VECTORS).nearest(VECTORS[0], 5, allowed)
    vectors = VECTORS[np.argsort(rows)][allowed]
    assert found.tolist() == exactly(allowed, vectors, VECTORS[0], 5).tolist()


def test_it_is_read_anew_when_most_is_gone() -> None:
    vectors, rows = unit_vectors(15_000), np.arange(15_000, dtype=np.int64)
    index = coded(rows[:5_000], vectors[:5_000])
    assert not index.stale
    index = index.with_more(parts(rows[5_000:], vectors[5_000:]))
    assert not index.stale
    assert index.keeping([block.rows > 10_000 for block in index.blocks]).stale


def test_products_are_those_of_the_codes_whoever_asks_at_the_same_time() -> None:
    vectors = unit_vectors(9_000, dimension=40)
    codes = Codes.of(vectors)
    numbers = np.stack([codes.packed & 15, codes.packed >> 4], axis=-1).astype(np.float32) - 8
    decoded = (numbers.reshape(9_000, 2, 32) * codes.scales[:, :, None]).reshape(9_000, 64)
    assert np.abs(decoded[:, :40] - vectors).max() <= codes.scales.max() / 2 * 1.001
    assert not decoded[:, 40:].any()
    products = Products(codes, threads=2)
    queries = list(unit_vectors(64, seed=3, dimension=40))
    with ThreadPoolExecutor(8) as threads:
        for query, found in zip(queries, threads.map(products.times, queries), strict=True):
            assert np.allclose(found, decoded[:, :40] @ query, atol=0.02)


def test_vectors_of_nothing_but_zeros_have_codes() -> None:
    codes = Codes.of(np.zeros((3, 32), np.float32))
    assert (codes.packed == 0x88).all()
    assert not codes.scales.any()


def test_recall_is_measured_and_candidates_added_until_it_is_high(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors = unit_vectors(20_000)
    rows = np.arange(20_000)
    found = coded(rows, vectors)
    assert found.measured_at == 0
    usual = found.measured()
    assert usual.recall >= 0.99
    assert usual.measured_at == 20_000
    assert usual.measured() is usual, "as many vectors as before"

    monkeypatch.setattr(store_codes, "_MIN_CANDIDATES", 1)
    few = replace(found, per_hit=1)
    monkeypatch.setattr(store_codes, "_MOST_PER_HIT", 1)
    low = few.measured()
    assert low.recall < 0.99
    query = vectors[5]
    true = set(exactly(rows, vectors, query, 10).tolist())
    monkeypatch.setattr(store_codes, "_MOST_PER_HIT", 64)
    raised = few.measured()
    assert raised.per_hit > 1
    assert raised.recall >= 0.99
    assert len(true & set(raised.nearest(query, 10)[0].tolist())) >= 9

    more = raised.with_more(parts(np.arange(20_000, 24_000), unit_vectors(4_000, seed=2)))
    assert (more.per_hit, more.recall) == (raised.per_hit, raised.recall)
    assert more.measured() is more, "a fifth more"
    most = more.with_more(parts(np.arange(24_000, 30_000), unit_vectors(6_000, seed=3)))
    assert most.measured().measured_at == 30_000


def test_recall_of_equal_and_of_deleted_vectors() -> None:
    vectors = np.repeat(unit_vectors(200), 50, axis=0)
    found = coded(np.arange(10_000), vectors).measured()
    assert found.recall == 1.0, "any of the equal ones will do"
    keep = np.arange(10_000) % 3 > 0
    assert replace(found.keeping([keep]), measured_at=0).measured().recall == 1.0


def test_few_vectors_are_compared_exactly() -> None:
    found = coded(np.arange(500), unit_vectors(500))
    assert found.measured() is found
    assert found.recall == 1.0
