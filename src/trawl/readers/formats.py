"""What a format is, and what every reader shares: limits, bytes, titles, reasons.

A reader is a pure function of a path: no state, safe to call from several threads. It raises
`ReadError` for a file that it cannot read whole, with a message that names what and where; the
path itself is left to whoever lists the failure.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from trawl.errors import ReadError
from trawl.types import Modality, Reading

MIB = 1024 * 1024
HEAD_BYTES = 4096
"""How much of a file's beginning tells its type."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost. A larger one is a `ReadError` before it is decoded.

    `max_pixels` bounds a picture's width x height as its header states them.
    """

    max_pixels: int = 100_000_000


Reader: TypeAlias = Callable[[Path, Limits], Reading]


@dataclass(frozen=True, slots=True)
class Format:
    """One media type: how to know it, and how to read it.

    `name` reads after "holds" ("a JPEG picture"); `modality` is the class that its names
    claim; `suffixes` are lower case, with the dot. `matches` takes the file's first
    `HEAD_BYTES` bytes, and is None where only the name tells (plain text from Markdown).
    """

    media_type: str
    modality: Modality
    name: str
    suffixes: frozenset[str]
    read: Reader
    matches: Callable[[bytes], bool] | None = None


def reason_of(error: OSError) -> str:
    """Say in plain words why the system refused a file."""
    if isinstance(error, PermissionError):
        return "no permission to read"
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "a folder, not a file"
    return f"cannot be read: {error.strerror or error}"


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Read a whole file of at most `max_bytes`.

    Raises `ReadError` where it is larger, is no regular file, or cannot be opened.
    """
    data = read_head(path, max_bytes + 1)
    if len(data) > max_bytes:
        size_bytes = path.stat().st_size
        raise ReadError(
            f"{size_bytes:,} bytes, more than the {max_bytes:,} that are read of such a file; "
            "split it"
        )
    return data


def read_head(path: Path, max_bytes: int = HEAD_BYTES) -> bytes:
    """Read the first `max_bytes` of a regular file; `ReadError` where that is refused."""
    with opened(path) as stream:
        return stream.read(max_bytes)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file; an `OSError`, also of what is done with it, becomes a `ReadError`.

    Pipes, sockets and devices are refused: opening one could wait for ever.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ReadError("a folder, not a file" if path.is_dir() else "not a regular file")
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        raise ReadError(reason_of(error)) from error


def stem_title(path: Path) -> str:
    """Title for a file that states none: its name without suffix, fit to print.

    Runs of white space (a name may hold newlines) become one space, and bytes that are not
    UTF-8 become U+FFFD.
    """
    readable = os.fsencode(path.stem).decode("utf-8", errors="replace")
    return " ".join(readable.split()) or path.name
