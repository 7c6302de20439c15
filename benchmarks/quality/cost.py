"""Time of calibration and fusion: four sources of 200 candidates, samples of 1,024."""

from __future__ import annotations

import time

import numpy as np

from trawl.ranking import Method, Null, fuse
from trawl.types import Ranking

SOURCES = ("bm25", "mini.audio", "mini.image", "mini.text")
CANDIDATES, SAMPLE, CHUNKS, ROUNDS = 200, 1024, 100_000, 300


def main() -> None:
    random = np.random.default_rng(0)
    null = Null(2.4, 0.5, growth=0.3, size=SAMPLE)
    rankings, nulls = [], {}
    for source in SOURCES:
        # Full-text and vector search find many of the same chunks.
        rows = random.choice(400 if source in ("bm25", "mini.text") else CHUNKS, CANDIDATES, False)
        best = np.sort(random.normal(3, 0.3, CANDIDATES).astype(np.float32))[::-1]
        rankings.append(Ranking(source, rows, best, CHUNKS))
        if source != "bm25":
            nulls[source] = null
    print("| | median ms | fastest ms |\n|---|---|---|")
    methods: tuple[Method, ...] = ("calibrated", "rrf", "weighted")
    for method in methods:
        taken = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            fuse(rankings, method, nulls=nulls)[:10]
            taken.append((time.perf_counter() - began) * 1000)
        print(f"| {method}, first 10 with evidence | {np.median(taken):.2f} | {min(taken):.2f} |")


if __name__ == "__main__":
    main()
