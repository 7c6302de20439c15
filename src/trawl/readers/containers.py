"""Audio containers: detect the type of a file, and find the streams that it consists of.

WAV states the size of its data, Ogg marks its last page, and MP3 is a chain of frames. libsndfile
does not report truncated files, reads only the first of several streams, and refuses files with
tags or padding in front of them, so containers are examined here.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from typing import BinaryIO

from trawl.errors import ReadError
from trawl.readers.formats import HEAD_BYTES
from trawl.readers.mpeg import frame_bytes, id3_end, mpeg_streams
from trawl.readers.spliced import Piece

_OGG_END_OF_STREAM, _OGG_START_OF_STREAM = 0x04, 0x02
_SIZE_MARGIN = 4096
_WAVE_MPEG_TAGS = frozenset({0x50, 0x55})
_FLAC_STARTS = (b"fLaC\0\0\0\x22", b"fLaC\x80\0\0\x22")


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of a file: what the decoder is given.

    `pieces` is None if that is the whole file. `frames` is the number of samples per channel if
    the container tells more reliably than the decoder; decoders may drop some of them.
    """

    pieces: tuple[Piece, ...] | None = None
    frames: int | None = None


def find_streams(stream: BinaryIO) -> tuple[list[Stream], tuple[str, ...]]:
    """Return the streams of an audio file in order, and notices on what is left out.

    Raises `ReadError` for a truncated WAV, Ogg or MP3; other formats are not checked.
    """
    size_bytes = stream.seek(0, 2)
    if not size_bytes:
        raise ReadError("empty file")
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = id3_end(data, 0)
        magic = data[start : start + HEAD_BYTES]
        if is_wav(magic):
            return _wav_streams(data, start)
        if magic[:4] == b"OggS":
            return _ogg_streams(data, start)
        if magic[:4] == b"fLaC":
            return _flac_streams(data, start)
        return _mpeg(data, 0, size_bytes)


def _mpeg(data: mmap.mmap, start: int, end: int) -> tuple[list[Stream], tuple[str, ...]]:
    found, cut_bytes = mpeg_streams(data, start, end)
    if not found:
        return [Stream()], ()
    if cut_bytes and found[-1].stated and found[-1].frames < found[-1].stated:
        raise ReadError("truncated: the last frame is incomplete")
    notices: tuple[str, ...] = ()
    if cut_bytes:
        notices = (f"the last frame is incomplete; its {cut_bytes:,} bytes were left out",)
    return [Stream(tuple(s.pieces()), None if s.stated else s.samples) for s in found], notices


def _wav_streams(data: mmap.mmap, start: int) -> tuple[list[Stream], tuple[str, ...]]:
    """Return the WAV files in a file: it may consist of several, one after the other."""
    streams: list[Stream] = []
    notices: tuple[str, ...] = ()
    while is_wav(data[start : start + 12]):
        more, more_notices, end = _wav_stream(data, start)
        streams += more
        notices += more_notices
        start = end
    if len(streams) == 1 and streams[0].pieces == ((0, len(data)),):
        return [Stream()], notices
    return streams, notices


def _wav_stream(data: mmap.mmap, start: int) -> tuple[list[Stream], tuple[str, ...], int]:
    """Return the streams of one WAV, notices, and its end (EBU Tech 3306 for RF64)."""
    order = ">" if data[start : start + 4] == b"RIFX" else "<"
    long_size: int | None = None
    tag = 0
    position = start + 12
    while position + 8 <= len(data):
        name, stated = struct.unpack(f"{order}4sI", data[position : position + 8])
        position += 8
        if name == b"ds64":
            long_size = int.from_bytes(data[position + 8 : position + 16], "little")
        elif name == b"fmt ":
            tag = int.from_bytes(data[position : position + 2], "little" if order == "<" else "big")
        elif name == b"data":
            if stated == 0xFFFFFFFF and long_size is not None:
                stated = long_size
            break
        position += stated + stated % 2
    else:
        return [Stream(((start, len(data)),))], (), len(data)
    available = len(data) - position
    unknown = (stated > available and _is_placeholder(stated)) or (
        stated == 0 and available > 0 and not _is_chunk(data, position, order)
    )
    if unknown:
        if available >= 1 << 32:
            raise ReadError("more than 4 GiB of audio whose header states no size")
        stated = available
    if stated > available:
        raise ReadError(
            f"truncated: the file has {available:,} of the {stated:,} bytes of audio "
            "that its header states"
        )
    end = _wav_end(data, start, position + stated + stated % 2, order)
    if tag in _WAVE_MPEG_TAGS:
        return (*_mpeg(data, position, position + stated), end)
    if not unknown:
        return [Stream(((start, end),))], (), end
    size = struct.pack(f"{order}I", stated)
    whole = struct.pack(f"{order}I", min(position - start - 8 + stated, 0xFFFFFFFF))
    pieces = ((start, start + 4), whole, (start + 8, position - 4), size, (position, len(data)))
    return [Stream(pieces)], (), len(data)


