"""Print results and documents for people."""

from __future__ import annotations

import datetime
import html
import os
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from trawl.cli.output import clean
from trawl.display import joined, links_text

if TYPE_CHECKING:
    from trawl.library.interface import DocumentInfo, DocumentView
    from trawl.types import Answer, Facet, Hit, Moment, Place, StoredChunk

INDENT = "    "
_MARKED = re.compile(r"<mark>(.*?)</mark>", re.DOTALL)
_SNIPPET_LINES = 3
_VALUE_CELLS = 30
_LISTED_PLACES = 3


def print_answer(out: Console, answer: Answer, *, explain: bool = False) -> None:
    """Print each hit with rank, modality, title, score, snippet and path, then the facets."""
    ranks = {hit.chunk_id: hit.rank for hit in answer.hits}
    for hit in answer.hits:
        same_as = ranks.get(hit.duplicate_of) if hit.duplicate_of is not None else None
        _print_hit(out, hit, same_as, explain=explain, scored=answer.total is None)
    _print_facets(out, answer.facets)


def _print_facets(out: Console, facets: Iterable[Facet]) -> None:
    for facet in facets:
        shown = ", ".join(f"{clean(str(value))} ({count:,})" for value, count in facet.counts)
        for row in _wrapped(Text(f"{clean(facet.key)}: {shown or 'none'}"), out.width, None):
            out.print(row)


def print_list(
    out: Console, documents: Iterable[DocumentInfo], sort: str | None, facets: Iterable[Facet]
) -> None:
    """Print the title and path of each document, and its value of the key that they are sorted by.

    The facets follow.
    """
    key = (sort or "").removeprefix("-")
    for document in documents:
        value = document.metadata.get(key)
        if key in ("media_type", "size_bytes", "added_at"):
            value = getattr(document, key)
        shown = "" if value is None else _list_value(value)
        title = clean(" ".join(document.title.split())) or os.path.basename(clean(document.uri))
        line = Text(_fit(title, out.width - cell_len(shown) - 2), style="bold")
        out.print(line + Text(f"  {shown}", style="green") if shown else line)
        out.print(Text(INDENT + clean(short_path(document.uri)), style="dim"))
    facets = list(facets)
    if facets:
        out.print()
        _print_facets(out, facets)


def _list_value(value: object) -> str:
    """Return a value in at most a third of a line."""
    match value:
        case list():
            text = ", ".join(value)
        case datetime.datetime():
            text = f"{value:%Y-%m-%d %H:%M}"
        case _:
            text = str(value)
    return _fit(clean(text), _VALUE_CELLS) if cell_len(text) > _VALUE_CELLS else clean(text)


def _print_hit(out: Console, hit: Hit, same_as: int | None, *, explain: bool, scored: bool) -> None:
    lead = f"{hit.rank:>2}  {hit.modality:<5}  "
    score = f"{hit.score:.3f}" if scored else ""
    room = out.width - len(lead) - len(score) - 2
    title = clean(" ".join(hit.title.split())) or os.path.basename(clean(hit.uri))
    line = Text(lead, style="cyan")
    line.append(_fit(title, room), style="bold")
    line.append("  " + score, style="green")
    out.print(line)
    body = snippet_text(hit.snippet)
    named = [] if _begins_with_label(body.plain, hit.label) else [clean(hit.label)]
    lead_in = ", ".join(part for part in [*named, clean(hit.detail)] if part)
    if lead_in:
        body = Text.assemble((lead_in, "dim"), "  " if body.plain else "", body)
    for row in _wrapped(body, out.width - len(INDENT), _SNIPPET_LINES):
        out.print(Text(INDENT) + row)
    if hit.moments:
        places = ", ".join(_places(hit.moments))
        for row in _wrapped(Text(f"also {places}", style="dim"), out.width - len(INDENT), 2):
            out.print(Text(INDENT) + row)
    if hit.links:
        links = Text(clean(links_text(hit.links)), style="dim")
        for row in _wrapped(links, out.width - len(INDENT), 2):
            out.print(Text(INDENT) + row)
    if same_as is not None:
        out.print(Text(f"{INDENT}nearly the same as {same_as}", style="dim"))
    if hit.duplicates:
        names = ", ".join(clean(short_path(one.uri)) for one in hit.duplicates)
        same = Text(f"nearly the same: {names}", style="dim")
        for row in _wrapped(same, out.width - len(INDENT), None):
            out.print(Text(INDENT) + row)
    # Never cut a path: people copy it.
    place = _page(hit.span.page) + _section(hit.span.section)
    library = f"{hit.library}: " if hit.library else ""
    shown = Text(INDENT + library + clean(short_path(hit.uri)) + place, style="dim")
    out.print(shown + _gone(hit.gone))
    for copy in _same_content(hit.places):
        out.print(Text(INDENT + copy, style="dim"))
    if explain:
        for row in _wrapped(Text(hit.explanation, style="dim"), out.width - len(INDENT), None):
            out.print(Text(INDENT) + row)
    out.print()


