"""The encoder protocols, which every runtime and model family implements, and helpers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from trawl.telemetry import events
from trawl.types import Media, Modality, Space, Vectors

_T = TypeVar("_T")

_threads = min(8, os.cpu_count() or 1)


@runtime_checkable
class Encoder(Protocol):
    """Embeds media of one modality as unit vectors of one space.

    Text items are `str`, images are `PIL.Image.Image` in RGB, sounds are
    `trawl.types.Sound` of any sample rate and length. An encoder loads its weights at the
    first call, is thread-safe, and returns the same vector for an item whatever else is in
    the batch.
    """

    @property
    def modality(self) -> Modality:
        """The modality of its items."""
        ...

    @property
    def space(self) -> Space:
        """The space of its vectors."""
        ...

    def encode(self, items: Sequence[Any]) -> Vectors:
        """Return float32 [len(items), D] unit vectors; [0, D] for an empty batch."""
        ...


@runtime_checkable
class TextEncoder(Encoder, Protocol):
    """An encoder of text with access to its tokenizer."""

    @property
    def max_tokens(self) -> int | None:
        """Maximum tokens per window; None if there is no limit.

        `encode` splits a longer text into windows and averages their vectors.
        """
        ...

    def token_spans(self, text: str) -> NDArray[np.int64]:
        """Return int64 [T, 2], the start and end character of each token, in order.

        Special tokens are left out. The spans do not overlap.
        """
        ...


@runtime_checkable
class StagedEncoder(Encoder, Protocol):
    """An encoder in two stages: `prepare` turns media into arrays, `run` embeds arrays.

    `prepare` works on one item and may run on any thread, in parallel with `run` of an
    earlier batch. `encode` is `prepare` followed by `run`. Prepared items are small:
    callers that hold many large media should prepare them early.
    """

    def prepare(self, item: Any, *, query: bool = False) -> Any:
        """Return the input of `run` for one item, a document's or a query's."""
        ...

    def run(self, prepared: Sequence[Any]) -> Vectors:
        """Return float32 [len(prepared), D] unit vectors; [0, D] for an empty batch."""
        ...


def encode_query(encoder: Encoder, item: Media) -> NDArray[np.float32]:
    """Return the unit vector [D] of one query."""
    vector: NDArray[np.float32] = encode_queries(encoder, [item])[0]
    return vector


def encode_queries(encoder: Encoder, items: Sequence[Media]) -> Vectors:
    """Return float32 [N, D] unit vectors of queries. Some models embed queries differently."""
    encode: Callable[[Sequence[Media]], Vectors] = getattr(
        encoder, "encode_queries", encoder.encode
    )
    return encode(items)


def tokens_cut(encoder: Encoder, text: str) -> int:
    """Return the number of tokens that the encoder truncates from a text query."""
    count: Callable[[str], int] | None = getattr(encoder, "tokens_cut", None)
    return count(text) if count is not None else 0


def threads() -> int:
    """Return the number of threads that a network, or the preparation of media, uses."""
    return _threads


def limit_threads(count: int) -> None:
    """Use at most `count` threads in the networks that are loaded from now on."""
    global _threads
    _threads = max(1, min(_threads, count))


class Lazy(Generic[_T]):
    """A value created at the first call, by one thread, and kept. Failures are not kept.

    `on_load` is called with the seconds that the creation took.
    """

    def __init__(
        self, make: Callable[[], _T], on_load: Callable[[float], None] | None = None
    ) -> None:
        self._make, self._on_load, self._lock = make, on_load, threading.Lock()
        self._value: tuple[_T] | None = None

    def __call__(self) -> _T:
        """Return the value. Raises what `make` raises; the next call tries again."""
        if self._value is None:
            with self._lock:
                if self._value is None:
                    began = time.perf_counter()
                    self._value = (self._make(),)
                    if self._on_load is not None:
                        self._on_load(time.perf_counter() - began)
        return self._value[0]


def report_load(space: Space, modality: Modality) -> Callable[[float], None]:
    """Return an `on_load` callback that reports a tower's loading time to `events`."""

    def report(seconds: float) -> None:
        events.model_loaded(space.name, modality, seconds=seconds)

    return report


def unit(vectors: NDArray[np.float32]) -> Vectors:
    """Return float32 [N, D] with each row scaled to length 1; a row of zeros stays zero."""
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))[:, None]
    scaled: Vectors = vectors / np.maximum(lengths, np.float32(1e-12))
    return scaled.astype(np.float32, copy=False)
