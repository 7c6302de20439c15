"""The figures on biology. Every number in them is simulated here."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from parts.canvas import (
    BLUE,
    DIVERGING,
    GREEN,
    HEIGHT_PX,
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
    Point,
    colours,
    ticks,
)
from parts.sounds import RATE_HZ, bird_song


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(20_460 + seed)


def absorption_spectrum() -> Image.Image:
    """Absorption of chlorophyll a, chlorophyll b and carotenoids over a strip of rainbow."""
    canvas = Canvas(WIDTH_PX, HEIGHT_PX)
    axes = Axes(canvas, PLOT, (380, 720), (0, 1.1))
    axes.frame(
        "Absorption spectrum of leaf pigments",
        "Wavelength (nm)",
        "Absorbance (relative)",
        ticks(400, 700, 50),
        ticks(0, 1, 0.2, "{:.1f}"),
    )
    wave = np.linspace(380, 720, 500)

    def bands(*parts: tuple[float, float, float]) -> Floats:
        total = np.zeros_like(wave)
        for at, width, height in parts:
            total += height * np.exp(-0.5 * ((wave - at) / width) ** 2)
        return total / max(1.0, float(total.max()))

    pigments = (
        (
            "chlorophyll a",
            GREEN,
            bands((430, 13, 0.98), (410, 14, 0.5), (662, 10, 0.8), (615, 16, 0.14)),
        ),
        (
            "chlorophyll b",
            BLUE,
            bands((453, 13, 1.0), (430, 15, 0.3), (642, 10, 0.42), (595, 16, 0.1)),
        ),
        ("carotenoids", ORANGE, bands((448, 15, 0.62), (476, 11, 0.58), (425, 13, 0.38))),
    )
    for _, colour, values in pigments:
        axes.fill_under(wave, values, colour, 0.13)
    for _, colour, values in pigments:
        axes.curve(wave, values, colour, 2.6)
    rainbow = (
        "#5a1fae",
        "#3c36d6",
        "#1d7be0",
        "#17b890",
        "#4fbf2a",
        "#d8d021",
        "#ee8a1c",
        "#d92a1c",
        "#a0140f",
    )
    strip = colours(np.linspace(0, 1, 200)[None, :], rainbow)
    canvas.pixels((PLOT[0], PLOT[3] - 12, PLOT[2], PLOT[3]), strip)
    axes.border()
    axes.legend((360, 92), [(name, colour, "line") for name, colour, _ in pigments])
    canvas.text((axes.x(545), axes.y(0.22)), "green light is reflected", 14, MUTED, "middle")
    return canvas.finish()


def gel() -> Image.Image:
    """DNA bands on an agarose gel under ultraviolet light, with a ladder of known sizes."""
    rng = _rng(1)
    width, height = 640, 460
    light = np.full((height, width), 0.075) + rng.normal(0, 0.006, (height, width))
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    ladder = [3000, 2000, 1500, 1200, 1000, 900, 800, 700, 600, 500, 400, 300, 200, 100]
    lanes: list[list[tuple[int, float]]] = [
        [(size, 0.9 if size in (500, 1000, 3000) else 0.5) for size in ladder],
        [(850, 1.0)],
        [(850, 0.9)],
        [(850, 0.55), (480, 0.5), (370, 0.42)],
        [(480, 0.9), (370, 0.75)],
        [(850, 0.5), (480, 0.55), (370, 0.45)],
        [],
    ]
    left, step = 120.0, 72.0
    for lane, fragments in enumerate(lanes):
        x = left + lane * step
        part = np.s_[:, round(x - step / 2) : round(x + step / 2)]
        down, off = rows[part], columns[part] - x
        across = _inside(np.abs(off) / 23, 14)
        light[part] -= 0.055 * np.exp(-(((down - 52) / 4.5) ** 2)) * across
        if fragments:
            light[part] += 0.028 * across * (down > 56) * np.exp(-(down - 56) / 260)
        for size, bright in fragments:
            y = _distance(size) + 1.6 * (off / 24) ** 2
            blur = 3.0 + 1.3 * (_distance(size) / 400)
            light[part] += bright * across * np.exp(-0.5 * ((down - y) / blur) ** 2)
    shade = 1 - 0.35 * ((rows - 230) / 300) ** 2 - 0.25 * ((columns - 320) / 400) ** 2
    shown = np.clip(light * shade, 0, 1) ** 0.85
    tint = np.stack([1.0 * shown**1.25, 0.62 * shown**1.1, 0.34 * shown], axis=-1)
    canvas = Canvas(width, height)
    glow = Image.fromarray((255 * tint).clip(0, 255).astype(np.uint8))
    canvas.pixels((0, 0, width, height), np.asarray(glow.filter(ImageFilter.GaussianBlur(0.7))))
    for size in (3000, 1000, 500, 100):
        canvas.text((84, _distance(size)), f"{size} bp", 14, "#f5e9dc", "right")
    names = ("ladder", "uncut", "A/A", "A/G", "G/G", "A/G", "blank")
    for lane, name in enumerate(names):
        canvas.text((left + lane * step, 24), name, 14, "#f5e9dc", "middle")
    return canvas.finish()


def _distance(size_bp: float) -> float:
    """How far down the gel a fragment runs, in pixels: about linear in log(size)."""
    return 425 - 330 * math.log(size_bp / 90) / math.log(3400 / 90)


class Tree(NamedTuple):
    """A branch: a species or the branches it forks into, and its length."""

    inside: str | tuple[Tree, ...]
    length: float


def _leaf(name: str, length: float) -> Tree:
    return Tree(name, length)


def _fork(length: float, *branches: Tree) -> Tree:
    return Tree(branches, length)


def phylogenetic_tree() -> Image.Image:
    """A rectangular tree of animals with branch lengths and a scale bar."""
    canvas = Canvas(WIDTH_PX, HEIGHT_PX)
    canvas.text((WIDTH_PX / 2, 28), "Phylogenetic tree of vertebrates", 18, align="middle")
    primates = _fork(2.6, _leaf("human", 0.8), _leaf("chimpanzee", 0.8))
    rodents = _fork(2.2, _leaf("mouse", 1.2), _leaf("rat", 1.2))
    mammals = _fork(3.2, _fork(1.3, primates, rodents), _leaf("opossum", 4.9))
    birds = _fork(3.2, _leaf("chicken", 2.6), _leaf("zebra finch", 2.6))
    reptiles = _fork(1.1, _fork(1.3, birds, _leaf("alligator", 5.7)), _leaf("lizard", 7.1))
    land = _fork(1.5, _fork(1.6, mammals, reptiles), _leaf("frog", 9.8))
    root = _fork(0.6, _fork(1.4, land, _leaf("zebrafish", 11.2)), _leaf("shark", 12.6))
    tint = {"human": RED, "chimpanzee": RED, "mouse": RED, "rat": RED, "opossum": RED}
    tint |= {"chicken": BLUE, "zebra finch": BLUE, "alligator": BLUE, "lizard": BLUE}
    leaves = iter(range(12))

    def draw(node: Tree, x: float) -> tuple[float, str]:
        """Draw a subtree starting at column `x`; its middle row and its colour."""
        inside, length = node
        end = x + 34 * length
        if isinstance(inside, str):
            y, colour = 62.0 + 31 * next(leaves), tint.get(inside, INK)
            canvas.text((end + 10, y), inside, 15.5, colour)
        else:
            drawn = [draw(child, end) for child in inside]
            rows, shades = [y for y, _ in drawn], {colour for _, colour in drawn}
            y, colour = sum(rows) / len(rows), shades.pop() if len(shades) == 1 else INK
            canvas.line([(end, min(rows) - 1), (end, max(rows) + 1)], colour, 2.4)
        canvas.line([(x, y), (end, y)], colour, 2.4)
        return y, colour

    draw(root, 44)
    for label, y, colour in (("mammals", 130.0, RED), ("reptiles and birds", 280.0, BLUE)):
        canvas.line([(630, y - 58), (636, y - 58), (636, y + 52), (630, y + 52)], colour, 2)
        canvas.text((656, y - 3), label, 14, colour, "middle", vertical=True)
    canvas.line([(60, 448), (128, 448)], INK, 2)
    canvas.text((94, 434), "0.02 substitutions per site", 12.5, MUTED, "middle")
    return canvas.finish()


def expression_heat_map() -> Image.Image:
    """Expression of thirty genes in eighteen samples, in three clusters, with a colour bar."""
    rng = _rng(2)
    genes, samples = 30, 18
    values = rng.normal(0, 0.42, (genes, samples))
    for rows, columns, shift in (
        (slice(0, 11), slice(0, 6), 1.7),
        (slice(11, 20), slice(6, 12), 1.6),
        (slice(20, 30), slice(12, 18), 1.8),
        (slice(0, 11), slice(12, 18), -1.3),
        (slice(11, 20), slice(0, 6), -1.1),
        (slice(20, 30), slice(6, 12), -1.2),
    ):
        values[rows, columns] += shift + rng.normal(0, 0.25, values[rows, columns].shape)
    canvas = Canvas(WIDTH_PX, HEIGHT_PX)
    box = (118.0, 74.0, 570.0, 420.0)
    canvas.pixels(box, colours((values + 2.5) / 5, DIVERGING))
    wide, high = (box[2] - box[0]) / samples, (box[3] - box[1]) / genes
    for k in range(1, samples):
        x = box[0] + k * wide
        canvas.line([(x, box[1]), (x, box[3])], "#ffffff", 2.4 if k % 6 == 0 else 0.7)
    for k in range(1, genes):
        y = box[1] + k * high
        canvas.line([(box[0], y), (box[2], y)], "#ffffff", 2.4 if k in (11, 20) else 0.7)
    canvas.text((344, 28), "Gene expression heat map", 18, align="middle")
    for k, name in enumerate(("liver", "muscle", "brain")):
        canvas.text((box[0] + (6 * k + 3) * wide, 60), name, 15, align="middle")
    for (start, stop), name in (
        ((0, 11), "cluster 1"),
        ((11, 20), "cluster 2"),
        ((20, 30), "cluster 3"),
    ):
        canvas.text((110, box[1] + (start + stop) / 2 * high), name, 14, align="right")
    canvas.text((344, 446), "samples (six animals for each tissue)", 14, align="middle")
    bar = (604.0, 110.0, 624.0, 384.0)
    canvas.pixels(bar, colours(np.linspace(1, 0, 120)[:, None], DIVERGING))
    canvas.rectangle(bar, outline=INK, width_px=1)
    for value in (-2, -1, 0, 1, 2):
        y = bar[3] - (value + 2.5) / 5 * (bar[3] - bar[1])
        canvas.line([(624, y), (629, y)], INK, 1.2)
        canvas.text((634, y), f"{value:+d}" if value else "0", 13)
    canvas.text((678, 247), "log_{2} fold change", 14, align="middle", vertical=True)
    return canvas.finish()


def protein_network() -> Image.Image:
    """Proteins as nodes and interactions as lines: three modules and the hubs that join them."""
    rng = _rng(3)
    centres = ((215.0, 190.0), (500.0, 165.0), (390.0, 352.0))
    tints = (BLUE, ORANGE, GREEN)
    group = np.repeat(np.arange(3), (15, 13, 12))
    place = np.array([centres[g] for g in group]) + rng.normal(0, 30, (len(group), 2))
    edges = {
        (a, b)
        for a in range(len(group))
        for b in range(a + 1, len(group))
        if rng.random() < (0.24 if group[a] == group[b] else 0.010)
    }
    hubs = (0, 15, 28)
    edges |= {(h, int(k)) for h in hubs for k in np.flatnonzero(group == group[h])[1:9]}
    edges |= {(0, 15), (15, 28), (0, 28)}
    for _ in range(260):  # Fruchterman and Reingold: nodes repel, lines pull.
        delta = place[:, None] - place[None]
        apart = np.hypot(delta[..., 0], delta[..., 1]) + 1.0
        move = (delta / apart[..., None] * (95 / apart)[..., None]).sum(axis=1)
        for a, b in edges:
            pull = (place[a] - place[b]) * 0.028
            move[a] -= pull
            move[b] += pull
        move += (np.array([centres[g] for g in group]) - place) * 0.10
        place += np.clip(move, -8, 8) * 0.4
    place = place.clip((40, 70), (WIDTH_PX - 40, HEIGHT_PX - 40))
    canvas = Canvas(WIDTH_PX, HEIGHT_PX)
    canvas.text((WIDTH_PX / 2, 26), "Protein interaction network", 18, align="middle")
    at: list[Point] = [(float(x), float(y)) for x, y in place]
    degree = np.bincount(np.array(sorted(edges)).ravel(), minlength=len(group))
    for a, b in sorted(edges):
        canvas.line([at[a], at[b]], "#c3cad3" if group[a] == group[b] else "#8a94a1", 1.3)
    for k, point in enumerate(at):
        radius = 5 + 0.95 * float(degree[k])
        canvas.circle(point, radius + 1.3, "white")
        canvas.circle(point, radius, tints[group[k]])
    names = ("DNA repair", "ribosome", "cell cycle")
    for k, (name, colour) in enumerate(zip(names, tints, strict=True)):
        canvas.circle((32, 404 + 22 * k), 6, colour)
        canvas.text((46, 404 + 22 * k), name, 14)
    return canvas.finish()


def cell_micrograph() -> Image.Image:
    """Fluorescent cells: blue nuclei, green threads of actin, red mitochondria."""
    rng = _rng(4)
    width, height, reach = 640, 460, 125
    light = np.zeros((height + 2 * reach, width + 2 * reach, 3))
    centres = ((110, 120), (300, 90), (500, 130), (200, 270), (400, 260), (575, 300), (80, 395))
    for x, y in (*centres, (300, 405), (480, 415)):
        left, top = round(x + rng.normal(0, 12)), round(y + rng.normal(0, 12))
        part = np.s_[top : top + 2 * reach, left : left + 2 * reach]
        light[part] += _cell(rng, reach)
    light = light[reach:-reach, reach:-reach] + rng.normal(0.02, 0.018, (height, width, 3))
    shown = (255 * np.clip(light, 0, 1) ** 0.9).astype(np.uint8)
    canvas = Canvas(width, height)
    smooth = Image.fromarray(shown).filter(ImageFilter.GaussianBlur(0.8))
    canvas.pixels((0, 0, width, height), np.asarray(smooth))
    canvas.line([(540, 436), (620, 436)], "#ffffff", 3)
    canvas.text((580, 420), "20 microns", 13, "#ffffff", "middle")
    return canvas.finish()


def _cell(rng: np.random.Generator, reach: int) -> Floats:
    """The light of one cell, float64 [2 reach, 2 reach, 3]: mitochondria, actin, nucleus."""
    rows, columns = np.mgrid[-reach:reach, -reach:reach].astype(np.float64)
    angle, size = rng.uniform(0, math.pi), rng.uniform(74, 96)
    along = columns * math.cos(angle) + rows * math.sin(angle)
    across = rows * math.cos(angle) - columns * math.sin(angle)
    bearing, (lobes, dents) = np.arctan2(across, along), rng.uniform(0, 2 * math.pi, 2)
    wobble = 1 + 0.13 * np.sin(3 * bearing + lobes) + 0.08 * np.sin(5 * bearing + dents)
    radius = np.hypot(along, across * 1.5) / (size * wobble)
    body = _inside(radius, 22)
    threads = np.zeros_like(along)
    for middle, bend in zip(np.linspace(-50, 50, 17), rng.normal(0, 1, 17), strict=True):
        threads += np.exp(-0.5 * ((across - middle + 0.0016 * bend * along**2) / 1.1) ** 2)
    rim = np.exp(-0.5 * ((radius - 0.97) / 0.035) ** 2)
    nucleus = _inside(np.hypot(along, across * 1.22) / (0.31 * size), 26)
    green = body * (0.10 + 0.42 * threads) * (0.55 + 0.45 * radius) + 0.5 * rim
    green *= 1 - 0.7 * nucleus
    blue = nucleus * (0.78 + 0.12 * np.sin(along / 4.3) * np.sin(across / 3.7))
    red = np.zeros_like(along)
    for _ in range(70):
        far, where = rng.uniform(0.36, 0.82) * size, rng.uniform(0, 2 * math.pi)
        x, y = far * math.cos(where), far * math.sin(where) / 1.5
        turn = where + math.pi / 2 + rng.normal(0, 0.5) + angle
        column = round(reach + x * math.cos(angle) - y * math.sin(angle))
        row = round(reach + x * math.sin(angle) + y * math.cos(angle))
        part = np.s_[max(0, row - 14) : row + 15, max(0, column - 14) : column + 15]
        dx, dy = columns[part] - (column - reach), rows[part] - (row - reach)
        u = dx * math.cos(turn) + dy * math.sin(turn)
        v = dy * math.cos(turn) - dx * math.sin(turn) - 0.05 * u**2
        red[part] += 0.75 * np.exp(-0.5 * ((u / 4.6) ** 2 + (v / 1.25) ** 2))
    return np.stack([red + 0.12 * blue, green + 0.22 * blue, 1.15 * blue], axis=-1)


def _inside(radius: Floats, steepness: float) -> Floats:
    """1 inside the unit radius, 0 outside, with a soft edge."""
    return np.asarray(0.5 - 0.5 * np.tanh((radius - 1) * steepness / 2), dtype=np.float64)


def bird_spectrogram() -> Image.Image:
    """Time and frequency of the synthesised bird song: whistles and a trill."""
    samples = bird_song()
    size, hop = 512, 64
    window = np.hanning(size)
    starts = range(0, len(samples) - size, hop)
    power = np.array([np.abs(np.fft.rfft(samples[s : s + size] * window)) ** 2 for s in starts])
    level = 10 * np.log10(power + 1e-5)
    top, floor = level.max(), level.max() - 55
    canvas = Canvas(WIDTH_PX, HEIGHT_PX)
    seconds = len(samples) / RATE_HZ
    axes = Axes(canvas, PLOT, (0, seconds), (0, RATE_HZ / 2000))
    picture = Image.fromarray(
        255 - colours((level.T[::-1] - floor) / (top - floor), ("#000000", "#ffffff"))
    ).resize((602, 364), Image.Resampling.BICUBIC)
    canvas.pixels(PLOT, np.asarray(picture))
    axes.frame(
        "Sonogram of a bird song",
        "Time (seconds)",
        "Frequency (kHz)",
        ticks(0, math.floor(seconds), 1),
        ticks(0, 8, 2),
        grid=False,
    )
    for name, at_s in (("whistles", 2.9), ("trill", 3.68), ("whistle", 4.27)):
        canvas.text((axes.x(at_s), axes.y(6.5)), name, 13.5, RED, "middle")
    return canvas.finish()


def allometry() -> Image.Image:
    """Metabolic rate against body mass of animals on logarithmic axes: Kleiber's law."""
    rng = _rng(5)
    canvas = Canvas(WIDTH_PX, HEIGHT_PX)
    axes = Axes(canvas, PLOT, (0.01, 10000), (0.1, 10000), x_log=True, y_log=True)
    axes.frame(
        "Metabolic rate against body mass",
        "Body mass (kg)",
        "Resting metabolic rate (W)",
        [(10.0**n, f"10^{{{n}}}" if n < 0 else f"{10**n}") for n in range(-2, 5)],
        [(10.0**n, f"10^{{{n}}}" if n < 0 else f"{10**n}") for n in range(-1, 5)],
    )
    line = np.array([0.012, 9000.0])
    axes.curve(line, 3.4 * line**0.75, INK, 2.0)
    for lowest, highest, count, shift, colour in (
        (0.02, 6000.0, 34, 1.0, PURPLE),
        (0.015, 80.0, 22, 1.35, TEAL),
    ):
        mass = 10 ** rng.uniform(math.log10(lowest), math.log10(highest), count)
        rate = shift * 3.2 * mass**0.75 * 10 ** rng.normal(0, 0.11, count)
        axes.dots(mass, rate, colour, 4.2)
    axes.legend(
        (110, 84),
        [("mammals", PURPLE, "dot"), ("birds", TEAL, "dot"), ("slope 3/4 (Kleiber)", INK, "line")],
    )
    return canvas.finish()
