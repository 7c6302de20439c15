"""HEIC pictures and M4A and AAC sounds, which need extras."""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from trawl.errors import ReadError
from trawl.readers import media_type_of, read
from trawl.types import Picture, Reading

RATE_HZ = 16_000


def reading(path: Path) -> Reading:
    media_type = media_type_of(path)
    assert media_type is not None
    return read(path, media_type)


def write_heic(path: Path, orientation: int = 1) -> None:
    image = Image.new("RGB", (200, 100), (220, 30, 30))
    image.paste((30, 40, 220), (100, 0, 200, 100))
    exif = Image.Exif()
    exif[0x0112], exif[0x0110] = orientation, "Phone 9"
    pillow_heif.from_pillow(image).save(path, exif=exif.tobytes(), quality=95)


def write_aac(path: Path, seconds: float = 3, scale: float = 0.5, **tags: str) -> None:
    wave = np.sin(2 * np.pi * 880 * np.arange(round(seconds * RATE_HZ)) / RATE_HZ) * scale
    stereo = np.stack([wave, -wave]).astype(np.float32)
    container = "adts" if path.suffix == ".aac" else "ipod"
    with path.open("wb") as file, av.open(file, "w", format=container) as out:
        out.metadata.update(tags)
        stream = out.add_stream("aac", rate=RATE_HZ, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(stereo), "fltp", "stereo")
        frame.sample_rate = RATE_HZ
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def test_heic(tmp_path: Path) -> None:
    for name in ("a.heic", "a.HEIF", "a.jpg"):
        write_heic(tmp_path / name)
        assert media_type_of(tmp_path / name) == "image/heic"
        found = reading(tmp_path / name)
        (part,) = found.parts
        assert isinstance(part, Picture)
        assert (part.width_px, part.height_px) == part.image.size == (200, 100)
        pixels = np.asarray(part.image, dtype=int)
        assert np.abs(pixels[50, 20] - (220, 30, 30)).max() < 12
        assert np.abs(pixels[50, 180] - (30, 40, 220)).max() < 12
        assert found.metadata == {"camera": "Phone 9"}
        assert found.notices == ()


def test_the_size_of_heic_is_limited(tmp_path: Path) -> None:
    write_heic(tmp_path / "a.heic")
    with pytest.raises(ReadError, match="200 x 100 pixels exceed"):
        read(tmp_path / "a.heic", "image/heic", max_pixels=100)


@pytest.mark.parametrize("suffix", ["m4a", "m4b", "aac"])
def test_m4a_and_aac(tmp_path: Path, suffix: str) -> None:
    """The channels are inverted, so that their mean is silence."""
    path = tmp_path / f"a.{suffix}"
    write_aac(path)
    found = reading(path)
    assert found.media_type == ("audio/aac" if suffix == "aac" else "audio/mp4")
    (recording,) = found.parts
    windows = list(recording.windows(2, 1))  # type: ignore[union-attr]
    assert [start_s for start_s, _ in windows][:2] == [0, 1]
    assert abs(recording.duration_s - 3) < 0.2  # type: ignore[union-attr]
    samples = windows[0][1].samples
    assert windows[0][1].sample_rate_hz == RATE_HZ
    assert 0.3 < np.sqrt(np.square(samples).mean()) < 0.4
    power = np.abs(np.fft.rfft(samples))
    assert abs(power.argmax() * RATE_HZ / len(samples) - 880) < 2
    assert found.notices == ()


def test_tags_of_m4a(tmp_path: Path) -> None:
    write_aac(tmp_path / "a.m4a", title="Rain  on a roof", artist="Nobody")
    found = reading(tmp_path / "a.m4a")
    assert (found.title, found.metadata) == ("Rain on a roof", {"artist": "Nobody"})


def test_silent_m4a(tmp_path: Path) -> None:
    write_aac(tmp_path / "a.m4a", scale=0)
    assert reading(tmp_path / "a.m4a").notices == ("the recording is silent",)


@pytest.mark.parametrize("share", [0.4, 0.9])
def test_a_truncated_m4a_is_refused(tmp_path: Path, share: float) -> None:
    write_aac(tmp_path / "a.m4a", 20)
    data = (tmp_path / "a.m4a").read_bytes()
    (tmp_path / "a.m4a").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ReadError, match=r"truncated|cannot be decoded"):
        reading(tmp_path / "a.m4a")


@pytest.mark.parametrize(
    ("module", "name", "extra"),
    [("av", "a.m4a", "video"), ("pillow_heif.as_plugin", "a.heic", "heic")],
)
def test_a_missing_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str, extra: str
) -> None:
    (write_heic if extra == "heic" else write_aac)(tmp_path / name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ReadError, match=rf"pip install 'trawl-multimodal\[{extra}\]'"):
        reading(tmp_path / name)
