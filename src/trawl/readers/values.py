"""Metadata from the outside (YAML, JSON, CSV, options) as the values that a library holds."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from trawl.errors import MetadataError, UsageError
from trawl.types import Metadata, Value

MAX_KEYS = 1_000
MAX_DEPTH = 16
_INT64 = range(-(2**63), 2**63)

_INTEGER = re.compile(r"[-+]?(0|[1-9]\d*)", re.ASCII)  # "007" is a name, not a number
_REAL = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_BOOLEANS = {"true": True, "false": False}


def flat_metadata(mapping: Mapping[Any, Any]) -> Metadata:
    """Flatten nested mappings to dotted keys, and give every value one of the library's types.

    Dates, and text of the form ``2024-05-01``, become dates; lists of scalars become lists of
    text; null is dropped; a time of day keeps its ISO form as text. Raises `MetadataError`,
    with the key, for anything else.
    """
    found: Metadata = {}
    for key, raw in _leaves(mapping, "", 0):
        if key in found:
            raise MetadataError(f"metadata key {key!r} stands twice")
        found[key] = _value(key, raw)
        if len(found) > MAX_KEYS:
            raise MetadataError(f"more than {MAX_KEYS:,} metadata keys")
    return found


def typed_cell(text: str) -> Value:
    """Give a cell's text the type that it shows: integer, real, boolean, date or text."""
    bare = text.strip()
    if bare.lower() in _BOOLEANS:
        return _BOOLEANS[bare.lower()]
    # An integer of more than 19 digits is not of 64 bits; int() of a very long one is an error.
    if len(bare) <= 20 and _INTEGER.fullmatch(bare) and int(bare) in _INT64:
        return int(bare)
    if _REAL.fullmatch(bare) and math.isfinite(float(bare)):
        return float(bare)
    return _date_or_text(bare)


def coerce_option(option: str) -> tuple[str, Value]:
    """Parse ``key=value`` of ``--meta``, typed as a CSV cell is. `UsageError` without a key."""
    key, equals, text = option.partition("=")
    key = key.strip()
    if not equals or not key:
        raise UsageError(f"--meta {option!r} is not key=value; write for example --meta year=2024")
    if not _encodable(key + text):
        raise UsageError(f"--meta {option!r} holds bytes that are not UTF-8")
    return key, typed_cell(text)


def as_text(value: Any) -> str:
    """Give a reserved value (a title, a caption) as one line of text; null gives ""."""
    if value is None:
        return ""
    if isinstance(value, (str, int, float, datetime.date)):
        text = " ".join(str(value).split())
        if _encodable(text):
            return text
    raise MetadataError(f"a title or caption must be text, not {value!r:.80}")


def _leaves(mapping: Mapping[Any, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Give (dotted key, value) of every leaf that is not null, in order."""
    if depth > MAX_DEPTH:  # YAML can refer to itself
        raise MetadataError(f"metadata nested deeper than {MAX_DEPTH}, at {prefix[:80]!r}")
    for name, value in mapping.items():
        if not isinstance(name, (str, int)) or isinstance(name, bool) or str(name).strip() == "":
            raise MetadataError(f"metadata key {name!r:.80} is not a name")
        if not _encodable(str(name)):
            raise MetadataError(f"metadata key {name!r:.80} is not valid Unicode")
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{key}.", depth + 1)
        elif value is not None:
            yield key, value


def _value(key: str, raw: Any) -> Value:
    if isinstance(raw, (list, tuple)):
        return [_item(key, item) for item in raw if item is not None]
    if isinstance(raw, str):
        if not _encodable(raw):
            raise MetadataError(f"metadata {key!r} is not valid Unicode (half a surrogate pair)")
        return _date_or_text(raw)
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, int):
        if raw not in _INT64:
            raise MetadataError(f"metadata {key!r} is an integer beyond 64 bits; write it as text")
        return raw
    if isinstance(raw, float):
        if not math.isfinite(raw):
            raise MetadataError(f"metadata {key!r} is {raw}, not a finite number")
        return raw
    if isinstance(raw, (datetime.datetime, datetime.time)):
        return raw.isoformat()
    if isinstance(raw, datetime.date):
        return raw
    raise MetadataError(f"metadata {key!r} is a {type(raw).__name__}, which no column can hold")


def _item(key: str, raw: Any) -> str:
    """One element of a list of text."""
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, (str, int, float)) and _encodable(str(raw)):
        return str(raw)
    if isinstance(raw, datetime.date):
        return raw.isoformat()
    raise MetadataError(
        f"metadata {key!r} is a list that holds a {type(raw).__name__}; lists hold plain text"
    )


def _date_or_text(text: str) -> Value:
    if _DATE.fullmatch(text):
        try:
            return datetime.date.fromisoformat(text)
        except ValueError:
            return text  # 2024-02-31 looks like a date and is none
    return text


def _encodable(text: str) -> bool:
    """Tell whether text has no lone surrogates, which no UTF-8 column can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
