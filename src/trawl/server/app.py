"""Create the application: the routes, the middleware around them, and its lifespan."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

import anyio.to_thread
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from trawl import __version__
from trawl.libraries.served import are_several
from trawl.library import Library
from trawl.locations import Bucket
from trawl.server import errors, openapi, page
from trawl.server.auth import Keyring
from trawl.server.bucket_jobs import BucketJobs, BucketUploads
from trawl.server.job_process import Ingester
from trawl.server.jobs import JobRunner, Jobs, JobStore
from trawl.server.limits import RateLimiter, SharedCount, WorkPool
from trawl.server.mapper import Mapper
from trawl.server.metrics import Metrics
from trawl.server.middleware import (
    AccessControl,
    BodyLimit,
    HeadRequests,
    LoadShedding,
    RequestContext,
)
from trawl.server.parameters import known_parameters
from trawl.server.proxy import Forwarding, Proxies
from trawl.server.routes import atlas, documents, jobs, operation, search, views
from trawl.server.routes.quick import QuickSearch
from trawl.server.service import Service
from trawl.server.uploads import Uploads, UploadStore
from trawl.settings import Settings

if TYPE_CHECKING:
    from trawl.server.tracing import Tracing

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

# Decoding a picture or a sound costs more than a text search, and adding costs most.
_COSTS = {
    ("POST", "/search-by-image"): 2,
    ("POST", "/v1/search/audio"): 2,
    ("POST", "/v1/documents"): 5,
}
_CORS_METHODS = ["GET", "HEAD", "POST", "PATCH", "DELETE"]
# All that the documentation names, except those that browsers always send or expose.
_CORS_REQUEST = [
    "Authorization",
    "Content-Type",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "Range",
    "Traceparent",
    "X-API-Key",
    "X-Request-ID",
]
_CORS_RESPONSE = [
    "Accept-Ranges",
    "Allow",
    "Cache-Status",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
]
_SEARCHES = ("/search", "/v1/search")
_MEASURE_S = 5.0
# What a page of results shows besides: thumbnails, and views, whose work has bounds of its own.
_SHOWN = ("/thumbnail", "/page", "/picture", "/peaks")
_EXEMPT = ("/health", "/docs", "/openapi.json", "/metrics", "/v1/jobs/", "/v1/map", "/ui/")


def _cost(method: str, path: str) -> int:
    """Return how many requests a request counts for."""
    return _COSTS.get((method, path), 1)


def _exempt(path: str) -> bool:
    """Return whether the rate limit ignores a path: probes, pages, thumbnails, views, jobs."""
    return path.startswith(_EXEMPT) or path in page.ADDRESSES or path.endswith(_SHOWN)


def _stores_of(library: Library) -> tuple[Jobs, Uploads]:
    """Return where jobs and uploads are stored: beside the library."""
    place = library.location
    if isinstance(place, Bucket):
        return BucketJobs(place), BucketUploads(place)
    assert place.path is not None
    return JobStore(place.path / ".jobs.sqlite3"), UploadStore(place.path)


def _hidden(library: Library) -> tuple[str, ...]:
    """Return the names of the library's place, which responses do not show."""
    if are_several(library):
        return tuple(getattr(library, "addresses", ()))
    if library.path is None:
        return (library.location.address,)
    return (str(library.path.resolve()), str(library.path))


