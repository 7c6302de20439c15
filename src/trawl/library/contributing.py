"""The part of `Library` that returns candidates: to a search of several, and to evaluation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from trawl.encoders import Model
from trawl.errors import NotFoundError, QueryError
from trawl.library import inputs
from trawl.library.media import AudioInput, ImageInput
from trawl.locations import Location
from trawl.query import Comparison, to_sql
from trawl.search import (
    Candidates,
    Gathered,
    Liked,
    Question,
    Searcher,
    SearchRequest,
    listed,
    search_options,
    spaces_of,
)
from trawl.store import Snapshot, Store, filter_column
from trawl.types import StoredChunk


class Contributing(ABC):
    """The methods of `Library` that return candidates. `Library` sets the attributes."""

    location: Location
    _inputs: inputs.QueryInputs
    _store: Store
    _models: Sequence[Model]

    @abstractmethod
    def _open_searcher(self) -> Searcher: ...

    @abstractmethod
    def _is_gone(self, chunk: StoredChunk) -> bool: ...

    def gather(
        self,
        line: str | None = None,
        *,
        text: str | None = None,
        image: ImageInput | None = None,
        audio: AudioInput | None = None,
        limit: int = 10,
        weights: Mapping[str, float] | None = None,
    ) -> tuple[Gathered, Snapshot]:
        """Return the rankings of every source before fusion, and the snapshot they come from.

        `trawl.evaluation` compares fusion methods on the same rankings. `line` is a query
        line, `text` plain text; `weights` are only validated.
        """
        parsed = inputs.LineQuery((), None, search_options(limit=limit, weights=weights))
        if line is not None:
            parsed = self._inputs.line(line, parsed.options)
        query = parsed.parts + self._inputs.parts(text, image, audio)
        snapshot = self._store.snapshot()
        request = SearchRequest(query, parsed.where, parsed.options)
        return self._open_searcher().gather(request, snapshot), snapshot

    def candidates(self, question: Question) -> Candidates:
        """Return this library's candidates for a search of several.

        Raises `UsageError` and `QueryError` as `search` does, and `FilterError` if the filter
        names a column that this library lacks.
        """
        if question.options.map is not None:
            raise QueryError("a region of a map is of one library; search that library alone")
        snapshot = self._store.snapshot()
        if question.version is not None:
            snapshot = self._store.snapshot_at(question.version)
        if question.parts:
            request = SearchRequest(question.parts, question.where, question.options)
            return self._open_searcher().candidates(request, snapshot, deep=question.deep)
        options = question.options
        chunks, total, facets = listed(question.where, options, snapshot, self._is_gone)
        return Candidates(
            snapshot.version,
            snapshot.columns,
            spaces_of(self._models),
            chunks,
            total=total,
            facets=facets,
        )

    def liked(self, chunk_id: str) -> Liked:
        """Return what other libraries need to search for chunks like a chunk of this one.

        Raises `NotFoundError`.
        """
        snapshot = self._store.snapshot()
        chunk = snapshot.chunk(chunk_id)
        if chunk is None:
            raise NotFoundError(
                f"no chunk {chunk_id!r} in {self.location}; use the chunk_id of a hit"
            )
        found = {
            model.space.fingerprint: snapshot.vector(model.source(chunk.modality), chunk_id)
            for model in self._models
            if chunk.modality in model.indexed
        }
        own = to_sql(Comparison("document_id", "=", chunk.document_id), filter_column)
        contents = snapshot.matching(own, ["content"])["content"].to_pylist()
        vectors = {name: vector for name, vector in found.items() if vector is not None}
        return Liked(chunk.modality, vectors, contents[0] or "")
