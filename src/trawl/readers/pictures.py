"""Images: PNG, JPEG, GIF, BMP, WebP, AVIF, HEIC and TIFF, decoded to RGB and scaled down.

An image is decoded once and scaled to at most `MAX_SIDE_PX` on its longest side. No encoder uses
more, and a batch of photographs then takes only megabytes. JPEG is decoded at a reduced scale.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib
import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast, overload

from trawl.errors import ReadError
from trawl.readers.formats import HEAD_BYTES, Format, Limits, opened, short_reason, stem_title
from trawl.readers.picture_repairs import jpeg_without_end, without_ancillary_damage
from trawl.readers.pixels import MAX_SIDE_PX, is_uniform, shrunk
from trawl.readers.tiff_samples import undecodable_samples
from trawl.types import Metadata, Picture, Reading

if TYPE_CHECKING:
    from PIL.Image import Exif, Image
    from PIL.ImageFile import ImageFile

MAX_PAGES = 1_000
"""Pages of one TIFF that are read."""
MAX_BLANK_FRAMES = 100
_AVIF = frozenset({b"avif", b"avis"})
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_ANIMATED = frozenset({"image/gif", "image/webp", "image/png", "image/avif"})

_UNREAD: tuple[tuple[int, bytes, str], ...] = (
    (40, b" EMF", "EMF, a vector format of Windows,"),
    (0, b"\xd7\xcd\xc6\x9a", "WMF, a vector format of Windows,"),
    (0, b"\x01\x00\x09\x00", "WMF, a vector format of Windows,"),
    (0, b"%PDF-", "PDF as a picture"),
    (0, b"%!PS", "PostScript"),
)

# Tags of EXIF 2.32 (CIPA DC-008), tables 3 to 8.
_ORIENTATION = 0x0112
_MAKE, _MODEL = 0x010F, 0x0110
_EXIF_IFD = 0x8769
_DATE_TIME_ORIGINAL = 0x9003
_TURNED = frozenset({5, 6, 7, 8})
"""Orientations that swap width and height."""

_PLUGINS: dict[str, tuple[str, str]] = {
    "image/png": ("PIL.PngImagePlugin", "PngImageFile"),
    "image/jpeg": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "image/gif": ("PIL.GifImagePlugin", "GifImageFile"),
    "image/bmp": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "image/webp": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "image/avif": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "image/heic": ("pillow_heif.as_plugin", "HeifImageFile"),
    "image/tiff": ("PIL.TiffImagePlugin", "TiffImageFile"),
}


def read_picture(path: Path, limits: Limits, *, media_type: str) -> Reading:
    """Read an image: upright, RGB, as a viewer shows it (see `trawl.readers.pixels`).

    Each page of a TIFF is a picture; the pages of a file with several are decoded when they are
    iterated over, which raises `ReadError` too. Of an animation, the first frame that is not
    blank is read. `Picture.width_px` and `height_px` are the original's, upright; the image
    itself is at most `MAX_SIDE_PX` on its longest side. The metadata `taken` (a date) and
    `camera` come from EXIF.
    """
    with _opened_image(path, media_type) as (picture, repair_notices):
        notices = list(repair_notices)
        parts: Sequence[Picture]
        pages: list[int] = []
        if media_type == "image/tiff":
            pages, bound = _tiff_pages(picture, limits)
            notices += bound
        if len(pages) > 1:
            parts = _Pages(path, tuple(pages))
            exif = _exif(picture)
        else:
            _check_size(picture, limits)
            if pages:
                picture.seek(pages[0])
            part, exif = _decoded(picture)
            frames = _frame_count(picture) if media_type in _ANIMATED else 1
            if frames > 1:
                if is_uniform(part.image):
                    part = _first_visible(picture, part, limits)
                notices.append(f"an animation: one of its {frames:,} frames is indexed")
            images = _frame_count(picture) if media_type == "image/heic" else 1
            if images > 1:
                notices.append(f"one of its {images:,} images is indexed")
            if is_uniform(part.image):
                notices.append("the image is of one colour")
            parts = (part,)
        metadata = _metadata(exif)
    return Reading(media_type, stem_title(path), parts, metadata, tuple(notices))


@contextlib.contextmanager
def _opened_image(path: Path, media_type: str) -> Iterator[tuple[ImageFile, tuple[str, ...]]]:
    with opened(path) as stream, _decoding(stream, media_type) as image:
        yield image


@contextlib.contextmanager
def _decoding(stream: BinaryIO, media_type: str) -> Iterator[tuple[ImageFile, tuple[str, ...]]]:
    """Open an image with its plugin, and yield it with notices on what was left out.

    The plugin, not Image.open, which tries every format and whose limit on the size is one
    global of the process. Every exception in the `with` block becomes a `ReadError`.
    """
    kind = media_type.removeprefix("image/").upper()
    try:
        notices: tuple[str, ...] = ()
        if media_type == "image/png":
            stream, notices = without_ancillary_damage(stream)
        yield _plugin(media_type)(stream), notices
    except ReadError:
        raise
    except Exception as error:  # Pillow raises many types: struct.error, IndexError ...
        reason = f"the {kind} image cannot be decoded: {short_reason(error)}"
        if "unknown pixel mode" in reason or "unknown data organization" in reason:
            reason = undecodable_samples(stream) or reason
        raise ReadError(reason) from error


def decode_picture(data: bytes, limits: Limits) -> tuple[Picture, tuple[str, ...]]:
    """Decode the bytes of a picture inside a document, the first frame of several.

    Returns the picture without a caption, and notices. Raises `ReadError`.
    """
    head = data[:HEAD_BYTES]
    if b"<svg" in head:
        from trawl.readers.vectors import draw_svg

        picture, _, notices = draw_svg(data, limits)
        return picture, tuple(notices)
    found = next((f for f in FORMATS if f.matches is not None and f.matches(head)), None)
    if found is None:
        name = next((n for at, magic, n in _UNREAD if data[at : at + len(magic)] == magic), "")
        raise ReadError(f"{name} is not supported" if name else "not a known picture format")
    with _decoding(io.BytesIO(data), found.media_type) as (opened_picture, repairs):
        _check_size(opened_picture, limits)
        return _decoded(opened_picture)[0], repairs


def _check_size(picture: ImageFile, limits: Limits) -> None:
    width_px, height_px = picture.size
    if width_px * height_px > limits.max_pixels:
        raise ReadError(
            f"{width_px:,} x {height_px:,} pixels exceed the limit of "
            f"{limits.max_pixels:,}; scale the image down, or raise max_pixels"
        )


def _decoded(picture: ImageFile, page: int | None = None) -> tuple[Picture, Exif | None]:
    """Decode the current frame."""
    width_px, height_px = picture.size
    _draft(picture)
    loaded: Image = picture
    try:
        picture.load()
    except OSError:
        whole = None
        if picture.format == "JPEG":
            whole = jpeg_without_end(cast(BinaryIO, picture.fp))
        if whole is None:
            raise
        loaded = whole
    small, exif = shrunk(loaded), _exif(picture)
    orientation = _orientation(exif)
    if orientation in _TURNED:
        width_px, height_px = height_px, width_px
    return Picture(_upright(small, orientation), width_px, height_px, page=page), exif


def _frame_count(picture: ImageFile) -> int:
    with contextlib.suppress(Exception):  # a damaged later frame
        return int(getattr(picture, "n_frames", 1))
    return 1


def _first_visible(picture: ImageFile, blank: Picture, limits: Limits) -> Picture:
    """Return the first frame that is not of one colour, `blank` if there is none.

    Stops after `MAX_BLANK_FRAMES`, or when `max_pixels` are decoded.
    """
    pixels = picture.width * picture.height
    with contextlib.suppress(Exception):  # the end, or a damaged frame
        for frame in range(1, min(MAX_BLANK_FRAMES, limits.max_pixels // pixels)):
            picture.seek(frame)
            part, _ = _decoded(picture)
            if not is_uniform(part.image):
                return part
    return blank


def _tiff_pages(picture: ImageFile, limits: Limits) -> tuple[list[int], list[str]]:
    """Return the frames of a TIFF that are pages, and notices.

    Reduced copies and masks (TIFF 6.0, NewSubfileType) are not pages, unless there is nothing
    else; then the largest is.
    """
    pages: list[int] = []
    others: list[tuple[int, int]] = []
    notices: list[str] = []
    directory: Any = picture
    for frame in itertools.count():
        try:
            picture.seek(frame)
        except EOFError:
            break
        if len(pages) == MAX_PAGES:
            notices.append(f"more than {MAX_PAGES:,} pages; the pages after them are not indexed")
            break
        tags = directory.tag_v2
        if int(tags.get(254, 0)) & 0b101 or tags.get(255, 0) == 2:
            others.append((picture.width * picture.height, frame))
            continue
        _check_size(picture, limits)
        pages.append(frame)
    pages = pages or [max(others)[1]]
    picture.seek(pages[0])
    return pages, notices


class _Pages(Sequence[Picture]):
    """The pages of a TIFF, decoded one at a time as they are iterated over."""

    def __init__(self, path: Path, frames: tuple[int, ...]) -> None:
        self._path = path
        self._frames = frames

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[Picture]:
        yield from self._decode(range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Picture]: ...
    def __getitem__(self, index: int | slice) -> Picture | Sequence[Picture]:
        if isinstance(index, slice):
            return tuple(self._decode(range(len(self))[index]))
        return next(self._decode([range(len(self))[index]]))

    def _decode(self, indexes: Sequence[int]) -> Iterator[Picture]:
        with _opened_image(self._path, "image/tiff") as (picture, _):
            for index in indexes:
                picture.seek(self._frames[index])
                yield _decoded(picture, page=index + 1)[0]


def _plugin(media_type: str) -> Callable[..., ImageFile]:
    module, name = _PLUGINS[media_type]
    try:
        plugin: Callable[..., ImageFile] = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise ReadError(
            "HEIC needs pillow-heif; install it with: pip install 'trawl-multimodal[heic]'"
        ) from error
    return plugin


def _draft(picture: ImageFile) -> None:
    """Decode a JPEG at 1/2, 1/4 or 1/8 of its size, but not below `MAX_SIDE_PX`."""
    scale = MAX_SIDE_PX / max(picture.size)
    if scale < 1:
        width_px, height_px = round(picture.width * scale), round(picture.height * scale)
        picture.draft(None, (max(1, width_px), max(1, height_px)))


def _exif(picture: ImageFile) -> Exif | None:
    """Return the EXIF block, None if it is damaged; the image may still be intact."""
    try:
        return picture.getexif()
    except Exception:
        return None


def _orientation(exif: Exif | None) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if it is missing or invalid."""
    value = exif.get(_ORIENTATION) if exif else None
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(image: Image, orientation: int) -> Image:
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def _metadata(exif: Exif | None) -> Metadata:
    """Return `taken` and `camera` from EXIF. Invalid values are common, and ignored."""
    metadata: Metadata = {}
    if exif is None:
        return metadata
    with contextlib.suppress(Exception):  # missing, blank, 0000:00:00, or a damaged block
        taken = exif.get_ifd(_EXIF_IFD).get(_DATE_TIME_ORIGINAL)
        metadata["taken"] = datetime.datetime.strptime(str(taken)[:10], "%Y:%m:%d").date()
    words: list[str] = []
    for tag in (_MAKE, _MODEL):
        value = exif.get(tag)
        if isinstance(value, str):
            words += [w for w in value.replace("\0", " ").split() if w not in words]
    if words:
        metadata["camera"] = " ".join(words).encode("utf-8", "replace").decode()
    return metadata


