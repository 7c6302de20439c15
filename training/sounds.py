"""Generated sounds with captions from varied templates, without limit.

`generate(rng)` draws a kind, its parameters and a caption that says what was drawn. Every kind is
a function of a numpy generator that gives (samples float32 at 16 kHz, caption choices).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, sosfilt

RATE_HZ = 16_000
Samples = NDArray[np.float32]
Drawn = tuple[Samples, list[str]]
Rng = np.random.Generator


def _time(seconds: float) -> NDArray[np.float64]:
    return np.arange(int(seconds * RATE_HZ)) / RATE_HZ


def _seconds(rng: Rng) -> float:
    return float(rng.uniform(2.0, 5.0))


def _band(
    noise: NDArray[np.float64], low_hz: float, high_hz: float, order: int = 2
) -> NDArray[np.float64]:
    sos = butter(order, [low_hz, min(high_hz, 7900.0)], "band", fs=RATE_HZ, output="sos")
    return sosfilt(sos, noise)


def _place(
    out: NDArray[np.float64], event: NDArray[np.float64], at_s: float, gain: float = 1.0
) -> None:
    start = int(at_s * RATE_HZ)
    end = min(len(out), start + len(event))
    if start < end:
        out[start:end] += gain * event[: end - start]


def _phase(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2 * np.pi * np.cumsum(frequency_hz) / RATE_HZ


def _partials(
    t: NDArray[np.float64], base_hz: float, rng: Rng, count: int = 8, decay: float = 1.2
) -> NDArray[np.float64]:
    return sum(
        np.sin(2 * np.pi * base_hz * k * t + rng.uniform(0, 6.3)) / k**decay
        for k in range(1, count + 1)
        if base_hz * k < 7600
    )  # type: ignore[return-value]


def _click(rng: Rng) -> NDArray[np.float64]:
    t = _time(0.012)
    wave = np.sin(2 * np.pi * rng.uniform(1500, 5000) * t) + 0.5 * rng.normal(size=len(t))
    return wave * np.exp(-t * rng.uniform(300, 900))


def metronome(rng: Rng) -> Drawn:
    seconds, every = _seconds(rng) + 1, rng.uniform(0.25, 1.0)
    out, high, low = np.zeros(int(seconds * RATE_HZ)), _click(rng), _click(rng)
    for i, at in enumerate(np.arange(0, seconds, every)):
        _place(out, high if i % 2 else low, at)
    return out, [
        "a clock ticking",
        "a metronome ticks",
        "tick tock of a clock",
        "regular ticking",
        "a ticking clock",
        "the tick of a watch",
    ]


def drum_beat(rng: Rng) -> Drawn:
    beat, bars = rng.uniform(0.28, 0.6), int(rng.integers(4, 10))
    out, t = np.zeros(int(beat * bars * RATE_HZ)), _time(0.3)
    kick = np.sin(_phase(50 + 120 * np.exp(-t * 30))) * np.exp(-t * 12)
    snare = rng.normal(size=len(t)) * np.exp(-t * 18) * 0.6 + 0.4 * np.sin(
        2 * np.pi * 190 * t
    ) * np.exp(-t * 20)
    hat = _band(rng.normal(size=len(t)), 5000, 7800) * np.exp(-t * 50) * 0.6
    for i in range(bars):
        _place(out, kick if i % 2 == 0 else snare, i * beat)
        _place(out, hat, i * beat)
        _place(out, hat, (i + 0.5) * beat)
    return out, [
        "a drum beat",
        "drums playing a rhythm",
        "a steady drum loop with kick and snare",
        "percussion music",
        "a drummer plays a beat",
        "a drum machine",
    ]


def engine(rng: Rng) -> Drawn:
    t = _time(_seconds(rng))
    idle = rng.uniform(18, 45)
    revving = rng.random() < 0.5
    speed = idle * (
        1
        + (
            1.8 * np.abs(np.sin(np.pi * rng.uniform(0.2, 0.8) * t))
            if revving
            else 0.03 * np.sin(3 * t)
        )
    )
    phase = _phase(speed)
    wave = sum(np.sin(k * phase + rng.uniform(0, 6)) / k**0.7 for k in range(1, 14))
    wave = np.tanh(wave) + _band(rng.normal(size=len(t)), 80, 900) * (0.6 + 0.4 * np.sin(2 * phase))
    doing = (
        ["an engine revving", "a motor revs up and down", "a motorcycle engine revving"]
        if revving
        else [
            "an engine idling",
            "a car engine idles",
            "a diesel engine running steadily",
            "a motor running",
        ]
    )
    return wave, [*doing, "the sound of an engine"]


def propeller(rng: Rng) -> Drawn:
    t, rate = _time(_seconds(rng)), rng.uniform(9, 18)
    pulse = np.clip(np.sin(2 * np.pi * rate * t), 0, 1) ** 3
    wave = _band(rng.normal(size=len(t)), 60, 1200) * (0.15 + pulse) + 0.3 * np.sin(
        2 * np.pi * 70 * t
    )
    return wave, [
        "a helicopter",
        "helicopter rotor blades chopping",
        "a helicopter flying overhead",
        "the thumping blades of a helicopter",
    ]


def bubbles(rng: Rng) -> Drawn:
    seconds, rate = _seconds(rng), rng.uniform(4, 30)
    out = np.zeros(int(seconds * RATE_HZ))
    for at in np.cumsum(rng.exponential(1 / rate, int(seconds * rate * 2) + 2)):
        t, pitch = _time(rng.uniform(0.03, 0.12)), rng.uniform(300, 1600)
        drop = np.sin(_phase(pitch * (1 + rng.uniform(2, 8) * t))) * np.exp(
            -t * rng.uniform(20, 60)
        )
        _place(out, drop, at, rng.uniform(0.3, 1))
    return out, [
        "bubbles",
        "water bubbling",
        "bubbles rising under water",
        "gurgling water",
        "a bubbling liquid",
        "boiling bubbles",
    ]


def drips(rng: Rng) -> Drawn:
    seconds = _seconds(rng) + 1
    out = np.zeros(int(seconds * RATE_HZ))
    for at in np.cumsum(rng.uniform(0.3, 1.2, 20)):
        t, pitch = _time(0.15), rng.uniform(700, 2200)
        _place(out, np.sin(_phase(pitch * (1 + 3 * t))) * np.exp(-t * rng.uniform(25, 60)), at)
    return out, ["water dripping", "drops of water falling", "a dripping tap", "water drops"]


def bell(rng: Rng) -> Drawn:
    seconds, pitch = _seconds(rng) + 1, rng.uniform(200, 1500)
    out, t = np.zeros(int(seconds * RATE_HZ)), _time(seconds)
    ratios = np.array([0.5, 1, 1.19, 1.5, 2, 2.5, 2.66, 3.0, 4.1]) * rng.uniform(0.99, 1.01, 9)
    strike = sum(
        np.sin(2 * np.pi * pitch * r * t) * np.exp(-t * (0.8 + r)) / (1 + i * 0.4)
        for i, r in enumerate(ratios)
        if pitch * r < 7600
    )
    for at in np.arange(0, seconds, rng.uniform(0.8, 3)):
        _place(out, strike, at)
    return out, [
        "a bell rings",
        "a church bell",
        "a bell tolling",
        "the ringing of a bell",
        "bells",
    ]


def plucked(rng: Rng) -> Drawn:
    notes, beat = 110 * 2 ** (np.array([0, 3, 5, 7, 10, 12, 15, 17]) / 12), rng.uniform(0.15, 0.6)
    out = np.zeros(int((beat * 8 + 1) * RATE_HZ))
    for i in range(8):
        delay = int(RATE_HZ / (rng.choice(notes) * rng.choice([1, 2])))
        burst = np.concatenate([rng.uniform(-1, 1, delay), np.zeros(RATE_HZ - delay)])
        denominator = np.zeros(delay + 2)
        denominator[0], denominator[delay], denominator[delay + 1] = 1, -0.498, -0.498
        _place(out, lfilter([1.0], denominator, burst), i * beat)
    return out, [
        "a guitar plays",
        "an acoustic guitar melody",
        "a plucked string instrument",
        "guitar music",
        "someone plucks the strings of a guitar",
    ]


def chord(rng: Rng) -> Drawn:
    minor, seconds = rng.random() < 0.5, _seconds(rng)
    steps, base = ([0, 3, 7] if minor else [0, 4, 7]), rng.uniform(130, 400)
    out, beat = np.zeros(int(seconds * RATE_HZ)), rng.uniform(0.5, 2.5)
    for i, at in enumerate(np.arange(0, seconds, beat)):
        t = _time(min(2.5, seconds))
        root = base * 2 ** (int(rng.choice([0, 5, 7])) / 12 if i else 0)
        notes = sum(_partials(t, root * 2 ** (s / 12), rng) for s in steps)
        _place(out, notes * np.exp(-t * rng.uniform(1, 3)), at)
    kind = "minor" if minor else "major"
    return out, [
        "a piano plays chords",
        f"a {kind} chord",
        "piano music",
        f"a {kind} chord on a piano",
        "a musical chord",
        "someone plays the piano",
    ]


def organ(rng: Rng) -> Drawn:
    t, base = _time(_seconds(rng)), rng.uniform(90, 350)
    wave = sum(_partials(t, base * 2 ** (s / 12), rng, 6, 0.8) for s in (0, 4, 7, 12))
    return wave, ["an organ plays a sustained chord", "organ music", "a church organ"]


def bowed(rng: Rng) -> Drawn:
    t, base = _time(_seconds(rng)), rng.uniform(200, 900)
    vibrato = base * (1 + 0.012 * np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * t))
    steps = 2 ** (rng.choice([0, 2, 4, 5, 7, 9], 12) / 12)
    phase = _phase(vibrato * np.repeat(steps, len(t) // 12 + 1)[: len(t)])
    wave = sum(np.sin(k * phase) / k for k in range(1, 12))
    return wave, [
        "a violin plays a melody",
        "a violin",
        "a bowed string instrument",
        "string music",
    ]


def flute(rng: Rng) -> Drawn:
    t = _time(_seconds(rng))
    steps = 2 ** (rng.choice([0, 2, 4, 7, 9, 12], 8) / 12)
    phase = _phase(rng.uniform(450, 900) * np.repeat(steps, len(t) // 8 + 1)[: len(t)])
    wave = np.sin(phase) + 0.2 * np.sin(2 * phase) + 0.05 * rng.normal(size=len(t))
    return wave, [
        "a flute melody",
        "a flute plays",
        "someone whistling a tune",
        "a whistled melody",
    ]


def hum(rng: Rng) -> Drawn:
    t, mains = _time(_seconds(rng)), float(rng.choice([50.0, 60.0]))
    wave = sum(
        np.sin(2 * np.pi * mains * k * t + rng.uniform(0, 6)) / k for k in (2, 3, 4, 6, 8, 10)
    )
    return wave + 0.02 * rng.normal(size=len(t)), [
        "an electrical hum",
        "mains hum",
        "a transformer humming",
        "the low buzz of electricity",
        "a refrigerator hums",
    ]
