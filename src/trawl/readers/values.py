"""Convert metadata from YAML, JSON, CSV and options to the value types of a library."""

from __future__ import annotations

import base64
import csv
import datetime
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from trawl.errors import MetadataError, UsageError
from trawl.types import Metadata, Value

MAX_KEYS = 1_000
MAX_DEPTH = 16
MAX_ITEMS = 10_000
"""Mappings in lists whose keys become metadata; lists beyond them are kept as JSON text."""
MAX_JSON_CHARS = 10_000
"""Longest JSON text that is kept for a value of no library type."""

_INT64 = range(-(2**63), 2**63)

_INTEGER = re.compile(r"[-+]?(0|[1-9]\d*)", re.ASCII)  # "007" is a name, not a number
_REAL = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DATETIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|z|[-+]\d{2}:?\d{2})?", re.ASCII
)
_BOOLEANS = {"true": True, "false": False}
_NO_VALUE = "kept as JSON text"


def flat_metadata(mapping: Mapping[Any, Any]) -> Metadata:
    """Flatten nested mappings to dotted keys, and convert every value to a library type.

    Dates and times, and text such as ``2024-05-01``, become dates and datetimes. Lists of
    scalars become lists of text, and a list of mappings a list of text for each of their keys.
    Null values are dropped. Raises `MetadataError`, with the key, for anything else.
    """
    metadata, notices = lenient_metadata(mapping)
    if notices:
        raise MetadataError(notices[0].removesuffix(f"; {_NO_VALUE}"))
    return metadata


def lenient_metadata(mapping: Mapping[Any, Any]) -> tuple[Metadata, tuple[str, ...]]:
    """Convert like `flat_metadata`, and keep what has no library type as JSON text.

    Returns the metadata, and a notice for each value that was not kept as it is.
    """
    metadata: Metadata = {}
    notices: list[str] = []
    for key, raw in _leaves(mapping, "", 0, _Walk(notices)):
        if key in metadata:
            notices.append(f"duplicate metadata key {key!r:.80}; the first value is kept")
        elif len(metadata) == MAX_KEYS:
            notices.append(f"more than {MAX_KEYS:,} metadata keys; the others are left out")
            break
        else:
            value, problem = _value(raw)
            if problem:
                notices.append(f"metadata {key!r:.80} is {problem}")
            if value is not None:
                metadata[key] = value
    return metadata, tuple(notices)


def typed_cell(text: str) -> Value:
    """Convert a cell's text to an integer, real, boolean, date, datetime or text."""
    text = text.strip()
    if text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    # More than 19 digits exceed 64 bits, and int() raises for very long numbers.
    if len(text) <= 20 and _INTEGER.fullmatch(text) and int(text) in _INT64:
        return int(text)
    if _REAL.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return _date_or_text(text)


def typed_column(cells: Sequence[str]) -> list[Value]:
    """Convert the cells of one column, as text unless all of them have the same type.

    Integers and reals count as one type, and so do dates and datetimes.
    """
    values = [typed_cell(cell) for cell in cells]
    for types in ((bool,), (int, float), (datetime.date,)):
        if all(isinstance(value, types) for value in values) and (
            types == (bool,) or not any(isinstance(value, bool) for value in values)
        ):
            return values
    return [cell.strip() for cell in cells]


def coerce_option(option: str) -> tuple[str, Value]:
    """Parse ``key=value``, typed like a CSV cell, or ``key=[a, b]``. Raises `UsageError`."""
    key, equals, text = option.partition("=")
    key = key.strip()
    if not equals or not key:
        raise UsageError(f"{option!r} is not KEY=VALUE, such as year=2024")
    if not _encodable(key + text):
        raise UsageError(f"{option!r} is not valid UTF-8")
    return key, typed_option(text)


def typed_option(text: str) -> Value:
    """Convert the value of an option: a list such as ``[a, "b, c"]``, or as `typed_cell` does."""
    stripped = text.strip()
    if not (stripped.startswith("[") and stripped.endswith("]")):
        return typed_cell(text)
    rows = list(csv.reader([stripped[1:-1]], skipinitialspace=True))
    return [item.strip() for item in rows[0] if item.strip()] if rows else []


def as_text(value: Any, key: str = "title") -> tuple[str, str]:
    """Return a title or caption as one line of text, "" for null, and a notice or ""."""
    if value is None:
        return "", ""
    notice = ""
    if isinstance(value, (list, tuple)) and all(_is_scalar(item) for item in value):
        notice = f"the {key} is a list; its items are joined"
        value = ", ".join(_plain(item) for item in value)
    elif not _is_scalar(value):
        value = _json_text(value) or ""
        notice = f"the {key} is not text; {_NO_VALUE}"
    text = " ".join(_plain(value).split())
    if not _encodable(text):
        text, notice = _valid(text), f"the {key} is not valid Unicode"
    return text, notice


