"""Boxes of painted objects: forms, clipping, white areas, turned and cropped pages."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pypdfium2 as pdfium
import pytest
from reportlab.pdfgen.canvas import Canvas

from trawl.readers.pdf.objects import PageObject, page_objects
from trawl.readers.pdf.pages import LOCK, frame_of

WIDTH, HEIGHT = 300, 400


def document(draw: Callable[[Any], None]) -> pdfium.PdfDocument:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(WIDTH, HEIGHT))
    draw(canvas)
    canvas.showPage()
    canvas.save()
    return pdfium.PdfDocument(buffer.getvalue())


def objects(page: pdfium.PdfPage) -> list[PageObject]:
    with LOCK:
        return page_objects(page, frame_of(page))


def drawn(draw: Callable[[Any], None]) -> list[PageObject]:
    return objects(document(draw)[0])


def fill(canvas: Any, x: float, y: float, width: float, height: float, grey: float = 0.3) -> None:
    canvas.setFillGray(grey)
    canvas.rect(x, y, width, height, stroke=0, fill=1)


def test_boxes_are_from_the_top_left() -> None:
    (found,) = drawn(lambda canvas: fill(canvas, 20, 300, 50, 40))
    assert found.box == pytest.approx((20, 60, 70, 100))
    assert (found.kind, found.filled, found.stroked, found.light) == ("path", True, False, False)


def test_the_matrices_of_nested_forms_are_multiplied() -> None:
    def draw(canvas: Any) -> None:
        canvas.beginForm("inner", 0, 0, 20, 20)
        fill(canvas, 0, 0, 10, 5)
        canvas.endForm()
        canvas.beginForm("outer", 0, 0, 100, 100)
        canvas.translate(10, 20)
        canvas.doForm("inner")
        canvas.endForm()
        canvas.translate(100, 100)
        canvas.scale(2, 3)
        canvas.doForm("outer")

    (found,) = drawn(draw)
    assert found.box == pytest.approx((120, HEIGHT - 175, 140, HEIGHT - 160))


def test_a_form_of_another_pdf_is_placed_where_it_is_seen() -> None:
    target, source = document(lambda canvas: None), document(lambda c: fill(c, 100, 100, 100, 200))
    placed = source.page_as_xobject(0, target).as_pageobject()
    placed.set_matrix(pdfium.PdfMatrix().scale(0.1, 0.1).translate(50, 60))
    page = target[0]
    page.insert_obj(placed)
    page.gen_content()
    (found,) = objects(page)
    assert found.box == pytest.approx((60, HEIGHT - 90, 70, HEIGHT - 70), abs=0.01)


def test_what_is_clipped_away_does_not_count() -> None:
    def draw(canvas: Any) -> None:
        path = canvas.beginPath()
        path.rect(50, 50, 100, 100)
        canvas.clipPath(path, stroke=0)
        fill(canvas, 0, 0, 290, 390)
        fill(canvas, 200, 200, 50, 50)

    (found,) = drawn(draw)
    assert found.box == pytest.approx((50, HEIGHT - 150, 150, HEIGHT - 50))


def test_white_and_transparent_areas_are_left_out() -> None:
    def draw(canvas: Any) -> None:
        fill(canvas, 0, 0, 100, 100, grey=1)
        canvas.setFillAlpha(0.01)
        fill(canvas, 0, 0, 100, 100)
        canvas.setFillAlpha(1)
        canvas.setStrokeGray(1)
        canvas.line(0, 0, 100, 100)
        fill(canvas, 20, 20, 30, 30, grey=0.8)

    (found,) = drawn(draw)
    assert found.light


def test_a_white_area_with_a_border_counts() -> None:
    def draw(canvas: Any) -> None:
        canvas.setFillGray(1)
        canvas.rect(20, 20, 100, 50, stroke=1, fill=1)

    (found,) = drawn(draw)
    assert (found.filled, found.stroked) == (False, True)


@pytest.mark.parametrize(
    ("rotation", "box"),
    [
        (0, (20, 60, 70, 100)),
        (90, (300, 20, 340, 70)),
        (180, (230, 300, 280, 340)),
        (270, (60, 230, 100, 280)),
    ],
)
def test_boxes_are_on_the_page_as_shown(rotation: int, box: tuple[float, ...]) -> None:
    page = document(lambda canvas: fill(canvas, 20, 300, 50, 40))[0]
    page.set_rotation(rotation)
    (found,) = objects(page)
    assert found.box == pytest.approx(box)


def test_boxes_are_on_the_cropped_page() -> None:
    def draw(canvas: Any) -> None:
        fill(canvas, 20, 300, 50, 40)
        fill(canvas, 0, 0, 5, 5)

    page = document(draw)[0]
    page.set_cropbox(10, 20, 200, 350)
    (found,) = objects(page)
    assert found.box == pytest.approx((10, 10, 60, 50))
