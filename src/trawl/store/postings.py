"""Words that are searched without the engine: BM25 over the chunks that hold each word.

The scores are those of the engine, to the last bit: the same formula in the same order, in
float32. As in the engine's index, deleted chunks count until the engine drops them. A search adds
up the rarest words first, and of common ones looks up only the chunks that can still be
among the best (Turtle and Flood, Query Evaluation: Strategies and Optimizations, 1995).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trawl.native import logarithm
from trawl.store.scratch import mapped, open_scratch

# Robertson's k1 and b, and k1 + 1, as the engine has them.
_K1, _B, _MOST = np.float32(1.2), np.float32(0.75), np.float32(2.2)
_ONE, _HALF = np.float32(1), np.float32(0.5)

# Chunks that are joined at most: joining takes 15 bytes for each of their distinct words.
_BLOCK = 262_144
# A block is joined with a smaller one unless it has so many chunks, and this many times as many.
_LARGE, _RATIO = 8_192, 4

# Up to this many occurrences are added up at once: leaving some out would cost as much.
_FEW = 32_768
_COMMON = 8_192
# Chunks are looked up one by one in the list of a word that is this many times as long.
_SEARCHED = 16
# Sums of float32 in another order differ by less than this share.
_SLACK = 1e-5

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Part:
    """The words of some chunks that are read together.

    `rows` are row ids, int64 [N], and `lengths` the number of words, uint32 [N]; `alive`, bool
    [N], marks the chunks that were not deleted. `words` [W] are the distinct words; `places`,
    int32 [P], is a word's place in them, ascending, `chunks`, int32 [P], a chunk that holds it
    and `counts`, uint16 [P], how often.
    """

    rows: Rows
    lengths: NDArray[np.uint32]
    alive: NDArray[np.bool_]
    words: Sequence[str]
    places: NDArray[np.int32]
    chunks: NDArray[np.int32]
    counts: NDArray[np.uint16]

    @classmethod
    def of(cls, texts: pa.Array, rows: Rows, alive: NDArray[np.bool_]) -> Part:
        """Count the words between spaces of `texts`, a string array."""
        split = pc.split_pattern(pc.fill_null(texts, ""), " ")
        lengths = np.diff(split.offsets.to_numpy())
        coded = split.flatten().dictionary_encode()
        words = coded.dictionary.to_pylist()
        places = coded.indices.to_numpy().astype(np.int64)
        chunks = np.repeat(np.arange(len(rows)), lengths)
        if "" in words:  # an empty text is split into one empty word
            empty = places == words.index("")
            lengths = lengths - np.bincount(chunks[empty], minlength=len(rows))
            places, chunks = places[~empty], chunks[~empty]
        keys = np.sort(places * len(rows) + chunks)
        first = np.ones(len(keys), bool)
        np.not_equal(keys[1:], keys[:-1], out=first[1:])
        at = np.flatnonzero(first)
        counts = np.diff(at, append=len(keys))
        return cls(
            rows,
            lengths.astype(np.uint32),
            alive,
            words,
            (keys[at] // max(1, len(rows))).astype(np.int32),
            (keys[at] % max(1, len(rows))).astype(np.int32),
            np.minimum(counts, 65_535).astype(np.uint16),
        )


@dataclass(frozen=True, slots=True)
class Block:
    """The chunks that hold each word, of chunks that were added together.

    `rows`, `lengths` and `alive` are as in `Part`. The word of number w is in
    `chunks[starts[w] : starts[w + 1]]`, ascending, as often as `counts` has it.
    """

    rows: Rows
    lengths: NDArray[np.uint32]
    alive: NDArray[np.bool_]
    numbers: dict[str, int]
    starts: NDArray[np.int64]
    chunks: NDArray[np.int32]
    counts: NDArray[np.uint16]

    @classmethod
    def of(cls, parts: Iterable[Part], directory: Path) -> Block:
        """Join parts. The chunks of each word are in a file without a name in `directory`."""
        numbers: dict[str, int] = {}
        read: list[tuple[Part, NDArray[np.int64]]] = []
        for part in parts:
            named = (numbers.setdefault(word, len(numbers)) for word in part.words)
            read.append((part, np.fromiter(named, np.int64, len(part.words))))
        held = np.zeros(len(numbers), np.int64)
        for part, ids in read:
            held[ids] += np.bincount(part.places, minlength=len(ids))
        starts = np.concatenate([[0], np.cumsum(held)])
        chunks = np.empty(starts[-1], np.int32)
        counts = np.empty(starts[-1], np.uint16)
        filled, before = starts[:-1].copy(), 0
        for part, ids in read:
            own = np.bincount(part.places, minlength=len(ids))
            # The words of a part are in order: its places are those of its runs.
            shift = filled[ids] - (np.cumsum(own) - own)
            at = np.arange(len(part.places)) + shift[part.places]
            chunks[at] = part.chunks + np.int32(before)
            counts[at] = part.counts
            filled[ids] += own
            before += len(part.rows)
        with open_scratch(directory) as file:
            file.write(chunks.data)
            file.write(counts.data)
            file.flush()
            memory = mapped(file)
        size = int(starts[-1])
        empty = np.zeros(0, np.int64)
        return cls(
            np.concatenate([empty, *(part.rows for part, _ in read)]),
            np.concatenate([empty, *(part.lengths for part, _ in read)]).astype(np.uint32),
            np.concatenate([empty, *(part.alive for part, _ in read)]).astype(bool),
            numbers,
            starts,
            np.frombuffer(memory, np.int32, size),
            np.frombuffer(memory, np.uint16, size, 4 * size),
        )

    def part(self, kept: NDArray[np.bool_]) -> Part:
        """Return the chunks of `kept`, bool [N], to be joined with others."""
        numbers = np.arange(len(self.numbers), dtype=np.int32)
        places = np.repeat(numbers, np.diff(self.starts))
        inside = kept[self.chunks]
        renumbered = (np.cumsum(kept) - 1).astype(np.int32)
        return Part(
            self.rows[kept],
            self.lengths[kept],
            self.alive[kept],
            list(self.numbers),
            places[inside],
            renumbered[self.chunks[inside]],
            self.counts[inside],
        )

    def only(self, fragments: Collection[int], directory: Path) -> Block:
        """Return the block with the chunks of some fragments only."""
        kept = np.isin(self.rows >> 32, list(fragments))
        return self if kept.all() else Block.of([self.part(kept)], directory)

    def keeping(self, live: Mapping[int, Rows]) -> Block:
        """Return the block, of which only some rows of the fragments of `live` still exist."""
        alive = self.alive.copy()
        for fragment, rows in live.items():
            inside = np.flatnonzero(self.rows >> 32 == fragment)
            alive[inside] &= np.isin(self.rows[inside], rows)
        return replace(self, alive=alive)

    def permitted(self, allowed: Rows | None) -> NDArray[np.bool_] | None:
        """Return which chunks may be found, bool [N]; None if all may."""
        if allowed is not None:
            return self.alive & np.isin(self.rows, allowed, assume_unique=True)
        return None if self.alive.all() else self.alive

    def holding(self, word: str) -> slice:
        """Return where the chunks of a word are."""
        number = self.numbers.get(word)
        return (
            slice(0, 0) if number is None else slice(self.starts[number], self.starts[number + 1])
        )


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of a query in one block: the weight, and the chunks that hold it how often."""

    weight: np.float32
    chunks: NDArray[np.int32]
    counts: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.chunks)

    @property
    def most(self) -> float:
        """What the word adds to a chunk at most."""
        return float(self.weight * _MOST)

    def add(self, sums: Floats, norms: Floats) -> None:
        """Add the scores of the word to `sums`."""
        counts = self.counts.astype(np.float32)
        below = norms[self.chunks]
        below += counts
        counts *= _MOST
        counts /= below
        counts *= self.weight
        sums[self.chunks] += counts

    def among(self, chunks: NDArray[np.int64], marked: NDArray[np.bool_]) -> _Word:
        """Return the word in some chunks only, ascending, which are also `marked`."""
        if len(self) <= _SEARCHED * len(chunks):
            at = np.flatnonzero(marked[self.chunks])
        else:
            at = np.searchsorted(self.chunks, chunks.astype(np.int32))
            at[at == len(self)] = 0
            at = at[self.chunks[at] == chunks]
        return replace(self, chunks=self.chunks[at], counts=self.counts[at])


