"""Vectors in memory, searched without the engine: the principal axes first, then all.

A few thousand vectors are multiplied with the query directly. More are rotated onto their
principal axes, which preserves inner products, and split into the head, the axes with most of
the variance, and the tail. A query is multiplied with all heads, and with the tails of only
the best `10 * limit` candidates. Similarities are exact; only candidates can be missed
(docs/benchmarks.md has the recall).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Event, Lock

import numpy as np
from numpy.typing import NDArray

from trawl.types import Vectors

_ROTATED_FROM = 4_096
_VARIANCE = 0.7
"""The least share of the variance in the heads."""

_MIN_HEAD = 32

_CANDIDATES_PER_HIT = 10
_SHARED_FROM = 8_192
_MAX_SHARED = 16
_SAMPLE = 8_192
_SAMPLE_STEP = 16

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]


class Products:
    """Multiplies a matrix, float32 [N, H], with queries. Safe to use from several threads.

    Most of a product's cost is reading the matrix, so queries that arrive during one
    product share the next.
    """

    def __init__(self, matrix: Floats) -> None:
        self.matrix = matrix
        self._mutex = Lock()
        self._busy = False
        self._waiting: list[_Request] = []

    def times(self, query: Floats) -> Floats:
        """Return the product, float32 [N]; the caller may modify it."""
        if len(self.matrix) < _SHARED_FROM:
            return np.asarray(self.matrix @ query)
        request = _Request(query)
        with self._mutex:
            self._waiting.append(request)
            leads, self._busy = not self._busy, True
        if not leads:
            request.woken.wait()
        if request.product is None:  # this thread computes for all that wait
            try:
                self._compute(request)
            finally:
                self._wake_next()
        assert request.product is not None
        return request.product

    def _compute(self, own: _Request) -> None:
        with self._mutex:
            self._waiting.remove(own)
            batch = [own, *self._waiting[: _MAX_SHARED - 1]]
            del self._waiting[: _MAX_SHARED - 1]
        if len(batch) == 1:
            own.product = self.matrix @ own.query
            return
        try:
            # The other order, which needs no transpose, takes half as long again.
            products = np.ascontiguousarray(
                (self.matrix @ np.stack([request.query for request in batch]).T).T
            )
        except BaseException:
            with self._mutex:  # the others try again
                self._waiting[:0] = batch[1:]
            raise
        for request, product in zip(batch, products, strict=True):
            request.product = product
            request.woken.set()

    def _wake_next(self) -> None:
        with self._mutex:
            if self._waiting:
                self._waiting[0].woken.set()
            else:
                self._busy = False


@dataclass(slots=True, eq=False)
class _Request:
    query: Floats
    product: Floats | None = None
    woken: Event = field(default_factory=Event)


@dataclass(frozen=True, slots=True)
class Block:
    """Vectors that were added together: heads float32 [N, H], tails float32 [N, D - H].

    `rows` are their row ids, int64 [N]. `deleted`, bool [N], marks the rows that are no
    longer in the library; None if there are none.
    """

    rows: Rows
    heads: Floats
    tails: Floats
    deleted: NDArray[np.bool_] | None = None
    products: Products = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "products", Products(self.heads))

    @classmethod
    def joined(cls, blocks: list[Block]) -> Block:
        """Join blocks, without their deleted rows."""
        live = [block._live() for block in blocks]
        return cls(
            np.concatenate([block.rows for block in live]),
            np.concatenate([block.heads for block in live]),
            np.concatenate([block.tails for block in live]),
        )

    def without(self, deleted: NDArray[np.bool_]) -> Block:
        """Return this block with the rows of `deleted`, bool [N], marked."""
        return replace(self, deleted=deleted if deleted.any() else None)

    def _live(self) -> Block:
        if self.deleted is None:
            return self
        live = ~self.deleted
        return Block(self.rows[live], self.heads[live], self.tails[live])

    def candidates(self, query: Floats, wanted: int, allowed: Rows | None) -> tuple[Rows, Floats]:
        """Return the rows and cosines of at least `wanted` candidates, or of all if fewer.

        `query` is float32 [D], rotated; `allowed` are the permitted row ids, ascending.
        """
        head, tail = query[: self.heads.shape[1]], query[self.heads.shape[1] :]
        among: NDArray[np.int64] | None = None
        if allowed is not None:
            among = _places(self.rows, allowed)
            if len(among) * 4 < len(self.rows):
                found = self.heads[among] @ head + self.tails[among] @ tail
                return self._live_only(among, found)
        similarities = self.products.times(head)
        if self.deleted is not None:
            similarities[self.deleted] = -np.inf
        if among is not None:
            permitted = np.full(len(similarities), -np.inf, np.float32)
            permitted[among] = similarities[among]
            similarities = permitted
        places = np.flatnonzero(similarities >= _threshold(similarities, wanted))
        return self._live_only(places, similarities[places] + self.tails[places] @ tail)

    def _live_only(self, places: NDArray[np.int64], found: Floats) -> tuple[Rows, Floats]:
        live = np.isfinite(found)
        if self.deleted is not None:
            live &= ~self.deleted[places]
        return self.rows[places[live]], found[live]


@dataclass(frozen=True, slots=True)
class Heads:
    """A source's unit vectors. `axes` is float32 [D, D], or None if they are not rotated."""

    dimension: int
    axes: Floats | None
    head: int
    blocks: tuple[Block, ...]

    @classmethod
    def of(cls, rows: Rows, vectors: Vectors) -> Heads:
        """Build from vectors, float32 [N, D], and their row ids, int64 [N]."""
        dimension = vectors.shape[1]
        axes, head = None, dimension
        if len(rows) >= _ROTATED_FROM:
            axes, head = _principal_axes(vectors)
        empty = cls(dimension, axes, head, ())
        return replace(empty, blocks=(empty._block(rows, vectors),))

    def __len__(self) -> int:
        return sum(len(block.rows) for block in self.blocks)

    @property
    def stale(self) -> bool:
        """Whether most vectors were added or deleted since the axes were computed."""
        first = len(self.blocks[0].rows)
        deleted = sum(int(b.deleted.sum()) for b in self.blocks if b.deleted is not None)
        most = max(_ROTATED_FROM, len(self))
        return len(self) > max(_ROTATED_FROM, 4 * first) or 2 * deleted > most

    def with_more(self, rows: Rows, vectors: Vectors) -> Heads:
        """Add vectors. The number of blocks stays small, and large blocks are rarely copied."""
        if not len(rows):
            return self
        blocks = [*self.blocks, self._block(rows, vectors)]
        while len(blocks) > 2 and len(blocks[-2].rows) < 4 * len(blocks[-1].rows):
            blocks[-2:] = [Block.joined(blocks[-2:])]
        return replace(self, blocks=tuple(blocks))

    def keeping(self, keep: list[NDArray[np.bool_]]) -> Heads:
        """Keep the vectors that `keep` marks, one bool [N] per block."""
        kept = [block.without(~mask) for block, mask in zip(self.blocks, keep, strict=True)]
        return replace(self, blocks=tuple(kept))

    def nearest(
        self, query: Floats, limit: int, allowed: Rows | None = None
    ) -> tuple[Rows, Floats]:
        """Return the row ids of the `limit` nearest to `query` [D], best first, and cosines.

        `allowed` are the permitted row ids, ascending. Ties are ordered by row id.
        """
        rotated = query if self.axes is None else query @ self.axes
        found = [
            block.candidates(rotated, _CANDIDATES_PER_HIT * limit, allowed) for block in self.blocks
        ]
        rows = np.concatenate([rows for rows, _ in found])
        similarities = np.concatenate([similarities for _, similarities in found])
        if len(rows) > limit:
            kept = np.argpartition(-similarities, limit - 1)[:limit]
            rows, similarities = rows[kept], similarities[kept]
        order = np.lexsort((rows, -similarities))
        return rows[order], similarities[order]

    def _block(self, rows: Rows, vectors: Vectors) -> Block:
        rotated = vectors if self.axes is None else vectors @ self.axes
        return Block(
            rows,
            np.ascontiguousarray(rotated[:, : self.head]),
            np.ascontiguousarray(rotated[:, self.head :]),
        )


