"""The contract of every reader."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import docx
import numpy as np
import pillow_heif
import pptx
import pytest
import soundfile
import xlsxwriter
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

import trawl.readers
from trawl.errors import ReadError
from trawl.readers import FORMATS, READERS, media_type_of, read
from trawl.types import Passages, Picture, Reading


def _text(path: Path) -> None:
    path.write_text("# A muon\n\nIt decays.\n")


def _table(path: Path) -> None:
    path.write_text('{"name": "muon", "decays": true}\n{"name": "pion", "decays": true}\n')


def _pdf(path: Path) -> None:
    canvas = Canvas(io.BytesIO(), invariant=True)
    for page in ("A muon decays.", "It becomes an electron."):
        canvas.drawString(72, 700, page)
        canvas.rect(72, 300, 200, 200, fill=1)
        canvas.drawString(72, 280, "Figure 1. A square.")
        canvas.showPage()
    path.write_bytes(canvas.getpdfdata())


def _picture(pillow_format: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with path.open("wb") as stream:
            Image.new("RGB", (40, 30), (200, 10, 10)).save(stream, pillow_format)

    return write


def _sound(container: str, subtype: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        samples = np.sin(np.arange(16_000) / 9).astype(np.float32) / 2
        with path.open("wb") as stream:
            soundfile.write(stream, samples, 16_000, format=container, subtype=subtype)

    return write


def _heic(path: Path) -> None:
    image = Image.new("RGB", (64, 48), (200, 10, 10))
    image.paste((10, 10, 200), (32, 0, 64, 48))
    with path.open("wb") as stream:
        pillow_heif.from_pillow(image).save(stream)


def _coded(container: str, codec: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        wave = np.sin(np.arange(16_000) / 9).astype(np.float32)[None] / 2
        with path.open("wb") as file, av.open(file, "w", format=container) as out:
            stream = out.add_stream(codec, rate=16_000, layout="mono")
            stream.codec_context.bit_rate = 64_000
            size = stream.codec_context.frame_size or 1024
            for at in range(0, wave.shape[1], size):
                block = np.ascontiguousarray(wave[:, at : at + size])
                frame = av.AudioFrame.from_ndarray(block, "fltp", "mono")
                frame.sample_rate, frame.pts = 16_000, at
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))

    return write


def _video(container: str, codec: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with path.open("wb") as file, av.open(file, "w", format=container) as out:
            stream = out.add_stream(codec, rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for number in range(10):
                frame = av.VideoFrame.from_image(Image.new("RGB", (64, 48), (200, 10, 10)))
                frame.pts = number
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))

    return write


def _page(path: Path) -> None:
    path.write_text("<title>Muons</title><h1>A muon</h1><p>It decays.</p>")


def _word(path: Path) -> None:
    document = docx.Document()
    document.add_heading("A muon", 1)
    document.add_paragraph("It decays.")
    document.add_table(2, 2).cell(0, 0).text = "muon"
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 10, 10)).save(stream, "PNG")
    document.add_picture(stream)
    with path.open("wb") as out:
        document.save(out)


def _slides(path: Path) -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "A muon"
    slide.placeholders[1].text = "It decays."
    with path.open("wb") as out:
        deck.save(out)


def _book(path: Path) -> None:
    item = '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", '<c><rootfile full-path="p.opf"/></c>')
        archive.writestr(
            "p.opf",
            '<package xmlns="http://www.idpf.org/2007/opf"><manifest>'
            f'{item}</manifest><spine><itemref idref="a"/></spine></package>',
        )
        archive.writestr("a.xhtml", "<html><body><h1>A muon</h1><p>It decays.</p></body></html>")


def _notebook(path: Path) -> None:
    path.write_text('{"cells": [{"cell_type": "markdown", "source": "# A muon\\nIt decays."}]}')


def _mail(path: Path) -> None:
    path.write_text("From: a@example.org\nSubject: A muon\n\nIt decays.\n")


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "A muon decays. " * 20)
        archive.writestr("b.txt", "It decays.")


def _tar(path: Path) -> None:
    with path.open("wb") as out, tarfile.open(fileobj=out, mode="w:gz") as archive:
        info = tarfile.TarInfo("a.txt")
        text = np.random.default_rng(1).bytes(4_000).hex().encode()  # hardly compressible
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))


def _workbook(path: Path) -> None:
    with path.open("wb") as out, xlsxwriter.Workbook(out) as book:
        sheet = book.add_worksheet("Particles")
        sheet.write_row(0, 0, ["name", "mass"])
        sheet.write_row(1, 0, ["muon", 105.7])


def _old_workbook(path: Path) -> None:
    """Write an Excel 97 workbook: one sheet with one text, in the records of BIFF 8."""
    text = "It decays.".encode("utf-16-le")

    def record(kind: int, data: bytes) -> bytes:
        return struct.pack("<HH", kind, len(data)) + data

    begin = struct.pack("<HHHHII", 0x0600, 0x0005, 0x0DBB, 0x07CC, 0x41, 6)
    sheet_begin = struct.pack("<HHHHII", 0x0600, 0x0010, 0x0DBB, 0x07CC, 0x41, 6)
    name = b"Notes"
    strings = struct.pack("<II", 1, 1) + struct.pack("<HB", len(text) // 2, 1) + text
    end = record(0x000A, b"")
    globals_ = record(0x0809, begin) + record(0x0042, struct.pack("<H", 1200))
    sheet_at = len(globals_) + 4 + 8 + len(name) + 4 + len(strings) + len(end)
    bound = struct.pack("<IBBBB", sheet_at, 0, 0, len(name), 0) + name
    book = globals_ + record(0x0085, bound) + record(0x00FC, strings) + end
    book += record(0x0809, sheet_begin) + record(0x00FD, struct.pack("<HHHI", 0, 0, 0, 0)) + end
    path.write_bytes(_compound_file("Workbook", book.ljust(4096, b"\0")))


def _compound_file(name: str, stream: bytes) -> bytes:
    """Return an OLE compound file (MS-CFB) with one stream of at least 4,096 bytes."""
    sectors = -(-len(stream) // 512)
    free, end, table = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
    header = struct.pack(
        "<8s16sHHHHH6sIIIIIIIII",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        bytes(16),
        *(0x3E, 3, 0xFFFE, 9, 6),
        bytes(6),
        *(0, 1, 1, 0, 4096, end, 0, end, 0),
    )
    header += struct.pack("<109I", 0, *[free] * 108)
    chain = [table, end, *range(3, sectors + 2), end]
    fat = struct.pack("<128I", *chain, *[free] * (128 - len(chain)))

    def entry(label: str, kind: int, child: int, start: int, size: int) -> bytes:
        wide = label.encode("utf-16-le") + b"\0\0"
        return struct.pack(
            "<64sHBBIII16sIQQIQ",
            *(wide, len(wide) if label else 0, kind, 1, free, free, child, bytes(16)),
            *(0, 0, 0, start, size),
        )

    root = entry("Root Entry", 5, 1, end, 0)
    directory = root + entry(name, 2, free, 2, len(stream)) + 2 * entry("", 0, free, 0, 0)
    return header + fat + directory + stream.ljust(sectors * 512, b"\0")


def _open_sheet(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        office = "urn:oasis:names:tc:opendocument:xmlns"
        archive.writestr("META-INF/manifest.xml", f'<m:manifest xmlns:m="{office}:manifest:1.0"/>')
        archive.writestr(
            "content.xml",
            f'<office:document-content xmlns:office="{office}:office:1.0" '
            f'xmlns:table="{office}:table:1.0" xmlns:text="{office}:text:1.0"><office:body>'
            '<office:spreadsheet><table:table table:name="Notes"><table:table-row>'
            '<table:table-cell office:value-type="string"><text:p>It decays.</text:p>'
            "</table:table-cell></table:table-row></table:table></office:spreadsheet>"
            "</office:body></office:document-content>",
        )


def _drawing(path: Path) -> None:
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30">'
        '<rect width="20" height="30" fill="red"/></svg>'
    )


def _open_document(kind: str, content: str) -> Callable[[Path], None]:
    names = "urn:oasis:names:tc:opendocument:xmlns"

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("mimetype", f"application/vnd.oasis.opendocument.{kind}")
            archive.writestr(
                "content.xml",
                f'<office:document-content xmlns:office="{names}:office:1.0" '
                f'xmlns:text="{names}:text:1.0" xmlns:draw="{names}:drawing:1.0"><office:body>'
                f"<office:{kind}>{content}</office:{kind}></office:body>"
                "</office:document-content>",
            )

    return write


SAMPLES: dict[str, Callable[[Path], None]] = {
    "text/plain": _text,
    "text/markdown": _text,
    "text/x-rst": _text,
    "text/x-tex": _text,
    "text/x-source": _text,
    "text/csv": _table,
    "text/tab-separated-values": _table,
    "application/jsonl": _table,
    "text/html": _page,
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": _word,
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": _slides,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": _workbook,
    "application/epub+zip": _book,
    "application/x-ipynb+json": _notebook,
    "message/rfc822": _mail,
    "application/vnd.oasis.opendocument.text": _open_document(
        "text", "<text:h>A muon</text:h><text:p>It decays.</text:p>"
    ),
    "application/vnd.oasis.opendocument.presentation": _open_document(
        "presentation",
        "<draw:page><draw:frame><draw:text-box><text:p>It decays.</text:p></draw:text-box>"
        "</draw:frame></draw:page>",
    ),
    "application/zip": _zip,
    "application/x-tar": _tar,
    "application/vnd.ms-excel": _old_workbook,
    "application/vnd.oasis.opendocument.spreadsheet": _open_sheet,
    "application/pdf": _pdf,
    "image/svg+xml": _drawing,
    "image/png": _picture("PNG"),
    "image/jpeg": _picture("JPEG"),
    "image/gif": _picture("GIF"),
    "image/bmp": _picture("BMP"),
    "image/webp": _picture("WEBP"),
    "image/avif": _picture("AVIF"),
    "image/heic": _heic,
    "image/tiff": _picture("TIFF"),
    "audio/wav": _sound("WAV", "PCM_16"),
    "audio/flac": _sound("FLAC", "PCM_16"),
    "audio/ogg": _sound("OGG", "VORBIS"),
    "audio/mpeg": _sound("MP3", "MPEG_LAYER_III"),
    "audio/mp4": _coded("ipod", "aac"),
    "audio/aac": _coded("adts", "aac"),
    "audio/x-ms-wma": _coded("asf", "wmav2"),
    "video/mp4": _video("mp4", "libx264"),
    "video/quicktime": _video("mov", "libx264"),
    "video/x-matroska": _video("matroska", "mpeg4"),
    "video/webm": _video("webm", "libvpx"),
    "video/x-msvideo": _video("avi", "mpeg4"),
    "video/x-ms-asf": _video("asf", "wmv2"),
}
SUFFIX = {format_.media_type: min(format_.suffixes) for format_ in FORMATS}
ONLY_IF_TEXT = {format_.media_type: format_.only_if_text for format_ in FORMATS}
WITHOUT_PARTS = {"application/zip", "application/x-tar"}  # their members are documents
ODD_NAMES = ["with space", 'it\'s "quoted"', "two\nlines", "🦑", "-rf", os.fsdecode(b"caf\xe9")]


def content(found: Reading) -> list[object]:
    """Return the content of a reading in a comparable form."""
    parts: list[object] = [found.media_type, found.title, dict(found.metadata)]
    for part in found.parts:
        if isinstance(part, Passages):
            parts.append(part)
        elif isinstance(part, Picture):
            parts.append((part.image.tobytes(), part.width_px, part.height_px))
        else:
            parts += [(at, s.samples.tobytes()) for at, s in part.windows(0.5, 0.25)]
    return parts


def test_every_format_has_a_sample_here() -> None:
    assert set(SAMPLES) == set(READERS)


@pytest.mark.parametrize("media_type", SAMPLES)
def test_a_file_is_detected_and_read_under_any_name(tmp_path: Path, media_type: str) -> None:
    for name in ODD_NAMES:
        path = tmp_path / (name + SUFFIX[media_type].upper())
        SAMPLES[media_type](path)
        assert media_type_of(path) == media_type
        found = read(path, media_type)
        assert found.media_type == media_type
        assert found.parts or media_type in WITHOUT_PARTS
        found.title.encode()  # fit for a column of UTF-8, whatever the name holds
        assert "\n" not in found.title


@pytest.mark.parametrize("media_type", SAMPLES)
def test_readers_are_pure_and_safe_in_threads(tmp_path: Path, media_type: str) -> None:
    path = tmp_path / f"a{SUFFIX[media_type]}"
    SAMPLES[media_type](path)
    expected = content(read(path, media_type))
    together = threading.Barrier(4)

    def work(_: int) -> list[object]:
        together.wait()
        return content(read(path, media_type))

    with ThreadPoolExecutor(4) as pool:
        assert all(found == expected for found in pool.map(work, range(4)))


@pytest.mark.parametrize("media_type", SAMPLES)
def test_damage_is_a_read_error_or_a_reading_and_nothing_else(
    tmp_path: Path, media_type: str
) -> None:
    """Overwrites bytes and truncates the file at random; no other exception may escape."""
    path = tmp_path / f"a{SUFFIX[media_type]}"
    SAMPLES[media_type](path)
    whole = path.read_bytes()
    rng = np.random.default_rng(11)
    refused = 0
    for _ in range(40):
        data = bytearray(whole[: rng.integers(1, len(whole) + 1)])
        for at in rng.integers(0, len(data), size=rng.integers(1, 8)):
            data[at] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            content(read(path, media_type))
        except ReadError:
            refused += 1
    assert refused > 5


@pytest.mark.parametrize("media_type", SAMPLES)
@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "pipe"])
def test_special_files_raise_a_read_error(tmp_path: Path, media_type: str, kind: str) -> None:
    path = tmp_path / f"a{SUFFIX[media_type]}"
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "pipe":
        os.mkfifo(path)
    if kind == "empty" and ONLY_IF_TEXT[media_type]:
        assert media_type_of(path) is None  # skipped, as an empty __init__.py is normal
    else:
        with pytest.raises(ReadError):
            media_type_of(path)
    with pytest.raises(ReadError):
        read(path, media_type)


def test_a_file_without_read_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    _text(path)
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read everything: let the system refuse by hand

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ReadError, match="no permission to read"):
        media_type_of(path)
    with pytest.raises(ReadError, match="no permission to read"):
        read(path, "text/plain")


@pytest.mark.parametrize("media_type", [f.media_type for f in FORMATS if f.modality != "text"])
def test_content_overrides_the_extension_within_a_modality(tmp_path: Path, media_type: str) -> None:
    # Sound alone in a container of Windows Media is known by its extension only.
    seen = "video/x-ms-asf" if media_type == "audio/x-ms-wma" else media_type
    own = next(format_ for format_ in FORMATS if format_.media_type == seen)
    for claimed in FORMATS:
        path = tmp_path / f"a{min(claimed.suffixes)}"
        SAMPLES[media_type](path)
        if own.family and claimed.family == own.family:  # the extension decides
            assert media_type_of(path) == claimed.media_type
        elif claimed.modality == own.modality:
            assert media_type_of(path) == seen
        elif (
            media_type == "image/svg+xml"
            and claimed.modality == "text"
            and claimed.media_type != "application/pdf"
        ):
            assert media_type_of(path) == claimed.media_type  # an SVG picture is text too
        else:
            with pytest.raises(ReadError, match=rf"named {min(claimed.suffixes)} but contains "):
                media_type_of(path)
    for name in ("no suffix", "a.dat"):
        SAMPLES[media_type](tmp_path / name)
        assert media_type_of(tmp_path / name) == seen


def test_a_text_named_as_a_picture(tmp_path: Path) -> None:
    for name in ("a.png", "a.MP3"):
        path = tmp_path / name
        path.write_text("no picture, no sound")
        with pytest.raises(
            ReadError, match=rf"named {path.suffix.lower()} but contains plain text"
        ):
            media_type_of(path)


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("README", b"words", "text/plain"),
        ("a.json", b"{}", None),
        ("a.py", b"print()", "text/x-source"),
        ("a.py", bytes(range(256)), None),
        ("a.ts", b"G@" + bytes(range(256)), None),
        ("a.csv", b"a,b\n", "text/csv"),
        ("a.bin", bytes(range(256)), None),
        ("no suffix", bytes(range(256)), None),
        ("__init__.py", b"", None),
        ("_SUCCESS", b"", None),
        ("Icon\r", b"", None),
        ("empty.dat", b"", None),
        ("a.md", b"ID3 tags, GIF89a, BM and RIFF are words here", "text/markdown"),
        ("a.txt", b"GIF89a is a format", "text/plain"),
        ("a.txt", "Zerfälle".encode("utf-16"), "text/plain"),
        ("a.txt", b"caf\xe9", "text/plain"),
        ("a.dat", b"\xff\xfb" + bytes(5000), None),
    ],
)
def test_types_by_content_and_name(
    tmp_path: Path, name: str, data: bytes, expected: str | None
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert media_type_of(path) == expected


def test_unsupported_types_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"%PDF-1.7\n\xe2\xe3\xcf\xd3\n")
    with pytest.raises(ReadError, match=r"named \.jpg but contains a PDF document"):
        media_type_of(path)


def test_an_unknown_media_type_lists_the_supported(tmp_path: Path) -> None:
    with pytest.raises(
        ReadError, match="unsupported media type model/obj; supported: text/plain, "
    ):
        read(tmp_path / "a", "model/obj")


def test_every_public_name_exists() -> None:
    assert all(hasattr(trawl.readers, name) for name in trawl.readers.__all__)


def test_what_is_not_read_is_named_with_what_to_do(tmp_path: Path) -> None:
    reasons = {}
    for name, data in [
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        ("a.xyz", b"\0\1\2"),
        ("a", b"7z\xbc\xaf\x27\x1c\0\4"),
        ("b", b"\0\1\2"),
        ("a.ts", b"G@\0\x10\0\0\xb0"),
        ("a.py", b""),
    ]:
        path = tmp_path / name
        path.write_bytes(data)
        assert media_type_of(path) is None
        reasons[name] = trawl.readers.why_unread(path)
    listed = "docs/formats.md lists the formats that are read"
    assert reasons == {
        "a.doc": ".doc is a Word 97 document, which is not read; save it as .docx, or as PDF",
        "a.xyz": f"files of type .xyz are not read; {listed}",
        "a": "contains a 7z archive, which is not read",
        "b": f"neither its name nor its content is of a type that is read; {listed}",
        "a.ts": "named .ts but contains no text",
        "a.py": "empty file",
    }
    assert trawl.readers.why_skipped(".psd").startswith(".psd is a picture with layers")
    assert trawl.readers.why_skipped(".py") == ".py is empty or not text"
