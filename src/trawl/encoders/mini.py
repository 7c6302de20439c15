"""The built-in model's three towers. How they were trained is in ``training/``.

The text tower is a weighted bag of token vectors with a little context and runs on numpy alone,
so that a text query starts no runtime; pictures and sounds go through ONNX Runtime, imported at
the first of them::

    e_i = E[token_i]                                  [D], kept as int8
    h_i = GELU(A e_(i-1) + B e_i + C e_(i+1) + b)     [H], what stands around the token
    g_i = softplus(w[token_i] + u . h_i)              how much the token counts
    v   = sum_i g_i (e_i + P h_i), length 1
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trawl.encoders import melspectrogram, pixels
from trawl.encoders.base import Encoder
from trawl.encoders.cards import Card, Tower
from trawl.encoders.lazy import Once
from trawl.encoders.observed import loaded
from trawl.encoders.onnx_session import OnnxNetwork
from trawl.encoders.vectors import unit
from trawl.errors import ModelError
from trawl.types import Modality, Sound, Space, Vectors

if TYPE_CHECKING:
    from PIL.Image import Image
    from tokenizers import Tokenizer

_Floats: TypeAlias = NDArray[np.float32]
_IMAGES_AT_ONCE = 32
_TOKENS_AT_ONCE = 4096


def load_encoders(card: Card) -> dict[Modality, Encoder]:
    """Give the towers that the card names; each reads its weights at its first call."""
    kinds: dict[Modality, Callable[[Tower, Space], Encoder]] = {
        "text": MiniText,
        "image": MiniImage,
        "audio": MiniAudio,
    }
    return {modality: kinds[modality](tower, card.space) for modality, tower in card.towers.items()}


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

    def pooled(self, ids: Sequence[int]) -> _Floats:
        """Give the sum [D] over one text's tokens, not yet of length 1."""
        own: _Floats = np.multiply(self.table[ids], self.scale[ids], dtype=np.float32)
        gates: _Floats = self.gate[ids]
        if not self.bias.size:
            return np.asarray(_softplus(gates) @ own)
        before, here, after = np.split(own @ self.around, 3, axis=1)
        here += self.bias
        here[1:] += before[:-1]
        here[:-1] += after[1:]
        inner = _gelu(here)
        gates = _softplus(gates + inner @ self.importance)
        return np.asarray(gates @ own + (gates @ inner) @ self.addition)


def _softplus(x: _Floats) -> _Floats:
    return np.logaddexp(x, np.float32(0), dtype=np.float32)


def _gelu(x: _Floats) -> _Floats:
    """Gaussian error linear unit, tanh form (Hendrycks and Gimpel 2016)."""
    inner = x * (np.float32(0.7978845608) + np.float32(0.0356774081) * x * x)
    return np.asarray(np.float32(0.5) * x * (np.float32(1) + np.tanh(inner)))


class MiniText:
    """Texts of any length to vectors; numpy and the tokenizer alone."""

    modality: Modality = "text"
    max_tokens: int | None = None

    def __init__(self, tower: Tower, space: Space) -> None:
        self.space = space
        self._weights = Once(lambda: _TextWeights(tower), loaded(space, "text"))
        self._tokenizer = Once(lambda: self._load_tokenizer(tower))

    @staticmethod
    def _load_tokenizer(tower: Tower) -> Tokenizer:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(tower.path("tokenizer.json")))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def encode(self, items: Sequence[str]) -> Vectors:
        """Give float32 [len(items), D] unit vectors; a text without any token is one unknown."""
        weights, tokenizer = self._weights(), self._tokenizer()
        out = np.zeros((len(items), self.space.dimension), np.float32)
        if len(items) == 1:
            encodings = [tokenizer.encode(items[0], add_special_tokens=False)]
        else:
            encodings = tokenizer.encode_batch_fast(list(items), add_special_tokens=False)
        unknown: int = tokenizer.token_to_id("[UNK]") or 0
        for row, encoding in enumerate(encodings):
            ids = encoding.ids or [unknown]
            for start in range(0, len(ids), _TOKENS_AT_ONCE):
                out[row] += weights.pooled(ids[start : start + _TOKENS_AT_ONCE])
        return unit(out)

    def token_spans(self, text: str) -> NDArray[np.int64]:
        """Give int64 [T, 2]: each token's first character and the one after its last."""
        offsets = self._tokenizer().encode(text, add_special_tokens=False).offsets
        return np.array(offsets, dtype=np.int64).reshape(-1, 2)


