"""Metadata from sidecar files and from the tables of a folder.

The metadata of ``photo.jpg`` is in ``photo.jpg.json``, ``photo.jpg.yaml`` or ``photo.jpg.yml``, and
in its row of the folder's ``metadata.jsonl``, ``metadata.csv`` or ``metadata.json``. A sidecar
overrides the tables, and JSON overrides YAML.
"""

from __future__ import annotations

import csv
import io
import json
import os
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trawl.errors import MetadataError, ReadError
from trawl.readers.formats import MIB, read_bytes
from trawl.readers.records import parse_json
from trawl.readers.text import decode
from trawl.readers.values import as_text, lenient_metadata, typed_column
from trawl.readers.yaml_text import load_yaml
from trawl.types import Failure, Metadata

MAX_SIDECAR_BYTES = MIB
MAX_TABLE_BYTES = 64 * MIB
TABLE_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.json")
"""In increasing order of precedence."""

SUFFIXES = (".yml", ".yaml", ".json")
_FILE_KEYS = ("file", "file_name", "filename", "image", "path")
_CAPTION_KEYS = ("caption", "alt")
_CACHED_FOLDERS = 32

Row = Mapping[str, Any]
Table = dict[str, Row]


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The metadata of one file. `title` and `caption` are "" if there is none.

    `notices` state what could not be used as it is, or at all.
    """

    title: str = ""
    caption: str = ""
    metadata: Metadata = field(default_factory=dict)
    notices: tuple[str, ...] = ()


class Sidecars:
    """The sidecars of one walk. Each folder's tables are read once. Thread-safe."""

    def __init__(self) -> None:
        self._tables: OrderedDict[Path, list[Table]] = OrderedDict()
        self._problems: dict[Path, str] = {}
        self._lock = threading.Lock()

    @property
    def problems(self) -> tuple[Failure, ...]:
        """The folder tables that could not be read, or only in part, one entry per table.

        Files of such a folder are indexed without the table's metadata.
        """
        with self._lock:
            return tuple(Failure(str(path), reason) for path, reason in self._problems.items())

    def is_sidecar(self, path: Path) -> bool:
        """Return whether a file is metadata of other files, not a document."""
        if path.name in TABLE_NAMES:
            return True
        return path.suffix in SUFFIXES and path.with_suffix("").is_file()

    def metadata_for(self, path: Path) -> Sidecar:
        """Return the merged metadata of one file. A sidecar that cannot be parsed is left out."""
        name = _normalized(path.name)
        rows = [table[name] for table in self._tables_of(path.parent) if name in table]
        notices: list[str] = []
        rows += _sidecar_rows(path, notices)
        metadata = Metadata()
        words = dict.fromkeys(("title", *_CAPTION_KEYS), "")
        for row in rows:
            rest = {key: value for key, value in row.items() if value is not None}
            for key in words:
                text, notice = as_text(rest.pop(key, None), key)
                words[key] = text or words[key]
                notices += [notice] if notice else []
            values, found = lenient_metadata(rest)
            metadata |= values
            notices += found
        caption = next((words[key] for key in _CAPTION_KEYS if words[key]), "")
        return Sidecar(words["title"], caption, metadata, tuple(notices))

    def _tables_of(self, folder: Path) -> list[Table]:
        with self._lock:
            if folder in self._tables:
                self._tables.move_to_end(folder)
                return self._tables[folder]
            tables = []
            for name in TABLE_NAMES:
                path = folder / name
                if not os.path.lexists(path):
                    continue
                try:
                    table, problem = _read_table(path)
                except ReadError as error:
                    table, problem = {}, str(error)
                tables.append(table)
                if problem:
                    self._problems[path] = problem
            self._tables[folder] = tables
            if len(self._tables) > _CACHED_FOLDERS:
                self._tables.popitem(last=False)
            return tables


def _sidecar_rows(path: Path, notices: list[str]) -> Iterator[Row]:
    """Yield the mappings of a file's sidecars, in increasing order of precedence.

    Adds a notice for each sidecar that cannot be used.
    """
    for suffix in SUFFIXES:
        sidecar = path.with_name(path.name + suffix)
        if not os.path.lexists(sidecar):
            continue
        name = f"sidecar {sidecar.name!r}"
        try:
            text = decode(read_bytes(sidecar, MAX_SIDECAR_BYTES))
            content = _json(text, name) if suffix == ".json" else load_yaml(text, name)
        except MetadataError as error:
            notices.append(f"{error}; it is left out")
        except ReadError as error:
            notices.append(f"{name}: {error}; it is left out")
        else:
            if isinstance(content, dict):
                yield content
            else:
                notices.append(f"{name} is not a mapping of keys to values; it is left out")


