"""Searching: encode the query, ask every source at once, fuse, and look the winners up."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trawl.encoders import Model, encode_query, load_reranker, tokens_cut
from trawl.errors import QueryError, UsageError
from trawl.query import Comparison, bind, to_sql
from trawl.ranking import Background, Fused, Fusion, Method, Prior, fuse
from trawl.search.arrange import arrange, count_facets
from trawl.search.background import Backgrounds
from trawl.search.request import MAX_RESULTS, Like, QueryPart, SearchRequest
from trawl.search.rerank import Reranker, rerank
from trawl.search.snippets import snippet
from trawl.search.vectors import QueryVectors
from trawl.store import BM25, Snapshot, Words, filter_column, row_is_one_of
from trawl.telemetry import events
from trawl.types import MODALITIES, Answer, Hit, Modality, Ranking, StoredChunk

# Fusion wants more from each source than the list is to show: a chunk that is good in
# two sources may stand low in each.
_DEPTH = 100
_SOURCES_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question to one source; `query` is None for the one that finds by words."""

    source: str
    query: NDArray[np.float32] | None
    asked_in: Modality
    where: str | None
    prior: Prior | None = None


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the sources answered, and what their answers are held against; yet to be fused.

    `words` are those of the request, for what reranks.
    """

    rankings: tuple[Ranking, ...]
    backgrounds: Mapping[str, Background]
    priors: Mapping[str, Prior]
    words: str = ""

    def fused(
        self,
        method: Method = "calibrated",
        weights: Mapping[str, float] | None = None,
        rrf_k: float = 60.0,
        *,
        sources: Collection[str] | None = None,
    ) -> Fusion:
        """Make one list; of some `sources` alone where they are given.

        What is found further down than a first page needs comes after what is not, so
        that the first pages are the same however many are asked for.
        """
        asked = [r for r in self.rankings if sources is None or r.source in sources]

        def joined(rankings: Sequence[Ranking]) -> Fusion:
            return fuse(
                rankings,
                method,
                backgrounds=self.backgrounds,
                priors=self.priors,
                weights=weights,
                rrf_k=rrf_k,
            )

        near = joined([_first(ranking, _DEPTH) for ranking in asked])
        if all(len(ranking.rows) <= _DEPTH for ranking in asked):
            return near
        return near.followed_by(joined(asked))


class Searcher:
    """Answers requests from a snapshot of a library. Safe to call from several threads."""

    def __init__(
        self, models: Sequence[Model], reranker: Callable[[str], Reranker] = load_reranker
    ) -> None:
        self._models, self._reranker = models, reranker
        self._backgrounds = Backgrounds(models)
        self._vectors = QueryVectors()
        self._pool = ThreadPoolExecutor(_SOURCES_AT_ONCE, "trawl-source")

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=True)

    def search(self, request: SearchRequest, snapshot: Snapshot) -> Answer:
        """Give the hits. Raises `UsageError` for what the library cannot answer: a filter or
        a sort on a column that it has not got, a `Like` of a chunk that it has not got.
        """
        took: dict[str, float] = {}
        with _timed(took, "total"):
            gathered = self.gather(request, snapshot, took)
            with _timed(took, "fuse"):
                fused = gathered.fused(request.fusion, request.weights, request.rrf_k)
            notices = _notices(self._models, request, {r.source for r in gathered.rankings})
            if request.rerank is not None:
                with _timed(took, "rerank"):
                    reranker = self._reranker(request.rerank)
                    fused, unread = rerank(reranker, request.text, snapshot, fused)
                notices += unread
            with _timed(took, "hydrate"):
                listed = request.nearest or not fused.no_good_match
                chosen = arrange(request, snapshot, fused) if listed else []
                hits = _hits(request, snapshot, chosen)
                facets = count_facets(request, snapshot, fused) if listed else ()
        return Answer(
            hits,
            took,
            no_good_match=fused.no_good_match,
            confidence=fused.confidence,
            facets=facets,
            version=snapshot.version,
            notices=notices,
        )

    def gather(
        self, request: SearchRequest, snapshot: Snapshot, took: dict[str, float] | None = None
    ) -> Gathered:
        """Ask every source, and fuse nothing yet. `took` is told the stages' milliseconds."""
        took = {} if took is None else took
        with _timed(took, "prepare"):
            self._check_weights(request.weights)
            where = _where(request, snapshot)
        with _timed(took, "encode"):
            asked = list(self._ask(request, snapshot, where))
        with _timed(took, "sources"):
            rankings, backgrounds = self._fetch(request, snapshot, asked)
        priors = {a.source: a.prior for a in asked if a.prior is not None}
        return Gathered(tuple(rankings), backgrounds, priors, request.text)

    def _check_weights(self, weights: Mapping[str, float]) -> None:
        """Raise `UsageError` for a weight of a source that there is not."""
        sources = [BM25, *(model.source(m) for model in self._models for m in model.encoders)]
        for source in weights:
            if source not in sources:
                raise UsageError(
                    f"no source {source!r} to weigh; this library's are: {', '.join(sources)}"
                )

    def _ask(
        self, request: SearchRequest, snapshot: Snapshot, where: str | None
    ) -> Iterator[_Asked]:
        """Give a question for each source that can hold an answer."""
        self._check_towers(request)
        wanted = request.modalities or frozenset(MODALITIES)
        if request.text or request.phrases or request.fuzzy:
            yield _Asked(BM25, None, "text", _narrowed(where, wanted))
        for model in self._models:
            # Captions of pictures and sounds are text too; the others hold their own.
            searched = [
                modality
                for modality in model.encoders
                if (modality == "text" or modality in wanted)
                and snapshot.size(model.source(modality)) > 0
            ]
            # A tower that has nothing to search is not loaded for it.
            vector = self._vector(model, request.parts, snapshot) if searched else None
            if vector is None:
                continue
            # The heaviest part's; of equally heavy ones, the same in whatever order they stand.
            asked_in = max((part.weight, part.modality) for part in request.parts)[1]
            for modality in searched:
                source = model.source(modality)
                prior = model.card.priors.get((asked_in, modality))
                yield _Asked(
                    source,
                    vector,
                    asked_in,
                    _narrowed(where, wanted) if modality == "text" else where,
                    Prior(*prior) if prior is not None else None,
                )

    def _vector(
        self, model: Model, parts: Sequence[QueryPart], snapshot: Snapshot
    ) -> NDArray[np.float32] | None:
        """Give the weighted sum of the parts' vectors, float32 [D], of length 1.

        None where the model has no vector for one of the parts: part of a question would
        find what the whole did not ask for.
        """
        total: NDArray[np.float32] = np.zeros(model.space.dimension, np.float32)
        for part in parts:
            vector = self._part_vector(model, part, snapshot)
            if vector is None:
                return None
            total += np.float32(part.weight) * vector
        norm = float(np.linalg.norm(total))
        if norm < 1e-6:
            raise QueryError("the parts of the query cancel each other out; change their weights")
        unit: NDArray[np.float32] = total / np.float32(norm)
        return unit

    def _part_vector(
        self, model: Model, part: QueryPart, snapshot: Snapshot
    ) -> NDArray[np.float32] | None:
        if part.modality not in model.encoders:
            return None
        if isinstance(part.media, Like):
            return snapshot.vector(model.source(part.modality), part.media.chunk_id)
        if isinstance(part.media, str):
            return self._vectors.of(model, part.modality, part.media)
        return encode_query(model.encoders[part.modality], part.media)

    def _check_towers(self, request: SearchRequest) -> None:
        """Raise `QueryError` where no model takes all parts that are not words."""
        asked = {part.modality for part in request.parts if not isinstance(part.media, str)}
        if asked and not any(asked <= model.encoders.keys() for model in self._models):
            names = ", ".join(model.card.name for model in self._models)
            kinds = " and ".join(sorted(asked))
            raise QueryError(
                f"no model of this library ({names}) takes {kinds} as a query; ask in words, "
                "or make a library with another profile"
            )

    def _fetch(
        self, request: SearchRequest, snapshot: Snapshot, asked: Sequence[_Asked]
    ) -> tuple[list[Ranking], dict[str, Background]]:
        """Ask all sources at the same time."""
        depth = _DEPTH if request.offset + request.limit <= _DEPTH else MAX_RESULTS
        words = Words(request.text, request.phrases, request.fuzzy)

        def fetch(question: _Asked) -> tuple[Ranking, Background | None]:
            began = time.perf_counter()
            try:
                return ask(question)
            finally:
                events.source_asked(question.source, seconds=time.perf_counter() - began)

        def ask(question: _Asked) -> tuple[Ranking, Background | None]:
            if question.query is None:
                return snapshot.words(words, depth, question.where), None
            ranking = snapshot.nearest(question.source, question.query, depth, question.where)
            background = self._backgrounds.of(
                snapshot, question.source, question.query, question.asked_in
            )
            return ranking, background

        # What is in memory is asked here: another thread would cost more than it.
        futures: dict[str, Future[tuple[Ranking, Background | None]]] = {
            question.source: self._pool.submit(fetch, question)
            for question in asked
            if not snapshot.holds(question.source)
        }
        here = {q.source: fetch(q) for q in asked if q.source not in futures}
        found = [here.get(q.source) or futures[q.source].result() for q in asked]
        return (
            [ranking for ranking, _ in found],
            {ranking.source: background for ranking, background in found if background is not None},
        )


