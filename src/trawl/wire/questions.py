"""Define the body of a question that a search of several libraries sends to a server."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

from trawl.errors import QueryError
from trawl.library.media import content_of
from trawl.search import LEFT_TO_CALLER, Like, QueryPart, Question, search_options
from trawl.types import Media, Modality
from trawl.wire.candidates import decoded, encoded
from trawl.wire.filters import filter_fields, filter_of

MOST_PARTS = 50
# Pictures of a query are sent without loss; this only bounds arrays, which are checked before.
_MAX_PIXELS = 2**31

Load = Callable[[bytes, Modality], Media]
"""Decodes the bytes of a picture or a sound."""


class QuestionPart(BaseModel):
    """A part of a query: exactly one of `text`, `file`, `like` and `vectors`."""

    model_config = ConfigDict(extra="forbid")

    modality: Modality
    weight: float = Field(1.0, ge=-100, le=100, allow_inf_nan=False)
    text: str | None = Field(None, max_length=4000)
    file: Base64Bytes | None = Field(None, description="A picture or a sound.")
    like: str | None = Field(None, max_length=100, description="A chunk of the library.")
    vectors: dict[str, str] | None = Field(
        None, max_length=20, description="Those of a chunk of another library, by fingerprint."
    )

    def part(self, load: Load) -> QueryPart:
        """Return the part. Raises `QueryError`, and what `load` raises."""
        given = (self.text, self.file, self.like, self.vectors)
        if sum(one is not None for one in given) != 1:
            raise QueryError("a part has exactly one of text, file, like and vectors")
        if self.text is not None:
            return QueryPart(self.modality, self.text, self.weight)
        if self.file is not None:
            return QueryPart(self.modality, load(self.file, self.modality), self.weight)
        if self.like is not None:
            return QueryPart(self.modality, Like(self.like), self.weight)
        vectors = {name: decoded(text) for name, text in (self.vectors or {}).items()}
        return QueryPart(self.modality, Like("", vectors), self.weight)


class QuestionBody(BaseModel):
    """A search of several libraries, as each of them receives it."""

    model_config = ConfigDict(extra="forbid")

    parts: list[QuestionPart] = Field([], max_length=MOST_PARTS)
    where: list[Any] | None = Field(None, description="A parsed filter.")
    options: dict[str, Any] = Field({}, description="Options of `POST /v1/search`.")
    version: int | None = Field(None, ge=0, description="Version of an earlier page.")
    deep: bool = Field(False, description="Whether each source returns all that it may.")

    def question(self, load: Load) -> Question:
        """Return the question. Raises `UsageError`, and what `load` raises. Blocking."""
        options = {**self.options, **LEFT_TO_CALLER}
        return Question(
            tuple(part.part(load) for part in self.parts),
            filter_of(self.where) if self.where is not None else None,
            search_options(**options),
            self.version,
            self.deep,
        )


def question_fields(question: Question) -> dict[str, Any]:
    """Return the fields of a `QuestionBody`."""
    return {
        "parts": [_part_fields(part) for part in question.parts],
        "where": filter_fields(question.where) if question.where is not None else None,
        "options": question.options.model_dump(mode="json", exclude_defaults=True),
        "version": question.version,
        "deep": question.deep,
    }


def _part_fields(part: QueryPart) -> dict[str, Any]:
    fields: dict[str, Any] = {"modality": part.modality, "weight": part.weight}
    if isinstance(part.media, str):
        return fields | {"text": part.media}
    if not isinstance(part.media, Like):
        data = content_of(part.media, _MAX_PIXELS).data
        return fields | {"file": base64.b64encode(data).decode()}
    if part.media.vectors is None:
        return fields | {"like": part.media.chunk_id}
    return fields | {"vectors": {name: encoded(one) for name, one in part.media.vectors.items()}}
