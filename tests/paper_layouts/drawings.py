"""Pictures for papers: charts, diagrams and photographs, drawn with a canvas or by Matplotlib."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image
from reportlab.lib.utils import ImageReader

Draw = Callable[[Any, float, float], None]


def chart(seed: int, *, kind: str = "lines", title: str = "") -> Draw:
    """Return a drawing of a chart with axes, ticks, axis titles and a legend."""

    def draw(canvas: Any, width: float, height: float) -> None:
        rng = random.Random(seed)
        left, bottom, top = 34, 28, height - (14 if title else 4)
        canvas.setLineWidth(0.8)
        canvas.setFont("Helvetica", 7)
        canvas.line(left, bottom, width, bottom)
        canvas.line(left, bottom, left, top)
        for tick in range(6):
            x = left + (width - left - 8) * tick / 5
            canvas.line(x, bottom, x, bottom - 3)
            canvas.drawCentredString(x, bottom - 11, str(tick * 20))
            y = bottom + (top - bottom - 6) * tick / 5
            canvas.line(left, y, left - 3, y)
            canvas.drawRightString(left - 5, y - 2.5, f"{tick / 5:.1f}")
        canvas.drawCentredString((left + width) / 2, 3, "time after the event (s)")
        canvas.saveState()
        canvas.rotate(90)
        canvas.drawCentredString((bottom + top) / 2, -9, "rate (1/s)")
        canvas.restoreState()
        if title:
            canvas.drawCentredString((left + width) / 2, height - 8, title)
        _series(canvas, rng, kind, left, bottom, width, top)

    return draw


def _series(
    canvas: Any, rng: random.Random, kind: str, left: float, bottom: float, right: float, top: float
) -> None:
    for series, colour in enumerate([(0.1, 0.3, 0.8), (0.8, 0.2, 0.1)]):
        canvas.setStrokeColorRGB(*colour)
        canvas.setFillColorRGB(*colour)
        level = rng.uniform(0.2, 0.7)
        if kind == "bars":
            step = (right - left) / 12
            for bar in range(10):
                height = (top - bottom) * rng.uniform(0.1, 0.9)
                x = left + step * (bar + 0.6 + 0.4 * series)
                canvas.rect(x, bottom, step * 0.38, height, stroke=0, fill=1)
        else:
            path = canvas.beginPath()
            for step in range(60):
                x = left + (right - left) * step / 62
                wave = 0.2 * math.sin(step / 7 + series)
                y = bottom + (top - bottom) * (level + wave)
                if kind == "points":
                    canvas.circle(x, y + rng.uniform(-9, 9), 1.4, stroke=0, fill=1)
                elif step:
                    path.lineTo(x, y)
                else:
                    path.moveTo(x, y)
            canvas.drawPath(path)
        canvas.drawString(right - 46, top - 8 - 9 * series, f"series {series + 1}")
    canvas.setStrokeColorRGB(0, 0, 0)
    canvas.setFillColorRGB(0, 0, 0)


def flow_chart(names: Sequence[str]) -> Draw:
    """Return a drawing of boxes with text inside, joined by arrows."""

    def draw(canvas: Any, width: float, height: float) -> None:
        canvas.setFont("Helvetica", 8)
        step = width / len(names)
        for number, name in enumerate(names):
            x = number * step
            canvas.setFillColorRGB(0.85, 0.9, 1)
            canvas.roundRect(x + 1, height * 0.25, step * 0.72, height * 0.5, 4, fill=1)
            canvas.setFillColorRGB(0, 0, 0)
            for row, word in enumerate(name.split()):
                canvas.drawCentredString(x + step * 0.37, height * 0.55 - 10 * row, word)
            if number < len(names) - 1:
                canvas.line(x + step * 0.75, height / 2, x + step, height / 2)
                canvas.line(x + step - 4, height / 2 + 3, x + step, height / 2)
        canvas.drawString(2, 4, "input")
        canvas.drawRightString(width - step * 0.28, height - 9, "output")

    return draw


def panels(draws: Sequence[Draw], *, columns: int, letters: str = "(abc)") -> Draw:
    """Return a grid of drawings, each with its letter above or "(a)" below it."""
    below = letters.startswith("(")
    names = letters.strip("()")

    def draw(canvas: Any, width: float, height: float) -> None:
        rows = -(-len(draws) // columns)
        step_x, step_y = width / columns, height / rows
        for number, inner in enumerate(draws):
            canvas.saveState()
            canvas.translate(number % columns * step_x, height - (number // columns + 1) * step_y)
            if below:
                canvas.setFont("Times-Roman", 9)
                canvas.drawCentredString(step_x / 2, 3, f"({names[number]})")
                canvas.translate(step_x * 0.04, 16)
                inner(canvas, step_x * 0.9, step_y - 24)
            else:
                canvas.setFont("Helvetica-Bold", 10)
                canvas.drawString(0, step_y - 10, names[number])
                canvas.translate(step_x * 0.06, 2)
                inner(canvas, step_x * 0.86, step_y - 16)
            canvas.restoreState()

    return draw


def photo(seed: int, *, columns: int = 160, rows: int = 120) -> Draw:
    """Return a drawing of a raster picture: coloured blobs on a gradient."""

    def draw(canvas: Any, width: float, height: float) -> None:
        canvas.drawImage(ImageReader(photo_image(seed, columns, rows)), 0, 0, width, height)

    return draw


def photo_image(seed: int, columns: int = 160, rows: int = 120) -> Image.Image:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:columns]
    pixels = np.stack([80 + 90 * y / rows, 60 + 80 * x / columns, 120 - 60 * y / rows], axis=2)
    for _ in range(12):
        cx, cy, radius = rng.uniform(0, columns), rng.uniform(0, rows), rng.uniform(6, 25)
        blob = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / radius**2)
        pixels += blob[..., None] * rng.uniform(-60, 90, 3)
    noise = rng.normal(0, 4, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 235).astype(np.uint8))


def boxed_text(lines: Sequence[str], *, font: str = "Courier", size: float = 7.5) -> Draw:
    """Return a drawing of lines of text in a box, such as a prompt or a program."""

    def draw(canvas: Any, width: float, height: float) -> None:
        canvas.setLineWidth(0.8)
        canvas.rect(0.5, 0.5, width - 1, height - 1)
        canvas.setFont(font, size)
        for number, line in enumerate(lines):
            canvas.drawString(8, height - 14 - number * size * 1.3, line)

    return draw


def plot_pdf(kind: str, seed: int, width: float, height: float) -> bytes:
    """Return a plot by Matplotlib as a PDF of one page, cut to its ink."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    rng = np.random.default_rng(seed)
    figure = Figure(figsize=(width / 72, height / 72))
    axes = figure.subplots(1, 2 if kind == "pair" else 1, squeeze=False)[0]
    for ax in axes:
        if kind == "scatter":
            ax.scatter(*rng.normal(size=(2, 400)), s=6, label="sample")
        elif kind == "heat":
            figure.colorbar(ax.imshow(rng.random((12, 12))), label="intensity")
        elif kind == "surface":
            x, y = np.meshgrid(np.linspace(-2, 2, 40), np.linspace(-2, 2, 40))
            ax.contourf(x, y, np.exp(-x * x - y * y))
        else:
            x = np.linspace(0, 10, 200)
            for phase in range(3):
                ax.plot(x, np.sin(x + phase) + rng.normal(0, 0.05, 200), label=f"run {phase}")
            ax.legend()
        ax.set_xlabel("position (mm)")
        ax.set_ylabel("signal (a.u.)")
        ax.set_title(f"sample {seed}")
    figure.tight_layout()
    out = io.BytesIO()
    figure.savefig(out, format="pdf", bbox_inches="tight", pad_inches=0.02)
    return out.getvalue()


