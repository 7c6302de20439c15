"""BM25 and MiniLM on SciFact and Cranfield, each alone and fused: nDCG@10.

    python benchmarks/quality/hybrid.py FOLDER

FOLDER holds the vectors that ``embed.py`` made. BM25 is Lance's, as the store asks it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
from lance.query import MatchQuery

from common import (
    DEPTH,
    VECTOR_FILES,
    Collection,
    Vectors,
    area_under_curve,
    cranfield,
    excerpt_rows,
    ndcg_at_10,
    nearest,
    sample_rows,
    scifact,
    table,
)
from trawl.ranking import Background, fuse, measure_null
from trawl.types import Ranking

Rankings = list[Ranking]
Backgrounds = dict[str, Background]
Method = Callable[[Rankings, Backgrounds], tuple[list[int], float]]

DENSE, WORDS = "minilm.text", "bm25"


def words_index(documents: list[str], folder: str) -> lance.LanceDataset:
    dataset = lance.write_dataset(pa.table({"words": documents}), folder)
    dataset.create_scalar_index("words", "INVERTED", with_position=True)
    return dataset


def by_words(dataset: lance.LanceDataset, query: str, depth: int = DEPTH) -> Ranking:
    found = dataset.to_table(
        columns=["_score"],
        full_text_query=MatchQuery(query, "words"),
        limit=depth,
        with_row_id=True,
    )
    scores = found["_score"].to_numpy().astype(np.float32)
    rows = found["_rowid"].to_numpy().astype(np.int64)
    order = np.lexsort((rows, -scores))
    return Ranking(WORDS, rows[order], scores[order], dataset.count_rows())


def alone(source: str) -> Method:
    def method(rankings: Rankings, backgrounds: Backgrounds) -> tuple[list[int], float]:
        return package("calibrated")([r for r in rankings if r.source == source], backgrounds)

    return method


def package(name: str, **options: object) -> Method:
    def method(rankings: Rankings, backgrounds: Backgrounds) -> tuple[list[int], float]:
        fused = fuse(rankings, name, backgrounds=backgrounds, **options)  # type: ignore[arg-type]
        return fused.rows.tolist(), float(fused.scores[0]) if len(fused) else 0.0

    return method


def convex_z(share: float) -> Method:
    """Weighted sum of z-scores within the candidates; the lowest where there is none."""

    def method(rankings: Rankings, _: Backgrounds) -> tuple[list[int], float]:
        rows = np.unique(np.concatenate([r.rows for r in rankings]))
        total = np.zeros(len(rows))
        for ranking in rankings:
            if len(ranking.rows) < 2:
                continue
            z = (ranking.similarities - ranking.similarities.mean()) / (
                ranking.similarities.std() + 1e-9
            )
            weight = share if ranking.source == WORDS else 1 - share
            total += weight * z.min()
            total[np.searchsorted(rows, ranking.rows)] += weight * (z - z.min())
        return rows[np.argsort(-total, kind="stable")].tolist(), float(total.max())

    return method


METHODS: dict[str, Method] = {
    "BM25": alone(WORDS),
    "MiniLM": alone(DENSE),
    "RRF, k = 60": package("rrf"),
    "RRF, k = 2": package("rrf", rrf_k=2.0),
    "CombSUM, min-max": package("weighted"),
    "**calibrated**": package("calibrated"),
}
CONVEX: dict[str, Method] = {
    f"convex by z-score, {tenths / 10} BM25": convex_z(tenths / 10) for tenths in range(1, 10)
}


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: hybrid.py FOLDER (of vectors; embed.py makes them)")
    figures: dict[str, list[float]] = {name: [] for name in METHODS | CONVEX}
    columns: list[str] = []
    for name, load in (("scifact", scifact), ("cranfield", cranfield)):
        paths = [Path(sys.argv[1]) / part.format(name) for part in VECTOR_FILES]
        if not all(path.exists() for path in paths):
            print(f"skipped {name}: no {paths[0]}; run embed.py first")
            continue
        columns += [f"{name} nDCG@10", f"{name} AUC"]
        for method, values in measure(load(), *(np.load(path) for path in paths)).items():
            figures[method] += values
    if len(columns) == 4:
        # The share of BM25 that is best on one collection, used on the other.
        best = [max(CONVEX, key=lambda name: figures[name][column]) for column in (2, 0)]
        figures["convex by z-score, share learned on the other collection"] = [
            *figures[best[0]][:2],
            *figures[best[1]][2:],
        ]
    if columns:
        table(
            "Words and vectors fused; AUC: queries with their answers against the same "
            "queries, answers removed",
            columns,
            figures.items(),
        )


def measure(
    collection: Collection, vectors: Vectors, queries: Vectors, asking: Vectors
) -> dict[str, list[float]]:
    """nDCG@10 and AUC of each method."""
    drawn = sample_rows(len(vectors))
    sample = vectors[drawn]
    null = measure_null(
        asking, sample, query_groups=excerpt_rows(len(vectors)), sample_groups=drawn
    )
    methods = METHODS | CONVEX
    gains: dict[str, list[float]] = {name: [] for name in methods}
    best: dict[str, list[tuple[float, float]]] = {name: [] for name in methods}
    with tempfile.TemporaryDirectory() as folder:
        dataset = words_index(collection.documents, folder)
        for i, relevant in collection.judgements.items():
            # Deeper, so that enough is left when the answers are removed.
            words = by_words(dataset, collection.queries[i], DEPTH + len(relevant))
            dense = nearest(DENSE, queries[i], vectors, depth=DEPTH + len(relevant))
            backgrounds = {DENSE: Background(sample @ queries[i], null)}
            present = [first(dense, set()), first(words, set())]
            removed = [first(dense, set(relevant)), first(words, set(relevant))]
            for name, method in methods.items():
                rows, score = method(present, backgrounds)
                gains[name].append(ndcg_at_10(rows, relevant))
                best[name].append((score, method(removed, backgrounds)[1]))
    return {
        name: [
            float(np.mean(gains[name])),
            area_under_curve(*np.array(best[name], dtype=np.float64).T),
        ]
        for name in methods
    }


def first(ranking: Ranking, without: set[int]) -> Ranking:
    """Give the first `DEPTH` of a ranking without some rows."""
    kept = ~np.isin(ranking.rows, list(without))
    return Ranking(
        ranking.source,
        ranking.rows[kept][:DEPTH],
        ranking.similarities[kept][:DEPTH],
        ranking.searched - len(without),
    )


if __name__ == "__main__":
    main()
