"""Generated plots: every function draws one kind on a canvas and says what it drew.

The phrase returned ("with three curves") goes into the figure's caption.
"""

from collections.abc import Callable

import numpy as np

from figure_style import FINE, Axes, Canvas, Points, blend

Names = tuple[str, str, str]
"""What stands at the x axis, at the y axis and above the figure."""

COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_GROUPS = (
    "control",
    "treated",
    "A",
    "B",
    "C",
    "D",
    "data",
    "MC",
    "signal",
    "2019",
    "2020",
    "model",
    "run 1",
    "run 2",
    "type I",
    "type II",
    "x",
    "y",
    "north",
    "south",
)


def _names(canvas: Canvas, count: int) -> list[str]:
    return [str(n) for n in canvas.rng.choice(_GROUPS, count, replace=False)]


def _curve(rng: np.random.Generator, x: Points) -> Points:
    """Return one of several families of smooth curves over 0 to 1, values about 0 to 1."""
    a, b = rng.uniform(0.2, 1, 2)
    match rng.integers(7):
        case 0:
            y = a * x + b * 0.5
        case 1:
            y = 0.5 + 0.4 * a * np.sin(2 * np.pi * (x * rng.uniform(0.7, 4) + b))
        case 2:
            y = a * x ** rng.uniform(1.5, 4)
        case 3:
            y = a * (1 - np.exp(-x * rng.uniform(2, 8)))
        case 4:
            y = 0.1 + a / (1 + np.exp(-(x - b) * 14))
        case 5:
            y = np.cumsum(rng.normal(0, 0.06, len(x))) + 0.5
        case _:
            y = 0.9 - a * x + 0.3 * b * x * x
    return y + rng.normal(0, rng.choice([0, 0, 0.01, 0.03]), len(x))


def _spread(values: list[Points]) -> tuple[float, float]:
    low = min(float(v.min()) for v in values)
    high = max(float(v.max()) for v in values)
    room = (high - low) * 0.08 + 1e-6
    return low - room, high + room


def line(canvas: Canvas, names: Names) -> str:
    """Draw one to four curves."""
    rng, style = canvas.rng, canvas.style
    count = int(rng.choice([1, 1, 2, 3, 4]))
    x = np.linspace(0, 1, int(rng.choice([8, 15, 60, 120])))
    curves = [_curve(rng, x) for _ in range(count)]
    axes = Axes(canvas, (0, 1), _spread(curves), names)
    dots = len(x) < 20 and rng.random() < 0.6
    for i, y in enumerate(curves):
        colour = style.palette[i % len(style.palette)]
        points = axes.at(x, y)
        canvas.line(points, colour, max(1.0, style.line_px * 0.7), dash=bool(rng.random() < 0.15))
        if dots:
            for point in points:
                canvas.marker(point, colour, style.marker, style.marker_px * FINE / 2 + 1)
    axes.legend(_names(canvas, count), style.palette, patch=False)
    return "with one curve" if count == 1 else f"with {COUNTS[count]} curves"


def bar(canvas: Canvas, names: Names) -> str:
    """Draw separate bars: upright or lying, grouped or stacked."""
    rng, style = canvas.rng, canvas.style
    count, groups = int(rng.integers(3, 9)), int(rng.choice([1, 1, 2, 3]))
    heights = rng.uniform(0.1, 0.95, (groups, count))
    lying, stacked = rng.random() < 0.3, rng.random() < 0.3
    if stacked:
        heights /= groups
    axes = Axes(canvas, (0, 1), (0, 1), names)
    full = 1 / count
    width = full * rng.uniform(0.5, 0.85)
    for i in range(count):
        base = 0.0
        for g in range(groups):
            thick = width if stacked else width / groups
            start = i * full + (full - width) / 2 + (0 if stacked else g * thick)
            ends = np.array([start, start + thick]), np.array([base, base + heights[g, i]])
            (x0, y0), (x1, y1) = axes.at(*(ends[::-1] if lying else ends))
            colour = style.palette[(g if groups > 1 or count > 5 else i) % len(style.palette)]
            canvas.draw.rectangle(
                (x0, y1, x1, y0), fill=colour, outline=style.ink if style.edge else None
            )
            base += heights[g, i] if stacked else 0
    axes.legend(_names(canvas, groups), style.palette, patch=True)
    manner = "stacked" if stacked and groups > 1 else "horizontal" if lying else "vertical"
    return f"with {COUNTS[count]} {manner} bars"


