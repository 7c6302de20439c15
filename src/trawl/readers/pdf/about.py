"""The title of a PDF, and its metadata where it is certain."""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from trawl.readers.pdf.headings import is_plain_heading
from trawl.readers.pdf.lines import Line
from trawl.readers.pdf.pages import PageContent
from trawl.readers.pdf.words import clean
from trawl.types import Metadata

MAX_TITLE_CHARS = 300
_MAX_TITLE_LINES = 6
_MAX_VALUE_CHARS = 2_000
"""Programs keep their own data, such as a drawing's source, in longer values."""
_LARGEST = 0.94
"""Lines of at least this share of the largest size are of the title."""

_MEANINGLESS = re.compile(
    r"untitled.*|microsoft (?:word|powerpoint|excel).*|slide \d+|"
    r"powerpoint (?:presentation|演示文稿)|"
    r"document\d*|presentation\d*|title|titel|no title|unknown|doc\d*|[\W\d]*|"
    r".*\.(?:docx?|tex|dvi|pdf|indd|ps|qxd|pptx?|odt|rtf|p65|fm|eps|graffle|ai|svg)",
    re.IGNORECASE,
)
_PUBLISHED_IN = re.compile(
    r".{0,40}\b(?:journal of|proceedings of|transactions on|annals of|volume \d|vol\. ?\d|issn|"
    r"isbn|preprint|arxiv|doi|www\.|https?:)|.{0,40}\b(?:journal|letters|bulletin|review)$",
    re.IGNORECASE,
)
"""The name of a journal or series at the head of a page, which is no title."""
_NO_AUTHOR = re.compile(
    r"user\d*|admin.*|root|owner|author|unknown|anonymous|microsoft.*|windows.*|mac|pc|default|none|"
    r"n/?a|test|guest|[\W\d]*",
    re.IGNORECASE,
)
_ARXIV = re.compile(
    r"arXiv:\s?(\d{4}\.\d{4,5}(?:v\d+)?|[a-z.-]+/\d{7}(?:v\d+)?)(?:\s+\[([\w.-]+)\])?"
    r"(?:\s+(\d{1,2} [A-Z][a-z]{2} \d{4}))?"
)
_DOI = re.compile(r"(?:doi:\s*|doi\.org/)(10\.\d{4,9}/[^\s\"<>,;]+)", re.IGNORECASE)
_DATE = re.compile(r"D?:?(\d{4})(\d{2})?(\d{2})?")
_SEVERAL = re.compile(r"\s*;\s*|\s+and\s+")


@dataclass(slots=True)
class Title:
    """A title, and the lines of page 1 that show it."""

    text: str = ""
    lines: list[Line] = field(default_factory=list)


def title_of(page: PageContent, left_out: set[int], info: Mapping[str, str], body: float) -> Title:
    """Return the title of a document; "" if nothing is one.

    It is the largest text in the upper half of page 1. If that is none, or the title in the info
    dictionary is on page 1 too, it is the latter. `left_out` are ids of headers and footers,
    `body` is the size of the document's text.
    """
    stated = sensible_title(info.get("Title", ""))
    shown = [line for line in page.lines if line.angle == 0 and id(line) not in left_out]
    largest = _largest(page, shown, body)
    if stated and _letters(stated) != _letters(largest.text):
        if _letters(stated) in _letters(" ".join(line.text for line in shown)):
            return Title(stated, _lines_within(shown, stated))
        if not largest.text:
            return Title(stated)
    return largest


def sensible_title(title: str) -> str:
    """Return a title of an info dictionary on one line, "" if it is a program's default."""
    title = clean(title).strip()[:MAX_TITLE_CHARS]
    has_path = "\\" in title or title.startswith(("/", "file:", "http"))
    letters = sum(map(str.isalpha, title))
    return "" if _MEANINGLESS.fullmatch(title) or has_path or letters < 4 else title


