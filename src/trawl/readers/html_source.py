"""The source of HTML pages: its encoding, its form, and pictures written in it."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from trawl.errors import ReadError

MAX_LEVELS = 2_000
"""Nested elements that are read; browsers stop at a few hundred."""

_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]{1,40})""", re.I)
_CONTAINER = re.compile(
    "<(/?)(?:address|article|aside|blockquote|center|details|dialog|dir|div|dl|fieldset|figure"
    "|footer|form|header|hgroup|main|menu|nav|ol|search|section|summary|table|ul)\\b",
    re.I,
)
_EMPTY_ELEMENT = re.compile(r"<([A-Za-z][\w:.-]*+)([^<>]*+)(?<=/)>")
_VOID = re.compile("area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr", re.I)


def decode_html(data: bytes) -> str:
    """Decode a page by its byte order mark, its own statement, UTF-8 or Windows-1252.

    That is the order of browsers. Raises `ReadError` for binary data.
    """
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    if b"\0" in data:
        raise ReadError(f"not text: a NUL at byte {data.index(0):,}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    stated = _CHARSET.search(data[:4096])
    name = stated[1].decode("ascii").lower() if stated else "windows-1252"
    if name in {"iso-8859-1", "latin1", "latin-1", "us-ascii", "ascii", "utf-8", "utf8"}:
        name = "windows-1252" if not name.startswith("utf") else "utf-8"
    try:
        return codecs.lookup(name).decode(data, "replace")[0]
    except (LookupError, ValueError, AttributeError):
        return data.decode("windows-1252", "replace")


def data_picture(target: str) -> Callable[[], bytes] | None:
    """Return the loader of a picture in a `data:` URI, None for other targets."""
    if target[:5].lower() != "data:":
        return None

    def load() -> bytes:
        head, _, body = target[5:].partition(",")
        if not head.lower().rstrip().endswith(";base64"):
            return unquote_to_bytes(body)
        try:
            return base64.b64decode(unquote_to_bytes(body), validate=False)
        except (binascii.Error, ValueError) as error:
            raise ReadError("its base64 data is damaged") from error

    return load


def parseable(source: str) -> str:
    """Return a page as a parser of HTML reads it right, and in time linear in its length.

    Raises `ReadError` for a page that is nested too deep.
    """
    _check_depth(source)
    if source.lstrip()[:5] == "<?xml":
        source = _EMPTY_ELEMENT.sub(_closed, source)
    return source.replace("\0", "\ufffd")


def _check_depth(source: str) -> None:
    """Refuse pages that would take the parser time quadratic in their depth."""
    depth = 0
    for tag in _CONTAINER.finditer(source):
        depth += -1 if tag[1] else 1
        if depth > MAX_LEVELS:
            raise ReadError(f"elements are nested deeper than {MAX_LEVELS:,} levels")


def _closed(element: re.Match[str]) -> str:
    """Write `<title/>` of XHTML as HTML: `<title></title>`."""
    if _VOID.fullmatch(element[1]):
        return element[0]
    return f"<{element[1]}{element[2][:-1]}></{element[1]}>"
