"""How a generated figure looks: palettes, fonts, frames, and a canvas with axes.

Figures are drawn with Pillow on a canvas twice as fine as the picture wanted, which takes a few
milliseconds; matplotlib (``figure_matplotlib``) takes a hundred. Some palettes, fonts and grounds
are never used for training: a figure that wears them is of an *unseen style*.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Points = NDArray[np.float64]
Rng = np.random.Generator

FINE = 2
"""Canvas pixels for a pixel of the picture."""

_PALETTES = (
    ("1f77b4", "ff7f0e", "2ca02c", "d62728", "9467bd", "8c564b", "e377c2"),
    ("4477aa", "ee6677", "228833", "ccbb44", "66ccee", "aa3377", "bbbbbb"),
    ("e69f00", "56b4e9", "009e73", "f0e442", "0072b2", "d55e00", "cc79a7"),
    ("000000", "555555", "999999", "222222", "777777", "bbbbbb"),
    ("0000ff", "ff0000", "008000", "ff00ff", "00aaaa", "aaaa00"),
    ("8dd3c7", "bebada", "fb8072", "80b1d3", "fdb462", "b3de69", "fccde5"),
    ("003f5c", "58508d", "bc5090", "ff6361", "ffa600"),
    ("264653", "2a9d8f", "e9c46a", "f4a261", "e76f51"),
    ("332288", "88ccee", "44aa99", "117733", "999933", "ddcc77", "cc6677"),
)
_UNSEEN_PALETTES = (
    ("4daf4a", "377eb8", "e41a1c", "984ea3", "a65628", "f781bf"),
    ("00429d", "73a2c6", "a5d5d8", "ffbcaf", "f4777f", "93003a"),
    ("606c38", "283618", "dda15e", "bc6c25", "a3b18a"),
    ("ff6b6b", "4ecdc4", "45b7d1", "96ceb4", "6c5ce7"),
)
_MAPS = (
    ("440154", "3b528b", "21918c", "5ec962", "fde725"),
    ("0d0887", "7e03a8", "cc4778", "f89540", "f0f921"),
    ("000004", "57106e", "bc3754", "f98e09", "fcffa4"),
    ("00007f", "0000ff", "00ffff", "ffff00", "ff0000", "7f0000"),
    ("000000", "808080", "ffffff"),
    ("3b4cc0", "dddddd", "b40426"),
    ("f7fbff", "6baed6", "08306b"),
    ("ffffe5", "fe9929", "662506"),
    ("ffffff", "74c476", "00441b"),
)
_UNSEEN_MAPS = (
    ("00224e", "7d7c78", "fee838"),
    ("543005", "f5f5f5", "003c30"),
    ("23171b", "4076f5", "26d0cd", "95fb51", "ff821d", "900c00"),
)
_GROUNDS = (
    ("ffffff", "ffffff", "000000"),
    ("ffffff", "ffffff", "222222"),
    ("ffffff", "eaeaf2", "262626"),
    ("ffffff", "e5e5e5", "555555"),
    ("f0f0f0", "f0f0f0", "333333"),
    ("000000", "000000", "ffffff"),
    ("1e1e2e", "26263a", "dddddd"),
    ("fffbe6", "fffbe6", "333333"),
    ("eef5ff", "ffffff", "112244"),
)
_UNSEEN_GROUNDS = (
    ("fdf6e3", "eee8d5", "586e75"),
    ("002b36", "073642", "93a1a1"),
    ("f3e9ff", "ffffff", "3b0764"),
    ("dfeee0", "f4fbf4", "1b4332"),
)
_FONTS = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral", "DejaVuSans-Bold")
_UNSEEN_FONTS = ("cmr10", "cmss10", "DejaVuSerif-Bold")


def rgb(code: str) -> Colour:
    """Read ``rrggbb``."""
    return int(code[:2], 16), int(code[2:4], 16), int(code[4:], 16)


def blend(a: Colour, b: Colour, share: float) -> Colour:
    """Return the colour ``share`` of the way from ``a`` to ``b``."""
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))  # type: ignore


@lru_cache(maxsize=256)
def font(name: str, size_px: int) -> ImageFont.FreeTypeFont:
    """Load one of the fonts that come with matplotlib."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / f"{name}.ttf"), size_px)


