"""Uploaded documents: kept in the library's directory, under names that cannot lead elsewhere."""

from __future__ import annotations

import errno
import hashlib
import json
import re
import unicodedata
import uuid
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from starlette.exceptions import HTTPException

from trawl.errors import UsageError

_FOLDER = ".uploads"
_NAME_CHARACTERS = 100
_KEY_CHARACTERS = 100
MOST_KEYS = 100
"""How many keys of metadata may come at once."""
_CHUNK_BYTES = 1024 * 1024


class Intake:
    """Where uploads lie. A file's folder is named for its content: the same file is one document.

    Blocking: to be used in threads.
    """

    def __init__(self, library: Path) -> None:
        self._folder = library.resolve() / _FOLDER

    def keep(self, stream: BinaryIO, name: str, beside: Mapping[str, Any] | None = None) -> str:
        """Copy an upload here and give its path. Raises 507 where the disk is full.

        `beside` is its title, caption and metadata, which the readers find beside it.
        """
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
            if not kept.exists():  # what is there has the same bytes
                part.replace(kept)
            if beside:
                _sidecar(kept).write_text(json.dumps(beside), "utf-8")
            else:
                _sidecar(kept).unlink(missing_ok=True)
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
        _sidecar(path).unlink(missing_ok=True)
        if path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()


def _sidecar(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def metadata_object(text: str | bytes, *, values_may_be_null: bool = False) -> Mapping[str, Any]:
    """Read metadata, which is a JSON object of plain values. Raises `UsageError`."""
    try:
        found = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"metadata is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError('metadata is a JSON object, {"year": 2019} say')
    if len(found) > MOST_KEYS:
        raise UsageError(f"metadata has {len(found)} keys; at most {MOST_KEYS} are kept")
    for key, value in found.items():
        plain = isinstance(value, str | int | float | bool)
        texts = isinstance(value, list) and all(isinstance(one, str) for one in value)
        null = value is None and values_may_be_null
        if not 0 < len(key.strip()) <= _KEY_CHARACTERS or not (plain or texts or null):
            raise UsageError(
                f"metadata {key[:_KEY_CHARACTERS]!r}: a key has 1 to {_KEY_CHARACTERS} characters, "
                "and a value is text, a number, true, false or a list of texts"
                + (", or null to take the key away" if values_may_be_null else "")
            )
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


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
