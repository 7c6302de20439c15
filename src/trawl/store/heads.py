"""Vectors in memory, searched without the engine: the telling dimensions first, then all.

A few thousand are multiplied with the query as they are. More are turned onto their principal
axes, which leaves every inner product as it is, and kept in two parts: the head, those axes that
hold most of the vectors' variance, and the tail. A query is multiplied with all heads; with the
tails of those alone that are then among the best ten times `limit`. So similarities are exact,
and only candidates can be missed (docs/benchmarks.md has the recall).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Event, Lock

import numpy as np
from numpy.typing import NDArray

from trawl.types import Vectors

_TURNED_FROM = 4_096
_SHARE = 0.7
"""The share of the vectors' variance that heads hold at the least."""

_LEAST = 32

_CANDIDATES_A_HIT = 10
_SHARED_FROM = 8_192
_SHARED_AT_MOST = 16
_SAMPLE = 8_192
_SAMPLED_EVERY = 16

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]


class Products:
    """A matrix, float32 [N, H], times queries. Safe to ask from several threads.

    To read the matrix is most of a product's cost: those who ask while one is being made
    share the next.
    """

    def __init__(self, matrix: Floats) -> None:
        self.matrix = matrix
        self._mutex = Lock()
        self._is_made = False
        self._waiting: list[_Wanted] = []

    def times(self, query: Floats) -> Floats:
        """Give float32 [N], which is the caller's own."""
        if len(self.matrix) < _SHARED_FROM:
            return np.asarray(self.matrix @ query)
        wanted = _Wanted(query)
        with self._mutex:
            self._waiting.append(wanted)
            makes, self._is_made = not self._is_made, True
        if not makes:
            wanted.called.wait()
        if wanted.product is None:  # called to make it, for all who wait
            try:
                self._make(wanted)
            finally:
                self._call_next()
        assert wanted.product is not None
        return wanted.product

    def _make(self, own: _Wanted) -> None:
        with self._mutex:
            self._waiting.remove(own)
            batch = [own, *self._waiting[: _SHARED_AT_MOST - 1]]
            del self._waiting[: _SHARED_AT_MOST - 1]
        if len(batch) == 1:
            own.product = self.matrix @ own.query
            return
        try:
            # This way round: the other, which gives rows at once, takes half as much again.
            products = np.ascontiguousarray(
                (self.matrix @ np.stack([wanted.query for wanted in batch]).T).T
            )
        except BaseException:
            with self._mutex:  # the others try for themselves
                self._waiting[:0] = batch[1:]
            raise
        for wanted, product in zip(batch, products, strict=True):
            wanted.product = product
            wanted.called.set()

    def _call_next(self) -> None:
        """Let the first who waits make the next product; nobody does where none waits."""
        with self._mutex:
            if self._waiting:
                self._waiting[0].called.set()
            else:
                self._is_made = False


@dataclass(slots=True, eq=False)
class _Wanted:
    query: Floats
    product: Floats | None = None
    called: Event = field(default_factory=Event)


@dataclass(frozen=True, slots=True)
class Block:
    """Vectors that came together: heads float32 [N, H], tails float32 [N, D - H].

    `rows` is int64 [N], the ids of their rows; `gone` bool [N] tells which of them are in
    the library no longer, and is None where all are.
    """

    rows: Rows
    heads: Floats
    tails: Floats
    gone: NDArray[np.bool_] | None = None
    products: Products = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "products", Products(self.heads))

    @classmethod
    def joined(cls, blocks: list[Block]) -> Block:
        """Make one of several, without what has gone."""
        live = [block._live() for block in blocks]
        return cls(
            np.concatenate([block.rows for block in live]),
            np.concatenate([block.heads for block in live]),
            np.concatenate([block.tails for block in live]),
        )

    def without(self, gone: NDArray[np.bool_]) -> Block:
        """Give this block, where those of `gone` [N] have gone."""
        return replace(self, gone=gone if gone.any() else None)

    def _live(self) -> Block:
        if self.gone is None:
            return self
        there = ~self.gone
        return Block(self.rows[there], self.heads[there], self.tails[there])

    def candidates(self, query: Floats, wanted: int, allowed: Rows | None) -> tuple[Rows, Floats]:
        """Give the rows of at least `wanted` candidates, where there are so many, and cosines.

        `query` is float32 [D], turned; `allowed` are the ids that may be found, ascending.
        """
        head, tail = query[: self.heads.shape[1]], query[self.heads.shape[1] :]
        among: NDArray[np.int64] | None = None
        if allowed is not None:
            among = _places(self.rows, allowed)
            if len(among) * 4 < len(self.rows):
                found = self.heads[among] @ head + self.tails[among] @ tail
                return self._there(among, found)
        similarities = self.products.times(head)
        if self.gone is not None:
            similarities[self.gone] = -np.inf
        if among is not None:
            shown = np.full(len(similarities), -np.inf, np.float32)
            shown[among] = similarities[among]
            similarities = shown
        places = np.flatnonzero(similarities >= _threshold(similarities, wanted))
        return self._there(places, similarities[places] + self.tails[places] @ tail)

    def _there(self, places: NDArray[np.int64], found: Floats) -> tuple[Rows, Floats]:
        there = np.isfinite(found)
        if self.gone is not None:
            there &= ~self.gone[places]
        return self.rows[places[there]], found[there]


