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
from typing import TYPE_CHECKING, Any

from trawl.encoders import load_reranker
from trawl.errors import NotFoundError, QueryError
from trawl.ingest import Ingest, Progress, make_plan
from trawl.library import adding, cursors, identity, naming
from trawl.library.edits import typed_edits
from trawl.library.listing import DocumentPage, count_values, list_documents
from trawl.library.originals import Original, open_original
from trawl.library.queries import Questions
from trawl.query import Filter, parse_filter
from trawl.ranking import Method
from trawl.search import MAX_RESULTS, Gathered, Like, QueryPart, Searcher, SearchRequest
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
            ingest = Ingest(
                writer,
                adding.encoders_of(self._models),
                self._models[0].text,
                adding.options_of(self.settings, self._models),
            )
            report = ingest.run(plan, prune=prune, progress=progress)
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
        modality: Modality | Collection[Modality] | None = None,
        where: str | Filter | None = None,
        limit: int = 10,
        offset: int = 0,
        cursor: str | None = None,
        fusion: Method = "calibrated",
        weights: Mapping[str, float] | None = None,
        rrf_k: float = 60.0,
        rerank: str | None = None,
        required: Sequence[str] = (),
        excluded: Sequence[str] = (),
        phrases: Sequence[str] = (),
        fuzzy: Sequence[tuple[str, int]] = (),
        balance: bool = False,
        quotas: Mapping[Modality, int] | None = None,
        interleave: bool = False,
        nearest: bool = True,
        diversity: float = 0.0,
        per_document: int | None = None,
        group: bool = False,
        sort: str | None = None,
        facets: Sequence[str] = (),
    ) -> Answer:
        """Find by words, a picture, a sound, a chunk, or several of them together.

        `like` is a chunk's id; `parts` are further parts with weights of their own.
        `modality` narrows what comes back; `where` is a filter ("year >= 2020 and
        source in ('arXiv', 'CERN')"); `weights` multiplies a source's say
        ({"bm25": 0.5}); `rerank` names a cross-encoder that reads the first passages, by
        its name or its folder's path. A `cursor` from an answer gives the page after it, of the
        library as it was then. `SearchRequest` explains the rest. Raises `QueryError`,
        `FilterError` or `UsageError` for what cannot be meant, `NotFoundError` for a
        chunk that is not there.
        """
        snapshot = self._store.snapshot()
        if cursor is not None:
            version, offset = cursors.read(cursor)
            snapshot = self._store.snapshot_at(version)
        request = SearchRequest(
            parts=self._questions.parts(text, image, audio, like, parts),
            modalities=frozenset([modality] if isinstance(modality, str) else modality or ()),
            where=parse_filter(where) if isinstance(where, str) else where,
            limit=limit,
            offset=offset,
            fusion=fusion,
            weights=dict(weights or {}),
            rrf_k=rrf_k,
            rerank=rerank,
            required=tuple(required),
            excluded=tuple(excluded),
            phrases=tuple(phrases),
            fuzzy=tuple(fuzzy),
            balance=balance,
            quotas=dict(quotas or {}),
            interleave=interleave,
            nearest=nearest,
            diversity=diversity,
            per_document=per_document,
            group=group,
            sort=sort,
            facets=tuple(facets),
        )
        answer = self._open_searcher().search(request, snapshot)
        # A page with quotas may be short of one modality and not be the last.
        if len(answer.hits) < (1 if quotas else limit) or offset + 2 * limit > MAX_RESULTS:
            return answer
        return replace(answer, cursor=cursors.write(answer.version, offset + limit))

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
        meant = self._questions.meant(line, None, None, files=True) if line is not None else {}
        parts = self._questions.parts(text, image, audio, None, meant.pop("parts", ()))
        snapshot = self._store.snapshot()
        request = SearchRequest(parts, limit=limit, weights=dict(weights or {}), **meant)
        return self._open_searcher().gather(request, snapshot), snapshot

    def query(
        self,
        line: str,
        *,
        where: str | None = None,
        modality: Modality | Collection[Modality] | None = None,
        parts: Sequence[QueryPart] = (),
        files: bool = True,
        **options: Any,
    ) -> Answer:
        """Find by one line of the query language: ``muon -cosmic image:plot.png^0.5 year:>=2020``.

        ``docs/queries.md`` describes it. `where` and `modality` narrow what the line asks
        for, and `parts` adds to it; `files` says whether ``image:`` and ``audio:`` may name
        files of this machine; `options` are the others of `search`. Raises what `search`
        raises; an error in the line points at the character.
        """
        meant = self._questions.meant(line, where, modality, files=files)
        for name, more in {"parts": parts, **options}.items():
            if name in meant:
                meant[name] = (*meant[name], *more)
                options.pop(name, None)
        given = any(options.get(name) for name in ("image", "audio", "like"))
        if not (meant["parts"] or given):
            raise QueryError("the query only filters; add a word, a picture or a sound to find")
        meant["modality"] = meant.pop("modalities")
        return self.search(**meant, **options)

    def similar(self, chunk_id: str, **options: Any) -> Answer:
        """Find what is like a chunk, in other documents. `options` are those of `search`."""
        return self.search(like=chunk_id, **options)

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
