"""Transcripts of recordings by Whisper models (the extra `speech`)."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from trawl.errors import ReadError, SettingsError
from trawl.types import Part, Passages, Picture, Reading, Recording, Sound

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

PageProgress: TypeAlias = Callable[[int], None]

_RATE_HZ = 16_000
_PIECE_S = 300.0
"""Seconds that are transcribed at a time, which bounds the memory."""
_SEARCH_S = 30.0
"""Seconds before the end of a piece where a pause is looked for."""
_PASSAGE_S = 20.0
"""A passage ends with the first sentence that ends after this."""
_NO_SPEECH = 0.6
"""Probability of no speech from which a segment is left out, unless Whisper is sure of it."""
_SURE = -1.0
"""Mean logarithm of the probabilities of a segment's tokens that counts as sure."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech, in seconds from the start of the recording."""

    start_s: float
    end_s: float
    text: str


def check_speech_model(model: str) -> None:
    """Raise `SettingsError` if the extra is not installed, or if a folder does not exist."""
    if importlib.util.find_spec("faster_whisper") is None:
        raise SettingsError(
            "speech_model needs faster-whisper; "
            "install it with: pip install 'trawl-multimodal[speech]'"
        )
    if os.sep in model and not Path(model).is_dir():
        raise SettingsError(f"speech_model: there is no folder {model}")


def with_transcript(reading: Reading, model: str, progress: PageProgress) -> Reading:
    """Add the transcripts of a reading's recordings behind its parts."""
    if isinstance(reading.parts, Sequence) and not any(map(_is_recording, reading.parts)):
        return reading

    def parts() -> Iterator[Part]:
        recordings = []
        for part in reading.parts:
            if _is_recording(part):
                recordings.append(cast("Recording", part))
            yield part
        for recording in recordings:
            yield from transcript(recording, model, progress)

    return replace(reading, parts=parts())


def _is_recording(part: Part) -> bool:
    return not isinstance(part, (Passages, Picture))


def transcript(recording: Recording, model: str, progress: PageProgress) -> Iterator[Passages]:
    """Yield the speech of a recording as passages of about 20 seconds, in order.

    `model` is a folder or the name of a Whisper model. `progress` is called with the number of
    segments. Raises `ReadError` if the recording is damaged, or if the model cannot be loaded.
    """
    start_char = 0
    waiting: list[Segment] = []
    for number, segment in enumerate(_segments(recording, _load(model)), start=1):
        progress(number)
        waiting.append(segment)
        ends = segment.text.endswith((".", "!", "?", "。", "！", "？"))
        if segment.end_s - waiting[0].start_s >= (_PASSAGE_S if ends else 1.5 * _PASSAGE_S):
            passage = _passage(waiting, start_char)
            yield passage
            start_char += len(passage.text) + 1
            waiting = []
    if waiting:
        yield _passage(waiting, start_char)


def _passage(segments: list[Segment], start_char: int) -> Passages:
    return Passages(
        " ".join(segment.text for segment in segments),
        start_char,
        span_s=(round(segments[0].start_s, 2), round(segments[-1].end_s, 2)),
    )


def _segments(recording: Recording, model: WhisperModel) -> Iterator[Segment]:
    language: str | None = None
    for begin_s, samples in _pieces(recording):
        found, info = model.transcribe(
            samples, language=language, vad_filter=True, condition_on_previous_text=False
        )
        language = language or info.language
        for segment in found:
            text = " ".join(segment.text.split())
            doubtful = segment.no_speech_prob > _NO_SPEECH and segment.avg_logprob < _SURE
            if text and not doubtful:
                yield Segment(begin_s + segment.start, begin_s + segment.end, text)


def _pieces(recording: Recording) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """Yield (start in seconds, float32 [T] at 16 kHz) of pieces that end where it is quiet."""
    begin_s = 0.0
    rest = np.empty(0, np.float32)
    for _, sound in recording.windows(_PIECE_S, _PIECE_S):
        rest = np.concatenate((rest, _resampled(sound)))
        if len(rest) < _PIECE_S * _RATE_HZ:
            continue
        cut = _quietest(rest)
        yield begin_s, rest[:cut]
        begin_s, rest = begin_s + cut / _RATE_HZ, rest[cut:]
    if len(rest):
        yield begin_s, rest


def _quietest(samples: NDArray[np.float32]) -> int:
    """Return the middle of the quietest third of a second near the end of some samples."""
    step = _RATE_HZ // 3
    tail = samples[-round(_SEARCH_S * _RATE_HZ) :]
    steps = tail[: len(tail) // step * step].reshape(-1, step)
    quiet = int(np.square(steps).mean(axis=1).argmin())
    return len(samples) - len(tail) + quiet * step + step // 2


def _resampled(sound: Sound) -> NDArray[np.float32]:
    import soxr

    if sound.sample_rate_hz == _RATE_HZ:
        return sound.samples
    samples = soxr.resample(sound.samples, sound.sample_rate_hz, _RATE_HZ)
    return np.asarray(samples, np.float32)


@cache
def _load(model: str) -> WhisperModel:
    from faster_whisper import WhisperModel

    try:
        return WhisperModel(model, device="cpu", compute_type="int8")
    except (ValueError, RuntimeError, OSError) as error:
        raise ReadError(
            f"speech_model: the Whisper model {model} cannot be loaded: "
            f"{' '.join(str(error).split())[:300]}"
        ) from error
