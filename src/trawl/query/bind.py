"""Bind a filter to a library's columns, and match it with one document's metadata."""

from __future__ import annotations

import datetime
import difflib
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from trawl.errors import FilterError
from trawl.query.conditions import as_datetime, typed
from trawl.query.tree import (
    And,
    Comparison,
    Contains,
    Exists,
    Filter,
    Not,
    OneOf,
    Operator,
    Or,
    Scalar,
    Untyped,
)
from trawl.types import ColumnType, Value
from trawl.values import plain_text, utc_datetime

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
MAX_LISTED = 20

_TYPE_NAMES: dict[ColumnType, str] = {
    "text": "text",
    "integer": "an integer",
    "real": "a real number",
    "boolean": "true or false",
    "date": "a date",
    "datetime": "a date and time",
    "texts": "a list of text",
}
_EXAMPLES: dict[ColumnType, str] = {
    "text": "'word'",
    "integer": "2020",
    "real": "1.5",
    "boolean": "true",
    "date": "'2024-05-01'",
    "datetime": "'2024-05-01T10:00'",
    "texts": "contains 'word'",
}
Condition: TypeAlias = Comparison | OneOf | Contains | Exists | Untyped

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def bind(filter_: Filter, columns: Mapping[str, ColumnType]) -> Filter:
    """Check every key against `columns` and convert each literal to its column's type.

    Whole numbers convert to reals and back (2.0, not 2.5), and ISO text to dates. On a
    column that was widened, literals of the narrower type are valid too: a number or a date
    on text, a date on datetimes, and `=` with an item on lists.
    Raises `FilterError` for a key that is not a column (with similar names), and for a
    literal or an operator that does not fit the column's type. If the filter was parsed
    from text, the error points at the place.
    """
    match filter_:
        case And(parts):
            return And(tuple(bind(part, columns) for part in parts))
        case Or(parts):
            return Or(tuple(bind(part, columns) for part in parts))
        case Not(part):
            return Not(bind(part, columns))
        case _:
            return _bound(filter_, columns)


def _bound(condition: Condition, columns: Mapping[str, ColumnType]) -> Filter:
    key, spot = condition.key, condition.spot
    with _pointing(spot.at_key if spot else None):
        kind = _kind(condition, columns)
    match condition:
        case Comparison(_, op, value, numeric=numeric):
            with _pointing(spot.at_key if spot else None):
                if kind == "boolean" and op not in ("=", "!="):
                    raise FilterError(
                        f'"{key}" is true or false; compare it with = or !=, not {op}'
                    )
            with _pointing(spot.at_value if spot else None):
                return condition if numeric else _compared(key, op, kind, value)
        case OneOf(_, values):
            if kind in ("texts", "datetime") or (
                kind == "text" and not all(isinstance(value, str) for value in values)
            ):
                return Or(tuple(_item(condition, kind, n) for n in range(len(values))))
            return OneOf(key, tuple(_scalar(condition, kind, n) for n in range(len(values))))
        case Contains(_, value):
            with _pointing(spot.at_key if spot else None):
                if kind not in ("text", "texts"):
                    raise FilterError(
                        f'"{key}" is {_TYPE_NAMES[kind]}, and has no parts to contain; '
                        f"compare it: {key} = {_EXAMPLES[kind]}"
                    )
            with _pointing(spot.at_value if spot else None):
                return Contains(key, _text(key, value), item=kind == "texts")
        case Exists():
            return condition
        case Untyped():
            with _pointing(spot.at_value if spot else None):
                # The result of `typed` has no spot, so the error gets its place once.
                return bind(typed(condition, kind), columns)


def _kind(condition: Condition, columns: Mapping[str, ColumnType]) -> ColumnType:
    try:
        return _column(condition.key, columns)
    except FilterError as error:
        if not isinstance(condition, Untyped):
            raise
        word = f"; to search for the word itself, write {condition.key}\\: or put it in quotes"
        raise FilterError(f"{error}{word}") from None


def _item(condition: OneOf, kind: ColumnType, number: int) -> Filter:
    spot, value = condition.spot, condition.values[number]
    with _pointing((lambda what: spot.at_value(what, number)) if spot else None):
        return _compared(condition.key, "=", kind, value)


def _scalar(condition: OneOf, kind: ColumnType, number: int) -> Scalar:
    spot, value = condition.spot, condition.values[number]
    with _pointing((lambda what: spot.at_value(what, number)) if spot else None):
        return _coerce(condition.key, kind, value)


def _compared(key: str, op: Operator, kind: ColumnType, value: Scalar) -> Filter:
    """Return a comparison with a literal, converted to the column's type."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if op == "!=" and (kind in ("texts", "datetime") or (kind == "text" and is_number)):
        return And((Exists(key), Not(_compared(key, "=", kind, value))))
    if kind == "texts" and op == "=":
        return Contains(key, _text(key, plain_text(value)), item=True)
    if kind == "text" and isinstance(value, int | float) and is_number:
        return Comparison(key, op, _finite(key, value), numeric=True)
    if kind == "text" and not isinstance(value, str):
        return Comparison(key, op, plain_text(value))
    if kind != "datetime":
        return Comparison(key, op, _coerce(key, kind, value))
    day = _as_date(value)
    if day is None:
        return Comparison(key, op, _coerce(key, kind, value))
    first = utc_datetime(day)
    last = datetime.datetime.combine(day, datetime.time.max)
    if op == "=":
        return And((Comparison(key, ">=", first), Comparison(key, "<=", last)))
    return Comparison(key, op, last if op in (">", "<=") else first)


@contextmanager
def _pointing(at: Callable[[str], FilterError] | None) -> Iterator[None]:
    """Add the place to an error of the block."""
    try:
        yield
    except FilterError as error:
        if at is None:
            raise
        raise at(str(error)) from None


def matches(filter_: Filter, metadata: Mapping[str, Value]) -> bool:
    """Return whether a document with `metadata` passes a bound filter.

    The reference implementation that the store's SQL is tested against. NaN is outside
    both; the readers reject it.
    """
    match filter_:
        case Comparison(key, op, value, numeric=True):
            number = _NUMBER.fullmatch(str(metadata.get(key, "")))
            return number is not None and _COMPARE[op](float(number[0]), value)
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
    """Convert a literal to the column's type; a bool is not an integer here."""
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
        case "datetime":
            moment = as_datetime(value) if isinstance(value, str) else value
            if isinstance(moment, datetime.datetime):
                return utc_datetime(moment)
        case "texts":
            raise FilterError(
                f'"{key}" is a list of text, which has no order; '
                f"match an item: {key} contains 'word'"
            )
        case _:
            pass
    raise FilterError(
        f'"{key}" is {_TYPE_NAMES[kind]}, and {_literal_text(value)} is not; '
        f"write it as in: {key} = {_EXAMPLES[kind]}"
    )


def _text(key: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise FilterError(
            f'the value for "{key}" is not valid Unicode; write it as UTF-8'
        ) from None
    return value


def _finite(key: str, value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise FilterError(f'the number for "{key}" is beyond 1.8e308, the largest real number')
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


def _literal_text(value: Scalar) -> str:
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
