"""Embedding in batches across documents, so that a folder of single pictures is fast too.

Three things go on at once: files are read and cut into drafts by whoever calls `take`, media
are prepared on threads of their own as they come, and one thread asks the encoders.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trawl.encoders import Encoder, StagedEncoder, prepare_soon
from trawl.ingest.drafts import Draft
from trawl.types import Document, Media, Modality

_BATCH: Mapping[Modality, int] = {"text": 64, "image": 16, "audio": 16}
# Batches that wait for the encoders' thread; more would only fill the memory.
_BATCHES_AHEAD = 2
# Media that wait to be prepared. They are held in full, a photo at 36 MB or more.
_PREPARING_AHEAD = 8


@dataclass(slots=True)
class Pending:
    """A document on its way: its drafts, and the vectors that each has so far.

    `error` is set when one of its chunks cannot be embedded; then it fails as a whole.
    """

    document: Document
    drafts: list[Draft]
    vectors: list[dict[str, NDArray[np.float32]]] = field(default_factory=list)
    error: str | None = None


@dataclass(slots=True)
class _Slot:
    """A place for vectors: what goes into each encoder, in the encoders' order.

    An encoder in two steps gets the future of what it takes, and any other the item.
    """

    given: list[Any]
    pending: Pending
    index: int


class Embedder:
    """Collects media and gives them to the encoders in full batches.

    `encoders` maps a modality to its (source's name, encoder) pairs. An item that an
    encoder refuses fails its own document and no other: a failing batch is asked
    again item by item. What was taken is embedded once `flush` has returned.
    """

    def __init__(self, encoders: Mapping[Modality, Sequence[tuple[str, Encoder]]]) -> None:
        self._encoders = encoders
        self._staged = {
            modality: [
                encoder if isinstance(encoder, StagedEncoder) else None for _, encoder in pairs
            ]
            for modality, pairs in encoders.items()
        }
        self._waiting: dict[Modality, list[_Slot]] = defaultdict(list)
        self._asking = ThreadPoolExecutor(1, "trawl-embed")
        self._asked: deque[Future[None]] = deque()
        self._preparing: deque[Future[Any]] = deque()

    def __enter__(self) -> Embedder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._asking.shutdown(wait=True, cancel_futures=True)

    def take(self, pending: Pending, draft: Draft) -> None:
        """Add a draft to its document, and begin to embed what makes a full batch."""
        index = len(pending.drafts)
        pending.drafts.append(draft)
        pending.vectors.append({})
        for modality, media in draft.media.items():
            if modality in self._encoders:
                given = [self._given(staged, media) for staged in self._staged[modality]]
                self._waiting[modality].append(_Slot(given, pending, index))
        draft.media = {}
        for modality in [m for m, slots in self._waiting.items() if len(slots) >= _BATCH[m]]:
            self._ask(modality)

    def _given(self, staged: StagedEncoder | None, media: Media) -> Any:
        if staged is None:
            return media
        preparing = prepare_soon(staged, media)
        self._preparing.append(preparing)
        while len(self._preparing) > _PREPARING_AHEAD:
            wait([self._preparing.popleft()])
        return preparing

    def flush(self) -> None:
        """Embed all that waits."""
        for modality in list(self._waiting):
            self._ask(modality)
        while self._asked:
            self._asked.popleft().result()

    def _ask(self, modality: Modality) -> None:
        slots = self._waiting.pop(modality, [])
        while len(self._asked) >= _BATCHES_AHEAD:
            self._asked.popleft().result()
        self._asked.append(self._asking.submit(self._embed, modality, slots))

    def _embed(self, modality: Modality, slots: Sequence[_Slot]) -> None:
        for place, (source, encoder) in enumerate(self._encoders[modality]):
            run = encoder.run if isinstance(encoder, StagedEncoder) else encoder.encode
            ready = [
                (slot, slot.given[place])
                for slot in slots
                if slot.pending.error is None and _prepared(slot, place)
            ]
            for slot, vector in _encoded(run, ready):
                slot.pending.vectors[slot.index][source] = vector


def _prepared(slot: _Slot, place: int) -> bool:
    """Wait until a slot is prepared for an encoder. What cannot be fails its document."""
    given = slot.given[place]
    if isinstance(given, Future):
        try:
            slot.given[place] = given.result()
        except Exception as error:
            _note(slot, error)
            return False
    return True


def _encoded(
    run: Callable[[Sequence[Any]], NDArray[np.float32]], slots: Sequence[tuple[_Slot, Any]]
) -> list[tuple[_Slot, NDArray[np.float32]]]:
    """Give a vector for each slot but those that the encoder refuses."""
    if not slots:
        return []
    try:
        vectors = _checked(run([given for _, given in slots]))
    except Exception as error:
        if len(slots) == 1:
            _note(slots[0][0], error)
            return []
        return [found for slot in slots for found in _encoded(run, [slot])]
    return [(slot, vector) for (slot, _), vector in zip(slots, vectors, strict=True)]


def _note(slot: _Slot, error: Exception) -> None:
    slot.pending.error = f"cannot be embedded: {error}"


def _checked(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(vectors, axis=1)
    if not np.all(np.abs(norms - 1) < 1e-3):
        raise ValueError("its vector has no direction (silence, or a blank?)")
    return vectors
