"""The map of a `Library`: reading it, and the rows in a region of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trawl.errors import QueryError
from trawl.library.mapping import FILE, LibraryMap, parse_region, read_map
from trawl.store import Snapshot, Store
from trawl.types import Space, StoredChunk


class Mapped:
    """The methods of `Library` that concern its map. `Library` sets `path` and `_store`."""

    path: Path
    _store: Store
    _map: tuple[int, LibraryMap | None] | None = None

    def _within(self, region: str | None, snapshot: Snapshot) -> NDArray[np.int64] | None:
        if region is None:
            return None
        parse_region(region)
        known = self.map()
        if known is None:
            raise QueryError("this library has no map yet; open the map, and draw the region again")
        return known.within(region, snapshot)

    def map(self) -> LibraryMap | None:
        """Return the map of the library as it was last computed, or None."""
        changed = self.map_changed()
        if self._map is None or self._map[0] != changed:
            self._map = changed, read_map(self.path)
        return self._map[1]

    def map_changed(self) -> int:
        """Return when the map was last written, in nanoseconds; 0 if it was not."""
        try:
            return (self.path / FILE).stat().st_mtime_ns
        except OSError:
            return 0

    @property
    def sources(self) -> Mapping[str, Space]:
        """The space of each source of vectors."""
        return self._store.sources

    def chunks(self, chunk_ids: Sequence[str]) -> list[StoredChunk]:
        """Return chunks by id, in the order of `chunk_ids`; those that are gone are left out."""
        return self._store.snapshot().chunks_of(chunk_ids)
