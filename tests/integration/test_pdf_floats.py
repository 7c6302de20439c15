"""Figures and tables of whole papers in many layouts."""

from __future__ import annotations

from collections.abc import Sequence

import pypdfium2 as pdfium
import pytest

from paper_layouts import LAYOUTS, Paper
from paper_layouts.drawings import chart, photo
from trawl.readers.pdf.floats import Float, FloatFinder
from trawl.readers.pdf.objects import page_objects
from trawl.readers.pdf.pages import LOCK, frame_of, read_page
from trawl.readers.pdf.prose import size_of_most


def floats(paper: Paper) -> list[tuple[int, Float]]:
    with LOCK:
        document = pdfium.PdfDocument(paper.pdf())
        contents = [read_page(page, number + 1) for number, page in enumerate(document)]
        objects = [page_objects(page, frame_of(page)) for page in document]
    size = size_of_most([line for content in contents for line in content.lines])
    finder = FloatFinder()
    return [
        (content.number, each)
        for content, painted in zip(contents, objects, strict=True)
        for each in finder.find(content, painted, size)
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
