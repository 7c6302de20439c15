"""Convert metadata from YAML, JSON, CSV and options to the value types of a library."""

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
    """Flatten nested mappings to dotted keys, and convert every value to a library type.

    Dates, and text such as ``2024-05-01``, become dates. Lists of scalars become lists of
    text. Null values are dropped. Times become ISO text. Raises `MetadataError`, with the
    key, for anything else.
    """
    metadata: Metadata = {}
    for key, raw in _leaves(mapping, "", 0):
        if key in metadata:
            raise MetadataError(f"duplicate metadata key {key!r}")
        metadata[key] = _value(key, raw)
        if len(metadata) > MAX_KEYS:
            raise MetadataError(f"more than {MAX_KEYS:,} metadata keys")
    return metadata


def typed_cell(text: str) -> Value:
    """Convert a cell's text to an integer, real, boolean, date or text."""
    text = text.strip()
    if text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    # More than 19 digits exceed 64 bits, and int() raises for very long numbers.
    if len(text) <= 20 and _INTEGER.fullmatch(text) and int(text) in _INT64:
        return int(text)
    if _REAL.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return _date_or_text(text)


def coerce_option(option: str) -> tuple[str, Value]:
    """Parse ``key=value``, typed like a CSV cell. Raises `UsageError`."""
    key, equals, text = option.partition("=")
    key = key.strip()
    if not equals or not key:
        raise UsageError(f"{option!r} is not KEY=VALUE, such as year=2024")
    if not _encodable(key + text):
        raise UsageError(f"{option!r} is not valid UTF-8")
    return key, typed_cell(text)


def as_text(value: Any) -> str:
    """Return a title or caption as one line of text, "" for null. Raises `MetadataError`."""
    if value is None:
        return ""
    if isinstance(value, (str, int, float, datetime.date)):
        text = " ".join(str(value).split())
        if _encodable(text):
            return text
    raise MetadataError(f"a title or caption must be text, not {value!r:.80}")


def _leaves(mapping: Mapping[Any, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) of every leaf that is not null, in order."""
    if depth > MAX_DEPTH:  # YAML aliases can be recursive
        raise MetadataError(f"metadata nested deeper than {MAX_DEPTH}, at {prefix[:80]!r}")
    for name, value in mapping.items():
        if not isinstance(name, (str, int)) or isinstance(name, bool) or str(name).strip() == "":
            raise MetadataError(f"metadata key {name!r:.80} is not a valid name")
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
            raise MetadataError(f"metadata {key!r} is not valid Unicode (a lone surrogate)")
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
    raise MetadataError(f"metadata {key!r} is a {type(raw).__name__}, which is not supported")


def _item(key: str, raw: Any) -> str:
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, (str, int, float)) and _encodable(str(raw)):
        return str(raw)
    if isinstance(raw, datetime.date):
        return raw.isoformat()
    raise MetadataError(
        f"metadata {key!r} is a list that contains a {type(raw).__name__}; lists contain plain text"
    )


def _date_or_text(text: str) -> Value:
    if _DATE.fullmatch(text):
        try:
            return datetime.date.fromisoformat(text)
        except ValueError:
            return text  # such as 2024-02-31
    return text


def _encodable(text: str) -> bool:
    """Return whether text has no lone surrogates, which UTF-8 cannot represent."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
