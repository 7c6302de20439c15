"""Files without names, which are mapped and take no space after the process has ended."""

from __future__ import annotations

import mmap
import tempfile
from pathlib import Path
from typing import IO


def open_scratch(directory: Path) -> IO[bytes]:
    """Open a file without a name in a directory, or in that for temporary files.

    Raises `OSError` if neither can be written.
    """
    try:
        return tempfile.TemporaryFile(dir=directory)
    except OSError:  # such as a library on a file system that is read only
        return tempfile.TemporaryFile()


def mapped(file: IO[bytes]) -> mmap.mmap | bytes:
    """Map what was written to a file, for reading a few bytes here and there."""
    size = file.tell()
    if not size:
        return b""
    found = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    found.madvise(mmap.MADV_RANDOM)
    return found
