"""Layouts that were looked at while the detection was developed."""

from __future__ import annotations

from collections.abc import Callable

from paper_layouts.drawings import (
    boxed_text,
    chart,
    flow_chart,
    panels,
    photo,
    photo_image,
    plot_pdf,
)
from paper_layouts.paper import Paper, Pdf

SCORES = (
    ("Method", "Precision", "Recall", "F1"),
    ("Baseline", "0.812", "0.644", "0.718"),
    ("With context", "0.853", "0.701", "0.770"),
    ("Full model", "0.911", "0.788", "0.845"),
)
SAMPLES = (
    ("Sample", "Mass (g)", "Length (mm)"),
    ("A1", "12.4", "103"),
    ("A2", "11.9", "98"),
    ("B1", "14.0", "121"),
    ("B2", "13.3", "118"),
    ("C1", "9.8", "87"),
)


def two_columns() -> Paper:
    """IEEE style: TABLE I with its caption on the next line, a figure across both columns."""
    paper = Paper(1)
    left, right, wide = 54.0, 318.0, 240.0
    y = paper.text(306, 60, "On the Rate of Growth in Layers", size=20, align="c") + 10
    y = paper.text(306, y, "A. Author and B. Author", align="c") + 16
    top = y
    y = paper.prose(left, y, wide, 330)
    y = paper.figure(
        left + 20, y + 10, 200, 140, chart(1), "Figure 1",
        "Fig. 1. Rate of growth over time for two series of samples, measured at room temperature.",
        column=(left, wide), size=8,
    )  # fmt: skip
    paper.prose(left, y + 10, wide, 740, starts=["Fig. 2 shows that", "As in Fig. 1,"])
    y = paper.prose(right, top, wide, 300, starts=["Table I lists"])
    y = paper.table(
        right, y + 10, wide, SCORES, "Table I", ("TABLE I", "SCORES OF THREE METHODS ON TEST DATA"),
        size=8, centered=True,
    )  # fmt: skip
    paper.prose(right, y + 12, wide, 740)
    paper.next_page()
    y = paper.figure(
        70, 56, 470, 150, flow_chart(["Read files", "Find layers", "Fit model", "Write result"]),
        "Figure 2", "Fig. 2. The pipeline from files to results. Boxes are processes.",
        column=(left, 504), size=8, centered=True,
    )  # fmt: skip
    paper.prose(left, y + 14, wide, 740)
    y = paper.prose(right, y + 14, wide, 480)
    y = paper.figure(
        right, y + 10, wide, 150, photo(3), "Figure 3",
        "Fig. 3. Photograph of the sample after the experiment.", column=(right, wide), size=8,
    )  # fmt: skip
    paper.prose(right, y + 10, wide, 740)
    return paper


def three_columns() -> Paper:
    """Three columns with a header rule, a logo, a coloured box of text and page numbers."""
    paper = Paper(2, font="Helvetica", size=8.5)
    xs, wide = (42.0, 222.0, 402.0), 166.0
    for page in (1, 2):
        paper.image(42, 24, 60, 24, photo_image(7, 60, 24))
        paper.text(570, 32, "Journal of Examples 12 (2024)", size=8, align="r")
        paper.box(42, 54, 528, 2.5, fill="0.1 0.3 0.6")
        paper.text(306, 764, str(page), size=8, align="c")
        if page == 1:
            paper.box(xs[0], 66, wide, 150, fill="0.87 0.92 1")
            paper.text(xs[0] + 6, 70, "Key points", font="Helvetica-Bold", size=9)
            paper.prose(xs[0] + 6, 86, wide - 12, 212)
            paper.prose(xs[0], 226, wide, 750)
            y = paper.figure(
                xs[1], 70, wide, 120, photo(4), "Figure 1",
                "Figure 1. Colonies on a plate after two days. Scale bar, 1 cm.",
                size=7.5, bold="Figure 1.",
            )  # fmt: skip
            paper.prose(xs[1], y + 10, wide, 750)
            y = paper.prose(xs[2], 70, wide, 400)
            y = paper.figure(
                xs[2], y + 8, wide, 130, chart(5, kind="bars"), "Figure 2",
                "Figure 2. Mean counts of both series. Bars are medians of ten plates; see the "
                "methods for the way in which they were counted and the samples chosen.",
                size=7.5, bold="Figure 2.",
            )  # fmt: skip
            paper.prose(xs[2], y + 10, wide, 750)
            paper.next_page()
        else:
            for x in xs[:2]:
                paper.prose(x, 70, wide, 500)
            paper.prose(xs[2], 70, wide, 750)
            paper.figure(
                xs[0], 515, 346, 170, panels([chart(8), photo(9)], columns=2, letters="ab"),
                "Figure 3", "Figure 3. (a) Rates of both series. (b) The plate of series 2.",
                size=7.5, bold="Figure 3.",
            )  # fmt: skip
    return paper


