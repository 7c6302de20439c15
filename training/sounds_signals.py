"""Generated signals: tones, beeps, alarms, chirps, noises, clicks. See `sounds.py`."""

from __future__ import annotations

import numpy as np

from sounds import RATE_HZ, Drawn, Rng, _band, _click, _phase, _place, _seconds, _time


def tone(rng: Rng) -> Drawn:
    t, pitch = _time(_seconds(rng)), float(np.exp(rng.uniform(np.log(110), np.log(5000))))
    word = "low" if pitch < 300 else "high" if pitch > 1500 else "medium"
    names = [
        "a steady {} pitched tone",
        "a pure sine wave, {} frequency",
        "a constant {} tone",
        "a {}-pitched electronic hum without change",
        "a pure tone",
    ]
    return np.sin(2 * np.pi * pitch * t), [n.format(word) for n in names]


def beeps(rng: Rng) -> Drawn:
    t, pitch, every = _time(_seconds(rng)), rng.uniform(600, 3500), rng.uniform(0.15, 1.2)
    gate = (t % every) < every * rng.uniform(0.2, 0.6)
    captions = [
        "an electronic beep repeating",
        "a series of beeps",
        "beeping",
        "a device beeps",
        "short electronic beeps at regular intervals",
        "a monitor beeping steadily",
    ]
    return np.sin(2 * np.pi * pitch * t) * gate, captions


def alarm(rng: Rng) -> Drawn:
    t = _time(_seconds(rng))
    first, second, every = rng.uniform(700, 1800), rng.uniform(1900, 3600), rng.uniform(0.1, 0.5)
    pitch = np.where((t % every) < every / 2, first, second)
    wave = np.sign(np.sin(_phase(pitch))) * 0.5 + np.sin(_phase(pitch))
    return wave, [
        "an alarm is ringing",
        "a loud alarm",
        "a smoke alarm sounding",
        "an alarm going off",
        "an electronic alarm alternates between two tones",
        "a warning alarm, two alternating pitches",
    ]


def siren(rng: Rng) -> Drawn:
    t = _time(_seconds(rng) + 1)
    rate, low, high = rng.uniform(0.15, 3.5), rng.uniform(400, 700), rng.uniform(1000, 1700)
    shape = 0.5 - 0.5 * np.cos(2 * np.pi * rate * t) if rng.random() < 0.7 else (rate * t) % 1.0
    phase = _phase(low + (high - low) * shape)
    wave = np.sin(phase) + 0.5 * np.sin(2 * phase) + 0.25 * np.sin(3 * phase)
    speed = "slowly" if rate < 0.6 else "quickly"
    return wave, [
        "a siren",
        "a siren wailing",
        f"a siren rises and falls {speed}",
        "an emergency vehicle siren",
        "a police siren",
        "an ambulance siren wails",
    ]


def chirp(rng: Rng) -> Drawn:
    t = _time(rng.uniform(1.0, 4.0))
    low, high = rng.uniform(80, 500), rng.uniform(1500, 6500)
    rising = rng.random() < 0.5
    course = np.linspace(0, 1, len(t)) if rising else np.linspace(1, 0, len(t))
    way = "rising" if rising else "falling"
    names = [
        "a {} sweep",
        "a tone {} in pitch",
        "a {} frequency chirp",
        "a {} glissando from a synthesizer",
        "a sine sweep with {} pitch",
    ]
    wave = np.sin(_phase(low * (high / low) ** course))
    return np.tile(wave, int(rng.integers(1, 3))), [n.format(way) for n in names]


def gravitational_chirp(rng: Rng) -> Drawn:
    t = _time(rng.uniform(1.0, 3.0))
    left = np.maximum(t[-1] - t, 0.003)
    wave = np.sin(_phase(np.minimum(30 * (left / t[-1]) ** -0.55, 900))) * left**-0.25
    noise = rng.normal(0, rng.uniform(0.05, 0.4), len(t))
    return wave + noise, [
        "a gravitational wave chirp",
        "two black holes merging, made audible",
        "a short low chirp that rises quickly and stops",
        "the inspiral of a binary merger as sound",
    ]


def noise(rng: Rng) -> Drawn:
    size = len(_time(_seconds(rng)))
    colour = str(rng.choice(["white", "pink", "brown"]))
    spectrum = np.fft.rfft(rng.normal(size=size))
    power = {"white": 0.0, "pink": 0.5, "brown": 1.0}[colour]
    spectrum *= np.maximum(np.arange(len(spectrum)), 20.0) ** -power
    names = ["{} noise", "steady {} noise", "a constant hiss of {} noise", "the sound of {} noise"]
    return np.fft.irfft(spectrum, size), [n.format(colour) for n in names]


def static(rng: Rng) -> Drawn:
    size = len(_time(_seconds(rng)))
    wave = _band(rng.normal(size=size), 300, rng.uniform(2500, 6000))
    crackle = (rng.random(size) < 0.002) * rng.normal(0, 12, size)
    return wave + crackle, [
        "radio static",
        "static noise and crackle",
        "white static on a radio",
        "a television without signal, static hiss",
    ]


def geiger(rng: Rng) -> Drawn:
    seconds, rate = _seconds(rng) + 1, float(np.exp(rng.uniform(np.log(3), np.log(60))))
    out, click = np.zeros(int(seconds * RATE_HZ)), _click(rng)
    for at in np.cumsum(rng.exponential(1 / rate, int(seconds * rate * 2) + 2)):
        _place(out, click, at, rng.uniform(0.5, 1))
    return out, [
        "a Geiger counter clicking",
        "random clicks of a Geiger counter",
        "clicks of radioactive decay",
        "a radiation detector clicks at random",
        "irregular clicking",
        "a Geiger counter near a radioactive source",
    ]


def telephone(rng: Rng) -> Drawn:
    t = _time(_seconds(rng) + 1)
    if rng.random() < 0.5:
        gate = (t % 3.0) < 1.6
        wave = np.sign(np.sin(2 * np.pi * 20 * t)) * 0.3 + 1
        wave = wave * (
            np.sin(2 * np.pi * rng.uniform(900, 1500) * t)
            + np.sin(2 * np.pi * rng.uniform(1600, 2400) * t)
        )
        return wave * gate, ["a telephone ringing", "a phone rings", "an old telephone bell rings"]
    low, high = np.array([697, 770, 852, 941]), np.array([1209, 1336, 1477])
    slot = (t / 0.25).astype(int)
    a, b = rng.choice(low, slot.max() + 1), rng.choice(high, slot.max() + 1)
    wave = (np.sin(_phase(a[slot].astype(float))) + np.sin(_phase(b[slot].astype(float)))) * (
        (t % 0.25) < 0.15
    )
    return wave, ["dialing a telephone", "touch tones of a telephone", "phone keypad tones"]


def morse(rng: Rng) -> Drawn:
    unit, pitch = rng.uniform(0.05, 0.1), rng.uniform(500, 1100)
    keys = np.concatenate(
        [
            [1] * int(n) + [0] * int(g)
            for n, g in zip(rng.choice([1, 3], 40), rng.choice([1, 1, 3], 40), strict=True)
        ]
    )
    gate = np.repeat(keys, int(unit * RATE_HZ))[: int(5 * RATE_HZ)]
    t = np.arange(len(gate)) / RATE_HZ
    return np.sin(2 * np.pi * pitch * t) * gate, [
        "morse code",
        "morse code beeps",
        "a telegraph message in morse code",
    ]
