"""Text of PDF documents: order of reading, headers, headings, titles, damage."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from pdf_layouts import LAYOUTS, drawn
from pdf_scrambler import letters_of
from trawl.errors import ReadError
from trawl.readers import Limits, media_type_of, read
from trawl.readers.pdf.reader import page_list, read_pdf
from trawl.readers.pdf.words import Vocabulary, clean
from trawl.types import Passages, Picture, Reading

PROSE = [
    "Muons from the upper atmosphere reach the ground, and a few of",
    "them stop in the scintillator of the detector, where they decay",
    "into an electron and two neutrinos after a few microseconds.",
]


def write(path: Path, draw: Callable[[Canvas], object], **options: object) -> Path:
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=(600, 800), **options)
    draw(canvas)
    canvas.save()
    path.write_bytes(stream.getvalue())
    return path


def set_lines(
    canvas: Canvas, top: float, lines: list[str], size: float = 10, font: str = "Times-Roman"
) -> None:
    canvas.setFont(font, size)
    for number, line in enumerate(lines):
        canvas.drawString(72, 800 - top - 1.2 * size * number, line)


def found_in(path: Path) -> tuple[Reading, list[Passages], list[Picture]]:
    reading = read(path, "application/pdf")
    parts = list(reading.parts)
    passages = [part for part in parts if isinstance(part, Passages)]
    return reading, passages, [part for part in parts if isinstance(part, Picture)]


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("seed", [1, 2])
def test_columns_are_read_in_order_whatever_the_order_of_the_file(
    tmp_path: Path, name: str, seed: int
) -> None:
    path = tmp_path / "a.pdf"
    data, paragraphs = drawn(name, seed)
    path.write_bytes(data)
    _, passages, _ = found_in(path)
    text = letters_of(" ".join(passage.text for passage in passages))
    places = [text.find(letters_of(paragraph)) for paragraph in paragraphs]
    assert -1 not in places
    assert places == sorted(places)


def test_each_line_of_a_passage_has_its_page_and_box(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        set_lines(canvas, 700, [*PROSE, "The lifetime is measured from the time"])
        canvas.showPage()
        set_lines(canvas, 72, ["between the two flashes of light."])

    _, (passage,), _ = found_in(write(tmp_path / "a.pdf", draw))
    assert passage.text.endswith("the time between the two flashes of light.")
    starts = [start for start, _ in passage.regions]
    regions = [region for _, region in passage.regions]
    assert [passage.text[start:].split()[0] for start in starts] == [
        *("Muons", "them", "into", "The", "between")
    ]
    assert [region.page for region in regions] == [1, 1, 1, 1, 2]
    left, top, right, bottom = regions[0].box
    assert left == pytest.approx(72, abs=1)
    assert top < 700 < bottom
    assert right > 300
    assert passage.page == 1


def test_headers_footers_and_page_numbers_are_left_out(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        for number in range(1, 5):
            set_lines(canvas, 30, ["Annals of Muons, volume 7" if number % 2 else "Two authors"])
            set_lines(canvas, 100, [f"Section {number} has its own words.", *PROSE])
            canvas.drawString(300, 30, str(number + 40))
            canvas.showPage()

    _, passages, _ = found_in(write(tmp_path / "a.pdf", draw))
    text = " ".join(passage.text for passage in passages)
    assert "Annals" not in text
    assert "Two authors" not in text
    assert not any(str(number) in text for number in range(41, 45))
    assert all(f"Section {number} has" in text for number in range(1, 5))


def test_line_numbers_in_the_margin_are_left_out(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        set_lines(canvas, 90, PROSE * 7)
        for number in range(21):
            canvas.drawRightString(60, 710 - 12 * number, f"{number + 1}")

    _, (passage,), _ = found_in(write(tmp_path / "a.pdf", draw))
    assert passage.text == " ".join(PROSE * 7)


def test_a_document_of_one_page_keeps_its_first_and_last_lines(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        set_lines(canvas, 30, ["A letter to the editor"])
        set_lines(canvas, 100, PROSE)
        set_lines(canvas, 770, ["1"])

    _, (passage,), _ = found_in(write(tmp_path / "a.pdf", draw))
    assert passage.text.startswith("A letter to the editor")
    assert passage.text.endswith("1")


def test_headings_are_the_section_of_what_follows(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        set_lines(canvas, 60, ["Muons in a School"], 20, "Times-Bold")
        set_lines(canvas, 120, PROSE)
        set_lines(canvas, 180, ["1 Methods"], 14, "Times-Bold")
        set_lines(canvas, 210, ["1.1 The detector"], 11, "Times-Bold")
        set_lines(canvas, 230, PROSE)
        set_lines(canvas, 290, ["1.2 The electronics"], 11, "Times-Bold")
        set_lines(canvas, 310, PROSE)
        set_lines(canvas, 380, ["References"], 14, "Times-Bold")
        set_lines(canvas, 400, ["[1] A. Person. On muons. 1999."])

    reading, passages, _ = found_in(write(tmp_path / "a.pdf", draw))
    assert reading.title == "Muons in a School"
    assert [passage.section for passage in passages] == [
        "",
        "1 Methods › 1.1 The detector",
        "1 Methods › 1.2 The electronics",
        "References",
    ]
    assert passages[1].text.startswith("1 Methods\n\n1.1 The detector\n\nMuons from")
    ends = [passage.start_char + len(passage.text) for passage in passages]
    assert [passage.start_char for passage in passages[1:]] == [end + 2 for end in ends[:-1]]


@pytest.mark.parametrize(
    ("line", "following", "expected"),
    [
        ("a multi-dimen-", "sional array", "a multi-dimen-sional array"),
        ("the detec-", "tor", "the detector"),
        ("a self-", "consistent field", "a self-consistent field"),
        ("the bag-", "of-words model", "the bag-of-words model"),
        ("with Super-", "Point", "with Super-Point"),
        ("in 360-", "degree views", "in 360-degree views"),
        ("a well-known long-", "term effect", "a well-known long-term effect"),
        ("an on-", "line shop", "an online shop"),
        ("an in-", "house rule", "an in-house rule"),
        ("no hyphen", "here", "no hyphen here"),
        ("pages 3-", "5", "pages 3-5"),
    ],
)
def test_divided_words_are_joined_and_compounds_kept(
    line: str, following: str, expected: str
) -> None:
    vocabulary = Vocabulary()
    vocabulary.add("We bought it online, following an in-house rule.")
    text, between = vocabulary.joined(line, following)
    assert text + between + following == expected


def test_text_is_in_normal_form() -> None:
    assert clean("e\ufb03cient \ufb02ow of \U0001d45d") == "efficient flow of p"
    assert clean("Poincar\u00b4e and M\u00a8uller") == "Poincaré and Müller"
    assert clean("soft\u00adware\u200b") == "software"
    assert clean("10\u00b2 \u00b5m") == "102 μm"


def test_the_title_is_the_largest_text_or_the_stated_one(tmp_path: Path) -> None:
    def draw(canvas: Canvas, stated: str, journal: bool) -> None:
        canvas.setTitle(stated)
        if journal:
            set_lines(canvas, 40, ["Journal of Muons"], 26)
        set_lines(canvas, 90, ["The Lifetime of", "the Muon"], 18)
        set_lines(canvas, 200, PROSE)

    def title(stated: str, journal: bool = False) -> str:
        path = write(tmp_path / "some file.pdf", lambda canvas: draw(canvas, stated, journal))
        return read(path, "application/pdf").title

    assert title("") == "The Lifetime of the Muon"
    assert title("Microsoft Word - draft7.docx") == "The Lifetime of the Muon"
    assert title("Another document entirely") == "The Lifetime of the Muon"
    assert title("", journal=True) == "The Lifetime of the Muon"
    assert title("The lifetime of the muon", journal=True) in {
        *("The lifetime of the muon", "The Lifetime of the Muon")
    }
    plain = write(tmp_path / "plain file.pdf", lambda canvas: set_lines(canvas, 90, PROSE))
    assert read(plain, "application/pdf").title == "plain file"


def test_what_a_pdf_states_about_itself_is_metadata(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setAuthor("Ada Person and Bo Other")
        canvas.setSubject("Muons")
        set_lines(canvas, 90, [*PROSE, "https://doi.org/10.1234/muons.7"])
        canvas.translate(30, 300)
        canvas.rotate(90)
        canvas.setFont("Times-Roman", 20)
        canvas.drawString(0, 0, "arXiv:1708.05894v1 [stat.ML] 19 Aug 2017")

    reading, passages, _ = found_in(write(tmp_path / "a.pdf", draw))
    metadata = dict(reading.metadata)
    assert metadata["authors"] == ["Ada Person", "Bo Other"]
    assert metadata["subject"] == "Muons"
    assert metadata["doi"] == "10.1234/muons.7"
    assert metadata["arxiv"] == "1708.05894v1"
    assert str(metadata["arxiv_date"]) == "2017-08-19"
    assert metadata["pages"] == 1
    assert "created" in metadata
    assert "arXiv" not in passages[0].text


def test_fractions_do_not_break_a_paragraph(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        set_lines(canvas, 90, [PROSE[0], "them stop at a depth of", PROSE[2]])
        canvas.setFont("Times-Roman", 7)
        canvas.drawString(180, 702, "h")
        canvas.drawString(180, 694, "2e")

    _, (passage,), _ = found_in(write(tmp_path / "a.pdf", draw))
    assert "\n" not in passage.text


def test_a_large_text_in_a_figure_is_no_heading(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        set_lines(canvas, 60, ["Muons at School"], 20)
        for number, top in enumerate((100, 200, 300), start=1):
            set_lines(canvas, top, [f"{number} Part"], 12, "Times-Bold")
            set_lines(canvas, top + 20, PROSE)
        set_lines(canvas, 400, ["Model"], 16)
        set_lines(canvas, 430, PROSE)

    _, passages, _ = found_in(write(tmp_path / "a.pdf", draw))
    assert [passage.section for passage in passages] == ["", "1 Part", "2 Part", "3 Part"]


def test_figures_and_tables_are_parts_of_their_own(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        set_lines(canvas, 60, ["1 Results"], 14, "Times-Bold")
        set_lines(canvas, 90, [*PROSE, "Figure 1 shows it, and Table 1 lists it."])
        canvas.setFillColorRGB(0.1, 0.3, 0.6)
        for bar in range(5):
            canvas.rect(120 + 60 * bar, 430, 40, 40 + 30 * bar, fill=1)
        canvas.setFillColorRGB(0, 0, 0)
        set_lines(canvas, 390, ["Figure 1. Decays in each microsecond."])
        set_lines(canvas, 470, ["Table 1. Lifetimes of two particles."])
        for row, cells in enumerate((("particle", "ns"), ("muon", "2197"), ("pion", "26"))):
            for column, cell in enumerate(cells):
                canvas.drawString(72 + 120 * column, 300 - 14 * row, cell)
        for y in (312, 296, 268):
            canvas.line(70, y, 260, y)
        set_lines(canvas, 580, PROSE)

    _, passages, (picture,) = found_in(write(tmp_path / "a.pdf", draw))
    assert (picture.label, picture.page) == ("Figure 1", 1)
    assert picture.caption == "Figure 1. Decays in each microsecond."
    assert picture.section == "1 Results"
    assert picture.box == pytest.approx((120, 210, 400, 370), abs=4)
    assert picture.image.getpixel((5, picture.image.height - 10)) != (255, 255, 255)
    (table,) = [passage for passage in passages if passage.whole]
    assert table.label == "Table 1"
    assert "| muon | 2197 |" in table.text
    assert table.text.startswith("Table 1. Lifetimes of two particles.")
    running = " ".join(passage.text for passage in passages if not passage.whole)
    assert "Figure 1 shows it" in running
    assert "Decays in each" not in running
    assert "2197" not in running


def test_pages_without_text_become_pictures(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        set_lines(canvas, 90, PROSE)
        canvas.showPage()
        canvas.rect(100, 300, 300, 200, fill=1)
        canvas.showPage()
        canvas.circle(300, 400, 100)
        canvas.showPage()
        canvas.showPage()  # blank

    reading, passages, pictures = found_in(write(tmp_path / "a.pdf", draw))
    assert len(passages) == 1
    assert [picture.page for picture in pictures] == [2, 3]
    assert pictures[0].width_px == pytest.approx(1250, abs=2)
    (notice,) = reading.late_notices
    assert notice.startswith("pages 2–3 have no text, and are added as pictures; to read text")


def test_a_drawing_or_slide_is_also_a_picture(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        for number in range(10):
            canvas.circle(80 + 50 * number, 700 - 60 * number, 25)
            canvas.drawString(110 + 40 * number, 700 - 60 * number, f"state {number}")

    reading, (passage,), (picture,) = found_in(write(tmp_path / "a.pdf", draw))
    assert "state 3" in passage.text
    assert "state 3" in picture.words
    assert picture.page == 1
    assert reading.late_notices == []


def test_every_page_is_a_picture_too_if_asked_for(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        set_lines(canvas, 90, PROSE)
        canvas.showPage()
        canvas.showPage()
        set_lines(canvas, 90, PROSE)

    path = write(tmp_path / "a.pdf", draw)
    parts = list(read_pdf(path, Limits(pages=True)).parts)
    pictures = [part for part in parts if isinstance(part, Picture)]
    assert [picture.page for picture in pictures] == [1, 3], "an empty page is none"
    assert {picture.words for picture in pictures} == {""}, "its words are in the passages"
    assert all(picture.box is None for picture in pictures)
    passages = [part.text for part in parts if isinstance(part, Passages)]
    assert passages == [part.text for part in found_in(path)[1]]
    assert found_in(path)[2] == []


def test_what_programs_write_by_default_is_no_metadata(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setTitle("case.graffle")
        canvas.setAuthor("Ada\nPerson")
        canvas.setSubject("%3Cmxfile%20host%3D%22app%22")
        set_lines(canvas, 90, PROSE)

    reading, _, _ = found_in(write(tmp_path / "a.pdf", draw))
    assert reading.title == "a"
    assert reading.metadata["authors"] == ["Ada Person"]
    assert "subject" not in reading.metadata


def test_a_bad_text_layer_is_not_read(tmp_path: Path) -> None:
    shifted = str.maketrans(
        "abcdefghijklmnopqrstuvwxyz", "qxzwvkjhgfdcbnmlprstxyzwkq"
    )  # consonants alone

    def draw(canvas: Canvas) -> None:
        set_lines(canvas, 90, [line.translate(shifted) for line in PROSE + PROSE])
        canvas.showPage()
        set_lines(canvas, 90, PROSE)
        canvas.showPage()

    reading, (passage,), (picture,) = found_in(write(tmp_path / "a.pdf", draw))
    assert passage.page == 2
    assert picture.page == 1
    (notice,) = reading.late_notices
    assert notice.startswith("page 1 has text that is no language, and is added as a picture; ")


def test_encrypted_documents(tmp_path: Path) -> None:
    locked = StandardEncryption("secret", ownerPassword="owner")
    path = write(tmp_path / "a.pdf", lambda canvas: set_lines(canvas, 90, PROSE), encrypt=locked)
    with pytest.raises(ReadError, match="encrypted; save a copy without a password"):
        read(path, "application/pdf")
    restricted = StandardEncryption("", ownerPassword="owner", canCopy=0, canPrint=0)
    path = write(
        tmp_path / "b.pdf", lambda canvas: set_lines(canvas, 90, PROSE), encrypt=restricted
    )
    _, (passage,), _ = found_in(path)
    assert passage.text == " ".join(PROSE)


def test_documents_without_content_have_a_reason(tmp_path: Path) -> None:
    path = write(tmp_path / "blank.pdf", lambda canvas: canvas.showPage())
    with pytest.raises(ReadError, match="contains no text and no pictures"):
        list(read(path, "application/pdf").parts)
    path = tmp_path / "none.pdf"
    path.write_bytes(
        b"%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n"
        b"2 0 obj\n<</Type/Pages/Kids[]/Count 0>>\nendobj\nxref\n0 3\n0000000000 65535 f \n"
        b"0000000009 00000 n \n0000000054 00000 n \ntrailer\n<</Size 3/Root 1 0 R>>\n"
        b"startxref\n99\n%%EOF\n"
    )
    with pytest.raises(ReadError, match="contains no pages"):
        read(path, "application/pdf")
    path.write_bytes(b"%PDF-1.4\nnothing else")
    with pytest.raises(ReadError, match="damaged"):
        read(path, "application/pdf")
    path.write_bytes(b"")
    with pytest.raises(ReadError, match="empty file"):
        read(path, "application/pdf")


def test_a_page_that_cannot_be_read_costs_itself(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        for number in range(1, 4):
            set_lines(canvas, 90, [f"Chapter {number} of three.", *PROSE])
            canvas.showPage()

    path = write(tmp_path / "a.pdf", draw, pageCompression=0)
    before, first, rest = path.read_bytes().partition(b"/Type /Page\n")
    path.write_bytes(before + first + rest.replace(b"/Type /Page\n", b"/Type /Pagx\n", 1))
    reading, passages, _ = found_in(path)
    text = " ".join(passage.text for passage in passages)
    assert "Chapter 1" in text
    assert "Chapter 2" not in text
    assert "Chapter 3" in text
    (notice,) = reading.late_notices
    assert notice.startswith("page 2 cannot be read: ")


def test_text_without_a_size_is_not_shown(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        set_lines(canvas, 90, PROSE)
        canvas.saveState()
        canvas.scale(1e-9, 1e-9)
        set_lines(canvas, 200, ["invisible"])
        canvas.restoreState()

    _, (passage,), _ = found_in(write(tmp_path / "a.pdf", draw))
    assert passage.text == " ".join(PROSE)


def test_a_pdf_is_detected_by_its_content(tmp_path: Path) -> None:
    def detected(name: str, data: bytes) -> str | None:
        path = tmp_path / name
        path.write_bytes(data)
        return media_type_of(path)

    data = write(tmp_path / "a.pdf", lambda canvas: set_lines(canvas, 90, PROSE)).read_bytes()
    binary = b"%PDF-1.7\n\xe2\xe3\xcf\xd3\n" + data
    assert detected("paper", data) == "application/pdf"
    assert detected("paper.dat", data) == "application/pdf"
    assert detected("paper.txt", data) == "application/pdf"
    assert detected("paper", b"\x00mail header\x00\n" + binary) == "application/pdf"
    assert detected("notes.md", b"# Notes\n\nA PDF begins with %PDF-1.7\n") == "text/markdown"
    with pytest.raises(ReadError, match=r"named \.pdf but contains plain text"):
        detected("letter.pdf", b"Dear reader")


def test_pages_are_listed_in_words() -> None:
    assert page_list([3]) == "page 3"
    assert page_list([3, 4, 5]) == "pages 3–5"
    assert page_list([1, 3, 4, 9]) == "pages 1, 3–4 and 9"
