"""Libraries of 12 to 600 documents drawn from the development collection, searched offline."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from everyday_data import Collection, Item

from common import Rows, Vectors, nearest
from trawl.ranking import Null, measure_null
from trawl.search.snippets import _FUNCTION_WORDS
from trawl.types import MODALITIES, Modality, Ranking
from trawl.words import fold, stem

_WORD = re.compile(r"[^\W_]+")


def tokens(text: str) -> list[str]:
    """Return the stems of a text, about as the full-text index has them."""
    return [stem(fold(word)) for word in _WORD.findall(text) if word.lower() not in _FUNCTION_WORDS]


class World:
    """A library of some items of a collection; rows are places in `items`."""

    def __init__(self, collection: Collection, chosen: Sequence[int], named: bool) -> None:
        self.collection, self.named = collection, named
        self.items: list[Item] = [collection.items[i] for i in chosen]
        self.vectors: Vectors = collection.vectors[list(chosen)]
        self.modality = np.array([item.modality for item in self.items])
        self._nulls: dict[Modality, dict[Modality, Null]] = {}

    def rows(self, modality: Modality) -> Rows:
        return np.flatnonzero(self.modality == modality)

    def name_things(self) -> None:
        """Name the files of things by their things."""
        self.items = [replace(item, name=item.thing) if item.thing else item for item in self.items]

    def words_of(self, row: int) -> str:
        """Return the searched text of a row: title, file name and text."""
        item = self.items[row]
        name = item.name if self.named and item.text != item.name else f"IMG_{4000 + row}"
        return f"{name}\n{name}\n{item.text}"

    @cached_property
    def _index(self) -> tuple[dict[str, list[tuple[int, int]]], list[int]]:
        postings: dict[str, list[tuple[int, int]]] = {}
        lengths = []
        for row in range(len(self.items)):
            counts = Counter(tokens(self.words_of(row)))
            lengths.append(sum(counts.values()))
            for token, count in counts.items():
                postings.setdefault(token, []).append((row, count))
        return postings, lengths

    def bm25(self, query: str, depth: int = 100) -> Ranking:
        """Return the ranking by BM25 (k1 = 1.2, b = 0.75)."""
        postings, lengths = self._index
        average = sum(lengths) / max(1, len(lengths))
        scores: dict[int, float] = {}
        for token in tokens(query):
            entries = postings.get(token, [])
            idf = math.log(1 + (len(lengths) - len(entries) + 0.5) / (len(entries) + 0.5))
            for row, count in entries:
                norm = 1.2 * (0.25 + 0.75 * lengths[row] / average)
                scores[row] = scores.get(row, 0.0) + idf * count * 2.2 / (count + norm)
        ordered = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[:depth]
        rows = np.array([row for row, _ in ordered], np.int64)
        values = np.array([value for _, value in ordered], np.float32)
        return Ranking("bm25", rows, values, len(lengths))

    def rankings(
        self, query: Vectors, text: str = "", without: Sequence[int] = ()
    ) -> list[Ranking]:
        """Return the rankings of all sources for one query, rows in `without` left out."""
        found = []
        if text:
            ranking = self.bm25(text)
            keep = ~np.isin(ranking.rows, without)
            found.append(
                Ranking("bm25", ranking.rows[keep], ranking.similarities[keep], ranking.searched)
            )
        for modality in MODALITIES:
            rows = self.rows(modality)
            rows = rows[~np.isin(rows, without)]
            if len(rows):
                ranking = nearest(f"mini.{modality}", query, self.vectors[rows], rows)
                found.append(replace(ranking, complete=len(rows) <= len(ranking.rows)))
        return found

    def nulls(self, query_modality: Modality) -> dict[Modality, Null]:
        """Measure the nulls of all sources as `trawl.search` does."""
        if query_modality not in self._nulls:
            found: dict[Modality, Null] = {}
            some = self.rows(query_modality)
            some = some[:: max(1, len(some) // 64)]
            for modality in MODALITIES:
                rows = self.rows(modality)
                if query_modality == "text":
                    questions = self.collection.model.reference.questions
                    null = measure_null(questions, self.vectors[rows])
                else:
                    null = measure_null(
                        self.vectors[some],
                        self.vectors[rows],
                        query_groups=some,
                        sample_groups=rows,
                    )
                if null is not None:
                    found[modality] = null
            self._nulls[query_modality] = found
        return self._nulls[query_modality]

    def cosine_order(self, query: Vectors, without: Sequence[int] = ()) -> Rows:
        order = np.lexsort((np.arange(len(self.items)), -(self.vectors @ query)))
        return order[~np.isin(order, without)]


def draw(
    collection: Collection, size: int, seed: int, named: bool = False, trios: bool = False
) -> World:
    """Draw a library of `size` documents, as many photos as notes and sounds.

    With `trios`, things come with a photo, a note and a sound each and fill up to half of the
    library; without, each thing has one modality, and things fill up to 40 %.
    """
    random = np.random.default_rng(seed)
    by_thing: dict[str, dict[Modality, list[int]]] = {}
    others: dict[Modality, list[int]] = {modality: [] for modality in MODALITIES}
    for i, item in enumerate(collection.items):
        if item.thing:
            by_thing.setdefault(item.thing, {}).setdefault(item.modality, []).append(i)
        else:
            others[item.modality].append(i)
    each = size // 3
    chosen: dict[Modality, list[int]] = {modality: [] for modality in MODALITIES}
    things = [collection.things[i] for i in random.permutation(len(collection.things))]
    if trios:
        for thing in things[: max(1, each * 6 // 10)]:
            for modality in MODALITIES:
                chosen[modality].append(int(random.choice(by_thing[thing][modality])))
    else:
        for number, thing in enumerate(things):
            modality = MODALITIES[number % 3]
            if len(chosen[modality]) < max(1, each * 4 // 10):
                chosen[modality].append(int(random.choice(by_thing[thing][modality])))
    named_things = {word for thing in things for word in tokens(thing)} if trios else set[str]()
    for modality in MODALITIES:
        # A filler with a thing's name would be a fourth answer to it.
        fillers = [
            i
            for i in others[modality]
            if named_things.isdisjoint(
                tokens(f"{collection.items[i].name} {collection.items[i].kind}")
                + tokens(collection.items[i].text)
            )
        ]
        left = random.permutation(fillers)[: each - len(chosen[modality])]
        chosen[modality] += left.tolist()
    return World(collection, sorted(i for group in chosen.values() for i in group), named)
