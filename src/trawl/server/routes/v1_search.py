"""Searching with everything that the library can do: several media, filters, fusion, pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile

from trawl.ranking import Method
from trawl.search import QueryPart
from trawl.server import composed
from trawl.server.composed import Column, question_of
from trawl.server.keys import reads
from trawl.server.problems import documented
from trawl.server.routes.answering import respond
from trawl.server.routes.chunks import ChunkId
from trawl.server.service import Ask, ServiceOf
from trawl.server.uploads import check_size, read_sound
from trawl.types import Modality
from trawl.wire import DetailedResponse

router = APIRouter(prefix="/v1", tags=["Search"], dependencies=[reads])

_EXAMPLE_LINE = "muon decay -cosmic year:>=2015"


@router.get(
    "/search",
    summary="Search by a line of the query language",
    response_model=DetailedResponse,
    responses=documented(401, 403, 404, 422, 429, 503),
)
async def search(
    request: Request,
    service: ServiceOf,
    q: Annotated[
        str,
        Query(min_length=1, max_length=4000, description=composed.LINE, examples=[_EXAMPLE_LINE]),
    ],
    modality: Annotated[list[Modality] | None, Query(description=composed.MODALITIES)] = None,
    where: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=4000,
            description=composed.WHERE,
            examples=[composed.EXAMPLE_WHERE],
        ),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description=composed.LIMIT)] = 10,
    offset: Annotated[int, Query(ge=0, le=999, description=composed.OFFSET)] = 0,
    cursor: Annotated[str | None, Query(max_length=100, description=composed.CURSOR)] = None,
    balance: Annotated[bool, Query(description=composed.BALANCE)] = False,
    interleave: Annotated[bool, Query(description=composed.INTERLEAVE)] = False,
    nearest: Annotated[bool, Query(description=composed.NEAREST)] = True,
    fusion: Annotated[Method, Query(description=composed.FUSION)] = "calibrated",
    sort: Annotated[
        str | None,
        Query(min_length=1, max_length=200, description=composed.SORT, examples=["-year"]),
    ] = None,
    facet: Annotated[list[Column] | None, Query(max_length=20, description=composed.FACETS)] = None,
    use_cache: Annotated[bool, Query(description=composed.USE_CACHE)] = True,
) -> Response:
    """Search with the query language, filters, pages, facets and a choice of fusion."""
    ask = Ask(
        line=q,
        modality=frozenset(modality or ()),
        where=where,
        limit=limit,
        offset=offset,
        cursor=cursor,
        balance=balance,
        interleave=interleave,
        nearest=nearest,
        fusion=fusion,
        sort=sort,
        facets=tuple(facet or ()),
    )
    found = await service.ask(ask, use_cache=use_cache)
    return respond(q, found, request, detailed=True)


@router.post(
    "/search",
    summary="Search by words, pictures and sounds, or all at once",
    response_model=DetailedResponse,
    responses=documented(400, 401, 403, 404, 408, 413, 415, 422, 429, 503),
    openapi_extra=composed.openapi_body(),
)
async def search_by_anything(request: Request, service: ServiceOf) -> Response:
    """Search with any mixture of media, each with its weight; below 0 leads away from it.

    Media stand in the JSON as base64, or as the files of a form whose field `query` holds
    the JSON. A file that no part names by its field counts as a part of weight 1. A
    question without files may be answered from the cache; one with them is not.
    """
    async with question_of(request, service.settings.max_upload_bytes) as question:
        if question.media:
            max_pixels = service.library.settings.max_pixels
            found = await service.ask_with(question.ask, lambda: question.load(max_pixels))
        else:
            found = await service.ask(question.ask, use_cache=question.body.use_cache)
    return respond(question.body.name, found, request, detailed=True)


@router.get(
    "/similar/{chunk_id}",
    summary="Find what is like a result",
    response_model=DetailedResponse,
    responses=documented(401, 403, 404, 422, 429, 503),
)
async def similar(
    request: Request,
    service: ServiceOf,
    chunk_id: ChunkId,
    modality: Annotated[list[Modality] | None, Query(description=composed.MODALITIES)] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description=composed.LIMIT)] = 10,
) -> Response:
    """Find what is like a passage, a picture or a sound of the library, in other documents."""
    ask = Ask(like=chunk_id, modality=frozenset(modality or ()), limit=limit)
    return respond("", await service.ask(ask), request, detailed=True)


@router.post(
    "/search/audio",
    summary="Search by a sound",
    response_model=DetailedResponse,
    responses=documented(400, 401, 403, 408, 413, 415, 422, 429, 503),
)
async def search_by_audio(
    request: Request,
    service: ServiceOf,
    file: Annotated[UploadFile, File(description="A sound: WAV, FLAC, OGG or MP3.")],
    modality: Annotated[list[Modality] | None, Form(description=composed.MODALITIES)] = None,
    limit: Annotated[int, Form(ge=1, le=1000, description=composed.LIMIT)] = 10,
) -> Response:
    """Find what belongs to a sound: its first minute is searched with, and nothing is kept."""
    check_size(file, service.settings.max_upload_bytes)
    ask = Ask(modality=frozenset(modality or ()), limit=limit)
    found = await service.ask_with(ask, lambda: [QueryPart("audio", read_sound(file.file))])
    return respond(file.filename or "", found, request, detailed=True)
