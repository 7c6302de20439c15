"""What the tools say in words: short lines, every result with its id."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from typing import Any

from trawl.types import Answer, Facet, Hit, Status

_MARKS = re.compile(r"</?mark>")
_MOST_FAILURES = 10


def answer_text(answer: Answer) -> str:
    """Give a list of results."""
    if not answer.hits:
        return "\n".join(["Nothing was found.", *answer.notices])
    lines = []
    if answer.no_good_match:
        lines.append("Nothing is a good match; these are the nearest there are.")
    lines += [_hit(hit) for hit in answer.hits]
    lines += [_facet(facet) for facet in answer.facets]
    return "\n".join([*lines, *answer.notices])


def shown_text(document: Any, chunks: Iterable[Any]) -> str:
    """Give a document, or those of its chunks that were asked for, with their whole text."""
    lines = [
        f"{document.title} ({document.media_type}, {document.size_bytes:,} bytes)",
        f"document: {document.document_id}",
        f"file: {document.uri}",
    ]
    if document.metadata:
        lines.append(f"metadata: {_metadata(document.metadata)}")
    if document.error:
        lines.append(f"could not be read: {document.error}")
    for chunk in chunks:
        place = _place(chunk.detail, chunk.span.page)
        lines += ["", f"[{chunk.modality}] {chunk.chunk_id}{place}"]
        if chunk.text:
            lines.append(chunk.text)
    return "\n".join(lines)


def status_text(status: Status, columns: Mapping[str, str]) -> str:
    """Give a library in numbers."""
    chunks = ", ".join(f"{count:,} {modality}" for modality, count in status.chunks.items())
    lines = [
        f"{status.documents:,} documents: {chunks} to find",
        "can be filtered by: " + ", ".join(f"{key} ({kind})" for key, kind in columns.items()),
    ]
    if status.failed:
        lines.append(f"{len(status.failed):,} files could not be read:")
        lines += [f"- {one.uri}: {one.reason}" for one in status.failed[:_MOST_FAILURES]]
    return "\n".join(lines)


def _hit(hit: Hit) -> str:
    snippet = " ".join(html.unescape(_MARKS.sub("**", hit.snippet)).split())
    lines = [
        f"{hit.rank}. [{hit.modality}] {hit.title}  score {hit.score:.2f}",
        f"   id: {hit.chunk_id}  file: {hit.uri}{_place(hit.detail, hit.span.page)}",
    ]
    if snippet:
        lines.append(f"   {snippet}")
    if hit.metadata:
        lines.append(f"   {_metadata(hit.metadata)}")
    return "\n".join(lines)


def _facet(facet: Facet) -> str:
    return f"{facet.key}: " + ", ".join(f"{value} ({count})" for value, count in facet.counts)


def _place(detail: str, page: int | None) -> str:
    found = [detail] if detail else []
    if page is not None:
        found.append(f"page {page}")
    return f"  ({', '.join(found)})" if found else ""


def _metadata(metadata: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{key}: {', '.join(value) if isinstance(value, list) else value}"
        for key, value in metadata.items()
    )
