"""Embedding in batches across documents, so that a folder of single pictures is fast too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trawl.encoders import Encoder
from trawl.ingest.drafts import Draft
from trawl.types import Document, Media, Modality

_BATCH: Mapping[Modality, int] = {"text": 64, "image": 16, "audio": 16}


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
    media: Media
    pending: Pending
    index: int


class Embedder:
    """Collects media and gives them to the encoders in full batches.

    `encoders` maps a modality to its (source's name, encoder) pairs. An item that an
    encoder refuses fails its own document and no other: a failing batch is asked
    again item by item.
    """

    def __init__(self, encoders: Mapping[Modality, Sequence[tuple[str, Encoder]]]) -> None:
        self._encoders = encoders
        self._waiting: dict[Modality, list[_Slot]] = defaultdict(list)
        self.embedded = 0

    def take(self, pending: Pending, draft: Draft) -> None:
        """Add a draft to its document, and embed what makes a full batch."""
        index = len(pending.drafts)
        pending.drafts.append(draft)
        pending.vectors.append({})
        for modality, media in draft.media.items():
            if modality in self._encoders:
                self._waiting[modality].append(_Slot(media, pending, index))
        draft.media = {}
        for modality in [m for m, slots in self._waiting.items() if len(slots) >= _BATCH[m]]:
            self._embed(modality)

    def flush(self) -> None:
        """Embed all that waits."""
        for modality in list(self._waiting):
            self._embed(modality)

    def _embed(self, modality: Modality) -> None:
        slots = [slot for slot in self._waiting.pop(modality, []) if slot.pending.error is None]
        if not slots:
            return
        for source, encoder in self._encoders[modality]:
            vectors = _encode(encoder, slots, self._note)
            for slot, vector in zip(slots, vectors, strict=True):
                if vector is not None:
                    slot.pending.vectors[slot.index][source] = vector
        self.embedded += len(slots)

    @staticmethod
    def _note(slot: _Slot, error: Exception) -> None:
        slot.pending.error = f"cannot be embedded: {error}"


def _encode(
    encoder: Encoder, slots: Sequence[_Slot], note: Callable[[_Slot, Exception], None]
) -> list[NDArray[np.float32] | None]:
    """Give a vector for each slot, None for one that the encoder refuses."""
    try:
        return list(_checked(encoder.encode([slot.media for slot in slots])))
    except Exception as error:
        if len(slots) == 1:
            note(slots[0], error)
            return [None]
    return [vector for slot in slots for vector in _encode(encoder, [slot], note)]


def _checked(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(vectors, axis=1)
    if not np.all(np.abs(norms - 1) < 1e-3):
        raise ValueError("its vector has no direction (silence, or a blank?)")
    return vectors
