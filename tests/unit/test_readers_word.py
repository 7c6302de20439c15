"""The reader of Word documents. The samples are made with python-docx."""

from __future__ import annotations

import datetime
import io
import zipfile
from pathlib import Path
from typing import Any

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from PIL import Image

from trawl.errors import ReadError
from trawl.readers import flow, media_type_of, read
from trawl.types import Passages, Picture, Reading

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def picture(colour: str) -> io.BytesIO:
    stream = io.BytesIO()
    Image.new("RGB", (60, 40), colour).save(stream, "PNG")
    return stream


def saved(folder: Path, document: Any) -> Path:
    path = folder / "a.docx"
    document.save(str(path))
    return path


def reading(folder: Path, document: Any) -> Reading:
    path = saved(folder, document)
    assert media_type_of(path) == WORD
    return read(path, WORD)


def passages(found: Reading) -> list[Passages]:
    return [part for part in found.parts if isinstance(part, Passages)]


def with_body(*elements: str) -> Any:
    """Return a document with paragraphs written in XML."""
    document = docx.Document()
    for element in elements:
        start, _, rest = element.partition(">")
        names = nsdecls("w", "m", "wp", "a", "r")
        extra = (
            'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
            'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
            'xmlns:v="urn:schemas-microsoft-com:vml"'
        )
        document.element.body.insert_element_before(
            parse_xml(f"{start} {names} {extra}>{rest}"), "w:sectPr"
        )
    return document


def rewritten(path: Path, member: str, change: Any) -> Path:
    """Replace the content of a member of a ZIP file."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    members[member] = change(members[member])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in members.items():
            new.writestr(name, data)
    return path


@pytest.fixture
def unjoined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the few words of a sample be a section."""
    monkeypatch.setattr(flow, "_MIN_CHARS", 0)


@pytest.mark.usefixtures("unjoined")
def test_headings_are_sections_and_pictures_have_captions(tmp_path: Path) -> None:
    document = docx.Document()
    document.core_properties.title = "Microsoft Word - draft7.docx"
    document.core_properties.author = "Lise Meitner; Otto Hahn"
    document.core_properties.created = datetime.datetime(2024, 5, 6, 7)
    document.add_paragraph("Decays of the muon", style="Title")
    document.add_heading("Results", 1)
    document.add_paragraph("See Figure 1.")
    document.add_picture(picture("red"))
    document.add_paragraph("Figure 1: The signal", style="Caption")
    document.add_heading("Lifetime", 2)
    document.add_paragraph("at rest", style="List Bullet")
    document.add_paragraph("in flight", style="List Bullet")
    document.add_heading("Outlook", 1)
    document.add_paragraph("More beam.")
    found = reading(tmp_path, document)
    assert found.title == "Decays of the muon"
    assert found.metadata["authors"] == ["Lise Meitner", "Otto Hahn"]
    assert found.metadata["created"] == datetime.date(2024, 5, 6)
    parts = list(found.parts)
    assert [part.section for part in parts if isinstance(part, Passages | Picture)] == [
        "",
        "Results",
        "Results",
        "Results › Lifetime",
        "Outlook",
    ]
    assert isinstance(parts[2], Picture)
    assert (parts[2].label, parts[2].caption) == ("Figure 1", "Figure 1: The signal")
    assert isinstance(parts[3], Passages)
    assert parts[3].text == "Lifetime\n\nat rest\nin flight"
    assert not found.notices
    assert not found.late_notices


