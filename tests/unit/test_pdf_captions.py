"""Captions among the lines of a page, and lines that only look like captions."""

from __future__ import annotations

import pytest

from trawl.readers.pdf.captions import Caption, find_captions
from trawl.readers.pdf.lines import Line, Word, line_of

BODY = 10.0


def line(
    text: str, top: float, *, left: float = 60, size: float = BODY, bold: int = 0, step: float = 0.5
) -> Line:
    """Return a line whose first `bold` words are bold. A tab is a wide gap."""
    words, x = [], left
    for number, piece in enumerate(text.replace("\t", " \t ").split(" ")):
        if piece == "\t":
            x += 4 * size
            continue
        width = len(piece) * size * step
        box = (x, top, x + width, top + size * 0.97)
        words.append(Word(piece, box, size, number < bold, 0, top + 0.75 * size))
        x += width + 0.28 * size
    return line_of(words)


def captions(*lines: Line) -> list[Caption]:
    return find_captions(lines, BODY)


PROSE = "which the rate of growth in the layers depends on the heat"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Figure 1. Rates of both series.", "Figure 1"),
        ("Fig. 6: Rates", "Figure 6"),
        ("FIG. 12. Rates", "Figure 12"),
        ("Figure B.1: Rates", "Figure B.1"),
        ("Figure S1. Rates", "Figure S1"),
        ("Supplementary Figure 2. Rates", "Supplementary Figure 2"),
        ("Extended Data Fig. 3 | Rates", "Extended Data Figure 3"),
        ("Figure 3-1: Rates", "Figure 3-1"),
        ("Scheme 2. Synthesis", "Scheme 2"),
        ("Abbildung 1: Verlauf", "Abbildung 1"),
        ("Abb. 3.2: Verlauf", "Abbildung 3.2"),
        ("Table 4. Values", "Table 4"),
        ("Tabelle 2: Werte", "Tabelle 2"),
        ("TABLE IV: Values", "Table IV"),
        ("Рис. 1. Схема", "Рисунок 1"),
    ],
)
def test_a_caption_has_its_label_in_a_regular_form(text: str, label: str) -> None:
    (found,) = captions(line(text, 300, size=9))
    assert found.label == label
    assert found.text == text
    assert found.kind == ("table" if label.startswith("Tab") else "figure")
    assert found.sure


@pytest.mark.parametrize(
    "text",
    [
        "Fig. 2 shows that the rate of growth depends on heat",
        "Figure 2a, which has the rates, was measured",
        "Figures 1 and 2 have the rates",
        "Table 1) has the values",
        "Figurative language is rare",
        "Table of contents",
        "Table I lists the values of both",
        "Figure 4: Rates of both series . . . . . . . . . . 17",
        "Table 2: Values .................. 9",
    ],
)
def test_a_sentence_about_a_figure_is_no_caption(text: str) -> None:
    assert captions(line(text, 300)) == []


def test_a_label_that_ends_or_continues_a_paragraph_is_no_caption() -> None:
    above = line(f"{PROSE} as it is shown in", 288)
    assert captions(above, line("Fig. 3.", 300)) == []
    assert captions(above, line("Figure 3. The rates of both are means", 300)) == []


def test_a_caption_below_text_of_another_size_or_face_is_found() -> None:
    above = line(PROSE, 288)
    assert captions(above, line("Figure 3. The rates", 300, size=8))[0].label == "Figure 3"
    assert captions(above, line("Figure 3. The rates", 300, bold=2))[0].label == "Figure 3"


def test_a_caption_without_a_mark_is_unsure() -> None:
    (found,) = captions(line("Fig. 2 Signals of three runs", 300, size=9))
    assert (found.label, found.sure) == ("Figure 2", False)


def test_a_bold_label_needs_no_mark() -> None:
    (found,) = captions(line("Figure 2 Signals of three runs", 300, bold=2))
    assert (found.label, found.sure) == ("Figure 2", True)


def test_a_caption_ends_where_the_distance_of_lines_grows() -> None:
    first = line("Figure 1: The rates of both series over the first", 300, size=9)
    second = line("hour. Errors are smaller than the sym-", 311, size=9)
    third = line("bols.", 322, size=9)
    other = line("We see that the rate depends on the heat of the", 340, size=9)
    (found,) = captions(first, second, third, other)
    assert found.text.endswith("hour. Errors are smaller than the symbols.")
    assert found.box[3] < 335


def test_the_caption_of_a_table_may_be_on_the_next_line() -> None:
    label = line("TABLE II", 300, left=150, size=8)
    title = line("SCORES OF THREE METHODS", 309, left=110, size=8)
    (found,) = captions(label, title, line("Method\tScore", 330, size=8))
    assert (found.label, found.text) == ("Table II", "TABLE II SCORES OF THREE METHODS")


def test_captions_side_by_side_are_apart() -> None:
    upper = line("Figure 1: Rates of the first\tFigure 2: Rates of the second", 300, size=9)
    lower = line("group, with light.", 311, size=9)
    right = line("group, without light.", 311, left=upper.words[6].box[0], size=9)
    texts = [found.text for found in captions(upper, lower, right)]
    assert texts == [
        "Figure 1: Rates of the first group, with light.",
        "Figure 2: Rates of the second group, without light.",
    ]


def test_an_apa_label_is_on_a_line_of_its_own() -> None:
    label = line("Figure 1", 300, bold=2)
    (found,) = captions(label, line("Mean Rates of Both Groups", 316))
    assert (found.label, found.text) == ("Figure 1", "Figure 1 Mean Rates of Both Groups")
