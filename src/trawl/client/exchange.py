"""Requests, replies, retries and errors, independent of how they are sent.

An operation is a generator: it yields calls and pauses, receives replies, and returns its
result. The two clients drive it: they send each call and wait for each pause.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias, TypeVar, cast

from pydantic import BaseModel, ValidationError

from trawl import errors
from trawl.errors import NotFoundError, TrawlError

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

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
    "read-only": errors.LibraryReadOnlyError,
    "library-locked": errors.LibraryLockedError,
    "space-mismatch": errors.SpaceMismatchError,
    "library-unavailable": errors.LibraryError,
    "model-unavailable": errors.ModelError,
}


class ServerError(TrawlError):
    """The server could not be reached, or failed in a way that `Library` cannot.

    `status` is the HTTP status, 0 if there was no response.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Call:
    """A request to send."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    form: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[tuple[str, tuple[str, BinaryIO]]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of `httpx.request`. Rewinds the files."""
        for _, (_, file) in self.files:
            file.seek(0)
        # An empty JSON object is a body; other empty values are no argument.
        body = {} if self.json is None else {"json": self.json}
        others = {
            "params": self.params,
            "content": self.content,
            "data": self.form,
            "files": list(self.files),
            "headers": self.headers,
        }
        return body | {name: value for name, value in others.items() if value}


@dataclass(frozen=True, slots=True)
class Pause:
    """A delay before the next step."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete response. The names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    json: Any = None


Steps: TypeAlias = Generator[Call | Pause, Reply | None, T]


def retried(steps: Steps[T], retries: int) -> Steps[T]:
    """Wrap an operation: retry calls that the server refuses as busy, up to `retries` times.

    Waits as long as `Retry-After` says, or half a second, doubled each time. Raises the
    error that a failed reply stands for.
    """
    try:
        step = next(steps)
        while True:
            if isinstance(step, Pause):
                yield step
                step = steps.send(None)
                continue
            reply = yield from _retry(step, retries)
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


def _retry(call: Call, retries: int) -> Steps[Reply]:
    attempt = 0
    while True:
        reply = yield call
        assert reply is not None, "a call was sent without a reply"
        if reply.status not in _RETRIED or attempt >= retries:
            return reply
        yield Pause(_pause_s(reply, attempt))
        attempt += 1


def _pause_s(reply: Reply, attempt: int) -> float:
    # Up to a tenth longer than required, so that clients do not all retry at once.
    retry_after = reply.headers.get("retry-after", "")
    pause_s = float(retry_after) if retry_after.isdecimal() else _FIRST_PAUSE_S * 2**attempt
    return float(min(_LONGEST_PAUSE_S, pause_s) * random.uniform(1.0, 1.1))


def check(reply: Reply) -> None:
    """Raise the error that a reply stands for, if any."""
    if reply.status < 400:
        return
    kind, detail = "", f"{len(reply.content):,} bytes without a problem document"
    if isinstance(reply.json, dict):
        kind = str(reply.json.get("type", "")).removeprefix(_URN)
        detail = str(reply.json.get("detail", detail))
    cls = _ERRORS.get(kind)
    if cls is None and reply.status == 404:
        cls = NotFoundError
    if cls is not None:
        raise cls(detail)
    raise ServerError(f"the server responded with status {reply.status}: {detail}", reply.status)


def received(reply: Reply | None) -> Reply:
    """Return the reply to a call."""
    assert reply is not None, "a call was sent without a reply"
    return reply


def parse(model: type[M], reply: Reply | None) -> M:
    """Return the JSON of a reply as a model. Raises `ServerError` if it does not match."""
    reply = received(reply)
    try:
        return model.model_validate(reply.json)
    except ValidationError as error:
        raise ServerError(
            "unexpected response; is this a Trawl server of a compatible version? "
            f"({error.error_count()} invalid fields of {model.__name__})",
            reply.status,
        ) from error


UploadProgress: TypeAlias = Callable[[int, int], None]
"""Called with the bytes of an upload sent so far, and in all."""


@contextmanager
def open_files(
    paths: Iterable[Path], progress: UploadProgress | None
) -> Iterator[list[tuple[str, tuple[str, BinaryIO]]]]:
    """Open the files of an upload as fields of a form."""
    files = list(paths)
    total, sent = sum(path.stat().st_size for path in files), 0

    def count(size: int) -> None:
        nonlocal sent
        sent += size
        if progress is not None:
            progress(sent, total)

    with ExitStack() as stack:
        opened = [(path.name, stack.enter_context(path.open("rb"))) for path in files]
        yield [("files", (name, cast(BinaryIO, _Counted(file, count)))) for name, file in opened]


class _Counted:
    """A file that reports the number of bytes read; rewinding it counts back."""

    def __init__(self, file: BinaryIO, count: Callable[[int], None]) -> None:
        self._file, self._count = file, count
        self.tell, self.fileno = file.tell, file.fileno

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._count(len(data))
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        before = self._file.tell()
        after = self._file.seek(offset, whence)
        self._count(after - before)
        return after