def captions_above() -> Paper:
    """One column; captions above figures and tables; plots by Matplotlib as Form XObjects."""
    paper = Paper(3, size=11)
    x, wide = 90.0, 432.0
    y = paper.heading(x, 80, "3 Results")
    y = paper.prose(x, y, wide, 180, starts=["Figure 4: the numbers in it are means. We see"])
    y = paper.figure(
        x + 46, y + 12, 340, 220, Pdf(plot_pdf("lines", 11, 340, 220)), "Figure 4",
        "Figure 4: Signal of three runs by position.", above=True, column=(x, wide), centered=True,
    )  # fmt: skip
    y = paper.prose(x, y + 14, wide, 560)
    y = paper.table(
        x + 80, y + 10, 270, SAMPLES, "Table 2", "Table 2: Mass and length of the samples.",
        column=(x, wide), centered=True, size=9,
    )  # fmt: skip
    paper.prose(x, y + 12, wide, 720)
    paper.next_page()
    y = paper.figure(
        x, 80, wide, 190, Pdf(plot_pdf("pair", 12, 432, 190)), "Figure 5",
        "Figure 5: Signals of two samples, measured on the same day. Each of the runs was "
        "repeated after the surface had been cleaned.", above=True,
    )  # fmt: skip
    y = paper.prose(x, y + 14, wide, 440)
    y = paper.figure(
        x + 80, y + 12, 260, 210, Pdf(plot_pdf("heat", 13, 260, 210)), "Figure 6",
        "Figure 6: Intensity map.", above=True, column=(x, wide), centered=True,
    )  # fmt: skip
    paper.prose(x, y + 12, wide, 725)
    return paper


def sub_figures() -> Paper:
    """Sub-figures (a) (b) (c) with one caption, and a grid of photographs."""
    paper = Paper(4)
    left, right, wide = 54.0, 318.0, 240.0
    y = paper.figure(
        left, 60, 504, 150, panels([chart(1), chart(2, kind="bars"), chart(3, kind="points")],
        columns=3), "Figure 1",
        "Figure 1: Three measurements: (a) the rate over time, (b) counts by class and (c) the "
        "points of both series. All axes are linear, and errors are smaller than the points.",
    )  # fmt: skip
    top = y + 14
    paper.prose(left, top, wide, 740, starts=["Figure 1a shows"])
    y = paper.prose(right, top, wide, 380)
    y = paper.figure(
        right, y + 10, wide, 210, panels([photo(n) for n in range(4)], columns=2, letters="abcd"),
        "Figure 2", "Figure 2: Photographs of four samples (a-d) before the reaction.",
    )  # fmt: skip
    paper.prose(right, y + 12, wide, 740)
    paper.next_page()
    y = paper.prose(left, 60, wide, 200)
    y = paper.figure(
        left, y + 10, wide, 110, panels([chart(21), chart(22)], columns=2), "Figure 3",
        "Figure 3: Rates (a) with and (b) without light.",
    )  # fmt: skip
    y = paper.figure(
        left, y + 18, wide, 130, chart(23, kind="bars", title="counts"), "Figure 4",
        "Figure 4: Counts of both series in ten classes, after correction.",
    )  # fmt: skip
    paper.prose(left, y + 12, wide, 740)
    paper.prose(right, 60, wide, 740)
    return paper


