"""A file made of ranges of another file and of bytes in memory."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import BinaryIO, TypeAlias

Piece: TypeAlias = bytes | tuple[int, int]
"""Bytes, or the (start, end) of a range of the base file."""


class Spliced(io.RawIOBase):
    """A readable, seekable file that consists of `pieces` in order. It does not close `base`."""

    def __init__(self, base: BinaryIO, pieces: Sequence[Piece]) -> None:
        self._base = base
        self._pieces = list(pieces)
        sizes = (len(p) if isinstance(p, bytes) else p[1] - p[0] for p in self._pieces)
        self._starts = [0, *accumulate(sizes)]
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position, and return it."""
        origin = (0, self._at, self._starts[-1])[whence]
        self._at = max(0, origin + offset)
        return self._at

    def readall(self) -> bytes:
        """Read up to the end."""
        return self.read(-1)

    def read(self, size: int | None = -1) -> bytes:
        """Read `size` bytes, or up to the end."""
        end = self._starts[-1]
        if size is not None and size >= 0:
            end = min(end, self._at + size)
        blocks = []
        while self._at < end:
            index = bisect_right(self._starts, self._at) - 1
            piece, offset = self._pieces[index], self._at - self._starts[index]
            count = min(end, self._starts[index + 1]) - self._at
            if isinstance(piece, bytes):
                block = piece[offset : offset + count]
            else:
                self._base.seek(piece[0] + offset)
                block = self._base.read(count)
            if not block:
                break  # the base file is shorter than stated
            blocks.append(block)
            self._at += len(block)
        return b"".join(blocks)

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Read into a buffer, and return the number of bytes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