def _read_table(path: Path) -> tuple[Table, str]:
    """Return a folder's table by file name, and the problem with its rows, "" if there is none."""
    text = decode(read_bytes(path, MAX_TABLE_BYTES))
    rows = {".csv": _csv_rows, ".jsonl": _jsonl_rows, ".json": _json_rows}[path.suffix](text)
    table: Table = {}
    problems: list[str] = []
    for where, file_name, row in rows:
        name = _normalized(os.path.normpath(file_name))
        if os.sep in name:
            problems.append(f"{where} names {file_name!r}, which is not in this folder")
        elif name in table:
            problems.append(f"{where} names {file_name!r} again; the first row is used")
        else:
            table[name] = row
    more = f" (and {len(problems) - 1:,} more)" if len(problems) > 1 else ""
    return table, problems[0] + more if problems else ""


def _csv_rows(text: str) -> Iterator[tuple[str, str, Row]]:
    """Yield (place, file name, row) of a CSV with a header (RFC 4180).

    Each column has one type: text, unless all of its cells are numbers, booleans or dates.
    """
    found: list[tuple[str, str, dict[str, Any]]] = []
    columns: dict[str, list[dict[str, Any]]] = {}
    try:
        lines = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = [name.strip() for name in next(lines, [])]
        if len(set(header)) < len(header) or "" in header:
            raise MetadataError("line 1 has a duplicate or empty column name")
        for cells in lines:
            where = f"line {lines.line_num}"
            if len(cells) > len(header):
                raise MetadataError(
                    f"{where} has {len(cells)} cells, but the header has {len(header)}"
                )
            full = dict(zip(header, cells, strict=False))
            if cells:
                name, named = _named(full, where)
                row = {key: cell for key, cell in named.items() if cell.strip()}
                found.append((where, name, row))
                for key in row:
                    columns.setdefault(key, []).append(row)
    except csv.Error as error:
        raise MetadataError(f"not CSV at line {lines.line_num}: {error}") from error
    for key in columns.keys() - {"title", *_CAPTION_KEYS}:
        rows = columns[key]
        for row, value in zip(rows, typed_column([row[key] for row in rows]), strict=True):
            row[key] = value
    yield from found


def _jsonl_rows(text: str) -> Iterator[tuple[str, str, Row]]:
    """Yield (place, file name, row) of JSON Lines."""
    # Not splitlines(): it also splits at U+2028, which JSON text may contain.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"line {number}"
            yield where, *_named(_json(line, where), where)


def _json_rows(text: str) -> Iterator[tuple[str, str, Row]]:
    """Yield (place, file name, row) of a list of objects, or of an object keyed by file name."""
    content = _json(text, "the table")
    if isinstance(content, dict) and all(isinstance(row, dict) for row in content.values()):
        for name, row in content.items():
            yield f"key {name!r}", name, row
        return
    if not isinstance(content, list):
        raise MetadataError("neither a list of objects nor an object keyed by file name")
    for number, row in enumerate(content, start=1):
        where = f"object {number}"
        yield where, *_named(row, where)


def _named(row: Any, where: str) -> tuple[str, Row]:
    """Split a row into the file's name and the rest. Raises `MetadataError`."""
    if not isinstance(row, dict):
        raise MetadataError(f"{where} is not an object")
    for key in _FILE_KEYS:
        if isinstance(row.get(key), str) and row[key]:
            return row[key], {name: value for name, value in row.items() if name != key}
    raise MetadataError(f"{where} names no file; it needs one of the keys {', '.join(_FILE_KEYS)}")


def _json(text: str, what: str) -> Any:
    """Parse JSON. Raises `MetadataError`."""
    try:
        return parse_json(text)
    except json.JSONDecodeError as error:
        raise MetadataError(
            f"{what} is not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise MetadataError(f"{what} is not valid JSON: {error}") from error


def _normalized(name: str) -> str:
    """Return a file name in NFC; macOS decomposes accents, most editors do not."""
    return unicodedata.normalize("NFC", name)
