"""From the fused list to a page of hits: sorting, diversity, documents, modality shares."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trawl.errors import FilterError
from trawl.ranking import Fused, Fusion, balance, by_quota, deal_out
from trawl.search import citing
from trawl.search.copies import IsGone, fields_of_copies, living, without_copies
from trawl.search.duplicates import duplicates_of, without_duplicates
from trawl.search.options import SearchOptions
from trawl.search.rows import Rows
from trawl.search.snippets import snippet
from trawl.store import filter_column
from trawl.types import ColumnType, Duplicate, Facet, Hit, Modality, Moment, StoredChunk, Value

# The number of best hits that are sorted, diversified or limited per document.
_ARRANGED = 200

# Hits of one document by default, and the other parts of it that a hit lists.
_PER_DOCUMENT: Mapping[Modality, int] = {"text": 2, "image": 1, "audio": 1}
_MOMENTS = 5


@dataclass(frozen=True, slots=True)
class Page:
    """The hits of a page, the other parts of their documents by row, and the hits left out.

    `copies` are the same chunks of identical files, by row. `duplicates` nearly repeat a hit, by
    its chunk id. `short` is set if these take the places of further hits among the candidates.
    """

    items: list[Fused]
    moments: Mapping[int, Sequence[Fused]]
    more: int = 0
    copies: Mapping[int, Sequence[Fused]] = field(default_factory=dict)
    short: bool = False
    duplicates: Mapping[str, Sequence[StoredChunk]] = field(default_factory=dict)


def arrange(options: SearchOptions, snapshot: Rows, fused: Fusion) -> Page:
    """Return the hits of the requested page.

    Hits that are unlikely to match are left out, unless `options.all` is set or the page is
    shared among modalities.
    """
    end = options.offset + options.limit
    shared = bool(options.balance or options.quotas or options.interleave)
    depth = len(fused) if shared else max(_ARRANGED, end)
    if not shared and not _is_arranged(options):
        # Few documents have more than three parts in a list.
        depth = 3 * end
    listed = fused if shared or options.all or options.sort is None else fused.likely()
    columns = _columns(options, snapshot.columns)
    items, fields, copies = _distinct(listed, depth, snapshot, columns)
    items = citing.with_citing(items, fields, fused, snapshot, columns)
    if options.sort is not None:
        items = _sorted(items, fields, options.sort)
    elif options.diversity > 0:
        items = _diverse(items, snapshot, options.diversity, end)
    items, moments = _capped(items, fields, options.per_document)
    duplicates: Mapping[str, Sequence[StoredChunk]] = {}
    if options.skip_duplicates:
        enough = len(items) if shared else end
        items, duplicates = without_duplicates(items, snapshot, enough)
    short = bool(copies or duplicates) and len(items) < end
    modality_of: dict[int, Modality] = {row: values["modality"] for row, values in fields.items()}
    page = _page(options, items, modality_of)
    likely = page
    if not shared and not options.all:
        likely = [item for item in page if item.score >= fused.least_likely]
    more = len(page) - len(likely)
    if options.interleave:
        likely = deal_out(likely, modality_of)
    grouped = _grouped(likely, fields) if options.group else likely
    return Page(grouped, moments, more, copies, short, duplicates)


def _distinct(
    listed: Fusion, depth: int, snapshot: Rows, columns: Sequence[str]
) -> tuple[list[Fused], dict[int, dict[str, Any]], dict[int, list[Fused]]]:
    """Return about `depth` items without copies, their columns, and the copies by row."""
    read = depth
    while True:
        found = listed[:read]
        fields = fields_of_copies(snapshot, [item.row for item in found], columns)
        items, copies = without_copies(found, fields)
        if 3 * len(items) >= 2 * depth or read >= len(listed):
            return items, fields, copies
        read *= 4


def _page(
    options: SearchOptions, items: list[Fused], modality_of: Mapping[int, Modality]
) -> list[Fused]:
    """Return the page. With shares, each page is taken from what the earlier ones left."""
    if not (options.balance or options.quotas or options.interleave):
        return items[options.offset : options.offset + options.limit]
    skipped, page = 0, list[Fused]()
    while skipped < options.offset + options.limit:
        # An offset within a page: the first step covers what lies before it.
        size = (options.offset % options.limit if skipped == 0 else 0) or options.limit
        page = (
            by_quota(items, modality_of, size, options.quotas)
            if options.quotas
            else balance(items, modality_of, size)
        )
        taken = {item.row for item in page}
        items = [item for item in items if item.row not in taken]
        skipped += size
    return page


def _is_arranged(options: SearchOptions) -> bool:
    return (
        options.balance
        or bool(options.quotas)
        or options.interleave
        or options.group
        or options.skip_duplicates
        or options.sort is not None
        or options.diversity > 0
    )


def _columns(options: SearchOptions, known: Mapping[str, ColumnType]) -> list[str]:
    columns = [*citing.COLUMNS]
    if options.sort is not None:
        columns.append(known_column(options.sort.removeprefix("-"), known, "sort by"))
    return list(dict.fromkeys(columns))


def known_column(key: str, known: Mapping[str, ColumnType], purpose: str) -> str:
    """Return the column of a key. Raises `FilterError` if the library has none."""
    if key not in known:
        raise FilterError(f"no column {key!r} to {purpose}; columns: {', '.join(sorted(known))}")
    return filter_column(key)


def _capped(
    items: Sequence[Fused], fields: Mapping[int, Mapping[str, Any]], most: int | None
) -> tuple[list[Fused], dict[int, list[Fused]]]:
    """Return the best hits of each document, and the others by the row of its first hit.

    Without a limit, the passages of a document and its figures do not displace each other.
    """
    if most == 0:
        return list(items), {}
    seen: Counter[tuple[str, Modality | None]] = Counter()
    first: dict[str, int] = {}
    kept, moments = list[Fused](), dict[int, list[Fused]]()
    for item in items:
        document_id, modality = fields[item.row]["document_id"], fields[item.row]["modality"]
        counted = document_id, None if most else modality
        seen[counted] += 1
        if seen[counted] <= (most or _PER_DOCUMENT[modality]):
            kept.append(item)
            first.setdefault(document_id, item.row)
        else:
            moments.setdefault(first[document_id], []).append(item)
    return kept, {row: found[:_MOMENTS] for row, found in moments.items()}


def _grouped(items: Sequence[Fused], fields: Mapping[int, Mapping[str, Any]]) -> list[Fused]:
    """Return the hits grouped by document, documents in order of their best hit."""
    groups: dict[str, list[Fused]] = {}
    for item in items:
        groups.setdefault(fields[item.row]["document_id"], []).append(item)
    return [item for group in groups.values() for item in group]


def _sorted(
    items: Sequence[Fused], fields: Mapping[int, Mapping[str, Any]], sort: str
) -> list[Fused]:
    """Sort by a column, missing values last, ties by score."""
    column = filter_column(sort.removeprefix("-"))

    def key(item: Fused) -> Any:
        value = fields[item.row][column]
        return tuple(value) if isinstance(value, list) else value

    present = [item for item in items if fields[item.row][column] is not None]
    missing = [item for item in items if fields[item.row][column] is None]
    return sorted(present, key=key, reverse=sort.startswith("-")) + missing


def _diverse(items: Sequence[Fused], snapshot: Rows, diversity: float, limit: int) -> list[Fused]:
    """Reorder by maximal marginal relevance (Carbonell and Goldstein 1998).

    Each place goes to the item with the highest (1 - diversity) * score - diversity *
    (greatest cosine to an item above). Items without a common source have cosine 0.
    """
    alike = _cosines(items, snapshot)
    scores = np.array([item.score for item in items])
    nearest = np.zeros(len(items))
    left = np.ones(len(items), bool)
    chosen: list[Fused] = []
    for _ in range(min(limit, len(items))):
        value = (1 - diversity) * scores - diversity * nearest
        best = int(np.argmax(np.where(left, value, -np.inf)))
        left[best] = False
        chosen.append(items[best])
        nearest = np.maximum(nearest, alike[best])
    return chosen + [item for item, is_left in zip(items, left, strict=True) if is_left]


def _cosines(items: Sequence[Fused], snapshot: Rows) -> NDArray[np.float64]:
    """Return float64 [N, N]: the greatest cosine over common sources, or 0."""
    rows = [item.row for item in items]
    alike = np.zeros((len(rows), len(rows)))
    for source in snapshot.sources:
        vectors = snapshot.vectors(source, rows)
        places = [place for place, row in enumerate(rows) if row in vectors]
        if places:
            matrix = np.stack([vectors[rows[place]] for place in places])
            grid = np.ix_(places, places)
            alike[grid] = np.maximum(alike[grid], matrix @ matrix.T)
    return alike


def hits_of(
    text: str, options: SearchOptions, snapshot: Rows, page: Page, is_gone: IsGone
) -> tuple[Hit, ...]:
    """Load the chunks of a page and return its hits. `text` is the query's, for snippets."""
    moments = [moment for item in page.items for moment in page.moments.get(item.row, ())]
    rows = [item.row for item in (*page.items, *moments)]
    chunks = dict(zip(rows, snapshot.take(rows), strict=True))
    listed = [
        (item, *living(chunks[item.row], page.copies.get(item.row, ()), snapshot, is_gone))
        for item in page.items
    ]
    repeated = duplicates_of(chunk for _, chunk, _ in listed)
    return tuple(
        Hit(
            rank=rank,
            score=item.score,
            chunk_id=chunk.chunk_id,
            document_id=chunk.document_id,
            uri=chunk.uri,
            modality=chunk.modality,
            title=chunk.title,
            snippet=snippet(chunk.text, text, options.fuzzy),
            span=chunk.span,
            metadata=chunk.metadata,
            evidence=item.evidence,
            detail=chunk.detail,
            moments=tuple(
                _moment(one.score, chunks[one.row], text, options)
                for one in page.moments.get(item.row, ())
            ),
            label=chunk.label,
            links=chunk.links,
            places=snapshot.copies.others(chunk.document_id),
            gone=gone,
            duplicate_of=repeated.get(chunk.chunk_id),
            duplicates=tuple(
                Duplicate(one.chunk_id, one.uri)
                for one in page.duplicates.get(chunks[item.row].chunk_id, ())
            ),
        )
        for rank, (item, chunk, gone) in enumerate(listed, start=options.offset + 1)
    )


