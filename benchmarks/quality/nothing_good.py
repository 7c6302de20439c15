"""Separation of queries with an answer from queries whose answer was removed.

Half-and-half pools of real CLIP vectors, as in ``half_and_half.py``, in libraries of several
sizes: the area under the curve of a list's confidence (its best score for methods without one),
and the rate of the flag `no_good_match` at its threshold.
"""

from __future__ import annotations

import numpy as np
from half_and_half import METHODS, Method, Pool, alone

from common import area_under_curve, shopsphere, table
from trawl.ranking import GOOD_MATCH

# The constants of the ranking were chosen on halves 0 to 4 of the largest library.
FIRST = 5

# Products per library, and number of libraries drawn.
LIBRARIES = ((20, 20), (100, 6), (300, 3), (1126, 3))


def main() -> None:
    data = shopsphere()
    for asking in ("text", "image"):
        names: dict[str, Method] = {
            "raw cosine": METHODS["raw cosine"],
            "z-score": METHODS["z-score"],
            "**calibrated**": METHODS["**calibrated**"],
        }
        curves: dict[str, list[float]] = {}
        flags: dict[str, list[float]] = {"answer there": [], "answer removed": []}
        for products, count in LIBRARIES:
            pools = [Pool(data, seed, asking, products) for seed in range(FIRST, FIRST + count)]
            only = pools[0].other_name
            methods = names | {
                "raw cosine, in the answers' modality": among(only, METHODS["raw cosine"]),
                "**calibrated**, in the answers' modality": alone(only),
            }
            for name, method in methods.items():
                present, removed = bests(pools, method)
                curves.setdefault(name, []).append(area_under_curve(present, removed))
                if name == "**calibrated**":
                    flags["answer there"].append(float((present < GOOD_MATCH).mean()))
                    flags["answer removed"].append(float((removed < GOOD_MATCH).mean()))
        columns = [f"{products} products" for products, _ in LIBRARIES]
        table(f"Query: {asking}. Area under the curve", columns, curves.items())
        table(f"Query: {asking}. Fraction of lists marked `no_good_match`", columns, flags.items())


def among(source: str, method: Method) -> Method:
    return lambda rankings, backgrounds: method(
        [r for r in rankings if r.source == source], backgrounds
    )


def bests(pools: list[Pool], method: Method) -> tuple[np.ndarray, np.ndarray]:
    """Return the best scores with and without the answers."""
    present, removed = [], []
    for pool in pools:
        for i in range(len(pool.queries)):
            present.append(method(pool.rankings(i), pool.backgrounds(i))[1])
            removed.append(method(pool.rankings(i, True), pool.backgrounds(i, True))[1])
    return np.array(present), np.array(removed)


if __name__ == "__main__":
    main()
