"""XML as a tree, without entities: none is expanded, and nothing outside the file is read."""

from __future__ import annotations

from functools import lru_cache
from xml.etree import ElementTree

from trawl.errors import ReadError
from trawl.readers.formats import short_reason

Element = ElementTree.Element

_ENTITY = tuple("<!ENTITY".encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-16-be"))

# From the ends of namespaces to the prefixes of their standards. OOXML has two of each.
_PREFIXES = {
    "/wordprocessingml/main": "w",
    "/wordprocessingml/2006/main": "w",
    "/drawingml/main": "a",
    "/drawingml/2006/main": "a",
    "/presentationml/main": "p",
    "/presentationml/2006/main": "p",
    "/officeDocument/relationships": "r",
    "/officeDocument/2006/relationships": "r",
    "/officeDocument/math": "m",
    "/officeDocument/2006/math": "m",
    "/drawingml/chart": "c",
    "/drawingml/2006/chart": "c",
    "/drawingml/wordprocessingDrawing": "wp",
    "/drawingml/2006/wordprocessingDrawing": "wp",
    "/markup-compatibility/2006": "mc",
    "schemas-microsoft-com:vml": "v",
    "schemas-microsoft-com:office:office": "o",
    "purl.org/dc/elements/1.1/": "dc",
    "purl.org/dc/terms/": "dcterms",
    "/metadata/core-properties": "cp",
    "oasis:names:tc:opendocument:xmlns:text:1.0": "text",
    "oasis:names:tc:opendocument:xmlns:table:1.0": "table",
    "oasis:names:tc:opendocument:xmlns:drawing:1.0": "draw",
    "oasis:names:tc:opendocument:xmlns:office:1.0": "office",
    "oasis:names:tc:opendocument:xmlns:presentation:1.0": "presentation",
    "oasis:names:tc:opendocument:xmlns:meta:1.0": "meta",
    "oasis:names:tc:opendocument:xmlns:svg-compatible:1.0": "svg",
    "www.w3.org/1999/xlink": "xlink",
    "www.idpf.org/2007/opf": "opf",
    "www.w3.org/XML/1998/namespace": "xml",
}


def parse_xml(data: bytes, name: str) -> Element:
    """Parse a document; `name` is for messages.

    Raises `ReadError` if it is not well-formed or declares entities.
    """
    if any(mark in data for mark in _ENTITY):
        raise ReadError(f"{name} declares entities, which are not expanded")
    try:
        return ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ReadError(f"{name} is not well-formed XML: {short_reason(error)}") from error


@lru_cache(maxsize=10_000)
def short(name: str) -> str:
    """Return a name with the usual prefix of its namespace: "w:p"; others without: "p"."""
    if name[:1] != "{":
        return name
    namespace, _, local = name[1:].partition("}")
    for end, prefix in _PREFIXES.items():
        if namespace.endswith(end):
            return f"{prefix}:{local}"
    return local


def kind(element: Element) -> str:
    """Return an element's short name; "" for comments and instructions."""
    return short(element.tag) if isinstance(element.tag, str) else ""


def attribute(element: Element, name: str) -> str:
    """Return the value of an attribute by its short name, "" if it is missing."""
    for key, value in element.items():
        if short(key) == name:
            return value
    return ""


def child(element: Element | None, *path: str) -> Element | None:
    """Return the first descendant along a path of short names, None if there is none."""
    for name in path:
        if element is None:
            return None
        element = next((one for one in element if kind(one) == name), None)
    return element


def below(element: Element, name: str) -> list[Element]:
    """Return all descendants with a short name, in document order."""
    return [one for one in element.iter() if kind(one) == name]
