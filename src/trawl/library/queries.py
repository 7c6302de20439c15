"""The media of a query: pictures and sounds from files, read as documents are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trawl.errors import QueryError, ReadError
from trawl.readers import media_type_of, read
from trawl.types import Part, Passages, Picture, Recording, Sound

if TYPE_CHECKING:
    from PIL.Image import Image

_AUDIO_QUERY_S = 60.0


def picture_of(image: str | Path | Image, max_pixels: int) -> Image:
    """Give the picture to ask with, in RGB. Raises `QueryError` for what is none."""
    if not isinstance(image, str | Path):
        return image.convert("RGB")
    for part in _parts(Path(image), max_pixels):
        if isinstance(part, Picture):
            return part.image
    raise QueryError(f"{image} is not a picture; give one as the image of a query")


def sound_of(audio: str | Path | Sound, max_pixels: int) -> Sound:
    """Give the sound to ask with. Raises `QueryError` for what is none."""
    if isinstance(audio, Sound):
        return audio
    for part in _parts(Path(audio), max_pixels):
        if not isinstance(part, Passages | Picture):
            return _opening(part)
    raise QueryError(f"{audio} is not a sound; give one as the audio of a query")


def _parts(path: Path, max_pixels: int) -> Sequence[Part]:
    try:
        media_type = media_type_of(path)
        if media_type is None:
            raise ReadError("no reader for this kind of file")
        return read(path, media_type, max_pixels=max_pixels).parts
    except OSError as error:
        raise QueryError(f"{path} cannot be read: {error.strerror or error}") from error
    except ReadError as error:
        raise QueryError(f"{path} cannot be searched with: {error}") from error


def _opening(recording: Recording) -> Sound:
    """Give a recording's first minute: what is asked is one sound, not a whole evening."""
    for _, sound in recording.windows(_AUDIO_QUERY_S, _AUDIO_QUERY_S):
        return sound
    raise QueryError("the sound of the query is empty")
