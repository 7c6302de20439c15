"""Why a file is not read: known types that no reader reads, and what to do with such a file."""

from __future__ import annotations

from pathlib import PurePath

_LISTED = "docs/formats.md lists the formats that are read"

_KINDS: tuple[tuple[str, str, str], ...] = (
    ("a Word 97 document", "save it as .docx, or as PDF", "doc dot wps"),
    ("an Excel 97 workbook", "save it as .xlsx or CSV", "xlt xlsb"),
    ("a PowerPoint 97 presentation", "save it as .pptx, or as PDF", "ppt pps pot"),
    ("an office document", "save it as .docx, or as PDF", "rtf pages wpd fodt"),
    ("a presentation", "save it as PDF", "key"),
    ("a spreadsheet", "save it as CSV", "ots numbers"),
    ("an electronic book", "convert it to EPUB", "mobi azw azw3 prc fb2 lit"),
    ("a scanned document", "convert it to PDF", "djvu djv xps oxps"),
    ("a PostScript file", "convert it to PDF", "ps eps"),
    ("a drawing", "export it as PNG or PDF", "ai cdr indd vsd vsdx odg dwg dxf sketch"),
    ("a vector image", "convert it to PNG", "svgz emf wmf"),
    ("a saved web page", "save it as HTML", "mhtml mht"),
    ("a picture with layers", "export it as PNG", "psd psb xcf kra ora"),
    (
        "a raw photograph",
        "export it as JPEG or TIFF",
        "raw dng cr2 cr3 crw nef nrw arw srf sr2 orf rw2 raf pef srw x3f 3fr iiq",
    ),
    (
        "a picture of a type that is not read",
        "convert it to PNG or TIFF",
        "jxl jp2 j2k jpx exr hdr tga ico icns pcx ppm pgm pbm pnm xbm xpm dds dcm fits fit",
    ),
    ("notes of music, not a recording", "render it as a sound", "mid midi kar mod xm"),
    (
        "a sound of a type that is not read",
        "convert it to FLAC or MP3",
        "ape wv tta dsf dff amr ra ac3 dts caf aif aiff aifc au snd",
    ),
    (
        "a video of a type that is not read",
        "convert it to MP4 or Matroska",
        "flv mpg mpeg m2ts mts 3gp ogv vob",
    ),
    ("an archive", "extract it and add its files", "gz bz2 xz zst lz4 7z rar cab"),
    ("a disk image", "copy its files and add those", "iso dmg img vmdk"),
    (
        "a data file",
        "export it as CSV or JSON lines",
        "parquet feather arrow orc avro sqlite sqlite3 db mdb accdb h5 hdf5 nc npy npz mat rds "
        "rdata dta sav pkl pickle",
    ),
    ("a mailbox or message", "export it as text", "msg pst ost mbox"),
    ("structured data", "write it as JSON lines", "json json5 geojson yaml yml xml rss atom"),
    ("a program or library", "", "exe dll so dylib o a lib class jar pyc wasm apk deb rpm msi bin"),
    ("a font", "", "ttf otf woff woff2 eot"),
)
_BY_SUFFIX = {
    f".{suffix}": (what, advice) for what, advice, suffixes in _KINDS for suffix in suffixes.split()
}

_CONTENTS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "gzip data"),
    (0, b"\x7fELF", "a program"),
    (4, b"ftyp", "a file of the MP4 family (such as video)"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (0, b"\xd0\xcf\x11\xe0", "an office document of Office 97"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"SQLite format 3\0", "an SQLite database"),
)


def foreign_content(head: bytes) -> str | None:
    """Return what the first bytes of a file show it to be, None for an unknown type."""
    return next(
        (name for at, magic, name in _CONTENTS if head[at : at + len(magic)] == magic), None
    )


def suffix_of(name: str) -> str:
    """Return the lower-case extension of a file's name, "" if there is none.

    That of a packed tar archive has two parts: ".tar.gz".
    """
    suffixes = [suffix.lower() for suffix in PurePath(name).suffixes[-2:]]
    return "".join(suffixes if suffixes[:1] == [".tar"] else suffixes[-1:])


def unread_reason(suffix: str, head: bytes | None = None) -> str:
    """Return why a file with an extension such as ".doc" is not read, and what to do.

    `suffix` is "" for a file without one, of which `head`, its first bytes, may tell more.
    """
    known = _BY_SUFFIX.get(suffix)
    if known is not None:
        what, advice = known
        return f"{suffix} is {what}, which is not read" + (f"; {advice}" if advice else "")
    content = foreign_content(head) if head else None
    if content is not None:
        return f"contains {content}, which is not read"
    if suffix:
        return f"files of type {suffix} are not read; {_LISTED}"
    return f"neither its name nor its content is of a type that is read; {_LISTED}"
