"""Spreadsheets: Excel and OpenDocument, each row as lines of ``column: value``.

A sheet is a section. Its cells are split at empty rows and columns into regions, since a sheet
often has a title, notes and several tables.
"""

from __future__ import annotations

import datetime
import html
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from trawl.errors import ReadError
from trawl.readers.flow import Flow, clean, one_line
from trawl.readers.formats import MIB, Format, Limits, read_bytes, short_reason, stem_title
from trawl.readers.ooxml import Package, add_drawing
from trawl.readers.records import is_header
from trawl.readers.xml_tree import attribute, below
from trawl.readers.zipped import OLE_HEAD, ZIP_HEAD, Zipped
from trawl.types import Metadata, Reading

MAX_BYTES = 128 * MIB
MAX_CELLS = 10_000_000
"""Cells of the rectangle around a sheet's content."""
_MAX_SHEET_BYTES = 512 * MIB
_MAX_COLUMN_NAMES = 200

_ROW = re.compile(rb'<(?:\w+:)?row\s[^>]*?\br="(\d{1,9})"')
_CELL = re.compile(rb'<(?:\w+:)?c\s[^>]*?\br="([A-Z]{1,4})')
_ODS_ELEMENT = re.compile(
    rb"<table:(table|table-row|table-cell|covered-table-cell)(?=[\s/>])([^>]*)>"
)
_ODS_REPEATED = re.compile(rb'number-(?:columns|rows)-repeated="(\d{1,9})"')
_ODS_NAME = re.compile(rb'table:name="([^"]*)"')

Cell = Any
"""text, a number, a boolean, a date or a time"""


def read_sheets(path: Path, limits: Limits, *, media_type: str) -> Reading:
    """Read a workbook. Rows count from 1, as the program shows them. Raises `ReadError`."""
    data = read_bytes(path, MAX_BYTES)
    package: Package | None = None
    title, metadata = "", Metadata()
    if media_type == _XLSX:
        package = Package(path)
        title, metadata = package.properties()
    too_large = _too_large(path, media_type, package)
    flow = Flow(limits)
    columns: dict[str, None] = {}
    names: list[str] = []
    for name, rows in _workbook(data, too_large, flow):
        flow.leave_sections()
        names.append(one_line(name))
        flow.heading(name, 1)
        for region in regions(rows):
            columns.update(dict.fromkeys(region.names))
            for note in region.notes:
                flow.paragraph(note)
            flow.rows(region.records())
        if package is not None:
            _add_drawings(flow, package, name)
    if not flow.has_content:
        raise ReadError("contains no cells")
    metadata["sheets"] = names
    named = [name for name in columns if name][:_MAX_COLUMN_NAMES]
    if named:
        metadata["columns"] = named
    return flow.reading(media_type, title or stem_title(path), metadata)


def _workbook(
    data: bytes, too_large: dict[str, str], flow: Flow
) -> Iterator[tuple[str, list[Row]]]:
    """Yield the name and the (number, cells) of the rows of each sheet."""
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        for name in book.sheet_names:
            if name in too_large:
                flow.notices.append(f"the sheet {name!r} is not indexed: {too_large[name]}")
                continue
            sheet = book.get_sheet_by_name(name)
            if sheet.start is None:
                yield name, []
                continue
            first = sheet.start[0] + 1
            rows = sheet.to_python(skip_empty_area=True)
            yield (
                name,
                [(first + at, [cell_text(cell) for cell in row]) for at, row in enumerate(rows)],
            )
    except PasswordError as error:
        raise ReadError("it is protected by a password; save it without one") from error
    except ReadError:
        raise
    except (CalamineError, OSError, ValueError) as error:
        raise ReadError(f"the workbook is damaged: {short_reason(error)}") from error
    except BaseException as error:  # a panic of the library, which is no `Exception`
        if type(error).__name__ != "PanicException":
            raise
        raise ReadError("the workbook is damaged") from error


