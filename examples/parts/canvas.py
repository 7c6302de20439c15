"""A small drawing surface with clean edges, and axes to plot on, in Pillow and numpy alone.

Everything is drawn `SCALE` times too large and reduced at the end, which is what
smooths the edges. Callers think in final pixels; origin at the top left.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SCALE = 3
# A figure, and the frame of its axes (left, top, right, bottom), in pixels of the finished picture.
WIDTH_PX, HEIGHT_PX = 720, 480
PLOT = (88.0, 56.0, 690.0, 420.0)

Point = tuple[float, float]
Box = tuple[float, float, float, float]
Floats = NDArray[np.float64]

INK = "#22272e"
MUTED = "#6b7480"
GRID = "#e6e9ed"
BLUE = "#2563a8"
RED = "#c8372d"
GREEN = "#2c8a57"
ORANGE = "#e0861a"
PURPLE = "#7648a8"
TEAL = "#15908f"

# `^{...}` raises and `_{...}` lowers what stands in the braces.
_SCRIPT = re.compile(r"([\^_])\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    size: float
    raise_by: float


def _pieces(text: str, size: float) -> list[_Piece]:
    """The parts of a label, with superscripts and subscripts apart."""
    found: list[_Piece] = []
    at = 0
    for match in _SCRIPT.finditer(text):
        if match.start() > at:
            found.append(_Piece(text[at : match.start()], size, 0.0))
        lift = 0.38 * size if match.group(1) == "^" else -0.16 * size
        found.append(_Piece(match.group(2), 0.68 * size, lift))
        at = match.end()
    if at < len(text):
        found.append(_Piece(text[at:], size, 0.0))
    return found


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * SCALE)


def _big(value: float) -> int:
    return round(value * SCALE)


class Canvas:
    """A picture of `width_px` x `height_px`, drawn with smooth edges."""

    def __init__(self, width_px: int, height_px: int, background: str = "white") -> None:
        self.width_px, self.height_px = width_px, height_px
        self._image = Image.new("RGB", (width_px * SCALE, height_px * SCALE), background)
        self._draw = ImageDraw.Draw(self._image)

    def line(
        self,
        points: Iterable[Point],
        colour: str = INK,
        width_px: float = 1.5,
        dash_px: tuple[float, float] | None = None,
    ) -> None:
        """A line through the points; `dash_px` is the length of a stroke and of a gap."""
        path = list(points)
        if dash_px is not None:
            for stroke in _strokes(path, *dash_px):
                self.line(stroke, colour, width_px)
            return
        big = [(x * SCALE, y * SCALE) for x, y in path]
        self._draw.line(big, fill=colour, width=max(1, _big(width_px)), joint="curve")

    def circle(
        self,
        centre: Point,
        radius_px: float,
        fill: str | None = None,
        outline: str | None = None,
        width_px: float = 1.0,
    ) -> None:
        """A disc, a ring, or both."""
        (x, y), r = centre, radius_px
        box = ((x - r) * SCALE, (y - r) * SCALE, (x + r) * SCALE, (y + r) * SCALE)
        self._draw.ellipse(box, fill=fill, outline=outline, width=max(1, _big(width_px)))

    def rectangle(
        self,
        box: Box,
        fill: str | None = None,
        outline: str | None = None,
        width_px: float = 1.0,
        radius_px: float = 0.0,
    ) -> None:
        """A rectangle (left, top, right, bottom), with round corners if `radius_px` > 0."""
        left, top, right, bottom = (v * SCALE for v in box)
        self._draw.rounded_rectangle(
            (left, top, right, bottom), radius_px * SCALE, fill, outline, max(1, _big(width_px))
        )

    def polygon(self, points: Iterable[Point], fill: str, opacity: float = 1.0) -> None:
        """A filled shape; `opacity` 0..1 lets what lies below show."""
        big = [(x * SCALE, y * SCALE) for x, y in points]
        if opacity >= 1.0:
            self._draw.polygon(big, fill=fill)
            return
        mask = Image.new("L", self._image.size, 0)
        ImageDraw.Draw(mask).polygon(big, fill=round(255 * opacity))
        self._image.paste(Image.new("RGB", self._image.size, fill), (0, 0), mask)

    def text(
        self,
        at: Point,
        text: str,
        size_px: float = 14.0,
        colour: str = INK,
        align: Literal["left", "middle", "right"] = "left",
        vertical: bool = False,
    ) -> None:
        """A line of text whose middle height is at `at`; `vertical` reads upwards."""
        pieces = _pieces(text, size_px)
        widths = [_font(p.size).getlength(p.text) for p in pieces]
        room = round(2.2 * size_px * SCALE)
        strip = Image.new("L", (math.ceil(sum(widths)) + 4, room), 0)
        draw, x = ImageDraw.Draw(strip), 2.0
        for piece, width in zip(pieces, widths, strict=True):
            # The baseline lies a third of the letters' height below the middle.
            y = room / 2 + (0.34 * size_px - piece.raise_by) * SCALE
            draw.text((x, y), piece.text, fill=255, font=_font(piece.size), anchor="ls")
            x += width
        if vertical:
            strip = strip.transpose(Image.Transpose.ROTATE_90)
        share = {"left": 0.0, "middle": 0.5, "right": 1.0}[align]
        if vertical:
            left, top = _big(at[0]) - room // 2, _big(at[1]) - round(strip.height * (1 - share))
        else:
            left, top = _big(at[0]) - round(strip.width * share), _big(at[1]) - room // 2
        self._image.paste(colour, (left, top), strip)

    def pixels(self, box: Box, rgb: NDArray[np.uint8]) -> None:
        """Draw uint8 [H, W, 3] into a box, without smoothing its pixels."""
        left, top, right, bottom = (_big(v) for v in box)
        picture = Image.fromarray(rgb).resize(
            (right - left, bottom - top), Image.Resampling.NEAREST
        )
        self._image.paste(picture, (left, top))

    def finish(self) -> Image.Image:
        """The picture at its final size."""
        return self._image.resize((self.width_px, self.height_px), Image.Resampling.BOX)


def _strokes(path: Sequence[Point], on_px: float, off_px: float) -> list[list[Point]]:
    """The visible pieces of a dashed line."""
    xy = np.asarray(path, dtype=np.float64)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(xy, axis=0).T))])
    strokes: list[list[Point]] = []
    for start in np.arange(0.0, along[-1], on_px + off_px):
        where = np.linspace(start, min(start + on_px, along[-1]), 6)
        xs, ys = np.interp(where, along, xy[:, 0]), np.interp(where, along, xy[:, 1])
        strokes.append([(float(x), float(y)) for x, y in zip(xs, ys, strict=True)])
    return strokes


class Axes:
    """A plotting area inside a canvas: `box` in pixels, limits in the units of the data."""

    def __init__(
        self,
        canvas: Canvas,
        box: Box,
        x_limits: tuple[float, float],
        y_limits: tuple[float, float],
        *,
        x_log: bool = False,
        y_log: bool = False,
    ) -> None:
        self.canvas, self.box = canvas, box
        self._x, self._y = x_limits, y_limits
        self._x_log, self._y_log = x_log, y_log

    def x(self, value: float) -> float:
        """Pixel column of a value."""
        share = _share(value, self._x, self._x_log)
        return self.box[0] + share * (self.box[2] - self.box[0])

    def y(self, value: float) -> float:
        """Pixel row of a value."""
        share = _share(value, self._y, self._y_log)
        return self.box[3] - share * (self.box[3] - self.box[1])

    def points(self, xs: Iterable[float], ys: Iterable[float]) -> list[Point]:
        """Pixels of pairs of values, held inside the plotting area from top to bottom."""
        top, bottom = self.box[1], self.box[3]
        return [(self.x(a), min(max(self.y(b), top), bottom)) for a, b in zip(xs, ys, strict=True)]

    def frame(
        self,
        title: str,
        x_label: str,
        y_label: str,
        x_ticks: Sequence[tuple[float, str]],
        y_ticks: Sequence[tuple[float, str]],
        *,
        grid: bool = True,
    ) -> None:
        """Grid, border, ticks, labels and title; draw it before the data."""
        c, (left, top, right, bottom) = self.canvas, self.box
        for value, label in x_ticks:
            x = self.x(value)
            if grid:
                c.line([(x, top), (x, bottom)], GRID, 1.0)
            c.line([(x, bottom), (x, bottom + 5)], INK, 1.2)
            c.text((x, bottom + 16), label, 13, align="middle")
        for value, label in y_ticks:
            y = self.y(value)
            if grid:
                c.line([(left, y), (right, y)], GRID, 1.0)
            c.line([(left - 5, y), (left, y)], INK, 1.2)
            c.text((left - 9, y), label, 13, align="right")
        self.border()
        c.text(((left + right) / 2, top - 18), title, 17, align="middle")
        c.text(((left + right) / 2, bottom + 40), x_label, 14.5, align="middle")
        c.text((left - 54, (top + bottom) / 2), y_label, 14.5, align="middle", vertical=True)

    def border(self) -> None:
        """The line around the plotting area."""
        self.canvas.rectangle(self.box, outline=INK, width_px=1.2)

    def curve(
        self,
        xs: Floats,
        ys: Floats,
        colour: str,
        width_px: float = 2.2,
        dash_px: tuple[float, float] | None = None,
    ) -> None:
        """A smooth line through the values."""
        self.canvas.line(self.points(xs, ys), colour, width_px, dash_px)

    def fill_under(self, xs: Floats, ys: Floats, colour: str, opacity: float) -> None:
        """Shades between a curve and the lower edge."""
        path = self.points(xs, ys)
        bottom = self.box[3]
        self.canvas.polygon([(path[0][0], bottom), *path, (path[-1][0], bottom)], colour, opacity)

    def dots(
        self,
        xs: Floats,
        ys: Floats,
        colour: str = INK,
        radius_px: float = 3.2,
        errors: Floats | None = None,
    ) -> None:
        """Points, with vertical error bars if `errors` (one standard deviation) is given."""
        for i, (a, b) in enumerate(zip(xs, ys, strict=True)):
            x, y = self.x(a), self.y(b)
            if errors is not None:
                floor = 1e-9 if self._y_log else -math.inf
                ends = self.points([a, a], [max(b - errors[i], floor), b + errors[i]])
                self.canvas.line(ends, colour, 1.3)
                for end in ends:
                    self.canvas.line([(x - 3, end[1]), (x + 3, end[1])], colour, 1.3)
            self.canvas.circle((x, y), radius_px, colour)

    def bars(self, edges: Floats, heights: Floats, fill: str, outline: str) -> None:
        """A histogram: `edges` [N + 1], `heights` [N]."""
        for left, right, height in zip(edges[:-1], edges[1:], heights, strict=True):
            if height > 0:
                box = (self.x(left), self.y(height), self.x(right), self.box[3])
                self.canvas.rectangle(box, fill, outline, 1.0)

    def legend(
        self,
        at: Point,
        entries: Sequence[tuple[str, str, Literal["line", "dash", "dot", "block"]]],
    ) -> None:
        """Entries of (label, colour, kind) downwards from `at`."""
        c, (x, y) = self.canvas, at
        for label, colour, kind in entries:
            if kind == "line":
                c.line([(x, y), (x + 24, y)], colour, 2.4)
            elif kind == "dash":
                c.line([(x, y), (x + 24, y)], colour, 2.4, (6, 4))
            elif kind == "dot":
                c.circle((x + 12, y), 3.6, colour)
            else:
                c.rectangle((x + 2, y - 6, x + 22, y + 6), colour)
            c.text((x + 32, y), label, 13)
            y += 21


def _share(value: float, limits: tuple[float, float], log: bool) -> float:
    """How far along an axis a value lies, 0..1 inside the limits."""
    low, high = limits
    if log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def ticks(start: float, stop: float, step: float, pattern: str = "{:g}") -> list[tuple[float, str]]:
    """Ticks from `start` to `stop` inclusive, labelled by a format pattern."""
    count = round((stop - start) / step) + 1
    return [(start + i * step, pattern.format(start + i * step)) for i in range(count)]


def powers_of_ten(low: int, high: int) -> list[tuple[float, str]]:
    """Ticks at 10^low .. 10^high."""
    return [(10.0**n, f"10^{{{n}}}") for n in range(low, high + 1)]


def colours(values: Floats, stops: Sequence[str]) -> NDArray[np.uint8]:
    """Map values in 0..1 onto a colour scale: [..] to uint8 [.., 3]."""
    table = np.array([[int(s[i : i + 2], 16) for i in (1, 3, 5)] for s in stops], dtype=float)
    where = np.linspace(0.0, 1.0, len(stops))
    clipped = np.clip(values, 0.0, 1.0)
    channels = [np.interp(clipped, where, table[:, k]) for k in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


INFERNO_LIKE = ("#07040f", "#4a0f66", "#a52c5f", "#e8682b", "#fac42a", "#fcffa4")
DIVERGING = ("#2458a6", "#9cc2e3", "#f7f7f5", "#f2a783", "#b2202c")
