"""Layouts that were written with their truth, and not looked at while developing."""

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

STATIONS = (
    ("Station", "Depth", "pH", "Salinity"),
    ("North", "120", "8.1", "34.9"),
    ("South", "85", "8.0", "35.2"),
    ("East", "240", "7.9", "34.7"),
    ("West", "15", "8.2", "33.8"),
)
WIDE = (
    ("Country", "2016", "2017", "2018", "2019", "2020", "Change"),
    ("Austria", "12.1", "12.4", "12.9", "13.3", "11.0", "-9 %"),
    ("Belgium", "9.7", "9.9", "10.4", "10.8", "9.1", "-6 %"),
    ("Denmark", "7.2", "7.0", "7.3", "7.8", "7.7", "+7 %"),
    ("Estonia", "1.4", "1.5", "1.5", "1.7", "1.6", "+14 %"),
    ("Finland", "5.5", "5.9", "6.0", "6.2", "5.6", "+2 %"),
)


def figure_under_table() -> Paper:
    """A table and a figure directly under it, in one column."""
    paper = Paper(21)
    left, right, wide = 54.0, 318.0, 240.0
    y = paper.table(
        left, 60, wide, STATIONS, "Table 1", "Table 1: Conditions at the stations.", size=8
    )
    y = paper.figure(
        left, y + 16, wide, 140, chart(61, kind="points"), "Figure 1",
        "Figure 1: Samples of both cruises, by time.",
    )  # fmt: skip
    paper.prose(left, y + 12, wide, 740)
    y = paper.prose(right, 60, wide, 250)
    y = paper.figure(
        right, y + 10, wide, 120, photo(62), "Figure 2", "Figure 2: The ship at station North."
    )
    y = paper.table(
        right, y + 14, wide, STATIONS, "Table 2", "Table 2: Conditions one year later.",
        style="ruled",
    )  # fmt: skip
    paper.prose(right, y + 12, wide, 740)
    return paper


def german() -> Paper:
    """A German thesis: Abbildung and Tabelle, numbered by chapter."""
    paper = Paper(22, size=11, width=595, height=842)
    x, wide = 85.0, 425.0
    paper.text(x, 50, "3 Ergebnisse", size=9)
    paper.box(x, 63, wide, 0.6, fill="0 0 0")
    y = paper.prose(x, 80, wide, 200, starts=["Abbildung 3.1 zeigt, dass"])
    y = paper.figure(
        x + 60, y + 12, 300, 180, chart(71), "Abbildung 3.1",
        "Abbildung 3.1: Verlauf der Rate beider Reihen über die Zeit.", column=(x, wide),
        centered=True,
    )  # fmt: skip
    y = paper.prose(x, y + 12, wide, 560)
    y = paper.table(
        x + 50, y + 12, 320, STATIONS, "Tabelle 3.1", "Tabelle 3.1: Werte der Stationen.",
        column=(x, wide), centered=True, size=9,
    )  # fmt: skip
    paper.prose(x, y + 14, wide, 780)
    paper.text(297, 800, "17", size=9, align="c")
    paper.next_page()
    y = paper.figure(
        x, 80, wide, 240, photo(72), "Abbildung 3.2",
        "Abb. 3.2: Aufnahme der Probe nach dem Versuch. Die Kanten sind abgerundet, die "
        "Oberfläche ist noch feucht.", bold="Abb. 3.2:",
    )  # fmt: skip
    paper.prose(x, y + 12, wide, 780)
    paper.text(297, 800, "18", size=9, align="c")
    return paper


def supplement() -> Paper:
    """Supplementary figures and tables, numbered S1, one to a page, with long captions."""
    paper = Paper(23, font="Helvetica", size=10)
    x, wide = 72.0, 468.0
    long = (
        "The upper row has the measurements of the first day, the lower row those of the second "
        "day. Lines are means of five samples and shaded areas their standard deviation. The "
        "light was off in the second half of each measurement, and all of the samples were kept "
        "at the same temperature before and after."
    )
    paper.heading(x, 60, "Supplementary Information")
    paper.figure(
        x, 110, wide, 330, panels([chart(n) for n in (81, 82, 83, 84)], columns=2, letters="abcd"),
        "Figure S1", f"Figure S1. Rates of all samples. {long}", bold="Figure S1.",
    )  # fmt: skip
    paper.text(306, 750, "S1", size=8, align="c")
    paper.next_page()
    y = paper.table(
        x, 72, wide, WIDE, "Table S1", "Table S1. Values by country and year.", bold="Table S1.",
        style="plain", size=9,
    )  # fmt: skip
    paper.figure(
        x + 60, y + 40, 340, 240, Pdf(plot_pdf("scatter", 85, 340, 240)), "Supplementary Figure 2",
        f"Supplementary Figure 2. Scatter of the samples. {long}", bold="Supplementary Figure 2.",
        column=(x, wide),
    )  # fmt: skip
    paper.text(306, 750, "S2", size=8, align="c")
    return paper


def cropped() -> Paper:
    """Pages with a crop box, and figures at the bottom of both columns."""
    paper = Paper(24, width=540, height=720, margin=36)
    left, right, wide = 44.0, 280.0, 216.0
    paper.prose(left, 50, wide, 430)
    paper.prose(right, 50, wide, 430)
    paper.figure(
        left, 450, 452, 180, Pdf(plot_pdf("pair", 91, 452, 180)), "Figure 2",
        "FIG. 2. Signals at two places. The second was measured one hour later.",
        font="Times-Italic",
    )  # fmt: skip
    paper.next_page()
    paper.prose(left, 50, wide, 680)
    y = paper.prose(right, 50, wide, 300)
    y = paper.figure(
        right, y + 8, wide, 150, Pdf(plot_pdf("surface", 92, 216, 150)), "Figure 3",
        "FIG. 3. Field strength around the source.", font="Times-Italic",
    )  # fmt: skip
    paper.prose(right, y + 10, wide, 680)
    return paper