def _gone(gone: bool) -> Text:
    return Text("  the file is gone" if gone else "", style="red")


def _same_content(places: Sequence[Place]) -> list[str]:
    """Return a line for each of the first places with the same content, and how many more."""
    lines = [f"also at {clean(short_path(place.uri))}" for place in places[:_LISTED_PLACES]]
    more = len(places) - _LISTED_PLACES
    return [*lines, f"and at {more:,} more place{'' if more == 1 else 's'}"] if more > 0 else lines


def _begins_with_label(text: str, label: str) -> bool:
    """Return whether a caption begins with its label, perhaps abbreviated: "Fig. 2. Decay"."""
    number = label.rpartition(" ")[2].lower()
    start = text.lstrip("… ")[: len(label) + 3].lower()
    return bool(label) and start[:3] == label[:3].lower() and number in start


def _places(moments: Sequence[Moment]) -> list[str]:
    """Return where moments are, the pages together and each place once."""
    pages = sorted({one.span.page for one in moments if one.span.page is not None})
    others = [_place(one) for one in moments if one.span.page is None]
    named = joined([str(page) for page in pages]) if pages else ""
    together = [f"on page{'s' if len(pages) > 1 else ''} {named}"] if pages else []
    return [*together, *dict.fromkeys(others)]


def _place(moment: Moment) -> str:
    """Return where in its document a moment is: "at 1:05", "on page 3" or its chunk."""
    span = moment.span
    if span.start_s is not None:
        minutes, seconds = divmod(int(span.start_s), 60)
        return f"at {minutes}:{seconds:02d}"
    if span.start_char is not None:
        return f"at character {span.start_char:,}"
    return f"in {moment.chunk_id}"


def snippet_text(snippet: str) -> Text:
    """Convert a snippet from escaped HTML to text with its `<mark>` parts in bold."""
    text = Text()
    for i, piece in enumerate(_MARKED.split(snippet)):
        plain = clean(" ".join(html.unescape(piece).replace("\n", " ").split(" ")))
        text.append(plain, style="bold yellow" if i % 2 else "")
    return text


def short_path(uri: str) -> str:
    """Return a path relative to the working directory if it is below it."""
    try:
        here = os.path.join(os.getcwd(), "")
    except FileNotFoundError:
        return uri
    return uri.removeprefix(here)


def print_contents(out: Console, contents: DocumentView, chunk_id: str | None) -> None:
    """Print a document with the beginning of each chunk, or with one chunk in full."""
    document = contents.document
    rows: dict[str, str | Text] = {
        "title": clean(document.title),
        "path": clean(document.uri),
        "id": document.document_id,
        "type": f"{document.media_type}, {_bytes(document.size_bytes)}",
        "added": f"{document.added_at:%Y-%m-%d %H:%M:%S} UTC",
    }
    if contents.gone:
        rows["file"] = Text("gone", style="red")
    if contents.places:
        rows["same content"] = ", ".join(clean(place.uri) for place in contents.places)
    if document.error:
        rows["error"] = Text(clean(document.error), style="red")
    if document.notices:
        rows["notices"] = Text(clean("; ".join(document.notices)), style="yellow")
    for key, value in document.metadata.items():
        rows[clean(key)] = clean(", ".join(value) if isinstance(value, list) else str(value))
    print_pairs(out, rows)
    for chunk in contents.chunks:
        if chunk_id is None or chunk.chunk_id == chunk_id:
            out.print()
            _print_chunk(out, chunk, whole=chunk_id is not None)
    if chunk_id is not None:
        _print_links(out, contents.chunks, chunk_id)


