"""The papers that tests draw have their figures and tables where they say."""

from __future__ import annotations

import numpy as np
import pypdfium2 as pdfium
import pytest

from paper_layouts import HELD_OUT, LAYOUTS
from paper_layouts.drawings import chart
from paper_layouts.paper import Paper

SCALE = 2.0


def small(**options: bool) -> Paper:
    paper = Paper(1, width=400, height=300, **options)  # type: ignore[arg-type]
    paper.figure(60, 40, 200, 120, chart(1), "Figure 1", "Figure 1: Rates.", gap=30)
    return paper


@pytest.mark.parametrize("rotated", [False, True])
def test_a_true_box_holds_the_ink_of_its_picture_and_no_more(rotated: bool) -> None:
    paper = small(rotated=rotated)
    page = pdfium.PdfDocument(paper.pdf())[0]
    assert page.get_size() == (400, 300)
    dark = page.render(scale=SCALE).to_numpy().min(axis=2) < 250
    left, top, right, bottom = paper.truths[0].box
    dark = dark[: int(170 * SCALE)]  # above the caption
    rows, columns = np.nonzero(dark)
    assert (columns.min() / SCALE, rows.min() / SCALE) == pytest.approx((left, top), abs=1)
    assert (columns.max() / SCALE, rows.max() / SCALE) == pytest.approx((right, bottom), abs=1)


def test_a_margin_is_cropped() -> None:
    paper = Paper(1, width=400, height=300, margin=30)
    paper.figure(60, 40, 200, 120, chart(1), "Figure 1", "Figure 1: Rates.")
    page = pdfium.PdfDocument(paper.pdf())[0]
    assert page.get_size() == (400, 300)
    rows, columns = np.nonzero(page.render(scale=SCALE).to_numpy().min(axis=2) < 250)
    assert columns.min() / SCALE == pytest.approx(60, abs=1)
    assert rows.min() / SCALE == pytest.approx(paper.truths[0].box[1], abs=1)


def test_a_paper_is_the_same_every_time() -> None:
    first, second = (
        pdfium.PdfDocument(LAYOUTS["boxed text"]().pdf())[0].render().to_numpy() for _ in range(2)
    )
    assert (first == second).all()


def test_a_turned_page_is_upright_with_its_text_reading_upwards() -> None:
    paper = Paper(1, width=400, height=300)
    paper.next_page(turned=True)
    paper.figure(60, 40, 200, 120, chart(1), "Figure 1", "Figure 1: Rates.", gap=30)
    page = pdfium.PdfDocument(paper.pdf())[1]
    assert page.get_size() == (400, 300)
    left, top, right, bottom = paper.truths[0].box
    assert (right - left, bottom - top) == pytest.approx((120, 200), abs=8)
    dark = page.render(scale=SCALE).to_numpy().min(axis=2) < 250
    rows, columns = np.nonzero(dark[:, : int((right + 10) * SCALE)])  # without the caption
    assert (columns.min() / SCALE, rows.max() / SCALE) == pytest.approx((left, bottom), abs=1)


def test_a_scan_is_a_picture_with_hidden_text() -> None:
    paper = Paper(1, width=400, height=300)
    paper.text(50, 50, "Some words on the page")
    page = pdfium.PdfDocument(paper.scanned().pdf())[0]
    kinds = [each.type for each in page.get_objects()]
    assert kinds[0] == pdfium.raw.FPDF_PAGEOBJ_IMAGE
    assert page.get_textpage().get_text_bounded().strip() == "Some words on the page"


def test_the_held_out_layouts_are_named() -> None:
    assert len(LAYOUTS) == 22
    assert len(HELD_OUT) == 8
