"""Image reader: pixels as a viewer shows them, pages, frames, and repairable files."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageDraw

from trawl.errors import ReadError
from trawl.readers import media_type_of, read
from trawl.readers import pictures as pictures_module
from trawl.types import Picture, Reading

RED, BLUE = (220, 30, 30), (30, 40, 220)
RAMP = np.tile(np.linspace(0, 1, 240), (160, 1))


def reading(path: Path) -> Reading:
    media_type = media_type_of(path)
    assert media_type is not None
    return read(path, media_type)


def pixels(path: Path) -> NDArray[np.float64]:
    """Return the only picture of a file, float64 [height, width, 3]."""
    (part,) = reading(path).parts
    assert isinstance(part, Picture)
    return np.asarray(part.image).astype(float)


def two_colors(size: tuple[int, int] = (200, 100)) -> Image.Image:
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    return image


def write_tiff(path: Path, *pages: tuple[NDArray[np.generic], dict[int, int | bytes]]) -> None:
    """Write an uncompressed little-endian TIFF; tags are SHORT, or ASCII if they are bytes."""
    data = bytearray(b"II*\0\0\0\0\0")
    link = 4
    for values, tags in pages:
        height, width = values.shape[:2]
        strip = len(data)
        data += values.tobytes()
        data += bytes(len(data) % 2)
        formats = {"u": 1, "i": 2, "f": 3}
        entries: dict[int, int | bytes] = {
            256: width,
            257: height,
            258: values.dtype.itemsize * 8,
            259: 1,
            262: 1,
            273: strip,
            277: 1,
            278: height,
            279: values.nbytes,
            339: formats[values.dtype.kind],
            **tags,
        }
        struct.pack_into("<I", data, link, len(data))
        texts = b""
        after = len(data) + 2 + 12 * len(entries) + 4
        data += struct.pack("<H", len(entries))
        for tag, value in sorted(entries.items()):
            if isinstance(value, bytes):
                text = value + b"\0"
                if len(text) <= 4:
                    data += struct.pack("<HHI4s", tag, 2, len(text), text)
                    continue
                data += struct.pack("<HHII", tag, 2, len(text), after + len(texts))
                texts += text
            else:
                data += struct.pack("<HHII", tag, 4, 1, value)
        link = len(data)
        data += bytes(4) + texts + bytes(len(texts) % 2)
    path.write_bytes(data)


def assert_ramp(path: Path) -> None:
    """Check that a horizontal ramp from dark to light is visible, apart from a few pixels."""
    row = np.median(pixels(path)[:, :, 0], axis=0)
    assert row[2] < 12
    assert row[-3] > 243
    assert abs(row[120] - 127) < 6
    assert np.diff(row[2:]).min() >= -1


# --- more than 8 bits ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "negative"),
    [*((dtype, False) for dtype in ("u2", "u4", "i2", "i4", "f4")), ("u2", True), ("f4", True)],
)
def test_levels_of_each_sample_type(tmp_path: Path, dtype: str, negative: bool) -> None:
    top = {"u2": 65_535, "u4": 4e9, "i2": 30_000, "i4": 2e9, "f4": 1}[dtype]
    start = -top if dtype.startswith("i") else 0
    values = start + RAMP * (top - start)
    shown = (top + start - values) if negative else values
    write_tiff(tmp_path / "a.tif", (shown.astype(dtype), {262: 0 if negative else 1}))
    assert_ramp(tmp_path / "a.tif")


def test_signed_8_bit_values(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", ((RAMP * 255 - 128).astype("i1"), {}))
    assert_ramp(tmp_path / "a.tif")


@pytest.mark.parametrize("outlier", [65_535, 0])
def test_one_hot_or_dead_pixel_does_not_flatten_an_image(tmp_path: Path, outlier: int) -> None:
    values = (30_000 + 800 * RAMP).astype("u2")
    values[7, 7] = outlier
    write_tiff(tmp_path / "a.tif", (values, {}))
    assert_ramp(tmp_path / "a.tif")
    Image.fromarray(values).save(tmp_path / "a.png")
    assert_ramp(tmp_path / "a.png")


def test_many_outliers_do_not_flatten_an_image(tmp_path: Path) -> None:
    values = 100 + RAMP
    rng = np.random.default_rng(5)
    values.ravel()[rng.choice(values.size, 20, replace=False)] = rng.uniform(1e4, 1e6, 20)
    write_tiff(tmp_path / "a.tif", (values.astype("f4"), {}))
    assert_ramp(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("missing", "tag"),
    [(-9999, b"-9999"), (-3.4e38, None), (-9999, None), (0, b"0"), (105, b"105")],
)
def test_missing_values_are_black_and_do_not_count(
    tmp_path: Path, missing: float, tag: bytes | None
) -> None:
    values = (100 + 40 * RAMP).astype("f4")
    values[:40] = missing
    write_tiff(tmp_path / "a.tif", (values, {} if tag is None else {42113: tag}))
    found = pixels(tmp_path / "a.tif")
    assert found[:40].max() == 0
    assert found[60, -1, 0] == 255
    assert abs(found[60, 120, 0] - 127) < 3


def test_an_image_of_few_levels_keeps_them_all(tmp_path: Path) -> None:
    """Numbers of objects, not outliers: the last one is far from the others."""
    values = np.zeros((50, 50), "u2")
    values[0, :4] = (1, 2, 3, 100)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert pixels(tmp_path / "a.png")[0, :4, 0].tolist() == [3, 5, 8, 255]


# --- alpha and colour ----------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_an_alpha_channel_of_zeros_is_ignored(tmp_path: Path, mode: str, suffix: str) -> None:
    image = two_colors()
    image.putalpha(0)
    image.convert(mode).save(
        tmp_path / f"a.{suffix}", **({"exact": True, "lossless": True} if suffix == "webp" else {})
    )
    assert pixels(tmp_path / f"a.{suffix}").std() > 10


def test_a_bitmap_of_the_clipboard_with_zeros_for_alpha(tmp_path: Path) -> None:
    body = bytes((30, 30, 220, 0)) * 64 * 64
    header = struct.pack("<IiiHHIIiiII", 124, 64, 64, 1, 32, 3, len(body), 2835, 2835, 0, 0)
    header += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + bytes(68)
    start = b"BM" + struct.pack("<IHHI", 138 + len(body), 0, 0, 138)
    (tmp_path / "a.bmp").write_bytes(start + header + body)
    assert pixels(tmp_path / "a.bmp").mean((0, 1)).tolist() == [220, 30, 30]


@pytest.mark.parametrize("color", ["white", "black", (200, 10, 10)])
def test_a_logo_on_transparent_is_visible(tmp_path: Path, color: str) -> None:
    image = Image.new("RGBA", (240, 160), (255, 255, 255, 0))
    ImageDraw.Draw(image).ellipse((20, 20, 220, 140), fill=color)
    image.save(tmp_path / "a.png")
    assert pixels(tmp_path / "a.png").std() > 20
    corner = 0 if color == "white" else 255
    assert pixels(tmp_path / "a.png")[0, 0].tolist() == [corner] * 3


def test_a_colour_profile_is_applied(tmp_path: Path) -> None:
    """The profile swaps red and green, which no viewer that ignores it would show."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {bytes(profile[at : at + 4]): at for at in range(132, 132 + 12 * profile[131], 12)}
    red, green = tags[b"rXYZ"] + 4, tags[b"gXYZ"] + 4
    profile[red : red + 8], profile[green : green + 8] = (
        profile[green : green + 8],
        profile[red : red + 8],
    )
    for name in ("a.png", "a.jpg", "a.tif", "a.webp"):
        Image.new("RGB", (20, 20), (200, 20, 20)).save(tmp_path / name, icc_profile=bytes(profile))
        red_mean, green_mean, _ = pixels(tmp_path / name).mean((0, 1))
        assert green_mean > 150 > 80 > red_mean, name
        Image.new("RGB", (20, 20), (200, 20, 20)).save(tmp_path / name, icc_profile=b"damaged")
        assert pixels(tmp_path / name).mean((0, 1))[0] > 180