class Postings:
    """The words of one version of a library, as its full-text index has them.

    `size` is the number of chunks with words, and `words` that of all words, with deleted ones.
    """

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = tuple(blocks)
        self.size = sum(int(np.count_nonzero(block.lengths)) for block in blocks)
        self.words = sum(int(block.lengths.sum(dtype=np.int64)) for block in blocks)
        usual = np.float32(self.words) / np.float32(max(1, self.size))
        self._norms = [
            np.asarray(_K1 * (_ONE - _B + _B * block.lengths.astype(np.float32) / usual))
            for block in blocks
        ]

    @classmethod
    def of(cls, parts: Iterable[Part], directory: Path) -> Postings:
        """Build from parts, in blocks of bounded size."""
        blocks: list[Block] = []
        some: list[Part] = []
        for part in parts:
            some.append(part)
            if sum(len(one.rows) for one in some) >= _BLOCK:
                blocks.append(Block.of(some, directory))
                some = []
        return cls([*blocks, Block.of(some, directory)] if some else blocks)

    def following(
        self, live: Mapping[int, Rows], kept: Collection[int], more: Postings, directory: Path
    ) -> Postings:
        """Return the words of a later version.

        `live` has the remaining rows of the fragments, by number, in which some were deleted;
        `kept` are the fragments whose words still count, and `more` has the words of new ones.
        The number of blocks stays small, and large blocks are rarely copied.
        """
        blocks = [block.only(kept, directory).keeping(live) for block in self.blocks]
        blocks = [block for block in (*blocks, *more.blocks) if len(block.rows)]
        blocks.sort(key=lambda block: len(block.rows), reverse=True)
        while len(blocks) > 1:
            large, small = len(blocks[-2].rows), len(blocks[-1].rows)
            if large >= max(_LARGE, _RATIO * small) or large + small > _BLOCK:
                break
            parts = [block.part(np.ones(len(block.rows), bool)) for block in blocks[-2:]]
            blocks[-2:] = [Block.of(parts, directory)]
        return Postings(blocks)

    def best(
        self, words: Sequence[str], limit: int, allowed: Rows | None = None
    ) -> tuple[Rows, Floats]:
        """Return the rows of the `limit` chunks with the highest scores, and the scores.

        Best first, ties by row. `allowed` are the permitted row ids, ascending.
        """
        found = [[block.holding(word) for word in words] for block in self.blocks]
        weights = [
            self._weight(sum(one.stop - one.start for one in places))
            for places in zip(*found, strict=True)
        ]
        rows, scores = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
        for block, norms, places in zip(self.blocks, self._norms, found, strict=True):
            having = [
                _Word(weight, block.chunks[at], block.counts[at])
                for weight, at in zip(weights, places, strict=True)
                if at.stop > at.start
            ]
            if having:
                chunks, levels = _best(having, norms, block.permitted(allowed), limit)
                rows.append(block.rows[chunks])
                scores.append(levels)
        every, levels = np.concatenate(rows), np.concatenate(scores)
        order = np.lexsort((every, -levels))[:limit]
        return every[order], levels[order]

    def _weight(self, holding: int) -> np.float32:
        size, count = np.float32(self.size), np.float32(holding)
        return np.float32(logarithm()(float((size - count + _HALF) / (count + _HALF) + _ONE)))


