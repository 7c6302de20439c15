"""Markdown: its rendered text, its front matter and the images it embeds.

Spans count characters of the *rendered* text: markup is stripped, blocks are separated by an empty
line, and list items and table rows are on lines of their own.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from trawl.errors import MetadataError, ReadError
from trawl.readers.formats import MIB, Format, Limits, read_bytes, stem_title
from trawl.readers.markup import html_text
from trawl.readers.text import decode
from trawl.readers.values import as_text, lenient_metadata
from trawl.readers.yaml_text import load_yaml
from trawl.types import Metadata, Passages, Reading

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_core import StateCore
    from markdown_it.token import Token

MAX_MARKDOWN_BYTES = 8 * MIB
MAX_FRONT_MATTER_CHARS = 64 * 1024
_MAX_BLOCK_LEVELS = 100
"""Nested blocks that are parsed, to bound the recursion. A list takes two levels."""
_MAX_INLINE_LEVELS = 20
_MIN_CHARS = 200
"""A shorter section is joined with the next one."""
_MAX_JOINED_CHARS = 800
"""The length up to which sections are joined: about that of a passage."""
_FRONT_MATTER = re.compile(
    r"---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE
)
_AS_TEXT = "it is indexed as text"
_FIRST_KEY = re.compile(r"\s*(?:#[^\n]*\n\s*)*[^\s#:-][^:\n]*:(?:\s|\Z)")
_CELL_OPEN = frozenset({"td_open", "th_open"})
_CELL_CLOSE = frozenset({"td_close", "th_close"})
_TIGHT = frozenset({"list_item_close", "tr_close", "dt_close"})
_BLOCKS = frozenset({"heading_close", "table_close", "bullet_list_close", "ordered_list_close"})


@dataclass(frozen=True, slots=True)
class PictureLink:
    """A local image that a Markdown document embeds.

    `path` is absolute; the file need not exist. `caption` is the image's alternative text,
    `title` its title, `document_title` the title of the Markdown document.
    """

    path: Path
    caption: str
    title: str
    document_title: str


def read_markdown(path: Path, limits: Limits) -> Reading:
    """Read the rendered text, by sections.

    The title is the front matter's, else the first heading, else the file's name. The other
    keys of the front matter are metadata. A document of images without text has no parts.
    """
    page = _parse(decode(read_bytes(path, MAX_MARKDOWN_BYTES)))
    if not page.sections and not page.pictures:
        raise ReadError("contains no text")
    title = page.title or stem_title(path)
    parts = tuple(_passages(page.sections, title))
    return Reading("text/markdown", title, parts, page.metadata, page.notices)


def picture_links(path: Path, text: str | None = None) -> list[PictureLink]:
    """Return the local images that a Markdown document embeds, in order, with repetitions.

    `text` is the document's source, if the caller has already read it. Remote images (`http:`,
    `//`, `data:`) are left out. Raises `ReadError`.
    """
    page = _parse(decode(read_bytes(path, MAX_MARKDOWN_BYTES)) if text is None else text)
    title = page.title or stem_title(path)
    links = []
    for target, caption, link_title in page.pictures:
        resolved = local_target(path.parent, target)
        if resolved is not None:
            links.append(PictureLink(resolved, caption, link_title, title))
    return links


class _Section(NamedTuple):
    """The rendered text from a heading on, and the headings above it, outermost first."""

    headings: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class _Page:
    """A parsed document: its sections, and pictures as (target as written, caption, title)."""

    sections: list[_Section]
    title: str
    metadata: Metadata
    pictures: list[tuple[str, str, str]]
    notices: tuple[str, ...] = ()


def _parse(source: str) -> _Page:
    metadata, title, body, notices = _front_matter(source)
    tokens = _parser().parse(body)
    pictures: list[tuple[str, str, str]] = []
    sections = [
        _Section(headings, text)
        for headings, inside in _sections(tokens)
        if (text := _render(inside, pictures))
    ]
    return _Page(sections, title or _first_heading(tokens), metadata, pictures, notices)


def _sections(tokens: Sequence[Token]) -> Iterator[tuple[tuple[str, ...], Sequence[Token]]]:
    """Split the tokens before each heading that is not inside a list or quote."""
    above: list[tuple[int, str]] = []
    begin = 0
    for at, token in enumerate(tokens):
        if token.type != "heading_open" or token.level:
            continue
        yield tuple(text for _, text in above), tokens[begin:at]
        begin, level = at, int(token.tag[1:])
        above = [heading for heading in above if heading[0] < level]
        text = " ".join(_inline(tokens[at + 1].children or [], []).split())
        if text:
            above.append((level, text))
    yield tuple(text for _, text in above), tokens[begin:]


def _passages(sections: Sequence[_Section], title: str) -> Iterator[Passages]:
    """Join short neighbouring sections, since a passage of a few words is hard to find.

    The joined passage has the headings of its longest section. A heading that is the title of
    the document is left out.
    """
    groups: list[list[_Section]] = []
    for section in sections:
        length = sum(len(one.text) for one in groups[-1]) if groups else _MAX_JOINED_CHARS
        if length < _MIN_CHARS or length + len(section.text) <= _MAX_JOINED_CHARS:
            groups[-1].append(section)
        else:
            groups.append([section])
    start_char = 0
    for group in groups:
        text = "\n\n".join(section.text for section in group)
        headings = max(group, key=lambda section: len(section.text)).headings
        headings = headings[1:] if headings[:1] == (title,) else headings
        yield Passages(text, start_char, section=" › ".join(headings))
        start_char += len(text) + 2


class Block(NamedTuple):
    """A heading (`level` 1 to 6), or text (0), with its pictures as (target, caption)."""

    level: int
    text: str
    pictures: list[tuple[str, str]]


def markdown_blocks(source: str) -> Iterator[Block]:
    """Yield the headings of Markdown and the rendered text between them, in order."""
    for _, tokens in _sections(_parser().parse(source)):
        pictures: list[tuple[str, str, str]] = []
        if tokens and tokens[0].type == "heading_open":
            heading = " ".join(_inline(tokens[1].children or [], pictures).split())
            level, tokens = int(tokens[0].tag[1:]), tokens[3:]
            yield Block(level, heading, [(target, caption) for target, caption, _ in pictures])
            pictures = []
        text = _render(tokens, pictures)
        yield Block(0, text, [(target, caption) for target, caption, _ in pictures])


def _parser() -> MarkdownIt:
    """Return a parser of CommonMark with tables. It is used once, since its limits change."""
    from markdown_it import MarkdownIt

    def limit(levels: int) -> Callable[[StateCore], None]:
        def rule(state: StateCore) -> None:
            state.md.options.maxNesting = levels

        return rule

    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    parser.core.ruler.before("block", "block_limit", limit(_MAX_BLOCK_LEVELS))
    parser.core.ruler.after("block", "inline_limit", limit(_MAX_INLINE_LEVELS))
    parser.block.ruler.before("table", "too_deep", _too_deep)
    return parser


def _too_deep(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Keep blocks beyond the limit as one paragraph with their markup; the parser drops them."""
    if silent or state.level < _MAX_BLOCK_LEVELS - 2:  # a list adds two levels
        return False
    line = start + 1
    while line < end and (state.isEmpty(line) or state.sCount[line] >= state.blkIndent):
        line += 1
    state.push("paragraph_open", "p", 1)
    token = state.push("inline", "", 0)
    token.content = state.getLines(start, line, state.blkIndent, False).strip()
    token.children = []
    state.push("paragraph_close", "p", -1)
    state.line = line
    return True


