"""The Python interface: a library is opened, added to, searched, shown and closed.

This is the only place where the parts are wired together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Unpack

from trawl.encoders import load_reranker
from trawl.errors import NotFoundError, QueryError
from trawl.ingest import Ingester, Progress, make_plan
from trawl.library import adding, cursors, identity, naming
from trawl.library.edits import typed_edits
from trawl.library.listing import DocumentPage, count_values, list_documents
from trawl.library.originals import Original, open_original
from trawl.library.queries import Questions
from trawl.query import And, Filter, parse_filter
from trawl.search import (
    MAX_RESULTS,
    Gathered,
    Like,
    QueryPart,
    Searcher,
    SearchKeywords,
    SearchOptions,
    SearchRequest,
    search_options,
)
from trawl.settings import Settings, load_settings
from trawl.store import DocumentRow, Snapshot, Store, WriteLock
from trawl.types import Answer, Facet, Failure, Modality, Report, Sound, Status, StoredChunk

if TYPE_CHECKING:
    from PIL.Image import Image

    from trawl.encoders.cross_encoder import CrossEncoder


@dataclass(frozen=True, slots=True)
class Shown:
    """A document with its chunks, in their order."""

    document: DocumentRow
    chunks: tuple[StoredChunk, ...]


class Library:
    """A directory that holds an index of documents, and answers questions about them.

    `options` are settings (`trawl.settings.Settings`) by name, stronger than the
    environment and the library's `trawl.toml`. With `create`, a library that is not
    there is made. Safe to search from several threads; one process writes at a time.

    Raises `LibraryMissingError` where there is none, `SpaceMismatchError` where it was
    made with another model, `SettingsError` for a setting out of range.
    """

    def __init__(self, path: str | Path, *, create: bool = False, **options: Any) -> None:
        self.path = Path(path)
        self.settings: Settings = load_settings(self.path, **options)
        if create and not identity.exists(self.path):
            identity.create(self.path, self.settings.profile, self.settings.model_dir)
        found = identity.read(self.path)
        self._models = identity.matching_models(
            self.path, found, self.settings.profile, self.settings.model_dir
        )
        self._store = Store(
            self.path, identity.sources_of(self._models), freshness_s=self.settings.freshness_s
        )
        self._searcher_lock = Lock()
        self._questions = Questions(self.settings.max_pixels, self.like)
        self._rerankers: dict[str, CrossEncoder] = {}

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of threads. A closed library cannot be searched."""
        with self._searcher_lock:
            searcher = self.__dict__.pop("_searcher", None)
        if searcher is not None:
            searcher.close()
        self._store.close()

    @cached_property
    def _searcher(self) -> Searcher:
        return Searcher(self._models, self._reranker)

    def _reranker(self, name: str) -> CrossEncoder:
        if name not in self._rerankers:
            self._rerankers[name] = load_reranker(name, self.settings.model_dir)
        return self._rerankers[name]

    # --- writing -----------------------------------------------------------------------

    def add(
        self,
        paths: str | Path | Iterable[str | Path],
        *,
        metadata: Mapping[str, Any] | None = None,
        prune: bool = False,
        progress: Progress | None = None,
    ) -> Report:
        """Add files and folders; what is there unchanged is skipped, what changed replaced.

        `metadata` goes to every file and is stronger than what is found beside it;
        `prune` removes documents below the given folders whose files are gone. Files
        that cannot be read are in the report, and stop nothing. Raises
        `LibraryLockedError` while another process writes.
        """
        given = [paths] if isinstance(paths, str | Path) else list(paths)
        with WriteLock(self.path, self.settings.lock_wait_s) as lock:
            plan = make_plan(given, dict(metadata or {}))
            writer = self._store.writer(lock)
            ingester = Ingester(
                writer,
                adding.encoders_of(self._models),
                self._models[0].text,
                adding.options_of(self.settings, self._models),
            )
            report = ingester.run(plan, prune=prune, progress=progress)
        self._store.refresh()
        return report

    def remove(self, targets: str | Path | Iterable[str | Path]) -> int:
        """Take documents out by id or path; a folder takes out all that is below it.

        Gives how many went. Raises `NotFoundError` for a target that matches nothing,
        before anything is removed.
        """
        given = [targets] if isinstance(targets, str | Path) else list(targets)
        with WriteLock(self.path, self.settings.lock_wait_s) as lock:
            writer = self._store.writer(lock)
            found: dict[str, None] = {}
            for target in given:
                ids = naming.matching(str(target), writer.known.values())
                if not ids:
                    raise NotFoundError(
                        f"no document {str(target)!r} in {self.path}; "
                        "give an id, a file or a folder that was added"
                    )
                found.update(dict.fromkeys(ids))
            writer.remove(list(found))
            writer.maintain()
        self._store.refresh()
        return len(found)

    def set_metadata(
        self,
        document_id: str,
        changes: Mapping[str, Any],
        *,
        check: Callable[[DocumentRow], None] | None = None,
    ) -> DocumentRow:
        """Change a document's metadata, and that of its chunks, in one commit.

        `changes` is a JSON merge patch (RFC 7396): None takes a key away. Nothing is
        embedded anew. The changes stay when the file is added again, changed or not, and
        go with the document. `check` sees the document as it is, under the lock, and may
        raise to keep it so. Gives the document as it is then. Raises `NotFoundError`, and
        `MetadataError` for a value that fits no column.
        """
        edits = typed_edits(changes)
        with WriteLock(self.path, self.settings.lock_wait_s) as lock:
            writer = self._store.writer(lock)
            row = writer.known.get(document_id)
            if row is not None and check is not None:
                check(row)
            if row is not None and edits:
                row = writer.edit(document_id, edits)
                writer.maintain()
        self._store.refresh()
        if row is None:
            raise NotFoundError(f"no document {document_id!r} in {self.path}; give its id")
        return row

    # --- reading -----------------------------------------------------------------------

    def search(
        self,
        text: str | None = None,
        *,
        image: str | Path | Image | None = None,
        audio: str | Path | Sound | None = None,
        like: str | None = None,
        parts: Sequence[QueryPart] = (),
        where: str | Filter | None = None,
        options: SearchOptions | None = None,
        **changes: Unpack[SearchKeywords],
    ) -> Answer:
        """Search by text, an image, a sound, a chunk, or several of them combined.

        ::

            library.search("muon decay", modality="image", limit=5, where="year >= 2020")

        `like` is a chunk id; `parts` are further query parts with weights of their own.
        `where` is a filter as text or parsed. The other keywords are the fields of
        `SearchOptions`, and change `options` if that is given too. `rerank` is the name or
        the directory of a cross-encoder. A `cursor` from an answer returns the next page,
        from the version of the library that answered.

        Raises `QueryError`, `FilterError` or `UsageError` if the request is invalid, and
        `NotFoundError` if there is no such chunk.
        """
        chosen = search_options(options, **changes)
        asked = self._questions.parts(text, image, audio, like, parts)
        return self._search(asked, _joined(chosen.where, where), chosen)

    def _search(
        self, parts: Sequence[QueryPart], where: Filter | None, options: SearchOptions
    ) -> Answer:
        snapshot = self._store.snapshot()
        if options.cursor is not None:
            version, offset = cursors.read(options.cursor)
            snapshot = self._store.snapshot_at(version)
            options = search_options(options, offset=offset)
        answer = self._open_searcher().search(SearchRequest(parts, where, options), snapshot)
        end = options.offset + options.limit
        # A page with quotas may be short of one modality and still not be the last.
        is_last = len(answer.hits) < (1 if options.quotas else options.limit)
        if is_last or end + options.limit > MAX_RESULTS:
            return answer
        return replace(answer, cursor=cursors.write(answer.version, end))

    def _open_searcher(self) -> Searcher:
        with self._searcher_lock:
            return self._searcher

    def gather(
        self,
        line: str | None = None,
        *,
        text: str | None = None,
        image: str | Path | Image | None = None,
        audio: str | Path | Sound | None = None,
        limit: int = 10,
        weights: Mapping[str, float] | None = None,
    ) -> tuple[Gathered, Snapshot]:
        """Ask every source as `query` and `search` do, and fuse nothing.

        Gives what the sources answered, and the version of the library that did, to which
        the rows belong: so `trawl.evaluation` compares fusions of one and the same answers.
        `line` is of the query language, `text` plain words; `weights` are only checked.
        """
        options = search_options(limit=limit, weights=weights)
        meant = self._questions.meant(line, None, None, files=True) if line is not None else {}
        parts = self._questions.parts(text, image, audio, None, meant.pop("parts", ()))
        where = meant.pop("where", None)
        snapshot = self._store.snapshot()
        request = SearchRequest(parts, where, options.model_copy(update=meant))
        return self._open_searcher().gather(request, snapshot), snapshot

    def query(
        self,
        line: str,
        *,
        image: str | Path | Image | None = None,
        audio: str | Path | Sound | None = None,
        like: str | None = None,
        parts: Sequence[QueryPart] = (),
        where: str | Filter | None = None,
        files: bool = True,
        options: SearchOptions | None = None,
        **changes: Unpack[SearchKeywords],
    ) -> Answer:
        """Search by one line of the query language, such as ``muon -cosmic year:>=2020``.

        ``docs/queries.md`` describes the language. The other arguments are those of `search`
        and add to the line; `where` and `modality` narrow it. With `files` off, the line may
        not name files (``image:``, ``audio:``).

        Raises what `search` raises; an error in the line points at the character.
        """
        chosen = search_options(options, **changes)
        meant = self._questions.meant(line, chosen.where, chosen.modality, files=files)
        asked = [*meant.pop("parts"), *self._questions.parts(None, image, audio, like, parts)]
        if not asked:
            raise QueryError("the query only filters; add a word, an image or a sound")
        narrowed = _joined(meant.pop("where"), where)
        for name in ("required", "excluded", "phrases", "fuzzy"):
            meant[name] += getattr(chosen, name)
        return self._search(asked, narrowed, chosen.model_copy(update=meant))

    def similar(
        self,
        chunk_id: str,
        *,
        where: str | Filter | None = None,
        options: SearchOptions | None = None,
        **changes: Unpack[SearchKeywords],
    ) -> Answer:
        """Search for chunks like a chunk, in other documents. Arguments as for `search`."""
        return self.search(like=chunk_id, where=where, options=options, **changes)

    def like(self, chunk_id: str, weight: float = 1.0) -> QueryPart:
        """Give a chunk as a part of a query. Raises `NotFoundError`."""
        chunk = self._store.snapshot().chunk(chunk_id)
        if chunk is None:
            raise NotFoundError(f"no chunk {chunk_id!r} in {self.path}; give the chunk_id of a hit")
        return QueryPart(chunk.modality, Like(chunk_id), weight)

    def show(self, target: str | Path) -> Shown:
        """Give a document with its chunks: by its id, its path, or the id of a chunk.

        Raises `NotFoundError`.
        """
        for candidate in naming.candidates(str(target)):
            document = self._store.document(candidate)
            if document is not None:
                chunks = self._store.refresh().chunks(document.document_id)
                return Shown(document, tuple(chunks))
        raise NotFoundError(
            f"no document or chunk {str(target)!r} in {self.path}; "
            "give an id from a search, or the path of a file that was added"
        )

    def thumbnail(self, chunk_id: str) -> bytes:
        """Give a picture's thumbnail, a JPEG. Raises `NotFoundError`."""
        found = self._store.thumbnail(chunk_id)
        if found is None:
            raise NotFoundError(f"no picture {chunk_id!r} in this library")
        return found

    def original(self, chunk_id: str) -> Original:
        """Open the file that a chunk is of. The caller closes it.

        Raises `NotFoundError`, and `GoneError` where the file is not what was added.
        """
        document_id = chunk_id.partition(":")[0]
        document = self._store.document(document_id)
        if document is None or self._store.snapshot().chunk(chunk_id) is None:
            raise NotFoundError(f"no chunk {chunk_id!r} in this library")
        return open_original(document)

    def status(self) -> Status:
        """Tell what is in the library, and what could not be read."""
        snapshot = self._store.refresh()
        failed = self._store.documents("error IS NOT NULL")
        return Status(
            documents=self._store.count_documents(),
            chunks=snapshot.counts,
            failed=tuple(Failure(row.uri, row.error or "") for row in failed),
            spaces=tuple(model.space for model in self._models),
            version=snapshot.version,
            fragments=snapshot.fragments,
            unindexed_rows=snapshot.unindexed_rows,
        )

    @property
    def version(self) -> int:
        """Grows with every commit; what others wrote is seen within `freshness_s`."""
        return self._store.snapshot().version

    def refresh(self) -> None:
        """Look now for what other processes wrote, rather than within `freshness_s`."""
        self._store.refresh()

    @property
    def state(self) -> str:
        """Names what is in the library now, as no other library and no other version does."""
        return self._store.snapshot().state

    def documents(self, *, failed: bool | None = None) -> list[DocumentRow]:
        """Give the documents by address; `failed` narrows to those that are not in, or are."""
        return list(self.document_page(failed=failed).documents)

    def document_page(
        self,
        *,
        failed: bool | None = None,
        where: str | None = None,
        offset: int = 0,
        limit: int | None = None,
    ) -> DocumentPage:
        """Give some of the documents by address, and tell how many there are.

        `where` is a filter as in `search`, and lets by only documents that are in. Raises
        `FilterError`.
        """
        return list_documents(self._store, failed=failed, where=where, offset=offset, limit=limit)

    def facets(
        self,
        keys: Sequence[str],
        *,
        where: str | Filter | None = None,
        modality: Collection[Modality] = (),
        limit: int = 100,
    ) -> tuple[Facet, ...]:
        """Count the values of columns in the whole library, or among what a filter lets by.

        `search` counts them among what it found. Raises `FilterError`.
        """
        return count_values(self._store, keys, where=where, modality=modality, limit=limit)

    def columns(self) -> Mapping[str, str]:
        """Tell what can be filtered by, with the types."""
        return dict(self._store.snapshot().columns)

    def warm(self) -> None:
        """Load what the first query needs, so that it is as fast as the second.

        What of the library is to be held in memory is read meanwhile, in a thread of its own.
        """
        self._store.hold(self.settings.memory_bytes)
        self.search("warm", limit=1)


def _joined(*filters: str | Filter | None) -> Filter | None:
    """Return the conjunction of the filters that are given."""
    parsed = [parse_filter(one) if isinstance(one, str) else one for one in filters]
    given = tuple(one for one in parsed if one is not None)
    return And(given) if len(given) > 1 else next(iter(given), None)