def _first(ranking: Ranking, depth: int) -> Ranking:
    return replace(ranking, rows=ranking.rows[:depth], similarities=ranking.similarities[:depth])


def _where(request: SearchRequest, snapshot: Snapshot) -> str | None:
    """Give what every hit must satisfy, as SQL: the filter, the words, not what is asked with."""
    conditions = []
    if request.where is not None:
        conditions.append(to_sql(bind(request.where, snapshot.columns), filter_column))
    for phrase in request.required:
        conditions.append(row_is_one_of(snapshot.holding(phrase).tolist()))
    for phrase in request.excluded:
        conditions.append(f"NOT ({row_is_one_of(snapshot.holding(phrase).tolist())})")
    for part in request.parts:
        if isinstance(part.media, Like) and part.weight > 0:
            # A chunk is like itself, and its neighbours in a recording overlap it.
            document_id = part.media.chunk_id.partition(":")[0]
            other = Comparison("document_id", "!=", document_id)
            conditions.append(to_sql(other, filter_column))
    return " AND ".join(f"({condition})" for condition in conditions) or None


def _narrowed(where: str | None, wanted: frozenset[Modality]) -> str | None:
    if wanted == frozenset(MODALITIES):
        return where
    modality = f"modality IN ({', '.join(repr(m) for m in sorted(wanted))})"
    return modality if where is None else f"({where}) AND {modality}"


