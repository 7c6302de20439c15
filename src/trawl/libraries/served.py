"""Several libraries with the attributes that a server needs of one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from trawl.errors import NotFoundError, UsageError
from trawl.libraries.libraries import Libraries
from trawl.library import Library, Original, View
from trawl.library.interface import SearchLibrary
from trawl.locations import Directory
from trawl.telemetry import logger
from trawl.types import Searched, Space, StoredChunk

T = TypeVar("T")

_READ_ONLY = "this server searches several libraries; change a document in its own library"


def are_several(library: object) -> bool:
    """Return whether what a server serves are several libraries."""
    return isinstance(library, ServedLibraries)


class ServedLibraries(Libraries):
    """Several libraries behind one server, which searches and shows, and changes nothing.

    Jobs and uploads have a temporary folder, which stays empty.
    """

    path = None

    def __init__(self, addresses: Sequence[str | Path], **settings: Any) -> None:
        super().__init__(addresses, **settings)
        self._folder = tempfile.TemporaryDirectory(prefix="trawl-several-")
        self.work_dir = Path(self._folder.name)
        self.location = Directory(self.work_dir)
        self.views = _Views(self)

    def close(self) -> None:
        """Close the libraries that are open, and delete the temporary folder."""
        super().close()
        self._folder.cleanup()

    def gather(
        self, work: Callable[[str, SearchLibrary], T], left_out: frozenset[str] = frozenset()
    ) -> tuple[dict[str, T], tuple[Searched, ...]]:
        """Call all libraries in parallel. Reasons have the libraries' names, not their places."""
        found, libraries = super().gather(work, left_out)
        return found, tuple(map(self._without_address, libraries))

    def _without_address(self, one: Searched) -> Searched:
        if one.error is None:
            return one
        logger.warning("without library %s: %s", one.name, one.error)
        address = self.addresses[self.names.index(one.name)].rstrip("/")
        return replace(one, error=one.error.replace(address, one.name))

    @property
    def state(self) -> str:
        """The names of the libraries. Answers are not cached, since any of them may change."""
        return "several"

    @property
    def sources(self) -> Mapping[str, Space]:
        """No source, since there is no map."""
        return {}

    def warm(self) -> None:
        """Load the models and indexes of the libraries of this machine."""

        def work(source: Any) -> None:
            if isinstance(source, Library):
                source.warm()
            else:
                source.columns()

        self._all(work)

    def refresh(self) -> None:
        """Look for commits in the libraries of this machine now."""
        for library in self.local():
            library.refresh()

    def size_bytes(self) -> int:
        """Return the size of the libraries that are not behind servers."""
        return sum(library.size_bytes() for library in self.local())

    def local(self) -> list[Library]:
        """Return the open libraries that are not behind servers."""
        found = (member.opened for member in self._members.values())
        return [one for one in found if isinstance(one, Library)]

    def chunks(self, chunk_ids: Sequence[str]) -> list[StoredChunk]:
        """Return no chunk, since there is no map."""
        return []

    def map(self) -> None:
        """Return None: several libraries have no map."""

    def map_changed(self) -> str:
        """Return "", since there is no map."""
        return ""

    def original(self, chunk_id: str) -> Original:
        """Open the file that a chunk comes from. That of a server is copied to a temporary file."""
        found = super().original(chunk_id)
        if not isinstance(found.file, BytesIO):
            return found
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
        file.write(found.file.getvalue())
        file.seek(0)
        return replace(found, file=file)

    def remove(self, *_: Any, **__: Any) -> NoReturn:
        """Raise `UsageError`."""
        raise UsageError(_READ_ONLY)

    def set_metadata(self, *_: Any, **__: Any) -> NoReturn:
        """Raise `UsageError`."""
        raise UsageError(_READ_ONLY)


class _Views:
    """`Views` of documents in the libraries of this machine."""

    def __init__(self, libraries: ServedLibraries) -> None:
        self._libraries = libraries

    def page(self, chunk_id: str, **choices: Any) -> View:
        """Return the view of a page. See `Views.page`."""
        return self._of(chunk_id, lambda views, rest: views.page(rest, **choices))

    def picture(self, chunk_id: str, **choices: Any) -> View:
        """Return the view of a picture. See `Views.picture`."""
        return self._of(chunk_id, lambda views, rest: views.picture(rest, **choices))

    def peaks(self, chunk_id: str, **choices: Any) -> View:
        """Return the view of the loudness of a recording. See `Views.peaks`."""
        return self._of(chunk_id, lambda views, rest: views.peaks(rest, **choices))

    def make(self, view: View, kind: Any) -> Any:
        """Return a view, made now. See `Views.make`."""
        return self._libraries.local()[0].views.make(view, kind)

    def _of(self, chunk_id: str, draw: Callable[[Any, str], View]) -> View:
        name, rest = self._libraries.split(chunk_id)

        def work(source: Any) -> View:
            if not isinstance(source, Library):
                raise NotFoundError(f"library {name} is behind a server, which draws its documents")
            return draw(source.views, rest)

        return self._libraries.call(name, work)
