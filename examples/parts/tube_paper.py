"""An article on the speed of sound in a tube. Its numbers are simulated; its physics is real."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from PIL import Image
from reportlab.lib import colors
from reportlab.pdfgen.canvas import Canvas

from parts.canvas import INFERNO_LIKE, colours
from parts.layout import (
    COLUMN,
    WIDE,
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

_LENGTH_M, _RADIUS_M = 0.850, 0.020
_TEMPERATURES_C = (5, 20, 35)
_COLOURS = ("#2563a8", "#2c8a57", "#c8372d")


def _speed(celsius: float) -> float:
    return 331.3 * math.sqrt(1 + celsius / 273.15)


@cache
def _resonances() -> dict[int, list[float]]:
    """The resonances in hertz of the closed tube, measured with an error of 0.6 Hz."""
    rng = np.random.default_rng(20_261)
    effective = _LENGTH_M + 0.61 * _RADIUS_M
    return {
        celsius: [
            (2 * mode - 1) * _speed(celsius) / (4 * effective) + rng.normal(0, 0.6)
            for mode in range(1, 8)
        ]
        for celsius in _TEMPERATURES_C
    }


def _apparatus(pen: Canvas) -> None:
    pen.setFont("Helvetica", 7)
    pen.setLineWidth(1)
    pen.setStrokeColor(colors.HexColor("#22272e"))
    pen.setFillColor(colors.HexColor("#dbe7f3"))
    pen.rect(58, 52, 150, 26, fill=1)
    pen.setFillColor(colors.HexColor("#6b7480"))
    pen.rect(204, 52, 6, 26, fill=1)
    pen.setFillColor(colors.HexColor("#e0861a"))
    loudspeaker = pen.beginPath()
    loudspeaker.moveTo(28, 59)
    loudspeaker.lineTo(36, 59)
    loudspeaker.lineTo(48, 46)
    loudspeaker.lineTo(48, 84)
    loudspeaker.lineTo(36, 71)
    loudspeaker.lineTo(28, 71)
    loudspeaker.close()
    pen.drawPath(loudspeaker, fill=1)
    pen.setFillColor(colors.HexColor("#2c8a57"))
    pen.circle(196, 65, 5, fill=1)
    pen.setFillColor(colors.HexColor("#f3f4f6"))
    pen.rect(86, 8, 92, 20, fill=1)
    pen.setFillColor(colors.black)
    pen.drawCentredString(132, 15, "computer, sound card")
    pen.line(38, 46, 38, 18)
    pen.line(38, 18, 86, 18)
    pen.line(196, 60, 196, 18)
    pen.line(196, 18, 178, 18)
    pen.drawCentredString(38, 90, "loudspeaker")
    pen.drawCentredString(184, 90, "microphone")
    pen.drawCentredString(126, 62, "acrylic tube, 850 mm")
    pen.setDash(2, 2)
    pen.line(58, 82, 58, 100)
    pen.line(204, 82, 204, 100)
    pen.setDash()
    pen.line(58, 98, 204, 98)
    pen.drawCentredString(131, 101, "L")


def _modes(pen: Canvas) -> None:
    axes = Axes(pen, (36, 28, COLUMN - 6, 150), (0, 8), (0, 1400))
    axes.frame("Mode number n", "Resonance (Hz)", range(1, 8), range(0, 1401, 200))
    for celsius, colour in zip(_TEMPERATURES_C, _COLOURS, strict=True):
        found = _resonances()[celsius]
        slope = _speed(celsius) / (4 * (_LENGTH_M + 0.61 * _RADIUS_M))
        axes.curve([(0.5, 0), (7.5, 14 * slope)], colour)
        axes.dots([(n, hz) for n, hz in enumerate(found, start=1)], colour)
    axes.key(
        48, 140, [(f"{c} degrees C", h) for c, h in zip(_TEMPERATURES_C, _COLOURS, strict=True)]
    )


def _sweep() -> Image.Image:
    """The level at the closed end against time and frequency, while the frequency rises."""
    rng = np.random.default_rng(20_262)
    width, height = 900, 300
    hertz = np.linspace(1400, 0, height)[:, None]
    seconds = np.linspace(0, 14, width)[None, :]
    drive = 100 * seconds
    gain = sum(1 / (1 + ((drive - hz) / 9) ** 2) for hz in _resonances()[20])
    level = (0.18 + gain) * np.exp(-(((hertz - drive) / 9) ** 2))
    level += 0.35 * (0.1 + gain) * np.exp(-(((hertz - 2 * drive) / 9) ** 2))
    level += rng.gamma(1.5, 0.018, (height, width))
    shown = np.clip(np.log10(level + 0.02) / 1.9 + 0.9, 0, 1)
    return Image.fromarray(colours(shown, INFERNO_LIKE))


def _sweep_figure(pen: Canvas) -> None:
    picture = Picture(_sweep(), WIDE - 50)
    picture.canv = pen
    pen.saveState()
    pen.translate(40, 28)
    picture.draw()
    pen.restoreState()
    axes = Axes(pen, (40, 28, WIDE - 10, 28 + picture.height), (0, 14), (0, 1400))
    axes.frame("Time (s)", "Frequency (Hz)", range(0, 15, 2), range(0, 1401, 200))


def article() -> Article:
    found = _resonances()
    rows = [["Mode n", *(f"{celsius} °C" for celsius in _TEMPERATURES_C)]]
    rows += [
        [str(n + 1), *(f"{found[celsius][n]:.1f}" for celsius in _TEMPERATURES_C)] for n in range(7)
    ]
    rows.append(["v (m/s)", *(f"{_fit(found[celsius]):.1f}" for celsius in _TEMPERATURES_C)])
    return Article(
        title="The Speed of Sound from the Resonances of a Closed Tube",
        author="The Trawl Example Collection",
        running="The speed of sound from the resonances of a closed tube",
        keywords=("acoustics", "resonance", "speed of sound"),
        abstract=_ABSTRACT,
        wide=[
            Drawing(WIDE, 28 + (WIDE - 50) / 3 + 4, _sweep_figure),
            caption("Figure 2.", _SWEEP_CAPTION),
        ],
        body=[
            heading("1 Introduction"),
            *text(*_INTRODUCTION),
            heading("2 Method"),
            *text(*_METHOD),
            [Drawing(COLUMN, 112, _apparatus), caption("Figure 1.", _APPARATUS_CAPTION)],
            *text(*_PROCEDURE),
            heading("3 Results"),
            *text(*_RESULTS),
            table("Table 1.", _TABLE_CAPTION, rows),
            [Drawing(COLUMN, 158, _modes), caption("Figure 3.", _MODES_CAPTION)],
            *text(*_TEMPERATURE),
            heading("4 Sources of error"),
            *text(*_ERRORS),
            heading("5 Conclusion"),
            *text(*_CONCLUSION),
            heading("References"),
            *references(*_REFERENCES),
        ],
    )


def _fit(resonances: list[float]) -> float:
    """The speed of sound from the slope of the resonances against 2n - 1."""
    odd = np.arange(1, 2 * len(resonances), 2)
    slope = float(np.sum(odd * resonances) / np.sum(odd * odd))
    return slope * 4 * (_LENGTH_M + 0.61 * _RADIUS_M)


_ABSTRACT = """
A tube that is closed at one end resonates at odd multiples of its lowest note. We drive such a
tube with a loudspeaker whose frequency rises slowly, record the sound at the closed end, and read
the speed of sound from the spacing of the resonances. Seven resonances at each of three
temperatures give the speed to within 0.3 per cent, and show that it grows with the square root of
the absolute temperature. The parts cost less than a textbook.
"""
_INTRODUCTION = (
    """
    Sound travels through air as a wave of pressure. Its speed does not depend on loudness, hardly
    depends on pitch, and is set by how stiff and how heavy the gas is. For an ideal gas the speed
    is the square root of the ratio of specific heats times the gas constant times the absolute
    temperature, divided by the molar mass. Newton left out the ratio of specific heats and found
    a value that was 15 per cent too small; Laplace saw that a sound wave compresses the air too
    quickly for heat to leave it, and added the factor [1].
    """,
    """
    Clapping and timing an echo is a direct measurement, but a distance of a hundred metres gives
    only a third of a second. A resonance is a better clock. A wave that fits the tube adds to its
    own reflections, and the sound becomes loud. The condition is a matter of length alone: a tube
    of length L, closed at one end, holds a quarter of a wavelength, then three quarters, then
    five. Its resonances are therefore odd multiples of the lowest one, and the distance between
    neighbours is the speed of sound divided by 2L.
    """,
)
_METHOD = (
    """
    Figure 1 shows the apparatus. A clear acrylic tube of 850 mm length and 40 mm inner diameter
    is closed at one end by a rigid plug. A small microphone sits in the plug. In front of the
    open end stands a loudspeaker at a distance of 15 mm, close enough to drive the air column and
    far enough not to close the end. Both are connected to the sound card of a computer, which
    plays a tone and records at the same time.
    """,
)
_APPARATUS_CAPTION = """
Apparatus for measuring the speed of sound: a loudspeaker drives an acrylic tube of length L that
is closed by a plug with a microphone; a computer plays the tone and records the response.
"""
_PROCEDURE = (
    """
    The tone rises from 0 to 1,400 Hz in 14 seconds, slowly enough for each resonance to build up.
    The recording is cut into windows of 50 milliseconds, and the level of each window at the
    frequency that was playing is the response of the tube. The maxima of the response are found
    by fitting a Lorentz curve to the nine windows around each peak.
    """,
    """
    The whole apparatus stood in a refrigerator, in the laboratory, and in a drying cabinet, at 5,
    20 and 35 degrees Celsius. We waited for an hour before each sweep, since the air in the tube
    follows the room within minutes but the acrylic does not.
    """,
)
_SWEEP_CAPTION = """
Spectrogram of one sweep at 20 degrees Celsius, recorded at the closed end of the tube. The
bright diagonal is the tone of the loudspeaker; it flares up whenever its frequency passes a
resonance. The fainter diagonal of twice the slope is the second harmonic of the loudspeaker.
"""
_RESULTS = (
    """
    Figure 2 is the spectrogram of a sweep. The tone itself is a straight line, since its
    frequency rises in proportion to time. Along the line the level swells seven times, once at
    each resonance. A second, fainter line rises twice as fast: the loudspeaker distorts a little
    and adds the octave of its tone. Where the octave meets a resonance, the fainter line swells
    too.
    """,
    """
    The frequencies of the seven resonances are listed in Table 1. Their ratios are those of the
    odd numbers 1, 3, 5 and so on, as expected for a tube with one closed end; an open tube would
    also have the even ones. The slope of a straight line through the resonances against 2n - 1,
    times four times the effective length, is the speed of sound in the last row of Table 1.
    """,
)
_TABLE_CAPTION = """
Resonance frequencies of the closed tube in hertz at three temperatures, and the speed of sound v
that follows from them.
"""
_MODES_CAPTION = """
Resonance frequency against mode number at three temperatures, with straight lines for the speed
of sound in an ideal gas. The slope rises with temperature.
"""
_TEMPERATURE = (
    """
    Figure 3 shows the same numbers as a graph. The points lie on straight lines, and the lines
    fan out: warmer air carries sound faster. From 5 to 35 degrees the speed grows by 5.2 per
    cent, while the absolute temperature grows by 10.8 per cent. The square root of 1.108 is
    1.053, so that the law of the ideal gas holds within the error of the measurement.
    """,
    """
    A rule for the kitchen follows: add 0.6 metres per second to 331 for each degree above
    freezing. An orchestra that tunes in a cold hall goes sharp when the hall warms up, by a third
    of a semitone over ten degrees in the wind section, while the strings go flat.
    """,
)
_ERRORS = (
    """
    The air at the open end moves as if the tube were longer than it is. For a tube without a
    flange the correction is 0.61 times the radius [2], here 12 mm or 1.4 per cent; without it
    every speed in Table 1 would be too small by that share. The correction depends weakly on
    frequency, which bends the lines of Figure 3 by less than the size of the points.
    """,
    """
    Moist air is lighter than dry air, because a molecule of water weighs less than one of
    nitrogen. At 20 degrees and half of saturation the speed is 0.2 per cent higher than in dry
    air. The walls slow the wave by friction and by conducting heat, most of all in narrow tubes;
    for 40 mm the effect is a tenth of a per cent.
    """,
)
_CONCLUSION = (
    """
    The resonances of a closed tube measure the speed of sound to a few parts in a thousand with a
    loudspeaker, a microphone and a length of plastic pipe. The sweep in Figure 2 makes the
    resonances visible at once, and Figs. 2 and 3 together explain to a beginner what a mode is.
    The largest systematic error is the end correction; two tubes of different lengths remove it.
    """,
)
_REFERENCES = (
    "P. S. de Laplace, Sur la vitesse du son dans l'air et dans l'eau, Annales de chimie et de "
    "physique 3 (1816) 238.",
    "H. Levine and J. Schwinger, On the radiation of sound from an unflanged circular pipe, "
    "Physical Review 73 (1948) 383.",
)
