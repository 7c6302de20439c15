"""Generated plots that show a field of values by colour or by level lines."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from figure_plots import COUNTS, Names
from figure_style import FINE, Axes, Canvas


def _field(rng: np.random.Generator, rows: int, columns: int, blobs: int) -> NDArray[np.float64]:
    """Return a smooth field of 0 to 1 made of Gaussian blobs."""
    y, x = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
    field = np.zeros((rows, columns))
    for _ in range(blobs):
        cx, cy, width = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.1, 0.35)
        field += rng.choice([-1, 1, 1]) * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / width**2)
    return (field - field.min()) / (np.ptp(field) + 1e-9)


def _colour_bar(canvas: Canvas, axes: Axes) -> None:
    """Shade a strip at the right edge when there is room for it."""
    if canvas.rng.random() < 0.6:
        ramp = canvas.style.mapped(np.linspace(1, 0, 64)[:, None])
        width = canvas.width * 0.04
        box = (axes.right - width, axes.top, axes.right, axes.bottom)
        canvas.draw.rectangle((box[0] - width, *box[1:]), fill=canvas.style.paper)
        canvas.paste(ramp, box)


def heat_map(canvas: Canvas, names: Names) -> str:
    """Draw a grid of coloured cells."""
    rng = canvas.rng
    rows, columns = (int(n) for n in rng.integers(6, 28, 2))
    values = rng.uniform(0, 1, (rows, columns))
    if rng.random() < 0.7:
        values = 0.75 * _field(rng, rows, columns, 5) + 0.25 * values
    axes = Axes(canvas, (0, columns), (0, rows), names, bare=True)
    canvas.paste(canvas.style.mapped(values), axes.box)
    _colour_bar(canvas, axes)
    return "with coloured cells"


def confusion_matrix(canvas: Canvas, names: Names) -> str:
    """Draw a square grid whose diagonal is strong, numbers in its cells."""
    rng, style = canvas.rng, canvas.style
    count = int(rng.integers(2, 9))
    values = rng.uniform(0, 0.25, (count, count)) + np.diag(rng.uniform(0.6, 1, count))
    values /= values.max()
    axes = Axes(canvas, (0, count), (0, count), ("predicted", "true", names[2]), bare=True)
    canvas.paste(style.mapped(values), axes.box)
    left, top, right, bottom = axes.box
    for i in range(count):
        for j in range(count):
            shade = style.mapped(values[i : i + 1, j])[0]
            ink = (0, 0, 0) if int(shade.sum()) > 380 else (255, 255, 255)
            x = left + (j + 0.5) * (right - left) / count
            y = top + (i + 0.5) * (bottom - top) / count
            words = str(int(values[i, j] * rng.integers(80, 100)))
            canvas.draw.text((x, y), words, fill=ink, anchor="mm", font_size=9 * FINE)
    _colour_bar(canvas, axes)
    return f"of {COUNTS[count]} classes"


def contour(canvas: Canvas, names: Names) -> str:
    """Draw level lines, over filled bands or not."""
    rng, style = canvas.rng, canvas.style
    field = _field(rng, 160, 200, int(rng.integers(2, 6)))
    bands = int(rng.integers(6, 13))
    steps = np.floor(field * bands)
    edge = np.zeros(field.shape, dtype=bool)
    edge[:, 1:] |= steps[:, 1:] != steps[:, :-1]
    edge[1:] |= steps[1:] != steps[:-1]
    filled = rng.random() < 0.5
    picture = np.empty((*field.shape, 3), dtype=np.uint8)
    picture[:] = style.mapped(steps / bands) if filled else style.face
    if not filled or rng.random() < 0.6:
        plain = rng.random() < 0.4 or filled
        picture[edge] = style.ink if plain else style.mapped(0.15 + 0.7 * field)[edge]
    axes = Axes(canvas, (0, 1), (0, 1), names, bare=True)
    canvas.paste(picture, axes.box, smooth=True)
    _colour_bar(canvas, axes)
    return f"with {'filled levels' if filled else 'level lines'}"


def spectrogram(canvas: Canvas, names: Names) -> str:
    """Draw time across, frequency up, energy as colour, in streaks and harmonics."""
    rng = canvas.rng
    rows, columns = 64, 150
    energy = rng.gamma(1.2, 0.12, (rows, columns))
    energy *= np.linspace(1.2, 0.3, rows)[::-1, None]
    time = np.arange(columns)
    for _ in range(int(rng.integers(2, 7))):
        start = int(rng.integers(0, columns - 25))
        stop = min(columns, start + int(rng.integers(15, 80)))
        base, drift = rng.uniform(3, 16), rng.uniform(-0.12, 0.12)
        for harmonic in range(1, int(rng.integers(2, 7))):
            pitch = harmonic * (
                base
                + drift * (time[start:stop] - start)
                + rng.uniform(0, 1.5) * np.sin(time[start:stop] / 6)
            )
            row = np.round(pitch).astype(int)
            good = (row > 0) & (row < rows - 1)
            for offset, gain in ((-1, 0.4), (0, 1.0), (1, 0.4)):
                energy[rows - 1 - row[good] + offset, time[start:stop][good]] += gain / harmonic
    for _ in range(int(rng.integers(0, 5))):
        energy[:, int(rng.integers(0, columns))] += rng.uniform(0.2, 0.6)
    axes = Axes(canvas, (0, 5), (0, 8000), ("time (s)", "frequency (Hz)", names[2]), bare=True)
    canvas.paste(canvas.style.mapped(energy / np.quantile(energy, 0.995)), axes.box, smooth=True)
    _colour_bar(canvas, axes)
    return "with harmonics"


KINDS: dict[str, Callable[[Canvas, Names], str]] = {
    "heat map": heat_map,
    "contour": contour,
    "spectrogram": spectrogram,
    "confusion matrix": confusion_matrix,
}
