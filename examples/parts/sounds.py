"""The sounds, each synthesised from a few lines of physics. Samples are float64 in -1..1."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import soundfile

from parts.canvas import Floats

RATE_HZ = 16_000


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(20_360 + seed)


def _times(seconds: float) -> Floats:
    return np.arange(round(seconds * RATE_HZ), dtype=np.float64) / RATE_HZ


def _tone(frequency_hz: Floats) -> Floats:
    """The phase of a tone whose frequency changes: radians."""
    return np.asarray(2 * np.pi * np.cumsum(frequency_hz) / RATE_HZ, dtype=np.float64)


def _level(samples: Floats, peak: float = 0.7) -> Floats:
    """Scale the loudest sample to `peak` and fade 10 ms at both ends."""
    fade = np.minimum(1.0, np.arange(len(samples)) / (0.01 * RATE_HZ))
    return np.asarray(samples * fade * fade[::-1] * peak / np.abs(samples).max())


def _shaped_noise(
    count: int, gain_at: Callable[[Floats], Floats], rng: np.random.Generator
) -> Floats:
    """White noise through a gain that depends on frequency in Hz."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    gain = gain_at(np.asarray(np.fft.rfftfreq(count, 1 / RATE_HZ), dtype=np.float64))
    return np.fft.irfft(spectrum * gain, count)


def geiger_clicks() -> Floats:
    """A Geiger counter: clicks at random (Poisson) moments, faster in the middle."""
    rng, t = _rng(1), _times(6.0)
    rate = 5 + 32 * np.exp(-0.5 * ((t - 3.4) / 0.9) ** 2)
    starts = np.flatnonzero(rng.random(len(t)) < rate / RATE_HZ)
    click_t = _times(0.006)
    out = np.zeros(len(t) + len(click_t))
    for start in starts:
        ring = np.sin(2 * np.pi * rng.uniform(2400, 2900) * click_t) + 0.6 * rng.standard_normal(
            len(click_t)
        )
        out[start : start + len(click_t)] += (
            rng.uniform(0.7, 1.0) * ring * np.exp(-click_t / 0.0011)
        )
    return _level(out[: len(t)] + 0.002 * rng.standard_normal(len(t)))


def gravitational_chirp() -> Floats:
    """A binary merger made audible: f grows as (time left)^(-3/8), then rings down."""
    rng, t = _rng(2), _times(4.5)
    merger_s = 3.9
    left = np.maximum(merger_s - t, 0.0006)
    frequency = np.minimum(46 * (left / 3.9) ** (-3 / 8), 420)
    amplitude = (frequency / 420) ** (2 / 3) * np.where(
        t < merger_s, 1.0, np.exp(-(t - merger_s) / 0.035)
    )
    return _level(amplitude * np.sin(_tone(frequency)) + 0.012 * rng.standard_normal(len(t)))


def siren_wail() -> Floats:
    """A police siren in wail mode: the pitch climbs and falls every two seconds."""
    t = _times(6.0)
    sweep = 0.5 - 0.5 * np.cos(2 * np.pi * t / 2.0)
    phase = _tone(620 * (1500 / 620) ** sweep)
    # Five harmonics: the highest stays below half the sample rate at the top of the sweep.
    voice = sum(np.sin(k * phase) / k for k in (1, 2, 3, 4, 5))
    return _level(np.asarray(voice))


def siren_passing() -> Floats:
    """A two-tone ambulance siren driving past: louder, then lower (Doppler)."""
    t = _times(8.0)
    speed, sound, distance = 25.0, 343.0, 9.0
    along = speed * (t - 4.0)
    path = np.hypot(along, distance)
    towards = -speed * along / path
    tone = np.where((t / 0.6).astype(int) % 2 == 0, 660.0, 880.0)
    smooth = np.convolve(np.pad(tone, 200, mode="edge"), np.ones(401) / 401, mode="valid")
    phase = _tone(smooth / (1 - towards / sound))
    voice = sum(np.sin(k * phase) / k**1.2 for k in (1, 2, 3, 4, 6))
    road = _shaped_noise(len(t), lambda f: 1 / (1 + (f / 350) ** 2), _rng(3))
    return _level((np.asarray(voice) + 0.6 * road) / (path + 6))


