"""The `Format` type, and helpers that readers share.

A reader is a thread-safe function of a path. It raises `ReadError` for a file that it cannot read
completely. The message names the problem and its position, but not the path, which the caller
reports.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias

from trawl.errors import ReadError
from trawl.readers.speech import with_transcript
from trawl.types import Modality, Part, Reading

MIB = 1024 * 1024
HEAD_BYTES = 4096
"""Bytes of a file that are read to detect its type."""


class PageProgress(Protocol):
    """Called with the number of pages done, and the total or None."""

    def __call__(self, done: int, total: int | None = None) -> None:
        """Take note."""


def ignore_progress(done: int, total: int | None = None) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How one file is read: limits, which are checked before it is decoded, and choices.

    `max_pixels` bounds an image's width x height. `ocr` chooses the engine that recognises text in
    pictures of pages (`trawl.readers.ocr`), `speech_model` the model that transcribes recordings
    (`trawl.readers.speech`); "" for none. With `pages`, each page of a document is a picture too,
    for models that read pages by their looks. A reader that takes long calls `progress` with
    the number of pages (or other units) done, and their total if it is known. A reader that
    neither does this nor yields a part for a while is stopped.
    """

    max_pixels: int = 100_000_000
    progress: PageProgress = ignore_progress
    ocr: str = "off"
    ocr_languages: str = "eng"
    speech_model: str = ""
    pages: bool = False


Reader: TypeAlias = Callable[[Path, Limits], Reading]


@dataclass(frozen=True, slots=True)
class Format:
    """A supported media type.

    `name` is a noun phrase for messages ("a JPEG image"). `suffixes` are lower case, with the
    dot. `matches` tests the first `HEAD_BYTES` bytes of a file; None if only the extension
    identifies the type, as for plain text and Markdown. Files of a type that is
    `only_if_text` are skipped if they are empty or binary (``__init__.py``, video in ``.ts``).
    Formats of one `family` share a container of sound and video, and the extension tells them
    apart.
    `in_process` is for readers of plain text, which `add` runs in its own process; a damaged file
    of any other format may crash its reader, or never end.
    `heads` are first bytes that the type shares with others, such as those of a ZIP file; a file
    that starts with one is believed to be what its name states.
    """

    media_type: str
    modality: Modality
    name: str
    suffixes: frozenset[str]
    read: Reader
    matches: Callable[[bytes], bool] | None = None
    only_if_text: bool = False
    family: str = ""
    in_process: bool = False
    heads: tuple[bytes, ...] = ()


def reason_of(error: OSError) -> str:
    """Return the reason of an `OSError` in plain words."""
    if isinstance(error, PermissionError):
        return "no permission to read"
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "a folder, not a file"
    return f"cannot be read: {error.strerror or error}"


def short_reason(error: Exception) -> str:
    """Return an exception's message on one line of at most 200 characters, or its type."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def guarded(reader: Reader, path: Path, media_type: str, limits: Limits) -> Reading:
    """Run a reader. It raises `ReadError` and nothing else, also while its parts are read."""
    with as_read_error(media_type):
        reading = reader(path, limits)
        if limits.speech_model:
            reading = with_transcript(reading, limits.speech_model, limits.progress)
    if isinstance(reading.parts, Sequence):
        return reading
    return replace(reading, parts=_guarded_parts(reading.parts, media_type))


def _guarded_parts(parts: Iterable[Part], media_type: str) -> Iterator[Part]:
    with as_read_error(media_type):
        yield from parts


@contextmanager
def as_read_error(media_type: str) -> Iterator[None]:
    """Make every exception in the `with` block a `ReadError`."""
    try:
        yield
    except ReadError:
        raise
    except MemoryError as error:
        raise ReadError("too large for the available memory") from error
    except Exception as error:  # libraries raise all kinds of exceptions for damaged files
        reason = short_reason(error)
        raise ReadError(f"the {media_type} file cannot be read: {reason}") from error


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Read a file of at most `max_bytes`.

    Raises `ReadError` if it is larger, not a regular file, or cannot be opened.
    """
    data = read_head(path, max_bytes + 1)
    if len(data) > max_bytes:
        size_bytes = path.stat().st_size
        raise ReadError(
            f"{size_bytes:,} bytes exceed the limit of {max_bytes:,} for this type of file; "
            "split the file"
        )
    return data


def read_head(path: Path, max_bytes: int = HEAD_BYTES) -> bytes:
    """Read the first `max_bytes` of a regular file. Raises `ReadError`."""
    with opened(path) as stream:
        return stream.read(max_bytes)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file. Every `OSError` in the `with` block becomes a `ReadError`.

    Pipes, sockets and devices raise `ReadError` too, because opening one could block forever.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ReadError("a folder, not a file" if path.is_dir() else "not a regular file")
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        raise ReadError(reason_of(error)) from error


def stem_title(path: Path) -> str:
    """Return a printable title from a file's name without extension.

    Runs of white space (a name may contain newlines) become one space, and bytes that are not
    UTF-8 become U+FFFD.
    """
    readable = os.fsencode(path.stem).decode("utf-8", errors="replace")
    return " ".join(readable.split()) or path.name
