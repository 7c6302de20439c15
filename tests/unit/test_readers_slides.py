"""The reader of presentations. The samples are made with python-pptx."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pptx
import pytest
from PIL import Image
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Cm

from trawl.errors import ReadError
from trawl.readers import media_type_of, read
from trawl.types import Passages, Picture, Reading

SLIDES = "application/vnd.openxmlformats-officedocument.presentationml.presentation"


def reading(folder: Path, deck: Any) -> Reading:
    path = folder / "a.pptx"
    deck.save(str(path))
    assert media_type_of(path) == SLIDES
    return read(path, SLIDES)


def box(slide: Any, text: str, left: float, top: float) -> Any:
    shape = slide.shapes.add_textbox(Cm(left), Cm(top), Cm(5), Cm(1))
    shape.text_frame.text = text
    return shape


def test_slides_have_numbers_titles_notes_and_pictures(tmp_path: Path) -> None:
    deck = pptx.Presentation()
    deck.core_properties.title = "PowerPoint Presentation"
    deck.core_properties.author = "Emmy Noether"
    first = deck.slides.add_slide(deck.slide_layouts[1])
    first.shapes.title.text = "Symmetries"
    first.placeholders[1].text = "of time\nof space"
    first.notes_slide.notes_text_frame.text = "Mention energy."
    second = deck.slides.add_slide(deck.slide_layouts[5])
    second.shapes.title.text = "Beams"
    stream = io.BytesIO()
    Image.new("RGB", (60, 40), "red").save(stream, "PNG")
    drawn = second.shapes.add_picture(stream, Cm(2), Cm(5))
    drawn._element.nvPicPr.cNvPr.set("descr", "a red beam")
    found = reading(tmp_path, deck)
    assert found.title == "Symmetries"
    assert found.metadata["authors"] == ["Emmy Noether"]
    assert found.metadata["slides"] == 2
    one, two, picture = found.parts
    assert isinstance(one, Passages)
    assert (one.page, one.section) == (1, "")  # the title of the document
    assert one.text == "Symmetries\n\nof time\nof space\n\nMention energy."
    assert isinstance(two, Passages)
    assert (two.page, two.text) == (2, "Beams")
    assert isinstance(picture, Picture)
    assert (picture.page, picture.section, picture.caption) == (2, "Beams", "a red beam")


def test_a_slide_is_read_from_top_to_bottom_and_left_to_right(tmp_path: Path) -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    box(slide, "below", 1, 8)
    box(slide, "right", 12, 2)
    box(slide, "left", 1, 2.2)
    group = slide.shapes.add_group_shape()
    group.left, group.top = Cm(1), Cm(12)
    box(group, "grouped", 1, 12)
    (part,) = reading(tmp_path, deck).parts
    assert isinstance(part, Passages)
    assert part.text == "left\nright\nbelow\ngrouped"


def test_tables_and_charts_are_rows(tmp_path: Path) -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    table = slide.shapes.add_table(3, 2, Cm(1), Cm(1), Cm(8), Cm(3)).table
    for at, text in enumerate(["name", "mass", "muon", "105", "", "106"]):
        table.cell(at // 2, at % 2).text = text
    table.cell(1, 0).merge(table.cell(2, 0))
    data = CategoryChartData()
    data.categories = ["2023", "2024"]
    data.add_series("runs", (7, 9))
    chart = slide.shapes.add_chart(
        XL_CHART_TYPE.COLUMN_CLUSTERED, Cm(1), Cm(8), Cm(8), Cm(5), data
    ).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "Runs a year"
    one, two = reading(tmp_path, deck).parts
    assert isinstance(one, Passages)
    assert one.text == "| name | mass |\n| --- | --- |\n| muon | 105 |\n| muon | 106 |"
    assert isinstance(two, Passages)
    assert two.text == ("Runs a year\n\n|  | runs |\n| --- | --- |\n| 2023 | 7 |\n| 2024 | 9 |")


def test_an_empty_presentation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no text and no pictures"):
        reading(tmp_path, pptx.Presentation())
