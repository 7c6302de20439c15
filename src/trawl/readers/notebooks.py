"""Jupyter notebooks: the text of Markdown cells, code, and outputs with their pictures."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from trawl.errors import ReadError
from trawl.readers.flow import Flow, clean, one_line
from trawl.readers.formats import MIB, Format, Limits, read_bytes, stem_title
from trawl.readers.html_source import data_picture
from trawl.readers.markdown import markdown_blocks
from trawl.readers.text import MAX_TITLE_CHARS, decode
from trawl.readers.web import Page
from trawl.types import Metadata, Reading

MAX_NOTEBOOK_BYTES = 256 * MIB
_MEDIA_TYPE = "application/x-ipynb+json"
_MAX_OUTPUT_CHARS = 10_000
"""Characters of one output that are read; logs of training can have millions."""
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PICTURES = ("image/png", "image/jpeg", "image/svg+xml", "image/gif", "image/webp")


def read_notebook(path: Path, limits: Limits) -> Reading:
    """Read a notebook of the format 3 or 4. Raises `ReadError`.

    The title is that of the metadata, else the first heading, else the file's name.
    """
    try:
        notebook = json.loads(decode(read_bytes(path, MAX_NOTEBOOK_BYTES)))
    except (ValueError, RecursionError) as error:
        raise ReadError(f"not valid JSON: {one_line(str(error))[:200]}") from error
    cells = _cells(notebook)
    flow = Flow(limits)
    cut = 0
    for number, cell in enumerate(cells, start=1):
        flow.page = number
        kind, source = cell.get("cell_type"), _joined(cell.get("source", cell.get("input")))
        if kind == "code":
            flow.paragraph(source)
            for output in _dicts(cell.get("outputs")):
                cut += _add_output(flow, output, number)
        elif kind == "heading":
            level = cell.get("level")
            flow.heading(source, level if isinstance(level, int) else 1)
        elif kind == "markdown":
            _add_markdown(flow, source, cell.get("attachments"))
        else:
            flow.paragraph(source)
    if cut:
        flow.notices.append(
            f"outputs of more than {_MAX_OUTPUT_CHARS:,} characters are cut: {cut:,}"
        )
    title, metadata = _metadata(notebook)
    title = title or flow.first_heading()[:MAX_TITLE_CHARS] or stem_title(path)
    return flow.reading(_MEDIA_TYPE, title, metadata)


def _cells(notebook: Any) -> list[dict[str, Any]]:
    if isinstance(notebook, dict):
        cells = _dicts(notebook.get("cells"))
        for sheet in _dicts(notebook.get("worksheets")):  # of format 3
            cells += _dicts(sheet.get("cells"))
        if cells:
            return cells
        if isinstance(notebook.get("cells"), list):
            raise ReadError("contains no cells")
    raise ReadError("not a Jupyter notebook: it has no cells")


def _add_markdown(flow: Flow, source: str, attachments: Any) -> None:
    """Add a Markdown cell. Pictures in `attachment:` and `data:` addresses are parts of it."""
    attached = attachments if isinstance(attachments, dict) else {}
    for block in markdown_blocks(source):
        if block.level:
            flow.heading(block.text, block.level)
        else:
            flow.paragraph(block.text)
        for target, caption in block.pictures:
            load = data_picture(target)
            if target.startswith("attachment:"):
                load = _bundle_picture(attached.get(target.removeprefix("attachment:")))
            if load is not None:
                flow.picture(load, one_line(target)[:60], caption)


def _add_output(flow: Flow, output: dict[str, Any], number: int) -> int:
    """Add what a cell printed or drew, and return 1 if it was cut."""
    kind = output.get("output_type")
    if kind == "error" or kind == "pyerr":
        flow.paragraph(f"{_joined(output.get('ename'))}: {_joined(output.get('evalue'))}")
        return 0
    if kind == "stream":
        text = _ESCAPE.sub("", _joined(output.get("text")))
        flow.paragraph(_last_states(text)[:_MAX_OUTPUT_CHARS])
        return len(text) > _MAX_OUTPUT_CHARS
    bundle = output.get("data", output)  # in format 3, the output itself
    if not isinstance(bundle, dict):
        return 0
    load = _bundle_picture(bundle)
    if load is not None:
        flow.picture(load, f"the output of cell {number}")
        return 0
    html = _joined(bundle.get("text/html", bundle.get("html")))
    if html and "<table" in html.lower():
        Page(html, flow, data_picture).read()
        return 0
    plain = bundle.get("text/markdown", bundle.get("text/plain", bundle.get("text")))
    text = _ESCAPE.sub("", _joined(plain))
    flow.paragraph(text[:_MAX_OUTPUT_CHARS])
    return len(text) > _MAX_OUTPUT_CHARS


def _last_states(text: str) -> str:
    """Return each line as it was shown last: a progress bar writes over itself."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def _bundle_picture(bundle: Any) -> Callable[[], bytes] | None:
    """Return the loader of the first picture in a set of representations by media type."""
    if not isinstance(bundle, dict):
        return None
    for media_type in _PICTURES:
        data = bundle.get(media_type, bundle.get(media_type.removeprefix("image/")))
        if isinstance(data, str | list):
            text = _joined(data)

            def load(text: str = text, media_type: str = media_type) -> bytes:
                if media_type == "image/svg+xml":
                    return text.encode()
                try:
                    return base64.b64decode(text)
                except (binascii.Error, ValueError) as error:
                    raise ReadError("its base64 data is damaged") from error

            return load
    return None


def _joined(source: Any) -> str:
    """Return a text that is written as one string or as a list of lines."""
    if isinstance(source, list):
        return clean("".join(line for line in source if isinstance(line, str)))
    return clean(source) if isinstance(source, str) else ""


def _dicts(items: Any) -> list[dict[str, Any]]:
    return [one for one in items if isinstance(one, dict)] if isinstance(items, list) else []


def _metadata(notebook: dict[str, Any]) -> tuple[str, Metadata]:
    stated = notebook.get("metadata")
    stated = stated if isinstance(stated, dict) else {}
    metadata: Metadata = {}
    for group, key in (("language_info", "name"), ("kernelspec", "language")):
        info = stated.get(group)
        language = info.get(key) if isinstance(info, dict) else None
        if isinstance(language, str) and language:
            metadata["programming_language"] = one_line(language)
            break
    authors = list(_authors(stated.get("authors")))
    if authors:
        metadata["authors"] = authors
    title = stated.get("title")
    return one_line(title)[:MAX_TITLE_CHARS] if isinstance(title, str) else "", metadata


def _authors(stated: Any) -> Iterator[str]:
    for one in _dicts(stated):
        if isinstance(one.get("name"), str) and one["name"].strip():
            yield one_line(one["name"])


FORMATS = (
    Format(
        _MEDIA_TYPE,
        "text",
        "a Jupyter notebook",
        frozenset({".ipynb"}),
        read_notebook,
        only_if_text=True,
    ),
)
