"""The reader of spreadsheets. The samples are made with XlsxWriter, or by hand."""

from __future__ import annotations

import datetime
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from PIL import Image

from trawl.errors import ReadError
from trawl.readers import media_type_of, read
from trawl.types import Passages, Picture, Reading

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
ODS_SHEET = (
    '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body>'
    '<office:spreadsheet><table:table table:name="Runs &amp; more">{}</table:table>'
    "</office:spreadsheet></office:body></office:document-content>"
)


def workbook(path: Path, sheets: dict[str, list[list[Any]]]) -> Path:
    with xlsxwriter.Workbook(str(path), {"default_date_format": "yyyy-mm-dd"}) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for at, row in enumerate(rows):
                for column, value in enumerate(row):
                    if value is not None:
                        sheet.write(at, column, value)
    return path


def open_document(path: Path, rows: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", ODS)
        manifest = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
        archive.writestr("META-INF/manifest.xml", f'<m:manifest xmlns:m="{manifest}"/>')
        archive.writestr("content.xml", ODS_SHEET.format(rows))
    return path


def reading(path: Path) -> Reading:
    media_type = media_type_of(path)
    assert media_type is not None
    return read(path, media_type)


def passages(found: Reading) -> list[Passages]:
    return [part for part in found.parts if isinstance(part, Passages)]


def test_sheets_are_sections_of_rows_with_typed_values(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "a.xlsx",
        {
            "Runs": [
                ["Runs of the year"],
                [],
                ["run", "start", "energy in TeV", "stable"],
                [7, datetime.date(2024, 5, 6), 6.8, True],
                [8, datetime.datetime(2024, 5, 7, 8, 30), 6.75, False],
                [],
                [9, None, 1e20, None],
            ],
            "Empty": [],
            "Notes": [["only a note"]],
        },
    )
    found = reading(path)
    assert found.metadata["sheets"] == ["Runs", "Empty", "Notes"]
    assert found.metadata["columns"] == ["run", "start", "energy in TeV", "stable"]
    title, table, more, note = passages(found)
    assert (title.section, title.text) == ("Runs", "Runs\n\nRuns of the year")
    assert table.text == (
        "run: 7\nstart: 2024-05-06\nenergy in TeV: 6.8\nstable: true\n\n"
        "run: 8\nstart: 2024-05-07 08:30:00\nenergy in TeV: 6.75\nstable: false"
    )
    assert [number for _, number in table.rows] == [4, 5]
    assert table.text[table.rows[1][0] :].startswith("run: 8")
    assert (more.text, more.rows) == ("run: 9\nenergy in TeV: 1e+20", ((0, 7),))
    assert (note.section, note.text) == ("Notes", "Empty\n\nNotes\n\nonly a note")


def test_tables_side_by_side_are_split_and_forms_are_not(tmp_path: Path) -> None:
    side = [
        ["name", "mass", None, "beam", "energy"],
        ["muon", 105, None, "H4", 180],
        ["pion", 139, None, "T9", 10],
    ]
    form = [["Voltage", None, "kV", None, 130], [None], ["Frequency", None, "Hz", None, 50]]
    first, second = passages(reading(workbook(tmp_path / "a.xlsx", {"S": side})))
    assert first.text == "S\n\nname: muon\nmass: 105\n\nname: pion\nmass: 139"
    assert second.text == "beam: H4\nenergy: 180\n\nbeam: T9\nenergy: 10"
    loose = passages(reading(workbook(tmp_path / "b.xlsx", {"S": form})))
    assert [part.text for part in loose] == ["S\n\nVoltage\nkV\n130", "Frequency\nHz\n50"]


def test_pictures_and_charts_on_sheets_are_read(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (60, 40), "red").save(stream, "PNG")
    with xlsxwriter.Workbook(str(tmp_path / "a.xlsx")) as book:
        sheet = book.add_worksheet("S")
        sheet.write_column(0, 0, ["x", 1, 2])
        sheet.insert_image(5, 0, "a.png", {"image_data": stream, "description": "a red beam"})
    _, picture = reading(tmp_path / "a.xlsx").parts
    assert isinstance(picture, Picture)
    assert (picture.caption, picture.section) == ("a red beam", "S")


def test_a_sheet_of_billions_of_cells_is_left_out_with_a_notice(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(str(tmp_path / "a.xlsx")) as book:
        sheet = book.add_worksheet("Wide")
        sheet.write(0, 0, "first")
        sheet.write(1_048_575, 16_383, "last")
        book.add_worksheet("Good").write(0, 0, "fine")
    found = reading(tmp_path / "a.xlsx")
    assert found.notices == (
        "the sheet 'Wide' is not indexed: it spans 1,048,576 rows and 16,384 columns",
    )
    assert [part.text for part in passages(found)] == ["Good\n\nfine"]


def test_open_document_sheets_with_repeated_cells(tmp_path: Path) -> None:
    cell = '<table:table-cell office:value-type="string"{}><text:p>x</text:p></table:table-cell>'
    rest = '<table:table-cell table:number-columns-repeated="16380"/></table:table-row>'
    many = '<table:table-row table:number-rows-repeated="{}">'
    path = open_document(
        tmp_path / "a.ods",
        f"<table:table-row>{cell.format('')}{cell.format('')}{rest}"
        f'{many.format(1_048_575)}<table:table-cell table:number-columns-repeated="16384"/>'
        "</table:table-row>",
    )
    assert media_type_of(path) == ODS
    (part,) = passages(read(path, ODS))
    assert (part.section, part.text) == ("Runs & more", "Runs & more\n\nx\nx")
    wide = cell.format(' table:number-columns-repeated="16384"')
    path = open_document(tmp_path / "b.ods", f"{many.format(1_000)}{wide}</table:table-row>")
    with pytest.raises(ReadError, match="spans 1,000 rows and 16,384 columns"):
        read(path, ODS)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "protected by a password"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "the workbook is damaged"),
        ("a.ods", b"PK\x03\x04" + bytes(100), "the ZIP file is damaged"),
    ],
)
def test_damaged_workbooks_are_refused(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ReadError, match=reason):
        reading(path)


def test_a_workbook_without_cells_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="contains no cells"):
        reading(workbook(tmp_path / "a.xlsx", {"S": []}))
