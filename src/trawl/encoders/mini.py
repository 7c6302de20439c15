"""The towers of ``mini``, the built-in model. ``training/`` documents how they were trained.

The text tower is a weighted bag of token vectors with a little context. It runs on numpy, so
that a text query does not import ONNX Runtime; images and sounds do::

    e_i = E[token_i]                                  [D], stored as int8
    h_i = GELU(A e_(i-1) + B e_i + C e_(i+1) + b)     [H], the token's context
    g_i = softplus(w[token_i] + u . h_i)              the token's weight
    v   = sum_i g_i (e_i + P h_i), scaled to length 1
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trawl.encoders.base import Encoder, Lazy, report_load, unit
from trawl.encoders.cards import Card, Tower
from trawl.encoders.images import ImageTower, squash
from trawl.encoders.onnx_session import OnnxNetwork
from trawl.encoders.sounds import (
    SAMPLE_RATE_HZ,
    audioset_frames,
    equal_windows,
    levelled,
    resampled,
)
from trawl.encoders.texts import load_tokenizer, token_spans
from trawl.types import Modality, Sound, Space, Vectors

_Floats: TypeAlias = NDArray[np.float32]
_TOKENS_PER_CALL = 4096


def mini_towers(card: Card) -> dict[Modality, Encoder]:
    """Return the card's towers. Each loads its weights at its first call."""
    return {
        modality: _TOWERS[modality](tower, card.space) for modality, tower in card.towers.items()
    }


class _TextWeights:
    """The arrays of the text tower's files, as the formulas above name them.

    The table is mapped, not read: a query touches some of its rows, and processes share them.
    """

    def __init__(self, tower: Tower) -> None:
        mapped = np.load(tower.path("text_table.npy"), mmap_mode="r")
        self.table: NDArray[np.int8] = np.asarray(mapped)
        with np.load(tower.path("text.npz")) as arrays:
            self.scale: _Floats = arrays["scale"][:, None]
            self.gate: _Floats = arrays["gate"]
            self.around: _Floats = arrays["around"]
            self.bias: _Floats = arrays["bias"]
            self.importance: _Floats = arrays["importance"]
            self.addition: _Floats = arrays["addition"]

    def pooled(self, texts: Sequence[Sequence[int]]) -> Iterator[_Floats]:
        """Yield the weighted sum over the tokens of each text, float32 [D], not normalised.

        The products of a token are the same wherever it occurs, so they are computed once for
        all texts: in 64 passages, a token occurs five times on average.
        """
        if not texts:
            return
        if len(texts) == 1:  # a query
            distinct = np.asarray(texts[0])
            places: list[Any] = [slice(None)]
        else:
            distinct, inverse = np.unique(np.concatenate(texts), return_inverse=True)
            places = np.split(inverse, np.cumsum([len(text) for text in texts[:-1]]))
        vectors = np.multiply(self.table[distinct], self.scale[distinct], dtype=np.float32)
        gate = self.gate[distinct]
        hidden = self.bias.size
        if not hidden:
            for own in places:
                yield np.asarray(_softplus(gate[own]) @ vectors[own])
            return
        products = vectors @ self.around
        before, after = products[:, :hidden], products[:, 2 * hidden :]
        middle = products[:, hidden : 2 * hidden] + self.bias
        for own in places:
            here = middle[own]
            here[1:] += before[own][:-1]
            here[:-1] += after[own][1:]
            inner = _gelu(here)
            gates = _softplus(gate[own] + inner @ self.importance)
            yield np.asarray(gates @ vectors[own] + (gates @ inner) @ self.addition)


def _softplus(x: _Floats) -> _Floats:
    return np.logaddexp(x, np.float32(0), dtype=np.float32)


def _gelu(x: _Floats) -> _Floats:
    """Return the Gaussian error linear unit, tanh form (Hendrycks and Gimpel 2016)."""
    inner = x * (np.float32(0.7978845608) + np.float32(0.0356774081) * x * x)
    return np.asarray(np.float32(0.5) * x * (np.float32(1) + np.tanh(inner)))


