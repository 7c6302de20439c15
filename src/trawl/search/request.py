"""What can be asked, checked once."""

from __future__ import annotations

import math
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

    `weights` multiplies what a source says ({"bm25": 0.5}; 0 silences it); `rrf_k` is the
    constant of the fusion `rrf`; `rerank` names a cross-encoder that puts the first
    passages in a new order.

    Words: chunks without every one of `required` are left out, chunks with one of
    `excluded` too (each a word or a phrase); `phrases` and `fuzzy` words (with how many
    letters may differ) add to the BM25 score.

    The list: `balance` gives modalities equal shares of a page, `quotas` so many places
    each ({"image": 3}; what they leave goes to the modalities that are not named), and
    `interleave` puts the modalities of a page in turn, in equal shares where there are no
    quotas. Where nothing is a good match, the nearest there are come back with a flag, or
    with `nearest` off nothing but the flag. `diversity` 0..1 trades score for
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
    rrf_k: float = 60.0
    rerank: str | None = None
    required: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    fuzzy: tuple[tuple[str, int], ...] = ()
    balance: bool = False
    quotas: Mapping[Modality, int] = field(default_factory=dict)
    interleave: bool = False
    nearest: bool = True
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
        self._check_fusion()
        self._check_list()

    def _check_fusion(self) -> None:
        for source, weight in self.weights.items():
            if not 0 <= weight < math.inf:
                raise UsageError(f"weight {source}={weight}: it is a number that is 0 or more")
        if not 0 <= self.rrf_k < math.inf:
            raise UsageError(f"rrf_k {self.rrf_k}: it is a number that is 0 or more; 60 is usual")

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
        if self.quotas:
            self._check_quotas()

    def _check_quotas(self) -> None:
        if self.balance:
            raise UsageError("balance and quotas are two ways to share the list; give one of them")
        unknown = sorted(set(self.quotas) - set(MODALITIES))
        if unknown:
            raise UsageError(
                f"no modality {', '.join(map(repr, unknown))} to give a quota to; "
                f"there are: {', '.join(MODALITIES)}"
            )
        if min(self.quotas.values()) < 0 or sum(self.quotas.values()) > self.limit:
            raise UsageError(
                f"quotas {', '.join(f'{m}={n}' for m, n in self.quotas.items())}: each is at "
                f"least 0, and together they are at most the limit, {self.limit}"
            )

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
