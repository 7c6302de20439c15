"""What arranging a list reads: the columns of one library's chunks, or of several libraries'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trawl.store import Copies
from trawl.types import ColumnType, StoredChunk


class Rows(Protocol):
    """The methods of `Snapshot` that candidates of several libraries have, too."""

    @property
    def columns(self) -> Mapping[str, ColumnType]: ...
    @property
    def copies(self) -> Copies: ...
    @property
    def sources(self) -> tuple[str, ...]: ...

    def fields(self, rows: Sequence[int], columns: Sequence[str]) -> dict[int, dict[str, Any]]: ...

    def take(self, rows: Sequence[int]) -> list[StoredChunk]: ...

    def rows_of(self, chunk_ids: Sequence[str]) -> dict[str, int]: ...

    def vectors(self, source: str, rows: Sequence[int]) -> dict[int, NDArray[np.float32]]: ...