def scatter(canvas: Canvas, names: Names) -> str:
    """Draw loose points: a trend, a cloud or clusters."""
    rng, style = canvas.rng, canvas.style
    groups = int(rng.choice([1, 1, 2, 3]))
    axes = Axes(canvas, (-0.05, 1.05), (-0.05, 1.05), names)
    radius = style.marker_px * FINE / 2 + 1
    trend = rng.random() < 0.4
    for g in range(groups):
        number = int(rng.integers(20, 120))
        x = rng.uniform(0, 1, number)
        if trend:
            y = 0.5 + (x - 0.5) * rng.uniform(-0.9, 0.9) + rng.normal(0, 0.09, number)
        elif groups > 1 or rng.random() < 0.3:
            x, y = (rng.normal(rng.uniform(0.2, 0.8), 0.09, number) for _ in range(2))
        else:
            y = rng.uniform(0, 1, number)
        for point in axes.at(np.clip(x, 0, 1), np.clip(y, 0, 1)):
            canvas.marker(point, style.palette[g % len(style.palette)], style.marker, radius)
    axes.legend(_names(canvas, groups), style.palette, patch=True)
    return "of points with a trend" if trend else f"of {COUNTS[groups]} groups of points"


def histogram(canvas: Canvas, names: Names) -> str:
    """Draw adjacent bins of a distribution."""
    rng, style = canvas.rng, canvas.style
    bins = int(rng.integers(14, 50))
    axes = Axes(canvas, (0, 1), (0, 1.1), names)
    shape = rng.integers(3)
    groups = int(rng.choice([1, 1, 1, 2]))
    for g in range(groups):
        if shape == 0:
            values = rng.normal(rng.uniform(0.3, 0.7), rng.uniform(0.08, 0.2), 1500)
        elif shape == 1:
            values = rng.exponential(0.2, 1500) + 0.05
        else:
            values = np.concatenate([rng.normal(0.3, 0.08, 800), rng.normal(0.7, 0.09, 700)])
        heights, edges = np.histogram(values, bins, (0, 1))
        tops = heights / heights.max() * (1 if g == 0 else rng.uniform(0.5, 1))
        colour = style.palette[g % len(style.palette)]
        outline = style.ink if style.edge else blend(colour, style.face, 0.4)
        hollow = rng.random() < 0.2
        for low, high, top in zip(edges[:-1], edges[1:], tops, strict=True):
            (x0, y0), (x1, y1) = axes.at(np.array([low, high]), np.array([0, top]))
            fill = None if hollow else (*colour, 255 if groups == 1 else 160)
            canvas.draw.rectangle(
                (x0, y1, x1, y0), fill=fill, outline=colour if hollow else outline
            )
    return ("of a bell-shaped distribution", "falling exponentially", "with two peaks")[shape]


def _box_samples(canvas: Canvas) -> list[Points]:
    rng = canvas.rng
    return [
        rng.normal(rng.uniform(0.3, 0.7), rng.uniform(0.06, 0.15), 200)
        for _ in range(int(rng.integers(2, 8)))
    ]


def box(canvas: Canvas, names: Names) -> str:
    """Draw boxes with whiskers and outliers."""
    rng, style = canvas.rng, canvas.style
    samples = _box_samples(canvas)
    axes = Axes(canvas, (0, len(samples)), (0, 1), names)
    filled, wide = rng.random() < 0.7, rng.uniform(0.2, 0.38)
    for i, values in enumerate(samples):
        colour = style.palette[i % len(style.palette)]
        marks = np.quantile(values, [0.02, 0.25, 0.5, 0.75, 0.98])
        low, q1, median, q3, high = axes.at(np.full(5, i + 0.5), marks)
        left, right = (axes.at(np.array([i + 0.5 + s * wide]), marks[:1])[0][0] for s in (-1, 1))
        ink = style.ink if filled else colour
        canvas.draw.line([tuple(low), tuple(high)], fill=ink, width=2)
        canvas.draw.rectangle(
            (left, q3[1], right, q1[1]), outline=ink, width=2, fill=colour if filled else style.face
        )
        for y in (low[1], high[1], median[1]):
            reach = (right - left) / (2 if y == median[1] else 4)
            canvas.draw.line([(low[0] - reach, y), (low[0] + reach, y)], fill=ink, width=2)
        for value in values[(values < marks[0]) | (values > marks[4])]:
            point = axes.at(np.array([i + 0.5]), np.array([value]))[0]
            canvas.marker(point, ink, "ring", 3)
    return f"of {COUNTS[len(samples)]} groups"


