"""Errors as problem documents (RFC 9457), from one table.

The status comes from the tree in `trawl.errors`; the table adds a stable name, a title, and
whether the error's own message may leave the server. Messages about what was asked may;
those about the library, its models or its disk name paths, so they stay in the log, which
the request id of the document leads to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.types import Scope

from trawl import errors
from trawl.errors import OverloadedError as OverloadedError
from trawl.telemetry import logger

MEDIA_TYPE = "application/problem+json"
REQUEST_ID_HEADER = "X-Request-ID"
_URN = "urn:problem:trawl:"
_IN_THE_LOG = "The server's log has the reason under this request id."


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: its stable name, its title, and the detail where the error's is private.

    A `detail` of None means that the error's own message is shown.
    """

    name: str
    title: str
    detail: str | None = None


KINDS: Mapping[type[errors.TrawlError], Kind] = {
    errors.FilterError: Kind("filter", "The filter cannot be understood"),
    errors.QueryError: Kind("query", "The query cannot be searched with"),
    errors.UsageError: Kind("usage", "What was asked cannot be meant"),
    errors.NotFoundError: Kind("not-found", "There is no such thing in this library"),
    errors.GoneError: Kind("gone", "The document's file is gone or was changed"),
    errors.MetadataError: Kind("metadata", "The metadata does not fit the library"),
    errors.ReadError: Kind("unreadable", "The file cannot be read"),
    errors.LibraryLockedError: Kind(
        "library-locked",
        "The library is being written to",
        "The library is being written to, by a job or another process; try again later.",
    ),
    errors.SpaceMismatchError: Kind(
        "space-mismatch",
        "The library was made with another model",
        f"The library was made with another model than the server's. {_IN_THE_LOG}",
    ),
    errors.LibraryError: Kind(
        "library-unavailable",
        "The library cannot be used",
        f"The library cannot be used at present. {_IN_THE_LOG}",
    ),
    errors.ModelError: Kind(
        "model-unavailable",
        "The model cannot be used",
        f"The model cannot be used at present. {_IN_THE_LOG}",
    ),
    errors.OverloadedError: Kind("overloaded", "Too many requests are waiting"),
    errors.TrawlError: Kind(
        "internal", "Something went wrong in the server", f"Something broke. {_IN_THE_LOG}"
    ),
}
"""Looked up by the class of an error, then by its parents in turn."""

HTTP_KINDS: Mapping[int, Kind] = {
    400: Kind("malformed", "The request cannot be read"),
    401: Kind("unauthorised", "A key is needed"),
    403: Kind("forbidden", "The key does not allow this"),
    404: Kind("no-such-address", "There is no such address"),
    405: Kind("method", "The address is not for this method"),
    408: Kind("too-slow", "The request took too long to arrive"),
    412: Kind("changed", "The document is not as it was"),
    413: Kind("too-large", "The request is too large"),
    415: Kind("unreadable", "The file cannot be read"),
    416: Kind("range", "The file has no such bytes"),
    507: Kind("full", "The server has no room"),
    429: Kind("too-many-requests", "Too many requests in too short a time"),
}
"""For what is wrong with a request as a request, by status."""

INVALID = Kind("invalid", "A parameter is missing or out of range")
INVALID_STATUS = 422
INTERNAL = KINDS[errors.TrawlError]


