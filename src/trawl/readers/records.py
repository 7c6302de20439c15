"""Tables and records: CSV, TSV and JSON lines, as text with the number of each row."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from trawl.errors import ReadError
from trawl.readers.formats import Format, Limits, read_bytes, stem_title
from trawl.readers.text import MAX_TEXT_BYTES, decode
from trawl.types import Passages, Reading

_DELIMITERS = (",", ";", "\t", "|")
_SNIFFED_ROWS = 50

# The limit of the csv module is one number of the process, and 128 KiB at first.
csv.field_size_limit(max(csv.field_size_limit(), MAX_TEXT_BYTES))


def read_table(path: Path, limits: Limits, *, media_type: str) -> Reading:
    """Read CSV or TSV: each row as lines of ``column: value``.

    The first row has the names of the columns, unless a cell of it is empty, repeated or a
    number. The delimiter of CSV is a comma, semicolon, tab or bar. Rows count from 1.
    """
    text = decode(read_bytes(path, MAX_TEXT_BYTES))
    stated = text[:5].lower().startswith("sep=") and text[5:6] == "\n"  # written by Excel
    if stated:
        delimiter, text = text[4], "\n" + text[6:]  # the rows keep their numbers
    else:
        delimiter = "\t" if media_type == "text/tab-separated-values" else _delimiter(text)
    rows = _rows(text, delimiter)
    first = next(rows, None)
    if first is None:
        raise ReadError("contains no rows")
    names = first[1] if is_header(first[1]) else []
    records = [] if names else [(first[0], _record([], first[1]))]
    records += [(number, _record(names, row)) for number, row in rows]
    if not records:
        raise ReadError("contains the names of columns only, no rows")
    return Reading(media_type, stem_title(path), (_passages(records),))


def read_json_lines(path: Path, limits: Limits) -> Reading:
    """Read a JSON value per line; objects become lines of ``key: value``.

    Lines that are not JSON are kept as text, with a notice.
    """
    text = decode(read_bytes(path, MAX_TEXT_BYTES))
    records, invalid = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = "\n".join(_json_lines("", parse_json(line)))
        except (ValueError, RecursionError):
            invalid.append(number)
            record = line.strip()
        records.append((number, _clean(record)))
    if not any(record for _, record in records):
        raise ReadError("contains no records")
    notices: tuple[str, ...] = ()
    if invalid:
        notices = (
            f"{len(invalid):,} lines are not JSON and are kept as text, the first is line "
            f"{invalid[0]:,}",
        )
    return Reading("application/jsonl", stem_title(path), (_passages(records),), notices=notices)


def parse_json(text: str) -> Any:
    """Parse JSON. Integers over 4,300 digits become text. Raises ValueError or RecursionError."""
    return json.loads(text, parse_int=_integer)


def described(fields: Mapping[str, Any]) -> str:
    """Return fields as lines of ``key: value`` with dotted keys, without those that are null."""
    return _clean("\n".join(_json_lines("", fields)))


def _integer(digits: str) -> int | str:
    try:
        return int(digits)
    except ValueError:  # over 4,300 digits
        return digits


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (number, cells) of the rows that are not empty."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    number = 0
    try:
        for number, row in enumerate(reader, start=1):
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield number, cells
    except csv.Error as error:
        raise ReadError(f"row {number + 1:,} cannot be read: {error}") from error


def _delimiter(text: str) -> str:
    """Return the delimiter that splits most of the first rows into the same number of cells."""

    def score(delimiter: str) -> tuple[int, int]:
        widths = Counter(len(row) for _, row in islice(_rows(text, delimiter), _SNIFFED_ROWS))
        wide = [(count, width) for width, count in widths.items() if width > 1]
        return max(wide, default=(0, 0))

    return max(_DELIMITERS, key=score)  # the first if all are equal


def is_header(cells: list[str]) -> bool:
    """Return whether cells name columns: none is empty, repeated or a number."""
    return len(set(cells)) == len(cells) and not any(_is_number(cell) or not cell for cell in cells)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _record(names: list[str], cells: list[str]) -> str:
    lines = []
    for index, cell in enumerate(cells):
        if cell:
            lines.append(f"{names[index]}: {cell}" if index < len(names) else cell)
    return "\n".join(lines)


def _json_lines(key: str, value: Any) -> Iterator[str]:
    """Yield ``key: value`` of every leaf that is not null, with dotted keys."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _json_lines(f"{key}.{name}" if key else name, item)
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for item in value:
            yield from _json_lines(key, item)
    elif value is not None and value != []:
        items = value if isinstance(value, list) else [value]
        words = ", ".join(i if isinstance(i, str) else json.dumps(i, default=str) for i in items)
        yield f"{key}: {words}" if key else words


def _clean(text: str) -> str:
    r"""Replace lone surrogates and NUL, which JSON can express (``\ud800``, ``\u0000``)."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _passages(records: list[tuple[int, str]]) -> Passages:
    """Return the records as paragraphs, with the start and number of each."""
    rows, start = [], 0
    for number, record in records:
        rows.append((start, number))
        start += len(record) + 2
    return Passages("\n\n".join(record for _, record in records), rows=tuple(rows))


FORMATS = (
    *(
        Format(
            media_type,
            "text",
            name,
            frozenset({suffix}),
            partial(read_table, media_type=media_type),
            only_if_text=True,
            in_process=True,
        )
        for media_type, name, suffix in (
            ("text/csv", "CSV", ".csv"),
            ("text/tab-separated-values", "TSV", ".tsv"),
        )
    ),
    Format(
        "application/jsonl",
        "text",
        "JSON lines",
        frozenset({".jsonl", ".ndjson"}),
        read_json_lines,
        only_if_text=True,
        in_process=True,
    ),
)
