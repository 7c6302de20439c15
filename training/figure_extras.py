"""More generated pictures that scientific text describes: gels, fields, molecules, flow charts."""

from collections.abc import Callable

import numpy as np
from PIL import ImageFilter

from figure_plots import COUNTS, Names
from figure_style import FINE, Axes, Canvas, blend


def gel(canvas: Canvas, names: Names) -> str:
    """Draw lanes of blurred bands, as gel electrophoresis leaves them."""
    rng = canvas.rng
    dark = rng.random() < 0.6
    ground, ink = ((12, 12, 14), (240, 240, 245)) if dark else ((225, 222, 228), (40, 40, 70))
    canvas.draw.rectangle((0, 0, canvas.width, canvas.height), fill=ground)
    lanes = int(rng.integers(4, 11))
    width = canvas.width * 0.9 / lanes
    for lane in range(lanes):
        left = canvas.width * 0.05 + lane * width
        bands = 9 if lane == 0 else int(rng.integers(1, 5))
        for y in rng.uniform(0.12, 0.92, bands) * canvas.height:
            shade = blend(ground, ink, rng.uniform(0.4, 1))
            thick = rng.uniform(2, 6)
            canvas.draw.rectangle(
                (left + width * 0.15, y - thick, left + width * 0.85, y + thick), fill=shade
            )
    canvas.image = canvas.image.filter(ImageFilter.GaussianBlur(float(rng.uniform(1, 3))))
    return f"with {COUNTS[lanes]} lanes" if lanes < len(COUNTS) else "with many lanes"


def vector_field(canvas: Canvas, names: Names) -> str:
    """Draw a grid of arrows that turn, stream or spread."""
    rng, style = canvas.rng, canvas.style
    axes = Axes(canvas, (-1.1, 1.1), (-1.1, 1.1), names)
    count = int(rng.integers(7, 14))
    x, y = (v.ravel() for v in np.meshgrid(*[np.linspace(-1, 1, count)] * 2))
    manner = rng.integers(3)
    u, v = ((-y, x), (x, y), (np.cos(3 * y), np.sin(3 * x)))[manner]
    length = np.hypot(u, v) + 0.3
    start = axes.at(x, y)
    end = axes.at(x + u / length * 1.4 / count, y + v / length * 1.4 / count)
    for a, b in zip(start, end, strict=True):
        canvas.line(np.stack([a, b]), style.palette[0], 1.8)
        way = b - a
        side = np.array([-way[1], way[0]])
        head = [tuple(p) for p in (b, b - 0.4 * way + 0.25 * side, b - 0.4 * way - 0.25 * side)]
        canvas.draw.polygon(head, fill=style.palette[0])
    return ("circling a centre", "pointing outwards", "in waves")[manner]


def molecule(canvas: Canvas, names: Names) -> str:
    """Draw atoms as shaded balls joined by bonds."""
    rng, style = canvas.rng, canvas.style
    count = int(rng.integers(3, 14))
    size = min(canvas.width, canvas.height)
    spots = [np.zeros(2)]
    bonds = []
    for i in range(1, count):
        parent = int(rng.integers(max(0, i - 3), i))
        tries = [spots[parent] + [np.cos(t), np.sin(t)] for t in rng.uniform(0, 2 * np.pi, 12)]
        best = max(tries, key=lambda p: min(np.hypot(*(p - q)) for q in spots))
        spots.append(best)
        bonds.append((parent, i))
    places = np.array(spots)
    places = (places - places.mean(0)) / (np.abs(places - places.mean(0)).max() + 0.5)
    places = places * size * 0.45 + np.array([canvas.width, canvas.height]) / 2
    radius = size * rng.uniform(0.05, 0.075)
    balls = [(210, 30, 30), (60, 60, 60), (235, 235, 235), (50, 80, 220), (240, 200, 40)]
    for a, b in bonds:
        canvas.line(places[[a, b]], blend(style.paper, style.ink, 0.6), 3)
    for place in places:
        colour = balls[int(rng.integers(len(balls)))]
        canvas.disc(place, radius, colour, (40, 40, 40))
        canvas.disc(place - radius * 0.3, radius * 0.3, blend(colour, (255, 255, 255), 0.7))
    return f"of {count} atoms joined by bonds"


def flow_chart(canvas: Canvas, names: Names) -> str:
    """Draw boxes with words, joined by arrows in a column or a row."""
    rng, style = canvas.rng, canvas.style
    count, down = int(rng.integers(3, 7)), rng.random() < 0.6
    words = ["input", "train", "select", "merge", "fit", "test", "output", "start", "trigger"]
    w, h = (0.4, 0.55 / count) if down else (0.7 / count, 0.25)
    previous = None
    for i in range(count):
        along = (i + 0.5) / count
        x, y = (0.5, along) if down else (along, 0.5)
        x, y = x * canvas.width, y * canvas.height
        half = np.array([w * canvas.width, h * canvas.height]) / 2
        if previous is not None:
            canvas.line(np.array([previous, (x, y)]), style.ink, 1.5)
            tip = np.array([x, y]) - (np.array([0, half[1]]) if down else np.array([half[0], 0]))
            canvas.draw.regular_polygon(
                (tip[0], tip[1], 8), 3, 180 if down else 270, fill=style.ink
            )
        previous = (x, y)
    for i in range(count):
        along = (i + 0.5) / count
        x, y = (0.5, along) if down else (along, 0.5)
        x, y = x * canvas.width, y * canvas.height
        half = np.array([w * canvas.width, h * canvas.height]) / 2
        fill = blend(style.palette[i % len(style.palette)], style.paper, 0.5)
        canvas.draw.rounded_rectangle(
            (x - half[0], y - half[1], x + half[0], y + half[1]),
            radius=int(rng.choice([0, 8])),
            fill=fill,
            outline=style.ink,
        )
        canvas.text((x, y), str(rng.choice(words)), scale=0.8)
    return f"with {COUNTS[count]} boxes joined by arrows"


