"""The whole composed query as it comes over HTTP: its JSON, and the files of a form beside it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from trawl.errors import UsageError
from trawl.ranking import Method
from trawl.search import QueryPart
from trawl.server.routes.chunks import CHUNK_PATTERN
from trawl.server.service import Ask, AskPart, normalised
from trawl.server.uploads import check_size, read_medium
from trawl.types import Modality

LINE = (
    'One line of the query language: words, `+must`, `-must not`, `"a phrase"`, '
    "`year:>=2020`, `modality:image`, `like:CHUNK`; `docs/queries.md` has all of it. "
    "Files cannot be named here: send media with `POST`."
)
MODALITIES = "What may be found; all where it is empty."
WHERE = (
    "A filter: comparisons of metadata and of `modality`, `title`, `media_type` and the like, "
    "joined by `and`, `or`, `not`. `GET /v1/stats` names the columns."
)
EXAMPLE_WHERE = "year >= 2020 and source in ('arXiv', 'CERN')"
LIMIT = "How many results, at most."
OFFSET = "How many better results to leave out. With `limit` at most 1,000."
CURSOR = "The `cursor` of an answer: the page after it, of the library as it was then."
BALANCE = "Give each modality an equal share of the list."
INTERLEAVE = "Put the modalities of a page in turn."
NEAREST = "Whether to list the nearest there are where nothing is a good match."
FUSION = (
    "How the sources' lists are joined: by calibrated scores, by reciprocal ranks (`rrf`), "
    "or by scaled similarities (`weighted`)."
)
SORT = "A column to order what was found by; `-` before it for the largest first."
FACETS = "Columns whose values are counted among what was found."
USE_CACHE = "Whether an answer that was given before may be given again."
FORM_FIELD = "query"
_EXAMPLES = {
    "words": {
        "summary": "Words",
        "value": {"text": "decay of the muon", "modalities": ["text", "image"], "limit": 5},
    },
    "parts": {
        "summary": "Several parts, one of them negative",
        "value": {
            "parts": [
                {"text": "decay of the muon"},
                {"like": "1f0c9d2a7be84c55a1d0e3f2:0", "weight": 0.5},
                {"text": "cosmic rays", "weight": -0.3},
            ],
            "where": "year >= 2015",
            "facets": ["year"],
        },
    },
    "list": {
        "summary": "A list that is shared out",
        "value": {"q": "muon -cosmic year:>=2015", "quotas": {"image": 3}, "per_document": 2},
    },
}

_MOST_PARTS = 16
_MOST_WEIGHT = 100.0
# A name, and never a path.
_MODEL_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$"

Text = Annotated[str, Field(min_length=1, max_length=4000)]
Column = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[str, Field(min_length=1, max_length=200)]
Base64File = Annotated[Base64Bytes, Field(min_length=1)]
ChunkName = Annotated[str, Field(pattern=CHUNK_PATTERN)]


class PartBody(BaseModel):
    """One part of a question: exactly one of `text`, `image`, `audio`, `like` and `file`."""

    model_config = ConfigDict(extra="forbid")

    text: Text | None = Field(None, description="Words.", examples=["decay of the muon"])
    image: Base64File | None = Field(None, description="A picture file in base64.")
    audio: Base64File | None = Field(None, description="A sound file in base64.")
    like: ChunkName | None = Field(None, description="A chunk's `id`.")
    file: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        None, description="The name of a form's field that holds a picture or a sound."
    )
    weight: Annotated[float, Field(ge=-_MOST_WEIGHT, le=_MOST_WEIGHT, allow_inf_nan=False)] = Field(
        1.0, description="How much it counts, not 0; below 0 leads away from it.", examples=[-0.5]
    )

    @model_validator(mode="after")
    def _is_one(self) -> PartBody:
        given = (self.text, self.image, self.audio, self.like, self.file)
        if sum(one is not None for one in given) != 1:
            raise ValueError("a part is exactly one of text, image, audio, like and file")
        if self.weight == 0:
            raise ValueError("a part of weight 0 says nothing; leave it out")
        return self


class FuzzyBody(BaseModel):
    """A word that may be misspelt."""

    model_config = ConfigDict(extra="forbid")

    word: Words
    letters: int = Field(1, ge=1, le=2, description="How many letters may differ.")


class SearchBody(BaseModel):
    """A question: words, pictures, sounds and chunks, in any number and weight."""

    model_config = ConfigDict(extra="forbid")

    text: Text | None = Field(None, description="What to look for, in plain words.")
    q: Text | None = Field(None, description=f"In place of `text`: {LINE}")
    image: Base64File | None = Field(
        None, description="A picture file (PNG, JPEG, GIF, BMP, WebP, TIFF) in base64."
    )
    audio: Base64File | None = Field(
        None,
        description="A sound file (WAV, FLAC, OGG, MP3) in base64; its first minute is searched "
        "with.",
    )
    like: ChunkName | None = Field(None, description="A chunk's `id`: find what is like it.")
    parts: list[PartBody] = Field(
        [], max_length=_MOST_PARTS, description="Further parts, each with a weight of its own."
    )
    modalities: list[Modality] = Field([], max_length=3, description=MODALITIES)
    where: Text | None = Field(None, description=WHERE, examples=[EXAMPLE_WHERE])
    required: list[Words] = Field(
        [], max_length=20, description="Words and phrases that every result holds."
    )
    excluded: list[Words] = Field(
        [], max_length=20, description="Words and phrases that no result holds."
    )
    phrases: list[Words] = Field(
        [], max_length=20, description="Phrases that count as a whole where they are found."
    )
    fuzzy: list[FuzzyBody] = Field(
        [], max_length=20, description="Words that count although they are misspelt."
    )
    limit: int = Field(10, ge=1, le=1000, description=LIMIT)
    offset: int = Field(0, ge=0, le=999, description=OFFSET)
    cursor: Annotated[str, Field(max_length=100)] | None = Field(None, description=CURSOR)
    balance: bool = Field(False, description=BALANCE)
    quotas: dict[Modality, Annotated[int, Field(ge=0, le=1000)]] = Field(
        {},
        description="How many places of a page each modality has; what they leave goes to those "
        "that are not named.",
        examples=[{"image": 3}],
    )
    interleave: bool = Field(False, description=INTERLEAVE)
    nearest: bool = Field(True, description=NEAREST)
    diversity: float = Field(
        0.0, ge=0, le=1, description="How much results are to differ from those above them."
    )
    per_document: int | None = Field(
        None, ge=1, le=1000, description="How many results one document may have."
    )
    group: bool = Field(False, description="Put the results of a document together.")
    sort: Column | None = Field(None, description=SORT, examples=["-year"])
    facets: list[Column] = Field([], max_length=20, description=FACETS)
    fusion: Method = Field("calibrated", description=FUSION)
    rrf_k: float = Field(
        60.0, ge=0, le=1e6, allow_inf_nan=False, description="The constant of the fusion `rrf`."
    )
    rerank: Annotated[str, Field(max_length=100, pattern=_MODEL_PATTERN)] | None = Field(
        None,
        description="A model of the server's that puts the first 50 passages in order; "
        "`trawl models list` names them.",
        examples=["ms-marco-minilm-l6"],
    )
    weights: dict[
        Annotated[str, Field(max_length=100)],
        Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)],
    ] = Field(
        {},
        max_length=50,
        description="What each source's say is multiplied by; 1 where it is not named.",
        examples=[{"bm25": 0.5}],
    )
    use_cache: bool = Field(True, description=USE_CACHE)

    @property
    def name(self) -> str:
        """What was asked for, in words, as far as there are any."""
        words = [self.text or self.q or ""] + [part.text or "" for part in self.parts]
        return next((word for word in words if word), "")

    def ask(self) -> Ask:
        """Give the question, without its media. Raises `UsageError` for what cannot be meant."""
        if self.text is not None and self.q is not None:
            raise UsageError("text and q are two ways to say one thing; give one of them")
        if self.q is not None and (self.required or self.excluded or self.phrases or self.fuzzy):
            raise UsageError(
                'with q, say +word, -word, "a phrase" and word~ in place of required, excluded, '
                "phrases and fuzzy"
            )
        return Ask(
            text=normalised(self.text) if self.text is not None else None,
            line=self.q,
            like=self.like,
            parts=tuple(self._known_parts()),
            modality=frozenset(self.modalities),
            where=self.where,
            limit=self.limit,
            offset=self.offset,
            cursor=self.cursor,
            fusion=self.fusion,
            rrf_k=self.rrf_k,
            rerank=self.rerank,
            weights=frozenset(self.weights.items()),
            required=tuple(self.required),
            excluded=tuple(self.excluded),
            phrases=tuple(self.phrases),
            fuzzy=tuple((one.word, one.letters) for one in self.fuzzy),
            balance=self.balance,
            quotas=frozenset(self.quotas.items()),
            interleave=self.interleave,
            nearest=self.nearest,
            diversity=self.diversity,
            per_document=self.per_document,
            group=self.group,
            sort=self.sort,
            facets=tuple(self.facets),
        )

    def _known_parts(self) -> Iterator[AskPart]:
        """Give the parts that are words or chunks: they can be told apart without being read."""
        for part in self.parts:
            if part.text is not None:
                yield "text", normalised(part.text), part.weight
            elif part.like is not None:
                yield "like", part.like, part.weight


@dataclass(frozen=True, slots=True)
class _Medium:
    """A picture or a sound that is not decoded yet. `modality` is None where its bytes tell."""

    stream: BinaryIO
    modality: Modality | None
    weight: float


@dataclass(frozen=True, slots=True)
class Question:
    """What came: the question, its options, and the media that belong to it."""

    body: SearchBody
    ask: Ask
    media: tuple[_Medium, ...]

    def load(self, max_pixels: int) -> tuple[QueryPart, ...]:
        """Decode the media. Blocking. Raises `ReadError`."""
        return tuple(
            QueryPart(modality, medium, one.weight)
            for one in self.media
            for modality, medium in [read_medium(one.stream, max_pixels, one.modality)]
        )


@asynccontextmanager
async def question_of(request: Request, max_upload_bytes: int) -> AsyncIterator[Question]:
    """Read the question of a request: JSON, or a form with files and the JSON in one field.

    The files are there as long as the context. Raises `RequestValidationError`,
    `UsageError`, and 413, 415 for a body that is too large or of another type.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=_MOST_PARTS, max_fields=_MOST_PARTS) as form:
            files, text = {}, None
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    check_size(value, max_upload_bytes)
                    if name in files:
                        raise UsageError(f"two files are named {name[:100]!r}; name them apart")
                    files[name] = value.file
                elif name == FORM_FIELD and text is None:
                    text = value
                else:
                    raise UsageError(
                        f"the form's field {name[:100]!r} is no file; what is not a file stands "
                        f"as JSON in one field, {FORM_FIELD!r}"
                    )
            yield _question(_read(text if text is not None else "{}"), files)
    elif kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        yield _question(_read(await request.body()), {})
    else:
        raise HTTPException(
            415,
            f"a question is application/json or multipart/form-data, not {kind[:100] or 'untyped'}",
        )


