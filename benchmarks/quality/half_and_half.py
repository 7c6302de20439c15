"""The images of half the products and the texts of the other half in one pool.

The only correct answer has the other modality than the query, so that a list is correct
only if the scores of two modalities are comparable. Five random halves, real CLIP
vectors; nothing is fitted to them except what a library measures on itself.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from common import (
    Background,
    Ranking,
    Shopsphere,
    Vectors,
    area_under_curve,
    best_of,
    nearest,
    nulls_of,
    recall_at,
    shopsphere,
    table,
)
from trawl.ranking import Null, Prior, fuse, measure_null

# The constants of the ranking were chosen on halves 0 to 4.
HALVES = range(5, 10)
Method = Callable[[list[Ranking], dict[str, Background]], tuple[list[int], float]]


class Pool:
    """A half-and-half pool: the answer of each row of `queries` is the same row of `answers`."""

    def __init__(
        self, data: Shopsphere, seed: int, asking: str, products: int | None = None
    ) -> None:
        order = np.random.default_rng(seed).permutation(len(data.texts))[:products]
        first, second = order[: len(order) // 2], order[len(order) // 2 :]
        if asking == "text":
            same, other = data.texts, data.images
        else:
            same, other = data.images, data.texts
        self.same_name, self.other_name = (
            ("clip.text", "clip.image") if asking == "text" else ("clip.image", "clip.text")
        )
        self.queries, self.answers, self.rivals = same[first], other[first], same[second]
        self.samples = {
            self.same_name: self.rivals,
            self.other_name: self.answers,
        }
        # Random row ids, so that ties favour neither side.
        self.rows = np.random.default_rng(seed).permutation(len(first) + len(second))
        # The library queries itself with its own vectors of the query's modality.
        asked = self.rivals[:256]
        groups = np.arange(len(self.rivals))
        self.nulls: dict[str, Null | None] = {
            self.same_name: measure_null(
                asked, self.rivals, query_groups=groups[:256], sample_groups=groups
            ),
            self.other_name: measure_null(asked, self.samples[self.other_name]),
        }

    def rankings(self, i: int, removed: bool = False) -> list[Ranking]:
        """Return both sources' rankings for query i."""
        return self.rankings_of(self.queries[i], i if removed else None)

    def backgrounds(self, i: int, removed: bool = False) -> dict[str, Background]:
        return self.backgrounds_of(self.queries[i], i if removed else None)

    def rankings_of(self, query: Vectors, removed: int | None = None) -> list[Ranking]:
        rows, answers = self.rows[: len(self.answers)], self.answers
        if removed is not None:
            rows, answers = np.delete(rows, removed), np.delete(answers, removed, axis=0)
        return [
            nearest(self.other_name, query, answers, rows),
            nearest(self.same_name, query, self.rivals, self.rows[len(self.answers) :]),
        ]

    def backgrounds_of(self, query: Vectors, removed: int | None = None) -> dict[str, Background]:
        samples = dict(self.samples)
        if removed is not None:
            samples[self.other_name] = np.delete(samples[self.other_name], removed, axis=0)
        return {n: Background(sample @ query, self.nulls[n]) for n, sample in samples.items()}


def by(score: Callable[[Ranking, Background], Vectors]) -> Method:
    """Merge by a score per candidate."""

    def method(
        rankings: list[Ranking], backgrounds: dict[str, Background]
    ) -> tuple[list[int], float]:
        rows = np.concatenate([r.rows for r in rankings])
        scores = np.concatenate([score(r, backgrounds[r.source]) for r in rankings])
        return rows[np.lexsort((rows, -scores))].tolist(), float(scores.max())

    return method


def package(name: str, with_null: bool = True) -> Method:
    """Merge with this package's fusion."""

    def method(
        rankings: list[Ranking], backgrounds: dict[str, Background]
    ) -> tuple[list[int], float]:
        nulls = nulls_of(backgrounds) if with_null else {}
        priors = {
            k: Prior(float(b.similarities.mean()), float(b.similarities.std()))
            for k, b in backgrounds.items()
        }
        fused = fuse(rankings, name, nulls=nulls, priors=priors)  # type: ignore[arg-type]
        return fused.rows.tolist(), best_of(fused, name)

    return method


def _z(ranking: Ranking, background: Background) -> Vectors:
    sample = background.similarities
    return (ranking.similarities - sample.mean()) / sample.std()


def _z_top(ranking: Ranking, _: Background) -> Vectors:
    top = ranking.similarities[:50]
    return (ranking.similarities - top.mean()) / top.std()


def _tail(ranking: Ranking, _: Background) -> Vectors:
    top = ranking.similarities[:50]
    return (ranking.similarities - top[-1]) / (top.mean() - top[-1])


METHODS: dict[str, Method] = {
    "raw cosine": by(lambda r, _: r.similarities),
    "means subtracted per query": by(lambda r, b: r.similarities - b.similarities.mean()),
    "RRF, k = 60": package("rrf"),
    "CombSUM, min-max": package("weighted"),
    "z-score": by(_z),
    "z-score by the top 50": by(_z_top),
    "exponential tail of the top 50": by(_tail),
    "calibrated, no measured null": package("calibrated", with_null=False),
    "**calibrated**": package("calibrated"),
}


def main() -> None:
    data = shopsphere()
    for asking, answer in (("text", "image"), ("image", "text")):
        pools = [Pool(data, seed, asking) for seed in HALVES]
        methods = METHODS | {f"ceiling: {answer}s alone": alone(pools[0].other_name)}
        lines = [
            (name, np.mean([measure(pool, method) for pool in pools], axis=0).tolist())
            for name, method in methods.items()
        ]
        table(
            f"Query: {asking}; answer: {answer} (mean of {len(HALVES)} halves); AUC: answer "
            "there against removed",
            ["R@1", "R@5", "R@10", "AUC"],
            lines,
        )
        lines = [
            (name, np.mean([measure_itself(pool, method) for pool in pools], axis=0).tolist())
            for name, method in METHODS.items()
        ]
        table(
            f"Query: {asking}; answer: that {asking} itself (ceiling 1)",
            ["R@1", "R@5", "R@10"],
            lines,
        )


def alone(source: str) -> Method:
    def method(
        rankings: list[Ranking], backgrounds: dict[str, Background]
    ) -> tuple[list[int], float]:
        fused = fuse([r for r in rankings if r.source == source], nulls=nulls_of(backgrounds))
        return fused.rows.tolist(), fused.confidence

    return method


def measure_itself(pool: Pool, method: Method) -> list[float]:
    """Measure the reverse: every fifth rival is queried by its own vector."""
    ranks = []
    for i in range(0, len(pool.rivals), 5):
        query = pool.rivals[i]
        rows, _ = method(pool.rankings_of(query), pool.backgrounds_of(query))
        ranks.append(rows.index(pool.rows[len(pool.answers) + i]) + 1)
    return [recall_at(ranks, k) for k in (1, 5, 10)]


def measure(pool: Pool, method: Method) -> list[float]:
    ranks, present, removed = [], [], []
    for i in range(len(pool.queries)):
        rows, best = method(pool.rankings(i), pool.backgrounds(i))
        answer = pool.rows[i]
        ranks.append(rows.index(answer) + 1 if answer in rows else len(rows) + 1)
        present.append(best)
        removed.append(method(pool.rankings(i, True), pool.backgrounds(i, True))[1])
    return [
        *(recall_at(ranks, k) for k in (1, 5, 10)),
        area_under_curve(np.array(present), np.array(removed)),
    ]


if __name__ == "__main__":
    main()
