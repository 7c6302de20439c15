"""Read a PDF page by page: passages, figures, tables, and pictures of pages without text."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from trawl.errors import ReadError
from trawl.readers.formats import Limits, PageProgress, short_reason, stem_title
from trawl.readers.ocr import load_engine
from trawl.readers.pdf.about import Title, metadata_of, stamps_of, title_of
from trawl.readers.pdf.cutouts import cut_out
from trawl.readers.pdf.document import info_of, open_document
from trawl.readers.pdf.drawn import (
    MAX_SIDE_PX,
    figure,
    is_drawing,
    lines_in,
    page_picture,
    table_region,
    table_text,
)
from trawl.readers.pdf.floats import Float, FloatFinder
from trawl.readers.pdf.furniture import furniture
from trawl.readers.pdf.headings import Outline
from trawl.readers.pdf.objects import PageObject, page_objects
from trawl.readers.pdf.pages import LOCK, MAX_CHARS, PageContent, frame_of, read_page
from trawl.readers.pdf.quality import ALMOST_NO_TEXT, flaw_of
from trawl.readers.pdf.scans import OCR_DPI, OCR_MAX_PX, recognise
from trawl.readers.pdf.text import TextFlow, line_ids
from trawl.readers.pdf.words import clean
from trawl.readers.pixels import is_uniform
from trawl.types import Part, Picture, Reading

if TYPE_CHECKING:
    from PIL.Image import Image
    from pypdfium2 import PdfDocument, PdfPage

MEDIA_TYPE = "application/pdf"

_Drawn = TypeVar("_Drawn")

_NOT_RECOGNISED = "to read text in pictures: pip install 'trawl-multimodal[ocr]'"
_AROUND = 2
"""Pages before and after a page that are compared with it, to find headers and footers."""

_REOPENED_AFTER = 32
"""Pages after which the document is opened again, to free memory."""


def read_pdf(path: Path, limits: Limits) -> Reading:
    """Read a PDF. Its pages are read while the parts of the reading are taken.

    A page that cannot be read is left out with a notice. Raises `ReadError` if the document needs
    a password, is damaged, or has no pages, and while its parts are taken, if it is empty.
    """
    with LOCK:
        document = open_document(path)
        try:
            pages = len(document)
            info = info_of(document)
            heads = [_load(document, number) for number in range(1, min(pages, 2) + 1)]
        finally:
            document.close()
    first = heads[0].content if isinstance(heads[0], _Page) else None
    neighbours = [page.content for page in heads[1:] if isinstance(page, _Page)]
    title = ""
    if first is not None:
        outline = Outline()
        for content in (first, *neighbours):
            outline.count(content.lines)
        title = title_of(first, furniture(first, neighbours), info, outline.body).text
    late: list[str] = []
    return Reading(
        MEDIA_TYPE,
        title or stem_title(path),
        _parts(_Document(path, pages, info, heads, limits), late, limits),
        metadata_of(info, first, pages),
        late_notices=late,
    )


@dataclass(slots=True)
class _Page:
    """What is read of a page before its turn."""

    content: PageContent
    objects: list[PageObject]


def _load(document: PdfDocument, number: int) -> _Page | str:
    """Return a page, or the reason why it cannot be read. The caller holds `LOCK`."""
    try:
        page = document[number - 1]
        try:
            return _Page(read_page(page, number), page_objects(page, frame_of(page)))
        finally:
            page.close()
    except Exception as error:  # damaged pages have numbers of all kinds
        return short_reason(error)


@dataclass(slots=True)
class _Left:
    """What is left out or changed, by page."""

    failed: dict[str, list[int]] = field(default_factory=dict)
    pictured: dict[str, list[int]] = field(default_factory=dict)
    cut: list[int] = field(default_factory=list)
    is_recognised: bool = False

    def notices(self) -> Iterator[str]:
        for reason, pages in self.failed.items():
            yield f"{page_list(pages)} cannot be read: {reason}"
        for flaw, pages in self.pictured.items():
            has, added = ("has", "is added as a picture")
            if len(pages) > 1:
                has, added = ("have", "are added as pictures")
            text = "their text is recognised" if self.is_recognised else _NOT_RECOGNISED
            yield f"{page_list(pages)} {has} {flaw}, and {added}; {text}"
        if self.cut:
            yield f"{page_list(self.cut)}: only the first {MAX_CHARS:,} characters are read"


def page_list(pages: list[int]) -> str:
    """Return sorted page numbers in words: "page 3", "pages 1–4 and 7"."""
    ranges: list[list[int]] = []
    for page in pages:
        if ranges and page == ranges[-1][-1] + 1:
            ranges[-1] = [ranges[-1][0], page]
        else:
            ranges.append([page])
    shown = ["–".join(map(str, each)) for each in ranges]
    if len(pages) == 1:
        return f"page {shown[0]}"
    if len(shown) == 1:
        return f"pages {shown[0]}"
    return f"pages {', '.join(shown[:-1])} and {shown[-1]}"


def _parts(document: _Document, late: list[str], limits: Limits) -> Iterator[Part]:
    """Yield the parts of a document, page by page."""
    empty = True
    try:
        for part in document.parts(limits.progress):
            empty = False
            yield part
    finally:
        document.close()
    late.extend(document.left.notices())
    if empty:
        raise ReadError(f"contains no text and no pictures ({document.pages:,} pages)")


class _Document:
    """A document that is read through a window of pages, in constant memory."""

    def __init__(
        self,
        path: Path,
        pages: int,
        info: Mapping[str, str],
        heads: list[_Page | str],
        limits: Limits,
    ) -> None:
        self.pages = pages
        self._engine = load_engine(limits.ocr, limits.ocr_languages)
        self._pages = limits.pages
        self.left = _Left(is_recognised=self._engine is not None)
        self._path = path
        self._heads = heads  # the first pages, which are already read
        self._document: PdfDocument | None = None
        self._opened_at = 0
        self._info = info
        self._flow = TextFlow()
        self._floats = FloatFinder()

    def close(self) -> None:
        """Close the file."""
        if self._document is not None:
            with LOCK:
                self._document.close()
            self._document = None

    def _at(self, number: int) -> PdfDocument:
        """Return the open document, to load a page. The caller holds `LOCK`.

        pdfium keeps what it has parsed, so the document is opened again now and then.
        """
        if self._document is not None and number >= self._opened_at + _REOPENED_AFTER:
            self.close()
        if self._document is None:
            self._document, self._opened_at = open_document(self._path), number
        return self._document

    def parts(self, progress: PageProgress) -> Iterator[Part]:
        """Yield the parts, page by page."""
        count = self.pages
        window: deque[_Page | str] = deque()
        for number in range(1, count + _AROUND + 1):
            if number <= count:
                loaded = self._loaded(number)
                if isinstance(loaded, _Page):
                    self._flow.look_ahead(loaded.content)
                    self._floats.look_ahead(loaded.content.lines)
                window.append(loaded)
            current = number - _AROUND
            if current >= 1:
                progress(current, count)
                yield from self._page(current, window, min(current - 1, _AROUND))
            if current > _AROUND:
                window.popleft()
        yield from self._flow.end()

    def _loaded(self, number: int) -> _Page | str:
        if self._heads:
            return self._heads.pop(0)
        with LOCK:
            return _load(self._at(number), number)

    def _page(self, number: int, window: deque[_Page | str], at: int) -> Iterator[Part]:
        page = window[at]
        if isinstance(page, str):
            self.left.failed.setdefault(page, []).append(number)
            return
        around = [other.content for other in window if isinstance(other, _Page)]
        try:
            yield from self._parts_of(
                page, [other for other in around if other is not page.content]
            )
        except ReadError:
            raise
        except Exception as error:  # a page that fails costs itself
            self.left.failed.setdefault(short_reason(error), []).append(number)

    def _parts_of(self, page: _Page, around: list[PageContent]) -> Iterator[Part]:
        content, number = page.content, page.content.number
        if content.cut:
            self.left.cut.append(number)
        flaw = flaw_of(content)
        image = self._drawn(number, page_picture) if flaw else None
        if image is not None and not is_uniform(image):
            self.left.pictured.setdefault(flaw, []).append(number)
            content, image = self._recognised(content, image)
            yield Picture(image, *image.size, page=number)
            if flaw != ALMOST_NO_TEXT and content is page.content:
                return
        body = self._flow.outline.body
        page.content = content
        left_out = furniture(content, around)
        title = Title()
        if number == 1:
            title = title_of(content, left_out, self._info, body)
            left_out |= set(stamps_of(content))
        floats = [] if image is not None else self._floats_of(page, left_out)
        yield from self._flow.take(
            content,
            left_out=left_out | lines_in(content.lines, floats),
            obstacles=[each.box for each in floats],
            title=line_ids(title.lines),
        )
        for each in floats:
            yield from self._float(each, number)
        drawing = not floats and is_drawing(content, page.objects)
        if image is None and (drawing or self._pages):
            look = self._drawn(number, page_picture)
            if look is not None and not is_uniform(look):
                # The words of a drawing are not in passages.
                words = " ".join(clean(line.text) for line in content.lines) if drawing else ""
                yield Picture(look, *look.size, page=number, words=words)

    def _recognised(self, content: PageContent, image: Image) -> tuple[PageContent, Image]:
        """Return a page with the text of its picture, and the picture upright.

        Both are as before if there is no engine, or if it finds no text.
        """
        if self._engine is None:
            return content, image
        sharp = self._drawn(content.number, lambda page: page_picture(page, OCR_DPI, OCR_MAX_PX))
        if sharp is None:
            return content, image
        found, upright = recognise(self._engine, sharp, content)
        if not found.lines:
            return content, image
        upright = upright.convert("RGB")
        upright.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
        return found, upright

    def _floats_of(self, page: _Page, left_out: set[int]) -> list[Float]:
        content = replace(page.content)
        content.lines = [line for line in content.lines if id(line) not in left_out]
        return self._floats.find(content, page.objects)

    def _float(self, each: Float, number: int) -> Iterator[Part]:
        section = self._flow.section_at(number, each.box)
        if each.kind == "table" and each.rows:
            text, region = table_text(each), table_region(each, number)
            yield self._flow.table(text, region, each.label, section)
            return
        drawn = self._drawn(number, lambda page: cut_out(page, each.box, each.angle))
        if drawn is not None and not is_uniform(drawn[0]):
            if self._engine is not None and not each.words:
                dpi = round(72 * drawn[0].width / max(drawn[1][2] - drawn[1][0], 1))
                each = replace(each, words=self._engine.words(drawn[0], dpi))
            yield figure(*drawn, each, number, section)

    def _drawn(self, number: int, draw: Callable[[PdfPage], _Drawn]) -> _Drawn | None:
        """Return what a function draws of a page, None with a notice if that fails."""
        try:
            with LOCK:
                page = self._at(number)[number - 1]
                try:
                    return draw(page)
                finally:
                    page.close()
        except ReadError:
            raise
        except Exception as error:
            self.left.failed.setdefault(short_reason(error), []).append(number)
            return None
