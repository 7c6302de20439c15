"""Find the files to add. Handles links, loops and unreadable folders."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote_to_bytes

from trawl.errors import ReadError, TrawlError
from trawl.readers import Sidecars, media_type_of, picture_links, suffix_of, why_unread
from trawl.types import Metadata

_MARKDOWN = "text/markdown"


@dataclass(frozen=True, slots=True)
class Item:
    """A file to add, with the metadata from its neighbouring files, and notices about these."""

    path: Path
    uri: str
    media_type: str
    title: str = ""
    caption: str = ""
    metadata: Metadata = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    @property
    def document_id(self) -> str:
        """The id of its document: 96 bits of the hash of its URI."""
        return document_id_of(self.uri)


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
    """The result of a walk. `roots` are the URIs it started from."""

    items: list[Item] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)

    @property
    def skipped_types(self) -> dict[str, int]:
        """The number of skipped files by extension, most first; "" counts those without one."""
        return dict(Counter(suffix_of(uri) for uri in self.skipped).most_common())

    def covers(self, uri: str) -> bool:
        """Return whether a URI is at or below a root."""
        return any(_below(uri, root) for root in self.roots)

    def is_unreadable(self, uri: str) -> bool:
        """Return whether a URI is at or below one that could not be read."""
        return any(_below(uri, unread.uri) for unread in self.unread)


def _below(uri: str, root: str) -> bool:
    return uri == root or uri.startswith(root.rstrip("/") + "/")


def document_id_of(uri: str) -> str:
    """Return the id of the document at a URI: 24 hexadecimal digits."""
    return hashlib.blake2b(uri.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def uri_of(path: Path) -> str:
    """Return the path itself, or a file:// URI if it is not UTF-8."""
    text = str(path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return path.as_uri()
    return text


def path_of(uri: str) -> Path:
    """Return the path of a URI from `uri_of`."""
    if uri.startswith("file://"):
        return Path(os.fsdecode(unquote_to_bytes(uri.removeprefix("file://"))))
    return Path(uri)


def make_plan(paths: Iterable[str | Path], metadata: Metadata) -> Plan:
    """Find the files at and below `paths`. Each real file occurs once.

    Hidden files and folders inside a folder are ignored. Files of unsupported types are listed
    in `skipped`; if they are named in `paths`, they fail.
    """
    walk = _Walk(metadata)
    for path in paths:
        walk.add_root(Path(path))
    return walk.finish()


class _Walk:
    def __init__(self, metadata: Metadata) -> None:
        self._plan = Plan()
        self._metadata = metadata
        self._sidecars = Sidecars()
        self._seen: set[Path] = set()
        self._captions: dict[Path, str] = {}

    def add_root(self, path: Path) -> None:
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self._plan.unread.append(
                Unread(uri_of(path.absolute()), f"{reason}; check the path", exists=False)
            )
            return
        self._plan.roots.append(uri_of(real))
        if real.is_dir():
            for file in self._files(real):
                self._add_file(file, named=False)
        else:
            self._add_file(real, named=True)

    def _files(self, top: Path) -> Iterator[Path]:
        def unreadable(error: OSError) -> None:
            name = uri_of(Path(error.filename or top))
            self._plan.unread.append(Unread(name, f"{error.strerror}: the folder was not read"))

        visited: set[Path] = set()
        for folder, folders, names in os.walk(top, onerror=unreadable, followlinks=True):
            # A link to a folder that has been visited, such as its own parent.
            real = Path(folder).resolve()
            if real in visited:
                folders.clear()
                continue
            visited.add(real)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if not name.startswith("."):
                    yield Path(folder) / name

    def _add_file(self, path: Path, *, named: bool) -> None:
        try:
            real = path.resolve(strict=True)
            if real in self._seen or (not named and self._sidecars.is_sidecar(real)):
                return
            self._seen.add(real)
            if not real.is_file():
                raise ReadError("not a regular file")
            media_type = media_type_of(real)
            if media_type is None:
                if named:
                    raise ReadError(why_unread(real))
                self._plan.skipped.append(uri_of(real))
                return
            sidecar = self._sidecars.metadata_for(real)
            if media_type == _MARKDOWN:
                self._follow_pictures(real)
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self._plan.unread.append(Unread(uri_of(path), f"cannot be opened: {reason}"))
            return
        except TrawlError as error:
            self._plan.unread.append(Unread(uri_of(path), str(error), opened=True))
            return
        self._plan.items.append(
            Item(
                path=real,
                uri=uri_of(real),
                media_type=media_type,
                title=sidecar.title,
                caption=sidecar.caption,
                metadata={**sidecar.metadata, **self._metadata},
                notices=sidecar.notices,
            )
        )

    def _follow_pictures(self, markdown: Path) -> None:
        """Add the images that a Markdown file embeds, with their captions.

        Only images at or below its own folder: a document must not add files from elsewhere.
        """
        for link in picture_links(markdown):
            real = link.path.resolve()
            if not real.is_relative_to(markdown.parent) or not real.is_file():
                continue
            if link.caption:
                self._captions.setdefault(real, link.caption)
            self._add_file(real, named=True)

    def finish(self) -> Plan:
        """Return the plan. Images without a caption get the one from Markdown."""
        self._plan.items = [self._captioned(item) for item in self._plan.items]
        self._plan.unread += [
            Unread(problem.uri, problem.reason, opened=True) for problem in self._sidecars.problems
        ]
        return self._plan

    def _captioned(self, item: Item) -> Item:
        caption = self._captions.get(item.path)
        if not caption or item.caption:
            return item
        return replace(item, caption=caption)


def fingerprint(item: Item, recipe: Mapping[str, object]) -> str:
    """Hash everything that determines a file's chunks: its bytes, its metadata and the recipe.

    Raises `OSError` if the file cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    with item.path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    known = (item.title, item.caption, sorted(item.metadata.items()), sorted(recipe.items()))
    digest.update(repr(known).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
