"""Searching by words and by a picture, in the simple form: a few parameters, one list."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile

from trawl.search import QueryPart
from trawl.server.keys import reads
from trawl.server.problems import documented
from trawl.server.routes.answering import respond
from trawl.server.service import Ask, ServiceOf, normalised
from trawl.server.uploads import check_size, read_picture
from trawl.types import Modality
from trawl.wire import SearchResponse

router = APIRouter(tags=["Search"], dependencies=[reads])

Wanted: TypeAlias = Literal["all", "text", "image", "audio"]

_WANTED = "What may be found: passages (`text`), pictures (`image`), sounds (`audio`), or `all`."
_TOP_K = "How many results, at most."


@router.get(
    "/search",
    summary="Search by words",
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
            description="What to look for, in plain words.",
            examples=["decay of the muon"],
        ),
    ],
    modality: Annotated[Wanted, Query(description=_WANTED)] = "all",
    top_k: Annotated[int, Query(ge=1, le=100, description=_TOP_K)] = 10,
    use_cache: Annotated[
        bool, Query(description="Whether an answer that was given before may be given again.")
    ] = True,
) -> Response:
    """Find passages, pictures and sounds by words: one list, best first.

    Every result tells why it stands where it does (`evidence`). Where nothing in the
    library is a good match, the nearest there is comes back and `no_good_match` is true.
    """

    ask = Ask(normalised(query), modality=_modalities(modality), limit=top_k)
    found = await service.ask(ask, use_cache=use_cache)
    return respond(query, found, request)


@router.post(
    "/search-by-image",
    summary="Search by a picture",
    response_model=SearchResponse,
    responses=documented(400, 401, 403, 408, 413, 415, 422, 429, 503),
)
async def search_by_image(
    request: Request,
    service: ServiceOf,
    file: Annotated[UploadFile, File(description="A picture: PNG, JPEG, GIF, BMP, WebP or TIFF.")],
    modality: Annotated[Wanted, Form(description=_WANTED)] = "all",
    top_k: Annotated[int, Form(ge=1, le=100, description=_TOP_K)] = 10,
) -> Response:
    """Find what belongs to a picture: pictures like it, and passages and sounds about it.

    The picture is read and forgotten: nothing of it is kept.
    """
    check_size(file, service.settings.max_upload_bytes)

    def load() -> list[QueryPart]:
        picture = read_picture(file.file, service.library.settings.max_pixels)
        return [QueryPart("image", picture)]

    ask = Ask(modality=_modalities(modality), limit=top_k)
    found = await service.ask_with(ask, load)
    return respond(file.filename or "", found, request)


def _modalities(wanted: Wanted) -> frozenset[Modality]:
    return frozenset() if wanted == "all" else frozenset({wanted})
