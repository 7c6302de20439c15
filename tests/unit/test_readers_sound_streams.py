"""Audio reader: channels, levels, files with harmless damage and files of several streams."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from trawl.errors import ReadError
from trawl.readers import media_type_of, read
from trawl.readers.containers import is_mp3
from trawl.readers.mpeg import frame_bytes
from trawl.types import Reading

RATE_HZ = 44_100
CONTAINERS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
ID3 = b"ID3\3\0\0\0\0\x10\x10" + bytes(2064)


def tone(hz: float = 880, seconds: float = 3) -> NDArray[np.float32]:
    at_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (0.5 * np.sin(2 * np.pi * hz * at_s)).astype(np.float32)


def encoded(folder: Path, suffix: str, samples: NDArray[np.float32], rate: int = RATE_HZ) -> bytes:
    path = folder / f"encoded.{suffix}"
    container, subtype = CONTAINERS[suffix]
    soundfile.write(path, samples, rate, format=container, subtype=subtype)
    return path.read_bytes()


def bare_mp3(folder: Path, samples: NDArray[np.float32]) -> bytes:
    """Return an MP3 without a header frame that states its length."""
    data = encoded(folder, "mp3", samples)
    return data[frame_bytes(data[:4]) :]


def reading(path: Path) -> Reading:
    media_type = media_type_of(path)
    assert media_type is not None
    return read(path, media_type)


def samples_of(path: Path) -> NDArray[np.float32]:
    (recording,) = reading(path).parts
    ((start_s, sound),) = recording.windows(60, 60)  # type: ignore[union-attr]
    assert start_s == 0
    assert sound.sample_rate_hz == RATE_HZ
    assert abs(recording.duration_s - sound.duration_s) < 0.11  # type: ignore[union-attr]
    return sound.samples


def pitch_hz(samples: NDArray[np.float32]) -> float:
    power = np.abs(np.fft.rfft(samples))
    return float(power.argmax() * RATE_HZ / len(samples))


def assert_tone(path: Path, seconds: float = 3) -> None:
    found = samples_of(path)
    assert abs(len(found) / RATE_HZ - seconds) < 0.11
    assert abs(pitch_hz(found) - 880) < 2
    assert 0.3 < np.sqrt(np.square(found).mean()) < 0.4


# --- channels and levels -------------------------------------------------------------


@pytest.mark.parametrize("quiet", [1.0, 0.01])
def test_an_inverted_channel_is_not_silence(tmp_path: Path, quiet: float) -> None:
    wave = tone() * quiet
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([wave, -wave], 1), RATE_HZ, subtype="FLOAT")
    np.testing.assert_allclose(samples_of(path), wave, atol=1e-6)


def test_other_channels_are_averaged(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    for left, right in ((tone(), 0 * tone()), (tone(), -0.5 * tone()), (tone(440), tone(700))):
        soundfile.write(path, np.stack([left, right], 1), RATE_HZ, subtype="FLOAT")
        np.testing.assert_allclose(samples_of(path), (left + right) / 2, atol=1e-6)


@pytest.mark.parametrize("level", [0.0, 0.25])
def test_a_silent_recording_has_a_notice(tmp_path: Path, level: float) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.full(RATE_HZ, level, np.float32), RATE_HZ)
    assert reading(path).notices == ("the recording is silent",)
    soundfile.write(path, np.append(np.full(RATE_HZ * 3, level), 0.5), RATE_HZ)
    assert reading(path).notices == ()


# --- WAV headers ---------------------------------------------------------------------


def with_data_size(data: bytes, size: int) -> bytes:
    at = data.index(b"data") + 4
    return data[:at] + struct.pack("<I", size) + data[at + 4 :]


@pytest.mark.parametrize(
    "size",
    [0, 0x7FFFFFDB, 0x7FFFFFFF, 0x7FFFF000, 0x80000000, 0x80000024, 0xFFFFFFDB, 0xFFFFFFFF],
)
def test_a_wav_whose_writer_did_not_know_its_size(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(with_data_size(encoded(tmp_path, "wav", tone()), size))
    assert_tone(path)
    assert len(samples_of(path)) == 3 * RATE_HZ


@pytest.mark.parametrize("size", [0x00FFFFFF, 0x60000000, 0x90000000])
def test_a_wav_with_less_than_its_size_is_truncated(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(with_data_size(encoded(tmp_path, "wav", tone()), size))
    with pytest.raises(ReadError, match="truncated"):
        reading(path)


def test_a_wav_of_zero_samples_with_a_comment_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    data = encoded(tmp_path, "wav", tone()[:0])
    path.write_bytes(data + b"LIST" + struct.pack("<I", 12) + b"INFOICMT" + bytes(4))
    with pytest.raises(ReadError, match="zero samples"):
        reading(path)


def test_mp3_in_a_wav(tmp_path: Path) -> None:
    mp3 = bare_mp3(tmp_path, tone())
    fmt = struct.pack("<HHIIHHHHIHHH", 0x55, 1, RATE_HZ, 16_000, 1, 0, 12, 1, 2, 418, 1, 1393)
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt
    body += b"data" + struct.pack("<I", len(mp3)) + mp3
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert_tone(path)


# --- tags and junk -------------------------------------------------------------------


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b""),
        (bytes(1000), b""),
        (b"a" * 300, b""),
        (b"\xff\xfb" * 500, b""),
        (b"\xff\x00" * 20_000, b""),
        (ID3, b""),
        (ID3 + ID3, b""),
        (b"ID3\3\0\0\0\0\0\x64" + bytes(3100), b""),
        (b"", b"TAG" + bytes(125)),
        (b"", b"LYRICSBEGININD00002000000000LYRICS200TAG" + bytes(125)),
        (b"", b"APETAGEX" + bytes(300)),
        (b"", bytes(200_000)),
    ],
)
def test_an_mp3_with_something_around_it(
    tmp_path: Path, bare: bool, before: bytes, after: bytes
) -> None:
    data = (bare_mp3 if bare else lambda f, s: encoded(f, "mp3", s))(tmp_path, tone())
    path = tmp_path / "a.mp3"
    path.write_bytes(before + data + after)
    assert media_type_of(path) == "audio/mpeg"
    assert_tone(path)


def test_an_mp3_cut_out_of_a_broadcast(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(bare_mp3(tmp_path, tone())[333:-111])
    assert_tone(path)
    (notice,) = reading(path).notices
    assert notice.startswith("the last frame is incomplete; its ")


def test_junk_between_the_frames_of_an_mp3(tmp_path: Path) -> None:
    data = bare_mp3(tmp_path, tone())
    middle = next(at for at in range(len(data) // 2, len(data)) if is_mp3(data[at : at + 4096]))
    path = tmp_path / "a.mp3"
    path.write_bytes(data[:middle] + b"\xff\xf3junk" * 5_000 + data[middle:])
    assert_tone(path)


def test_the_number_of_gaps_in_an_mp3_is_bounded(tmp_path: Path) -> None:
    data = bare_mp3(tmp_path, tone())
    frames = data[: 3 * frame_bytes(data[:4])]
    path = tmp_path / "a.mp3"
    path.write_bytes((frames + b"ID3 junk") * 1_100)
    with pytest.raises(ReadError, match="more than 1,000 gaps"):
        reading(path)


def test_tags_in_front_of_flac_and_ogg_and_padding_behind(tmp_path: Path) -> None:
    for suffix, media_type in (("flac", "audio/flac"), ("ogg", "audio/ogg"), ("wav", "audio/wav")):
        path = tmp_path / f"a.{suffix}"
        data = encoded(tmp_path, suffix, tone())
        for before in (b"", ID3, ID3 + bytes(0)):
            path.write_bytes(before + data + bytes(200_000))
            assert media_type_of(path) == media_type
            assert_tone(path)


# ISO/IEC 11172-3, 2.4.3.1: 144 x bit rate / sample rate; for layer I, 12 x that ratio x 4.
@pytest.mark.parametrize(
    ("head", "length"),
    [
        ("fffda000", 626),  # layer II, 192 kbit/s, 44.1 kHz
        ("fffda200", 627),  # with padding
        ("ffff9400", 288),  # layer I, 288 kbit/s, 48 kHz
        ("fffb9000", 417),  # layer III, 128 kbit/s, 44.1 kHz
        ("fff39000", 261),  # MPEG-2, 80 kbit/s, 22.05 kHz
        ("fff58000", 417),  # MPEG-2 layer II, 64 kbit/s, 22.05 kHz
        ("fffbf000", 0),  # no such bit rate
        ("fffb0000", 0),  # a free format
        ("fff99000", 0),  # no such layer
        ("ffeb9000", 0),  # no such version
    ],
)
def test_lengths_of_mpeg_frames(head: str, length: int) -> None:
    assert frame_bytes(bytes.fromhex(head)) == length


# --- several streams -----------------------------------------------------------------


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_files_joined_by_concatenation_are_read_completely(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    parts = [encoded(tmp_path, suffix, tone(hz, 2)) for hz in (440, 880, 1320)]
    path.write_bytes(b"".join(parts))
    found = samples_of(path)
    assert abs(len(found) / RATE_HZ - 6) < 0.2
    for number, hz in enumerate((440, 880, 1320)):
        middle = found[round((2 * number + 0.5) * RATE_HZ) :][:RATE_HZ]
        assert abs(pitch_hz(middle) - hz) < 3


def test_mp3s_with_and_without_headers_joined(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    whole, bare = encoded(tmp_path, "mp3", tone()), bare_mp3(tmp_path, tone())
    for joined in (whole + bare, bare + whole, bare + bare, whole + ID3 + bare):
        path.write_bytes(joined)
        assert_tone(path, 6)


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_streams_at_different_rates_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    first = encoded(tmp_path, suffix, tone())
    path.write_bytes(first + encoded(tmp_path, suffix, tone(), 22_050))
    with pytest.raises(ReadError, match=r"at different rates \(44,100, 22,050 Hz\)"):
        reading(path)


@pytest.mark.parametrize("suffix", ["wav", "ogg"])
def test_a_truncated_last_stream_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    data = encoded(tmp_path, suffix, tone())
    path.write_bytes(data + data[:-100])
    with pytest.raises(ReadError, match="truncated"):
        reading(path)
