"""Image reader: orientation, modes, size limits and damaged files."""

from __future__ import annotations

import datetime
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trawl.errors import ReadError
from trawl.readers import media_type_of, read
from trawl.types import Picture

FORMATS = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "webp": "image/webp",
    "tiff": "image/tiff",
}
RED, WHITE = (255, 0, 0), (255, 255, 255)


def noise(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(7)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def picture(path: Path, **options: int) -> Picture:
    media_type = media_type_of(path)
    assert media_type is not None
    (part,) = read(path, media_type, **options).parts
    assert isinstance(part, Picture)
    assert part.image.mode == "RGB"
    return part


def png(width: int, height: int, scanlines: bytes, *, depth: int = 8, color: int = 0) -> bytes:
    """Return a hand-made PNG (W3C PNG, 11.2); `scanlines` is the compressed data."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", scanlines) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", FORMATS)
def test_each_format_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (30, 20), (10, 200, 30)).save(path)
    assert media_type_of(path) == FORMATS[suffix]
    found = picture(path)
    assert (found.width_px, found.height_px) == found.image.size == (30, 20)
    assert np.abs(np.asarray(found.image, dtype=int) - (10, 200, 30)).max() < 8


@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_truncated_image_is_rejected(tmp_path: Path, suffix: str, share: float) -> None:
    whole = tmp_path / f"whole.{suffix}"
    noise(300, 200).save(whole)
    data = whole.read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ReadError, match="cannot be decoded"):
        read(path, FORMATS[suffix])


def test_a_decompression_bomb_is_rejected_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    compressor = zlib.compressobj(9)
    row = bytes(1 + 30_000 // 8)
    body = b"".join(compressor.compress(row) for _ in range(30_000)) + compressor.flush()
    path.write_bytes(png(30_000, 30_000, body, depth=1))
    assert path.stat().st_size < 200_000
    with pytest.raises(ReadError, match=r"30,000 x 30,000 pixels exceed the limit of 100,000,000"):
        read(path, "image/png")


def test_the_caller_sets_the_pixel_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (100, 50)).save(path)
    assert picture(path, max_pixels=5_000).width_px == 100
    with pytest.raises(ReadError, match="100 x 50 pixels exceed the limit of 4,999"):
        read(path, "image/png", max_pixels=4_999)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_large_image_is_scaled_and_keeps_its_original_size(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    image = Image.new("RGB", (3000, 1500), WHITE)
    image.paste(RED, (0, 0, 1500, 1500))
    image.save(path)
    found = picture(path)
    assert (found.width_px, found.height_px) == (3000, 1500)
    assert found.image.size == (1024, 512)
    assert found.image.getpixel((480, 256))[0] > 240  # type: ignore[index]
    assert found.image.getpixel((480, 256))[1] < 15  # type: ignore[index]
    assert min(found.image.getpixel((545, 500))) > 240  # type: ignore[type-var]


def test_shrinking_in_bands_leaves_no_seams(tmp_path: Path) -> None:
    path = tmp_path / "ramp.png"
    ramp = np.linspace(0, 255, 5003, dtype=np.float32).astype(np.uint8)
    Image.fromarray(np.repeat(ramp[:, None], 40, axis=1)).save(path)
    small = np.asarray(picture(path).image, dtype=int)[:, 4, 0]
    assert len(small) == 1024
    assert np.diff(small).min() >= 0
    assert np.diff(small).max() <= 1


def test_a_very_long_image_keeps_one_pixel(tmp_path: Path) -> None:
    path = tmp_path / "line.png"
    Image.new("L", (20_000, 1), 200).save(path)
    found = picture(path)
    assert found.image.size == (1024, 1)
    assert found.height_px == 1


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = Image.new("RGB", (60, 40), WHITE)
    upright.paste(RED, (0, 0, 20, 20))  # red at the top left
    # What a camera held so stores: the inverse of the turn that the tag asks for.
    stored = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = upright.transpose(stored[orientation]) if orientation in stored else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    image.save(path, exif=exif)
    found = picture(path)
    assert (found.width_px, found.height_px) == found.image.size == (60, 40)
    pixels = np.asarray(found.image, dtype=int)
    assert np.abs(pixels[5, 5] - RED).max() < 30
    assert pixels[35, 5].min() > 225
    assert pixels[5, 55].min() > 225


def test_exif_date_and_camera(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon\0", "Canon EOS 5D"
    exif.get_ifd(0x8769)[0x9003] = "2019:07:31 12:30:00"
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path, exif=exif)
    metadata = read(path, "image/jpeg").metadata
    assert metadata == {"taken": datetime.date(2019, 7, 31), "camera": "Canon EOS 5D"}


def test_invalid_exif_is_ignored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    exif.get_ifd(0x8769)[0x9003] = "0000:00:00 00:00:00"
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path, exif=exif)
    assert read(path, "image/jpeg").metadata == {}
    Image.new("RGB", (8, 8)).save(path, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert picture(path).width_px == 8


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_on_white(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.png"
    image = Image.new("RGBA", (20, 10), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 10, 10))
    image.convert(mode).save(path)
    found = picture(path).image
    assert found.getpixel((15, 5)) == WHITE
    assert found.getpixel((5, 5)) == (0, 0, 0)


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_palette_with_a_transparent_colour(tmp_path: Path, suffix: str) -> None:
    image = Image.new("P", (20, 10), 0)
    image.putpalette([0, 0, 0, *RED])
    image.paste(1, (0, 0, 10, 10))
    path = tmp_path / f"a.{suffix}"
    image.save(path, transparency=0)
    found = picture(path).image
    assert found.getpixel((15, 5)) == WHITE
    assert found.getpixel((5, 5)) == RED


@pytest.mark.parametrize(
    ("name", "dtype", "top"),
    [("a.png", np.uint16, 4095), ("a.tiff", np.uint16, 4095), ("a.tif", np.float32, 0.5)],
)
def test_more_than_8_bits_are_scaled_to_the_full_range(
    tmp_path: Path, name: str, dtype: type, top: float
) -> None:
    """Truncating 16 bits to 8 would make the image of a 12-bit detector nearly black."""
    values = np.linspace(0, top, 2100, dtype=dtype)[None, :].repeat(4, axis=0)
    if dtype is np.float32:
        values[0, 0] = np.nan
    path = tmp_path / name
    Image.fromarray(values).save(path)
    row = np.asarray(picture(path).image)[-1, :, 0].astype(int)
    assert row[0] <= 1
    assert row[-1] >= 254
    assert np.diff(row).min() >= 0


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(path)
    red, green, blue = picture(path).image.getpixel((8, 8))  # type: ignore[misc]
    assert red > 200
    assert max(green, blue) < 60


def test_only_the_first_frame_is_read(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in (RED, WHITE)]
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert picture(path).image.getpixel((4, 4)) == RED


def test_the_wrong_format_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    noise(8, 8).save(path, "JPEG")
    with pytest.raises(ReadError, match="the PNG image cannot be decoded"):
        read(path, "image/png")
