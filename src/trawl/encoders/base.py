"""What an encoder is. Runtimes and model families stand behind this and swap freely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from trawl.types import Modality, Space, Vectors


@runtime_checkable
class Encoder(Protocol):
    """Turns media of one modality into unit vectors of one space.

    Text items are `str`, images are `PIL.Image.Image` in RGB, sounds are
    `trawl.types.Sound` of any sample rate and length. Loads its weights at the
    first call, is safe to call from several threads, and gives the same vector
    for the same item whatever else is in the batch.
    """

    @property
    def modality(self) -> Modality:
        """What it takes."""
        ...

    @property
    def space(self) -> Space:
        """Where its vectors live."""
        ...

    def encode(self, items: Sequence[Any]) -> Vectors:
        """Give float32 [len(items), D] unit vectors. An empty batch gives [0, D]."""
        ...


@runtime_checkable
class TextEncoder(Encoder, Protocol):
    """An encoder of text, which also tells how it cuts text into tokens."""

    @property
    def max_tokens(self) -> int | None:
        """How many tokens of one text it sees; None where there is no limit.

        `encode` windows a longer text and averages the windows: nothing is cut silently.
        """
        ...

    def token_spans(self, text: str) -> NDArray[np.int64]:
        """Give int64 [T, 2], each token's first character and the one after its last.

        Special tokens are left out; the spans do not overlap and grow.
        """
        ...


@runtime_checkable
class StagedEncoder(Encoder, Protocol):
    """An encoder that works in two steps: media become arrays, and arrays become vectors.

    The first step is one item's alone and may run on any thread, beside the second step
    of what came before; `encode` is both, one after the other. Whoever holds many large
    media prepares them soon: what is prepared is small.
    """

    def prepare(self, item: Any, *, query: bool = False) -> Any:
        """Give what `run` takes for one item, as a document's or as a query's."""
        ...

    def run(self, prepared: Sequence[Any]) -> Vectors:
        """Give float32 [len(prepared), D] unit vectors. An empty batch gives [0, D]."""
        ...
