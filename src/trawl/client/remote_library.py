"""A server's library with the methods of `Library`, for ``trawl --server`` and ``trawl mcp``."""

from __future__ import annotations

import base64
import datetime
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import groupby
from pathlib import Path, PurePath
from typing import Any, BinaryIO, Unpack
from urllib.parse import quote

from trawl.client.clients import Client
from trawl.client.operations import Part
from trawl.client.records import Document, DocumentContents, DocumentPage, Job
from trawl.errors import NotFoundError, UsageError
from trawl.ingest import Item, make_plan
from trawl.library import Original
from trawl.library.skipped import Skipped
from trawl.objects import is_object
from trawl.query import MediaPart, parse_query
from trawl.search import Candidates, Liked, Question, SearchKeywords, search_options
from trawl.types import Answer, Facet, Failure, Modality, Notice, Report, Status

_ID = re.compile(r"[0-9a-f]{24}(:[0-9]+)?")
_FILES_AT_ONCE = 50
_DOCUMENTS_AT_ONCE = 1000
_BYTES_AT_ONCE = 16 * 2**20
# base64 adds a third, and the server limits the size of a JSON body.
_JSON_BYTES_AT_ONCE = 4 * 2**20


class RemoteLibrary:
    """A library behind a server: implements `trawl.library.interface.SearchLibrary`.

    Reads query files and files to add on this machine and sends them. The `uri` of a
    document is its file name, since the server does not reveal directories.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def search(
        self,
        text: str | None = None,
        *,
        image: str | Path | None = None,
        audio: str | Path | None = None,
        like: str | None = None,
        where: str | None = None,
        **changes: Unpack[SearchKeywords],
    ) -> Answer:
        """Search. See `Library.search`."""
        body = {"like": like, "where": where, **_body(changes)}
        return self._client.search(text, image=image, audio=audio, **body)

    def query(
        self,
        line: str,
        *,
        image: str | Path | None = None,
        audio: str | Path | None = None,
        like: str | None = None,
        where: str | None = None,
        **changes: Unpack[SearchKeywords],
    ) -> Answer:
        """Search by a query line, sending the files that it names. See `Library.query`."""
        rest, parts = _split_files(line)
        body = {"q": rest, "like": like, "where": where, **_body(changes)}
        return self._client.search(image=image, audio=audio, parts=parts, **body)

    def similar(
        self, chunk_id: str, *, where: str | None = None, **changes: Unpack[SearchKeywords]
    ) -> Answer:
        """Search for chunks like a chunk. See `Library.similar`."""
        return self._client.similar(chunk_id, where=where, **_body(changes))

    def candidates(self, question: Question) -> Candidates:
        """Return candidates for a search of several libraries. See `Library.candidates`."""
        return self._client.candidates(question)

    def liked(self, chunk_id: str) -> Liked:
        """Return the vectors of a chunk. See `Library.liked`."""
        return self._client.liked(chunk_id)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def show(self, target: str) -> DocumentContents:
        """Return a document with its chunks, by document id, chunk id or file name."""
        return self._client.show(self._id_of(target))

    def document_page(
        self,
        *,
        failed: bool | None = None,
        notices: bool | None = None,
        where: str | None = None,
        name: str | None = None,
        sort: str | None = None,
        offset: int = 0,
        limit: int | None = None,
    ) -> DocumentPage:
        """Return a page of the documents, in requests of up to 1,000. See `Library`."""
        found: list[Document] = []
        following: int | None = offset
        while following is not None and (limit is None or len(found) < limit):
            wanted = _DOCUMENTS_AT_ONCE if limit is None else limit - len(found)
            page = self._client.documents(
                failed=failed,
                notices=notices,
                where=where,
                name=name,
                sort=sort,
                offset=following,
                limit=min(_DOCUMENTS_AT_ONCE, wanted),
            )
            found += page.documents
            following, total = page.next_offset, page.total
        return DocumentPage(tuple(found), total if found else 0, following)

    def facets(
        self,
        keys: Sequence[str],
        *,
        where: str | None = None,
        modality: Collection[Modality] = (),
        limit: int = 100,
    ) -> tuple[Facet, ...]:
        """Count the values of columns. See `Library.facets`."""
        return self._client.facets(keys, where=where, modality=modality, limit=limit)

    def status(self) -> Status:
        """Return counts, spaces and failures. See `Library.status`."""
        return self._client.status()

    def skipped(self) -> Skipped:
        """Raise `UsageError`: the machine that added the files knows which it skipped."""
        raise UsageError("--skipped requires a local library; omit --server")

    def columns(self) -> dict[str, str]:
        """Return the columns that filters may use. See `Library.columns`."""
        return dict(self._client.stats()["columns"])

    def thumbnail(self, chunk_id: str) -> bytes:
        """Return a picture's thumbnail. See `Library.thumbnail`."""
        return self._client.thumbnail(chunk_id)

    def original(self, chunk_id: str) -> Original:
        """Download the file that a chunk comes from into memory. See `Library.original`."""
        media = self._client.media(chunk_id)
        return Original(
            file=BytesIO(media.data),
            name=chunk_id,
            media_type=media.media_type.partition(";")[0],
            size_bytes=media.size_bytes,
            modified_at=datetime.datetime.now(datetime.UTC),
            tag=chunk_id,
        )

    def set_metadata(
        self,
        target: str,
        changes: Mapping[str, Any],
        *,
        add: Mapping[str, Any] | None = None,
        remove: Mapping[str, Any] | None = None,
    ) -> Document:
        """Edit a document by id or file name. See `Library.set_metadata`."""
        document_id = self._id_of(target)
        return self._client.set_metadata(document_id, changes, add=add, remove=remove)

    def _id_of(self, target: str) -> str:
        """Return the id of a document by id, chunk id, or path, of which the name counts.

        Raises `NotFoundError`, and `UsageError` if several documents have the name.
        """
        if _ID.fullmatch(target):
            return target.partition(":")[0]
        name = PurePath(target).name or target
        if any("\ud800" <= letter <= "\udfff" for letter in name):
            name = quote(os.fsencode(name))  # as in the document's address
        found = self._client.documents(name=name).documents
        if not found:
            raise NotFoundError(
                f"no document named {name!r} on the server; use a file name or an id from a search"
            )
        if len(found) > 1:
            ids = ", ".join(one.document_id for one in found[:5])
            raise UsageError(
                f"{len(found)} documents on the server are named {name!r}; use an id: {ids}"
            )
        return found[0].document_id

    def remove(self, targets: Sequence[str]) -> int:
        """Remove documents by id or file name, after checking that all of them exist."""
        ids = list(dict.fromkeys(map(self._id_of, targets)))
        for document_id in ids:
            self._client.show(document_id)
        for document_id in ids:
            self._client.remove(document_id)
        return len(ids)

    def add(
        self,
        paths: Iterable[str | Path],
        *,
        metadata: Mapping[str, Any] | None = None,
        prune: bool = False,
        retry_failed: bool = False,
        skip_duplicates: bool = False,
        copy: bool = False,
        engine: Any = "local",
        progress: Callable[[int, int, str], None] | None = None,
        pages: Callable[[str, int, int | None], None] | None = None,
    ) -> Report:
        """Upload files in batches, and wait for each. See `Library.add`.

        Metadata found beside a file is sent with it. A file with a title or caption of its
        own is sent as JSON if it has up to 4 MiB, because a form has no fields for them.
        """
        local = {
            "--prune": prune,
            "--retry-failed": retry_failed,
            "--skip-duplicates": skip_duplicates,
            "--copy": copy,
            "--engine": engine != "local",
        }
        paths = list(paths)
        _check_local(paths, local)
        plan = make_plan(paths, dict(metadata or {}), unpack=False)
        failed = [Failure(unread.uri, unread.reason) for unread in plan.unread]
        notices = [Notice(item.uri, notice) for item in plan.items for notice in item.notices]
        jobs: list[Job] = []
        for batch in _batches(plan.items):
            before = sum(job.files for job in jobs)

            def watch(job: Job, before: int = before, batch: Sequence[Item] = batch) -> None:
                if progress is not None:
                    done = before + (job.files if job.is_over else job.files_done)
                    progress(done, len(plan.items), batch[-1].uri)

            job = self._client.wait(self._submit(batch).job_id, watch=watch)
            jobs.append(job)
            failed += _failures(job, batch)
            uris = {item.path.name: item.uri for item in batch}
            notices += [Notice(uris.get(one.uri, one.uri), one.notice) for one in job.notices]
        return Report(
            added=sum(job.added for job in jobs),
            unchanged=sum(job.unchanged for job in jobs),
            replaced=sum(job.replaced for job in jobs),
            moved=sum(job.moved for job in jobs),
            removed=0,
            failed=tuple(failed),
            chunks=sum(job.chunks for job in jobs),
            seconds=round(sum(job.seconds for job in jobs), 3),
            skipped=len(plan.skipped),
            notices=tuple(notices),
            skipped_types=plan.skipped_types,
            skipped_examples=plan.skipped_examples,
        )

    def add_json_lines(self, stream: BinaryIO, **_: Any) -> Report:
        """Raise `UsageError`: the server takes JSON lines itself, without uris."""
        raise UsageError(
            "trawl add - requires a local library; omit --server, or send the lines to "
            "POST /v1/documents as application/jsonl (docs/http.md)"
        )

    def _submit(self, batch: Sequence[Item]) -> Job:
        if _needs_json(batch[0]):
            return self._client.submit_lines([_as_json(item) for item in batch])
        shared = _with_iso_dates({**batch[0].metadata, **batch[0].given})
        return self._client.submit([item.path for item in batch], metadata=shared)