def _largest(page: PageContent, shown: list[Line], body: float) -> Title:
    """Return the largest text in the upper half, or bold text at the top if all is of one size."""
    upper = [line for line in shown if (line.box[1] + line.box[3]) / 2 < page.height / 2]
    for size in sorted({line.size for line in upper if line.size > 1.08 * body}, reverse=True):
        lines = _together([line for line in upper if _LARGEST * size <= line.size <= size])
        text = _one_line(lines)
        if len(lines) <= _MAX_TITLE_LINES and _is_title(text):
            return Title(text, lines)
    bold = [line for line in upper[:_MAX_TITLE_LINES] if line.bold and line.size > 0.98 * body]
    if bold and bold[0] is upper[0] and sum(line.bold for line in shown) < 0.5 * len(shown):
        lines = _together(bold)
        if _is_title(_one_line(lines)):
            return Title(_one_line(lines), lines)
    return Title()


def _together(lines: list[Line]) -> list[Line]:
    """Return the first lines that follow each other, with the lead of a title at most."""
    ordered = sorted(lines, key=lambda line: (round(line.box[3]), line.box[0]))
    found = ordered[:1]
    for line in ordered[1:]:
        if line.box[1] - found[-1].box[3] > 1.6 * line.size:
            break
        found.append(line)
    return found


def _is_title(text: str) -> bool:
    letters = sum(map(str.isalpha, text))
    wide = sum(unicodedata.east_asian_width(char) == "W" for char in text)
    if letters < 4 or 2 * letters < len(text.replace(" ", "")) or len(text) > MAX_TITLE_CHARS:
        return False
    return (len(text.split()) > 1 or letters > 6 or wide > 3) and not (
        _PUBLISHED_IN.match(text) or is_plain_heading(text)
    )


def _one_line(lines: list[Line]) -> str:
    text = " ".join(clean(line.text) for line in lines)
    text = re.sub(r"(?<=[a-z])- (?=[a-z])", "", text)
    return text.strip(" *†‡§∗¶").strip()


def _lines_within(lines: list[Line], title: str) -> list[Line]:
    letters = _letters(title)
    return [line for line in lines if line.chars > 3 and _letters(line.text) in letters]


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, clean(text).casefold()))


def metadata_of(info: Mapping[str, str], page: PageContent | None, pages: int) -> Metadata:
    """Return what a PDF states about itself.

    `created` and `modified` are the dates of the file, not of its publication. `arxiv` and
    `arxiv_date` come from the stamp at the margin of page 1, `doi` from page 1.
    """
    found: Metadata = {"pages": pages}
    authors = [clean(name).strip(" ,") for name in _SEVERAL.split(info.get("Author", ""))]
    authors = [name for name in authors if not _NO_AUTHOR.fullmatch(name)]
    if authors:
        found["authors"] = authors
    for key, name in (("subject", "Subject"), ("keywords", "Keywords")):
        value = clean(info.get(name, ""))
        if value and not value.startswith("%3C") and len(value) <= _MAX_VALUE_CHARS:
            found[key] = value
    for key, name in (("created", "CreationDate"), ("modified", "ModDate")):
        date = _date(info.get(name, ""))
        if date is not None:
            found[key] = date
    if page is not None:
        _add_identifiers(found, page)
    return found


def stamps_of(page: PageContent) -> dict[int, re.Match[str]]:
    """Return the stamps of arXiv on a page, by the ids of their lines."""
    found = {id(line): (line.angle, _ARXIV.match(line.text)) for line in page.lines}
    return {
        line: stamp
        for line, (angle, stamp) in found.items()
        if stamp is not None and (angle or stamp[3])
    }


def _add_identifiers(found: Metadata, page: PageContent) -> None:
    for stamp in stamps_of(page).values():
        found["arxiv"] = stamp[1]
        if stamp[3]:
            found["arxiv_date"] = datetime.datetime.strptime(stamp[3], "%d %b %Y").date()
    # References have identifiers of other documents; a page that names several has none of its own.
    named = {match[1].rstrip(".)]") for line in page.lines for match in _DOI.finditer(line.text)}
    if len(named) == 1:
        found["doi"] = named.pop()


def _date(text: str) -> datetime.date | None:
    match = _DATE.match(text.strip())
    if match is None:
        return None
    try:
        date = datetime.date(int(match[1]), int(match[2] or 1), int(match[3] or 1))
    except ValueError:
        return None
    return date if date.year >= 1980 else None
