"""Audio reader: windows, truncated files and tags."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from trawl.errors import ReadError
from trawl.readers import media_type_of, read
from trawl.readers.containers import is_mp3
from trawl.types import Sound

RATE_HZ = 16_000
FORMATS = {
    "wav": ("audio/wav", "WAV", "PCM_16"),
    "flac": ("audio/flac", "FLAC", "PCM_16"),
    "ogg": ("audio/ogg", "OGG", "VORBIS"),
    "opus": ("audio/ogg", "OGG", "OPUS"),
    "mp3": ("audio/mpeg", "MP3", "MPEG_LAYER_III"),
}


def tone(seconds: float, channels: int = 1) -> NDArray[np.float32]:
    rng = np.random.default_rng(3)
    at_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    wave = 0.4 * np.sin(2 * np.pi * 440 * at_s) + 0.02 * rng.standard_normal(len(at_s))
    return np.repeat(wave.astype(np.float32)[:, None], channels, axis=1)


def saved(path: Path, samples: NDArray[np.float32], rate_hz: int = RATE_HZ) -> Path:
    _, container, subtype = FORMATS[path.suffix[1:]]
    soundfile.write(path, samples, rate_hz, format=container, subtype=subtype)
    return path


def windows(path: Path, window_s: float = 10, hop_s: float = 5) -> list[tuple[float, Sound]]:
    media_type = media_type_of(path)
    assert media_type is not None
    (recording,) = read(path, media_type).parts
    return list(recording.windows(window_s, hop_s))  # type: ignore[union-attr]


@pytest.mark.parametrize("suffix", FORMATS)
def test_each_format_is_decoded(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path / f"a.{suffix}", tone(3, channels=2))
    assert media_type_of(path) == FORMATS[suffix][0]
    found = windows(path, 2, 1)
    assert [start_s for start_s, _ in found] == [0, 1]
    whole, rate_hz = soundfile.read(path, dtype="float32")
    for start_s, sound in found:
        assert sound.sample_rate_hz == rate_hz == RATE_HZ
        assert sound.samples.dtype == np.float32
        first = round(start_s * rate_hz)
        mono = whole.mean(axis=1)[first : first + 2 * rate_hz]
        np.testing.assert_allclose(sound.samples, mono, atol=1e-6)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (4.0, [(0, 4)]),
        (10.0, [(0, 10)]),
        (10.5, [(0, 10), (5, 5.5)]),
        (15.0, [(0, 10), (5, 10)]),
        (27.0, [(0, 10), (5, 10), (10, 10), (15, 10), (20, 7)]),
    ],
)
def test_windows_cover_the_sound_without_a_redundant_tail(
    tmp_path: Path, seconds: float, expected: list[tuple[float, float]]
) -> None:
    samples = tone(seconds)
    found = windows(saved(tmp_path / "a.wav", samples))
    assert [(start_s, sound.duration_s) for start_s, sound in found] == expected
    joined = np.concatenate(
        [s.samples[: 5 * RATE_HZ] for _, s in found[:-1]] + [found[-1][1].samples]
    )
    np.testing.assert_allclose(joined, samples[:, 0], atol=1e-4)


def test_windows_may_leave_gaps(tmp_path: Path) -> None:
    found = windows(saved(tmp_path / "a.wav", tone(10)), window_s=1, hop_s=4)
    assert [(start_s, sound.duration_s) for start_s, sound in found] == [(0, 1), (4, 1), (8, 1)]


def test_an_empty_window_is_rejected(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.wav", tone(1))
    with pytest.raises(ValueError, match="hop_s"):
        windows(path, 1, 0)


def test_a_recording_can_be_read_twice_and_has_a_duration(tmp_path: Path) -> None:
    (recording,) = read(saved(tmp_path / "a.flac", tone(12)), "audio/flac").parts
    assert recording.duration_s == 12  # type: ignore[union-attr]
    first, second = (
        [s.samples for _, s in recording.windows(10, 5)]  # type: ignore[union-attr]
        for _ in range(2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_long_sound_is_read_in_constant_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = saved(tmp_path / "a.wav", np.zeros((RATE_HZ * 1200, 1), dtype=np.float32))
    (recording,) = read(path, "audio/wav").parts
    tracemalloc.start()
    count = sum(1 for _ in recording.windows(10, 5))  # type: ignore[union-attr]
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 239
    assert peak_bytes < 8_000_000  # the whole sound takes 77 MB


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0.4, 0.9, 0.995])
def test_a_truncated_sound_is_rejected(tmp_path: Path, suffix: str, share: float) -> None:
    data = saved(tmp_path / f"whole.{suffix}", tone(20)).read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ReadError, match=r"truncated|cannot be decoded"):
        windows(path)


def test_an_mp3_whose_header_states_no_length(tmp_path: Path) -> None:
    """Both a constant and a variable bit rate are read completely."""
    for mode in ("CONSTANT", "VARIABLE"):
        path = tmp_path / f"{mode}.mp3"
        samples = tone(8)
        samples[RATE_HZ * 4 :] = 0  # silence takes few bits
        with soundfile.SoundFile(
            path, "w", RATE_HZ, 1, format="MP3", bitrate_mode=mode, compression_level=0.3
        ) as sound:
            sound.write(samples)
        data = path.read_bytes()
        second = next(at for at in range(4, len(data)) if is_mp3(data[at : at + 4096]))
        path.write_bytes(data[second:] + b"TAG" + bytes(125))
        found = windows(path, 20, 10)
        assert len(found) == 1
        assert abs(found[0][1].duration_s - 8) < 0.2


def test_a_wav_from_a_pipe_without_a_size(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.wav", tone(2))
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = data[4:8] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert [(start, s.duration_s) for start, s in windows(path)] == [(0, 2)]


def test_an_empty_sound_is_rejected(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.wav", tone(0))
    with pytest.raises(ReadError, match="zero samples"):
        read(path, "audio/wav")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_numbers_are_rejected(tmp_path: Path, bad: float) -> None:
    samples = tone(2)
    samples[RATE_HZ] = bad
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, RATE_HZ, subtype="FLOAT")
    with pytest.raises(ReadError, match=r"not a number, at 1\.000 s"):
        windows(path)


@pytest.mark.parametrize("scale", [4, 32_767, 1e9])
def test_floating_point_samples_over_full_scale_keep_their_shape(
    tmp_path: Path, scale: float
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(3) * np.float32(scale), RATE_HZ, subtype="FLOAT")
    ((_, sound),) = windows(path)
    expected = tone(3)[:, 0] / np.abs(tone(3)).max()
    np.testing.assert_allclose(sound.samples, expected, atol=1e-5)


def test_noise_is_rejected(tmp_path: Path) -> None:
    for suffix, (media_type, _, _) in FORMATS.items():
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(np.random.default_rng(1).bytes(20_000))
        with pytest.raises(ReadError, match=r"cannot be decoded|truncated"):
            read(path, media_type)


def test_the_title_comes_from_tags(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    with soundfile.SoundFile(path, "w", RATE_HZ, 1, format="OGG", subtype="VORBIS") as sound:
        sound.title, sound.artist = "Rain on a  roof", "Nobody"
        sound.write(tone(1))
    found = read(path, "audio/ogg")
    assert found.title == "Rain on a roof"
    assert found.metadata == {"artist": "Nobody"}


def test_window_starts_are_exact(tmp_path: Path) -> None:
    """At 44.1 kHz with a hop of 1/3 s, starts are between samples."""
    ramp = np.linspace(-1, 1, 44_100 * 2, dtype=np.float32)[:, None]
    path = tmp_path / "a.wav"
    soundfile.write(path, ramp, 44_100, subtype="FLOAT")
    found = windows(path, 1, 1 / 3)
    for start_s, sound in found:
        assert sound.samples[0] == ramp[round(start_s * 44_100), 0]
    assert all(b[0] - a[0] == pytest.approx(1 / 3, abs=1e-4) for a, b in pairwise(found))
