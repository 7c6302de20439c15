"""The built-in model's log-mel frames are those of a 512-point Fourier transform."""

from __future__ import annotations

import numpy as np
import pytest

from trawl.encoders import sounds


@pytest.mark.parametrize("kind", ["noise", "tone", "silence", "one frame"])
def test_frames_are_those_of_the_fourier_transform(kind: str) -> None:
    rng = np.random.default_rng(0)
    samples = {
        "noise": rng.normal(0, 0.08, 16_000),
        "tone": 0.1 * np.sin(np.arange(16_000) * 0.3) + rng.normal(0, 1e-3, 16_000),
        "silence": np.zeros(8_000),
        "one frame": rng.normal(0, 0.08, 400),
    }[kind].astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(samples, 400)[::160]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    magnitude = np.abs(np.fft.rfft(windows * hann, 512, axis=1))
    expected = np.log(magnitude @ sounds._audioset_bank() + 0.001)
    np.testing.assert_allclose(sounds.audioset_frames(samples), expected, atol=1e-3)
