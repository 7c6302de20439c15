"""What can be asked, checked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from trawl.errors import QueryError, UsageError
from trawl.query import Filter
from trawl.ranking import Method
from trawl.types import MODALITIES, Media, Modality

MAX_QUERY_CHARACTERS = 4_000
MAX_RESULTS = 1_000


@dataclass(frozen=True, slots=True)
class Like:
    """A chunk of the library in the place of a query: what is like it?"""

    chunk_id: str


QueryMedia: TypeAlias = "Media | Like"


@dataclass(frozen=True, slots=True)
class QueryPart:
    """One part of a query: words, a picture, a sound or a chunk, and how much it counts.

    A negative weight leads away from what the part means. The modality of a `Like` is
    that of its chunk.
    """

    modality: Modality
    media: QueryMedia
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One search. Raises `UsageError` or `QueryError` for what cannot be meant.

    `modalities` is what may come back; empty means all. `limit` hits are given after
    `offset` better ones; together they stay within 1,000.

    Words: chunks without every one of `required` are left out, chunks with one of
    `excluded` too (each a word or a phrase); `phrases` and `fuzzy` words (with how many
    letters may differ) add to the BM25 score.

    The list: `balance` gives modalities equal shares; `diversity` 0..1 trades score for
    difference from the hits above (0: off); `per_document` is how many hits one document
    may have; `group` puts the hits of a document together; `sort` is a column to order
    the found by, "-" before it for descending; `facets` are the columns whose values are
    counted among the found.
    """

    parts: Sequence[QueryPart]
    modalities: frozenset[Modality] = frozenset()
    where: Filter | None = None
    limit: int = 10
    offset: int = 0
    fusion: Method = "calibrated"
    weights: Mapping[str, float] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    fuzzy: tuple[tuple[str, int], ...] = ()
    balance: bool = False
    diversity: float = 0.0
    per_document: int | None = None
    group: bool = False
    sort: str | None = None
    facets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.parts:
            raise QueryError("there is no query; give words, a picture or a sound")
        if all(part.weight <= 0 for part in self.parts):
            raise QueryError("every part of the query has a negative weight; give one that has not")
        for part in self.parts:
            if isinstance(part.media, str):
                _check_text(part.media)
        unknown = self.modalities - set(MODALITIES)
        if unknown:
            raise UsageError(
                f"no modality {', '.join(sorted(map(repr, unknown)))}; "
                f"there are: {', '.join(MODALITIES)}"
            )
        self._check_list()

    def _check_list(self) -> None:
        if self.limit < 1 or self.offset < 0 or self.limit + self.offset > MAX_RESULTS:
            raise UsageError(
                f"limit {self.limit} and offset {self.offset}: a limit is at least 1, an "
                f"offset at least 0, and together they are at most {MAX_RESULTS:,}"
            )
        if not 0 <= self.diversity <= 1:
            raise UsageError(f"diversity {self.diversity}: it is from 0 to 1")
        if self.per_document is not None and self.per_document < 1:
            raise UsageError(f"per_document {self.per_document}: it is at least 1")

    @property
    def text(self) -> str:
        """The words of all parts that are words and count for, not against."""
        return " ".join(
            part.media for part in self.parts if isinstance(part.media, str) and part.weight > 0
        )


def _check_text(text: str) -> None:
    if not text.strip():
        raise QueryError("the query is empty; give at least one word")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise QueryError("the query is not valid Unicode (it holds half of a character)")
    if len(text) > MAX_QUERY_CHARACTERS:
        raise QueryError(
            f"the query has {len(text):,} characters; at most {MAX_QUERY_CHARACTERS:,} are "
            "searched for. Give its most telling sentences, or add it as a file and ask for "
            "what is like it"
        )