def create_app(
    library: Library,
    settings: Settings | None = None,
    *,
    metrics: Metrics | None = None,
    tracing: Tracing | None = None,
    ingester: Ingester | None = None,
) -> FastAPI:
    """Return an application that serves `library`, which the caller closes.

    `settings` default to the library's, `metrics` to new ones, and `tracing` to what the
    settings configure. `ingester` adds the files of jobs, by default in a thread of this
    process. Raises `SettingsError` if the settings need an extra that is not installed.
    """
    settings = settings or library.settings
    metrics = metrics or Metrics()
    tracing = tracing or _tracing(settings)
    service = Service(library, settings, metrics, tracing, ingester)
    job_store, uploads = _stores_of(library)
    runner = JobRunner(service, job_store)
    count = _shared_count(settings, metrics)
    mapper = Mapper(library)

    async def measure() -> None:
        metrics.jobs_waiting.set(await anyio.to_thread.run_sync(job_store.queued))
        await service.measure()

    app = FastAPI(
        title=openapi.TITLE,
        description=openapi.DESCRIPTION,
        version=__version__,
        openapi_tags=openapi.TAGS,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(service, runner, measure, count, mapper),
        # FastAPI's own telemetry would cost each request time; see `metrics` and `tracing`.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.state.service = service
    app.state.jobs = job_store
    app.state.runner = runner
    app.state.uploads = uploads
    app.state.measure = measure
    app.state.mapper = mapper
    _add_middleware(app, settings, metrics, tracing, count, service.pool)
    errors.install(app, _hidden(library), metrics.rejected)
    openapi.install(app, has_keys=bool(settings.api_keys))
    page.install(app, development=settings.development)
    for routes in (search, documents, views, atlas, jobs):
        app.include_router(routes.router, dependencies=[known_parameters])
    app.include_router(operation.router)
    app.router.routes.insert(0, QuickSearch(service))
    return app


def _lifespan(
    service: Service,
    runner: JobRunner,
    measure: Callable[[], Awaitable[None]],
    count: SharedCount | None,
    mapper: Mapper,
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Return the lifespan: load the models and run jobs, and stop both in time."""

    async def keep_measuring() -> None:
        while not service.stopping:
            await measure()
            await asyncio.sleep(_MEASURE_S)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(service.warm()), asyncio.create_task(runner.run())]
        if service.metrics.is_shared:
            # The process that serves /metrics cannot ask the others for their gauges.
            tasks.append(asyncio.create_task(keep_measuring()))
        try:
            yield
        finally:
            service.stop()
            runner.wake()
            mapper.close()
            await service.ingester.close(service.grace_s)
            _, pending = await asyncio.wait(tasks, timeout=service.grace_s)
            service.unfinished = bool(pending)
            await service.close()
            if count is not None:
                await count.close()
            if service.tracing is not None:
                await anyio.to_thread.run_sync(service.tracing.close)

    return lifespan


def _add_middleware(
    app: FastAPI,
    settings: Settings,
    metrics: Metrics,
    tracing: Tracing | None,
    count: SharedCount | None,
    searching: WorkPool,
) -> None:
    proxies = Proxies(settings.trusted_proxies)
    # The last one added is the outermost.
    app.add_middleware(
        BodyLimit,
        max_upload_bytes=settings.max_upload_bytes,
        max_json_bytes=settings.max_json_bytes,
        timeout_s=settings.upload_timeout_s,
    )
    app.add_middleware(HeadRequests)
    app.add_middleware(
        LoadShedding, paths=_SEARCHES, overload=searching.overload, rejected=metrics.rejected
    )
    app.add_middleware(
        AccessControl,
        keyring=Keyring(settings.api_keys),
        limiter=RateLimiter(settings.rate_limit, count),
        proxies=proxies,
        exempt=_exempt,
        cost=_cost,
        rejected=metrics.rejected,
    )
    app.add_middleware(
        RequestContext, headers=_HEADERS, undelayed=_exempt, metrics=metrics, tracing=tracing
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=_CORS_METHODS,
            allow_headers=_CORS_REQUEST,
            expose_headers=_CORS_RESPONSE,
        )
    app.add_middleware(Forwarding, proxies=proxies, root_path=settings.root_path)


def _tracing(settings: Settings) -> Tracing | None:
    if settings.otlp_endpoint is None:
        return None
    from trawl.server.tracing import Tracing

    return Tracing(settings.otlp_endpoint)


def _shared_count(settings: Settings, metrics: Metrics) -> SharedCount | None:
    store = settings.limits_store or settings.cache
    return SharedCount(store, metrics) if store != "memory" and settings.rate_limit else None
