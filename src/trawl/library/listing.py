"""What is in a library, without a question: its documents by pages, its metadata counted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from trawl.errors import FilterError, UsageError
from trawl.query import And, Filter, OneOf, bind, parse_filter, to_sql
from trawl.store import DocumentRow, Snapshot, Store, filter_column
from trawl.types import Facet, Modality


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """Some of the documents, by their address. `total` is how many there are in all."""

    documents: tuple[DocumentRow, ...]
    total: int


def list_documents(
    store: Store, *, failed: bool | None, where: str | None, offset: int, limit: int | None
) -> DocumentPage:
    """Give documents by address, failed ones too; a filter lets by only what is in.

    Raises `FilterError`, and `UsageError` for a page that cannot be.
    """
    if offset < 0 or (limit is not None and limit < 0):
        raise UsageError(f"offset {offset} and limit {limit}: neither is below 0")
    state = {None: None, True: "error IS NOT NULL", False: "error IS NULL"}[failed]
    ids = store.document_ids(state)
    condition = _sql(store.snapshot(), where, ())
    if condition is not None:
        among = store.snapshot().document_ids(condition)
        ids = [document_id for document_id in ids if document_id in among]
    end = None if limit is None else offset + limit
    shown = ids[offset:end]
    rows = store.documents(state) if shown == ids and condition is None else None
    return DocumentPage(tuple(rows or store.documents_of(shown)), len(ids))


def count_values(
    store: Store,
    keys: Sequence[str],
    *,
    where: str | Filter | None,
    modality: Collection[Modality],
    limit: int,
) -> tuple[Facet, ...]:
    """Count the values of columns among the documents that a filter lets by.

    Of each column the `limit` values of the most documents are given. Raises `FilterError`.
    """
    snapshot = store.snapshot()
    for key in keys:
        if key not in snapshot.columns:
            raise FilterError(
                f"no column {key!r} to count; there are: {', '.join(sorted(snapshot.columns))}"
            )
    condition = _sql(snapshot, where, modality)
    return tuple(
        Facet(key, tuple(snapshot.values(filter_column(key), condition)[:limit])) for key in keys
    )


def _sql(
    snapshot: Snapshot, where: str | Filter | None, modality: Collection[Modality]
) -> str | None:
    filters: list[Filter] = []
    if where is not None:
        filters.append(parse_filter(where) if isinstance(where, str) else where)
    if modality:
        filters.append(OneOf("modality", tuple(sorted(modality))))
    if not filters:
        return None
    return to_sql(bind(And(tuple(filters)), snapshot.columns), filter_column)