def test_lab_becomes_rgb(tmp_path: Path) -> None:
    lab = ImageCms.profileToProfile(
        two_colors(),
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    assert lab is not None
    lab.save(tmp_path / "a.tif")
    found = pixels(tmp_path / "a.tif")
    assert np.abs(found[50, 20] - RED).max() < 6
    assert np.abs(found[50, 180] - BLUE).max() < 6


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
def test_modes_of_a_tiff(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGB", (40, 20), "white")
    image.paste("black", (20, 0, 40, 20))
    image.convert(mode).save(tmp_path / "a.tif")
    found = pixels(tmp_path / "a.tif")
    assert found[:, :19].min() > 250
    assert found[:, 21:].max() < 5


# --- frames and pages ----------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_blank_first_frames_are_passed_over(tmp_path: Path, suffix: str) -> None:
    blank = Image.new("RGB", (200, 100), "white")
    path = tmp_path / f"a.{suffix}"
    blank.save(
        path, save_all=True, append_images=[Image.new("RGB", (200, 100), "black"), two_colors()]
    )
    assert np.abs(pixels(path)[50, 20] - RED).max() < 12
    assert reading(path).notices == ("an animation: one of its 3 frames is indexed",)


def test_an_image_of_one_colour_has_a_notice(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10), "white").save(tmp_path / "a.png")
    assert reading(tmp_path / "a.png").notices == ("the image is of one colour",)
    two_colors().save(tmp_path / "b.png")
    assert reading(tmp_path / "b.png").notices == ()


def test_each_page_of_a_tiff_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    levels = [np.full((30 + n, 20), 60 * n + 40, "u1") for n in range(3)]
    write_tiff(path, *((values, {254: 2}) for values in levels))
    parts = reading(path).parts
    found = [part for part in parts if isinstance(part, Picture)]
    assert len(parts) == len(found) == 3
    assert [(part.page, part.height_px) for part in found] == [(1, 30), (2, 31), (3, 32)]
    assert [part.image.getpixel((5, 5)) for part in found] == [(v,) * 3 for v in (40, 100, 160)]
    assert parts[-1].page == 3  # type: ignore[union-attr]
    assert [part.page for part in parts[1:]] == [2, 3]  # type: ignore[union-attr]


def test_the_number_of_pages_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures_module, "MAX_PAGES", 2)
    write_tiff(tmp_path / "a.tif", *((np.zeros((4, 4), "u1"), {}) for _ in range(3)))
    found = reading(tmp_path / "a.tif")
    assert len(found.parts) == 2
    assert found.notices == ("more than 2 pages; the pages after them are not indexed",)
    write_tiff(tmp_path / "b.tif", *((np.zeros((4, 4), "u1"), {}) for _ in range(2)))
    assert reading(tmp_path / "b.tif").notices == ()


