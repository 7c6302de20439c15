"""Vector search in a library of 100,000 chunks, compared with other implementations.

Usage: python nearest.py [CHUNKS] (default 100000). The vectors are clustered like real ones: 500
centres with noise of the same size, 256 dimensions.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from trawl.locations import location_of
from trawl.store import Store, Words, write_lock
from trawl.types import Chunk, Document, Space, Span

DIMENSION = 256
SOURCE = "bench.text"
QUERIES = 200
BATCH = 2_000


def vectors(count: int, generator: np.random.Generator, centres: np.ndarray) -> np.ndarray:
    noise = generator.standard_normal((count, DIMENSION))
    points = centres[generator.integers(0, len(centres), count)] + noise
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def fill(store: Store, rows: np.ndarray) -> tuple[float, float]:
    with write_lock(store.location) as lock:
        writer = store.writer(lock)
        began = time.perf_counter()
        for start in range(0, len(rows), BATCH):
            writer.commit(
                [
                    (
                        Document(f"d{i:08d}", f"/d/{i}", "h", "text/plain", f"t{i}", {}, 1),
                        [Chunk(f"d{i:08d}", 0, "text", Span(), f"word{i} of text", {SOURCE: row})],
                    )
                    for i, row in enumerate(rows[start : start + BATCH], start)
                ]
            )
        written = time.perf_counter()
        writer.maintain()
    return written - began, time.perf_counter() - written


def measure(search: Callable[[np.ndarray], object], queries: np.ndarray) -> tuple[float, float]:
    for query in queries[:20]:
        search(query)
    took = []
    for query in queries:
        began = time.perf_counter()
        search(query)
        took.append((time.perf_counter() - began) * 1000)
    return float(np.median(took)), float(np.percentile(took, 95))


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    generator = np.random.default_rng(0)
    centres = generator.standard_normal((500, DIMENSION))
    rows = vectors(count, generator, centres)
    queries = vectors(QUERIES, generator, centres)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        space = Space("bench", DIMENSION, "0")
        store = Store.create(location_of(directory), {SOURCE: space})
        write_s, index_s = fill(store, rows)
        print(f"{count:,} chunks: written in {write_s:.1f} s, indexed in {index_s:.1f} s\n")
        snapshot = store.refresh()

        def matrix(query: np.ndarray) -> object:
            similarities = rows @ query
            return np.argpartition(-similarities, 10)[:10]

        def through_lancedb() -> Callable[[np.ndarray], object]:
            import lancedb

            table = lancedb.connect(folder).open_table("chunks")
            column = "v_bench_2etext"
            return lambda query: (
                table.search(query, vector_column_name=column)
                .distance_type("cosine")
                .nprobes(32)
                .refine_factor(3)
                .select(["_distance"])
                .with_row_id(True)
                .limit(10)
                .to_arrow()
            )

        ways = {
            "NumPy matrix in memory (baseline)": matrix,
            "Trawl, top 10": lambda query: snapshot.nearest(SOURCE, query, 10, None),
            "Trawl, top 100": lambda query: snapshot.nearest(SOURCE, query, 100, None),
            "the same index through the lancedb package, top 10": through_lancedb(),
            "Trawl, full text, top 100": lambda query: snapshot.words(
                Words("word77 of text"), 100, None
            ),
        }
        print("| search | p50 ms | p95 ms | ratio to baseline |\n|---|---|---|---|")
        baseline = None
        for name, search in ways.items():
            p50, p95 = measure(search, queries)
            baseline = baseline or p50
            print(f"| {name} | {p50:.1f} | {p95:.1f} | {p50 / baseline:.2f} |", flush=True)
        for depth in (10, 100):
            hits = 0
            for query in queries[:100]:
                exact = set(np.argpartition(-(rows @ query), depth)[:depth].tolist())
                found = snapshot.take(snapshot.nearest(SOURCE, query, depth, None).rows.tolist())
                hits += len(exact & {int(chunk.document_id[1:]) for chunk in found})
            print(f"\nrecall@{depth}: {hits / depth / 100:.3f}")


if __name__ == "__main__":
    main()
