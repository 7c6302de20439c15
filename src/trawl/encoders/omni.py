"""EmbeddingGemma 2: text, pictures and sounds through one text network.

A tower of pictures or sounds turns a medium into soft tokens. The text network reads them in
place of placeholder tokens, between a begin and an end token, and returns the vector. So a
medium may stand between words: `Captioned` is a picture with a text. Preprocessing follows the
processor of the reference implementation (transformers, `embedding_gemma2`) in its Pillow
version.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trawl.encoders.base import unit
from trawl.encoders.images import FILTERS
from trawl.encoders.onnx_session import Arrays, Network
from trawl.encoders.sounds import equal_windows, mel_bank, resampled
from trawl.encoders.texts import TextTower, pooled
from trawl.errors import ModelError
from trawl.types import Modality, Sound, Space, Vectors

if TYPE_CHECKING:
    from trawl.encoders.cards import Tower

FEATURES = ("image_features", "audio_features", "video_features")
"""Inputs of the text network: the soft tokens of a call, float32 [tokens, width], in order."""

# A call of a GPU takes this many media. On a CPU one picture of 2,520 patches fills it.
_MEDIA_PER_CALL = 8


@dataclass(frozen=True, slots=True)
class Captioned:
    """A picture and the text that belongs to it, which are embedded as one input."""

    image: Image.Image
    text: str


class OmniText(TextTower):
    """Embeds texts. Placeholders of media that a text contains are left out."""

    def __init__(self, tower: Tower, space: Space, network: Network) -> None:
        super().__init__(tower, space, network)
        self._width = int(tower.options["feature_width"])
        self._placeholders = frozenset(tower.options["placeholder_ids"])

    @property
    def network(self) -> Network:
        """The text network, which the other towers share."""
        return self._network

    def media_vectors(
        self, rows: Sequence[Sequence[int]], name: str, features: NDArray[np.float32]
    ) -> Vectors:
        """Return float32 [len(rows), D] unit vectors of rows of token ids with placeholders.

        `features` are the soft tokens of all rows, float32 [tokens, width], in order.
        """
        ids, mask = self.padded(rows)
        feeds: dict[str, NDArray[Any]] = {"input_ids": ids, "attention_mask": mask, name: features}
        return self.shortened(pooled(self._run(feeds), mask, self.options.pooling))

    def padded(self, rows: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return rows of token ids as int64 [N, T], padded, and the mask, 1 for a token."""
        length = -(-max(map(len, rows)) // 16) * 16
        ids = np.full((len(rows), length), self.options.pad_id, np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
        return ids, mask

    def caption_ids(self, text: str) -> list[int]:
        """Return the token ids of a text beside a medium, at most half of a window."""
        return self._ids(f" {text}")[: self.options.content_tokens // 2]

    def _run(self, feeds: Arrays) -> NDArray[np.float32]:
        empty = np.zeros((0, self._width), np.float32)
        return self._network.run({**dict.fromkeys(FEATURES, empty), **feeds})

    def _ids(self, text: str) -> list[int]:
        return [token for token in super()._ids(text) if token not in self._placeholders]


_Options = TypeVar("_Options", bound="MediaOptions")


@dataclass(frozen=True)
class MediaOptions:
    """The options of a tower of media."""

    table: ClassVar[str] = "image"

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Parse a card's options. Raises `ModelError` if one is missing or invalid."""
        try:
            parsed = cls(**{field.name: options[field.name] for field in fields(cls)})
            parsed.check()
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"invalid [{cls.table}] table in the model card: {error}") from error
        return parsed

    def check(self) -> None:
        """Raise `ValueError` for an option that is out of range."""


@dataclass(frozen=True)
class MarkedOptions(MediaOptions):
    """The ids around the soft tokens of a medium: begin, one placeholder each, end."""

    begin_id: int
    token_id: int
    end_id: int

    def ids(self, soft_tokens: int) -> list[int]:
        """Return the token ids of a medium."""
        return [self.begin_id, *[self.token_id] * soft_tokens, self.end_id]


@dataclass(frozen=True)
class Patches(MarkedOptions):
    """The options of `[image]`: how a picture becomes patches.

    A picture is scaled, with `filter`, to the largest size of at most `max_soft_tokens` tokens,
    each of `pooling` x `pooling` patches of `patch_px` pixels. The aspect ratio changes only as
    far as both sides become multiples of a token.
    """

    patch_px: int
    pooling: int
    max_soft_tokens: int
    filter: str

    def check(self) -> None:
        """Raise `ValueError` for an option that is out of range."""
        if self.filter not in FILTERS:
            raise ValueError(f"filter = {self.filter!r}")
        if min(self.patch_px, self.pooling, self.max_soft_tokens) < 1:
            raise ValueError("patch_px, pooling and max_soft_tokens must be above 0")

    @property
    def max_patches(self) -> int:
        """Patches of the network's input, padding included."""
        return self.max_soft_tokens * self.pooling**2

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and the height in pixels that a picture is scaled to."""
        side = self.patch_px * self.pooling
        scale = math.sqrt(self.max_patches * self.patch_px**2 / (width * height))
        wide, high = (int(scale * edge // side) * side for edge in (width, height))
        longest = self.max_soft_tokens * side
        if not high:
            return min(width // height * side, longest), side
        if not wide:
            return side, min(height // width * side, longest)
        return wide, high

    def __call__(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return a picture as patches: uint8 [rows, columns, patch_px * patch_px * 3]."""
        rgb = image if image.mode == "RGB" else image.convert("RGB")
        size = self.size(*rgb.size)
        if size != rgb.size:
            rgb = rgb.resize(size, FILTERS[self.filter])
        edge, (width, height) = self.patch_px, size
        cut = np.asarray(rgb).reshape(height // edge, edge, width // edge, edge, 3)
        return cut.transpose(0, 2, 1, 3, 4).reshape(height // edge, width // edge, -1)

    def feeds(self, pictures: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[Any]]:
        """Return the inputs of the network for pictures as patches."""
        pixels = np.zeros((len(pictures), self.max_patches, pictures[0].shape[2]), np.float32)
        places = np.full((len(pictures), self.max_patches, 2), -1, np.int64)
        for row, picture in enumerate(pictures):
            rows, columns, _ = picture.shape
            count = rows * columns
            pixels[row, :count] = picture.reshape(count, -1) * np.float32(1 / 255)
            y, x = np.divmod(np.arange(count), columns)
            places[row, :count] = np.stack([x, y], axis=1)
        return {"pixel_values": pixels, "pixel_position_ids": places}

    def soft_tokens(self, picture: NDArray[np.uint8]) -> int:
        """Return the number of soft tokens of a picture."""
        return int(picture.shape[0] * picture.shape[1] // self.pooling**2)


@dataclass(frozen=True)
class LogMelFrames(MarkedOptions):
    """The options of `[audio]`: log-mel frames, of which only complete ones count.

    `lead_samples` of silence precede a window, so that the first frame is centred on its
    beginning. `floor` is added before the logarithm. A sound longer than `window_s` is split
    into equal windows, whose vectors are averaged; the reference truncates it.
    """

    sample_rate_hz: int
    window_s: float
    frame_samples: int
    hop_samples: int
    fft_samples: int
    lead_samples: int
    mel_bands: int
    low_hz: float
    high_hz: float
    scale: Literal["slaney", "htk"]
    floor: float

    table: ClassVar[str] = "audio"

    def check(self) -> None:
        """Raise `ValueError` for an option that is out of range."""
        if self.scale not in ("slaney", "htk"):
            raise ValueError(f"scale = {self.scale!r}")

    def windows(self, sound: Sound) -> list[NDArray[np.float32]]:
        """Split a sound into windows of samples. Raises `ModelError` for an empty sound."""
        samples = resampled(sound, self.sample_rate_hz)
        return equal_windows(samples, round(self.window_s * self.sample_rate_hz))

    def __call__(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the frames float32 [F, mel_bands] of a window of samples; F is at least 1.

        A frame counts if the sample after it exists too, as in the reference.
        """
        needed = self.frame_samples + 1
        padded = np.pad(window, (self.lead_samples, max(0, needed - self.lead_samples)))
        end = max(needed, self.lead_samples + len(window))
        frames = np.lib.stride_tricks.sliding_window_view(padded[:end], needed)
        frames = frames[:: self.hop_samples, :-1]
        spectrum = np.abs(np.fft.rfft(frames * self._hann, n=self.fft_samples, axis=1))
        logarithm: NDArray[np.float32] = np.log(spectrum @ self._bank + self.floor)
        return logarithm.astype(np.float32)

    @cached_property
    def _hann(self) -> NDArray[np.float32]:
        phase = 2 * np.pi * np.arange(self.frame_samples) / self.frame_samples
        return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)

    @cached_property
    def _bank(self) -> NDArray[np.float64]:
        return mel_bank(
            self.sample_rate_hz,
            self.fft_samples,
            self.mel_bands,
            (self.low_hz, self.high_hz),
            self.scale,
        )

    def feeds(self, windows: Sequence[NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
        """Return the inputs of the network for windows of frames."""
        longest = -(-max(map(len, windows)) // 64) * 64
        features = np.zeros((len(windows), longest, self.mel_bands), np.float32)
        mask = np.zeros((len(windows), longest), np.bool_)
        for row, frames in enumerate(windows):
            features[row, : len(frames)], mask[row, : len(frames)] = frames, True
        return {"input_features": features, "input_features_mask": mask}

    def soft_tokens(self, frames: NDArray[np.float32]) -> int:
        """Return the number of soft tokens: two convolutions each halve the frames."""
        return -(-len(frames) // 4)


@dataclass(frozen=True, slots=True)
class Prepared:
    """One input of the text network: a medium as arrays, and the token ids around it."""

    arrays: NDArray[Any]
    before: tuple[int, ...]
    after: tuple[int, ...]


class MediaTower(ABC, Generic[_Options]):
    """Embeds pictures or sounds by their own network and the text network."""

    modality: Modality
    options: _Options

    def __init__(self, space: Space, network: Network, text: OmniText) -> None:
        self.space = space
        self._network, self._text = network, text

    def encode(self, items: Sequence[Any]) -> Vectors:
        """Return float32 [len(items), D] unit vectors."""
        return self.run([self.prepare(item) for item in items])

    @abstractmethod
    def prepare(self, item: Any, *, query: bool = False) -> list[Prepared]:
        """Return the windows of an item."""

    def run(self, prepared: Sequence[Sequence[Prepared]]) -> Vectors:
        """Return float32 [len(prepared), D] unit vectors of prepared items."""
        out = np.zeros((len(prepared), self.space.dimension), np.float32)
        windows = [(row, window) for row, item in enumerate(prepared) for window in item]
        step = _MEDIA_PER_CALL if windows and self._network.on_gpu() else 1
        for start in range(0, len(windows), step):
            part = windows[start : start + step]
            vectors = self._vectors([window for _, window in part])
            for (row, _), vector in zip(part, vectors, strict=True):
                out[row] += vector
        return unit(out)

    def _vectors(self, windows: Sequence[Prepared]) -> Vectors:
        options: Any = self.options
        features = self._network.run(options.feeds([window.arrays for window in windows]))
        counts = [options.soft_tokens(window.arrays) for window in windows]
        if len(features) != sum(counts):
            raise ModelError(
                f"the {self.modality} network returned {len(features)} soft tokens instead of "
                f"{sum(counts)}; the [{self.modality}] table of the card does not fit it"
            )
        rows = [
            [*window.before, *options.ids(count), *window.after]
            for window, count in zip(windows, counts, strict=True)
        ]
        return self._text.media_vectors(rows, f"{self.modality}_features", features)

    def _around(self, caption: str = "") -> tuple[tuple[int, ...], tuple[int, ...]]:
        ends = self._text.options
        after = self._text.caption_ids(caption) if caption else []
        return ends.prefix_ids, (*after, *ends.suffix_ids)


class OmniImages(MediaTower[Patches]):
    """Embeds pictures, alone or with a text (`Captioned`)."""

    modality: Modality = "image"

    def __init__(self, tower: Tower, space: Space, network: Network, text: OmniText) -> None:
        super().__init__(space, network, text)
        self.options = Patches.from_options(tower.options)

    def prepare(self, item: Image.Image | Captioned, *, query: bool = False) -> list[Prepared]:
        """Return the patches of one picture."""
        image, caption = (item.image, item.text) if isinstance(item, Captioned) else (item, "")
        return [Prepared(self.options(image), *self._around(caption))]


class OmniSounds(MediaTower[LogMelFrames]):
    """Embeds sounds of any length."""

    modality: Modality = "audio"

    def __init__(self, tower: Tower, space: Space, network: Network, text: OmniText) -> None:
        super().__init__(space, network, text)
        self.options = LogMelFrames.from_options(tower.options)

    def prepare(self, item: Sound, *, query: bool = False) -> list[Prepared]:
        """Return the frames of a sound's windows. Raises `ModelError` for an empty sound."""
        around = self._around()
        return [Prepared(self.options(w), *around) for w in self.options.windows(item)]
