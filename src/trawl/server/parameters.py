"""Refuse query parameters and form fields that a route does not have.

An ignored parameter is worse than an error: a misspelt filter would return everything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel


async def _check(request: Request) -> None:
    """Check the query string. Raises `RequestValidationError`."""
    if request.scope["query_string"]:
        route = request.scope["route"]
        check_names("query", request.query_params, sorted(set(_names(route.dependant))))


known_parameters = Depends(_check)


async def check_fields(request: Request, *known: str) -> None:
    """Check the fields of a form. Raises `RequestValidationError`."""
    check_names("body", await request.form(), known)


def check_names(where: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raise `RequestValidationError` if a name is not known; the message lists those that are."""
    unknown = [name for name in dict.fromkeys(given) if name not in known]
    if unknown:
        reason = (
            f"unknown parameter; there are: {', '.join(known)}"
            if known
            else "unknown parameter; this address has none"
        )
        raise RequestValidationError(
            [{"loc": (where, name), "msg": reason, "type": "extra_forbidden"} for name in unknown]
        )


def _names(dependant: Any) -> Iterator[str]:
    """Yield the names of the query parameters of a route and of what it depends on."""
    for parameter in dependant.query_params:
        kind = parameter.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from kind.model_fields
        else:
            yield parameter.alias
    for dependency in dependant.dependencies:
        yield from _names(dependency)
