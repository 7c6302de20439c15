"""Cells of tables, from the places of words and rules."""

from __future__ import annotations

from collections.abc import Sequence

from trawl.readers.pdf.geometry import union
from trawl.readers.pdf.grids import grid_of, markdown_of
from trawl.readers.pdf.lines import Line, Word, line_of
from trawl.readers.pdf.objects import PageObject
from trawl.readers.pdf.scene import scene_of

SIZE = 8.0


def row(top: float, *cells: tuple[float, str]) -> Line:
    """Return a line of cells, each from its left edge."""
    words = []
    for left, text in cells:
        for piece in text.split():
            width = len(piece) * SIZE * 0.5
            box = (left, top, left + width, top + SIZE * 0.97)
            words.append(Word(piece, box, SIZE, False, 0, top + 0.75 * SIZE))
            left += width + 0.25 * SIZE
    return line_of(words)


def grid(lines: Sequence[Line], rules: Sequence[PageObject] = ()) -> tuple[tuple[str, ...], ...]:
    box = union([line.box for line in lines] + [rule.box for rule in rules])
    return grid_of(scene_of(lines, rules, 612, 792, 10), box)


def level(y: float, left: float, right: float) -> PageObject:
    return PageObject("path", (left, y, right, y + 0.5), stroked=True)


def upright(x: float, top: float, bottom: float) -> PageObject:
    return PageObject("path", (x, top, x + 0.5, bottom), stroked=True)


def test_columns_are_the_gaps_that_rows_share() -> None:
    lines = [
        row(100, (50, "Method"), (130, "Score"), (180, "Time")),
        row(112, (50, "Full model"), (130, "0.91"), (180, "12 s")),
        row(124, (50, "A"), (130, "0.7"), (180, "3 s")),
    ]
    assert grid(lines) == (
        ("Method", "Score", "Time"),
        ("Full model", "0.91", "12 s"),
        ("A", "0.7", "3 s"),
    )


def test_an_empty_cell_keeps_its_column() -> None:
    lines = [
        row(100, (50, "Method"), (130, "Score"), (180, "Time")),
        row(112, (50, "Full"), (180, "12")),
        row(124, (130, "0.7"), (180, "3")),
        row(136, (50, "Half"), (130, "0.6"), (180, "9")),
    ]
    assert grid(lines)[1:3] == (("Full", "", "12"), ("", "0.7", "3"))


def test_a_head_across_columns_is_in_the_first_of_them() -> None:
    lines = [
        row(100, (125, "Scores on all data")),
        row(112, (50, "Method"), (130, "Dev"), (180, "Test")),
        row(124, (50, "Full"), (130, "0.9"), (180, "0.8")),
        row(136, (50, "Half"), (130, "0.6"), (180, "0.5")),
        row(148, (50, "None"), (130, "0.3"), (180, "0.2")),
    ]
    assert grid(lines)[0] == ("", "Scores on all data", "")
    assert grid(lines)[1] == ("Method", "Dev", "Test")


def test_rules_between_all_rows_join_the_lines_of_a_cell() -> None:
    lines = [
        row(100, (50, "Method"), (130, "Notes")),
        row(114, (50, "Full"), (130, "with the")),
        row(123, (130, "context")),
        row(137, (50, "Half"), (130, "without")),
    ]
    rules = [level(y, 45, 200) for y in (98, 111, 134, 148)]
    assert grid(lines, rules) == (
        ("Method", "Notes"),
        ("Full", "with the context"),
        ("Half", "without"),
    )


def test_a_cell_that_is_centred_on_two_rows_is_in_the_upper_one() -> None:
    lines = [
        row(100, (50, "Layers"), (110, "Kind"), (160, "Score")),
        row(112, (110, "first"), (160, "0.9")),
        row(118, (50, "6")),
        row(124, (110, "second"), (160, "0.8")),
    ]
    assert grid(lines)[1:] == (("6", "first", "0.9"), ("", "second", "0.8"))


def test_the_spaces_of_a_head_are_no_columns() -> None:
    lines = [
        row(100, (50, "Method"), (120, "Total time (s)")),
        row(112, (50, "First"), (150, "12")),
        row(124, (50, "Other"), (150, "345")),
        row(136, (50, "Third"), (150, "5")),
    ]
    assert grid(lines)[0] == ("Method", "Total time (s)")


def test_an_upright_rule_separates_cells_that_nearly_touch() -> None:
    lines = [
        row(100, (50, "Names"), (74, "Total")),
        row(112, (50, "First"), (74, "12")),
        row(124, (50, "Other"), (74, "345")),
    ]
    assert grid(lines, [upright(71.5, 98, 134)])[1] == ("First", "12")


def test_markdown_has_a_head_and_escapes_bars() -> None:
    assert markdown_of([("A", "B"), ("1|2", "")]) == "| A | B |\n| --- | --- |\n| 1\\|2 |  |"
    assert markdown_of([]) == ""
