"""Conditions of a query line: ``year:>=2020``, ``source:(arXiv, CERN)``, ``has:doi``.

`build_condition` makes a condition of the parsed tokens, its values still text. `typed`
parses the text as the type of the column, which is known only with a library.
"""

from __future__ import annotations

import calendar
import datetime
import re
from typing import TYPE_CHECKING, Any

from trawl.errors import FilterError
from trawl.query.clauses import Condition
from trawl.query.places import (
    QUOTES,
    Line,
    Place,
    Spot,
    place_of,
    plain_signs,
    text_of,
    unescaped,
)
from trawl.query.tree import And, Comparison, Contains, Filter, Not, Operator, Or, Untyped
from trawl.types import ColumnType
from trawl.values import utc_datetime

if TYPE_CHECKING:
    from lark import Token

_OPERATORS: dict[str, Operator] = {">=": ">=", "<=": "<=", "==": "=", ">": ">", "<": "<", "=": "="}
_INTEGER = re.compile(r"[+-]?[0-9]{1,400}")
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_NO_WEIGHT = "a condition has no weight; write \\^ for the sign itself"
_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}


def build_condition(line: Line, place: Place, negated: bool, key: Token, test: Any) -> Condition:
    """Return the condition of a clause at `place`; without a `test` it is `has:key`.

    Raises `QueryError` for a key or value that is missing or malformed.
    """
    where = place_of(key)
    if key.type == "KEY":
        name = unescaped(key[1:-2]) if key[0] in QUOTES else key[:-1]
    else:
        name = text_of(line, key)
    if not name:
        raise line.error(Place(place.start, where.end), "this key is empty; a key is a name")
    if test is None:
        return Condition(name, "exists", (), negated, Spot(line, where))
    spot = Spot(
        line,
        Place(where.start, where.end - 1),
        (Place(where.end, max(place.end, where.end + 1)),),
    )
    op, values = _test(line, place, name, test)
    return Condition(name, op, tuple(values), negated, spot)


def _test(line: Line, place: Place, key: str, test: Any) -> tuple[Any, list[str]]:
    """Return the operator and the values behind a key."""
    tokens: list[Token] = test.children
    match test.data:
        case "equals":
            _check_stars(line, key, tokens[0])
            return "=", [text_of(line, tokens[0])]
        case "compares":
            return _OPERATORS[tokens[0]], [text_of(line, tokens[1])]
        case "range":
            return "range", [text_of(line, tokens[0]), _bound(line, tokens[2])]
        case "since":
            return ">=", [text_of(line, tokens[0])]
        case "until":
            return "<=", [_bound(line, tokens[1])]
        case "one_of":
            return "in", [_item(line, token) for token in tokens[1:-1:2]]
        case "exists":
            return "exists", []
        case "contains":
            return "contains", [text_of(line, tokens[0])[1:-1]]
        case "empty":
            raise line.error(Place(place.start, place_of(tokens[0]).end), missing_value(key))
        case _:
            raise line.error(place_of(tokens[0]), f"write -{key}:value instead of !=")


def _bound(line: Line, token: Token) -> str:
    """Return the upper end of a range."""
    if token.startswith("."):
        start = place_of(token).start
        raise line.error(Place(start, start + 1), "a range has two dots: 2019..2021")
    return text_of(line, token)


def _item(line: Line, token: Token) -> str:
    """Return a value of a list; white space inside an unquoted one is normalised."""
    if token.type == "QUOTED":
        return text_of(line, token)
    for at, _ in plain_signs(token, "^"):
        start = place_of(token).start
        raise line.error(Place(start + at, start + len(token.rstrip())), _NO_WEIGHT)
    return " ".join(text_of(line, token).split())


def check_unweighted(line: Line, weight: Token | None) -> None:
    """Raise `QueryError` if a condition has a weight."""
    if weight is not None:
        raise line.error(place_of(weight), _NO_WEIGHT)


