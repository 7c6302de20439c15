"""`trawl --server URL`: the commands, put to a server in the place of a library.

`opened` gives a command what it is to ask: the library of this machine, or a server that
answers with the same types; so each command is written once, and prints the same.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from trawl.client import Client, Document, DocumentContents, Job, Part
    from trawl.ingest import Item
    from trawl.library import Library as LibraryType
    from trawl.library import Original
    from trawl.types import Answer, Failure, Report, Status

    Opened: TypeAlias = "LibraryType | RemoteLibrary"

_FILES_AT_ONCE = 50
_BYTES_AT_ONCE = 16 * 2**20
# In base64 a third more, and within what a server takes of JSON.
_LINE_BYTES_AT_ONCE = 4 * 2**20
_CHUNK_MARK = ":"
_HERE_ONLY = frozenset({"init", "demo", "serve", "eval", "models"})

_server: str | None = None


def choose(server: str | None, command: str, *, by_name: bool) -> None:
    """Put a command to a server; to the library of this machine for None.

    A command that is about this machine stays here, and is refused where the server was
    chosen by its option (`by_name`) rather than by the environment.
    """
    global _server
    if server is not None and command in _HERE_ONLY:
        if by_name:
            from trawl.errors import UsageError

            raise UsageError(f"{command} is about this machine; leave --server out")
        server = None
    _server = server


@contextmanager
def opened(library: Path, *, create: bool = False) -> Iterator[Opened]:
    """Give the library, or the server that was chosen in its place.

    With `create`, a library that is not there is made, and said so.
    """
    if _server is not None:
        with _client(_server) as client:
            yield RemoteLibrary(client, _server)
        return
    from trawl.errors import LibraryMissingError
    from trawl.library import Library

    try:
        found = Library(library)
    except LibraryMissingError:
        if not create:
            raise
        from trawl.cli.terminal import complain

        found = Library(library, create=True)
        complain(f"made a new library at {library}")
    with found:
        yield found


def name_of(library: Path) -> str:
    """Say what is asked: the server, or the library's directory."""
    return str(library) if _server is None else _server


def _client(server: str) -> Client:
    from trawl.errors import SettingsError, UsageError
    from trawl.settings import load_settings

    if not server.startswith(("http://", "https://")):
        raise UsageError(f"--server {server}: give an address such as http://127.0.0.1:8000")
    try:
        from trawl.client import Client
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"--server needs {error.name}; install it with: pip install 'trawl-multimodal[client]'"
        ) from error
    return Client(server, key=load_settings().api_key)


class RemoteLibrary:
    """A server with the methods of `Library` that the commands use.

    What names files of this machine (a picture to ask with, files to add) is read here and
    sent; addresses of documents are names of files, since paths stay on the server.
    """

    def __init__(self, client: Client, server: str) -> None:
        self._client = client
        self._server = server

    def search(self, text: str | None = None, **options: Any) -> Answer:
        """As `Library.search`."""
        return self._client.search(text, **_sendable(options))

    def query(self, line: str, **options: Any) -> Answer:
        """As `Library.query`; the files that the line names are sent with it."""
        rest, parts = _media_of(line)
        return self._client.search(q=rest, parts=parts, **_sendable(options))

    def similar(self, chunk_id: str, **options: Any) -> Answer:
        """As `Library.similar`."""
        return self._client.similar(chunk_id, **_sendable(options))

    def show(self, target: str | Path) -> DocumentContents:
        """As `Library.show`, by an id alone."""
        return self._client.show(str(target).partition(_CHUNK_MARK)[0])

    def status(self) -> Status:
        """As `Library.status`."""
        return self._client.status()

    def columns(self) -> dict[str, str]:
        """As `Library.columns`."""
        return dict(self._client.stats()["columns"])

    def thumbnail(self, chunk_id: str) -> bytes:
        """As `Library.thumbnail`."""
        return self._client.thumbnail(chunk_id)

    def original(self, chunk_id: str) -> Original:
        """As `Library.original`; the file is in memory."""
        from datetime import UTC, datetime

        from trawl.library import Original

        found = self._client.media(chunk_id)
        return Original(
            file=BytesIO(found.data),
            name=chunk_id,
            media_type=found.media_type.partition(";")[0],
            size_bytes=found.size_bytes,
            modified_at=datetime.now(UTC),
            tag=chunk_id,
        )

    def set_metadata(self, document_id: str, changes: Mapping[str, Any]) -> Document:
        """As `Library.set_metadata`."""
        return self._client.set_metadata(document_id, changes)

    def remove(self, targets: Sequence[str]) -> int:
        """As `Library.remove`, by ids alone."""
        wanted = list(dict.fromkeys(targets))
        for target in wanted:
            self._client.show(target)
        for target in wanted:
            self._client.remove(target)
        return len(wanted)

    def add(
        self,
        paths: Iterable[str | Path],
        *,
        metadata: Mapping[str, Any] | None = None,
        prune: bool = False,
        progress: Callable[[int, int, str], None] | None = None,
    ) -> Report:
        """As `Library.add`: files go in groups, each a job that is waited for.

        What lies beside a file goes with it. A title or a caption goes with files of up to
        4 MiB, as lines of JSON: a form has no place for them.
        """
        from trawl.errors import UsageError
        from trawl.ingest import make_plan
        from trawl.types import Failure

        if prune:
            raise UsageError("--prune looks at files that are gone here; the server has its own")
        plan = make_plan(paths, dict(metadata or {}))
        failed = [Failure(unread.uri, unread.reason) for unread in plan.unread]
        jobs: list[Job] = []
        for group in _groups(plan.items):
            before = sum(job.files for job in jobs)

            def watch(job: Job, before: int = before, group: Sequence[Item] = group) -> None:
                if progress is not None:
                    done = before + (job.files if job.is_over else job.files_done)
                    progress(done, len(plan.items), group[-1].uri)

            if _is_titled(group[0]):
                sent = self._client.submit_lines([_line(item) for item in group])
                job = self._client.wait(sent.job_id, watch=watch)
            else:
                paths = [item.path for item in group]
                job = self._client.add(paths, metadata=_plain(group[0].metadata), watch=watch)
            jobs.append(job)
            failed += _failures(job, group)
        return _report(jobs, failed, len(plan.skipped))