@dataclass(frozen=True)
class Style:
    """Everything of a figure's look that its data does not decide."""

    paper: Colour
    face: Colour
    ink: Colour
    palette: tuple[Colour, ...]
    ramp: NDArray[np.float64]
    font: str
    font_px: int
    line_px: int
    marker_px: int
    marker: str
    frame: str
    ticks: str
    grid: str
    labels: bool
    title: bool
    legend: bool
    edge: bool

    def mapped(self, values: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Colour values of 0 to 1 by the style's colour map: uint8 ``[..., 3]``."""
        stops = np.linspace(0, 1, len(self.ramp))
        clipped = np.clip(values, 0, 1)
        channels = [np.interp(clipped, stops, self.ramp[:, c]) for c in range(3)]
        return np.stack(channels, axis=-1).astype(np.uint8)


def sample(rng: Rng, unseen: bool = False) -> Style:
    """Draw a style; an unseen one takes palette, map, ground and font from those kept back."""
    palettes = _UNSEEN_PALETTES if unseen else _PALETTES
    maps = _UNSEEN_MAPS if unseen else _MAPS
    grounds = _UNSEEN_GROUNDS if unseen else _GROUNDS
    fonts = _UNSEEN_FONTS if unseen else _FONTS
    colours = [rgb(code) for code in palettes[rng.integers(len(palettes))]]
    rng.shuffle(colours)
    if not unseen and rng.random() < 0.3:
        colours = [tuple(int(v) for v in rng.integers(0, 230, 3)) for _ in range(6)]
    paper, face, ink = (rgb(code) for code in grounds[rng.integers(len(grounds))])
    if sum(face) < 250:
        colours = [blend(c, (255, 255, 255), 0.35) for c in colours]
    ramp = np.array([rgb(code) for code in maps[rng.integers(len(maps))]], dtype=np.float64)
    return Style(
        paper=paper,
        face=face,
        ink=ink,
        palette=tuple(colours),
        ramp=ramp[::-1] if rng.random() < 0.25 else ramp,
        font=fonts[rng.integers(len(fonts))],
        font_px=int(rng.integers(6, 13)),
        line_px=int(rng.integers(1, 5)),
        marker_px=int(rng.integers(2, 6)),
        marker=str(rng.choice(["disc", "ring", "square", "triangle", "plus", "cross"])),
        frame=str(rng.choice(["box", "left", "none"], p=[0.5, 0.4, 0.1])),
        ticks=str(rng.choice(["out", "in", "none"], p=[0.5, 0.3, 0.2])),
        grid=str(rng.choice(["none", "both", "rows"], p=[0.5, 0.35, 0.15])),
        labels=bool(rng.random() < 0.7),
        title=bool(rng.random() < 0.5),
        legend=bool(rng.random() < 0.4),
        edge=bool(rng.random() < 0.4),
    )


class Canvas:
    """A picture being drawn, in fine pixels, in a style."""

    def __init__(self, rng: Rng, style: Style, width_px: int, height_px: int) -> None:
        self.rng, self.style = rng, style
        self.width, self.height = width_px * FINE, height_px * FINE
        self.image = Image.new("RGB", (self.width, self.height), style.paper)
        self.draw = ImageDraw.Draw(self.image, "RGBA")

    def text(
        self, at: tuple[float, float], words: str, anchor: str = "mm", scale: float = 1.0
    ) -> None:
        """Write words in the style's font and ink."""
        face = font(self.style.font, max(6, int(self.style.font_px * scale * FINE)))
        self.draw.text(at, words, fill=self.style.ink, font=face, anchor=anchor)

    def upright(self, at: tuple[float, float], words: str) -> None:
        """Write words from bottom to top, centred on a point."""
        face = font(self.style.font, self.style.font_px * FINE)
        left, top, right, bottom = face.getbbox(words)
        size = int(right - left) + 4, int(bottom - top) + 4
        strip = Image.new("L", size, 0)
        ImageDraw.Draw(strip).text((2 - left, 2 - top), words, fill=255, font=face)
        strip = strip.rotate(90, expand=True)
        corner = int(at[0] - strip.width / 2), int(at[1] - strip.height / 2)
        self.image.paste(self.style.ink, corner, strip)

    def line(
        self, points: Points, colour: Colour, width_px: float | None = None, dash: bool = False
    ) -> None:
        """Draw a polyline through fine-pixel points ``[N, 2]``."""
        width = max(1, round((self.style.line_px if width_px is None else width_px) * FINE / 1.5))
        if dash:
            for start in range(0, len(points) - 1, 8):
                part = [tuple(p) for p in points[start : start + 5]]
                if len(part) > 1:
                    self.draw.line(part, fill=colour, width=width)
            return
        self.draw.line([tuple(p) for p in points], fill=colour, width=width, joint="curve")

    def disc(
        self,
        at: Sequence[float],
        radius: float,
        colour: Colour | None,
        outline: Colour | None = None,
        width: int = 2,
    ) -> None:
        """Draw a disc around a fine-pixel point."""
        x, y = at
        box = (x - radius, y - radius, x + radius, y + radius)
        self.draw.ellipse(box, fill=colour, outline=outline, width=width)

    def marker(self, at: Sequence[float], colour: Colour, kind: str, radius: float) -> None:
        """Draw one data point."""
        x, y = at
        r = radius
        match kind:
            case "disc":
                self.disc(at, r, colour, self.style.ink if self.style.edge else None, 1)
            case "ring":
                self.disc(at, r, None, colour)
            case "square":
                self.draw.rectangle((x - r, y - r, x + r, y + r), fill=colour)
            case "triangle":
                self.draw.polygon([(x - r, y + r), (x + r, y + r), (x, y - r)], fill=colour)
            case "plus":
                self.draw.line([(x - r, y), (x + r, y)], fill=colour, width=2)
                self.draw.line([(x, y - r), (x, y + r)], fill=colour, width=2)
            case _:
                self.draw.line([(x - r, y - r), (x + r, y + r)], fill=colour, width=2)
                self.draw.line([(x - r, y + r), (x + r, y - r)], fill=colour, width=2)

    def paste(
        self,
        values: NDArray[np.uint8],
        box: tuple[float, float, float, float],
        smooth: bool = False,
    ) -> None:
        """Stretch an RGB array over a box of the canvas."""
        left, top, right, bottom = (round(v) for v in box)
        how = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
        size = max(1, right - left), max(1, bottom - top)
        self.image.paste(Image.fromarray(values).resize(size, how), (left, top))

    def finish(self) -> Image.Image:
        """Return the picture at its own size, antialiased."""
        return self.image.reduce(FINE)


class Axes:
    """A data rectangle on a canvas: frame, grid, ticks and labels; data to fine pixels."""

    def __init__(
        self,
        canvas: Canvas,
        x: tuple[float, float],
        y: tuple[float, float],
        names: tuple[str, str, str],
        log: tuple[bool, bool] = (False, False),
        bare: bool = False,
    ) -> None:
        self.canvas, self.x, self.y, self.log = canvas, x, y, log
        style, rng = canvas.style, canvas.rng
        em = style.font_px * FINE
        self.left = rng.uniform(0.03, 0.08) * canvas.width + (2.6 * em if style.labels else 0)
        self.right = canvas.width * rng.uniform(0.92, 0.98)
        self.top = canvas.height * rng.uniform(0.03, 0.07) + (1.5 * em if style.title else 0)
        self.bottom = canvas.height * rng.uniform(0.92, 0.97) - (2.2 * em if style.labels else 0)
        self._face(bare)
        if style.title:
            canvas.text(((self.left + self.right) / 2, self.top - 0.8 * em), names[2][:34])
        if style.labels:
            middle = (self.left + self.right) / 2
            canvas.text((middle, min(self.bottom + 2.0 * em, canvas.height - em / 2)), names[0])
            canvas.upright((em * 0.6, (self.top + self.bottom) / 2), names[1][:22])

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom in fine pixels."""
        return self.left, self.top, self.right, self.bottom

    def at(self, x: Points, y: Points) -> Points:
        """Data to fine pixels ``[N, 2]``."""
        u = (np.asarray(x, float) - self.x[0]) / (self.x[1] - self.x[0])
        v = (np.asarray(y, float) - self.y[0]) / (self.y[1] - self.y[0])
        left, top, right, bottom = self.box
        return np.stack([left + u * (right - left), bottom - v * (bottom - top)], axis=-1)

    def _face(self, bare: bool) -> None:
        draw, style = self.canvas.draw, self.canvas.style
        draw.rectangle(self.box, fill=style.face)
        for side in (0, 1):
            for place, major in self._places(side):
                if not bare and (style.grid == "both" or (style.grid == "rows" and side)):
                    shade = blend(style.face, style.ink, 0.2 if major else 0.1)
                    self._rule(side, place, shade)
                self._tick(side, place, major)
        left, top, right, bottom = self.box
        if style.frame == "box":
            draw.rectangle(self.box, outline=style.ink, width=FINE)
        elif style.frame == "left":
            draw.line([(left, top), (left, bottom), (right, bottom)], fill=style.ink, width=FINE)

    def _places(self, side: int) -> list[tuple[float, bool]]:
        """Positions of ticks as shares of the side; logarithmic sides have nine a decade."""
        rng = self.canvas.rng
        if not self.log[side]:
            return [(float(v), True) for v in np.linspace(0, 1, int(rng.integers(3, 8)))]
        low, high = self.x if side == 0 else self.y
        decades = max(1, round(high - low))
        minor = [(d + np.log10(m)) / decades for d in range(decades) for m in range(1, 10)]
        return [(float(v), i % 9 == 0) for i, v in enumerate(minor)] + [(1.0, True)]

    def _spot(self, side: int, place: float) -> tuple[float, float]:
        if side == 0:
            return self.left + place * (self.right - self.left), self.bottom
        return self.left, self.bottom - place * (self.bottom - self.top)

    def _rule(self, side: int, place: float, shade: Colour) -> None:
        x, y = self._spot(side, place)
        end = (x, self.top) if side == 0 else (self.right, y)
        self.canvas.draw.line([(x, y), end], fill=shade, width=FINE // 2)

    def _tick(self, side: int, place: float, major: bool) -> None:
        style, (x, y) = self.canvas.style, self._spot(side, place)
        length = FINE * (3 if major else 2) * (-1 if style.ticks == "in" else 1)
        if style.ticks != "none":
            end = (x, y + length) if side == 0 else (x - length, y)
            self.canvas.draw.line([(x, y), end], fill=style.ink, width=FINE // 2 + 1)
        if not major or style.font_px < 6 or not style.labels:
            return
        low, high = self.x if side == 0 else self.y
        value = low + place * (high - low)
        words = f"10^{round(value)}" if self.log[side] else f"{value:.3g}"
        gap = 4 * FINE
        spot = (x, y + gap) if side == 0 else (x - gap, y)
        self.canvas.text(spot, words, "mt" if side == 0 else "rm", 0.8)

    def legend(self, names: Sequence[str], colours: Sequence[Colour], patch: bool) -> None:
        """Draw a key in a random corner when the style has one."""
        style, rng = self.canvas.style, self.canvas.rng
        if not style.legend:
            return
        em = style.font_px * FINE * 0.9
        width = em * (2.2 + 0.6 * max(len(name) for name in names))
        height = em * 1.3 * len(names)
        x = self.left + em / 2 if rng.random() < 0.5 else self.right - width - em / 2
        y = self.top + em / 2 if rng.random() < 0.7 else self.bottom - height - em / 2
        self.canvas.draw.rectangle(
            (x, y, x + width, y + height),
            fill=style.face,
            outline=blend(style.face, style.ink, 0.4),
        )
        for row, (name, colour) in enumerate(zip(names, colours, strict=False)):
            middle = y + em * (0.7 + 1.3 * row)
            thick = em * 0.3 if patch else 2
            self.canvas.draw.rectangle(
                (x + 4, middle - thick, x + em * 1.4, middle + thick), fill=colour
            )
            self.canvas.text((x + em * 1.8, middle), name, "lm", 0.8)
