"""What can be asked of a server: each operation once, for both clients.

Each is a generator of calls and pauses (`exchange.Steps`); its docstring is that of the
clients' method.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from trawl.client.exchange import Call, Pause, Reply, Steps
from trawl.client.records import (
    Document,
    DocumentContents,
    DocumentPage,
    Job,
    MediaPart,
    answer_of,
    chunk_of,
    document_of,
    facets_of,
    job_of,
    page_of,
    shown_of,
    status_of,
)
from trawl.client.uploads import UploadProgress, opened
from trawl.types import Answer, Facet, Modality, Status, StoredChunk

_LOOK_S = 0.2
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a question: one of `text`, `image`, `audio` (a file or its bytes) and `like`.

    `weight` says how much it counts; below 0 leads away from it.
    """

    text: str | None = None
    image: str | Path | bytes | None = None
    audio: str | Path | bytes | None = None
    like: str | None = None
    weight: float = 1.0

    def as_json(self) -> dict[str, Any]:
        """Give the part as `POST /v1/search` takes it."""
        given = {
            "text": self.text,
            "image": _base64(self.image),
            "audio": _base64(self.audio),
            "like": self.like,
        }
        return {name: value for name, value in given.items() if value is not None} | {
            "weight": self.weight
        }


def search(
    text: str | None = None,
    *,
    image: str | Path | bytes | None = None,
    audio: str | Path | bytes | None = None,
    parts: Sequence[Part] = (),
    modality: Modality | Collection[Modality] | None = None,
    **options: Any,
) -> Steps[Answer]:
    """Find by words, a picture, a sound (a file's path or its bytes), or all together.

    `parts` are further parts with weights of their own; `options` are those of
    `POST /v1/search`: where, limit, offset, cursor, like, q, fuzzy, quotas, ...
    """
    given = {"text": text, "image": _base64(image), "audio": _base64(audio), **options}
    body = {name: value for name, value in given.items() if value is not None}
    if parts:
        body["parts"] = [part.as_json() for part in parts]
    if modality is not None:
        body["modalities"] = [modality] if isinstance(modality, str) else sorted(modality)
    return answer_of(_json((yield Call("POST", "/v1/search", json=body))))


def query(line: str, **options: Any) -> Steps[Answer]:
    """Find by one line of the query language. `options` are those of `search`."""
    return (yield from search(q=line, **options))


def similar(chunk_id: str, **options: Any) -> Steps[Answer]:
    """Find what is like a chunk, in other documents. `options` are those of `search`."""
    return (yield from search(like=chunk_id, **options))


def facets(
    keys: Sequence[str],
    *,
    q: str | None = None,
    where: str | None = None,
    modality: Collection[Modality] = (),
    limit: int = 100,
) -> Steps[tuple[Facet, ...]]:
    """Count the values of columns: in the library, what a filter lets by, or what `q` finds."""
    params = {
        "key": list(keys),
        "q": q,
        "where": where,
        "modality": sorted(modality),
        "limit": limit,
    }
    return facets_of(_json((yield Call("GET", "/v1/facets", params=_given(params))))["facets"])


def submit(
    paths: Iterable[str | Path],
    *,
    metadata: Mapping[str, Any] | None = None,
    progress: UploadProgress | None = None,
) -> Steps[Job]:
    """Upload files, at most 100 at once, and leave the server to add them.

    `metadata` goes to every file; `progress` is told of bytes sent, and of all there are.
    """
    form = {"metadata": json.dumps(dict(metadata))} if metadata else {}
    with opened(map(Path, paths), progress) as files:
        return job_of(_json((yield Call("POST", "/v1/documents", form=form, files=files))))


def submit_lines(documents: Iterable[Mapping[str, Any]]) -> Steps[Job]:
    """Send documents that are no files, at most 1,000 at once, and leave the server to add them.

    Each has one of `text`, `image` and `audio` (base64), and may have `name`, `title`,
    `caption` and `metadata`.
    """
    content = "".join(json.dumps(dict(one)) + "\n" for one in documents).encode()
    headers = {"Content-Type": "application/jsonl"}
    call = Call("POST", "/v1/documents", content=content, headers=headers)
    return job_of(_json((yield call)))


def add(
    paths: Iterable[str | Path],
    *,
    metadata: Mapping[str, Any] | None = None,
    progress: UploadProgress | None = None,
    watch: Callable[[Job], None] | None = None,
) -> Steps[Job]:
    """Upload files as `submit` does, and wait until they are added.

    `watch` is told of the job each time that it was looked at.
    """
    job = yield from submit(paths, metadata=metadata, progress=progress)
    return (yield from wait(job.job_id, watch=watch))


