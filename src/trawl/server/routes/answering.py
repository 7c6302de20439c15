"""Answers as responses, written once: they are most of what the server says."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from pydantic_core import to_json

from trawl.server.models import answer_fields, detail_fields
from trawl.server.service import Found, cache_status, root_path


def respond(query: str, found: Found, request: Request, *, detailed: bool = False) -> Response:
    """Give an answer as a `SearchResponse`, or a `DetailedResponse`, has it.

    The fields are written as they are: making models of them first, and checking what the
    server itself has made, takes as long as all the rest. Tests hold them to the models.
    """
    fields = answer_fields(query, found.answer, found.took_ms, root_path(request))
    if detailed:
        fields |= detail_fields(found.answer)
    return Response(
        to_json(fields, fallback=_number),
        media_type="application/json",
        headers={"Cache-Status": cache_status(found)},
    )


def _number(value: Any) -> Any:
    """Give a number of numpy's as one of Python's."""
    return value.item()
