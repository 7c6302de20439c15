"""Health and metrics, for operators."""

from __future__ import annotations

from typing import Literal

import anyio.to_thread
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from trawl.server.auth import administers
from trawl.server.errors import documented
from trawl.server.metrics import CONTENT_TYPE
from trawl.server.service import ServiceOf
from trawl.types import Modality

router = APIRouter(tags=["Operation"])


class Health(BaseModel):
    """The state of the server, and counts of its library."""

    status: Literal["ok", "degraded", "starting", "failed"] = Field(
        description="`degraded` if the object store does not respond and searches continue on the "
        "version that is known; `starting` while the model loads; `failed` if the model or library "
        "is broken."
    )
    documents: int | None = Field(
        description="Number of documents; null if the library cannot be read.",
        examples=[120],
    )
    chunks: dict[Modality, int] | None = Field(
        description="Number of passages, pictures and sound segments.",
        examples=[{"text": 812, "image": 143, "audio": 20}],
    )
    model_ready: bool = Field(description="Whether the model is loaded.")


class Alive(BaseModel):
    """The process responds."""

    status: Literal["ok"] = "ok"


@router.get("/health/live", summary="Liveness")
async def live(response: Response) -> Alive:
    """Return 200 while the process responds. The library is not checked."""
    response.headers["Cache-Control"] = "no-store"
    return Alive()


@router.get(
    "/health/ready",
    summary="Readiness",
    responses={503: {"model": Health, "description": "The server is not ready."}},
)
async def ready(service: ServiceOf, response: Response) -> Health:
    """Return 200 if requests should be sent here, 503 if not."""
    return await health(service, response)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    dependencies=[administers],
    responses={
        200: {"description": "The text format of Prometheus.", "content": {"text/plain": {}}},
        **documented(401, 403),
    },
)
async def metrics(request: Request, service: ServiceOf) -> Response:
    """Return durations of requests and stages, queue lengths, and counts of the library."""
    await request.app.state.measure()
    page = await anyio.to_thread.run_sync(service.metrics.page)
    return Response(page, headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})


@router.get(
    "/health",
    summary="Health",
    responses={503: {"model": Health, "description": "The server is not ready, or has failed."}},
)
async def health(service: ServiceOf, response: Response) -> Health:
    """Return 200 if the server can be used, 503 if not."""
    found = await service.recent_status()
    ready = service.readiness == "ready"
    status: Literal["ok", "degraded", "starting", "failed"]
    if found is None or service.readiness == "failed":
        status = "failed"
    elif not ready:
        status = "starting"
    else:
        status = "degraded" if service.is_cut_off else "ok"
    response.headers["Cache-Control"] = "no-store"
    response.status_code = 200 if status in ("ok", "degraded") else 503
    return Health(
        status=status,
        documents=found.documents if found is not None else None,
        chunks=dict(found.chunks) if found is not None else None,
        model_ready=ready,
    )