def wait(job_id: str, *, watch: Callable[[Job], None] | None = None) -> Steps[Job]:
    """Wait until a job is over. `watch` is told of it each time that it was looked at."""
    while True:
        found = yield from job(job_id)
        if watch is not None:
            watch(found)
        if found.is_over:
            return found
        yield Pause(_LOOK_S)


def job(job_id: str) -> Steps[Job]:
    """Look at a job."""
    return job_of(_json((yield Call("GET", f"/v1/jobs/{_safe(job_id)}"))))


def cancel(job_id: str) -> Steps[Job]:
    """Cancel a job; what it added so far stays."""
    return job_of(_json((yield Call("DELETE", f"/v1/jobs/{_safe(job_id)}"))))


def documents(
    *,
    failed: bool | None = None,
    where: str | None = None,
    limit: int = 100,
    offset: int = 0,
) -> Steps[DocumentPage]:
    """List documents, failed ones too, by the address of their files."""
    params = _given({"failed": failed, "where": where, "limit": limit, "offset": offset})
    return page_of(_json((yield Call("GET", "/v1/documents", params=params))))


def show(document_id: str) -> Steps[DocumentContents]:
    """Give a document with its chunks."""
    return shown_of(_json((yield Call("GET", f"/v1/documents/{_safe(document_id)}"))))


def chunk(chunk_id: str) -> Steps[StoredChunk]:
    """Give one chunk, with its whole text."""
    return chunk_of(_json((yield Call("GET", f"/v1/chunks/{_safe(chunk_id)}"))))


def set_metadata(document_id: str, changes: Mapping[str, Any]) -> Steps[Document]:
    """Set keys of a document's metadata; those that are None are taken away."""
    call = Call("PATCH", f"/v1/documents/{_safe(document_id)}", json=dict(changes))
    return document_of(_json((yield call)))


def remove(document_id: str) -> Steps[None]:
    """Take a document out of the library."""
    yield Call("DELETE", f"/v1/documents/{_safe(document_id)}")


def thumbnail(chunk_id: str) -> Steps[bytes]:
    """Give a picture's thumbnail, a JPEG."""
    return _reply((yield Call("GET", f"/v1/chunks/{_safe(chunk_id)}/thumbnail"))).content


def media(chunk_id: str, *, start: int = 0, end: int | None = None) -> Steps[MediaPart]:
    """Give the file that a chunk is of, or its bytes from `start` to before `end`.

    Raises `GoneError` where the file is not what was added.
    """
    whole = start == 0 and end is None
    headers = {} if whole else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
    call = Call("GET", f"/v1/chunks/{_safe(chunk_id)}/media", headers=headers)
    reply = _reply((yield call))
    media_type = reply.headers.get("content-type", "")
    if reply.status != 206:
        return MediaPart(reply.content, media_type, 0, len(reply.content))
    size = int(reply.headers["content-range"].rpartition("/")[2])
    return MediaPart(reply.content, media_type, start, size)


def stats() -> Steps[dict[str, Any]]:
    """Give the library in numbers, as `GET /v1/stats` does."""
    return dict(_json((yield Call("GET", "/v1/stats"))))


def status() -> Steps[Status]:
    """Tell what is in the library, and what could not be read."""
    numbers = yield from stats()
    failed: list[Document] = []
    offset: int | None = 0
    while offset is not None and numbers["failed"]:
        page = yield from documents(failed=True, limit=_PAGE, offset=offset)
        failed += page.documents
        offset = page.next_offset
    return status_of(numbers, failed)


def health() -> Steps[dict[str, Any]]:
    """Tell whether the server can be used. Raises `ServerError` where it cannot, yet or at all."""
    return dict(_json((yield Call("GET", "/health"))))


def metrics() -> Steps[str]:
    """Give the server's numbers in Prometheus' text format."""
    return _reply((yield Call("GET", "/metrics"))).content.decode()


def _reply(reply: Reply | None) -> Reply:
    assert reply is not None, "a call was sent, and nothing came back"
    return reply


def _json(reply: Reply | None) -> Any:
    return _reply(reply).json


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value not in (None, [], ())}


def _safe(name: str) -> str:
    return quote(name, safe=":")


def _base64(media: str | Path | bytes | None) -> str | None:
    if media is None:
        return None
    data = media if isinstance(media, bytes) else Path(media).read_bytes()
    return base64.b64encode(data).decode()
