"""The facade: one class that connects encoders, search and store, and by `Writing` ingest."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Unpack

from trawl.encoders import Encoder, load_reranker
from trawl.errors import NotFoundError
from trawl.ingest import is_file_gone
from trawl.library import identity, inputs
from trawl.library.contents import (
    DocumentContents,
    DocumentPage,
    count_values,
    list_documents,
    read_status,
)
from trawl.library.contributing import Contributing
from trawl.library.copies import Copies
from trawl.library.mapped import Mapped
from trawl.library.media import AudioInput, ImageInput
from trawl.library.opening import open_store, work_dir_of
from trawl.library.originals import Original
from trawl.library.skipped import Skipped, read_skipped
from trawl.library.views import Views
from trawl.library.writing import Writing
from trawl.locations import location_of
from trawl.objects import Objects
from trawl.query import Filter
from trawl.readers.process import ReaderPool
from trawl.search import (
    Like,
    QueryPart,
    Searcher,
    SearchKeywords,
    SearchOptions,
    SearchRequest,
    browse,
    search_options,
)
from trawl.settings import Settings, load_settings
from trawl.store import DocumentRow
from trawl.types import Answer, Facet, Modality, Status, StoredChunk

if TYPE_CHECKING:
    from trawl.encoders.cross_encoder import CrossEncoder


class Library(Contributing, Mapped, Writing):
    """An index of documents, in a directory or an object store.

    ::

        with Library("my-library", create=True) as library:
            library.add(["papers", "photos"])
            answer = library.search("muon decay", limit=5)

    `settings` are fields of `trawl.settings.Settings`; they override the environment and
    the library's `trawl.toml`. With `create`, a missing library is created. Searching is
    thread-safe; one process writes at a time.

    `path` is a directory, or the address of a prefix in an object store: ``s3://bucket/papers``,
    ``gs://…`` or ``az://…``, with the setting `storage_options`.

    `encoders` are embedding models of your own (``docs/models.md``), with which the library is
    created and opened. Without them, documents can be listed and shown, but not searched.

    Raises `LibraryMissingError` if there is no library, `SpaceMismatchError` if it was created
    with other models or encoders, and `UsageError` for an invalid encoder or setting.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        create: bool = False,
        encoders: Sequence[Encoder] = (),
        **settings: Any,
    ) -> None:
        self.settings: Settings = load_settings(path, **settings)
        self.location = location_of(path, self.settings.storage_options)
        self.path = self.location.path
        self.work_dir = work_dir_of(self.location, self.settings.cache_dir)
        self._objects = Objects(self.settings.storage_options, self.location.address)
        self._models = identity.open_models(self.location, self.settings, encoders, create=create)
        self._store = open_store(
            self.location, identity.sources_of(self._models), self.settings, self.work_dir
        )
        self._copies = Copies(self.location, self._objects, self._store.document)
        self._searcher_lock = Lock()
        self._inputs = inputs.QueryInputs(self.settings.max_pixels, self.like)
        self._readers = ReaderPool(self.settings.reader_timeout_s, self.settings.reader_memory_mb)
        self._rerankers: dict[str, CrossEncoder] = {}
        self.views = Views(self._store, self.settings, self._copies)

    def __enter__(self) -> Library:
        return self

    def __repr__(self) -> str:
        return f"Library({self.location.address!r})"

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the search threads and the processes of readers, and release the store."""
        with self._searcher_lock:
            searcher = self.__dict__.pop("_searcher", None)
        if searcher is not None:
            searcher.close()
        self._readers.close()
        self.views.close()
        self._store.close()

    @cached_property
    def _searcher(self) -> Searcher:
        return Searcher(self._models, self._reranker, self._is_gone)

    def _open_searcher(self) -> Searcher:
        with self._searcher_lock:
            return self._searcher

    def _reranker(self, name: str) -> CrossEncoder:
        if name not in self._rerankers:
            self._rerankers[name] = load_reranker(name, self.settings.model_dir)
        return self._rerankers[name]

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
        """Search by text, an image, a sound, a chunk, or several of them combined.

        ::

            library.search("muon decay", modality="image", limit=5, where="year >= 2020")

        `image` and `audio` are a file, its bytes, or decoded (`trawl.library.media` lists the
        types). `like` is a chunk id; `parts` are further query parts with weights of their own.
        `where` is a filter as text or parsed. The other keywords are the fields of
        `SearchOptions`, and change `options` if that is given too. `rerank` is the name or
        the directory of a cross-encoder. A `cursor` from an answer returns the next page,
        from the version of the library that answered.

        With a filter (`where`, `modality`, `required`, `excluded`) and nothing to search for,
        the documents that match are listed, sorted by `sort` or by address; `Answer.total`
        counts them.

        Raises `QueryError`, `FilterError` or `UsageError` if the request is invalid, and
        `NotFoundError` if there is no such chunk.
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
        """Search by one line of the query language, such as ``muon -cosmic year:>=2020``.

        ``docs/queries.md`` describes the language. The other arguments are those of `search`
        and add to the line; `where` and `modality` narrow it. With `files` off, the line may
        not name files (``image:``, ``audio:``).

        Raises what `search` raises; an error in the line points at the character.
        """
        chosen = search_options(options, **changes)
        parsed = self._inputs.line(line, chosen, files=files)
        query = parsed.parts + self._inputs.parts(None, image, audio, like, parts)
        narrowed = inputs.join_filters(parsed.where, chosen.where, where)
        return self._search(query, narrowed, parsed.options)

    def _search(
        self, query: Sequence[QueryPart], where: Filter | None, options: SearchOptions
    ) -> Answer:
        snapshot = self._store.snapshot()
        if options.cursor is not None:
            version, offset = inputs.parse_cursor(options.cursor)
            snapshot = self._store.snapshot_at(version)
            options = search_options(options, offset=offset)
        within = self._within(options.map, snapshot)
        if query:
            request = SearchRequest(query, where, options, within)
            answer = self._open_searcher().search(request, snapshot)
        else:
            answer = browse(where, options, snapshot, self._is_gone, within)
        answer = replace(answer, thumbnail=self.thumbnail)
        end = inputs.next_offset(answer, options, is_query=bool(query))
        if end is None:
            return answer
        return replace(answer, cursor=inputs.format_cursor(answer.version, end))

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
        """Return a chunk as a query part. Raises `NotFoundError`."""
        chunk = self._store.snapshot().chunk(chunk_id)
        if chunk is None:
            raise NotFoundError(
                f"no chunk {chunk_id!r} in {self.location}; use the chunk_id of a hit"
            )
        return QueryPart(chunk.modality, Like(chunk_id), weight)

    # --- contents ----------------------------------------------------------------------

    def show(self, target: str | Path) -> DocumentContents:
        """Return a document with its chunks, by document id, chunk id or path.

        Raises `NotFoundError`.
        """
        for candidate in inputs.candidate_ids(inputs.name_of(target)):
            document = self._store.document(candidate)
            if document is not None:
                chunks = self._store.refresh().chunks(document.document_id)
                return DocumentContents(
                    document,
                    tuple(chunks),
                    self._store.snapshot().copies.others(document.document_id),
                    is_file_gone(document.uri) and not self._copies.has(document),
                )
        raise NotFoundError(
            f"no document or chunk {str(target)!r} in {self.location}; "
            "give an id from a search, or the path of a file that was added"
        )

    def thumbnail(self, chunk_id: str) -> bytes:
        """Return a picture's thumbnail as a JPEG file. Raises `NotFoundError`."""
        jpeg = self._store.thumbnail(inputs.check_text(chunk_id, "chunk_id"))
        if jpeg is None:
            raise NotFoundError(f"no picture {chunk_id!r} in this library")
        return jpeg

    def _is_gone(self, chunk: StoredChunk) -> bool:
        """Return whether the file of a hit is missing.

        False if that would take a request: for objects, and if the library has copies of files.
        """
        return is_file_gone(chunk.uri) and not self._copies.exist

    def original(self, chunk_id: str) -> Original:
        """Open the file that a chunk comes from, or its copy. The caller closes it.

        An object of a store is read in blocks. Raises `NotFoundError`, `StorageError`, and
        `GoneError` if the file changed since it was added and has no copy.
        """
        document = self._store.document(inputs.check_text(chunk_id, "chunk_id").partition(":")[0])
        if document is None or self._store.snapshot().chunk(chunk_id) is None:
            raise NotFoundError(f"no chunk {chunk_id!r} in this library")
        return self._copies.open(document)

    def documents(
        self,
        *,
        failed: bool | None = None,
        where: str | Filter | None = None,
        sort: str | None = None,
    ) -> list[DocumentRow]:
        """Return the documents, all or those that match a filter.

        ::

            library.documents(where="year >= 2020", sort="-year")

        They are sorted by address, or by `sort` as in `document_page`. `failed` selects failed
        or indexed ones.
        """
        return list(self.document_page(failed=failed, where=where, sort=sort).documents)

    def document_page(
        self,
        *,
        failed: bool | None = None,
        notices: bool | None = None,
        where: str | Filter | None = None,
        name: str | None = None,
        sort: str | None = None,
        offset: int = 0,
        limit: int | None = None,
    ) -> DocumentPage:
        """Return a page of the documents, and their total number.

        `failed` and `notices` select by error and notices, `name` by file name; `where` excludes
        failed ones. `sort` is a metadata key, `title`, `uri`, `media_type`, `modality`,
        `added_at` or `size_bytes`; ``-KEY`` sorts in descending order, and documents without a
        value come last. By default they are sorted by address. Raises `FilterError`.
        """
        return list_documents(
            self._store,
            failed=failed,
            notices=notices,
            where=where,
            name=name,
            sort=sort,
            offset=offset,
            limit=limit,
        )

    def facets(
        self,
        keys: Sequence[str],
        *,
        where: str | Filter | None = None,
        modality: Collection[Modality] = (),
        limit: int = 100,
    ) -> tuple[Facet, ...]:
        """Count the values of columns in the whole library, or in the part that matches a filter.

        `search` counts them over its results. Raises `FilterError`.
        """
        return count_values(self._store, keys, where=where, modality=modality, limit=limit)

    def columns(self) -> Mapping[str, str]:
        """Return the columns that filters may use, with their types."""
        return dict(self._store.snapshot().columns)

    def status(self) -> Status:
        """Return counts, embedding spaces and the files that could not be read."""
        return read_status(self._store, [model.space for model in self._models])

    def skipped(self) -> Skipped:
        """Return the files of added folders whose type is not read, with the reasons.

        Files that are gone or can be read by now are left out. At most 10,000 are recorded.
        """
        return read_skipped(self.location)

    def size_bytes(self) -> int:
        """Return the size of the library with its uploads, and in a store with earlier versions."""
        return sum(entry.size for entry in self.location.entries())

    # --- versions ----------------------------------------------------------------------

    @property
    def version(self) -> int:
        """The version number. Other processes' commits are seen within `freshness_s`."""
        return self._store.snapshot().version

    @property
    def state(self) -> str:
        """An identifier of the current contents, unique across libraries and versions."""
        return self._store.snapshot().state

    def refresh(self) -> None:
        """Look for commits of other processes now."""
        self._store.refresh()

    def warm(self) -> None:
        """Load the models, and begin to load the library into memory in a background thread."""
        self._store.hold(self.settings.memory_bytes, self.work_dir)
        self.search("warm", limit=1)
