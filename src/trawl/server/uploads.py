"""Uploaded media: on disk for as long as they are read, and never under a name of theirs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from trawl.errors import ReadError
from trawl.readers import media_type_of, read
from trawl.types import Modality, Passages, Picture, Sound

if TYPE_CHECKING:
    from PIL.Image import Image

_SOUND_S = 60.0


def check_size(upload: UploadFile, max_bytes: int) -> None:
    """Raise 413 for a file of more than `max_bytes`."""
    if (upload.size or 0) > max_bytes:
        raise HTTPException(
            413, f"the file has {upload.size:,} bytes; at most {max_bytes:,} are taken"
        )


def read_picture(stream: BinaryIO, max_pixels: int) -> Image:
    """Decode a picture with the library's own reader. Raises `ReadError`.

    Blocking: to be called in a thread.
    """
    with _stored(stream) as path:
        media_type = _checked(path, "image", "a picture", "PNG, JPEG, GIF, BMP, WebP or TIFF")
        for part in read(path, media_type, max_pixels=max_pixels).parts:
            if isinstance(part, Picture):
                return part.image
    raise ReadError("the upload holds no picture")


def read_sound(stream: BinaryIO) -> Sound:
    """Decode the first minute of a sound with the library's own reader. Raises `ReadError`.

    Blocking: to be called in a thread.
    """
    with _stored(stream) as path:
        media_type = _checked(path, "audio", "a sound", "WAV, FLAC, OGG or MP3")
        for part in read(path, media_type).parts:
            if not isinstance(part, Passages | Picture):
                for _, sound in part.windows(_SOUND_S, _SOUND_S):
                    return sound
    raise ReadError("the upload holds no sound")


def read_medium(
    stream: BinaryIO, max_pixels: int, modality: Modality | None = None
) -> tuple[Modality, Image | Sound]:
    """Decode a picture or a sound, and tell which it is. Raises `ReadError`.

    `modality` says what it has to be; None lets its bytes tell. Blocking.
    """
    if modality is None:
        with _stored(stream) as path:
            modality = "audio" if (media_type_of(path) or "").startswith("audio/") else "image"
    if modality == "audio":
        return "audio", read_sound(stream)
    return "image", read_picture(stream, max_pixels)


@contextmanager
def _stored(stream: BinaryIO) -> Iterator[Path]:
    """Give the path of a copy: the readers want one. It has no suffix, so it claims nothing."""
    with TemporaryDirectory(prefix="trawl-upload-") as directory:
        path = Path(directory) / "upload"
        stream.seek(0)
        with path.open("wb") as file:
            shutil.copyfileobj(stream, file, 1024 * 1024)
        yield path


def _checked(path: Path, kind: str, name: str, formats: str) -> str:
    media_type = media_type_of(path)
    if media_type is None or not media_type.startswith(kind + "/"):
        raise ReadError(
            f"the upload is not {name} but {media_type or 'of an unknown type'}; send {formats}"
        )
    return media_type
