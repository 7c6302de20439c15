"""Decode uploaded media, and store uploaded documents in the library's directory."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import re
import shutil
import unicodedata
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, BinaryIO

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from trawl.errors import LibraryReadOnlyError, ReadError, UsageError
from trawl.readers import media_type_of, modality_of, read, why_unread
from trawl.server.schemas import MOST_KEYS, LineBody
from trawl.types import Modality, Passages, Picture, Sound

if TYPE_CHECKING:
    from PIL.Image import Image

_SOUND_S = 60.0
_FOLDER = ".uploads"
_NAME_CHARACTERS = 100
_KEY_CHARACTERS = 100
BLOCK_BYTES = 1024 * 1024


def check_size(upload: UploadFile, max_bytes: int) -> None:
    """Raise 413 for a file of more than `max_bytes`."""
    if (upload.size or 0) > max_bytes:
        raise HTTPException(
            413, f"the file has {upload.size:,} bytes; at most {max_bytes:,} are allowed"
        )


# --- query media -------------------------------------------------------------------------


def read_picture(stream: BinaryIO, max_pixels: int) -> Image:
    """Decode a picture with the library's reader. Raises `ReadError`. Blocking."""
    with _stored(stream) as path:
        media_type = _checked(path, "image", "a picture", "PNG, JPEG, GIF, BMP, WebP, AVIF or TIFF")
        for part in read(path, media_type, max_pixels=max_pixels).parts:
            if isinstance(part, Picture):
                return part.image
    raise ReadError("the upload has no picture")


def read_sound(stream: BinaryIO) -> Sound:
    """Decode the first minute of a sound. Raises `ReadError`. Blocking."""
    with _stored(stream) as path:
        media_type = _checked(path, "audio", "a sound", "WAV, FLAC, OGG or MP3")
        for part in read(path, media_type).parts:
            if not isinstance(part, Passages | Picture):
                for _, sound in part.windows(_SOUND_S, _SOUND_S):
                    return sound
    raise ReadError("the upload has no sound")


def read_medium(
    stream: BinaryIO, max_pixels: int, modality: Modality | None = None
) -> tuple[Modality, Image | Sound]:
    """Decode a picture or a sound, and return which it is. Raises `ReadError`. Blocking.

    A `modality` of None is detected from the content.
    """
    if modality is None:
        with _stored(stream) as path:
            modality = "audio" if modality_of(media_type_of(path)) == "audio" else "image"
    if modality == "audio":
        return "audio", read_sound(stream)
    return "image", read_picture(stream, max_pixels)


@contextmanager
def _stored(stream: BinaryIO) -> Iterator[Path]:
    """Yield the path of a copy, for the readers. It has no suffix that could mislead them."""
    with TemporaryDirectory(prefix="trawl-upload-") as directory:
        path = Path(directory) / "upload"
        stream.seek(0)
        with path.open("wb") as file:
            shutil.copyfileobj(stream, file, BLOCK_BYTES)
        yield path


def _checked(path: Path, kind: str, name: str, formats: str) -> str:
    if path.stat().st_size == 0:
        raise ReadError(f"the upload is empty; send {formats}")
    media_type = media_type_of(path)
    if media_type is None:
        raise ReadError(f"the upload is not {name}: {why_unread(path)}; send {formats}")
    if modality_of(media_type) != kind:
        raise ReadError(f"the upload is not {name} but {media_type}; send {formats}")
    return media_type


# --- documents -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded document, its client's name for it, and the content of its sidecar file."""

    stream: BinaryIO
    name: str
    sidecar: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_line(cls, line: LineBody) -> Upload:
        """Return a document that was sent as JSON. Raises `UsageError` for its metadata."""
        sidecar = dict(metadata_object(json.dumps(line.metadata), values_may_be_null=True))
        for key, value in (("title", line.title), ("caption", line.caption)):
            if value is not None:
                sidecar[key] = value
        if line.text is not None:
            data, name = line.text.encode("utf-8", "surrogatepass"), "text.txt"
        else:
            data, name = (line.image, "picture") if line.image else (line.audio or b"", "sound")
        return cls(io.BytesIO(data), line.name or name, sidecar)


