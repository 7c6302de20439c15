"""Write a filter as SQL in the dialect of Lance's filters (DataFusion).

The SQL is built from the tree alone: keys become the store's own column names,
and literals are written by their Python type. Text stands in single quotes with
each quote doubled. The dialect has no other escape (measured with pylance 14.0.2:
backslashes, newlines and NUL are literal).
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable

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

INT64_MIN = -(2**63)


def to_sql(filter_: Filter, column_of: Callable[[str], str]) -> str:
    """Return the SQL of a bound filter; `column_of` maps a key to the store's column.

    A comparison with a missing value is null in SQL, and a null row does not pass.
    That is the tree's "false" everywhere except under ``not``, so a negated part is
    made two-valued by ``coalesce(part, false)``.

    Raises `FilterError` for a literal that SQL cannot express (infinite or NaN).
    """

    def column(key: str) -> str:
        name = column_of(key)
        if "`" in name or not name:
            raise ValueError(f"no column of the store is named {name!r}")
        return f"`{name}`"

    def sql(node: Filter) -> str:
        match node:
            case Comparison(key, op, value, numeric=numeric):
                name = column(key)
                if numeric:  # the engine also takes "inf" and "nan" for numbers
                    number = f"try_cast({name} as double)"
                    return f"(lower({name}) not like '%n%' and {number} {op} {_literal(value)})"
                return f"{name} {op} {_literal(value)}"
            case OneOf(key, values):
                if not values:
                    return "false"
                return f"{column(key)} in ({', '.join(_literal(value) for value in values)})"
            case Contains(key, value, item):
                function = "array_has" if item else "contains"
                return f"{function}({column(key)}, {_literal(value)})"
            case Exists(key):
                return f"{column(key)} is not null"
            case Untyped():
                raise ValueError("bind the filter to the library's columns first")
            case And(parts):
                return _joined(" and ", [sql(part) for part in parts], "true")
            case Or(parts):
                return _joined(" or ", [sql(part) for part in parts], "false")
            case Not(part):
                return f"not coalesce({sql(part)}, false)"

    return sql(filter_)


def _joined(word: str, parts: list[str], empty: str) -> str:
    """Join the parts in a balanced tree of parentheses, so that depth is logarithmic."""
    if not parts:
        return empty
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return f"({_joined(word, parts[:middle], empty)}{word}{_joined(word, parts[middle:], empty)})"


def _literal(value: Scalar) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            # The dialect reads 9223372036854775808 without its sign, as a real number.
            return "(-9223372036854775807 - 1)" if value == INT64_MIN else str(value)
        case float():
            if not math.isfinite(value):
                raise FilterError("numbers in a filter must be finite")
            return repr(value)
        case datetime.datetime():
            return f"timestamp '{value.isoformat(sep=' ')}'"
        case datetime.date():
            return f"date '{value.isoformat()}'"
        case _:
            return "'" + value.replace("'", "''") + "'"
