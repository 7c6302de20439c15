"""Plain text in UTF-8, or in UTF-16 or UTF-32 with a byte order mark."""

from __future__ import annotations

import codecs
from pathlib import Path

from trawl.errors import ReadError
from trawl.readers.formats import MIB, Format, Limits, read_bytes, stem_title
from trawl.types import Passages, Reading

MAX_TEXT_BYTES = 64 * MIB
MAX_TITLE_CHARS = 120

# UTF-32 first: its little-endian mark starts with that of UTF-16.
_BYTE_ORDER_MARKS: tuple[tuple[bytes, str], ...] = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decode(data: bytes) -> str:
    r"""Decode a file's bytes, without the byte order mark and with ``\n`` line ends.

    The characters are those of Python's text mode, so spans index the same text. Raises
    `ReadError` with the offset of invalid bytes and of NUL characters.
    """
    mark, encoding = _encoding(data)
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        offset = len(mark) + error.start
        hint = (
            "" if mark else "; convert it to UTF-8 (if it is Latin-1: `iconv -f latin1 -t utf-8`)"
        )
        raise ReadError(
            f"not valid {encoding.upper()} at byte {offset:,} (0x{data[offset]:02X}){hint}"
        ) from error
    nul = text.find("\0")
    if nul >= 0:
        raise ReadError(f"not text: a NUL at character {nul:,}")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def looks_like_text(head: bytes) -> bool:
    """Return whether the start of a file decodes as text without control characters."""
    mark, encoding = _encoding(head)
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        text = decoder.decode(head[len(mark) :])  # not final: the head may end inside a character
    except UnicodeDecodeError:
        return False
    return not any(ord(c) < 32 and c not in "\t\n\v\f\r\b\x1b" for c in text)


def read_text(path: Path, limits: Limits) -> Reading:
    """Read a text file. The title is its first line if that is short, else its name."""
    text = decode(read_bytes(path, MAX_TEXT_BYTES))
    if not text.strip():
        raise ReadError("contains only white space")
    return Reading("text/plain", first_line(text) or stem_title(path), (Passages(text),))


def first_line(text: str) -> str:
    """Return the first line that is not empty, or "" if it is too long for a title."""
    line = " ".join(text.lstrip().partition("\n")[0].split())
    return line if len(line) <= MAX_TITLE_CHARS else ""


def _encoding(data: bytes) -> tuple[bytes, str]:
    """Return the byte order mark (b"" if there is none) and the encoding."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return mark, encoding
    return b"", "utf-8"


FORMATS = (
    Format(
        "text/plain",
        "text",
        "plain text",
        frozenset({".txt", ".text"}),
        read_text,
        in_process=True,
    ),
)