def nature() -> Paper:
    """Captions such as "Figure 1 | Title.", lettered panels, a table of shaded rows."""
    paper = Paper(25, font="Helvetica", size=8.5, width=595, height=790)
    left, right, wide = 40.0, 306.0, 249.0
    y = paper.figure(
        left, 50, 515, 250,
        panels([flow_chart(["Take sample", "Heat", "Count cells"]), photo(101), chart(102),
                chart(103, kind="bars")], columns=2, letters="abcd"),
        "Figure 1", "Figure 1 | Growth depends on heat. a, The procedure. b, One of the samples. "
        "c, Rates over time. d, Counts by class, as means of three samples.",
        size=7.5, bold="Figure 1 |",
    )  # fmt: skip
    paper.prose(left, y + 12, wide, 750)
    paper.prose(right, y + 12, wide, 750)
    paper.next_page()
    y = paper.prose(left, 50, wide, 330)
    y = paper.table(
        left, y + 12, wide, STATIONS, "Table 1", "Table 1 | Conditions at the stations",
        style="shaded", size=8, bold="Table 1 |",
    )  # fmt: skip
    paper.prose(left, y + 12, wide, 750)
    y = paper.prose(right, 50, wide, 420)
    y = paper.figure(
        right, y + 10, wide, 160, chart(104, kind="points"), "Figure 2",
        "Figure 2 | Distribution of counts. Each point is one sample.", size=7.5,
        bold="Figure 2 |",
    )  # fmt: skip
    paper.prose(right, y + 10, wide, 750)
    return paper


def landscape_table() -> Paper:
    """A wide table on a landscape page, after a page of text."""
    paper = Paper(26, width=792, height=612, size=11)
    y = paper.table(
        60, 80, 672, WIDE, "Table B.1", "Table B.1. Values by country and year, in thousands.",
        style="ruled", size=10, align="r",
    )  # fmt: skip
    y = paper.prose(60, y + 20, 672, 400)
    paper.table(
        100, y + 16, 560, WIDE, "Table B.2", "Table B.2. The same after correction.",
        size=10, align="c", column=(60, 672), centered=True,
    )  # fmt: skip
    paper.text(732, 580, "Report 2021, page 9", size=8, align="r")
    return paper


def side_by_side() -> Paper:
    """Two figures side by side, each with its own caption, and two in a stack."""
    paper = Paper(27)
    x, wide = 72.0, 468.0
    y = paper.prose(x, 72, wide, 150)
    paper.figure(
        x, y + 10, 220, 150, chart(111), "Figure 1",
        "Figure 1: Rates of the first group. The light was on.",
    )  # fmt: skip
    y = paper.figure(
        x + 248, y + 10, 220, 150, chart(112, kind="bars"), "Figure 2",
        "Figure 2: Counts of the second group. The light was off, and the door was closed.",
    )  # fmt: skip
    y = paper.prose(x, y + 14, wide, 430)
    y = paper.figure(
        x + 100, y + 10, 260, 90, flow_chart(["Start", "Fit", "Stop"]), "Figure 3",
        "Figure 3: The procedure in three steps.", column=(x, wide), centered=True,
    )  # fmt: skip
    paper.figure(
        x + 100, y + 20, 260, 120, photo(113), "Figure 4", "Figure 4: The instrument.",
        column=(x, wide), centered=True,
    )  # fmt: skip
    return paper


def report() -> Paper:
    """A report: banner, background, list of steps as a figure, a photograph without caption."""
    paper = Paper(28, font="Helvetica", size=9.5)
    x, wide = 60.0, 492.0
    paper.box(0, 0, 612, 792, fill="0.99 0.98 0.95")
    paper.box(0, 0, 612, 46, fill="0.2 0.4 0.5")
    paper.image(540, 8, 44, 30, photo_image(120, 44, 30))
    y = paper.heading(x, 70, "Methods")
    y = paper.prose(x, y, wide, 190)
    steps = ["1. Read the file and find its type.", "2. Split the text into passages.",
             "3. Encode each passage.", "4. Write the vectors in one commit."]  # fmt: skip
    y = paper.figure(
        x + 90, y + 12, 300, 66, boxed_text(steps, font="Helvetica", size=9), "Figure 1",
        "Fig. 1 Steps of the procedure", column=(x, wide), centered=True,
    )  # fmt: skip
    y = paper.prose(x, y + 14, wide, 420)
    y = paper.figure(
        x + 40, y + 12, 400, 170, Pdf(plot_pdf("lines", 121, 400, 170)), "Figure 2",
        "Fig. 2 Signals of three runs, as they were measured", column=(x, wide), centered=True,
    )  # fmt: skip
    paper.prose(x, y + 12, wide, 750)
    paper.next_page()
    paper.box(0, 0, 612, 792, fill="0.99 0.98 0.95")
    paper.box(0, 0, 612, 46, fill="0.2 0.4 0.5")
    paper.image(540, 8, 44, 30, photo_image(120, 44, 30))
    y = paper.prose(x, 70, wide, 240)
    paper.figure(x + 60, y + 12, 360, 220, photo(122), "", "", gap=0)
    paper.prose(x, y + 250, wide, 750)
    return paper


LAYOUTS: dict[str, Callable[[], Paper]] = {
    "figure under table": figure_under_table,
    "German thesis": german,
    "supplement": supplement,
    "cropped pages": cropped,
    "Nature style": nature,
    "landscape tables": landscape_table,
    "side by side": side_by_side,
    "report": report,
}
