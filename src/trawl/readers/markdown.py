"""Markdown: its readable text, its front matter, and the pictures that it links.

The document's text, in which spans count characters, is the *rendered* text: markup stripped,
blocks parted by an empty line, list items and table rows on lines of their own.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from trawl.errors import MetadataError, ReadError
from trawl.readers.formats import MIB, Format, Limits, read_bytes, stem_title
from trawl.readers.text import decode
from trawl.readers.values import as_text, flat_metadata
from trawl.readers.yaml_text import load_yaml
from trawl.types import Metadata, Passages, Reading

if TYPE_CHECKING:
    from markdown_it.token import Token

MAX_MARKDOWN_BYTES = 8 * MIB
MAX_FRONT_MATTER_CHARS = 64 * 1024
_FRONT_MATTER = re.compile(
    r"---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE
)
_FIRST_KEY = re.compile(r"\s*(?:#[^\n]*\n\s*)*[^\s#:-][^:\n]*:(?:\s|\Z)")
_TIGHT = frozenset({"list_item_close", "tr_close", "dt_close"})
_BLOCKS = frozenset({"heading_close", "table_close", "bullet_list_close", "ordered_list_close"})


@dataclass(frozen=True, slots=True)
class PictureLink:
    """A local picture that a Markdown document shows.

    `path` is absolute, whether or not a file is there; `caption` is the link's own words (its
    alternative text), `title` the link's title, `document_title` the Markdown document's.
    """

    path: Path
    caption: str
    title: str
    document_title: str


def read_markdown(path: Path, limits: Limits) -> Reading:
    """Read the rendered text as one passage.

    The title is the front matter's, else the first heading, else the file's name; the front
    matter's other keys are metadata. A document of pictures without words has no parts.
    """
    page = _parse(decode(read_bytes(path, MAX_MARKDOWN_BYTES)))
    if not page.text and not page.pictures:
        raise ReadError("no text in it")
    parts = (Passages(page.text),) if page.text else ()
    return Reading("text/markdown", page.title or stem_title(path), parts, page.metadata)


def picture_links(path: Path, text: str | None = None) -> list[PictureLink]:
    """List the local pictures that a Markdown document shows, in order, repeats included.

    `text` is the document's source where the caller has it. Images of the web (`http:`, `//`,
    `data:`) are left out. Raises `ReadError` as `read` does.
    """
    page = _parse(decode(read_bytes(path, MAX_MARKDOWN_BYTES)) if text is None else text)
    title = page.title or stem_title(path)
    links = []
    for target, caption, link_title in page.pictures:
        resolved = _local(path.parent, target)
        if resolved is not None:
            links.append(PictureLink(resolved, caption, link_title, title))
    return links


@dataclass(frozen=True, slots=True)
class _Page:
    """`pictures` holds (target as written, caption, title of the link)."""

    text: str
    title: str
    metadata: Metadata
    pictures: list[tuple[str, str, str]]


def _parse(source: str) -> _Page:
    from markdown_it import MarkdownIt

    metadata, title, body = _front_matter(source)
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(body)
    pictures: list[tuple[str, str, str]] = []
    text = _render(tokens, pictures)
    return _Page(text, title or _first_heading(tokens), metadata, pictures)


def _front_matter(source: str) -> tuple[Metadata, str, str]:
    """Give the front matter's metadata, its title, and the rest of the document.

    What stands between two rules but is no mapping is text, as Markdown has it; YAML that does
    not parse is a `MetadataError`, because it was meant as front matter.
    """
    found = _FRONT_MATTER.match(source)
    if not found or not _FIRST_KEY.match(found[1]):
        return {}, "", source
    if len(found[1]) > MAX_FRONT_MATTER_CHARS:
        raise MetadataError(f"front matter of more than {MAX_FRONT_MATTER_CHARS:,} characters")
    mapping = load_yaml(found[1], "front matter")
    if not isinstance(mapping, dict):
        return {}, "", source
    title = as_text(mapping.pop("title", None))
    return flat_metadata(mapping), title, source[found.end() :]


def _first_heading(tokens: Sequence[Token]) -> str:
    for token, following in itertools.pairwise(tokens):
        if token.type == "heading_open":
            heading = " ".join(_inline(following.children or [], []).split())
            if heading:
                return heading
    return ""


def _render(tokens: Sequence[Token], pictures: list[tuple[str, str, str]]) -> str:
    """Turn a token stream into readable text, and note the pictures on the way."""
    pieces: list[str] = []
    depth = 0  # of lists: their paragraphs stand on lines of their own, without empty ones
    for token in tokens:
        kind = token.type
        if kind in {"bullet_list_open", "ordered_list_open"}:
            depth += 1
        elif kind in {"bullet_list_close", "ordered_list_close"}:
            depth -= 1
        if kind == "inline":
            pieces.append(_inline(token.children or [], pictures))
        elif kind in {"fence", "code_block"}:
            pieces.append(token.content.rstrip("\n") + "\n\n")
        elif kind == "html_block":
            pieces.append(_html_text(token.content, pictures) + "\n\n")
        elif kind in {"td_close", "th_close"}:
            pieces.append(" | ")
        elif kind in _TIGHT or (kind == "paragraph_close" and depth):
            if not (pieces and pieces[-1].endswith("\n")):
                pieces.append("\n")
        elif kind in _BLOCKS or kind == "paragraph_close":
            pieces.append("\n\n")
    text = "".join(pieces)
    text = re.sub(r"(?: \|)?[ \t]+\n", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _inline(children: Sequence[Token], pictures: list[tuple[str, str, str]]) -> str:
    """Give the readable text of a line's tokens: the words of links, pictures and code."""
    pieces: list[str] = []
    for token in children:
        if token.type in {"text", "code_inline"}:
            pieces.append(token.content)
        elif token.type in {"softbreak", "hardbreak"}:
            pieces.append("\n")
        elif token.type == "html_inline":
            pieces.append(_html_text(token.content, pictures))
        elif token.type == "image":
            caption = " ".join(_inline(token.children or [], []).split())
            target, title = str(token.attrs.get("src", "")), str(token.attrs.get("title", ""))
            pictures.append((target, caption, " ".join(title.split())))
            pieces.append(caption)
    return "".join(pieces)


