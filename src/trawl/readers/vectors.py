"""SVG pictures, drawn by resvg in a process of its own.

The library ends its process for some invalid files, and others take it very long. Nothing outside
the file is read: pictures that are linked rather than embedded are left out.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from trawl.errors import ReadError
from trawl.readers.flow import clean, one_line
from trawl.readers.formats import MIB, Format, Limits, read_bytes, stem_title
from trawl.readers.pictures import decode_picture
from trawl.readers.pixels import MAX_SIDE_PX, is_uniform
from trawl.readers.text import MAX_TITLE_CHARS
from trawl.readers.xml_tree import Element, kind, parse_xml, short
from trawl.types import Picture, Reading

MAX_SVG_BYTES = 16 * MIB
MAX_ELEMENTS = 200_000
_DRAW_S = 20
_MAX_ASPECT = 50
_UNITS = {"": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "mm": 3.78, "cm": 37.8, "in": 96.0}
_LENGTH = re.compile(r"\s*([0-9]{0,9}(?:\.[0-9]{0,9})?)\s*(px|pt|pc|mm|cm|in)?\s*")
_ROOT = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?svg[\s>]")
_PROGRAM = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
import resvg_py
source = sys.stdin.buffer.read().decode("utf-8")
width, height = int(sys.argv[1]), int(sys.argv[2])
drawn = resvg_py.svg_to_bytes(svg_string=source, width=width, height=height or None, dpi=96)
sys.stdout.buffer.write(drawn)
"""


def is_svg(head: bytes) -> bool:
    """Return whether the first bytes of a file are those of an SVG picture."""
    found = _ROOT.search(head)
    return found is not None and b"<html" not in head[: found.start()].lower()


def read_svg(path: Path, limits: Limits) -> Reading:
    """Draw an SVG picture. Its title is that of the picture, else the file's name."""
    picture, title, notices = draw_svg(read_bytes(path, MAX_SVG_BYTES), limits)
    if is_uniform(picture.image):
        notices.append("the image is of one colour")
    title = title[:MAX_TITLE_CHARS] or stem_title(path)
    return Reading("image/svg+xml", title, (picture,), notices=tuple(notices))


def draw_svg(data: bytes, limits: Limits) -> tuple[Picture, str, list[str]]:
    """Return the picture with its description and words, its title, and notices.

    Raises `ReadError`.
    """
    root = parse_xml(data, "the SVG picture")
    if kind(root).rpartition(":")[2] != "svg":
        raise ReadError("not an SVG picture")
    notices = []
    linked = count = 0
    words: list[str] = []
    for one in root.iter():
        count += 1
        name = kind(one).rpartition(":")[2]
        if name in {"image", "feImage"}:
            linked += _without_link(one)
        elif name == "text":
            words.append(one_line("".join(one.itertext())))
    if count > MAX_ELEMENTS:
        raise ReadError(f"{count:,} elements exceed the limit of {MAX_ELEMENTS:,}")
    if linked:
        notices.append(f"pictures outside the file are not shown: {linked:,}")
    width_px, height_px = _size(root)
    drawn = _drawn(ElementTree.tostring(root, "utf-8"), width_px, height_px)
    picture, _ = decode_picture(drawn, limits)
    title, description = _child_text(root, "title"), _child_text(root, "desc")
    picture = replace(picture, caption=description or title, words="\n".join(filter(None, words)))
    return picture, title, notices


def _without_link(image: Element) -> bool:
    """Remove the address of a picture that is not in the file, and return whether it had one."""
    found = False
    for key in list(image.keys()):
        if short(key) in {"href", "xlink:href"}:
            value = (image.get(key) or "").lstrip()
            if value and not value.startswith(("data:", "#")):
                del image.attrib[key]
                found = True
    return found


def _child_text(root: Element, name: str) -> str:
    for one in root:
        if kind(one).rpartition(":")[2] == name:
            return one_line(clean("".join(one.itertext())))
    return ""


def _size(root: Element) -> tuple[int, int]:
    """Return the size to draw at, and write valid sizes into the root.

    The longer side is `MAX_SIDE_PX`. The height is 0 if the picture states no size at all.
    """
    box = [float(n) for n in re.findall(r"-?\d{1,9}(?:\.\d{1,9})?", root.get("viewBox") or "")]
    default = (box[2], box[3]) if len(box) == 4 and min(box[2:]) > 0 else (0.0, 0.0)
    width = _length(root.get("width")) or default[0] or _length(root.get("height"))
    height = _length(root.get("height")) or default[1] or width
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    if not width:
        return MAX_SIDE_PX, 0
    if not default[0]:
        root.set("viewBox", f"0 0 {width} {height}")
    aspect = min(max(width / height, 1 / _MAX_ASPECT), _MAX_ASPECT)
    width_px = MAX_SIDE_PX if aspect >= 1 else max(1, round(MAX_SIDE_PX * aspect))
    height_px = max(1, round(MAX_SIDE_PX / aspect)) if aspect >= 1 else MAX_SIDE_PX
    root.set("width", str(width_px))
    root.set("height", str(height_px))
    return width_px, height_px


def _length(value: str | None) -> float:
    match = _LENGTH.fullmatch(value or "")
    if match is None or not match[1].strip("."):
        return 0.0
    return float(match[1]) * _UNITS[match[2] or ""]


def _drawn(source: bytes, width_px: int, height_px: int) -> bytes:
    """Return the drawing as a PNG file. Raises `ReadError`."""
    try:
        found = subprocess.run(
            [sys.executable, "-I", "-c", _PROGRAM, str(width_px), str(height_px)],
            input=source,
            capture_output=True,
            timeout=_DRAW_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ReadError(f"it takes more than {_DRAW_S} s to draw the SVG picture") from error
    except OSError as error:
        raise ReadError(f"the SVG picture cannot be drawn: {error.strerror}") from error
    if found.returncode or not found.stdout:
        lines = found.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = one_line(lines[-1])[:200] if lines else f"signal {-found.returncode}"
        raise ReadError(f"the SVG picture cannot be drawn: {reason}")
    return found.stdout


FORMATS = (
    Format("image/svg+xml", "image", "an SVG picture", frozenset({".svg"}), read_svg, is_svg),
)
