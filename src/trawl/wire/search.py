"""Define the bodies of search responses and read them back."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from trawl.types import Answer, Duplicate, Evidence, Facet, Hit, Modality, Moment, Searched
from trawl.wire.spans import DOCUMENT_ID, LinkOut, PlaceOut, SpanOut
from trawl.wire.values import file_name, plain_text, segment_url, thumbnail_url, without_paths

_CHUNK_ID = f"{DOCUMENT_ID}:0"


class EvidenceOut(BaseModel):
    """The rank and score of a result in one source."""

    source: str = Field(
        description="A space and a modality, or `bm25` for full text.", examples=["mini.image"]
    )
    rank: int = Field(description="Rank within the source, from 1.", examples=[1])
    similarity: float = Field(
        description="Cosine similarity, or the BM25 score of `bm25`.", examples=[0.41]
    )
    calibrated: float = Field(
        description="How far the similarity is above chance, in standard deviations; "
        "comparable across sources.",
        examples=[3.2],
    )
    weight: float = Field(1.0, description="Weight of the source.", examples=[1.0])


class MomentOut(BaseModel):
    """Another matching part of a result's document."""

    id: str = Field(description="The chunk's id.", examples=[f"{DOCUMENT_ID}:3"])
    score: float = Field(examples=[0.41])
    span: SpanOut
    modality: Modality = "text"
    snippet: str = Field("", description="As that of a result: escaped HTML.")
    label: str = Field("", description="As that of a result.", examples=["Figure 2"])

    def moment(self) -> Moment:
        """Return the moment."""
        return Moment(
            self.id, self.score, self.span.span(), self.modality, self.snippet, self.label
        )


class DuplicateOut(BaseModel):
    """A part of another document that nearly repeats a result."""

    id: str = Field(description="The chunk's id.", examples=[f"{DOCUMENT_ID}:3"])
    source: str = Field(description="File name.", examples=["copy.png"])


class Result(BaseModel):
    """A passage, picture or sound segment that matches the query."""

    rank: int = Field(description="Rank in the whole list, from 1.", examples=[1])
    id: str = Field(description="The chunk's id.", examples=[_CHUNK_ID])
    document_id: str = Field(description="The id of its document.", examples=[DOCUMENT_ID])
    modality: Modality = Field(examples=["image"])
    score: float = Field(
        description="From 0 to 1, the probability of a good match; descending.", examples=[0.93]
    )
    title: str = Field(examples=["Invariant mass of two muons"])
    source: str = Field(description="File name.", examples=["dimuon.png"])
    text_preview: str | None = Field(
        description="The best matching part of a passage, or the caption of a picture or sound.",
        examples=["The peak at 91 GeV is the Z boson."],
    )
    snippet: str = Field(
        description="The same as escaped HTML, with matching words in `<mark>`.",
        examples=["The peak at 91 GeV is the <mark>Z</mark> boson."],
    )
    thumbnail_url: str | None = Field(
        description="Address of the thumbnail, for pictures.",
        examples=[f"/chunks/{_CHUNK_ID}/thumbnail"],
    )
    media_url: str | None = Field(
        description="Address of the file, for pictures and sounds; a sound's address carries "
        "the time range of its segment.",
        examples=[f"/v1/chunks/{_CHUNK_ID}/media"],
    )
    detail: str = Field(
        description="The size of a picture, or the length of a sound.", examples=["640 × 480 px"]
    )
    span: SpanOut
    metadata: dict[str, Any] = Field(examples=[{"year": 2019, "topic": "physics"}])
    evidence: list[EvidenceOut]
    moments: list[MomentOut] = Field(
        [],
        description="The next best parts of the same document, at most five, "
        "if results are limited per document.",
    )
    label: str = Field(
        "",
        description="The number that the document gives a figure or table.",
        examples=["Figure 2"],
    )
    links: list[LinkOut] = Field(
        [],
        description="The figures and tables that a passage cites, or the passages that cite a "
        "figure or table.",
    )
    duplicate_of: str | None = Field(
        None, description="The `id` of an earlier result that this one nearly repeats."
    )
    duplicates: list[DuplicateOut] = Field(
        [],
        description="Parts of other documents that nearly repeat this one and are left out, with "
        "`skip_duplicates`.",
    )

    library: str = Field(
        "", description="Name of the library, if several are searched; it is in the ids, too."
    )
    places: list[PlaceOut] = Field(
        [], description="The other documents with the same content, which are not listed."
    )
    gone: bool = Field(False, description="Whether the file is missing on the server by now.")

    def hit(self) -> Hit:
        """Return the hit; its `uri` is the file name."""
        return Hit(
            rank=self.rank,
            score=self.score,
            chunk_id=self.id,
            document_id=self.document_id,
            uri=self.source,
            modality=self.modality,
            title=self.title,
            snippet=self.snippet,
            span=self.span.span(),
            metadata=self.metadata,
            evidence=tuple(Evidence(**one.model_dump()) for one in self.evidence),
            detail=self.detail,
            moments=tuple(one.moment() for one in self.moments),
            places=tuple(one.place() for one in self.places),
            gone=self.gone,
            label=self.label,
            links=tuple(one.link() for one in self.links),
            duplicate_of=self.duplicate_of,
            duplicates=tuple(Duplicate(one.id, one.source) for one in self.duplicates),
            library=self.library,
        )


