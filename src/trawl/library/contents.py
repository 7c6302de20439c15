"""The contents of a library without a search: documents, metadata values."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from trawl.errors import FilterError, UsageError
from trawl.library.inputs import join_filters, kind_of, names_of
from trawl.query import Filter, OneOf, bind, to_sql
from trawl.store import DocumentRow, Snapshot, Store, filter_column, has_name
from trawl.types import Facet, Failure, Modality, Notice, Place, Space, Status, StoredChunk

_FILE_PROPERTIES = ("added_at", "size_bytes")


@dataclass(frozen=True, slots=True)
class DocumentContents:
    """A document with its chunks, in document order.

    `places` are the other documents with the same content. `gone` is set if the file is missing.
    """

    document: DocumentRow
    chunks: tuple[StoredChunk, ...]
    places: tuple[Place, ...] = ()
    gone: bool = False


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """One page of documents. `total` counts the documents of all pages."""

    documents: tuple[DocumentRow, ...]
    total: int


def read_status(store: Store, spaces: Sequence[Space]) -> Status:
    """Return the counts, spaces and failures of the latest version."""
    snapshot = store.refresh()
    failed = store.documents("error IS NOT NULL")
    noticed = store.documents("notices IS NOT NULL") if store.has_notices() else []
    return Status(
        documents=store.count_documents(),
        chunks=snapshot.counts,
        failed=tuple(Failure(row.uri, row.error or "") for row in failed),
        spaces=tuple(spaces),
        version=snapshot.version,
        fragments=snapshot.fragments,
        unindexed_rows=snapshot.unindexed_rows,
        notices=tuple(Notice(row.uri, notice) for row in noticed for notice in row.notices),
    )


def list_documents(
    store: Store,
    *,
    failed: bool | None,
    notices: bool | None,
    where: str | Filter | None,
    name: str | None,
    sort: str | None,
    offset: int,
    limit: int | None,
) -> DocumentPage:
    """Return a page of documents, including failed ones unless a filter is given.

    Raises `FilterError`, and `UsageError` if `offset` or `limit` is negative.
    """
    for option, number in (("offset", offset), ("limit", limit)):
        if not isinstance(number, int | None):
            raise UsageError(f"{option} must be a number, not {kind_of(number)}")
    if offset < 0 or (limit is not None and limit < 0):
        raise UsageError(f"offset {offset} and limit {limit}: neither may be negative")
    state = _state(store, failed, notices, name)
    ids = store.document_ids(state)
    condition = _sql(store.snapshot(), where, ())
    if condition is not None:
        among = store.snapshot().document_ids(condition)
        ids = [document_id for document_id in ids if document_id in among]
    if sort is not None:
        ids = _sorted(store, ids, state, sort)
    end = None if limit is None else offset + limit
    page = ids[offset:end]
    # One query for all documents is faster than a query by ids.
    is_whole = page == ids and condition is None
    found = store.documents(state) if is_whole else store.documents_of(page)
    rows = {row.document_id: row for row in found}
    listed = tuple(rows[document_id] for document_id in page if document_id in rows)
    return DocumentPage(listed, len(ids))


def _state(store: Store, failed: bool | None, notices: bool | None, name: str | None) -> str | None:
    """Return the condition on rows of ``documents``, or None."""
    conditions = [
        f"{column} IS {'NOT ' if wanted else ''}NULL"
        for column, wanted in (("error", failed), ("notices", notices))
        if wanted is not None
    ]
    if notices is not None and not store.has_notices():
        conditions = ["false"] if notices else conditions[:-1]
    if name is not None:
        conditions.append(has_name(name))
    return " AND ".join(conditions) or None


def _sorted(store: Store, ids: Sequence[str], state: str | None, sort: str) -> list[str]:
    """Sort documents, which are sorted by address, by a column or a property of their files."""
    key = sort.removeprefix("-")
    columns = store.snapshot().columns
    values: dict[str, Any]
    if key in columns:
        names = ["document_id", filter_column(key)]
        table = store.snapshot().matching(None, list(dict.fromkeys(names)))
        values = dict(zip(*(table[one].to_pylist() for one in names), strict=True))
    elif key in _FILE_PROPERTIES:
        values = {row.document_id: getattr(row, key) for row in store.documents(state)}
    else:
        raise FilterError(
            f"no column {key!r} to sort by; columns: "
            f"{', '.join(sorted({*columns, *_FILE_PROPERTIES}))}"
        )
    present = [one for one in ids if values.get(one) is not None]
    missing = [one for one in ids if values.get(one) is None]
    return sorted(present, key=values.__getitem__, reverse=sort.startswith("-")) + missing


def count_values(
    store: Store,
    keys: Sequence[str],
    *,
    where: str | Filter | None,
    modality: Collection[Modality],
    limit: int,
) -> tuple[Facet, ...]:
    """Count the values of columns over the documents that match a filter.

    Each facet holds the `limit` most frequent values. Raises `FilterError`.
    """
    snapshot = store.snapshot()
    keys = names_of(keys)
    for key in keys:
        if key not in snapshot.columns:
            raise FilterError(
                f"no column {key!r}; columns are: {', '.join(sorted(snapshot.columns))}"
            )
    condition = _sql(snapshot, where, modality)
    return tuple(
        Facet(key, tuple(snapshot.values(filter_column(key), condition)[:limit])) for key in keys
    )


def _sql(
    snapshot: Snapshot, where: str | Filter | None, modality: Collection[Modality]
) -> str | None:
    wanted = OneOf("modality", tuple(sorted(modality))) if modality else None
    joined = join_filters(where, wanted)
    return None if joined is None else to_sql(bind(joined, snapshot.columns), filter_column)
