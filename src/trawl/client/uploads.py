"""Files on their way to the server: read while they are sent, and watched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

UploadProgress: TypeAlias = Callable[[int, int], None]
"""Told how many bytes of an upload are sent, and how many there are."""


class _Watched:
    """A file that tells how much of it was read, and begins again when it is sent again."""

    def __init__(self, file: BinaryIO, told: Callable[[int], None]) -> None:
        self._file = file
        self._told = told

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._told(len(data))
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        before = self._file.tell()
        after = self._file.seek(offset, whence)
        self._told(after - before)
        return after

    def tell(self) -> int:
        return self._file.tell()

    def fileno(self) -> int:
        return self._file.fileno()


@contextmanager
def opened(
    paths: Iterable[Path], progress: UploadProgress | None
) -> Iterator[list[tuple[str, tuple[str, BinaryIO]]]]:
    """Open the files of an upload as the fields of a form."""
    given = list(paths)
    total, sent = sum(path.stat().st_size for path in given), 0

    def told(more: int) -> None:
        nonlocal sent
        sent += more
        if progress is not None:
            progress(sent, total)

    with ExitStack() as stack:
        yield [
            (
                "files",
                (path.name, cast(BinaryIO, _Watched(stack.enter_context(path.open("rb")), told))),
            )
            for path in given
        ]
