"""The SQL that the store writes itself. Filters of users come from `trawl.query`."""

from __future__ import annotations

from collections.abc import Iterable


def quoted(text: str) -> str:
    """Give text as a literal."""
    return "'" + text.replace("'", "''") + "'"


def one_of(column: str, values: Iterable[str]) -> str:
    """Give the condition that a column of text holds one of `values`, of which there are some."""
    return f"{column} IN ({', '.join(quoted(value) for value in values)})"