def rain() -> Floats:
    """Steady rain: a wash of fine noise and drops with short bubbles' tones."""
    rng, t = _rng(4), _times(7.0)
    wash = _shaped_noise(len(t), lambda f: (f > 400) / (1 + (f / 5200) ** 4), rng)
    slow = _shaped_noise(len(t), lambda f: (f < 0.8).astype(float), rng)
    out = 0.35 * wash * (1 + 0.12 * slow / np.abs(slow).max())
    drop_t = _times(0.03)
    for start in rng.integers(0, len(t) - len(drop_t), 1500):
        pitch, loud = rng.uniform(1800, 6500), rng.exponential(0.35)
        drop = np.sin(2 * np.pi * pitch * drop_t) * np.exp(-drop_t / rng.uniform(0.001, 0.006))
        out[start : start + len(drop_t)] += loud * drop
    return _level(np.tanh(out / 2.5), 0.6)


def thunder() -> Floats:
    """A clap of thunder: a crack, then a long rumble that rolls away."""
    rng, t = _rng(5), _times(7.0)
    crack = _shaped_noise(len(t), lambda f: 1 / (1 + (f / 900) ** 1.5), rng)
    rumble = _shaped_noise(len(t), lambda f: (f > 25) / (1 + (f / 110) ** 2), rng)
    late = np.maximum(t - 0.9, 0)
    out = crack * np.where(t > 0.9, np.exp(-late / 0.22), 0)
    for peak_s, loud, length_s in (
        (1.0, 2.2, 0.5),
        (1.9, 1.3, 0.6),
        (3.1, 0.9, 0.9),
        (4.6, 0.5, 1),
    ):
        out += rumble * loud * np.exp(-0.5 * ((t - peak_s) / length_s) ** 2) * (t > 0.85)
    return _level(out + 0.004 * rng.standard_normal(len(t)), 0.8)


def alarm_beeps() -> Floats:
    """An alarm clock: bursts of four short beeps at 2 kHz."""
    t = _times(5.0)
    inside = (t % 1.0 < 0.62) & ((t % 1.0) % 0.16 < 0.085)
    gate = np.convolve(inside.astype(float), np.ones(48) / 48, mode="same")
    phase = 2 * np.pi * 2048 * t
    return _level(gate * (np.sin(phase) + 0.2 * np.sin(3 * phase)), 0.6)


def engine() -> Floats:
    """A four-stroke engine: idling, then revved twice."""
    rng, t = _rng(6), _times(6.0)
    revs = 14 + 26 * np.exp(-0.5 * ((t - 2.4) / 0.45) ** 2)
    revs = revs + 34 * np.exp(-0.5 * ((t - 4.4) / 0.5) ** 2)
    phase = _tone(2 * revs)  # two firings a turn
    voice = sum(np.sin(k * phase + 0.7 * k * k) / k**0.8 for k in range(1, 26))
    half = 0.7 * np.sin(0.5 * phase) + 0.4 * np.sin(1.5 * phase + 1)
    rough = _shaped_noise(len(t), lambda f: 1 / (1 + (f / 500) ** 1.5), rng)
    beat = 0.55 + 0.45 * np.cos(phase)
    return _level(np.tanh(0.35 * (np.asarray(voice) + half) + 0.9 * beat * rough) * revs**0.3)


