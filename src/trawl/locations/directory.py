"""Libraries on a local disk."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

from trawl.locations.base import Entry, Location


class Directory(Location):
    """A library on a local disk."""

    path: Path

    def __init__(self, path: Path) -> None:
        self.path = path
        self.address = str(path)

    def table(self, name: str) -> str:
        """Return the path of a Lance table."""
        return str(self.path / f"{name}.lance")

    def read(self, name: str) -> bytes:
        """Return the content of a file. Raises `FileNotFoundError`."""
        return (self.path / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Write a file or replace it, by renaming a temporary one."""
        self.upload(name, io.BytesIO(content))

    def create(self, name: str, content: bytes) -> None:
        """Write a file that does not exist. Raises `FileExistsError`."""
        with self._temporary(name, io.BytesIO(content)) as temporary:
            os.link(temporary, self.path / name)

    def upload(self, name: str, file: IO[bytes]) -> None:
        """Write a file or replace it by the content of another."""
        with self._temporary(name, file) as temporary:
            temporary.replace(self.path / name)

    @contextmanager
    def _temporary(self, name: str, content: IO[bytes]) -> Iterator[Path]:
        """Write a temporary file beside the file `name`, and delete it if it is still there."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid4().hex}")
        try:
            with temporary.open("wb") as out:
                shutil.copyfileobj(content, out)
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    def delete(self, name: str) -> None:
        """Delete a file, if it exists."""
        (self.path / name).unlink(missing_ok=True)

    def entry(self, name: str) -> Entry | None:
        """Return a file's size and tag, or None if there is no such file."""
        try:
            found = (self.path / name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Entry(name, found.st_size, str(found.st_mtime_ns))

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Return the files below a prefix. Files that vanish meanwhile are left out."""
        for folder, _, names in os.walk(self.path / prefix):
            for name in names:
                path = Path(folder, name)
                with suppress(OSError):
                    found = path.stat()
                    relative = path.relative_to(self.path).as_posix()
                    yield Entry(relative, found.st_size, str(found.st_mtime_ns))

    def names(self) -> list[str]:
        """Return the names in the directory; none if it does not exist."""
        with suppress(FileNotFoundError):
            return os.listdir(self.path)
        return []

    def clear(self, prefix: str) -> None:
        """Delete a folder, if it exists."""
        shutil.rmtree(self.path / prefix, ignore_errors=True)
