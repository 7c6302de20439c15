"""Papers from given pictures and captions, in a layout that is drawn at random.

The benchmark uses it with figures of real papers.
"""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
from PIL import Image
from reportlab.lib.utils import ImageReader

from paper_layouts.paper import Draw, Paper, Pdf
from paper_layouts.words import phrase, short_word

_LABELS = (
    ("Figure {}: ", "Table {}: "), ("Fig. {}. ", "Table {}. "), ("FIG. {}. ", "TABLE {}. "),
    ("Figure {}. ", "Table {}. "), ("Figure {} | ", "Table {} | "), ("Fig. {}: ", "Tab. {}: "),
)  # fmt: skip


@dataclass(frozen=True)
class Material:
    """A picture with its shape (height by width) and caption."""

    draw: Draw | Pdf
    shape: float
    caption: str


def material(path: Path, caption: str) -> Material:
    """Return a picture from a PDF of one page or a raster file."""
    words = caption.encode("latin-1", "ignore").decode("latin-1").split()[:60]
    if path.suffix == ".pdf":
        data = path.read_bytes()
        width, height = pdfium.PdfDocument(data)[0].get_size()
        return Material(Pdf(data), height / width, " ".join(words))
    with Image.open(path) as opened:
        image = opened.convert("RGB")
        image.thumbnail((800, 800))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")

    def draw(canvas: Any, width: float, height: float) -> None:
        canvas.drawImage(ImageReader(io.BytesIO(buffer.getvalue())), 0, 0, width, height)

    return Material(draw, image.height / image.width, " ".join(words))


@dataclass(frozen=True)
class _Style:
    columns: int
    figure: str
    table: str
    bold: bool
    size: float
    centered: bool
    above: bool
    table_below: bool
    rules: str


def compose(seed: int, materials: Sequence[Material]) -> Paper:
    """Return a paper with the pictures in order, and tables between them."""
    rng = random.Random(seed)
    figure, table = rng.choice(_LABELS)
    style = _Style(
        rng.choice((1, 2, 2)), figure, table, rng.random() < 0.4, rng.choice((8, 9, 9.5)),
        rng.random() < 0.4, rng.random() < 0.15, rng.random() < 0.3,
        rng.choice(("booktabs", "ruled", "plain", "shaded")),
    )  # fmt: skip
    font = rng.choice(("Times-Roman", "Times-Roman", "Helvetica"))
    paper = Paper(seed, font=font, size=rng.choice((9.5, 10, 11)))
    _Composer(paper, rng, style).run(list(materials))
    return paper


class _Composer:
    def __init__(self, paper: Paper, rng: random.Random, style: _Style) -> None:
        self.paper, self.rng, self.style = paper, rng, style
        self.figures = self.tables = 0
        gap, margin = 18.0, 60.0
        count = style.columns
        self.wide = (paper.width - 2 * margin - gap * (count - 1)) / count
        self.xs = [margin + at * (self.wide + gap) for at in range(count)]

    def run(self, materials: list[Material]) -> None:
        while materials:
            top = 60.0
            if self.paper.page > 1:
                self.paper.text(
                    306, 30, "Author et al.: On the growth of layers", size=8, align="c"
                )
            if self.style.columns == 2 and self.rng.random() < 0.35:
                top = self._figure(materials.pop(0), self.xs[0], top, 2 * self.wide + 18, 300) + 12
            for x in self.xs:
                self._column(x, top, materials)
            self.paper.text(306, 760, str(self.paper.page), size=8, align="c")
            if materials:
                self.paper.next_page()

    def _column(self, x: float, top: float, materials: list[Material]) -> None:
        y = top
        if self.rng.random() < 0.6:
            y = self._prose(x, y, self.rng.uniform(60, 200))
        while y < 700:
            choice = self.rng.random()
            if choice < 0.55 and materials and y < 480:
                y = self._figure(materials.pop(0), x, y, self.wide, 700 - y - 80) + 14
                if self.rng.random() < 0.3:
                    continue
            elif choice < 0.75 and y < 560:
                y = self._table(x, y) + 14
                if self.rng.random() < 0.3:
                    continue
            y = self._prose(x, y, self.rng.uniform(80, 260))

    def _prose(self, x: float, y: float, height: float) -> float:
        starts = []
        if self.figures and self.rng.random() < 0.5:
            name = self.style.figure.format(self.rng.randint(1, self.figures)).rstrip(" :.|")
            starts = [f"{name} shows that"]
        return self.paper.prose(x, y, self.wide, min(y + height, 740), starts=starts) + 10

    def _figure(self, each: Material, x: float, y: float, room: float, most: float) -> float:
        lines = len(each.caption) * self.style.size * 0.5 / room + 1
        width = room * self.rng.choice((1, 1, 0.85, 0.7))
        height = width * each.shape
        most = max(most - lines * self.style.size * 1.2, 70)
        if height > most:
            width, height = width * most / height, most
        self.figures += 1
        start = self.style.figure.format(self.figures)
        return self.paper.figure(
            x + (room - width) / 2, y, width, height, each.draw, f"Figure {self.figures}",
            start + each.caption, above=self.style.above, column=(x, room),
            gap=self.rng.uniform(4, 12), size=self.style.size,
            bold=start.rstrip() if self.style.bold else "", centered=self.style.centered,
        )  # fmt: skip

    def _table(self, x: float, y: float) -> float:
        self.tables += 1
        start = self.style.table.format(self.tables)
        columns = self.rng.randint(3, 5)
        names = [short_word(self.rng).capitalize() for _ in range(columns)]
        rows = [tuple(names)]
        for _ in range(self.rng.randint(3, 8)):
            numbers = [f"{self.rng.uniform(0, 99):.{self.rng.randint(0, 2)}f}" for _ in names[1:]]
            rows.append((short_word(self.rng).capitalize(), *numbers))
        caption = start + phrase(self.rng, self.rng.randint(4, 20)).capitalize() + "."
        return self.paper.table(
            x, y, self.wide, rows, f"Table {self.tables}", caption, style=self.style.rules,
            below=self.style.table_below, align=self.rng.choice("lcr"), gap=5,
            bold=start.rstrip() if self.style.bold else "", centered=self.style.centered,
        )  # fmt: skip
