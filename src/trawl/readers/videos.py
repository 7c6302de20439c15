"""Videos, decoded with FFmpeg's libraries by PyAV (the extra `video`).

A video becomes one picture for each shot and the windows of its sound track, all with their
seconds.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trawl.errors import ReadError
from trawl.readers.coded_sounds import container_of, sound_track
from trawl.readers.formats import Format, Limits, stem_title
from trawl.types import Metadata, Part, Picture, Reading

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_SAMPLE_S = 0.2
"""Seconds between the frames that are compared."""
_KEYFRAME_S = 2.0
"""If key frames are closer on average, only they are decoded, which is many times faster."""
_MIN_SHOT_S = 1.0
_CUT = 0.11
"""Mean difference of consecutive small frames, 0..1, from which a new shot begins."""
_DRIFT = 0.2
"""The same from the shot's first frame: a camera that moved on, or a slow fade."""
_SMALL = (32, 18)
_MAX_PX = 1024
_QUICKTIME = b"ftypqt  "
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_SLACK_S = 1.0
"""Seconds by which the stated duration may exceed the decoded one."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A stretch of a video that shows one scene, in seconds from its start."""

    start_s: float
    end_s: float

    @property
    def middle_s(self) -> float:
        """The second that stands for the shot."""
        return (self.start_s + self.end_s) / 2


def read_video(path: Path, limits: Limits, *, media_type: str) -> Reading:
    """Find the shots of a video, and check that it is complete. Pictures are decoded lazily.

    A file without pictures is read as a sound. Raises `ReadError`.
    """
    with container_of(path) as container:
        stream = _video_stream(container)
        tracks = len(container.streams.audio)
        tags = {key.lower(): value for key, value in container.metadata.items()}
        others = len(container.streams.video) - 1
        subtitles = len(container.streams.subtitles)
        size = (stream.codec_context.width, stream.codec_context.height) if stream else (0, 0)
    if stream is None and not tracks:
        raise ReadError("contains neither pictures nor sound")
    notices: list[str] = []
    recording: Part | None = None
    if tracks:
        try:
            recording, found = sound_track(path)
            notices += found
        except ReadError as error:
            if stream is None:
                raise
            notices.append(f"its sound track is left out: {error}")
    title = " ".join(tags.get("title", "").split()) or stem_title(path)
    metadata = Metadata()
    with suppress(ValueError):
        metadata["taken"] = datetime.datetime.fromisoformat(tags.get("creation_time", "")).date()
    if stream is None:
        assert recording is not None
        return Reading(media_type, title, (recording,), metadata, tuple(notices))
    if size[0] * size[1] > limits.max_pixels:
        raise ReadError(f"its pictures of {size[0]} x {size[1]} exceed the limit on pixels")
    if others > 0:
        notices.append(f"one of its {others + 1} picture tracks is indexed")
    if subtitles:
        notices.append(f"its subtitles ({subtitles} tracks) are not read")
    shots = find_shots(path)

    def parts() -> Iterator[Part]:
        yield from pictures_of(path, shots)
        if recording is not None:
            yield recording

    return Reading(media_type, title, parts(), metadata, tuple(notices))


def find_shots(path: Path) -> list[Shot]:
    """Return the shots of a video in order, at least one.

    A shot begins where a frame differs from the one before it, or has become unlike the first
    of its shot. Raises `ReadError` if the video is damaged or truncated.
    """
    only_keys, end_s = _scan(path)
    starts: list[float] = []
    first = previous = np.zeros(0, np.float32)
    with container_of(path) as container:
        for time_s, frame in _frames(container, only_keys=only_keys):
            small = _small(frame)
            if not starts:
                starts, first = [0.0], small
            elif time_s - starts[-1] >= _MIN_SHOT_S and (
                _difference(small, previous) > _CUT or _difference(small, first) > _DRIFT
            ):
                starts.append(time_s)
                first = small
            previous = small
    if not starts:
        raise ReadError("no frame of the video can be decoded")
    ends = [*starts[1:], max(end_s, starts[-1])]
    return [Shot(start, end) for start, end in zip(starts, ends, strict=True)]


