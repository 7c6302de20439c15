"""The map of a library: a file beside its tables with a position for each chunk.

A process of its own computes it (`main`), at low priority, when a server asks. New chunks are
placed by the same projection; it is fitted again once a fifth of the chunks have changed.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from trawl.errors import LibraryReadOnlyError, QueryError
from trawl.library.projection import LARGEST, Moments, Plane, fit, inside
from trawl.locations import Location, location_of
from trawl.store import Snapshot, Store
from trawl.types import MODALITIES, Modality, Space

FILE = ".map.npz"
_LOCK = ".map.lock"
_PROGRESS = ".map.json"
_FIT_AGAIN = 0.2
_FEW = 20
_MOST_CORNERS = 200
_REGION = re.compile(r"([0-9a-f]{8}):(-?\d{1,5}(?:,-?\d{1,5})*)")
_NICENESS = 19


@dataclass(frozen=True, slots=True)
class LibraryMap:
    """The positions of chunks, int16 [N, 2], and their ids, bytes [N], ascending.

    `kinds` are indexes into `MODALITIES`, uint8 [N]. `version` changes when the projection is
    fitted again; `state` is that of the library. `fitted` counts the chunks of the projection.
    """

    version: str
    state: str
    fitted: int
    ids: NDArray[np.bytes_]
    points: NDArray[np.int16]
    kinds: NDArray[np.uint8]
    planes: Mapping[str, Plane]

    @property
    def tag(self) -> str:
        """An identifier of the map with all its points."""
        return f"{self.version}-{self.state}"

    def as_bytes(self) -> bytes:
        """Return all x, then all y (int16, little-endian), then all kinds (uint8)."""
        x, y = self.points.astype("<i2").T
        return b"".join((x.tobytes(), y.tobytes(), self.kinds.tobytes()))

    def find(self, chunk_ids: Sequence[str]) -> dict[str, int]:
        """Return the index of each chunk that is on the map."""
        wanted = np.array([one.encode() for one in chunk_ids], self.ids.dtype)
        at = np.searchsorted(self.ids, wanted)
        pairs = zip(chunk_ids, at.tolist(), wanted, strict=True)
        return {one: n for one, n, key in pairs if n < len(self.ids) and self.ids[n] == key}

    def within(self, region: str, snapshot: Snapshot) -> NDArray[np.int64]:
        """Return the ids, ascending, of a snapshot's rows inside a region.

        Raises `QueryError` if the region is invalid or of another version of the map.
        """
        version, polygon = parse_region(region)
        if version != self.version:
            raise QueryError(
                "the map was computed again since this region was drawn; draw the region again"
            )
        chosen = self.ids[inside(polygon, self.points)]
        rows, names = snapshot.names
        return np.sort(rows[np.isin(names, chosen)])


def parse_region(region: str) -> tuple[str, NDArray[np.float64]]:
    """Return the version and the polygon [P, 2] of a region, `VERSION:x,y,x,y,...`."""
    found = _REGION.fullmatch(region)
    numbers = [int(one) for one in found[2].split(",")] if found else []
    corners = len(numbers) // 2
    if found is None or len(numbers) % 2 or not 3 <= corners <= _MOST_CORNERS:
        raise QueryError(
            f"map {region[:60]!r} is not a region: write the map's version, a colon, and the x and "
            f"y of 3 to {_MOST_CORNERS} corners, as in 1f0c9d2a:0,0,900,0,900,900"
        )
    return found[1], np.asarray(numbers, np.float64).reshape(-1, 2)


def read_map(location: Location) -> LibraryMap | None:
    """Return the map of a library, or None if there is none that can be read."""
    try:
        with np.load(io.BytesIO(location.read(FILE)), allow_pickle=False) as held:
            about = json.loads(str(held["about"]))
            planes = {name: Plane.from_dict(one) for name, one in about.pop("planes").items()}
            return LibraryMap(
                **about, ids=held["ids"], points=held["points"], kinds=held["kinds"], planes=planes
            )
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
        return None


def progress_of(work_dir: Path) -> float | None:
    """Return the progress, 0 to 1, of the process that computes the map; None if none runs."""
    try:
        with FileLock(work_dir / _LOCK, timeout=0):
            return None
    except Timeout:
        pass
    except OSError:
        return None
    try:
        return float(json.loads((work_dir / _PROGRESS).read_text("utf-8")))
    except (OSError, ValueError):
        return 0.0


def chosen_sources(sources: Mapping[str, Space]) -> dict[Modality, str]:
    """Return the source that places each modality: that of the space with most modalities.

    Sets of vectors have no place.
    """
    sources = {name: space for name, space in sources.items() if space.parts == 1}
    sizes: dict[str, int] = {}
    for space in sources.values():
        sizes[space.name] = sizes.get(space.name, 0) + 1
    chosen: dict[Modality, str] = {}
    for modality in MODALITIES:
        of_it = [name for name in sources if name.rpartition(".")[2] == modality]
        if of_it:
            chosen[modality] = max(of_it, key=lambda name: sizes[sources[name].name])
    return chosen


class _Work:
    """Computes a map and writes it."""

    def __init__(self, store: Store, work_dir: Path) -> None:
        self._store = store
        self._work_dir = work_dir
        self._snapshot = store.snapshot()
        self._sources = chosen_sources(store.sources)
        self._total = 1 + 2 * sum(self._snapshot.size(one) for one in self._sources.values())
        self._done = 0

    def run(self) -> LibraryMap:
        before = read_map(self._store.location)
        if before is not None and before.state == self._snapshot.state:
            return before
        if before is None or self._changed(before):
            planes: Mapping[str, Plane] = self._fit()
            fitted = sum(self._snapshot.counts.values())
            version = uuid.uuid4().hex[:8]
        else:
            planes, fitted, version = before.planes, before.fitted, before.version
        made = self._placed(planes, fitted, version)
        self._write(made)
        return made

    def _changed(self, before: LibraryMap) -> bool:
        """Return whether the projection is to be fitted again."""
        _, names = self._snapshot.names
        present = {name for name, count in self._snapshot.counts.items() if count}
        known = {name for plane in before.planes.values() for name in plane.means}
        if not present & set(self._sources) <= known:
            return True
        same = int(np.isin(before.ids, names).sum())
        changed = len(names) - same + len(before.ids) - same
        changed = max(changed, abs(len(names) - before.fitted))
        return changed > max(_FEW, _FIT_AGAIN * before.fitted)

    def _fit(self) -> dict[str, Plane]:
        moments: dict[str, dict[Modality, Moments]] = {}
        for modality, source in self._sources.items():
            space = self._store.sources[source]
            one = Moments(space.dimension)
            for _, vectors in self._snapshot.batches(source, modality):
                one.add(vectors)
                self._advance(len(vectors))
            if one.count:
                moments.setdefault(space.name, {})[modality] = one
        parts = len(moments)
        return {
            name: fit(of_it, part=part, parts=parts)
            for part, (name, of_it) in enumerate(sorted(moments.items()))
        }

    def _placed(self, planes: Mapping[str, Plane], fitted: int, version: str) -> LibraryMap:
        ids: list[NDArray[np.bytes_]] = [np.zeros(0, "S34")]
        points = [np.zeros((0, 2), np.int16)]
        kinds = [np.zeros(0, np.uint8)]
        for modality, source in self._sources.items():
            plane = planes.get(self._store.sources[source].name)
            if plane is None or modality not in plane.means:
                continue
            for names, vectors in self._snapshot.batches(source, modality):
                ids.append(names)
                points.append(plane.place(modality, vectors))
                kinds.append(np.full(len(names), MODALITIES.index(modality), np.uint8))
                self._advance(len(names))
        names, order = np.unique(np.concatenate(ids), return_index=True)
        return LibraryMap(
            version, self._snapshot.state, fitted, names,
            np.concatenate(points)[order], np.concatenate(kinds)[order], planes,
        )  # fmt: skip

    def _advance(self, count: int) -> None:
        self._done += count
        done = min(1.0, self._done / self._total)
        (self._work_dir / _PROGRESS).write_text(json.dumps(round(done, 3)), "utf-8")

    def _write(self, made: LibraryMap) -> None:
        about = {
            "version": made.version,
            "state": made.state,
            "fitted": made.fitted,
            "planes": {name: plane.as_dict() for name, plane in made.planes.items()},
        }
        file = io.BytesIO()
        np.savez_compressed(
            file, about=json.dumps(about), ids=made.ids, points=made.points, kinds=made.kinds
        )
        self._store.location.write(FILE, file.getvalue())


def compute_map(
    location: Location, work_dir: Path, sources: Mapping[str, Space]
) -> LibraryMap | None:
    """Compute and write the map of a library; None if another process is doing so.

    Raises `LibraryReadOnlyError` if it cannot be written.
    """
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(work_dir / _LOCK, timeout=0):
            (work_dir / _PROGRESS).write_text("0", "utf-8")
            store = Store(location, sources)
            try:
                return _Work(store, work_dir).run()
            finally:
                store.close()
    except Timeout:
        return None
    except OSError as error:
        raise LibraryReadOnlyError(
            f"the map of {location} cannot be written: {error.strerror or error}"
        ) from error


def main() -> None:
    """Compute the map of the library that standard input names, as JSON."""
    os.nice(_NICENESS)
    request: dict[str, Any] = json.loads(sys.stdin.read())
    sources = {name: Space(**space) for name, space in request["sources"].items()}
    try:
        location = location_of(request["library"], request["storage_options"])
        compute_map(location, Path(request["work_dir"]), sources)
    except LibraryReadOnlyError as error:
        sys.exit(str(error))


assert LARGEST < 10**5  # five digits in a region

if __name__ == "__main__":
    main()