def cell_text(cell: Cell) -> str:
    """Return a cell as text: whole numbers without a fraction, dates in the order of ISO 8601."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, datetime.datetime):
        if cell.time() == datetime.time():
            return cell.date().isoformat()
        return cell.isoformat(" ")
    if isinstance(cell, datetime.date | datetime.time):
        return cell.isoformat()
    return clean(str(cell)).strip()


# --- regions -------------------------------------------------------------------------


Row = tuple[int, list[str]]
"""The number and the cells of a row."""


@dataclass(frozen=True, slots=True)
class Region:
    """A table in a sheet, or loose cells. `names` are the columns', [] without a header."""

    notes: list[str]
    names: list[str]
    rows: list[Row]

    def records(self) -> list[tuple[int, str]]:
        """Return the (number, text) of each row: lines of ``column: value``."""
        return [(number, "\n".join(self._lines(cells))) for number, cells in self.rows]

    def _lines(self, cells: list[str]) -> Iterator[str]:
        for name, cell in itertools.zip_longest(self.names, cells, fillvalue=""):
            if cell:
                yield f"{name}: {cell}" if name else cell


def regions(rows: Sequence[Row]) -> Iterator[Region]:
    """Split the rows of a sheet at empty rows, and side by side tables at empty columns.

    A table may go on after an empty row; the names of its columns are those before it.
    """
    named: dict[int, str] = {}
    for block in _blocks(rows):
        runs = _columns(block)
        parts = [_part(block, run) for run in runs]
        if len(parts) > 1 and not all(_headed(part)[1] for part in parts):
            runs = [[column for run in runs for column in run]]
            parts = [_part(block, runs[0])]
        before, named = named, {}
        for run, part in zip(runs, parts, strict=True):
            notes, names, rest = _headed(part)
            if not names and len(run) > 1 and before.keys() >= set(run):
                names = [before[column] for column in run]
            named.update(zip(run, names, strict=False))
            yield Region(notes, names, rest)


def _part(block: list[Row], columns: list[int]) -> list[Row]:
    """Return some columns of the rows that have a cell in them."""
    found = [(number, [cells[at] for at in columns]) for number, cells in block]
    return [(number, cells) for number, cells in found if any(cells)]


def _headed(part: list[Row]) -> tuple[list[str], list[str], list[Row]]:
    """Return the titles above a table, the names of its columns, and the rows below them."""
    width = len(part[0][1])
    notes: list[str] = []
    start = 0
    while start + 1 < len(part) and width > 1 and sum(map(bool, part[start][1])) == 1:
        notes += filter(None, part[start][1])
        start += 1
    named = [cell for cell in part[start][1] if cell]
    if len(part) - start > 1 and width > 1 and 2 * len(named) > width and is_header(named):
        names = [one_line(cell).removesuffix(":") for cell in part[start][1]]
        return notes, names, part[start + 1 :]
    return [], [], part


def _blocks(rows: Sequence[Row]) -> Iterator[list[Row]]:
    block: list[Row] = []
    for row in rows:
        if any(row[1]):
            block.append(row)
        elif block:
            yield block
            block = []
    if block:
        yield block


def _columns(block: list[Row]) -> list[list[int]]:
    """Return the runs of neighbouring columns that are not empty."""
    runs: list[list[int]] = [[]]
    for at, cells in enumerate(zip(*(cells for _, cells in block), strict=True)):
        if any(cells):
            runs[-1].append(at)
        elif runs[-1]:
            runs.append([])
    return runs if runs[-1] else runs[:-1]


# --- what is around the cells --------------------------------------------------------


