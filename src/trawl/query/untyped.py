"""The text of a condition such as ``year:2020``, read as the type of its column."""

from __future__ import annotations

import calendar
import datetime
import re

from trawl.errors import FilterError
from trawl.query.tree import And, Comparison, Contains, Filter, Untyped
from trawl.types import ColumnType

_INTEGER = re.compile(r"[+-]?[0-9]{1,400}")
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_TRUTHS = {"true": True, "yes": True, "false": False, "no": False}


def typed(condition: Untyped, kind: ColumnType) -> Filter:
    """The condition on a column of `kind`, not yet bound.

    A list of text is asked for an item. A date may be a year or a month: ``=`` is
    then any day of it, ``<`` before its first and ``>`` after its last.
    Raises `FilterError` for text that is no value of that type.
    """
    key, op, text = condition.key, condition.op, condition.text
    if op == "contains":
        if kind == "texts":
            raise FilterError(f'"{key}" is a list, asked for whole items; write {key}:{text}')
        return Contains(key, text)
    match kind:
        case "text":
            return Comparison(key, op, text)
        case "texts":
            if op != "=":
                raise FilterError(
                    f'"{key}" is a list of text, which has no order; ask for an item: {key}:word'
                )
            return Contains(key, text)
        case "integer" | "real":
            return Comparison(key, op, _number(key, text))
        case "boolean":
            if text.lower() not in _TRUTHS:
                raise _misfit(key, text, "true or false", f"{key}:true")
            return Comparison(key, op, _TRUTHS[text.lower()])
        case "date":
            first, last = _days(key, text)
            if op == "=" and first != last:
                return And((Comparison(key, ">=", first), Comparison(key, "<=", last)))
            return Comparison(key, op, last if op in (">", "<=") else first)


def _number(key: str, text: str) -> int | float:
    if _INTEGER.fullmatch(text):
        return int(text)
    if _REAL.fullmatch(text):
        return float(text)
    raise _misfit(key, text, "a number", f"{key}:2020, {key}:>=2020 or {key}:2019..2021")


def _days(key: str, text: str) -> tuple[datetime.date, datetime.date]:
    """The first and the last day of a year, a month or a day."""
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
        raise _misfit(
            key, text, "a date", f"{key}:2024-05-01, {key}:>=2024-05 or {key}:2024"
        ) from None


def _misfit(key: str, text: str, kind: str, example: str) -> FilterError:
    shown = text if len(text) <= 40 else text[:39] + "…"
    return FilterError(f'"{key}" is {kind}, and "{shown}" is not; write it as in: {example}')
