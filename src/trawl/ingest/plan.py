"""Find the files to add. Handles links, loops and unreadable folders."""

from __future__ import annotations

import errno
import hashlib
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from trawl.errors import ReadError, TrawlError
from trawl.ingest.members import Archives
from trawl.ingest.names import (
    below,
    best_name,
    broken_link,
    document_id_of,
    leads_to,
    named_path,
    path_of,
    uri_of,
)
from trawl.readers import Sidecars, media_type_of, picture_links, suffix_of, why_unread
from trawl.readers.archives import is_archive
from trawl.types import Edits, Metadata

NamesOf: TypeAlias = Callable[[Sequence[str]], Mapping[str, Sequence[str]]]
"""Returns the names of the documents that exist among some ids, by id."""

_AT_ONCE = 500
"""The number of files whose names are looked up together."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file to add, with the metadata from its neighbouring files, and notices about these.

    `path` and `uri` are the name that it is listed under, and `names` its other names; each may
    be a link. `target` is the URI of the file itself, "" if that is `uri`. `given` is the
    metadata for all files of the run; None takes back what an earlier run gave.
    """

    path: Path
    uri: str
    media_type: str
    target: str = ""
    names: tuple[str, ...] = ()
    title: str = ""
    caption: str = ""
    metadata: Metadata = field(default_factory=dict)
    given: Edits = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    @property
    def document_id(self) -> str:
        """The id of its document: 96 bits of the hash of the file's own URI."""
        return document_id_of(self.target or self.uri)


@dataclass(frozen=True, slots=True)
class Unread:
    """A path that cannot be added.

    `exists` is False if there is no file or folder. `opened` is True if its content has been
    read, so that chunks from an earlier run are out of date.
    """

    uri: str
    reason: str
    exists: bool = True
    opened: bool = False


@dataclass(slots=True)
class Plan:
    """The result of a walk. `roots` are the URIs it started from.

    `shown` are the pictures that documents show, at or below their folder; they need not exist.
    """

    items: list[Item] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    roots: set[str] = field(default_factory=set)
    shown: dict[Path, list[Path]] = field(default_factory=dict)
    archives: Archives = field(default_factory=Archives)

    def close(self) -> None:
        """Delete the unpacked members of archives, after the files were read."""
        self.archives.close()

    @property
    def skipped_types(self) -> dict[str, int]:
        """The number of skipped files by extension, most first; "" counts those without one."""
        return dict(Counter(suffix_of(uri) for uri in self.skipped).most_common())

    @property
    def skipped_examples(self) -> dict[str, str]:
        """The first skipped file of each extension."""
        return {suffix_of(uri): uri for uri in reversed(self.skipped)}

    def covers(self, uri: str) -> bool:
        """Return whether a URI is at or below a root."""
        return below(uri, self.roots)

    def is_unreadable(self, uri: str) -> bool:
        """Return whether a URI is at or below one that could not be read."""
        return below(uri, {unread.uri for unread in self.unread})


def make_plan(
    paths: Iterable[str | Path],
    given: Edits,
    names_of: NamesOf | None = None,
    *,
    asked_for: bool = True,
    unpack: bool = True,
) -> Plan:
    """Find the files at and below `paths`. Each real file occurs once.

    Hidden files and folders inside a folder are ignored. Files of unsupported types are listed
    in `skipped`; if they are named in `paths`, they fail. `given` is metadata for all of them.
    `names_of` returns the names of documents in the library by id; those that still lead to the
    file remain its names. With `asked_for` off, `paths` are treated as if they were found in a
    folder, and those that do not exist are roots without files. The members of archives are items
    too if `unpack` is set; `Plan.close` deletes their files.
    """
    walk = _Walk(given, names_of, asked_for, unpack)
    for path in paths:
        walk.add_root(Path(path))
    return walk.finish()


class _Walk:
    """Collects the names of each real file, and then makes an item of each."""

    def __init__(
        self, given: Edits, names_of: NamesOf | None, asked_for: bool, unpack: bool
    ) -> None:
        self._plan = Plan()
        self._archives = self._plan.archives
        self._unpacks = unpack
        self._are_asked_for = asked_for
        self._given = given
        self._names_of = names_of
        self._known: Mapping[str, Sequence[str]] = {}
        self._sidecars = Sidecars()
        self._names: dict[Path, list[Path]] = {}
        self._waiting: deque[Path] = deque()
        self._asked_for: set[Path] = set()
        self._captions: dict[Path, str] = {}

    def add_root(self, path: Path) -> None:
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
                if real in visited:  # a link to its own parent, for example
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
                self._add_members(real, media_type)
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
        known = self._known.get(document_id, ())
        valid = [path_of(uri) for uri in known if uri == uri_of(real) or leads_to(uri, document_id)]
        return list(dict.fromkeys([*valid, *self._names[real]]))

    def _add_members(self, archive: Path, media_type: str) -> None:
        found = self._archives.unpack(archive, media_type)
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
            if self._names_of is not None:
                own = [file for file in files if not self._archives.contains(file)]
                self._known = self._names_of([document_id_of(uri_of(file)) for file in own])
            for file in files:
                self._add_file(file)
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


def fingerprints(item: Item, recipe: Mapping[str, object]) -> tuple[str, str]:
    """Return a hash of everything that determines a file's chunks, and one for its copies.

    The first covers its bytes, its metadata and the recipe, the second its bytes, its type and
    the recipe. Raises `OSError` if the file cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    with item.path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    content = digest.copy()
    content.update(repr((item.media_type, sorted(recipe.items()))).encode())
    known = (item.title, item.caption, sorted(item.metadata.items()), sorted(recipe.items()))
    digest.update(repr(known).encode("utf-8", "surrogatepass"))
    return digest.hexdigest(), content.hexdigest()[:24]
