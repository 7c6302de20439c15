"""The reader of OpenDocument texts and presentations."""

from __future__ import annotations

import datetime
import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from trawl.errors import ReadError
from trawl.readers import flow, media_type_of, read
from trawl.types import Passages, Picture, Reading

NAMES = (
    " ".join(
        f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for prefix, name in {
            "office": "office",
            "text": "text",
            "table": "table",
            "draw": "drawing",
            "style": "style",
            "presentation": "presentation",
            "svg": "svg-compatible",
            "meta": "meta",
        }.items()
    )
    + ' xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:dc="http://purl.org/dc/elements/1.1/"'
)
FRAME = (
    '<draw:frame><draw:image xlink:href="Pictures/a.png"/><svg:desc>a red square</svg:desc>'
    "</draw:frame>"
)


def written(folder: Path, kind: str, content: str, manifest: str = "<m/>") -> Path:
    stream = io.BytesIO()
    Image.new("RGB", (60, 40), "red").save(stream, "PNG")
    path = folder / f"a.{'odt' if kind == 'text' else 'odp'}"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", f"application/vnd.oasis.opendocument.{kind}")
        archive.writestr("META-INF/manifest.xml", manifest)
        archive.writestr("Pictures/a.png", stream.getvalue())
        archive.writestr(
            "meta.xml",
            f"<office:document-meta {NAMES}><office:meta><meta:initial-creator>Ida Noddack"
            "</meta:initial-creator><meta:creation-date>2024-05-06T07:08:09</meta:creation-date>"
            "</office:meta></office:document-meta>",
        )
        archive.writestr(
            "content.xml",
            f"<office:document-content {NAMES}><office:automatic-styles>"
            '<style:style style:name="P1" style:parent-style-name="Title"/>'
            f"</office:automatic-styles><office:body><office:{kind}>{content}</office:{kind}>"
            "</office:body></office:document-content>",
        )
    return path


def reading(path: Path) -> Reading:
    media_type = media_type_of(path)
    assert media_type is not None
    return read(path, media_type)


def test_an_open_document_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "_MIN_CHARS", 0)
    content = (
        "<text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>"
        '<text:p text:style-name="P1">Rhenium</text:p>'
        '<text:h text:outline-level="1">Results</text:h>'
        "<text:p>One<text:s text:c='2'/>two<text:tab/>three<text:line-break/>four"
        "<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>A note"
        "</text:p></text:note-body></text:note><office:annotation><text:p>hm</text:p>"
        f"</office:annotation></text:p><text:p>{FRAME}</text:p>"
        '<text:p text:style-name="Illustration">Figure 1: The signal</text:p>'
        "<text:list><text:list-item><text:p>at rest</text:p></text:list-item><text:list-item>"
        "<text:p>in flight</text:p></text:list-item></text:list>"
        "<table:table><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell>"
        "<table:table-cell><text:p>b</text:p></table:table-cell></table:table-row>"
        "<table:table-row><table:table-cell table:number-columns-repeated='2'><text:p>1</text:p>"
        "</table:table-cell></table:table-row></table:table>"
    )
    found = reading(written(tmp_path, "text", content))
    assert found.title == "Rhenium"
    assert found.metadata == {
        "authors": ["Ida Noddack"],
        "created": datetime.date(2024, 5, 6),
    }
    assert found.notices == ("comments are not indexed: 1",)
    title, results, picture, table = found.parts
    assert isinstance(title, Passages)
    assert title.text == "Rhenium"
    assert isinstance(results, Passages)
    assert results.section == "Results"
    assert results.text == "Results\n\nOne two\tthree\nfour\n\nA note\nat rest\nin flight"
    assert isinstance(picture, Picture)
    assert (picture.caption, picture.label) == ("Figure 1: The signal\na red square", "Figure 1")
    assert isinstance(table, Passages)
    assert table.text == "| a | b |\n| --- | --- |\n| 1 | 1 |"


def test_an_open_document_presentation(tmp_path: Path) -> None:
    box = "<draw:frame {}><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>"
    content = (
        "<draw:page>"
        + box.format('presentation:class="footer"', "footer")
        + box.format("", "body")
        + box.format('presentation:class="title"', "Beams")
        + "<presentation:notes>"
        + box.format('presentation:class="notes"', "say more")
        + f"</presentation:notes></draw:page><draw:page>{FRAME}</draw:page>"
    )
    found = reading(written(tmp_path, "presentation", content))
    assert found.title == "Beams"
    assert found.metadata["slides"] == 2
    text, picture = found.parts
    assert isinstance(text, Passages)
    assert (text.page, text.text) == (1, "Beams\n\nbody\n\nsay more")
    assert isinstance(picture, Picture)
    assert (picture.page, picture.caption) == (2, "a red square")


def test_open_documents_with_a_password_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="protected by a password"):
        reading(written(tmp_path, "text", "", "<m><encryption-data/></m>"))
