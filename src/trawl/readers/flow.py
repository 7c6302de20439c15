"""A document's content in reading order, collected as headings, text, tables and pictures.

Readers of formats with a structure (HTML, Word, slides, books) fill a `Flow`; `Flow.reading`
turns it into parts: a passage per section, a passage of its own for each table, and the pictures
after the text that they stand in.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from trawl.errors import ReadError
from trawl.readers.formats import Limits
from trawl.readers.pictures import decode_picture
from trawl.types import Part, Passages, Picture, Reading, Value

MAX_PICTURES = 1_000
"""Pictures of one document that are read."""
MIN_SIDE_PX = 24
"""Smaller pictures are icons, rules and counters of visits."""
_MAX_HEADING_CHARS = 200
_BREAK_CHARS = 1_000
"""A picture ends a passage of at least this length; shorter ones go on behind it."""
_MIN_CHARS = 200
"""A shorter section is joined with the next, since a passage of a few words is hard to find."""
_SEPARATOR = " › "
_LABEL = re.compile(
    r"(?:supplementary\s+|extended\s+data\s+)?"
    r"(fig(?:ure|ura|uur|\.)?|abb(?:ildung|\.)?|tab(?:le|elle|la|leau|\.)?|scheme|chart|plate|box"
    r"|listing|algorithm)\s*"
    r"(S?\d+(?:[.\-–]\d+)*[a-z]?|[A-Z](?:\.\d+)+|[A-Z]\d+|[IVXL]+)\b(?![-\w])",
    re.IGNORECASE,
)


def label_of(caption: str) -> str:
    """Return the label that a caption starts with, such as "Figure 2" or "Fig. S1", or ""."""
    match = _LABEL.match(caption)
    return " ".join(match[0].split()) if match else ""


def clean(text: str) -> str:
    """Return a text without NUL and lone surrogates, which no column of UTF-8 can hold."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def one_line(text: str) -> str:
    """Return a text with every run of white space as one space."""
    return " ".join(clean(text).split())


