"""PowerPoint presentations: each slide with its number, title, text, tables, pictures and notes.

The order is that of reading a slide: from top to bottom, then from left to right. How a slide looks
is not drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from trawl.errors import ReadError
from trawl.readers.flow import Flow, one_line
from trawl.readers.formats import Format, Limits, stem_title
from trawl.readers.ooxml import Package, add_drawing, drawing_text, paragraph_text
from trawl.readers.text import MAX_TITLE_CHARS
from trawl.readers.xml_tree import Element, attribute, below, child, kind
from trawl.readers.zipped import OLE_HEAD, ZIP_HEAD
from trawl.types import Reading

_SLIDES = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
_TITLES = frozenset({"title", "ctrTitle"})
_FURNITURE = frozenset({"dt", "ftr", "sldNum", "hdr"})
_ROW_EMU = 360_000
"""Shapes whose tops differ by less, one centimetre, are in one row."""


def read_slides(path: Path, limits: Limits) -> Reading:
    """Read a presentation. Raises `ReadError`.

    The title is that of the properties, else that of the first slide, else the file's name.
    """
    package = Package(path)
    root = package.xml(package.main)
    if kind(root) != "p:presentation":
        raise ReadError("it is not a presentation")
    title, metadata = package.properties()
    flow = Flow(limits)
    parts = _slide_parts(package, root)
    for number, part in enumerate(parts, start=1):
        flow.page = number
        flow.leave_sections()
        try:
            slide = package.xml(part)
        except ReadError as error:
            flow.notices.append(f"slide {number} is not indexed: {error}")
            continue
        _add_slide(flow, package, part, slide)
    metadata["slides"] = len(parts)
    title = title or flow.first_heading()
    return flow.reading(_SLIDES, title[:MAX_TITLE_CHARS] or stem_title(path), metadata)


def _slide_parts(package: Package, root: Element) -> list[str]:
    """Return the parts of the slides in the order of the presentation."""
    relations = package.relations(package.main)
    found = []
    for one in below(root, "p:sldId"):
        relation = relations.get(attribute(one, "r:id"))
        if relation is not None and not relation.external:
            found.append(relation.target)
    return found


def _add_slide(flow: Flow, package: Package, part: str, slide: Element) -> None:
    tree = child(slide, "p:cSld", "p:spTree")
    shapes = list(_shapes(tree)) if tree is not None else []
    layout = _places(package, part)
    title = next((one for one in shapes if _placeholder(one)[0] in _TITLES), None)
    if title is not None:
        flow.heading(drawing_text(title), 1)
    rest = [one for one in shapes if one is not title and _placeholder(one)[0] not in _FURNITURE]
    rest.sort(key=lambda one: _place(one, layout))
    for shape in rest:
        _add_shape(flow, package, part, shape)
    notes = package.related(part, "notesSlide")
    if notes is not None:
        with suppress(ReadError):  # the slide itself has been read
            for shape in below(package.xml(notes), "p:sp"):
                if _placeholder(shape)[0] == "body":
                    flow.paragraph(drawing_text(shape))


def _shapes(parent: Element) -> Iterator[Element]:
    """Yield shapes, pictures, frames and groups; a group stays together."""
    for one in parent:
        if kind(one) in {"p:sp", "p:pic", "p:graphicFrame", "p:grpSp", "p:cxnSp"}:
            yield one
        elif kind(one) == "mc:AlternateContent":
            yield from _shapes(next((choice for choice in one if len(choice)), one))


def _add_shape(flow: Flow, package: Package, part: str, shape: Element) -> None:
    name = kind(shape)
    if name == "p:grpSp":
        for one in _shapes(shape):
            _add_shape(flow, package, part, one)
    elif name in {"p:sp", "p:cxnSp"}:
        for paragraph in below(shape, "a:p"):
            flow.paragraph(paragraph_text(paragraph), tight=True)
        add_drawing(flow, package, part, shape)  # a shape may be filled with a picture
    elif (table := next(iter(below(shape, "a:tbl")), None)) is not None:
        flow.table(_rows(table))
    else:
        add_drawing(flow, package, part, shape)


def _rows(table: Element) -> list[list[str]]:
    """Return the cells of a table; those of a merged row are repeated."""
    rows: list[list[str]] = []
    for row in below(table, "a:tr"):
        texts: list[str] = []
        for cell in row:
            if kind(cell) != "a:tc":
                continue
            text = one_line(drawing_text(cell))
            if cell.get("vMerge") in {"1", "true"} and rows and len(texts) < len(rows[-1]):
                text = text or rows[-1][len(texts)]
            texts.append(text)
        rows.append(texts)
    return rows


def _placeholder(shape: Element) -> tuple[str, str]:
    """Return the type and index of a placeholder, ("", "") for other shapes."""
    for one in shape:
        found = child(one, "p:nvPr", "p:ph")
        if found is not None:
            return found.get("type") or "body", found.get("idx") or "0"
    return "", ""


def _places(package: Package, part: str) -> dict[str, tuple[int, int]]:
    """Return where the layout of a slide has its placeholders, by index."""
    with suppress(ReadError):
        layout = package.related(part, "slideLayout")
        if layout is not None:
            found = {}
            for shape in below(package.xml(layout), "p:sp"):
                where = _own_place(shape)
                if where is not None:
                    found[_placeholder(shape)[1]] = where
            return found
    return {}


def _place(shape: Element, layout: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """Return the row and the left edge of a shape, by which a slide is read."""
    where = _own_place(shape) or layout.get(_placeholder(shape)[1], (0, 0))
    return where[0] // _ROW_EMU, where[1]


def _own_place(shape: Element) -> tuple[int, int] | None:
    for one in shape.iter():
        if kind(one) == "a:off":
            top, left = one.get("y") or "", one.get("x") or ""
            if top.lstrip("-").isdecimal() and left.lstrip("-").isdecimal():
                return int(top), int(left)
    return None


def _is_slides(head: bytes) -> bool:
    return head.startswith(ZIP_HEAD) and b"ppt/" in head


FORMATS = (
    Format(
        _SLIDES,
        "text",
        "a PowerPoint presentation",
        frozenset({".pptx", ".pptm", ".ppsx", ".potx"}),
        read_slides,
        _is_slides,
        heads=(ZIP_HEAD, OLE_HEAD),
    ),
)