def _read(text: str | bytes) -> SearchBody:
    try:
        return SearchBody.model_validate_json(text)
    except ValidationError as error:
        raise RequestValidationError(
            [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_context=False)]
        ) from error


def _question(body: SearchBody, files: Mapping[str, BinaryIO]) -> Question:
    """Join a question and its files; those that no part names are parts of weight 1."""
    media = []
    unnamed = dict(files)
    for modality, data in (("image", body.image), ("audio", body.audio)):
        if data is not None:
            media.append(_Medium(io.BytesIO(data), modality, 1.0))  # type: ignore[arg-type]
    for part in body.parts:
        if part.image is not None:
            media.append(_Medium(io.BytesIO(part.image), "image", part.weight))
        elif part.audio is not None:
            media.append(_Medium(io.BytesIO(part.audio), "audio", part.weight))
        elif part.file is not None:
            if part.file not in files:
                raise UsageError(
                    f"a part names the file {part.file!r}, and the form has no such field; "
                    f"there are: {', '.join(sorted(files))[:500] or 'none'}"
                )
            unnamed.pop(part.file, None)
            media.append(_Medium(files[part.file], None, part.weight))
    media += [_Medium(stream, None, 1.0) for stream in unnamed.values()]
    if not (body.text or body.q or body.like or body.parts or media):
        raise UsageError("there is no question; give text, q, image, audio, like or parts")
    return Question(body, body.ask(), tuple(media))


def openapi_body() -> dict[str, Any]:
    """Describe the body for the OpenAPI document, which cannot be read off a signature."""
    schema = {"$ref": "#/components/schemas/SearchBody"}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": schema, "examples": _EXAMPLES},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": {FORM_FIELD: schema},
                        "additionalProperties": {
                            "type": "string",
                            "format": "binary",
                            "description": "A picture or a sound, under any name.",
                        },
                    },
                    "encoding": {FORM_FIELD: {"contentType": "application/json"}},
                },
            },
        }
    }


def openapi_schemas() -> dict[str, Any]:
    """Give the schemas that `openapi_body` names."""
    schema = SearchBody.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), "SearchBody": schema}
