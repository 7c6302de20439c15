"""Search: encode the query, query every source, fuse the rankings and load the hits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trawl.encoders import Model, encode_query, load_reranker, tokens_cut
from trawl.errors import QueryError, UsageError
from trawl.maxsim import combined
from trawl.query import Comparison, to_sql
from trawl.ranking import Null, Prior, answer_odds
from trawl.search.answering import answer_of, timed
from trawl.search.browsing import filter_conditions
from trawl.search.caches import Nulls, QueryVectors
from trawl.search.candidates import Candidates, candidates_of
from trawl.search.copies import IsGone
from trawl.search.gathered import DEPTH, Gathered
from trawl.search.options import MAX_RESULTS
from trawl.search.request import Like, QueryPart, SearchRequest
from trawl.search.rerank import Reranker
from trawl.search.snippets import content_stems
from trawl.store import BM25, Snapshot, Words, filter_column
from trawl.telemetry import events
from trawl.types import MODALITIES, Answer, Modality, Ranking

_SOURCES_AT_ONCE = 4

# How much a query by picture, sound or chunk raises the surprises of its own modality, and
# of the others.
SAME_MODALITY_ODDS, OTHER_MODALITY_ODDS = 3.0, -5.0


@dataclass(frozen=True, slots=True)
class _SourceQuery:
    """The query to one source; `vector` is None for BM25."""

    source: str
    vector: NDArray[np.float32] | None
    query_modality: Modality
    where: str | None
    prior: Prior | None = None


class Searcher:
    """Run searches on snapshots of a library. Safe to call from several threads."""

    def __init__(
        self,
        models: Sequence[Model],
        reranker: Callable[[str], Reranker] = load_reranker,
        is_gone: IsGone = lambda chunk: False,
    ) -> None:
        self._models, self._reranker, self._is_gone = models, reranker, is_gone
        self._nulls = Nulls(models)
        self._vectors = QueryVectors()
        self._pool = ThreadPoolExecutor(_SOURCES_AT_ONCE, "trawl-source")

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown(wait=True)

    def search(self, request: SearchRequest, snapshot: Snapshot) -> Answer:
        """Return the answer.

        Raises `UsageError` if the request names a column, source or chunk that the
        library does not have, and `QueryError` if no model accepts the query.
        """
        depth = _depth_of(request)
        answer, is_short = self._search(request, snapshot, depth)
        if is_short and depth < MAX_RESULTS:
            # Copies took the places of other candidates.
            answer, _ = self._search(request, snapshot, MAX_RESULTS)
        return answer

    def _search(
        self, request: SearchRequest, snapshot: Snapshot, depth: int
    ) -> tuple[Answer, bool]:
        """Search among `depth` candidates of each source; return whether more are needed."""
        options = request.options
        timings: dict[str, float] = {}
        with timed(timings, "total"):
            gathered = self.gather(request, snapshot, timings, depth)
            answer, is_short = answer_of(
                gathered, options, snapshot, self._reranker, self._is_gone, timings
            )
            notices = _notices(self._models, request, {r.source for r in gathered.rankings})
        answer = replace(answer, notices=notices + answer.notices, version=snapshot.version)
        return answer, is_short and any(len(r.rows) >= depth for r in gathered.rankings)

    def candidates(self, request: SearchRequest, snapshot: Snapshot, *, deep: bool) -> Candidates:
        """Return the candidates for a search of several libraries.

        With `deep`, each source returns all the candidates that it may. Raises what `search`
        raises.
        """
        timings: dict[str, float] = {}
        with timed(timings, "total"):
            depth = MAX_RESULTS if deep else _depth_of(request)
            gathered = self.gather(request, snapshot, timings, depth)
            notices = _notices(self._models, request, {r.source for r in gathered.rankings})
            with timed(timings, "hydrate"):
                found, chunks = candidates_of(gathered, request.options, snapshot, self._is_gone)
        return Candidates(
            snapshot.version,
            snapshot.columns,
            spaces_of(self._models),
            chunks,
            found,
            notices=notices,
            took_ms=timings,
        )

    def gather(
        self,
        request: SearchRequest,
        snapshot: Snapshot,
        timings: dict[str, float] | None = None,
        depth: int | None = None,
    ) -> Gathered:
        """Query every source for `depth` candidates, without fusing.

        Adds each stage's milliseconds to `timings`.
        """
        timings = {} if timings is None else timings
        with timed(timings, "prepare"):
            self._check_weights(request.options.weights)
            where = _where(request, snapshot)
        with timed(timings, "encode"):
            queries = list(self._source_queries(request, snapshot, where))
        with timed(timings, "sources"):
            rankings, nulls = self._fetch(request, snapshot, queries, depth or _depth_of(request))
        priors = {q.source: q.prior for q in queries if q.prior is not None}
        return Gathered(
            tuple(rankings),
            nulls,
            priors,
            self._odds(request, queries, nulls),
            _query_words(request),
            request.only_modality,
            request.text,
        )

    def _odds(
        self, request: SearchRequest, queries: Sequence[_SourceQuery], nulls: Mapping[str, Null]
    ) -> Mapping[str, float]:
        """Return how much the levels of each modality are raised for this query."""
        if all(isinstance(part.media, str) for part in request.parts):
            for model in self._models:
                vector = next(
                    (q.vector for q in queries if q.source in map(model.source, MODALITIES)), None
                )
                if vector is None:
                    continue
                reference = model.reference
                in_space = {m: nulls[s] for m in MODALITIES if (s := model.source(m)) in nulls}
                return answer_odds(in_space, reference.answers, reference.intent_of(vector))
            return {}
        if (modality := request.only_modality) is None:
            return {}
        return {m: SAME_MODALITY_ODDS if m == modality else OTHER_MODALITY_ODDS for m in MODALITIES}

    def _check_weights(self, weights: Mapping[str, float]) -> None:
        """Raise `UsageError` for a weight of an unknown source."""
        sources = [BM25, *(model.source(m) for model in self._models for m in model.indexed)]
        for source in weights:
            if source not in sources:
                raise UsageError(
                    f"weight of an unknown source {source!r}; sources of this library: "
                    f"{', '.join(sources)}"
                )

    def _source_queries(
        self, request: SearchRequest, snapshot: Snapshot, where: str | None
    ) -> Iterator[_SourceQuery]:
        """Yield a query for each source that can hold an answer."""
        self._check_towers(request)
        self._check_task(request.options.task)
        wanted = frozenset(request.options.modality or MODALITIES)
        if request.text or request.options.phrases or request.options.fuzzy:
            yield _SourceQuery(BM25, None, "text", _narrowed(where, wanted))
        for model in self._models:
            # Captions of pictures and sounds are in the text source too.
            searched = [
                modality
                for modality in model.indexed
                if (modality == "text" or modality in wanted)
                and snapshot.size(model.source(modality)) > 0
            ]
            # Encoding loads a tower, so it is skipped if there is nothing to search.
            vector = self._vector(model, request, snapshot) if searched else None
            if vector is None:
                continue
            # Of the heaviest part; ties are broken by name, whatever the order of the parts.
            query_modality = max((part.weight, part.modality) for part in request.parts)[1]
            for modality in searched:
                source = model.source(modality)
                prior = model.card.priors.get((query_modality, modality))
                yield _SourceQuery(
                    source,
                    vector,
                    query_modality,
                    _narrowed(where, wanted) if modality == "text" else where,
                    Prior(*prior) if prior is not None else None,
                )

    def _vector(
        self, model: Model, request: SearchRequest, snapshot: Snapshot
    ) -> NDArray[np.float32] | None:
        """Return the weighted sum of the parts' vectors: float32 [D], unit length.

        Sets of vectors are joined instead. Return None if the model cannot encode one of the
        parts, since the other parts alone are a different query.
        """
        total: NDArray[np.float32] = np.zeros(model.space.dimension, np.float32)
        sets: list[tuple[NDArray[np.float32], float]] = []
        is_late = model.space.parts > 1
        for part in request.parts:
            if is_late and part.weight <= 0:
                return None  # nothing is opposite to a set
            vector = self._part_vector(model, part, snapshot, request.options.task or "")
            if vector is None:
                return None
            if is_late:
                sets.append((vector, part.weight))
            else:
                total += np.float32(part.weight) * vector
        if is_late:
            return combined(sets, model.space.width)
        norm = float(np.linalg.norm(total))
        if norm < 1e-6:
            raise QueryError("the parts of the query cancel each other out; change their weights")
        unit: NDArray[np.float32] = total / np.float32(norm)
        return unit

    def _part_vector(
        self, model: Model, part: QueryPart, snapshot: Snapshot, task: str
    ) -> NDArray[np.float32] | None:
        if part.modality not in model.encoders:
            return None
        if isinstance(part.media, Like):
            if part.modality not in model.indexed:
                return None
            if part.media.vectors is not None:
                return part.media.vectors.get(model.space.fingerprint)
            return snapshot.vector(model.source(part.modality), part.media.chunk_id)
        if isinstance(part.media, str):
            return self._vectors.of(model, part.modality, part.media, task)
        return encode_query(model.encoders[part.modality], part.media)

    def _check_towers(self, request: SearchRequest) -> None:
        """Raise `QueryError` if no model encodes all parts that are not text."""
        needed = {part.modality for part in request.parts if not isinstance(part.media, str)}
        if needed and not any(needed <= model.encoders.keys() for model in self._models):
            names = ", ".join(model.card.name for model in self._models)
            kinds = " and ".join(sorted(needed))
            raise QueryError(
                f"no model of this library ({names}) accepts {kinds} as a query; use a text query, "
                "or create a library with another profile"
            )

    def _check_task(self, task: str | None) -> None:
        """Raise `UsageError` if no model has a prompt for the task."""
        known = list(dict.fromkeys(one for model in self._models for one in model.tasks))
        if task is not None and task not in known:
            names = ", ".join(model.card.name for model in self._models)
            raise UsageError(
                f"no prompt for the task {task!r} in {names}; "
                + (f"tasks are: {', '.join(known)}" if known else "omit the task")
            )

    def _fetch(
        self,
        request: SearchRequest,
        snapshot: Snapshot,
        queries: Sequence[_SourceQuery],
        depth: int,
    ) -> tuple[list[Ranking], dict[str, Null]]:
        """Query all sources in parallel."""
        options = request.options
        words = Words(request.text, options.phrases, options.fuzzy)

        def fetch(query: _SourceQuery) -> tuple[Ranking, Null | None]:
            began = time.perf_counter()
            try:
                return run(query)
            finally:
                events.source_searched(query.source, seconds=time.perf_counter() - began)

        def run(query: _SourceQuery) -> tuple[Ranking, Null | None]:
            if query.vector is None:
                return snapshot.words(words, depth, query.where, request.within), None
            found = snapshot.nearest(query.source, query.vector, depth, query.where, request.within)
            ranking = replace(found, complete=len(found.rows) < depth)
            return ranking, self._nulls.of(snapshot, query.source, query.query_modality)

        def is_held(query: _SourceQuery) -> bool:
            if query.vector is None:
                return snapshot.holds_words(words)
            return snapshot.holds(query.source)

        # Sources in memory are queried on this thread: switching threads costs more.
        futures: dict[str, Future[tuple[Ranking, Null | None]]] = {
            query.source: self._pool.submit(fetch, query) for query in queries if not is_held(query)
        }
        local = {q.source: fetch(q) for q in queries if q.source not in futures}
        results = [local.get(q.source) or futures[q.source].result() for q in queries]
        return (
            [ranking for ranking, _ in results],
            {ranking.source: null for ranking, null in results if null is not None},
        )


def spaces_of(models: Sequence[Model]) -> dict[str, str]:
    """Return the fingerprint of each source's model."""
    return {
        model.source(modality): model.space.fingerprint
        for model in models
        for modality in model.indexed
    }


