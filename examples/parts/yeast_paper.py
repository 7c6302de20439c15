"""An article on the growth of yeast. Its numbers are simulated; its biology is real."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from PIL import Image, ImageFilter
from reportlab.lib import colors
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import FrameBreak

from parts.layout import (
    COLUMN,
    Article,
    Axes,
    Drawing,
    Picture,
    caption,
    heading,
    references,
    table,
    text,
)

_TEMPERATURES_C = (12, 18, 24, 30, 36, 40)
_COLOURS = ("#2563a8", "#15908f", "#2c8a57", "#e0861a", "#c8372d", "#7648a8")
_COLDEST_C, _HOTTEST_C = 2.0, 42.5


def _rate(celsius: float) -> float:
    """The growth rate per hour, by the model of Ratkowsky and others (1983)."""
    root = 0.0262 * (celsius - _COLDEST_C) * (1 - math.exp(0.22 * (celsius - _HOTTEST_C)))
    return max(root, 0.0) ** 2


def _density(celsius: float, hours: float) -> float:
    """The optical density of a culture: a lag, exponential growth and saturation."""
    rate = _rate(celsius)
    grown = 0.05 * math.exp(rate * max(0.0, hours - 0.4 / rate))
    return grown / (1 + grown / 8.0)


@cache
def _measured() -> list[tuple[float, float]]:
    rng = np.random.default_rng(20_263)
    return [(each, _rate(each) * (1 + rng.normal(0, 0.03))) for each in _TEMPERATURES_C]


def _micrograph() -> Image.Image:
    """Budding cells in phase contrast: bright walls with a dark rim, on grey."""
    rng = np.random.default_rng(20_264)
    width, height = 760, 520
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    light = np.full((height, width), 0.52)
    light += 0.05 * (columns / width - 0.5) - 0.04 * (rows / height - 0.5)
    taken: list[tuple[float, float, float]] = []
    while len(taken) < 34:
        radius = rng.uniform(21, 33)
        x, y = rng.uniform(10, width - 10), rng.uniform(10, height - 10)
        if any(math.hypot(x - a, y - b) < radius + r + 26 for a, b, r in taken):
            continue
        taken.append((x, y, radius))
        _add_cell(light, columns - x, rows - y, radius, rng.uniform(0.85, 1.15), rng.uniform(0, 3))
        if rng.random() < 0.6:
            angle, bud = rng.uniform(0, 2 * math.pi), radius * rng.uniform(0.35, 0.7)
            apart = radius + 0.72 * bud
            at_x, at_y = x + apart * math.cos(angle), y + apart * math.sin(angle)
            _add_cell(light, columns - at_x, rows - at_y, bud, 1.0, angle)
    light += rng.normal(0, 0.012, light.shape)
    light[height - 26 : height - 20, width - 150 : width - 30] = 1.0
    grey = Image.fromarray((np.clip(light, 0, 1) * 255).astype(np.uint8))
    return grey.filter(ImageFilter.GaussianBlur(1.1)).convert("RGB")


def _add_cell(
    light: np.ndarray, across: np.ndarray, down: np.ndarray, radius: float, flat: float, turn: float
) -> None:
    along = across * math.cos(turn) + down * math.sin(turn)
    aside = (down * math.cos(turn) - across * math.sin(turn)) * flat
    distance = np.hypot(along, aside)
    light += 0.40 * np.exp(-(((distance - radius) / 3.2) ** 2))
    light -= 0.30 * np.exp(-(((distance - radius - 6.5) / 3.6) ** 2))
    light -= 0.12 * (distance < radius - 3)
    vacuole = np.hypot(along - 0.25 * radius, aside + 0.1 * radius)
    light += 0.16 * np.exp(-((vacuole / (0.38 * radius)) ** 4))


def _curves(pen: Canvas) -> None:
    rng = np.random.default_rng(20_265)
    axes = Axes(pen, (36, 28, COLUMN - 6, 160), (0, 24), (-1.5, 1.0))
    axes.frame(
        "Time (hours)", "log10 of optical density", range(0, 25, 4), (-1.5, -1, -0.5, 0, 0.5, 1)
    )
    for celsius, colour in zip(_TEMPERATURES_C, _COLOURS, strict=True):
        hours = np.linspace(0, 24, 120)
        axes.curve([(h, math.log10(_density(celsius, h))) for h in hours], colour)
        axes.dots(
            [(h, math.log10(_density(celsius, h)) + rng.normal(0, 0.02)) for h in range(0, 25, 2)],
            colour,
        )
    axes.key(
        42,
        152,
        [(f"{c} degrees C", h) for c, h in zip(_TEMPERATURES_C, _COLOURS, strict=True)],
    )


def _against_temperature(pen: Canvas) -> None:
    axes = Axes(pen, (36, 28, COLUMN - 6, 148), (0, 45), (0, 0.6))
    axes.frame(
        "Temperature (degrees C)", "Growth rate (per hour)", range(0, 46, 5),
        (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
    )  # fmt: skip
    grid = np.linspace(_COLDEST_C, _HOTTEST_C, 160)
    axes.curve([(celsius, _rate(celsius)) for celsius in grid], "#6b7480")
    doubling = [(c, 0.0686 * 2.4 ** ((c - 12) / 10)) for c in np.linspace(2, 34, 40)]
    axes.curve([(c, rate) for c, rate in doubling if rate < 0.6], "#2563a8", dash=True)
    axes.dots(_measured(), "#c8372d", error=0.02)
    axes.key(
        46, 138,
        [("measured", "#c8372d"), ("Ratkowsky model", "#6b7480"), ("rule of Q10 = 2.4", "#2563a8")],
    )  # fmt: skip


def _flow(pen: Canvas) -> None:
    """The steps of the experiment as boxes and arrows."""
    steps = (
        ("single colony", "#f3f4f6"), ("overnight culture, 30 °C", "#e8f1ea"),
        ("dilute to OD 0.05", "#e8f1ea"), ("six flasks, six water baths", "#dbe7f3"),
        ("OD at 600 nm every 2 h", "#fbeedb"),
    )  # fmt: skip
    pen.setFont("Helvetica", 7.2)
    for place, (words, colour) in enumerate(steps):
        y = 104 - 24 * place
        pen.setStrokeColor(colors.HexColor("#22272e"))
        pen.setLineWidth(0.8)
        pen.setFillColor(colors.HexColor(colour))
        pen.roundRect(62, y, 120, 16, 3, fill=1)
        pen.setFillColor(colors.black)
        pen.drawCentredString(122, y + 5.4, words)
        if place + 1 < len(steps):
            pen.line(122, y, 122, y - 8)
            arrow = pen.beginPath()
            arrow.moveTo(119.5, y - 4)
            arrow.lineTo(124.5, y - 4)
            arrow.lineTo(122, y - 8)
            arrow.close()
            pen.drawPath(arrow, fill=1)


def article() -> Article:
    rows = [["Temperature", "Rate (1/h)", "Doubling time"]]
    for celsius, rate in _measured():
        minutes = 60 * math.log(2) / rate
        rows.append(
            [f"{celsius} °C", f"{rate:.3f}", f"{int(minutes // 60)} h {minutes % 60:02.0f} min"]
        )
    return Article(
        title="Temperature and the Growth of Baker's Yeast",
        author="The Trawl Example Collection",
        running="Temperature and the growth of baker's yeast",
        keywords=("biology", "yeast", "growth rate"),
        abstract=_ABSTRACT,
        body=[
            heading("Introduction"),
            *text(*_INTRODUCTION),
            heading("Materials and methods"),
            *text(*_METHODS),
            [Drawing(COLUMN, 124, _flow), caption("Fig. 1.", _FLOW_CAPTION)],
            *text(*_COUNTING),
            [Picture(_micrograph(), COLUMN), caption("Fig. 2.", _MICROGRAPH_CAPTION)],
            heading("Results"),
            *text(*_RESULTS),
            [Drawing(COLUMN, 168, _curves), caption("Fig. 3.", _CURVES_CAPTION)],
            table("Table I.", _TABLE_CAPTION, rows),
            *text(*_OPTIMUM),
            [Drawing(COLUMN, 156, _against_temperature), caption("Fig. 4.", _OPTIMUM_CAPTION)],
            FrameBreak(),
            heading("Discussion"),
            *text(*_DISCUSSION),
            heading("References"),
            *references(*_REFERENCES),
        ],
    )


_ABSTRACT = """
Bakers know that dough rises twice as fast in a warm kitchen. We grew baker's yeast in a rich
medium at six temperatures from 12 to 40 degrees Celsius and followed the turbidity of the
cultures for a day. The growth rate rises steadily up to about 33 degrees, where the cells divide
every eighty minutes, and falls steeply above. A model with four parameters describes the whole
range; the common rule of a constant factor for ten degrees does not.
"""
_INTRODUCTION = (
    """
    The yeast <i>Saccharomyces cerevisiae</i> lives on sugar. It raises bread, ferments wine and
    beer, and was the first organism with a nucleus whose genome was read completely. It
    multiplies by budding: a small daughter cell grows out of the mother, receives a copy of the
    chromosomes, and leaves a ring of chitin behind on the mother's wall.
    """,
    """
    Temperature sets the pace of this cycle. Within limits, enzymes work faster when they are
    warmer; beyond them, proteins lose their shape and membranes leak. Between the two lies an
    optimum, which every baker and brewer uses. Here we measure where it is, and how steeply the
    growth rate falls on either side.
    """,
)
_METHODS = (
    """
    A single colony of a commercial strain was grown overnight at 30 degrees in a medium of yeast
    extract, peptone and glucose (YPD), diluted to an optical density of 0.05, and divided among
    six flasks. The flasks were shaken in water baths at 12, 18, 24, 30, 36 and 40 degrees
    Celsius. Fig. 1 summarises the steps. Every two hours a sample of one millilitre was taken
    from each flask and its optical density measured at 600 nanometres; dense samples were diluted
    tenfold.
    """,
)
_FLOW_CAPTION = """
Steps of the experiment, from a single colony of yeast to the optical density of six cultures.
"""
_COUNTING = (
    """
    Optical density measures scattered light, not cells. We therefore counted cells under the
    microscope at the start, after six hours and at the end. One unit of optical density was 1.4
    times ten to the seventh cells per millilitre at all temperatures but the highest, where the
    cells were larger. Fig. 2 shows a field of the culture at 30 degrees during exponential
    growth. More than half of the cells carry a bud, as expected if budding takes up more than
    half of the cycle.
    """,
)
_MICROGRAPH_CAPTION = """
Budding yeast cells in phase contrast, from the culture at 30 degrees after six hours. The bright
spot in a cell is its vacuole. The bar is 10 micrometres long.
"""
_RESULTS = (
    """
    The growth curves are shown in Fig. 3. On a logarithmic scale each culture passes through a
    lag, rises along a straight line, and bends over when glucose runs out. The slope of the
    straight part is the growth rate. The culture at 12 degrees was still in exponential growth
    after a day, at less than a twentieth of the density that the culture at 30 degrees had
    reached in twelve hours.
    """,
    """
    Table I lists the growth rates and doubling times. The fastest cultures, at 30 and 36 degrees,
    doubled in about an hour and a half. At 40 degrees growth was slow and the lag was long; many
    cells were swollen and did not bud.
    """,
)
_CURVES_CAPTION = """
Growth curves of yeast at six temperatures: logarithm of the optical density at 600 nm against
time. The slope of the straight part is the growth rate.
"""
_TABLE_CAPTION = """
Growth rate and doubling time of baker's yeast in rich medium at six temperatures. The standard
error of the rates is 3 per cent.
"""
_OPTIMUM = (
    """
    Fig. 4 plots the rates of Table I against temperature. The points rise along a curve that is
    steeper than a straight line, reach a maximum near 33 degrees, and drop to a third of it at 40
    degrees. The solid line is the model of Ratkowsky and others [1]: the square root of the rate
    is proportional to the distance from a lowest temperature, and a second factor cuts it off at
    a highest one. The fit gives 2 and 42.5 degrees for the two limits.
    """,
)
_OPTIMUM_CAPTION = """
Growth rate of yeast against temperature. Points: measured rates with errors. Solid line: model
with a lowest and a highest temperature for growth. Dashed line: rule of a constant factor for
ten degrees.
"""
_DISCUSSION = (
    """
    The asymmetry of the curve is the lesson for the kitchen. Five degrees too cold cost a sixth
    of the growth rate; seven degrees too warm cost two thirds, and the harm is lasting. Below the
    optimum the factor for ten degrees, Q10, is not constant either: it falls from almost four
    between 12 and 22 degrees to one and a half between 24 and 34. The dashed line of Fig. 4 shows
    how quickly a constant factor goes astray.
    """,
    """
    Growth in the exponential phase depends on temperature alone as long as food is plentiful [2].
    In dough it is not: sugar is set free slowly by the enzymes of the flour, salt slows the
    yeast, and the crumb is a poor conductor of heat. Figs. 3 and 4 are therefore an upper limit
    for what happens in the bowl. A baker who wants flavour rather than speed stays on the cold
    side, where bacteria make acids while the yeast takes its time.
    """,
)
_REFERENCES = (
    "D. A. Ratkowsky et al., Model for bacterial growth rate throughout the entire biokinetic "
    "temperature range, Journal of Bacteriology 154 (1983) 1222.",
    "J. Monod, The growth of bacterial cultures, Annual Review of Microbiology 3 (1949) 371.",
)
