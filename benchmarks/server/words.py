"""Words by the engine and in a server's memory: BM25 over 100,000 chunks, top 100, one client.

The baseline is the engine, for questions whose words it has not seen yet and for the same ones
again. Scores are compared bit by bit.

Usage: python words.py [QUESTIONS, default 1000] [CHUNKS, default 100000]
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

import common
from trawl import Library
from trawl.store import Words
from trawl.types import Ranking

DEPTH = 100


def measure(search: Callable[[str], Ranking], questions: Sequence[str]) -> tuple[float, ...]:
    """Return p50, p95 and CPU time of a search, in milliseconds."""
    took, before = [], _cpu_s()
    for question in questions:
        began = time.perf_counter()
        search(question)
        took.append((time.perf_counter() - began) * 1000)
    cpu = (_cpu_s() - before) * 1000 / len(questions)
    return float(np.median(took)), float(np.percentile(took, 95)), cpu


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    path = common.served_library(int(sys.argv[2]) if len(sys.argv) > 2 else common.CHUNKS)
    queries = common.Queries(3)
    questions = [next(queries) for _ in range(count)]
    with Library(path) as library, Library(path) as server:
        engine = library._store.snapshot()
        server.warm()
        server._store.settle()
        held = server._store.snapshot()

        def by_engine(question: str) -> Ranking:
            return engine.words(Words(question), DEPTH, None)

        def in_memory(question: str) -> Ranking:
            return held.words(Words(question), DEPTH, None)

        print("| search | p50 ms | p95 ms | CPU ms | ratio of CPU |\n|---|---|---|---|---|")
        ways = {
            "engine, new words (baseline)": by_engine,
            "engine, the same again": by_engine,
            "in memory": in_memory,
            "in memory, the same again": in_memory,
        }
        baseline = 0.0
        for name, search in ways.items():
            p50, p95, cpu = measure(search, questions)
            baseline = baseline or cpu
            print(f"| {name} | {p50:.2f} | {p95:.2f} | {cpu:.2f} | {cpu / baseline:.2f} |")
        plain = [question for question in questions if held.holds_words(Words(question))]
        same = sum(
            bool(np.array_equal(by_engine(one).similarities, in_memory(one).similarities))
            for one in plain
        )
        print(f"\n{same} of {len(plain)} questions have equal scores, bit by bit")


if __name__ == "__main__":
    main()
