"""How similar a query is to what does not answer it: what calibration measures against."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from trawl.encoders import Model
from trawl.ranking import Background, Null, excerpts, measure_null
from trawl.store import Sample, Snapshot
from trawl.types import Modality

_SAMPLE = 1024
_NULL_QUERIES = 64
# A sample holds vectors, not rows, so it outlives the version that it was drawn from.
_REDRAWN_AT = 0.05


class Backgrounds:
    """What each source gives to queries that it does not answer.

    Drawn from the library itself when first needed, and again once the source, or what
    the library asks it with, has grown or shrunk by a twentieth.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        self._models = {model.space.name: model for model in models}
        self._samples: dict[str, tuple[int, Sample]] = {}
        self._nulls: dict[tuple[str, Modality], tuple[int, int, Null | None]] = {}
        self._lock = Lock()

    def of(
        self, snapshot: Snapshot, source: str, query: NDArray[np.float32], asked_in: Modality
    ) -> Background:
        """Give the background of one query, float32 [D], in one source.

        `asked_in` is the query's modality.
        """
        sample = self._sample(snapshot, source)
        return Background(sample.vectors @ query, self._null(snapshot, source, asked_in))

    def _sample(self, snapshot: Snapshot, source: str) -> Sample:
        size = snapshot.size(source)
        with self._lock:
            drawn_at, sample = self._samples.get(source, (-1, None))
        if sample is None or _outgrown(size, drawn_at):
            sample = snapshot.sample(source, _SAMPLE)
            with self._lock:
                self._samples[source] = (size, sample)
        return sample

    def _null(self, snapshot: Snapshot, source: str, asked_in: Modality) -> Null | None:
        space = source.rpartition(".")[0]
        size, asking = snapshot.size(source), snapshot.size(f"{space}.{asked_in}")
        with self._lock:
            drawn_at, asked_at, null = self._nulls.get((source, asked_in), (-1, -1, None))
        if _outgrown(size, drawn_at) or _outgrown(asking, asked_at):
            queries = self._strangers(snapshot, space, asked_in)
            sample = self._sample(snapshot, source)
            null = measure_null(
                queries.vectors,
                sample.vectors,
                query_groups=queries.documents,
                sample_groups=sample.documents,
            )
            with self._lock:
                self._nulls[source, asked_in] = (size, asking, null)
        return null

    def _strangers(self, snapshot: Snapshot, space: str, asked_in: Modality) -> Sample:
        """Give queries that could be asked of this library, but not of other documents.

        People ask in a few words, so excerpts of that length stand for their questions.
        """
        model = self._models[space]
        if asked_in == "text":
            texts, documents = snapshot.sample_texts(_NULL_QUERIES)
            return Sample(model.text.encode(excerpts(texts)), documents)
        source = model.source(asked_in)
        if source not in snapshot.sources:
            return Sample(np.zeros((0, model.space.dimension), np.float32), np.zeros(0, np.int64))
        sample = self._sample(snapshot, source)
        # In the order of their rows, so of their coming: the first alone may be of one kind.
        some = slice(None, None, max(1, len(sample.vectors) // _NULL_QUERIES))
        return Sample(sample.vectors[some], sample.documents[some])


def _outgrown(size: int, drawn_at: int) -> bool:
    return drawn_at < 0 or abs(size - drawn_at) > _REDRAWN_AT * drawn_at
