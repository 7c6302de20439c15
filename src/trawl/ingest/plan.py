"""Find the files to add. Handles links, loops and unreadable folders."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from trawl.errors import ReadError, TrawlError, UsageError
from trawl.ingest.items import Item, Plan, Unread
from trawl.ingest.names import (
    best_name,
    broken_link,
    document_id_of,
    leads_to,
    named_path,
    path_of,
    uri_of,
)
from trawl.ingest.prefixes import Prefixes
from trawl.objects import Objects, is_object
from trawl.readers import Sidecars, media_type_of, picture_links, why_unread
from trawl.readers.archives import is_archive
from trawl.store import DocumentRow, DocumentRows
from trawl.types import Edits

_AT_ONCE = 500
"""The number of files whose documents are looked up together."""


def make_plan(
    paths: Iterable[str | Path],
    given: Edits,
    documents: DocumentRows | None = None,
    *,
    objects: Objects | None = None,
    asked_for: bool = True,
    unpack: bool = True,
) -> Plan:
    """Find the files at and below `paths`. Each real file occurs once.

    Hidden files and folders inside a folder are ignored. Files of unsupported types are listed
    in `skipped`; if they are named in `paths`, they fail. `given` is metadata for all of them.
    `documents` are those of the library; the names of one that still lead to its file remain.
    `objects` finds those at addresses such as ``s3://bucket/papers``. With `asked_for` off,
    `paths` are treated as if they were found in a folder, and those that do not exist are roots
    without files. The members of archives are items too if `unpack` is set; `Plan.close` deletes
    their files.
    """
    walk = _Walk(given, documents, objects, asked_for, unpack)
    for path in paths:
        walk.add_root(path)
    return walk.finish()


class _Walk:
    """Collects the names of each real file, and then makes an item of each."""

    def __init__(
        self,
        given: Edits,
        documents: DocumentRows | None,
        objects: Objects | None,
        asked_for: bool,
        unpack: bool,
    ) -> None:
        self._plan = Plan()
        self._archives = self._plan.archives
        self._unpacks = unpack
        self._are_asked_for = asked_for
        self._given = given
        self._documents = documents
        self._known: Mapping[str, DocumentRow] = {}
        self._objects = objects
        self._own = objects.own_directory if objects is not None else None
        self._sidecars = Sidecars()
        self._names: dict[Path, list[Path]] = {}
        self._waiting: deque[Path] = deque()
        self._asked_for: set[Path] = set()
        self._captions: dict[Path, str] = {}

    def add_root(self, root: str | Path) -> None:
        if is_object(str(root)):
            self._prefixes.add(str(root), asked_for=self._are_asked_for)
            return
        path = Path(root)
        try:
            real, name = path.resolve(strict=True), named_path(path)
        except (OSError, RuntimeError, ValueError) as error:
            if not self._are_asked_for and not os.path.lexists(path):
                self._plan.roots.add(uri_of(path.absolute()))
                return
            reason = getattr(error, "strerror", None) or str(error)
            self._plan.unread.append(
                Unread(uri_of(path.absolute()), f"{reason}; check the path", exists=False)
            )
            return
        if real.is_dir():
            self._plan.roots.add(uri_of(real))
            for file in self._files(real):
                self._add_name(file, named=False)
        else:
            self._plan.roots.add(uri_of(name))
            self._add_name(name, named=self._are_asked_for)

    @cached_property
    def _prefixes(self) -> Prefixes:
        if self._objects is None:
            raise UsageError("objects of a store can be added to a local library only")
        members = self._add_members if self._unpacks else None
        return Prefixes(self._plan, self._objects, self._documents, self._given, members)

    def _files(self, top: Path) -> Iterator[Path]:
        def unreadable(error: OSError) -> None:
            name = uri_of(Path(error.filename or top))
            self._plan.unread.append(Unread(name, f"{error.strerror}: the folder was not read"))

        visited: set[Path] = set()
        # Links to folders are followed last, so that a folder's own name precedes theirs.
        waiting = deque([top])
        while waiting:
            for folder, folders, names in os.walk(waiting.popleft(), onerror=unreadable):
                here = Path(folder)
                real = here.resolve()
                # A link to its own parent, for example; and the library has copies of files.
                if real in visited or real == self._own:
                    folders.clear()
                    continue
                visited.add(real)
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                waiting += [here / name for name in folders if (here / name).is_symlink()]
                yield from (here / name for name in sorted(names) if not name.startswith("."))

    def _add_name(self, path: Path, *, named: bool) -> None:
        try:
            real = path.resolve(strict=True)
            if not named and self._sidecars.is_sidecar(path):
                return
        except (OSError, RuntimeError) as error:
            self._fail(path, error)
            return
        if real not in self._names:
            self._names[real] = []
            self._waiting.append(real)
        if path not in self._names[real]:
            self._names[real].append(path)
        if named:
            self._asked_for.add(real)

    def _fail(self, path: Path, error: Exception) -> None:
        if isinstance(error, TrawlError):
            self._plan.unread.append(Unread(self._archives.uri(path), str(error), opened=True))
            return
        reason = getattr(error, "strerror", None) or str(error)
        if getattr(error, "errno", None) == errno.ENOENT:
            reason = broken_link(path) or reason
        self._plan.unread.append(Unread(self._archives.uri(path), f"cannot be opened: {reason}"))

    def _add_file(self, real: Path) -> None:
        names = self._all_names(real)
        path = best_name(names, real)
        try:
            if not real.is_file():
                raise ReadError("not a regular file")
            media_type = media_type_of(path)
            if media_type is None:
                if real in self._asked_for:
                    raise ReadError(why_unread(path))
                self._plan.skipped.append(self._archives.uri(path))
                return
            # The main name last: what is beside it overrides the rest.
            beside = dict.fromkeys([real, *(name for name in names if name != path), path])
            found = [self._sidecars.metadata_for(name) for name in beside]
            self._follow_pictures(path, media_type)
            if self._unpacks and is_archive(media_type):
                self._add_members(real, media_type, self._archives.uri(real))
        except (OSError, RuntimeError, TrawlError) as error:
            self._fail(path, error)
            return
        self._plan.items.append(
            Item(
                path=path,
                uri=self._archives.uri(path),
                media_type=media_type,
                target=self._archives.uri(real) if path != real else "",
                names=tuple(self._archives.uri(name) for name in names if name != path),
                title=next((one.title for one in reversed(found) if one.title), ""),
                caption=next((one.caption for one in reversed(found) if one.caption), ""),
                metadata={key: v for one in found for key, v in one.metadata.items()},
                given=self._given,
                notices=tuple(dict.fromkeys(notice for one in found for notice in one.notices)),
            )
        )

    def _all_names(self, real: Path) -> list[Path]:
        """Return the names of a file: those in the library first, so that they are stable."""
        if self._archives.contains(real):
            return self._names[real]
        document_id = document_id_of(uri_of(real))
        row = self._known.get(document_id)
        known = (row.uri, *row.names) if row is not None else ()
        valid = [path_of(uri) for uri in known if uri == uri_of(real) or leads_to(uri, document_id)]
        return list(dict.fromkeys([*valid, *self._names[real]]))

    def _add_members(self, archive: Path, media_type: str, uri: str) -> None:
        found = self._archives.unpack(archive, media_type, uri)
        for file in found.files:
            self._add_name(file, named=False)
        self._plan.unread += [Unread(uri, reason, opened=True) for uri, reason in found.problems]

    def _follow_pictures(self, document: Path, media_type: str) -> None:
        """Add the images that a Markdown file or a page shows, with their captions.

        Only images at or below its own folder: a document must not add files from elsewhere.
        """
        links = picture_links(document, media_type)
        if links and not self._archives.contains(document):
            self._plan.shown[document] = [link.path for link in links]
        for link in links:
            if not link.path.is_relative_to(document.parent) or not os.path.isfile(link.path):
                continue
            if link.caption:
                self._captions.setdefault(link.path.resolve(), link.caption)
            self._add_name(named_path(link.path), named=True)

    def finish(self) -> Plan:
        """Return the plan. Images without a caption get the one from a document."""
        while self._waiting:
            files = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
            if self._documents is not None:
                own = [file for file in files if not self._archives.contains(file)]
                self._known = self._documents.of([document_id_of(uri_of(file)) for file in own])
            for file in files:
                self._add_file(file)
        if "_prefixes" in self.__dict__:
            self._prefixes.finish()
        self._plan.items = [self._captioned(item) for item in self._plan.items]
        self._plan.unread += [
            Unread(problem.uri, problem.reason, opened=True) for problem in self._sidecars.problems
        ]
        return self._plan

    def _captioned(self, item: Item) -> Item:
        caption = self._captions.get(item.path.resolve()) if self._captions else None
        if not caption or item.caption:
            return item
        return replace(item, caption=caption)
