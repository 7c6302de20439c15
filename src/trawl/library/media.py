"""Load the images and sounds of a query: files, bytes, arrays and decoded media."""

from __future__ import annotations

import io
import math
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trawl.errors import QueryError, ReadError
from trawl.readers import media_type_of, read, why_unread
from trawl.types import Part, Passages, Picture, Recording, Sound

if TYPE_CHECKING:
    from PIL.Image import Image

_AUDIO_QUERY_S = 60.0
_CHANNELS = (1, 3, 4)
# Modes of Pillow that TIFF and PNG hold; others become RGB.
_DEEP = frozenset({"F", "I", "I;16"})
_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})

Bytes: TypeAlias = bytes | bytearray | memoryview
ImageInput: TypeAlias = "str | Path | Bytes | NDArray[Any] | Image"
"""A file, the bytes of a file, a decoded picture, or an array: [H, W], or [H, W, 1, 3 or 4]
(grey, RGB, RGBA), of uint8, or of floats from 0 to 1."""
AudioInput: TypeAlias = "str | Path | Bytes | Sound | tuple[NDArray[Any], int]"
"""A file, the bytes of a file, a `Sound`, or a pair of samples and sample rate in Hz.

Samples are [T], or [T, channels], which are averaged: floats from -1 to 1, or integers of 16 or
32 bits."""


def load_picture(image: ImageInput, max_pixels: int) -> Image:
    """Return the picture in RGB. Raises `QueryError` if it is not a picture."""
    if isinstance(image, np.ndarray):
        return _picture_of(image, max_pixels)
    if hasattr(image, "convert") and hasattr(image, "size"):
        return image.convert("RGB")
    with _as_file(image, "an image", "a path, bytes, an array or a PIL image") as (path, name):
        for part in _read(path, name, max_pixels):
            if isinstance(part, Picture):
                return part.image
    raise QueryError(f"{name} is not a picture; an image query needs one")


def load_sound(audio: AudioInput, max_pixels: int) -> Sound:
    """Return the first minute of a sound. Raises `QueryError` if it is not a sound."""
    if isinstance(audio, Sound):
        return audio
    if isinstance(audio, np.ndarray):
        raise QueryError("an array has no sample rate; pass audio=(samples, sample_rate_hz)")
    if isinstance(audio, tuple):
        return _sound_of(audio)
    expected = "a path, bytes, a Sound or (samples, sample_rate_hz)"
    with _as_file(audio, "audio", expected) as (path, name):
        for part in _read(path, name, max_pixels):
            if not isinstance(part, Passages | Picture):
                return _first_minute(part)
    raise QueryError(f"{name} is not a sound; an audio query needs one")


@contextmanager
def _as_file(value: object, kind: str, expected: str) -> Iterator[tuple[Path, str]]:
    """Yield a file with the value's content, and its name for messages. Raises `QueryError`."""
    if isinstance(value, io.IOBase):
        value = value.read()
    if isinstance(value, bytes | bytearray | memoryview):
        with TemporaryDirectory(prefix="trawl-query-") as directory:
            path = Path(directory) / "query"  # without a suffix that could mislead the readers
            path.write_bytes(value)
            yield path, f"the {len(value):,} bytes of {kind.removeprefix('an ')}"
    elif isinstance(value, str | os.PathLike):
        yield Path(value), os.fsdecode(value)
    else:
        raise QueryError(f"{kind} must be {expected}, not a {type(value).__name__}")


def _read(path: Path, name: str, max_pixels: int) -> Iterator[Part]:
    try:
        media_type = media_type_of(path)
        if media_type is None:
            raise ReadError(why_unread(path))
        yield from read(path, media_type, max_pixels=max_pixels).parts
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise QueryError(f"cannot read {name}: {reason}") from error
    except ReadError as error:
        raise QueryError(f"cannot search with {name}: {error}") from error


def _first_minute(recording: Recording) -> Sound:
    for _, sound in recording.windows(_AUDIO_QUERY_S, _AUDIO_QUERY_S):
        return sound
    raise QueryError("the sound is empty")


