"""Map errors to problem documents (RFC 9457).

The status comes from the tree in `trawl.errors`. The table here adds a stable name, a title, and
for errors whose messages name paths or models a fixed detail: the message itself goes to the
log, under the request id that the document carries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.types import Scope

from trawl import errors
from trawl.errors import OverloadedError as OverloadedError
from trawl.server.proxy import route_path
from trawl.telemetry import logger

MEDIA_TYPE = "application/problem+json"
REQUEST_ID_HEADER = "X-Request-ID"
_URN = "urn:problem:trawl:"
_IN_THE_LOG = "The server's log has the reason under this request id."
_REQUEST_ID = "5f0c6e0b6a3f4f0e9d0a9a2c1b7e8d43"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: a stable name and a title. `detail` replaces the error's message."""

    name: str
    title: str
    detail: str | None = None


KINDS: Mapping[type[errors.TrawlError], Kind] = {
    errors.FilterError: Kind("filter", "Invalid filter"),
    errors.QueryError: Kind("query", "Invalid query"),
    errors.UsageError: Kind("usage", "Invalid request"),
    errors.NotFoundError: Kind("not-found", "Not found in this library"),
    errors.GoneError: Kind("gone", "The document's file is gone or has changed"),
    errors.MetadataError: Kind("metadata", "The metadata does not fit the library"),
    errors.ReadError: Kind("unreadable", "The file cannot be read"),
    errors.LibraryReadOnlyError: Kind(
        "read-only",
        "The library is read-only",
        "The server cannot write to this library; it can only be searched.",
    ),
    errors.LibraryLockedError: Kind(
        "library-locked",
        "The library is locked",
        "A job or another process is writing to the library; retry later.",
    ),
    errors.SpaceMismatchError: Kind(
        "space-mismatch",
        "The library was made with another model",
        f"The library was made with another model than the server's. {_IN_THE_LOG}",
    ),
    errors.LibraryError: Kind(
        "library-unavailable",
        "The library is unavailable",
        f"The library cannot be used at present. {_IN_THE_LOG}",
    ),
    errors.ModelError: Kind(
        "model-unavailable",
        "The model is unavailable",
        f"The model cannot be used at present. {_IN_THE_LOG}",
    ),
    errors.OverloadedError: Kind("overloaded", "Too many requests are waiting"),
    errors.TrawlError: Kind("internal", "Internal error", f"An internal error. {_IN_THE_LOG}"),
}
"""Looked up by the class of an error, then by its base classes in turn."""

HTTP_KINDS: Mapping[int, Kind] = {
    400: Kind("malformed", "Malformed request"),
    401: Kind("unauthorised", "An API key is required"),
    403: Kind("forbidden", "The API key lacks the required scope"),
    404: Kind("no-such-address", "No such address"),
    405: Kind("method", "Method not allowed"),
    408: Kind("too-slow", "The request took too long to arrive"),
    412: Kind("changed", "The document has changed"),
    413: Kind("too-large", "The request is too large"),
    415: Kind("unreadable", "The type or encoding of the body is not supported"),
    416: Kind("range", "Range not satisfiable"),
    507: Kind("full", "The server's disk is full"),
    429: Kind("too-many-requests", "Rate limit exceeded"),
}
"""Errors of the request itself, by status."""

INVALID = Kind("invalid", "A parameter is missing, unknown or invalid")
INVALID_STATUS = 422
INTERNAL = KINDS[errors.TrawlError]


class InvalidParameter(BaseModel):
    """One invalid parameter."""

    where: str = Field(description="The parameter, as a dotted path.", examples=["query.top_k"])
    reason: str = Field(examples=["Input should be less than or equal to 100"])