@pytest.mark.parametrize("tags", [{254: 1}, {255: 2}, {254: 4}])
def test_reduced_copies_and_masks_are_not_pages(tmp_path: Path, tags: dict[int, int]) -> None:
    small, large = np.zeros((4, 6), "u1"), (RAMP * 255).astype("u1")
    for pages in ([(small, tags), (large, {})], [(large, {}), (small, tags)], [(large, tags)]):
        write_tiff(tmp_path / "a.tif", *pages)
        assert pixels(tmp_path / "a.tif").shape == (160, 240, 3)


def test_every_page_is_checked(tmp_path: Path) -> None:
    page = (np.zeros((4, 4), "u1"), {})
    write_tiff(tmp_path / "a.tif", page, (np.zeros((40, 40), "u1"), {}))
    with pytest.raises(ReadError, match="40 x 40 pixels exceed the limit of 100"):
        read(tmp_path / "a.tif", "image/tiff", max_pixels=100)
    write_tiff(tmp_path / "b.tif", page, (np.zeros((40, 40), "u1"), {273: 100_000}))
    with pytest.raises(ReadError, match="cannot be decoded"):
        list(read(tmp_path / "b.tif", "image/tiff").parts)


# --- files with harmless damage ------------------------------------------------------


def chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png(*extra: bytes) -> bytes:
    rows = b"".join(b"\0" + bytes(RED) * 32 + bytes(BLUE) * 32 for _ in range(64))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + data + chunk(b"IEND", b"")


