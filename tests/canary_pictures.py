"""Twelve small pictures with a caption each, drawn with Pillow alone, the same on every machine.

They stand for what the built-in model must tell apart without any data at hand. None is drawn by
the code that drew its training figures.
"""

import math
import random
from collections.abc import Callable

from PIL import Image, ImageDraw

WIDTH, HEIGHT = 200, 150
_AXES = [(30, 12), (30, 130), (188, 130)]


def _paper(colour: str = "white") -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (WIDTH, HEIGHT), colour)
    return image, ImageDraw.Draw(image)


def _line_chart() -> Image.Image:
    image, draw = _paper()
    draw.line(_AXES, fill="black", width=1)
    for phase, colour in ((0.0, "navy"), (1.6, "firebrick")):
        points = [(32 + 3 * i, 72 - 36 * math.sin(i / 7 + phase) - i / 3) for i in range(51)]
        draw.line(points, fill=colour, width=2)
    return image


def _bar_chart() -> Image.Image:
    image, draw = _paper()
    draw.line(_AXES, fill="black", width=1)
    for i, height in enumerate((55, 92, 38, 71, 104)):
        draw.rectangle((40 + 30 * i, 130 - height, 58 + 30 * i, 130), fill="steelblue")
    return image


def _pie_chart() -> Image.Image:
    image, draw = _paper()
    start = 0
    for share, colour in ((120, "tomato"), (85, "gold"), (95, "seagreen"), (60, "royalblue")):
        draw.pieslice((40, 15, 160, 135), start, start + share, fill=colour)
        start += share
    return image


def _scatter_plot() -> Image.Image:
    image, draw = _paper()
    draw.line(_AXES, fill="black", width=1)
    rng = random.Random(4)
    for _ in range(70):
        x, y = rng.uniform(36, 182), rng.uniform(18, 124)
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill="purple")
    return image


def _heat_map() -> Image.Image:
    image, draw = _paper()
    rng = random.Random(5)
    for row in range(9):
        for column in range(12):
            heat = int(255 * min(1, 0.2 + rng.random() * 0.5 + 0.03 * column))
            box = (14 + 14 * column, 12 + 14 * row, 27 + 14 * column, 25 + 14 * row)
            draw.rectangle(box, fill=(heat, heat // 3, 255 - heat))
    return image


def _red_circle() -> Image.Image:
    image, draw = _paper()
    draw.ellipse((55, 30, 145, 120), fill=(220, 20, 20))
    return image


def _blue_square() -> Image.Image:
    image, draw = _paper()
    draw.rectangle((60, 35, 140, 115), fill=(30, 60, 220))
    return image


def _network() -> Image.Image:
    image, draw = _paper()
    rng = random.Random(8)
    spots = [
        (25 + 50 * (i % 4) + rng.uniform(-9, 9), 25 + 48 * (i // 4) + rng.uniform(-9, 9))
        for i in range(12)
    ]
    for i, spot in enumerate(spots):
        for other in (i + 1, i + 4, i + 5):
            if other < 12 and rng.random() < 0.7:
                draw.line([spot, spots[other]], fill="grey", width=2)
    for x, y in spots:
        draw.ellipse((x - 7, y - 7, x + 7, y + 7), fill="darkorange", outline="black")
    return image


def _event_display() -> Image.Image:
    image, draw = _paper("black")
    for radius, colour in ((30, "teal"), (48, "olive"), (66, "steelblue")):
        draw.ellipse(
            (100 - radius, 75 - radius, 100 + radius, 75 + radius), outline=colour, width=3
        )
    rng = random.Random(9)
    for i in range(34):
        angle, bend = rng.uniform(0, 2 * math.pi), rng.gauss(0, 0.8)
        length, colour = (70, "red") if i < 3 else (rng.uniform(30, 46), "yellow")
        bend = bend / 5 if i < 3 else bend
        path = [
            (
                100 + length * s / 12 * math.cos(angle + bend * s / 12),
                75 + length * s / 12 * math.sin(angle + bend * s / 12),
            )
            for s in range(13)
        ]
        draw.line(path, fill=colour, width=3 if i < 3 else 1)
    return image


def _night_sky() -> Image.Image:
    image, draw = _paper("black")
    rng = random.Random(10)
    for _ in range(150):
        x, y, light = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.randint(90, 255)
        draw.point((x, y), fill=(light, light, light))
    for _ in range(9):
        x, y, wide = rng.uniform(15, 185), rng.uniform(15, 135), rng.uniform(3, 8)
        for step in range(8, 0, -1):
            light, reach = 30 + 27 * (8 - step), wide * step / 8
            draw.ellipse(
                (x - reach, y - reach / 2, x + reach, y + reach / 2),
                fill=(light, int(light * 0.9), int(light * 0.75)),
            )
    return image


def _decay_curve() -> Image.Image:
    image, draw = _paper()
    draw.line(_AXES, fill="black", width=1)
    rng = random.Random(11)
    for i in range(24):
        x, y = 34 + 6.3 * i, 126 - 108 * math.exp(-i / 5) + rng.gauss(0, 2)
        draw.line([(x, y - 5), (x, y + 5)], fill="black")
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill="black")
    curve = [(34 + i, 126 - 108 * math.exp(-i / 31.5)) for i in range(150)]
    draw.line(curve, fill="red", width=2)
    return image


def _gel() -> Image.Image:
    image, draw = _paper((14, 14, 18))
    rng = random.Random(12)
    for lane in range(7):
        for _ in range(9 if lane == 0 else rng.randint(1, 4)):
            y, light = rng.uniform(15, 135), rng.randint(130, 240)
            draw.rectangle((14 + 26 * lane, y - 2, 32 + 26 * lane, y + 2), fill=(light,) * 3)
    return image


CANARIES: dict[str, Callable[[], Image.Image]] = {
    "a line chart with two curves": _line_chart,
    "a bar chart with five bars": _bar_chart,
    "a pie chart with four slices": _pie_chart,
    "a scatter plot of points": _scatter_plot,
    "a heat map with coloured cells": _heat_map,
    "a red circle on a white background": _red_circle,
    "a blue square on a white background": _blue_square,
    "a network graph of nodes and edges": _network,
    "an event display with muon tracks and jets": _event_display,
    "galaxies and stars in the night sky": _night_sky,
    "an exponential decay curve": _decay_curve,
    "gel electrophoresis bands": _gel,
}
"""Caption to the function that draws its picture."""
