"""Sound to log-mel pictures, one way for training and for search.

The frames are those of the AudioSet models (Hershey et al. 2017, "CNN Architectures for
Large-Scale Audio Classification"): 16 kHz, 25 ms Hann windows every 10 ms, 64 mel bands from 125
to 7,500 Hz, log(magnitude + 0.001). The mel scale is HTK's, 1127 ln(1 + f / 700).

Every window of sound is brought to one loudness first, so that how near the microphone stood
does not decide what a sound is. The training code imports this module, so what the weights
heard is what they are given.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from trawl.types import Sound

SAMPLE_RATE_HZ = 16_000
FRAME_SAMPLES = 400
HOP_SAMPLES = 160
FFT_SAMPLES = 512
MEL_BANDS = 64
_LOWEST_HZ, _HIGHEST_HZ = 125.0, 7500.0
_LOG_OFFSET = 0.001
_TARGET_RMS = 0.08
_LARGEST_GAIN = 100.0


def at_sample_rate(sound: Sound) -> NDArray[np.float32]:
    """Give the samples at 16 kHz, float32 [T]; values that are no numbers become silence."""
    samples = np.asarray(sound.samples, dtype=np.float32)
    if not np.isfinite(samples).all():
        samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    if sound.sample_rate_hz == SAMPLE_RATE_HZ or not len(samples):
        return samples
    import soxr

    resampled: NDArray[np.float32] = soxr.resample(samples, sound.sample_rate_hz, SAMPLE_RATE_HZ)
    return resampled


def levelled(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring float32 [T] to an RMS of 0.08; near silence gains at most 40 dB."""
    if not len(samples):
        return samples
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    gain = min(_TARGET_RMS / max(rms, 1e-9), _LARGEST_GAIN)
    return (samples * np.float32(gain)).astype(np.float32)


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the log-mel frames float32 [F, 64] of float32 [T] at 16 kHz.

    F is 1 + (T - 400) // 160. Less than one frame of sound is padded with silence to one.
    """
    if len(samples) < FRAME_SAMPLES:
        samples = np.pad(samples, (0, FRAME_SAMPLES - len(samples)))
    windows = np.lib.stride_tricks.sliding_window_view(samples, FRAME_SAMPLES)[::HOP_SAMPLES]
    shaped = windows * _hann()
    after, before = shaped[:, FRAME_SAMPLES // 2 :], shaped[:, FRAME_SAMPLES // 2 - 1 :: -1]
    cosines, sines, matrix = _transform()
    power = np.square((after + before) @ cosines)
    power += np.square((after - before) @ sines)
    frames: NDArray[np.float32] = np.log(np.sqrt(power, out=power) @ matrix + _LOG_OFFSET)
    return frames


@cache
def _transform() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Cosines and sines [200, B] of a frame's halves, and the mel matrix [B, 64], of B bins.

    Only magnitudes are wanted, so time may begin in the middle of a frame: its even part then
    has cosines alone and its odd part sines. That halves the work and beats numpy's FFT.
    """
    matrix = _mel_matrix()
    used = np.flatnonzero(matrix.any(axis=1))
    time = np.arange(FRAME_SAMPLES // 2)[:, None] + 0.5
    angle = 2 * np.pi / FFT_SAMPLES * time * used
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32), matrix[used]


@cache
def _hann() -> NDArray[np.float32]:
    phase = 2 * np.pi * np.arange(FRAME_SAMPLES) / FRAME_SAMPLES
    return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)


def _mel(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1127.0 * np.log1p(frequency_hz / 700.0)


@cache
def _mel_matrix() -> NDArray[np.float32]:
    """Triangular weights float32 [257, 64]; the constant component belongs to no band."""
    bins = _mel(np.linspace(0.0, SAMPLE_RATE_HZ / 2, FFT_SAMPLES // 2 + 1))[:, None]
    limits = _mel(np.array([_LOWEST_HZ, _HIGHEST_HZ]))
    edges = np.linspace(limits[0], limits[1], MEL_BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    weights = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    weights = np.maximum(weights, 0.0)
    weights[0] = 0.0
    return np.asarray(weights, dtype=np.float32)
