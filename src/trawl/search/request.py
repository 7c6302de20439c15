"""A search request: the parts of the query, the filter and the options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from trawl.errors import QueryError
from trawl.query import Filter
from trawl.search.options import SearchOptions
from trawl.types import Media, Modality

MAX_QUERY_CHARACTERS = 4_000


@dataclass(frozen=True, slots=True)
class Like:
    """A chunk used as a query: find similar chunks.

    It is of the library that is searched, or of another one, and then has its `vectors`,
    float32 [D], by the fingerprint of their space, and the `content` of its file.
    """

    chunk_id: str
    vectors: Mapping[str, NDArray[np.float32]] | None = None
    content: str = ""


QueryMedia: TypeAlias = "Media | Like"


@dataclass(frozen=True, slots=True)
class QueryPart:
    """One part of a query (text, an image, a sound or a chunk) and its weight.

    Results are pushed away from a part of negative weight. The modality of a `Like` is
    that of its chunk.
    """

    modality: Modality
    media: QueryMedia
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One search. `where` is the parsed filter, and holds in place of `options.where`.

    `within` are the row ids of `options.map`, int64, ascending; all rows if None.

    Raises `QueryError` if there is no part, no part of positive weight, or a text that is
    empty, too long or not valid Unicode.
    """

    parts: Sequence[QueryPart]
    where: Filter | None
    options: SearchOptions
    within: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if not self.parts:
            raise QueryError("the query is empty; give text, an image or a sound")
        if all(part.weight <= 0 for part in self.parts):
            raise QueryError("every part of the query has a negative weight; make one positive")
        for part in self.parts:
            if isinstance(part.media, str):
                _check_text(part.media)

    @property
    def only_modality(self) -> Modality | None:
        """The modality of the query if all its parts have the same one."""
        modalities = {part.modality for part in self.parts}
        return next(iter(modalities)) if len(modalities) == 1 else None

    @property
    def text(self) -> str:
        """The text parts of positive weight, joined."""
        return " ".join(
            part.media for part in self.parts if isinstance(part.media, str) and part.weight > 0
        )


def _check_text(text: str) -> None:
    if not text.strip():
        raise QueryError("the query is empty; give at least one word")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise QueryError("the query is not valid Unicode: it contains a lone surrogate")
    if len(text) > MAX_QUERY_CHARACTERS:
        raise QueryError(
            f"the query has {len(text):,} characters; the maximum is {MAX_QUERY_CHARACTERS:,}. "
            "Shorten it, or add the text as a file and search for chunks like it"
        )
