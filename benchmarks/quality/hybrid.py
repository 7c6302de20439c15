"""BM25 and vector search on SciFact and Cranfield, alone and fused: nDCG@10.

    python benchmarks/quality/hybrid.py [FOLDER]

The vectors are from the built-in model, and from MiniLM if FOLDER holds the output of
``embed.py``. BM25 is Lance's, as in the store. The queries of each collection are also run
against the other collection, which has no answers to them.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import lance
import numpy as np
import pyarrow as pa

from common import (
    DEPTH,
    VECTOR_FILES,
    Background,
    Collection,
    Vectors,
    area_under_curve,
    best_of,
    cranfield,
    ndcg_at_10,
    nearest,
    nulls_of,
    sample_rows,
    scifact,
    table,
)
from trawl.encoders import load_model
from trawl.ranking import GOOD_MATCH, fuse, measure_null
from trawl.store import Words
from trawl.store.schema import AS_ANALYSED, TERMS_COLUMN, WORDS_COLUMN
from trawl.types import Ranking
from trawl.words import indexed

Rankings = list[Ranking]
Backgrounds = dict[str, Background]
Method = Callable[[Rankings, Backgrounds], tuple[list[int], float]]

DENSE, WORDS = "dense.text", "bm25"


def words_index(documents: list[str], folder: str) -> lance.LanceDataset:
    columns = zip(*(indexed([document]) for document in documents), strict=True)
    dataset = lance.write_dataset(
        pa.table(dict(zip((WORDS_COLUMN, TERMS_COLUMN), map(list, columns), strict=True))), folder
    )
    for column in (WORDS_COLUMN, TERMS_COLUMN):
        dataset.create_scalar_index(column, "INVERTED", with_position=True, **AS_ANALYSED)
    return dataset


def by_words(dataset: lance.LanceDataset, query: str, depth: int = DEPTH) -> Ranking:
    found = dataset.to_table(
        columns=["_score"],
        full_text_query=Words(query).as_query(),
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
        fused = fuse(rankings, name, nulls=nulls_of(backgrounds), **options)  # type: ignore[arg-type]
        return fused.rows.tolist(), best_of(fused, name)

    return method


def convex_z(share: float) -> Method:
    """Return the weighted sum of z-scores among the candidates; the lowest for a missing one."""

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
    "vectors": alone(DENSE),
    "RRF, k = 60": package("rrf"),
    "RRF, k = 2": package("rrf", rrf_k=2.0),
    "CombSUM, min-max": package("weighted"),
    "**calibrated**": package("calibrated"),
}
CONVEX: dict[str, Method] = {
    f"convex by z-score, {tenths / 10} BM25": convex_z(tenths / 10) for tenths in range(1, 10)
}


class Embedded(NamedTuple):
    """Float32 vectors of a collection's documents, its queries, and the library's excerpts."""

    documents: Vectors
    queries: Vectors
    asking: Vectors


def main() -> None:
    if len(sys.argv) > 2:
        sys.exit("usage: hybrid.py [FOLDER] (of MiniLM's vectors; embed.py makes them)")
    collections = {"SciFact": scifact(), "Cranfield": cranfield()}
    models = {"mini": {name: by_mini(each) for name, each in collections.items()}}
    if len(sys.argv) == 2:
        models["MiniLM"] = {name: stored(sys.argv[1], name) for name in collections}
    for model, embedded in models.items():
        columns = [f"{name} {what}" for name in collections for what in ("nDCG@10", "AUC")]
        with tempfile.TemporaryDirectory() as folder:
            libraries = [
                Searched(each, embedded[name], f"{folder}/{name}")
                for name, each in collections.items()
            ]
            measured = [measure(library) for library in libraries]
            figures = {name: measured[0][name] + measured[1][name] for name in METHODS | CONVEX}
            # The BM25 weight that is best on one collection, applied to the other.
            best = [max(CONVEX, key=lambda name: figures[name][column]) for column in (2, 0)]
            figures["convex by z-score, share learned on the other collection"] = [
                *figures[best[0]][:2],
                *figures[best[1]][2:],
            ]
            table(
                f"Words and vectors of {model} fused; AUC: queries with their answers against "
                "the same queries, answers removed",
                columns,
                figures.items(),
            )
            table(
                f"{model}: the other collection's questions against a collection's own",
                ["AUC", "own marked `no_good_match`", "others marked"],
                [
                    (f"asked of {name}", strangers(library, other))
                    for name, library, other in zip(
                        collections, libraries, reversed(libraries), strict=True
                    )
                ],
            )


def by_mini(collection: Collection) -> Embedded:
    model = load_model("mini")
    encode = model.text.encode
    return Embedded(
        encode(collection.documents), encode(collection.queries), model.reference.questions
    )


def stored(folder: str, name: str) -> Embedded:
    paths = [Path(folder) / part.format(name.lower()) for part in VECTOR_FILES]
    if not all(path.exists() for path in paths):
        sys.exit(f"no {paths[0]}; run embed.py first")
    return Embedded(*(np.load(path) for path in paths))


class Searched:
    """A collection as in a library: vectors, full-text index, self-measured statistics."""

    def __init__(self, collection: Collection, embedded: Embedded, folder: str) -> None:
        self.collection, self.embedded = collection, embedded
        drawn = sample_rows(len(embedded.documents))
        self.sample = embedded.documents[drawn]
        self.null = measure_null(embedded.asking, self.sample)
        self.words = words_index(collection.documents, folder)

    def ask(self, text: str, query: Vectors, depth: int = DEPTH) -> tuple[Rankings, Backgrounds]:
        return (
            [
                nearest(DENSE, query, self.embedded.documents, depth=depth),
                by_words(self.words, text, depth),
            ],
            {DENSE: Background(self.sample @ query, self.null)},
        )


def strangers(library: Searched, other: Searched) -> list[float]:
    """Return the AUC of the confidence, and the fractions marked as having no good match."""
    confidences = [
        np.array(
            [
                fuse(rankings, nulls=nulls_of(backgrounds)).confidence
                for text, query in zip(
                    asking.collection.queries, asking.embedded.queries, strict=True
                )
                for rankings, backgrounds in [library.ask(text, query)]
            ]
        )
        for asking in (library, other)
    ]
    return [area_under_curve(*confidences), *(float((c < GOOD_MATCH).mean()) for c in confidences)]


def measure(library: Searched) -> dict[str, list[float]]:
    """Return nDCG@10 and AUC of each method."""
    methods = METHODS | CONVEX
    gains: dict[str, list[float]] = {name: [] for name in methods}
    best: dict[str, list[tuple[float, float]]] = {name: [] for name in methods}
    for i, relevant in library.collection.judgements.items():
        # More candidates, so that enough remain without the answers.
        rankings, backgrounds = library.ask(
            library.collection.queries[i], library.embedded.queries[i], DEPTH + len(relevant)
        )
        present = [first(ranking, set()) for ranking in rankings]
        removed = [first(ranking, set(relevant)) for ranking in rankings]
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
    """Return the first `DEPTH` of a ranking without some rows."""
    kept = ~np.isin(ranking.rows, list(without))
    return Ranking(
        ranking.source,
        ranking.rows[kept][:DEPTH],
        ranking.similarities[kept][:DEPTH],
        ranking.searched - len(without),
    )


if __name__ == "__main__":
    main()
