"""The application: the routes, what surrounds them, and what starts with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio.to_thread
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from trawl import __version__
from trawl.library import Library
from trawl.server import docs, problems
from trawl.server.intake import Intake
from trawl.server.job_process import Ingester
from trawl.server.jobs import JobStore
from trawl.server.keys import Keyring
from trawl.server.limiting import Proxies, RateLimiter, SharedCount
from trawl.server.metrics import Metrics
from trawl.server.middleware import BodyLimit, Gate, RequestContext
from trawl.server.pool import WorkPool
from trawl.server.routes import chunks, operation, search, v1_documents, v1_jobs, v1_search
from trawl.server.runner import JobRunner
from trawl.server.service import Service
from trawl.server.shedding import Shed
from trawl.settings import Settings

if TYPE_CHECKING:
    from trawl.server.tracing import Tracing

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

# Decoding a picture or a sound costs more than looking words up, and adding more than that.
_COSTS = {
    ("POST", "/search-by-image"): 2,
    ("POST", "/v1/search/audio"): 2,
    ("POST", "/v1/documents"): 5,
}
_QUESTIONS = ("/search", "/v1/search")
_TICK_S = 5.0
_EXEMPT = ("/health", "/docs", "/openapi.json", "/metrics", "/v1/jobs/")


def _cost(method: str, path: str) -> int:
    """Say how many requests a request counts for."""
    return _COSTS.get((method, path), 1)


def _exempt(path: str) -> bool:
    """Tell what is not counted: probes, documentation, a list's pictures, a look at a job."""
    return path.startswith(_EXEMPT) or path.endswith("/thumbnail")


def create_app(
    library: Library,
    settings: Settings | None = None,
    *,
    metrics: Metrics | None = None,
    tracing: Tracing | None = None,
    ingester: Ingester | None = None,
) -> FastAPI:
    """Give an application that answers questions about `library`, which stays the caller's.

    `settings` are the library's own where they are not given; `metrics` is what it counts
    with, `tracing` where its spans go, by default where the settings say, and `ingester` what
    adds the files of jobs, by default threads of this process. Raises `SettingsError` where
    an extra is missing that the settings ask for.
    """
    settings = settings or library.settings
    metrics = metrics or Metrics()
    tracing = tracing or _tracing(settings)
    service = Service(library, settings, metrics, tracing, ingester)
    jobs = JobStore(library.path / ".jobs.sqlite3")
    runner = JobRunner(service, jobs)
    count = _shared_count(settings, metrics)

    async def measure() -> None:
        metrics.jobs_waiting.set(await anyio.to_thread.run_sync(jobs.queued))
        await service.measure()

    async def keep_measuring() -> None:
        while not service.stopping:
            await measure()
            await asyncio.sleep(_TICK_S)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(service.warm()), asyncio.create_task(runner.run())]
        if metrics.is_shared:
            # Whoever is asked for the numbers cannot ask the other processes.
            tasks.append(asyncio.create_task(keep_measuring()))
        try:
            yield
        finally:
            service.stop()
            runner.call()
            await service.ingester.close(service.grace_s)
            _, pending = await asyncio.wait(tasks, timeout=service.grace_s)
            service.unfinished = bool(pending)
            await service.close()
            if count is not None:
                await count.close()
            if tracing is not None:
                await anyio.to_thread.run_sync(tracing.close)

    app = FastAPI(
        title=docs.TITLE,
        description=docs.DESCRIPTION,
        version=__version__,
        openapi_tags=docs.TAGS,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        # Traces and numbers of its own would cost each request; these are in `metrics`.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.state.service = service
    app.state.jobs = jobs
    app.state.runner = runner
    app.state.intake = Intake(library.path)
    app.state.measure = measure
    _surround(app, settings, metrics, tracing, count, service.pool)
    problems.install(app, library.path, metrics.rejected)
    docs.install(app, asks_for_keys=bool(settings.api_keys))
    for routes in (search, v1_search, v1_documents, chunks, v1_jobs, operation):
        app.include_router(routes.router)
    return app


def _surround(
    app: FastAPI,
    settings: Settings,
    metrics: Metrics,
    tracing: Tracing | None,
    count: SharedCount | None,
    searching: WorkPool,
) -> None:
    """Put around the routes what every request passes."""
    # The last one added is the outermost.
    app.add_middleware(
        BodyLimit,
        max_upload_bytes=settings.max_upload_bytes,
        max_json_bytes=settings.max_json_bytes,
        timeout_s=settings.upload_timeout_s,
    )
    app.add_middleware(
        Shed, paths=_QUESTIONS, overload=searching.overload, rejected=metrics.rejected
    )
    app.add_middleware(
        Gate,
        keyring=Keyring(settings.api_keys),
        limiter=RateLimiter(settings.rate_limit, count),
        proxies=Proxies(settings.trusted_proxies),
        exempt=_exempt,
        cost=_cost,
        rejected=metrics.rejected,
    )
    app.add_middleware(
        RequestContext, headers=_HEADERS, unpaced=_exempt, metrics=metrics, tracing=tracing
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["Authorization", "X-API-Key", "X-Request-ID", "Content-Type"],
            expose_headers=["X-Request-ID", "Cache-Status", "RateLimit", "Retry-After", "Location"],
        )


def _tracing(settings: Settings) -> Tracing | None:
    if settings.otlp_endpoint is None:
        return None
    from trawl.server.tracing import Tracing

    return Tracing(settings.otlp_endpoint)


def _shared_count(settings: Settings, metrics: Metrics) -> SharedCount | None:
    store = settings.limits_store or settings.cache
    return SharedCount(store, metrics) if store != "memory" and settings.rate_limit else None
