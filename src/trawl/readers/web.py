"""HTML pages: text with its headings, tables as rows, and embedded pictures.

Scripts, styles, navigation and forms are left out. Nothing is fetched: pictures on other servers
are counted in a notice, and pictures beside the page are documents of their own, with the
caption from the page.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from trawl.readers.flow import Flow, one_line
from trawl.readers.formats import MIB, Format, Limits, read_bytes, stem_title
from trawl.readers.html_source import MAX_LEVELS, data_picture, decode_html, parseable
from trawl.readers.markdown import PictureLink, local_target
from trawl.readers.text import MAX_TITLE_CHARS
from trawl.types import Metadata, Reading

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

MAX_HTML_BYTES = 32 * MIB

_UNREAD = (
    "script style template noscript head nav dialog iframe object embed video audio canvas map "
    "button select datalist input textarea progress meter rp annotation annotation-xml"
)
_HIDDEN = frozenset(_UNREAD.split())
_HIDDEN_ROLES = frozenset({"navigation", "search", "banner", "contentinfo", "menu", "toolbar"})
_SEPARATE = (
    "address article aside blockquote body center dd details div dl dt fieldset figure footer "
    "form header hgroup hr html legend li main menu ol p pre search section summary table tbody "
    "td tfoot th thead tr ul caption figcaption h1 h2 h3 h4 h5 h6"
)
_BLOCKS = frozenset(_SEPARATE.split())
_TIGHT = frozenset({"li", "dd", "dt", "tr"})
_OWNERS = frozenset({"article", "main", "section", "blockquote"})
_MAX_CELL_CHARS = 2_000
_SPACE = re.compile(r"[ \t\r\n\f]+")

PictureSource = Callable[[str], Callable[[], bytes] | None]
"""From the target of a picture to a function that loads it; None if it is not in the document."""


def read_html(path: Path, limits: Limits) -> Reading:
    """Read a page. The title is the page's, else its first heading, else the file's name."""
    source = decode_html(read_bytes(path, MAX_HTML_BYTES))
    flow = Flow(limits)
    page = Page(source, flow, data_picture)
    page.read()
    remote = {t for t in page.other_pictures if local_target(path.parent, t) is None}
    missing = [
        target
        for target in dict.fromkeys(page.other_pictures)
        if (local := local_target(path.parent, target)) is not None and not os.path.isfile(local)
    ]
    if remote:
        flow.notices.append(
            f"{len(remote):,} pictures are on other servers and are not indexed"
            if len(remote) > 1
            else "one picture is on another server and is not indexed"
        )
    if missing:
        more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        flow.notices.append(f"missing pictures: {one_line(missing[0])[:200]}{more}")
    if flow.is_empty and page.other_pictures:
        return Reading("text/html", page.title or stem_title(path), (), page.metadata())
    title = page.title or flow.first_heading()[:MAX_TITLE_CHARS] or stem_title(path)
    return flow.reading("text/html", title, page.metadata())


def picture_links(path: Path) -> list[PictureLink]:
    """Return the local pictures that a page shows, with their captions. Raises `ReadError`."""
    source = decode_html(read_bytes(path, MAX_HTML_BYTES))
    page = Page(source, Flow(Limits()), data_picture)
    page.read()
    links = []
    for target, caption in page.shown:
        local = local_target(path.parent, target)
        if local is not None:
            links.append(PictureLink(local, caption, "", page.title))
    return links


class Page:
    """Walks a page and adds its content to a flow.

    `embedded` finds the pictures inside the document. `other_pictures` are the targets of all
    others, and `shown` the (target, caption) of all that are not `data:` URIs.
    """

    def __init__(self, source: str, flow: Flow, embedded: PictureSource) -> None:
        from selectolax.lexbor import LexborHTMLParser

        self._tree: LexborHTMLParser = LexborHTMLParser(parseable(source))
        self._flow = flow
        self._embedded = embedded
        self._pieces: list[str] = []
        self._waiting: list[tuple[str, str]] = []
        self._tight = False
        self._figure: tuple[int, str] | None = None
        self._figure_inside = False
        self.other_pictures: list[str] = []
        self.shown: list[tuple[str, str]] = []
        self.title = one_line(_text_of(self._tree.css_first("head > title")))[:MAX_TITLE_CHARS]

    @property
    def has_headings(self) -> bool:
        """Whether the page has a heading."""
        return self._tree.css_first("h1, h2, h3, h4, h5, h6") is not None

    def metadata(self) -> Metadata:
        """Return `authors`, `description`, `keywords` and `language` from the head."""
        named: dict[str, list[str]] = {}
        for node in self._tree.css("meta[name][content]"):
            name = (node.attributes.get("name") or "").strip().lower()
            value = one_line(node.attributes.get("content") or "")
            if value:
                named.setdefault(name, []).append(value)
        authors = named.get("citation_author") or named.get("dc.creator") or named.get("author")
        found: Metadata = {}
        if authors:
            found["authors"] = list(dict.fromkeys(authors))
        for key in ("description", "keywords"):
            if key in named:
                found[key] = named[key][0]
        root = self._tree.root
        language = one_line((root.attributes.get("lang") if root else "") or "")
        if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", language):
            found["language"] = language
        return found

    def read(self) -> None:
        """Add the page's content to the flow."""
        body = self._tree.body or self._tree.root
        if body is not None:
            self._walk(body)
        self._end_block()

    def _walk(self, top: LexborNode) -> None:
        """Visit the nodes in document order, without recursion."""
        stack: list[LexborNode] = []
        node: LexborNode | None = top
        while node is not None:
            child = self._enter(node)
            if child is not None and len(stack) < MAX_LEVELS:
                stack.append(node)
                node = child
                continue
            if child is not None:
                self._pieces.append(_text_of(node))
            self._leave(node)
            while node is not None and (node.next is None or node.mem_id == top.mem_id):
                if not stack:
                    return
                node = stack.pop()
                self._leave(node)
                if node.mem_id == top.mem_id:
                    return
            node = node.next

    def _enter(self, node: LexborNode) -> LexborNode | None:
        """Begin a node and return its first child; None if its content is left out or done."""
        tag = node.tag or ""
        if tag == "-text":
            self._pieces.append(node.text_content or "")
            return None
        if tag.startswith("-") or tag in _HIDDEN or _is_hidden(node, tag):
            return None
        if tag in _BLOCKS:
            self._end_block()
            self._tight = tag in _TIGHT
        if tag == "br":
            self._pieces.append("\v")
        elif tag == "img":
            self._picture(node)
        elif tag == "math":
            self._pieces.append(_formula(node))
            return None
        elif tag == "svg":
            self._drawing(node)
            return None
        elif tag == "pre":
            self._flow.paragraph(_text_of(node).rstrip())
            return None
        elif tag == "table" and (rows := _rows(node)) is not None:
            self._table(node, rows)
            return None
        elif tag == "figure" and self._figure is None:
            self._figure = (node.mem_id, one_line(_visible(node.css_first("figcaption"))))
            self._figure_inside = node.css_first("table") is not None or any(
                self._embedded(_target(picture)) is not None for picture in node.css("img")
            )
        elif tag == "figcaption" and self._figure and self._figure_inside:
            return None  # it is stored with the picture or the table
        return node.child

    def _leave(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if tag not in _BLOCKS:
            return
        if tag[0] == "h" and tag[1:].isdigit() and len(tag) == 2:
            self._flow.heading(self._taken().removesuffix("¶"), int(tag[1]))
            self._place_pictures()
        else:
            self._end_block()
        if self._figure is not None and self._figure[0] == node.mem_id:
            self._figure = None

    def _taken(self) -> str:
        text = _SPACE.sub(" ", "".join(self._pieces)).replace("\xa0", " ")
        self._pieces.clear()
        return "\n".join(line.strip() for line in text.split("\v")).strip()

    def _end_block(self) -> None:
        if self._pieces:
            self._flow.paragraph(self._taken(), tight=self._tight)
        self._tight = False
        self._place_pictures()

    def _place_pictures(self) -> None:
        for target, alt in self._waiting:
            caption = self._figure[1] if self._figure else ""
            load = self._embedded(target)
            if load is not None:
                self._flow.picture(load, _short(target), alt, caption)
            else:
                self.other_pictures.append(target)
            if not target.lower().startswith("data:"):
                self.shown.append((target, caption or alt))
        self._waiting.clear()

    def _picture(self, node: LexborNode) -> None:
        target = _target(node)
        alt = one_line(node.attributes.get("alt") or node.attributes.get("title") or "")
        self._pieces.append(f" {alt} " if alt else "")
        if target:
            self._waiting.append((target, alt))

    def _drawing(self, node: LexborNode) -> None:
        """Add the text and the pictures of an inline SVG drawing."""
        for one in node.css("image"):
            target = one.attributes.get("href") or one.attributes.get("xlink:href") or ""
            if target:
                self._waiting.append((target.strip(), ""))
        words = " ".join(one_line(_text_of(one)) for one in node.css("title, desc, text"))
        self._pieces.append(f" {words} " if words else "")

    def _table(self, node: LexborNode, rows: list[list[str]]) -> None:
        self._end_block()
        caption = one_line(_visible(node.css_first("caption")))
        self._flow.table(rows, caption or (self._figure[1] if self._figure else ""))
        for picture in node.css("img"):
            self._picture(picture)
        self._pieces.clear()  # the alternative texts are in the cells
        self._place_pictures()


def _is_hidden(node: LexborNode, tag: str) -> bool:
    attributes = node.attributes
    if "hidden" in attributes or (attributes.get("role") or "").lower() in _HIDDEN_ROLES:
        return True
    if tag != "footer":
        return False
    inside = node.parent
    while inside is not None and inside.tag not in _OWNERS:
        inside = inside.parent
    return inside is None  # the footer of the site


def _target(node: LexborNode) -> str:
    """Return where a picture is; pages that load pictures late keep it in `data-src`."""
    source = (node.attributes.get("src") or "").strip()
    late = (node.attributes.get("data-src") or node.attributes.get("data-original") or "").strip()
    return late if late and (not source or source.startswith("data:")) else source


def _short(target: str) -> str:
    return target[:40] + "…" if len(target) > 100 else one_line(target)


def _text_of(node: LexborNode | None) -> str:
    return "" if node is None else node.text(deep=True, separator="")


def _visible(node: LexborNode | None) -> str:
    """Return the text of a caption or cell, with spaces between blocks."""
    if node is None:
        return ""
    pieces: list[str] = []
    for one in _descendants(node):
        tag = one.tag or ""
        if tag == "-text":
            pieces.append(one.text_content or "")
        elif tag == "img":
            pieces.append(" " + (one.attributes.get("alt") or "") + " ")
        elif tag == "math":
            pieces.append(_formula(one))
        elif tag in _BLOCKS or tag == "br":
            pieces.append(" ")
    return "".join(pieces)


def _descendants(top: LexborNode) -> Iterator[LexborNode]:
    """Yield the nodes below one in document order, without what is hidden or in a formula."""
    stack = [top.child]
    while stack:
        node = stack.pop()
        if node is None:
            continue
        stack.append(node.next)
        tag = node.tag or ""
        if tag in _HIDDEN or (tag.startswith("-") and tag != "-text"):
            continue
        yield node
        if tag != "math":
            stack.append(node.child)


def _formula(node: LexborNode) -> str:
    """Return a formula in TeX if the page has it so, else its symbols."""
    stated = one_line(node.attributes.get("alttext") or "")
    if stated:
        return f" {stated} "
    tex = node.css_first('annotation[encoding="application/x-tex"]')
    if tex is not None:
        return f" {one_line(_text_of(tex))} "
    symbols = [one.text_content or "" for one in _descendants(node) if one.tag == "-text"]
    return " " + one_line(" ".join(symbols)) + " "


def _rows(table: LexborNode) -> list[list[str]] | None:
    """Return the cells of a table of data; None for one that only arranges a page.

    A cell over several rows is repeated, since each row is read by itself.
    """
    if (table.attributes.get("role") or "").lower() in {"presentation", "none"}:
        return None
    if table.css_first("h1, h2, h3, h4, h5, h6") is not None:
        return None
    if any(one.mem_id != table.mem_id for one in table.css("table")):
        return None
    rows: list[list[str]] = []
    over: dict[int, tuple[int, str]] = {}  # column -> (rows left, text)
    for line in table.css("tr"):
        cells: list[str] = []

        def from_above(cells: list[str] = cells) -> None:
            while len(cells) in over:
                left, text = over.pop(len(cells))
                if left > 1:
                    over[len(cells)] = (left - 1, text)
                cells.append(text)

        node = line.child
        while node is not None:
            if node.tag in {"td", "th"}:
                from_above()
                text = one_line(_visible(node))
                if len(text) > _MAX_CELL_CHARS:
                    return None
                down = _span(node, "rowspan")
                if down > 1:
                    over[len(cells)] = (down - 1, text)
                cells.append(text)
                cells += [""] * (_span(node, "colspan") - 1)
            node = node.next
        from_above()
        rows.append(cells)
    if max(map(len, rows), default=0) < 2:
        return None
    return rows


def _span(cell: LexborNode, name: str) -> int:
    value = (cell.attributes.get(name) or "").strip()
    return min(int(value), 100) if value.isascii() and value.isdigit() else 1


FORMATS = (
    Format("text/html", "text", "an HTML page", frozenset({".html", ".htm", ".xhtml"}), read_html),
)
