"""Browsing: what matches a filter, without a query."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trawl.errors import QueryError
from trawl.query import Filter, bind, to_sql
from trawl.ranking import Fused
from trawl.search.arrange import Page, counted, hits_of, known_column
from trawl.search.copies import IsGone
from trawl.search.options import SearchOptions
from trawl.store import Snapshot, filter_column
from trawl.types import Answer, Facet

_NEED_A_QUERY = (
    "rerank",
    "balance",
    "quotas",
    "interleave",
    "diversity",
    "weights",
    "per_document",
)


def filter_conditions(
    where: Filter | None, options: SearchOptions, snapshot: Snapshot
) -> list[str]:
    """Return the SQL conditions of a filter, and of required and excluded words."""
    conditions = []
    if where is not None:
        conditions.append(to_sql(bind(where, snapshot.columns), filter_column))
    conditions += [snapshot.holding(phrase) for phrase in options.required]
    conditions += [f"NOT ({snapshot.holding(phrase)})" for phrase in options.excluded]
    return conditions


def browse(
    where: Filter | None,
    options: SearchOptions,
    snapshot: Snapshot,
    is_gone: IsGone,
    within: NDArray[np.int64] | None = None,
) -> Answer:
    """Return the documents that match a filter, sorted by `options.sort`, or by address.

    Each document is one hit: its first chunk that matches. Facets count all documents that match.
    Raises `QueryError` if there is nothing to filter by.
    """
    began = time.perf_counter()
    rows, facets = matching_documents(where, options, snapshot, within)
    listed = rows[options.offset : options.offset + options.limit]
    page = Page([Fused(int(row["_rowid"]), 1.0) for row in listed], {})
    hits = hits_of("", options, snapshot, page, is_gone)
    return Answer(
        hits,
        {"total": round((time.perf_counter() - began) * 1000, 3)},
        confidence=1.0,
        facets=facets,
        version=snapshot.version,
        notices=without_effect(options),
        total=len(rows),
    )


def without_effect(options: SearchOptions) -> tuple[str, ...]:
    """Return a notice for each option that needs a query."""
    return tuple(
        f"{name} has no effect without a query" for name in _NEED_A_QUERY if getattr(options, name)
    )


def sort_key(options: SearchOptions) -> tuple[str, bool]:
    """Return the key that documents without a query are sorted by, and whether it descends."""
    sort = options.sort or "uri"
    return sort.removeprefix("-"), sort.startswith("-")


def matching_documents(
    where: Filter | None,
    options: SearchOptions,
    snapshot: Snapshot,
    within: NDArray[np.int64] | None = None,
) -> tuple[list[dict[str, Any]], tuple[Facet, ...]]:
    """Return the first matching row of each document, sorted, and the facets of all.

    Raises what `browse` raises.
    """
    conditions = filter_conditions(where, options, snapshot)
    # Without other words, a phrase or fuzzy word has no score to raise.
    conditions += [snapshot.holding(phrase) for phrase in options.phrases]
    if options.modality:
        wanted = ", ".join(f"'{modality}'" for modality in options.modality)
        conditions.append(f"modality IN ({wanted})")
    if (not conditions and within is None) or options.fuzzy:
        raise QueryError("the query is empty; give text, an image, a sound or a filter")
    columns = {key: known_column(key, snapshot.columns, "count") for key in options.facets}
    name, descending = sort_key(options)
    key = known_column(name, snapshot.columns, "sort by")
    joined = " AND ".join(f"({one})" for one in conditions) or None
    rows = _first_rows(snapshot, joined, key, columns, within)
    facets = tuple(
        Facet(one, counted((row["document_id"], row[column]) for row in rows))
        for one, column in columns.items()
    )
    return sort_rows(rows, key, descending), facets


def _first_rows(
    snapshot: Snapshot,
    where: str | None,
    key: str,
    columns: Mapping[str, str],
    within: NDArray[np.int64] | None,
) -> list[dict[str, Any]]:
    """Return a row for the first matching chunk of each document."""
    names = dict.fromkeys(["document_id", "ordinal", "uri", key, *columns.values()])
    first: dict[str, dict[str, Any]] = {}
    for row in snapshot.matching(where, list(names), within).to_pylist():
        known = first.setdefault(row["document_id"], row)
        if row["ordinal"] < known["ordinal"]:
            first[row["document_id"]] = row
    return list(first.values())


def sort_rows(rows: list[dict[str, Any]], key: str, descending: bool) -> list[dict[str, Any]]:
    """Return rows sorted by a column, rows without a value last, ties by `uri`."""
    rows = sorted(rows, key=lambda row: str(row["uri"]))
    present = [row for row in rows if row[key] is not None]
    missing = [row for row in rows if row[key] is None]
    return sorted(present, key=lambda row: row[key], reverse=descending) + missing