def _check_local(paths: Sequence[str | Path], options: Mapping[str, bool]) -> None:
    """Raise `UsageError` for options and addresses that only a local library takes."""
    for name, given in options.items():
        if given:
            raise UsageError(f"{name} requires a local library; omit --server")
    if any(is_object(str(path)) for path in paths):
        raise UsageError(
            "a server is sent files, not addresses in an object store; omit --server, and "
            "name the library with --library"
        )


def _body(changes: SearchKeywords) -> dict[str, Any]:
    """Return search options as fields of `POST /v1/search`. Raises `UsageError`."""
    options = search_options(**changes)
    body = options.model_dump(mode="json", exclude_defaults=True)
    if options.fuzzy:
        body["fuzzy"] = [{"word": word, "letters": letters} for word, letters in options.fuzzy]
    return body


def _split_files(line: str) -> tuple[str | None, list[Part]]:
    """Take the files out of a query line. Returns the rest, and the files as query parts."""
    files = [
        clause
        for clause in parse_query(line).clauses
        if isinstance(clause, MediaPart) and clause.kind in ("image", "audio")
    ]
    if not files:
        return line, []
    rest = line
    for file in reversed(files):
        rest = rest[: file.place.start] + rest[file.place.end :]
    parts = [
        Part(image=Path(file.value), weight=file.weight)
        if file.kind == "image"
        else Part(audio=Path(file.value), weight=file.weight)
        for file in files
    ]
    return rest.strip() or None, parts


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Group consecutive files that fit into one request."""

    def kind(item: Item) -> object:
        # JSON documents have metadata of their own; the files of a form share theirs.
        return _needs_json(item) or sorted(item.metadata.items(), key=str)

    for _, similar in groupby(items, key=kind):
        batch: list[Item] = []
        total = 0
        for item in similar:
            size = item.path.stat().st_size
            limit = _JSON_BYTES_AT_ONCE if _needs_json(item) else _BYTES_AT_ONCE
            if batch and (len(batch) == _FILES_AT_ONCE or total + size > limit):
                yield batch
                batch, total = [], 0
            batch.append(item)
            total += size
        yield batch


def _needs_json(item: Item) -> bool:
    is_small = item.path.stat().st_size <= _JSON_BYTES_AT_ONCE
    return is_small and bool(item.title or item.caption)


def _as_json(item: Item) -> dict[str, Any]:
    """Return a file as a JSON document, with its metadata, title and caption."""
    data = item.path.read_bytes()
    kind = item.media_type.partition("/")[0]
    fields: dict[str, Any] = {
        "name": item.path.name,
        "metadata": _with_iso_dates({**item.metadata, **item.given}),
    }
    if kind in ("image", "audio"):
        fields[kind] = base64.b64encode(data).decode()
    else:
        fields["text"] = data.decode("utf-8", "replace")
    for name, text in (("title", item.title), ("caption", item.caption)):
        if text:
            fields[name] = text
    return fields


def _with_iso_dates(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Convert dates to ISO 8601 text, which the server recognises."""
    return {
        key: value.isoformat() if isinstance(value, datetime.date) else value
        for key, value in metadata.items()
    }


def _failures(job: Job, batch: Sequence[Item]) -> list[Failure]:
    """Return the failures of a job, with the local paths of its files."""
    if job.state != "done":
        reason = job.error or f"the job was {job.state}"
        return [Failure(item.uri, reason) for item in batch]
    uris = {item.path.name: item.uri for item in batch}
    return [Failure(uris.get(one.uri, one.uri), one.reason) for one in job.failed]