def test_tables_are_rows_with_merged_cells(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("Table 3. Masses", style="Caption")
    table = document.add_table(3, 3)
    for row, texts in enumerate([("a", "b", "c"), ("1", "2", "3"), ("4", "5", "6")]):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    table.cell(1, 0).merge(table.cell(2, 0)).text = "tall"
    table.cell(0, 1).merge(table.cell(0, 2)).text = "wide"
    document.add_paragraph("After.")
    one, two = passages(reading(tmp_path, document))
    assert one.label == "Table 3"
    assert one.whole
    assert one.text == (
        "Table 3. Masses\n\n| a | wide |  |\n| --- | --- | --- |\n| tall | 2 | 3 |\n"
        "| tall | 5 | 6 |"
    )
    assert two.text == "After."


def test_a_table_that_arranges_a_page_is_read_cell_by_cell(tmp_path: Path) -> None:
    document = docx.Document()
    table = document.add_table(1, 2)
    table.cell(0, 0).text = "left"
    inner = table.cell(0, 1).add_table(2, 2)
    for cell, text in zip([c for r in inner.rows for c in r.cells], "abcd", strict=True):
        cell.text = text
    found = passages(reading(tmp_path, document))
    assert [part.text for part in found] == ["left", "| a | b |\n| --- | --- |\n| c | d |"]


def test_text_boxes_content_controls_insertions_and_notes_are_read(tmp_path: Path) -> None:
    run = "<w:r><w:t>{}</w:t></w:r>"
    box = f"<w:txbxContent><w:p>{run.format('boxed')}</w:p></w:txbxContent>"
    found = reading(
        tmp_path,
        with_body(
            f"<w:sdt><w:sdtContent><w:p>{run.format('controlled')}</w:p></w:sdtContent></w:sdt>",
            f"<w:p>{run.format('kept ')}<w:ins>{run.format('inserted')}</w:ins>"
            f"<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del>"
            "<w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r></w:p>",
            f"<w:p><w:r><mc:AlternateContent><mc:Choice Requires='wps'><w:drawing>{box}"
            f"</w:drawing></mc:Choice><mc:Fallback><w:pict>{box}</w:pict></mc:Fallback>"
            "</mc:AlternateContent></w:r></w:p>",
            f"<w:p>{run.format('With ')}<m:oMath><m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num>"
            "<m:den><m:r><m:t>2</m:t></m:r></m:den></m:f></m:oMath><w:r><w:tab/><w:t>end</w:t>"
            "<w:br/><w:t>line</w:t></w:r></w:p>",
        ),
    )
    (part,) = passages(found)
    assert part.text == "controlled\n\nkept inserted\n\nboxed\n\nWith  (a+b)/2 \tend\nline"


@pytest.mark.usefixtures("unjoined")
def test_headings_by_outline_level_and_derived_styles(tmp_path: Path) -> None:
    document = docx.Document()
    own = document.styles.add_style("Chapter", docx.enum.style.WD_STYLE_TYPE.PARAGRAPH)
    own.base_style = document.styles["Heading 2"]
    document.core_properties.title = "Thesis"
    document.add_paragraph("Derived", style="Chapter")
    document.add_paragraph("words")
    level = document.add_paragraph("Outlined")
    level.paragraph_format.element.get_or_add_pPr().append(
        parse_xml(f'<w:outlineLvl {nsdecls("w")} w:val="2"/>')
    )
    document.add_paragraph("more words")
    assert [part.section for part in passages(reading(tmp_path, document))] == [
        "Derived",
        "Derived › Outlined",
    ]


def test_a_damaged_or_missing_picture_is_a_notice(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("Words.")
    document.add_picture(picture("red"))
    document.add_picture(picture("blue"))
    path = rewritten(saved(tmp_path, document), "word/media/image1.png", lambda data: data[:60])
    found = read(path, WORD)
    assert [type(part).__name__ for part in found.parts] == ["Passages", "Picture"]
    assert len(found.late_notices) == 1
    assert found.late_notices[0].startswith("the picture word/media/image1.png is not indexed: ")


def test_comments_are_counted(tmp_path: Path) -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("Words.")
    document.add_comment(paragraph.runs, "doubtful", author="A", initials="A")
    assert reading(tmp_path, document).notices == ("comments are not indexed: 1",)


def test_entities_are_refused(tmp_path: Path) -> None:
    laughs = b'<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
    document = docx.Document()
    document.add_paragraph("Words.")
    path = rewritten(
        saved(tmp_path, document),
        "word/document.xml",
        lambda data: data.replace(b"?>", b"?>" + laughs, 1).replace(b"Words", b"&b;"),
    )
    with pytest.raises(ReadError, match="declares entities"):
        read(path, WORD)


def test_a_bomb_is_refused_by_its_size(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("Words.")
    path = rewritten(
        saved(tmp_path, document), "word/document.xml", lambda data: data + b" " * (65 << 20)
    )
    assert path.stat().st_size < 200_000
    with pytest.raises(ReadError, match=r"bytes unpacked; the limit is 67,108,864"):
        read(path, WORD)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "protected by a password"),
        (b"PK\x03\x04" + bytes(100), "the ZIP file is damaged"),
        (b"no archive", "the ZIP file is damaged"),
    ],
)
def test_other_content_is_refused_with_a_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "a.docx"
    path.write_bytes(data)
    with pytest.raises(ReadError, match=reason):
        read(path, WORD)