def _is_placeholder(stated: int) -> bool:
    """Return whether a size is one that programs write to a header when the output is a pipe.

    The largest number of 31 or 32 bits, less the size of a header.
    """
    return any(abs(limit - stated) <= _SIZE_MARGIN for limit in (1 << 31, 1 << 32))


def _is_chunk(data: mmap.mmap, position: int, order: str) -> bool:
    """Return whether chunks follow up to the end of the file."""
    while position + 8 <= len(data):
        name, size = struct.unpack(f"{order}4sI", data[position : position + 8])
        if not all(0x20 <= byte < 0x7F for byte in name):
            return False
        position += 8 + size + size % 2
    return abs(position - len(data)) <= 1


def _wav_end(data: mmap.mmap, start: int, end: int, order: str) -> int:
    """Return where the WAV ends whose data ends at `end`: where another starts, or the file's."""
    size = int(struct.unpack(f"{order}I", data[start + 4 : start + 8])[0])
    for place in (start + 8 + size + size % 2, end):
        if end <= place and is_wav(data[place : place + 12]):
            return place
    return len(data)


def _flac_streams(data: mmap.mmap, start: int) -> tuple[list[Stream], tuple[str, ...]]:
    """Return the FLAC streams, which start with their marker and STREAMINFO."""
    starts = []
    for marker in _FLAC_STARTS:
        at = data.find(marker, start)
        while at >= 0:
            starts.append(at)
            at = data.find(marker, at + 1)
    starts.sort()
    if starts in ([], [0]):
        return [Stream()], ()
    return [
        Stream(((at, end),)) for at, end in zip(starts, [*starts[1:], len(data)], strict=True)
    ], ()


def _ogg_streams(data: mmap.mmap, start: int) -> tuple[list[Stream], tuple[str, ...]]:
    """Return the chained streams of an Ogg file (RFC 3533, sections 4 and 6).

    Raises `ReadError` unless the last page of each is complete and marked as the last.
    """
    starts: list[int] = []
    end, flags, in_headers = start, 0, False
    at = data.find(b"OggS\0", start)
    while at >= 0:
        segments = data[at + 27 : at + 27 + data[at + 26]] if at + 27 <= len(data) else b""
        page_end = at + 27 + len(segments) + sum(segments)
        if at + 27 > len(data) or page_end > len(data) or len(segments) < data[at + 26]:
            flags = 0
            break
        first = bool(data[at + 5] & _OGG_START_OF_STREAM)
        if first and not in_headers:
            if starts and not flags & _OGG_END_OF_STREAM:
                break
            starts.append(at)
        in_headers, flags, end = first, data[at + 5], page_end
        following = data[page_end : page_end + 5] == b"OggS\0"
        at = page_end if following else data.find(b"OggS\0", page_end)
    if not flags & _OGG_END_OF_STREAM:
        raise ReadError("truncated: the last page is missing or incomplete")
    if starts == [0] and end == len(data):
        return [Stream()], ()
    ends = [*starts[1:], end]
    return [Stream(((at, stop),)) for at, stop in zip(starts, ends, strict=True)], ()


def is_wav(head: bytes) -> bool:
    """Return whether a file starts as RIFF, RIFX or RF64 with WAVE content."""
    return head[:4] in {b"RIFF", b"RIFX", b"RF64"} and head[8:12] == b"WAVE"


def is_ogg_sound(head: bytes) -> bool:
    """Return whether a file starts as Ogg audio. The first page names the codec."""
    first_page = head[:128]
    codecs = (b"\x01vorbis", b"OpusHead", b"\x7fFLAC")
    return head[:5] == b"OggS\0" and any(codec in first_page for codec in codecs)


def is_mp3(head: bytes) -> bool:
    """Return whether a file starts with an ID3v2 tag or two consecutive MPEG audio frames."""
    if head[:3] == b"ID3" and len(head) > 9 and head[3] in {2, 3, 4}:
        return all(byte < 0x80 for byte in head[6:10])
    length = frame_bytes(head)
    return length > 0 and (len(head) <= length or frame_bytes(head[length : length + 4]) > 0)


def head_behind_tag(stream: BinaryIO, head: bytes) -> bytes:
    """Return the start of a file without its ID3v2 tags, which may be in front of FLAC too."""
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = id3_end(data, 0)
        return data[start : start + HEAD_BYTES] if start else head
