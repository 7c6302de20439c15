"""Search: `/search` and `/search-by-image` with few parameters, `/v1/search` with all options."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, BinaryIO, Literal, TypeAlias

from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import UploadFile as FormFile
from starlette.exceptions import HTTPException

from trawl.errors import UsageError
from trawl.search import QueryPart, normalised, search_options
from trawl.server.auth import reads
from trawl.server.cache import with_query
from trawl.server.errors import documented
from trawl.server.openapi import FORM_FIELD, search_body
from trawl.server.parameters import check_fields
from trawl.server.schemas import (
    MODALITY,
    MOST_PARTS,
    USE_CACHE,
    ChunkId,
    LineQuery,
    SearchBody,
    option,
)
from trawl.server.service import Found, SearchQuery, ServiceOf, Shape, root_path
from trawl.server.uploads import check_size, read_medium, read_picture, read_sound
from trawl.types import Media, Modality
from trawl.wire import (
    CandidatesOut,
    DetailedResponse,
    LikedOut,
    QuestionBody,
    SearchResponse,
    candidates_fields,
    to_bytes,
)

router = APIRouter(tags=["Search"], dependencies=[reads])

Wanted: TypeAlias = Literal["all", "text", "image", "audio"]
Modalities: TypeAlias = list[Modality] | None

_WANTED = "The modality of the results: `text`, `image`, `audio`, or `all`."
_LIMIT = option("limit").description


def respond(query: str, found: Found) -> Response:
    """Return the response to a search, whose body begins with the query and the time."""
    return Response(
        with_query(found.body, query, found.took_ms),
        media_type="application/json",
        headers={"Cache-Status": found.cache_status},
    )


def _detailed(request: Request) -> Shape:
    return Shape(detailed=True, root_path=root_path(request))


def _plain(request: Request) -> Shape:
    return Shape(detailed=False, root_path=root_path(request))


def _query(
    wanted: Wanted | Modalities, limit: int, text: str | None = None, like: str | None = None
) -> SearchQuery:
    modality = None if wanted == "all" else wanted
    return SearchQuery(text, like=like, options=search_options(modality=modality, limit=limit))


@router.get(
    "/search",
    summary="Search by text",
    response_model=SearchResponse,
    responses=documented(401, 403, 422, 429, 503),
)
async def search(
    request: Request,
    service: ServiceOf,
    query: Annotated[
        str,
        Query(
            min_length=1,
            max_length=500,
            description="Query text.",
            examples=["decay of the muon"],
        ),
    ],
    modality: Annotated[Wanted, Query(description=_WANTED)] = "all",
    top_k: Annotated[int, Query(ge=1, le=100, description=_LIMIT)] = 10,
    use_cache: Annotated[bool, Query(description=USE_CACHE)] = True,
) -> Response:
    """Search passages, pictures and sounds by text: one list, best first.

    `evidence` explains the rank of each result. If nothing in the library is a good match, the
    nearest results are returned and `no_good_match` is true.
    """
    parsed = _query(modality, top_k, normalised(query))
    return respond(query, await service.search(parsed, _plain(request), use_cache=use_cache))


@router.post(
    "/search-by-image",
    summary="Search by a picture",
    response_model=SearchResponse,
    responses=documented(400, 401, 403, 408, 413, 415, 422, 429, 503),
)
async def search_by_image(
    request: Request,
    service: ServiceOf,
    file: Annotated[
        UploadFile, File(description="A picture: PNG, JPEG, GIF, BMP, WebP, AVIF or TIFF.")
    ],
    modality: Annotated[Wanted, Form(description=_WANTED)] = "all",
    top_k: Annotated[int, Form(ge=1, le=100, description=_LIMIT)] = 10,
) -> Response:
    """Search by a picture: similar pictures, and passages and sounds about it.

    The picture is not stored.
    """
    await check_fields(request, "file", "modality", "top_k")
    check_size(file, service.settings.max_upload_bytes)

    def load() -> list[QueryPart]:
        picture = read_picture(file.file, service.library.settings.max_pixels)
        return [QueryPart("image", picture)]

    found = await service.search_media(_query(modality, top_k), _plain(request), load)
    return respond(file.filename or "", found)


@router.get(
    "/v1/search",
    summary="Search by a line of the query language",
    operation_id="search_v1_search_get",
    response_model=DetailedResponse,
    responses=documented(401, 403, 404, 422, 429, 503),
)
async def search_by_line(
    request: Request, service: ServiceOf, line: Annotated[LineQuery, Query()]
) -> Response:
    """Search with the query language, filters, paging, facets and a choice of fusion.

    Filters alone (`where`, `modality`, `q=year:2015`) list the documents that match, each with
    its first match; `total` counts them.
    """
    found = await service.search(line.query(), _detailed(request), use_cache=line.use_cache)
    return respond(line.q or "", found)


@router.post(
    "/v1/search",
    summary="Search by text, pictures and sounds combined",
    response_model=DetailedResponse,
    responses=documented(400, 401, 403, 404, 408, 413, 415, 422, 429, 503),
    openapi_extra=search_body(),
)
async def search_by_anything(request: Request, service: ServiceOf) -> Response:
    """Search with any combination of media, each with a weight.

    Media are sent as base64 in the JSON, or as files of a form whose field `query` has the
    JSON. A file that no part names is a part of weight 1. Queries without files may be answered
    from the cache.
    """
    shape = _detailed(request)
    async with _received(request, service.settings.max_upload_bytes) as received:
        body, query, media = received.body, received.body.query(), received.media
        if media:
            max_pixels = service.library.settings.max_pixels
            found = await service.search_media(
                query, shape, lambda: [one.load(max_pixels) for one in media]
            )
        else:
            found = await service.search(query, shape, use_cache=body.use_cache)
    return respond(body.name, found)


@router.get(
    "/v1/similar/{chunk_id}",
    summary="Search for similar results",
    response_model=DetailedResponse,
    responses=documented(401, 403, 404, 422, 429, 503),
)
async def similar(
    request: Request,
    service: ServiceOf,
    chunk_id: ChunkId,
    modality: Annotated[Modalities, Query(description=MODALITY)] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description=_LIMIT)] = 10,
) -> Response:
    """Search for chunks similar to a passage, picture or sound, in other documents."""
    query = _query(modality, limit, like=chunk_id)
    return respond("", await service.search(query, _detailed(request)))


@router.post(
    "/v1/search/audio",
    summary="Search by a sound",
    response_model=DetailedResponse,
    responses=documented(400, 401, 403, 408, 413, 415, 422, 429, 503),
)
async def search_by_audio(
    request: Request,
    service: ServiceOf,
    file: Annotated[UploadFile, File(description="A sound: WAV, FLAC, OGG or MP3.")],
    modality: Annotated[Modalities, Form(description=MODALITY)] = None,
    limit: Annotated[int, Form(ge=1, le=1000, description=_LIMIT)] = 10,
) -> Response:
    """Search by the first minute of a sound. The sound is not stored."""
    await check_fields(request, "file", "limit", repeatable=["modality"])
    check_size(file, service.settings.max_upload_bytes)
    found = await service.search_media(
        _query(modality, limit),
        _detailed(request),
        lambda: [QueryPart("audio", read_sound(file.file))],
    )
    return respond(file.filename or "", found)


# --- for searches of several libraries -----------------------------------------------------


@router.post(
    "/v1/candidates",
    summary="Contribute to a search of several libraries",
    response_model=CandidatesOut,
    responses=documented(400, 401, 403, 404, 408, 413, 415, 422, 429, 503),
)
async def candidates(service: ServiceOf, body: QuestionBody) -> Response:
    """Return what another Trawl needs to merge this library's results with others'.

    `trawl search --library http://here --library elsewhere` calls it.
    """

    def work() -> bytes:
        question = body.question(load)
        return to_bytes(candidates_fields(service.library.candidates(question)))

    def load(data: bytes, modality: Modality) -> Media:
        return read_medium(io.BytesIO(data), service.library.settings.max_pixels, modality)[1]

    return Response(await service.pool.run(work), media_type="application/json")


@router.get(
    "/v1/chunks/{chunk_id}/liked",
    summary="Get the vectors of a chunk",
    response_model=LikedOut,
    responses=documented(401, 403, 404, 422, 429, 503),
)
async def liked(service: ServiceOf, chunk_id: ChunkId) -> LikedOut:
    """Return the vectors by which other libraries find chunks like this one."""
    return LikedOut.from_liked(await service.pool.run(service.library.liked, chunk_id))


# --- the body of POST /v1/search -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Medium:
    """A picture or sound that is not decoded yet; a `modality` of None is detected."""

    stream: BinaryIO
    modality: Modality | None
    weight: float

    def load(self, max_pixels: int) -> QueryPart:
        """Decode it. Raises `ReadError`. Blocking."""
        modality, medium = read_medium(self.stream, max_pixels, self.modality)
        return QueryPart(modality, medium, self.weight)


@dataclass(frozen=True, slots=True)
class _Received:
    body: SearchBody
    media: list[_Medium]


@asynccontextmanager
async def _received(request: Request, max_upload_bytes: int) -> AsyncIterator[_Received]:
    """Read a search: JSON, or a form with files and the JSON in one field.

    FastAPI's form parameters cannot have arbitrary names or bound the number of fields. The
    files exist as long as the context. Raises `RequestValidationError`, `UsageError`, 413 and
    415.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        async with request.form(max_files=MOST_PARTS, max_fields=MOST_PARTS) as form:
            files: dict[str, BinaryIO] = {}
            text: str | None = None
            for name, value in form.multi_items():
                if isinstance(value, FormFile):
                    check_size(value, max_upload_bytes)
                    if name in files:
                        raise UsageError(f"two files are named {name[:100]!r}")
                    files[name] = value.file
                elif name == FORM_FIELD and text is None:
                    text = value
                else:
                    raise UsageError(
                        f"the form's field {name[:100]!r} is not a file; send everything else as "
                        f"JSON in one field, {FORM_FIELD!r}"
                    )
            yield _with_media(_parsed(text if text is not None else "{}"), files)
    elif media_type.startswith("application/") and media_type.endswith(("/json", "+json")):
        yield _with_media(_parsed(await request.body()), {})
    else:
        raise HTTPException(
            415,
            "a search is application/json or multipart/form-data, not "
            f"{media_type[:100] or 'untyped'}",
        )


