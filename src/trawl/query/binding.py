"""A filter against a library's columns, and against one document's metadata."""

from __future__ import annotations

import datetime
import difflib
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from trawl.errors import FilterError
from trawl.query.tree import (
    And,
    Comparison,
    Contains,
    Exists,
    Filter,
    Not,
    OneOf,
    Or,
    Scalar,
    Untyped,
)
from trawl.query.untyped import typed
from trawl.types import ColumnType, Value

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
MAX_LISTED = 20

_TYPE_NAMES: dict[ColumnType, str] = {
    "text": "text",
    "integer": "an integer",
    "real": "a real number",
    "boolean": "true or false",
    "date": "a date",
    "texts": "a list of text",
}
_EXAMPLES: dict[ColumnType, str] = {
    "text": "'word'",
    "integer": "2020",
    "real": "1.5",
    "boolean": "true",
    "date": "'2024-05-01'",
    "texts": "contains 'word'",
}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def bind(filter_: Filter, columns: Mapping[str, ColumnType]) -> Filter:
    """Check every key against `columns` and give each literal its column's type.

    A whole number becomes a real one and back (2.0, not 2.5), and ISO text a date.
    Raises `FilterError` for a key that is not a column (with the near ones), and
    for a literal or an operator that does not fit the column's type.
    """
    match filter_:
        case Comparison(key, op, value):
            kind = _column(key, columns)
            if kind == "boolean" and op not in ("=", "!="):
                raise FilterError(f'"{key}" is true or false: compare it with = or !=, not {op}')
            return Comparison(key, op, _coerce(key, kind, value))
        case OneOf(key, values):
            kind = _column(key, columns)
            return OneOf(key, tuple(_coerce(key, kind, value) for value in values))
        case Contains(key, value):
            kind = _column(key, columns)
            if kind not in ("text", "texts"):
                raise FilterError(
                    f'"{key}" is {_TYPE_NAMES[kind]}, which contains nothing; '
                    f"compare it: {key} = {_EXAMPLES[kind]}"
                )
            return Contains(key, _text(key, value), item=kind == "texts")
        case Exists(key):
            _column(key, columns)
            return filter_
        case Untyped(key):
            try:
                kind = _column(key, columns)
            except FilterError as error:
                hint = f"; to search for the word itself, write {key}\\: or put it in quotes"
                raise FilterError(f"{error}{hint}") from None
            return bind(typed(filter_, kind), columns)
        case And(parts):
            return And(tuple(bind(part, columns) for part in parts))
        case Or(parts):
            return Or(tuple(bind(part, columns) for part in parts))
        case Not(part):
            return Not(bind(part, columns))


def matches(filter_: Filter, metadata: Mapping[str, Value]) -> bool:
    """Whether a document with `metadata` passes a bound filter.

    Python's own reading of the tree, which the store's is tested against. A value
    that is not a number (NaN) is outside both: the readers let none in.
    """
    match filter_:
        case Comparison(key, op, value):
            return key in metadata and _COMPARE[op](metadata[key], value)
        case OneOf(key, values):
            return key in metadata and metadata[key] in values
        case Contains(key, value):
            held = metadata.get(key)
            return isinstance(held, str | list) and value in held
        case Exists(key):
            return key in metadata
        case Untyped():
            raise ValueError("bind the filter to the library's columns first")
        case And(parts):
            return all(matches(part, metadata) for part in parts)
        case Or(parts):
            return any(matches(part, metadata) for part in parts)
        case Not(part):
            return not matches(part, metadata)


def _column(key: str, columns: Mapping[str, ColumnType]) -> ColumnType:
    if key in columns:
        return columns[key]
    if not columns:
        raise FilterError(f'no column "{key}": nothing in this library has metadata yet')
    by_lower = {name.lower(): name for name in columns}
    near = [
        by_lower[name] for name in difflib.get_close_matches(key.lower(), by_lower, n=3, cutoff=0.6)
    ]
    message = f'no column "{key}"'
    if near:
        message += "; did you mean " + " or ".join(f'"{name}"' for name in near) + "?"
    names = sorted(columns)
    listed = ", ".join(names[:MAX_LISTED])
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    joint = " There are: " if near else "; there are: "
    raise FilterError(f"{message}{joint}{listed}{more}")


def _coerce(key: str, kind: ColumnType, value: Scalar) -> Scalar:
    """The literal as the column's type; the Python type decides, and bool is no integer here."""
    match kind:
        case "text" if isinstance(value, str):
            return _text(key, value)
        case "boolean" if isinstance(value, bool):
            return value
        case "integer" if isinstance(value, int | float) and not isinstance(value, bool):
            if value == value // 1 and INT64_MIN <= value <= INT64_MAX:
                return int(value)
        case "real" if isinstance(value, int | float) and not isinstance(value, bool):
            return _finite(key, value)
        case "date":
            found = _as_date(value)
            if found is not None:
                return found
        case "texts":
            raise FilterError(
                f'"{key}" is a list of text, which is not compared as a whole; '
                f"ask for an item: {key} contains 'word'"
            )
        case _:
            pass
    raise FilterError(
        f'"{key}" is {_TYPE_NAMES[kind]}, and {_shown(value)} is not; '
        f"write it as in: {key} = {_EXAMPLES[kind]}"
    )


def _text(key: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise FilterError(
            f'the text that "{key}" is compared with is not valid Unicode; write it as UTF-8'
        ) from None
    return value


def _finite(key: str, value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise FilterError(
            f'"{key}" is compared with a number beyond 1.8e308, which no real number holds'
        )
    return number


def _as_date(value: Scalar) -> datetime.date | None:
    if isinstance(value, datetime.datetime):
        return None
    if isinstance(value, datetime.date):
        return value
    if not isinstance(value, str) or len(value) != 10:
        return None
    try:
        return datetime.date.fromisoformat(value)
    except ValueError:
        return None


def _shown(value: Scalar) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            text = value if len(value) <= 40 else value[:39] + "…"
            return "'" + text.replace("'", "''") + "'"
        case datetime.date():
            return f"date '{value.isoformat()}'"
        case _:
            return repr(value)
