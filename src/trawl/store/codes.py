"""Vectors that are searched without the engine: by codes in memory, then exactly.

A few thousand vectors are multiplied with the query directly. Of more, codes of four bits a
dimension are in memory, and the vectors in a file that is mapped. A query is multiplied with all
codes, and with the vectors of the best candidates. Similarities are exact; only candidates can
be missed (docs/benchmarks.md has the recall).

The vectors are rotated at random, which preserves inner products. The codes of a group share a
scale, and models often have a few dimensions whose values are many times those of others.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trawl.native import return_freed_memory
from trawl.store.products import Codes, Floats, Products
from trawl.store.scratch import mapped, open_scratch
from trawl.types import Vectors

_CODED_FROM = 4_096
_BATCH = 32_768

# A filter that permits no more vectors of a block is applied first.
_EXACT_UP_TO = 8_192

_CANDIDATES_PER_HIT, _MOST_PER_HIT = 4, 64
_MIN_CANDIDATES = 64
_SAMPLE_STEP = 16

# Recall is that of the ten nearest to some of the vectors themselves, and is measured again when
# their number has grown by a quarter.
_LEAST_RECALL, _RECALL_AT, _RECALL_QUERIES = 0.99, 10, 32
_MEASURED_AGAIN = 1.25

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Block:
    """Vectors that were added together, rotated, float32 [N, D].

    `rows` are their row ids, int64 [N]. `products` multiplies with their codes; None if there
    are few. `deleted`, bool [N], marks the rows that are no longer in the library; None if there
    are none.
    """

    rows: Rows
    vectors: Vectors
    products: Products | None
    deleted: NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, parts: Iterable[tuple[Rows, Vectors]], dimension: int, directory: Path) -> Block:
        """Build from parts: row ids, int64 [N], and rotated vectors, float32 [N, D].

        Many vectors are written to a file without a name in `directory`.
        """
        rows: list[Rows] = [np.zeros(0, np.int64)]
        codes: list[Codes] = []
        with open_scratch(directory) as file:
            centre: Floats | None = None
            for part, vectors in parts:
                if not len(part):
                    continue
                # Only the differences of products matter, so what is common to all is left out
                # of the codes, whose scales are then smaller.
                centre = vectors.mean(axis=0) if centre is None else centre
                for start in range(0, len(part), _BATCH):
                    some = np.ascontiguousarray(vectors[start : start + _BATCH])
                    codes.append(Codes.of(some - centre))
                    file.write(some.data)
                rows.append(part)
            file.flush()
            all_rows = np.concatenate(rows)
            held = np.frombuffer(mapped(file), np.float32).reshape(-1, dimension)
        if len(all_rows) < _CODED_FROM:
            return cls(all_rows, np.array(held), None)
        joined = Codes.joined(codes)
        del codes
        products = Products(joined, _threads())
        del joined
        return_freed_memory()  # the codes, which the products hold in another order
        return cls(all_rows, held, products)

    @classmethod
    def joined(cls, blocks: list[Block], directory: Path) -> Block:
        """Join blocks, without their deleted rows."""
        parts = (part for block in blocks for part in block._live())
        return cls.of(parts, blocks[0].vectors.shape[1], directory)

    def without(self, deleted: NDArray[np.bool_]) -> Block:
        """Return this block with the rows of `deleted`, bool [N], marked."""
        return replace(self, deleted=deleted if deleted.any() else None)

    def _live(self) -> Iterable[tuple[Rows, Vectors]]:
        for start in range(0, len(self.rows), _BATCH):
            some = slice(start, start + _BATCH)
            live = slice(None) if self.deleted is None else ~self.deleted[some]
            yield self.rows[some][live], self.vectors[some][live]

    def candidates(self, query: Floats, wanted: int, allowed: Rows | None) -> tuple[Rows, Floats]:
        """Return the rows and cosines of at least about `wanted` candidates, or of all if fewer.

        `query` is float32 [D], rotated; `allowed` are the permitted row ids, ascending.
        """
        among = None if allowed is None else _places(self.rows, allowed)
        if among is not None and self.deleted is not None:
            among = among[~self.deleted[among]]
        if self.products is None or (among is not None and len(among) <= _EXACT_UP_TO):
            places = among if among is not None else self._present()
        else:
            similarities = self.products.times(query)
            if among is not None:
                similarities = similarities[among]
            elif self.deleted is not None:
                similarities[self.deleted] = -np.inf
            # The threshold is -inf if there are too few; the deleted must not reach it.
            least = max(_threshold(similarities, wanted), float(np.finfo(np.float32).min))
            places = np.flatnonzero(similarities >= least)
            places = places if among is None else among[places]
        return self.rows[places], self.vectors[places] @ query

    def _present(self) -> NDArray[np.int64]:
        if self.deleted is None:
            return np.arange(len(self.rows))
        return np.flatnonzero(~self.deleted)


@dataclass(frozen=True, slots=True)
class CodedVectors:
    """A source's unit vectors, whose exact values are in files without names in `directory`.

    `per_hit` candidates for each hit are compared exactly; `recall` is the share of the ten nearest
    that are found, as last measured among `measured_at` vectors.
    """

    dimension: int
    directory: Path
    blocks: tuple[Block, ...]
    per_hit: int = _CANDIDATES_PER_HIT
    recall: float = 1.0
    measured_at: int = 0

    @classmethod
    def of(
        cls, parts: Iterable[tuple[Rows, Vectors]], dimension: int, directory: Path
    ) -> CodedVectors:
        """Build from parts: row ids, int64 [N], and vectors, float32 [N, D].

        Raises `OSError` if the vectors cannot be written.
        """
        empty = cls(dimension, directory, ())
        return replace(empty, blocks=(Block.of(empty._rotated(parts), dimension, directory),))

    def __len__(self) -> int:
        return sum(len(block.rows) for block in self.blocks)

    @property
    def stale(self) -> bool:
        """Whether most vectors were deleted."""
        deleted = sum(int(b.deleted.sum()) for b in self.blocks if b.deleted is not None)
        return 2 * deleted > max(_CODED_FROM, len(self))

    def with_more(self, parts: Iterable[tuple[Rows, Vectors]]) -> CodedVectors:
        """Add vectors. The number of blocks stays small, and large blocks are rarely copied."""
        more = Block.of(self._rotated(parts), self.dimension, self.directory)
        if not len(more.rows):
            return self
        blocks = [*self.blocks, more]
        while len(blocks) > 2 and len(blocks[-2].rows) < 4 * len(blocks[-1].rows):
            blocks[-2:] = [Block.joined(blocks[-2:], self.directory)]
        return replace(self, blocks=tuple(blocks))

    def keeping(self, keep: list[NDArray[np.bool_]]) -> CodedVectors:
        """Keep the vectors that `keep` marks, one bool [N] per block."""
        kept = [block.without(~mask) for block, mask in zip(self.blocks, keep, strict=True)]
        return replace(self, blocks=tuple(kept))

    def nearest(
        self, query: Floats, limit: int, allowed: Rows | None = None
    ) -> tuple[Rows, Floats]:
        """Return the row ids of the `limit` nearest to `query` [D], best first, and cosines.

        `allowed` are the permitted row ids, ascending. Ties are ordered by row id.
        """
        return self._nearest(query @ _rotation(self.dimension), limit, allowed)

    def _nearest(self, rotated: Floats, limit: int, allowed: Rows | None) -> tuple[Rows, Floats]:
        wanted = max(_MIN_CANDIDATES, self.per_hit * limit)
        found = [block.candidates(rotated, wanted, allowed) for block in self.blocks]
        rows = np.concatenate([rows for rows, _ in found])
        similarities = np.concatenate([similarities for _, similarities in found])
        if len(rows) > limit:
            kept = np.argpartition(-similarities, limit - 1)[:limit]
            rows, similarities = rows[kept], similarities[kept]
        order = np.lexsort((rows, -similarities))
        return rows[order], similarities[order]

    def measured(self) -> CodedVectors:
        """Return these vectors with their recall, and with more candidates if it is too low."""
        if all(block.products is None for block in self.blocks):
            return self  # compared exactly
        if self.measured_at and len(self) < _MEASURED_AGAIN * self.measured_at:
            return self
        queries = self._sample(_RECALL_QUERIES)
        tenth = self._exact(queries, _RECALL_AT).min(axis=1)
        found = replace(self, measured_at=len(self))
        while True:
            reached = [
                int((found._nearest(query, _RECALL_AT, None)[1] >= least - 1e-6).sum())
                for query, least in zip(queries, tenth, strict=True)
            ]
            found = replace(found, recall=sum(reached) / (_RECALL_AT * len(queries)))
            if found.recall >= _LEAST_RECALL or found.per_hit >= _MOST_PER_HIT:
                return found
            found = replace(found, per_hit=2 * found.per_hit)

    def _sample(self, count: int) -> Vectors:
        """Return `count` of the vectors, rotated, the same ones each time."""
        ends = np.cumsum([len(block.rows) for block in self.blocks])
        chosen = np.random.default_rng(0).choice(len(self), count, replace=False)
        blocks = np.searchsorted(ends, chosen, side="right")
        starts = ends - [len(block.rows) for block in self.blocks]
        return np.stack(
            [self.blocks[b].vectors[n - starts[b]] for b, n in zip(blocks, chosen, strict=True)]
        )

    def _exact(self, queries: Vectors, count: int) -> Floats:
        """Return the `count` highest cosines of each query, float32 [Q, count], in any order."""
        best = np.full((len(queries), count), -np.inf, np.float32)
        for block in self.blocks:
            for _, vectors in block._live():
                both = np.concatenate([best, queries @ vectors.T], axis=1)
                best = np.partition(both, -count, axis=1)[:, -count:]
        return best

    def _rotated(self, parts: Iterable[tuple[Rows, Vectors]]) -> Iterable[tuple[Rows, Vectors]]:
        rotation = _rotation(self.dimension)
        return ((rows, vectors @ rotation) for rows, vectors in parts)


@lru_cache
def _rotation(dimension: int) -> Floats:
    """Return a random orthogonal matrix, float32 [D, D], the same in every process."""
    draw = np.random.default_rng(0).standard_normal((dimension, dimension))
    return np.ascontiguousarray(np.linalg.qr(draw)[0], dtype=np.float32)


def _threads() -> int:
    return min(4, os.cpu_count() or 1)


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
    if len(allowed) * 4 < len(rows) and bool((rows[1:] > rows[:-1]).all()):
        at = np.searchsorted(rows, allowed)
        at = at[at < len(rows)]
        return at[np.isin(rows[at], allowed)]
    at = np.searchsorted(allowed, rows)
    inside = np.zeros(len(rows), bool)
    reached = at < len(allowed)
    inside[reached] = allowed[at[reached]] == rows[reached]
    return np.flatnonzero(inside)
