"""Searching with everything that the library can do: several media, filters, fusion, pages."""

from __future__ import annotations

import io
from typing import Annotated

from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

from trawl.errors import UsageError
from trawl.ranking import Method
from trawl.server.keys import reads
from trawl.server.models import DetailedResponse, detailed_response
from trawl.server.problems import documented
from trawl.server.routes.chunks import CHUNK_PATTERN, ChunkId
from trawl.server.service import (
    Ask,
    Found,
    Media,
    ServiceOf,
    cache_status,
    normalised,
    root_path,
)
from trawl.server.uploads import check_size, read_picture, read_sound
from trawl.types import Modality

router = APIRouter(prefix="/v1", tags=["Search"], dependencies=[reads])

_LINE = (
    'One line of the query language: words, `+must`, `-must not`, `"a phrase"`, '
    "`year:>=2020`, `modality:image`, `like:CHUNK`; `docs/queries.md` has all of it. "
    "Files cannot be named here: send media with `POST`."
)
_EXAMPLE_LINE = "muon decay -cosmic year:>=2015"
_MODALITIES = "What may be found; all where it is empty."
_WHERE = (
    "A filter: comparisons of metadata and of `modality`, `title`, `media_type` and the like, "
    "joined by `and`, `or`, `not`. `GET /v1/stats` names the columns."
)
_EXAMPLE_WHERE = "year >= 2020 and source in ('arXiv', 'CERN')"
_LIMIT = "How many results, at most."
_OFFSET = "How many better results to leave out. With `limit` at most 1,000."
_CURSOR = "The `cursor` of an answer: the page after it, of the library as it was then."
_BALANCE = "Give each modality an equal share of the list."
_FUSION = (
    "How the sources' lists are joined: by calibrated scores, by reciprocal ranks (`rrf`), "
    "or by scaled similarities (`weighted`)."
)
_SORT = "A column to order what was found by; `-` before it for the largest first."
_FACETS = "Columns whose values are counted among what was found."
_USE_CACHE = "Whether an answer that was given before may be given again."

Text = Annotated[str, Field(min_length=1, max_length=4000)]
Column = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[str, Field(min_length=1, max_length=200)]
Base64File = Annotated[Base64Bytes, Field(min_length=1)]


