"""Questions and answers as text, to be kept where another process can read them.

JSON and no pickle: whoever can write into the shared cache can at most give a wrong answer.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from trawl import __version__
from trawl.types import Answer

_DATE = "$date"
_WHOSE = "trawl:answer:"


def write_answer(answer: Answer) -> bytes:
    """Give an answer as JSON. Dates keep their type."""
    plain = _answers().dump_python(answer, warnings=False)
    return json.dumps(plain, default=_written, separators=(",", ":")).encode()


def read_answer(text: bytes) -> Answer | None:
    """Give the answer that `write_answer` wrote, or None where it is none."""
    try:
        return _answers().validate_python(json.loads(text, object_hook=_read))
    except (ValidationError, ValueError, RecursionError):
        return None


def key_of(state: str, ask: object) -> str:
    """Name the answer to a question about a library in a state (`Library.state`).

    Another version of Trawl may answer otherwise, so its version is in the name too.
    """
    said = json.dumps([__version__, state, plain(ask)], separators=(",", ":"))
    return _WHOSE + hashlib.blake2b(said.encode(), digest_size=24).hexdigest()


def plain(value: object) -> Any:
    """Give a question as JSON has it: equal questions, equal texts, in every process."""
    if is_dataclass(value) and not isinstance(value, type):
        named = {one.name: plain(getattr(value, one.name)) for one in fields(value)}
        return [type(value).__name__, named]
    if isinstance(value, Mapping):
        return sorted(([plain(key), plain(one)] for key, one in value.items()), key=json.dumps)
    if isinstance(value, set | frozenset):
        return sorted((plain(one) for one in value), key=json.dumps)
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{type(value).__name__} is no part of a question that can be kept")


@cache
def _answers() -> TypeAdapter[Answer]:
    return TypeAdapter(Answer)


def _written(value: object) -> Any:
    if isinstance(value, datetime.date):
        return {_DATE: value.isoformat()}
    if hasattr(value, "item"):
        return value.item()  # a number of numpy's
    raise TypeError(f"{type(value).__name__} is no part of an answer that can be kept")


def _read(found: dict[str, Any]) -> Any:
    return datetime.date.fromisoformat(found[_DATE]) if found.keys() == {_DATE} else found