def boxed() -> Paper:
    """A figure of text alone in a box, and coloured boxes of text that are no figures."""
    paper = Paper(5)
    left, right, wide = 54.0, 318.0, 240.0
    y = paper.prose(left, 60, wide, 200)
    prompt = [
        "You are an assistant that reads tables.", "Question: {question}", "Table:", "{table}",
        "Think step by step, then answer with", "one of: yes, no, unknown.", "Answer:",
    ]  # fmt: skip
    y = paper.figure(
        left, y + 10, wide, 92, boxed_text(prompt), "Figure 1",
        "Figure 1: The prompt that we used for questions about tables.",
    )  # fmt: skip
    paper.prose(left, y + 12, wide, 740)
    paper.box(right, 60, wide, 120, fill="0.95 0.95 0.85")
    paper.prose(right + 8, 66, wide - 16, 176)
    y = paper.prose(right, 190, wide, 420)
    y = paper.figure(
        right, y + 10, wide, 130, chart(31), "Figure 2", "Figure 2: Rate of correct answers."
    )
    paper.box(right, y + 10, wide, 100)
    paper.prose(right + 8, y + 16, wide - 16, y + 106)
    paper.prose(right, y + 120, wide, 740)
    return paper


def tables_below() -> Paper:
    """Stacked tables with captions below, with and without rules."""
    paper = Paper(6, size=11)
    x, wide = 80.0, 450.0
    y = paper.prose(x, 70, wide, 150)
    y = paper.table(
        x + 60, y + 14, 320, SCORES, "Table 1", "Table 1. Scores of all methods.", below=True,
        size=9, align="c", column=(x, wide), centered=True,
    )  # fmt: skip
    y = paper.table(
        x + 60, y + 22, 320, SAMPLES, "Table 2", "Table 2. Mass and length of the samples.",
        below=True, size=9, align="r", column=(x, wide), centered=True,
    )  # fmt: skip
    y = paper.table(
        x + 40, y + 22, 360, SCORES, "Table 3", "Table 3. Scores after correction for errors.",
        below=True, size=9, style="ruled", column=(x, wide), centered=True,
    )  # fmt: skip
    paper.prose(x, y + 16, wide, 720)
    return paper


def wrapped() -> Paper:
    """A figure at the right that the text runs around."""
    paper = Paper(7)
    x, wide = 72.0, 468.0
    y = paper.prose(x, 72, wide, 160)
    top = y
    paper.prose(x, top, 250, top + 216)
    paper.figure(
        x + 268, top + 6, 200, 150, chart(41), "Figure 1",
        "Figure 1: Rate of both series over time. The light was on in the first half.", size=9,
    )  # fmt: skip
    y = paper.prose(x, top + 216, wide, 520)
    paper.figure(
        x, y + 6, 180, 120, photo(42), "Figure 2", "Figure 2: The room of the experiment.", size=9
    )
    paper.prose(x + 198, y, 270, y + 156)
    paper.prose(x, y + 156, wide, 730)
    return paper


def rotated() -> Paper:
    """Landscape pages that are stored upright and shown after a quarter turn."""
    paper = Paper(8, width=792, height=612, rotated=True)
    y = paper.prose(60, 60, 672, 150)
    y = paper.figure(
        180, y + 10, 430, 220, panels([chart(51), chart(52)], columns=2), "Figure 7",
        "Figure 7: Both samples (a) before and (b) after the reaction.",
        column=(60, 672), centered=True,
    )  # fmt: skip
    paper.prose(60, y + 14, 672, 560)
    paper.next_page()
    y = paper.table(
        120, 70, 560, SCORES, "Table 4", "Table 4: Scores of all methods.", style="ruled",
        size=10, column=(60, 672), centered=True,
    )  # fmt: skip
    paper.prose(60, y + 14, 672, 560)
    return paper


LAYOUTS: dict[str, Callable[[], Paper]] = {
    "two columns": two_columns,
    "three columns": three_columns,
    "captions above": captions_above,
    "sub-figures": sub_figures,
    "boxed text": boxed,
    "tables with captions below": tables_below,
    "wrapped figures": wrapped,
    "rotated pages": rotated,
}
