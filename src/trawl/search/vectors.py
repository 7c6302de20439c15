"""The vectors of questions that were asked before: nothing is embedded twice.

A vector depends on the model and the words alone, so it is kept apart from the answers,
and stays good when the library changes.
"""

from __future__ import annotations

import unicodedata
from threading import Lock

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from trawl.encoders import Model, encode_query
from trawl.telemetry import events
from trawl.types import Modality

_MAX_BYTES = 16 * 2**20
# What an entry holds beside its vector and its words: the array object, the key, its place.
_ENTRY_BYTES = 400


def normalised(text: str) -> str:
    """Give words as they are searched for: composed (NFC), with single spaces between them."""
    return " ".join(unicodedata.normalize("NFC", text).split())


class QueryVectors:
    """Vectors of words by (space, modality, words), those asked for last, within `max_bytes`.

    Safe to use from several threads.
    """

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        self._kept: LRUCache[tuple[str, Modality, str], NDArray[np.float32]] = LRUCache(
            max_bytes, getsizeof=lambda vector: _ENTRY_BYTES + vector.nbytes
        )
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, model: Model, modality: Modality, text: str) -> NDArray[np.float32]:
        """Give the unit vector float32 [D] of a question in words, which nobody may change."""
        words = normalised(text)
        key = (model.space.fingerprint, modality, words)
        with self._lock:
            kept = self._kept.get(key)
        events.embedding(model.space.name, modality, hit=kept is not None)
        if kept is not None:
            return kept
        vector = encode_query(model.encoders[modality], words).copy()
        vector.setflags(write=False)
        with self._lock:
            if _ENTRY_BYTES + vector.nbytes <= self._kept.maxsize:
                self._kept[key] = vector
        return vector
