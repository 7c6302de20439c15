"""More generated sounds: nature, events, animals, detectors and speech. See `sounds.py`."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable

import numpy as np
import soundfile
import soxr

import sounds
import sounds_signals
from sounds import RATE_HZ, Drawn, Rng, Samples, _band, _phase, _place, _seconds, _time


def heartbeat(rng: Rng) -> Drawn:
    seconds, every = _seconds(rng) + 1, rng.uniform(0.5, 1.1)
    out, t = np.zeros(int(seconds * RATE_HZ)), _time(0.15)
    thump = np.sin(_phase(rng.uniform(45, 75) * (1 + np.exp(-t * 30)))) * np.exp(-t * 25)
    for at in np.arange(0, seconds, every):
        _place(out, thump, at)
        _place(out, thump, at + 0.28 * every, 0.7)
    return out, ["a heartbeat", "a heart beating", "the thump of a heart", "a steady heartbeat"]


def wind(rng: Rng) -> Drawn:
    t = _time(_seconds(rng) + 1)
    slow = np.interp(t, np.linspace(0, t[-1], 9), rng.uniform(0.1, 1, 9))
    wave = _band(rng.normal(size=len(t)), 80, 500) * slow
    wave += 0.5 * _band(rng.normal(size=len(t)), 500, rng.uniform(900, 1800)) * slow**2
    return wave, ["wind blowing", "the wind howls", "strong wind", "gusts of wind", "a windy day"]


def thunder(rng: Rng) -> Drawn:
    t = _time(4.5)
    strength = np.exp(-t * rng.uniform(0.6, 1.5)) * (
        1 + 0.6 * np.interp(t, np.linspace(0, 4.5, 14), rng.normal(size=14))
    )
    wave = _band(rng.normal(size=len(t)), 25, 180) * strength * 4
    wave += _band(rng.normal(size=len(t)), 300, 3000) * np.exp(-t * 9)
    return wave, ["thunder", "thunder rumbling", "a clap of thunder", "a thunderstorm"]


def waves(rng: Rng) -> Drawn:
    t, period = _time(5.0), rng.uniform(2.5, 6)
    swell = 0.15 + np.clip(np.sin(2 * np.pi * (t / period + rng.random())), 0, 1) ** 1.5
    wave = _band(rng.normal(size=len(t)), 200, rng.uniform(2500, 6000), 1) * swell
    return wave, ["ocean waves", "sea waves", "waves crash on the beach", "surf on a shore"]


def rain(rng: Rng) -> Drawn:
    size = len(_time(_seconds(rng)))
    wave = 0.3 * _band(rng.normal(size=size), 1000, 7000, 1)
    drops = (rng.random(size) < rng.uniform(0.001, 0.01)) * rng.exponential(4, size)
    return wave + _band(drops, 1500, 6500), [
        "rain",
        "rain falling",
        "heavy rain",
        "the patter of rain",
    ]


def fire(rng: Rng) -> Drawn:
    size = len(_time(_seconds(rng)))
    crackle = (rng.random(size) < 0.0012) * rng.exponential(8, size) * rng.choice([-1, 1], size)
    wave = 0.25 * _band(rng.normal(size=size), 60, 500) + _band(crackle, 800, 6000)
    return wave, ["a crackling fire", "fire crackling", "a campfire", "the crackle of burning wood"]


def knocking(rng: Rng) -> Drawn:
    seconds = _seconds(rng)
    out, t = np.zeros(int(seconds * RATE_HZ)), _time(0.12)
    knock = (
        np.sin(2 * np.pi * rng.uniform(120, 350) * t) + 0.4 * rng.normal(size=len(t))
    ) * np.exp(-t * 45)
    at = 0.1
    while at < seconds:
        for _ in range(int(rng.integers(2, 5))):
            _place(out, knock, at)
            at += rng.uniform(0.15, 0.25)
        at += rng.uniform(0.5, 1.2)
    return out, ["knocking on a door", "someone knocks on a wooden door", "a knock at the door"]


def footsteps(rng: Rng) -> Drawn:
    seconds, every = _seconds(rng) + 1, rng.uniform(0.4, 0.65)
    out = np.zeros(int(seconds * RATE_HZ))
    for at in np.arange(0.1, seconds, every):
        t = _time(0.16)
        step = _band(rng.normal(size=len(t)), 100, rng.uniform(1200, 4500)) * np.exp(-t * 25)
        _place(out, step, at + rng.uniform(-0.02, 0.02))
    return out, ["footsteps", "a person walking", "someone walks on a hard floor", "steps"]


def applause(rng: Rng) -> Drawn:
    seconds, people = _seconds(rng), int(rng.integers(10, 60))
    out = np.zeros(int(seconds * RATE_HZ))
    claps = [
        _band(rng.normal(size=320), *sorted(rng.uniform([500, 1800], [1500, 4500])))
        * np.exp(-np.arange(320) / 60)
        for _ in range(8)
    ]
    for _ in range(people):
        every = rng.uniform(0.18, 0.3)
        for at in np.arange(rng.uniform(0, every), seconds, every):
            _place(
                out,
                claps[int(rng.integers(8))],
                at + rng.normal(0, 0.01) + 0.03,
                rng.uniform(0.3, 1),
            )
    return out, [
        "applause",
        "an audience applauds",
        "a crowd clapping",
        "people clapping their hands",
    ]


def explosion(rng: Rng) -> Drawn:
    t = _time(3.0)
    wave = _band(rng.normal(size=len(t)), 30, 400) * np.exp(-t * rng.uniform(1, 3)) * 3
    wave += rng.normal(size=len(t)) * np.exp(-t * 12)
    return wave, ["an explosion", "a loud explosion", "a blast", "something explodes with a boom"]


def gun_shots(rng: Rng) -> Drawn:
    seconds = rng.uniform(1.5, 4)
    out, t = np.zeros(int(seconds * RATE_HZ)), _time(0.8)
    for at in np.sort(rng.uniform(0, seconds, int(rng.integers(1, 6)))):
        shot = rng.normal(size=len(t)) * (np.exp(-t * 60) + 0.15 * np.exp(-t * 7))
        _place(out, shot, at)
    return out, ["gun shots", "a gun is fired", "gunfire", "a gunshot with an echo"]


def sonar(rng: Rng) -> Drawn:
    out, t, pitch = np.zeros(int(5 * RATE_HZ)), _time(2.0), rng.uniform(700, 1800)
    ping = np.sin(2 * np.pi * pitch * t) * (np.exp(-t * 3) + 0.3 * np.exp(-t))
    for at in np.arange(0.1, 5, rng.uniform(1.5, 3)):
        _place(out, ping, at)
    return out, ["a sonar ping", "sonar pings under water", "the ping of a submarine's sonar"]


def laser(rng: Rng) -> Drawn:
    seconds = rng.uniform(1.5, 4)
    out = np.zeros(int(seconds * RATE_HZ))
    for at in np.arange(0.05, seconds, rng.uniform(0.25, 0.8)):
        t = _time(0.25)
        _place(
            out, np.sin(_phase(300 + 4000 * np.exp(-t * rng.uniform(12, 25)))) * np.exp(-t * 8), at
        )
    return out, ["laser shots of a video game", "a science fiction laser gun", "arcade game sounds"]


def car_horn(rng: Rng) -> Drawn:
    seconds, base = _seconds(rng), rng.uniform(300, 480)
    t = _time(seconds)
    wave = np.tanh(
        2
        * (sounds._partials(t, base, rng, 12, 0.7) + sounds._partials(t, base * 1.26, rng, 12, 0.7))
    )
    gate = np.repeat(rng.random(12) < 0.6, len(t) // 12 + 1)[: len(t)]
    gate[: RATE_HZ // 2] = True
    return wave * gate, ["a car horn", "a car honks its horn", "honking", "a vehicle horn blares"]


def crickets(rng: Rng) -> Drawn:
    t = _time(_seconds(rng))
    pulse = (np.sin(2 * np.pi * rng.uniform(25, 45) * t) > 0) * ((t % rng.uniform(0.4, 0.9)) < 0.3)
    wave = np.sin(2 * np.pi * rng.uniform(3500, 5200) * t) * pulse
    return wave + 0.03 * rng.normal(size=len(t)), [
        "crickets chirping",
        "crickets at night",
        "an insect chirps",
    ]


def birdsong(rng: Rng) -> Drawn:
    seconds = _seconds(rng)
    out, at = np.zeros(int(seconds * RATE_HZ)), 0.05
    while at < seconds:
        first, last, wobble = rng.uniform(2000, 5500), rng.uniform(2000, 6000), rng.uniform(0, 800)
        for _ in range(int(rng.integers(1, 7))):
            t = _time(rng.uniform(0.05, 0.2))
            course = np.linspace(first, last, len(t)) + wobble * np.sin(2 * np.pi * 30 * t)
            _place(out, np.sin(_phase(course)) * np.hanning(len(t)), at)
            at += len(t) / RATE_HZ + rng.uniform(0.02, 0.1)
        at += rng.uniform(0.1, 0.7)
    return out, ["a bird sings", "birdsong", "birds chirping", "a bird tweeting"]


def machine_shop(rng: Rng) -> Drawn:
    t, rate = _time(_seconds(rng)), rng.uniform(12, 28)
    hit = np.exp(-((t * rate) % 1) * 8)
    wave = _band(rng.normal(size=len(t)), 300, 6000) * hit + 0.4 * np.sin(2 * np.pi * rate * 2 * t)
    return wave, [
        "a jackhammer",
        "a jackhammer breaking concrete",
        "construction noise",
        "rapid hammering",
    ]


def drill(rng: Rng) -> Drawn:
    t = _time(_seconds(rng))
    speed = rng.uniform(180, 420) * (
        1 + 0.05 * np.interp(t, np.linspace(0, t[-1], 8), rng.normal(size=8))
    )
    phase = _phase(speed)
    wave = sum(np.sin(k * phase + rng.uniform(0, 6)) / k**0.5 for k in range(1, 16)) + rng.normal(
        size=len(t)
    )
    return wave, [
        "drilling",
        "an electric drill",
        "a power drill whirring",
        "a drill bores into a wall",
    ]


def fan(rng: Rng) -> Drawn:
    t = _time(_seconds(rng))
    wave = _band(rng.normal(size=len(t)), 100, rng.uniform(1500, 4000), 1) * (
        1 + 0.15 * np.sin(2 * np.pi * rng.uniform(5, 25) * t)
    )
    wave += 0.4 * np.sin(2 * np.pi * rng.uniform(90, 400) * t)
    return wave, [
        "an air conditioner",
        "a fan blowing",
        "ventilation noise",
        "the hum of an air conditioner",
    ]


def pulsar(rng: Rng) -> Drawn:
    t, rate = _time(_seconds(rng)), rng.uniform(1.4, 30)
    wave = rng.normal(size=len(t)) * (0.1 + np.exp(-(((t * rate) % 1 - 0.5) ** 2) / 0.003))
    return wave, [
        "a pulsar, regular pulses of radio noise",
        "regular pulses of noise from a neutron star",
    ]


def silence(rng: Rng) -> Drawn:
    return rng.normal(0, 1e-5, int(_seconds(rng) * RATE_HZ)), [
        "silence",
        "nothing can be heard",
        "a silent recording",
    ]


_SENTENCES = (
    "The detector recorded three muons in this run.",
    "Please close the door behind you.",
    "Today we measure the decay of the particle.",
    "What time does the train leave?",
    "The quick brown fox jumps over the lazy dog.",
    "I would like a cup of coffee, please.",
    "Welcome to the lecture on quantum mechanics.",
    "The results are shown in figure two.",
    "It was a bright cold day in April.",
    "Could you turn the volume down a little?",
    "One, two, three, four, five, six, seven.",
    "The beam energy was six point five tera electron volts.",
    "She walked slowly along the river bank.",
    "We found no evidence for the signal.",
)


def speech(rng: Rng) -> Drawn:
    """Synthetic speech by espeak-ng. Raises FileNotFoundError where it is not installed."""
    voices = {"m1": "man", "m3": "man", "m7": "man", "f1": "woman", "f2": "woman", "f4": "woman"}
    variant = str(rng.choice(list(voices)))
    accent = str(rng.choice(["en-us", "en-gb", "en-gb-scotland", "de", "fr"]))
    wanted = [
        "espeak-ng",
        "--stdout",
        "-v",
        f"{accent}+{variant}",
        "-s",
        str(int(rng.integers(120, 200))),
        "-p",
        str(int(rng.integers(25, 75))),
        " ".join(rng.choice(_SENTENCES, 2)),
    ]
    raw = subprocess.run(wanted, capture_output=True, check=True).stdout
    samples, rate = soundfile.read(io.BytesIO(raw), dtype="float32")
    who = voices[variant]
    return soxr.resample(samples, rate, RATE_HZ)[: 5 * RATE_HZ], [
        "speech",
        f"a {who} speaking",
        f"a {who} talks",
        "someone is speaking",
        "a person talking",
        "a voice reads a sentence aloud",
        f"a computer voice of a {who} speaks",
    ]


KINDS: dict[str, Callable[[Rng], Drawn]] = {
    f.__name__: f
    for f in (
        sounds_signals.tone,
        sounds_signals.beeps,
        sounds_signals.alarm,
        sounds_signals.siren,
        sounds_signals.chirp,
        sounds_signals.gravitational_chirp,
        sounds_signals.noise,
        sounds_signals.static,
        sounds_signals.geiger,
        sounds.metronome,
        sounds.drum_beat,
        sounds.engine,
        sounds.propeller,
        sounds.bubbles,
        sounds.drips,
        sounds.bell,
        sounds.plucked,
        sounds.chord,
        sounds.organ,
        sounds.bowed,
        sounds.flute,
        sounds.hum,
        sounds_signals.telephone,
        sounds_signals.morse,
        heartbeat,
        wind,
        thunder,
        waves,
        rain,
        fire,
        knocking,
        footsteps,
        applause,
        explosion,
        gun_shots,
        sonar,
        laser,
        car_horn,
        crickets,
        birdsong,
        machine_shop,
        drill,
        fan,
        pulsar,
        silence,
    )
}
if shutil.which("espeak-ng"):
    KINDS["speech"] = speech


def generate(rng: Rng, kind: str | None = None) -> tuple[Samples, str, str]:
    """A sound: float32 samples at 16 kHz with a peak of 0.5, its kind, and one of its captions."""
    kind = kind or str(rng.choice(list(KINDS)))
    wave, captions = KINDS[kind](rng)
    peak = float(np.abs(wave).max())
    if kind != "silence" and peak > 0:
        wave = wave * (0.5 / peak)
    return np.asarray(wave, np.float32), kind, str(rng.choice(captions))
