"""Where a library is: a directory, or a prefix of an object store such as `s3://bucket/papers`.

The tables are read and written by `lance`, which takes `Location.table` and
`Location.storage_options`. All other files of a library go through the methods of `Location`, by
name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from trawl.errors import LibraryError, UsageError
from trawl.locations.base import Entry, Location
from trawl.locations.bucket import BLOCK_BYTES, Bucket, reason_of, tag_of
from trawl.locations.directory import Directory

__all__ = [
    "BLOCK_BYTES",
    "SCHEMES",
    "Bucket",
    "Directory",
    "Entry",
    "Location",
    "is_remote",
    "location_of",
    "prove_exclusive",
    "reason_of",
    "tag_of",
]

SCHEMES = ("s3", "gs", "az")
"""The object stores that a library may be in: S3 and compatible ones, Google Cloud, Azure."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def location_of(
    address: str | os.PathLike[str], storage_options: Mapping[str, str] | None = None
) -> Location:
    """Return the location of a library by its path or address.

    Raises `UsageError` for another kind of address, and for invalid options.
    """
    text = os.fspath(address)
    found = _ADDRESS.match(text)
    if found is None:
        return Directory(Path(address))
    scheme = found[1].lower()
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        hint = "; use --server for a server" if scheme in ("http", "https") else ""
        raise UsageError(
            f"{text} is not the address of a library; use a directory, or {known}{hint}"
        )
    return Bucket(text, storage_options or {})


def is_remote(address: str | os.PathLike[str]) -> bool:
    """Return whether an address names an object store, not a directory."""
    return _ADDRESS.match(os.fspath(address)) is not None


def prove_exclusive(location: Location, rounds: int = 3) -> None:
    """Check that two writers cannot both create one object. Raises `LibraryError`.

    The commits of the engine and the lease of the writer rest on it. Stores that ignore the
    condition let one writer overwrite what another has committed, without an error.
    """
    from concurrent.futures import ThreadPoolExecutor

    def create(name: str, content: bytes) -> bool:
        try:
            location.create(name, content)
        except FileExistsError:
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        for _ in range(rounds):
            name = f".probe-{uuid4().hex}"
            try:
                won = list(threads.map(create, (name, name), (b"1", b"2")))
                won.append(create(name, b"3"))
            finally:
                location.delete(name)
            if sum(won) != 1:
                raise LibraryError(
                    f"{location} cannot hold a library: {sum(won)} of {len(won)} writers could "
                    "create one object at the same time, so commits would overwrite each "
                    "other; use a store that honours If-None-Match: *"
                )