@dataclass(slots=True)
class _Walk:
    """The state of a walk through nested values: notices so far, and items left.

    YAML aliases can make a small file an enormous value, or an endless one.
    """

    notices: list[str]
    items_left: int = MAX_ITEMS


def _leaves(
    mapping: Mapping[Any, Any], prefix: str, depth: int, walk: _Walk
) -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) of every leaf that is not null, in order."""
    notices = walk.notices
    for name, value in mapping.items():
        text = _plain(name) if _is_scalar(name) else ""
        if not text.strip():
            notices.append(f"metadata key {name!r:.80} is not a valid name; it is left out")
            continue
        if not _encodable(text):
            notices.append(f"metadata key {name!r:.80} is not valid Unicode; it is changed")
            text = _valid(text)
        key = f"{prefix}{text}"
        if isinstance(value, Mapping) and depth < MAX_DEPTH:
            yield from _leaves(value, f"{key}.", depth + 1, walk)
        elif _are_mappings(value) and depth < MAX_DEPTH and walk.items_left >= len(value):
            yield from _columns(value, f"{key}.", depth + 1, walk)
        elif value is not None:
            yield key, value


def _are_mappings(value: Any) -> bool:
    if not isinstance(value, list | tuple) or not value:
        return False
    return all(isinstance(item, Mapping) for item in value)


def _columns(
    items: Sequence[Mapping[Any, Any]], prefix: str, depth: int, walk: _Walk
) -> Iterator[tuple[str, list[Any]]]:
    """Yield (dotted key, the values of all items) for each key of some mappings."""
    walk.items_left -= len(items)
    found: dict[str, list[Any]] = {}
    for item in items:
        for key, value in islice(_leaves(item, prefix, depth, walk), MAX_KEYS + 1):
            found.setdefault(key, []).extend(value if isinstance(value, list) else [value])
    yield from found.items()


def _value(raw: Any) -> tuple[Value | None, str]:
    """Return a value of a library type, and what it is if it had to be changed."""
    if isinstance(raw, str):
        if not _encodable(raw):
            return _valid(raw), f"not valid Unicode (a lone surrogate); {_NO_VALUE}"
        return _date_or_text(raw), ""
    if isinstance(raw, bool):
        return raw, ""
    if isinstance(raw, int):
        if raw in _INT64:
            return raw, ""
        return _digits(raw), f"an integer beyond 64 bits; {_NO_VALUE}"
    if isinstance(raw, float):
        if math.isfinite(raw):
            return raw, ""
        return json.dumps(raw), f"{raw}, not a finite number; {_NO_VALUE}"
    if isinstance(raw, datetime.date):
        return raw, ""
    if isinstance(raw, datetime.time):
        return raw.isoformat(), ""
    if isinstance(raw, set):  # in an order that does not depend on the process
        raw = sorted(raw, key=str)
    if isinstance(raw, (list, tuple)):
        items = [item for item in raw if item is not None]
        wrong = next((item for item in items if not _is_scalar(item)), None)
        if wrong is None:
            return [_valid(_plain(item)) for item in items], ""
        what = f"a list that contains a {type(wrong).__name__}"
    elif isinstance(raw, Mapping):
        what = f"nested deeper than {MAX_DEPTH}"
    else:
        what = f"a {type(raw).__name__}, which is not supported"
    text = _json_text(raw)
    if text is None:
        return None, f"{what}, and too large to keep as JSON text; it is left out"
    return text, f"{what}; {_NO_VALUE}"


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, int, float, datetime.date, datetime.time))


def _plain(value: Any) -> str:
    """Return a scalar as text, as YAML and JSON write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, int):
        return _digits(value)
    return str(value)


def _digits(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # over 4,300 digits
        return hex(number)


def _json_text(value: Any) -> str | None:
    """Return JSON text of at most `MAX_JSON_CHARS`, None if it would be longer or endless."""
    pieces: list[str] = []
    size = 0
    try:
        # Piece by piece, since YAML aliases can make a small file an enormous value.
        for piece in json.JSONEncoder(ensure_ascii=False, default=_json_default).iterencode(value):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_JSON_CHARS:
                return None
    except (ValueError, TypeError, RecursionError):
        return None
    return _valid("".join(pieces))


def _json_default(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Iterable):
        return list(value)
    return str(value)


def _date_or_text(text: str) -> Value:
    if _DATE.fullmatch(text):
        try:
            return datetime.date.fromisoformat(text)
        except ValueError:
            return text  # such as 2024-02-31
    if _DATETIME.fullmatch(text):
        try:
            return datetime.datetime.fromisoformat(text.upper().replace(" ", "T"))
        except ValueError:
            return text
    return text


def _encodable(text: str) -> bool:
    """Return whether text has no lone surrogates, which UTF-8 cannot represent."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _valid(text: str) -> str:
    """Replace lone surrogates by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
