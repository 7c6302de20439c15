"""The part of `Libraries` that reads documents: showing, listing, counting, originals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from trawl.errors import NotFoundError, UsageError
from trawl.library import inputs
from trawl.library.interface import DocumentInfo, DocumentView, SearchLibrary
from trawl.library.originals import Original
from trawl.library.skipped import Skipped
from trawl.search import SEPARATOR, Candidates, Liked, Question, qualified
from trawl.types import Facet, Failure, Modality, Notice, Searched, Status, StoredChunk

T = TypeVar("T")

# Values that each library counts, of which the most frequent are returned.
_COUNTED = 1_000
_NAME_THEM = "name these libraries in its place"
_ALONE = "{} concerns one library; name it alone with --library"


@dataclass(frozen=True, slots=True)
class Contents:
    """A document of one of several libraries with its chunks: `DocumentView`."""

    document: DocumentInfo
    chunks: tuple[StoredChunk, ...]
    places: tuple[Any, ...] = ()
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the documents of several libraries: `DocumentList`."""

    documents: tuple[DocumentInfo, ...]
    total: int


class Reading(ABC):
    """The methods of `Libraries` that read documents. `Libraries` sets the attributes."""

    _on_missing: Callable[[Searched], None]

    @abstractmethod
    def gather(
        self, work: Callable[[str, SearchLibrary], T], left_out: frozenset[str] = frozenset()
    ) -> tuple[dict[str, T], tuple[Searched, ...]]:
        """Call all libraries in parallel."""

    @abstractmethod
    def split(self, chunk_or_document_id: str) -> tuple[str, str]:
        """Return the library of a chunk or document, and its id there."""

    @abstractmethod
    def call(self, name: str, work: Callable[[SearchLibrary], T]) -> T:
        """Call one library."""

    def _all(self, work: Callable[[SearchLibrary], T]) -> dict[str, T]:
        """Call all libraries, and report those that do not answer."""
        found, libraries = self.gather(lambda name, source: work(source))
        for one in libraries:
            if one.error is not None:
                self._on_missing(one)
        return found

    def show(self, target: str | Path) -> DocumentView:
        """Return a document with its chunks, by id, or by path or file name.

        Raises `NotFoundError`, and `UsageError` if documents of several libraries have the name.
        """
        wanted = inputs.name_of(target)
        if SEPARATOR in wanted:
            try:
                name, rest = self.split(wanted)
            except NotFoundError:
                pass  # a path may hold the sign, too
            else:
                return _contents(name, self.call(name, lambda source: source.show(rest)))

        def look(source: SearchLibrary) -> DocumentView | None:
            try:
                return source.show(wanted)
            except NotFoundError:
                return None

        found = {name: one for name, one in self._all(look).items() if one is not None}
        if not found:
            raise NotFoundError(
                f"no document or chunk {wanted!r} in these libraries; use an id from a search, "
                "or the path of a file that was added"
            )
        if len(found) > 1:
            ids = ", ".join(qualified(n, one.document.document_id) for n, one in found.items())
            raise UsageError(f"{wanted!r} is in {len(found)} libraries; use an id: {ids}")
        return next(_contents(name, one) for name, one in found.items())

    def thumbnail(self, chunk_id: str) -> bytes:
        """Return a picture's thumbnail as a JPEG file. Raises `NotFoundError`."""
        name, rest = self.split(chunk_id)
        return self.call(name, lambda source: source.thumbnail(rest))

    def original(self, chunk_id: str) -> Original:
        """Open the file that a chunk comes from. See `Library.original`."""
        name, rest = self.split(chunk_id)
        return self.call(name, lambda source: source.original(rest))

    def document_page(
        self,
        *,
        failed: bool | None = None,
        where: str | None = None,
        sort: str | None = None,
        offset: int = 0,
        limit: int | None = None,
        notices: bool | None = None,
        name: str | None = None,
    ) -> Page:
        """Return a page of the documents of all libraries. See `Library.document_page`."""
        first = None if limit is None else offset + limit
        found = self._all(
            lambda source: source.document_page(
                failed=failed, notices=notices, where=where, name=name, sort=sort, limit=first
            )
        )
        documents = [
            _qualified(name, document)
            for name, page in found.items()
            for document in page.documents
        ]
        ordered = _sorted(documents, sort or "uri")
        total = sum(page.total for page in found.values())
        return Page(tuple(ordered[offset:first]), total)

    def facets(
        self,
        keys: Sequence[str],
        *,
        where: str | None = None,
        modality: Collection[Modality] = (),
        limit: int = 100,
    ) -> tuple[Facet, ...]:
        """Count the values of columns in all libraries. See `Library.facets`."""
        found = self._all(
            lambda source: source.facets(
                keys, where=where, modality=modality, limit=max(limit, _COUNTED)
            )
        )
        counts: dict[str, Counter[Any]] = {key: Counter() for key in keys}
        for facets in found.values():
            for facet in facets:
                counts[facet.key].update(dict(facet.counts))
        return tuple(
            Facet(key, tuple(sorted(some.items(), key=lambda p: (-p[1], str(p[0])))[:limit]))
            for key, some in counts.items()
        )

    def status(self) -> Status:
        """Return the sum of the libraries' counts, and all their failures and notices."""
        return joined_status(self.statuses())

    def statuses(self) -> dict[str, Status]:
        """Return the status of each library by name; those that do not answer are left out."""
        return self._all(lambda source: source.status())

    def columns(self) -> dict[str, str]:
        """Return the columns of all libraries that filters may use, with their types."""
        found: dict[str, str] = {}
        for columns in self._all(lambda source: source.columns()).values():
            for key, kind in columns.items():
                if found.setdefault(key, kind) != kind:
                    found[key] = "text"
        return found

    # --- what concerns one library ----------------------------------------------------

    def candidates(self, question: Question) -> Candidates:
        """Raise `UsageError`: several libraries are no part of a search of several."""
        raise UsageError(f"it searches several libraries itself: {_NAME_THEM}")

    def liked(self, chunk_id: str) -> Liked:
        """Return the vectors of a chunk, for other libraries. Raises `NotFoundError`."""
        name, rest = self.split(chunk_id)
        return self.call(name, lambda source: source.liked(rest))

    def skipped(self) -> Skipped:
        """Return the skipped files of the libraries that are not behind servers."""

        def work(source: SearchLibrary) -> Skipped:
            try:
                return source.skipped()
            except UsageError:
                return Skipped(())

        found = self._all(work).values()
        files = tuple(file for one in found for file in one.files)
        return Skipped(files, sum(one.unlisted for one in found))

    def add(self, *_: Any, **__: Any) -> NoReturn:
        """Raise `UsageError`."""
        raise UsageError(_ALONE.format("adding"))

    def add_json_lines(self, *_: Any, **__: Any) -> NoReturn:
        """Raise `UsageError`."""
        raise UsageError(_ALONE.format("adding"))

    def remove(self, *_: Any, **__: Any) -> NoReturn:
        """Raise `UsageError`."""
        raise UsageError(_ALONE.format("removing"))

    def set_metadata(self, *_: Any, **__: Any) -> NoReturn:
        """Raise `UsageError`."""
        raise UsageError(_ALONE.format("editing"))