class _Html(HTMLParser):
    """Collects the text of HTML, and its pictures; scripts and styles are no text."""

    def __init__(self, pictures: list[tuple[str, str, str]]) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._pictures = pictures
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a picture; let blocks begin on a line of their own."""
        if tag in {"script", "style"}:
            self._silent += 1
        elif tag in {"br", "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6"}:
            self.pieces.append("\n")
        elif tag in {"td", "th"}:
            self.pieces.append(" ")
        elif tag == "img":
            found = {name: " ".join((value or "").split()) for name, value in attrs}
            if found.get("src"):
                caption = found.get("alt", "")
                self._pictures.append((found["src"], caption, found.get("title", "")))
                self.pieces.append(caption)

    def handle_endtag(self, tag: str) -> None:
        """End what is silent."""
        if tag in {"script", "style"}:
            self._silent = max(0, self._silent - 1)

    def handle_data(self, data: str) -> None:
        """Keep words."""
        if not self._silent:
            self.pieces.append(data)


def _html_text(html: str, pictures: list[tuple[str, str, str]]) -> str:
    parser = _Html(pictures)
    parser.feed(html)
    parser.close()
    return "".join(parser.pieces).rstrip("\n")


def _local(folder: Path, target: str) -> Path | None:
    """Resolve a link's target on this disk; None for one of the web, and for no path at all.

    A query or fragment is cut off, percent signs are decoded, and the file need not exist.
    """
    try:
        parts = urlsplit(target)
        # A scheme of one letter would be a Windows drive, which is no path here either.
        if parts.scheme or parts.netloc or not parts.path:
            return None
        return (folder / unquote(parts.path, errors="surrogateescape")).resolve()
    except (ValueError, OSError, RuntimeError):  # a NUL, a bad host, a loop of links
        return None


FORMATS = (
    Format(
        "text/markdown",
        "text",
        "Markdown",
        frozenset({".md", ".markdown", ".mdown", ".mkd"}),
        read_markdown,
    ),
)
