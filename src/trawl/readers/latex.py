"""TeX documents: text with sections, tables as rows, and the captions of figures.

Formulas stay as they are written. Files that a document includes are documents of their own, and
so are the pictures that it shows, with their captions.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from trawl.errors import ReadError
from trawl.readers.flow import Flow, one_line
from trawl.readers.formats import MIB, Format, Limits, read_bytes, stem_title
from trawl.readers.markdown import PictureLink, local_target
from trawl.readers.text import MAX_TITLE_CHARS, decode
from trawl.types import Metadata, Reading

MAX_TEX_BYTES = 8 * MIB
_LEVELS = {
    name: level
    for level, name in enumerate(
        ("part", "chapter", "section", "subsection", "subsubsection", "paragraph")
    )
}
_ENCODING = re.compile(rb"\\(?:usepackage\[|inputencoding\{)(\w+)\]?(?:\{inputenc\}|\})")
_ENCODINGS = {
    b"latin1": "latin-1",
    b"latin2": "latin-2",
    b"latin9": "iso-8859-15",
    b"ansinew": "cp1252",
    b"cp1252": "cp1252",
    b"cp1251": "cp1251",
    b"applemac": "mac-roman",
    b"koi8": "koi8-r",
}
_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%[^\n]*(?:\n[ \t]*(?=\S))?")
_COMMAND = re.compile(
    r"\\(?P<section>part|chapter|(?:sub){0,2}section|paragraph)\*?(?:\[[^\]]{0,300}\])?\s*(?=\{)"
    r"|\\begin\s*\{(?P<environment>[a-zA-Z]+)\*?\}"
    r"|(?P<paragraph>\n[ \t]*\n\s*)"
)
_FLOATS = {
    **dict.fromkeys(("figure", "wrapfigure", "SCfigure", "sidewaysfigure"), "Figure"),
    **dict.fromkeys(("table", "wraptable", "sidewaystable", "longtable"), "Table"),
}
_TABULARS = frozenset({"tabular", "tabularx", "tabulary", "longtable", "array", "supertabular"})
_VERBATIM = frozenset({"verbatim", "lstlisting", "minted", "Verbatim", "alltt"})
_OPEN = frozenset({"document", "center", "flushleft", "flushright", "abstract", "small", "quote"})
_GRAPHICS = re.compile(r"\\includegraphics\*?\s*(?:\[[^\]]*\])?\s*\{([^{}]{1,300})\}")
_GRAPHICS_PATH = re.compile(r"\\graphicspath\s*\{((?:\s*\{[^{}]{0,300}\})+)")
_LABEL = re.compile(r"\\label\s*\{([^{}]{1,200})\}")
_REFERENCE = re.compile(r"\\(?:auto|[cC]|v|name|eq)?ref\*?\s*\{([^{}]{1,200})\}")
_CITATION = re.compile(r"[~ ]?\\[cC]ite[a-zA-Z]*\*?\s*(?:\[[^\]]*\]\s*){0,2}\{[^{}]*\}")
_DROPPED = re.compile(
    r"\\(?:label|index|[vh]space|bibliographystyle|bibliography|pagestyle|thispagestyle|centering"
    r"|setlength|addtolength|includegraphics|noindent|maketitle|tableofcontents|date|bibitem"
    r"|(?:top|mid|bottom|cmid|special)?rule|hline|cline|input|include|subfile|caption"
    r"|begin\s*\{thebibliography\})(?![a-zA-Z])\*?(?:\([^)]*\))?(?:\s*\[[^\]]*\])?"
    r"(?:\{[^{}]*\}){0,3}"
)
_MULTIROW = re.compile(r"\\multirow\s*(?:\[[^\]]*\])?\{[^{}]*\}(?:\[[^\]]*\])?\{[^{}]*\}(?=\s*\{)")
_ROW_END = re.compile(r"\\\\(?:\[[^\]]*\])?|\\tabularnewline\b")
_CELL_END = re.compile(r"(?<!\\)&")
_WIDE = re.compile(r"\\multicolumn\s*\{\s*(\d{1,2})\s*\}\s*\{[^{}]*\}\s*(?=\{)")
_SUFFIXES = ("", ".pdf", ".png", ".jpg", ".jpeg", ".eps", ".svg")


def read_tex(path: Path, limits: Limits) -> Reading:
    """Read a TeX document. The title is that of `\\title`, else the first heading, else the name.

    References to figures and tables become their numbers if the whole document is in the file.
    """
    source = _source(path)
    if not source.strip():
        raise ReadError("contains only white space")
    flow = Flow(limits)
    reader = _Reader(flow, _numbers(source))
    reader.read(_body(source))
    title = reader.text(_argument(source, "title"))
    metadata: Metadata = {}
    authors = [
        reader.text(one) for one in re.split(r"\\(?:and|AND)\b", _argument(source, "author"))
    ]
    authors = [one.partition("\n")[0].strip() for one in authors]
    if authors := [one_line(one) for one in authors if 0 < len(one) < 100]:
        metadata["authors"] = authors
    missing = [
        target
        for target in dict.fromkeys(_GRAPHICS.findall(source))
        if _graphics(path.parent, target, source) is None
    ]
    if missing:
        more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        flow.notices.append(f"missing pictures: {one_line(missing[0])}{more}")
    title = one_line(title)[:MAX_TITLE_CHARS] or flow.first_heading()[:MAX_TITLE_CHARS]
    return flow.reading("text/x-tex", title or stem_title(path), metadata)


def picture_links(path: Path) -> list[PictureLink]:
    """Return the local pictures that a document shows, with their captions. Raises `ReadError`."""
    source = _source(path)
    reader = _Reader(Flow(Limits()), _numbers(source))
    reader.read(_body(source))
    links = []
    for target, caption in reader.pictures:
        found = _graphics(path.parent, target, source)
        if found is not None:
            links.append(PictureLink(found, caption, "", ""))
    return links


def _source(path: Path) -> str:
    """Return the source without comments, in UTF-8 or the encoding that it states."""
    data = read_bytes(path, MAX_TEX_BYTES)
    stated = _ENCODING.search(data)
    encoding = _ENCODINGS.get(stated[1].lower()) if stated else None
    if encoding is not None and b"\0" not in data:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode(encoding, "replace")
        data = text.encode()
    return _COMMENT.sub(r"\1", decode(data))


class _Reader:
    """Walks a source and adds its content to a flow; `pictures` are (target, caption)."""

    def __init__(self, flow: Flow, numbers: dict[str, str]) -> None:
        self._flow = flow
        self._numbers = numbers
        self._counts = {"Figure": 0, "Table": 0}
        self.pictures: list[tuple[str, str]] = []

    def read(self, source: str) -> None:
        """Add a source."""
        at = begin = 0
        while (match := _COMMAND.search(source, at)) is not None:
            at = match.end()
            name = (match["environment"] or "").rstrip("*")
            if match["paragraph"]:
                self._paragraph(source[begin : match.start()])
                begin = at
            elif match["section"]:
                self._paragraph(source[begin : match.start()])
                title, at = _group(source, at)
                self._flow.heading(self.text(title), _LEVELS[match["section"]] + 1)
                begin = at
            elif name in _OPEN:
                self._paragraph(source[begin : match.start()])
                if name == "abstract":
                    self._flow.heading("Abstract", _LEVELS["section"] + 1)
                begin = at
            elif name in _FLOATS or name in _TABULARS or name in _VERBATIM:
                self._paragraph(source[begin : match.start()])
                inside, at = _environment(source, at, match["environment"])
                begin = at
                if name in _VERBATIM:
                    self._flow.paragraph(inside.strip("\n"))
                elif name in _FLOATS:
                    self._float(inside, name)
                else:
                    self._flow.table(self._rows(inside))
        self._paragraph(source[begin:])

    def text(self, source: str) -> str:
        """Return a piece of TeX as text, with formulas as they are written."""
        source = _CITATION.sub("", source)
        source = _REFERENCE.sub(lambda match: self._referred(match[1]), source)
        source = _DROPPED.sub(" ", _MULTIROW.sub("", source))
        text: str = _converter()(source)
        return re.sub(r"[ \t]+", " ", re.sub(r"\n\s*\n\s*", "\n\n", text)).strip()

    def _referred(self, label: str) -> str:
        """Return the number of a label, else its words: "fig:beam-line" is "beam-line"."""
        words = label.split(",")[0].partition(":")
        return self._numbers.get(label, words[2] or words[0])

    def _paragraph(self, source: str) -> None:
        for text in self.text(source).split("\n\n") if source.strip() else ():
            self._flow.paragraph(" ".join(text.split()))
        for target in _GRAPHICS.findall(source):
            self.pictures.append((target.strip(), ""))

    def _float(self, source: str, name: str) -> None:
        kind = _FLOATS[name]
        captions = [self.text(caption) for caption in _captions(source)]
        caption = one_line(" ".join(captions))
        if captions:
            self._counts[kind] += 1
            if self._numbers:
                caption = f"{kind} {self._counts[kind]}: {caption}"
        targets = _GRAPHICS.findall(source)
        self.pictures += [(target.strip(), caption) for target in targets]
        tables = list(_tabulars(source)) if name != "longtable" else [source]
        for table in tables:
            self._flow.table(self._rows(table), caption)
            caption = ""
        if caption:
            self._flow.paragraph(caption)
        elif not tables and not targets:
            self._paragraph(source)

    def _rows(self, source: str) -> list[list[str]]:
        rows = []
        for line in _ROW_END.split(_without_columns(source)):
            cells: list[str] = []
            for cell in _CELL_END.split(line):
                wide = _WIDE.search(cell)
                cells.append(one_line(self.text(_WIDE.sub("", cell))))
                cells += [""] * (int(wide[1]) - 1 if wide else 0)
            if any(cells):
                rows.append(cells)
        return rows


@lru_cache(maxsize=1)
def _converter() -> Callable[[str], Any]:
    from pylatexenc.latex2text import LatexNodes2Text

    convert = LatexNodes2Text(
        math_mode="verbatim", keep_comments=False, strict_latex_spaces=False
    ).latex_to_text

    def tolerant(source: str) -> Any:
        try:
            return convert(source, tolerant_parsing=True)
        except Exception:  # of unbalanced or deep groups: commands are left out instead
            return re.sub(r"\\[a-zA-Z]+\*?|[{}]", " ", source)

    return tolerant


def _body(source: str) -> str:
    """Return what is between the begin and the end of the document, if these are stated."""
    begin = re.search(r"\\begin\s*\{document\}", source)
    end = re.search(r"\\end\s*\{document\}", source)
    return source[begin.end() if begin else 0 : end.start() if end else len(source)]


def _numbers(source: str) -> dict[str, str]:
    """Return the numbers of labelled figures and tables by label, if they can be known.

    They cannot if the file is, or includes, a part of a document.
    """
    if r"\documentclass" not in source or re.search(r"\\(?:input|include|subfile)\b", source):
        return {}
    counts = {"Figure": 0, "Table": 0}
    found = {"": ""}
    for match in re.finditer(r"\\begin\s*\{([a-zA-Z]+)\*?\}", source):
        kind = _FLOATS.get(match[1])
        if kind is None:
            continue
        inside, _ = _environment(source, match.end(), match[1])
        if r"\caption" in inside:
            counts[kind] += 1
            found.update((label, str(counts[kind])) for label in _LABEL.findall(inside))
    return found


def _group(source: str, at: int) -> tuple[str, int]:
    """Return the content of the braces at a place, and the place after them."""
    depth = 0
    for match in re.compile(r"\\.|[{}]", re.DOTALL).finditer(source, at):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0 and match[0] == "}":
            return source[at + 1 : match.start()], match.end()
    return source[at + 1 :], len(source)


def _argument(source: str, command: str) -> str:
    match = re.search(rf"\\{command}\*?\s*(?:\[[^\]]{{0,300}}\])?\s*(?=\{{)", source)
    return _group(source, match.end())[0] if match else ""


def _captions(source: str) -> Iterator[str]:
    for match in re.finditer(r"\\(?:sub)?caption\*?\s*(?:\[[^\]]{0,1000}\])?\s*(?=\{)", source):
        yield _group(source, match.end())[0]


def _environment(source: str, at: int, name: str) -> tuple[str, int]:
    """Return the content of an environment that began before a place, and the place after it."""
    end = re.compile(rf"\\end\s*\{{{name}\*?\}}").search(source, at)
    return (source[at : end.start()], end.end()) if end else (source[at:], len(source))


def _tabulars(source: str) -> Iterator[str]:
    for match in re.finditer(r"\\begin\s*\{([a-zA-Z]+)\*?\}", source):
        if match[1] in _TABULARS:
            yield _environment(source, match.end(), match[1])[0]


def _without_columns(source: str) -> str:
    """Remove the arguments at the start of a table: its width and its columns."""
    at = 0
    while (match := re.compile(r"\s*(?:\[[^\]]*\]\s*)?(?=\{)").match(source, at)) is not None:
        _, at = _group(source, match.end())
    return source[at:]


def _graphics(folder: Path, target: str, source: str) -> Path | None:
    """Return the file of a picture; TeX needs neither its extension nor its folder."""
    paths = _GRAPHICS_PATH.search(source)
    folders = ["", *(re.findall(r"\{([^{}]*)\}", paths[1]) if paths else ())]
    for prefix in folders:
        for suffix in _SUFFIXES:
            found = local_target(folder, prefix + target.strip() + suffix)
            if found is not None and os.path.isfile(found):
                return found
    return None


FORMATS = (
    Format(
        "text/x-tex",
        "text",
        "a TeX document",
        frozenset({".tex", ".ltx"}),
        read_tex,
        only_if_text=True,
        heads=(b"\\", b"%"),  # in an encoding other than UTF-8, it does not look like text
    ),
)