def area(canvas: Canvas, names: Names) -> str:
    """Draw stacked filled areas."""
    rng, style = canvas.rng, canvas.style
    count = int(rng.integers(2, 6))
    x = np.linspace(0, 1, 60)
    layers = [0.4 + 0.3 * np.sin(x * rng.uniform(1, 9) + rng.uniform(0, 6)) for _ in range(count)]
    tops = np.cumsum(layers, axis=0)
    axes = Axes(canvas, (0, 1), (0, float(tops.max()) * 1.05), names)
    for i in range(count - 1, -1, -1):
        rim = axes.at(x, tops[i])
        floor = axes.at(np.array([1.0, 0.0]), np.zeros(2))
        canvas.draw.polygon(
            [tuple(p) for p in np.concatenate([rim, floor])],
            fill=style.palette[i % len(style.palette)],
        )
    return f"of {COUNTS[count]} layers"


def emission_lines(canvas: Canvas, names: Names) -> str:
    """Draw a spectrum strip: bright lines on black, or dark lines on a rainbow."""
    rng = canvas.rng
    dark = rng.random() < 0.5
    wave = np.linspace(0, 1, 300)
    stops = np.array(
        [
            [90, 0, 130],
            [0, 0, 255],
            [0, 200, 255],
            [0, 220, 0],
            [255, 240, 0],
            [255, 120, 0],
            [200, 0, 0],
        ],
        dtype=np.float64,
    )
    rainbow = np.stack([np.interp(wave, np.linspace(0, 1, 7), stops[:, c]) for c in range(3)], -1)
    profile = np.zeros(300)
    for place in rng.integers(5, 295, int(rng.integers(3, 20))):
        profile[place - 1 : place + 2] = rng.uniform(0.5, 1)
    strip = rainbow * (profile if dark else 1 - profile)[:, None]
    margin = canvas.height * rng.uniform(0.02, 0.35)
    box = (canvas.width * 0.03, margin, canvas.width * 0.97, canvas.height - margin)
    canvas.paste(strip[None].astype(np.uint8), box)
    return "with bright lines on black" if dark else "with dark absorption lines in a rainbow"


def orbits(canvas: Canvas, names: Names) -> str:
    """Draw planets on ellipses around a star."""
    rng, style = canvas.rng, canvas.style
    ground = (5, 5, 25) if rng.random() < 0.6 else style.paper
    canvas.draw.rectangle((0, 0, canvas.width, canvas.height), fill=ground)
    middle = np.array([canvas.width, canvas.height]) / 2
    count, flat = int(rng.integers(1, 8)), rng.uniform(0.35, 1)
    canvas.disc(middle, 8 * FINE, (255, 200, 40))
    for i in range(count):
        reach = (0.16 + 0.32 * (i + 1) / count) * np.array([canvas.width, canvas.height * flat])
        low, high = middle - reach, middle + reach
        shade = blend(ground, (128, 128, 128), 0.8)
        canvas.draw.ellipse((low[0], low[1], high[0], high[1]), outline=shade, width=2)
        turn = rng.uniform(0, 2 * np.pi)
        spot = middle + reach * [np.cos(turn), np.sin(turn)]
        canvas.disc(spot, rng.uniform(2, 6) * FINE, style.palette[i % len(style.palette)])
    return f"with {COUNTS[count]} planet{'s' * (count > 1)} around a star"


def table(canvas: Canvas, names: Names) -> str:
    """Draw rows and columns of numbers under a header."""
    rng, style = canvas.rng, canvas.style
    rows, columns = int(rng.integers(3, 10)), int(rng.integers(2, 6))
    high, wide = canvas.height * 0.94 / rows, canvas.width * 0.94 / columns
    x0, y0 = canvas.width * 0.03, canvas.height * 0.03
    lines, shade = rng.random() < 0.6, blend(style.paper, style.palette[0], 0.5)
    canvas.draw.rectangle((x0, y0, x0 + wide * columns, y0 + high), fill=shade)
    for row in range(rows):
        for column in range(columns):
            spot = x0 + (column + 0.5) * wide, y0 + (row + 0.5) * high
            word = f"{rng.uniform(0, 99):.1f}" if row else names[int(rng.integers(2))][:6]
            canvas.text(spot, word, scale=0.9)
            if lines:
                left, top = spot[0] - wide / 2, spot[1] - high / 2
                box = left, top, left + wide, top + high
                canvas.draw.rectangle(box, outline=style.ink, width=1)
    return f"with {COUNTS[columns]} columns of numbers"


KINDS: dict[str, Callable[[Canvas, Names], str]] = {
    "gel": gel,
    "vector field": vector_field,
    "molecule": molecule,
    "flow chart": flow_chart,
    "area": area,
    "emission lines": emission_lines,
    "orbits": orbits,
    "table": table,
}
