"""Audio containers: detect the type of a file, and whether it is truncated.

WAV states the size of its data, Ogg marks its last page, and MP3 is a chain of frames. libsndfile
does not report truncated files, so they are checked here.
"""

from __future__ import annotations

import mmap
import struct
from typing import BinaryIO

from trawl.errors import ReadError
from trawl.readers.formats import HEAD_BYTES

_OGG_PAGE_MAX_BYTES = 27 + 255 + 255 * 255  # RFC 3533, section 6
_OGG_END_OF_STREAM = 0x04
_UNKNOWN_SIZES = frozenset({0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000})
"""Data sizes that programs write to a WAV header when the output is a pipe."""


def check_end(stream: BinaryIO) -> int | None:
    """Raise `ReadError` for a truncated WAV, Ogg or MP3; other formats are not checked.

    Returns the number of samples per channel of an MP3 whose header does not state its length,
    None otherwise.
    """
    magic = stream.read(HEAD_BYTES)
    size_bytes = stream.seek(0, 2)
    if is_wav(magic):
        _check_wav_end(stream, size_bytes, "big" if magic[:4] == b"RIFX" else "little")
    elif magic[:4] == b"OggS":
        _check_ogg_end(stream, size_bytes)
    elif is_mp3(magic):
        return _check_mp3_end(stream, size_bytes)
    return None


def _check_wav_end(stream: BinaryIO, size_bytes: int, order: str) -> None:
    """Compare the stated size of the data chunk with the file's (EBU Tech 3306 for RF64)."""
    layout = struct.Struct(">4sI" if order == "big" else "<4sI")
    long_size: int | None = None
    position = 12
    while position + layout.size <= size_bytes:
        stream.seek(position)
        name, stated = layout.unpack(stream.read(layout.size))
        position += layout.size
        if name == b"ds64":
            long_size = int.from_bytes(stream.read(16)[8:16], "little")
        if name == b"data":
            if stated == 0xFFFFFFFF and long_size is not None:
                stated = long_size
            available = size_bytes - position
            if stated > available and stated not in _UNKNOWN_SIZES:
                raise ReadError(
                    f"truncated: the file has {available:,} of the {stated:,} bytes of audio "
                    "that its header states"
                )
            return
        position += stated + stated % 2


def _check_ogg_end(stream: BinaryIO, size_bytes: int) -> None:
    """Check the last page and its end-of-stream flag (RFC 3533, section 6)."""
    begin = max(0, size_bytes - 2 * _OGG_PAGE_MAX_BYTES)
    stream.seek(begin)
    tail = stream.read()
    at = tail.rfind(b"OggS")
    while at >= 0:
        header = tail[at : at + 27 + 255]
        if len(header) >= 27 and header[4] == 0:
            segments = header[27 : 27 + header[26]]
            page_end = at + 27 + header[26] + sum(segments)
            complete = len(segments) == header[26] and page_end <= len(tail)
            if complete and header[5] & _OGG_END_OF_STREAM:
                return
            break
        at = tail.rfind(b"OggS", 0, at)
    raise ReadError("truncated: the last page is missing or incomplete")


def _check_mp3_end(stream: BinaryIO, size_bytes: int) -> int | None:
    """Follow the frames of an MP3 to its end, and return their number of samples.

    Returns None if a Xing, Info or VBRI header states the length (the decoder reads it), and if
    the chain of frames is interrupted. Raises `ReadError` if the last frame is truncated.
    """
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = 0
        while data[at : at + 3] == b"ID3" and at + 10 <= size_bytes:
            length = 0
            for byte in data[at + 6 : at + 10]:
                length = length << 7 | byte & 0x7F
            at += 10 + length + (10 if data[at + 5] & 0x10 else 0)
        first = data[at : at + 256]
        if any(mark in first for mark in (b"Xing", b"Info", b"VBRI")):
            return None
        samples = 0
        per_frame = 1152 if first[1:2] and first[1] & 0x08 else 576
        while at < size_bytes:
            length = _mp3_frame_bytes(data[at : at + 4])
            if not length:
                tag = data[at : at + 8]
                ended = tag[:3] in {b"TAG", b"ID3"} or tag == b"APETAGEX" or not tag.strip(b"\0")
                return samples if ended else None
            at += length
            samples += per_frame
        if at > size_bytes:
            raise ReadError("truncated: the last frame is incomplete")
        return samples


def is_wav(head: bytes) -> bool:
    """Return whether a file starts as RIFF, RIFX or RF64 with WAVE content."""
    return head[:4] in {b"RIFF", b"RIFX", b"RF64"} and head[8:12] == b"WAVE"


def is_ogg_sound(head: bytes) -> bool:
    """Return whether a file starts as Ogg audio. The first page names the codec."""
    first_page = head[:128]
    codecs = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC")
    return head[:5] == b"OggS\0" and any(codec in first_page for codec in codecs)


def is_mp3(head: bytes) -> bool:
    """Return whether a file starts with an ID3v2 tag or two consecutive Layer III frames."""
    if head[:3] == b"ID3" and len(head) > 9 and head[3] in {2, 3, 4}:
        return all(byte < 0x80 for byte in head[6:10])
    length = _mp3_frame_bytes(head)
    return length > 0 and (len(head) <= length or _mp3_frame_bytes(head[length:]) > 0)


def _mp3_frame_bytes(head: bytes) -> int:
    """Return the length of the MPEG Layer III frame that starts here, 0 if there is none.

    ISO/IEC 11172-3, 2.4.1.3 and 2.4.2.3; ISO/IEC 13818-3 for the lower sample rates.
    """
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    version, rate_index, bitrate_index = head[1] >> 3 & 3, head[2] >> 2 & 3, head[2] >> 4
    if version == 1 or rate_index == 3 or bitrate_index in {0, 15}:
        return 0
    kbits = (
        (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
        if version == 3
        else (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    )[bitrate_index - 1]
    rate_hz = (44_100, 48_000, 32_000)[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    return (144 if version == 3 else 72) * kbits * 1000 // rate_hz + (head[2] >> 1 & 1)
