"""Opening the store of a library, with a local copy if it is in an object store."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from trawl.locations import Bucket, Location
from trawl.settings import Settings
from trawl.store import Mirror, Store
from trawl.types import Space


def work_dir_of(location: Location, cache_dir: Path | None) -> Path:
    """Return the directory for the local files of a library: its own, or one in the cache."""
    if location.path is not None:
        return location.path
    folder = cache_dir or Path.home() / ".cache" / "trawl" / "libraries"
    digest = hashlib.sha256(location.address.encode()).hexdigest()[:16]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", location.address.partition("://")[2])[:80]
    return folder / f"{name}-{digest}"


def open_store(
    location: Location, sources: Mapping[str, Space], settings: Settings, work_dir: Path
) -> Store:
    """Open the tables of a library."""
    mirror = None
    if isinstance(location, Bucket) and settings.mirror_bytes > 0:
        mirror = Mirror(location, "chunks", work_dir, settings.mirror_bytes)
    return Store(location, sources, freshness_s=settings.freshness_s, mirror=mirror)