def bird_song() -> Floats:
    """A songbird: phrases of rising and falling whistles and a trill."""
    rng, t = _rng(7), _times(7.0)
    out = 0.0015 * rng.standard_normal(len(t))

    def note(start_s: float, length_s: float, low_hz: float, high_hz: float, bend: float) -> None:
        u = _times(length_s) / length_s
        pitch = low_hz + (high_hz - low_hz) * u + bend * np.sin(np.pi * u)
        sound = np.sin(_tone(pitch)) * np.sin(np.pi * u) ** 0.8
        at = round(start_s * RATE_HZ)
        out[at : at + len(sound)] += sound

    for phrase_s in (0.25, 2.55, 4.85):
        for k, (low, high) in enumerate(((4200, 3300), (3500, 4700), (4200, 3300))):
            note(phrase_s + 0.24 * k, 0.19, low, high, 250)
        for k in range(9):
            note(phrase_s + 0.8 + 0.075 * k, 0.058, 5400, 3900, 0)
        note(phrase_s + 1.54, 0.3, 2900, 3700, 700)
    return _level(out)


def crickets() -> Floats:
    """Field crickets: pulses of 4.6 kHz in groups of three, two animals out of step."""
    rng, t = _rng(8), _times(6.0)
    out = 0.01 * _shaped_noise(len(t), lambda f: 1 / (1 + (f / 300) ** 2), rng)
    for pitch, period_s, start_s, loud in ((4600, 0.52, 0.1, 1.0), (4780, 0.61, 0.33, 0.45)):
        inside = (t - start_s) % period_s
        pulse = (inside % 0.042) / 0.042
        gate = np.where(inside < 0.126, np.sin(np.pi * np.minimum(pulse / 0.7, 1.0)), 0.0)
        out += loud * gate * np.sin(2 * np.pi * pitch * t)
    return _level(out, 0.6)


SOUNDS: dict[str, Callable[[], Floats]] = {
    "geiger-clicks.wav": geiger_clicks,
    "gravitational-wave-chirp.wav": gravitational_chirp,
    "siren-wail.ogg": siren_wail,
    "siren-passing.flac": siren_passing,
    "rain.ogg": rain,
    "thunder.ogg": thunder,
    "alarm-beeps.wav": alarm_beeps,
    "engine.flac": engine,
    "bird-song.ogg": bird_song,
    "crickets.ogg": crickets,
}


def encode(samples: Floats, suffix: str) -> bytes:
    """The file's bytes as `.wav` or `.flac` (16 bits) or `.ogg` (Vorbis), always the same."""
    buffer = io.BytesIO()
    kind, subtype = {
        ".wav": ("WAV", "PCM_16"),
        ".flac": ("FLAC", "PCM_16"),
        ".ogg": ("OGG", "VORBIS"),
    }[suffix]
    soundfile.write(buffer, samples, RATE_HZ, format=kind, subtype=subtype)
    data = buffer.getvalue()
    return with_fixed_serial(data) if suffix == ".ogg" else data


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = ((value << 1) ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
        table.append(value)
    return table


def with_fixed_serial(data: bytes, serial: int = 1) -> bytes:
    """An Ogg file with a set stream number in each page instead of the encoder's random one.

    Without this two builds of one sound would differ, and `trawl add` would take the
    second for a change. A page: "OggS", serial at byte 14, checksum at 22, the number
    of segments at 26 and their lengths after it (RFC 3533, section 6).
    """
    table, out, at = _crc_table(), bytearray(data), 0
    while at < len(out):
        if out[at : at + 4] != b"OggS":
            raise ValueError(f"no Ogg page at byte {at}")
        segments = out[at + 26]
        end = at + 27 + segments + sum(out[at + 27 : at + 27 + segments])
        out[at + 14 : at + 18] = serial.to_bytes(4, "little")
        out[at + 22 : at + 26] = bytes(4)
        crc = 0
        for byte in out[at:end]:
            crc = ((crc << 8) & 0xFFFFFFFF) ^ table[(crc >> 24) ^ byte]
        out[at + 22 : at + 26] = crc.to_bytes(4, "little")
        at = end
    return bytes(out)
