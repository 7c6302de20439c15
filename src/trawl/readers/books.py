"""EPUB books: the chapters in reading order, with their headings and pictures."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import unquote

from trawl.errors import ReadError
from trawl.readers.flow import Flow, one_line
from trawl.readers.formats import MIB, Format, Limits, stem_title
from trawl.readers.html_source import data_picture, decode_html
from trawl.readers.text import MAX_TITLE_CHARS
from trawl.readers.web import Page
from trawl.readers.xml_tree import Element, below, kind, parse_xml
from trawl.readers.zipped import ZIP_HEAD, Zipped
from trawl.types import Metadata, Reading

_MAX_CHAPTER_BYTES = 32 * MIB
_TEXT_TYPES = frozenset({"application/xhtml+xml", "text/html", "application/x-dtbook+xml"})
_PAGE_NAME = re.compile(r"\.x?html?$", re.IGNORECASE)


def read_book(path: Path, limits: Limits) -> Reading:
    """Read an EPUB book. A damaged chapter is left out with a notice. Raises `ReadError`."""
    book = Zipped(path)
    container = parse_xml(book.read("META-INF/container.xml"), "META-INF/container.xml")
    package_name = next(
        (one.get("full-path") or "" for one in container.iter() if kind(one) == "rootfile"), ""
    )
    _refuse_locked(book)
    package = parse_xml(book.read(package_name), package_name)
    items = {
        one.get("id") or "": (_resolved(package_name, one.get("href") or ""), one)
        for one in below(package, "opf:item")
    }
    titles = _chapter_titles(book, package_name, items)
    flow = Flow(limits)
    for reference in below(package, "opf:itemref"):
        name, item = items.get(reference.get("idref") or "", ("", None))
        if item is None or (item.get("media-type") or "") not in _TEXT_TYPES:
            continue
        if "nav" in (item.get("properties") or "").split():
            continue  # the table of contents
        try:
            _add_chapter(flow, book, name, titles)
        except ReadError as error:
            flow.notices.append(f"the chapter {one_line(name)[:200]} is not indexed: {error}")
    title, metadata = _metadata(package)
    return flow.reading("application/epub+zip", title or stem_title(path), metadata)


def _refuse_locked(book: Zipped) -> None:
    """Refuse books whose chapters are encrypted; scrambled fonts do not matter."""
    if "META-INF/encryption.xml" not in book:
        return
    found = parse_xml(book.read("META-INF/encryption.xml"), "META-INF/encryption.xml")
    for one in found.iter():
        if kind(one) == "CipherReference" and _PAGE_NAME.search(one.get("URI") or ""):
            raise ReadError("the book is protected against copying (DRM)")


def _add_chapter(flow: Flow, book: Zipped, name: str, titles: Mapping[str, str]) -> None:
    source = decode_html(book.read(name, _MAX_CHAPTER_BYTES))
    others: set[str] = set()

    def embedded(target: str) -> Callable[[], bytes] | None:
        loader = data_picture(target)
        if loader is not None:
            return loader
        member = _resolved(name, target)
        if member in book:
            return lambda: book.read(member)
        others.add(target)
        return None

    page = Page(source, flow, embedded)
    if name in titles and not page.has_headings:
        flow.heading(titles[name], 1)
    page.read()
    for target in sorted(others):
        flow.notices.append(f"the picture {one_line(target)[:200]} is not in the book")


def _resolved(base: str, target: str) -> str:
    """Return the name of a member from its address in another member."""
    with suppress(ValueError):
        return normpath(join(dirname(base), unquote(target.partition("#")[0])))
    return target


def _chapter_titles(
    book: Zipped, package_name: str, items: Mapping[str, tuple[str, Element]]
) -> dict[str, str]:
    """Return the titles of chapters from the tables of contents, by the chapter's member."""
    found: dict[str, str] = {}
    for name, item in items.values():
        with suppress(ReadError):
            if (item.get("media-type") or "") == "application/x-dtbncx+xml":
                for point in below(parse_xml(book.read(name), name), "navPoint"):
                    label = next(
                        (one.text or "" for one in point.iter() if kind(one) == "text"), ""
                    )
                    source = next(
                        (one.get("src") for one in point.iter() if kind(one) == "content"), ""
                    )
                    found.setdefault(_resolved(name, source or ""), one_line(label))
            elif "nav" in (item.get("properties") or "").split():
                for link in parse_xml(book.read(name), name).iter():
                    if kind(link) == "a":
                        label = one_line("".join(link.itertext()))
                        found.setdefault(_resolved(name, link.get("href") or ""), label)
    return found


def _metadata(package: Element) -> tuple[str, Metadata]:
    values: dict[str, list[str]] = {}
    for one in package.iter():
        if kind(one).startswith("dc:") and (text := one_line(one.text or "")):
            values.setdefault(kind(one), []).append(text)
    metadata: Metadata = {}
    authors = values.get("dc:creator")
    if authors:
        metadata["authors"] = authors
    if values.get("dc:subject"):
        metadata["subjects"] = values["dc:subject"]
    for key in ("publisher", "language", "description"):
        if values.get(f"dc:{key}"):
            metadata[key] = re.sub(r"<[^>]*>", " ", values[f"dc:{key}"][0]).strip()
    for stated in values.get("dc:date", ()):
        with suppress(ValueError):
            metadata["published"] = datetime.date.fromisoformat(stated[:10])
            break
    return values.get("dc:title", [""])[0][:MAX_TITLE_CHARS], metadata


FORMATS = (
    Format(
        "application/epub+zip",
        "text",
        "an EPUB book",
        frozenset({".epub"}),
        read_book,
        lambda head: head[30:58] == b"mimetypeapplication/epub+zip",
        heads=(ZIP_HEAD,),
    ),
)