def _parsed(text: str | bytes) -> SearchBody:
    try:
        return SearchBody.model_validate_json(text)
    except ValidationError as error:
        raise RequestValidationError(
            [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_context=False)]
        ) from error


def _with_media(body: SearchBody, files: Mapping[str, BinaryIO]) -> _Received:
    """Combine a search and its files; files that no part names have weight 1."""
    media = []
    unnamed = dict(files)
    if body.image is not None:
        media.append(_Medium(io.BytesIO(body.image), "image", 1.0))
    if body.audio is not None:
        media.append(_Medium(io.BytesIO(body.audio), "audio", 1.0))
    for part in body.parts:
        if part.image is not None:
            media.append(_Medium(io.BytesIO(part.image), "image", part.weight))
        elif part.audio is not None:
            media.append(_Medium(io.BytesIO(part.audio), "audio", part.weight))
        elif part.file is not None:
            if part.file not in files:
                raise UsageError(
                    f"a part names the file {part.file!r}, and the form has no such field; "
                    f"its fields are: {', '.join(sorted(files))[:500] or 'none'}"
                )
            unnamed.pop(part.file, None)
            media.append(_Medium(files[part.file], None, part.weight))
    media += [_Medium(stream, None, 1.0) for stream in unnamed.values()]
    filters = body.where or body.map or body.modalities or body.required or body.excluded
    if not (body.text or body.q or body.like or body.parts or media or filters):
        raise UsageError("the query is empty; set text, q, image, audio, like, parts or where")
    return _Received(body, media)
