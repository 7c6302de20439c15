"""Questions that a library can ask itself, to learn what it gives without an answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def excerpts(texts: Sequence[str], *, words: int = 10, seed: int = 0) -> list[str]:
    """Cut `words` consecutive words out of each text, at a random place; repeatable.

    People ask in few words, and few words are less like a passage than another passage
    is: `measure_null` on these foretells short questions where passages would put the
    null about a standard deviation too high (docs/ranking.md).
    """
    random = np.random.default_rng(seed)
    cut = []
    for text in texts:
        split = text.split()
        start = int(random.integers(0, max(1, len(split) - words + 1)))
        cut.append(" ".join(split[start : start + words]))
    return cut
