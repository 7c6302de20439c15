"""Pictures without axes: particle tracks, a collision, a field of galaxies. All simulated."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageFilter

from parts.canvas import HEIGHT_PX, WIDTH_PX, Canvas, Floats, Point


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(20_260 + seed)


def _helix(start: Point, angle: float, radius: float, turn: float) -> list[Point]:
    """A circular track: from `start` along `angle`, turning by `turn` radians."""
    side = math.copysign(1.0, turn)
    cx = start[0] - side * radius * math.sin(angle)
    cy = start[1] + side * radius * math.cos(angle)
    steps = np.linspace(0.0, turn, 90)
    phi = angle - side * math.pi / 2 + steps
    return [(cx + radius * math.cos(p), cy + radius * math.sin(p)) for p in phi]


def muon_decay_track() -> Image.Image:
    """A chamber picture: a muon comes in, stops, and an electron leaves at a sharp kink."""
    rng = _rng(2)
    canvas = Canvas(WIDTH_PX, HEIGHT_PX, "#10161f")
    for _ in range(650):
        x, y = rng.uniform(0, WIDTH_PX), rng.uniform(0, HEIGHT_PX)
        canvas.circle((x, y), rng.uniform(0.4, 1.0), "#2c3948")
    # Background muons pass straight through, far from the decay.
    for x0, slope in ((640.0, 0.07), (690.0, -0.04), (50.0, 0.06)):
        _droplets(canvas, [(x0 + slope * y, y) for y in np.linspace(0, 480, 170)], 0.7, 0.8, rng)
    muon = _helix((196, 0), math.radians(72), 520, -0.55)
    stop = muon[-1]
    # A slowing particle ionises more: the drops grow towards the end of the range.
    _droplets(canvas, muon, 1.0, 3.1, rng)
    electron = _helix(stop, math.radians(98), 250, -1.45)
    _droplets(canvas, electron, 1.0, 0.9, rng)
    canvas.circle(stop, 17, outline="#ffd166", width_px=1.6)
    canvas.text((238, 130), "incoming muon", 16, "#9fd3ff", "right")
    canvas.text((stop[0] - 28, stop[1] + 22), "muon stops and decays", 16, "#ffd166", "right")
    canvas.text((440, 330), "decay electron", 16, "#ffa69e")
    canvas.text((440, 352), "(two neutrinos unseen)", 13, "#8b97a5")
    canvas.line([(110, 452), (210, 452)], "#d5dbe2", 2)
    canvas.text((160, 438), "5 cm", 13, "#d5dbe2", "middle")
    return canvas.finish()


def _droplets(
    canvas: Canvas, path: list[Point], first_px: float, last_px: float, rng: np.random.Generator
) -> None:
    """Draw a track as droplets whose size grows from one end to the other."""
    for i, (x, y) in enumerate(path):
        size = first_px + (last_px - first_px) * (i / len(path)) ** 2
        for _ in range(1 + round(2 * size)):
            at = (x + rng.normal(0, 0.45 * size), y + rng.normal(0, 1.2))
            canvas.circle(at, rng.uniform(0.5, 0.7 + 0.4 * size), "#e8eef5")


def event_display() -> Image.Image:
    """A collision seen along the beam: curved tracks, two jets, two straight muons."""
    rng = _rng(5)
    canvas = Canvas(600, 600, "#0c1016")
    centre = (300.0, 300.0)
    for radius, colour in ((262, "#26313f"), (206, "#2f4034"), (150, "#4a3a28"), (112, "#253649")):
        canvas.circle(centre, radius, outline=colour, width_px=2.0)
    for k in range(12):
        a = k * math.pi / 6 + 0.13
        inner, outer = _polar(centre, 210, a), _polar(centre, 258, a)
        canvas.line([inner, outer], "#26313f", 2.0)
    jets = (0.62, 3.55)
    tracks: list[tuple[float, float]] = [
        (jet + rng.normal(0, 0.13), rng.uniform(160, 900)) for jet in jets for _ in range(11)
    ]
    tracks += [(a, rng.uniform(60, 240)) for a in rng.uniform(0, 2 * math.pi, 18)]
    for angle, bend in tracks:
        _track(canvas, centre, angle, bend * rng.choice((-1.0, 1.0)), 110, "#f2b84b", 1.3)
    _energy(canvas, centre, jets, rng)
    for angle in (1.92, 4.98):
        _track(canvas, centre, angle, 2600.0, 280, "#ff4d4d", 3.0)
        for radius in (222, 246):
            across = angle + 0.02
            ends = [_polar(centre, radius, across - 0.09), _polar(centre, radius, across + 0.09)]
            canvas.line(ends, "#ff8080", 5.0)
    canvas.circle(centre, 3.0, "#ffffff")
    canvas.text((20, 26), "Collision event, view along the beam", 16, "#e8eef5")
    legend = (("charged tracks", "#f2b84b"), ("muons", "#ff4d4d"))
    more = (("electromagnetic energy", "#58c98b"), ("hadronic energy", "#5aa2e8"))
    for i, (label, colour) in enumerate(legend + more):
        canvas.line([(20, 516 + 21 * i), (42, 516 + 21 * i)], colour, 3.5)
        canvas.text((50, 516 + 21 * i), label, 13, "#c4ccd6")
    return canvas.finish()


def _polar(centre: Point, radius: float, angle: float) -> Point:
    return (centre[0] + radius * math.cos(angle), centre[1] - radius * math.sin(angle))


def _track(
    canvas: Canvas,
    centre: Point,
    angle: float,
    bend: float,
    reach: float,
    colour: str,
    width_px: float,
) -> None:
    """A track bent by the field with a radius of `bend` pixels, out to `reach` pixels."""
    reach = min(reach, 1.9 * abs(bend))
    radii = np.linspace(0, reach, 60)
    path = [_polar(centre, r, angle + math.asin(r / (2 * bend))) for r in radii]
    canvas.line(path, colour, width_px)


def _energy(
    canvas: Canvas, centre: Point, jets: tuple[float, float], rng: np.random.Generator
) -> None:
    """Calorimeter towers: bars outwards, tall where the jets went."""
    step = 2 * math.pi / 72
    for k in range(72):
        angle = k * step
        near = sum(math.exp(-0.5 * (_turn(angle - jet) / 0.16) ** 2) for jet in jets)
        for inner, scale, colour in ((116, 30, "#58c98b"), (154, 46, "#5aa2e8")):
            height = scale * (near * rng.uniform(0.55, 1.0) + rng.exponential(0.035))
            if height < 1.5:
                continue
            a, b = angle - 0.42 * step, angle + 0.42 * step
            corners = [(inner, a), (inner + height, a), (inner + height, b), (inner, b)]
            canvas.polygon([_polar(centre, r, t) for r, t in corners], colour)


def _turn(angle: float) -> float:
    """An angle brought into -pi..pi."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


