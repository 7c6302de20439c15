"""Sounds: WAV, FLAC, Ogg (Vorbis, Opus) and MP3, streamed through libsndfile.

Half a file is never taken for the whole. What tells depends on the format: WAV states the size of
its data, FLAC and MP3 (Xing) the number of frames, and an Ogg stream marks its last page.
A frame here is one sample of every channel.
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
"""What a decoder may keep back of an MP3 whose header does not state its length."""


@dataclass(frozen=True, slots=True)
class SoundFileRecording:
    """A sound file that was found sound at its edges; its samples are decoded as they are read.

    `frames` is what the header promises (or, where it promises nothing, what decodes); it is
    a guess, too high by at most `slack_frames`, for an MP3 whose header does not state it.
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
        """Give (start in seconds, sound) for windows of `window_s`, each `hop_s` after the last.

        The sound is mono (channels averaged), at the file's own rate. Nothing is decoded twice,
        and only one window is held. The last window may be shorter; one that would lie wholly
        inside its predecessor is not given. `ReadError` where the stream breaks off, does not
        decode, or holds samples that are no numbers: the windows given before it do not count.
        """
        window = round(window_s * self.sample_rate_hz)
        hop = round(hop_s * self.sample_rate_hz)
        if window < 1 or hop < 1:
            raise ValueError(f"window_s {window_s} and hop_s {hop_s} must each hold a sample")
        held = np.empty(0, dtype=np.float32)
        held_start, next_start, given_to = 0, 0, 0
        for block in self._blocks():
            held = np.concatenate((held, block))
            while held_start + len(held) >= next_start + window:
                offset = next_start - held_start
                yield self._window(held[offset : offset + window], next_start)
                given_to, next_start = next_start + window, next_start + hop
            drop = min(next_start - held_start, len(held))
            held, held_start = held[drop:], held_start + drop
        end = held_start + len(held)
        while given_to < end and next_start < end:
            offset = next_start - held_start
            yield self._window(held[offset : offset + window], next_start)
            given_to, next_start = next_start + window, next_start + hop

    def _window(self, samples: NDArray[np.float32], start: int) -> tuple[float, Sound]:
        return start / self.sample_rate_hz, Sound(samples.copy(), self.sample_rate_hz)

    def _blocks(self) -> Iterator[NDArray[np.float32]]:
        """Give the samples as mono float32 [n] in -1..1; `ReadError` unless all of them come."""
        got = 0
        with _decoder(self.path) as sound:
            # A block of bounded size, however many channels there are.
            frames = max(1, _BLOCK_FRAMES // sound.channels)
            while got < self.frames:
                block = sound.read(min(frames, self.frames - got), dtype="float32", always_2d=True)
                if not len(block):
                    break
                mono = block.mean(axis=1, dtype=np.float32) if block.shape[1] > 1 else block[:, 0]
                if not np.isfinite(mono).all():
                    bad = got + int(np.flatnonzero(~np.isfinite(mono))[0])
                    raise ReadError(
                        f"a sample that is not a number, at {bad / self.sample_rate_hz:.3f} s"
                    )
                got += len(mono)
                yield np.clip(mono, -1.0, 1.0)
        if got < max(1, self.frames - self.slack_frames):
            raise ReadError(
                f"breaks off after {got / self.sample_rate_hz:.3f} s of the "
                f"{self.duration_s:.3f} s that its header promises"
            )


def read_sound(path: Path, limits: Limits, *, media_type: str) -> Reading:
    """Open a sound and check that its end is there. Tags give a title, `artist` and `album`."""
    with opened(path) as stream:
        chained_frames = check_end(stream)
    with _decoder(path) as sound:
        sample_rate_hz, frames = int(sound.samplerate), int(sound.frames)
        if not 0 < sample_rate_hz <= MAX_SAMPLE_RATE_HZ:
            raise ReadError(f"a sample rate of {sample_rate_hz:,} Hz")
        if frames >= 2**62:  # libsndfile's mark for a header that does not say
            frames = _count(sound)
        slack_frames = 0
        if chained_frames is not None:
            slack_frames = _MP3_SLACK_FRAMES
            if frames < chained_frames - slack_frames:
                # libsndfile guesses the length from the first frame's bit rate, and stops there.
                raise ReadError(
                    "an MP3 of variable bit rate without a header that states its length, which "
                    "libsndfile cannot read to its end; write it anew, with any encoder"
                )
            frames = min(frames, chained_frames)
        tags = {key: " ".join(value.split()) for key, value in sound.copy_metadata().items()}
    if frames < 1:
        raise ReadError("no sound in it: zero samples")
    metadata: Metadata = {key: tags[key] for key in ("artist", "album") if tags.get(key)}
    recording = SoundFileRecording(path, sample_rate_hz, frames, slack_frames)
    return Reading(media_type, tags.get("title") or stem_title(path), (recording,), metadata)


@contextmanager
def _decoder(path: Path) -> Iterator[SoundFile]:
    """Open a sound; whatever libsndfile objects to inside becomes a `ReadError`."""
    import soundfile

    try:
        # By descriptor, because a name that is not UTF-8 cannot be handed to libsndfile; this
        # side closes it, so that a failed open cannot close it twice.
        with (
            opened(path) as stream,
            soundfile.SoundFile(stream.fileno(), closefd=False) as sound,
        ):
            yield sound
    except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError) as error:
        said = " ".join(str(getattr(error, "error_string", error)).split()).rstrip(".")
        raise ReadError(f"a sound that does not decode: {said or 'damaged data'}") from error


def _count(sound: SoundFile) -> int:
    """Count the frames of a stream whose header does not state them, by decoding it."""
    frames = 0
    while count := len(sound.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
        frames += count
    return frames


FORMATS = tuple(
    Format(kind, "audio", name, suffixes, partial(read_sound, media_type=kind), matches)
    for kind, name, suffixes, matches in (
        ("audio/wav", "a WAV sound", frozenset({".wav", ".wave"}), is_wav),
        ("audio/flac", "a FLAC sound", frozenset({".flac"}), lambda h: h[:4] == b"fLaC"),
        ("audio/ogg", "an Ogg sound", frozenset({".ogg", ".oga", ".opus"}), is_ogg_sound),
        ("audio/mpeg", "an MP3 sound", frozenset({".mp3"}), is_mp3),
    )
)
