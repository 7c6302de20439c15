"""Prose without meaning: words, sentences and paragraphs from a seeded generator."""

from __future__ import annotations

import random

from reportlab.pdfbase.pdfmetrics import stringWidth

_WORDS = [
    "the",
    "of",
    "and",
    "a",
    "to",
    "in",
    "is",
    "we",
    "that",
    "for",
    "with",
    "as",
    "on",
    "are",
    "this",
    "by",
    "an",
    "from",
    "which",
    "these",
    "measured",
    "signal",
    "field",
    "method",
    "sample",
    "energy",
    "model",
    "value",
    "surface",
    "temperature",
    "rate",
    "effect",
    "system",
    "layer",
    "distribution",
    "between",
    "observed",
    "different",
    "function",
    "results",
    "large",
    "small",
    "time",
    "increases",
    "after",
    "before",
    "response",
    "density",
    "over",
    "under",
    "several",
    "both",
    "each",
    "obtained",
    "analysis",
    "shown",
    "previous",
    "work",
    "spectrum",
    "detector",
    "particle",
    "population",
    "cell",
    "growth",
    "network",
    "parameter",
    "training",
    "error",
    "estimate",
    "approach",
    "significant",
    "compared",
    "control",
    "region",
    "boundary",
    "structure",
    "electron",
    "reaction",
    "pressure",
    "concentration",
    "frequency",
    "amplitude",
    "linear",
    "average",
    "standard",
    "deviation",
    "experiment",
    "data",
    "set",
]


def sentence(rng: random.Random) -> str:
    words = rng.choices(_WORDS, k=rng.randint(8, 22))
    words[0] = words[0].capitalize()
    if rng.random() < 0.15:
        words.insert(rng.randint(3, len(words) - 1), f"[{rng.randint(1, 40)}]")
    if rng.random() < 0.2:
        words[rng.randint(2, len(words) - 2)] += ","
    return " ".join(words) + "."


def paragraph(rng: random.Random) -> str:
    return " ".join(sentence(rng) for _ in range(rng.randint(3, 7)))


def phrase(rng: random.Random, count: int) -> str:
    return " ".join(rng.choices(_WORDS, k=count))


def short_word(rng: random.Random) -> str:
    return rng.choice([word for word in _WORDS if 3 < len(word) < 9])


def wrapped(text: str, font: str, size: float, width: float, indent: float = 0) -> list[str]:
    """Return the lines of a text in a width; the first is shorter by `indent`."""
    lines: list[str] = []
    line, room = "", width - indent
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and stringWidth(longer, font, size) > room:
            lines.append(line)
            line, room = word, width
        else:
            line = longer
    return [*lines, line]
