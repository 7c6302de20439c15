"""M4A, AAC and WMA sounds, decoded with FFmpeg's libraries by PyAV (the extra `video`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trawl.errors import ReadError
from trawl.readers.containers import Stream
from trawl.readers.formats import Format, Limits, opened, short_reason, stem_title
from trawl.readers.sounds import MAX_SAMPLE_RATE_HZ, SoundFileRecording, mixed_down
from trawl.readers.tags import sound_tags
from trawl.types import Reading

if TYPE_CHECKING:
    from av.container import InputContainer

_BLOCK_SAMPLES = 65_536
_SLACK_S = 0.25
"""Seconds by which the stated duration may exceed the decoded one: codecs add padding."""


@dataclass(frozen=True, slots=True)
class CodedRecording(SoundFileRecording):
    """A sound that PyAV decodes."""

    def _decoded(self, stream: Stream) -> Iterator[NDArray[np.float32]]:
        return _blocks(self.path, self.sample_rate_hz)


def read_coded_sound(path: Path, limits: Limits, *, media_type: str) -> Reading:
    """Decode a sound once to check that it is complete. Raises `ReadError`."""
    recording, notices = sound_track(path, checked=media_type != "audio/aac")
    title, metadata, doubts = sound_tags(path) if media_type != "audio/aac" else ("", {}, ())
    return Reading(
        media_type, title or stem_title(path), (recording,), metadata, (*notices, *doubts)
    )


def sound_track(path: Path, *, checked: bool = True) -> tuple[CodedRecording, tuple[str, ...]]:
    """Return the first sound track of a file, and notices on it. Decodes it once.

    `checked` is False for a format whose header states no reliable duration. Raises `ReadError`
    if the track is empty, damaged or shorter than the file states.
    """
    with container_of(path) as container:
        if not container.streams.audio:
            raise ReadError("contains no audio")
        stream = container.streams.audio[0]
        first = next(container.decode(stream), None)
        if first is None:
            raise ReadError("contains no audio: zero samples")
        rate_hz = int(first.sample_rate)  # the stream states half of it for HE-AAC
        stated_s = float((stream.duration or 0) * (stream.time_base or 0))
        if not stated_s and not container.streams.video:
            stated_s = float(container.duration or 0) / 1e6
        tracks = len(container.streams.audio)
    if not 0 < rate_hz <= MAX_SAMPLE_RATE_HZ:
        raise ReadError(f"unsupported sample rate of {rate_hz:,} Hz")
    frames, silent, level = 0, True, None
    for block in _blocks(path, rate_hz):
        level = block[0, 0] if level is None else level
        silent = silent and bool((block == level).all())
        frames += len(block)
    if frames < 1:
        raise ReadError("contains no audio: zero samples")
    if checked and frames / rate_hz < stated_s - _SLACK_S:
        raise ReadError(
            f"truncated after {frames / rate_hz:.3f} s of the {stated_s:.3f} s "
            "that its header states"
        )
    notices = ["the recording is silent"] if silent else []
    if tracks > 1:
        notices.append(f"one of its {tracks} sound tracks is indexed")
    return CodedRecording(path, rate_hz, frames), tuple(notices)


def coded_blocks(path: Path) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield (sample rate, mono samples, float32 [n]) of the first sound track.

    Raises `ReadError`.
    """
    with container_of(path) as container:
        if not container.streams.audio:
            raise ReadError("contains no audio")
        first = next(container.decode(container.streams.audio[0]), None)
        if first is None:
            raise ReadError("contains no audio: zero samples")
        rate_hz = int(first.sample_rate)
    for block in _blocks(path, rate_hz):
        yield rate_hz, mixed_down(block)


def _blocks(path: Path, rate_hz: int) -> Iterator[NDArray[np.float32]]:
    """Yield float32 [n, channels] of the first sound track."""
    import av

    with container_of(path) as container:
        waiting: list[NDArray[np.float32]] = []
        resampler: Any = None
        for frame in container.decode(container.streams.audio[0]):
            if frame.sample_rate != rate_hz:
                raise ReadError("the sample rate changes; split the file")
            if resampler is None:
                resampler = av.AudioResampler("fltp", frame.layout, rate_hz)
            waiting += [part.to_ndarray().T for part in resampler.resample(frame)]
            if sum(map(len, waiting)) >= _BLOCK_SAMPLES:
                yield np.concatenate(waiting)
                waiting = []
        if waiting:
            yield np.concatenate(waiting)


@contextmanager
def container_of(path: Path) -> Iterator[InputContainer]:
    """Open a file with PyAV. Its errors in the `with` block become `ReadError`."""
    try:
        import av
    except ImportError as error:
        raise ReadError(
            "M4A, AAC, WMA and videos need PyAV; "
            "install it with: pip install 'trawl-multimodal[video]'"
        ) from error
    with opened(path) as stream:
        try:
            with av.open(stream, metadata_errors="replace") as container:
                yield container
        except (av.FFmpegError, ValueError, IndexError, MemoryError) as error:
            reason = short_reason(error)
            raise ReadError(f"cannot be decoded: {reason}") from error


def _is_m4a(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in {b"M4A ", b"M4B ", b"M4P "}


def _is_adts(head: bytes) -> bool:
    """Return whether a file starts with two ADTS frames (ISO/IEC 13818-7, 6.2)."""
    for _ in range(2):
        if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
            return False
        head = head[(head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5 :]
    return True


FORMATS = (
    Format(
        "audio/mp4",
        "audio",
        "M4A audio",
        frozenset({".m4a", ".m4b"}),
        partial(read_coded_sound, media_type="audio/mp4"),
        _is_m4a,
        family="mp4",
    ),
    Format(
        "audio/x-ms-wma",
        "audio",
        "WMA audio",
        frozenset({".wma"}),
        partial(read_coded_sound, media_type="audio/x-ms-wma"),
        family="asf",
    ),
    Format(
        "audio/aac",
        "audio",
        "AAC audio",
        frozenset({".aac"}),
        partial(read_coded_sound, media_type="audio/aac"),
        _is_adts,
    ),
)