def _query_words(request: SearchRequest) -> int:
    """Return the number of distinct words that the full-text index is queried for."""
    options = request.options
    text = " ".join([request.text, *options.phrases, *(word for word, _ in options.fuzzy)])
    return max(1, len(content_stems(text)))


def _depth_of(request: SearchRequest) -> int:
    options = request.options
    return DEPTH if options.offset + options.limit <= DEPTH else MAX_RESULTS


def _where(request: SearchRequest, snapshot: Snapshot) -> str | None:
    """Return the condition that every hit must meet, as SQL, or None."""
    conditions = filter_conditions(request.where, request.options, snapshot)
    for part in request.parts:
        if isinstance(part.media, Like) and part.weight > 0:
            # Exclude the chunk's own document: windows of one recording overlap.
            document_id = part.media.chunk_id.partition(":")[0]
            for one in (document_id, *(p.document_id for p in snapshot.copies.others(document_id))):
                other = Comparison("document_id", "!=", one)
                conditions.append(to_sql(other, filter_column))
    return " AND ".join(f"({condition})" for condition in conditions) or None


def _narrowed(where: str | None, wanted: frozenset[Modality]) -> str | None:
    if wanted == frozenset(MODALITIES):
        return where
    modality = f"modality IN ({', '.join(repr(m) for m in sorted(wanted))})"
    return modality if where is None else f"({where}) AND {modality}"


def _notices(models: Sequence[Model], request: SearchRequest, sources: Set[str]) -> tuple[str, ...]:
    """Return a notice for each model that truncated the query."""
    texts = [part.media for part in request.parts if isinstance(part.media, str)]
    notices = []
    for model in models:
        if sources.isdisjoint(model.source(modality) for modality in model.indexed):
            continue
        cut = sum(tokens_cut(model.text, text) for text in texts)
        if cut:
            notices.append(f"{model.card.name} ignored the last {cut} tokens of the query")
    return tuple(notices)
