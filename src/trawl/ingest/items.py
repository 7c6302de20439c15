"""The files to add, as they were found, and what determines their chunks."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from trawl.ingest.members import Archives
from trawl.ingest.names import below, document_id_of
from trawl.objects import StoredObject
from trawl.readers import suffix_of
from trawl.types import Edits, Metadata


@dataclass(frozen=True, slots=True)
class Item:
    """A file to add, with the metadata from its neighbouring files, and notices about these.

    `path` and `uri` are the name that it is listed under, and `names` its other names; each may
    be a link. `target` is the URI of the file itself, "" if that is `uri`. `given` is the
    metadata for all files of the run; None takes back what an earlier run gave. `source` is the
    object that is downloaded to `path` before it is read, None for a file.
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
    source: StoredObject | None = None

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
    resources: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """Delete the unpacked members of archives and the downloaded files, after the run."""
        self.archives.close()
        self.resources.close()

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


def fingerprint(item: Item, recipe: Mapping[str, object]) -> str:
    """Return a hash of everything that determines a file's chunks.

    It covers the file's bytes, its metadata and the recipe; for an object, its size and tag
    instead of its bytes. Raises `OSError` if the file cannot be read.
    """
    if item.source is None:
        return fingerprints(item, recipe)[0]
    beside = hashlib.blake2b(_described(item, recipe), digest_size=8).hexdigest()
    return f"{item.source.fingerprint}-{beside}"


def fingerprints(item: Item, recipe: Mapping[str, object]) -> tuple[str, str]:
    """Return the hash of a file that determines its chunks, and one for its copies.

    The second covers its bytes, its type and the recipe. Raises `OSError` if the file cannot
    be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    with item.path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    content = digest.copy()
    content.update(repr((item.media_type, sorted(recipe.items()))).encode())
    digest.update(_described(item, recipe))
    return digest.hexdigest(), content.hexdigest()[:24]


def _described(item: Item, recipe: Mapping[str, object]) -> bytes:
    known = (item.title, item.caption, sorted(item.metadata.items()), sorted(recipe.items()))
    return repr(known).encode("utf-8", "surrogatepass")
