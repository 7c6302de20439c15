"""Asking a Trawl server from Python: the answers are those of `trawl.Library`.

`Client` and `AsyncClient` differ in waiting alone. Needs httpx: `pip install "trawl[client]"`.

::

    with Client("http://127.0.0.1:8000") as client:
        job = client.add(["figure.png", "notes.md"], metadata={"topic": "physics"})
        for hit in client.search("decay of the muon", modality="image").hits:
            print(hit.score, hit.title)
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

import httpx

from trawl import errors
from trawl.errors import NotFoundError, TrawlError
from trawl.types import Answer, Evidence, Facet, Failure, Hit, Modality, Span

__all__ = ["AsyncClient", "Client", "JobResult", "ServerError"]

UploadProgress: TypeAlias = Callable[[int, int], None]
"""Told how many bytes of an upload are sent, and how many there are."""

_RETRIED: Final = frozenset({429, 503})
_LONGEST_PAUSE_S = 60.0
_LOOK_S = 0.2
_URN = "urn:problem:trawl:"

_ERRORS: Mapping[str, type[TrawlError]] = {
    "query": errors.QueryError,
    "filter": errors.FilterError,
    "usage": errors.UsageError,
    "invalid": errors.UsageError,
    "not-found": errors.NotFoundError,
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
class JobResult:
    """What became of uploaded files. `state` is `done`, `failed` or `cancelled`."""

    job_id: str
    state: str
    added: int
    unchanged: int
    replaced: int
    failed: tuple[Failure, ...]
    document_ids: tuple[str, ...]
    error: str | None


@dataclass(frozen=True, slots=True)
class _Call:
    """One request, before it is sent."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None
    files: Sequence[tuple[str, tuple[str, BinaryIO]]] | None = None


class _Watched:
    """A file that tells how much of it was read, and begins again when it is sent again."""

    def __init__(self, file: BinaryIO, told: Callable[[int], None]) -> None:
        self._file = file
        self._told = told

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._told(len(data))
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        before = self._file.tell()
        after = self._file.seek(offset, whence)
        self._told(after - before)
        return after

    def tell(self) -> int:
        return self._file.tell()

    def fileno(self) -> int:
        return self._file.fileno()


class _Shared:
    """What both clients are made with."""

    def __init__(self, url: str, *, key: str | None, timeout_s: float, retries: int) -> None:
        self._retries = retries
        self._options: dict[str, Any] = {
            "base_url": url.rstrip("/"),
            "timeout": timeout_s,
            "headers": {"Authorization": f"Bearer {key}"} if key is not None else {},
        }


