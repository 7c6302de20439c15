"""For those who run the server: whether it can be used, and its numbers."""

from __future__ import annotations

from typing import Literal

import anyio.to_thread
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from trawl.server.keys import administers
from trawl.server.metrics import CONTENT_TYPE
from trawl.server.problems import documented
from trawl.server.service import ServiceOf
from trawl.types import Modality

router = APIRouter(tags=["Operation"])


class Health(BaseModel):
    """Whether the server can be used, and what is in its library."""

    status: Literal["ok", "starting", "failed"] = Field(
        description="`starting` while the model loads; `failed` where model or library are broken."
    )
    documents: int | None = Field(
        description="Documents that can be found; null where the library cannot be read.",
        examples=[120],
    )
    chunks: dict[Modality, int] | None = Field(
        description="Passages, pictures and windows of sound.",
        examples=[{"text": 812, "image": 143, "audio": 20}],
    )
    model_ready: bool = Field(description="Whether the first question will be a fast one.")


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


@router.get("/health/live", summary="Liveness")
async def live(response: Response) -> Alive:
    """Tell that the process answers. It does not look at the library."""
    response.headers["Cache-Control"] = "no-store"
    return Alive()


@router.get(
    "/health/ready",
    summary="Readiness",
    responses={503: {"model": Health, "description": "Questions should go elsewhere for now."}},
)
async def ready(service: ServiceOf, response: Response) -> Health:
    """Tell whether questions should be sent here: 200 when they should, 503 when not."""
    return await health(service, response)


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    dependencies=[administers],
    responses={
        200: {"description": "Prometheus' text format.", "content": {"text/plain": {}}},
        **documented(401, 403),
    },
)
async def metrics(request: Request, service: ServiceOf) -> Response:
    """Give the times of requests and stages, and what is queued, cached and in the library."""
    await request.app.state.measure()
    page = await anyio.to_thread.run_sync(service.metrics.page)
    return Response(page, headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})


@router.get(
    "/health",
    summary="Health",
    responses={503: {"model": Health, "description": "The server cannot be used yet, or at all."}},
)
async def health(service: ServiceOf, response: Response) -> Health:
    """Tell whether the server can be used: 200 when it can, 503 when it cannot."""
    found = await service.look()
    ready = service.readiness == "ready"
    status: Literal["ok", "starting", "failed"]
    if found is None or service.readiness == "failed":
        status = "failed"
    else:
        status = "ok" if ready else "starting"
    response.headers["Cache-Control"] = "no-store"
    response.status_code = 200 if status == "ok" else 503
    return Health(
        status=status,
        documents=found.documents if found is not None else None,
        chunks=dict(found.chunks) if found is not None else None,
        model_ready=ready,
    )
