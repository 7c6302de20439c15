"""The map of a `Library`: reading it, and the rows in a region of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trawl.errors import QueryError
from trawl.library.mapping import FILE, LibraryMap, parse_region, read_map
from trawl.locations import Location
from trawl.store import Snapshot, Store
from trawl.types import Space, StoredChunk


class Mapped:
    """The methods of `Library` that concern its map. `Library` sets the attributes."""

    location: Location
    work_dir: Path
    _store: Store
    _map: tuple[str, LibraryMap | None] | None = None

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
            self._map = changed, read_map(self.location)
        return self._map[1]

    def map_changed(self) -> str:
        """Return a tag that changes when the map is written; empty if there is none."""
        found = self.location.entry(FILE)
        return found.tag if found is not None else ""

    @property
    def sources(self) -> Mapping[str, Space]:
        """The space of each source of vectors."""
        return self._store.sources

    def chunks(self, chunk_ids: Sequence[str]) -> list[StoredChunk]:
        """Return chunks by id, in the order of `chunk_ids`; those that are gone are left out."""
        return self._store.snapshot().chunks_of(chunk_ids)
