"""The files that documents were read from: on disk, in an archive, or in an object store."""

from __future__ import annotations

import datetime
import io
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from trawl.errors import GoneError, NotFoundError, ReadError
from trawl.ingest import (
    MEMBER,
    is_as_added,
    is_file,
    leads_to,
    open_member,
    outer_path,
    path_of,
)
from trawl.objects import Objects, is_object
from trawl.store import DocumentRow

_ADD_AGAIN = "add it again, or remove the document"


@dataclass(frozen=True, slots=True)
class Original:
    """A document's file, open for reading. The caller closes `file`.

    `tag` changes whenever the file does.
    """

    file: BinaryIO
    name: str
    media_type: str
    size_bytes: int
    modified_at: datetime.datetime
    tag: str

    @contextmanager
    def on_disk(self) -> Iterator[BinaryIO]:
        """Yield the file, or a temporary copy of an object, with a descriptor. Closes both."""
        with self.file:
            try:
                self.file.fileno()
            except io.UnsupportedOperation:
                with tempfile.TemporaryFile(prefix="trawl-") as copy:
                    shutil.copyfileobj(self.file, copy, 1 << 20)
                    copy.seek(0)
                    yield copy
            else:
                yield self.file

    @contextmanager
    def named(self, name: str, modified_ns: int | None) -> Iterator[Path]:
        """Yield a temporary copy of the file with a name and a time. Closes the file."""
        with self.file, tempfile.TemporaryDirectory(prefix="trawl-") as folder:
            path = Path(folder).resolve() / name
            with path.open("wb") as out:
                shutil.copyfileobj(self.file, out, 1 << 20)
            if modified_ns is not None:
                os.utime(path, ns=(modified_ns, modified_ns))
            yield path


def open_original(document: DocumentRow, objects: Objects) -> Original:
    """Open a document's file. Raises `GoneError` if it is missing or changed since it was added.

    Raises `NotFoundError` for a record, which has no file.

    Opens regular files only, and follows links only to the file that was added. Size and
    modification time must be those recorded when the file was added. An object must have its
    tag, and is read in blocks. Raises `StorageError` if its store does not answer.
    """
    if is_object(document.uri):
        return _open_object(document, objects)
    if not is_file(document.uri):
        raise NotFoundError(
            f"document {document.document_id} was added as a record, which has no file; "
            "its text and thumbnails are in its chunks"
        )
    path = path_of(document.uri)
    if outer_path(document.uri) is not None and not os.path.lexists(path):
        return _open_member(document)
    if path.is_symlink() and leads_to(document.uri, document.document_id):
        path = path.resolve()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise GoneError(
            f"the file of document {document.document_id} cannot be opened "
            f"({error.strerror}); {_ADD_AGAIN}"
        ) from error
    file = os.fdopen(descriptor, "rb", buffering=0)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or not _is_unchanged(document, status):
        file.close()
        raise GoneError(
            f"the file of document {document.document_id} changed after it was added; {_ADD_AGAIN}"
        )
    return _original(document, file, os.fsencode(path.name).decode("utf-8", "replace"), status)


def _original(document: DocumentRow, file: BinaryIO, name: str, status: os.stat_result) -> Original:
    return Original(
        file=file,
        name=name,
        media_type=document.media_type,
        size_bytes=status.st_size,
        modified_at=datetime.datetime.fromtimestamp(status.st_mtime, datetime.UTC),
        tag=f"{document.content_hash}-{status.st_mtime_ns:x}",
    )


def _open_object(document: DocumentRow, objects: Objects) -> Original:
    """Open an object, which must have the size and the tag that it was added with."""
    source = objects.get(document.uri)
    name = document.uri.rpartition("/")[2]
    if source is None:
        if MEMBER in document.uri:
            return _open_stored_member(document, objects)
        raise GoneError(f"the object {document.uri} does not exist; {_ADD_AGAIN}")
    if not is_as_added(document, source):
        raise GoneError(f"the object {document.uri} changed after it was added; {_ADD_AGAIN}")
    return Original(
        file=source.open(),
        name=name,
        media_type=document.media_type,
        size_bytes=source.size_bytes,
        modified_at=datetime.datetime.fromtimestamp(source.modified_ns / 1e9, datetime.UTC),
        tag=document.content_hash,
    )


def _open_stored_member(document: DocumentRow, objects: Objects) -> Original:
    """Open a member of an archive in a store, after downloading the archive."""
    outer, _, member = document.uri.partition(MEMBER)
    source = objects.get(outer)
    if source is None:
        raise GoneError(f"the archive {outer} does not exist; {_ADD_AGAIN}")
    with tempfile.TemporaryDirectory(prefix="trawl-") as folder:
        path = Path(folder).resolve() / outer.rpartition("/")[2]
        try:
            source.download(path)
            file = open_member(f"{path}{MEMBER}{member}")
        except (ReadError, OSError) as error:
            raise GoneError(
                f"the file of document {document.document_id} cannot be opened ({error}); "
                f"{_ADD_AGAIN}"
            ) from error
    return checked_member(document, file)


def _open_member(document: DocumentRow) -> Original:
    """Open a member of an archive, which must have its size and the archive's time."""
    try:
        file = open_member(document.uri)
    except (ReadError, OSError) as error:
        raise GoneError(
            f"the file of document {document.document_id} cannot be opened ({error}); {_ADD_AGAIN}"
        ) from error
    return checked_member(document, file)


def checked_member(document: DocumentRow, file: BinaryIO) -> Original:
    """Return a member of an archive as an original. Raises `GoneError` if it has changed."""
    status = os.fstat(file.fileno())
    if not _is_unchanged(document, status):
        file.close()
        raise GoneError(
            f"the archive of document {document.document_id} changed after it was added; "
            f"{_ADD_AGAIN}"
        )
    return _original(document, file, document.uri.rpartition("/")[2], status)


def _is_unchanged(document: DocumentRow, status: os.stat_result) -> bool:
    if status.st_size != document.size_bytes:
        return False
    if document.modified_ns is not None:
        return status.st_mtime_ns == document.modified_ns
    # Early versions of Trawl did not record the modification time.
    return status.st_mtime <= document.added_at.timestamp()
