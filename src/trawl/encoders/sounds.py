"""Audio preprocessing and audio towers.

`LogMel` follows CLAP's reference feature extractor (Wu et al. 2023, "Large-scale contrastive
language-audio pretraining"): centred periodic Hann windows with reflection padding, power,
a mel filter bank, decibels. The reference takes a random crop of a sound longer than its
window; here a longer sound is split into the fewest windows of equal length and their
vectors are averaged, so that the vector is deterministic. `audioset_frames` is the
preprocessing of ``mini``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from trawl.encoders.base import unit
from trawl.encoders.onnx_session import Network
from trawl.errors import ModelError
from trawl.types import Modality, Sound, Space, Vectors

if TYPE_CHECKING:
    from trawl.encoders.cards import Tower

_WINDOWS_PER_CALL = 4
_MIN_POWER = 1e-10


class AudioTower:
    """Embeds sounds with a network whose input is `input_features` [N, 1, F, bands]."""

    modality: Modality = "audio"

    def __init__(self, tower: Tower, space: Space, network: Network) -> None:
        self.space = space
        self.log_mel = LogMel.from_options(tower.options)
        self._network = network

    def prepare(self, item: Sound, *, query: bool = False) -> NDArray[np.float32]:
        """Return the spectrograms of a sound's W windows, float32 [W, 1, F, bands].

        Raises `ModelError` for an empty sound.
        """
        return np.stack([self.log_mel(window) for window in self.log_mel.windows(item)])

    def run(self, prepared: Sequence[NDArray[np.float32]]) -> Vectors:
        """Return float32 [len(prepared), D] unit vectors of prepared sounds."""
        out = np.zeros((len(prepared), self.space.dimension), np.float32)
        windows = [(row, window) for row, sound in enumerate(prepared) for window in sound]
        for start in range(0, len(windows), _WINDOWS_PER_CALL):
            part = windows[start : start + _WINDOWS_PER_CALL]
            features = np.stack([window for _, window in part])
            vectors = unit(self._network.run({"input_features": features}))
            for (row, _), vector in zip(part, vectors, strict=True):
                out[row] += vector
        return unit(out)

    def encode(self, items: Sequence[Sound]) -> Vectors:
        """Return float32 [len(items), D] unit vectors. Raises `ModelError` for an empty sound."""
        return self.run([self.prepare(sound) for sound in items])


def resampled(sound: Sound, sample_rate_hz: int) -> NDArray[np.float32]:
    """Return the samples at another rate, float32 [T]; NaN and infinities become 0.

    Raises `ModelError` for an empty sound.
    """
    if not len(sound.samples):
        raise ModelError("the sound has no samples; remove it")
    samples = np.nan_to_num(np.asarray(sound.samples, np.float32), posinf=0.0, neginf=0.0)
    if sound.sample_rate_hz == sample_rate_hz:
        return samples
    import soxr

    converted: NDArray[np.float32] = soxr.resample(samples, sound.sample_rate_hz, sample_rate_hz)
    return converted


def equal_windows(samples: NDArray[np.float32], max_samples: int) -> list[NDArray[np.float32]]:
    """Split samples into the fewest windows of (almost) equal length, at most `max_samples`."""
    return list(np.array_split(samples, max(1, -(-len(samples) // max_samples))))


# --- the preprocessing of CLAP --------------------------------------------------------


@dataclass(frozen=True)
class LogMel:
    """The options of a card's `[audio]` table: a log-mel spectrogram.

    `scale` is the mel scale: "slaney" (with Slaney's area normalisation, librosa's
    default) or "htk" (without). A window shorter than `window_s` is repeated as often as
    it fits, then padded with silence.
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
        """Parse a card's options. Raises `ModelError` if one is missing or invalid."""
        try:
            parsed = cls(**{name: options[name] for name in cls.__dataclass_fields__})
        except KeyError as error:
            raise ModelError(f"[audio] in the model card has no {error}") from error
        if parsed.scale not in ("slaney", "htk"):
            raise ModelError(
                f"scale is {parsed.scale!r} in [audio] in the model card; it must be slaney or htk"
            )
        return parsed

    @property
    def window_samples(self) -> int:
        """Length of a window in samples."""
        return round(self.window_s * self.sample_rate_hz)

    def windows(self, sound: Sound) -> list[NDArray[np.float32]]:
        """Split a sound into windows of at most `window_s`, float32 [T], at the tower's rate.

        Raises `ModelError` for an empty sound.
        """
        return equal_windows(resampled(sound, self.sample_rate_hz), self.window_samples)

    def __call__(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the spectrogram float32 [1, F, mel_bands] of at most one window of samples."""
        length = self.window_samples
        filled = np.tile(window, max(1, length // len(window)))[:length]
        filled = np.pad(filled.astype(np.float64), (0, length - len(filled)))
        centred = np.pad(filled, self.fft_samples // 2, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(centred, self.fft_samples)
        frames = frames[:: self.hop_samples]
        power = np.abs(np.fft.rfft(frames * self._hann, axis=1)) ** 2
        mel = np.maximum(power @ self._bank, _MIN_POWER)
        decibels: NDArray[np.float32] = (10.0 * np.log10(mel)).astype(np.float32)
        return decibels[None]

    @cached_property
    def _hann(self) -> NDArray[np.float64]:
        phase = 2 * np.pi * np.arange(self.fft_samples) / self.fft_samples
        return 0.5 - 0.5 * np.cos(phase)

    @cached_property
    def _bank(self) -> NDArray[np.float64]:
        return mel_bank(
            self.sample_rate_hz,
            self.fft_samples,
            self.mel_bands,
            (self.low_hz, self.high_hz),
            self.scale,
        )


def mel_bank(
    sample_rate_hz: int, fft_samples: int, bands: int, range_hz: tuple[float, float], scale: str
) -> NDArray[np.float64]:
    """Return triangular filters, float64 [fft_samples // 2 + 1, bands]; see `LogMel.scale`."""
    bins_hz = np.linspace(0, sample_rate_hz / 2, fft_samples // 2 + 1)
    low, high = _mel(np.array(range_hz), scale)
    edges_hz = _hertz(np.linspace(low, high, bands + 2), scale)
    rising = (bins_hz[:, None] - edges_hz[:-2]) / np.diff(edges_hz)[:-1]
    falling = (edges_hz[2:] - bins_hz[:, None]) / np.diff(edges_hz)[1:]
    bank: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
    if scale == "slaney":
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


# --- the preprocessing of mini, shared with its training ------------------------------

# The frames of the AudioSet models (Hershey et al. 2017, "CNN Architectures for Large-Scale
# Audio Classification"): 16 kHz, 25 ms Hann windows every 10 ms, 64 bands from 125 to 7,500 Hz
# of HTK's mel scale, log(magnitude + 0.001). Samples are first scaled to one loudness, so that
# the distance of the microphone does not matter.
SAMPLE_RATE_HZ = 16_000
FRAME_SAMPLES = 400
HOP_SAMPLES = 160
FFT_SAMPLES = 512
MEL_BANDS = 64
_LOW_HZ, _HIGH_HZ = 125.0, 7500.0
_LOG_OFFSET = 0.001
_TARGET_RMS = 0.08
_MAX_GAIN = 100.0


def levelled(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale float32 [T] to an RMS of 0.08, with a gain of at most 40 dB."""
    if not len(samples):
        return samples
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    gain = min(_TARGET_RMS / max(rms, 1e-9), _MAX_GAIN)
    return (samples * np.float32(gain)).astype(np.float32)


def audioset_frames(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the log-mel frames float32 [F, 64] of float32 [T] at 16 kHz.

    F is 1 + (T - 400) // 160. Samples shorter than one frame are padded with silence.
    """
    if len(samples) < FRAME_SAMPLES:
        samples = np.pad(samples, (0, FRAME_SAMPLES - len(samples)))
    windows = np.lib.stride_tricks.sliding_window_view(samples, FRAME_SAMPLES)[::HOP_SAMPLES]
    shaped = windows * _audioset_hann()
    after, before = shaped[:, FRAME_SAMPLES // 2 :], shaped[:, FRAME_SAMPLES // 2 - 1 :: -1]
    cosines, sines, bank = _audioset_transform()
    power = np.square((after + before) @ cosines)
    power += np.square((after - before) @ sines)
    frames: NDArray[np.float32] = np.log(np.sqrt(power, out=power) @ bank + _LOG_OFFSET)
    return frames


@cache
def _audioset_transform() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return cosines and sines [200, B] for half a frame, and the filters [B, 64], of B bins.

    Only magnitudes are needed, so time can start in the middle of a frame. The frame's even part
    then has only cosines and its odd part only sines. This takes half of the time of numpy's FFT.
    """
    bank = _audioset_bank()
    used = np.flatnonzero(bank.any(axis=1))
    time = np.arange(FRAME_SAMPLES // 2)[:, None] + 0.5
    angle = 2 * np.pi / FFT_SAMPLES * time * used
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32), bank[used]


@cache
def _audioset_hann() -> NDArray[np.float32]:
    phase = 2 * np.pi * np.arange(FRAME_SAMPLES) / FRAME_SAMPLES
    return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)


@cache
def _audioset_bank() -> NDArray[np.float32]:
    """Triangular filters on the mel scale, float32 [257, 64]; bin 0 has no weight."""

    def mel(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1127.0 * np.log1p(frequency_hz / 700.0)

    bins = mel(np.linspace(0.0, SAMPLE_RATE_HZ / 2, FFT_SAMPLES // 2 + 1))[:, None]
    limits = mel(np.array([_LOW_HZ, _HIGH_HZ]))
    edges = np.linspace(limits[0], limits[1], MEL_BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    weights = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    weights = np.maximum(weights, 0.0)
    weights[0] = 0.0
    return np.asarray(weights, dtype=np.float32)
