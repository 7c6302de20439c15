"""The types of metadata columns: what they are, and how a value fits one.

The type of a column follows from the values of all documents, in no order. Each document
keeps its own values in `metadata`; the column holds them converted, for filters.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping

import numpy as np

from trawl.errors import MetadataError
from trawl.types import ColumnType, Metadata, Value
from trawl.values import plain_text, utc_datetime

_INT64 = 2**63
_WIDER: tuple[tuple[frozenset[ColumnType], ColumnType], ...] = (
    (frozenset({"integer", "real"}), "real"),
    (frozenset({"date", "datetime"}), "datetime"),
)


def column_type(key: str, value: Value) -> ColumnType:
    """Return the column type of `value`. Raises `MetadataError` if no column type holds it."""
    match value:
        case bool():
            return "boolean"
        case int():
            if not -_INT64 <= value < _INT64:
                raise MetadataError(f"metadata {key!r}: {value} does not fit 64 bits")
            return "integer"
        case float():
            if not np.isfinite(value):
                raise MetadataError(f"metadata {key!r}: {value} is not a number")
            return "real"
        case str():
            return "text"
        case datetime.datetime():
            return "datetime"
        case datetime.date():
            return "date"
        case list():
            return "texts"


def common_type(kinds: Iterable[ColumnType]) -> ColumnType:
    """Return the narrowest type that holds values of all `kinds`, at least one.

    A list with anything is a list, integers with reals are reals, dates with datetimes are
    datetimes, and any other mixture is text.
    """
    found = frozenset(kinds)
    if "texts" in found:
        return "texts"
    if len(found) == 1:
        return next(iter(found))
    return next((wider for narrow, wider in _WIDER if found <= narrow), "text")


def fit_value(value: Value | None, kind: ColumnType) -> Value | None:
    """Return a value as its column holds it, or None if it does not fit.

    A datetime is in UTC, without a time zone.
    """
    if value is None:
        return None
    if kind == "texts":
        return value if isinstance(value, list) else [plain_text(value)]
    if isinstance(value, list):
        return None
    if kind == "text":
        return plain_text(value)
    if kind == "datetime":
        return utc_datetime(value) if isinstance(value, datetime.date) else None
    own = column_type("", value)
    if kind == "real" and own == "integer":
        return float(value)  # type: ignore[arg-type]
    return value if own == kind else None


class ColumnTypes:
    """Derives the type of each column from the values of documents, added in any order.

    `columns` are the types so far.
    """

    def __init__(
        self, documents: Iterable[Metadata] = (), columns: Mapping[str, ColumnType] | None = None
    ) -> None:
        self._columns = dict(columns or {})
        for metadata in documents:
            self.add(metadata)

    def add(self, metadata: Metadata) -> None:
        """Add a document's values. Raises `MetadataError` if no column type holds one."""
        kinds = {key: column_type(key, value) for key, value in metadata.items()}
        for key, kind in kinds.items():
            self._columns[key] = common_type({kind, self._columns.get(key, kind)})

    def columns(self) -> Mapping[str, ColumnType]:
        """Return the type of each key that has a value."""
        return self._columns