def _scan(path: Path) -> tuple[bool, float]:
    """Return whether key frames are frequent, and the end of the last frame, in seconds.

    Reads the packets without decoding them. Raises `ReadError` if frames are missing at the end.
    """
    keys, end_s = 0, 0.0
    with container_of(path) as container:
        stream = _video_stream(container)
        assert stream is not None
        unit_s = float(stream.time_base or 1)
        start_s = (stream.start_time or 0) * unit_s
        for packet in container.demux(stream):
            if packet.pts is not None:
                keys += packet.is_keyframe
                end_s = max(end_s, (packet.pts + (packet.duration or 0)) * unit_s - start_s)
        stated_s = (stream.duration or 0) * unit_s
        if not stated_s and not container.streams.audio:
            stated_s = float(container.duration or 0) / 1e6
    if end_s < stated_s - _SLACK_S:
        raise ReadError(
            f"truncated after {end_s:.1f} s of the {stated_s:.1f} s that its header states"
        )
    return keys * _KEYFRAME_S >= end_s > 2 * _KEYFRAME_S, end_s


def pictures_of(path: Path, shots: Sequence[Shot]) -> Iterator[Picture]:
    """Yield the frame in the middle of each shot."""
    with container_of(path) as container:
        stream = _video_stream(container)
        assert stream is not None
        unit_s = float(stream.time_base or 1)
        for shot in shots:
            middle = round(shot.middle_s / unit_s) + (stream.start_time or 0)
            container.seek(middle, stream=stream, backward=True)
            frame = None
            for _, frame in _frames(container, from_s=shot.middle_s):  # noqa: B007
                break
            if frame is None:  # the shot is the last frame
                container.seek(middle, stream=stream, backward=True)
                for _, frame in _frames(container):  # noqa: B007
                    pass
            if frame is None:
                raise ReadError(f"no frame can be decoded at {shot.middle_s:.1f} s")
            image = _upright(frame)
            width_px, height_px = image.size
            image.thumbnail((_MAX_PX, _MAX_PX))
            yield Picture(
                image,
                width_px,
                height_px,
                start_s=round(shot.start_s, 3),
                end_s=round(shot.end_s, 3),
            )


def _frames(
    container: InputContainer, *, only_keys: bool = False, from_s: float = 0.0
) -> Iterator[tuple[float, VideoFrame]]:
    """Yield (seconds, frame) from `from_s` on, `_SAMPLE_S` apart."""
    stream = _video_stream(container)
    assert stream is not None
    if not stream.codec_context.is_open:  # else it was set before
        stream.thread_type = "AUTO"
    if only_keys:
        stream.codec_context.skip_frame = "NONKEY"
    start_s = (stream.start_time or 0) * float(stream.time_base or 1)
    due_s = from_s
    for frame in container.decode(stream):
        time_s = (frame.time or 0.0) - start_s
        if time_s >= due_s:
            due_s = time_s + _SAMPLE_S
            yield time_s, frame


def _video_stream(container: InputContainer) -> VideoStream | None:
    """Return the first stream of moving pictures; a sound's cover is none."""
    from av.stream import Disposition

    moving = (
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    )
    return next(moving, None)


def _small(frame: VideoFrame) -> NDArray[np.float32]:
    """Return a frame as float32 [18, 32, 3] in 0..1, for comparison."""
    small = frame.reformat(*_SMALL, format="rgb24", interpolation="AREA")
    return np.asarray(small.to_ndarray(), np.float32) / np.float32(255)


def _difference(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.abs(one - other).mean())


def _upright(frame: VideoFrame) -> Image.Image:
    """Return a frame as RGB, turned as a player shows it."""
    image = Image.fromarray(frame.to_ndarray(format="rgb24"))
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image


def _is_matroska(head: bytes) -> bool:
    return head[:4] == b"\x1aE\xdf\xa3" and b"webm" not in head[:64]


def _is_avi(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:11] == b"AVI"


def _is_webm(head: bytes) -> bool:
    return head[:4] == b"\x1aE\xdf\xa3" and b"webm" in head[:64]


FORMATS = tuple(
    Format(
        kind,
        "image",
        name,
        frozenset(f".{suffix}" for suffix in suffixes.split()),
        partial(read_video, media_type=kind),
        matches,
        family=family,
    )
    for kind, name, suffixes, family, matches in (
        ("video/quicktime", "a QuickTime video", "mov qt", "mp4", lambda h: h[4:12] == _QUICKTIME),
        ("video/mp4", "an MP4 video", "mp4 m4v", "mp4", lambda h: h[4:8] == b"ftyp"),
        ("video/webm", "a WebM video", "webm", "matroska", _is_webm),
        ("video/x-matroska", "a Matroska video", "mkv mka", "matroska", _is_matroska),
        ("video/x-msvideo", "an AVI video", "avi", "avi", _is_avi),
        ("video/x-ms-asf", "a Windows Media file", "wmv asf", "asf", lambda h: h[:16] == _ASF),
    )
)