class SearchBody(BaseModel):
    """A question: words, a picture, a sound, a chunk, or several of them together."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "text": "decay of the muon",
                    "modalities": ["text", "image"],
                    "limit": 5,
                    "balance": True,
                }
            ]
        },
    )

    text: Text | None = Field(None, description="What to look for, in plain words.")
    q: Text | None = Field(None, description=f"In place of `text`: {_LINE}")
    image: Base64File | None = Field(
        None, description="A picture file (PNG, JPEG, GIF, BMP, WebP, TIFF) in base64."
    )
    audio: Base64File | None = Field(
        None,
        description="A sound file (WAV, FLAC, OGG, MP3) in base64; its first minute is searched "
        "with.",
    )
    like: Annotated[str, Field(pattern=CHUNK_PATTERN)] | None = Field(
        None, description="A chunk's `id`: find what is like it."
    )
    modalities: list[Modality] = Field([], max_length=3, description=_MODALITIES)
    where: Text | None = Field(None, description=_WHERE, examples=[_EXAMPLE_WHERE])
    required: list[Words] = Field(
        [], max_length=20, description="Words and phrases that every result holds."
    )
    excluded: list[Words] = Field(
        [], max_length=20, description="Words and phrases that no result holds."
    )
    limit: int = Field(10, ge=1, le=1000, description=_LIMIT)
    offset: int = Field(0, ge=0, le=999, description=_OFFSET)
    cursor: Annotated[str, Field(max_length=100)] | None = Field(None, description=_CURSOR)
    balance: bool = Field(False, description=_BALANCE)
    diversity: float = Field(
        0.0, ge=0, le=1, description="How much results are to differ from those above them."
    )
    per_document: int | None = Field(
        None, ge=1, le=1000, description="How many results one document may have."
    )
    group: bool = Field(False, description="Put the results of a document together.")
    sort: Column | None = Field(None, description=_SORT, examples=["-year"])
    facets: list[Column] = Field([], max_length=20, description=_FACETS)
    fusion: Method = Field("calibrated", description=_FUSION)
    weights: dict[
        Annotated[str, Field(max_length=100)],
        Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)],
    ] = Field(
        {},
        max_length=50,
        description="What each source's say is multiplied by; 1 where it is not named.",
        examples=[{"bm25": 0.5}],
    )
    use_cache: bool = Field(True, description=_USE_CACHE)

    def ask(self) -> Ask:
        """Give the question, without its media. Raises `UsageError` where there is none."""
        if not any((self.text, self.q, self.image, self.audio, self.like)):
            raise UsageError("there is no question; give text, q, image, audio or like")
        if self.text is not None and self.q is not None:
            raise UsageError("text and q are two ways to say one thing; give one of them")
        if self.q is not None and (self.required or self.excluded):
            raise UsageError("with q, say +word and -word in place of required and excluded")
        return Ask(
            text=normalised(self.text) if self.text is not None else None,
            line=self.q,
            like=self.like,
            modality=frozenset(self.modalities),
            where=self.where,
            limit=self.limit,
            offset=self.offset,
            cursor=self.cursor,
            fusion=self.fusion,
            weights=frozenset(self.weights.items()),
            required=tuple(self.required),
            excluded=tuple(self.excluded),
            balance=self.balance,
            diversity=self.diversity,
            per_document=self.per_document,
            group=self.group,
            sort=self.sort,
            facets=tuple(self.facets),
        )


@router.get(
    "/search",
    summary="Search by a line of the query language",
    responses=documented(401, 403, 404, 422, 429, 503),
)
async def search(
    request: Request,
    response: Response,
    service: ServiceOf,
    q: Annotated[
        str, Query(min_length=1, max_length=4000, description=_LINE, examples=[_EXAMPLE_LINE])
    ],
    modality: Annotated[list[Modality] | None, Query(description=_MODALITIES)] = None,
    where: Annotated[
        str | None,
        Query(min_length=1, max_length=4000, description=_WHERE, examples=[_EXAMPLE_WHERE]),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description=_LIMIT)] = 10,
    offset: Annotated[int, Query(ge=0, le=999, description=_OFFSET)] = 0,
    cursor: Annotated[str | None, Query(max_length=100, description=_CURSOR)] = None,
    balance: Annotated[bool, Query(description=_BALANCE)] = False,
    fusion: Annotated[Method, Query(description=_FUSION)] = "calibrated",
    sort: Annotated[
        str | None, Query(min_length=1, max_length=200, description=_SORT, examples=["-year"])
    ] = None,
    facet: Annotated[list[Column] | None, Query(max_length=20, description=_FACETS)] = None,
    use_cache: Annotated[bool, Query(description=_USE_CACHE)] = True,
) -> DetailedResponse:
    """Search with the query language, filters, pages, facets and a choice of fusion."""
    ask = Ask(
        line=q,
        modality=frozenset(modality or ()),
        where=where,
        limit=limit,
        offset=offset,
        cursor=cursor,
        balance=balance,
        fusion=fusion,
        sort=sort,
        facets=tuple(facet or ()),
    )
    found = await service.ask(ask, use_cache=use_cache)
    return _respond(q, found, request, response)


@router.post(
    "/search",
    summary="Search by words, a picture, a sound, or all at once",
    responses=documented(400, 401, 403, 404, 408, 413, 415, 422, 429, 503),
)
async def search_by_anything(
    request: Request, response: Response, service: ServiceOf, body: SearchBody
) -> DetailedResponse:
    """Search with any mixture of media: each part counts the same.

    A question in words may be answered from the cache; one with a picture or a sound is not.
    """
    ask, picture, sound = body.ask(), body.image, body.audio

    def load() -> Media:
        max_pixels = service.library.settings.max_pixels
        return Media(
            read_picture(io.BytesIO(picture), max_pixels) if picture is not None else None,
            read_sound(io.BytesIO(sound)) if sound is not None else None,
        )

    if picture is None and sound is None:
        found = await service.ask(ask, use_cache=body.use_cache)
    else:
        found = await service.ask_with(ask, load)
    return _respond(body.text or body.q or "", found, request, response)


@router.get(
    "/similar/{chunk_id}",
    summary="Find what is like a result",
    responses=documented(401, 403, 404, 422, 429, 503),
)
async def similar(
    request: Request,
    response: Response,
    service: ServiceOf,
    chunk_id: ChunkId,
    modality: Annotated[list[Modality] | None, Query(description=_MODALITIES)] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description=_LIMIT)] = 10,
) -> DetailedResponse:
    """Find what is like a passage, a picture or a sound of the library, in other documents."""
    ask = Ask(like=chunk_id, modality=frozenset(modality or ()), limit=limit)
    return _respond("", await service.ask(ask), request, response)


@router.post(
    "/search/audio",
    summary="Search by a sound",
    responses=documented(400, 401, 403, 408, 413, 415, 422, 429, 503),
)
async def search_by_audio(
    request: Request,
    response: Response,
    service: ServiceOf,
    file: Annotated[UploadFile, File(description="A sound: WAV, FLAC, OGG or MP3.")],
    modality: Annotated[list[Modality] | None, Form(description=_MODALITIES)] = None,
    limit: Annotated[int, Form(ge=1, le=1000, description=_LIMIT)] = 10,
) -> DetailedResponse:
    """Find what belongs to a sound: its first minute is searched with, and nothing is kept."""
    check_size(file, service.settings.max_upload_bytes)
    ask = Ask(modality=frozenset(modality or ()), limit=limit)
    found = await service.ask_with(ask, lambda: Media(audio=read_sound(file.file)))
    return _respond(file.filename or "", found, request, response)


def _respond(query: str, found: Found, request: Request, response: Response) -> DetailedResponse:
    response.headers["Cache-Status"] = cache_status(found)
    return detailed_response(query, found.answer, found.took_ms, root_path=root_path(request))
