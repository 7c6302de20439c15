"""OpenDocument texts and presentations (.odt, .odp). Spreadsheets are in `trawl.readers.sheets`."""

from __future__ import annotations

import datetime
import re
from contextlib import suppress
from functools import partial
from pathlib import Path

from trawl.errors import ReadError
from trawl.readers.flow import Flow, label_of, one_line
from trawl.readers.formats import MIB, Format, Limits, stem_title
from trawl.readers.text import MAX_TITLE_CHARS
from trawl.readers.xml_tree import Element, attribute, child, kind, parse_xml
from trawl.readers.zipped import ZIP_HEAD, Zipped
from trawl.types import Metadata, Reading

_TEXT = "application/vnd.oasis.opendocument.text"
_SLIDES = "application/vnd.oasis.opendocument.presentation"
_MAX_XML_BYTES = 64 * MIB
_HIDDEN = frozenset(
    {"text:tracked-changes", "office:annotation", "text:sequence-decls", "office:forms"}
    | {"text:note-citation", "text:table-of-content", "text:bibliography-mark-start"}
)
_CAPTION_STYLES = re.compile(r"(?:illustration|figure|drawing|table|caption).*", re.I)
_CAPTION = re.compile(r".{2,30}?[\dIVXa-z]\s*[:.|–—-]\s")


def read_open_document(path: Path, limits: Limits, *, media_type: str) -> Reading:
    """Read a text or a presentation. Raises `ReadError`.

    The title is that of the properties, else the paragraph of the style "Title", else the first
    heading, else the file's name.
    """
    package = Zipped(path)
    if "META-INF/manifest.xml" in package and b"encryption-data" in package.read(
        "META-INF/manifest.xml", _MAX_XML_BYTES
    ):
        raise ReadError("it is protected by a password; save it without one")
    root = parse_xml(package.read("content.xml", _MAX_XML_BYTES), "content.xml")
    body = child(root, "office:body", "office:text")
    if body is None:
        body = child(root, "office:body", "office:presentation")
    if body is None:
        raise ReadError("it is neither a text nor a presentation")
    flow = Flow(limits)
    reader = _Reader(package, flow, _parents(root))
    reader.blocks(body)
    title, metadata = _metadata(package)
    if reader.slides:
        metadata["slides"] = reader.slides
    if reader.comments:
        flow.notices.append(f"comments are not indexed: {reader.comments:,}")
    title = title or reader.title or flow.first_heading()
    return flow.reading(media_type, title[:MAX_TITLE_CHARS] or stem_title(path), metadata)