def _front_matter(source: str) -> tuple[Metadata, str, str, tuple[str, ...]]:
    """Return the front matter's metadata, its title, the rest of the document, and notices.

    Text between two rules that is not a mapping, or not valid YAML, is part of the document.
    """
    match = _FRONT_MATTER.match(source)
    if not match or not _FIRST_KEY.match(match[1]):
        return {}, "", source, ()
    if len(match[1]) > MAX_FRONT_MATTER_CHARS:
        notice = f"the front matter exceeds {MAX_FRONT_MATTER_CHARS:,} characters; {_AS_TEXT}"
        return {}, "", source, (notice,)
    try:
        mapping = load_yaml(match[1], "front matter")
    except MetadataError as error:
        return {}, "", source, (f"{error}; {_AS_TEXT}",)
    if not isinstance(mapping, dict):
        return {}, "", source, ()
    title, notice = as_text(mapping.pop("title", None))
    metadata, notices = lenient_metadata(mapping)
    notices = (notice, *notices) if notice else notices
    return metadata, title, source[match.end() :], notices


def _first_heading(tokens: Sequence[Token]) -> str:
    for token, following in itertools.pairwise(tokens):
        if token.type == "heading_open":
            heading = " ".join(_inline(following.children or [], []).split())
            if heading:
                return heading
    return ""