def _is_bmp(head: bytes) -> bool:
    """Return whether a file starts with "BM" and a known header size; many texts start with BM."""
    sizes = {12, 16, 40, 52, 56, 64, 108, 124}
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in sizes


def _is_avif(head: bytes) -> bool:
    return not _AVIF.isdisjoint(_brands(head))


def _is_heic(head: bytes) -> bool:
    return not _HEIC.isdisjoint(_brands(head)) and not _is_avif(head)


def _brands(head: bytes) -> list[bytes]:
    """Return the brands in the file type box of HEIF, AVIF and MP4 (ISO/IEC 14496-12, 4.3)."""
    if head[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(head[:4], "big"), 256)
    return [head[8:12], *(head[at : at + 4] for at in range(16, end, 4))]


def _format(
    media_type: str, name: str, suffixes: set[str], matches: Callable[[bytes], bool]
) -> Format:
    read = partial(read_picture, media_type=media_type)
    return Format(media_type, "image", name, frozenset(suffixes), read, matches)


FORMATS = (
    _format("image/png", "a PNG image", {".png"}, lambda h: h.startswith(b"\x89PNG\r\n\x1a\n")),
    _format(
        "image/jpeg",
        "a JPEG image",
        {".jpg", ".jpeg", ".jpe", ".jfif"},
        lambda h: h.startswith(b"\xff\xd8\xff"),
    ),
    _format("image/gif", "a GIF image", {".gif"}, lambda h: h[:6] in {b"GIF87a", b"GIF89a"}),
    _format("image/bmp", "a BMP image", {".bmp"}, _is_bmp),
    _format(
        "image/webp",
        "a WebP image",
        {".webp"},
        lambda h: h[:4] == b"RIFF" and h[8:12] == b"WEBP",
    ),
    _format("image/heic", "a HEIC image", {".heic", ".heif", ".hif"}, _is_heic),
    _format("image/avif", "an AVIF image", {".avif"}, _is_avif),
    _format(
        "image/tiff",
        "a TIFF image",
        {".tif", ".tiff"},
        lambda h: h[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"},
    ),
)
