"""Office Open XML: the package of Word and PowerPoint files, their properties and drawings."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from posixpath import join, normpath

from trawl.errors import ReadError
from trawl.readers.flow import Flow, one_line
from trawl.readers.formats import MIB
from trawl.readers.omml import formula_text
from trawl.readers.text import MAX_TITLE_CHARS
from trawl.readers.xml_tree import Element, attribute, below, child, kind, parse_xml
from trawl.readers.zipped import Zipped
from trawl.types import Metadata

_MAX_XML_BYTES = 64 * MIB
_MEANINGLESS_TITLE = re.compile(
    r"(microsoft )?(word|powerpoint)( document| presentation)?|microsoft (word|powerpoint) - .*"
    r"|document ?\d*|presentation ?\d*|untitled.*|slide 1|title|titre|titel",
    re.IGNORECASE,
)
_MEANINGLESS_ALT = re.compile(
    r"(picture|image|grafik|bild|graphic|shape|object|diagram|chart|group|drawing)?\s*\d*"
    r"|[\w .()-]+\.(png|jpe?g|gif|bmp|tiff?|emf|wmf|svg)",
    re.IGNORECASE,
)
_GENERATED = re.compile(
    r"\s*(AI-generated content may be incorrect|Description automatically "
    r"generated[\w ]*)\.?\s*$"
)


@dataclass(frozen=True, slots=True)
class Relation:
    """A link from one part of a package to another, or to a place outside it."""

    kind: str
    target: str
    external: bool


class Package:
    """An Office Open XML file. Raises `ReadError` if it is damaged."""

    def __init__(self, path: Path) -> None:
        self._zip = Zipped(path)
        self._relations: dict[str, dict[str, Relation]] = {}
        self.main = next(
            (one.target for one in self.relations("").values() if one.kind == "officeDocument"), ""
        )
        if not self.main:
            raise ReadError("it has no main document")

    def relations(self, part: str) -> dict[str, Relation]:
        """Return the links of a part by id; "" stands for the package itself."""
        if part not in self._relations:
            folder, _, name = part.rpartition("/")
            rels = join(folder, "_rels", f"{name}.rels")
            found = {}
            if rels in self._zip:
                for one in parse_xml(self._zip.read(rels, _MAX_XML_BYTES), rels):
                    external = one.get("TargetMode") == "External"
                    target = one.get("Target") or ""
                    if not external:
                        target = normpath(join("/", folder, target)).lstrip("/")
                    relation = Relation(
                        (one.get("Type") or "").rpartition("/")[2], target, external
                    )
                    found[one.get("Id") or ""] = relation
            self._relations[part] = found
        return self._relations[part]

    def related(self, part: str, relation_kind: str) -> str | None:
        """Return the first part that a part links to by a kind of relation."""
        found = (
            one.target
            for one in self.relations(part).values()
            if one.kind == relation_kind and not one.external and one.target in self._zip
        )
        return next(found, None)

    def __contains__(self, part: str) -> bool:
        return part in self._zip

    def read(self, part: str, max_bytes: int) -> bytes:
        """Return a part's bytes. Raises `ReadError`."""
        return self._zip.read(part, max_bytes)

    def xml(self, part: str) -> Element:
        """Parse a part. Raises `ReadError`."""
        return parse_xml(self._zip.read(part, _MAX_XML_BYTES), part)

    def xml_of(self, part: str, relation_kind: str) -> Element | None:
        """Parse the part that a part links to; None if there is none or it is damaged."""
        found = self.related(part, relation_kind)
        with suppress(ReadError):
            return self.xml(found) if found is not None else None
        return None

    def loader(self, part: str) -> Callable[[], bytes]:
        """Return a function that reads a part's bytes."""
        return lambda: self._zip.read(part)

    def properties(self) -> tuple[str, Metadata]:
        """Return the title, "" if it has no meaning, and the metadata of the core properties."""
        core = self.xml_of("", "core-properties")
        if core is None:
            return "", {}
        values = {kind(one): one_line(one.text or "") for one in core}
        title = values.get("dc:title", "")[:MAX_TITLE_CHARS]
        metadata: Metadata = {}
        authors = [a.strip() for a in values.get("dc:creator", "").split(";") if a.strip()]
        if authors and authors != ["python-docx"]:
            metadata["authors"] = authors
        for key, name in (("subject", "dc:subject"), ("keywords", "cp:keywords")):
            if values.get(name):
                metadata[key] = values[name]
        for key, name in (("created", "dcterms:created"), ("modified", "dcterms:modified")):
            with suppress(ValueError):
                metadata[key] = datetime.date.fromisoformat(values.get(name, "")[:10])
        return ("" if _MEANINGLESS_TITLE.fullmatch(title) else title), metadata


