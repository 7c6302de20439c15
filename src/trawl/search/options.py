"""The options of a search: one definition for Python, HTTP, the command line and the cache.

>>> search_options(modality="image", limit=3).cache_key()
'{"modality":["image"],"limit":3}'
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Self, TypedDict, TypeVar, Unpack

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from trawl.errors import UsageError
from trawl.ranking import Method
from trawl.types import MODALITIES, Modality

T = TypeVar("T")

MAX_RESULTS = 1_000
_SHOWN_CHARACTERS = 100

_Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Places = Annotated[int, Field(ge=0, le=MAX_RESULTS)]


def _ordered(modalities: tuple[Modality, ...]) -> tuple[Modality, ...]:
    return tuple(modality for modality in MODALITIES if modality in modalities)


def _sorted(values: dict[str, T]) -> dict[str, T]:
    return dict(sorted(values.items()))


class SearchOptions(BaseModel):
    """Everything about a search except its query. Each field's description is its help text.

    Raises `UsageError` if two options contradict each other, and pydantic's `ValidationError`
    if a value is out of range; `search_options` turns the latter into a `UsageError`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    modality: Annotated[tuple[Modality, ...], AfterValidator(_ordered)] = Field(
        default=(), description="Only results of these modalities; all if empty."
    )
    where: str | None = Field(
        default=None,
        description="Only results that match this filter.",
        examples=["year >= 2020 and source in ('arXiv', 'CERN')"],
    )
    map: str | None = Field(
        default=None,
        max_length=4000,
        description="Only results inside this region of the library's map: the map's version, a "
        "colon, and the x and y of each corner.",
        examples=["1f0c9d2a:0,0,900,0,900,900"],
    )
    limit: int = Field(default=10, ge=1, le=MAX_RESULTS, description="Maximum number of results.")
    offset: int = Field(
        default=0, ge=0, le=MAX_RESULTS - 1, description="Number of results to skip."
    )
    cursor: str | None = Field(
        default=None, description="Continue from a previous page's cursor.", examples=["v12-10"]
    )
    fusion: Method = Field(
        default="calibrated",
        description="Fusion method: calibrated, rrf (reciprocal rank) or weighted.",
    )
    weights: Annotated[dict[str, _Weight], AfterValidator(_sorted)] = Field(
        default={},
        description="Weight of each source; 0 disables a source.",
        examples=[{"bm25": 0.5}],
    )
    rrf_k: float = Field(
        default=60.0, ge=0, allow_inf_nan=False, description="Constant k of reciprocal rank fusion."
    )
    rerank: str | None = Field(
        default=None,
        description="Rerank the first 50 passages with a cross-encoder.",
        examples=["ms-marco-minilm-l6"],
    )
    task: str | None = Field(
        default=None,
        max_length=100,
        description="What the query is for, if a model has a prompt for each task.",
        examples=["question answering"],
    )
    required: tuple[str, ...] = Field(
        default=(), description="Words or phrases that every result must contain."
    )
    excluded: tuple[str, ...] = Field(
        default=(), description="Words or phrases that no result may contain."
    )
    phrases: tuple[str, ...] = Field(default=(), description="Phrases that raise the BM25 score.")
    fuzzy: tuple[tuple[str, int], ...] = Field(
        default=(),
        description="Words to match despite misspellings, each with its maximum edit distance.",
    )
    balance: bool = Field(
        default=False, description="Divide the results equally between the modalities."
    )
    quotas: Annotated[dict[Modality, _Places], AfterValidator(_sorted)] = Field(
        default={},
        description="Number of results reserved for each modality; the other modalities share "
        "the rest.",
        examples=[{"image": 3}],
    )
    interleave: bool = Field(default=False, description="Alternate the modalities in the list.")
    nearest: bool = Field(
        default=True, description="Return the nearest results even if none is a good match."
    )
    diversity: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Prefer results that differ from each other: 0 (off) to 1.",
    )
    per_document: int | None = Field(
        default=None,
        ge=0,
        le=MAX_RESULTS,
        description="Maximum number of results from one document; 0: no limit. By default its "
        "best two passages, its best picture and its best sound segment.",
    )
    skip_duplicates: bool = Field(
        default=False,
        description="Leave out results that nearly repeat a better one of another document; it "
        "names them. Without it, they are listed and marked.",
    )
    all: bool = Field(default=False, description="Also return results that are unlikely to match.")
    group: bool = Field(default=False, description="List the results of a document together.")
    sort: str | None = Field(
        default=None, description="Sort by a metadata key; -KEY sorts in descending order."
    )
    facets: tuple[str, ...] = Field(
        default=(), description="Metadata keys whose values are counted among the results."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.limit + self.offset > MAX_RESULTS:
            raise UsageError(
                f"limit {self.limit} and offset {self.offset}: together they must be at most "
                f"{MAX_RESULTS:,}"
            )
        if self.quotas and self.balance:
            raise UsageError("balance and quotas exclude each other; use one of them")
        if sum(self.quotas.values()) > self.limit:
            raise UsageError(
                f"quotas {', '.join(f'{m}={n}' for m, n in self.quotas.items())}: together they "
                f"must be at most the limit, {self.limit}"
            )
        return self

    def cache_key(self) -> str:
        """Return the options as canonical JSON: equal options, equal text in every process."""
        return self.model_dump_json(exclude_defaults=True)


class SearchKeywords(TypedDict, total=False):
    """The fields of `SearchOptions` as keyword arguments; None stands for the default."""

    modality: Modality | Collection[Modality] | None
    map: str | None
    limit: int | None
    offset: int | None
    cursor: str | None
    fusion: Method | None
    weights: Mapping[str, float] | None
    rrf_k: float | None
    rerank: str | None
    task: str | None
    required: Sequence[str] | None
    excluded: Sequence[str] | None
    phrases: Sequence[str] | None
    fuzzy: Sequence[tuple[str, int]] | None
    balance: bool | None
    quotas: Mapping[Modality, int] | None
    interleave: bool | None
    nearest: bool | None
    diversity: float | None
    per_document: int | None
    skip_duplicates: bool | None
    all: bool | None
    group: bool | None
    sort: str | None
    facets: Sequence[str] | None


def search_options(
    options: SearchOptions | None = None, **changes: Unpack[SearchKeywords]
) -> SearchOptions:
    """Return `options`, or the defaults, with `changes` applied. Raises `UsageError`."""
    given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    if options is not None:
        if not isinstance(options, SearchOptions):
            raise UsageError(f"options must be SearchOptions, not a {type(options).__name__}")
        if not given:
            return options
        given = {name: getattr(options, name) for name in options.model_fields_set} | given
    if isinstance(given.get("modality"), str):
        given["modality"] = {given["modality"]}
    try:
        return SearchOptions.model_validate(given)
    except ValidationError as error:
        raise UsageError(_message(error.errors(include_url=False)[0])) from error


def _message(error: ErrorDetails) -> str:
    path = [str(part) for part in error["loc"] if isinstance(part, str)]
    if path[-1] == "[key]":
        path = path[:-2]
    if error["type"] == "extra_forbidden":
        return (
            f"unknown search option {path[0]!r}; options are: "
            f"{', '.join(SearchOptions.model_fields)}"
        )
    limits = error.get("ctx", {})
    expected = {
        "greater_than_equal": "must be at least {ge:g}",
        "less_than_equal": "must be at most {le:g}",
        "literal_error": "must be {expected}",
        "finite_number": "must be a finite number",
    }
    message = expected.get(error["type"], error["msg"][:1].lower() + error["msg"][1:])
    value = repr(error["input"])[:_SHOWN_CHARACTERS]
    return f"{'.'.join(path)} {value}: {message.format(**limits)}"