class _Reader:
    def __init__(self, package: Zipped, flow: Flow, parents: dict[str, str]) -> None:
        self._package = package
        self._flow = flow
        self._parents = parents
        self.title = ""
        self.slides = 0
        self.comments = 0

    def blocks(self, parent: Element, *, tight: bool = False) -> None:
        """Add what is below an element."""
        for block in parent:
            name = kind(block)
            if name in _HIDDEN:
                self.comments += name == "office:annotation"
            elif name == "text:h":
                level = attribute(block, "text:outline-level")
                self._flow.heading(self._text(block), int(level) if level.isdecimal() else 1)
                self._inside(block)
            elif name == "text:p":
                self._paragraph(block, tight)
            elif name == "text:list":
                self.blocks(block, tight=True)
            elif name == "table:table":
                self._table(block)
            elif name == "draw:page":
                self._slide(block)
            elif name == "draw:frame":
                self._frame(block)
            else:
                self.blocks(block, tight=tight)

    def _paragraph(self, element: Element, tight: bool) -> None:
        text = self._text(element)
        style = attribute(element, "text:style-name")
        style = self._parents.get(style, style)
        line = one_line(text)
        if style == "Title" and line and not self.title:
            self.title = line
            self._flow.paragraph(line)
        elif label_of(line) and (_CAPTION_STYLES.match(style) or _CAPTION.match(line)):
            self._flow.caption(line)
        else:
            self._flow.paragraph(text, tight=tight)
        self._inside(element)

    def _inside(self, paragraph: Element) -> None:
        """Add the pictures, text boxes and notes that are anchored in a paragraph."""
        for one in paragraph:
            name = kind(one)
            if name == "draw:frame":
                self._frame(one)
            elif name == "text:note":
                self.blocks(one)
            elif name == "office:annotation":
                self.comments += 1
            else:
                self._inside(one)

    def _frame(self, frame: Element) -> None:
        alt = next(
            (
                one_line("".join(one.itertext()))
                for one in frame
                if kind(one) in {"svg:desc", "svg:title"} and "".join(one.itertext()).strip()
            ),
            "",
        )
        for one in frame:
            name = kind(one)
            if name == "draw:image":
                target = attribute(one, "xlink:href").removeprefix("./")
                if target in self._package:
                    self._flow.picture(partial(self._package.read, target), target, alt)
                elif target:
                    self._flow.notices.append("pictures outside the file are not indexed")
                return  # the next ones are the same picture in other formats
            if name == "draw:text-box":
                self.blocks(one)
            elif name == "table:table":
                self._table(one)
            elif name == "draw:object":
                self._flow.notices.append("embedded objects, such as charts, are not indexed")

    def _slide(self, page: Element) -> None:
        self.slides += 1
        self._flow.page = self.slides
        self._flow.leave_sections()
        for frame in page:
            if attribute(frame, "presentation:class") == "title":
                self._flow.heading(" ".join(self._texts(frame)), 1)
        for shape in page:
            named = attribute(shape, "presentation:class")
            if named == "title" or named in {"page-number", "footer", "date-time"}:
                continue
            if kind(shape) == "draw:frame":
                self._frame(shape)
            elif kind(shape) == "presentation:notes":
                for one in shape:
                    if attribute(one, "presentation:class") == "notes":
                        self._frame(one)
            else:
                self.blocks(shape, tight=True)

    def _table(self, table: Element) -> None:
        rows: list[list[str]] = []
        frames: list[Element] = []
        for row in table.iter():
            if kind(row) != "table:table-row":
                continue
            cells: list[str] = []
            for cell in row:
                if kind(cell) in {"table:table-cell", "table:covered-table-cell"}:
                    again = attribute(cell, "table:number-columns-repeated")
                    count = min(int(again), 100) if again.isdecimal() else 1
                    cells += [" ".join(self._texts(cell))] * count
                    frames += [one for one in cell.iter() if kind(one) == "draw:frame"]
            rows.append(cells)
        if max(map(len, rows), default=0) < 2:
            self.blocks(table)
            return
        self._flow.table(rows)
        for frame in frames:
            self._frame(frame)

    def _texts(self, parent: Element) -> list[str]:
        found = []
        for one in parent:
            name = kind(one)
            if name in {"text:p", "text:h"}:
                found.append(one_line(self._text(one)))
            elif name not in _HIDDEN:
                found += self._texts(one)
        return [text for text in found if text]

    def _text(self, element: Element) -> str:
        pieces = [element.text or ""]
        for one in element:
            name = kind(one)
            if name == "text:s":
                count = attribute(one, "text:c")
                pieces.append(" " * (min(int(count), 1000) if count.isdecimal() else 1))
            elif name == "text:tab":
                pieces.append("\t")
            elif name == "text:line-break":
                pieces.append("\n")
            elif name not in _HIDDEN and name not in {"draw:frame", "text:note"}:
                pieces.append(self._text(one))
            pieces.append(one.tail or "")
        return re.sub(
            r"[ \r\f]*\n[ \r\f]*|[ \r\f]+", lambda m: "\n" if "\n" in m[0] else " ", "".join(pieces)
        )


def _parents(root: Element) -> dict[str, str]:
    """Return the named style that each automatic style is based on."""
    styles = child(root, "office:automatic-styles")
    found = {}
    for style in styles if styles is not None else ():
        names = {key.rpartition("}")[2]: value for key, value in style.items()}
        if names.get("name") and names.get("parent-style-name"):
            found[names["name"]] = names["parent-style-name"]
    return found


def _metadata(package: Zipped) -> tuple[str, Metadata]:
    metadata: Metadata = {}
    title = ""
    with suppress(ReadError):  # a document without properties, or with damaged ones
        root = parse_xml(package.read("meta.xml", _MAX_XML_BYTES), "meta.xml")
        values: dict[str, list[str]] = {}
        for one in root.iter():
            if text := one_line(one.text or ""):
                values.setdefault(kind(one), []).append(text)
        title = values.get("dc:title", [""])[0]
        authors = values.get("meta:initial-creator") or values.get("dc:creator")
        if authors:
            metadata["authors"] = authors[:1]
        if values.get("dc:subject"):
            metadata["subject"] = values["dc:subject"][0]
        if values.get("meta:keyword"):
            metadata["keywords"] = ", ".join(values["meta:keyword"])
        for key, name in (("created", "meta:creation-date"), ("modified", "dc:date")):
            with suppress(ValueError, KeyError):
                metadata[key] = datetime.date.fromisoformat(values[name][0][:10])
    return title, metadata


def _is_of(media_type: str, head: bytes) -> bool:
    return head[30:].startswith(f"mimetype{media_type}PK".encode())


FORMATS = tuple(
    Format(
        media_type,
        "text",
        name,
        frozenset(suffixes.split()),
        partial(read_open_document, media_type=media_type),
        partial(_is_of, media_type),
        heads=(ZIP_HEAD,),
    )
    for media_type, name, suffixes in (
        (_TEXT, "an OpenDocument text", ".odt .ott"),
        (_SLIDES, "an OpenDocument presentation", ".odp .otp"),
    )
)
