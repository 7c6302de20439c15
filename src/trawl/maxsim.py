"""Similarity of items that are one vector each, or several: late interaction.

An item of a space with several `parts` is a set of unit vectors, stored as one flat unit vector.
Each vector of a query is compared with all of a document, and counts by its best one (MaxSim;
Khattab and Zaharia, ColBERT, 2020). The similarity is the mean over the query's vectors, so it is
1 for an item and itself, like a cosine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trawl.types import Vectors

_ROUNDS = 10
# Vectors of documents that are multiplied at once, which bounds the memory of the products.
_BLOCK = 65_536


def rows_of(flat: NDArray[np.float32], width: int) -> Vectors:
    """Return the vectors of one flat item, float32 [N, width], without rows of zeros.

    Their lengths are in proportion to their weights.
    """
    rows = flat.reshape(-1, width)
    kept: Vectors = rows[rows.any(axis=1)]
    return kept


def joined(rows: NDArray[np.float32], parts: int) -> NDArray[np.float32]:
    """Return up to `parts` unit vectors [N, D] as one flat unit vector [parts * D]."""
    flat = np.zeros((parts, rows.shape[1]), np.float32)
    flat[: len(rows)] = rows / np.float32(np.sqrt(len(rows)))
    return flat.ravel()


def pooled(rows: NDArray[np.float32], parts: int) -> Vectors:
    """Return exactly `parts` unit vectors that stand for the unit vectors [N, D] of a document.

    Of more than `parts`, similar ones are averaged: spherical k-means, which starts from vectors
    in equal distances and gives the same result each time. Of fewer, the last is repeated, which
    changes no similarity.
    """
    if len(rows) <= parts:
        return np.concatenate([rows, np.repeat(rows[-1:], parts - len(rows), axis=0)])
    centres: Vectors = rows[np.linspace(0, len(rows) - 1, parts).astype(int)]
    nearest = np.zeros(len(rows), np.int64)
    for _ in range(_ROUNDS):
        similarities = rows @ centres.T
        before, nearest = nearest, similarities.argmax(axis=1)
        # A centre without vectors takes the one that is farthest from its own.
        empty = np.flatnonzero(np.bincount(nearest, minlength=parts) == 0)
        farthest = np.argsort(similarities.max(axis=1), kind="stable")[: len(empty)]
        nearest[farthest] = empty
        if (nearest == before).all():
            break
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, rows)
        left = np.bincount(nearest, minlength=parts) == 0
        sums[left] = centres[left]
        centres = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.float32(1e-12))
    return centres


def combined(
    queries: Sequence[tuple[NDArray[np.float32], float]], width: int
) -> NDArray[np.float32]:
    """Return flat queries with their weights as one, float32 [N * width], of unit length.

    Its similarity to a document is the weighted mean of theirs.
    """
    scaled = []
    for query, weight in queries:
        rows = query.reshape(-1, width)
        scaled.append(rows * (weight / float(np.linalg.norm(rows, axis=1).sum())))
    flat = np.concatenate(scaled).reshape(-1)
    unit: NDArray[np.float32] = flat / np.linalg.norm(flat)
    return unit


def similarities(
    queries: NDArray[np.float32], documents: NDArray[np.float32], parts: int
) -> NDArray[np.float32]:
    """Return the similarities, float32 [Q, N], of flat queries [Q, D] and documents [N, D].

    With one part they are cosines.
    """
    if parts == 1:
        cosines: NDArray[np.float32] = queries @ documents.T
        return cosines
    found = np.zeros((len(queries), len(documents)), np.float32)
    width = documents.shape[1] // parts
    step = max(1, _BLOCK // parts)
    for start in range(0, len(documents), step):
        some = documents[start : start + step].reshape(-1, width) * np.float32(np.sqrt(parts))
        for place, query in enumerate(queries):
            rows = rows_of(query, width)
            best = (rows @ some.T).reshape(len(rows), -1, parts).max(axis=2)
            weight = np.linalg.norm(rows, axis=1).sum()
            found[place, start : start + step] = best.sum(axis=0) / weight
    return found
