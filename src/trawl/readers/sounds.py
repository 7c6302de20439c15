"""Audio files: WAV, FLAC, Ogg (Vorbis, Opus) and MP3, streamed with libsndfile.

Truncated files are rejected: WAV states the size of its data, FLAC and MP3 (Xing) the number of
frames, and an Ogg stream marks its last page. A frame is one sample of every channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trawl.errors import ReadError
from trawl.readers.containers import check_end, is_mp3, is_ogg_sound, is_wav
from trawl.readers.formats import Format, Limits, opened, stem_title
from trawl.types import Metadata, Reading, Sound

if TYPE_CHECKING:
    from soundfile import SoundFile

MAX_SAMPLE_RATE_HZ = 1_000_000
_BLOCK_FRAMES = 65_536
_MP3_SLACK_FRAMES = 4 * 1152
"""Frames that a decoder may drop from an MP3 whose header does not state its length."""


@dataclass(frozen=True, slots=True)
class SoundFileRecording:
    """An audio file whose container has been checked. Samples are decoded as they are read.

    `frames` is the length that the header states, or the decoded length if it states none. For
    an MP3 whose header does not state it, it may be too high by up to `slack_frames`.
    """

    path: Path
    sample_rate_hz: int
    frames: int
    slack_frames: int = 0

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate_hz

    def windows(self, window_s: float, hop_s: float) -> Iterator[tuple[float, Sound]]:
        """Yield (start in seconds, sound) for windows of `window_s`, every `hop_s`.

        The sound is mono (channels averaged) at the file's sample rate. Nothing is decoded
        twice, and only one window is in memory. The last window may be shorter; it is omitted
        if it lies entirely inside its predecessor. Raises `ReadError` if the stream is
        truncated, cannot be decoded, or contains samples that are not numbers; the windows
        yielded before are then invalid.
        """
        window = round(window_s * self.sample_rate_hz)
        hop = round(hop_s * self.sample_rate_hz)
        if window < 1 or hop < 1:
            raise ValueError(f"window_s {window_s} and hop_s {hop_s} must each contain a sample")
        buffer = np.empty(0, dtype=np.float32)
        buffer_start, next_start, covered_to = 0, 0, 0
        for block in self._blocks():
            buffer = np.concatenate((buffer, block))
            while buffer_start + len(buffer) >= next_start + window:
                offset = next_start - buffer_start
                yield self._window(buffer[offset : offset + window], next_start)
                covered_to, next_start = next_start + window, next_start + hop
            drop = min(next_start - buffer_start, len(buffer))
            buffer, buffer_start = buffer[drop:], buffer_start + drop
        end = buffer_start + len(buffer)
        while covered_to < end and next_start < end:
            offset = next_start - buffer_start
            yield self._window(buffer[offset : offset + window], next_start)
            covered_to, next_start = next_start + window, next_start + hop

    def _window(self, samples: NDArray[np.float32], start: int) -> tuple[float, Sound]:
        return start / self.sample_rate_hz, Sound(samples.copy(), self.sample_rate_hz)

    def _blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield mono float32 [n] in -1..1. Raises `ReadError` if samples are missing."""
        decoded = 0
        with _decoder(self.path) as sound:
            # Bounds the block size for any number of channels.
            block_frames = max(1, _BLOCK_FRAMES // sound.channels)
            while decoded < self.frames:
                frames = min(block_frames, self.frames - decoded)
                block = sound.read(frames, dtype="float32", always_2d=True)
                if not len(block):
                    break
                mono = block.mean(axis=1, dtype=np.float32) if block.shape[1] > 1 else block[:, 0]
                if not np.isfinite(mono).all():
                    bad = decoded + int(np.flatnonzero(~np.isfinite(mono))[0])
                    raise ReadError(
                        f"a sample is not a number, at {bad / self.sample_rate_hz:.3f} s"
                    )
                decoded += len(mono)
                yield np.clip(mono, -1.0, 1.0)
        if decoded < max(1, self.frames - self.slack_frames):
            raise ReadError(
                f"truncated after {decoded / self.sample_rate_hz:.3f} s of the "
                f"{self.duration_s:.3f} s that its header states"
            )


def read_sound(path: Path, limits: Limits, *, media_type: str) -> Reading:
    """Open an audio file and check that it is complete.

    The title, `artist` and `album` come from its tags. Raises `ReadError`.
    """
    with opened(path) as stream:
        chained_frames = check_end(stream)
    with _decoder(path) as sound:
        sample_rate_hz, frames = int(sound.samplerate), int(sound.frames)
        if not 0 < sample_rate_hz <= MAX_SAMPLE_RATE_HZ:
            raise ReadError(f"unsupported sample rate of {sample_rate_hz:,} Hz")
        if frames >= 2**62:  # libsndfile's value for an unknown length
            frames = _decoded_frames(sound)
        slack_frames = 0
        if chained_frames is not None:
            slack_frames = _MP3_SLACK_FRAMES
            if frames < chained_frames - slack_frames:
                # libsndfile estimates the length from the first frame's bit rate, and stops there.
                raise ReadError(
                    "an MP3 of variable bit rate whose header does not state its length; "
                    "libsndfile cannot read it completely, so encode it again"
                )
            frames = min(frames, chained_frames)
        tags = {key: " ".join(value.split()) for key, value in sound.copy_metadata().items()}
    if frames < 1:
        raise ReadError("contains no audio: zero samples")
    metadata: Metadata = {key: tags[key] for key in ("artist", "album") if tags.get(key)}
    recording = SoundFileRecording(path, sample_rate_hz, frames, slack_frames)
    return Reading(media_type, tags.get("title") or stem_title(path), (recording,), metadata)


@contextmanager
def _decoder(path: Path) -> Iterator[SoundFile]:
    """Open an audio file. Errors of libsndfile in the `with` block become `ReadError`."""
    import soundfile

    try:
        # By descriptor, because libsndfile does not accept names that are not UTF-8. Closed
        # here, so that a failed open does not close it twice.
        with (
            opened(path) as stream,
            soundfile.SoundFile(stream.fileno(), closefd=False) as sound,
        ):
            yield sound
    except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(getattr(error, "error_string", error)).split()).rstrip(".")
        raise ReadError(f"the audio cannot be decoded: {reason or 'damaged data'}") from error


def _decoded_frames(sound: SoundFile) -> int:
    """Return the number of frames of a stream by decoding it."""
    frames = 0
    while count := len(sound.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
        frames += count
    return frames


FORMATS = tuple(
    Format(kind, "audio", name, suffixes, partial(read_sound, media_type=kind), matches)
    for kind, name, suffixes, matches in (
        ("audio/wav", "WAV audio", frozenset({".wav", ".wave"}), is_wav),
        ("audio/flac", "FLAC audio", frozenset({".flac"}), lambda h: h[:4] == b"fLaC"),
        ("audio/ogg", "Ogg audio", frozenset({".ogg", ".oga", ".opus"}), is_ogg_sound),
        ("audio/mpeg", "MP3 audio", frozenset({".mp3"}), is_mp3),
    )
)