def violin(canvas: Canvas, names: Names) -> str:
    """Draw mirrored densities."""
    rng, style = canvas.rng, canvas.style
    count = int(rng.integers(2, 7))
    axes = Axes(canvas, (0, count), (0, 1), names)
    y = np.linspace(0, 1, 60)
    inner = rng.random() < 0.6
    for i in range(count):
        centre, width = rng.uniform(0.3, 0.7), rng.uniform(0.07, 0.14)
        density = np.exp(-(((y - centre) / width) ** 2) / 2)
        second = rng.uniform(0.15, 0.85)
        density += rng.choice([0, 0.6]) * np.exp(-(((y - second) / width) ** 2) / 2)
        keep = density > 0.01
        half = density[keep] / density.max() * rng.uniform(0.3, 0.45)
        right, left = (axes.at(i + 0.5 + s * half, y[keep]) for s in (1, -1))
        outline = [tuple(p) for p in np.concatenate([right, left[::-1]])]
        colour = style.palette[i % len(style.palette)]
        canvas.draw.polygon(outline, fill=colour, outline=style.ink if style.edge else None)
        if inner:
            ends = axes.at(np.full(3, i + 0.5), np.array([centre - width, centre, centre + width]))
            canvas.draw.line([tuple(ends[0]), tuple(ends[2])], fill=style.ink, width=4)
            canvas.disc(ends[1], 4, style.face)
    return f"of {COUNTS[count]} groups"


def pie(canvas: Canvas, names: Names) -> str:
    """Draw a disc or ring cut into sectors."""
    rng, style = canvas.rng, canvas.style
    count = int(rng.integers(2, 8))
    shares = rng.dirichlet(np.full(count, 3.0)) * 360
    side = min(canvas.width, canvas.height) * rng.uniform(0.32, 0.44)
    cx = canvas.width * rng.uniform(0.42, 0.58)
    cy = canvas.height * (0.56 if style.title else 0.5)
    start = rng.uniform(0, 360)
    for i, share in enumerate(shares):
        colour = style.palette[i % len(style.palette)]
        if i >= len(style.palette):
            colour = blend(colour, style.paper, 0.5)
        canvas.draw.pieslice(
            (cx - side, cy - side, cx + side, cy + side),
            start,
            start + share,
            fill=colour,
            outline=style.paper if style.edge else None,
            width=2,
        )
        if style.labels:
            turn = np.deg2rad(start + share / 2)
            spot = cx + np.cos(turn) * side * 0.65, cy + np.sin(turn) * side * 0.65
            canvas.text(spot, f"{share / 3.6:.0f}%", scale=0.8)
        start += share
    ring = rng.random() < 0.25
    if ring:
        canvas.disc((cx, cy), side * 0.55, style.paper)
    if style.title:
        canvas.text((canvas.width / 2, style.font_px * FINE), names[2][:30])
    return f"with {COUNTS[count]} {'segments of a ring' if ring else 'slices'}"


def error_bars(canvas: Canvas, names: Names) -> str:
    """Draw measured points with their uncertainties, and perhaps a fit."""
    rng, style = canvas.rng, canvas.style
    number, groups = int(rng.integers(6, 18)), int(rng.choice([1, 1, 2]))
    x = np.linspace(0.05, 0.95, number)
    axes = Axes(canvas, (0, 1), (-0.2, 1.3), names)
    fit = rng.random() < 0.5
    for g in range(groups):
        slope, start = rng.uniform(-0.8, 0.8), rng.uniform(0.3, 0.8)
        truth = np.clip(start + slope * (x - 0.5) + 0.15 * np.sin(x * rng.uniform(0, 8)), 0, 1.1)
        errors = rng.uniform(0.05, 0.16, number)
        y = truth + rng.normal(0, 0.5, number) * errors
        colour = style.palette[g % len(style.palette)]
        if fit:
            canvas.line(axes.at(x, truth), style.palette[-1], 1.5)
        for xi, yi, e in zip(x, y, errors, strict=True):
            middle, low, high = axes.at(np.full(3, xi), np.array([yi, yi - e, yi + e]))
            canvas.draw.line([tuple(low), tuple(high)], fill=colour, width=2)
            for end in (low, high):
                canvas.draw.line([(end[0] - 5, end[1]), (end[0] + 5, end[1])], fill=colour, width=2)
            canvas.marker(middle, colour, style.marker, style.marker_px * FINE / 2 + 2)
    return "and a fitted line" if fit else "of measured points"


