"""Columns of what the engine gives, as arrays."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trawl.types import Vectors


def row_ids(table: pa.Table) -> NDArray[np.int64]:
    """Give the ids of a table's rows, int64 [N]. They were asked for with it."""
    return np.asarray(table["_rowid"].to_numpy().astype(np.int64))


def vectors_of(table: pa.Table, column: str, dimension: int) -> tuple[pa.Table, Vectors]:
    """Give the rows that have a vector in a column, and these, float32 [N, D]."""
    having = table.filter(table[column].is_valid())
    vectors = np.asarray(having[column].combine_chunks().flatten(), np.float32)
    return having, vectors.reshape(-1, dimension)