def galaxy_field() -> Image.Image:
    """A deep field: spirals, ellipticals, faint smudges and stars with diffraction spikes."""
    rng = _rng(8)
    height, width = 440, 640
    light = rng.normal(0.020, 0.006, (height, width, 3)).clip(0)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    for _ in range(260):
        size = 0.8 + rng.exponential(1.3)
        _blob(light, rows, columns, rng, size, rng.uniform(0.08, 0.45))
    for _ in range(22):
        _blob(light, rows, columns, rng, rng.uniform(3.5, 8), rng.uniform(0.4, 0.9))
    spirals = ((300.0, 215.0, 62.0), (520.0, 96.0, 34.0), (120.0, 350.0, 38.0), (90.0, 90.0, 22.0))
    for x, y, size in spirals:
        _spiral(light, rows, columns, (x, y), size, rng)
    for x, y in ((430.0, 330.0), (215.0, 70.0), (585.0, 390.0)):
        _star(light, rows, columns, (x, y), rng.uniform(0.8, 1.2))
    shown = np.clip(1.06 * np.arcsinh(3.2 * light) / math.asinh(3.2), 0, 1)
    picture = Image.fromarray((255 * shown).astype(np.uint8))
    return picture.filter(ImageFilter.GaussianBlur(0.55))


def _blob(
    light: Floats,
    rows: Floats,
    columns: Floats,
    rng: np.random.Generator,
    size: float,
    bright: float,
) -> None:
    """Add one smooth elliptical galaxy at a random place (exponential profile)."""
    height, width = rows.shape
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    angle, flat = rng.uniform(0, math.pi), rng.uniform(0.35, 1.0)
    reach = math.ceil(7 * size)
    part = np.s_[
        max(0, int(y) - reach) : min(height, int(y) + reach + 1),
        max(0, int(x) - reach) : min(width, int(x) + reach + 1),
    ]
    dx, dy = columns[part] - x, rows[part] - y
    along = dx * math.cos(angle) + dy * math.sin(angle)
    across = (-dx * math.sin(angle) + dy * math.cos(angle)) / flat
    tint = np.array([1.0, rng.uniform(0.72, 0.95), rng.uniform(0.45, 1.05)])
    light[part] += bright * np.exp(-np.hypot(along, across) / size)[..., None] * tint


def _spiral(
    light: Floats,
    rows: Floats,
    columns: Floats,
    centre: Point,
    size: float,
    rng: np.random.Generator,
) -> None:
    """Add one two-armed spiral: a yellow bulge, blue logarithmic arms, knots of young stars."""
    tilt, flat = rng.uniform(0, math.pi), rng.uniform(0.55, 0.85)
    dx, dy = columns - centre[0], rows - centre[1]
    along = dx * math.cos(tilt) + dy * math.sin(tilt)
    across = (-dx * math.sin(tilt) + dy * math.cos(tilt)) / flat
    radius, angle = np.hypot(along, across) + 1e-6, np.arctan2(across, along)
    phase = 2 * angle - 5.2 * np.log(radius / size + 0.12)
    disc = np.exp(-radius / (0.42 * size))
    arms = disc * (0.25 + 0.75 * (0.5 + 0.5 * np.cos(phase)) ** 3)
    knots = arms * (rng.random(radius.shape) > 0.985)
    bulge = np.exp(-((radius / (0.13 * size)) ** 1.1))
    for tint, part in (((0.62, 0.78, 1.0), 1.0 * arms), ((1.0, 0.9, 0.68), 1.1 * bulge)):
        light += part[..., None] * np.array(tint)
    light += 0.9 * knots[..., None] * np.array((0.9, 0.7, 1.0))


def _star(light: Floats, rows: Floats, columns: Floats, centre: Point, bright: float) -> None:
    """Add a foreground star with a cross of diffraction spikes."""
    dx, dy = np.abs(columns - centre[0]), np.abs(rows - centre[1])
    core = 1.6 * np.exp(-((dx**2 + dy**2) / 9.0))
    spikes = np.exp(-dx / 9 - dy / 0.8) + np.exp(-dy / 9 - dx / 0.8)
    light += (bright * (core + 0.8 * spikes))[..., None] * np.array((0.95, 0.97, 1.0))
