"""The figures on physics, astronomy and sound. Every number in them is simulated here."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from parts.canvas import (
    BLUE,
    GREEN,
    HEIGHT_PX,
    INFERNO_LIKE,
    INK,
    MUTED,
    ORANGE,
    PLOT,
    PURPLE,
    RED,
    TEAL,
    WIDTH_PX,
    Axes,
    Canvas,
    Floats,
    colours,
    powers_of_ten,
    ticks,
)
from parts.sounds import RATE_HZ, gravitational_chirp


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(20_260 + seed)


def muon_decay_curve() -> Image.Image:
    """Times between a stopped muon and its electron, with the fit: lifetime and background."""
    rng = _rng(1)
    canvas = Canvas(WIDTH_PX, HEIGHT_PX)
    axes = Axes(canvas, PLOT, (0, 20), (1, 3000), y_log=True)
    axes.frame(
        "Decay of stopped cosmic-ray muons",
        "Time from stop to decay electron (microseconds)",
        "Decays per 0.5 microseconds",
        ticks(0, 20, 4),
        powers_of_ten(0, 3),
    )
    edges = np.arange(0.5, 20.01, 0.5)
    middles = (edges[:-1] + edges[1:]) / 2
    expected = 1900 * np.exp(-middles / 2.197) + 6
    counts = rng.poisson(expected).astype(float)
    smooth = np.linspace(0.5, 20, 300)
    axes.curve(smooth, np.full_like(smooth, 6.0), MUTED, 1.8, (6, 5))
    axes.curve(smooth, 1900 * np.exp(-smooth / 2.197) + 6, RED)
    keep = counts > 0
    axes.dots(middles[keep], counts[keep], INK, errors=np.sqrt(counts[keep]))
    axes.legend(
        (400, 86),
        [
            ("measured decays", INK, "dot"),
            ("fit: lifetime 2.20 microseconds", RED, "line"),
            ("accidental background", MUTED, "dash"),
        ],
    )
    return canvas.finish()


def invariant_mass_peak() -> Image.Image:
    """Two-photon masses: a narrow Higgs peak on a falling background."""
    rng = _rng(3)
    canvas = Canvas(WIDTH_PX, HEIGHT_PX)
    axes = Axes(canvas, PLOT, (100, 160), (0, 1600))
    axes.frame(
        "Higgs boson in two photons",
        "Invariant mass of the two photons (GeV)",
        "Events per 2 GeV",
        ticks(100, 160, 10),
        ticks(0, 1600, 400),
    )
    smooth = np.linspace(100, 160, 400)

    def background(mass: Floats) -> Floats:
        return np.asarray(1350 * np.exp(-(mass - 100) / 34), dtype=np.float64)

    def signal(mass: Floats) -> Floats:
        return np.asarray(210 * np.exp(-0.5 * ((mass - 125.1) / 1.9) ** 2), dtype=np.float64)

    axes.fill_under(smooth, background(smooth) + signal(smooth), RED, 0.16)
    axes.fill_under(smooth, background(smooth), "#ffffff", 1.0)
    axes.curve(smooth, background(smooth), BLUE, 2.0, (7, 5))
    axes.curve(smooth, background(smooth) + signal(smooth), RED)
    masses = np.arange(101.0, 160.0, 2.0)
    counts = rng.poisson(background(masses) + signal(masses)).astype(float)
    axes.dots(masses, counts, INK, errors=np.sqrt(counts))
    canvas.line([(axes.x(127.2), axes.y(850)), (axes.x(132), axes.y(980))], MUTED, 1.2)
    canvas.text((axes.x(132.5), axes.y(1010)), "resonance at 125 GeV", 14, RED)
    axes.legend(
        (470, 88),
        [
            ("data", INK, "dot"),
            ("signal + background", RED, "line"),
            ("background alone", BLUE, "dash"),
        ],
    )
    return canvas.finish()


def dimuon_spectrum() -> Image.Image:
    """Muon pairs around the Z boson: a Breit-Wigner peak as a filled histogram."""
    rng = _rng(4)
    canvas = Canvas(WIDTH_PX, HEIGHT_PX)
    axes = Axes(canvas, PLOT, (60, 120), (0, 5000))
    axes.frame(
        "Z boson decaying to two muons",
        "Invariant mass of the muon pair (GeV)",
        "Events per 1 GeV",
        ticks(60, 120, 10),
        ticks(0, 5000, 1000),
    )
    edges = np.arange(60.0, 120.5, 1.0)
    middles = (edges[:-1] + edges[1:]) / 2
    fine = np.linspace(60, 120, 1201)
    width, mass = 2.495, 91.19
    peak = 1 / ((fine**2 - mass**2) ** 2 + (mass * width) ** 2)
    kernel = np.exp(-0.5 * (np.arange(-60, 61) * 0.05 / 1.3) ** 2)
    blurred = np.convolve(peak, kernel / kernel.sum(), mode="same")
    expected = 4450 * np.interp(middles, fine, blurred / blurred.max())
    counts = rng.poisson(expected + 60 * np.exp(-(middles - 60) / 25)).astype(float)
    axes.bars(edges, counts, "#9fbfe0", BLUE)
    x = axes.x(mass)
    canvas.line([(x, 58), (x, 420)], RED, 1.6, (6, 5))
    canvas.text((x + 34, 84), "91.2 GeV", 15, RED)
    canvas.text((x + 34, 108), "width 2.5 GeV", 14, MUTED)
    axes.border()
    return canvas.finish()


def geiger_histogram() -> Image.Image:
    """Clicks in ten-second intervals, with the Poisson distribution of the same mean."""
    rng = _rng(6)
    canvas = Canvas(WIDTH_PX, HEIGHT_PX)
    axes = Axes(canvas, PLOT, (-0.5, 15.5), (0, 100))
    axes.frame(
        "Geiger counter: clicks in 10 seconds",
        "Clicks in one interval",
        "Intervals",
        ticks(0, 15, 1),
        ticks(0, 100, 20),
    )
    clicks = rng.poisson(4.8, 400)
    counts = np.bincount(clicks, minlength=16)[:16].astype(float)
    axes.bars(np.arange(-0.5, 16.0), counts, "#bfe0d0", GREEN)
    values = np.arange(16.0)
    factorials = np.array([math.factorial(k) for k in range(16)], dtype=float)
    model = 400 * np.exp(-4.8) * 4.8**values / factorials
    axes.dots(values, counts, INK, errors=np.sqrt(counts))
    axes.curve(values, model, ORANGE, 2.2)
    axes.legend((450, 88), [("400 intervals", INK, "dot"), ("Poisson, mean 4.8", ORANGE, "line")])
    axes.border()
    return canvas.finish()


def half_life_fit() -> Image.Image:
    """Activity against time on a logarithmic scale, with the straight line fitted."""
    rng = _rng(7)
    canvas = Canvas(WIDTH_PX, HEIGHT_PX)
    axes = Axes(canvas, PLOT, (0, 14), (50, 2000), y_log=True)
    axes.frame(
        "Barium-137m: activity against time",
        "Time (minutes)",
        "Counts per 30 seconds",
        ticks(0, 14, 2),
        [(50, "50"), (100, "100"), (200, "200"), (500, "500"), (1000, "1000"), (2000, "2000")],
    )
    minutes = np.arange(0.5, 14.0, 0.75)
    background = 8.0
    expected = 1600 * 2 ** (-minutes / 2.552) + background
    counts = rng.poisson(expected).astype(float) - background
    keep = counts > 55
    slope, offset = np.polyfit(minutes[keep], np.log(counts[keep]), 1, w=np.sqrt(counts[keep]))
    smooth = np.linspace(0, -(offset - math.log(52)) / slope, 60)
    axes.curve(smooth, np.exp(offset + slope * smooth), BLUE)
    axes.dots(minutes[keep], counts[keep], RED, 3.8, np.sqrt(counts[keep]))
    half = 800.0
    at = (math.log(half) - offset) / slope
    axes.curve(np.array([0.0, at]), np.array([half, half]), MUTED, 1.4, (5, 4))
    axes.curve(np.array([at, at]), np.array([half, 50.0]), MUTED, 1.4, (5, 4))
    axes.legend(
        (386, 88),
        [
            ("counts less background", RED, "dot"),
            (f"fit: half-life {-math.log(2) / slope:.2f} minutes", BLUE, "line"),
        ],
    )
    return canvas.finish()


def chirp_spectrogram() -> Image.Image:
    """Time and frequency of the synthesised gravitational-wave chirp."""
    samples = gravitational_chirp()
    size, hop = 1024, 128
    window = np.hanning(size)
    starts = range(0, len(samples) - size, hop)
    power = np.array([np.abs(np.fft.rfft(samples[s : s + size] * window)) ** 2 for s in starts])
    top_hz = 600
    keep = round(top_hz * size / RATE_HZ)
    level = 10 * np.log10(power[:, :keep] + 1e-6)
    share = (level - np.percentile(level, 30)) / (level.max() - np.percentile(level, 30))
    canvas = Canvas(WIDTH_PX, HEIGHT_PX)
    seconds = len(samples) / RATE_HZ
    axes = Axes(canvas, PLOT, (0, seconds), (0, top_hz))
    picture = Image.fromarray(colours(share.T[::-1], INFERNO_LIKE)).resize(
        (602, 364), Image.Resampling.BICUBIC
    )
    canvas.pixels(PLOT, np.asarray(picture))
    axes.frame(
        "Spectrogram of a gravitational-wave chirp",
        "Time (seconds)",
        "Frequency (Hz)",
        ticks(0, math.floor(seconds), 1),
        ticks(0, top_hz, 100),
        grid=False,
    )
    return canvas.finish()


def phase_diagram() -> Image.Image:
    """Pressure and temperature of water: solid, liquid, gas, triple and critical points."""
    canvas = Canvas(WIDTH_PX, HEIGHT_PX)
    axes = Axes(canvas, PLOT, (-50, 450), (1e-3, 1e4), y_log=True)
    boil = np.linspace(0.01, 373.9, 120)
    # Clausius-Clapeyron through the triple point (0.0061 bar) and the critical point (221 bar).
    rate = math.log(220.6 / 0.00612) / (1 / 273.16 - 1 / 647.1)
    vapour = 0.00612 * np.exp(rate * (1 / 273.16 - 1 / (boil + 273.15)))
    cold = np.linspace(-20.2, 0.01, 60)
    frost = 0.00612 * np.exp(6140 * (1 / 273.16 - 1 / (cold + 273.15)))
    # Melting of ice I, III, V and VI (IAPWS): it leans left, then right.
    melt_t = np.array([0.01, -2.0, -8.0, -22.0, -17.0, 0.16, 27.0])
    melt_p = np.array([0.00612, 270.0, 1000.0, 2099.0, 3501.0, 6324.0, 10000.0])
    top, bottom, left, right = PLOT[1], PLOT[3], PLOT[0], PLOT[2]
    boil_path, cold_path = axes.points(boil, vapour), axes.points(cold, frost)
    melt_path = axes.points(melt_t, melt_p)
    canvas.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], "#d9ecfb")
    gas = [*cold_path, *boil_path, (right, boil_path[-1][1]), (right, bottom), (left, bottom)]
    canvas.polygon(gas, "#fdebd2")
    canvas.polygon([(left, bottom), *cold_path, *melt_path, (left, top)], "#e4e4f4")
    corner = boil_path[-1]
    canvas.polygon([corner, (corner[0], top), (right, top), (right, corner[1])], "#e9f3df")
    axes.frame(
        "Phase diagram of water",
        "Temperature (degrees Celsius)",
        "Pressure (bar)",
        ticks(0, 400, 100),
        powers_of_ten(-3, 4),
        grid=False,
    )
    for path, colour in ((boil_path, RED), (cold_path, PURPLE), (melt_path, BLUE)):
        canvas.line(path, colour, 2.6)
    canvas.line([(corner[0], top), corner, (right, corner[1])], GREEN, 1.6, (6, 5))
    for name, at, x in (("solid", 250.0, -26.0), ("liquid", 150.0, 140.0), ("gas", 330.0, 250.0)):
        canvas.text((axes.x(x), at), name, 19 if name != "solid" else 16, align="middle")
    canvas.text((axes.x(412), 88), "supercritical", 14, align="middle")
    for (x, y), label, dx, dy in (
        (cold_path[-1], "triple point (0.01 °C, 0.006 bar)", 10, 13),
        (corner, "critical point (374 °C, 221 bar)", -12, 56),
    ):
        canvas.circle((x, y), 5, INK)
        canvas.text((x + dx, y + dy), label, 13, align="left" if dx > 0 else "middle")
    return canvas.finish()


def doppler_curve() -> Image.Image:
    """The pitch heard from a siren driving past at three distances."""
    canvas = Canvas(WIDTH_PX, HEIGHT_PX)
    axes = Axes(canvas, PLOT, (-6, 6), (620, 800))
    axes.frame(
        "Doppler effect: a 700 Hz siren passes at 90 km/h",
        "Time from the moment of passing (seconds)",
        "Frequency heard (Hz)",
        ticks(-6, 6, 2),
        ticks(620, 800, 30),
    )
    seconds, speed, sound = np.linspace(-6, 6, 500), 25.0, 343.0
    for distance, colour in ((5.0, RED), (20.0, ORANGE), (60.0, TEAL)):
        towards = -speed * (speed * seconds) / np.hypot(speed * seconds, distance)
        axes.curve(seconds, 700 / (1 - towards / sound), colour, 2.6)
    axes.curve(np.array([-6.0, 6.0]), np.array([700.0, 700.0]), MUTED, 1.6, (6, 5))
    axes.legend(
        (450, 88),
        [
            ("listener 5 m from the road", RED, "line"),
            ("20 m", ORANGE, "line"),
            ("60 m", TEAL, "line"),
            ("siren at rest", MUTED, "dash"),
        ],
    )
    return canvas.finish()
