"""ZIP files as documents are packed in them, opened within limits."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from posixpath import normpath

from trawl.errors import ReadError
from trawl.readers.formats import MIB, opened, short_reason

MAX_MEMBERS = 50_000
MAX_MEMBER_BYTES = 128 * MIB
"""Bytes of one member of a document, unpacked."""
MAX_READ_BYTES = 2048 * MIB
"""Bytes of all members that are read, unpacked."""
ZIP_HEAD = b"PK\x03\x04"
OLE_HEAD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""The first bytes of files of Office 97, and of newer ones with a password."""
_DAMAGES = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)


class Zipped:
    """The members of a ZIP file by name. Case and the kind of slash do not count.

    Stays open as long as it is referenced, so that pictures can be read later.
    """

    def __init__(self, path: Path) -> None:
        with opened(path) as stream:
            head = stream.read(8)
        if head == OLE_HEAD:
            raise ReadError(
                "it is protected by a password, or of Office 97; save it without a password in "
                "the current format"
            )
        with _damages():
            self._zip = zipfile.ZipFile(path)
        self._left = MAX_READ_BYTES
        infos = self._zip.infolist()
        if len(infos) > MAX_MEMBERS:
            raise ReadError(f"{len(infos):,} members exceed the limit of {MAX_MEMBERS:,}")
        self._infos = {_plain(info.filename): info for info in infos if not info.is_dir()}

    def __contains__(self, name: str) -> bool:
        return _plain(name) in self._infos

    def names(self) -> list[str]:
        """Return the names as they are written, in the order of the file."""
        return [info.filename for info in self._infos.values()]

    def read(self, name: str, max_bytes: int = MAX_MEMBER_BYTES) -> bytes:
        """Return a member's content.

        Raises `ReadError` if it is missing, damaged, encrypted or larger than `max_bytes`.
        """
        info = self._infos.get(_plain(name))
        if info is None:
            raise ReadError(f"the member {name[:200]!r} is missing")
        if info.flag_bits & 1:
            raise ReadError("it is protected by a password")
        if info.file_size > max_bytes:
            raise ReadError(
                f"the member {name[:200]!r} has {info.file_size:,} bytes unpacked; the limit is "
                f"{max_bytes:,}"
            )
        self._left -= info.file_size
        if self._left < 0:
            raise ReadError(f"its members have more than {MAX_READ_BYTES:,} bytes unpacked")
        with _damages():
            return self._zip.read(info)  # never more than the stated size


@contextmanager
def _damages() -> Iterator[None]:
    """Turn what `zipfile` raises for damaged files into `ReadError`."""
    try:
        yield
    except _DAMAGES as error:
        raise ReadError(f"the ZIP file is damaged: {short_reason(error)}") from error


def _plain(name: str) -> str:
    return normpath(name.replace("\\", "/")).lstrip("/").casefold()
