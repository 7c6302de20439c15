"""What the routes answer with."""

from __future__ import annotations

import datetime
import html
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, Field

from trawl.types import Answer, Facet, Hit, Modality, Value

_PATH = re.compile(r"(?<![\w./])/(?:[^\s/]+/)+([^\s/]+)")
_MARKS = re.compile(r"</?mark>")


class EvidenceOut(BaseModel):
    """Why a result stands where it does: one line for each source that found it."""

    source: str = Field(
        description="A space and a modality, or `bm25` for words.", examples=["mini.image"]
    )
    rank: int = Field(description="The place in the source's own list, from 1.", examples=[1])
    similarity: float = Field(
        description="The cosine, or the BM25 score of `bm25`.", examples=[0.41]
    )
    calibrated: float = Field(
        description="How far the similarity stands above chance, in standard deviations; "
        "comparable across sources.",
        examples=[3.2],
    )
    weight: float = Field(
        1.0, description="What the source's say was multiplied by.", examples=[1.0]
    )


class SpanOut(BaseModel):
    """Where a result stands in its document; what does not apply is null."""

    start_char: int | None = Field(None, description="First character of a passage.")
    end_char: int | None = Field(None, description="One after the last character.")
    page: int | None = Field(None, description="Page, from 1.")
    box: list[float] | None = Field(None, description="Left, top, right, bottom on the page.")
    start_s: float | None = Field(None, description="Start in a recording, in seconds.")
    end_s: float | None = Field(None, description="End in a recording, in seconds.")


class Result(BaseModel):
    """A passage, picture or moment of sound that was found."""

    rank: int = Field(description="The place in the whole list, from 1.", examples=[1])
    id: str = Field(description="The chunk.", examples=["1f0c9d2a7be84c55a1d0e3f2:0"])
    document_id: str = Field(
        description="The document that it is of.", examples=["1f0c9d2a7be84c55a1d0e3f2"]
    )
    modality: Modality = Field(examples=["image"])
    score: float = Field(
        description="From 0 to 1, the chance of a good match; descending.", examples=[0.93]
    )
    title: str = Field(examples=["Invariant mass of two muons"])
    source: str = Field(description="The name of the file.", examples=["dimuon.png"])
    text_preview: str | None = Field(
        description="The telling part of a passage, or the caption of a picture or a sound.",
        examples=["The peak at 91 GeV is the Z boson."],
    )
    snippet: str = Field(
        description="The same as HTML: escaped, with the words that matched in `<mark>`.",
        examples=["The peak at 91 GeV is the <mark>Z</mark> boson."],
    )
    thumbnail_url: str | None = Field(
        description="Where the picture is, for pictures.",
        examples=["/chunks/1f0c9d2a7be84c55a1d0e3f2:0/thumbnail"],
    )
    media_url: str | None = Field(
        description="Where the file is, for pictures and sounds; a sound's begins at its window.",
        examples=["/v1/chunks/1f0c9d2a7be84c55a1d0e3f2:0/media"],
    )
    detail: str = Field(
        description="The size of a picture, or the length of a sound.", examples=["640 × 480 px"]
    )
    span: SpanOut
    metadata: dict[str, Any] = Field(examples=[{"year": 2019, "topic": "physics"}])
    evidence: list[EvidenceOut]


EXAMPLE: dict[str, Any] = {
    "query": "muon decay",
    "results": [
        {
            "rank": 1,
            "id": "1f0c9d2a7be84c55a1d0e3f2:0",
            "document_id": "1f0c9d2a7be84c55a1d0e3f2",
            "modality": "image",
            "score": 0.93,
            "title": "Decay curve of the muon",
            "source": "muon_decay.png",
            "text_preview": "Decay times of stopped muons, with a fit of 2.2 µs.",
            "snippet": "<mark>Decay</mark> times of stopped <mark>muons</mark>, "
            "with a fit of 2.2 µs.",
            "thumbnail_url": "/chunks/1f0c9d2a7be84c55a1d0e3f2:0/thumbnail",
            "media_url": "/v1/chunks/1f0c9d2a7be84c55a1d0e3f2:0/media",
            "detail": "640 × 480 px",
            "span": {},
            "metadata": {"topic": "physics", "year": 2019},
            "evidence": [
                {
                    "source": "mini.image",
                    "rank": 1,
                    "similarity": 0.41,
                    "calibrated": 2.6,
                }
            ],
        }
    ],
    "total_hits": 1,
    "query_time_ms": 6.4,
    "no_good_match": False,
    "confidence": 0.91,
    "notices": [],
}
"""An answer for the documentation, its keys in the order in which they are told of."""

DETAILED_EXAMPLE: dict[str, Any] = {
    **EXAMPLE,
    "cursor": "v12-10",
    "version": 12,
    "facets": [{"key": "year", "counts": [{"value": 2019, "count": 1}]}],
    "took_ms": {"encode": 0.4, "sources": 4.0, "fuse": 0.6, "hydrate": 1.1, "total": 6.1},
}