class InvalidParameter(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(description="The parameter, as a dotted path.", examples=["query.top_k"])
    reason: str = Field(examples=["Input should be less than or equal to 100"])


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": f"{_URN}invalid",
                "title": INVALID.title,
                "status": 422,
                "detail": "query.top_k: Input should be less than or equal to 100",
                "request_id": "5f0c6e0b6a3f4f0e9d0a9a2c1b7e8d43",
                "errors": [
                    {
                        "where": "query.top_k",
                        "reason": "Input should be less than or equal to 100",
                    }
                ],
            }
        }
    )

    type: str = Field(description="The kind of problem; it never changes its meaning.")
    title: str = Field(description="The kind of problem, in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened this time, and what to do about it.")
    request_id: str = Field(description="Names this request in the server's log.")
    errors: list[InvalidParameter] | None = Field(
        None, description="What is wrong with the request, one by one; for `invalid` alone."
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
    """Give a problem document as the response to the request of `scope`."""
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
    """Give a problem document."""
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
    """Give an error as the response to the request of `scope`, without the `hidden` paths."""
    kind = kind_of(error)
    retry_after = getattr(error, "retry_after_s", None)
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else None
    detail = str(error) if kind.detail is None else kind.detail
    for path in hidden:
        detail = detail.replace(path, "this library")
    return problem(kind, error.http_status, detail, scope, headers=headers)


def kind_of(error: errors.TrawlError) -> Kind:
    """Find an error's kind: that of its class, or of the nearest parent that has one."""
    return next(KINDS[cls] for cls in type(error).__mro__ if cls in KINDS)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Give the `responses` of a route that answers with problems of these statuses."""
    return {
        status: {
            "description": _documented_as(status).title,
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "example": _example(status),
                }
            },
        }
        for status in statuses
    }


def _documented_as(status: int) -> Kind:
    """Give the kind of problem that a status of a route stands for, most of the time."""
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
    kind = _documented_as(status)
    found: dict[str, Any] = {
        "type": _URN + kind.name,
        "title": kind.title,
        "status": status,
        "detail": kind.detail or "What happened this time, and what to do about it.",
        "request_id": "5f0c6e0b6a3f4f0e9d0a9a2c1b7e8d43",
    }
    if status == INVALID_STATUS:
        wrong = {"where": "query.limit", "reason": "Input should be greater than or equal to 1"}
        found |= {"detail": f"{wrong['where']}: {wrong['reason']}", "errors": [wrong]}
    return found


def install(app: FastAPI, library: Path, rejected: Callable[[str], None]) -> None:
    """Answer every error of the application with a problem document.

    `library` is the path that no message may hold; `rejected` is told why a request was
    turned away for want of room.
    """
    hidden = (str(library.resolve()), str(library))

    # Starlette runs handlers that are not coroutines in a thread, at a price for each.
    @app.exception_handler(errors.TrawlError)
    async def trawl_error(request: Request, error: errors.TrawlError) -> Response:
        if isinstance(error, OverloadedError):
            rejected(error.reason)
        elif isinstance(error, errors.LibraryLockedError):
            rejected("library_locked")
        elif kind_of(error).detail is not None:
            logger.error("%s", error, exc_info=error)
        return problem_of(error, request.scope, hidden)

    @app.exception_handler(RequestValidationError)
    async def invalid_request(request: Request, error: RequestValidationError) -> Response:
        wrong = _wrong(error.errors())
        detail = "; ".join(f"{one.where}: {one.reason}" for one in wrong)
        return problem(INVALID, 422, detail, request.scope, invalid=wrong)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        kind = HTTP_KINDS.get(status, Kind("http", status.phrase))
        detail = error.detail if error.detail != status.phrase else _meaning(request, status)
        headers = dict(error.headers or {})
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            # Starlette names the methods of one route; an address may have several.
            methods = sorted(_methods(app, request))
            headers["Allow"] = ", ".join(methods) or headers.get("Allow", "GET")
        return problem(kind, status, detail, request.scope, headers=headers)


def _methods(app: FastAPI, request: Request) -> Iterator[str]:
    """Give the methods that the OpenAPI document has for the address of a request."""
    for path, operations in app.openapi()["paths"].items():
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))
        if re.fullmatch(pattern, request.url.path):
            yield from (method.upper() for method in operations)


def _wrong(found: Sequence[Any], most: int = 20) -> list[InvalidParameter]:
    """Name what is wrong without repeating it: it may be long, or private."""
    return [
        InvalidParameter(
            where=".".join(str(step) for step in one["loc"])[:200],
            reason=str(one["msg"])[:500],
        )
        for one in found[:most]
    ]


def _meaning(request: Request, status: HTTPStatus) -> str:
    if status == HTTPStatus.NOT_FOUND:
        return "There is no such address here; /docs lists those that there are."
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{request.method} is not for this address; /docs says what is."
    return status.description or status.phrase
