"""Metadata that lies beside a file, or in a table of its folder.

For ``photo.jpg``: ``photo.jpg.json``, ``photo.jpg.yaml`` or ``photo.jpg.yml``, and the row that
names it in the folder's ``metadata.jsonl``, ``metadata.csv`` or ``metadata.json``. Where a key
stands in several, the file's own sidecar wins over a table, and JSON over YAML.
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
from typing import Any, NoReturn

from trawl.errors import MetadataError, ReadError
from trawl.readers.formats import MIB, read_bytes
from trawl.readers.text import decode
from trawl.readers.values import as_text, flat_metadata, typed_cell
from trawl.readers.yaml_text import load_yaml
from trawl.types import Failure, Metadata

MAX_SIDECAR_BYTES = MIB
MAX_TABLE_BYTES = 64 * MIB
TABLE_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.json")
"""Weakest first: where several name a file, the later ones win."""

_SUFFIXES = (".yml", ".yaml", ".json")
_FILE_KEYS = ("file", "file_name", "filename", "image", "path")
_CAPTION_KEYS = ("caption", "alt")
_FOLDERS_HELD = 32

Row = Mapping[str, Any]
Table = dict[str, Row]


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What lies beside one file. `title` and `caption` are "" where none is stated."""

    title: str = ""
    caption: str = ""
    metadata: Metadata = field(default_factory=dict)


class Sidecars:
    """The sidecars of one walk. Each folder's tables are read once; safe in several threads."""

    def __init__(self) -> None:
        self._tables: OrderedDict[Path, list[Table]] = OrderedDict()
        self._problems: dict[Path, str] = {}
        self._lock = threading.Lock()

    @property
    def problems(self) -> tuple[Failure, ...]:
        """The folder tables met so far that are of no use, or not wholly: one entry each.

        The files of such a folder go in without what the table would have said of them.
        """
        with self._lock:
            return tuple(Failure(str(path), why) for path, why in self._problems.items())

    def is_sidecar(self, path: Path) -> bool:
        """Tell whether a file is metadata of others, and so no document of its own."""
        if path.name in TABLE_NAMES:
            return True
        return path.suffix in _SUFFIXES and path.with_suffix("").is_file()

    def metadata_for(self, path: Path) -> Sidecar:
        """Give what is stated of one file, from all places, merged.

        Raises `MetadataError`, for this file alone, where its sidecar does not parse or a value
        is of no type that a library holds.
        """
        rows = [
            table[key] for table in self._of_folder(path.parent) if (key := _key(path)) in table
        ]
        rows += _beside(path)
        title, caption, metadata = "", "", Metadata()
        for row in rows:
            rest = {key: value for key, value in row.items() if value is not None}
            title = as_text(rest.pop("title", None)) or title
            for key in _CAPTION_KEYS[::-1]:
                caption = as_text(rest.pop(key, None)) or caption
            metadata |= flat_metadata(rest)
        return Sidecar(title, caption, metadata)

    def _of_folder(self, folder: Path) -> list[Table]:
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
            if len(self._tables) > _FOLDERS_HELD:
                self._tables.popitem(last=False)
            return tables


def _beside(path: Path) -> Iterator[Row]:
    """Give the mappings of a file's own sidecars, weakest first."""
    for suffix in _SUFFIXES:
        sidecar = path.with_name(path.name + suffix)
        if not os.path.lexists(sidecar):
            continue
        try:
            text = decode(read_bytes(sidecar, MAX_SIDECAR_BYTES))
        except ReadError as error:
            raise MetadataError(f"its sidecar {sidecar.name!r}: {error}") from error
        name = f"its sidecar {sidecar.name!r}"
        found = _json(text, name) if suffix == ".json" else load_yaml(text, name)
        if not isinstance(found, dict):
            raise MetadataError(f"{name} holds no mapping of keys to values")
        yield found


def _read_table(path: Path) -> tuple[Table, str]:
    """Read a folder's table by file name, and say what part of it is of no use ("" for none)."""
    text = decode(read_bytes(path, MAX_TABLE_BYTES))
    rows = {".csv": _csv_rows, ".jsonl": _jsonl_rows, ".json": _json_rows}[path.suffix](text)
    table: Table = {}
    strays: list[str] = []
    for where, name, row in rows:
        bare = os.path.normpath(name)
        if os.sep in bare:
            strays.append(f"{where} names {name!r}, which is not in this folder")
        elif _normal(bare) in table:
            strays.append(f"{where} names {name!r} again; the first stands")
        else:
            table[_normal(bare)] = row
    more = f" (and {len(strays) - 1:,} more such)" if len(strays) > 1 else ""
    return table, strays[0] + more if strays else ""


def _csv_rows(text: str) -> Iterator[tuple[str, str, Row]]:
    """Give (place, file name, row) of a CSV whose first line names the columns (RFC 4180)."""
    try:
        lines = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = [name.strip() for name in next(lines, [])]
        if len(set(header)) < len(header) or "" in header:
            raise MetadataError("line 1 names a column twice, or not at all")
        for cells in lines:
            where = f"line {lines.line_num}"
            if len(cells) > len(header):
                raise MetadataError(f"{where} has {len(cells)} cells, the header {len(header)}")
            full = dict(zip(header, cells, strict=False))
            if cells:
                name, row = _named(full, where)
                words = {"title", *_CAPTION_KEYS}
                yield (
                    where,
                    name,
                    {
                        key: cell if key in words else typed_cell(cell)
                        for key, cell in row.items()
                        if cell.strip()
                    },
                )
    except csv.Error as error:
        raise MetadataError(f"not CSV at line {lines.line_num}: {error}") from error


def _jsonl_rows(text: str) -> Iterator[tuple[str, str, Row]]:
    """Give (place, file name, row) of JSON Lines: one object a line."""
    # Not splitlines(): that also cuts at U+2028, which JSON text may hold.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"line {number}"
            yield where, *_named(_json(line, where), where)


def _json_rows(text: str) -> Iterator[tuple[str, str, Row]]:
    """Give (place, file name, row) of a list of objects, or of an object keyed by file name."""
    found = _json(text, "it")
    if isinstance(found, dict) and all(isinstance(row, dict) for row in found.values()):
        for name, row in found.items():
            yield f"key {name!r}", name, row
        return
    if not isinstance(found, list):
        raise MetadataError("neither a list of objects nor an object keyed by file name")
    for number, row in enumerate(found, start=1):
        where = f"object {number}"
        yield where, *_named(row, where)


def _named(row: Any, where: str) -> tuple[str, Row]:
    """Take the file's name out of a row."""
    if not isinstance(row, dict):
        raise MetadataError(f"{where} is no object")
    for key in _FILE_KEYS:
        if isinstance(row.get(key), str) and row[key]:
            return row[key], {name: value for name, value in row.items() if name != key}
    raise MetadataError(f"{where} names no file; it needs one of the keys {', '.join(_FILE_KEYS)}")


def _json(text: str, what: str) -> Any:
    """Parse JSON; `MetadataError` names the place. Infinity and NaN are no JSON (RFC 8259)."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise MetadataError(
            f"{what} is not JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise MetadataError(f"{what} is not JSON: {error}") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _key(path: Path) -> str:
    return _normal(path.name)


def _normal(name: str) -> str:
    """One form for names that look alike: macOS writes accents apart, most editors do not."""
    return unicodedata.normalize("NFC", name)
