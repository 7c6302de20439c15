"""Word documents (.docx): text with headings, tables as rows, pictures with their captions.

Numbers of lists and headings, running headers and footers, and deleted text are left out. Text
boxes, footnotes, content controls and inserted text are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trawl.errors import ReadError
from trawl.readers.flow import Flow, label_of, one_line
from trawl.readers.formats import Format, Limits, stem_title
from trawl.readers.omml import formula_text
from trawl.readers.ooxml import Package, add_drawing
from trawl.readers.text import MAX_TITLE_CHARS
from trawl.readers.xml_tree import Element, attribute, below, child, kind
from trawl.readers.zipped import OLE_HEAD, ZIP_HEAD
from trawl.types import Reading

_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_TRANSPARENT = frozenset(
    {"w:ins", "w:moveTo", "w:customXml", "w:smartTag", "w:sdt", "w:sdtContent", "w:hyperlink"}
    | {"w:fldSimple", "w:r", "mc:Choice", "mc:Fallback", "w:ruby", "w:rubyBase", "w:dir", "w:bdo"}
)
_DRAWINGS = frozenset({"w:drawing", "w:pict", "w:object"})
_SIGNS = {"w:tab": "\t", "w:cr": "\n", "w:noBreakHyphen": "-", "w:ptab": "\t"}
_CAPTION = re.compile(r".{2,30}?[\dIVXa-z]\s*[:.|–—-]\s")
_MAX_CAPTION_CHARS = 600
_MAX_CELL_CHARS = 2_000
_LEVELS = 9


def read_word(path: Path, limits: Limits) -> Reading:
    """Read a Word document. Raises `ReadError`.

    The title is the first paragraph of the style "Title", else that of the properties, else the
    first heading, else the file's name.
    """
    package = Package(path)
    body = child(package.xml(package.main), "w:body")
    if body is None:
        raise ReadError("it is not a Word document")
    title, metadata = package.properties()
    flow = Flow(limits)
    reader = _Reader(package, flow)
    reader.blocks(body)
    comments = package.xml_of(package.main, "comments")
    count = len(below(comments, "w:comment")) if comments is not None else 0
    if count:
        flow.notices.append(f"comments are not indexed: {count:,}")
    if below(body, "w:altChunk"):
        flow.notices.append("a document that is embedded in this one is not indexed")
    title = reader.title or title or flow.first_heading()
    return flow.reading(_WORD, title[:MAX_TITLE_CHARS] or stem_title(path), metadata)


@dataclass(slots=True)
class _Inline:
    """The content of one paragraph."""

    pieces: list[str]
    drawings: list[Element]
    boxes: list[Element]
    notes: list[str]


class _Reader:
    def __init__(self, package: Package, flow: Flow) -> None:
        self._package = package
        self._flow = flow
        self._styles = _styles(package.xml_of(package.main, "styles"))
        self._notes = {
            f"{name}:{attribute(note, 'w:id')}": note
            for name in ("footnote", "endnote")
            for root in [package.xml_of(package.main, f"{name}s")]
            if root is not None
            for note in below(root, f"w:{name}")
            if attribute(note, "w:type") in {"", "normal"}
        }
        self.title = ""

    def blocks(self, parent: Element) -> None:
        """Add the paragraphs and tables below an element."""
        for block in parent:
            name = kind(block)
            if name == "w:p":
                self._paragraph(block)
            elif name == "w:tbl":
                self._table(block)
            elif name == "mc:AlternateContent":
                self.blocks(_alternative(block))
            elif name in _TRANSPARENT:
                self.blocks(block)

    def _paragraph(self, element: Element) -> None:
        inline = _Inline([], [], [], [])
        _collect(element, inline)
        text = "".join(inline.pieces)
        properties = child(element, "w:pPr")
        named, level = self._style(properties)
        line = one_line(text)
        if level is not None:
            self._flow.heading(line, level)
        elif named == "title" and line and not self.title:
            self.title = line
            self._flow.paragraph(line)
        elif named == "caption" or (
            len(line) <= _MAX_CAPTION_CHARS and label_of(line) and _CAPTION.match(line)
        ):
            self._flow.caption(line)
        else:
            listed = named.startswith("list") or child(properties, "w:numPr") is not None
            self._flow.paragraph(text.strip(), tight=listed)
        for drawing in inline.drawings:
            add_drawing(self._flow, self._package, self._package.main, drawing)
        for box in inline.boxes:
            self.blocks(box)
        for note in inline.notes:
            found = self._notes.pop(note, None)
            if found is not None:
                self._flow.paragraph("\n".join(_texts(found)))

    def _style(self, properties: Element | None) -> tuple[str, int | None]:
        """Return the name of a paragraph's style in lower case, and its level as a heading."""
        style = child(properties, "w:pStyle")
        name, level = self._styles.get(
            attribute(style, "w:val") if style is not None else "", ("", None)
        )
        own = _level(child(properties, "w:outlineLvl"))
        return name, own if own is not None else level

    def _table(self, table: Element) -> None:
        rows: list[list[str]] = []
        cells: list[Element] = []
        for row in _inside(table, "w:tr"):
            before = child(row, "w:trPr", "w:gridBefore")
            texts = [""] * (_count(before, 0))
            for cell in _inside(row, "w:tc"):
                cells.append(cell)
                properties = child(cell, "w:tcPr")
                merged = child(properties, "w:vMerge")
                text = one_line(" ".join(_texts(cell)))
                if merged is not None and attribute(merged, "w:val") != "restart" and rows:
                    above = rows[-1]
                    text = text or (above[len(texts)] if len(texts) < len(above) else "")
                texts.append(text)
                texts += [""] * (_count(child(properties, "w:gridSpan"), 1) - 1)
            rows.append(texts)
        if self._arranges(cells, rows):
            for cell in cells:
                self.blocks(cell)
            return
        self._flow.table(rows)
        for cell in cells:
            inline = _Inline([], [], [], [])
            _collect(cell, inline)
            for drawing in inline.drawings:
                add_drawing(self._flow, self._package, self._package.main, drawing)

    def _arranges(self, cells: list[Element], rows: list[list[str]]) -> bool:
        """Return whether a table only arranges a page: it is read cell by cell then."""
        if max(map(len, rows), default=0) < 2:
            return True
        if any(len(text) > _MAX_CELL_CHARS for row in rows for text in row):
            return True
        return any(
            kind(one) == "w:tbl" or (kind(one) == "w:pPr" and self._style(one)[1] is not None)
            for cell in cells
            for one in cell.iter()
        )


