"""The reader of SVG pictures."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from trawl.errors import ReadError
from trawl.readers import media_type_of, read
from trawl.types import Picture, Reading

START = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {}>{}</svg>'
)


def reading(folder: Path, attributes: str, inside: str) -> Reading:
    path = folder / "a.svg"
    path.write_text(START.format(attributes, inside))
    assert media_type_of(path) == "image/svg+xml"
    return read(path, "image/svg+xml")


def picture(found: Reading) -> Picture:
    (part,) = found.parts
    assert isinstance(part, Picture)
    return part


def test_svg_is_drawn_with_its_words(tmp_path: Path) -> None:
    found = reading(
        tmp_path,
        'width="20mm" height="10mm" viewBox="0 0 200 100"',
        "<title>Beams</title><desc>A beam line</desc><rect width='100' height='100' fill='red'/>"
        "<text x='9' y='9'>counts <tspan>per hour</tspan></text>",
    )
    assert found.title == "Beams"
    drawn = picture(found)
    assert (drawn.width_px, drawn.height_px) == (1024, 512)
    assert (drawn.caption, drawn.words) == ("A beam line", "counts per hour")
    assert drawn.image.getpixel((400, 400)) == (255, 0, 0)
    assert drawn.image.getpixel((800, 400)) == (255, 255, 255)


def test_svg_reads_nothing_outside_the_file(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), "blue").save(stream, "PNG")
    (tmp_path / "secret.png").write_bytes(stream.getvalue())
    inside = base64.b64encode(stream.getvalue()).decode()
    image = "<image width='50' height='100' {}/>"
    found = reading(
        tmp_path,
        'viewBox="0 0 100 100"',
        image.format(f"xlink:href='{tmp_path}/secret.png'")
        + image.format(f"x='50' href='data:image/png;base64,{inside}'"),
    )
    drawn = picture(found).image
    assert drawn.getpixel((256, 512)) == (255, 255, 255)
    assert drawn.getpixel((768, 512)) == (0, 0, 255)
    assert found.notices == ("pictures outside the file are not shown: 1",)


@pytest.mark.parametrize("size", ["100000", "1e9", "0", "-5", "100%", "9" * 30])
def test_any_stated_size_is_drawn(tmp_path: Path, size: str) -> None:
    found = reading(tmp_path, f'width="{size}" height="{size}"', "<rect width='9' height='9'/>")
    assert max(picture(found).image.size) <= 1024


def test_svg_bombs_are_refused(tmp_path: Path) -> None:
    levels = "".join(
        f"<g id='l{n}'>" + f"<use href='#l{n - 1}'/>" * 10 + "</g>" for n in range(1, 12)
    )
    path = tmp_path / "a.svg"
    path.write_text(START.format("", f"<defs><rect id='l0' width='9'/>{levels}</defs>"))
    with pytest.raises(ReadError, match="nodes limit reached"):
        read(path, "image/svg+xml")
    path.write_text('<!DOCTYPE svg [<!ENTITY a "ha">]>' + START.format("", "&a;"))
    with pytest.raises(ReadError, match="declares entities"):
        read(path, "image/svg+xml")
    path.write_text(START.format("", "<g/>" * 200_001))
    with pytest.raises(ReadError, match="elements exceed the limit"):
        read(path, "image/svg+xml")


def test_pages_are_not_svg(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("<!doctype html><html><svg></svg></html>")
    assert media_type_of(path) == "text/plain"
