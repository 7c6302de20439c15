"""MPEG audio: follow the frames of a file, and find the streams that it consists of.

Encoders, radio recorders and taggers leave tags, padding and cut frames around and between the
frames. Only whole frames are handed to the decoder, with a header that states their number.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass, field

from trawl.errors import ReadError
from trawl.readers.spliced import Piece

MAX_GAPS = 1_000
"""Places of a file at which frames are searched for, to bound the time."""
_XING_FRAMES = 0x1
_KBITS = {  # ISO/IEC 11172-3, 2.4.2.3, and ISO/IEC 13818-3, 2.4.2.3, by (version 1, layer)
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


@dataclass(slots=True)
class MpegStream:
    """Frames that belong together: up to the next header that states a number of frames.

    `tag` is the range of an ID3 tag before them, `stated` the number of frames that its Xing,
    Info or VBRI header states, `samples` the number of samples per channel of the frames.
    """

    first: bytes
    tag: tuple[int, int] | None = None
    header: tuple[int, int] | None = None
    stated: int | None = None
    frames: int = 0
    samples: int = 0
    ranges: list[tuple[int, int]] = field(default_factory=list)

    def pieces(self) -> list[Piece]:
        """Return the stream with a header that states its length.

        Without one, libsndfile estimates the length from the first frame's bit rate.
        """
        pieces: list[Piece] = [self.tag] if self.tag else []
        if self.header is not None and self.stated is not None and self.frames <= self.stated + 1:
            return [*pieces, self.header, *self.ranges]
        if _layer(self.first) == 3:
            pieces.append(_xing_frame(self.first, self.frames))
        return [*pieces, *self.ranges]


def mpeg_streams(data: mmap.mmap, start: int, end: int) -> tuple[list[MpegStream], int]:
    """Return the streams in a range of a file, and the bytes of an incomplete last frame.

    Raises `ReadError` if junk interrupts the frames more than `MAX_GAPS` times.
    """
    streams: list[MpegStream] = []
    gaps = 0
    at, tag, cut_bytes = start, None, 0
    current: MpegStream | None = None
    while at < end:
        tag_end = id3_end(data, at)
        if tag_end > at:
            tag, at, current = (at, min(tag_end, end)), tag_end, None
            continue
        head = data[at : at + 4]
        length = frame_bytes(head)
        following = data[at + length : min(at + length + 4, end)]
        alike = current is not None and _kind(head) == _kind(current.first)
        if not length or not (alike or at + length >= end or _kind(following) == _kind(head)):
            gaps += 1
            if gaps > MAX_GAPS:
                raise ReadError(f"more than {MAX_GAPS:,} gaps between frames of MPEG audio")
            at = _next_frame(data, at + 1, end, current.first if current else None)
            continue
        if at + length > end:
            cut_bytes = end - at
            break
        stated = _stated_frames(data[at : at + 64])
        if stated is not None:
            current = MpegStream(head, tag, (at, at + length), stated or None)
            streams.append(current)
        else:
            if current is None:
                current = MpegStream(head, tag)
                streams.append(current)
            _append(current, at, length, head)
        tag = None
        at += length
    return [stream for stream in streams if stream.frames], cut_bytes


def id3_end(data: mmap.mmap | bytes, at: int) -> int:
    """Return the end of the ID3v2 tags at a position, or the position."""
    while data[at : at + 3] == b"ID3" and len(data) >= at + 10:
        size = 0
        for byte in data[at + 6 : at + 10]:
            size = size << 7 | byte & 0x7F
        at += 10 + size + (10 if data[at + 5] & 0x10 else 0)
    return at


def frame_bytes(head: bytes) -> int:
    """Return the length of the MPEG audio frame that starts here, 0 if there is none.

    ISO/IEC 11172-3, 2.4.1.3 and 2.4.2.3; ISO/IEC 13818-3 for the lower sample rates. Free
    formats, which state no bit rate, are not supported.
    """
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version, layer = head[1] >> 3 & 3, _layer(head)
    rate_index, bitrate_index = head[2] >> 2 & 3, head[2] >> 4
    if version == 1 or layer == 4 or rate_index == 3 or bitrate_index in {0, 15}:
        return 0
    kbits = _KBITS[version == 3, layer][bitrate_index - 1]
    rate_hz = (44_100, 48_000, 32_000)[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    padding = head[2] >> 1 & 1
    if layer == 1:
        return (12 * kbits * 1000 // rate_hz + padding) * 4
    return (72 if layer == 3 and version != 3 else 144) * kbits * 1000 // rate_hz + padding


def _layer(head: bytes) -> int:
    return 4 - (head[1] >> 1 & 3)


def _kind(head: bytes) -> tuple[int, int]:
    """Return the version, layer and sample rate, which are equal in all frames of a stream."""
    return (head[1] & 0xFE, head[2] & 0x0C) if len(head) >= 4 and frame_bytes(head) else (0, 0)


def _append(stream: MpegStream, at: int, length: int, head: bytes) -> None:
    stream.frames += 1
    layer = _layer(head)
    half = layer == 3 and head[1] & 0x08 == 0
    stream.samples += 384 if layer == 1 else 576 if half else 1152
    if stream.ranges and stream.ranges[-1][1] == at:
        stream.ranges[-1] = (stream.ranges[-1][0], at + length)
    else:
        stream.ranges.append((at, at + length))


def _next_frame(data: mmap.mmap, at: int, end: int, like: bytes | None) -> int:
    """Return the next position of three frames in a row, or of an ID3 tag; `end` if none."""
    found = at
    while (found := data.find(b"\xff", found, end)) >= 0:
        if _frames_follow(data, found, end, like):
            break
        found += 1
    found = found if found >= 0 else end
    tag = data.find(b"ID3", at, found)
    return tag if tag >= 0 else found


def _frames_follow(data: mmap.mmap, at: int, end: int, like: bytes | None) -> bool:
    """Return whether three frames of one kind follow each other, or frames up to the end."""
    kind = _kind(like or data[at : at + 4])
    for _ in range(3):
        head = data[at : at + 4]
        if kind == (0, 0) or _kind(head) != kind:
            return False
        at += frame_bytes(head)
        if at >= end:
            break
    return True


def _side_info_bytes(head: bytes) -> int:
    mono, first_version = head[3] >> 6 == 3, head[1] & 0x18 == 0x18
    return (17 if mono else 32) if first_version else (9 if mono else 17)


def _stated_frames(frame: bytes) -> int | None:
    """Return the number of frames that a header frame states, 0 if it states none.

    Returns None for a frame of audio.
    """
    at = 4 + _side_info_bytes(frame)
    if frame[at : at + 4] in {b"Xing", b"Info"}:
        flags, frames = struct.unpack(">II", frame[at + 4 : at + 12].ljust(8, b"\0"))
        return frames if flags & _XING_FRAMES else 0
    if frame[36:40] == b"VBRI":
        return int.from_bytes(frame[50:54], "big")
    return None


def _xing_frame(first: bytes, frames: int) -> bytes:
    """Return a frame without audio whose Xing header states the number of frames."""
    head = bytes((0xFF, first[1] | 1, 0x90 | first[2] & 0x0C, first[3]))
    body = bytes(_side_info_bytes(head)) + b"Xing" + struct.pack(">II", _XING_FRAMES, frames)
    return (head + body).ljust(frame_bytes(head), b"\0")