def draw_table(
    canvas: Any,
    width: float,
    height: float,
    rows: Sequence[Sequence[str]],
    style: str,
    size: float,
    align: str,
    font: str,
) -> None:
    """Draw a table: "booktabs" has three rules, "ruled" a grid, "shaded" grey rows, "plain" none.

    The first column is aligned to the left, the others by `align` (l, c or r).
    """
    bold = "Times-Bold" if font.startswith("Times") else "Helvetica-Bold"
    columns, leading = len(rows[0]), size * 1.4
    first = width * (1.6 / (columns + 0.6))
    step = (width - first) / max(columns - 1, 1)
    edges = [0.0] + [first + step * column for column in range(columns)]
    for number, row in enumerate(rows):
        bottom = height - 2 - (number + 1) * leading
        if style == "shaded" and number % 2:
            canvas.setFillColorRGB(0.92, 0.92, 0.92)
            canvas.rect(0, bottom, width, leading, stroke=0, fill=1)
            canvas.setFillColorRGB(0, 0, 0)
        canvas.setFont(bold if number == 0 else font, size)
        for column, cell in enumerate(row):
            left, right = edges[column] + 3, edges[column + 1] - 3
            y = bottom + size * 0.4
            if column == 0 or align == "l":
                canvas.drawString(left, y, cell)
            elif align == "c":
                canvas.drawCentredString((left + right) / 2, y, cell)
            else:
                canvas.drawRightString(right, y, cell)
    if style == "booktabs":
        for y, thickness in ((height - 1, 0.9), (height - 2 - leading, 0.5), (1, 0.9)):
            canvas.setLineWidth(thickness)
            canvas.line(0, y, width, y)
    elif style == "ruled":
        canvas.setLineWidth(0.4)
        for number in range(len(rows) + 1):
            y = height - 2 - number * leading
            canvas.line(0, y, width, y)
        for x in edges:
            canvas.line(x, height - 2, x, height - 2 - len(rows) * leading)
