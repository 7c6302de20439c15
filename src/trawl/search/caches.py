"""What searches of one process share: query vectors and null statistics."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from threading import Lock

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from trawl.encoders import Model, encode_queries, encode_query
from trawl.ranking import Null, excerpts, measure_null
from trawl.store import Sample, Snapshot
from trawl.telemetry import events
from trawl.types import Modality, Question

_MAX_BYTES = 16 * 2**20
# Per entry, beside the vector: the array object, the key and the place in the cache.
_ENTRY_BYTES = 400

_SAMPLE = 1024
# A similarity of sets costs a thousand times as much as one of vectors.
_SAMPLED_SETS = 256
_NULL_QUERIES = 64
_REDRAWN_AT = 0.05


def normalised(text: str) -> str:
    """Return `text` in NFC with runs of white space replaced by single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


class QueryVectors:
    """A cache of text query vectors by (space, modality and task, text), bounded by `max_bytes`.

    A vector depends on the model and the text alone, so entries stay valid when the
    library changes. Safe to use from several threads.
    """

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        self._vectors: LRUCache[tuple[str, str, str], NDArray[np.float32]] = LRUCache(
            max_bytes, getsizeof=lambda vector: _ENTRY_BYTES + vector.nbytes
        )
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._vectors)

    def of(
        self, model: Model, modality: Modality, text: str, task: str = ""
    ) -> NDArray[np.float32]:
        """Return the unit vector of a text query for a task: float32 [D], read-only."""
        text, task = normalised(text), task if task in model.tasks else ""
        key = (model.space.fingerprint, f"{modality} {task}", text)
        with self._lock:
            cached = self._vectors.get(key)
        events.embedding(model.space.name, modality, hit=cached is not None)
        if cached is not None:
            return cached
        vector = encode_query(model.encoders[modality], Question(text, task)).copy()
        vector.setflags(write=False)
        with self._lock:
            if _ENTRY_BYTES + vector.nbytes <= self._vectors.maxsize:
                self._vectors[key] = vector
        return vector


class Nulls:
    """A cache of what each source shows for queries without an answer.

    Text queries are represented by the model's question bank; queries by picture or sound by
    the library's own vectors. A null is measured when first needed, and again once the
    source, or the source that the queries come from, has grown or shrunk by 5 %. Safe to
    use from several threads.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        self._models = {model.space.name: model for model in models}
        self._samples: dict[str, tuple[int, Sample]] = {}
        self._nulls: dict[tuple[str, Modality], tuple[int, int, Null | None]] = {}
        self._lock = Lock()

    def of(self, snapshot: Snapshot, source: str, query_modality: Modality) -> Null | None:
        """Return the null of a source, or None if there is too little to measure it on."""
        space = source.rpartition(".")[0]
        size, queries_from = snapshot.size(source), snapshot.size(f"{space}.{query_modality}")
        with self._lock:
            drawn_at, drawn_from, null = self._nulls.get((source, query_modality), (-1, -1, None))
        if _outgrown(size, drawn_at) or _outgrown(queries_from, drawn_from):
            null = self._measure(snapshot, source, self._models[space], query_modality)
            with self._lock:
                self._nulls[source, query_modality] = (size, queries_from, null)
        return null

    def _measure(
        self, snapshot: Snapshot, source: str, model: Model, query_modality: Modality
    ) -> Null | None:
        sample = self._sample(snapshot, source, model)
        if query_modality == "text":
            return self._by_questions(snapshot, sample, model)
        queries_source = model.source(query_modality)
        if queries_source not in snapshot.sources:
            return None
        queries = self._sample(snapshot, queries_source, model)
        # Rows are in order of insertion: the first alone may be of one kind.
        some = slice(None, None, max(1, len(queries.vectors) // _NULL_QUERIES))
        return measure_null(
            queries.vectors[some],
            sample.vectors,
            parts=model.space.parts,
            query_groups=queries.documents[some],
            sample_groups=sample.documents,
        )

    def _by_questions(self, snapshot: Snapshot, sample: Sample, model: Model) -> Null | None:
        """Measure a null with the question bank.

        Of a model without stored calibration it is not known whether its modalities compare,
        so that excerpts of the library's texts take the bank's place as the sample grows.
        """
        null = measure_null(model.reference.questions, sample.vectors, parts=model.space.parts)
        if model.reference.is_stored or null is None:
            return null
        texts, documents = snapshot.sample_texts(_NULL_QUERIES)
        own = measure_null(
            encode_queries(model.text, excerpts(texts)),
            sample.vectors,
            parts=model.space.parts,
            query_groups=documents,
            sample_groups=sample.documents,
        )
        return null if own is None else null.blended(own)

    def _sample(self, snapshot: Snapshot, source: str, model: Model) -> Sample:
        size = snapshot.size(source)
        with self._lock:
            drawn_at, sample = self._samples.get(source, (-1, None))
        if sample is None or _outgrown(size, drawn_at):
            sample = snapshot.sample(source, _SAMPLE if model.space.parts == 1 else _SAMPLED_SETS)
            with self._lock:
                self._samples[source] = (size, sample)
        return sample


def _outgrown(size: int, drawn_at: int) -> bool:
    return drawn_at < 0 or abs(size - drawn_at) > _REDRAWN_AT * drawn_at