def table_text(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table, without empty rows and columns; "" if nothing is left."""
    lines = [[one_line(cell) for cell in row] for row in rows if any(map(str.strip, row))]
    width = max(map(len, lines), default=0)
    lines = [line + [""] * (width - len(line)) for line in lines]
    used = [column for column in range(width) if any(line[column] for line in lines)]
    texts = ["| " + " | ".join(line[column] for column in used) + " |" for line in lines]
    if len(texts) > 1:
        texts.insert(1, "|" + " --- |" * len(used))
    return "\n".join(texts)


@dataclass(slots=True)
class _Text:
    text: str
    section: str
    page: int | None
    heading: bool = False
    tight: bool = False


@dataclass(slots=True)
class _Table:
    rows: list[list[str]]
    section: str
    page: int | None
    caption: str = ""


@dataclass(slots=True)
class _Rows:
    records: list[tuple[int, str]]
    section: str
    page: int | None


@dataclass(slots=True)
class _Figure:
    """A picture that is loaded when the parts are read; `load` raises `ReadError`."""

    load: Callable[[], bytes]
    name: str
    alt: str
    section: str
    page: int | None
    caption: str = ""


@dataclass(slots=True)
class Flow:
    """Collects a document's content in reading order.

    `page` is the page or slide of what is added next.
    """

    limits: Limits
    page: int | None = None
    notices: list[str] = field(default_factory=list)
    _entries: list[_Text | _Table | _Rows | _Figure] = field(default_factory=list)
    _headings: list[tuple[int, str]] = field(default_factory=list)
    _caption: str = ""

    @property
    def section(self) -> str:
        """The headings above what is added next."""
        return _SEPARATOR.join(text for _, text in self._headings)

    @property
    def has_content(self) -> bool:
        """Whether something other than headings was added."""
        return any(not isinstance(entry, _Text) or not entry.heading for entry in self._entries)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added."""
        return not self._entries and not self._caption

    def first_heading(self) -> str:
        """Return the first heading, "" if there is none."""
        return next((e.text for e in self._entries if isinstance(e, _Text) and e.heading), "")

    def heading(self, text: str, level: int) -> None:
        """Add a heading; level 1 is the outermost. It ends the sections of its level and below."""
        text = one_line(text)
        if not text:
            return
        self._release()
        if len(text) > _MAX_HEADING_CHARS:
            self._entries.append(_Text(text, self.section, self.page))
            return
        while self._headings and self._headings[-1][0] >= level:
            self._headings.pop()
        self._headings.append((level, text))
        self._entries.append(_Text(text, self.section, self.page, heading=True))

    def leave_sections(self) -> None:
        """End all sections, as at the start of a slide or chapter."""
        self._release()
        self._headings.clear()

    def paragraph(self, text: str, *, tight: bool = False) -> None:
        """Add a paragraph. A tight one, such as a list item, has no empty line before it."""
        text = clean(text).strip("\n")
        if text.strip():
            self._release()
            self._entries.append(_Text(text, self.section, self.page, tight=tight))

    def table(self, rows: list[list[str]], caption: str = "") -> None:
        """Add a table; a caption that was added just before belongs to it."""
        if not any(cell.strip() for row in rows for cell in row):
            return
        if not caption and (not self._caption or _is_of_table(self._caption)):
            caption, self._caption = self._caption, ""
        self._release()
        self._entries.append(_Table(rows, self.section, self.page, one_line(caption)))

    def rows(self, records: Sequence[tuple[int, str]]) -> None:
        """Add the (number, text) of the rows of a sheet."""
        kept = [(number, text) for number, text in records if text.strip()]
        if kept:
            self._release()
            self._entries.append(_Rows(kept, self.section, self.page))

    def picture(
        self, load: Callable[[], bytes], name: str, alt: str = "", caption: str = ""
    ) -> None:
        """Add a picture, which `load` reads later; `name` is for messages."""
        if not caption and self._caption and not _is_of_table(self._caption):
            caption, self._caption = self._caption, ""
        self._release()
        figure = _Figure(load, name, one_line(alt), self.section, self.page, one_line(caption))
        self._entries.append(figure)

    def caption(self, text: str) -> None:
        """Add the caption of the pictures or the table just before; else of the next one."""
        text = one_line(text)
        if not text:
            return
        self._release()
        before = self._without_caption(text)
        for entry in before:
            entry.caption = text
        if not before:
            self._caption = text

    def _without_caption(self, caption: str) -> list[_Table] | list[_Figure]:
        """Return the last table, or the last pictures in a row, that lack a caption."""
        last = self._entries[-1] if self._entries else None
        if isinstance(last, _Table):
            return [last] if not last.caption and _is_of_table(caption) else []
        figures: list[_Figure] = []
        for entry in reversed(self._entries):
            if not isinstance(entry, _Figure) or entry.caption or entry.page != self.page:
                break
            figures.append(entry)
        return [] if _is_of_table(caption) else figures

    def _release(self) -> None:
        """Add a caption that belongs to nothing as a paragraph."""
        if self._caption:
            self._entries.append(_Text(self._caption, self.section, self.page))
            self._caption = ""

    # --- parts -------------------------------------------------------------------------

    def reading(
        self, media_type: str, title: str, metadata: Mapping[str, Value] | None = None
    ) -> Reading:
        """Return the document. Its pictures are decoded as the parts are iterated over.

        Raises `ReadError` if it is empty.
        """
        self._release()
        if not self._entries:
            raise ReadError("contains no text and no pictures")
        late: list[str] = []
        return Reading(
            media_type,
            title,
            self._parts(late, title),
            metadata or {},
            tuple(dict.fromkeys(self.notices)),
            late,
        )

    def _parts(self, late: list[str], title: str) -> Iterator[Part]:
        loader = _Loader(self.limits)
        start_char = 0
        for piece in self._pieces():
            found: Passages | Picture | None
            if isinstance(piece, Passages):
                found = replace(piece, start_char=start_char)
                start_char += len(piece.text) + 2
            else:
                found = loader.picture(piece)
                if found is None and piece.caption:
                    found = Passages(piece.caption, start_char, piece.page, section=piece.section)
                start_char += len(piece.caption) + 2 if piece.caption else 0
            if found is not None:
                yield replace(found, section=_without(title, found.section))
        late += loader.notices()

    def _pieces(self) -> Iterator[Passages | _Figure]:
        """Yield the passages, without their start, and the pictures in order."""
        run: list[_Text] = []
        figures: list[_Figure] = []

        def close() -> Iterator[Passages | _Figure]:
            if run:
                yield Passages(_joined(run), page=run[-1].page, section=_main_section(run))
            yield from figures
            run.clear()
            figures.clear()

        for entry in self._entries:
            if isinstance(entry, _Figure):
                figures.append(entry)
                if _length(run) >= _BREAK_CHARS:
                    yield from close()
                continue
            if not isinstance(entry, _Text):
                above = ""
                if run and not figures and all(text.heading for text in run):
                    above = _joined(run)
                    run.clear()
                yield from close()
                yield _table(entry, above) if isinstance(entry, _Table) else _rows(entry, above)
                continue
            turned = bool(run) and run[-1].page != entry.page
            begun = entry.heading and _length(run) >= _MIN_CHARS
            left = bool(run) and not entry.heading and run[-1].section != entry.section
            left = left and _length(run) >= _MIN_CHARS
            if turned or begun or left or (figures and not run):
                yield from close()
            run.append(entry)
        yield from close()


def _is_of_table(caption: str) -> bool:
    return label_of(caption).lower().startswith("tab")


def _length(run: list[_Text]) -> int:
    return sum(len(text.text) for text in run)


def _main_section(run: list[_Text]) -> str:
    """Return the section of most of the text; that of the last heading if there is no other."""
    lengths: Counter[str] = Counter()
    for text in run:
        lengths[text.section] += 0 if text.heading else len(text.text)
    best = max(lengths.values())
    return run[-1].section if not best else next(s for s in lengths if lengths[s] == best)


def _without(title: str, section: str) -> str:
    """Return a section without the heading that is the title of the document."""
    return "" if section == title else section.removeprefix(title + _SEPARATOR)


def _table(entry: _Table, above: str) -> Passages:
    """Return a table with the headings above it that have no other text."""
    return Passages(
        "\n\n".join(filter(None, (above, entry.caption, table_text(entry.rows)))),
        page=entry.page,
        section=entry.section,
        label=label_of(entry.caption),
        whole=True,
    )


def _rows(entry: _Rows, above: str) -> Passages:
    texts = [above] if above else []
    start = len(above) + 2 if above else 0
    rows = []
    for number, text in entry.records:
        rows.append((start, number))
        texts.append(text)
        start += len(text) + 2
    return Passages("\n\n".join(texts), page=entry.page, rows=tuple(rows), section=entry.section)


def _joined(run: list[_Text]) -> str:
    pieces = [run[0].text]
    for before, after in itertools.pairwise(run):
        tight = after.tight and not before.heading
        pieces += ["\n" if tight else "\n\n", after.text]
    return "".join(pieces)


class _Loader:
    """Decodes pictures, each with a caption once, and counts those that are left out by reason."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._seen: set[int] = set()
        self._left_out: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def picture(self, figure: _Figure) -> Picture | None:
        try:
            if len(self._seen) >= MAX_PICTURES:
                raise ReadError(f"a document has at most {MAX_PICTURES:,} pictures")
            data = figure.load()
            key = hash((data, figure.caption or figure.alt))
            if key in self._seen:
                return None
            self._seen.add(key)
            picture, _ = decode_picture(data, self._limits)
            if min(picture.width_px, picture.height_px) < MIN_SIDE_PX:
                raise ReadError(f"smaller than {MIN_SIDE_PX} pixels")
        except ReadError as error:
            self._left_out[str(error)] += 1
            self._first.setdefault(str(error), figure.name)
            return None
        caption = figure.caption or figure.alt
        if figure.caption and figure.alt and figure.alt.casefold() not in caption.casefold():
            caption = f"{caption}\n{figure.alt}"
        return replace(
            picture,
            caption=caption,
            page=figure.page,
            label=label_of(figure.caption),
            section=figure.section,
        )

    def notices(self) -> list[str]:
        """Return a notice for each reason."""
        return [
            f"the picture {self._first[reason]} is not indexed: {reason}"
            if count == 1
            else f"{count:,} pictures are not indexed, the first is {self._first[reason]}: {reason}"
            for reason, count in self._left_out.items()
        ]
