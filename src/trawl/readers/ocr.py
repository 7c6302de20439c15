"""Text in pictures, recognised by Tesseract (the extra `ocr`) or by an engine of the user's."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from PIL import Image

from trawl.errors import SettingsError
from trawl.types import Box

if TYPE_CHECKING:
    from tesserocr import PyTessBaseAPI

_MIN_CONFIDENCE = 0.3
"""Lines below are mostly lines and shadings of a drawing that look like letters."""
_UPRIGHT_CONFIDENCE = 0.6
"""Below this mean, a page is also tried turned by 90, 180 and 270 degrees."""
_MAX_SKEW_DEGREES = 5.0
_SKEW_STEP_DEGREES = 0.1
_SKEW_MARGIN = 0.05
_SKEW_CONTRAST = 1.1
"""How much more the rows must differ at the best angle than as the page is."""
_SKEW_PX = 1000
"""Longest side of the copy of a page on which the skew is measured."""
_QUARTERS = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270)
_DEFAULT_LANGUAGES = "eng"
_FIGURE_MIN_PX = 1000
"""Smaller pictures are enlarged: Tesseract expects letters of about 30 pixels."""


@dataclass(frozen=True, slots=True)
class OcrLine:
    """A line of text. `box` is in pixels of the picture that was recognised, `confidence` 0..1."""

    text: str
    box: Box
    confidence: float


@dataclass(frozen=True, slots=True)
class OcrPage:
    """The text of a page's picture. `image` is the picture upright and without skew.

    `lines` are in the engine's order; their boxes are pixels of `image`.
    """

    image: Image.Image
    lines: tuple[OcrLine, ...]


class OcrEngine(Protocol):
    """Recognises text. `name` changes with whatever changes the result, such as the version."""

    @property
    def name(self) -> str:
        """Identify the engine, its version and its languages."""
        ...

    def page(self, image: Image.Image, dpi: int) -> OcrPage:
        """Recognise a page, RGB or greyscale, rendered or scanned at `dpi`."""
        ...

    def words(self, image: Image.Image, dpi: int) -> str:
        """Return the words inside a figure, "" if there are none."""
        ...


@cache
def load_engine(choice: str, languages: str = _DEFAULT_LANGUAGES) -> OcrEngine | None:
    """Return the engine of the setting `ocr`.

    `auto` is Tesseract if it is installed with its model for English, or if other languages are
    chosen, else None. `off` is None. `module:name` is a class or
    function that returns an `OcrEngine` when it is called with the languages. Raises
    `SettingsError` if the choice is not available.
    """
    if choice == "off":
        return None
    if choice in ("auto", "tesseract"):
        is_chosen = choice == "tesseract" or languages != _DEFAULT_LANGUAGES
        if importlib.util.find_spec("tesserocr") is None:
            if not is_chosen:
                return None
            raise SettingsError(
                "recognising text needs tesserocr; "
                "install it with: pip install 'trawl-multimodal[ocr]'"
            )
        if not is_chosen and not (_data_folder() / f"{languages}.traineddata").is_file():
            return None
        return Tesseract(languages)
    module, _, name = choice.partition(":")
    try:
        return cast("OcrEngine", getattr(importlib.import_module(module), name)(languages))
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(
            f"ocr = {choice}: {error}; use auto, off, tesseract, or module:name of an engine"
        ) from error


class Tesseract:
    """Tesseract's LSTM recogniser, with models from `TESSDATA_PREFIX` or the extra `ocr`."""

    def __init__(self, languages: str = "eng") -> None:
        # Tesseract's threads cost several times the CPU time that they save.
        os.environ.setdefault("OMP_THREAD_LIMIT", "1")
        import tesserocr

        self._tesserocr = tesserocr
        self._languages = languages
        self._data = _data_folder()
        for name in languages.split("+"):
            if not (self._data / f"{name}.traineddata").is_file():
                raise SettingsError(
                    f"ocr_languages: {self._data} has no {name}.traineddata; set TESSDATA_PREFIX "
                    f"to a folder that has it, or install the package tessdata.fast-{name}"
                )
        self._api: PyTessBaseAPI | None = None

    @property
    def name(self) -> str:
        """Identify the version and the languages."""
        version = self._tesserocr.tesseract_version().split("\n", 1)[0].strip()
        return f"{version} ({self._languages})"

    def page(self, image: Image.Image, dpi: int) -> OcrPage:
        """Recognise a page. Turns it upright and removes its skew first."""
        image = _plain(image)
        best = self._straight(image, dpi)
        if _is_sideways(best.lines):
            turned = [self._straight(image.transpose(turn), dpi) for turn in _QUARTERS]
            best = max(turned, key=lambda page: _evidence(page.lines))
        elif best.lines and _mean_confidence(best.lines) < _UPRIGHT_CONFIDENCE:
            turns = (Image.Transpose.ROTATE_180, *_QUARTERS)
            turned = [self._straight(image.transpose(turn), dpi) for turn in turns]
            best = max((best, *turned), key=lambda page: _evidence(page.lines))
        return best

    def words(self, image: Image.Image, dpi: int) -> str:
        """Return the words inside a figure, in Tesseract's order for sparse text."""
        image = _plain(image)
        scale = _FIGURE_MIN_PX / max(image.size)
        if scale > 1:
            size = (round(image.width * scale), round(image.height * scale))
            image, dpi = image.resize(size, Image.Resampling.LANCZOS), round(dpi * scale)
        return "\n".join(
            line.text for line in self._lines(image, dpi, self._tesserocr.PSM.SPARSE_TEXT)
        )

    def _straight(self, image: Image.Image, dpi: int) -> OcrPage:
        degrees = skew_degrees(image)
        if degrees:
            straight = image.rotate(-degrees, Image.Resampling.BICUBIC, fillcolor=255)
            lines = tuple(self._lines(straight, dpi, self._tesserocr.PSM.AUTO))
            if len(lines) > 1:  # else a photo, which keeps its edges
                return OcrPage(straight, lines)
        return OcrPage(image, tuple(self._lines(image, dpi, self._tesserocr.PSM.AUTO)))

    def _lines(self, image: Image.Image, dpi: int, mode: Any) -> Iterator[OcrLine]:
        api = self._opened(dpi, image, mode)
        api.Recognize()
        level = self._tesserocr.RIL.TEXTLINE
        found = api.GetIterator()
        if found is None:
            return
        for line in self._tesserocr.iterate_level(found, level):
            if line.Empty(level):
                continue
            text = " ".join((line.GetUTF8Text(level) or "").split())
            confidence = line.Confidence(level) / 100
            if confidence >= _MIN_CONFIDENCE and any(map(str.isalnum, text)):
                left, top, right, bottom = line.BoundingBox(level)
                yield OcrLine(text, (left, top, right, bottom), confidence)

    def _opened(self, dpi: int, image: Image.Image, mode: Any) -> PyTessBaseAPI:
        if self._api is None:
            self._api = self._tesserocr.PyTessBaseAPI(
                path=str(self._data), lang=self._languages, oem=self._tesserocr.OEM.LSTM_ONLY
            )
        self._api.SetPageSegMode(mode)
        self._api.SetImage(image)
        self._api.SetSourceResolution(dpi)
        return self._api


