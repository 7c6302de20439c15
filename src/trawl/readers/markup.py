"""The text and the images of HTML fragments in Markdown, in time linear in their length."""

from __future__ import annotations

import html
import re

_INLINE = re.compile(
    "a|abbr|acronym|b|bdi|bdo|big|button|cite|code|data|del|dfn|em|font|i|img|input|ins|kbd|label"
    "|mark|math|meter|nobr|output|progress|q|rp|rt|ruby|s|samp|small|span|strike|strong|sub|sup"
    "|svg|time|tt|u|var|wbr"
)
"""Elements that do not separate words. All others, also unknown ones, do."""
_CELLS = frozenset({"td", "th"})
_HIDDEN = ("script", "style")

_TAG = re.compile(r"""</?([a-zA-Z][^\s/>]*+)((?:[^>"']|"[^"]*+"|'[^']*+')*+)>""")
_CUT_TAG = re.compile(r"</?([a-zA-Z][^\s/>]*+)([^>]*+)>")
_VALUE = re.compile(r"""([^\s"'>/=]++)\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++))""")
_BLOCKS_WITH_END = (("<!-->", ""), ("<!--->", ""), ("<!--", "-->"), ("<![CDATA[", "]]>"))


class _Scanner:
    """Splits HTML at its tags. A search for an end that failed is not repeated."""

    def __init__(self, source: str, pictures: list[tuple[str, str, str]]) -> None:
        self._source = source
        self._lower = source.lower() if len(source.lower()) == len(source) else source
        self._pictures = pictures
        self._pieces: list[str] = []
        self._absent: set[str] = set()
        self._quotes_match = True

    def text(self) -> str:
        position = 0
        while (opening := self._source.find("<", position)) >= 0:
            self._pieces.append(html.unescape(self._source[position:opening]))
            position = self._markup(opening)
        self._pieces.append(html.unescape(self._source[position:]))
        return "".join(self._pieces)

    def _markup(self, at: int) -> int:
        """Process the markup at "<" and return its end. An unfinished one is text."""
        for start, end in _BLOCKS_WITH_END:
            if self._source.startswith(start, at):
                found = self._find(end, at + len(start))
                if found >= 0:
                    if start == "<![CDATA[":
                        self._pieces.append(self._source[at + len(start) : found])
                    return found + len(end)
                return self._literal(at, len(start))
        if self._source.startswith(("<!", "<?"), at):
            found = self._find(">", at)
            return found + 1 if found >= 0 else self._literal(at, 2)
        tag = self._tag(at)
        if tag is None:
            return self._literal(at, 1)
        name, closing = tag[1].lower(), tag[0].startswith("</")
        if name in _HIDDEN and not closing:
            hidden_end = self._find(f"</{name}", tag.end(), self._lower)
            return hidden_end if hidden_end >= 0 else tag.end()
        self._element(name, tag[2], closing)
        return tag.end()

    def _tag(self, at: int) -> re.Match[str] | None:
        if self._find(">", at) < 0:
            return None
        if self._quotes_match:
            tag = _TAG.match(self._source, at)
            if tag is not None or not self._source[at + 1 : at + 2].isascii():
                return tag
            if not re.match(r"</?[a-zA-Z]", self._source[at : at + 3]):
                return None
            self._quotes_match = False  # an open quote: the tags after it end at their first ">"
        return _CUT_TAG.match(self._source, at)

    def _element(self, name: str, attributes: str, closing: bool) -> None:
        if name == "img" and not closing:
            values: dict[str, str] = {}
            for match in _VALUE.finditer(attributes):
                value = html.unescape(match[2] or match[3] or match[4] or "")
                values.setdefault(match[1].lower(), " ".join(value.split()))
            if values.get("src"):
                caption = values.get("alt", "")
                self._pictures.append((values["src"], caption, values.get("title", "")))
                self._pieces.append(caption)
        elif name in _CELLS:
            self._pieces.append(" ")
        elif not _INLINE.fullmatch(name):
            self._pieces.append("\n")

    def _find(self, end: str, start: int, source: str | None = None) -> int:
        if end in self._absent:
            return -1
        found = (source or self._source).find(end, start)
        if found < 0:
            self._absent.add(end)
        return found

    def _literal(self, at: int, length: int) -> int:
        self._pieces.append(self._source[at : at + length])
        return at + length


def html_text(source: str, pictures: list[tuple[str, str, str]]) -> str:
    """Return the text of HTML, and append its images as (target, caption, title) to `pictures`.

    Elements other than inline ones separate lines, cells separate words. Comments, scripts and
    styles are left out. A comment, script or tag without an end is text, so that the rest of a
    document is not lost.
    """
    return _Scanner(source, pictures).text()
