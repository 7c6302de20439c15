"""Sound towers: log-mel pictures of fixed windows, as CLAP takes them.

The spectrogram is that of CLAP's reference feature extractor (Wu et al. 2023, "Large-scale
contrastive language-audio pretraining"): periodic Hann windows centred with reflection at the
ends, power, a mel bank, decibels. The reference takes a random crop of what is longer than its
window; here a longer sound is cut into the fewest windows of equal length and their vectors
are averaged, so that a sound has one vector, always the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from trawl.encoders.onnx_session import Network
from trawl.encoders.vectors import unit
from trawl.errors import ModelError
from trawl.types import Modality, Sound, Space, Vectors

if TYPE_CHECKING:
    from trawl.encoders.cards import Tower

_WINDOWS_AT_ONCE = 4
_LEAST_POWER = 1e-10


@dataclass(frozen=True)
class LogMel:
    """A card's `[audio]`: how samples become a picture of `mel_bands` by time.

    `scale` is the mel scale, "slaney" (with Slaney's normalisation of area, librosa's
    default) or "htk" (without). A window shorter than `window_s` is said again as
    often as it fits whole, then padded with silence.
    """

    sample_rate_hz: int
    window_s: float
    fft_samples: int
    hop_samples: int
    mel_bands: int
    low_hz: float
    high_hz: float
    scale: Literal["slaney", "htk"]

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> LogMel:
        """Read a card's options. Raises `ModelError` for what is missing or unknown."""
        try:
            found = cls(**{name: options[name] for name in cls.__dataclass_fields__})
        except KeyError as error:
            raise ModelError(f"the card's [audio] has no {error}") from error
        if found.scale not in ("slaney", "htk"):
            raise ModelError(f"the card's mel scale is {found.scale!r}; it is slaney or htk")
        return found

    @property
    def window_samples(self) -> int:
        """Samples of a window."""
        return round(self.window_s * self.sample_rate_hz)

    def windows(self, sound: Sound) -> list[NDArray[np.float32]]:
        """Cut a sound into windows of at most `window_s`, float32 [T], at the tower's rate."""
        samples = np.nan_to_num(np.asarray(sound.samples, np.float32), posinf=0.0, neginf=0.0)
        if sound.sample_rate_hz != self.sample_rate_hz:
            import soxr

            samples = soxr.resample(samples, sound.sample_rate_hz, self.sample_rate_hz)
        if not len(samples):
            raise ModelError("a sound has no samples; leave it out")
        count = -(-len(samples) // self.window_samples)
        return list(np.array_split(samples, count))

    def __call__(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the log-mel picture float32 [1, F, mel_bands] of at most a window's samples."""
        wanted = self.window_samples
        filled = np.tile(window, max(1, wanted // len(window)))[:wanted]
        filled = np.pad(filled.astype(np.float64), (0, wanted - len(filled)))
        centred = np.pad(filled, self.fft_samples // 2, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(centred, self.fft_samples)
        frames = frames[:: self.hop_samples]
        power = np.abs(np.fft.rfft(frames * self._hann, axis=1)) ** 2
        mel = np.maximum(power @ self._bank, _LEAST_POWER)
        decibels: NDArray[np.float32] = (10.0 * np.log10(mel)).astype(np.float32)
        return decibels[None]

    @cached_property
    def _hann(self) -> NDArray[np.float64]:
        phase = 2 * np.pi * np.arange(self.fft_samples) / self.fft_samples
        return 0.5 - 0.5 * np.cos(phase)

    @cached_property
    def _bank(self) -> NDArray[np.float64]:
        """Triangles between neighbouring points of the mel scale, float64 [bins, bands]."""
        bins_hz = np.linspace(0, self.sample_rate_hz / 2, self.fft_samples // 2 + 1)
        low, high = _mel(np.array([self.low_hz, self.high_hz]), self.scale)
        edges_hz = _hertz(np.linspace(low, high, self.mel_bands + 2), self.scale)
        rising = (bins_hz[:, None] - edges_hz[:-2]) / np.diff(edges_hz)[:-1]
        falling = (edges_hz[2:] - bins_hz[:, None]) / np.diff(edges_hz)[1:]
        bank = np.maximum(0, np.minimum(rising, falling))
        if self.scale == "slaney":
            bank *= 2.0 / (edges_hz[2:] - edges_hz[:-2])
        return bank


# Slaney's scale (Auditory Toolbox, 1998): linear to 1 kHz, logarithmic above.
_LINEAR_HZ, _CORNER_HZ, _CORNER_MEL, _LOG_STEP = 200.0 / 3, 1000.0, 15.0, np.log(6.4) / 27.0


def _mel(hertz: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + hertz / 700.0)
    above = _CORNER_MEL + np.log(np.maximum(hertz, 1e-9) / _CORNER_HZ) / _LOG_STEP
    return np.where(hertz < _CORNER_HZ, hertz / _LINEAR_HZ, above)


def _hertz(mel: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    above = _CORNER_HZ * np.exp(_LOG_STEP * (mel - _CORNER_MEL))
    return np.where(mel < _CORNER_MEL, mel * _LINEAR_HZ, above)


class AudioTower:
    """Sounds to unit vectors, by a network that takes `input_features` [N, 1, F, bands]."""

    modality: Modality = "audio"

    def __init__(self, tower: Tower, space: Space, network: Network) -> None:
        self.space = space
        self.log_mel = LogMel.from_options(tower.options)
        self._network = network

    def prepare(self, item: Sound, *, query: bool = False) -> NDArray[np.float32]:
        """Give the pictures float32 [W, 1, F, bands] of a sound's W windows.

        Raises `ModelError` for an empty sound.
        """
        return np.stack([self.log_mel(window) for window in self.log_mel.windows(item)])

    def run(self, prepared: Sequence[NDArray[np.float32]]) -> Vectors:
        """Give float32 [len(prepared), D] unit vectors of prepared sounds."""
        out = np.zeros((len(prepared), self.space.dimension), np.float32)
        windows = [(row, window) for row, sound in enumerate(prepared) for window in sound]
        for start in range(0, len(windows), _WINDOWS_AT_ONCE):
            part = windows[start : start + _WINDOWS_AT_ONCE]
            features = np.stack([window for _, window in part])
            vectors = unit(self._network.run({"input_features": features}))
            for (row, _), vector in zip(part, vectors, strict=True):
                out[row] += vector
        return unit(out)

    def encode(self, items: Sequence[Sound]) -> Vectors:
        """Give float32 [len(items), D] unit vectors. Raises `ModelError` for an empty sound."""
        return self.run([self.prepare(sound) for sound in items])
