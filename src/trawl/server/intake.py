"""Uploaded documents: kept in the library's directory, under names that cannot lead elsewhere."""

from __future__ import annotations

import errno
import hashlib
import re
import unicodedata
import uuid
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from starlette.exceptions import HTTPException

_FOLDER = ".uploads"
_NAME_CHARACTERS = 100
_CHUNK_BYTES = 1024 * 1024


class Intake:
    """Where uploads lie. A file's folder is named for its content: the same file is one document.

    Blocking: to be used in threads.
    """

    def __init__(self, library: Path) -> None:
        self._folder = library.resolve() / _FOLDER

    def keep(self, stream: BinaryIO, name: str) -> str:
        """Copy an upload here and give its path. Raises 507 where the disk is full."""
        digest = hashlib.sha256()
        part = self._folder / f"{uuid.uuid4().hex}.part"
        try:
            self._folder.mkdir(exist_ok=True)
            with part.open("wb") as file:
                while chunk := stream.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    file.write(chunk)
            kept = self._folder / digest.hexdigest()[:32] / safe_name(name)
            kept.parent.mkdir(exist_ok=True)
            part.replace(kept)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise HTTPException(507, "the server's disk is full; nothing was added") from error
            raise
        finally:
            part.unlink(missing_ok=True)
        return str(kept)

    def forget(self, uri: str) -> None:
        """Delete an upload that is a document no longer; other files are left where they are."""
        path = Path(uri)
        if path.parent.parent != self._folder:
            return
        path.unlink(missing_ok=True)
        if path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()


def safe_name(name: str) -> str:
    """Give a file name for what a client calls its file: one part, printable, not hidden."""
    last = PurePosixPath(name.replace("\\", "/")).name
    plain = unicodedata.normalize("NFC", last.encode("utf-8", "replace").decode())
    plain = "".join(c if c.isprintable() else "_" for c in plain)
    plain = re.sub(r'[<>:"|?*]', "_", plain).strip(" .")
    stem, dot, suffix = plain.rpartition(".")
    if dot and len(suffix) <= 10:
        # 255 bytes are what file systems take; a character has up to four.
        return f"{stem[: _NAME_CHARACTERS // 2] or 'upload'}.{suffix}"
    return plain[: _NAME_CHARACTERS // 2] or "upload"
