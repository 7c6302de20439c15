"""Write a parsed filter as JSON, and read it back.

A query line's conditions have no form as filter text, since their types are those of the library.
"""

from __future__ import annotations

import datetime
from typing import Any

from trawl.errors import FilterError
from trawl.query import (
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

_DEEPEST = 60
_OPERATORS = ("=", "!=", "<", "<=", ">", ">=")


def filter_fields(node: Filter) -> list[Any]:
    """Return a filter as nested lists: the kind of the node, and its fields."""
    match node:
        case Comparison(key, op, value):
            return ["compare", key, op, _value(value)]
        case OneOf(key, values):
            return ["one_of", key, [_value(one) for one in values]]
        case Contains(key, text):
            return ["contains", key, text]
        case Exists(key):
            return ["exists", key]
        case Untyped(key, op, text):
            return ["untyped", key, op, text]
        case And(parts):
            return ["and", *map(filter_fields, parts)]
        case Or(parts):
            return ["or", *map(filter_fields, parts)]
        case Not(part):
            return ["not", filter_fields(part)]


def filter_of(fields: Any, depth: int = 0) -> Filter:
    """Return the filter of `filter_fields`. Raises `FilterError` for anything else."""
    if depth > _DEEPEST:
        raise FilterError(f"the filter is nested deeper than {_DEEPEST}")
    match fields:
        case ["compare", str(key), str(op), value] if op in _OPERATORS:
            return Comparison(key, op, _scalar(value))  # type: ignore[arg-type]
        case ["one_of", str(key), [*values]]:
            return OneOf(key, tuple(map(_scalar, values)))
        case ["contains", str(key), str(text)]:
            return Contains(key, text)
        case ["exists", str(key)]:
            return Exists(key)
        case ["untyped", str(key), str(op), str(text)] if op in (*_OPERATORS, "contains"):
            return Untyped(key, op, text)  # type: ignore[arg-type]
        case ["and", *parts]:
            return And(tuple(filter_of(part, depth + 1) for part in parts))
        case ["or", *parts]:
            return Or(tuple(filter_of(part, depth + 1) for part in parts))
        case ["not", part]:
            return Not(filter_of(part, depth + 1))
    raise FilterError(f"not a node of a filter: {str(fields)[:100]}")


def _value(value: Scalar) -> Any:
    if isinstance(value, datetime.datetime):
        return {"datetime": value.isoformat()}
    return {"date": value.isoformat()} if isinstance(value, datetime.date) else value


def _scalar(value: Any) -> Scalar:
    try:
        match value:
            case {"datetime": str(text)}:
                return datetime.datetime.fromisoformat(text)
            case {"date": str(text)}:
                return datetime.date.fromisoformat(text)
            case str() | bool() | int() | float():
                return value
    except ValueError:
        pass
    raise FilterError(f"not a value of a filter: {str(value)[:100]}")