def _principal_axes(vectors: Vectors) -> tuple[Floats, int]:
    """Return the principal axes [D, D] of the centred vectors, and the size of the head."""
    draw = np.random.default_rng(0)
    size = min(len(vectors), _SAMPLE)
    sample = vectors[draw.choice(len(vectors), size, replace=False)].astype(np.float64)
    sample -= sample.mean(axis=0)
    variances, axes = np.linalg.eigh(sample.T @ sample)
    shares = np.cumsum(variances[::-1]) / variances.sum()
    head = int(np.searchsorted(shares, _VARIANCE)) + 1
    # A multiple of a cache line, 16 numbers.
    head = min(vectors.shape[1], max(_MIN_HEAD, -(-head // 16) * 16))
    return np.ascontiguousarray(axes[:, ::-1], dtype=np.float32), head


def _threshold(similarities: Floats, wanted: int) -> float:
    """Estimate, from every sixteenth, a value that at least about `wanted` reach."""
    if len(similarities) <= _SAMPLE_STEP * wanted // 4:
        place = max(0, len(similarities) - wanted)
        lowest = np.partition(similarities, place)[place] if place else -np.inf
        return float(lowest)
    some = similarities[::_SAMPLE_STEP]
    place = max(0, len(some) - -(-wanted // _SAMPLE_STEP) - 1)
    return float(np.partition(some, place)[place])


def _places(rows: Rows, allowed: Rows) -> NDArray[np.int64]:
    """Return the indices of `rows`, in any order, that are in `allowed`, ascending."""
    at = np.searchsorted(allowed, rows)
    inside = np.zeros(len(rows), bool)
    reached = at < len(allowed)
    inside[reached] = allowed[at[reached]] == rows[reached]
    return np.flatnonzero(inside)