def _notices(models: Sequence[Model], request: SearchRequest, asked: Set[str]) -> tuple[str, ...]:
    """Tell which models did not see the end of a long query."""
    texts = [part.media for part in request.parts if isinstance(part.media, str)]
    found = []
    for model in models:
        if asked.isdisjoint(model.source(modality) for modality in model.encoders):
            continue
        cut = sum(tokens_cut(model.text, text) for text in texts)
        if cut:
            found.append(f"{model.card.name} did not see the last {cut} tokens of the query")
    return tuple(found)


def _hits(request: SearchRequest, snapshot: Snapshot, chosen: Sequence[Fused]) -> tuple[Hit, ...]:
    chunks = snapshot.take([item.row for item in chosen])
    return tuple(
        _hit(rank, item, chunk, request.text)
        for rank, (item, chunk) in enumerate(
            zip(chosen, chunks, strict=True), start=request.offset + 1
        )
    )


def _hit(rank: int, item: Fused, chunk: StoredChunk, query: str) -> Hit:
    return Hit(
        rank=rank,
        score=item.score,
        chunk_id=chunk.chunk_id,
        document_id=chunk.document_id,
        uri=chunk.uri,
        modality=chunk.modality,
        title=chunk.title,
        snippet=snippet(chunk.text, query),
        span=chunk.span,
        metadata=chunk.metadata,
        evidence=item.evidence,
        detail=chunk.detail,
    )


@contextmanager
def _timed(took: dict[str, float], stage: str) -> Iterator[Mapping[str, float]]:
    began = time.perf_counter()
    try:
        yield took
    finally:
        took[stage] = round((time.perf_counter() - began) * 1000, 3)
