"""Recognising text in pictures: pages upright, skewed and turned, words in figures, engines."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from trawl.errors import SettingsError
from trawl.readers import READERS, Limits
from trawl.readers.ocr import OcrPage, load_engine, skew_degrees
from trawl.readers.speech import check_speech_model
from trawl.types import Passages, Picture

pytest.importorskip("tesserocr", reason="needs the extra ocr")

LINES = (
    "The muon decays into an electron and two neutrinos,",
    "with a mean life of 2.2 microseconds when at rest.",
    "Parity violation makes the electron prefer one side.",
    "The spectrum ends at half of the mass of the muon.",
)


def drawn(lines: tuple[str, ...] = LINES, size: int = 32) -> Image.Image:
    page = Image.new("L", (1200, 500), 255)
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(size)
    for number, line in enumerate(lines):
        draw.text((150, 120 + 55 * number), line, 0, font)
    return page


def text_of(page: OcrPage) -> list[str]:
    return [line.text for line in page.lines]


@pytest.mark.parametrize("turn", [90, 180])
def test_turned_page_is_read_upright(turn: int) -> None:
    engine = load_engine("auto")
    assert engine is not None
    page = engine.page(drawn().rotate(turn, expand=True), 200)
    assert text_of(page) == list(LINES)
    assert page.image.size == (1200, 500)
    left, top, right, bottom = page.lines[0].box
    assert abs(left - 150) < 12
    assert abs(top - 125) < 12
    assert right > 800
    assert bottom - top < 50


@pytest.mark.parametrize("degrees", [-3.2, 0.7])
def test_skew_is_measured_and_removed(degrees: float) -> None:
    skewed = drawn().rotate(degrees, Image.Resampling.BICUBIC, fillcolor=255)
    assert abs(skew_degrees(skewed) - degrees) <= 0.11
    engine = load_engine("tesseract")
    assert engine is not None
    assert text_of(engine.page(skewed.filter(ImageFilter.GaussianBlur(1)), 200)) == list(LINES)


def test_picture_without_lines_has_no_skew_and_no_text() -> None:
    engine = load_engine("auto")
    assert engine is not None
    for blank in (Image.new("L", (800, 600), 255), Image.radial_gradient("L").resize((800, 800))):
        assert skew_degrees(blank) == 0
        assert engine.page(blank, 200).lines == ()
        assert engine.words(blank, 200) == ""


def test_words_in_a_small_figure_with_transparency() -> None:
    figure = Image.new("RGBA", (400, 300), (0, 0, 0, 0))
    draw = ImageDraw.Draw(figure)
    draw.rectangle((60, 40, 360, 240), outline="black")
    draw.text((130, 250), "Energy (MeV)", "black", ImageFont.load_default(18))
    draw.text((150, 60), "Cosmic muons", "black", ImageFont.load_default(18))
    engine = load_engine("auto")
    assert engine is not None
    words = engine.words(figure, 100)
    assert "Energy (MeV)" in words
    assert "Cosmic muons" in words


def scanned(path: Path) -> None:
    """Write a PDF of two pages, each a slightly turned picture of text."""
    first, second = drawn(), drawn(tuple(reversed(LINES)))
    turned = [page.rotate(0.6, Image.Resampling.BICUBIC, fillcolor=255) for page in (first, second)]
    turned[0].save(path, "PDF", save_all=True, append_images=turned[1:], resolution=150)


def test_pages_without_a_text_layer_are_read(tmp_path: Path) -> None:
    scanned(tmp_path / "a.pdf")
    found = READERS["application/pdf"](tmp_path / "a.pdf", Limits(ocr="auto"))
    parts = list(found.parts)
    pictures = [part for part in parts if isinstance(part, Picture)]
    passages = [part for part in parts if isinstance(part, Passages)]
    assert [part.page for part in pictures] == [1, 2]
    text = " ".join(part.text for part in passages)
    assert "the electron prefer one side" in " ".join(text.split())
    start, region = passages[0].regions[0]
    assert (start, region.page) == (0, 1)
    assert found.late_notices == [
        "pages 1–2 have no text, and are added as pictures; their text is recognised"
    ]


def test_pages_are_pictures_alone_without_an_engine(tmp_path: Path) -> None:
    scanned(tmp_path / "a.pdf")
    found = READERS["application/pdf"](tmp_path / "a.pdf", Limits(ocr="off"))
    assert [type(part) for part in found.parts] == [Picture, Picture]
    (notice,) = found.late_notices
    assert "pip install 'trawl-multimodal[ocr]'" in notice


def test_without_the_model_auto_is_off_and_a_choice_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSDATA_PREFIX", str(tmp_path))
    load_engine.cache_clear()
    try:
        assert load_engine("auto") is None
        for choice, languages in (("tesseract", "eng"), ("auto", "deu")):
            with pytest.raises(SettingsError, match=rf"{languages}\.traineddata"):
                load_engine(choice, languages)
    finally:
        load_engine.cache_clear()


class Fixed:
    """An engine of a user's own."""

    def __init__(self, languages: str) -> None:
        self.name = f"fixed {languages}"

    def page(self, image: Image.Image, dpi: int) -> OcrPage:
        return OcrPage(image, ())

    def words(self, image: Image.Image, dpi: int) -> str:
        return "fixed"


def test_choice_of_the_engine() -> None:
    assert load_engine("off") is None
    own = load_engine(f"{__name__}:Fixed", "deu")
    assert own is not None
    assert own.name == "fixed deu"
    for choice in ("nothing_here:Engine", f"{__name__}:Missing", "letters"):
        with pytest.raises(SettingsError, match="auto, off, tesseract"):
            load_engine(choice)
    with pytest.raises(SettingsError, match=r"zzz\.traineddata"):
        load_engine("tesseract", "eng+zzz")


def test_a_setting_without_its_extra_is_refused(tmp_path: Path) -> None:
    if find_spec("faster_whisper") is None:
        with pytest.raises(SettingsError, match=r"trawl-multimodal\[speech\]"):
            check_speech_model("tiny")
    else:
        with pytest.raises(SettingsError, match="no folder"):
            check_speech_model(str(tmp_path / "missing"))
