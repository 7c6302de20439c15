"""Answers as tables and, in notebooks, as HTML; the explanation of a rank."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from trawl.errors import TrawlError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from trawl.types import Answer, Evidence, Hit, Link, StoredChunk

RERANK = "rerank"
"""The `source` of a reranker's evidence."""
CITATION = "citation"
"""The `source` of the evidence that a passage cites a figure that matches."""

_MARK = re.compile("(</?mark>)")
_METADATA = "metadata."


class Presented:
    """The base class of `Answer`: a sequence of hits, as a table and as HTML."""

    __slots__ = ()

    hits: tuple[Hit, ...]

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, index: int) -> Hit:
        return self.hits[index]

    def to_arrow(self) -> pa.Table:
        """Return the hits as an Arrow table, one row per hit, best first.

        The columns are those of `Hit`: `snippet` without marks, the fields of `span` by name,
        and `metadata.KEY` for each metadata key. A column of mixed types is JSON text.
        """
        return _table(self.hits)

    def to_pandas(self) -> Any:
        """Return the table as a `pandas.DataFrame`. Raises `UsageError` without pandas."""
        if find_spec("pandas") is None:
            raise UsageError(
                "to_pandas requires pandas; install it with: "
                "pip install 'trawl-multimodal[pandas]', or use to_arrow"
            )
        return self.to_arrow().to_pandas()

    def _repr_html_(self: Any) -> str:
        return _page(self)


def _table(hits: Sequence[Hit]) -> pa.Table:
    import pyarrow as pa

    rows = [_row(hit) for hit in hits]
    names = [*_FIXED, *sorted({name for row in rows for name in row if name.startswith(_METADATA)})]
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        if name in _FIXED:
            kind = getattr(pa, _FIXED[name].removesuffix("s"))()
            columns[name] = pa.array(values, pa.list_(kind) if _FIXED[name][-1] == "s" else kind)
            continue
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            texts = [None if value is None else json.dumps(value, default=str) for value in values]
            columns[name] = pa.array(texts, pa.string())
    return pa.table(columns)


_FIXED = {
    "rank": "int64",
    "score": "float64",
    "modality": "string",
    "title": "string",
    "snippet": "string",
    "uri": "string",
    "chunk_id": "string",
    "document_id": "string",
    "detail": "string",
    "label": "string",
    "section": "string",
    "cites": "strings",
    "cited_by": "strings",
    "page": "int64",
    "box": "float64s",
    "start_char": "int64",
    "end_char": "int64",
    "start_s": "float64",
    "end_s": "float64",
    "places": "strings",
    "gone": "bool_",
    "duplicate_of": "string",
    "duplicates": "strings",
    "library": "string",
}
"""The columns that every answer has, with their Arrow types; a plural is a list."""


def _row(hit: Hit) -> dict[str, Any]:
    row = {name: getattr(hit, name, None) for name in _FIXED}
    row |= {name: value for name, value in hit.span.as_dict().items() if name in _FIXED}
    row["snippet"] = html.unescape(_MARK.sub("", hit.snippet))
    row["uri"] = printable(hit.uri)
    for copies in ("places", "duplicates"):
        row[copies] = [printable(one.uri) for one in getattr(hit, copies)]
    for kind in ("cites", "cited_by"):
        row[kind] = list(dict.fromkeys(one.label for one in hit.links if one.kind == kind))
    return row | {_METADATA + key: value for key, value in hit.metadata.items()}


