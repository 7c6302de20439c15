"""Videos, which need an extra: shots, the sound track, containers, damaged files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw

from trawl.errors import ReadError
from trawl.readers import media_type_of, read
from trawl.readers.formats import Limits
from trawl.readers.videos import find_shots, read_video
from trawl.types import Part, Picture, Reading

RATE = 10
SCENES = ((200, 40, 40), (40, 160, 60), (40, 60, 190))


def scene(color: tuple[int, int, int], step: int, noise: np.random.Generator) -> Image.Image:
    """Draw a ball that rolls over a ground of one colour, with the noise of a camera."""
    image = Image.new("RGB", (160, 96), color)
    ImageDraw.Draw(image).ellipse((5 + 3 * step, 50, 25 + 3 * step, 70), "white")
    pixels = np.asarray(image, np.int16) + noise.integers(-8, 9, (96, 160, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def write_video(
    path: Path,
    *,
    codec: str = "libx264",
    seconds: int = 3,
    sound: str | None = "aac",
    keys: int = 250,
    turned: int = 0,
    **tags: str,
) -> None:
    """Write a video of three scenes of `seconds` each, whose sound rises with every scene."""
    noise = np.random.default_rng(1)
    with av.open(str(path), "w") as out:
        out.metadata.update(tags)
        stream = out.add_stream(codec, rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.codec_context.gop_size = keys
        if turned:
            stream.set_display_rotation(turned)
        track = out.add_stream(sound, rate=16_000) if sound else None
        for number in range(3 * seconds * RATE):
            picture = scene(SCENES[number // (seconds * RATE)], number % (seconds * RATE), noise)
            frame = av.VideoFrame.from_image(picture)
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if track is not None:
            times = np.arange(3 * seconds * 16_000) / 16_000
            wave = (0.4 * np.sin(2 * np.pi * 300 * (1 + times // seconds) * times)).astype("f4")
            step = track.codec_context.frame_size or 1024
            for at in range(0, len(wave), step):
                block = np.ascontiguousarray(wave[None, at : at + step])
                sounding = av.AudioFrame.from_ndarray(block, "fltp", "mono")
                sounding.sample_rate, sounding.pts = 16_000, at
                out.mux(track.encode(sounding))
            out.mux(track.encode(None))


def reading(path: Path) -> tuple[Reading, list[Part]]:
    media_type = media_type_of(path)
    assert media_type is not None
    found = read(path, media_type)
    return found, list(found.parts)


@pytest.mark.parametrize(
    ("name", "codec", "sound", "media_type"),
    [
        ("a.mp4", "libx264", "aac", "video/mp4"),
        ("a.mov", "libx264", "aac", "video/quicktime"),
        ("a.mkv", "mpeg4", "flac", "video/x-matroska"),
        ("a.webm", "libvpx", "libopus", "video/webm"),
        ("a.avi", "mpeg4", "mp2", "video/x-msvideo"),
    ],
)
def test_shots_and_sound_track(
    tmp_path: Path, name: str, codec: str, sound: str, media_type: str
) -> None:
    if sound in {"libopus", "mp2"}:
        write_video(tmp_path / name, codec=codec, sound=None, title="Three scenes")
    else:
        write_video(tmp_path / name, codec=codec, sound=sound, title="Three scenes")
    found, parts = reading(tmp_path / name)
    assert found.media_type == media_type
    assert found.title == "Three scenes"
    pictures = [part for part in parts if isinstance(part, Picture)]
    assert len(pictures) == 3
    for number, (picture, color) in enumerate(zip(pictures, SCENES, strict=True)):
        assert picture.start_s == pytest.approx(3 * number, abs=0.31)
        assert picture.end_s == pytest.approx(3 * number + 3, abs=0.31)
        assert picture.image.size == (picture.width_px, picture.height_px) == (160, 96)
        ground = np.asarray(picture.image, np.int16)[:30].mean(axis=(0, 1))
        assert np.abs(ground - color).max() < 15
    sounds = [part for part in parts if not isinstance(part, Picture)]
    if sound in {"libopus", "mp2"}:
        assert sounds == []
    else:
        (track,) = sounds
        assert track.duration_s == pytest.approx(9, abs=0.2)


def test_frequent_key_frames_are_enough(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", keys=5, seconds=4)
    assert len(find_shots(tmp_path / "a.mp4")) == 3


def test_turned_video_is_upright(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", turned=90, sound=None)
    _, parts = reading(tmp_path / "a.mp4")
    assert {part.image.size for part in parts if isinstance(part, Picture)} == {(96, 160)}


def test_sound_alone_in_a_container_of_video(tmp_path: Path) -> None:
    for name, sound in (("a.mp4", "aac"), ("a.mkv", "flac"), ("a.wma", "wmav2"), ("a.m4a", "aac")):
        with av.open(str(tmp_path / name), "w", format=None if name != "a.m4a" else "mp4") as out:
            track = out.add_stream(sound, rate=16_000, layout="mono")
            track.codec_context.bit_rate = 64_000
            wave = (0.4 * np.sin(np.arange(32_000) / 9)).astype("f4")
            step = track.codec_context.frame_size or 1024
            kind = "s16" if sound == "flac" else "fltp"
            samples = (wave * 32_000).astype("i2") if sound == "flac" else wave
            for at in range(0, len(wave), step):
                block = np.ascontiguousarray(samples[None, at : at + step])
                frame = av.AudioFrame.from_ndarray(block, kind, "mono")
                frame.sample_rate, frame.pts = 16_000, at
                out.mux(track.encode(frame))
            out.mux(track.encode(None))
        found, parts = reading(tmp_path / name)
        (track_read,) = parts
        assert not isinstance(track_read, Picture)
        assert track_read.duration_s == pytest.approx(2, abs=0.1)
        assert found.media_type.startswith("audio/" if name[2:] in {"wma", "m4a"} else "video/")


def test_damaged_and_renamed(tmp_path: Path) -> None:
    write_video(tmp_path / "whole.mkv", codec="mpeg4", sound=None)
    data = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) // 2])
    with pytest.raises(ReadError, match="truncated"):
        read(tmp_path / "cut.mkv", "video/x-matroska")
    (tmp_path / "head.mkv").write_bytes(data[:200])
    with pytest.raises(ReadError):
        read(tmp_path / "head.mkv", "video/x-matroska")
    (tmp_path / "video.mp3").write_bytes(data)
    with pytest.raises(ReadError, match="contains a Matroska video"):
        media_type_of(tmp_path / "video.mp3")
    for name in ("other.mp4", "other.jpg"):
        (tmp_path / name).write_bytes(data)
        assert media_type_of(tmp_path / name) == "video/x-matroska"
    with pytest.raises(ReadError, match="limit"):
        read_video(tmp_path / "whole.mkv", Limits(max_pixels=1000), media_type="video/x-matroska")


def test_mutations_are_read_or_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", seconds=1)
    data = (tmp_path / "a.mp4").read_bytes()
    random = np.random.default_rng(5)
    for number in range(25):
        changed = bytearray(data)
        for at in random.integers(0, len(data), 20):
            changed[at] ^= 1 << int(random.integers(8))
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(changed)
        try:
            found, parts = reading(path)
        except ReadError:
            continue
        assert parts or found.notices


def test_further_tracks_have_notices(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        tracks = [out.add_stream("mpeg4", rate=RATE) for _ in range(2)]
        for stream in tracks:
            stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(10):
            for stream in tracks:
                frame = av.VideoFrame.from_image(Image.new("RGB", (160, 96), SCENES[0]))
                frame.pts = number
                out.mux(stream.encode(frame))
        for stream in tracks:
            out.mux(stream.encode(None))
    found, parts = reading(path)
    assert len(parts) == 1
    assert found.notices == ("one of its 2 picture tracks is indexed",)