class MiniText:
    """Embeds texts of any length."""

    modality: Modality = "text"
    max_tokens: int | None = None

    def __init__(self, tower: Tower, space: Space) -> None:
        self.space = space
        self._weights = Lazy(lambda: _TextWeights(tower), report_load(space, "text"))
        self._tokenizer = Lazy(lambda: load_tokenizer(tower.path("tokenizer.json")))

    def encode(self, items: Sequence[str]) -> Vectors:
        """Return float32 [len(items), D] unit vectors; an empty text is one unknown token."""
        weights, tokenizer = self._weights(), self._tokenizer()
        out = np.zeros((len(items), self.space.dimension), np.float32)
        if len(items) == 1:
            encodings = [tokenizer.encode(items[0], add_special_tokens=False)]
        else:
            encodings = tokenizer.encode_batch_fast(list(items), add_special_tokens=False)
        unknown: int = tokenizer.token_to_id("[UNK]") or 0
        rows: list[int] = []
        parts: list[list[int]] = []
        for row, encoding in enumerate(encodings):
            ids = encoding.ids or [unknown]
            for start in range(0, len(ids), _TOKENS_PER_CALL):
                rows.append(row)
                parts.append(ids[start : start + _TOKENS_PER_CALL])
        for row, vector in zip(rows, weights.pooled(parts), strict=True):
            out[row] += vector
        return unit(out)

    def token_spans(self, text: str) -> NDArray[np.int64]:
        """Return int64 [T, 2], the start and end character of each token."""
        return token_spans(self._tokenizer(), text)


def mini_image(tower: Tower, space: Space) -> ImageTower:
    """Return the image tower: ``image.onnx`` maps uint8 [N, S, S, 3] to unit vectors [N, D]."""
    network = OnnxNetwork(lambda: tower.path("image.onnx"), on_load=report_load(space, "image"))
    prepare = partial(squash, size_px=int(tower.options["size_px"]))
    return ImageTower(space, network, prepare, input_name="pixels", batch_size=32)


class MiniAudio:
    """Embeds sounds: ``audio.onnx`` maps log-mel frames float32 [1, F, 64] to a vector [1, D].

    A sound longer than the card's `window_s` is split into equal windows, whose vectors are
    averaged.
    """

    modality: Modality = "audio"

    def __init__(self, tower: Tower, space: Space) -> None:
        self.space = space
        self._window_samples = round(float(tower.options["window_s"]) * SAMPLE_RATE_HZ)
        self._min_frames = int(tower.options["least_frames"])
        self._network = OnnxNetwork(
            lambda: tower.path("audio.onnx"), on_load=report_load(space, "audio")
        )

    def prepare(self, item: Sound, *, query: bool = False) -> list[_Floats]:
        """Return the log-mel frames of each window, float32 [F, 64].

        Raises `ModelError` for an empty sound.
        """
        samples = resampled(item, SAMPLE_RATE_HZ)
        return [self._frames(window) for window in equal_windows(samples, self._window_samples)]

    def run(self, prepared: Sequence[list[_Floats]]) -> Vectors:
        """Return float32 [len(prepared), D] unit vectors of prepared sounds."""
        out = np.zeros((len(prepared), self.space.dimension), np.float32)
        for row, windows in enumerate(prepared):
            for frames in windows:
                out[row] += self._network.run({"frames": frames[None]})[0]
        return unit(out)

    def encode(self, items: Sequence[Sound]) -> Vectors:
        """Return float32 [len(items), D] unit vectors. Raises `ModelError` for an empty sound."""
        return self.run([self.prepare(sound) for sound in items])

    def _frames(self, samples: _Floats) -> _Floats:
        frames = audioset_frames(levelled(samples))
        if len(frames) >= self._min_frames:
            return frames
        # Repeated rather than padded: silence would change the vector.
        return np.resize(frames, (self._min_frames, frames.shape[1]))


_TOWERS: Mapping[Modality, Callable[[Tower, Space], Encoder]] = {
    "text": MiniText,
    "image": mini_image,
    "audio": MiniAudio,
}