def printable(text: str) -> str:
    """Return text without surrogates, which stand for undecodable bytes in paths."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _page(answer: Answer) -> str:
    """Return the hits as an HTML table with thumbnails. Everything else is escaped."""
    rows = "".join(_html_row(hit, answer.thumbnail) for hit in answer.hits)
    notes = [*answer.notices]
    if answer.no_good_match:
        notes.insert(0, "no good match; these are the nearest results")
    if not answer.hits:
        notes.insert(0, "no results")
    above = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    return f"<div>{above}<table>{rows}</table></div>"


def _html_row(hit: Hit, thumbnail: Callable[[str], bytes] | None) -> str:
    picture = ""
    if hit.modality == "image" and thumbnail is not None:
        picture = _picture(hit.chunk_id, thumbnail)
    # A snippet is HTML with marks; everything else in it is escaped again, whoever made it.
    pieces = _MARK.split(hit.snippet)
    snippet = "".join(
        piece if _MARK.fullmatch(piece) else html.escape(html.unescape(piece)) for piece in pieces
    )
    cells = [
        str(hit.rank),
        picture or html.escape(hit.modality),
        f"<b>{html.escape(printable(hit.title))}</b><br>{snippet}"
        f"<br><small>{html.escape(printable(hit.uri))} {html.escape(hit.detail)} "
        f"{html.escape(place_text(hit))}"
        f"{' <b>the file is gone</b>' if hit.gone else ''}{_also(hit)}</small>",
        f"{hit.score:.2f}",
    ]
    return "<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in cells) + "</tr>"


def place_text(hit: Hit | StoredChunk) -> str:
    """Return the page and section of a chunk, its label and its links, as far as it has them."""
    span = hit.span
    parts = [f"page {span.page}" if span.page is not None else "", span.section or "", hit.label]
    return ", ".join(part for part in [*parts, links_text(hit.links)] if part)


def links_text(links: Sequence[Link]) -> str:
    """Return links in words: "cites Figure 2 and Table 1", "cited on pages 3 and 5"."""
    cites = list(dict.fromkeys(one.label for one in links if one.kind == "cites"))
    places = list(dict.fromkeys(one.label for one in links if one.kind == "cited_by"))
    pages = [place.removeprefix("page ") for place in places if place.startswith("page ")]
    others = [place for place in places if not place.startswith("page ")]
    texts = [f"cites {joined(cites)}"] if cites else []
    if pages:
        texts.append(f"cited on page{'s' if len(pages) > 1 else ''} {joined(pages)}")
    if others:
        texts.append(f"cited in {joined(others)}")
    return ", ".join(texts)


def joined(names: Sequence[str]) -> str:
    """Return at least one name in a list with "and" before the last."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _also(hit: Hit) -> str:
    return "".join(f"<br>also at {html.escape(printable(one.uri))}" for one in hit.places[:3])


def _picture(chunk_id: str, thumbnail: Callable[[str], bytes]) -> str:
    try:
        data = base64.b64encode(thumbnail(chunk_id)).decode()
    except (TrawlError, OSError, ValueError):
        return ""  # removed meanwhile, or the library is closed
    return f'<img src="data:image/jpeg;base64,{data}" style="max-height:96px">'


def explanation(score: float, evidence: Sequence[Evidence]) -> str:
    """Return the reasons for a hit's rank, in one sentence."""
    sources = [one for one in evidence if one.source not in (RERANK, CITATION)]
    reasons = [
        f"rank {one.rank} in {one.source} (similarity {one.similarity:.2f}, "
        f"{_chance(one.calibrated)}{_weight(one.weight)})"
        for one in sorted(sources, key=lambda one: -one.calibrated)
    ]
    reasons += [
        f"rank {one.rank} after reranking (probability {one.similarity:.2f})"
        for one in evidence
        if one.source == RERANK
    ]
    reasons += [
        f"cites a figure or table that matches (rank {one.rank}, score {one.similarity:.2f})"
        for one in evidence
        if one.source == CITATION
    ]
    return f"Score {score:.3f}: {'; '.join(reasons)}."


def _weight(weight: float) -> str:
    return "" if weight == 1 else f", weight {weight:g}"


def _chance(calibrated: float) -> str:
    if calibrated >= 2:
        return f"far above chance, {calibrated:+.1f}"
    if calibrated >= 0:
        return f"above chance, {calibrated:+.1f}"
    return f"no better than chance, {calibrated:+.1f}"
