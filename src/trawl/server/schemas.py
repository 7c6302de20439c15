"""Define what requests carry: the options of a search, query parts, and documents as JSON.

The options are those of `SearchOptions`, with the tighter bounds of a public interface.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Path
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, model_validator

from trawl.errors import UsageError
from trawl.ranking import Method
from trawl.search import SearchOptions, normalised, search_options
from trawl.server.service import KnownPart, SearchQuery
from trawl.types import Modality

MOST_KEYS = 100
"""The largest number of metadata keys in one request."""
MOST_PARTS = 16
MOST_FILES = 100
MOST_LINES = 1000
MOST_METADATA = 100_000
"""The largest number of characters of the metadata of a form."""
_MOST_WEIGHT = 100.0
# Among several libraries, ids begin with the name of the library.
DOCUMENT_PATTERN = r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,63}~)*[0-9a-f]{24}$"
_CHUNK_PATTERN = DOCUMENT_PATTERN[:-1] + r":[0-9]{1,9}$"
# A name, and never a path.
_MODEL_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$"

LINE = (
    'One line of the query language: words, `+must`, `-must not`, `"a phrase"`, '
    "`year:>=2020`, `modality:image`, `like:CHUNK`; see `docs/queries.md`. "
    "Files cannot be named here: send media with `POST`."
)
WHERE = (
    "Only documents that match this filter: comparisons of metadata and of `modality`, `title`, "
    "`media_type` and the like, joined by `and`, `or`, `not`. `GET /v1/stats` lists the columns."
)
USE_CACHE = "Whether a cached response may be returned."

Text = Annotated[str, Field(min_length=1, max_length=4000)]
Column = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[str, Field(min_length=1, max_length=200)]
Base64File = Annotated[Base64Bytes, Field(min_length=1)]
ChunkName = Annotated[str, Field(pattern=_CHUNK_PATTERN)]
ChunkId = Annotated[
    str,
    Path(
        pattern=_CHUNK_PATTERN,
        description="The `id` of a result.",
        examples=["1f0c9d2a7be84c55a1d0e3f2:0"],
    ),
]


def option(name: str, **bounds: Any) -> Any:
    """Return the field of a search option: its default, description and examples."""
    field = SearchOptions.model_fields[name]
    return Field(field.default, description=field.description, examples=field.examples, **bounds)


MODALITY = SearchOptions.model_fields["modality"].description
EXAMPLE_WHERE = str((SearchOptions.model_fields["where"].examples or [""])[0])


class _Options(BaseModel):
    """The options that a line and a body of a search have in common."""

    where: Text | None = Field(None, description=WHERE, examples=[EXAMPLE_WHERE])
    map: Text | None = option("map")
    limit: int = option("limit", ge=1, le=1000)
    offset: int = option("offset", ge=0, le=999)
    cursor: Annotated[str, Field(max_length=2000)] | None = option("cursor")
    balance: bool = option("balance")
    interleave: bool = option("interleave")
    nearest: bool = option("nearest")
    all: bool = option("all")
    fusion: Method = option("fusion")
    sort: Column | None = option("sort")
    use_cache: bool = Field(True, description=USE_CACHE)

    def _given(self) -> dict[str, Any]:
        """Return the search options that were set, except those with other names here."""
        names = self.model_fields_set & SearchOptions.model_fields.keys()
        return {name: getattr(self, name) for name in names}


class _Line(BaseModel):
    q: Text | None = Field(
        None,
        description=f"{LINE} Without it, the documents that match `where` and `modality` are "
        "listed.",
        examples=["muon decay -cosmic year:>=2015"],
    )
    modality: list[Modality] | None = Field(None, description=MODALITY)


# Fields of the last base class come first in the documentation.
class LineQuery(_Options, _Line):
    """The parameters of a search by a line of the query language."""

    facet: list[Column] | None = Field(
        None, max_length=20, description=SearchOptions.model_fields["facets"].description
    )

    def query(self) -> SearchQuery:
        """Return the query. Raises `UsageError` for contradictory options."""
        options = search_options(**self._given(), facets=self.facet)
        if self.q is None and not (options.where or options.modality or options.map):
            raise UsageError("the query is empty; set q, or where, map or modality to list matches")
        return SearchQuery(line=self.q, options=options)


class PartBody(BaseModel):
    """One query part: exactly one of `text`, `image`, `audio`, `like` and `file`."""

    model_config = ConfigDict(extra="forbid")

    text: Text | None = Field(None, description="Text.", examples=["decay of the muon"])
    image: Base64File | None = Field(None, description="A picture file in base64.")
    audio: Base64File | None = Field(None, description="A sound file in base64.")
    like: ChunkName | None = Field(None, description="The `id` of a chunk.")
    file: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        None, description="The name of the form field that has a picture or a sound."
    )
    weight: Annotated[float, Field(ge=-_MOST_WEIGHT, le=_MOST_WEIGHT, allow_inf_nan=False)] = Field(
        1.0,
        description="Weight, not 0; a negative weight ranks similar results lower.",
        examples=[-0.5],
    )

    @model_validator(mode="after")
    def _is_one(self) -> PartBody:
        given = (self.text, self.image, self.audio, self.like, self.file)
        if sum(one is not None for one in given) != 1:
            raise ValueError("a part has exactly one of text, image, audio, like and file")
        if self.weight == 0:
            raise ValueError("a part of weight 0 has no effect; remove it")
        return self


class FuzzyBody(BaseModel):
    """A word to match despite misspellings."""

    model_config = ConfigDict(extra="forbid")

    word: Words
    letters: int = Field(1, ge=1, le=2, description="Maximum edit distance.")


class _Parts(BaseModel):
    text: Text | None = Field(None, description="Query text.")
    q: Text | None = Field(None, description=f"Instead of `text`: {LINE}")
    image: Base64File | None = Field(
        None, description="A picture file (PNG, JPEG, GIF, BMP, WebP, AVIF, TIFF) in base64."
    )
    audio: Base64File | None = Field(
        None,
        description="A sound file (WAV, FLAC, OGG, MP3) in base64; its first minute is used.",
    )
    like: ChunkName | None = Field(
        None, description="The `id` of a chunk: search for similar ones in other documents."
    )
    parts: list[PartBody] = Field(
        [], max_length=MOST_PARTS, description="Further query parts, each with its own weight."
    )
    modalities: list[Modality] = Field([], max_length=3, description=MODALITY)


class SearchBody(_Options, _Parts):
    """A search: text, pictures, sounds and chunks, in any number and weight."""

    model_config = ConfigDict(extra="forbid")

    required: list[Words] = option("required", max_length=20)
    excluded: list[Words] = option("excluded", max_length=20)
    phrases: list[Words] = option("phrases", max_length=20)
    fuzzy: list[FuzzyBody] = Field(
        [], max_length=20, description="Words to match despite misspellings."
    )
    quotas: dict[Modality, Annotated[int, Field(ge=0, le=1000)]] = option("quotas")
    diversity: float = option("diversity", ge=0, le=1)
    per_document: int | None = option("per_document", ge=0, le=1000)
    skip_duplicates: bool = option("skip_duplicates")
    group: bool = option("group")
    facets: list[Column] = option("facets", max_length=20)
    rrf_k: float = option("rrf_k", ge=0, le=1e6, allow_inf_nan=False)
    rerank: Annotated[str, Field(max_length=100, pattern=_MODEL_PATTERN)] | None = Field(
        None,
        description="Rerank the first 50 passages with this cross-encoder of the server; "
        "`trawl models list` lists them.",
        examples=["ms-marco-minilm-l6"],
    )
    task: str | None = option("task", max_length=100)
    weights: dict[
        Annotated[str, Field(max_length=100)],
        Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)],
    ] = option("weights", max_length=50)

    @property
    def name(self) -> str:
        """The first text of the query, for the response."""
        words = [self.text or self.q or ""] + [part.text or "" for part in self.parts]
        return next((word for word in words if word), "")

    def query(self) -> SearchQuery:
        """Return the query without its media. Raises `UsageError` for contradictory options."""
        if self.text is not None and self.q is not None:
            raise UsageError("text and q exclude each other; use one of them")
        if self.q is not None and (self.required or self.excluded or self.phrases or self.fuzzy):
            raise UsageError(
                'with q, write +word, -word, "a phrase" and word~ instead of required, excluded, '
                "phrases and fuzzy"
            )
        given = self._given() | {"fuzzy": [(one.word, one.letters) for one in self.fuzzy]}
        return SearchQuery(
            text=normalised(self.text) if self.text is not None else None,
            line=self.q,
            like=self.like,
            parts=tuple(self._known_parts()),
            options=search_options(**given, modality=self.modalities),
        )

    def _known_parts(self) -> Iterator[KnownPart]:
        for part in self.parts:
            if part.text is not None:
                yield "text", normalised(part.text), part.weight
            elif part.like is not None:
                yield "like", part.like, part.weight


class LineBody(BaseModel):
    """One document as JSON: exactly one of `text`, `image` and `audio`, and its metadata."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="A text.", examples=["A muon decays to an electron."]
    )
    image: Base64File | None = Field(None, description="A picture file in base64.")
    audio: Base64File | None = Field(None, description="A sound file in base64.")
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None, description="File name; `text.txt` and the like by default."
    )
    title: Annotated[str, Field(min_length=1, max_length=1000)] | None = Field(
        None, examples=["Muon decay"]
    )
    caption: Annotated[str, Field(min_length=1, max_length=10_000)] | None = Field(
        None, description="The caption of a picture or a sound."
    )
    metadata: dict[str, Any] = Field(
        {}, max_length=MOST_KEYS, examples=[{"year": 2019, "tags": ["a", "b"]}]
    )

    @model_validator(mode="after")
    def _is_one(self) -> LineBody:
        if sum(one is not None for one in (self.text, self.image, self.audio)) != 1:
            raise ValueError("a document has exactly one of text, image and audio")
        return self
