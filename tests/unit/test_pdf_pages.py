"""Words and lines of a page, by position."""

from __future__ import annotations

import io
from collections.abc import Callable

import pypdfium2
import pytest
from reportlab.pdfgen.canvas import Canvas

from trawl.readers.pdf.pages import LOCK, PageContent, read_page

LEFT = "The muon decays into an electron and two"
RIGHT = "Photographs of tracks were scanned by eye"


def page_of(draw: Callable[[Canvas], object], size: tuple[int, int] = (600, 800)) -> PageContent:
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=size)
    draw(canvas)
    canvas.showPage()
    canvas.save()
    with LOCK:
        document = pypdfium2.PdfDocument(stream.getvalue())
        page = document[0]
        content = read_page(page, 1)
        page.close()
        document.close()
    return content


def texts(content: PageContent) -> list[str]:
    return [line.text for line in content.lines]


def columns(canvas: Canvas, offset: float = 0.0, rows: int = 5) -> None:
    for row in range(rows):
        canvas.setFont("Times-Roman", 10)
        canvas.drawString(50, 700 - 12 * row, f"{LEFT} {row}")
        canvas.drawString(245, 700 + offset - 12 * row, f"{RIGHT} {row}")


def test_a_box_is_measured_from_the_top_left() -> None:
    content = page_of(lambda canvas: canvas.drawString(100, 700, "muon"))
    (line,) = content.lines
    left, top, right, bottom = line.box
    assert (content.width, content.height) == (600, 800)
    assert left == pytest.approx(100, abs=1)
    assert top < 100 < bottom < top + 14
    assert 20 < right - left < 40
    assert line.size == 12


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_page_is_read_as_it_is_shown(rotation: int) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setPageRotation(rotation)
        # Text that is level on the page as shown.
        x, y = {90: (100, 50), 180: (550, 100), 270: (700, 550)}[rotation]
        canvas.translate(x, y)
        canvas.rotate(rotation)
        canvas.drawString(0, 0, "Muon decays")
        canvas.drawString(0, -20, "into electrons")

    content = page_of(draw)
    assert texts(content) == ["Muon decays", "into electrons"]
    assert (content.width, content.height) == (600, 800)
    assert all(line.angle == 0 for line in content.lines)
    assert content.lines[0].box[0] == pytest.approx(50, abs=1)
    assert content.lines[0].box[1] == pytest.approx(91, abs=1)


def test_text_outside_the_crop_box_is_not_shown() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setCropBox((50, 50, 550, 720))
        canvas.drawString(100, 700, "inside")
        canvas.drawString(100, 760, "outside")

    content = page_of(draw)
    assert texts(content) == ["inside"]
    assert (content.width, content.height) == (500, 670)
    assert content.lines[0].box[0] == pytest.approx(50, abs=1)
    assert content.lines[0].box[1] < 20 < content.lines[0].box[3]


@pytest.mark.parametrize("offset", [0.0, 1.5, 5.0])
def test_columns_are_separate_lines(offset: float) -> None:
    content = page_of(lambda canvas: columns(canvas, offset))
    expected = [f"{part} {row}" for row in range(5) for part in (LEFT, RIGHT)]
    assert sorted(texts(content)) == sorted(expected)


def test_the_row_of_a_table_is_one_line() -> None:
    def draw(canvas: Canvas) -> None:
        for row in range(8):
            for column, value in enumerate(("muon", "105.7", "2.2", "-1")):
                canvas.drawString(100 + 100 * column, 700 - 14 * row, value)

    assert texts(page_of(draw)) == ["muon 105.7 2.2 -1"] * 8


def test_indices_belong_to_their_line() -> None:
    def draw(canvas: Canvas) -> None:
        text = canvas.beginText(100, 700)
        text.setFont("Times-Roman", 10)
        text.textOut("Boxes of CO")
        text.setFont("Times-Roman", 7)
        text.setRise(-2)
        text.textOut("2")
        text.setFont("Times-Roman", 10)
        text.setRise(0)
        text.textOut(" and 10")
        text.setFont("Times-Roman", 7)
        text.setRise(4)
        text.textOut("3")
        text.setFont("Times-Roman", 10)
        text.setRise(0)
        text.textOut(" of them")
        canvas.drawText(text)
        canvas.setFont("Times-Roman", 10)
        canvas.drawString(100, 688, "follow on the next line")

    assert texts(page_of(draw)) == ["Boxes of CO2 and 103 of them", "follow on the next line"]


def test_turned_text_has_its_angle_and_bold_text_its_weight() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica-Bold", 14)
        canvas.drawString(100, 700, "Results")
        canvas.translate(40, 300)
        canvas.rotate(90)
        canvas.drawString(0, 0, "arXiv stamp")

    level, turned = page_of(draw).lines
    assert (level.text, level.bold, level.angle) == ("Results", True, 0)
    assert (turned.text, turned.angle) == ("arXiv stamp", 90)
    assert turned.box[3] - turned.box[1] > turned.box[2] - turned.box[0]
    assert turned.box[3] == pytest.approx(500, abs=1)


def test_an_initial_begins_its_line() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setFont("Times-Roman", 32)
        canvas.drawString(50, 678, "T")
        canvas.setFont("Times-Roman", 10)
        canvas.drawString(72, 692, "he muon decays")
        canvas.drawString(72, 680, "into electrons")

    assert texts(page_of(draw)) == ["The muon decays", "into electrons"]


def test_a_page_without_text_has_no_lines() -> None:
    content = page_of(lambda canvas: canvas.rect(100, 100, 50, 50))
    assert (content.lines, content.characters) == ([], 0)
