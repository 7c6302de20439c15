"""Audio files: WAV, FLAC, Ogg (Vorbis, Opus) and MP3, streamed with libsndfile.

Truncated files are rejected: WAV states the size of its data, FLAC and MP3 (Xing) the number of
frames, and an Ogg stream marks its last page. A frame is one sample of every channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trawl.errors import ReadError
from trawl.readers.containers import Stream, find_streams, is_mp3, is_ogg_sound, is_wav
from trawl.readers.formats import Format, Limits, opened, stem_title
from trawl.readers.spliced import Spliced
from trawl.readers.tags import sound_tags
from trawl.types import Reading, Sound

if TYPE_CHECKING:
    from soundfile import SoundFile

MAX_SAMPLE_RATE_HZ = 1_000_000
_BLOCK_FRAMES = 65_536
_MP3_SLACK_FRAMES = 4 * 1152
"""Frames that a decoder may drop from an MP3 whose header does not state its length."""
_CANCELLED = 0.01
"""Share of the channels' power below which their mean is not a mix but a cancellation."""


@dataclass(frozen=True, slots=True)
class SoundFileRecording:
    """An audio file whose container has been checked. Samples are decoded as they are read.

    `frames` is the length that the header states, or the decoded length if it states none. For
    an MP3 whose header does not state it, it may be too high by up to `slack_frames`. Samples are
    multiplied by `gain`.
    """

    path: Path
    sample_rate_hz: int
    frames: int
    slack_frames: int = 0
    streams: tuple[Stream, ...] = (Stream(),)
    gain: float = 1.0

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

    def _decoded(self, stream: Stream) -> Iterator[NDArray[np.float32]]:
        return _decoded_blocks(self.path, stream)

    def _blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield mono float32 [n] in -1..1. Raises `ReadError` if samples are missing."""
        decoded = 0
        for stream in self.streams:
            for block in self._decoded(stream):
                mono = mixed_down(block[: self.frames - decoded])
                if not np.isfinite(mono).all():
                    bad = decoded + int(np.flatnonzero(~np.isfinite(mono))[0])
                    raise ReadError(
                        f"a sample is not a number, at {bad / self.sample_rate_hz:.3f} s"
                    )
                decoded += len(mono)
                if len(mono):
                    yield np.clip(mono * np.float32(self.gain), -1.0, 1.0)
        if decoded < max(1, self.frames - self.slack_frames):
            raise ReadError(
                f"truncated after {decoded / self.sample_rate_hz:.3f} s of the "
                f"{self.duration_s:.3f} s that its header states"
            )


def read_sound(path: Path, limits: Limits, *, media_type: str) -> Reading:
    """Open an audio file and check that it is complete.

    A file that consists of several streams is read as one recording. The title and
    the metadata come from its tags. Raises `ReadError`.
    """
    with opened(path) as stream:
        streams, notices = find_streams(stream)
    lengths: list[int] = []
    rates_hz: list[int] = []
    for part in streams:
        with _decoder(path, part) as sound:
            rates_hz.append(int(sound.samplerate))
            frames = int(sound.frames)
            if frames >= 2**62:  # libsndfile's value for an unknown length
                frames = _decoded_frames(sound)
            lengths.append(frames if part.frames is None else min(frames, part.frames))
    sample_rate_hz, frames = rates_hz[0], sum(lengths)
    if not 0 < sample_rate_hz <= MAX_SAMPLE_RATE_HZ:
        raise ReadError(f"unsupported sample rate of {sample_rate_hz:,} Hz")
    if len(set(rates_hz)) > 1:
        listed = ", ".join(f"{rate:,}" for rate in dict.fromkeys(rates_hz))
        raise ReadError(f"consists of recordings at different rates ({listed} Hz); split the file")
    if frames < 1:
        raise ReadError("contains no audio: zero samples")
    gain, silent = _levels(path, streams)
    if silent:
        notices = (*notices, "the recording is silent")
    title, metadata, doubts = sound_tags(path)
    slack_frames = _MP3_SLACK_FRAMES * sum(part.frames is not None for part in streams)
    recording = SoundFileRecording(path, sample_rate_hz, frames, slack_frames, tuple(streams), gain)
    return Reading(
        media_type, title or stem_title(path), (recording,), metadata, (*notices, *doubts)
    )


def _levels(path: Path, streams: Sequence[Stream]) -> tuple[float, bool]:
    """Return the gain that brings floating-point samples into -1..1, and whether all are equal.

    Formats of integers need no gain, and those of a codec exceed 1 only by its error; for them,
    decoding stops at the first sample that differs.
    """
    peak, first, silent = 0.0, None, True
    for stream in streams:
        with _decoder(path, stream) as sound:
            floating = sound.subtype in {"FLOAT", "DOUBLE"}
        for block in _decoded_blocks(path, stream):
            if first is None:
                first = block[0, 0]
            silent = silent and bool((block == first).all())
            if not silent and not floating:
                break
            finite = np.abs(block[np.isfinite(block)])
            peak = max(peak, float(finite.max(initial=0))) if floating else peak
    return (1 / peak if peak > 1 else 1.0), silent


def sound_blocks(path: Path) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield (sample rate, mono samples, float32 [n]) up to the end. Raises `ReadError`."""
    with opened(path) as file:
        streams, _ = find_streams(file)
    for stream in streams:
        with _decoder(path, stream) as sound:
            rate_hz = int(sound.samplerate)
        for block in _decoded_blocks(path, stream):
            yield rate_hz, mixed_down(block)


def mixed_down(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mix float32 [n, channels] down to [n].

    The mean of the channels, or a loud channel if they cancel each other (one is inverted).
    """
    if block.shape[1] == 1 or not len(block):
        return block[:, 0]
    mean: NDArray[np.float32] = block.mean(axis=1, dtype=np.float32)
    powers = np.square(block, dtype=np.float64).mean(axis=0)
    if np.square(mean, dtype=np.float64).mean() < _CANCELLED * powers.mean():
        # The first of the loud ones, so that neighbouring blocks use the same channel.
        mean = block[:, int(np.argmax(powers >= powers.max() / 2))]
    return mean


def _decoded_blocks(path: Path, stream: Stream) -> Iterator[NDArray[np.float32]]:
    """Yield float32 [n, channels] up to the end. The size is bounded for any number of channels."""
    with _decoder(path, stream) as sound:
        count = max(1, _BLOCK_FRAMES // sound.channels)
        while len(block := sound.read(count, dtype="float32", always_2d=True)):
            yield block


@contextmanager
def _decoder(path: Path, part: Stream) -> Iterator[SoundFile]:
    """Open a stream of a file. Errors of libsndfile in the `with` block become `ReadError`."""
    import soundfile

    try:
        # By descriptor, because libsndfile does not accept names that are not UTF-8. Closed
        # here, so that a failed open does not close it twice.
        with opened(path) as stream:
            pieces = part.pieces
            source = stream.fileno() if pieces is None else Spliced(stream, pieces)
            with soundfile.SoundFile(source, closefd=False) as sound:
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
