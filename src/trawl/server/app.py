"""The application: the routes, what surrounds them, and what starts with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from trawl.library import Library
from trawl.server import docs, problems
from trawl.server.intake import Intake
from trawl.server.jobs import JobStore
from trawl.server.keys import Keyring
from trawl.server.limiting import Proxies, RateLimiter
from trawl.server.middleware import BodyLimit, Gate, RequestContext
from trawl.server.routes import chunks, operation, search, v1_documents, v1_jobs, v1_search
from trawl.server.runner import JobRunner
from trawl.server.service import Service
from trawl.settings import Settings

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
# What is being added when the server stops ends with its file.
_GRACE_S = 5
_EXEMPT = ("/health", "/docs", "/openapi.json", "/metrics", "/v1/jobs/")


def _cost(method: str, path: str) -> int:
    """Say how many requests a request counts for."""
    return _COSTS.get((method, path), 1)


def _exempt(path: str) -> bool:
    """Tell what is not counted: probes, documentation, a list's pictures, a look at a job."""
    return path.startswith(_EXEMPT) or path.endswith("/thumbnail")


def create_app(library: Library, settings: Settings | None = None) -> FastAPI:
    """Give an application that answers questions about `library`, which stays the caller's.

    `settings` are the library's own where they are not given.
    """
    settings = settings or library.settings
    service = Service(library, settings)
    jobs = JobStore(library.path / ".jobs.sqlite3")
    runner = JobRunner(service, jobs)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(service.warm()), asyncio.create_task(runner.run())]
        try:
            yield
        finally:
            service.stopping = True
            runner.call()
            await asyncio.wait(tasks, timeout=_GRACE_S)

    app = FastAPI(
        title=docs.TITLE,
        description=docs.DESCRIPTION,
        version=version("trawl"),
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
    # The last one added is the outermost.
    app.add_middleware(
        BodyLimit,
        max_upload_bytes=settings.max_upload_bytes,
        max_json_bytes=settings.max_json_bytes,
        timeout_s=settings.upload_timeout_s,
    )
    app.add_middleware(
        Gate,
        keyring=Keyring(settings.api_keys),
        limiter=RateLimiter(settings.rate_limit),
        proxies=Proxies(settings.trusted_proxies),
        exempt=_exempt,
        cost=_cost,
    )
    app.add_middleware(RequestContext, headers=_HEADERS, metrics=service.metrics)
    problems.install(app, library.path)
    docs.install(app, asks_for_keys=bool(settings.api_keys))
    for routes in (search, v1_search, chunks, v1_documents, v1_jobs, operation):
        app.include_router(routes.router)
    return app