class Uploads(ABC):
    """Stores uploads under the hash of their content, so that the same file is one document.

    Blocking: use in threads.
    """

    @abstractmethod
    def store(self, upload: Upload) -> str:
        """Store an upload and return its address. Raises 507 if the disk is full."""

    @abstractmethod
    def delete(self, uri: str) -> None:
        """Delete the upload of a removed document; other files are kept."""


class UploadStore(Uploads):
    """Stores uploads in the directory of a library."""

    def __init__(self, library: Path) -> None:
        self._folder = library.resolve() / _FOLDER

    def store(self, upload: Upload) -> str:
        """Store an upload and return its path. Raises 507 if the disk is full."""
        digest = hashlib.sha256()
        part = self._folder / f"{uuid.uuid4().hex}.part"
        try:
            self._folder.mkdir(exist_ok=True)
            with part.open("wb") as file:
                while block := upload.stream.read(BLOCK_BYTES):
                    digest.update(block)
                    file.write(block)
            path = self._folder / digest.hexdigest()[:32] / safe_name(upload.name)
            path.parent.mkdir(exist_ok=True)
            if not path.exists():  # an existing file has the same content
                part.replace(path)
            changed = changed_sidecar(_sidecar(path).read_bytes, upload.sidecar)
            if changed is not None:
                _sidecar(path).write_bytes(changed)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise HTTPException(507, "the server's disk is full; nothing was added") from error
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise LibraryReadOnlyError(f"{self._folder}: {error.strerror}") from error
            raise
        finally:
            with suppress(OSError):  # of a read-only file system, which has no such file
                part.unlink()
        return str(path)

    def delete(self, uri: str) -> None:
        """Delete the upload of a removed document; other files are kept."""
        path = Path(uri)
        if path.parent.parent != self._folder:
            return
        path.unlink(missing_ok=True)
        _sidecar(path).unlink(missing_ok=True)
        if path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()


def _sidecar(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def changed_sidecar(read: Callable[[], bytes], changes: Mapping[str, Any]) -> bytes | None:
    """Add keys to a sidecar, and remove those of value None. Earlier keys are kept.

    `read` returns the sidecar, or raises `FileNotFoundError`. Returns None if nothing changes.
    """
    known: dict[str, Any] = {}
    with suppress(FileNotFoundError, ValueError):  # ValueError: written in part
        known = json.loads(read())
    new = {key: value for key, value in {**known, **changes}.items() if value is not None}
    return json.dumps(new).encode() if new != known else None


def metadata_object(text: str | bytes, *, values_may_be_null: bool = False) -> Mapping[str, Any]:
    """Parse metadata: a JSON object of text, numbers, booleans and lists. Raises `UsageError`."""
    try:
        parsed = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"metadata is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise UsageError('metadata must be a JSON object, for example {"year": 2019}')
    if len(parsed) > MOST_KEYS:
        raise UsageError(f"metadata has {len(parsed)} keys; at most {MOST_KEYS} are allowed")
    for key, value in parsed.items():
        plain = isinstance(value, str | int | float | bool)
        texts = isinstance(value, list) and all(isinstance(one, str) for one in value)
        null = value is None and values_may_be_null
        if not 0 < len(key.strip()) <= _KEY_CHARACTERS or not (plain or texts or null):
            raise UsageError(
                f"metadata {key[:_KEY_CHARACTERS]!r}: a key has 1 to {_KEY_CHARACTERS} characters, "
                "and a value is text, a number, true, false or a list of texts"
                + (", or null to remove the key" if values_may_be_null else "")
            )
    return parsed


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


def safe_name(name: str) -> str:
    """Return a safe file name for a client's: one path component, printable, not hidden."""
    last = PurePosixPath(name.replace("\\", "/")).name
    plain = unicodedata.normalize("NFC", last.encode("utf-8", "replace").decode())
    plain = "".join(c if c.isprintable() else "_" for c in plain)
    plain = re.sub(r'[<>:"|?*]', "_", plain).strip(" .")
    stem, dot, suffix = plain.rpartition(".")
    if dot and len(suffix) <= 10:
        # File systems allow 255 bytes; a character has up to four.
        return f"{stem[: _NAME_CHARACTERS // 2] or 'upload'}.{suffix}"
    return plain[: _NAME_CHARACTERS // 2] or "upload"
