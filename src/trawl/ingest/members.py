"""The members of archives as files: their addresses, and where they are while they are added.

The address of a member is that of its archive, ``!/`` and its name: ``papers.zip!/2024/a.pdf``.
For the time of a run, archives are unpacked into a temporary folder.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from trawl.errors import ReadError
from trawl.ingest.names import MEMBER, outer_path, uri_of
from trawl.readers import media_type_of
from trawl.readers.archives import (
    MAX_DEPTH,
    MAX_UNPACKED_BYTES,
    Member,
    check_count,
    damages,
    is_archive,
    members,
)

_BLOCK = 1 << 20


@dataclass(slots=True)
class _Budget:
    """What an archive and those inside it may still unpack."""

    left_bytes: int = MAX_UNPACKED_BYTES
    count: int = 0

    def take(self, size_bytes: int) -> None:
        self.left_bytes -= size_bytes
        if self.left_bytes < 0:
            raise ReadError(
                f"more than {MAX_UNPACKED_BYTES:,} bytes unpacked; extract it and add the folder"
            )


@dataclass(slots=True)
class Unpacked:
    """The files of an archive, and the (address, reason) of members that cannot be read."""

    files: list[Path] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)


class Archives:
    """The archives of a run, unpacked. `close` deletes the files."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._roots: dict[Path, tuple[str, _Budget, int]] = {}

    def close(self) -> None:
        """Delete the files of members."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def uri(self, path: Path) -> str:
        """Return the address of a file, which may be a member's."""
        for folder in path.parents if self._roots else ():
            if folder in self._roots:
                return f"{self._roots[folder][0]}{MEMBER}{path.relative_to(folder).as_posix()}"
        return uri_of(path)

    def contains(self, path: Path) -> bool:
        """Return whether a file is a member of an archive."""
        return bool(self._roots) and any(folder in self._roots for folder in path.parents)

    def unpack(self, path: Path, media_type: str, uri: str) -> Unpacked:
        """Unpack the archive with the address `uri`.

        Raises `ReadError` if it is damaged or beyond the limits.
        """
        outer = next((self._roots[one] for one in path.parents if one in self._roots), None)
        budget, depth = (outer[1], outer[2] + 1) if outer is not None else (_Budget(), 1)
        if depth > MAX_DEPTH:
            raise ReadError(f"archives in more than {MAX_DEPTH} levels of archives are not opened")
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="trawl-")
        root = Path(self._folder.name).resolve() / str(len(self._roots))
        self._roots[root] = (uri, budget, depth)
        found = Unpacked()
        modified_ns = path.stat().st_mtime_ns
        files: dict[Path, None] = {}
        try:
            for member in members(path, media_type, Counter()):
                budget.count += 1
                check_count(budget.count)
                address = f"{uri}{MEMBER}{member.name}"
                if member.problem:
                    found.problems.append((address, member.problem))
                    continue
                budget.take(member.size_bytes)
                target = root / member.name
                try:
                    _unpack(member, target)
                    os.utime(target, ns=(modified_ns, modified_ns))
                except (ReadError, OSError) as error:
                    reason = getattr(error, "strerror", None) or str(error)
                    found.problems.append((address, f"cannot be extracted: {reason}"))
                    continue
                files[target] = None  # of several with one name, the last
        except ReadError:
            shutil.rmtree(root, ignore_errors=True)
            raise
        found.files = list(files)
        return found


def _unpack(member: Member, target: Path) -> None:
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if member.size_bytes > free // 2:
        raise ReadError(
            f"{member.size_bytes:,} bytes unpacked do not fit into {tempfile.gettempdir()}; set "
            "TMPDIR to a folder with more room"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        _copy(member, out)


def _copy(member: Member, out: BinaryIO) -> None:
    """Copy a member's content, which may not be longer than it states."""
    left = member.size_bytes
    with damages(), member.open() as stream:
        while left > 0 and (block := stream.read(min(_BLOCK, left))):
            out.write(block)
            left -= len(block)
        if left > 0 or stream.read(1):
            raise ReadError("its size is not the stated one")


def open_member(uri: str) -> BinaryIO:
    """Return the content of a member in a temporary file, which has the time of its archive.

    The caller closes the file. Raises `ReadError` if the archive or the member is missing, and
    `OSError` if there is no room for it.
    """
    path = outer_path(uri)
    if path is None:
        raise ReadError("its archive does not exist")
    names = uri.removeprefix(uri_of(path)).removeprefix(MEMBER).split(MEMBER)
    with tempfile.TemporaryDirectory(prefix="trawl-") as folder:
        here = path
        for depth, name in enumerate(names):
            media_type = media_type_of(here)
            if media_type is None or not is_archive(media_type):
                raise ReadError("its archive is none any more")
            target = Path(folder) / str(depth) / name
            for member in members(here, media_type, Counter()):
                if member.name == name and not member.problem:
                    _unpack(member, target)
            if not target.is_file():
                raise ReadError(f"its archive has no member {name!r} any more")
            here = target
        modified_ns = path.stat().st_mtime_ns
        os.utime(here, ns=(modified_ns, modified_ns))
        return here.open("rb", buffering=0)
