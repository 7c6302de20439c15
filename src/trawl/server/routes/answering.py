"""Render the answers of all search routes."""

from __future__ import annotations

from fastapi import Request, Response

from trawl.server.service import Found, cache_status, root_path
from trawl.wire import answer_fields, to_bytes


def respond(query: str, found: Found, request: Request, *, detailed: bool = False) -> Response:
    """Return an answer as a `SearchResponse`, or as a `DetailedResponse`."""
    fields = {
        "query": query,
        "query_time_ms": round(found.took_ms, 3),
        **answer_fields(found.answer, root_path(request), detailed=detailed),
    }
    return Response(
        to_bytes(fields),
        media_type="application/json",
        headers={"Cache-Status": cache_status(found)},
    )