def _sendable(options: Mapping[str, Any]) -> dict[str, Any]:
    """Give options as JSON has them, without those that say nothing."""
    sent = {}
    for name, value in options.items():
        if isinstance(value, Mapping):
            value = dict(value)
        elif isinstance(value, tuple | set | frozenset):
            value = list(value)
        if value is not None and value != [] and value != {}:
            sent[name] = value
    return sent


def _media_of(line: str) -> tuple[str | None, list[Part]]:
    """Take the files out of a line of the query language: the rest, and the files as parts."""
    from trawl.client import Part
    from trawl.query import MediaPart, parse_query

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
        Part(image=Path(one.value), weight=one.weight)
        if one.kind == "image"
        else Part(audio=Path(one.value), weight=one.weight)
        for one in files
    ]
    return rest.strip() or None, parts


def _groups(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Give files that can go in one request together, as many as it should carry."""

    def kind(item: Item) -> object:
        # Lines have metadata each; the files of a form share theirs.
        return _is_titled(item) or sorted(item.metadata.items(), key=str)

    for _, alike in groupby(items, key=kind):
        group: list[Item] = []
        size = 0
        for item in alike:
            more = item.path.stat().st_size
            most = _LINE_BYTES_AT_ONCE if _is_titled(item) else _BYTES_AT_ONCE
            if group and (len(group) == _FILES_AT_ONCE or size + more > most):
                yield group
                group, size = [], 0
            group.append(item)
            size += more
        yield group


def _is_titled(item: Item) -> bool:
    small = item.path.stat().st_size <= _LINE_BYTES_AT_ONCE
    return small and bool(item.title or item.caption)


def _line(item: Item) -> dict[str, Any]:
    """Give a file as a line of JSON, with what lies beside it."""
    data = item.path.read_bytes()
    kind = item.media_type.partition("/")[0]
    found: dict[str, Any] = {"name": item.path.name, "metadata": _plain(item.metadata)}
    if kind in ("image", "audio"):
        found[kind] = base64.b64encode(data).decode()
    else:
        found["text"] = data.decode("utf-8", "replace")
    for name, words in (("title", item.title), ("caption", item.caption)):
        if words:
            found[name] = words
    return found


def _plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Give metadata as JSON has it; the server knows a date by its form."""
    return {
        key: value.isoformat() if hasattr(value, "isoformat") else value
        for key, value in metadata.items()
    }


def _failures(job: Job, group: Sequence[Item]) -> list[Failure]:
    """Give the failures of a job under the paths that the files have here."""
    from trawl.types import Failure

    if job.state != "done":
        reason = job.error or f"the job was {job.state}"
        return [Failure(item.uri, reason) for item in group]
    paths = {item.path.name: item.uri for item in group}
    return [Failure(paths.get(one.uri, one.uri), one.reason) for one in job.failed]


def _report(jobs: Sequence[Job], failed: Sequence[Failure], skipped: int) -> Report:
    from trawl.types import Report

    return Report(
        added=sum(job.added for job in jobs),
        unchanged=sum(job.unchanged for job in jobs),
        replaced=sum(job.replaced for job in jobs),
        removed=0,
        failed=tuple(failed),
        chunks=sum(job.chunks for job in jobs),
        seconds=round(sum(job.seconds for job in jobs), 3),
        skipped=skipped,
    )
