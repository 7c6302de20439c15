"""Search among sets of vectors by late interaction (`trawl.maxsim`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lance
import numpy as np
from numpy.typing import NDArray

from trawl import maxsim
from trawl.store.rows import row_ids, vectors_of
from trawl.types import Space

# An index finds the sets of which some vector is near; their others were not compared. So many
# more are compared in full than are returned (docs/benchmarks.md has the recall).
_NPROBES = 8
_REFINE_FACTOR = 10

_EQUAL = 1e-3


def nearest_sets(
    dataset: lance.LanceDataset,
    space: Space,
    query: NDArray[np.float32],
    nearest: Mapping[str, Any],
    where: str | None,
    indexed: bool,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the row ids, int64 [K], and similarities of the sets nearest to a flat query.

    `nearest` are the engine's options; it computes the similarities exactly.
    """
    rows = maxsim.rows_of(query, space.width)
    weights = np.linalg.norm(rows, axis=1)
    options = {**nearest, "q": rows / weights[:, None]}
    if options["use_index"] and indexed:
        options |= {"nprobes": _NPROBES, "refine_factor": _REFINE_FACTOR}
    # The engine counts the vectors of a query alike.
    is_weighted = bool(np.ptp(weights) > _EQUAL * weights.max())
    table = dataset.to_table(
        columns=["_distance", *([options["column"]] if is_weighted else [])],
        nearest=options,
        filter=where,
        prefilter=where is not None,
        with_row_id=True,
    )
    found = row_ids(table)
    if not is_weighted or not len(found):
        # The distance is the sum of 1 - cosine over the query's vectors.
        distances = table["_distance"].to_numpy()
        return found, (1 - distances / len(rows)).astype(np.float32)
    _, documents = vectors_of(table, options["column"])
    similarities = maxsim.similarities(query[None], documents, space.parts)[0]
    order = np.argsort(-similarities, kind="stable")
    return found[order], similarities[order]