class SearchResponse(BaseModel):
    """The results of one search, best first."""

    query: str = Field(description="The words that were asked for, or the name of the file.")
    results: list[Result]
    total_hits: int = Field(description="How many results there are in this answer.")
    query_time_ms: float = Field(
        description="Milliseconds from the library's being asked to its answer."
    )
    no_good_match: bool = Field(
        description="No source found anything surprising: these are merely the nearest there are."
    )
    confidence: float = Field(
        0.0, description="How probable it is, 0 to 1, that anything searched is an answer."
    )
    notices: list[str] = Field(description="What was not done as asked.")


class FacetCount(BaseModel):
    """A value of a column, and how many of the documents that were found have it."""

    value: Any
    count: int


class FacetOut(BaseModel):
    """The values of a column among what was found, the most frequent first."""

    key: str
    counts: list[FacetCount]


class DetailedResponse(SearchResponse):
    """The results of one search, best first, with what belongs to a longer list."""

    cursor: str | None = Field(
        description="Asks for the next page, of the library as it was; null after the last."
    )
    version: int = Field(description="The version of the library that answered.")
    facets: list[FacetOut] = Field(description="The columns that were asked for.")
    took_ms: dict[str, float] = Field(
        description="Milliseconds of each stage of the search that found this; `total` is all.",
        examples=[{"total": 6.1, "encode": 0.4, "sources": 4.0, "fuse": 0.6, "hydrate": 1.1}],
    )


def answer_fields(
    query: str, answer: Answer, query_time_ms: float, root_path: str = ""
) -> dict[str, Any]:
    """Give the fields of a `SearchResponse`, as JSON has them: file names in place of paths."""
    results = [_result(hit, root_path) for hit in answer.hits]
    return {
        "query": query,
        "results": results,
        "total_hits": len(results),
        "query_time_ms": round(query_time_ms, 3),
        "no_good_match": answer.no_good_match,
        "confidence": answer.confidence,
        "notices": list(answer.notices),
    }


def detail_fields(answer: Answer) -> dict[str, Any]:
    """Give what a `DetailedResponse` has beside that."""
    return {
        "took_ms": dict(answer.took_ms),
        "cursor": answer.cursor,
        "version": answer.version,
        "facets": [facet.model_dump() for facet in facets_out(answer.facets)],
    }


def facets_out(facets: Iterable[Facet], most: int | None = None) -> list[FacetOut]:
    """Give facets as JSON has them, with at most so many values each."""
    return [
        FacetOut(
            key=facet.key,
            counts=[
                FacetCount(value=plain_value(value), count=count)
                for value, count in facet.counts[:most]
            ],
        )
        for facet in facets
    ]


def _result(hit: Hit, root_path: str) -> dict[str, Any]:
    """Give the fields of a `Result`."""
    return {
        "rank": hit.rank,
        "id": hit.chunk_id,
        "document_id": hit.document_id,
        "modality": hit.modality,
        "score": hit.score,
        "title": hit.title,
        "source": file_name(hit.uri),
        "text_preview": plain_text(hit.snippet) or None,
        "snippet": hit.snippet,
        "thumbnail_url": thumbnail_url(hit.chunk_id, hit.modality, root_path),
        "media_url": _media_of(hit, root_path),
        "detail": hit.detail,
        "span": {name: getattr(hit.span, name) for name in hit.span.__slots__},
        "metadata": plain_metadata(hit.metadata),
        "evidence": [
            {
                "source": one.source,
                "rank": one.rank,
                "similarity": one.similarity,
                "calibrated": one.calibrated,
                "weight": one.weight,
            }
            for one in hit.evidence
        ],
    }


def _media_of(hit: Hit, root_path: str) -> str | None:
    """Give the address of a picture or a sound; a player begins at the window (media fragment)."""
    if hit.modality == "text":
        return None
    start_s, end_s = hit.span.start_s, hit.span.end_s
    window = f"#t={start_s:g},{end_s:g}" if start_s is not None and end_s is not None else ""
    return media_url(hit.chunk_id, root_path) + window


def file_name(uri: str) -> str:
    """Give the last part of an address: where a file lies is the server's own business."""
    return uri.rstrip("/").rpartition("/")[2]


def without_paths(reason: str) -> str:
    """Cut the paths in a message to their last parts."""
    return _PATH.sub(r"\1", reason)


def plain_text(snippet: str) -> str:
    """Take the marks and the HTML escapes out of a snippet."""
    return html.unescape(_MARKS.sub("", snippet))


def thumbnail_url(chunk_id: str, modality: Modality, root_path: str = "") -> str | None:
    """Give the address of a picture's thumbnail, None for what is no picture."""
    if modality != "image":
        return None
    return f"{root_path}/chunks/{quote(chunk_id, safe=':')}/thumbnail"


def media_url(chunk_id: str, root_path: str = "") -> str:
    """Give the address of the file that a chunk is of."""
    return f"{root_path}/v1/chunks/{quote(chunk_id, safe=':')}/media"


def plain_metadata(metadata: Mapping[str, Value]) -> dict[str, Any]:
    """Give metadata as JSON has it; dates as ISO 8601."""
    return {key: plain_value(value) for key, value in metadata.items()}


def plain_value(value: Value) -> Any:
    """Give a value as JSON has it; a date as ISO 8601."""
    return value.isoformat() if isinstance(value, datetime.date) else value