def joined_status(found: Mapping[str, Status]) -> Status:
    """Return the sum of several libraries' counts; failures and notices name the library.

    The versions are summed too, so that the sum increases with every commit.
    """
    chunks: Counter[Any] = Counter()
    for one in found.values():
        chunks.update(one.chunks)
    spaces = {space.fingerprint: space for one in found.values() for space in one.spaces}
    return Status(
        documents=sum(one.documents for one in found.values()),
        chunks=dict(chunks),
        failed=tuple(
            Failure(f"{name}: {each.uri}", each.reason)
            for name, one in found.items()
            for each in one.failed
        ),
        spaces=tuple(spaces.values()),
        version=sum(one.version for one in found.values()),
        fragments=sum(one.fragments for one in found.values()),
        unindexed_rows=sum(one.unindexed_rows for one in found.values()),
        recall={
            source: min(one.recall.get(source, 1.0) for one in found.values())
            for source in sorted({source for one in found.values() for source in one.recall})
        },
        notices=tuple(
            Notice(f"{name}: {each.uri}", each.notice)
            for name, one in found.items()
            for each in one.notices
        ),
    )


def _contents(name: str, found: DocumentView) -> Contents:
    return Contents(
        _qualified(name, found.document),
        tuple(
            replace(
                chunk,
                chunk_id=qualified(name, chunk.chunk_id),
                document_id=qualified(name, chunk.document_id),
                links=tuple(
                    replace(one, chunk_id=qualified(name, one.chunk_id)) for one in chunk.links
                ),
            )
            for chunk in found.chunks
        ),
        tuple(
            replace(place, document_id=qualified(name, place.document_id)) for place in found.places
        ),
        found.gone,
    )


def _qualified(name: str, document: Any) -> DocumentInfo:
    changed: DocumentInfo = replace(document, document_id=qualified(name, document.document_id))
    return changed


def _sorted(documents: Sequence[DocumentInfo], sort: str) -> list[DocumentInfo]:
    """Sort documents by a property or a metadata key, those without a value last."""
    key = sort.removeprefix("-")
    built_in = ("uri", "title", "media_type", "added_at", "size_bytes", "document_id")

    def value(document: DocumentInfo) -> Any:
        return getattr(document, key) if key in built_in else document.metadata.get(key)

    ordered = sorted(documents, key=lambda one: one.uri)
    present = [one for one in ordered if value(one) is not None]
    missing = [one for one in ordered if value(one) is None]
    # Types differ between libraries, and a server sends dates as text.
    alike = len({type(value(one)) for one in present}) <= 1
    numbers = all(isinstance(value(one), int | float) for one in present)
    by: Callable[[DocumentInfo], Any] = value if alike or numbers else lambda one: str(value(one))
    return sorted(present, key=by, reverse=sort.startswith("-")) + missing