def print_edited(out: Console, document: DocumentInfo, changes: Mapping[str, Any]) -> None:
    """Print a document's path, and the new value of each key in `changes`."""
    rows: dict[str, str | Text] = {}
    for key, change in changes.items():
        value = document.title if key == "title" else document.metadata.get(key)
        if key == "caption":
            value = change or "that of the file"
        shown = ", ".join(value) if isinstance(value, list) else str(value)
        rows[clean(key)] = Text("none", style="dim") if value is None else clean(shown)
    out.print(Text(clean(short_path(document.uri)), style="bold"))
    print_pairs(out, rows)


def _print_chunk(out: Console, chunk: StoredChunk, *, whole: bool) -> None:
    head = Text(chunk.chunk_id, style="cyan")
    span = chunk.span
    place = clean(chunk.detail)
    if span.start_char is not None:
        place = f"characters {span.start_char:,}–{span.end_char:,}"
    head.append(f"  {chunk.modality}" + (f"  {place}" if place else "") + _page(span.page))
    head.append(_section(span.section) + (f"  {clean(chunk.label)}" if chunk.label else ""))
    out.print(head)
    texts = [Text(clean(" ".join(chunk.text.split())))]
    if chunk.words:
        texts.append(Text(f"text in the picture: {clean(' '.join(chunk.words.split()))}"))
    if chunk.links and not whole:
        texts.append(Text(clean(links_text(chunk.links)), style="dim"))
    for text in texts:
        for row in _wrapped(text, out.width - len(INDENT), None if whole else _SNIPPET_LINES):
            out.print(Text(INDENT) + row)


def _print_links(out: Console, chunks: Sequence[StoredChunk], chunk_id: str) -> None:
    """Print what a chunk cites, or is cited by, each with the beginning of its text."""
    from trawl.search.snippets import snippet

    found = {chunk.chunk_id: chunk for chunk in chunks}
    for link in found[chunk_id].links if chunk_id in found else ():
        out.print()
        out.print(Text(f"{clean(links_text([link]))}  {link.chunk_id}", style="cyan"))
        if link.chunk_id in found:
            text = snippet_text(snippet(found[link.chunk_id].text, found[chunk_id].label))
            for row in _wrapped(text, out.width - len(INDENT), _SNIPPET_LINES):
                out.print(Text(INDENT) + row)


def _section(section: str | None) -> str:
    return f"  {clean(section)}" if section else ""


def print_pairs(out: Console, rows: Mapping[str, str | Text]) -> None:
    """Print names and values in two columns. Wraps values between words only."""
    lead = max(cell_len(name) for name in rows) + 2
    for name, value in rows.items():
        style = value.style if isinstance(value, Text) else ""
        plain = value.plain if isinstance(value, Text) else value
        lines = textwrap.wrap(
            plain, max(20, out.width - lead), break_long_words=False, break_on_hyphens=False
        )
        for i, line in enumerate(lines or [""]):
            head = Text(set_cell_size("" if i else name, lead), style="dim")
            out.print((head + Text(line, style=style)) if line else name)


def _wrapped(text: Text, width: int, most: int | None) -> list[Text]:
    """Wrap to lines of at most `width` cells; cut after `most` lines with an ellipsis."""
    if not text.plain.strip():
        return []
    lines = list(text.wrap(Console(width=width), width, overflow="fold"))
    for line in lines:
        line.rstrip()
    if most is not None and len(lines) > most:
        lines = lines[:most]
        if cell_len(lines[-1].plain) > width - 2:
            lines[-1].truncate(width - 2)
        lines[-1].append(" …")
    return lines


def _fit(text: str, room: int) -> str:
    """Pad or cut a text to exactly `room` cells."""
    if cell_len(text) <= room:
        return set_cell_size(text, room)
    return set_cell_size(text, room - 1) + "…"


def _page(page: int | None) -> str:
    return f"  page {page}" if page is not None else ""


def _bytes(size: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"
