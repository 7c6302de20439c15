"""Layouts of habits that break simple rules: sideways floats, scans, separators, equations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from paper_layouts.drawings import boxed_text, chart, flow_chart, panels, photo
from paper_layouts.held_out import WIDE
from paper_layouts.paper import Paper
from paper_layouts.tuned import SAMPLES, SCORES
from paper_layouts.words import paragraph, phrase


def sideways() -> Paper:
    """A table and a figure that are printed sideways on upright pages."""
    paper = Paper(41)
    paper.prose(72, 72, 468, 720)
    paper.next_page(turned=True)
    paper.table(
        90, 120, 600, WIDE, "Table 3", "Table 3: Values by country and year.", size=10, gap=6
    )
    paper.next_page(turned=True)
    paper.figure(
        110, 90, 560, 330, panels([chart(n) for n in range(4)], columns=2, letters="(abcd)"),
        "Figure 8",
        "Figure 8: Rates of four samples, (a-d) in the order of the experiments.",
    )  # fmt: skip
    return paper


def separators() -> Paper:
    """A line between the columns, a rule under the header, numbers of lines in the margin."""
    paper = Paper(42)
    left, right, wide = 60.0, 318.0, 234.0
    for page in (1, 2):
        paper.text(60, 34, "Journal of Examples, Vol. 12", size=8)
        paper.box(60, 46, 492, 0.5, fill="0 0 0")
        paper.box(306, 54, 0.5, 690, fill="0.4 0.4 0.4")
        for number in range(57):
            top = 56 + 12 * number
            paper.text(40, top, f"{57 * (page - 1) + number + 1:03}", size=7, font="Helvetica")
        if page == 1:
            y = paper.figure(
                left, 56, wide, 150, chart(1), "Figure 1", "Figure 1: Rates of both series.",
                size=9,
            )  # fmt: skip
            paper.prose(left, y + 10, wide, 740)
            y = paper.figure(
                right, 56, wide, 120, photo(2), "Figure 2", "Figure 2: The sample.", size=9
            )
            paper.prose(right, y + 10, wide, 740)
            paper.next_page()
    y = paper.prose(left, 56, wide, 300)
    y = paper.table(left, y + 8, wide, SCORES, "Table 1", "Table 1: Scores of all methods.")
    paper.prose(left, y + 10, wide, 740)
    y = paper.prose(right, 56, wide, 420)
    y = paper.figure(
        right, y + 10, wide, 130, chart(3, kind="bars"), "Figure 3", "Figure 3: Counts by class.",
        size=9,
    )  # fmt: skip
    paper.prose(right, y + 10, wide, 740)
    return paper


def apa() -> Paper:
    """Labels on a line of their own, above: "Figure 1", then the title in italics."""
    paper = Paper(43, size=12)
    x, wide = 72.0, 468.0
    y = paper.prose(x, 72, wide, 180)
    y = paper.text(x, y + 16, "Figure 1", font="Times-Bold")
    y = paper.text(x, y + 4, "Mean Rates of Both Groups by Time", font="Times-Italic")
    paper.placed_figure(
        x, y + 8, 320, 180, chart(4), "Figure 1", "Figure 1 Mean Rates of Both Groups by Time"
    )
    y = paper.prose(x, y + 210, wide, 500)
    y = paper.text(x, y + 16, "Table 1", font="Times-Bold")
    y = paper.text(x, y + 4, "Mass and Length of the Samples", font="Times-Italic")
    y = paper.placed_table(
        x, y + 6, 300, SAMPLES, "Table 1", "Table 1 Mass and Length of the Samples", size=11
    )
    paper.prose(x, y + 14, wide, 720)
    return paper


def lists_of_figures() -> Paper:
    """A list of figures and tables, a page of equations, an algorithm between rules."""
    paper = Paper(44, size=11)
    x, wide = 90.0, 432.0
    y = paper.heading(x, 80, "List of Figures")
    for number in range(1, 9):
        title = phrase(paper.rng, 5).capitalize()
        y = paper.text(x, y, f"Figure {number}: {title} " + ". " * 30 + f"{number + 3}") + 2
    y = paper.heading(x, y, "List of Tables")
    for number in range(1, 4):
        y = paper.text(x, y, f"Table {number}: {phrase(paper.rng, 5)} " + "." * 50 + "7") + 2
    paper.next_page()
    y = paper.prose(x, 80, wide, 180)
    for number in (1, 2):
        y = equation(paper, y + 6, number)
        y = paper.prose(x, y + 6, wide, y + 70)
    y = paper.figure(
        x + 60, y + 12, 300, 150, chart(5, kind="points"), "Figure 1",
        "Figure 1: Points of both series.", column=(x, wide), centered=True,
    )  # fmt: skip
    y = equation(paper, y + 14, 3)
    y = paper.prose(x, y + 6, wide, 520)
    paper.box(x, y + 8, wide, 0.8, fill="0 0 0")
    y = paper.text(x, y + 12, "Algorithm 1 Growth of layers", font="Times-Bold")
    paper.box(x, y + 2, wide, 0.5, fill="0 0 0")
    y += 6
    for step in ("Require: samples x", "for each sample do", "  y = f(x)", "end for", "return y"):
        y = paper.text(x + 10, y, step)
    paper.box(x, y + 2, wide, 0.8, fill="0 0 0")
    paper.prose(x, y + 16, wide, 720)
    return paper


def equation(paper: Paper, y: float, number: int) -> float:
    paper.text(220, y, "a + b", size=11, font="Times-Italic")
    paper.box(216, y + 15, 40, 0.6, fill="0 0 0")
    paper.text(230, y + 17, "c", size=11, font="Times-Italic")
    paper.text(262, y + 9, "= f(x) + g(y)", size=11, font="Times-Italic")
    paper.text(522, y + 9, f"({number})", size=11, align="r")
    return y + 32


def scan() -> Paper:
    """A scan: one picture a page, with an invisible layer of text."""
    paper = Paper(45)
    left, right, wide = 60.0, 318.0, 234.0
    y = paper.prose(left, 60, wide, 250)
    y = paper.figure(
        left, y + 10, wide, 150, photo(6), "Figure 1", "Figure 1: The room of the experiment."
    )
    paper.prose(left, y + 12, wide, 740)
    y = paper.figure(right, 60, wide, 160, chart(7), "Figure 2", "Figure 2: Rates by time.")
    paper.prose(right, y + 12, wide, 740)
    return paper.scanned()


def dialogues() -> Paper:
    """Figures of coloured boxes with sentences in the size of the running text."""
    paper = Paper(46)
    left, right, wide = 60.0, 318.0, 234.0

    def bubbles(canvas: Any, width: float, height: float) -> None:
        step = height / 3
        for row, colour in enumerate(((0.85, 0.93, 1), (0.9, 1, 0.88), (1, 0.93, 0.85))):
            canvas.setFillColorRGB(*colour)
            canvas.roundRect(4 * row, height - (row + 1) * step + 3, width - 12, step - 6, 5, 0, 1)
            canvas.setFillColorRGB(0, 0, 0)
            canvas.setFont("Times-Roman", 10)
            for line in range(3):
                text = lines[row * 3 + line]
                canvas.drawString(4 * row + 6, height - row * step - 16 - 12 * line, text)

    lines = [paragraph(paper.rng)[:46] for _ in range(9)]
    y = paper.figure(
        left, 60, wide, 150, bubbles, "Figure 1", "Figure 1: A dialogue with the model."
    )
    paper.prose(left, y + 12, wide, 740)
    y = paper.prose(right, 60, wide, 200)
    y = paper.figure(
        right, y + 10, wide, 90, flow_chart(["Ask", "Think", "Answer"]), "Figure 2",
        "Figure 2: How the model answers.",
    )  # fmt: skip
    y = paper.prose(right, y + 12, wide, 420)
    y = paper.figure(
        right, y + 10, wide, 100, boxed_text([paragraph(paper.rng)[:44] for _ in range(6)],
        font="Times-Roman", size=10), "Figure 3", "Figure 3: The instructions in full.",
    )  # fmt: skip
    paper.prose(right, y + 12, wide, 740)
    return paper


LAYOUTS: dict[str, Callable[[], Paper]] = {
    "sideways floats": sideways,
    "separators": separators,
    "APA labels": apa,
    "lists of figures": lists_of_figures,
    "scan with text": scan,
    "dialogues": dialogues,
}