def _too_large(path: Path, media_type: str, package: Package | None) -> dict[str, str]:
    """Return the sheets that span too many cells, with a reason.

    A reader of sheets allocates the whole rectangle, and a file of 10 KB may state one of 17
    billion cells. Reads each member, so that none is larger than it states.
    """
    if media_type == _ODS:
        repeated = _repeated(Zipped(path).read("content.xml", _MAX_SHEET_BYTES))
        for name, reason in repeated.items():  # all sheets are read when the file is opened
            raise ReadError(f"the sheet {name!r} is too large: {reason}")
        return {}
    found: dict[str, str] = {}
    if package is None:
        return found
    for name, part in _sheet_parts(package).items():
        data = package.read(part, _MAX_SHEET_BYTES)
        rows = [int(row) for row in _ROW.findall(data)]
        columns = [_column_number(cell) for cell in set(_CELL.findall(data))]
        if rows and columns:
            _note_span(found, name, max(rows) - min(rows) + 1, max(columns) - min(columns) + 1)
    strings = package.related(package.main, "sharedStrings")
    if strings is not None:
        package.read(strings, _MAX_SHEET_BYTES)
    return found


def _repeated(data: bytes) -> dict[str, str]:
    """Return the sheets of an OpenDocument file that repeat cells too often, with a reason."""
    found: dict[str, str] = {}
    name, row, repeat, column = "", 0, 1, 0
    top = left = MAX_CELLS
    bottom = right = 0
    for match in _ODS_ELEMENT.finditer(data):
        element, attributes = match[1], match[2]
        if element == b"table":
            stated = _ODS_NAME.search(attributes)
            name = html.unescape(stated[1].decode("utf-8", "replace")) if stated else ""
            row, repeat, column = 0, 0, 0
            top = left = MAX_CELLS
            bottom = right = 0
            continue
        again = _ODS_REPEATED.search(attributes)
        count = int(again[1]) if again else 1
        if element == b"table-row":
            row, repeat, column = row + repeat, count, 0
            continue
        if not attributes.endswith(b"/"):
            top, left = min(top, row), min(left, column)
            bottom, right = max(bottom, row + repeat), max(right, column + count)
            _note_span(found, name, bottom - top, right - left)
        column += count
    return found


def _note_span(found: dict[str, str], name: str, height: int, width: int) -> None:
    if height * width > MAX_CELLS:
        found[name] = f"it spans {height:,} rows and {width:,} columns"


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _sheet_parts(package: Package) -> dict[str, str]:
    """Return the part of each sheet by its name."""
    relations = package.relations(package.main)
    found = {}
    for sheet in below(package.xml(package.main), "sheet"):
        relation = relations.get(attribute(sheet, "r:id"))
        if relation is not None and not relation.external and relation.target in package:
            found[sheet.get("name") or ""] = relation.target
    return found


def _add_drawings(flow: Flow, package: Package, name: str) -> None:
    """Add the pictures and charts on a sheet."""
    with suppress(ReadError):  # a damaged drawing; the cells have been read
        part = _sheet_parts(package).get(name)
        drawing = package.related(part, "drawing") if part is not None else None
        if drawing is not None:
            add_drawing(flow, package, drawing, package.xml(drawing))


def _is_excel(head: bytes) -> bool:
    return head.startswith(ZIP_HEAD) and b"xl/" in head


_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_XLS = "application/vnd.ms-excel"
_ODS = "application/vnd.oasis.opendocument.spreadsheet"

FORMATS = tuple(
    Format(
        media_type,
        "text",
        name,
        frozenset(suffixes.split()),
        partial(read_sheets, media_type=media_type),
        matches,
        heads=heads,
    )
    for media_type, name, suffixes, heads, matches in (
        (_XLSX, "an Excel workbook", ".xlsx .xlsm .xltx", (ZIP_HEAD, OLE_HEAD), _is_excel),
        (_XLS, "an Excel 97 workbook", ".xls", (OLE_HEAD,), None),
        (
            _ODS,
            "an OpenDocument spreadsheet",
            ".ods",
            (ZIP_HEAD,),
            lambda head: head[30:84] == b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet",
        ),
    )
)