class SearchedOut(BaseModel):
    """One of several libraries of a search."""

    name: str = Field(examples=["papers"])
    took_ms: float = Field(description="Time until it answered or was given up.")
    error: str | None = Field(None, description="Why it did not take part; null if it did.")

    def searched(self) -> Searched:
        """Return the library."""
        return Searched(self.name, self.took_ms, self.error)


class SearchResponse(BaseModel):
    """The results of one search, best first."""

    query: str = Field(description="The query text, or the name of the query file.")
    results: list[Result]
    total_hits: int = Field(description="Number of results in this response.")
    query_time_ms: float = Field(description="Time the server took to find them, in milliseconds.")
    no_good_match: bool = Field(
        description="No source found a match better than chance: the results are only the nearest."
    )
    confidence: float = Field(
        0.0, description="Probability, 0 to 1, that anything in the library answers the query."
    )
    notices: list[str] = Field(description="Options that could not be applied.")
    more: int = Field(
        0,
        description="Number of further results of this page that are left out because they are "
        "unlikely to match; `all` returns them.",
    )
    libraries: list[SearchedOut] = Field(
        [], description="The libraries that were to be searched, if there are several."
    )


class FacetCount(BaseModel):
    """A value of a metadata column and the number of matching documents that have it."""

    value: Any
    count: int


class FacetOut(BaseModel):
    """The values of a metadata column among the matching documents, most frequent first."""

    key: str
    counts: list[FacetCount]

    @classmethod
    def from_facet(cls, facet: Facet, limit: int | None = None) -> FacetOut:
        """Return a facet with at most `limit` values."""
        counts = [FacetCount(value=value, count=count) for value, count in facet.counts[:limit]]
        return cls(key=facet.key, counts=counts)

    def facet(self) -> Facet:
        """Return the facet."""
        return Facet(self.key, tuple((one.value, one.count) for one in self.counts))


class Facets(BaseModel):
    """Counts of metadata values."""

    facets: list[FacetOut]


class DetailedResponse(SearchResponse):
    """The results of one search, best first, with paging, facets and timings."""

    cursor: str | None = Field(
        description="Cursor of the next page, in the library as it was; null after the last."
    )
    version: int = Field(description="Version of the library that was searched.")
    total: int | None = Field(
        None, description="Number of documents that match, if the request only filters."
    )
    facets: list[FacetOut] = Field(description="Counts of the requested columns.")
    took_ms: dict[str, float] = Field(
        description="Duration of each search stage in milliseconds; `total` is the sum.",
        examples=[{"total": 6.1, "encode": 0.4, "sources": 4.0, "fuse": 0.6, "hydrate": 1.1}],
    )

    def answer(self) -> Answer:
        """Return the answer."""
        return Answer(
            hits=tuple(result.hit() for result in self.results),
            took_ms=self.took_ms,
            no_good_match=self.no_good_match,
            confidence=self.confidence,
            notices=tuple(self.notices),
            facets=tuple(facet.facet() for facet in self.facets),
            version=self.version,
            cursor=self.cursor,
            more=self.more,
            total=self.total,
            libraries=tuple(one.searched() for one in self.libraries),
        )


def answer_fields(answer: Answer, root_path: str = "", *, detailed: bool = False) -> dict[str, Any]:
    """Return the fields of a `SearchResponse`, or of a `DetailedResponse`, without its query.

    The fields are written without going through the models, which would double the time;
    tests validate them against the models.
    """
    fields: dict[str, Any] = {
        "results": [_result_fields(hit, root_path) for hit in answer.hits],
        "total_hits": len(answer.hits),
        "no_good_match": answer.no_good_match,
        "confidence": answer.confidence,
        "notices": answer.notices,
        "more": answer.more,
        "libraries": [
            {
                "name": one.name,
                "took_ms": one.took_ms,
                "error": without_paths(one.error) if one.error is not None else None,
            }
            for one in answer.libraries
        ],
    }
    if detailed:
        fields |= {
            "took_ms": dict(answer.took_ms),
            "cursor": answer.cursor,
            "version": answer.version,
            "total": answer.total,
            "facets": [FacetOut.from_facet(facet).model_dump() for facet in answer.facets],
        }
    return fields


def _result_fields(hit: Hit, root_path: str) -> dict[str, Any]:
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
        "media_url": segment_url(hit.chunk_id, hit.modality, hit.span, root_path),
        "detail": hit.detail,
        "span": hit.span,
        "library": hit.library,
        "metadata": hit.metadata,
        "evidence": hit.evidence,
        "places": [
            {"document_id": one.document_id, "source": file_name(one.uri)} for one in hit.places
        ],
        "gone": hit.gone,
        "moments": [
            {
                "id": one.chunk_id,
                "score": one.score,
                "span": one.span,
                "modality": one.modality,
                "snippet": one.snippet,
                "label": one.label,
            }
            for one in hit.moments
        ],
        "label": hit.label,
        "duplicate_of": hit.duplicate_of,
        "duplicates": [
            {"id": one.chunk_id, "source": file_name(one.uri)} for one in hit.duplicates
        ],
        "links": [{"kind": one.kind, "id": one.chunk_id, "label": one.label} for one in hit.links],
    }