class Client(_Shared):
    """A Trawl server, asked and waited for.

    `key` is an API key, where the server asks for one. A request that the server is too
    busy for (429, 503) is sent again up to `retries` times, after the pause that it asks
    for. Safe to use from several threads.

    Every method raises the error that `Library` would raise, and `ServerError`.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 30.0,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(url, key=key, timeout_s=timeout_s, retries=retries)
        self._http = httpx.Client(transport=transport, **self._options)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def search(
        self,
        text: str | None = None,
        *,
        image: str | Path | bytes | None = None,
        audio: str | Path | bytes | None = None,
        modality: Modality | Collection[Modality] | None = None,
        **options: Any,
    ) -> Answer:
        """Find by words, a picture, a sound (a file's path or its bytes), or all together.

        `options` are those of `POST /v1/search`: where, limit, offset, cursor, like, q, ...
        """
        return _answer(self._send(_search(text, image, audio, modality, options)))

    def similar(self, chunk_id: str, **options: Any) -> Answer:
        """Find what is like a chunk. `options` are those of `search`."""
        return self.search(like=chunk_id, **options)

    def add(
        self,
        paths: Iterable[str | Path],
        *,
        metadata: Mapping[str, Any] | None = None,
        progress: UploadProgress | None = None,
    ) -> JobResult:
        """Upload files, and wait until they are added. At most 100 at once."""
        with _upload(paths, metadata, progress) as call:
            job = self._send(call).json()
        while not _is_over(job):
            time.sleep(_LOOK_S)
            job = self._send(_Call("GET", f"/v1/jobs/{job['id']}")).json()
        return _result(job)

    def remove(self, document_id: str) -> None:
        """Take a document out of the library."""
        self._send(_Call("DELETE", f"/v1/documents/{document_id}"))

    def stats(self) -> dict[str, Any]:
        """Give the library in numbers, as `GET /v1/stats` does."""
        return dict(self._send(_Call("GET", "/v1/stats")).json())

    def thumbnail(self, chunk_id: str) -> bytes:
        """Give a picture's thumbnail, a JPEG."""
        return self._send(_Call("GET", f"/chunks/{chunk_id}/thumbnail")).content

    def _send(self, call: _Call) -> httpx.Response:
        for attempt in range(self._retries + 1):
            try:
                response = self._http.request(call.method, call.path, **_arguments(call))
            except httpx.HTTPError as error:
                raise _unreachable(self._http.base_url, error) from error
            if response.status_code not in _RETRIED or attempt == self._retries:
                break
            time.sleep(_pause_s(response, attempt))
        return _checked(response)


class AsyncClient(_Shared):
    """A Trawl server, asked and awaited. The same as `Client` in all else."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 30.0,
        retries: int = 3,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(url, key=key, timeout_s=timeout_s, retries=retries)
        self._http = httpx.AsyncClient(transport=transport, **self._options)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def search(
        self,
        text: str | None = None,
        *,
        image: str | Path | bytes | None = None,
        audio: str | Path | bytes | None = None,
        modality: Modality | Collection[Modality] | None = None,
        **options: Any,
    ) -> Answer:
        """As `Client.search`."""
        return _answer(await self._send(_search(text, image, audio, modality, options)))

    async def similar(self, chunk_id: str, **options: Any) -> Answer:
        """As `Client.similar`."""
        return await self.search(like=chunk_id, **options)

    async def add(
        self,
        paths: Iterable[str | Path],
        *,
        metadata: Mapping[str, Any] | None = None,
        progress: UploadProgress | None = None,
    ) -> JobResult:
        """As `Client.add`."""
        with _upload(paths, metadata, progress) as call:
            job = (await self._send(call)).json()
        while not _is_over(job):
            await asyncio.sleep(_LOOK_S)
            job = (await self._send(_Call("GET", f"/v1/jobs/{job['id']}"))).json()
        return _result(job)

    async def remove(self, document_id: str) -> None:
        """As `Client.remove`."""
        await self._send(_Call("DELETE", f"/v1/documents/{document_id}"))

    async def stats(self) -> dict[str, Any]:
        """As `Client.stats`."""
        return dict((await self._send(_Call("GET", "/v1/stats"))).json())

    async def thumbnail(self, chunk_id: str) -> bytes:
        """As `Client.thumbnail`."""
        return (await self._send(_Call("GET", f"/chunks/{chunk_id}/thumbnail"))).content

    async def _send(self, call: _Call) -> httpx.Response:
        for attempt in range(self._retries + 1):
            try:
                response = await self._http.request(call.method, call.path, **_arguments(call))
            except httpx.HTTPError as error:
                raise _unreachable(self._http.base_url, error) from error
            if response.status_code not in _RETRIED or attempt == self._retries:
                break
            await asyncio.sleep(_pause_s(response, attempt))
        return _checked(response)


def _search(
    text: str | None,
    image: str | Path | bytes | None,
    audio: str | Path | bytes | None,
    modality: Modality | Collection[Modality] | None,
    options: Mapping[str, Any],
) -> _Call:
    given = {"text": text, "image": _base64(image), "audio": _base64(audio), **options}
    body = {name: value for name, value in given.items() if value is not None}
    if modality is not None:
        body["modalities"] = [modality] if isinstance(modality, str) else sorted(modality)
    return _Call("POST", "/v1/search", body=body)


def _base64(media: str | Path | bytes | None) -> str | None:
    if media is None:
        return None
    data = media if isinstance(media, bytes) else Path(media).read_bytes()
    return base64.b64encode(data).decode()


@contextmanager
def _upload(
    paths: Iterable[str | Path],
    metadata: Mapping[str, Any] | None,
    progress: UploadProgress | None,
) -> Iterator[_Call]:
    """Open the files of an upload; they are read while they are sent."""
    given = [Path(path) for path in paths]
    total, sent = sum(path.stat().st_size for path in given), 0

    def told(more: int) -> None:
        nonlocal sent
        sent += more
        if progress is not None:
            progress(sent, total)

    with ExitStack() as stack:
        files = [
            ("files", (path.name, _Watched(stack.enter_context(path.open("rb")), told)))
            for path in given
        ]
        form = {"metadata": json.dumps(dict(metadata))} if metadata else {}
        yield _Call("POST", "/v1/documents", form=form, files=files)  # type: ignore[arg-type]


def _arguments(call: _Call) -> dict[str, Any]:
    for _, (_, file) in call.files or ():
        file.seek(0)
    given = {"params": call.params, "json": call.body, "data": call.form, "files": call.files}
    return {name: value for name, value in given.items() if value}


def _pause_s(response: httpx.Response, attempt: int) -> float:
    """Wait as long as the server asks, and a little longer, so that not all come back at once."""
    asked = response.headers.get("Retry-After", "")
    pause_s = float(asked) if asked.isdecimal() else 0.5 * 2**attempt
    return float(min(_LONGEST_PAUSE_S, pause_s) * random.uniform(1.0, 1.1))


def _unreachable(url: httpx.URL, error: httpx.HTTPError) -> ServerError:
    said = str(error) or type(error).__name__
    return ServerError(f"no answer from {url}: {said}; does `trawl serve` run there?")


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    try:
        problem = response.json()
        kind = str(problem["type"]).removeprefix(_URN)
        detail = str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        kind, detail = "", response.reason_phrase
    cls = _ERRORS.get(kind)
    if cls is None and response.status_code == 404:
        cls = NotFoundError
    if cls is not None:
        raise cls(detail)
    raise ServerError(f"the server answers {response.status_code}: {detail}", response.status_code)


def _answer(response: httpx.Response) -> Answer:
    body = response.json()
    return Answer(
        hits=tuple(_hit(rank, hit) for rank, hit in enumerate(body["results"], start=1)),
        took_ms=body["took_ms"],
        no_good_match=body["no_good_match"],
        notices=tuple(body["notices"]),
        facets=tuple(
            Facet(one["key"], tuple((each["value"], each["count"]) for each in one["counts"]))
            for one in body["facets"]
        ),
        version=body["version"],
        cursor=body["cursor"],
    )


def _hit(rank: int, hit: Mapping[str, Any]) -> Hit:
    span = {name: value for name, value in hit["span"].items() if value is not None}
    if "box" in span:
        span["box"] = tuple(span["box"])
    return Hit(
        rank=rank,
        score=hit["score"],
        chunk_id=hit["id"],
        document_id=hit["document_id"],
        uri=hit["source"],
        modality=hit["modality"],
        title=hit["title"],
        snippet=hit["snippet"],
        span=Span(**span),
        metadata=hit["metadata"],
        evidence=tuple(Evidence(**one) for one in hit["evidence"]),
        detail=hit["detail"],
    )


def _is_over(job: Mapping[str, Any]) -> bool:
    return job["state"] in ("done", "failed", "cancelled")


def _result(job: Mapping[str, Any]) -> JobResult:
    report = job["report"] or {"added": 0, "unchanged": 0, "replaced": 0, "failed": []}
    return JobResult(
        job_id=job["id"],
        state=job["state"],
        added=report["added"],
        unchanged=report["unchanged"],
        replaced=report["replaced"],
        failed=tuple(Failure(one["source"], one["reason"]) for one in report["failed"]),
        document_ids=tuple(file["document_id"] for file in job["files"]),
        error=job["error"],
    )
