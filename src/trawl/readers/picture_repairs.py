"""Leave out the damage of PNG and JPEG files that does not concern their pixels."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO, cast

from trawl.errors import ReadError
from trawl.readers.formats import MIB
from trawl.readers.spliced import Piece, Spliced

if TYPE_CHECKING:
    from PIL.Image import Image

_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})
_MAX_PROFILE_BYTES = MIB
_JPEG_END = b"\xff\xd9"


def without_ancillary_damage(stream: BinaryIO) -> tuple[BinaryIO, tuple[str, ...]]:
    """Return a PNG without its texts and damaged ancillary chunks, and notices.

    Pillow refuses texts and profiles of more than 1 MiB, and wrong checksums of chunks that a
    viewer ignores (W3C PNG, 13.2). Raises `ReadError` for those of critical chunks.
    """
    size_bytes = stream.seek(0, 2)
    stream.seek(0)
    pieces: list[Piece] = [(0, 8)]
    notices: list[str] = []
    kinds: list[bytes] = [b""]
    at = 8
    while at + 8 <= size_bytes:
        stream.seek(at)
        length, kind = struct.unpack(">I4s", stream.read(8))
        end = min(size_bytes, at + 12 + length)
        if not kind[:1].islower():
            _check_critical(stream, kind, length)
        else:
            problem = "" if kind in _TEXTS else _problem(kind, stream.read(length + 4))
            if problem:
                notices.append(f"{problem}; it was left out")
            if problem and kind in _ANIMATION:
                kinds.append(b"bad animation")
                pieces.append(b"")
            if problem or (kind in _TEXTS and not _is_exif(stream, length)):
                at = end
                continue
        pieces.append((at, end))
        kinds.append(kind)
        at = end
    if b"bad animation" in kinds:
        pieces = [p for p, kind in zip(pieces, kinds, strict=True) if kind not in _ANIMATION]
    return cast(BinaryIO, Spliced(stream, pieces)), tuple(dict.fromkeys(notices))


def _check_critical(stream: BinaryIO, kind: bytes, length: int) -> None:
    """Raise `ReadError` if the checksum is wrong, which Pillow does not verify for pixels."""
    checksum = zlib.crc32(kind)
    while length and (block := stream.read(min(length, MIB))):
        checksum = zlib.crc32(block, checksum)
        length -= len(block)
    stored = stream.read(4)
    if len(stored) == 4 and int.from_bytes(stored, "big") != checksum:  # else Pillow refuses
        name = kind.decode("ascii", "replace")
        raise ReadError(
            f"the PNG image cannot be decoded: the chunk {name} is damaged (wrong checksum)"
        )


def _problem(kind: bytes, data: bytes) -> str:
    name = kind.decode("ascii", "replace")
    if len(data) < 4 or zlib.crc32(kind + data[:-4]) != int.from_bytes(data[-4:], "big"):
        return f"the chunk {name} is damaged (wrong checksum)"
    if kind == b"iCCP":
        compressed = data[:-4].partition(b"\0")[2][1:]
        unpacked = zlib.decompressobj()
        try:
            if len(unpacked.decompress(compressed, _MAX_PROFILE_BYTES)) >= _MAX_PROFILE_BYTES:
                return "the colour profile exceeds 1 MiB"
        except zlib.error:
            return "the colour profile is damaged"
    return ""


def _is_exif(stream: BinaryIO, length: int) -> bool:
    """Return whether a text, at whose data the stream is, is EXIF of a small size (ImageMagick)."""
    return length < _MAX_PROFILE_BYTES // 1024 and stream.read(17).startswith(b"Raw profile type ")


def jpeg_without_end(stream: BinaryIO) -> Image | None:
    """Decode a JPEG that lacks its end marker only; None if pixels are missing too.

    libjpeg fills missing pixels in silence. It reads past the data only if pixels are missing, so
    the image is complete if it does not depend on the bytes that are appended.
    """
    from PIL import JpegImagePlugin

    size_bytes = stream.seek(0, 2)
    noise = b"".join(b"\xff" + bytes([0xD0 + n]) + b"\xa5\x3c\x96\x71\x0b" * 40 for n in range(8))
    images = []
    for appended in (_JPEG_END, noise[2:] + _JPEG_END):
        spliced = Spliced(stream, [(0, size_bytes), appended])
        picture = JpegImagePlugin.JpegImageFile(cast(BinaryIO, spliced))
        picture.load()
        images.append(picture)
    return images[0] if images[0].tobytes() == images[1].tobytes() else None