def _picture_of(array: NDArray[Any], max_pixels: int) -> Image:
    from PIL import Image

    is_picture = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in _CHANNELS)
    if not is_picture or 0 in array.shape:
        raise QueryError(
            f"an image array has the shape [height, width] or [height, width, 3], not "
            f"{list(array.shape)}"
        )
    if array.shape[0] * array.shape[1] > max_pixels:
        raise QueryError(f"the image array has more than {max_pixels:,} pixels")
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif array.dtype.kind == "f":
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise QueryError("an image array of floats has values from 0 to 1")
        array = np.round(array * 255).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise QueryError(f"an image array holds uint8, or floats from 0 to 1, not {array.dtype}")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    picture = Image.fromarray(np.ascontiguousarray(array))
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


@dataclass(frozen=True, slots=True)
class MediaFile:
    """The bytes of a file, and the extension that its reader knows, "" to detect the type."""

    data: bytes
    suffix: str = ""


def content_of(value: object, max_pixels: int) -> MediaFile:
    """Return bytes, a picture or a sound as a file that the readers read, without loss.

    Accepts the types of `ImageInput` and `AudioInput` except paths; an array is a picture.
    The same value results in the same bytes. Raises `QueryError`.
    """
    if isinstance(value, io.IOBase):
        value = value.read()
    if isinstance(value, bytes | bytearray | memoryview):
        return MediaFile(bytes(value))
    if isinstance(value, Sound):
        value = (value.samples, value.sample_rate_hz)
    if isinstance(value, tuple):
        samples, rate = _samples_of(value)
        return MediaFile(_wave(samples, rate), ".wav")
    if isinstance(value, np.ndarray):
        value = _picture_of(value, max_pixels)
    if hasattr(value, "save") and hasattr(value, "mode"):
        return MediaFile(_picture_file(value), ".tif" if value.mode in _DEEP else ".png")
    raise QueryError(
        "data is bytes, a PIL image, an array, a Sound or (samples, sample_rate_hz), not a "
        f"{type(value).__name__}"
    )


def _picture_file(image: Any) -> bytes:
    out = io.BytesIO()
    if image.mode in _DEEP:
        image.save(out, "TIFF")
    elif image.mode in _PNG_MODES:
        image.save(out, "PNG", compress_level=1)
    else:
        image.convert("RGB").save(out, "PNG", compress_level=1)
    return out.getvalue()


def _wave(samples: NDArray[np.float32], rate: int) -> bytes:
    """Return a WAV file of floats. Those of libsndfile contain the time of writing."""
    channels = samples.shape[1] if samples.ndim == 2 else 1
    data = samples.astype("<f4").tobytes()
    form = struct.pack("<HHIIHH", 3, channels, rate, rate * channels * 4, channels * 4, 32)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def _sound_of(pair: tuple[Any, ...]) -> Sound:
    samples, rate = _samples_of(pair, _AUDIO_QUERY_S)
    if samples.ndim == 2:
        samples = samples.mean(axis=1, dtype=np.float32)
    return Sound(np.clip(samples, -1.0, 1.0), rate)


def _samples_of(
    pair: tuple[Any, ...], longest_s: float = math.inf
) -> tuple[NDArray[np.float32], int]:
    """Return samples, float32 [T] or [T, channels], and their rate. Raises `QueryError`."""
    if len(pair) != 2 or not isinstance(pair[1], int | np.integer) or isinstance(pair[1], bool):
        raise QueryError("audio as an array is a pair: (samples, sample_rate_hz)")
    samples, rate = pair[0], int(pair[1])
    if not isinstance(samples, np.ndarray) or samples.ndim not in (1, 2) or not samples.size:
        raise QueryError("the samples of a sound are an array [T] or [T, channels]")
    if not 0 < rate <= 10_000_000:
        raise QueryError(f"a sample rate of {rate} Hz is not possible")
    if len(samples) > longest_s * rate:
        samples = samples[: round(longest_s * rate)]
    if samples.dtype in (np.int16, np.int32):
        scaled = samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min)
    elif samples.dtype.kind == "f":
        scaled = samples.astype(np.float32)
    else:
        raise QueryError(f"samples are floats, or integers of 16 or 32 bits, not {samples.dtype}")
    if not np.isfinite(scaled).all():
        raise QueryError("a sample is not a number")
    return scaled, rate
