"""Records to add: documents that a program or a pipe passes, rather than files.

A record is a mapping. Its content is one of ``text``, ``path``, ``base64`` and ``data``; without
any of them, its fields as lines of ``key: value``. All other fields are metadata.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, TypeAlias

from trawl.errors import ReadError, TrawlError, UsageError
from trawl.ingest import Item
from trawl.library.media import content_of
from trawl.readers import SUFFIXES, media_type_of, modality_of, suffix_of, why_unread
from trawl.readers.formats import HEAD_BYTES
from trawl.readers.records import described, parse_json
from trawl.readers.text import first_line
from trawl.readers.values import as_text, lenient_metadata
from trawl.types import Edits, Failure, Metadata

Record: TypeAlias = Mapping[str, Any]

MAX_URI_CHARACTERS = 1_000
MAX_LINE_BYTES = 256 * 1024 * 1024
"""Longest line of JSON that is read."""

# Records are added in batches, each of which is in a temporary folder while it is read.
_BATCH_RECORDS = 2_000
_BATCH_BYTES = 64 * 1024 * 1024
_BATCH_S = 5.0

_CONTENT = ("text", "path", "base64", "data")
_FIELDS = frozenset({*_CONTENT, "uri", "metadata", "title", "caption", "media_type"})
_DOCUMENT_ID = re.compile(r"[0-9a-f]{24}(:\d+)?")
_LONGEST_TITLE = 200


@dataclass(frozen=True, slots=True)
class RecordKeys:
    """The keys of a record that hold its uri and its text."""

    uri: str = "uri"
    text: str = "text"


@dataclass(slots=True)
class Batch:
    """Records as items to add, and the records that cannot be added."""

    items: list[Item] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)


def json_lines(stream: BinaryIO) -> Iterator[tuple[str, Record | TrawlError]]:
    """Yield ("line 1", record) of each line that is not blank; an error for a malformed one."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES):
        number += 1
        where = f"line {number:,}"
        if not line.endswith(b"\n") and len(line) == MAX_LINE_BYTES:
            while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield where, ReadError(f"longer than {MAX_LINE_BYTES:,} bytes; put it into a file")
            continue
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            try:
                yield where, _parsed(line)
            except TrawlError as error:
                yield where, error


def numbered(records: Any) -> Iterator[tuple[str, Record | TrawlError]]:
    """Yield ("record 1", record) of each record. Raises `UsageError` for anything else."""
    if isinstance(records, Mapping):
        records = [records]
    if isinstance(records, str | bytes) or not isinstance(records, Iterable):
        raise UsageError(
            "records are mappings such as {'uri': 'note:1', 'text': 'A muon decays.'}, not a "
            f"{type(records).__name__}"
        )
    for number, record in enumerate(records, start=1):
        yield f"record {number:,}", record


def batches(
    records: Iterable[tuple[str, Record | TrawlError]],
    given: Edits,
    keys: RecordKeys,
    max_pixels: int,
) -> Iterator[Batch]:
    """Yield the records in batches. The files of a batch exist until the next is taken.

    `given` is metadata for all of them.
    """
    seen: dict[str, str] = {}
    source = iter(records)
    is_over = False
    while not is_over:
        with TemporaryDirectory(prefix="trawl-records-") as folder:
            batch, spool = Batch(), _Spool(Path(folder))
            began = time.monotonic()
            while (
                len(batch.items) + len(batch.failed) < _BATCH_RECORDS
                and spool.size_bytes < _BATCH_BYTES
                and time.monotonic() - began < _BATCH_S
            ):
                where, record = next(source, ("", None))
                if record is None:
                    is_over = True
                    break
                name = where
                try:
                    if isinstance(record, TrawlError):
                        raise record
                    uri = _uri(record, keys.uri)
                    name = f"{uri} ({where})"
                    if uri in seen:
                        raise ReadError(f"the uri is that of {seen[uri]}, which is kept")
                    batch.items.append(_item(uri, record, given, keys, spool, max_pixels))
                    seen[uri] = where
                except TrawlError as error:
                    batch.failed.append(Failure(name, str(error)))
            yield batch


