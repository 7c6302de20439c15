"""Twelve small sounds, the same at every call, and what a person would say each is.

They are made with numpy alone and look nothing like the code that made the training material, so
they show that a tower learned sounds and not a generator.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trawl.types import Sound

RATE_HZ = 16_000
Wave = NDArray[np.float64]


def _t(seconds: float) -> Wave:
    return np.arange(int(seconds * RATE_HZ)) / RATE_HZ


def _noise(seconds: float, seed: int) -> Wave:
    return np.random.default_rng(seed).normal(size=int(seconds * RATE_HZ))


def _filtered(wave: Wave, low_hz: float, high_hz: float) -> Wave:
    spectrum = np.fft.rfft(wave)
    hertz = np.fft.rfftfreq(len(wave), 1 / RATE_HZ)
    spectrum[(hertz < low_hz) | (hertz > high_hz)] = 0
    return np.fft.irfft(spectrum, len(wave))


def _at(times_s: Wave, event: Wave, seconds: float) -> Wave:
    out = np.zeros(int(seconds * RATE_HZ))
    for time_s in times_s:
        start = int(time_s * RATE_HZ)
        length = min(len(event), len(out) - start)
        out[start : start + length] += event[:length]
    return out


def siren() -> Wave:
    t = _t(5)
    pitch_hz = 900 + 400 * np.sin(2 * np.pi * 0.4 * t)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    return np.sin(phase) + 0.4 * np.sin(2 * phase)


def white_noise() -> Wave:
    return _noise(3, 1)


def geiger() -> Wave:
    times_s = np.sort(np.random.default_rng(2).uniform(0, 3.9, 70))
    t = _t(0.008)
    return _at(times_s, np.sin(2 * np.pi * 3000 * t) * np.exp(-500 * t), 4)


def clock() -> Wave:
    t = _t(0.01)
    return _at(np.arange(0.1, 3.9, 0.5), np.sin(2 * np.pi * 2600 * t) * np.exp(-450 * t), 4)


def drums() -> Wave:
    t = _t(0.25)
    kick = np.sin(2 * np.pi * (55 * t + 3 * (1 - np.exp(-25 * t)))) * np.exp(-14 * t)
    snare = _noise(0.25, 3) * np.exp(-20 * t) * 0.5
    hat = _filtered(_noise(0.25, 4), 5500, 7500) * np.exp(-60 * t) * 0.5
    beats = np.arange(0, 4, 0.45)
    half = _at(beats + 0.22, hat, 5)
    return _at(beats[::2], kick, 5) + _at(beats[1::2], snare, 5) + half + _at(beats, hat, 5)


def bell() -> Wave:
    t = _t(3)
    partials = ((0.5, 0.7), (1.0, 1.0), (1.2, 0.8), (1.5, 0.5), (2.0, 0.6), (2.7, 0.3))
    strike = sum(a * np.sin(2 * np.pi * 520 * r * t) * np.exp(-(0.7 + r) * t) for r, a in partials)
    return _at(np.array([0.0, 2.0]), np.asarray(strike), 4)


def heartbeat() -> Wave:
    t = _t(0.14)
    thump = np.sin(2 * np.pi * 58 * t) * np.exp(-24 * t)
    return _at(np.arange(0.1, 4, 0.8), thump, 5) + 0.7 * _at(np.arange(0.32, 4, 0.8), thump, 5)


def morse() -> Wave:
    units = "101011100010101110111000111010100011101110111000"
    gate = np.repeat([int(u) for u in units], int(0.07 * RATE_HZ))
    return np.sin(2 * np.pi * 700 * np.arange(len(gate)) / RATE_HZ) * gate


def rising_sweep() -> Wave:
    t = _t(2.5)
    return np.sin(2 * np.pi * np.cumsum(150 * 30 ** (t / t[-1])) / RATE_HZ)


def waves() -> Wave:
    t = _t(5)
    swell = 0.15 + np.clip(np.sin(2 * np.pi * t / 4.2 - 0.5), 0, 1) ** 1.4
    return _filtered(_noise(5, 5), 150, 4000) * swell


def knocking() -> Wave:
    t = _t(0.1)
    knock = (np.sin(2 * np.pi * 210 * t) + 0.3 * _noise(0.1, 9)) * np.exp(-50 * t)
    return _at(np.array([0.2, 0.4, 0.6, 1.6, 1.8, 2.0, 3.0, 3.2, 3.4]), knock, 4)


def applause() -> Wave:
    rng = np.random.default_rng(5)
    clap = _filtered(_noise(0.02, 7), 600, 3500) * np.exp(-_t(0.02) * 250)
    hands = [
        rng.uniform(0.3, 1.0)
        * _at(np.arange(rng.uniform(0, 0.25), 3.9, rng.uniform(0.2, 0.28)), clap, 4)
        for _ in range(35)
    ]
    return np.sum(hands, axis=0)


CANARIES: dict[str, Callable[[], Wave]] = {
    "knocking on a door": knocking,
    "a siren wailing": siren,
    "white noise": white_noise,
    "clicks of a Geiger counter": geiger,
    "a clock ticking": clock,
    "a drum beat": drums,
    "a church bell": bell,
    "a heart beating": heartbeat,
    "morse code": morse,
    "a tone rising in pitch": rising_sweep,
    "waves on the sea shore": waves,
    "applause": applause,
}


def canary(caption: str) -> Sound:
    """The sound of a caption, mono at 16 kHz with a peak of 0.5."""
    wave = CANARIES[caption]()
    return Sound((0.5 * wave / np.abs(wave).max()).astype(np.float32), RATE_HZ)
