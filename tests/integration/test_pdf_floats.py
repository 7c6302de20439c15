"""Figures and tables of whole papers in many layouts."""

from __future__ import annotations

from collections.abc import Sequence

import pypdfium2 as pdfium
import pytest
from PIL.Image import Transpose

from paper_layouts import LAYOUTS, Paper
from paper_layouts.drawings import chart, photo
from trawl.readers.pdf.cutouts import MAX_SIDE_PX, cut_out
from trawl.readers.pdf.floats import Float, FloatFinder
from trawl.readers.pdf.objects import page_objects
from trawl.readers.pdf.pages import LOCK, frame_of, read_page


def floats(paper: Paper) -> list[tuple[int, Float]]:
    with LOCK:
        document = pdfium.PdfDocument(paper.pdf())
        contents = [read_page(page, number + 1) for number, page in enumerate(document)]
        objects = [page_objects(page, frame_of(page)) for page in document]
    finder = FloatFinder()
    for content in contents:
        finder.look_ahead(content.lines)
    return [
        (content.number, each)
        for content, painted in zip(contents, objects, strict=True)
        for each in finder.find(content, painted)
    ]


def iou(one: Sequence[float], other: Sequence[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (sum((b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)) - shared)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_every_figure_and_table_is_found_and_nothing_else(name: str) -> None:
    paper = LAYOUTS[name]()
    found = floats(paper)
    assert len(found) == len(paper.truths)
    for truth in paper.truths:
        (each,) = [each for page, each in found if page == truth.page and each.label == truth.label]
        assert each.kind == truth.kind
        assert iou(each.box, truth.box) > 0.75, f"{truth.label}: {each.box}, not {truth.box}"
        assert each.caption == truth.caption
        assert each.rows == truth.grid


def test_the_words_inside_a_figure_belong_to_it() -> None:
    paper = Paper(1)
    y = paper.prose(72, 72, 468, 200)
    paper.figure(72, y + 12, 468, 200, chart(1), "Figure 1", "Figure 1: Rates of both series.")
    ((_, found),) = floats(paper)
    assert "time after the event (s)" in found.words
    assert "series 1" in found.words
    assert "Rates of both" not in found.words


def test_a_caption_without_a_figure_is_no_figure() -> None:
    paper = Paper(2)
    y = paper.prose(72, 72, 468, 300)
    y = paper.caption(72, y + 10, 468, "Figure 1: The figure is on the next page.")
    paper.prose(72, y + 10, 468, 700)
    assert floats(paper) == []


def test_logos_and_banners_are_no_pictures() -> None:
    paper = Paper(3)
    paper.picture(72, 30, 60, 30, photo(1))
    paper.box(0, 0, 612, 20, fill="0.2 0.4 0.5")
    paper.prose(72, 80, 468, 700)
    paper.picture(480, 740, 80, 40, photo(2))
    assert floats(paper) == []


def test_a_picture_at_the_same_place_of_each_page_is_a_logo_after_the_first() -> None:
    paper = Paper(4)
    for _ in range(3):
        paper.picture(72, 90, 150, 100, photo(1))
        paper.prose(72, 200, 468, 700)
        paper.next_page()
    assert len(floats(paper)) == 1


@pytest.mark.parametrize("rotated", [False, True])
def test_a_cut_out_is_its_ink_and_a_narrow_border(rotated: bool) -> None:
    paper = Paper(5, width=500, height=400, rotated=rotated)
    paper.prose(50, 20, 400, 90)
    box = paper.picture(100, 110, 200, 120, photo(1))
    paper.prose(50, 240, 400, 380)
    with LOCK:
        page = pdfium.PdfDocument(paper.pdf())[0]
        image, inked = cut_out(page, (box[0] - 8, box[1] - 4, box[2] + 8, box[3] + 4))
    assert inked == pytest.approx(box, abs=0.5)
    assert image.mode == "RGB"
    assert image.width == pytest.approx(200 * 200 / 72 + 8, abs=3)
    assert image.height == pytest.approx(120 * 200 / 72 + 8, abs=3)
    assert image.getpixel((1, 1)) == (255, 255, 255)
    assert min(image.getpixel((8, 8))) < 240  # type: ignore[arg-type, type-var]


def test_a_sideways_figure_is_cut_out_upright() -> None:
    layout = LAYOUTS["sideways floats"]
    (each,) = [each for _, each in floats(layout()) if each.label == "Figure 8"]
    assert each.angle == 90
    with LOCK:
        page = pdfium.PdfDocument(layout().pdf())[2]
        image, _ = cut_out(page, each.box, each.angle)
        as_shown, _ = cut_out(page, each.box)
    assert image.width > image.height
    assert image.transpose(Transpose.ROTATE_90).tobytes() == as_shown.tobytes()


def test_the_size_of_a_cut_out_is_bounded() -> None:
    paper = Paper(6, width=3000, height=500)
    box = paper.picture(50, 50, 2900, 300, photo(1))
    with LOCK:
        image, _ = cut_out(pdfium.PdfDocument(paper.pdf())[0], box)
    assert MAX_SIDE_PX - 60 < image.width <= MAX_SIDE_PX + 10
