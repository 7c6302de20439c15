"""Agreement of two sources on the same texts: by chance, and beside pictures.

The first table measures chance agreement of full-text and vector search: the best sum of both
surprises for excerpts of the library's own texts, without the excerpt's document. The second
uses the pool of ``half_and_half.py`` with BM25 over its texts: texts about garments like the
queried one contain its words too, and must not displace its picture.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import numpy as np
from half_and_half import HALVES, Pool, package
from hybrid import WORDS, Searched, by_mini, by_words, words_index

from common import (
    Background,
    Shopsphere,
    cranfield,
    excerpt_rows,
    recall_at,
    scifact,
    shopsphere,
    table,
)
from trawl.ranking import calibrate, excerpts
from trawl.types import Ranking

METHODS = {
    "RRF, k = 60": package("rrf"),
    "CombSUM, min-max": package("weighted"),
    "**calibrated**": package("calibrated"),
}


def main() -> None:
    sums: dict[str, list[float]] = {}
    for name, collection in (("SciFact", scifact()), ("Cranfield", cranfield())):
        with tempfile.TemporaryDirectory() as folder:
            library = Searched(collection, by_mini(collection), folder)
            rows = excerpt_rows(len(collection.documents))
            asked = excerpts([collection.documents[row] for row in rows])
            sums[name] = [
                best_sum(*library.ask(text, vector), int(row))
                for row, text, vector in zip(rows, asked, library.embedded.asking, strict=True)
            ]
    data = shopsphere()
    pools = [WithWords(data, seed) for seed in HALVES]
    sums["products, described in full"] = [
        best_sum(*asked, row) for pool in pools[:2] for asked, row in pool.texts()
    ]
    table(
        "Best sum of the surprises of full-text and vector search, for a library's own excerpts",
        ["mean", "median", "standard deviation", "middle half / 1.35"],
        [
            (
                name,
                [
                    float(np.mean(found)),
                    float(np.median(found)),
                    float(np.std(found)),
                    float(np.subtract(*np.percentile(found, [75, 25]))) / 1.35,
                ],
            )
            for name, found in sums.items()
        ],
    )
    lines = []
    for name, method in METHODS.items():
        ranks = []
        for pool in pools:
            for (rankings, backgrounds), answer in pool.pictures():
                found, _ = method(rankings, backgrounds)
                ranks.append(found.index(answer) + 1 if answer in found else len(found) + 1)
        lines.append((name, [recall_at(ranks, k) for k in (1, 5, 10)]))
    table(
        f"Query: text; answer: image, full-text search on texts (mean of {len(HALVES)} halves)",
        ["R@1", "R@5", "R@10"],
        lines,
    )


Asked = tuple[list[Ranking], dict[str, Background]]


class WithWords:
    """A pool of ``half_and_half.py`` with full-text search over its texts."""

    def __init__(self, data: Shopsphere, seed: int) -> None:
        self.pool = Pool(data, seed, "text")
        order = np.random.default_rng(seed).permutation(len(data.texts))
        half = len(order) // 2
        self.asked = [data.descriptions[i] for i in order[:half]]
        self.told = [data.descriptions[i] for i in order[half:]]
        self.text_rows = self.pool.rows[len(self.pool.answers) :]
        self.folder = tempfile.TemporaryDirectory()
        self.words = words_index(self.told, self.folder.name)

    def _by_words(self, text: str) -> Ranking:
        found = by_words(self.words, text)
        return Ranking(WORDS, self.text_rows[found.rows], found.similarities, found.searched)

    def pictures(self) -> Iterator[tuple[Asked, int]]:
        """Yield every description whose picture is in the pool, with the picture's row."""
        for i, text in enumerate(self.asked):
            rankings = [*self.pool.rankings(i), self._by_words(text)]
            yield (rankings, self.pool.backgrounds(i)), int(self.pool.rows[i])

    def texts(self) -> Iterator[tuple[Asked, int]]:
        """Yield queries for the first 64 texts in the pool, run against the texts only."""
        for i, text in enumerate(self.told[:64]):
            query = self.pool.rivals[i]
            dense = next(r for r in self.pool.rankings_of(query) if r.source == self.pool.same_name)
            asked = [dense, self._by_words(text)]
            yield (asked, self.pool.backgrounds_of(query)), int(self.text_rows[i])


def best_sum(rankings: list[Ranking], backgrounds: dict[str, Background], own: int) -> float:
    """Return the largest sum of surprises of a chunk other than `own`; -5 for a missing source."""
    sums: dict[int, float] = {}
    for ranking in rankings:
        kept = ranking.rows != own
        others = Ranking(
            ranking.source, ranking.rows[kept], ranking.similarities[kept], ranking.searched - 1
        )
        surprises = (
            calibrate(others, backgrounds[ranking.source].null).surprises
            if ranking.source in backgrounds
            else calibrate(others).surprises
        )
        for row, surprise in zip(others.rows.tolist(), surprises.tolist(), strict=True):
            sums[row] = sums.get(row, -5.0 * len(rankings)) + max(surprise, -5.0) + 5.0
    return max(sums.values())


if __name__ == "__main__":
    main()
