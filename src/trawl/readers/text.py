"""Plain text: UTF-8, or UTF-16 and UTF-32 where a byte order mark says so."""

from __future__ import annotations

import codecs
from pathlib import Path

from trawl.errors import ReadError
from trawl.readers.formats import MIB, Format, Limits, read_bytes, stem_title
from trawl.types import Passages, Reading

MAX_TEXT_BYTES = 64 * MIB
MAX_TITLE_CHARS = 120

# The marks of UTF-32 come first: the little-endian one begins with that of UTF-16.
_MARKS: tuple[tuple[bytes, str], ...] = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decode(data: bytes) -> str:
    r"""Turn a file's bytes into text: the mark removed, line ends made ``\n``.

    Characters are counted in this text, so a span fits what Python's text mode reads.
    Raises `ReadError` with the byte's offset where the bytes are not of the encoding, and
    where they hold NUL, which text does not.
    """
    mark, encoding = _encoding(data)
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        offset = len(mark) + error.start
        hint = "" if mark else "; convert it to UTF-8 (`iconv -f latin1 -t utf-8` where it is so)"
        raise ReadError(
            f"not {encoding.upper()} at byte {offset:,} (0x{data[offset]:02X}){hint}"
        ) from error
    nul = text.find("\0")
    if nul >= 0:
        raise ReadError(f"not text: a NUL at character {nul:,}")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def looks_like_text(head: bytes) -> bool:
    """Tell whether the beginning of a file is text: it decodes, without control characters."""
    mark, encoding = _encoding(head)
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        text = decoder.decode(head[len(mark) :])  # not final: the head may end in a character
    except UnicodeDecodeError:
        return False
    return not any(ord(c) < 32 and c not in "\t\n\v\f\r\b\x1b" for c in text)


def read_text(path: Path, limits: Limits) -> Reading:
    """Read one text. Its title is its first line, where that is short, else its name."""
    text = decode(read_bytes(path, MAX_TEXT_BYTES))
    if not text.strip():
        raise ReadError("holds white space alone")
    return Reading("text/plain", first_line(text) or stem_title(path), (Passages(text),))


def first_line(text: str) -> str:
    """Give the first line that is not empty, or "" where it is too long for a title."""
    line = " ".join(text.lstrip().partition("\n")[0].split())
    return line if len(line) <= MAX_TITLE_CHARS else ""


def _encoding(data: bytes) -> tuple[bytes, str]:
    """Give the byte order mark at the beginning (b"" for none) and the encoding."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return mark, encoding
    return b"", "utf-8"


FORMATS = (Format("text/plain", "text", "plain text", frozenset({".txt", ".text"}), read_text),)