def log_axes(canvas: Canvas, names: Names) -> str:
    """Draw straight or bent lines over logarithmic ticks and grid."""
    rng, style = canvas.rng, canvas.style
    both = rng.random() < 0.6
    decades = int(rng.integers(2, 6)), int(rng.integers(2, 6))
    axes = Axes(canvas, (0, decades[0]), (0, decades[1]), names, (both, True))
    for decade in range(decades[1] * 9):
        level = decade // 9 + np.log10(decade % 9 + 1)
        ends = axes.at(np.array([0, decades[0]]), np.array([level, level]))
        canvas.draw.line(
            [tuple(p) for p in ends],
            width=1,
            fill=blend(style.face, style.ink, 0.3 if decade % 9 == 0 else 0.12),
        )
    x = np.linspace(0, decades[0], 50)
    for i in range(int(rng.integers(1, 4))):
        slope = rng.uniform(-1, 1) * decades[1] / decades[0]
        bend = rng.choice([0, 0, -0.2]) * (x - decades[0] / 2) ** 2
        y = np.clip(decades[1] / 2 + slope * (x - decades[0] / 2) + bend, 0, decades[1])
        canvas.line(axes.at(x, y), style.palette[i % len(style.palette)], max(1.5, style.line_px))
    return "on log-log axes" if both else "with a logarithmic y axis"


def decay_curve(canvas: Canvas, names: Names) -> str:
    """Draw points that fall exponentially, with a fitted curve."""
    rng, style = canvas.rng, canvas.style
    x = np.linspace(0, 1, int(rng.integers(14, 45)))
    rate, ground = rng.uniform(3.5, 8), rng.uniform(0, 0.08)
    axes = Axes(canvas, (0, 1.03), (0, 1.1), names)
    counted = rng.random() < 0.75
    colour, fit = style.palette[0], style.palette[1]
    y = np.exp(-rate * x) + ground
    if counted:
        noisy = np.clip(y + rng.normal(0, 0.02, len(x)), 0, 1.08)
        bars = rng.random() < 0.5
        for xi, yi in zip(x, noisy, strict=True):
            point, low, high = axes.at(np.full(3, xi), np.array([yi, yi - 0.035, yi + 0.035]))
            if bars:
                canvas.draw.line([tuple(low), tuple(high)], fill=colour, width=2)
            canvas.marker(point, colour, style.marker, style.marker_px * FINE / 2 + 1)
    fine = np.linspace(0, 1, 80)
    canvas.line(axes.at(fine, np.exp(-rate * fine) + ground), fit)
    return "with points and an exponential fit" if counted else "falling towards zero"


def resonance_peak(canvas: Canvas, names: Names) -> str:
    """Draw a narrow peak over a smooth background."""
    rng, style = canvas.rng, canvas.style
    x = np.linspace(0, 1, int(rng.integers(35, 70)))
    centre, width = rng.uniform(0.35, 0.65), rng.uniform(0.02, 0.05)
    slope = rng.uniform(0.3, 2.5)
    ground = rng.uniform(0.05, 0.35) * np.exp(-slope * x)

    def peak(at: Points) -> Points:
        return rng.uniform(0.65, 0.66) * width**2 / ((at - centre) ** 2 + width**2)

    y = ground + peak(x)
    axes = Axes(canvas, (0, 1), (0, float(y.max()) * 1.15), names)
    noisy = np.clip(y + rng.normal(0, 0.015, len(x)), 0, None)
    manner = rng.integers(3)
    for xi, yi in zip(x, noisy, strict=True):
        if manner == 0:
            canvas.marker(
                axes.at(np.array([xi]), np.array([yi]))[0],
                style.palette[0],
                style.marker,
                style.marker_px * FINE / 2,
            )
        elif manner == 1:
            (x0, y0), (x1, y1) = axes.at(np.array([xi, xi + x[1]]), np.array([0, yi]))
            canvas.draw.rectangle((x0, y1, x1, y0), fill=style.palette[0])
    if manner != 1 or rng.random() < 0.5:
        fine = np.linspace(0, 1, 160)
        curve = np.interp(fine, x, ground) + peak(fine)
        canvas.line(axes.at(fine, curve), style.palette[1])
    if rng.random() < 0.4:
        canvas.line(axes.at(x, ground), style.palette[-1], 1.2, dash=True)
    return "over a falling background"


KINDS: dict[str, Callable[[Canvas, Names], str]] = {
    "line": line,
    "bar": bar,
    "scatter": scatter,
    "histogram": histogram,
    "box": box,
    "violin": violin,
    "pie": pie,
    "error bars": error_bars,
    "log axes": log_axes,
    "decay curve": decay_curve,
    "resonance peak": resonance_peak,
}