def alternative_text(properties: Element | None) -> str:
    """Return the alternative text of a drawing, "" if it is a program's default."""
    if properties is None:
        return ""
    for name in ("descr", "title"):
        text = _GENERATED.sub("", one_line(properties.get(name) or ""))
        if text and not _MEANINGLESS_ALT.fullmatch(text):
            return text
    return ""


def add_drawing(flow: Flow, package: Package, part: str, drawing: Element, alt: str = "") -> None:
    """Add the pictures, charts and diagrams of a drawing, in order.

    `alt` is the alternative text of the whole, for pictures that have none of their own.
    """
    relations = package.relations(part)
    own = ""
    for one in drawing.iter():
        name = kind(one)
        if name in {"wp:docPr", "p:cNvPr", "cNvPr"}:
            own = alternative_text(one)
            alt = alt or own
        elif name == "v:shape":
            own = one_line(one.get("alt") or "")
        elif name in {"a:blip", "v:imagedata"}:
            reference = attribute(one, "r:embed") or attribute(one, "r:id")
            relation = relations.get(reference)
            if relation is None or relation.external:
                if relation is not None or attribute(one, "r:link"):
                    flow.notices.append("pictures outside the file are not indexed")
                elif reference:
                    flow.notices.append("a picture that the file names is missing")
                continue
            words = own or alternative_text(one) or alt
            flow.picture(package.loader(relation.target), relation.target, words)
        elif name == "c:chart":
            relation = relations.get(attribute(one, "r:id"))
            if relation is not None and not relation.external:
                _add_chart(flow, package, relation.target)
        elif name == "relIds":  # of SmartArt
            relation = relations.get(attribute(one, "r:dm"))
            if relation is not None and not relation.external:
                with suppress(ReadError):
                    for point in below(package.xml(relation.target), "pt"):
                        flow.paragraph(drawing_text(point), tight=True)


def drawing_text(element: Element) -> str:
    """Return the text of DrawingML, a line for each paragraph that has any."""
    return "\n".join(filter(None, map(paragraph_text, below(element, "a:p"))))


def paragraph_text(paragraph: Element) -> str:
    """Return the text of one paragraph of DrawingML, with its formulas."""
    pieces: list[str] = []
    for one in paragraph.iter():
        name = kind(one)
        if name == "a:t":
            pieces.append(one.text or "")
        elif name == "a:br":
            pieces.append("\n")
        elif name == "m:oMath":
            pieces.append(f" {formula_text(one)} ")
    return "".join(pieces).strip()


def _add_chart(flow: Flow, package: Package, part: str) -> None:
    """Add a chart as the table of its values. A damaged one is a notice."""
    try:
        chart = package.xml(part)
    except ReadError as error:
        flow.notices.append(f"a chart is not indexed: {error}")
        return
    heading = child(chart, "c:chart", "c:title")
    title = one_line(drawing_text(heading)) if heading is not None else ""
    columns: list[tuple[str, list[str]]] = []
    for series in below(chart, "c:ser"):
        for name in ("c:cat", "c:xVal"):
            values = _values(child(series, name))
            if values and not columns:
                columns.append(("", values))
        texts = _values(child(series, "c:tx"))
        for name in ("c:val", "c:yVal"):
            values = _values(child(series, name))
            if values:
                columns.append((" ".join(texts), values))
    rows = [[name for name, _ in columns]]
    for index in range(max((len(values) for _, values in columns), default=0)):
        rows.append([values[index] if index < len(values) else "" for _, values in columns])
    if columns:
        flow.table(rows, title)
    elif title:
        flow.paragraph(title)


def _values(element: Element | None) -> list[str]:
    return [] if element is None else [one_line(one.text or "") for one in below(element, "c:v")]