def _render(tokens: Sequence[Token], pictures: list[tuple[str, str, str]]) -> str:
    """Return the rendered text of a token stream, and append its images to `pictures`."""
    pieces: list[str] = []
    in_cell = False
    depth = 0  # of lists, whose paragraphs are not separated by empty lines
    for token in tokens:
        kind = token.type
        if kind in {"bullet_list_open", "ordered_list_open"}:
            depth += 1
        elif kind in {"bullet_list_close", "ordered_list_close"}:
            depth -= 1
        in_cell = (in_cell or kind in _CELL_OPEN) and kind not in _CELL_CLOSE
        if kind == "inline":
            text = _inline(token.children or [], pictures)
            pieces.append(" ".join(text.split("\n")) if in_cell else text)
        elif kind in {"fence", "code_block"}:
            pieces.append(token.content.rstrip("\n") + "\n\n")
        elif kind == "html_block":
            pieces.append(html_text(token.content, pictures).strip("\n") + "\n\n")
        elif kind in _CELL_CLOSE:
            pieces.append(" | ")
        elif kind in _TIGHT or (kind == "paragraph_close" and depth):
            if not (pieces and pieces[-1].endswith("\n")):
                pieces.append("\n")
        elif kind in _BLOCKS or kind == "paragraph_close":
            pieces.append("\n\n")
    text = "\n".join(map(_without_end, "".join(pieces).split("\n")))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _without_end(line: str) -> str:
    """Return a line without white space at its end, and without the last separator of a row."""
    kept = line.rstrip(" \t")
    return line if kept == line else kept.removesuffix(" |")


def _inline(children: Sequence[Token], pictures: list[tuple[str, str, str]]) -> str:
    """Return the text of inline tokens: the text of links, captions and code."""
    pieces: list[str] = []
    for token in children:
        if token.type in {"text", "code_inline"}:
            pieces.append(token.content)
        elif token.type in {"softbreak", "hardbreak"}:
            pieces.append("\n")
        elif token.type == "html_inline":
            pieces.append(html_text(token.content, pictures))
        elif token.type == "image":
            caption = " ".join(_inline(token.children or [], []).split())
            target, title = str(token.attrs.get("src", "")), str(token.attrs.get("title", ""))
            pictures.append((target, caption, " ".join(title.split())))
            pieces.append(caption)
    lines = (line.strip(" \t") for line in "".join(pieces).split("\n"))
    return "\n".join(line for line in lines if line)


def local_target(folder: Path, target: str) -> Path | None:
    """Return a target's absolute path, None if it is remote or not a path.

    Queries and fragments are removed and percent-encoding is decoded. The file need not exist.
    """
    try:
        parts = urlsplit(target)
        # A one-letter scheme is a Windows drive, which is not supported either.
        path = unquote(parts.path, errors="surrogateescape")
        if parts.scheme or parts.netloc or not path or "\0" in path:
            return None
        # Links are not followed: a picture has the name of its link.
        return Path(os.path.abspath(folder / path))
    except ValueError:  # an invalid host
        return None


FORMATS = (
    Format(
        "text/markdown",
        "text",
        "Markdown",
        frozenset({".md", ".markdown", ".mdown", ".mkd"}),
        read_markdown,
        in_process=True,
    ),
)
