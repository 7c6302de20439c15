"""A copy, on the local disk, of a table in an object store.

The engine reads rows by id from the store with some ten requests, and keeps none of them in
memory. The files of a table never change, so a copy of them answers without a request, and a new
version costs only its new files.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import lance
from filelock import FileLock

from trawl.locations import Bucket
from trawl.telemetry import logger

_THREADS = 8
_STALE = "stale.json"
# Longer than any reader keeps a snapshot.
_STALE_KEPT_S = 3_600.0


class StoppedError(Exception):
    """The mirror was stopped while it copied files."""


class Mirror:
    """Copies one table into `directory`, up to `max_bytes`.

    Several processes may share the directory. Not safe to use from several threads at once.
    """

    def __init__(self, location: Bucket, name: str, directory: Path, max_bytes: int) -> None:
        self._location = location
        self._name = f"{name}.lance"
        self._directory = directory
        self._max_bytes = max_bytes
        self._refused = False
        self._stopping = Event()

    def stop(self) -> None:
        """Make `sync` raise `StoppedError` soon."""
        self._stopping.set()

    def opened(
        self, dataset: lance.LanceDataset, session: lance.Session
    ) -> lance.LanceDataset | None:
        """Open the copy of a version of the table; None if it was not copied as a whole."""
        found = self._at(dataset.version, session)
        # A library that was deleted and created again has the same version numbers.
        return found if found is not None and _parts(found) == _parts(dataset) else None

    def sync(
        self, dataset: lance.LanceDataset, session: lance.Session
    ) -> lance.LanceDataset | None:
        """Copy the files of a version of the table that are missing, and open the copy.

        Returns None if the version is larger than `max_bytes`. Raises `StorageError`, `OSError`
        if the disk is full, and `StoppedError`.
        """
        found = self.opened(dataset, session)
        if found is not None:
            return found
        wanted = _files(dataset)
        self._directory.mkdir(parents=True, exist_ok=True)
        with FileLock(self._directory / ".lock", poll_interval=0.2):
            root = self._directory / self._name
            known = self._at(dataset.version, session)
            if known is not None and _parts(known) != _parts(dataset):
                shutil.rmtree(root)
            if not self._fits(wanted):
                return None
            missing = {name for name in wanted if not (root / name).exists()}
            # A manifest names the files of its version, so it is copied after them.
            manifests = {name for name in missing if name.startswith("_versions/")}
            with ThreadPoolExecutor(_THREADS, "trawl-mirror") as threads:
                for _ in threads.map(self._copy, missing - manifests):
                    pass
            for name in manifests:
                self._copy(name)
            self._clear(wanted)
        return self.opened(dataset, session)

    def _at(self, version: int, session: lance.Session) -> lance.LanceDataset | None:
        """Open the copy of a version, which may be of another library; None if there is none."""
        try:
            return lance.dataset(
                str(self._directory / self._name), version=version, session=session
            )
        except (ValueError, OSError):
            return None

    def _fits(self, wanted: set[str]) -> bool:
        """Return whether the files fit, and log it once if they do not."""
        sizes = {entry.name: entry.size for entry in self._location.entries(f"{self._name}/")}
        total = sum(sizes.get(f"{self._name}/{name}", 0) for name in wanted)
        if total <= self._max_bytes:
            self._refused = False
            return True
        if not self._refused:
            logger.warning(
                "%s has %.1f GB, more than mirror_bytes; searches read it from the object store",
                self._location,
                total / 1e9,
            )
        self._refused = True
        return False

    def _copy(self, name: str) -> None:
        target = self._directory / self._name / name
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.part")
        with temporary.open("wb") as file:
            for block in self._location.blocks(f"{self._name}/{name}"):
                if self._stopping.is_set():
                    raise StoppedError
                file.write(block)
        temporary.replace(target)

    def _clear(self, wanted: set[str]) -> None:
        """Delete files that no version has needed for an hour."""
        root = self._directory / self._name
        now = time.time()
        record = self._directory / _STALE
        try:
            known = {str(name): float(at) for name, at in json.loads(record.read_text()).items()}
        except (OSError, ValueError, AttributeError):
            known = {}
        stale = {name: known.get(name, now) for name in _below(root) if name not in wanted}
        for name, since in list(stale.items()):
            if now - since > _STALE_KEPT_S:
                (root / name).unlink(missing_ok=True)
                del stale[name]
        record.write_text(json.dumps(stale))


def _files(dataset: lance.LanceDataset) -> set[str]:
    """Return the files of a version and of later ones, relative to the table."""
    table = dataset.tracked_files(min_version=dataset.version).read_all()
    return {str(path) for path in table["path"].to_pylist()}


def _parts(dataset: lance.LanceDataset) -> list[tuple[str, ...]]:
    """Return the files of each fragment, whose names are unique across tables."""
    return [
        tuple(file.path for file in fragment.metadata.files) for fragment in dataset.get_fragments()
    ]


def _below(root: Path) -> Iterator[str]:
    for path in root.rglob("*"):
        if path.is_file():
            yield path.relative_to(root).as_posix()
