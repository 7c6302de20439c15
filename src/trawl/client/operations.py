"""The operations of both clients, each defined once.

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

from trawl import wire
from trawl.client.exchange import (
    Call,
    Pause,
    Reply,
    ServerError,
    Steps,
    UploadProgress,
    open_files,
    parse,
    received,
)
from trawl.client.records import (
    Document,
    DocumentContents,
    DocumentPage,
    Job,
    MediaPart,
    status_from_wire,
)
from trawl.errors import UsageError
from trawl.search import Candidates, Liked, Question
from trawl.types import Answer, Facet, Modality, Status, StoredChunk
from trawl.values import with_items

_POLL_S = 0.2
_PAGE = 1000
_ATTEMPTS = 5
_CHANGED = 412  # the document is not the one that was read


@dataclass(frozen=True, slots=True)
class Part:
    """A query part: one of `text`, `image`, `audio` (a file or its bytes) and `like`.

    Results are pushed away from a part of negative `weight`.
    """

    text: str | None = None
    image: str | Path | bytes | None = None
    audio: str | Path | bytes | None = None
    like: str | None = None
    weight: float = 1.0

    def as_json(self) -> dict[str, Any]:
        """Return the part as JSON for `POST /v1/search`."""
        fields = {
            "text": self.text,
            "image": _base64(self.image),
            "audio": _base64(self.audio),
            "like": self.like,
        }
        return {name: value for name, value in fields.items() if value is not None} | {
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
    """Search by text, an image, a sound (a file's path or its bytes), or several combined.

    `parts` are further query parts with weights of their own; `options` are the other
    fields of `POST /v1/search`: where, limit, offset, cursor, like, q, fuzzy, quotas, ...
    """
    fields = {"text": text, "image": _base64(image), "audio": _base64(audio), **options}
    body = {name: value for name, value in fields.items() if value is not None}
    if parts:
        body["parts"] = [part.as_json() for part in parts]
    if modality is not None:
        body["modalities"] = [modality] if isinstance(modality, str) else sorted(modality)
    return parse(wire.DetailedResponse, (yield Call("POST", "/v1/search", json=body))).answer()


def query(line: str, **options: Any) -> Steps[Answer]:
    """Search by one line of the query language. `options` are those of `search`."""
    return (yield from search(q=line, **options))


def similar(chunk_id: str, **options: Any) -> Steps[Answer]:
    """Search for chunks like a chunk, in other documents. `options` are those of `search`."""
    return (yield from search(like=chunk_id, **options))


def candidates(question: Question) -> Steps[Candidates]:
    """Return the library's candidates for a search of several libraries (`trawl.libraries`)."""
    call = Call("POST", "/v1/candidates", json=wire.question_fields(question))
    return parse(wire.CandidatesOut, (yield call)).candidates()


def liked(chunk_id: str) -> Steps[Liked]:
    """Return the vectors of a chunk, by which other libraries find chunks like it."""
    return parse(wire.LikedOut, (yield Call("GET", f"/v1/chunks/{_safe(chunk_id)}/liked"))).liked()


def facets(
    keys: Sequence[str],
    *,
    q: str | None = None,
    where: str | None = None,
    modality: Collection[Modality] = (),
    limit: int = 100,
) -> Steps[tuple[Facet, ...]]:
    """Count the values of columns in the library, or over the documents that match."""
    params = {
        "key": list(keys),
        "q": q,
        "where": where,
        "modality": sorted(modality),
        "limit": limit,
    }
    reply = yield Call("GET", "/v1/facets", params=_without_empty(params))
    return tuple(facet.facet() for facet in parse(wire.Facets, reply).facets)


def submit(
    paths: Iterable[str | Path],
    *,
    metadata: Mapping[str, Any] | None = None,
    progress: UploadProgress | None = None,
) -> Steps[Job]:
    """Upload up to 100 files. Returns the job that adds them, without waiting for it.

    `metadata` applies to every file; `progress` is called with the bytes sent and in all.
    """
    form = {"metadata": json.dumps(dict(metadata))} if metadata else {}
    with open_files(map(Path, paths), progress) as files:
        return _job((yield Call("POST", "/v1/documents", form=form, files=files)))


def submit_lines(documents: Iterable[Mapping[str, Any]]) -> Steps[Job]:
    """Send up to 1,000 documents as JSON. Returns the job that adds them.

    Each document has one of `text`, `image` and `audio` (base64), and may have `name`, `title`,
    `caption` and `metadata`.
    """
    content = "".join(json.dumps(dict(one)) + "\n" for one in documents).encode()
    headers = {"Content-Type": "application/jsonl"}
    return _job((yield Call("POST", "/v1/documents", content=content, headers=headers)))


def add(
    paths: Iterable[str | Path],
    *,
    metadata: Mapping[str, Any] | None = None,
    progress: UploadProgress | None = None,
    watch: Callable[[Job], None] | None = None,
) -> Steps[Job]:
    """Upload files like `submit`, and wait until they are added.

    `watch` is called with the job each time it is polled.
    """
    job = yield from submit(paths, metadata=metadata, progress=progress)
    return (yield from wait(job.job_id, watch=watch))


def wait(job_id: str, *, watch: Callable[[Job], None] | None = None) -> Steps[Job]:
    """Poll a job until it ends. `watch` is called with it each time."""
    while True:
        current = yield from job(job_id)
        if watch is not None:
            watch(current)
        if current.is_over:
            return current
        yield Pause(_POLL_S)


def job(job_id: str) -> Steps[Job]:
    """Return a job's current state."""
    return _job((yield Call("GET", f"/v1/jobs/{_safe(job_id)}")))


def cancel(job_id: str) -> Steps[Job]:
    """Cancel a job. Files that it has added stay."""
    return _job((yield Call("DELETE", f"/v1/jobs/{_safe(job_id)}")))


def documents(
    *,
    failed: bool | None = None,
    notices: bool | None = None,
    where: str | None = None,
    name: str | None = None,
    sort: str | None = None,
    limit: int = 100,
    offset: int = 0,
) -> Steps[DocumentPage]:
    """Return a page of documents, including failed ones, sorted by path or by `sort`.

    `name` is a file name without directories. ``-KEY`` sorts in descending order.
    """
    params = _without_empty(
        {
            "failed": failed,
            "notices": notices,
            "where": where,
            "name": name,
            "sort": sort,
            "limit": limit,
            "offset": offset,
        }
    )
    reply = yield Call("GET", "/v1/documents", params=params)
    return DocumentPage.from_wire(parse(wire.DocumentPage, reply))


def show(document_id: str) -> Steps[DocumentContents]:
    """Return a document with its chunks."""
    reply = yield Call("GET", f"/v1/documents/{_safe(document_id)}")
    return DocumentContents.from_wire(parse(wire.DocumentWithChunks, reply))


def chunk(chunk_id: str) -> Steps[StoredChunk]:
    """Return one chunk, with its full text."""
    return parse(wire.ChunkOut, (yield Call("GET", f"/v1/chunks/{_safe(chunk_id)}"))).chunk()


def set_metadata(
    document_id: str,
    changes: Mapping[str, Any] | None = None,
    *,
    add: Mapping[str, Sequence[str]] | None = None,
    remove: Mapping[str, Sequence[str]] | None = None,
) -> Steps[Document]:
    """Set keys of a document's metadata, its `title` or `caption`; None deletes a key.

    `add` and `remove` map keys to items of lists. They are changed as they are on the server
    at this time: if another client changes the document meanwhile, they are read again.
    """
    path = f"/v1/documents/{_safe(document_id)}"
    added, removed = dict(add or {}), dict(remove or {})
    for key in {"title", "caption"} & {*added, *removed}:
        raise UsageError(f"the {key} is not a list; set it")
    for attempt in range(_ATTEMPTS):
        body, headers = dict(changes or {}), {}
        if added or removed:
            reply = yield Call("GET", path)
            known = parse(wire.DocumentWithChunks, reply).metadata
            headers = {"If-Match": received(reply).headers["etag"]}
            for key in {**added, **removed}:
                body[key] = with_items(known.get(key), added.get(key, ()), removed.get(key, ()))
        try:
            reply = yield Call("PATCH", path, json=body, headers=headers)
        except ServerError as error:
            if error.status != _CHANGED or attempt + 1 == _ATTEMPTS:
                raise
        else:
            return Document.from_wire(parse(wire.DocumentOut, reply))
    raise AssertionError("the last attempt returns or raises")


def remove(document_id: str) -> Steps[None]:
    """Remove a document from the library."""
    yield Call("DELETE", f"/v1/documents/{_safe(document_id)}")


def thumbnail(chunk_id: str) -> Steps[bytes]:
    """Return a picture's thumbnail as a JPEG file."""
    return received((yield Call("GET", f"/v1/chunks/{_safe(chunk_id)}/thumbnail"))).content


def media(chunk_id: str, *, start: int = 0, end: int | None = None) -> Steps[MediaPart]:
    """Return the file of a chunk, or its bytes from `start` up to `end` (exclusive).

    Raises `GoneError` if the file changed since it was added.
    """
    whole = start == 0 and end is None
    headers = {} if whole else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
    call = Call("GET", f"/v1/chunks/{_safe(chunk_id)}/media", headers=headers)
    reply = received((yield call))
    media_type = reply.headers.get("content-type", "")
    if reply.status != 206:
        return MediaPart(reply.content, media_type, 0, len(reply.content))
    size = int(reply.headers["content-range"].rpartition("/")[2])
    return MediaPart(reply.content, media_type, start, size)


def stats() -> Steps[dict[str, Any]]:
    """Return the library's counts and columns: the JSON of `GET /v1/stats`."""
    return dict(received((yield Call("GET", "/v1/stats"))).json)


def status() -> Steps[Status]:
    """Return counts, embedding spaces and the files that could not be read."""
    numbers = parse(wire.Stats, (yield Call("GET", "/v1/stats")))
    failed = (yield from _all_documents(failed=True)) if numbers.failed else []
    noticed = (yield from _all_documents(notices=True)) if numbers.notices else []
    return status_from_wire(numbers, failed, noticed)


def _all_documents(
    *, failed: bool | None = None, notices: bool | None = None
) -> Steps[list[Document]]:
    found: list[Document] = []
    offset: int | None = 0
    while offset is not None:
        page = yield from documents(failed=failed, notices=notices, limit=_PAGE, offset=offset)
        found += page.documents
        offset = page.next_offset
    return found


def health() -> Steps[dict[str, Any]]:
    """Return the server's health. Raises `ServerError` if it is not ready."""
    return dict(received((yield Call("GET", "/health"))).json)


def metrics() -> Steps[str]:
    """Return the server's metrics in Prometheus' text format."""
    return received((yield Call("GET", "/metrics"))).content.decode()


def _job(reply: Reply | None) -> Job:
    return Job.from_wire(parse(wire.JobOut, reply))


def _without_empty(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value not in (None, [], ())}


def _safe(name: str) -> str:
    return quote(name, safe=":", errors="backslashreplace")


def _base64(media: str | Path | bytes | None) -> str | None:
    if media is None:
        return None
    data = media if isinstance(media, bytes) else Path(media).read_bytes()
    return base64.b64encode(data).decode()