class _Spool:
    """Writes the contents of records to files, for the readers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self.size_bytes = 0

    def write(self, content: bytes, name: str) -> Path:
        """Write a file. Its time is constant, since it says nothing about the record."""
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        path = folder / name
        path.write_bytes(content)
        os.utime(path, (0, 0))
        self.size_bytes += len(content)
        return path


def _parsed(line: bytes) -> Record:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ReadError(f"not valid UTF-8 at byte {error.start:,}") from error
    try:
        value = parse_json(text)
    except json.JSONDecodeError as error:
        raise ReadError(f"not valid JSON at column {error.colno}: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise ReadError(f"not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise ReadError('not an object such as {"uri": "note:1", "text": "A muon decays."}')
    return value


def _uri(record: object, key: str) -> str:
    """Return the uri of a record. Raises `ReadError` if it has none, or one that is not allowed."""
    if not isinstance(record, Mapping):
        raise ReadError(f"a record is a mapping, not a {type(record).__name__}")
    value = record.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        hint = "; name the key that identifies a record" if key == "uri" else ""
        raise ReadError(f"has no {key}{hint}")
    if len(value) > MAX_URI_CHARACTERS:
        raise ReadError(f"the {key} has more than {MAX_URI_CHARACTERS:,} characters")
    if value != value.strip() or not value.isprintable():
        raise ReadError(
            f"the {key} {value!r:.80} begins or ends with white space, or has characters that "
            "cannot be printed"
        )
    if value.startswith(("/", "file:")):
        raise ReadError(f"the {key} {value!r:.80} is the path of a file; put it under path")
    if _DOCUMENT_ID.fullmatch(value):
        raise ReadError(f"the {key} {value!r} has the form of a document id; put a word before it")
    return value


def _item(
    uri: str,
    record: Record,
    given: Edits,
    keys: RecordKeys,
    spool: _Spool,
    max_pixels: int,
) -> Item:
    fields = {key: value for key, value in record.items() if value is not None}
    del fields[keys.uri]
    if keys.text in fields and keys.text != "text":
        fields["text"] = fields.pop(keys.text)
    kinds = [name for name in _CONTENT if name in fields]
    if len(kinds) > 1:
        raise ReadError(f"has {' and '.join(kinds)}; a record has one of {', '.join(_CONTENT)}")
    own, notices = _metadata(fields)
    title, title_notice = as_text(fields.get("title"), "title")
    caption, caption_notice = as_text(fields.get("caption"), "caption")
    if kinds:
        path, media_type = _content(uri, kinds[0], fields, spool, max_pixels)
    else:
        rest = {key: value for key, value in fields.items() if key != "media_type"}
        text = described(rest)
        if not text:
            raise ReadError(f"is empty; a record has one of {', '.join(_CONTENT)}, or fields")
        path, media_type = spool.write(_encoded(text), "text"), "text/plain"
        title = title or uri
    if not title and media_type == "text/plain":
        with path.open(encoding="utf-8", errors="replace") as content:
            title = first_line(content.read(HEAD_BYTES))
    if modality_of(media_type) != "text" or path.name == "text":
        title = title or uri
    return Item(
        path=path,
        uri=uri,
        media_type=media_type,
        title=title[:_LONGEST_TITLE],
        caption=caption,
        metadata=own,
        given=given,
        notices=tuple(filter(None, (*notices, title_notice, caption_notice))),
    )


def _metadata(fields: Mapping[str, Any]) -> tuple[Metadata, tuple[str, ...]]:
    """Return the typed metadata: fields without a meaning of their own, and ``metadata``."""
    stated = fields.get("metadata", {})
    if not isinstance(stated, Mapping):
        raise ReadError(f"metadata is a mapping of keys to values, not a {type(stated).__name__}")
    rest = {key: value for key, value in fields.items() if key not in _FIELDS}
    return lenient_metadata({**rest, **stated})


def _content(
    uri: str, kind: str, fields: Mapping[str, Any], spool: _Spool, max_pixels: int
) -> tuple[Path, str]:
    """Return a file with the content of a record, and its media type."""
    value, stated = fields[kind], fields.get("media_type")
    if stated is not None and not isinstance(stated, str):
        raise ReadError(f"media_type is text such as image/png, not a {type(stated).__name__}")
    # Readers that find no title use the name of the file.
    name = uri.rpartition("/")[2].encode()[:_LONGEST_TITLE].decode("utf-8", "ignore")
    suffix = suffix_of(name)
    name = f"{name}.x" if stated else name if suffix in SUFFIXES else "text"
    match kind:
        case "text":
            if not isinstance(value, str):
                raise ReadError(f"text is text, not a {type(value).__name__}")
            return spool.write(_encoded(value), name if stated else "text"), stated or "text/plain"
        case "path":
            path = _existing(value)
        case "base64":
            path = spool.write(_decoded(value), name)
        case _:
            content = content_of(value, max_pixels)
            path = spool.write(content.data, f"data{content.suffix}" if content.suffix else name)
    media_type = stated or media_type_of(path)
    if media_type is None:
        raise ReadError(why_unread(path))
    return path, media_type


def _existing(value: object) -> Path:
    if not isinstance(value, str | os.PathLike):
        raise ReadError(f"path is a path, not a {type(value).__name__}")
    try:
        return Path(os.fsdecode(value)).resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ReadError(f"the file {os.fsdecode(value)!r} cannot be opened: {reason}") from error


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ReadError("the text is not valid Unicode: it contains a lone surrogate") from error


def _decoded(value: object) -> bytes:
    try:
        if isinstance(value, str | bytes):
            return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ReadError(f"base64 is not valid: {error}") from error
    raise ReadError(f"base64 is text, not a {type(value).__name__}")
