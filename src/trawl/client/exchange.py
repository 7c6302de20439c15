"""What passes between an operation and whoever sends for it, without a socket in sight.

An operation is a generator: it gives the calls that are to be sent and the pauses that are
to be made, takes the replies, and returns its result. The two clients only send and wait.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, TypeAlias, TypeVar

from trawl import errors
from trawl.errors import NotFoundError, TrawlError

T = TypeVar("T")

_RETRIED: Final = frozenset({429, 503})
_LONGEST_PAUSE_S = 60.0
_FIRST_PAUSE_S = 0.5
_URN = "urn:problem:trawl:"

_ERRORS: Mapping[str, type[TrawlError]] = {
    "query": errors.QueryError,
    "filter": errors.FilterError,
    "usage": errors.UsageError,
    "invalid": errors.UsageError,
    "not-found": errors.NotFoundError,
    "gone": errors.GoneError,
    "unreadable": errors.ReadError,
    "metadata": errors.MetadataError,
    "library-locked": errors.LibraryLockedError,
    "space-mismatch": errors.SpaceMismatchError,
    "library-unavailable": errors.LibraryError,
    "model-unavailable": errors.ModelError,
}


class ServerError(TrawlError):
    """The server cannot be reached, or refused for a reason that is no error of the library.

    `status` is the HTTP status, 0 where there was no answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Call:
    """One request, before it is sent."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    form: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[tuple[str, tuple[str, BinaryIO]]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """Give what `httpx` is to be told beside method and path. Files begin anew."""
        for _, (_, file) in self.files:
            file.seek(0)
        given = {
            "params": self.params,
            "json": self.json,
            "content": self.content,
            "data": self.form,
            "files": list(self.files),
            "headers": self.headers,
        }
        empty = {name for name, value in given.items() if value is None or value in ({}, [])}
        if self.json is not None:
            empty.discard("json")  # an empty object is something to say
        return {name: value for name, value in given.items() if name not in empty}


@dataclass(frozen=True, slots=True)
class Pause:
    """Seconds to wait before going on."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """One response, whole. The names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    json: Any = None


Steps: TypeAlias = Generator[Call | Pause, Reply | None, T]


def retried(steps: Steps[T], retries: int) -> Steps[T]:
    """Send each call of an operation again while the server is busy, at most `retries` times.

    The pause is the one that the server asks for, or half a second, doubled each time.
    Raises the error that a refusal stands for.
    """
    try:
        step = next(steps)
        while True:
            if isinstance(step, Pause):
                yield step
                step = steps.send(None)
                continue
            reply = yield from _insisted(step, retries)
            try:
                check(reply)
            except TrawlError as error:
                step = steps.throw(error)
            else:
                step = steps.send(reply)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        steps.close()


def _insisted(call: Call, retries: int) -> Steps[Reply]:
    attempt = 0
    while True:
        reply = yield call
        assert reply is not None, "a call was sent, and nothing came back"
        if reply.status not in _RETRIED or attempt >= retries:
            return reply
        yield Pause(_pause_s(reply, attempt))
        attempt += 1


def _pause_s(reply: Reply, attempt: int) -> float:
    """Wait as long as the server asks, and a little longer, so that not all come back at once."""
    asked = reply.headers.get("retry-after", "")
    pause_s = float(asked) if asked.isdecimal() else _FIRST_PAUSE_S * 2**attempt
    return float(min(_LONGEST_PAUSE_S, pause_s) * random.uniform(1.0, 1.1))


def check(reply: Reply) -> None:
    """Raise the error that a reply stands for, if it stands for one."""
    if reply.status < 400:
        return
    kind, detail = "", f"{len(reply.content):,} bytes that are no problem document"
    if isinstance(reply.json, dict):
        kind = str(reply.json.get("type", "")).removeprefix(_URN)
        detail = str(reply.json.get("detail", detail))
    cls = _ERRORS.get(kind)
    if cls is None and reply.status == 404:
        cls = NotFoundError
    if cls is not None:
        raise cls(detail)
    raise ServerError(f"the server answers {reply.status}: {detail}", reply.status)
