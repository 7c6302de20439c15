"""The SQL that the store writes itself. Filters of users come from `trawl.query`."""

from __future__ import annotations

from collections.abc import Iterable


def quoted(text: str) -> str:
    """Give text as a literal."""
    return "'" + text.replace("'", "''") + "'"


def one_of(column: str, values: Iterable[str]) -> str:
    """Give the condition that a column of text holds one of `values`, of which there are some."""
    return f"{column} IN ({', '.join(quoted(value) for value in values)})"


def row_is_one_of(rows: Iterable[int]) -> str:
    """Give the condition that a row's id is one of `rows`; of none, that no row fits."""
    listed = ", ".join(map(str, rows))
    return f"_rowid IN ({listed})" if listed else "1 = 0"


def may_have(source: str) -> str:
    """Give the condition that a chunk may have a source's vector, which reads no vectors."""
    modality = source.rpartition(".")[2]
    return f"modality = {quoted(modality)}" + (" OR text <> ''" if modality == "text" else "")