class Problem(BaseModel):
    """An error, as RFC 9457 defines it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": f"{_URN}invalid",
                "title": INVALID.title,
                "status": 422,
                "detail": "query.top_k: Input should be less than or equal to 100",
                "request_id": _REQUEST_ID,
                "errors": [
                    {
                        "where": "query.top_k",
                        "reason": "Input should be less than or equal to 100",
                    }
                ],
            }
        }
    )

    type: str = Field(description="The kind of problem, as a stable name.")
    title: str = Field(description="The kind of problem, for people.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened and what to do about it.")
    request_id: str = Field(description="Identifies this request in the server's log.")
    errors: list[InvalidParameter] | None = Field(
        None, description="The invalid parameters; only for `invalid`."
    )


def problem(
    kind: Kind,
    status: int,
    detail: str,
    scope: Scope,
    *,
    headers: Mapping[str, str] | None = None,
    invalid: list[InvalidParameter] | None = None,
) -> Response:
    """Return a response with a problem document, for the request of `scope`."""
    request_id = str(scope.get("state", {}).get("request_id", ""))
    return Response(
        problem_json(kind, status, detail, request_id, invalid),
        status_code=status,
        headers=dict(headers or {}),
        media_type=MEDIA_TYPE,
    )


def problem_json(
    kind: Kind,
    status: int,
    detail: str,
    request_id: str,
    invalid: list[InvalidParameter] | None = None,
) -> bytes:
    document = Problem(
        type=_URN + kind.name,
        title=kind.title,
        status=status,
        detail=detail,
        request_id=request_id,
        errors=invalid,
    )
    return document.model_dump_json(exclude_none=True).encode()


def problem_of(error: errors.TrawlError, scope: Scope, hidden: Sequence[str] = ()) -> Response:
    """Return the response for an error, without the paths in `hidden`."""
    kind = kind_of(error)
    retry_after = getattr(error, "retry_after_s", None)
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else None
    detail = str(error) if kind.detail is None else kind.detail
    for path in hidden:
        detail = detail.replace(path, "this library")
    return problem(kind, error.http_status, detail, scope, headers=headers)


def kind_of(error: errors.TrawlError) -> Kind:
    """Return the kind of an error's class, or of its nearest base class that has one."""
    return next(KINDS[cls] for cls in type(error).__mro__ if cls in KINDS)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that can fail with these statuses."""
    return {
        status: {
            "description": _usual_kind(status).title,
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "example": _example(status),
                }
            },
        }
        for status in statuses
    }


def _usual_kind(status: int) -> Kind:
    raised: Mapping[int, type[errors.TrawlError]] = {
        404: errors.NotFoundError,
        409: errors.LibraryLockedError,
        410: errors.GoneError,
        503: errors.OverloadedError,
    }
    if status == INVALID_STATUS:
        return INVALID
    return KINDS[raised[status]] if status in raised else HTTP_KINDS[status]


def _example(status: int) -> dict[str, Any]:
    kind = _usual_kind(status)
    example: dict[str, Any] = {
        "type": _URN + kind.name,
        "title": kind.title,
        "status": status,
        "detail": kind.detail or "What happened and what to do about it.",
        "request_id": _REQUEST_ID,
    }
    if status == INVALID_STATUS:
        wrong = {"where": "query.limit", "reason": "Input should be greater than or equal to 1"}
        example |= {"detail": f"{wrong['where']}: {wrong['reason']}", "errors": [wrong]}
    return example


def install(app: FastAPI, hidden: Sequence[str], rejected: Callable[[str], None]) -> None:
    """Make the application answer every error with a problem document.

    `hidden` are paths that are removed from messages; `rejected` is called with the reason
    when a request is refused for lack of capacity.
    """

    # Starlette would run handlers that are not coroutines in a thread.
    @app.exception_handler(errors.TrawlError)
    async def trawl_error(request: Request, error: errors.TrawlError) -> Response:
        if isinstance(error, OverloadedError):
            rejected(error.reason)
        elif isinstance(error, errors.LibraryLockedError):
            rejected("library_locked")
        elif isinstance(error, errors.LibraryReadOnlyError):
            logger.warning("%s", error)
        elif kind_of(error).detail is not None:
            logger.error("%s", error, exc_info=error)
        return problem_of(error, request.scope, hidden)

    @app.exception_handler(RequestValidationError)
    async def invalid_request(request: Request, error: RequestValidationError) -> Response:
        invalid = _invalid_parameters(error.errors())
        detail = "; ".join(f"{one.where}: {one.reason}" for one in invalid)
        return problem(INVALID, 422, detail, request.scope, invalid=invalid)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        kind = HTTP_KINDS.get(status, Kind("http", status.phrase))
        detail = error.detail if error.detail != status.phrase else _detail(request, status)
        headers = dict(error.headers or {})
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            # Starlette lists the methods of one route; an address may have several.
            methods = sorted(set(_methods(app, request)))
            headers["Allow"] = ", ".join(methods) or headers.get("Allow", "GET")
        return problem(kind, status, detail, request.scope, headers=headers)


def _methods(app: FastAPI, request: Request) -> Iterator[str]:
    """Yield the methods that the OpenAPI document has for the address of a request."""
    for path, operations in app.openapi()["paths"].items():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))
        if re.fullmatch(pattern, route_path(request.scope)):
            yield from (method.upper() for method in operations)
            if "get" in operations:
                yield "HEAD"


def _invalid_parameters(found: Sequence[Any], limit: int = 20) -> list[InvalidParameter]:
    """Return the invalid parameters without their values, which may be long or private."""
    return [
        InvalidParameter(
            where=".".join(str(step) for step in one["loc"])[:200],
            reason=str(one["msg"])[:500],
        )
        for one in found[:limit]
    ]


def _detail(request: Request, status: HTTPStatus) -> str:
    if status == HTTPStatus.NOT_FOUND:
        return "There is no such address; /docs lists all of them."
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{request.method} is not supported here; /docs lists the methods."
    return status.description or status.phrase