def _best(
    words: Sequence[_Word], norms: Floats, permitted: NDArray[np.bool_] | None, limit: int
) -> tuple[NDArray[np.int64], Floats]:
    """Return at least the `limit` best permitted chunks of a block, in order, and their scores."""
    sums = np.zeros(len(norms), np.float32)
    if sum(map(len, words)) <= _FEW:
        for word in words:
            word.add(sums, norms)
        chunks = _above(sums, _least(sums, words, permitted, limit), permitted)
        return chunks, sums[chunks]
    left = sum(word.most for word in words)
    added: list[_Word] = []
    least = 0.0
    for word in sorted(words, key=len):
        if len(word) > _COMMON and (least := _least(sums, added, permitted, limit)) > left:
            break
        word.add(sums, norms)
        added.append(word)
        left -= word.most
    else:
        least, left = _least(sums, added, permitted, limit), 0.0
    chunks = _above(sums, (least - left) * (1 - _SLACK) - _SLACK, permitted)
    marked = np.zeros(len(norms), bool)
    marked[chunks] = True
    # Again in the order of the query, as the engine adds.
    sums[chunks] = 0
    for word in words:
        word.among(chunks, marked).add(sums, norms)
    return chunks, sums[chunks]


def _above(sums: Floats, least: float, permitted: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    """Return the permitted chunks whose sum is positive and at least `least`, ascending."""
    chunks = np.flatnonzero(sums >= np.float32(least) if least > 0 else sums > 0)
    return chunks if permitted is None else chunks[permitted[chunks]]


def _least(
    sums: Floats, words: Sequence[_Word], permitted: NDArray[np.bool_] | None, limit: int
) -> float:
    """Return a value that the sums of at least `limit` permitted chunks reach, or 0.

    Only the chunks of one word are compared, which are fewer and include most of the best.
    """
    least = 0.0
    for word in words:
        chunks = word.chunks if permitted is None else word.chunks[permitted[word.chunks]]
        if len(chunks) >= limit:
            some = sums[chunks]
            least = max(least, float(np.partition(some, len(some) - limit)[len(some) - limit]))
    return least
