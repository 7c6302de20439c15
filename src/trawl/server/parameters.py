"""Refuse query parameters and form fields that a route does not have, or has only once.

An ignored parameter is worse than an error: a misspelt filter would return everything, and so
would the first of two filters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args, get_origin

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel


async def _check(request: Request) -> None:
    """Check the query string. Raises `RequestValidationError`."""
    if request.scope["query_string"]:
        known = dict(sorted(_parameters(request.scope["route"].dependant)))
        check_names("query", [name for name, _ in request.query_params.multi_items()], known)


known_parameters = Depends(_check)


async def check_fields(request: Request, *once: str, repeatable: Iterable[str] = ()) -> None:
    """Check the fields of a form. Raises `RequestValidationError`."""
    known = dict.fromkeys(once, False) | dict.fromkeys(repeatable, True)
    check_names("body", [name for name, _ in (await request.form()).multi_items()], known)


def check_names(where: str, given: Iterable[str], known: Mapping[str, bool]) -> None:
    """Raise `RequestValidationError` if a name is not known, or repeated and not a list.

    `known` maps each name to whether it may be repeated; the message lists the names.
    """
    counts = Counter(given)
    repeated = [name for name, count in counts.items() if count > 1 and not known.get(name, True)]
    if repeated:
        reason = "given more than once; give it once"
        raise RequestValidationError(
            [{"loc": (where, name), "msg": reason, "type": "repeated"} for name in repeated]
        )
    unknown = [name for name in counts if name not in known]
    if unknown:
        reason = (
            f"unknown parameter; there are: {', '.join(known)}"
            if known
            else "unknown parameter; this address has none"
        )
        raise RequestValidationError(
            [{"loc": (where, name), "msg": reason, "type": "extra_forbidden"} for name in unknown]
        )


def _parameters(dependant: Any) -> Iterator[tuple[str, bool]]:
    """Yield the query parameters of a route and its dependencies, and whether each is a list."""
    for parameter in dependant.query_params:
        kind = parameter.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for name, field in kind.model_fields.items():
                yield name, _is_list(field.annotation)
        else:
            yield parameter.alias, _is_list(kind)
    for dependency in dependant.dependencies:
        yield from _parameters(dependency)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))
