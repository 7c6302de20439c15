"""The files that documents were made of, opened again where they are still what they were."""

from __future__ import annotations

import datetime
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from trawl.errors import GoneError
from trawl.ingest import path_of
from trawl.store import DocumentRow

_ADD_AGAIN = "add it again, or remove the document"


@dataclass(frozen=True, slots=True)
class Original:
    """A document's file, open for reading from its first byte; whoever has it closes it."""

    file: BinaryIO
    name: str
    media_type: str
    size_bytes: int
    modified_at: datetime.datetime
    tag: str


def open_original(document: DocumentRow) -> Original:
    """Open a document's file. Raises `GoneError` where it is gone, or not what was added.

    Nothing but a regular file at the recorded address is opened, and no link; its size and
    the time of its last change have to be those that it was added with.
    """
    path = path_of(document.uri)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise GoneError(
            f"the file of document {document.document_id} is gone or closed "
            f"({error.strerror}); {_ADD_AGAIN}"
        ) from error
    file = os.fdopen(descriptor, "rb", buffering=0)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or not _is_same(document, found):
        file.close()
        raise GoneError(
            f"the file of document {document.document_id} was changed since it was added; "
            f"{_ADD_AGAIN}"
        )
    return Original(
        file=file,
        name=_name(path),
        media_type=document.media_type,
        size_bytes=found.st_size,
        modified_at=datetime.datetime.fromtimestamp(found.st_mtime, datetime.UTC),
        tag=f"{document.content_hash}-{found.st_mtime_ns:x}",
    )


def _is_same(document: DocumentRow, found: os.stat_result) -> bool:
    if found.st_size != document.size_bytes:
        return False
    if document.modified_ns is not None:
        return found.st_mtime_ns == document.modified_ns
    # Added by a version of Trawl that did not note the time.
    return found.st_mtime <= document.added_at.timestamp()


def _name(path: Path) -> str:
    return os.fsencode(path.name).decode("utf-8", "replace")
