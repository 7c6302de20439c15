"""The map of the library: its state, its points, and the chunks at them."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from fastapi import APIRouter, Depends, Query, Request, Response

from trawl.errors import GoneError, NotFoundError
from trawl.libraries.served import are_several
from trawl.library import LibraryMap
from trawl.library.mapping import progress_of
from trawl.server.auth import reads
from trawl.server.errors import documented
from trawl.server.files import matches
from trawl.server.mapper import Mapper
from trawl.server.routes.documents import IfNoneMatch
from trawl.server.schemas import ChunkName
from trawl.server.service import Service, ServiceOf, root_path
from trawl.types import MODALITIES, Modality
from trawl.wire import ChunkOut, MapChunk, MapChunks, MapState

router = APIRouter(tags=["Documents"], dependencies=[reads])


async def _mapper(request: Request) -> Mapper:
    return cast(Mapper, request.app.state.mapper)


MapperOf = Annotated[Mapper, Depends(_mapper)]
Tag = Annotated[str, Query(max_length=200, description="The `tag` of the map.")]


@router.get(
    "/v1/map",
    summary="Get the state of the map",
    responses=documented(401, 403, 429, 503),
)
async def state(service: ServiceOf, mapper: MapperOf) -> MapState:
    """Return the state of the library's map, a projection of its chunks onto a plane.

    The first request starts computing it, in a process of its own; so does one after the library
    has changed. The earlier points remain available meanwhile.
    """
    return await service.pool.run(_state, service, mapper)


def _state(service: Service, mapper: Mapper) -> MapState:
    if are_several(service.library):
        raise NotFoundError("several libraries have no map; serve one of them alone")
    busy = mapper.update()
    known = service.library.map()
    current = known is not None and known.state == service.library.state
    named: Literal["ready", "computing", "failed"] = "ready"
    if not current:
        named = "computing" if busy or not mapper.failure else "failed"
    counts: dict[Modality, int] = {}
    if known is not None:
        counts = {
            modality: int((known.kinds == number).sum())
            for number, modality in enumerate(MODALITIES)
        }
    return MapState(
        state=named,
        progress=1.0 if current else progress_of(service.library.work_dir) or 0.0,
        error=mapper.failure if named == "failed" else None,
        tag=known.tag if known is not None else None,
        version=known.version if known is not None else None,
        points=len(known.ids) if known is not None else 0,
        counts=counts,
    )


@router.get(
    "/v1/map/points",
    summary="Get the points of the map",
    response_class=Response,
    responses={
        200: {
            "description": "The points.",
            "content": {"application/octet-stream": {"schema": {"type": "string"}}},
        },
        304: {"description": "The client's copy is current."},
        **documented(401, 403, 404, 422, 429, 503),
    },
)
async def points(service: ServiceOf, if_none_match: IfNoneMatch = None) -> Response:
    """Return 5 bytes a point: all x, all y (int16, little-endian), then all modalities (uint8).

    A modality is 0 (text), 1 (image) or 2 (audio). The `tag` of the map is the ETag; the index of a
    point is valid for that tag.
    """
    known = await service.pool.run(_known, service, None)
    headers = {"ETag": f'"{known.tag}"', "Cache-Control": "private, no-cache"}
    if if_none_match is not None and matches(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(known.as_bytes(), media_type="application/octet-stream", headers=headers)


@router.get(
    "/v1/map/chunks",
    summary="Get the chunks at points of the map",
    responses=documented(401, 403, 404, 410, 422, 429, 503),
)
async def chunks(
    request: Request,
    service: ServiceOf,
    tag: Tag,
    at: Annotated[
        list[Annotated[int, Query(ge=0, le=2**31)]] | None,
        Query(max_length=100, description="Indexes of points."),
    ] = None,
    id: Annotated[
        list[ChunkName] | None,
        Query(max_length=1000, description="Ids of chunks, such as those of results."),
    ] = None,
) -> MapChunks:
    """Return the chunks at some points, and the indexes of the points of some chunks.

    Chunks that are not on the map, or no longer in the library, are left out. If the map has
    changed since `tag`, the response is 410.
    """
    root = root_path(request)

    def look_up() -> MapChunks:
        known = _known(service, tag)
        names = {n: known.ids[n].decode() for n in at or () if n < len(known.ids)}
        stored = {one.chunk_id: one for one in service.library.chunks(list(names.values()))}
        return MapChunks(
            chunks=[
                MapChunk(at=n, chunk=ChunkOut.from_chunk(stored[name], root))
                for n, name in names.items()
                if name in stored
            ],
            indexes=known.find(id or []),
        )

    return await service.pool.run(look_up)


def _known(service: Service, tag: str | None) -> LibraryMap:
    known = service.library.map()
    if known is None:
        raise NotFoundError("there is no map yet; GET /v1/map starts computing it")
    if tag is not None and tag != known.tag:
        raise GoneError("the map has changed; get it again")
    return known
