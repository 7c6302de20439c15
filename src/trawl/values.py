"""Conversion of metadata values to the type of their column."""

from __future__ import annotations

import datetime
from collections.abc import Iterable


def plain_text(value: str | int | float | bool | datetime.date) -> str:
    """Return a value as a text column holds it: true, 4.5, 2024-05-01."""
    match value:
        case bool():
            return "true" if value else "false"
        case datetime.date():
            return value.isoformat()
        case _:
            return str(value)


def utc_datetime(value: datetime.date) -> datetime.datetime:
    """Return a date or datetime as a datetime column holds it: in UTC, without a time zone."""
    if not isinstance(value, datetime.datetime):
        return datetime.datetime(value.year, value.month, value.day)
    if value.tzinfo is None:
        return value
    try:
        return value.astimezone(datetime.UTC).replace(tzinfo=None)
    except OverflowError:  # the first or last day of the calendar
        return value.replace(tzinfo=None)


def with_items(
    value: str | int | float | bool | datetime.date | list[str] | None,
    add: Iterable[str],
    remove: Iterable[str],
) -> list[str] | None:
    """Return a value as a list of text with items added at its end, and others removed.

    No value is an empty list, and any other value a list of one. An item is not added twice.
    Returns None if no item is left.
    """
    items = value if isinstance(value, list) else [] if value is None else [plain_text(value)]
    dropped = set(remove)
    return [one for one in dict.fromkeys([*items, *add]) if one not in dropped] or None
