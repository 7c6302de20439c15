"""Generated pictures without axes: networks, trees, detectors, microscopes, skies, shapes.

Like the plots, every function draws one kind and returns a phrase for its caption.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from figure_plots import COUNTS, Names
from figure_style import FINE, Axes, Canvas, Colour, blend

COLOURS: dict[str, Colour] = {
    "red": (220, 30, 30),
    "green": (30, 160, 50),
    "blue": (35, 70, 220),
    "yellow": (250, 220, 30),
    "orange": (255, 140, 20),
    "purple": (130, 40, 170),
    "black": (15, 15, 15),
    "white": (250, 250, 250),
    "grey": (130, 130, 130),
    "brown": (125, 75, 35),
    "pink": (255, 130, 180),
    "cyan": (30, 200, 220),
}


def network(canvas: Canvas, names: Names) -> str:
    """Draw nodes joined by edges, in a ring, at random or around hubs."""
    rng, style = canvas.rng, canvas.style
    count = int(rng.integers(6, 26))
    reach = 0.42 * np.array([canvas.width, canvas.height])
    if rng.random() < 0.35:
        turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
        spots = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    else:
        spots = rng.uniform(-1, 1, (count, 2))
        for _ in range(12):
            away = spots[:, None] - spots[None]
            push = away / (np.square(away).sum(-1, keepdims=True) + 0.02)
            spots = np.clip(spots + 0.02 * push.sum(1) / np.sqrt(count), -1, 1)
    spots = spots * reach + np.array([canvas.width, canvas.height]) / 2
    near = np.argsort(np.square(spots[:, None] - spots[None]).sum(-1), axis=1)
    edge = blend(style.paper, style.ink, rng.uniform(0.3, 0.9))
    directed = rng.random() < 0.25
    for i in range(count):
        others = [*near[i, 1 : 1 + int(rng.integers(1, 4))]]
        if rng.random() < 0.2:
            others.append(int(rng.integers(count)))
        for j in others:
            canvas.line(np.stack([spots[i], spots[j]]), edge, max(1, style.line_px * 0.6))
            if directed:
                canvas.disc(spots[i] + 0.85 * (spots[j] - spots[i]), 5, edge)
    size = rng.uniform(4, 11, count) if rng.random() < 0.5 else np.full(count, rng.uniform(5, 11))
    groups = rng.integers(1, 5)
    for i in range(count):
        colour = style.palette[int(rng.integers(groups)) % len(style.palette)]
        canvas.disc(spots[i], size[i] * FINE / 1.5, colour, style.ink if style.edge else None)
        if style.labels and size[i] > 6:
            canvas.text(tuple(spots[i]), chr(65 + i), scale=0.8)
    return "with arrows" if directed else "of nodes and edges"


def tree(canvas: Canvas, names: Names) -> str:
    """Draw a rooted tree, with square branches or slanted ones, lying or hanging."""
    rng, style = canvas.rng, canvas.style
    leaves = int(rng.integers(5, 16))
    square, lying, nodes = rng.random() < 0.65, rng.random() < 0.55, rng.random() < 0.35
    margin = 0.08
    alive = [(v, 1.0 - margin) for v in np.linspace(0.07, 0.93, leaves)]
    tips = list(alive)
    step = (1 - 2 * margin) / leaves

    def spot(across: float, along: float) -> tuple[float, float]:
        along = along * 0.8 if lying and style.labels else along
        u, v = (along, across) if lying else (across, along)
        return u * canvas.width, v * canvas.height

    width = max(2, style.line_px * FINE // 2)
    joints = []
    while len(alive) > 1:
        i = int(rng.integers(len(alive) - 1))
        (a, da), (b, db) = alive[i], alive[i + 1]
        depth = min(da, db) - step * rng.uniform(0.6, 1.2)
        middle = (a + b) / 2
        colour = style.ink if nodes or rng.random() < 0.8 else style.palette[0]
        paths = (
            [spot(a, da), spot(a, depth), spot(b, depth), spot(b, db)]
            if square
            else [spot(a, da), spot(middle, depth), spot(b, db)]
        )
        canvas.draw.line(paths, fill=colour, width=width)
        joints.append((middle, depth))
        alive[i : i + 2] = [(middle, depth)]
    root = spot(*alive[0])
    canvas.draw.line([root, spot(alive[0][0], alive[0][1] - step / 2)], fill=style.ink, width=width)
    for point in [*tips, *joints] if nodes else []:
        canvas.disc(spot(*point), style.marker_px * 2.2, style.palette[0], style.ink)
    if style.labels and lying:
        for i, tip in enumerate(tips):
            x, y = spot(*tip)
            canvas.text((x + 6, y), f"sp. {chr(65 + i)}", "lm", 0.8)
    return f"with {leaves} leaves"


def event_display(canvas: Canvas, names: Names) -> str:
    """Draw a collision seen along the beam: detector rings, curved tracks, jets, muons."""
    rng, style = canvas.rng, canvas.style
    dark = rng.random() < 0.7
    ground: Colour = blend((0, 0, 0), style.palette[0], rng.uniform(0, 0.15))
    ground = ground if dark else style.paper
    canvas.draw.rectangle((0, 0, canvas.width, canvas.height), fill=ground)
    size = min(canvas.width, canvas.height) * rng.uniform(0.42, 0.5)
    centre = np.array([canvas.width * rng.uniform(0.44, 0.56), canvas.height / 2])
    light = (255, 255, 255) if dark else (0, 0, 0)
    rings = np.sort(rng.uniform(0.3, 1, int(rng.integers(2, 6)))) * size
    for ring in rings:
        shade = blend(ground, style.palette[int(rng.integers(3))], rng.uniform(0.3, 0.8))
        canvas.disc(centre, ring, None, shade, int(rng.integers(2, 8)))
    tracker = rings[0] if len(rings) < 4 else rings[1]
    jets, muons = int(rng.integers(0, 4)), int(rng.integers(0, 5))
    axes = rng.uniform(0, 2 * np.pi, max(jets, 1))
    colours = [style.palette[0], (255, 230, 60) if dark else (200, 120, 0), style.palette[-1]]
    for _ in range(int(rng.integers(12, 70))):
        angle = (
            rng.choice(axes) + rng.normal(0, 0.13)
            if jets and rng.random() < 0.7
            else rng.uniform(0, 2 * np.pi)
        )
        _track(
            canvas,
            centre,
            angle,
            rng.normal(0, 1.2),
            tracker * rng.uniform(0.7, 1),
            colours[int(rng.integers(len(colours)))],
            1,
        )
    for axis in axes[:jets]:
        for tower in axis + np.linspace(-0.2, 0.2, 7):
            _tower(canvas, centre, tower, tracker, size * rng.uniform(0.08, 0.4), colours[2])
    for _ in range(muons):
        colour = (255, 40, 40) if rng.random() < 0.7 else (60, 255, 90)
        _track(
            canvas, centre, rng.uniform(0, 2 * np.pi), rng.normal(0, 0.25), size * 1.05, colour, 2.5
        )
    if style.title:
        canvas.draw.text((8, 8), "Run 3 Event 12", fill=light, font_size=9 * FINE)
    parts = [f"{COUNTS[jets]} jet{'s' * (jets > 1)}"] if jets else []
    parts += [f"{COUNTS[muons]} muon track{'s' * (muons > 1)}"] if muons else []
    return "with " + (" and ".join(parts) or "many tracks")


def _track(
    canvas: Canvas,
    centre: NDArray[np.float64],
    angle: float,
    bend: float,
    length: float,
    colour: Colour,
    width_px: float,
) -> None:
    s = np.linspace(0, 1, 24)
    turn = angle + bend * s * 0.6
    path = centre + length * s[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    canvas.line(path, colour, width_px)


def _tower(
    canvas: Canvas,
    centre: NDArray[np.float64],
    angle: float,
    inner: float,
    height: float,
    colour: Colour,
) -> None:
    corners = [(inner, -0.025), (inner, 0.025), (inner + height, 0.025), (inner + height, -0.025)]
    shape = [
        tuple(centre + r * np.array([np.cos(angle + a), np.sin(angle + a)])) for r, a in corners
    ]
    canvas.draw.polygon(shape, fill=colour)


def phase_diagram(canvas: Canvas, names: Names) -> str:
    """Draw regions named after phases, meeting at lines and a triple point."""
    rng, style = canvas.rng, canvas.style
    axes = Axes(canvas, (0, 1), (0, 1), ("temperature", "pressure", names[2]), bare=True)
    tx, ty = rng.uniform(0.25, 0.45), rng.uniform(0.2, 0.4)
    cx, cy = rng.uniform(0.75, 0.95), rng.uniform(0.6, 0.85)
    s = np.linspace(0, 1, 30)
    below = np.stack([tx * s, ty * s ** rng.uniform(1.3, 2.5)], axis=1)
    boil = np.stack([tx + (cx - tx) * s, ty + (cy - ty) * s ** rng.uniform(1.2, 2.2)], axis=1)
    melt = np.stack([tx + rng.uniform(-0.12, 0.2) * s, ty + (1 - ty) * s], axis=1)
    if rng.random() < 0.65:
        solid = np.concatenate([below, melt, [[0, 1]]])
        liquid = np.concatenate([boil, [[cx, 1]], melt[::-1]])
        gas = np.concatenate([below, boil, [[cx, 1], [1, 1], [1, 0]]])
        for i, region in enumerate((gas, liquid, solid)):
            shade = blend(style.face, style.palette[i % len(style.palette)], rng.uniform(0.3, 0.8))
            canvas.draw.polygon([tuple(p) for p in axes.at(region[:, 0], region[:, 1])], fill=shade)
    for path in (below, boil, melt):
        canvas.line(axes.at(path[:, 0], path[:, 1]), style.ink, max(1.5, style.line_px * 0.7))
    for x, y in ((tx, ty), (cx, cy)):
        canvas.disc(axes.at(np.array([x]), np.array([y]))[0], 6, style.ink)
    words = ("solid", "liquid", "gas") if rng.random() < 0.8 else ("I", "II", "III")
    for word, x, y in zip(words, (tx * 0.45, (tx + cx) / 2, 0.75), (0.7, 0.85, 0.2), strict=True):
        canvas.text(tuple(axes.at(np.array([x]), np.array([y]))[0]), word)
    return "with solid, liquid and gas regions and a triple point"


def micrograph(canvas: Canvas, names: Names) -> str:
    """Draw cells as a light or fluorescence microscope shows them, or grains, in noise."""
    rng = canvas.rng
    kind = rng.integers(4)
    ground = ((15, 15, 20), (225, 215, 225), (200, 200, 200), (70, 70, 70))[kind]
    body = [(40, 220, 80), (190, 90, 160), (90, 90, 90), (180, 180, 180)][kind]
    if kind == 0 and rng.random() < 0.5:
        body = [(230, 50, 50), (70, 110, 255), (40, 220, 200)][int(rng.integers(3))]
    canvas.draw.rectangle((0, 0, canvas.width, canvas.height), fill=ground)
    number, base = int(rng.integers(8, 70)), rng.uniform(10, 34)
    rods = rng.random() < 0.3
    for _ in range(number):
        x, y = rng.uniform(0, canvas.width), rng.uniform(0, canvas.height)
        r = base * rng.uniform(0.7, 1.3)
        tint = blend(body, ground, rng.uniform(0, 0.5))
        if rods:
            turn = rng.uniform(0, np.pi)
            reach = np.array([np.cos(turn), np.sin(turn)]) * r
            spot = np.array([x, y])
            ends = np.stack([spot - reach, spot + reach])
            canvas.line(ends, tint, r / 4)
            for end in ends:
                canvas.disc(end, r / 6, tint)
            continue
        shape = r * (1 + 0.12 * rng.normal(size=14))
        turn = np.linspace(0, 2 * np.pi, 14, endpoint=False)
        ring = [(x + a * np.cos(t), y + a * np.sin(t)) for a, t in zip(shape, turn, strict=True)]
        canvas.draw.polygon(ring, fill=tint, outline=blend(tint, (0, 0, 0), 0.4))
        canvas.disc((x, y), r * 0.35, blend(tint, (60, 20, 120) if kind else (255, 255, 255), 0.5))
    canvas.image = canvas.image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 3))))
    _add_noise(canvas, float(rng.uniform(4, 16)))
    if rng.random() < 0.5:
        canvas.draw = _redraw(canvas)
        light = (255, 255, 255) if kind in (0, 3) else (0, 0, 0)
        right, low = canvas.width * 0.93, canvas.height * 0.93
        canvas.draw.rectangle((right - canvas.width * 0.2, low, right, low + 6), fill=light)
    what = ("fluorescent cells", "stained tissue", "cells", "grains")[kind]
    return f"of rod-shaped bacteria among {what}" if rods else f"of {what}"


def _add_noise(canvas: Canvas, sigma: float) -> None:
    shape = canvas.height // 2, canvas.width // 2, 1
    noise = canvas.rng.normal(0, sigma, shape).repeat(2, 0).repeat(2, 1)
    pixels = np.asarray(canvas.image, dtype=np.float32)
    pixels[: noise.shape[0], : noise.shape[1]] + noise
    noisy = np.clip(pixels[: noise.shape[0], : noise.shape[1]] + noise, 0, 255)
    canvas.image = Image.fromarray(noisy.astype(np.uint8))


def _redraw(canvas: Canvas):  # type: ignore[no-untyped-def]
    from PIL import ImageDraw

    return ImageDraw.Draw(canvas.image, "RGBA")


def galaxy_field(canvas: Canvas, names: Names) -> str:
    """Draw a dark sky: stars, elliptical smudges, and perhaps one large spiral."""
    rng = canvas.rng
    height, width = canvas.height // 2, canvas.width // 2
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    sky = rng.gamma(1.0, 3.0, (height, width, 1)) * np.ones(3)
    for _ in range(int(rng.integers(20, 120))):
        cx, cy = int(rng.integers(1, width - 1)), int(rng.integers(1, height - 1))
        colour = np.array([255, rng.uniform(190, 255), rng.uniform(150, 255)])
        sky[cy, cx] += colour * rng.uniform(0.3, 1)
        if rng.random() < 0.25:
            sky[cy - 1 : cy + 2, cx - 1 : cx + 2] += colour * 0.5
    spiral = rng.random() < 0.5
    smudges = int(rng.integers(3, 22))
    for i in range(smudges):
        cx, cy, turn = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0, np.pi)
        size, flat = rng.uniform(1.5, 5), rng.uniform(0.25, 1)
        large = spiral and i == 0
        if large:
            cx, cy, size = width * rng.uniform(0.35, 0.65), height / 2, width * 0.11
        u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        v = (-(x - cx) * np.sin(turn) + (y - cy) * np.cos(turn)) / flat
        radius = np.hypot(u, v)
        light = np.exp(-radius / size)
        if large:
            arms = np.cos(2 * np.arctan2(v, u) - 6 * np.log(radius / size + 0.3))
            light = light * (0.45 + 0.55 * arms**2) + 0.8 * np.exp(-radius / size * 4)
        tint = np.array([1, rng.uniform(0.75, 1), rng.uniform(0.5, 1)])
        sky += (light * rng.uniform(120, 300))[..., None] * tint
    picture = Image.fromarray(np.clip(sky, 0, 255).astype(np.uint8))
    canvas.image = picture.resize((canvas.width, canvas.height), Image.Resampling.BICUBIC)
    return "with a large spiral galaxy" if spiral else f"with {smudges} faint galaxies and stars"


_SHAPES = ("circle", "square", "triangle", "star", "ring", "cross", "diamond", "hexagon")


def _shape(canvas: Canvas, kind: str, x: float, y: float, r: float, colour: Colour) -> None:
    sides = {"square": 4, "triangle": 3, "diamond": 4, "hexagon": 6}
    if kind == "circle":
        canvas.disc((x, y), r, colour)
    elif kind == "ring":
        canvas.disc((x, y), r, None, colour, int(r / 3))
    elif kind == "cross":
        canvas.draw.rectangle((x - r, y - r / 3, x + r, y + r / 3), fill=colour)
        canvas.draw.rectangle((x - r / 3, y - r, x + r / 3, y + r), fill=colour)
    else:
        corners = 10 if kind == "star" else sides[kind]
        turn = np.linspace(0, 2 * np.pi, corners, endpoint=False) - np.pi / 2
        turn += np.pi / 4 if kind == "square" else 0
        radius = np.where(np.arange(corners) % 2, r * 0.42, r) if kind == "star" else r
        points = np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], axis=1)
        canvas.draw.polygon([tuple(p) for p in points], fill=colour)


def shapes(canvas: Canvas, names: Names) -> str:
    """Draw one to nine plain shapes of one colour on a plain ground."""
    rng = canvas.rng
    kind, count = str(rng.choice(_SHAPES)), int(rng.choice([1, 1, 1, 2, 3, 4, 5, 6, 9]))
    colour, ground = (str(c) for c in rng.choice(list(COLOURS), 2, replace=False))
    if rng.random() < 0.5 and colour != "white":
        ground = "white"
    canvas.draw.rectangle((0, 0, canvas.width, canvas.height), fill=COLOURS[ground])
    cells = int(np.ceil(np.sqrt(count)))
    places = rng.permutation(cells * cells)[:count]
    cell_w, cell_h = canvas.width / cells, canvas.height / cells
    share = rng.uniform(0.2, 0.42)
    tint = tuple(int(v) for v in np.clip(np.array(COLOURS[colour]) + rng.normal(0, 8, 3), 0, 255))
    for place in places:
        x, y = (place % cells + 0.5) * cell_w, (place // cells + 0.5) * cell_h
        _shape(canvas, kind, x, y, min(cell_w, cell_h) * share, tint)
    number = "a" if count == 1 else COUNTS[count]
    article = "an" if count == 1 and colour == "orange" else number
    return f"{article} {colour} {kind}{'s' * (count > 1)} on a {ground} background"


KINDS: dict[str, Callable[[Canvas, Names], str]] = {
    "network": network,
    "tree": tree,
    "event display": event_display,
    "phase diagram": phase_diagram,
    "micrograph": micrograph,
    "galaxy field": galaxy_field,
    "shapes": shapes,
}