def _check_stars(line: Line, key: str, token: Token) -> None:
    stars = [at for at, _ in plain_signs(token, "*")] if token.type == "VALUE" else []
    if stars and (stars[0] == 0 or stars[-1] == len(token) - 1):
        raise line.error(
            place_of(token), f"a * stands at both ends, {key}:*part*, or alone; \\* is the sign"
        )


def missing_value(key: str) -> str:
    """Return the message for a key without a value."""
    return (
        f"a value is missing: {key}:2020, {key}:>=2020, {key}:2019..2021 or {key}:(a, b); "
        f'put text with other signs in quotes: {key}:"<b>"'
    )


def typed(condition: Untyped, kind: ColumnType) -> Filter:
    """Return the condition on a column of `kind`, not yet bound.

    On a list of text, ``=`` matches an item. A date may be a year or a month: ``=`` then
    matches any of its days, ``<`` days before the first and ``>`` days after the last. In
    text, numbers are ordered by value.
    Raises `FilterError` for text that is not a value of that type.
    """
    key, op, text = condition.key, condition.op, condition.text
    if op == "contains":
        if kind == "texts":
            raise FilterError(f'"{key}" is a list and matches whole items; write {key}:{text}')
        return Contains(key, text)
    match kind:
        case "text":
            return _compare_text(key, op, text)
        case "texts":
            if op != "=":
                raise FilterError(
                    f'"{key}" is a list of text, which has no order; match an item: {key}:word'
                )
            return Contains(key, text)
        case "integer" | "real":
            return Comparison(key, op, _number(key, text))
        case "boolean":
            if text.lower() not in _BOOLEANS:
                raise _wrong_type(key, text, "true or false", f"{key}:true")
            return Comparison(key, op, _BOOLEANS[text.lower()])
        case "date" | "datetime":
            if kind == "datetime" and (moment := as_datetime(text)) is not None:
                return Comparison(key, op, moment)
            first, last = _days(key, text)
            if op == "=" and first != last:
                return And((Comparison(key, ">=", first), Comparison(key, "<=", last)))
            return Comparison(key, op, last if op in (">", "<=") else first)


def _compare_text(key: str, op: Operator, text: str) -> Filter:
    """Compare text: numbers with numbers by value, and other text that begins with a digit."""
    whole = Comparison(key, op, text)
    if op in ("=", "!=") or not (_INTEGER.fullmatch(text) or _REAL.fullmatch(text)):
        return whole
    number = Or((Comparison(key, "<", 0, numeric=True), Comparison(key, ">=", 0, numeric=True)))
    dates = And((whole, Comparison(key, ">=", "0"), Comparison(key, "<", ":"), Not(number)))
    return Or((Comparison(key, op, float(text), numeric=True), dates))


def as_datetime(text: str) -> datetime.datetime | None:
    """Return ISO 8601 text of a date and time as a datetime in UTC, None for other text."""
    try:
        moment = datetime.datetime.fromisoformat(text) if len(text) > 10 else None
    except ValueError:
        return None
    return None if moment is None else utc_datetime(moment)


def _number(key: str, text: str) -> int | float:
    if _INTEGER.fullmatch(text):
        return int(text)
    if _REAL.fullmatch(text):
        return float(text)
    raise _wrong_type(key, text, "a number", f"{key}:2020, {key}:>=2020 or {key}:2019..2021")


def _days(key: str, text: str) -> tuple[datetime.date, datetime.date]:
    """Return the first and last day of a year, a month or a day."""
    found = _DATE.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        year = int(found[1])
        first_month, last_month = (int(found[2]),) * 2 if found[2] else (1, 12)
        last_day = int(found[3] or calendar.monthrange(year, last_month)[1])
        first = datetime.date(year, first_month, int(found[3] or 1))
        return first, datetime.date(year, last_month, last_day)
    except ValueError:
        raise _wrong_type(
            key, text, "a date", f"{key}:2024-05-01, {key}:>=2024-05 or {key}:2024"
        ) from None


def _wrong_type(key: str, text: str, kind: str, example: str) -> FilterError:
    short = text if len(text) <= 40 else text[:39] + "…"
    return FilterError(f'"{key}" is {kind}, and "{short}" is not; write it as in: {example}')