class MiniImage:
    """Pictures to vectors, by ``image.onnx``: uint8 [N, S, S, 3] to unit vectors [N, D]."""

    modality: Modality = "image"

    def __init__(self, tower: Tower, space: Space) -> None:
        self.space = space
        self._size_px = int(tower.options["size_px"])
        self._network = OnnxNetwork(lambda: tower.path("image.onnx"), told=loaded(space, "image"))

    def prepare(self, item: Image, *, query: bool = False) -> NDArray[np.uint8]:
        """Give the picture as the network sees it, uint8 [S, S, 3]."""
        return pixels.squash(item, self._size_px)

    def run(self, prepared: Sequence[NDArray[np.uint8]]) -> Vectors:
        """Give float32 [len(prepared), D] unit vectors of prepared pictures."""
        out = np.zeros((len(prepared), self.space.dimension), np.float32)
        for start in range(0, len(prepared), _IMAGES_AT_ONCE):
            batch = np.stack(prepared[start : start + _IMAGES_AT_ONCE])
            out[start : start + len(batch)] = self._network.run({"pixels": batch})
        return unit(out)

    def encode(self, items: Sequence[Image]) -> Vectors:
        """Give float32 [len(items), D] unit vectors."""
        return self.run([self.prepare(image) for image in items])


class MiniAudio:
    """Sounds to vectors, by ``audio.onnx``: log-mel float32 [1, F, 64] to a vector [1, D].

    A sound longer than the card's `window_s` is cut into equal windows whose vectors are averaged.
    """

    modality: Modality = "audio"

    def __init__(self, tower: Tower, space: Space) -> None:
        self.space = space
        self._window_samples = round(
            float(tower.options["window_s"]) * melspectrogram.SAMPLE_RATE_HZ
        )
        self._least_frames = int(tower.options["least_frames"])
        self._network = OnnxNetwork(lambda: tower.path("audio.onnx"), told=loaded(space, "audio"))

    def prepare(self, item: Sound, *, query: bool = False) -> list[_Floats]:
        """Give the log-mel frames float32 [F, 64] of each of a sound's windows.

        Raises `ModelError` for an empty sound.
        """
        if not len(item.samples):
            raise ModelError("a sound has no samples; leave it out")
        samples = melspectrogram.at_sample_rate(item)
        count = max(1, -(-len(samples) // self._window_samples))
        return [self._frames(window) for window in np.array_split(samples, count)]

    def run(self, prepared: Sequence[list[_Floats]]) -> Vectors:
        """Give float32 [len(prepared), D] unit vectors of prepared sounds."""
        out = np.zeros((len(prepared), self.space.dimension), np.float32)
        for row, windows in enumerate(prepared):
            for frames in windows:
                out[row] += self._network.run({"frames": frames[None]})[0]
        return unit(out)

    def encode(self, items: Sequence[Sound]) -> Vectors:
        """Give float32 [len(items), D] unit vectors. Raises `ModelError` for an empty sound."""
        return self.run([self.prepare(sound) for sound in items])

    def _frames(self, samples: _Floats) -> _Floats:
        frames = melspectrogram.log_mel(melspectrogram.levelled(samples))
        if len(frames) >= self._least_frames:
            return frames
        # Said again until it is long enough: silence would be a sound of its own.
        return np.resize(frames, (self._least_frames, frames.shape[1]))
