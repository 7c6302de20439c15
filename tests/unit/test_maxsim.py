"""Late interaction: sets of vectors, their pooling and their similarity."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from trawl import maxsim

PARTS, WIDTH = 8, 12


def _rows(random: np.random.Generator, count: int) -> NDArray[np.float32]:
    rows = random.standard_normal((count, WIDTH)).astype(np.float32)
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def _flat(random: np.random.Generator, count: int) -> NDArray[np.float32]:
    return maxsim.joined(maxsim.pooled(_rows(random, count), PARTS), PARTS)


def test_similarities_are_means_of_the_best_cosines() -> None:
    random = np.random.default_rng(1)
    queries = [_rows(random, count) for count in (1, 3, PARTS)]
    documents = [_rows(random, PARTS) for _ in range(5)]
    found = maxsim.similarities(
        np.stack([maxsim.joined(query, PARTS) for query in queries]),
        np.stack([maxsim.joined(document, PARTS) for document in documents]),
        PARTS,
    )
    for row, query in enumerate(queries):
        for column, document in enumerate(documents):
            best = [max(float(q @ d) for d in document) for q in query]
            assert found[row, column] == pytest.approx(np.mean(best), abs=1e-5)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    documents = np.stack([_flat(random, 20) for _ in range(30)])
    whole = maxsim.similarities(documents[:4], documents, PARTS)
    monkeypatch.setattr(maxsim, "_BLOCK", 3 * PARTS)
    assert np.allclose(maxsim.similarities(documents[:4], documents, PARTS), whole, atol=1e-6)
    assert np.allclose(np.diag(whole), 1, atol=1e-5), "an item and itself"


def test_one_part_is_a_cosine() -> None:
    random = np.random.default_rng(3)
    queries, documents = _rows(random, 3), _rows(random, 4)
    assert np.allclose(maxsim.similarities(queries, documents, 1), queries @ documents.T)


@pytest.mark.parametrize("count", [1, PARTS - 1, PARTS, PARTS + 1, 200])
def test_pooling_gives_the_same_number_of_unit_vectors(count: int) -> None:
    rows = _rows(np.random.default_rng(4), count)
    pooled = maxsim.pooled(rows, PARTS)
    assert pooled.shape == (PARTS, WIDTH)
    assert np.allclose(np.linalg.norm(pooled, axis=1), 1, atol=1e-5)
    assert (pooled == maxsim.pooled(rows.copy(), PARTS)).all()
    if count <= PARTS:
        query = _rows(np.random.default_rng(5), 4)
        assert np.allclose((query @ pooled.T).max(axis=1), (query @ rows.T).max(axis=1))


def test_pooling_of_an_even_page_and_of_few_kinds() -> None:
    one = _rows(np.random.default_rng(6), 1)
    assert np.allclose(maxsim.pooled(np.repeat(one, 50, axis=0), PARTS), one, atol=1e-6)
    kinds = _rows(np.random.default_rng(7), 3)
    mixed = np.concatenate([np.repeat(kinds[:1], 60, axis=0), kinds[1:]])
    pooled = maxsim.pooled(mixed, PARTS)
    assert np.allclose(np.linalg.norm(pooled, axis=1), 1, atol=1e-5)
    assert np.allclose((kinds @ pooled.T).max(axis=1), 1, atol=1e-5), "no kind is lost"


def test_similar_vectors_are_pooled_together() -> None:
    random = np.random.default_rng(8)
    centres = _rows(random, PARTS)
    rows = np.repeat(centres, 30, axis=0) + 0.02 * random.standard_normal((30 * PARTS, WIDTH))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    pooled = maxsim.pooled(rows, PARTS)
    assert (centres @ pooled.T).max(axis=1).min() > 0.99


def test_a_query_of_several_items_is_their_weighted_mean() -> None:
    random = np.random.default_rng(9)
    long, short = (maxsim.joined(_rows(random, count), PARTS) for count in (7, 2))
    documents = np.stack([_flat(random, 30) for _ in range(6)])
    alone = maxsim.similarities(np.stack([long, short]), documents, PARTS)
    both = maxsim.combined([(long, 3.0), (short, 1.0)], WIDTH)
    assert np.linalg.norm(both) == pytest.approx(1, abs=1e-5)
    found = maxsim.similarities(both[None], documents, PARTS)[0]
    assert np.allclose(found, 0.75 * alone[0] + 0.25 * alone[1], atol=1e-5)
