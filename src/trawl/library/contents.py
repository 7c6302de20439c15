"""The contents of a library without a search: documents, metadata values."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

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
        recall=snapshot.recall,
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
    condition = _sql(store.snapshot(), where, ())
    listing = store.listed(
        state,
        (condition, sort),
        lambda table: _arranged(store, table, condition, sort),
    )
    return DocumentPage(listing.page(offset, limit), len(listing))


def _arranged(store: Store, table: pa.Table, condition: str | None, sort: str | None) -> pa.Table:
    """Return the documents of a list, in its order."""
    if condition is not None:
        matching = store.snapshot().document_ids(condition)
        table = table.filter(pc.is_in(table["document_id"], matching))
    return table if sort is None else _sorted(store, table, sort)


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


def _sorted(store: Store, listed: pa.Table, sort: str) -> pa.Table:
    """Sort documents, which are sorted by address, by a column or a property of their files."""
    key = sort.removeprefix("-")
    columns = store.snapshot().columns
    if key in columns:
        table = store.snapshot().by_document(filter_column(key))
    elif key in _FILE_PROPERTIES:
        table = store.document_values(key)
    else:
        raise FilterError(
            f"no column {key!r} to sort by; columns: "
            f"{', '.join(sorted({*columns, *_FILE_PROPERTIES}))}"
        )
    places = pc.index_in(listed["document_id"], table["document_id"])
    values = table["value"].take(places).combine_chunks()
    has_value = pc.is_valid(values)
    present, values = listed.filter(has_value), values.filter(has_value)
    descending = sort.startswith("-")
    if pa.types.is_list(values.type):
        lists = values.to_pylist()
        order = sorted(range(len(lists)), key=lists.__getitem__, reverse=descending)
        places = pa.array(order, pa.int64())
    else:
        places = pc.sort_indices(
            pa.table({"value": values, "place": pa.array(range(len(values)), pa.int64())}),
            sort_keys=[
                ("value", "descending" if descending else "ascending"),
                ("place", "ascending"),
            ],
        )
    return pa.concat_tables([present.take(places), listed.filter(pc.invert(has_value))])


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
