"""From the lines of pages to passages: paragraphs under their headings, in the order of reading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trawl.readers.pdf.headings import Outline
from trawl.readers.pdf.layout import columns_of
from trawl.readers.pdf.lines import Line
from trawl.readers.pdf.pages import PageContent
from trawl.readers.pdf.paragraphs import Paragraph, continues, merged, paragraphs_of
from trawl.readers.pdf.words import Vocabulary
from trawl.types import Box, Passages, Region

MAX_PASSAGE_CHARS = 8_000
"""A longer section is several passages."""

_BETWEEN = "\n\n"


class TextFlow:
    """The running text of a document, taken page by page.

    The last paragraph of a page is held back, because it may go on on the next page.
    """

    def __init__(self) -> None:
        self.outline = Outline()
        self.vocabulary = Vocabulary()
        self._held: list[Paragraph] = []
        self._before: Paragraph | None = None
        self._pieces: list[str] = []
        self._regions: list[tuple[int, Region]] = []
        self._chars = 0
        self._has_text = False
        self._section = ""
        self._start_char = 0
        self._section_before = ""
        self._headings: list[tuple[Region, str]] = []

    def look_ahead(self, page: PageContent) -> None:
        """Count the words and sizes of a page that is taken later."""
        self.outline.count(page.lines)
        for line in page.lines:
            self.vocabulary.add(line.text)

    def take(
        self,
        page: PageContent,
        *,
        left_out: set[int] = frozenset(),  # type: ignore[assignment]
        obstacles: Sequence[Box] = (),
        title: set[int] = frozenset(),  # type: ignore[assignment]
    ) -> Iterator[Passages]:
        """Take the next page, and yield the passages that are complete.

        `left_out` and `title` are ids of lines: those that are no running text, and those that
        are no heading. `obstacles` are the boxes of figures and tables.
        """
        self._section_before = self.outline.section
        self._headings.clear()
        shown = PageContent(page.number, page.width, page.height, characters=page.characters)
        shown.lines = [line for line in page.lines if id(line) not in left_out]
        text: list[Paragraph] = []
        notes: list[Paragraph] = []
        for column in columns_of(shown, obstacles):
            for index, paragraph in enumerate(paragraphs_of(column, page.number)):
                if paragraph.notes:
                    notes.append(paragraph)
                elif text and (
                    (index == 0 and continues(text[-1], paragraph))
                    or (_is_within(paragraph, title) and _is_within(text[-1], title))
                ):
                    text[-1] = merged([text[-1], paragraph])
                else:
                    text.append(paragraph)
        held = self._held
        if held and text and continues(held[0], text[0]):
            held[0] = merged([held[0], text.pop(0)])
            if not text:
                self._held = [*held, *notes]
                return
        self._held = [text.pop(), *notes] if text else notes
        yield from self._add([*held, *text], title)

    def end(self) -> Iterator[Passages]:
        """Yield the rest of the text."""
        held, self._held = self._held, []
        yield from self._add(held, set())
        yield from self._flush()

    def table(self, text: str, region: Region, label: str, section: str) -> Passages:
        """Return the passage of a table's rows, in front of the text that is not complete."""
        start = self._start_char
        self._start_char += len(text) + len(_BETWEEN)
        return Passages(
            text,
            start,
            region.page,
            section=section,
            label=label,
            regions=((0, region),),
            whole=True,
        )

    def section_at(self, page: int, box: Box) -> str:
        """Return the section of a figure or table on the page that was taken last."""
        section = self._section_before
        for heading, its_section in self._headings:
            beside = heading.box[2] <= box[0] or box[2] <= heading.box[0]
            if heading.page == page and (
                heading.box[0] < box[0] if beside else heading.box[3] <= box[1] + 1
            ):
                section = its_section
        return section

    def _add(self, paragraphs: list[Paragraph], title: set[int]) -> Iterator[Passages]:
        following = [*paragraphs[1:], *self._held[:1]]
        for index, paragraph in enumerate(paragraphs):
            after = following[index] if index < len(following) else None
            in_title = any(id(line) in title for line in paragraph.lines)
            heading = not in_title and self.outline.takes(paragraph, self._before, after)
            self._before = paragraph
            if (heading and self._has_text) or self._chars > MAX_PASSAGE_CHARS:
                yield from self._flush()
            if heading or not self._pieces:
                self._section = self.outline.section
            if heading:
                first = Region(paragraph.pages[0], paragraph.lines[0].box)
                self._headings.append((first, self.outline.section))
            self._append(paragraph)
            self._has_text = self._has_text or not heading

    def _append(self, paragraph: Paragraph) -> None:
        text, regions = paragraph.text(self.vocabulary)
        if not text:
            return
        at = self._chars + (len(_BETWEEN) if self._pieces else 0)
        self._pieces.append(text)
        self._regions += [(at + start, region) for start, region in regions]
        self._chars = at + len(text)

    def _flush(self) -> Iterator[Passages]:
        if self._pieces:
            yield Passages(
                _BETWEEN.join(self._pieces),
                self._start_char,
                self._regions[0][1].page,
                section=self._section,
                regions=tuple(self._regions),
            )
            self._start_char += self._chars + len(_BETWEEN)
        self._pieces, self._regions, self._chars, self._has_text = [], [], 0, False


def _is_within(paragraph: Paragraph, ids: set[int]) -> bool:
    return all(id(line) in ids for line in paragraph.lines)


def line_ids(lines: Sequence[Line]) -> set[int]:
    """Return the identities of lines, by which they are left out."""
    return {id(line) for line in lines}