@dataclass(frozen=True, slots=True)
class Heads:
    """A source's vectors of length 1. `axes` is float32 [D, D], or None where none are turned."""

    dimension: int
    axes: Floats | None
    head: int
    blocks: tuple[Block, ...]

    @classmethod
    def of(cls, rows: Rows, vectors: Vectors) -> Heads:
        """Take vectors, float32 [N, D], and the ids of their rows, int64 [N]."""
        dimension = vectors.shape[1]
        axes, head = None, dimension
        if len(rows) >= _TURNED_FROM:
            axes, head = _principal_axes(vectors)
        empty = cls(dimension, axes, head, ())
        return replace(empty, blocks=(empty._block(rows, vectors),))

    def __len__(self) -> int:
        return sum(len(block.rows) for block in self.blocks)

    @property
    def untidy(self) -> bool:
        """Whether so many have come or gone since the axes were found that these are stale."""
        first = len(self.blocks[0].rows)
        gone = sum(int(block.gone.sum()) for block in self.blocks if block.gone is not None)
        return len(self) > max(_TURNED_FROM, 4 * first) or 2 * gone > max(_TURNED_FROM, len(self))

    def with_more(self, rows: Rows, vectors: Vectors) -> Heads:
        """Give these and more. Blocks stay few, and a large one is copied seldom."""
        if not len(rows):
            return self
        blocks = [*self.blocks, self._block(rows, vectors)]
        while len(blocks) > 2 and len(blocks[-2].rows) < 4 * len(blocks[-1].rows):
            blocks[-2:] = [Block.joined(blocks[-2:])]
        return replace(self, blocks=tuple(blocks))

    def keeping(self, keep: list[NDArray[np.bool_]]) -> Heads:
        """Give these, of each block only those that `keep`, bool [N], says."""
        kept = [block.without(~there) for block, there in zip(self.blocks, keep, strict=True)]
        return replace(self, blocks=tuple(kept))

    def nearest(
        self, query: Floats, limit: int, allowed: Rows | None = None
    ) -> tuple[Rows, Floats]:
        """Give the rows of the `limit` nearest to `query` [D], best first, and their cosines.

        With `allowed`, ids ascending, nothing else is found; equal ones stand by their ids.
        """
        turned = query if self.axes is None else query @ self.axes
        found = [
            block.candidates(turned, _CANDIDATES_A_HIT * limit, allowed) for block in self.blocks
        ]
        rows = np.concatenate([rows for rows, _ in found])
        similarities = np.concatenate([similarities for _, similarities in found])
        if len(rows) > limit:
            kept = np.argpartition(-similarities, limit - 1)[:limit]
            rows, similarities = rows[kept], similarities[kept]
        order = np.lexsort((rows, -similarities))
        return rows[order], similarities[order]

    def _block(self, rows: Rows, vectors: Vectors) -> Block:
        turned = vectors if self.axes is None else vectors @ self.axes
        return Block(
            rows,
            np.ascontiguousarray(turned[:, : self.head]),
            np.ascontiguousarray(turned[:, self.head :]),
        )


def _principal_axes(vectors: Vectors) -> tuple[Floats, int]:
    """Give the principal axes [D, D] of the vectors, and how many are the head.

    What all have in common (the mean) tells none from another and does not count.
    """
    draw = np.random.default_rng(0)
    size = min(len(vectors), _SAMPLE)
    sample = vectors[draw.choice(len(vectors), size, replace=False)].astype(np.float64)
    sample -= sample.mean(axis=0)
    variances, axes = np.linalg.eigh(sample.T @ sample)
    shares = np.cumsum(variances[::-1]) / variances.sum()
    head = int(np.searchsorted(shares, _SHARE)) + 1
    # Whole lines of the processor's cache: 16 numbers.
    head = min(vectors.shape[1], max(_LEAST, -(-head // 16) * 16))
    return np.ascontiguousarray(axes[:, ::-1], dtype=np.float32), head


def _threshold(similarities: Floats, wanted: int) -> float:
    """Give a value that about `wanted` reach, at the least, judged by every sixteenth."""
    if len(similarities) <= _SAMPLED_EVERY * wanted // 4:
        place = max(0, len(similarities) - wanted)
        lowest = np.partition(similarities, place)[place] if place else -np.inf
        return float(lowest)
    some = similarities[::_SAMPLED_EVERY]
    place = max(0, len(some) - -(-wanted // _SAMPLED_EVERY) - 1)
    return float(np.partition(some, place)[place])


def _places(rows: Rows, allowed: Rows) -> NDArray[np.int64]:
    """Tell which of `rows`, in any order, are in `allowed`, ascending."""
    at = np.searchsorted(allowed, rows)
    inside = np.zeros(len(rows), bool)
    reached = at < len(allowed)
    inside[reached] = allowed[at[reached]] == rows[reached]
    return np.flatnonzero(inside)
