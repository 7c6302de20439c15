"""Source files of programs and documents, indexed as they are written."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from trawl.errors import ReadError
from trawl.readers.formats import Format, Limits, read_bytes, stem_title
from trawl.readers.text import MAX_TEXT_BYTES, MAX_TITLE_CHARS, decode
from trawl.types import Passages, Reading

_CODE = (
    "bash c cc clj cljs cpp cs css cu cxx dart erl ex exs f f03 f90 f95 for go groovy h hh "
    "hpp hs hxx java jl js jsx kt kts lisp lua m mjs ml mli nim pas php pl pm proto ps1 py "
    "pyi pyx r rb rs scala scss sh sol sql swift tcl toml ts tsx vb vhd vue zig zsh"
)
_RULE = re.compile(r"([=\-~^\"'`#*+.:_])\1*")


def read_source(path: Path, limits: Limits, *, media_type: str) -> Reading:
    """Read a source file as text. The title is the document's, else the file's name."""
    text = decode(read_bytes(path, MAX_TEXT_BYTES))
    if not text.strip():
        raise ReadError("contains only white space")
    title = ""
    if media_type == "text/x-rst":
        title = _rst_title(text)
    elif media_type == "text/x-source":
        title = path.name.encode("utf-8", "replace").decode()
    title = " ".join(title.split())[:MAX_TITLE_CHARS]
    return Reading(media_type, title or stem_title(path), (Passages(text),))


def _rst_title(text: str) -> str:
    """Return the first underlined line of reStructuredText, "" if there is none."""
    previous = ""
    for line in text.split("\n", 200)[:200]:
        rule = line.rstrip()
        if previous and len(rule) >= max(3, len(previous)) and _RULE.fullmatch(rule):
            return previous
        previous = "" if _RULE.fullmatch(rule) else line.strip()
    return ""


FORMATS = tuple(
    Format(
        media_type,
        "text",
        name,
        frozenset(f".{suffix}" for suffix in suffixes.split()),
        partial(read_source, media_type=media_type),
        only_if_text=True,
        in_process=True,
    )
    for media_type, name, suffixes in (
        ("text/x-rst", "reStructuredText", "rst rest"),
        ("text/x-source", "source code", _CODE),
    )
)
