"""Find the objects to add: those at and below an address such as `s3://bucket/papers`.

One LIST request returns a thousand objects with their sizes and tags. Of new and changed objects
the first bytes are read for their type; sidecars and tables are read in every run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from trawl.errors import ReadError, StorageError, TrawlError
from trawl.ingest.items import Item, Plan, Unread
from trawl.ingest.names import document_id_of
from trawl.objects import Objects, StoredObject
from trawl.readers import TABLE_NAMES, Sidecar, Sidecars, media_type_of, why_unread
from trawl.readers.archives import is_archive
from trawl.readers.formats import HEAD_BYTES
from trawl.readers.sidecars import SUFFIXES as SIDECAR_SUFFIXES
from trawl.store import DocumentRow, DocumentRows
from trawl.types import Edits

_REQUESTS = 16
_LONGEST_NAME = 200

AddMembers = Callable[[Path, str, str], None]
"""Adds the members of an archive, by its path, media type and address."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What is known about an object: its type, None if it is not read, and its metadata."""

    media_type: str | None
    beside: Sidecar
    problem: str = ""
    opened: bool = False


class Prefixes:
    """Adds the objects at and below addresses to a plan.

    `documents` are those of the library. `add_members` is None if archives are not
    to be opened.
    """

    def __init__(
        self,
        plan: Plan,
        objects: Objects,
        documents: DocumentRows | None,
        given: Edits,
        add_members: AddMembers | None,
    ) -> None:
        self._plan = plan
        self._objects = objects
        self._documents = documents
        self._known: Mapping[str, DocumentRow] = {}
        self._given = given
        self._add_members = add_members
        self._folder = Path(plan.resources.enter_context(TemporaryDirectory(prefix="trawl-")))
        self._sidecars = Sidecars()
        self._tables: set[Path] = set()
        self._tables_lock = threading.Lock()
        self._seen: set[str] = set()

    def add(self, address: str, *, asked_for: bool) -> None:
        """Add what is at and below an address. `asked_for` is that of `make_plan`."""
        address = address.rstrip("/")
        try:
            one = self._objects.get(address)
            below = self._objects.list(address)
        except (StorageError, FileNotFoundError) as error:
            self._plan.unread.append(Unread(address, str(error), exists=False))
            return
        if one is None and not below and asked_for:
            reason = "no object here, and none below; check the address"
            self._plan.unread.append(Unread(address, reason, exists=False))
            return
        self._plan.roots.add(address)
        named = one if asked_for else None
        found = [*([one] if one is not None else []), *below]
        names = {source.name for source in found}
        _, top = self._objects.place(address)
        chosen = [
            source
            for source in found
            if source.uri not in self._seen
            and (source is named or not _is_left_out(source.name, top, names))
        ]
        self._seen.update(source.uri for source in chosen)
        if self._documents is not None:
            self._known = self._documents.of([document_id_of(source.uri) for source in chosen])
        with ThreadPoolExecutor(_REQUESTS, "trawl-list") as pool:
            looked = pool.map(lambda source: self._look(source, names), chosen)
            for source, result in zip(chosen, looked, strict=True):
                self._take(source, result, is_named=source is named)

    def finish(self) -> None:
        """Report the tables that cannot be read."""
        for problem in self._sidecars.problems:
            uri = self._uri(Path(problem.uri))
            self._plan.unread.append(Unread(uri, problem.reason, opened=True))

    def _take(self, source: StoredObject, found: _Found, *, is_named: bool) -> None:
        """Add an object to the plan as an item, as skipped or as unread."""
        if found.problem and (found.media_type is not None or found.opened or is_named):
            self._plan.unread.append(Unread(source.uri, found.problem, opened=found.opened))
            return
        if found.media_type is None:
            self._plan.skipped.append(source.uri)
            return
        number = len(self._plan.items)
        path = self._folder / "read" / str(number) / _file_name(source.name)
        if self._add_members is not None and is_archive(found.media_type):
            try:
                source.download(path)
                self._add_members(path, found.media_type, source.uri)
            except (OSError, TrawlError) as error:
                opened = isinstance(error, ReadError)
                self._plan.unread.append(Unread(source.uri, str(error), opened=opened))
                return
            finally:
                path.unlink(missing_ok=True)
        self._plan.items.append(
            Item(
                path=path,
                uri=source.uri,
                media_type=found.media_type,
                title=found.beside.title,
                caption=found.beside.caption,
                metadata=found.beside.metadata,
                given=self._given,
                notices=found.beside.notices,
                source=source,
            )
        )

    # --- in threads --------------------------------------------------------------------

    def _look(self, source: StoredObject, names: set[str]) -> _Found:
        """Return what is known about an object. Reads as little of it as possible."""
        try:
            media_type, reason = self._type_of(source)
        except ReadError as error:
            return _Found(None, Sidecar(), str(error), opened=True)
        except (TrawlError, OSError) as error:
            return _Found("", Sidecar(), f"cannot be opened: {error}")
        if media_type is None:
            return _Found(None, Sidecar(), reason)
        try:
            return _Found(media_type, self._beside(source, names))
        except (TrawlError, OSError) as error:
            return _Found(media_type, Sidecar(), f"its metadata cannot be read: {error}")

    def _type_of(self, source: StoredObject) -> tuple[str | None, str]:
        """Return an object's media type, or None and why it is not read.

        That of an unchanged document is known. Raises what `media_type_of` raises.
        """
        row = self._known.get(document_id_of(source.uri))
        if row is not None and row.media_type and is_as_added(row, source):
            return row.media_type, ""
        with TemporaryDirectory(dir=self._folder) as folder:
            head = Path(folder) / _file_name(source.name)
            head.write_bytes(source.read(0, HEAD_BYTES))
            media_type = media_type_of(head)
            return media_type, "" if media_type is not None else why_unread(head)

    def _beside(self, source: StoredObject, names: set[str]) -> Sidecar:
        """Return the metadata in the sidecars of an object and in the tables beside it."""
        path = self._beside_path(source)
        folder = source.name.rpartition("/")[0]
        tables = [f"{folder}/{name}".lstrip("/") for name in TABLE_NAMES]
        with self._tables_lock:
            if path.parent not in self._tables:
                for name in names.intersection(tables):
                    self._fetch(source, name)
                self._tables.add(path.parent)
        own = [f"{source.name}{suffix}" for suffix in SIDECAR_SUFFIXES]
        fetched = [self._fetch(source, name) for name in own if name in names]
        try:
            return self._sidecars.metadata_for(path)
        finally:
            for one in fetched:
                one.unlink()

    def _beside_path(self, source: StoredObject) -> Path:
        return self._folder / "beside" / source.uri.replace("://", "/", 1)

    def _uri(self, path: Path) -> str:
        parts = path.relative_to(self._folder / "beside").as_posix()
        return parts.replace("/", "://", 1)

    def _fetch(self, source: StoredObject, name: str) -> Path:
        """Download a file beside an object."""
        uri = f"{source.bucket.address}/{name}"
        found = self._objects.get(uri)
        if found is None:
            raise ReadError(f"{uri} is gone")
        path = self._beside_path(found)
        found.download(path)
        return path


def is_as_added(row: DocumentRow, source: StoredObject) -> bool:
    """Return whether an object is the one that a document was read from."""
    return row.content_hash.startswith(f"{source.fingerprint}-")


def _is_left_out(name: str, top: str, names: set[str]) -> bool:
    """Return whether an object below a prefix is hidden, or metadata of others."""
    parts = PurePosixPath(name).parts[len(PurePosixPath(top).parts) :]
    if any(part.startswith(".") for part in parts) or name.rpartition("/")[2] in TABLE_NAMES:
        return True
    stem, dot, suffix = name.rpartition(".")
    return bool(dot) and f".{suffix}" in SIDECAR_SUFFIXES and stem in names


def _file_name(name: str) -> str:
    """Return the name of an object's file, which may not be too long for a disk."""
    last = PurePosixPath(name).name
    if len(last.encode()) <= _LONGEST_NAME:
        return last
    suffix = PurePosixPath(last).suffix[-20:]
    return last.encode()[: _LONGEST_NAME - len(suffix.encode())].decode("utf-8", "ignore") + suffix