def _collect(element: Element, inline: _Inline) -> None:
    """Gather the text of a paragraph and what else is in it."""
    for one in element:
        name = kind(one)
        if name == "w:t":
            inline.pieces.append(one.text or "")
        elif name == "w:r" and child(one, "w:rPr", "w:vanish") is not None:
            continue
        elif name in _SIGNS:
            inline.pieces.append(_SIGNS[name])
        elif name == "w:br":
            inline.pieces.append("\n")
        elif name == "w:sym":
            code = attribute(one, "w:char")
            if re.fullmatch("[0-9A-Fa-f]{4}", code) and not code.upper().startswith(("F", "D8")):
                inline.pieces.append(chr(int(code, 16)))
        elif name in {"m:oMath", "m:oMathPara"}:
            inline.pieces.append(f" {formula_text(one)} ")
        elif name in {"w:footnoteReference", "w:endnoteReference"}:
            inline.notes.append(f"{name[2:-9]}:{attribute(one, 'w:id')}")
        elif name in _DRAWINGS:
            inline.drawings.append(one)
            inline.boxes += _outermost(one, "w:txbxContent")
        elif name == "mc:AlternateContent":
            _collect(_alternative(one), inline)
        elif name in _TRANSPARENT:
            _collect(one, inline)
        elif name in {"w:p", "w:tbl", "w:tr", "w:tc"}:  # in a cell
            _collect(one, inline)
            inline.pieces.append("\n")


def _texts(parent: Element) -> list[str]:
    """Return the text of each paragraph below an element, with those of text boxes."""
    inline = _Inline([], [], [], [])
    _collect(parent, inline)
    found = ["".join(inline.pieces)]
    for box in inline.boxes:
        found += _texts(box)
    return [text.strip() for text in found if text.strip()]


def _outermost(element: Element, name: str) -> Iterator[Element]:
    for one in element:
        if kind(one) == name:
            yield one
        else:
            yield from _outermost(one, name)


def _inside(parent: Element, name: str) -> Iterator[Element]:
    """Yield the rows or cells of a table, also those in content controls."""
    for one in parent:
        if kind(one) == name:
            yield one
        elif kind(one) in _TRANSPARENT:
            yield from _inside(one, name)


def _alternative(element: Element) -> Element:
    """Return the first of alternative contents that has any."""
    choices: Iterable[Element] = [one for one in element if len(one)]
    return next(iter(choices), element)


def _styles(root: Element | None) -> dict[str, tuple[str, int | None]]:
    """Return the name in lower case and the heading level of each style, by id."""
    if root is None:
        return {}
    found: dict[str, tuple[str, int | None]] = {}
    parents: dict[str, str] = {}
    for style in below(root, "w:style"):
        key = attribute(style, "w:styleId")
        named = child(style, "w:name")
        name = attribute(named, "w:val").lower() if named is not None else ""
        heading = re.fullmatch(r"heading ([1-9])", name)
        level = int(heading[1]) if heading else _level(child(style, "w:pPr", "w:outlineLvl"))
        found[key] = (name, level)
        based = child(style, "w:basedOn")
        if based is not None:
            parents[key] = attribute(based, "w:val")
    for key, (name, level) in found.items():
        parent = key
        for _ in range(_LEVELS):  # styles may be based on each other in a circle
            parent = parents.get(parent, "")
            above = found.get(parent, ("", None))
            level = above[1] if level is None else level
            name = above[0] if above[0] in {"caption", "title"} else name
        found[key] = (name, level)
    return found


def _level(outline: Element | None) -> int | None:
    """Return a heading level from an outline level, which counts from 0; 9 is body text."""
    value = attribute(outline, "w:val") if outline is not None else ""
    return int(value) + 1 if value.isdecimal() and int(value) < _LEVELS else None


def _count(element: Element | None, default: int) -> int:
    """Return the number of columns that an element states, at most 100."""
    value = attribute(element, "w:val") if element is not None else ""
    return min(int(value), 100) if value.isdecimal() else default


def _is_word(head: bytes) -> bool:
    return head.startswith(ZIP_HEAD) and b"word/" in head


FORMATS = (
    Format(
        _WORD,
        "text",
        "a Word document",
        frozenset({".docx", ".docm", ".dotx"}),
        read_word,
        _is_word,
        heads=(ZIP_HEAD, OLE_HEAD),
    ),
)
