"""What a library asks of the place where it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a location: its name, its size in bytes and a tag that changes with it."""

    name: str
    size: int
    tag: str


class Location(ABC):
    """The place of one library. `address` is how users name it."""

    address: str
    path: Path | None = None
    """The directory; None for an object store."""
    storage_options: dict[str, str] | None = None
    """Credentials and endpoint for `lance`; None for a directory."""

    @property
    def full_address(self) -> str:
        """The address, which for a directory is its absolute path."""
        return self.address if self.path is None else str(self.path.absolute())

    def __str__(self) -> str:
        return self.address

    @abstractmethod
    def table(self, name: str) -> str:
        """Return the address of a Lance table."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return the content of a file. Raises `FileNotFoundError`."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Write a file or replace it; readers see the earlier content or the new one."""

    @abstractmethod
    def create(self, name: str, content: bytes) -> None:
        """Write a file that does not exist. Raises `FileExistsError`."""

    @abstractmethod
    def upload(self, name: str, file: IO[bytes]) -> None:
        """Write a file or replace it by the content of another."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete a file, if it exists."""

    @abstractmethod
    def entry(self, name: str) -> Entry | None:
        """Return a file's size and tag, or None if there is no such file."""

    @abstractmethod
    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Return the files below a prefix, which is empty or ends with a slash."""

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of the files and folders at the top."""

    @abstractmethod
    def clear(self, prefix: str) -> None:
        """Delete all files below a prefix, which ends with a slash."""

    def exists(self, name: str) -> bool:
        """Return whether there is a file of this name."""
        return self.entry(name) is not None