BIG = zlib.compress(bytes(1_500_000))
HARMLESS = {
    "large zTXt": (chunk(b"zTXt", b"workflow\0\0" + BIG), ""),
    "large iTXt": (chunk(b"iTXt", b"workflow\0\1\0\0\0" + BIG), ""),
    "large tEXt": (chunk(b"tEXt", b"workflow\0" + b"x" * 3_000_000), ""),
    "large profile": (chunk(b"iCCP", b"p\0\0" + BIG), "the colour profile exceeds 1 MiB"),
    "torn profile": (chunk(b"iCCP", b"p\0\0" + BIG[5:]), "the colour profile is damaged"),
    "checksum of a text": (chunk(b"tEXt", b"a\0b")[:-1] + b"?", ""),
    "checksum of a date": (chunk(b"tIME", bytes(7))[:-1] + b"?", "the chunk tIME is damaged"),
    "checksum of EXIF": (chunk(b"eXIf", b"MM\0*")[:-1] + b"?", "the chunk eXIf is damaged"),
    "unknown chunk": (chunk(b"abCd", bytes(100)), ""),
}


@pytest.mark.parametrize("kind", HARMLESS)
def test_a_png_with_harmless_damage_is_read(tmp_path: Path, kind: str) -> None:
    extra, notice = HARMLESS[kind]
    (tmp_path / "a.png").write_bytes(png(extra))
    found = pixels(tmp_path / "a.png")
    assert found[10, 10].tolist() == [*RED]
    assert found[10, 50].tolist() == [*BLUE]
    notices = reading(tmp_path / "a.png").notices
    assert len(notices) == bool(notice)
    assert "".join(notices).startswith(notice)


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT"])
def test_a_png_with_damaged_pixels_is_rejected(tmp_path: Path, kind: bytes) -> None:
    data = bytearray(png())
    data[data.index(kind) + 6] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ReadError, match="cannot be decoded"):
        reading(tmp_path / "a.png")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_a_jpeg_that_lacks_only_its_end_mark_is_read(
    tmp_path: Path, options: dict[str, int]
) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", **options)
    whole, cut = tmp_path / "whole.jpg", tmp_path / "cut.jpg"
    whole.write_bytes(buffer.getvalue())
    cut.write_bytes(buffer.getvalue()[:-2])
    assert (pixels(whole) == pixels(cut)).all()
    for removed in range(8, 400, 7):
        cut.write_bytes(buffer.getvalue()[:-removed])
        with pytest.raises(ReadError, match="cannot be decoded"):
            reading(cut)


@pytest.mark.parametrize(
    ("dtype", "samples", "photometric", "described"),
    [
        ("f4", 3, 2, "3 × 32-bit floats per pixel (RGB)"),
        ("u4", 3, 2, "3 × 32-bit integers per pixel (RGB)"),
        ("u1", 3, 9, "3 × 8-bit integers per pixel (ICC Lab)"),
        ("f2", 1, 1, "1 × 16-bit floats per pixel (grey)"),
        ("u1", 5, 1, "5 × 8-bit integers per pixel (grey)"),
    ],
)
def test_samples_of_a_tiff_that_are_not_read_are_named(
    tmp_path: Path, dtype: str, samples: int, photometric: int, described: str
) -> None:
    path = tmp_path / "a.tif"
    write_tiff(path, (np.zeros((8, 8, samples), dtype), {262: photometric, 277: samples}))
    with pytest.raises(ReadError) as raised:
        reading(path)
    assert str(raised.value) == (
        f"TIFF with {described} is not read; convert it to 8 or 16 bits in grey or RGB"
    )