def _moment(score: float, chunk: StoredChunk, text: str, options: SearchOptions) -> Moment:
    words = snippet(chunk.text, text, options.fuzzy)
    return Moment(chunk.chunk_id, score, chunk.span, chunk.modality, words, chunk.label)


def count_facets(options: SearchOptions, snapshot: Rows, fused: Fusion) -> tuple[Facet, ...]:
    """Count the values of the requested columns over the matching documents.

    Copies of a file count once for each value.
    """
    if not options.facets:
        return ()
    columns = {key: known_column(key, snapshot.columns, "count") for key in options.facets}
    fields = snapshot.fields(
        [int(row) for row in fused.rows], list(dict.fromkeys(["document_id", *columns.values()]))
    )
    documents = {values["document_id"]: values for values in fields.values()}
    named = [(snapshot.copies.first(name), values) for name, values in documents.items()]
    return tuple(
        Facet(key, counted((name, values[column]) for name, values in named))
        for key, column in columns.items()
    )


def counted(values: Iterable[tuple[str, Any]]) -> tuple[tuple[Value, int], ...]:
    """Count the documents of each value, from pairs of a document and its value.

    Most frequent first; a list counts for each of its items.
    """
    pairs = set[tuple[str, Value]]()
    for name, value in values:
        found = value if isinstance(value, list) else [value]
        pairs |= {(name, one) for one in found if one is not None}
    counts = Counter(value for _, value in pairs)
    return tuple(sorted(counts.items(), key=lambda pair: (-pair[1], _text(pair[0]))))


def _text(value: Value) -> str:
    return value.isoformat() if isinstance(value, datetime.date) else str(value)
