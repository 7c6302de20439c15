"""Encoders whose calls are told to whoever counts them (`trawl.telemetry.events`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trawl.encoders.base import Encoder, StagedEncoder, TextEncoder
from trawl.telemetry import Kind, events
from trawl.types import Modality, Space, Vectors


class Observed:
    """An encoder as it is, but for the report of each call."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    @property
    def modality(self) -> Modality:
        """What it takes."""
        return self.encoder.modality

    @property
    def space(self) -> Space:
        """Where its vectors live."""
        return self.encoder.space

    def encode(self, items: Sequence[Any]) -> Vectors:
        """Give float32 [len(items), D] unit vectors of documents."""
        return self._reported("document", self.encoder.encode, items)

    def encode_queries(self, items: Sequence[Any]) -> Vectors:
        """Give float32 [len(items), D] unit vectors of queries."""
        encode = getattr(self.encoder, "encode_queries", self.encoder.encode)
        return self._reported("query", encode, items)

    def _reported(
        self, kind: Kind, encode: Callable[[Sequence[Any]], Vectors], items: Sequence[Any]
    ) -> Vectors:
        began = time.perf_counter()
        vectors = encode(items)
        seconds = time.perf_counter() - began
        events.encoded(self.space.name, self.modality, kind, items=len(items), seconds=seconds)
        return vectors


class ObservedText(Observed):
    """A text encoder, whose cutting into tokens is nothing to report."""

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__(encoder)
        self._text = encoder

    @property
    def max_tokens(self) -> int | None:
        """How many tokens of one text it sees; None where there is no limit."""
        return self._text.max_tokens

    def token_spans(self, text: str) -> NDArray[np.int64]:
        """Give int64 [T, 2], each token's first character and the one after its last."""
        return self._text.token_spans(text)


class ObservedStaged(Observed):
    """An encoder in two steps, of which the second is reported, as a call for documents."""

    def __init__(self, encoder: StagedEncoder) -> None:
        super().__init__(encoder)
        self._staged = encoder

    def prepare(self, item: Any, *, query: bool = False) -> Any:
        """Give what `run` takes for one item."""
        return self._staged.prepare(item, query=query)

    def run(self, prepared: Sequence[Any]) -> Vectors:
        """Give float32 [len(prepared), D] unit vectors."""
        return self._reported("document", self._staged.run, prepared)


def observed(encoder: Encoder) -> Encoder:
    """Wrap an encoder so that its calls are reported."""
    if isinstance(encoder, TextEncoder):
        return ObservedText(encoder)
    if isinstance(encoder, StagedEncoder):
        return ObservedStaged(encoder)
    return Observed(encoder)


def loaded(space: Space, modality: Modality) -> Callable[[float], None]:
    """Give what is to be told the seconds that a tower's weights took to read."""

    def tell(seconds: float) -> None:
        events.model_loaded(space.name, modality, seconds=seconds)

    return tell
