"""`Libraries`: the reading half of `Library` for several libraries."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, Unpack

from trawl.encoders import load_reranker
from trawl.errors import LibraryError, NotFoundError, QueryError, TrawlError, UsageError
from trawl.libraries.catalogue import Entry, entries_of
from trawl.libraries.cursors import format_cursor, parse_cursor
from trawl.libraries.member import Member
from trawl.libraries.opening import open_source
from trawl.libraries.reading import Reading
from trawl.library import inputs
from trawl.library.interface import SearchLibrary
from trawl.library.media import AudioInput, ImageInput
from trawl.query import Filter
from trawl.search import (
    LEFT_TO_CALLER,
    SEPARATOR,
    Candidates,
    Like,
    QueryPart,
    Question,
    SearchKeywords,
    SearchOptions,
    Union,
    search_options,
)
from trawl.settings import Settings, load_settings
from trawl.types import Answer, Searched

T = TypeVar("T")


class Libraries(Reading):
    """Several libraries, searched as one.

    ::

        with Libraries(["papers", "s3://bucket/photos", "http://sounds:8000"]) as libraries:
            for hit in libraries.search("muon decay").hits:
                print(hit.library, hit.title)

    `addresses` are directories, addresses in object stores, URLs of servers and catalogues (TOML
    files), or a mapping from names to addresses. Every library has `library_timeout_s` to answer,
    a setting; `settings` apply to all of them. A library that is slow or cannot be used costs only
    its own results: `Answer.libraries` has the reason, and for other calls `on_missing` is called
    with it. Ids of documents and chunks begin with the name of their library and ``~``. The
    libraries are opened when they are first needed. Safe to use from several threads.

    Raises `UsageError` if a library is named twice, and `SettingsError` for an invalid catalogue.
    """

    def __init__(
        self,
        addresses: Sequence[str | Path] | Mapping[str, str | Path],
        *,
        on_missing: Callable[[Searched], None] | None = None,
        **settings: Any,
    ) -> None:
        self.settings: Settings = load_settings(None, **settings)
        if isinstance(addresses, Mapping):
            entries = {name: Entry(str(address)) for name, address in addresses.items()}
        else:
            entries = entries_of([str(address) for address in addresses])
        timeout_s = self.settings.library_timeout_s
        self._members = {
            name: Member(name, partial(open_source, entry, settings, timeout_s), timeout_s)
            for name, entry in entries.items()
        }
        self.addresses = tuple(entry.address for entry in entries.values())
        self._on_missing = on_missing or (lambda missing: None)
        self._inputs = inputs.QueryInputs(self.settings.max_pixels, self.like)
        self._rerankers: dict[str, Any] = {}

    def __enter__(self) -> Libraries:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Libraries({list(self._members)!r})"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the libraries."""
        return tuple(self._members)

    def close(self) -> None:
        """Close the libraries that are open."""
        for member in self._members.values():
            member.close()

    # --- searching ---------------------------------------------------------------------

    def search(
        self,
        text: str | None = None,
        *,
        image: ImageInput | None = None,
        audio: AudioInput | None = None,
        like: str | None = None,
        parts: Sequence[QueryPart] = (),
        where: str | Filter | None = None,
        options: SearchOptions | None = None,
        **changes: Unpack[SearchKeywords],
    ) -> Answer:
        """Search all libraries. See `Library.search`.

        Raises what it raises if that concerns every library, and `LibraryError` if none answers.
        """
        chosen = search_options(options, **changes)
        query = self._inputs.parts(text, image, audio, like, parts)
        return self._search(query, inputs.join_filters(chosen.where, where), chosen)

    def query(
        self,
        line: str,
        *,
        image: ImageInput | None = None,
        audio: AudioInput | None = None,
        like: str | None = None,
        parts: Sequence[QueryPart] = (),
        where: str | Filter | None = None,
        files: bool = True,
        options: SearchOptions | None = None,
        **changes: Unpack[SearchKeywords],
    ) -> Answer:
        """Search all libraries by a line of the query language. See `Library.query`."""
        chosen = search_options(options, **changes)
        parsed = self._inputs.line(line, chosen, files=files)
        query = parsed.parts + self._inputs.parts(None, image, audio, like, parts)
        narrowed = inputs.join_filters(parsed.where, chosen.where, where)
        return self._search(query, narrowed, parsed.options)

    def similar(
        self,
        chunk_id: str,
        *,
        where: str | Filter | None = None,
        options: SearchOptions | None = None,
        **changes: Unpack[SearchKeywords],
    ) -> Answer:
        """Search all libraries for chunks like a chunk of one of them."""
        return self.search(like=chunk_id, where=where, options=options, **changes)

    def like(self, chunk_id: str, weight: float = 1.0) -> QueryPart:
        """Return a chunk of one library as a query part for all. Raises `NotFoundError`."""
        name, rest = self.split(chunk_id)
        liked = self.call(name, lambda source: source.liked(rest))
        return QueryPart(liked.modality, Like(chunk_id, liked.vectors, liked.content), weight)

    def _search(
        self, parts: tuple[QueryPart, ...], where: Filter | None, options: SearchOptions
    ) -> Answer:
        began = time.perf_counter()
        versions: Mapping[str, int | None] = dict.fromkeys(self._members)
        left_out: frozenset[str] = frozenset()
        if options.cursor is not None:
            offset, known = parse_cursor(options.cursor, self.names)
            options = search_options(options, offset=offset, cursor=None)
            versions, left_out = known, frozenset(n for n, v in known.items() if v is None)
        if options.map is not None:
            raise QueryError("a region of a map is of one library; search that library alone")
        answer, found, short = self._ask(parts, where, options, versions, left_out, deep=False)
        if short:
            answer, found, _ = self._ask(parts, where, options, versions, left_out, deep=True)
        timings = {"total": round((time.perf_counter() - began) * 1000, 3), **answer.took_ms}
        answer = replace(answer, took_ms=timings, thumbnail=self.thumbnail)
        end = inputs.next_offset(answer, options, is_query=bool(parts))
        if end is None:
            return answer
        searched = {name: one.version for name, one in found.items()}
        return replace(answer, cursor=format_cursor(end, searched, self.names))

    def _ask(
        self,
        parts: tuple[QueryPart, ...],
        where: Filter | None,
        options: SearchOptions,
        versions: Mapping[str, int | None],
        left_out: frozenset[str],
        *,
        deep: bool,
    ) -> tuple[Answer, dict[str, Candidates], bool]:
        """Search the libraries once. Return whether to ask for more candidates, too."""
        began = time.perf_counter()
        asked = options.model_copy(update=LEFT_TO_CALLER)

        def work(name: str, source: SearchLibrary) -> Candidates:
            own = tuple(_own(part, name) for part in parts)
            return source.candidates(Question(own, where, asked, versions[name], deep))

        found, libraries = self.gather(work, left_out)
        timings = {"libraries": round((time.perf_counter() - began) * 1000, 3)}
        content = next((p.media.content for p in parts if isinstance(p.media, Like)), "")
        union = Union(found, but_not=content)
        if parts:
            answer, short = union.answer(options, self._reranker, timings)
        else:
            answer, short = union.listing(options), False
        notices = answer.notices + _notices(found)
        answer = replace(answer, libraries=libraries, notices=notices, took_ms=timings)
        more = any(
            len(ranking.rows) >= 100
            for one in found.values()
            if one.gathered is not None
            for ranking in one.gathered.rankings
        )
        return answer, found, short and more and not deep

    def _reranker(self, name: str) -> Any:
        if name not in self._rerankers:
            self._rerankers[name] = load_reranker(name, self.settings.model_dir)
        return self._rerankers[name]

    # --- the libraries -----------------------------------------------------------------

    def gather(
        self, work: Callable[[str, SearchLibrary], T], left_out: frozenset[str] = frozenset()
    ) -> tuple[dict[str, T], tuple[Searched, ...]]:
        """Call all libraries in parallel.

        Returns the results by name, and what became of each library. Raises `LibraryError` if
        there is no result; if all libraries refuse the call for the same kind of reason, raises
        the first one's error.
        """
        pending = {
            name: member.start(partial(work, name))
            for name, member in self._members.items()
            if name not in left_out
        }
        found: dict[str, T] = {}
        errors: dict[str, TrawlError] = {}
        libraries = []
        for name in self._members:
            if name not in pending:
                reason = "it did not answer for the first page"
                libraries.append(Searched(name, 0.0, reason))
                continue
            try:
                found[name] = pending[name].result()
                libraries.append(Searched(name, pending[name].took_ms))
            except (TrawlError, OSError) as error:
                errors[name] = error if isinstance(error, TrawlError) else LibraryError(str(error))
                libraries.append(Searched(name, pending[name].took_ms, str(error)))
        if not found:
            raise _failure(errors)
        return found, tuple(libraries)

    def split(self, chunk_or_document_id: str) -> tuple[str, str]:
        """Return the library of a chunk or document, and its id there. Raises `NotFoundError`."""
        name, found, rest = inputs.check_text(chunk_or_document_id, "id").partition(SEPARATOR)
        if not found or name not in self._members:
            raise NotFoundError(
                f"no chunk or document {chunk_or_document_id!r}; ids begin with the name of a "
                f"library and '{SEPARATOR}': {', '.join(self._members)}"
            )
        return name, rest

    def call(self, name: str, work: Callable[[SearchLibrary], T]) -> T:
        """Call one library. Raises what it raises, with the library's name."""
        try:
            return self._members[name].start(work).result()
        except (LibraryError, OSError) as error:
            raise LibraryError(f"library {name}: {error}") from error


def _own(part: QueryPart, name: str) -> QueryPart:
    """Return a query part as a library takes it: a chunk of its own by its id alone."""
    if isinstance(part.media, Like):
        owner, _, rest = part.media.chunk_id.partition(SEPARATOR)
        if owner == name:
            return replace(part, media=Like(rest))
    return part


def _notices(found: Mapping[str, Candidates]) -> tuple[str, ...]:
    """Return the notices of all libraries; those that not all have, with the library's name."""
    every = set.intersection(*(set(one.notices) for one in found.values()))
    shared = tuple(n for one in found.values() for n in one.notices if n in every)
    own = [
        f"{name}: {notice}"
        for name, one in found.items()
        for notice in one.notices
        if notice not in every
    ]
    return (*dict.fromkeys(shared), *own)


def _failure(errors: Mapping[str, TrawlError]) -> TrawlError:
    """Return the error of a call that no library answered."""
    if errors and all(isinstance(one, UsageError | NotFoundError) for one in errors.values()):
        return next(iter(errors.values()))
    reasons = "; ".join(f"{name}: {error}" for name, error in errors.items())
    return LibraryError(f"no library answered ({reasons})")