def skew_degrees(image: Image.Image) -> float:
    """Return the angle by which the lines of a page are turned anticlockwise, in degrees.

    The angle at which the rows of the page differ most in darkness (Postl's method), 0 if it is
    under 0.1 or over 5 degrees.
    """
    small = image.copy()
    small.thumbnail((_SKEW_PX, _SKEW_PX))
    ink = Image.fromarray(255 - np.asarray(small, np.uint8))
    # The edges are left out: turning brings in corners that the page does not have.
    margin = round(max(ink.size) * _SKEW_MARGIN)
    inner = (margin, margin, ink.width - margin, ink.height - margin)

    def contrast(degrees: float) -> float:
        turned = ink.rotate(-degrees, Image.Resampling.BILINEAR).crop(inner)
        rows = np.asarray(turned, np.float32).sum(axis=1)
        return float((np.diff(rows) ** 2).sum())

    coarse = max(np.arange(-_MAX_SKEW_DEGREES, _MAX_SKEW_DEGREES + 0.5, 0.5), key=contrast)
    best = max(coarse + np.arange(-5, 6) * _SKEW_STEP_DEGREES, key=contrast)
    level = contrast(0.0)
    if abs(best) >= _MAX_SKEW_DEGREES or contrast(best) < _SKEW_CONTRAST * level:
        return 0.0
    return round(float(best), 2)


def _plain(image: Image.Image) -> Image.Image:
    """Return a picture in shades of grey, on white where it is transparent."""
    if image.mode in ("RGBA", "LA", "PA"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("L")


def _is_sideways(lines: Sequence[OcrLine]) -> bool:
    """Return whether most lines run up or down the page."""
    tall = [line.box[3] - line.box[1] > 2 * (line.box[2] - line.box[0]) for line in lines]
    return sum(tall) > len(tall) / 2


def _mean_confidence(lines: Sequence[OcrLine]) -> float:
    """Return the mean confidence of characters."""
    characters = sum(len(line.text) for line in lines)
    return sum(line.confidence * len(line.text) for line in lines) / max(1, characters)


def _evidence(lines: Sequence[OcrLine]) -> float:
    """Return a number that is greatest for the right orientation: characters that are sure."""
    return sum((line.confidence - 0.5) * len(line.text) for line in lines)


def _data_folder() -> Path:
    """Return the folder of Tesseract's models: `TESSDATA_PREFIX`, or that of the extra `ocr`."""
    stated = os.environ.get("TESSDATA_PREFIX")
    return Path(stated) if stated else Path(sys.prefix) / "share" / "tessdata"
