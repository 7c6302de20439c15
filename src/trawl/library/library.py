"""The Python interface: a library is opened, added to, searched, shown and closed.

This is the only place where the parts are wired together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any

from trawl.encoders import Encoder
from trawl.errors import NotFoundError, QueryError
from trawl.ingest import (
    RECIPE_VERSION,
    ChunkingOptions,
    Ingest,
    IngestOptions,
    Progress,
    document_id_of,
    make_plan,
    uri_of,
)
from trawl.library import cursors, identity
from trawl.library.queries import picture_of, sound_of
from trawl.query import And, Filter, Term, parse_filter, parse_query
from trawl.ranking import Method
from trawl.search import MAX_RESULTS, Like, QueryPart, Searcher, SearchRequest
from trawl.settings import Settings, load_settings
from trawl.store import DocumentRow, Store, StoredChunk, WriteLock
from trawl.types import Answer, Failure, Modality, Report, Sound, Status

if TYPE_CHECKING:
    from PIL.Image import Image


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

    @cached_property
    def _searcher(self) -> Searcher:
        return Searcher(self._models)

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
        with WriteLock(self.path) as lock:
            plan = make_plan(given, dict(metadata or {}))
            writer = self._store.writer(lock)
            ingest = Ingest(writer, self._encoders(), self._models[0].text, self._ingest_options())
            report = ingest.run(plan, prune=prune, progress=progress)
        self._store.refresh()
        return report

    def remove(self, targets: str | Path | Iterable[str | Path]) -> int:
        """Take documents out by id or path; a folder takes out all that is below it.

        Gives how many went. Raises `NotFoundError` for a target that matches nothing,
        before anything is removed.
        """
        given = [targets] if isinstance(targets, str | Path) else list(targets)
        with WriteLock(self.path) as lock:
            writer = self._store.writer(lock)
            found: dict[str, None] = {}
            for target in given:
                ids = _matching(str(target), writer.known.values())
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

    def _encoders(self) -> Mapping[Modality, list[tuple[str, Encoder]]]:
        found: dict[Modality, list[tuple[str, Encoder]]] = {}
        for model in self._models:
            for modality, encoder in model.encoders.items():
                found.setdefault(modality, []).append((model.source(modality), encoder))
        return found

    def _ingest_options(self) -> IngestOptions:
        settings = self.settings
        chunking = ChunkingOptions(
            chunk_tokens=settings.chunk_tokens,
            chunk_overlap_tokens=settings.chunk_overlap_tokens,
            window_s=settings.window_s,
            hop_s=settings.hop_s,
        )
        recipe = {
            "version": RECIPE_VERSION,
            "spaces": [model.space.fingerprint for model in self._models],
            **asdict(chunking),
        }
        return IngestOptions(chunking, recipe, settings.max_pixels, settings.threads)

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
        required: Sequence[str] = (),
        excluded: Sequence[str] = (),
        phrases: Sequence[str] = (),
        fuzzy: Sequence[tuple[str, int]] = (),
        balance: bool = False,
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
        ({"bm25": 0.5}). A `cursor` from an answer gives the page after it, of the
        library as it was then. `SearchRequest` explains the rest. Raises `QueryError`,
        `FilterError` or `UsageError` for what cannot be meant, `NotFoundError` for a
        chunk that is not there.
        """
        snapshot = self._store.snapshot()
        if cursor is not None:
            version, offset = cursors.read(cursor)
            snapshot = self._store.snapshot_at(version)
        asked = list(parts)
        if text is not None:
            asked.insert(0, QueryPart("text", text))
        if image is not None:
            asked.append(QueryPart("image", picture_of(image, self.settings.max_pixels)))
        if audio is not None:
            asked.append(QueryPart("audio", sound_of(audio, self.settings.max_pixels)))
        if like is not None:
            asked.append(self.like(like))
        request = SearchRequest(
            parts=asked,
            modalities=frozenset([modality] if isinstance(modality, str) else modality or ()),
            where=parse_filter(where) if isinstance(where, str) else where,
            limit=limit,
            offset=offset,
            fusion=fusion,
            weights=dict(weights or {}),
            required=tuple(required),
            excluded=tuple(excluded),
            phrases=tuple(phrases),
            fuzzy=tuple(fuzzy),
            balance=balance,
            diversity=diversity,
            per_document=per_document,
            group=group,
            sort=sort,
            facets=tuple(facets),
        )
        with self._searcher_lock:
            searcher = self._searcher
        answer = searcher.search(request, snapshot)
        if len(answer.hits) < limit or offset + 2 * limit > MAX_RESULTS:
            return answer
        return replace(answer, cursor=cursors.write(answer.version, offset + limit))

    def query(
        self,
        line: str,
        *,
        where: str | None = None,
        modality: Modality | Collection[Modality] | None = None,
        files: bool = True,
        **options: Any,
    ) -> Answer:
        """Find by one line of the query language: ``muon -cosmic image:plot.png^0.5 year:>=2020``.

        ``docs/queries.md`` describes it. `where` and `modality` narrow what the line asks
        for; `files` says whether ``image:`` and ``audio:`` may name files of this machine;
        `options` are the others of `search`. Raises what `search` raises; an error in
        the line points at the character.
        """
        parsed = parse_query(line)
        if not files and any(term.kind in ("image", "audio") for term in parsed.terms):
            raise QueryError("image: and audio: name files, which are not opened for this query")
        if not parsed.terms and not any(options.get(name) for name in ("image", "audio", "like")):
            raise QueryError("the query only filters; add a word, a picture or a sound to find")
        filters = [parsed.where] if parsed.where is not None else []
        if where is not None:
            filters.append(parse_filter(where))
        wanted = {modality} if isinstance(modality, str) else set(modality or ())
        if parsed.modalities:
            wanted = wanted & parsed.modalities if wanted else set(parsed.modalities)
            if not wanted:
                raise QueryError("the query and the modality that was asked for leave none to find")
        return self.search(
            parts=[self._part(term) for term in parsed.terms],
            modality=wanted,
            where=And(tuple(filters)) if filters else None,
            required=parsed.required,
            excluded=parsed.excluded,
            phrases=parsed.phrases,
            fuzzy=parsed.fuzzy,
            **options,
        )

    def _part(self, term: Term) -> QueryPart:
        match term.kind:
            case "text":
                return QueryPart("text", term.value, term.weight)
            case "image":
                picture = picture_of(term.value, self.settings.max_pixels)
                return QueryPart("image", picture, term.weight)
            case "audio":
                sound = sound_of(term.value, self.settings.max_pixels)
                return QueryPart("audio", sound, term.weight)
            case _:
                return self.like(term.value, term.weight)

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
        name = str(target)
        candidates = [name, name.partition(":")[0], document_id_of(name)]
        with suppress(OSError, RuntimeError, ValueError):
            candidates.append(document_id_of(uri_of(Path(name).resolve())))
        for candidate in candidates:
            document = self._store.document(candidate)
            if document is not None:
                chunks = self._store.refresh().chunks(document.document_id)
                return Shown(document, tuple(chunks))
        raise NotFoundError(
            f"no document or chunk {name!r} in {self.path}; "
            "give an id from a search, or the path of a file that was added"
        )

    def thumbnail(self, chunk_id: str) -> bytes:
        """Give a picture's thumbnail, a JPEG. Raises `NotFoundError`."""
        found = self._store.thumbnail(chunk_id)
        if found is None:
            raise NotFoundError(f"no picture {chunk_id!r} in this library")
        return found

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
        )

    @property
    def version(self) -> int:
        """Grows with every commit; what others wrote is seen within `freshness_s`."""
        return self._store.snapshot().version

    def documents(self, *, failed: bool | None = None) -> list[DocumentRow]:
        """Give the documents by address; `failed` narrows to those that are not in, or are."""
        where = {None: None, True: "error IS NOT NULL", False: "error IS NULL"}[failed]
        return self._store.documents(where)

    def columns(self) -> Mapping[str, str]:
        """Tell what can be filtered by, with the types."""
        return dict(self._store.snapshot().columns)

    def warm(self) -> None:
        """Load what the first query needs, so that it is as fast as the second."""
        self.search("warm", limit=1)


def _matching(target: str, rows: Iterable[DocumentRow]) -> list[str]:
    uris = {target}
    with suppress(OSError, RuntimeError, ValueError):
        uris.add(uri_of(Path(target).resolve()))
    prefixes = tuple(uri.rstrip("/") + "/" for uri in uris if uri)
    return [
        row.document_id
        for row in rows
        if row.document_id == target or row.uri in uris or row.uri.startswith(prefixes)
    ]
