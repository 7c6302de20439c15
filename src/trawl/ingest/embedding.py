"""Embed drafts in batches across documents, so that folders of single images are fast too.

Three stages run in parallel: the caller of `add` reads files and splits them into drafts, a thread
pool prepares media as they arrive, and one thread runs the encoders.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Lock
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trawl.encoders import Encoder, StagedEncoder, prepare_soon
from trawl.errors import MetadataError
from trawl.ingest.drafts import Draft
from trawl.store import EmbedTexts, TextVectors
from trawl.types import Document, Media, Modality

_BATCH: Mapping[Modality, int] = {"text": 64, "image": 16, "audio": 16}
# Batches that wait for the encoders' thread; more would only use memory.
_BATCHES_AHEAD = 2
# Media that wait to be prepared. They are in memory completely, 36 MB or more for a photo.
_PREPARING_AHEAD = 8


@dataclass(slots=True)
class Pending:
    """A document that is being embedded: its drafts, and the vectors of each so far.

    `error` is set if one of its chunks cannot be embedded; the whole document then fails.
    `unembedded` is the number of its media that wait for a vector.
    """

    document: Document
    drafts: list[Draft] = field(default_factory=list)
    vectors: list[dict[str, NDArray[np.float32]]] = field(default_factory=list)
    error: str | None = None
    unembedded: int = 0


@dataclass(slots=True)
class _Slot:
    """One item to embed: the input of each encoder, in the encoders' order.

    The input of a staged encoder is a future of the prepared item.
    """

    inputs: list[Any]
    pending: Pending
    index: int


class Embedder:
    """Collects media and embeds them in full batches.

    `encoders` maps a modality to its (source name, encoder) pairs. A failed batch is
    repeated item by item, so that an item that cannot be embedded fails only its own
    document. `Pending.unembedded` falls as batches are embedded; `start` begins those that
    are not full, and `flush` also waits for them.
    """

    def __init__(self, encoders: Mapping[Modality, Sequence[tuple[str, Encoder]]]) -> None:
        self._encoders = encoders
        self._staged = {
            modality: [
                encoder if isinstance(encoder, StagedEncoder) else None for _, encoder in pairs
            ]
            for modality, pairs in encoders.items()
        }
        self._batch = {
            modality: max([_BATCH[modality], *(getattr(one, "batch", 0) for _, one in pairs)])
            for modality, pairs in encoders.items()
        }
        self._waiting: dict[Modality, list[_Slot]] = defaultdict(list)
        self._worker = ThreadPoolExecutor(1, "trawl-embed")
        self._running: deque[Future[None]] = deque()
        self._preparing: deque[Future[Any]] = deque()
        self._counting = Lock()

    def __enter__(self) -> Embedder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._worker.shutdown(wait=True, cancel_futures=True)

    def add(self, pending: Pending, draft: Draft) -> None:
        """Add a draft to its document, and start to embed full batches."""
        index = len(pending.drafts)
        pending.drafts.append(draft)
        pending.vectors.append({})
        for modality, media in draft.media.items():
            if modality in self._encoders:
                inputs = [self._input(staged, media) for staged in self._staged[modality]]
                self._waiting[modality].append(_Slot(inputs, pending, index))
                with self._counting:
                    pending.unembedded += 1
        draft.media = {}
        for modality in [m for m, slots in self._waiting.items() if len(slots) >= self._batch[m]]:
            self._start(modality)

    def _input(self, staged: StagedEncoder | None, media: Media) -> Any:
        if staged is None:
            return media
        preparing = prepare_soon(staged, media)
        self._preparing.append(preparing)
        while len(self._preparing) > _PREPARING_AHEAD:
            wait([self._preparing.popleft()])
        return preparing

    def start(self) -> None:
        """Start to embed all waiting drafts."""
        for modality in list(self._waiting):
            self._start(modality)

    def flush(self) -> None:
        """Embed all waiting drafts."""
        self.start()
        while self._running:
            self._running.popleft().result()

    def _start(self, modality: Modality) -> None:
        slots = self._waiting.pop(modality, [])
        while len(self._running) >= _BATCHES_AHEAD:
            self._running.popleft().result()
        self._running.append(self._worker.submit(self._embed, modality, slots))

    def _embed(self, modality: Modality, slots: Sequence[_Slot]) -> None:
        for place, (source, encoder) in enumerate(self._encoders[modality]):
            run = encoder.run if isinstance(encoder, StagedEncoder) else encoder.encode
            ready = [
                (slot, slot.inputs[place])
                for slot in slots
                if slot.pending.error is None and _is_prepared(slot, place)
            ]
            for slot, vector in _encoded(run, ready):
                slot.pending.vectors[slot.index][source] = vector
        with self._counting:
            for slot in slots:
                slot.pending.unembedded -= 1


def text_embedding(encoders: Mapping[Modality, Sequence[tuple[str, Encoder]]]) -> EmbedTexts:
    """Return a function that embeds texts again after an edit of a title or caption.

    It raises `MetadataError` if a text cannot be embedded.
    """

    def embed(texts: Sequence[str]) -> list[TextVectors]:
        found: list[dict[str, NDArray[np.float32]]] = [{} for _ in texts]
        for source, encoder in encoders.get("text", ()):
            for start in range(0, len(texts), _BATCH["text"]):
                batch = texts[start : start + _BATCH["text"]]
                try:
                    vectors = _checked(encoder.encode(batch))
                except ValueError as error:
                    raise MetadataError(f"the new text cannot be embedded: {error}") from error
                for place, vector in enumerate(vectors, start):
                    found[place][source] = vector
        return list(found)

    return embed


def _is_prepared(slot: _Slot, place: int) -> bool:
    """Wait until a slot is prepared for an encoder. A failure fails its document."""
    item = slot.inputs[place]
    if isinstance(item, Future):
        try:
            slot.inputs[place] = item.result()
        except Exception as error:
            _fail(slot, error)
            return False
    return True


def _encoded(
    run: Callable[[Sequence[Any]], NDArray[np.float32]], slots: Sequence[tuple[_Slot, Any]]
) -> list[tuple[_Slot, NDArray[np.float32]]]:
    """Return the vector of each slot, except for those that the encoder fails on."""
    if not slots:
        return []
    try:
        vectors = _checked(run([item for _, item in slots]))
    except Exception as error:
        if len(slots) == 1:
            _fail(slots[0][0], error)
            return []
        return [pair for slot in slots for pair in _encoded(run, [slot])]
    return [(slot, vector) for (slot, _), vector in zip(slots, vectors, strict=True)]


def _fail(slot: _Slot, error: Exception) -> None:
    slot.pending.error = f"cannot be embedded: {error}"


def _checked(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(vectors, axis=1)
    if not np.all(np.abs(norms - 1) < 1e-3):
        raise ValueError("its vector has no direction (silence, or a blank image?)")
    return vectors
